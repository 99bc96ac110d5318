#include "ring/tcpshm_ring.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <string>
#include <vector>

namespace ferry::ring {
namespace {

constexpr std::size_t k_bytes = 2048;  // 32 blocks

struct alignas(128) memory {
  std::array<std::byte, tcpshm_ring_file_bytes(k_bytes)> bytes{};
  [[nodiscard]] tcpshm_ring_memory ring() { return {bytes, k_bytes}; }
};

struct pair {
  pair() { attach(); }
  explicit pair(std::uint32_t index) {
    at.ring().write_index() = index;
    at.ring().read_index() = index;
    attach();
  }
  void attach() {
    EXPECT_TRUE(out.attach(at.ring()));
    EXPECT_TRUE(in.attach(at.ring()));
  }
  bool push(std::string_view body, std::uint16_t type = 2) {
    std::byte* const to = out.alloc(static_cast<std::uint16_t>(body.size() + 8));
    if (to == nullptr) return false;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(to) % 64, 0u);
    std::memcpy(to + 2, &type, 2);
    std::memcpy(to + 8, body.data(), body.size());
    out.push();
    return true;
  }
  std::string take() {
    const auto found = in.front();
    if (!found) return "nothing";
    std::string text(as_text({found.at + 8, found.size - 8u}));
    in.pop();
    return text;
  }
  memory at;
  tcpshm_ring_producer out;
  tcpshm_ring_consumer in;
};

TEST(tcpshm_ring, is_laid_out_as_the_original_was_captured) {
  pair on;
  const std::uint32_t body[2] = {0, 1};
  for (int i = 0; i < 14; ++i) ASSERT_TRUE(on.push({reinterpret_cast<const char*>(body), sizeof body}));
  const unsigned char wanted[16] = {0x10, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0};
  for (int i = 0; i < 14; ++i) {
    const std::byte* const at = on.at.bytes.data() + 64 * i;
    EXPECT_EQ(std::memcmp(at, wanted, 4), 0);
    EXPECT_EQ(std::memcmp(at + 8, wanted + 8, 8), 0);
    on.take();
  }
  std::uint32_t write = 0, read = 0;
  std::memcpy(&write, on.at.bytes.data() + k_bytes, 4);
  std::memcpy(&read, on.at.bytes.data() + k_bytes + 128, 4);
  EXPECT_EQ(write, 14u);
  EXPECT_EQ(read, 14u);
  EXPECT_EQ(tcpshm_ring_file_bytes(k_bytes), k_bytes + 256);
}

TEST(tcpshm_ring, gives_every_message_once_in_order_also_when_its_indices_go_beyond_32_bits) {
  for (const std::uint32_t start : {0u, 0u - 100u}) {
    pair on(start);
    std::deque<std::string> sent;
    std::mt19937 random(7);
    std::uint64_t full = 0, taken = 0;
    for (int i = 0; i < 20'000; ++i) {
      if (random() % 2 == 0) {
        const std::string text = std::string().append(random() % 700, static_cast<char>('a' + i % 26));
        if (on.push(text)) {
          sent.push_back(text);
        } else {
          full += 1;
        }
      } else if (!sent.empty()) {
        ASSERT_EQ(on.take(), sent.front());
        sent.pop_front();
        taken += 1;
      } else {
        ASSERT_FALSE(on.in.front());
      }
      if (i % 1000 == 0) on.attach();
    }
    EXPECT_GT(full, 100u);
    EXPECT_GT(taken, 1000u);
    // The original trusts this one, when it comes back.
    EXPECT_LE(on.at.ring().read_index().load() - on.at.ring().read_index_seen().load(), 32u);
  }
}

TEST(tcpshm_ring, takes_messages_up_to_all_of_its_blocks_and_none_that_is_larger) {
  pair on;
  EXPECT_FALSE(on.push(std::string().append(k_bytes - 7, 'x')));
  const auto all = std::string().append(k_bytes - 8, 'x');
  ASSERT_TRUE(on.push(all));
  EXPECT_FALSE(on.push(""));
  EXPECT_EQ(on.take(), all);
  EXPECT_TRUE(on.push(all));
}

TEST(tcpshm_ring, has_no_message_before_push_and_forgets_room_that_was_not_used) {
  pair on;
  ASSERT_NE(on.out.alloc(100), nullptr);
  EXPECT_FALSE(on.in.front());
  ASSERT_TRUE(on.push("second"));
  EXPECT_EQ(on.take(), "second");
  EXPECT_EQ(on.take(), "nothing");
}

TEST(tcpshm_ring, moves_the_index_over_a_pad_only_with_its_message) {
  pair on(30);
  ASSERT_NE(on.out.alloc(65 * 2), nullptr);  // 3 blocks: at the start
  EXPECT_EQ(on.at.ring().write_index().load(), 30u);
  std::uint16_t type = 1;
  std::memcpy(on.at.bytes.data() + 2, &type, 2);
  on.out.push();
  EXPECT_EQ(on.at.ring().write_index().load(), 35u);
  const std::uint16_t pad = 0;
  EXPECT_EQ(std::memcmp(on.at.bytes.data() + 30 * 64, &pad, 2), 0);
  EXPECT_TRUE(on.in.front());
}

TEST(tcpshm_ring, gives_back_the_room_of_a_pad_that_the_original_stored_alone) {
  pair on(30);
  on.at.ring().write_index() = 32;  // the block is 0: a pad
  on.out = {};
  ASSERT_TRUE(on.out.attach(on.at.ring()));
  EXPECT_FALSE(on.in.front());
  EXPECT_EQ(on.at.ring().read_index().load(), 32u);
  EXPECT_TRUE(on.push(std::string().append(k_bytes - 8, 'x')));
}

TEST(tcpshm_ring, counts_what_waits_across_a_pad_and_up_to_what_cannot_be) {
  pair on(20);
  EXPECT_EQ(on.out.unread_messages() + on.in.waiting().messages + on.in.waiting().bytes, 0u);
  ASSERT_TRUE(on.push("abc") && on.push(std::string(600, 'x')));  // 1 block; 10 blocks, which fit
  ASSERT_TRUE(on.push(std::string(100, 'y')));                    // 2 blocks behind a pad of 1
  EXPECT_EQ(on.at.ring().write_index(), 34u);
  EXPECT_EQ(on.out.unread_messages(), 3u);
  EXPECT_EQ(on.in.waiting().messages, 3u);
  EXPECT_EQ(on.in.waiting().bytes, 703u);
  on.take();
  EXPECT_EQ(on.out.unread_messages(), 2u);
  EXPECT_EQ(on.in.waiting().bytes, 700u);
  on.at.ring().write_index() = 1000;
  EXPECT_EQ(on.in.waiting().messages, 0u);
}

TEST(tcpshm_ring, goes_on_where_either_side_was_killed) {
  pair on;
  for (const char* one : {"a", "b", "c"}) ASSERT_TRUE(on.push(one));
  ASSERT_TRUE(on.in.front());  // seen, and not popped
  on.attach();
  EXPECT_EQ(on.out.found(), 3u);
  EXPECT_EQ(on.take(), "a");
  on.attach();
  EXPECT_EQ(on.take(), "b");
  EXPECT_EQ(on.take(), "c");
}

TEST(tcpshm_ring, begins_anew_when_it_is_emptied_and_so_does_a_producer_that_finds_it_so) {
  pair on;
  ASSERT_TRUE(on.push("lost"));
  on.at.ring().reset();  // the original client does so after it was answered
  ASSERT_TRUE(on.push("first"));
  ASSERT_TRUE(on.in.attach(on.at.ring()));
  EXPECT_EQ(on.take(), "first");
  EXPECT_FALSE(on.out.corrupt());
}

TEST(tcpshm_ring, whose_indices_are_too_far_apart_is_refused_by_both_sides) {
  for (const std::uint32_t write : {33u, 0xffff'ffffu, 0x8000'0000u}) {
    memory m;
    m.ring().write_index() = write;
    tcpshm_ring_producer out;
    tcpshm_ring_consumer in;
    EXPECT_EQ(out.attach(m.ring()).error(), errc::corrupt);
    EXPECT_EQ(in.attach(m.ring()).error(), errc::corrupt);
  }
}

TEST(tcpshm_ring, with_an_impossible_message_is_corrupt_for_the_consumer_and_for_who_comes_back_to_it) {
  for (const unsigned size : {1u, 7u, 129u, 2048u, 65535u}) {
    pair on(16);
    ASSERT_TRUE(on.push(std::string().append(60, 'x')));  // 2 blocks
    const auto bad = static_cast<std::uint16_t>(size);
    std::memcpy(on.at.bytes.data() + 16 * 64, &bad, 2);
    EXPECT_FALSE(on.in.front()) << size;
    EXPECT_TRUE(on.in.corrupt()) << size;
    EXPECT_FALSE(on.in.front()) << "for good";
    tcpshm_ring_producer again;
    EXPECT_EQ(again.attach(on.at.ring()).error(), errc::corrupt) << size;
  }
  pair untyped;
  ASSERT_TRUE(untyped.push("x", 0));
  EXPECT_FALSE(untyped.in.front());
  EXPECT_TRUE(untyped.in.corrupt());
}

TEST(tcpshm_ring, with_a_pad_at_its_start_or_beyond_its_end_is_corrupt) {
  pair start;
  start.at.ring().write_index() = 1;
  EXPECT_FALSE(start.in.front());
  EXPECT_TRUE(start.in.corrupt());
  pair beyond(30);
  beyond.at.ring().write_index() = 31;  // a pad of two blocks, of which one was written
  EXPECT_FALSE(beyond.in.front());
  EXPECT_TRUE(beyond.in.corrupt());
}

TEST(tcpshm_ring, whose_peer_moves_an_index_where_it_cannot_be_is_corrupt_for_the_producer) {
  for (const std::uint32_t read : {5u, 0xffff'ffffu, 0x7fff'ffffu}) {
    pair on;
    ASSERT_TRUE(on.push("x"));
    on.at.ring().read_index() = read;
    EXPECT_EQ(on.out.alloc(k_bytes), nullptr) << read;
    EXPECT_TRUE(on.out.corrupt()) << read;
    EXPECT_EQ(on.out.alloc(8), nullptr) << "for good";
  }
  pair on;
  ASSERT_TRUE(on.push("x"));
  on.at.ring().write_index() = 9;  // ours alone
  EXPECT_EQ(on.out.alloc(8), nullptr);
  EXPECT_TRUE(on.out.corrupt());
}

TEST(tcpshm_ring, with_any_flipped_bit_is_corrupt_or_gives_whole_messages_of_its_own) {
  pair on;
  const std::vector<std::string> sent{std::string(10, 'a'), std::string(100, 'b'), std::string(400, 'c')};
  const std::string old(60, 'o');
  for (int i = 0; i < 5; ++i) {  // the index is not 0, and what is old lies there too
    ASSERT_TRUE(on.push(old));
    on.take();
  }
  for (const auto& text : sent) ASSERT_TRUE(on.push(text));
  const auto first = std::size_t{on.at.ring().read_index()} * 64, last = std::size_t{on.at.ring().write_index()} * 64;
  std::size_t corrupt = 0;
  for (std::size_t bit = 0; bit < on.at.bytes.size() * 8; ++bit) {
    memory bad = on.at;
    const std::size_t byte = bit / 8;
    bad.bytes[byte] ^= static_cast<std::byte>(1 << bit % 8);
    tcpshm_ring_producer out;
    tcpshm_ring_consumer in;
    const bool attached = in.attach(bad.ring()).has_value() && out.attach(bad.ring()).has_value();
    std::vector<std::string> got;
    while (attached && got.size() < 40) {
      const auto found = in.front();
      if (!found) break;
      ASSERT_GE(found.at, bad.bytes.data()) << bit;
      ASSERT_LE(found.at + found.size, bad.bytes.data() + k_bytes) << bit;
      got.emplace_back(as_text({found.at + 8, found.size - 8u}));
      in.pop();
    }
    if (!attached || in.corrupt()) {
      corrupt += 1;
      continue;
    }
    // A bit that is in no message and no index says nothing; one of a message changes that message alone, whose size
    // may lead to the beginning of a later one; one of an index leads to the beginning of a message too.
    const auto in_word = [&](std::size_t at) { return byte >= k_bytes + at && byte < k_bytes + at + 4; };
    if (byte >= first && byte < last) {
      std::size_t same = 0, same_behind = 0;
      while (same < got.size() && got[same] == sent[same]) same += 1;
      while (same + same_behind < got.size() && got.rbegin()[same_behind] == sent.rbegin()[same_behind])
        same_behind += 1;
      EXPECT_GE(same + same_behind + 1, got.size()) << bit;
    } else if (in_word(0)) {
      EXPECT_LE(got.size(), sent.size()) << bit;
      for (std::size_t i = 0; i < std::min(got.size(), sent.size()); ++i) EXPECT_EQ(got[i], sent[i]) << bit;
    } else if (in_word(128)) {
      for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_EQ(got.rbegin()[i], i < sent.size() ? sent.rbegin()[i] : old) << bit;
    } else {
      EXPECT_EQ(got, sent) << bit;
    }
  }
  EXPECT_GT(corrupt, 50u);
}

TEST(tcpshm_ring, never_gives_bytes_from_outside_whatever_its_memory_holds) {
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    pair on(static_cast<std::uint32_t>(random()));
    for (int i = 0; i < 3; ++i) (void)on.push(std::string().append(random() % 300, 'x'));
    for (int i = 0; i < 4; ++i)
      on.at.bytes[random() % k_bytes / 64 * 64 + random() % 4] = static_cast<std::byte>(random());
    if (random() % 4 == 0) on.at.ring().write_index() = on.in.position() + static_cast<std::uint32_t>(random() % 40);
    for (int i = 0; i < 40; ++i) {
      const auto found = on.in.front();
      if (!found) break;
      ASSERT_GE(found.at, on.at.bytes.data());
      ASSERT_LE(found.at + found.size, on.at.bytes.data() + k_bytes);
      on.in.pop();
    }
  }
}

}  // namespace
}  // namespace ferry::ring
