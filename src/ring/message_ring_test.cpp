#include "ring/message_ring.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <deque>
#include <random>
#include <string>

namespace ferry::ring {
namespace {

constexpr std::size_t k_ring = 4096;

struct world {
  [[nodiscard]] bool write(std::string_view text) {
    // In two parts, as a head and a body are.
    const std::array<bytes, 2> parts{as_bytes(text.substr(0, text.size() / 3)), as_bytes(text.substr(text.size() / 3))};
    return out.write(parts);
  }
  [[nodiscard]] std::string take() {
    const auto got = in.front();
    if (got.data() == nullptr) return "nothing";
    std::string text(as_text(got));
    EXPECT_EQ(in.front().data(), got.data()) << "the same until pop()";
    in.pop();
    return text;
  }
  alignas(128) std::array<std::byte, k_ring> data{};
  ring_line line;
  message_ring_producer out{ring_producer(data, line)};
  message_ring_consumer in{data, line, 0, 0};
};

std::string text_of(std::size_t size, std::size_t number) {
  std::string made(size, 'x');
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<char>('a' + (i * 7 + number) % 26);
  return made;
}

TEST(message_ring, carries_every_size_up_to_its_limit_from_every_place_in_the_ring) {
  for (std::size_t start = 0; start < k_ring; start += 256) {
    world w;
    for (std::size_t filled = 0; filled < start; filled += 64) {
      ASSERT_TRUE(w.write(text_of(40, 0)));
      ASSERT_EQ(w.take(), text_of(40, 0));
    }
    for (std::size_t size = 0; size <= w.out.max_message(); size += 37) {
      ASSERT_TRUE(w.write(text_of(size, start))) << size << " from " << start;
      ASSERT_EQ(w.take(), text_of(size, start));
    }
    ASSERT_TRUE(w.write(text_of(w.out.max_message(), 1))) << "from " << start;
    ASSERT_EQ(w.take(), text_of(w.out.max_message(), 1));
    EXPECT_GT(w.out.max_message(), k_ring / 4 * 3);
    EXPECT_EQ(w.in.unread_bytes(), 0u);
    EXPECT_EQ(w.out.unread_bytes(), 0u);
  }
}

TEST(message_ring, writes_all_of_a_message_or_nothing) {
  world w;
  ASSERT_TRUE(w.write(text_of(2500, 1)));
  EXPECT_FALSE(w.write(text_of(2500, 2)));
  EXPECT_FALSE(w.write(text_of(k_ring, 2))) << "which never fits";
  EXPECT_TRUE(w.write("small"));
  EXPECT_EQ(w.take(), text_of(2500, 1));
  EXPECT_EQ(w.take(), "small");
  EXPECT_EQ(w.take(), "nothing");
}

TEST(message_ring, gives_room_for_a_message_that_is_written_in_place_if_one_record_takes_it) {
  world w;
  EXPECT_NE(w.out.reserve(100), nullptr);
  EXPECT_EQ(w.take(), "nothing") << "nothing was published";
  for (std::size_t size = 0; size <= k_ring / 4 + 16; size += 61) {
    const auto text = text_of(size, size);
    std::byte* const room = w.out.reserve(size);
    ASSERT_NE(room, nullptr) << size;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(room) % 8, 0u);
    std::memcpy(room, text.data(), size);
    w.out.publish();
    EXPECT_EQ(as_text(w.in.front_of_one()), text);
    EXPECT_EQ(w.in.front_of_one().data(), w.in.front().data()) << "the same until pop()";
    w.in.pop();
    EXPECT_EQ(w.in.front_of_one().data(), nullptr);
    EXPECT_EQ(w.out.unread_bytes(), 0u) << "its room is the writer's at once";
  }
  EXPECT_EQ(w.out.reserve(k_ring / 4 + 17), nullptr) << "which needs two";
  while (std::byte* const room = w.out.reserve(1000)) {
    std::memset(room, 'x', 1000);
    w.out.publish();
  }
  EXPECT_FALSE(w.out.corrupt());
  EXPECT_EQ(w.take(), std::string(1000, 'x'));
  EXPECT_NE(w.out.reserve(1000), nullptr);
}

TEST(message_ring, leaves_a_message_in_several_records_where_it_is_when_it_is_asked_for_one) {
  world w;
  ASSERT_TRUE(w.write(text_of(2000, 1)));
  ASSERT_TRUE(w.write("small"));
  EXPECT_EQ(w.in.front_of_one().data(), nullptr);
  EXPECT_EQ(w.in.front().size(), 2000u);
  EXPECT_EQ(w.in.front_of_one().data(), nullptr) << "it was copied";
  EXPECT_EQ(w.take(), text_of(2000, 1));
  EXPECT_EQ(as_text(w.in.front_of_one()), "small");
  EXPECT_EQ(w.in.take_torn(), 0u);
}

TEST(message_ring, keeps_messages_of_all_sizes_whole_and_in_order) {
  world w;
  std::mt19937 chance(1);
  std::deque<std::string> under_way;
  for (std::size_t i = 0; i < 20'000; ++i) {
    auto text = text_of(chance() % (i % 5 == 0 ? 3000 : 200), i);
    if (chance() % 2 == 0 && w.write(text)) under_way.push_back(std::move(text));
    if (chance() % 2 == 0 && !under_way.empty()) {
      ASSERT_EQ(w.take(), under_way.front());
      under_way.pop_front();
    }
  }
  for (; !under_way.empty(); under_way.pop_front()) ASSERT_EQ(w.take(), under_way.front());
  EXPECT_EQ(w.take(), "nothing");
  EXPECT_EQ(w.in.take_torn(), 0u);
}

TEST(message_ring, shows_a_large_message_only_when_all_of_it_is_there) {
  world w;
  const ring_tag tag{0, 0, 1000};
  ring_producer by_hand(w.data, w.line);
  std::byte* room = by_hand.reserve(508);
  std::memcpy(room, &tag, 8);
  std::memset(room + 8, 'x', 500);
  by_hand.publish(508, ring_marks::tagged | ring_marks::more);
  EXPECT_TRUE(w.in.something());
  EXPECT_EQ(w.take(), "nothing");
  EXPECT_FALSE(w.in.something()) << "nobody stays awake for the rest of it";
  room = by_hand.reserve(500);
  std::memset(room, 'x', 500);
  by_hand.publish(500);
  EXPECT_TRUE(w.in.something());
  EXPECT_EQ(w.take(), std::string(1000, 'x'));
  EXPECT_FALSE(w.in.something());
}

// A writer that died in the middle, and one that came after it; pieces of what was never begun; wrong sizes.
TEST(message_ring, drops_and_counts_records_that_are_no_whole_message_and_goes_on) {
  const auto tag_of = [](std::uint32_t remaining) {
    std::string made(8, '\0');
    std::memcpy(made.data() + 4, &remaining, 4);
    return made;
  };
  using marks = ring_marks;
  const struct {
    std::vector<std::pair<std::string, marks>> records;
    std::uint64_t torn;
  } cases[] = {
      {{{tag_of(900) + std::string(400, 'x'), marks::tagged | marks::more}}, 1},
      {{{tag_of(900) + std::string(400, 'x'), marks::tagged | marks::more | marks::text}}, 1},
      {{{"a piece", marks::none}}, 1},
      {{{"a piece", marks::more}, {"its end", marks::none}}, 2},
      {{{"text that goes on", marks::text | marks::more}, {"its end", marks::none}}, 2},
      {{{tag_of(4) + "four", marks::tagged}}, 1},
      {{{tag_of(5) + "four", marks::tagged}}, 1},
      {{{tag_of(9) + "four", marks::tagged | marks::more}, {"four", marks::none}}, 2},
      {{{tag_of(7) + "four", marks::tagged | marks::more}, {"four", marks::none}}, 2},
      {{{tag_of(0xffffffff) + "four", marks::tagged | marks::more}, {"four", marks::none}}, 2},
      {{{"", marks::none}}, 1},
  };
  for (const auto& one : cases) {
    world w;
    ring_producer by_hand(w.data, w.line);
    for (const auto& [body, with] : one.records) ASSERT_TRUE(by_hand.try_push(as_bytes(body), with));
    ASSERT_TRUE(by_hand.try_push(as_bytes("after"), marks::text));
    EXPECT_EQ(w.take(), "after");
    EXPECT_EQ(w.in.take_torn(), one.torn) << one.records[0].first;
  }
}

// Somebody who writes as fast as we read must not keep us there.
TEST(message_ring, looks_at_no_more_records_in_one_call_than_it_says) {
  world w;
  ring_producer by_hand(w.data, w.line);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(by_hand.try_push(as_bytes("no message")));
  ASSERT_TRUE(by_hand.try_push(as_bytes("after"), ring_marks::text));
  EXPECT_EQ(w.in.front().data(), nullptr);
  EXPECT_EQ(w.in.take_torn(), 64u);
  EXPECT_TRUE(w.in.something());
  EXPECT_EQ(w.take(), "after");
  EXPECT_EQ(w.in.take_torn(), 36u);
}

TEST(message_ring, waits_for_no_message_that_is_larger_than_the_ring) {
  world w;
  const ring_tag tag{0, 0, k_ring + 1};
  std::string begin(500, 'x');
  std::memcpy(begin.data(), &tag, sizeof tag);
  ring_producer by_hand(w.data, w.line);
  ASSERT_TRUE(by_hand.try_push(as_bytes(begin), ring_marks::tagged | ring_marks::more));
  EXPECT_EQ(w.take(), "nothing");
  EXPECT_EQ(w.in.take_torn(), 1u);
}

TEST(message_ring, believes_neither_its_reader_nor_its_writer) {
  world w;
  ASSERT_TRUE(w.write("x"));
  w.line.position.store(1 << 20);
  EXPECT_FALSE(w.write(text_of(3500, 1)));
  EXPECT_TRUE(w.out.corrupt());
  std::memset(w.data.data(), 0xee, 8);
  EXPECT_EQ(w.take(), "nothing");
  EXPECT_TRUE(w.in.corrupt());
  EXPECT_FALSE(w.in.something());
}

}  // namespace
}  // namespace ferry::ring
