// Input: one byte of settings, one for the limit, one for the portions, then what a peer sends. However it is cut and
// delivered, the same messages, control frames and fault come out; memory stays near the limit; and what came out, sent
// again by an encoder, is heard as the same.
#include <ferry/options.hpp>

#include "codec/websocket_encoder.hpp"
#include "codec/websocket_transcript.hpp"
#include "fuzz/checks.hpp"

namespace {

using namespace ferry;
using namespace ferry::codec;
using ferry::fuzz::require;

constexpr std::size_t k_largest_limit = 65536;

struct settings {
  websocket_decoder_options options;
  std::optional<deflate_direction> deflate;
};

settings settings_of(std::uint8_t flags, std::uint8_t limit) {
  settings made;
  constexpr websocket_mask_rule rules[] = {websocket_mask_rule::either, websocket_mask_rule::required,
                                           websocket_mask_rule::forbidden, websocket_mask_rule::either};
  made.options.mask = rules[flags & 3];
  if ((flags & 4) != 0) made.deflate = deflate_direction{(flags & 8) != 0 ? 9 : 15, (flags & 16) != 0};
  made.options.max_message = limit < 250 ? std::size_t{limit} * 8 : k_largest_limit;
  made.options.max_frame = (flags & 32) != 0 ? made.options.max_message / 2 : made.options.max_message;
  made.options.max_empty_frames = 8;
  made.options.control_burst = 16;
  return made;
}

transcript hear(bytes stream, std::size_t portion, settings how, websocket_delivery delivery) {
  how.options.delivery = delivery;
  buffer_pool pool;
  websocket_decoder decoder(pool, how.options, how.deflate);
  websocket_listener listener(decoder);
  for (std::size_t at = 0; at < stream.size(); at += portion) {
    const bool goes_on = listener.hear(stream.subspan(at, std::min(portion, stream.size() - at)));
    // Classes of the pool are a factor of 4 apart, and a buffer may be exchanged for a larger one.
    require(pool.stats().bytes_lent <= 8 * (how.options.max_message + 16384));
    if (!goes_on) {
      require(decoder.fault() != websocket_fault::none && may_be_sent(close_code_for(decoder.fault())));
      std::vector<std::byte> more(1);
      const auto again = decoder.next(more, {});
      require(!again && again.error() == errc_for(decoder.fault()) && fuzz::is_one_line(again.error().text()));
      break;
    }
    require(listener.pending() <= how.options.max_frame + k_max_websocket_header + k_max_websocket_control);
  }
  decoder.settle();
  return listener.lines();
}

websocket_mask_key some_key(void* context) {
  auto& count = *static_cast<std::uint8_t*>(context);
  ++count;
  return {std::byte{count}, std::byte{0x5a}, std::byte{0}, std::byte{0xff}};
}

/// Says again what was heard.
void say_again(const transcript& heard, const settings& how, std::size_t fragment) {
  std::uint8_t keys = 0;
  websocket_encoder encoder({.keys = {some_key, &keys}, .fragment_above = fragment, .compress_from = 1}, how.deflate);
  std::vector<std::byte> wire;
  for (const auto& line : heard) {
    if (line.starts_with("fault") || line.starts_with("close")) break;
    const std::size_t space = line.find(' ');
    const std::string_view what = std::string_view(line).substr(0, space);
    const auto payload = as_bytes(std::string_view(line).substr(space + 1));
    std::vector<std::byte> out(encoder.bound(payload.size()) + websocket_encoder::k_max_control_frame);
    std::size_t size = 0;
    if (what == "ping" || what == "pong") {
      size =
          encoder.encode_control(what == "ping" ? websocket_opcode::ping : websocket_opcode::pong, payload, out.data());
    } else {
      const auto kind = what == "text" ? message_kind::text : message_kind::binary;
      const auto written = encoder.encode({payload, kind}, out);
      require(written.has_value());
      size = *written;
    }
    require(size <= out.size());
    wire.insert(wire.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
  }
  auto expected = heard;
  if (!expected.empty() && (expected.back().starts_with("fault") || expected.back().starts_with("close")))
    expected.pop_back();
  settings wide = how;
  wide.options = {.mask = websocket_mask_rule::required};
  require(hear(wire, std::max<std::size_t>(wire.size(), 1), wide, websocket_delivery::whole) == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3 || size > 4096) return 0;
  const auto how = settings_of(data[0], data[1]);
  const std::size_t portion = std::size_t{data[2]} % 64 + 1;
  const auto stream = std::as_bytes(std::span(data + 3, size - 3));
  const auto whole = hear(stream, std::max<std::size_t>(stream.size(), 1), how, websocket_delivery::whole);
  require(hear(stream, portion, how, websocket_delivery::whole) == whole);
  require(hear(stream, portion, how, websocket_delivery::pieces) == whole);
  require(hear(stream, std::max<std::size_t>(stream.size(), 1), how, websocket_delivery::pieces) == whole);
  say_again(whole, how, std::size_t{data[2]} / 64 * 7);
  return 0;
}
