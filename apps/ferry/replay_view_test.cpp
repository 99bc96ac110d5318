#include "apps/ferry/replay_view.hpp"

#include <gtest/gtest.h>

#include <string>

#include "testing/splitter.hpp"

namespace ferry::app {
namespace {

using codec::flow_side;
using test::byte_string;

// A masked frame, made by hand (RFC 6455 section 5.2).
byte_string frame(std::string_view payload, std::uint32_t key) {
  byte_string made{std::byte{0x82}};
  if (payload.size() < 126) {
    made.push_back(static_cast<std::byte>(0x80 | payload.size()));
  } else if (payload.size() < 65'536) {
    made.push_back(std::byte{0xfe});
    for (int shift = 8; shift >= 0; shift -= 8) made.push_back(static_cast<std::byte>(payload.size() >> shift));
  } else {
    made.push_back(std::byte{0xff});
    for (int shift = 56; shift >= 0; shift -= 8) made.push_back(static_cast<std::byte>(payload.size() >> shift));
  }
  std::byte mask[4];
  for (int i = 0; i < 4; ++i) made.push_back(mask[i] = static_cast<std::byte>(key >> (24 - 8 * i)));
  for (std::size_t i = 0; i < payload.size(); ++i) made.push_back(static_cast<std::byte>(payload[i]) ^ mask[i % 4]);
  return made;
}

byte_string frames(std::uint32_t key) {
  byte_string all;
  for (const std::size_t size : {0u, 5u, 126u, 300u}) {
    const auto one = frame(std::string(size, 'p'), key);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

TEST(unmasker, makes_frames_with_other_masks_equal_at_every_cut) {
  auto wanted = frames(0);
  unmasker().pass(wanted);
  EXPECT_EQ(wanted, frames(0)) << "a key of zeros changes nothing";
  test::for_every_cut(frames(0x12345678), [&](bytes head, bytes tail) {
    byte_string both(head.begin(), head.end()), rest(tail.begin(), tail.end());
    unmasker one;
    one.pass(both);
    one.pass(rest);
    both.insert(both.end(), rest.begin(), rest.end());
    EXPECT_EQ(both, wanted);
  });
}

TEST(unmasker, takes_a_length_of_eight_bytes) {
  const std::string payload(70'000, 'q');
  auto masked = frame(payload, 0xa1b2c3d4);
  unmasker().pass(masked);
  EXPECT_EQ(masked, frame(payload, 0));
}

TEST(replay_view, leaves_out_what_is_another_each_time_and_compares_the_rest) {
  const auto seen = [](std::string_view key, std::string_view date, std::uint32_t mask) {
    replay_view view(replay_view::protocol::http_then_websocket);
    byte_string all;
    const auto pass = [&](flow_side from, byte_string data) {
      view.pass(from, data);
      all.insert(all.end(), data.begin(), data.end());
    };
    pass(flow_side::client,
         test::make_bytes("GET / HTTP/1.1\r\nSec-WebSocket-Key: " + std::string(key) + "\r\nCookie: secret\r\n\r\n"));
    auto answer = test::make_bytes("HTTP/1.1 101 Switching\r\nDate: " + std::string(date) + "\r\n\r\n");
    const auto greeting = frame("hello", 0);
    answer.insert(answer.end(), greeting.begin(), greeting.end());
    pass(flow_side::server, answer);
    pass(flow_side::client, frames(mask));
    return all;
  };
  EXPECT_EQ(seen("abc", "Monday", 1), seen("xyz", "Sunday", 0xffeeddcc));
  EXPECT_NE(seen("abc", "Monday", 1), seen("abcd", "Monday", 1));
}

}  // namespace
}  // namespace ferry::app
