// Input: one byte for the limit, one for the portions, then what a peer sends behind its login. Frames are taken from
// every prefix that comes, and their acknowledgements go to a pump that sends the records of a ring, one now and then.
// What is accepted encodes to the same bytes; only what was sent counts as acknowledged.
#include <algorithm>
#include <memory>
#include <vector>

#include "codec/session_frame.hpp"
#include "fuzz/checks.hpp"
#include "session/pump.hpp"

namespace {

using namespace ferry;
using ferry::codec::session_framing;
using ferry::fuzz::require;

constexpr std::size_t k_ring = 4096;
constexpr std::uint64_t k_first = (std::uint64_t{1} << 32) - 3;  // numbers are 64 bits, a record's word has fewer

/// Our side: an outgoing ring, and the pump that reads it.
struct sender {
  sender() {
    line.sequence = k_first;
    producer = ring_producer(data(), line, 0, k_first);
    require(pump.start(data(), line, k_first).has_value());
  }
  [[nodiscard]] std::span<std::byte> data() { return {reinterpret_cast<std::byte*>(words.get()), k_ring}; }
  void push_and_send() {
    (void)producer.try_push(as_bytes("a record of ours"));
    if (pump.front()) pump.pop();
  }
  std::unique_ptr<std::uint64_t[]> words{new std::uint64_t[k_ring / 8]{}};
  ring_line line;
  ring_producer producer;
  session::pump pump;
};

void encodes_to_itself(const codec::session_frame& frame, bytes wire) {
  std::vector<std::byte> again(session_framing::k_header);
  const auto& m = frame.message;
  session_framing::encode_header(again.data(), m.what, m.ack, m.view.payload.size(), m.view.type);
  again.insert(again.end(), m.view.payload.begin(), m.view.payload.end());
  require(frame.consumed == frame.total && std::ranges::equal(again, wire.first(frame.consumed)));
}

// @return whether the connection goes on
bool acknowledge(sender& us, std::uint64_t ack) {
  const std::uint64_t before = us.pump.acknowledged();
  const std::uint64_t sent = us.pump.sent();
  const auto counts = us.pump.on_acknowledgement(ack);
  require(counts.has_value() == (ack <= sent));
  require(us.pump.acknowledged() == (counts ? std::max(before, ack) : before));
  require(us.line.sequence == us.pump.acknowledged() && !us.pump.corrupt());
  return counts.has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t max_message = std::size_t{data[0]} * 4;
  const std::size_t portion = std::size_t{data[1]} + 1;
  auto stream = std::as_bytes(std::span(data + 2, size - 2));
  const session_framing framing(max_message);
  sender us;
  std::size_t shown = 0;
  while (!stream.empty()) {
    shown = std::min(shown + portion, stream.size());
    // As long as what has come, so that a sanitizer sees every step outside.
    const std::vector<std::byte> exact(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(shown));
    const auto frame = framing.next(exact);
    if (!frame) {
      require(!frame.error().text().empty() && frame.error().code() == condition::protocol_violation);
      return 0;
    }
    require(frame->total == 0 || frame->total >= session_framing::k_header);
    require(frame->total <= session_framing::k_header + max_message);
    if (frame->consumed == 0) {
      require(exact.size() < std::max(frame->total, session_framing::k_header));
      if (shown == stream.size()) return 0;
      continue;
    }
    encodes_to_itself(*frame, exact);
    require(frame->message.carries_message() || frame->message.view.payload.empty());
    if (!acknowledge(us, frame->message.ack)) return 0;
    us.push_and_send();
    stream = stream.subspan(frame->consumed);
    shown -= frame->consumed;
  }
  return 0;
}
