// What a strict peer may be expected to do, as a table: frames, and what must be heard of them. It covers what the
// categories 1 to 7, 9, 10, 12 and 13 of the usual conformance suite for WebSocket ask. Every case is played by a
// client and by a server, for both kinds of delivery, in portions of several sizes.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "codec/websocket_encoder.hpp"
#include "codec/websocket_transcript.hpp"
#include "testing/splitter.hpp"
#include "testing/websocket_conversations.hpp"

namespace ferry::codec {
namespace {

using namespace std::string_literals;
using test::byte_string;
using test::conversation;
using test::k_close;
using test::k_fin;
using test::k_ping;
using test::k_text;
using test::repeated;
using test::sent_frame;
namespace conversations = test::conversations;

constexpr websocket_mask_key k_key{std::byte{0x13}, std::byte{0x57}, std::byte{0x9b}, std::byte{0xdf}};

byte_string wire_of(const conversation& c, websocket_role sender) {
  byte_string wire;
  for (const auto& f : c.frames) {
    websocket_header header{.opcode = websocket_opcode::binary, .length = f.payload.size(), .mask = {}};
    if (sender == websocket_role::client) header.mask = k_key;
    byte_string frame(k_max_websocket_header);
    frame.resize(encode_websocket_header(frame.data(), header));
    frame[0] = static_cast<std::byte>(f.first);  // also what the encoder would not write
    const std::size_t at = frame.size();
    frame.insert(frame.end(), as_bytes(f.payload).begin(), as_bytes(f.payload).end());
    if (header.mask) apply_websocket_mask(mutable_bytes(frame).subspan(at), k_key);
    wire.insert(wire.end(), frame.begin(), frame.end());
  }
  return wire;
}

void play(const std::vector<conversation>& all) {
  buffer_pool pool;
  for (const auto& c : all)
    for (const auto sender : {websocket_role::client, websocket_role::server})
      for (const auto delivery : {websocket_delivery::whole, websocket_delivery::pieces}) {
        const auto wire = wire_of(c, sender);
        websocket_decoder_options options{.mask = mask_rule_for(sender), .delivery = delivery};
        for (const std::size_t portion :
             {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{997}, wire.size()}) {
          if (wire.size() / portion > 5000) continue;
          ASSERT_EQ(hear_all(pool, wire, portion, options), c.heard) << c.name << ", portions of " << portion;
        }
        EXPECT_EQ(pool.stats().bytes_lent, 0u) << c.name;
      }
}

TEST(websocket_cases, messages_of_every_form_of_length) { play(conversations::of_every_form_of_length()); }

TEST(websocket_cases, pings_and_pongs) { play(conversations::pings_and_pongs()); }

TEST(websocket_cases, reserved_bits) { play(conversations::reserved_bits()); }

TEST(websocket_cases, reserved_opcodes) { play(conversations::reserved_opcodes()); }

TEST(websocket_cases, fragmentation) { play(conversations::fragmentation()); }

TEST(websocket_cases, text_is_utf8_in_one_frame_in_two_and_byte_by_byte) { play(conversations::text_is_utf8()); }

TEST(websocket_cases, bad_text_is_found_before_its_message_ends) {
  buffer_pool pool;
  for (const auto delivery : {websocket_delivery::whole, websocket_delivery::pieces}) {
    const conversation unfinished{"no end comes", {{k_text, "\xce\xba\xe1\xbd\xb9\xf4"}, {0, "\x90"}}, {}};
    websocket_decoder_options options{.mask = websocket_mask_rule::forbidden, .delivery = delivery};
    EXPECT_EQ(hear_all(pool, wire_of(unfinished, websocket_role::server), 1, options), transcript{"fault 1007"});
  }
}

TEST(websocket_cases, closing) { play(conversations::closing()); }

TEST(websocket_cases, large_messages_in_many_parts) { play(conversations::large_messages_in_many_parts()); }

TEST(websocket_cases, many_small_messages) { play(conversations::many_small_messages()); }

TEST(websocket_cases, the_wrong_mask_for_the_direction) {
  buffer_pool pool;
  const conversation hello{"hello", {{k_fin | k_text, "hello"}}, {}};
  for (const auto sender : {websocket_role::client, websocket_role::server}) {
    const auto wire = wire_of(hello, sender);
    const auto other = sender == websocket_role::client ? websocket_role::server : websocket_role::client;
    EXPECT_EQ(hear_all(pool, wire, 1, {.mask = mask_rule_for(other)}), transcript{"fault 1002"});
    EXPECT_EQ(hear_all(pool, wire, 1, {.mask = websocket_mask_rule::either}), transcript{"text hello"});
  }
}

std::vector<std::string> json_messages() {
  std::vector<std::string> all{"", "x", "Hello"};
  for (const std::size_t size : {16, 64, 256, 1024, 4096, 8192, 16384, 65536, 131072}) {
    std::string text = "[";
    for (unsigned i = 0; text.size() < size; ++i)
      text.append("{\"id\": ").append(std::to_string(i * 2654435761u)).append(", \"name\": \"\xc3\xa9t\xc3\xa9\"}, ");
    all.push_back(text.append("{}]"));
  }
  return all;
}

websocket_mask_key constant_key(void*) { return k_key; }

TEST(websocket_cases, compressed_messages_with_every_agreement) {
  const auto messages = json_messages();
  buffer_pool pool;
  for (const int bits : {8, 9, 12, 15})
    for (const bool take_over : {true, false})
      for (const std::size_t fragment : {0, 100, 4096}) {
        const deflate_direction direction{bits, take_over};
        websocket_encoder encoder({.keys = {constant_key, nullptr}, .fragment_above = fragment, .compress_from = 2},
                                  direction);
        byte_string wire;
        transcript expected;
        for (const auto& m : messages) {
          byte_string out(encoder.bound(m.size()));
          const auto size = encoder.encode({as_bytes(m), message_kind::text}, out);
          ASSERT_TRUE(size);
          wire.insert(wire.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(*size));
          expected.push_back("text " + m);
        }
        for (const auto delivery : {websocket_delivery::whole, websocket_delivery::pieces})
          for (const std::size_t portion : {std::size_t{19}, std::size_t{1000}, wire.size()})
            ASSERT_EQ(hear_all(pool, wire, portion, {.delivery = delivery}, direction), expected)
                << bits << ' ' << take_over << ' ' << fragment << ' ' << portion;
        EXPECT_EQ(pool.stats().bytes_lent, 0u);
      }
}

TEST(websocket_cases, compressed_frames_in_their_place) {
  buffer_pool pool;
  const auto hears = [&](std::vector<sent_frame> frames) {
    return hear_all(pool, wire_of({"", std::move(frames), {}}, websocket_role::server), 1,
                    {.mask = websocket_mask_rule::forbidden}, deflate_direction{});
  };
  const std::string hello = "\xf2\x48\xcd\xc9\xc9\x07\x00"s;
  EXPECT_EQ(hears({{0xc1, hello}, {0x81, "plain"}, {0xc2, hello}}),
            (transcript{"text Hello", "text plain", "binary Hello"}));
  EXPECT_EQ(hears({{0x41, hello.substr(0, 3)}, {k_ping, "p"}, {0x80, hello.substr(3)}}),
            (transcript{"ping p", "text Hello"}));
  EXPECT_EQ(hears({{0x41, hello.substr(0, 3)}, {0xc0, hello.substr(3)}}), transcript{"fault 1002"});
  EXPECT_EQ(hears({{0xc9, ""}}), transcript{"fault 1002"});
  EXPECT_EQ(hears({{0xa1, hello}}), transcript{"fault 1002"});
  EXPECT_EQ(hears({{0xc1, ""}}), transcript{"text "});
  EXPECT_EQ(hears({{0xc1, "\x07"}}), transcript{"fault 1007"});
  EXPECT_EQ(hears({{0xc1, hello.substr(0, 4)}}), transcript{"fault 1007"});
  EXPECT_EQ(hears({{0xc1, "\x00\x01\x00\xfe\xff\xff\x00"s}}), transcript{"fault 1007"}) << "inflates to no UTF-8";
}

TEST(websocket_cases, a_compression_bomb_stops_at_the_limit) {
  message_deflater deflater({});
  const std::string zeros = repeated(20'000'000, '0');
  byte_string small(message_deflater::bound(zeros.size()));
  const auto size = deflater.deflate(as_bytes(zeros), true, small);
  ASSERT_TRUE(size);
  const conversation bomb{"bomb", {{0xc2, std::string(as_text(bytes(small).first(*size)))}}, {}};
  ASSERT_LT(*size, 100'000u);
  buffer_pool_options little;
  little.max_bytes = 4 << 20;
  buffer_pool pool(little);
  for (const auto delivery : {websocket_delivery::whole, websocket_delivery::pieces})
    for (const std::size_t portion : {1000, 1000000}) {
      websocket_decoder_options options{.mask = websocket_mask_rule::forbidden, .delivery = delivery};
      options.max_message = 1 << 20;
      EXPECT_EQ(hear_all(pool, wire_of(bomb, websocket_role::server), portion, options, deflate_direction{}),
                transcript{"fault 1009"});
    }
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST(websocket_cases, compressed_bytes_that_come_to_nothing_are_limited_too) {
  std::string nothing;
  for (int i = 0; i < 1000; ++i) nothing.append("\x00\x00\x00\xff\xff"s);
  buffer_pool pool;
  websocket_decoder_options options{.mask = websocket_mask_rule::forbidden};
  options.max_message = 10000;
  const conversation c{"empty blocks", {{0x42, nothing}, {0, nothing}, {0, nothing}, {0, nothing}, {0, nothing}}, {}};
  EXPECT_EQ(hear_all(pool, wire_of(c, websocket_role::server), 100, options, deflate_direction{}),
            transcript{"fault 1009"});
}

}  // namespace
}  // namespace ferry::codec
