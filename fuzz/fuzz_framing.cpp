// Input: one byte for the framing, one for the limit, one for the portions, then the stream. Each framing must say the
// same as its slow twin about every prefix that it is shown, and what it accepts must encode to a frame of the same
// content.
#include <algorithm>
#include <cstdlib>

#include "codec/slow_framing.hpp"

namespace {

using namespace ferry;
using namespace ferry::codec;

void check(bool holds) {
  if (!holds) std::abort();
}

template <framing F>
void encode_again(const slow::verdict& whole) {
  const message_view message{whole.payload, whole.kind, whole.type};
  std::vector<std::byte> wire(F::k_max_header);
  wire.resize(F::encode_header(wire.data(), message));
  check(wire.size() <= whole.header);
  wire.insert(wire.end(), whole.payload.begin(), whole.payload.end());
  check(F::frame_size(wire) == wire.size());
  const auto again = slow::fast<F>(wire, whole.payload.size());
  check(again.consumed == wire.size() && again.payload == whole.payload);
  check(again.kind == whole.kind && again.type == whole.type);
}

template <framing F>
void run(bytes stream, std::size_t max_message, std::size_t portion) {
  std::size_t shown = 0;
  while (!stream.empty()) {
    shown = std::min(shown + portion, stream.size());
    const std::vector<std::byte> exact(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(shown));
    const auto said = slow::fast<F>(exact, max_message);
    check(said == slow::expected<F>(exact, max_message));
    if (said.error) return;
    if (said.consumed != 0) {
      encode_again<F>(said);
      stream = stream.subspan(said.consumed);
      shown -= said.consumed;
    } else if (shown == stream.size()) {
      return;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const auto max_message = data[1] < 250 ? std::size_t{data[1]} * 4 : SIZE_MAX;
  const auto portion = std::size_t{data[2]} + 1;
  const auto stream = std::as_bytes(std::span(data + 3, size - 3));
  switch (data[0] % 3) {
    case 0: run<varint_framing>(stream, max_message, portion); break;
    case 1: run<u32_framing>(stream, max_message, portion); break;
    case 2: run<typed_framing>(stream, max_message, portion); break;
  }
  return 0;
}
