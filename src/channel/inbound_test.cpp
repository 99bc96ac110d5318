#include "channel/inbound.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "codec/varint_framing.hpp"

namespace ferry {
namespace {

using varint_inbound = inbound<codec::varint_framing>;

std::string frame_of(const std::string& payload) {
  std::array<std::byte, codec::varint_framing::k_max_header> header;
  const std::size_t size = codec::varint_framing::encode_header(header.data(), {as_bytes(payload)});
  return std::string(as_text(bytes(header).first(size))) + payload;
}

struct inbound_bytes : ::testing::Test {
  /// As a connection does: `size` bytes at most go into the room that is there. @return how many went in
  std::size_t put(varint_inbound& to, std::string_view wire, std::size_t size, bool flowing) {
    const auto room = to.room(flowing);
    EXPECT_TRUE(room && !room->empty());
    if (!room) return 0;
    const std::size_t n = std::min({room->size(), size, wire.size()});
    std::copy_n(as_bytes(wire).begin(), n, room->begin());
    to.filled(n);
    return n;
  }
  result<void> take(varint_inbound& from) {
    return from.take([this](const message_view& m) {
      got.emplace_back(m.text());
      return true;
    });
  }
  buffer_pool pool;
  std::vector<std::string> got;
};

TEST_F(inbound_bytes, become_the_same_messages_in_pieces_of_every_size) {
  std::vector<std::string> sent;
  std::string wire;
  for (const std::size_t size : {0u, 1u, 127u, 128u, 400u, 511u, 512u, 513u, 2000u, 5000u}) {
    sent.emplace_back(size, static_cast<char>('a' + sent.size()));
    wire += frame_of(sent.back());
  }
  for (const bool flowing : {false, true})
    for (std::size_t piece = 1; piece <= wire.size(); piece += piece < 600 ? 1 : 997) {
      got.clear();
      varint_inbound in(pool, 10'000, 4096);
      for (std::string_view rest = wire; !rest.empty();) {
        rest.remove_prefix(put(in, rest, piece, flowing));
        ASSERT_TRUE(take(in));
        in.settle();
      }
      ASSERT_EQ(got, sent) << "pieces of " << piece;
      EXPECT_EQ(in.pending(), 0u);
    }
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST_F(inbound_bytes, that_were_not_taken_come_again) {
  varint_inbound in(pool, 1000, 4096);
  const std::string wire = frame_of("one") + frame_of("two") + frame_of("three");
  put(in, wire, wire.size(), true);
  int offers = 0;
  const auto once = [&](const message_view& m) {
    got.emplace_back(m.text());
    return ++offers != 2;
  };
  ASSERT_TRUE(in.take(once));
  EXPECT_EQ(got, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(in.pending(), frame_of("two").size() + frame_of("three").size());
  in.settle();
  got.clear();
  ASSERT_TRUE(take(in));
  EXPECT_EQ(got, (std::vector<std::string>{"two", "three"}));
}

TEST_F(inbound_bytes, have_room_for_more_however_many_whole_messages_wait_untaken) {
  for (const bool flowing : {false, true}) {
    varint_inbound in(pool, 10'000, 4096);
    const std::string wire = frame_of(std::string(700, 'x'));
    std::string left;
    while (in.pending() < 100'000) {
      if (left.empty()) left = wire;
      left.erase(0, put(in, left, left.size(), flowing));
      ASSERT_TRUE(in.peek(0));  // looked at, and left
    }
  }
}

TEST_F(inbound_bytes, deliver_what_precedes_an_error_and_then_the_error) {
  varint_inbound in(pool, 10, 4096);
  const std::string wire = frame_of("fine") + frame_of(std::string(11, 'x'));
  put(in, wire, wire.size(), true);
  const auto outcome = take(in);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error(), errc::message_too_large);
  EXPECT_EQ(got, std::vector<std::string>{"fine"});
}

TEST_F(inbound_bytes, hold_no_buffer_while_the_connection_is_idle) {
  varint_inbound in(pool, 1u << 20, 256u << 10);
  EXPECT_TRUE(in.room(false));
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
  const std::string wire = frame_of(std::string(100'000, 'x'));
  for (std::string_view rest = wire; !rest.empty();) {
    rest.remove_prefix(put(in, rest, 10'000, true));
    ASSERT_TRUE(take(in));
  }
  EXPECT_GT(pool.stats().bytes_lent, 0u);
  in.settle();
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST_F(inbound_bytes, reserve_only_for_what_has_really_come) {
  varint_inbound in(pool, 10u << 20, 4096);
  const std::string wire = frame_of(std::string(10u << 20, 'x'));
  std::string_view rest = wire;
  while (rest.size() > wire.size() / 2) {
    rest.remove_prefix(put(in, rest, 50'000, false));
    ASSERT_TRUE(take(in));
    // Four times what is there, and the class of the pool above that.
    EXPECT_LE(pool.stats().bytes_lent, std::max<std::size_t>(65536, 16 * in.pending()));
  }
}

TEST_F(inbound_bytes, ask_for_memory_that_is_not_there_with_the_size_in_the_text) {
  buffer_pool small({.max_bytes = 4096});
  varint_inbound in(small, 1u << 20, 4096);
  const std::string wire = frame_of(std::string(100'000, 'x'));
  std::string_view rest = wire;
  for (;;) {
    const auto room = in.room(true);
    if (!room) {
      EXPECT_EQ(room.error(), errc::no_memory);
      EXPECT_NE(room.error().text().find(std::to_string(wire.size())), std::string::npos) << room.error().text();
      break;
    }
    ASSERT_FALSE(rest.empty());
    rest.remove_prefix(put(in, rest, SIZE_MAX, true));
    ASSERT_TRUE(take(in));
  }
}

}  // namespace
}  // namespace ferry
