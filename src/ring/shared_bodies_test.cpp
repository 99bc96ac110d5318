#include "ring/shared_bodies.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace ferry::ring {
namespace {

constexpr std::uint64_t k_generation = 7;
constexpr std::size_t k_part = 1024;

/// A reader's ring of which positions are all there is.
struct reader final : body_holder {
  std::uint64_t read_to() noexcept override { return position; }
  std::uint64_t position = 0;
  std::uint64_t tail = 0;
};

struct world {
  explicit world(std::size_t readers) : rings(readers) {
    format_bodies(memory, k_generation, 3);
    for (auto& one : rings) store.add(one);
  }
  [[nodiscard]] std::span<std::byte> parts() { return std::span(memory).subspan(k_bodies_head_bytes); }
  /// To these, as far as they may. @return how many got a reference; nothing: there was no place
  std::optional<int> send(std::string_view body, std::initializer_list<std::size_t> to) {
    const auto put = store.put(as_bytes(body));
    if (!put) return std::nullopt;
    last = *put;
    int got = 0;
    for (const auto which : to) {
      auto& ring = rings[which];
      if (!store.may_refer(ring)) continue;
      ring.tail += 64;
      store.refers(ring, ring.tail);
      ++got;
    }
    return got;
  }
  [[nodiscard]] std::string at(const body_reference& which) {
    const auto found = find_body(parts(), which);
    return found.data() == nullptr ? "nothing" : std::string(as_text(found));
  }
  std::vector<std::byte> memory = std::vector<std::byte>(k_bodies_head_bytes + k_body_parts * k_part);
  std::vector<reader> rings;
  body_store store{parts(), k_generation, 100};
  body_reference last;
};

TEST(shared_bodies, are_found_where_their_references_say) {
  world w(2);
  std::vector<std::pair<body_reference, std::string>> all;
  for (std::size_t size = 0; size < w.store.max_body(); size += 97) {
    const std::string body(size, static_cast<char>('a' + size % 26));
    ASSERT_EQ(w.send(body, {0, 1}), 2) << size;
    all.emplace_back(w.last, body);
  }
  for (const auto& [where, body] : all) EXPECT_EQ(w.at(where), body);
  EXPECT_EQ(w.store.max_body(), k_part - 16);
  EXPECT_TRUE(w.store.put(as_bytes(std::string(k_part - 16, 'x'))));
  EXPECT_FALSE(w.store.put(as_bytes(std::string(k_part - 15, 'x')))) << "larger than a part";
  EXPECT_FALSE(body_store().put({}));
}

TEST(shared_bodies, are_found_nowhere_else) {
  world w(1);
  ASSERT_EQ(w.send(std::string(100, 'x'), {0}), 1);
  const auto right = w.last;
  for (const std::uint32_t by : {1u, 8u, 64u, 0x7fff'ffffu, 0xffff'ffc0u}) {
    auto wrong = right;
    wrong.offset += by;
    EXPECT_EQ(w.at(wrong), "nothing") << by;
    wrong = right;
    wrong.length += by;
    EXPECT_EQ(w.at(wrong), "nothing") << by;
    wrong = right;
    wrong.stamp += by;
    EXPECT_EQ(w.at(wrong), "nothing") << by;
  }
  auto behind = right;
  behind.offset = k_body_parts * k_part;
  EXPECT_EQ(w.at(behind), "nothing");
  EXPECT_EQ(find_body({}, right).data(), nullptr);
}

TEST(shared_bodies, of_which_any_byte_of_the_reference_is_wrong_are_not_found) {
  world w(1);
  ASSERT_EQ(w.send(std::string(100, 'x'), {0}), 1);
  std::array<std::byte, k_body_reference_bytes> there{};
  store(there.data(), w.last);
  ASSERT_EQ(load_body_reference(there.data()), w.last);
  for (std::size_t i = 8; i < there.size(); ++i) {
    there[i] ^= std::byte{1};
    EXPECT_EQ(w.at(load_body_reference(there.data())), "nothing") << "byte " << i;
    there[i] ^= std::byte{1};
  }
}

TEST(shared_bodies, stay_until_the_last_reader_has_read_them) {
  world w(3);
  const std::string body(w.store.max_body(), 'b');
  ASSERT_EQ(w.send(body, {0, 1, 2}), 3);
  const auto first = w.last;
  for (auto* one : {&w.rings[0], &w.rings[1]}) one->position = one->tail;
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(w.send(body, {0, 1}), 2);
    for (auto* one : {&w.rings[0], &w.rings[1]}) one->position = one->tail;
  }
  EXPECT_EQ(w.at(first), body);
  w.rings[2].position = w.rings[2].tail;
  ASSERT_EQ(w.send(std::string(body.size(), 'c'), {0, 1}), 2);
  EXPECT_EQ(w.at(first), "nothing") << "it lay in the lowest part";
}

TEST(shared_bodies, of_readers_who_keep_up_lie_in_one_part) {
  world w(2);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(w.send(std::string(300, 'b'), {0, 1}), 2);
    EXPECT_LT(w.last.offset, k_part);
    for (auto& one : w.rings) one.position = one.tail;
  }
}

