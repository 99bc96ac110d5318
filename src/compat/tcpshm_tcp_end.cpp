#include "compat/tcpshm_tcp_end.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "os/socket.hpp"

namespace ferry::compat::tcpshm {
namespace wire = codec::tcpshm;

void tcp_end::open(os::unique_fd fd, std::int64_t now) {
  close();
  fd_ = std::move(fd);
  now_ = last_sent_ = last_received_ = now;
  buffer_.resize(how_->with.tcp_recv_initial);
}

void tcp_end::close() noexcept {
  fd_.reset();
  over_.reset();
  front_.reset();
  begin_ = end_ = 0;
  owed_.clear();
}

void tcp_end::end(std::string reason, int system_errno) {
  if (!over_) over_ = ending{std::move(reason), system_errno};
}

void tcp_end::receive() {
  if (over_ || front() != nullptr || over_) return;
  make_room();
  const auto got = os::receive(fd_.get(), std::span(buffer_).subspan(end_));
  if (got) {
    end_ += *got;
    last_received_ = now_;
  } else if (got.error() == errc::end_of_stream) {
    end("the peer has closed the connection");
  } else if (got.error() != errc::would_block) {
    end(got.error().text(), got.error().system_errno());
  }
}

const tcp_end::arrived* tcp_end::front() {
  if (front_) return &*front_;
  if (over_ || end_ - begin_ < wire::k_header_bytes) return nullptr;
  const auto header = wire::load_header(buffer_.data() + begin_, how_->format.order);
  if (header.size < wire::k_header_bytes || (header.type == wire::k_heartbeat && header.size != wire::k_header_bytes)) {
    end("a message of size " + std::to_string(header.size) + " and type " + std::to_string(header.type) + " came");
    return nullptr;
  }
  if (wire::padded(header.size) > how_->with.tcp_recv_max) {
    end("a message of " + std::to_string(header.size) + " bytes came; tcp_recv_max is " +
        std::to_string(how_->with.tcp_recv_max));
    return nullptr;
  }
  if (end_ - begin_ < wire::padded(header.size)) return nullptr;
  front_ = arrived{header, buffer_.data() + begin_};
  return &*front_;
}

void tcp_end::drop() noexcept {
  begin_ += wire::padded(front_->header.size);
  front_.reset();
}

// Bytes from begin_ on that the next message takes, as far as is known.
std::size_t tcp_end::wanted() const noexcept {
  if (end_ - begin_ < wire::k_header_bytes) return wire::k_header_bytes;
  return wire::padded(wire::load_header(buffer_.data() + begin_, how_->format.order).size);
}

void tcp_end::make_room() {
  if (begin_ == end_) begin_ = end_ = 0;
  const std::size_t want = wanted();
  if (begin_ + want > buffer_.size() || end_ == buffer_.size()) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (want > buffer_.size()) buffer_.resize(std::min(std::max(2 * buffer_.size(), want), how_->with.tcp_recv_max));
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

void tcp_end::check_silence() {
  // Who leaves messages lying does not know whether the peer is silent.
  if (front_) last_received_ = now_;
  if (now_ - last_received_ >= how_->with.connection_timeout)
    end("timeout: nothing came for " + std::to_string(now_ - last_received_));
}

}  // namespace ferry::compat::tcpshm
