#pragma once
/// What one side of a session says on a stream behind the logins, and what it hears there: which frames go out, how far
/// they are on their way, what the peer's frames acknowledge and want. Sans-I/O: its owner moves the bytes, and lends
/// the buffer in which frames lie until they were sent. Source: docs/sessions.md.
///
///     records of our ring --fill--> frames in the owner's buffer --written--> on their way --hear--> acknowledged
///
/// A message that is larger than the buffer goes from where it lies; then only its header is in the buffer.

#include <ferry/error.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "codec/session_frame.hpp"
#include "session/persistent_session.hpp"
#include "session/pump.hpp"

namespace ferry::session {

/// One stream's life; start() begins another one. Thread safety: one thread at a time.
class stream_talk {
 public:
  using frame_kind = codec::session_frame_kind;
  static constexpr std::size_t k_header = codec::session_framing::k_header;
  /// Bytes of the smallest buffer: two headers.
  static constexpr std::size_t k_least_buffer = 2 * k_header;

  /// @param ring, line  our outgoing ring; outlive this @param peer_ack  from the peer's login, which was checked
  /// @param consumed  number of the next input, as our login said it @return corrupt: our records are damaged
  [[nodiscard]] result<void> start(std::span<const std::byte> ring, ring_line& line, std::uint64_t peer_ack,
                                   std::uint64_t consumed) {
    begin_ = end_ = 0;
    large_left_ = {};
    told_ = consumed;
    taken_bytes_ = 0;
    asked_ = peer_ended_ = false;
    return pump_.start(ring, line, peer_ack);
  }

  // What comes.

  /// What a frame says besides its message; once for each, in their order.
  /// @return protocol: it acknowledges what was never sent, or follows the peer's end | corrupt: our records are
  [[nodiscard]] result<void> hear(const codec::session_message& m) {
    if (peer_ended_ && (m.carries_message() || m.what == frame_kind::end))
      return error(errc::protocol, "the peer sent messages after its end");
    asked_ = asked_ || m.what == frame_kind::question;
    peer_ended_ = peer_ended_ || m.what == frame_kind::end;
    return pump_.on_acknowledgement(m.ack);
  }
  /// A message was taken whose frame had so many bytes.
  void took(std::size_t frame_bytes) noexcept { taken_bytes_ += frame_bytes; }
  [[nodiscard]] bool peer_ended() const noexcept { return peer_ended_; }
  /// Number of our first message that the peer has not acknowledged.
  [[nodiscard]] std::uint64_t acknowledged() const noexcept { return pump_.acknowledged(); }

  // What goes. `buffer` is the same as long as idle() is false, and `consumed` is what may be acknowledged.

  /// Nothing is on its way through the buffer.
  [[nodiscard]] bool idle() const noexcept { return begin_ == end_ && large_left_.empty(); }
  /// Nothing in the buffer is half written, and there is room for a header.
  [[nodiscard]] bool takes_header(mutable_bytes buffer) const noexcept {
    return idle() || (takes_more() && buffer.size() - end_ >= k_header);
  }
  /// Records wait that fill() takes now.
  [[nodiscard]] bool records_wait() noexcept { return takes_more() && pump_.front(); }
  /// Our records are damaged.
  [[nodiscard]] bool corrupt() const noexcept { return pump_.corrupt(); }
  /// Makes frames of records that wait, as many as the buffer takes. @return protocol, corrupt: our records are damaged
  [[nodiscard]] result<void> fill(mutable_bytes buffer, std::uint64_t consumed) {
    if (!takes_more()) return {};
    for (ring_record record = pump_.front(); record; record = pump_.front()) {
      const auto m = message_of(record);
      if (!m) return m.error();
      if (buffer.size() - end_ < k_least_buffer) return {};
      const std::size_t frame = k_header + m->payload.size();
      const std::size_t room = buffer.size() - end_ - k_header;  // one is left, for what is said without a message
      if (frame > room && end_ != 0) return {};
      say(static_cast<frame_kind>(m->kind), buffer, consumed, m->payload.size(), m->type);
      if (frame > room) {
        large_left_ = m->payload;
        return {};
      }
      if (!m->payload.empty()) std::memcpy(buffer.data() + end_, m->payload.data(), m->payload.size());
      end_ += m->payload.size();
      pump_.pop();
    }
    return {};
  }
  /// A header behind what lies in the buffer, which takes_header().
  void say(frame_kind what, mutable_bytes buffer, std::uint64_t consumed, std::size_t length = 0,
           std::uint16_t type = 0) noexcept {
    told_ = consumed;
    asked_ = false;
    taken_bytes_ = 0;
    codec::session_framing::encode_header(buffer.data() + end_, what, consumed, length, type);
    end_ += k_header;
  }
  /// What is to be written next, in this order.
  [[nodiscard]] std::array<bytes, 2> unwritten(mutable_bytes buffer) const noexcept {
    return {bytes(buffer.data() + begin_, end_ - begin_), large_left_};
  }
  /// So many bytes of that are on their way.
  void written(std::size_t n) noexcept {
    const std::size_t small = std::min(n, end_ - begin_);
    begin_ += small;
    if (begin_ == end_) begin_ = end_ = 0;
    if (n == small) return;
    large_left_ = large_left_.subspan(n - small);
    if (large_left_.empty()) pump_.pop();
  }

  /// The peer is told as soon as can be.
  void owe() noexcept { asked_ = true; }
  /// What was consumed and the peer was not told of.
  [[nodiscard]] std::uint64_t untold(std::uint64_t consumed) const noexcept { return consumed - told_; }
  /// An acknowledgement goes out alone now, if nothing else does: the peer asked for it, or has ended, or much was
  /// consumed.
  [[nodiscard]] bool owes(std::uint64_t consumed) const noexcept {
    const std::uint64_t behind = untold(consumed);
    return asked_ || (behind != 0 && (behind >= k_most_untold || taken_bytes_ >= k_most_untold_bytes || peer_ended_));
  }

 private:
  [[nodiscard]] bool takes_more() const noexcept { return begin_ == 0 && large_left_.empty(); }

  static constexpr std::uint64_t k_most_untold = 64;  // messages
  static constexpr std::size_t k_most_untold_bytes = 32u << 10;

  pump pump_;
  std::size_t begin_ = 0, end_ = 0;  // of what lies in the buffer
  bytes large_left_;                 // of a message whose header went through the buffer
  std::uint64_t told_ = 0;           // the acknowledgement that was said last
  std::size_t taken_bytes_ = 0;      // since then
  bool asked_ = false;               // the peer wants one
  bool peer_ended_ = false;
};

}  // namespace ferry::session