TEST(shared_bodies, do_not_all_go_to_a_reader_who_keeps_too_many_and_the_others_go_on) {
  world w(2);
  const std::string body(w.store.max_body(), 'b');
  int to_late_one = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto got = w.send(body, {0, 1});
    ASSERT_TRUE(got) << i;
    to_late_one += *got - 1;
    w.rings[1].position = w.rings[1].tail;
  }
  EXPECT_EQ(to_late_one, static_cast<int>(k_most_parts_of_one));
  w.rings[0].position = w.rings[0].tail;
  EXPECT_EQ(w.send(body, {0, 1}), 2) << "it has read them";
}

TEST(shared_bodies, have_no_place_while_late_readers_keep_all_parts) {
  world w(8);
  const std::string body(w.store.max_body(), 'b');
  for (std::size_t i = 0; i < k_body_parts; ++i) ASSERT_EQ(w.send(body, {i / k_most_parts_of_one}), 1);
  EXPECT_FALSE(w.send(body, {7}));
  EXPECT_FALSE(w.send("small", {7}));
  w.store.forget(w.rings[2]);
  EXPECT_EQ(w.send(body, {7}), 1) << "one of them has another ring now";
  w.store.remove(w.rings[0]);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(w.send(body, {6}), 1) << i;
}

TEST(shared_bodies, of_an_earlier_life_stay_for_rings_that_refer_to_them) {
  world w(2);
  const std::string body(w.store.max_body(), 'b');
  ASSERT_EQ(w.send(body, {0, 1}), 2);
  ASSERT_EQ(w.send(body, {0, 1}), 2);
  const auto second = w.last;
  body_store next(w.parts(), k_generation, 5000);
  reader again;
  again.tail = 128;
  next.add(again);
  next.refers(again, second, again.tail);
  next.refers(again, {k_generation + 1, 1, 0, 1}, again.tail);
  next.refers(again, {k_generation, 1, UINT32_MAX, 1}, again.tail);
  EXPECT_TRUE(next.is_referred_to_by(again));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(next.put(as_bytes(std::string(body.size(), 'n'))));
  EXPECT_EQ(w.at(second), body);
  again.position = again.tail;
  EXPECT_FALSE(next.is_referred_to_by(again));
}

TEST(shared_bodies, go_on_in_other_memory_to_which_nobody_refers) {
  world w(1);
  const std::string body(w.store.max_body(), 'b');
  for (std::size_t i = 0; i < k_most_parts_of_one; ++i) ASSERT_EQ(w.send(body, {0}), 1);
  ASSERT_EQ(w.send(body, {0}), 0);
  std::vector<std::byte> other(w.parts().size());
  w.store = body_store(other, k_generation + 1, 1);
  w.store.add(w.rings[0]);
  ASSERT_EQ(w.send(body, {0}), 1);
  EXPECT_EQ(w.last.generation, k_generation + 1);
  EXPECT_EQ(as_text(find_body(other, w.last)), body);
}

TEST(shared_bodies, have_a_header_that_says_whose_they_are) {
  world w(0);
  const auto said = read_bodies_header(w.memory);
  ASSERT_TRUE(said) << said.error().text();
  EXPECT_EQ(said->generation, k_generation);
  EXPECT_EQ(said->service, 3u);
  EXPECT_EQ(said->parts_bytes, w.parts().size());
  EXPECT_EQ(read_bodies_header(bytes(w.memory).first(w.memory.size() - 1)).error(), errc::corrupt);
  EXPECT_EQ(read_bodies_header(bytes(w.memory).first(100)).error(), errc::corrupt);
  for (const std::size_t at : {0u, 7u, 8u, 24u, 31u}) {
    w.memory[at] ^= std::byte{1};
    EXPECT_EQ(read_bodies_header(w.memory).error(), errc::corrupt) << at;
    w.memory[at] ^= std::byte{1};
  }
}

// Every body that a ring has not read is there, whatever the readers do.
TEST(shared_bodies, are_all_there_in_long_runs_by_chance) {
  std::mt19937 random(1);
  for (int run = 0; run < 50; ++run) {
    world w(5);
    std::map<std::uint64_t, std::deque<std::tuple<std::uint64_t, body_reference, std::string>>> unread;
    for (int step = 0; step < 2000; ++step) {
      const auto which = random() % w.rings.size();
      if (random() % 3 != 0) {
        const std::string body(random() % (w.store.max_body() + 1), static_cast<char>('a' + step % 26));
        const auto put = w.store.put(as_bytes(body));
        for (std::size_t i = 0; put && i < w.rings.size(); ++i) {
          auto& ring = w.rings[i];
          if (random() % 2 == 0 || !w.store.may_refer(ring)) continue;
          ring.tail += 8 + random() % 100;
          w.store.refers(ring, ring.tail);
          unread[i].emplace_back(ring.tail, *put, body);
        }
      } else if (random() % 200 == 0) {
        w.store.forget(w.rings[which]);
        unread[which].clear();
      } else {
        for (auto take = random() % 20; take != 0 && !unread[which].empty(); --take) {
          w.rings[which].position = std::get<0>(unread[which].front());
          unread[which].pop_front();
        }
      }
      for (const auto& [ring, waiting] : unread) {
        if (waiting.empty()) continue;
        ASSERT_EQ(w.at(std::get<1>(waiting.front())), std::get<2>(waiting.front()));
      }
    }
  }
}

}  // namespace
}  // namespace ferry::ring
