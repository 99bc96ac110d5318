#include "codec/websocket_decoder.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "codec/websocket_encoder.hpp"
#include "codec/websocket_transcript.hpp"
#include "testing/splitter.hpp"

namespace ferry::codec {
namespace {

using namespace std::chrono_literals;
using test::byte_string;
using test::make_bytes;

constexpr auto k_from_server = websocket_mask_rule::forbidden;
constexpr auto k_from_client = websocket_mask_rule::required;

struct websocket_decoding : ::testing::Test {
  buffer_pool pool;
  websocket_decoder_options options{.mask = k_from_server};
};

byte_string joined(std::initializer_list<byte_string> parts) {
  byte_string all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// One unmasked frame.
byte_string frame(websocket_opcode opcode, bytes payload, bool fin = true) {
  byte_string wire(k_max_websocket_header);
  wire.resize(
      encode_websocket_header(wire.data(), {.fin = fin, .opcode = opcode, .length = payload.size(), .mask = {}}));
  wire.insert(wire.end(), payload.begin(), payload.end());
  return wire;
}
byte_string frame(websocket_opcode opcode, std::string_view payload, bool fin = true) {
  return frame(opcode, as_bytes(payload), fin);
}

TEST_F(websocket_decoding, hears_the_examples_of_the_rfc) {
  const auto hears = [&](std::initializer_list<int> wire, websocket_mask_rule mask) {
    options.mask = mask;
    return hear_all(pool, make_bytes(wire), 1, options);
  };
  EXPECT_EQ(hears({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}, k_from_server), transcript{"text Hello"});
  EXPECT_EQ(hears({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, k_from_client),
            transcript{"text Hello"});
  EXPECT_EQ(hears({0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}, k_from_server), transcript{"text Hello"});
  EXPECT_EQ(hears({0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}, k_from_server), transcript{"ping Hello"});
  EXPECT_EQ(hears({0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, k_from_client),
            transcript{"pong Hello"});

  options.mask = k_from_server;
  byte_string large = make_bytes({0x82, 0x7e, 0x01, 0x00});
  large.resize(large.size() + 256, std::byte{'b'});
  EXPECT_EQ(hear_all(pool, large, 7, options), transcript{std::string("binary ").append(256, 'b')});
  large = make_bytes({0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0});
  large.resize(large.size() + 65536, std::byte{'b'});
  EXPECT_EQ(hear_all(pool, large, 4096, options), transcript{std::string("binary ").append(65536, 'b')});
}

TEST_F(websocket_decoding, hears_the_same_however_a_stream_is_cut_and_delivered) {
  const auto wire = joined({frame(websocket_opcode::text, "one frame"), frame(websocket_opcode::text, "in ", false),
                            frame(websocket_opcode::ping, "between"), frame(websocket_opcode::continuation, "", false),
                            frame(websocket_opcode::continuation, "th\xe2", false), frame(websocket_opcode::pong, ""),
                            frame(websocket_opcode::continuation, "\x82\xac"), frame(websocket_opcode::binary, ""),
                            frame(websocket_opcode::binary, "", false), frame(websocket_opcode::continuation, ""),
                            frame(websocket_opcode::close,
                                  "\x03\xe8"
                                  "bye"),
                            frame(websocket_opcode::text, "late")});
  const transcript expected{"text one frame", "ping between", "pong ",         "text in th\xe2\x82\xac",
                            "binary ",        "binary ",      "close 1000 bye"};
  for (const auto delivery : {websocket_delivery::whole, websocket_delivery::pieces}) {
    options.delivery = delivery;
    for (std::size_t portion = 1; portion <= wire.size(); ++portion)
      ASSERT_EQ(hear_all(pool, wire, portion, options), expected) << portion;
    test::for_every_cut(wire, [&](bytes head, bytes tail) {
      websocket_decoder decoder(pool, options);
      websocket_listener listener(decoder);
      EXPECT_TRUE(listener.hear(head) && listener.hear(tail));
      ASSERT_EQ(listener.lines(), expected) << "cut at " << head.size();
      EXPECT_EQ(listener.pending(), 0u);
    });
  }
}

TEST_F(websocket_decoding, a_message_in_one_frame_is_seen_where_it_lies) {
  options.mask = k_from_client;
  websocket_decoder decoder(pool, options);
  auto wire = make_bytes({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58});
  auto event = decoder.next(mutable_bytes(wire).first(8), {});
  ASSERT_TRUE(event);
  EXPECT_EQ(event->consumed, 6u);
  EXPECT_EQ(event->wanted, 5u);
  EXPECT_FALSE(decoder.between_messages());
  event = decoder.next(mutable_bytes(wire).subspan(6), {});
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, websocket_event_kind::message);
  EXPECT_EQ(event->message.payload.data(), wire.data() + 6);
  EXPECT_EQ(event->message.text(), "Hello");
  EXPECT_TRUE(decoder.between_messages());
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST_F(websocket_decoding, pieces_come_as_the_bytes_do_and_copy_nothing) {
  options.delivery = websocket_delivery::pieces;
  websocket_decoder decoder(pool, options);
  auto wire = joined({frame(websocket_opcode::binary, "abcd", false), frame(websocket_opcode::continuation, "ef")});
  auto event = decoder.next(mutable_bytes(wire).first(4), {});
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, websocket_event_kind::piece);
  EXPECT_EQ(event->message.text(), "ab");
  EXPECT_TRUE(event->first && !event->last);
  event = decoder.next(mutable_bytes(wire).subspan(4), {});
  EXPECT_EQ(event->message.text(), "cd");
  EXPECT_TRUE(!event->first && !event->last);
  event = decoder.next(mutable_bytes(wire).subspan(6), {});
  EXPECT_EQ(event->message.text(), "ef");
  EXPECT_TRUE(!event->first && event->last);
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST_F(websocket_decoding, what_was_put_together_is_given_back_with_the_next_call) {
  websocket_decoder decoder(pool, options);
  auto wire = joined({frame(websocket_opcode::text, "ab", false), frame(websocket_opcode::continuation, "cd")});
  for (const bool settled : {false, true}) {
    auto copy = wire;
    auto event = decoder.next(copy, {});
    ASSERT_TRUE(event);
    EXPECT_EQ(event->message.text(), "abcd");
    EXPECT_GT(pool.stats().bytes_lent, 0u);
    if (settled) {
      decoder.settle();
    } else {
      (void)decoder.next({}, {});
    }
    EXPECT_EQ(pool.stats().bytes_lent, 0u);
  }
}

TEST_F(websocket_decoding, text_fails_at_its_first_bad_byte_also_before_the_frame_is_whole) {
  const auto wire = frame(websocket_opcode::text, "good \xed\xa0\x80 never looked at");
  for (const auto delivery : {websocket_delivery::whole, websocket_delivery::pieces}) {
    options.delivery = delivery;
    websocket_decoder decoder(pool, options);
    websocket_listener listener(decoder);
    EXPECT_TRUE(listener.hear(bytes(wire).first(8)));  // up to the first byte of the surrogate
    EXPECT_FALSE(listener.hear(bytes(wire).subspan(8, 1)));
    EXPECT_EQ(listener.lines().back(), "fault 1007");
    EXPECT_EQ(decoder.fault(), websocket_fault::invalid_utf8);
  }
}

TEST_F(websocket_decoding, a_character_may_be_split_over_fragments_but_not_over_messages) {
  EXPECT_EQ(hear_all(pool,
                     joined({frame(websocket_opcode::text, "\xf0", false),
                             frame(websocket_opcode::continuation, "\x9f\x98", false),
                             frame(websocket_opcode::ping, "\xff"), frame(websocket_opcode::continuation, "\x80")}),
                     64, options),
            (transcript{"ping \xff", "text \xf0\x9f\x98\x80"}));
  EXPECT_EQ(hear_all(pool, frame(websocket_opcode::text, "\xf0\x9f\x98"), 64, options), transcript{"fault 1007"});
  EXPECT_EQ(
      hear_all(pool,
               joined({frame(websocket_opcode::text, "\xf0\x9f", false), frame(websocket_opcode::continuation, "x")}),
               1, options),
      transcript{"fault 1007"});
}

TEST_F(websocket_decoding, limits_are_checked_as_soon_as_the_length_is_known) {
  options.max_message = 1000;
  options.max_frame = 600;
  const auto refused = [&](bytes wire) {
    websocket_decoder decoder(pool, options);
    websocket_listener listener(decoder);
    EXPECT_FALSE(listener.hear(wire));
    EXPECT_EQ(close_code_for(decoder.fault()), 1009);
    byte_string more(1);
    return decoder.next(more, {}).error().text();
  };
  EXPECT_EQ(refused(make_bytes({0x82, 126, 0x02, 0x59})),
            "WebSocket: a frame larger than max_frame (601, at most 600)");
  EXPECT_EQ(refused(make_bytes({0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})),
            "WebSocket: a frame larger than max_frame (9223372036854775807, at most 600)");
  auto two = frame(websocket_opcode::binary, std::string(600, 'x'), false);
  const auto header = make_bytes({0x80, 126, 0x01, 0x91});
  two.insert(two.end(), header.begin(), header.end());
  EXPECT_EQ(refused(two), "WebSocket: a message larger than max_message (1001, at most 1000)");
}

TEST_F(websocket_decoding, fragments_without_end_take_no_more_than_the_largest_message) {
  options.max_message = 100000;
  options.max_frame = 1000;
  websocket_decoder decoder(pool, options);
  websocket_listener listener(decoder);
  ASSERT_TRUE(listener.hear(frame(websocket_opcode::binary, "x", false)));
  const auto more = frame(websocket_opcode::continuation, std::string(1000, 'x'), false);
  std::size_t frames = 0;
  std::uint64_t most = 0;
  while (frames < 1000 && listener.hear(more)) {
    ++frames;
    most = std::max(most, pool.stats().bytes_lent);
  }
  EXPECT_EQ(frames, 99u);
  EXPECT_EQ(listener.lines(), transcript{"fault 1009"});
  EXPECT_LE(most, 4 * options.max_message);  // classes of the pool are a factor of 4 apart
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST_F(websocket_decoding, frames_without_payload_are_counted_and_end_the_connection) {
  websocket_decoder decoder(pool, options);
  websocket_listener listener(decoder);
  ASSERT_TRUE(listener.hear(frame(websocket_opcode::text, "x", false)));
  const auto empty = frame(websocket_opcode::continuation, "", false);
  for (std::uint32_t i = 0; i < options.max_empty_frames; ++i) ASSERT_TRUE(listener.hear(empty));
  EXPECT_FALSE(listener.hear(empty));
  EXPECT_EQ(listener.lines(), transcript{"fault 1008"});
}

TEST_F(websocket_decoding, a_million_frames_of_one_byte_are_one_message) {
  websocket_decoder decoder(pool, options);
  websocket_listener listener(decoder);
  ASSERT_TRUE(listener.hear(frame(websocket_opcode::binary, "x", false)));
  byte_string many;
  for (int i = 0; i < 10000; ++i) {
    const auto one = frame(websocket_opcode::continuation, "x", false);
    many.insert(many.end(), one.begin(), one.end());
  }
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(listener.hear(many));
  ASSERT_TRUE(listener.hear(frame(websocket_opcode::continuation, "")));
  EXPECT_EQ(listener.lines(), transcript{std::string("binary ").append(1000001, 'x')});
}

TEST_F(websocket_decoding, control_frames_are_paid_for_by_time) {
  options.control_burst = 3;
  options.control_interval = 1s;
  websocket_decoder decoder(pool, options);
  websocket_listener listener(decoder);
  const time_point start{100s};
  const auto ping = frame(websocket_opcode::ping, "");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(listener.hear(ping, start));
  ASSERT_TRUE(listener.hear(frame(websocket_opcode::pong, ""), start + 1s));
  ASSERT_TRUE(listener.hear(frame(websocket_opcode::text, "free"), start + 1s));
  EXPECT_FALSE(listener.hear(ping, start + 1s));
  EXPECT_EQ(listener.lines().back(), "fault 1008");
  EXPECT_EQ(decoder.fault(), websocket_fault::too_many_controls);
}

TEST_F(websocket_decoding, nothing_behind_a_close_is_looked_at) {
  websocket_decoder decoder(pool, options);
  websocket_listener listener(decoder);
  ASSERT_TRUE(listener.hear(frame(websocket_opcode::close, "")));
  ASSERT_TRUE(listener.hear(make_bytes({0xff, 0xff, 0xff})));
  EXPECT_EQ(listener.lines(), transcript{"close 1005 "});
  EXPECT_EQ(listener.pending(), 0u);
}

TEST_F(websocket_decoding, an_exhausted_pool_is_an_error_of_ours) {
  buffer_pool_options little;
  little.max_bytes = 8192;
  buffer_pool tight(little);
  EXPECT_EQ(hear_all(tight,
                     joined({frame(websocket_opcode::binary, std::string(4000, 'x'), false),
                             frame(websocket_opcode::continuation, std::string(8000, 'x'))}),
                     100000, options),
            transcript{"fault 1011"});
}

// Where the buffer of a piece is full just as all input is used up.
TEST_F(websocket_decoding, what_waits_inside_the_inflater_is_heard_without_another_byte) {
  const std::string text(100'000, 'a');
  websocket_encoder encoder({.compress_from = 1}, deflate_direction{});
  byte_string wire(encoder.bound(text.size()));
  wire.resize(*encoder.encode({as_bytes(text), message_kind::binary}, wire));
  options.max_message = 65'536;
  for (std::size_t size = 1; size <= wire.size(); ++size) {
    options.delivery = websocket_delivery::whole;
    const auto whole = hear_all(pool, bytes(wire).first(size), size, options, deflate_direction{});
    options.delivery = websocket_delivery::pieces;
    EXPECT_EQ(hear_all(pool, bytes(wire).first(size), size, options, deflate_direction{}), whole) << size;
  }
}

TEST_F(websocket_decoding, any_damaged_byte_gives_messages_or_a_fault_whatever_the_cut) {
  const auto wire = joined({frame(websocket_opcode::text, "ab\xc3\xa9", false), frame(websocket_opcode::ping, "p"),
                            frame(websocket_opcode::continuation, "cd"), frame(websocket_opcode::close, "\x03\xe8")});
  test::for_every_corruption(wire, [&](bytes damaged, std::size_t at) {
    const auto whole = hear_all(pool, damaged, damaged.size(), options);
    ASSERT_EQ(whole, hear_all(pool, damaged, 1, options)) << "changed at " << at;
    options.delivery = websocket_delivery::pieces;
    ASSERT_EQ(whole, hear_all(pool, damaged, 3, options)) << "changed at " << at;
    options.delivery = websocket_delivery::whole;
  });
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

}  // namespace
}  // namespace ferry::codec
