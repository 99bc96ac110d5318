// What the WebSocket codec asks operator new for, once it has seen a message of each kind.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "codec/websocket_decoder.hpp"
#include "codec/websocket_encoder.hpp"
#include "tests/limits/counting_new.hpp"

namespace ferry::codec {
namespace {

/// Sends `payload` and hears it again. @return bytes heard
std::size_t echo(websocket_encoder& encoder, websocket_decoder& decoder, bytes payload, mutable_bytes room) {
  const auto size = encoder.encode({payload, message_kind::text}, room);
  if (!size) return 0;
  std::size_t heard = 0;
  mutable_bytes rest = room.first(*size);
  for (;;) {
    const auto event = decoder.next(rest, {});
    if (!event) return 0;
    rest = rest.subspan(event->consumed);
    if (event->what == websocket_event_kind::need_more) return heard;
    heard += event->message.payload.size();
  }
}

TEST(websocket_codec, allocates_nothing_for_each_message_whole_in_fragments_or_compressed) {
  const websocket_mask_keys keys{[](void*) { return websocket_mask_key{std::byte{1}, std::byte{2}}; }, nullptr};
  std::string text;
  while (text.size() < 10000) text.append("some text ").append(std::to_string(text.size()));
  for (const bool compressed : {false, true})
    for (const std::size_t fragment : {0, 500})
      for (const auto delivery : {websocket_delivery::whole, websocket_delivery::pieces}) {
        buffer_pool pool;
        const auto direction = compressed ? std::optional(deflate_direction{}) : std::nullopt;
        websocket_encoder encoder({.keys = keys, .fragment_above = fragment}, direction);
        const websocket_decoder_options options{.delivery = delivery};
        websocket_decoder decoder(pool, options, direction);
        std::vector<std::byte> room(encoder.bound(text.size()));
        ASSERT_EQ(echo(encoder, decoder, as_bytes(text), room), text.size());
        const auto before = test::count_allocations().allocations;
        std::size_t heard = 0;
        for (int i = 0; i < 100; ++i) heard += echo(encoder, decoder, as_bytes(text), room);
        const auto after = test::count_allocations().allocations;
        EXPECT_EQ(heard, 100 * text.size());
        EXPECT_EQ(after - before, 0u) << compressed << ' ' << fragment;
      }
}

}  // namespace
}  // namespace ferry::codec
