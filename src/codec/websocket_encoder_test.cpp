#include "codec/websocket_encoder.hpp"

#include <gtest/gtest.h>

#include "codec/websocket_transcript.hpp"
#include "testing/splitter.hpp"

namespace ferry::codec {
namespace {

using test::byte_string;
using test::make_bytes;

constexpr websocket_mask_key k_key{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
websocket_mask_key same_key(void*) { return k_key; }
websocket_mask_key next_key(void* context) {
  auto& count = *static_cast<unsigned*>(context);
  ++count;
  return {static_cast<std::byte>(count), std::byte{0x55}, std::byte{0xaa}, static_cast<std::byte>(count * 7)};
}

byte_string encoded(websocket_encoder& encoder, const message_view& message) {
  byte_string out(encoder.bound(message.payload.size()));
  const auto size = encoder.encode(message, out);
  EXPECT_TRUE(size) << (size ? "" : size.error().text());
  out.resize(size ? *size : 0);
  return out;
}
message_view text(std::string_view payload) { return {as_bytes(payload), message_kind::text}; }

TEST(websocket_encoder, writes_the_examples_of_the_rfc) {
  websocket_encoder server({});
  EXPECT_EQ(encoded(server, text("Hello")), make_bytes({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}));
  websocket_encoder client({.keys = {same_key, nullptr}});
  EXPECT_EQ(encoded(client, text("Hello")),
            make_bytes({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}));
  websocket_encoder splitting({.keys = {}, .fragment_above = 3});
  EXPECT_EQ(encoded(splitting, text("Hello")), make_bytes({0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}));

  byte_string out(websocket_encoder::k_max_control_frame);
  out.resize(client.encode_control(websocket_opcode::pong, as_bytes("Hello"), out.data()));
  EXPECT_EQ(out, make_bytes({0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}));
  out.resize(websocket_encoder::k_max_control_frame);
  out.resize(server.encode_close(1000, "bye", out.data()));
  EXPECT_EQ(out, make_bytes({0x88, 0x05, 0x03, 0xe8, 'b', 'y', 'e'}));
}

TEST(websocket_encoder, what_it_writes_comes_back_at_every_size_and_every_split) {
  buffer_pool pool;
  for (const std::size_t size : {0, 1, 2, 5, 124, 125, 126, 127, 300, 65535, 65536, 70000})
    for (const std::size_t fragment : {0, 1, 2, 125, 126, 1000, 65535, 65536}) {
      if (fragment != 0 && size / fragment > 1000) continue;
      unsigned keys = 0;
      websocket_encoder encoder({.keys = {next_key, &keys}, .fragment_above = fragment});
      std::string payload(size, 'a');
      for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>('a' + i % 23);
      const auto wire = encoded(encoder, text(payload));
      EXPECT_EQ(keys, fragment == 0 || size == 0 ? 1 : (size - 1) / fragment + 1);
      ASSERT_EQ(hear_all(pool, wire, 4000, {}), transcript{"text " + payload}) << size << " in " << fragment;
    }
}

TEST(websocket_encoder, sends_in_parts_with_control_frames_between) {
  websocket_encoder encoder({.keys = {}, .fragment_above = 4});
  byte_string wire;
  byte_string room(1000);
  const auto add = [&](const result<std::size_t>& size) {
    ASSERT_TRUE(size) << size.error().text();
    wire.insert(wire.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*size));
  };
  ASSERT_TRUE(encoder.begin(message_kind::text));
  EXPECT_FALSE(encoder.between_messages());
  add(encoder.append(as_bytes(""), room));
  EXPECT_TRUE(wire.empty());
  add(encoder.append(as_bytes("a part \xe2\x82"), room));
  add(encoder.encode_control(websocket_opcode::ping, as_bytes("now"), room.data()));
  add(encoder.append(as_bytes("\xac"), room));
  add(encoder.end(as_bytes(""), room));
  EXPECT_TRUE(encoder.between_messages());
  buffer_pool pool;
  websocket_decoder_options options{.mask = websocket_mask_rule::forbidden};
  EXPECT_EQ(hear_all(pool, wire, 1, options), (transcript{"ping now", "text a part \xe2\x82\xac"}));
}

TEST(websocket_encoder, compresses_in_parts_what_can_be_heard_at_once) {
  websocket_encoder encoder({.keys = {same_key, nullptr}, .fragment_above = 50}, deflate_direction{});
  buffer_pool pool;
  const websocket_decoder_options in_pieces{.delivery = websocket_delivery::pieces};
  websocket_decoder decoder(pool, in_pieces, deflate_direction{});
  websocket_listener listener(decoder);
  byte_string room(10000);
  std::string all;
  for (const char* const kind : {"first", "second"}) {
    ASSERT_TRUE(encoder.begin(message_kind::binary));
    std::size_t events = listener.events();
    for (int i = 0; i < 20; ++i) {
      const std::string part = std::string(kind).append(" part ").append(std::to_string(i * 7919));
      all += part;
      const auto size = encoder.append(as_bytes(part), room);
      ASSERT_TRUE(size && listener.hear(bytes(room).first(*size)));
      ASSERT_GT(listener.events(), std::exchange(events, listener.events())) << "each part comes at once";
    }
    const auto size = encoder.end(as_bytes(""), room);
    ASSERT_TRUE(size && listener.hear(bytes(room).first(*size)));
    EXPECT_EQ(listener.lines().back(), "binary " + std::exchange(all, {}));
  }
}

TEST(websocket_encoder, refuses_what_would_break_the_stream_and_goes_on) {
  websocket_encoder encoder({});
  byte_string room(1000);
  EXPECT_EQ(encoder.encode(text("\xff"), room).error(), errc::misuse);
  EXPECT_EQ(encoder.append(as_bytes("x"), room).error(), errc::misuse);
  EXPECT_EQ(encoder.end(as_bytes("x"), room).error(), errc::misuse);
  ASSERT_TRUE(encoder.begin(message_kind::text));
  EXPECT_EQ(encoder.begin(message_kind::text).error(), errc::misuse);
  EXPECT_EQ(encoder.encode(text("x"), room).error(), errc::misuse);
  ASSERT_TRUE(encoder.append(as_bytes("\xe2\x82"), room));
  EXPECT_EQ(encoder.append(as_bytes("x"), room).error(), errc::misuse);
  EXPECT_EQ(encoder.end(as_bytes(""), room).error(), errc::misuse);
  ASSERT_TRUE(encoder.end(as_bytes("\xac"), room));
  EXPECT_TRUE(encoder.encode(text("x"), room));
  EXPECT_TRUE(encoder.encode({make_bytes({0xff}), message_kind::binary}, room));
}

TEST(websocket_encoder, writes_no_more_than_it_said) {
  for (const std::size_t size : {0, 1, 125, 126, 65536})
    for (const std::size_t fragment : {0, 1, 7, 126}) {
      websocket_encoder encoder({.keys = {same_key, nullptr}, .fragment_above = fragment});
      const byte_string payload(size, std::byte{1});
      byte_string out(encoder.bound(size));
      const auto written = encoder.encode({payload}, out);
      ASSERT_TRUE(written);
      EXPECT_LE(*written, out.size());
    }
}

}  // namespace
}  // namespace ferry::codec
