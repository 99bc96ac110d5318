#include "session/snet_stream.hpp"

#include <gtest/gtest.h>

#include <random>
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
void pass(snet_stream& at, duration time) {
  for (; time > duration::zero(); time -= snet_stream::k_step) at.passed();
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

TEST(snet_stream, grows_with_what_the_peer_may_lack_up_to_a_limit_and_charges_the_pool) {
  buffer_pool pool;
  snet_stream stream({.encrypt = true, .history_bytes = 100, .history_limit = 10'000}, 1, k_key, snet_end::client);
  stream.grow_from(pool);
  std::string wire;
  while (wire.size() < 20'000) {
    wire += written(stream, std::string(77, 'x'));
    const auto held = std::min<std::size_t>(wire.size(), 10'000);
    ASSERT_EQ(joined(*stream.resume({0, wire.size() - held})), wire.substr(wire.size() - held)) << wire.size();
    ASSERT_LE(stream.history_capacity(), 10'000u);
  }
  EXPECT_GE(pool.stats().bytes_lent, 10'000u);
  EXPECT_EQ(stream.resume({0, wire.size() - 10'001}).error(), errc::truncated);
}

TEST(snet_stream, grows_within_the_room_that_it_shares_with_others_and_gives_that_back_in_the_end) {
  buffer_pool pool;
  const auto room = std::make_shared<history_room>(history_room{.most = 100'000});
  snet_stream one({.history_bytes = 100}, 1, k_key, snet_end::client);
  one.grow_from(pool, room);
  const auto wire = written(one, std::string(40'000, 'x'));
  EXPECT_EQ(joined(*one.resume({0, 0})), wire);
  {
    snet_stream other({.history_bytes = 100}, 2, k_key, snet_end::client);
    other.grow_from(pool, room);
    const auto lost = written(other, std::string(40'000, 'y'));
    EXPECT_EQ(other.resume({0, 0}).error(), errc::truncated) << "no room is left";
    EXPECT_EQ(joined(*other.resume({0, 39'900})), lost.substr(39'900));
    EXPECT_EQ(room->refused, 1u);
    EXPECT_LE(room->taken, room->most);
    EXPECT_EQ(room->taken, pool.stats().bytes_lent);
  }
  one.heard();
  pass(one, snet_stream::k_settled + snet_stream::k_step);
  one.heard();
  EXPECT_EQ(room->taken, 0u);
  {
    snet_stream third({.history_bytes = 100}, 3, k_key, snet_end::client);
    third.grow_from(pool, room);
    const auto kept = written(third, std::string(40'000, 'z'));
    EXPECT_EQ(joined(*third.resume({0, 0})), kept);
    EXPECT_NE(room->taken, 0u);
  }
  EXPECT_EQ(room->taken, 0u);
}

TEST(snet_stream, gives_back_what_it_grew_by_when_the_peer_is_heard_long_after_it_was_sent) {
  buffer_pool pool;
  snet_stream stream({.history_bytes = 100}, 1, k_key, snet_end::client);
  stream.grow_from(pool);
  const auto wire = written(stream, std::string(50'000, 'x'));
  stream.heard();
  pass(stream, snet_stream::k_settled);
  for (int i = 0; i < 2; ++i) stream.heard();  // however much later: this thread did not run meanwhile
  EXPECT_EQ(joined(*stream.resume({0, 0})), wire) << "it may be under way still";
  stream.passed();
  stream.heard();
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
  EXPECT_EQ(stream.history_capacity(), 100u);
  EXPECT_EQ(joined(*stream.resume({0, 49'900})), wire.substr(49'900));
  EXPECT_EQ(stream.resume({0, 49'899}).error(), errc::truncated);
}

TEST(snet_stream, keeps_what_the_peer_may_lack_where_it_gives_back_a_part) {
  buffer_pool pool;
  snet_stream stream({.history_bytes = 100}, 1, k_key, snet_end::client);
  stream.grow_from(pool);
  auto wire = written(stream, std::string(500'000, 'x'));
  const auto before = stream.history_capacity();
  for (char c = 'a'; c <= 'z'; ++c) wire += written(stream, std::string(1000, c));
  stream.settle(26'000);
  stream.heard();
  EXPECT_LT(stream.history_capacity(), before);
  EXPECT_GE(stream.history_capacity(), 26'000u);
  EXPECT_EQ(joined(*stream.resume({0, 500'000})), wire.substr(500'000));
  wire += written(stream, "and on");
  EXPECT_EQ(joined(*stream.resume({0, 500'000})), wire.substr(500'000));
}

TEST(snet_stream, goes_on_with_the_history_that_it_has_where_the_pool_has_no_more) {
  buffer_pool pool({.max_bytes = 2000});
  snet_stream stream({.history_bytes = 100}, 1, k_key, snet_end::client);
  stream.grow_from(pool);
  std::string wire;
  while (wire.size() < 5000) wire += written(stream, std::string(33, 'x'));
  EXPECT_EQ(stream.history_capacity(), 1024u);
  EXPECT_EQ(joined(*stream.resume({0, wire.size() - 1024})), wire.substr(wire.size() - 1024));
  EXPECT_EQ(stream.resume({0, wire.size() - 1025}).error(), errc::truncated);
}

TEST(snet_stream, holds_whatever_is_not_settled_however_it_grows_and_shrinks) {
  std::minstd_rand chance(4711);
  buffer_pool pool;
  snet_stream stream({.encrypt = true, .history_bytes = 64, .history_limit = 1u << 20}, 1, k_key, snet_end::server);
  stream.grow_from(pool);
  std::string wire;
  std::size_t arrived = 0, shrunk = 0;
  for (; wire.size() < 2'000'000; pass(stream, std::chrono::seconds(chance() % 12))) {
    const bool was_large = stream.has_grown();
    if (chance() % 3 != 0) wire += written(stream, std::string(chance() % (chance() % 20 == 0 ? 60'000 : 300), 'x'));
    arrived = std::max(arrived, wire.size() - std::min<std::size_t>(wire.size(), chance() % 30'000));
    if (chance() % 2 == 0) {
      arrived = wire.size();  // before it is heard
      stream.heard();
    } else if (chance() % 5 == 0) {
      stream.settle(wire.size() - arrived);
    }
    if (was_large && !stream.has_grown()) ++shrunk;
    ASSERT_EQ(joined(*stream.resume({0, arrived})), wire.substr(arrived));
  }
  EXPECT_GT(shrunk, 10u);
}

}  // namespace
}  // namespace ferry::session
