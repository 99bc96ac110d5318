#include "session/snet_stream.hpp"

#include <gtest/gtest.h>

#include <string>

#include "testing/hex.hpp"

namespace ferry::session {
namespace {

constexpr codec::snet::shared_key k_key{std::byte{1}, std::byte{2}, std::byte{3}};

std::string written(snet_stream& to, std::string_view text) {
  std::string wire(text.size(), '?');
  to.write(as_bytes(text), std::as_writable_bytes(std::span(wire)));
  return wire;
}
std::string received(snet_stream& by, std::string wire) {
  by.receive(std::as_writable_bytes(std::span(wire)));
  return wire;
}
std::string joined(const snet_stream::replay& what) {
  return std::string(as_text(what.first)) + std::string(as_text(what.second));
}

TEST(snet_stream, carries_bytes_both_ways_plain_and_enciphered) {
  for (const bool encrypt : {false, true}) {
    snet_stream client({.encrypt = encrypt}, 1, k_key, snet_end::client);
    snet_stream server({.encrypt = encrypt}, 1, k_key, snet_end::server);
    for (int i = 0; i < 3; ++i) {
      const auto there = written(client, "there it goes");
      const auto back = written(server, "and back");
      EXPECT_EQ(there == "there it goes", !encrypt);
      EXPECT_EQ(received(server, there), "there it goes");
      EXPECT_EQ(received(client, back), "and back");
    }
    EXPECT_EQ(client.counts(), (codec::snet::counts{39, 24}));
    EXPECT_EQ(server.counts(), (codec::snet::counts{24, 39}));
  }
}

TEST(snet_stream, does_not_change_what_the_caller_gave) {
  snet_stream client({.encrypt = true}, 1, k_key, snet_end::client);
  const std::string text = "plain";
  (void)written(client, text);
  EXPECT_EQ(text, "plain");
}

TEST(snet_stream, sends_again_exactly_what_the_peer_lacks_whatever_the_size_of_the_history) {
  for (std::size_t history = 1; history <= 12; ++history)
    for (std::size_t piece = 1; piece <= 13; ++piece) {
      snet_stream stream({.encrypt = true, .history_bytes = history}, 1, k_key, snet_end::client);
      std::string wire;
      while (wire.size() < 40) wire += written(stream, std::string(piece, 'x'));
      for (std::size_t lacking = 0; lacking <= wire.size(); ++lacking) {
        const auto again = stream.resume({0, wire.size() - lacking});
        if (lacking > history) {
          EXPECT_EQ(again.error(), errc::truncated);
          continue;
        }
        ASSERT_TRUE(again);
        EXPECT_EQ(joined(*again), wire.substr(wire.size() - lacking)) << history << ' ' << piece << ' ' << lacking;
      }
    }
}

TEST(snet_stream, whose_history_is_too_small_says_so_with_both_numbers) {
  snet_stream stream({.history_bytes = 8}, 1, k_key, snet_end::client);
  (void)written(stream, std::string(100, 'x'));
  const auto again = stream.resume({0, 77});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error(), errc::truncated);
  EXPECT_NE(again.error().text().find("23"), std::string::npos);
  EXPECT_NE(again.error().text().find("8"), std::string::npos);
}

TEST(snet_stream, refuses_counts_that_cannot_be) {
  snet_stream stream({}, 1, k_key, snet_end::client);
  (void)written(stream, "12345");
  (void)received(stream, "123");
  for (const auto& peer : {codec::snet::counts{3, 6}, {2, 5}, {0, 0}, {3, UINT64_MAX}})
    EXPECT_EQ(stream.resume(peer).error(), errc::protocol) << peer.written << ' ' << peer.received;
  EXPECT_EQ(joined(*stream.resume({3, 0})), "12345");
  EXPECT_EQ(joined(*stream.resume({UINT64_MAX, 5})), "");
}

}  // namespace
}  // namespace ferry::session
