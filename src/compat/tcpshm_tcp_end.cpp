#include "compat/tcpshm_tcp_end.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "os/socket.hpp"

namespace ferry::compat::tcpshm {
namespace wire = codec::tcpshm;

void tcp_end::open(os::unique_fd fd, std::int64_t now) {
  close();
  fd_ = std::move(fd);
  time_ = user_time(now);
  now_ = last_sent_ = last_received_ = 0;
  buffer_.resize(how_->with.tcp_recv_initial);
}

void tcp_end::close() noexcept {
  fd_.reset();
  over_.reset();
  gone_.reset();
  begin_ = scanned_ = end_ = 0;
  owed_.clear();
}

void tcp_end::end(std::string reason, int system_errno) {
  if (!over_) over_ = ending{std::move(reason), system_errno};
}

void tcp_end::fill() {
  if (gone_ || !make_room()) return;
  const auto got = os::receive(fd_.get(), std::span(buffer_).subspan(end_));
  if (got) {
    end_ += *got;
    last_received_ = now_;
    how_->wakes->heard();
  } else if (got.error() == errc::end_of_stream) {
    gone_ = ending{"the peer has closed the connection"};
  } else if (got.error() != errc::would_block) {
    gone_ = ending{got.error().text(), got.error().system_errno()};
  }
}

bool tcp_end::make_room() {
  if (begin_ == end_) begin_ = scanned_ = end_ = 0;
  if (begin_ >= buffer_.size() / 2 || (begin_ > 0 && end_ == buffer_.size())) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    scanned_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size() && end_ < how_->with.tcp_recv_max)
    buffer_.resize(std::min(2 * buffer_.size(), how_->with.tcp_recv_max));
  return end_ < buffer_.size();
}

std::optional<wire::header> tcp_end::scan(std::size_t& next) {
  if (over_ || end_ - next < wire::k_header_bytes) return std::nullopt;
  std::byte* const at = buffer_.data() + next;
  const auto found = wire::load_header(at, how_->format.order);
  const bool heartbeat = found.type == wire::k_heartbeat;
  if (found.size < wire::k_header_bytes || (heartbeat && found.size != wire::k_header_bytes)) {
    end("a message of size " + std::to_string(found.size) + " and type " + std::to_string(found.type) + " came");
    return std::nullopt;
  }
  const std::size_t whole = wire::padded(found.size);
  if (whole > how_->with.tcp_recv_max) {
    end("a message of " + std::to_string(found.size) + " bytes came; tcp_recv_max is " +
        std::to_string(how_->with.tcp_recv_max));
    return std::nullopt;
  }
  if (end_ - next < whole) return std::nullopt;
  next += whole;
  if (!heartbeat) {
    // Each byte moves once, whatever the peer puts between its messages.
    if (at != buffer_.data() + scanned_) std::memmove(buffer_.data() + scanned_, at, whole);
    scanned_ += whole;
  } else if (begin_ == scanned_) {
    begin_ = scanned_ = next;
  }
  return found;
}

void tcp_end::close_gap(std::size_t next) noexcept {
  if (next == scanned_) return;
  std::memmove(buffer_.data() + scanned_, buffer_.data() + next, end_ - next);
  end_ -= next - scanned_;
}

std::optional<tcp_end::arrived> tcp_end::front() const noexcept {
  if (over_ || begin_ == scanned_) return std::nullopt;
  std::byte* const at = const_cast<std::byte*>(buffer_.data()) + begin_;
  return arrived{wire::load_header(at, how_->format.order), at};
}

void tcp_end::drop() noexcept {
  begin_ += wire::padded(wire::load_header(buffer_.data() + begin_, how_->format.order).size);
}

ring::tcpshm_backlog tcp_end::waiting() const noexcept {
  ring::tcpshm_backlog all;
  for (std::size_t at = begin_; at < scanned_;) {
    const auto size = wire::load_header(buffer_.data() + at, how_->format.order).size;
    all.messages += 1;
    all.bytes += size - wire::k_header_bytes;
    at += wire::padded(size);
  }
  return all;
}

std::size_t tcp_end::send(bytes what) {
  if (!owed_.empty()) send_owed();
  if (over_ || !owed_.empty() || what.empty()) return 0;
  const std::array<bytes, 1> all{what};
  const auto sent = os::send(fd_.get(), all);
  if (sent) {
    last_sent_ = now_;
    return *sent;
  }
  if (sent.error() != errc::would_block) end(sent.error().text(), sent.error().system_errno());
  return 0;
}

void tcp_end::heartbeat(std::uint32_t ack) {
  if (!owed_.empty()) return send_owed();
  std::array<std::byte, wire::k_header_bytes> beat{};
  wire::store_header(beat.data(), {wire::k_header_bytes, wire::k_heartbeat, ack}, how_->format.order);
  const auto taken = send(beat);
  if (taken > 0) owed_.assign(beat.begin() + static_cast<std::ptrdiff_t>(taken), beat.end());
}

void tcp_end::send_owed() {
  std::vector<std::byte> rest;
  rest.swap(owed_);
  const auto taken = send(rest);
  owed_.assign(rest.begin() + static_cast<std::ptrdiff_t>(taken), rest.end());
}

void tcp_end::check_peer(bool left_lying) {
  const bool full = begin_ == 0 && end_ == how_->with.tcp_recv_max;
  if (full && !gone_) {
    // Nothing is received now, so whether the peer lives has to be asked.
    last_received_ = now_;
    pollfd hung_up{fd_.get(), POLLRDHUP, 0};
    if (::poll(&hung_up, 1, 0) == 1) gone_ = ending{"the peer has closed the connection"};
  }
  if (gone_ && (left_lying || begin_ == scanned_)) end(gone_->reason, gone_->system_errno);
  if (has_passed(last_received_, now_, how_->with.connection_timeout))
    end("timeout: nothing came for " + std::to_string(now_ - last_received_));
}

}  // namespace ferry::compat::tcpshm
