#include "compat/tcpshm_session_stream.hpp"

#include <poll.h>

#include <algorithm>
#include <cstring>

#include "os/socket.hpp"

namespace ferry::compat::tcpshm {
namespace {

using codec::session_frame_kind;

constexpr std::size_t k_batch_bytes = 64u << 10;
constexpr int k_most_quiet_polls = 1000;  // then the buffers go back

}  // namespace

// As much as the peer can have sent that was not acknowledged is taken, if its ring is no larger than ours: else an
// acknowledgement behind messages that wait for the room that it gives would never be read.
session_stream::session_stream(const settings& how)
    : how_(&how),
      most_pending_(std::max(
          {how.with.tcp_recv_max, how.with.ring_bytes, how.with.max_message + codec::session_framing::k_header})),
      in_(*how.buffers, how.with.max_message, std::max(how.with.tcp_recv_initial, k_batch_bytes)) {}

result<void> session_stream::attach(session::persistent_session& s, std::uint64_t peer_ack) {
  forget();
  return talk_.start(s.output().data(), s.output().line(), peer_ack, s.acknowledged());
}

void session_stream::open(os::unique_fd fd, std::int64_t now) {
  close();
  fd_ = std::move(fd);
  time_ = user_time(now);
  now_ = last_sent_ = last_received_ = 0;
}

void session_stream::close() noexcept {
  fd_.reset();
  over_.reset();
  gone_.reset();
}

void session_stream::forget() noexcept {
  in_.clear();
  out_.reset();
  aligned_ = {};
  passed_ = seen_ = held_ = 0;
  wants_answer_ = asked_ = false;
}

void session_stream::end(std::string reason, int system_errno) {
  if (!over_) over_ = ending{std::move(reason), system_errno};
}

// What comes ----------------------------------------------------------------------------------------------------------

void session_stream::receive() {
  if (over_) return;
  quiet_ = true;
  fill();
  while (seen_ < in_.pending()) {
    const auto frame = in_.peek(seen_);
    if (!frame) return end(frame.error().text());
    if (frame->consumed == 0) return;
    if (const auto heard = talk_.hear(frame->message); !heard) return end(heard.error().text());
    seen_ += frame->consumed;
  }
}

void session_stream::fill() {
  if (gone_ || !has_room()) return;
  if (seen_ != 0) in_.keep_more();
  const auto room = in_.room(true);
  if (!room) return end(room.error().text());
  const auto got = os::receive(fd_.get(), *room);
  if (got) {
    in_.filled(*got);
    last_received_ = now_;
    quiet_ = asked_ = false;
    quiet_polls_ = 0;
    how_->wakes->heard();
  } else if (got.error() == errc::end_of_stream) {
    gone_ = ending{"the peer has closed the connection"};
  } else if (got.error() != errc::would_block) {
    gone_ = ending{got.error().text(), got.error().system_errno()};
  }
}

std::optional<message_view> session_stream::front() {
  while (!over_ && passed_ < seen_) {
    const auto frame = in_.at(passed_);  // whole and checked: receive() has seen it
    if (!frame) return std::nullopt;
    if (!frame->message.carries_message()) {
      passed_ += frame->consumed;
      if (held_ == 0) committed();
      continue;
    }
    next_size_ = frame->consumed;
    message_view m = frame->message.view;
    if (reinterpret_cast<std::uintptr_t>(m.payload.data()) % 8 != 0 && !m.payload.empty()) {
      aligned_.resize((m.payload.size() + 7) / 8);
      std::memcpy(aligned_.data(), m.payload.data(), m.payload.size());
      m.payload = std::as_bytes(std::span(aligned_)).first(m.payload.size());
    }
    return m;
  }
  return std::nullopt;
}

void session_stream::pop() noexcept {
  passed_ += next_size_;
  held_ += 1;
  talk_.took(next_size_);
}

void session_stream::committed() noexcept {
  in_.drop(passed_);
  seen_ -= passed_;
  passed_ = held_ = 0;
}

// What goes -----------------------------------------------------------------------------------------------------------

void session_stream::flush(session::persistent_session& s) {
  while (!over_) {
    if (talk_.records_wait() && make_room())
      if (const auto filled = talk_.fill(buffer(), s.acknowledged()); !filled) return end(filled.error().text());
    if (talk_.corrupt()) return end("our own records are damaged");
    if (wants_answer_ && talk_.takes_header(buffer())) {
      wants_answer_ = false;
      asked_ = true;
      say(session_frame_kind::question, s);
    }
    if (over_ || talk_.idle()) return;
    const auto sent = os::send(fd_.get(), talk_.unwritten(buffer()));
    if (!sent) {
      if (sent.error() != errc::would_block) end(sent.error().text(), sent.error().system_errno());
      return;
    }
    last_sent_ = now_;
    talk_.written(*sent);
  }
}

bool session_stream::make_room() {
  if (!out_) out_ = how_->buffers->acquire(k_batch_bytes);
  if (!out_) end("no buffer for sending");
  return static_cast<bool>(out_);
}

void session_stream::say(session_frame_kind what, session::persistent_session& s) {
  if (make_room()) talk_.say(what, buffer(), s.acknowledged());
}

// The end of a poll ---------------------------------------------------------------------------------------------------

void session_stream::tend(session::persistent_session& s, bool left_lying) {
  flush(s);
  const std::uint64_t consumed = s.acknowledged();
  if (!over_ && talk_.idle()) {
    if (talk_.owes(consumed) || (quiet_ && talk_.untold(consumed) != 0))
      say(session_frame_kind::acknowledgement, s);
    else if (has_passed(last_sent_, now_, how_->with.heartbeat_interval))
      say(session_frame_kind::question, s);
    flush(s);
  }
  if (!over_ && talk_.peer_ended() && seen_ == 0) end_with_peer(s);
  check_peer(left_lying);
  settle();
}

// The peer has taken all that it wants to; with what it has not acknowledged, it stays.
void session_stream::end_with_peer(session::persistent_session& s) {
  if (talk_.acknowledged() != s.output().sequence() || !talk_.idle()) return;
  say(session_frame_kind::end, s);
  flush(s);
  end("the peer has closed the connection");
}

void session_stream::check_peer(bool left_lying) {
  if (!gone_ && !has_room()) {
    // Nothing is received now, so whether the peer lives has to be asked.
    last_received_ = now_;
    pollfd hung_up{fd_.get(), POLLRDHUP, 0};
    if (::poll(&hung_up, 1, 0) == 1) gone_ = ending{"the peer has closed the connection"};
  }
  if (gone_ && (left_lying || seen_ == passed_)) end(gone_->reason, gone_->system_errno);
  if (has_passed(last_received_, now_, how_->with.connection_timeout))
    end("timeout: nothing came for " + std::to_string(now_ - last_received_));
}

// An idle connection keeps no large buffers.
void session_stream::settle() {
  if (!quiet_ || ++quiet_polls_ < k_most_quiet_polls || seen_ != 0) return;
  quiet_polls_ = 0;
  in_.settle();
  if (talk_.idle()) out_.reset();
}

}  // namespace ferry::compat::tcpshm
