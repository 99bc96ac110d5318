// The private file of a session: every damage is found, or does not matter.
#include "session/session_file.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "session/persistent_session.hpp"

namespace ferry::session {
namespace {

constexpr std::uint64_t k_ring = 4096;

/// Both files of a session, after some transactions.
struct files {
  std::vector<std::uint64_t> words = std::vector<std::uint64_t>(sizeof(session_file) / 8);
  std::vector<std::uint64_t> ring_words = std::vector<std::uint64_t>(k_ring / 8);
  ring_line line;

  explicit files(int transactions = 0, std::size_t state_bytes = 40) {
    format_file(memory(), {"alice", "bob", k_ring, 77, 5}, 12);
    auto s = open();
    for (int i = 0; i < transactions; ++i) {
      s->set_state(std::vector<std::byte>(state_bytes, static_cast<std::byte>(i + 1)));
      EXPECT_TRUE(s->send({as_bytes("body"), message_kind::text, 0}));
      s->commit();
    }
  }
  [[nodiscard]] std::span<std::byte> memory() { return std::as_writable_bytes(std::span(words)); }
  [[nodiscard]] ring_parts ring() { return {std::as_writable_bytes(std::span(ring_words)), &line}; }
  [[nodiscard]] std::unique_ptr<persistent_session> open() {
    return persistent_session::recover(memory(), ring(), durability::process).value();
  }
  [[nodiscard]] session_file& file() { return *reinterpret_cast<session_file*>(memory().data()); }
};

TEST(session_file, says_who_it_belongs_to_and_what_was_committed_last) {
  files some(3);
  const auto who = read_identity(some.memory());
  ASSERT_TRUE(who) << who.error().text();
  EXPECT_EQ(who->own_name, "alice");
  EXPECT_EQ(who->peer_name, "bob");
  EXPECT_EQ(who->ring_bytes, k_ring);
  EXPECT_EQ(who->ring_epoch, 77u);
  EXPECT_EQ(who->created_at, 5u);
  const auto newest = read_newest(some.memory());
  ASSERT_TRUE(newest) << newest.error().text();
  EXPECT_EQ(newest->last.generation, 4u);
  EXPECT_EQ(newest->last.session, 12u);
  EXPECT_EQ(newest->last.out_sequence, 3u);
  EXPECT_EQ(newest->last.out_end, 72u);
  EXPECT_EQ(newest->last.out_start, 48u);
  EXPECT_EQ(newest->state.size(), 40u);
  EXPECT_EQ(newest->state.front(), std::byte{3});
}

TEST(session_file, is_refused_at_every_shorter_length_and_when_it_is_longer) {
  files some(2);
  for (std::size_t size = 0; size < some.memory().size(); ++size) {
    const auto read = read_identity(some.memory().first(size));
    ASSERT_FALSE(read) << size;
    ASSERT_EQ(read.error().reason(), errc::truncated) << size;
    ASSERT_FALSE(read_newest(some.memory().first(size)));
  }
  some.words.push_back(0);
  EXPECT_EQ(read_identity(some.memory()).error().reason(), errc::corrupt);
}

TEST(session_file, of_a_future_version_is_refused_with_what_to_do) {
  files some(2);
  some.file().header.version = k_file_version + 1;
  const auto read = read_identity(some.memory());
  EXPECT_EQ(read.error().reason(), errc::unsupported);
  EXPECT_NE(read.error().text().find("version 2"), std::string::npos);
  EXPECT_NE(read.error().text().find("use the release that made it"), std::string::npos);
}

// What a flipped bit may do: an error, or nothing at all.
void flip_every_bit(files& some) {
  const auto newest = read_newest(some.memory());
  ASSERT_TRUE(newest);
  const commit_record expected = newest->last;
  const std::vector<std::byte> state(newest->state.begin(), newest->state.end());
  std::size_t found = 0, harmless = 0;
  const auto memory = some.memory();
  for (std::size_t at = 0; at < memory.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      memory[at] ^= static_cast<std::byte>(1 << bit);
      const auto who = read_identity(memory);
      const auto now = read_newest(memory);
      memory[at] ^= static_cast<std::byte>(1 << bit);
      if (!who || !now) {
        const std::string text = who ? now.error().text() : who.error().text();
        ASSERT_GT(text.size(), 60u) << text;
        found += 1;
        continue;
      }
      // Unused bytes, or those of the older transaction.
      ASSERT_TRUE(now->last == expected && std::equal(state.begin(), state.end(), now->state.begin(), now->state.end()))
          << "silently used: byte " << at << ", bit " << bit;
      ASSERT_GE(at, sizeof(session_header));
      const auto first = static_cast<std::size_t>(
          reinterpret_cast<std::byte*>(&some.file().slot_of(expected.generation)) - memory.data());
      ASSERT_FALSE(at >= first && at < first + offsetof(commit_slot, state) + state.size())
          << "not found: byte " << at << " of the newest slot, bit " << bit;
      harmless += 1;
    }
  EXPECT_EQ(found + harmless, memory.size() * 8);
  EXPECT_GE(found, 8 * (sizeof(session_header) + offsetof(commit_slot, state) + state.size()));
}

TEST(session_file, with_any_bit_flipped_is_refused_or_the_bit_was_of_no_use) {
  for (const int transactions : {0, 1, 6}) {
    files some(transactions);
    flip_every_bit(some);
  }
  files full(3, k_max_state);
  flip_every_bit(full);
}

TEST(session_file, whose_newest_slot_is_wiped_out_is_refused_rather_than_rolled_back) {
  files some(5);
  std::memset(&some.file().slot_of(6), 0, offsetof(commit_slot, settled));
  EXPECT_EQ(read_newest(some.memory()).error().reason(), errc::corrupt);
  EXPECT_NE(read_newest(some.memory()).error().text().find("transaction 6"), std::string::npos);
}

TEST(session_file, passes_over_a_slot_that_a_crash_left_half_written) {
  files some(5);
  const auto before = read_newest(some.memory())->last;
  some.file().slot_of(7).out_end = 123456;
  some.file().slot_of(7).checksum = 1;
  const auto after = read_newest(some.memory());
  ASSERT_TRUE(after);
  EXPECT_EQ(after->last, before);
}

TEST(session_file, with_numbers_that_contradict_each_other_is_refused_although_its_checksum_is_right) {
  const auto refused = [](const std::function<void(commit_record&)>& change) {
    files some(2);
    commit_record c = read_newest(some.memory())->last;
    change(c);
    auto& slot = some.file().slot_of(c.generation);
    slot.session = c.session;
    slot.out_start = c.out_start;
    slot.out_word = c.out_word;
    slot.out_end = c.out_end;
    slot.out_acked = c.out_acked;
    slot.checksum = slot_sum(c, kept_sum(c.session, c.epoch, bytes(slot.state).first(slot.state_bytes)));
    const auto read = read_newest(some.memory());
    return !read && read.error() == errc::corrupt;
  };
  EXPECT_FALSE(refused([](commit_record&) {}));
  EXPECT_TRUE(refused([](commit_record& c) { c.session = 0; }));
  EXPECT_TRUE(refused([](commit_record& c) { c.out_start = c.out_end + 8; }));
  EXPECT_TRUE(refused([](commit_record& c) { c.out_word = 0; }));
  EXPECT_TRUE(refused([](commit_record& c) { c.out_word = 5; }));
  EXPECT_TRUE(refused([](commit_record& c) { c.out_start = c.out_end; }));
  EXPECT_TRUE(refused([](commit_record& c) { c.out_end += 4; }));
  EXPECT_TRUE(refused([](commit_record& c) { c.out_acked = c.out_end + 8; }));
}

TEST(session_file, goes_with_its_own_ring_only) {
  files some;
  const ring::geometry sizes{k_ring, 1, 4096};
  std::vector<std::uint64_t> words(sizes.total() / 8);
  const auto memory = std::as_writable_bytes(std::span(words));
  const auto who = read_identity(some.memory()).value();
  ring::format(memory, sizes, {"alice_bob", 77, 1, 2, 3});
  const auto parts = outgoing_ring(memory, who);
  ASSERT_TRUE(parts) << parts.error().text();
  EXPECT_EQ(parts->data.data(), memory.data() + 8192);
  EXPECT_EQ(parts->data.size(), k_ring);
  auto other = who;
  other.ring_epoch = 78;
  EXPECT_EQ(outgoing_ring(memory, other).error().reason(), errc::corrupt);
  other = who;
  other.ring_bytes = 2 * k_ring;
  EXPECT_EQ(outgoing_ring(memory, other).error().reason(), errc::corrupt);
  EXPECT_EQ(outgoing_ring(memory.first(8192), who).error().reason(), errc::truncated);
}

TEST(session_file, may_be_made_before_the_peer_is_known) {
  files some(2);
  const auto before = read_newest(some.memory())->last;
  format_file(some.memory(), {"alice", "", k_ring, 77, 5}, 12);
  EXPECT_EQ(read_identity(some.memory())->peer_name, "");
  files met(2);
  name_peer(met.memory(), "carol");
  EXPECT_EQ(read_identity(met.memory())->peer_name, "carol");
  EXPECT_EQ(read_identity(met.memory())->own_name, "alice");
  EXPECT_EQ(read_newest(met.memory())->last, before);
}

TEST(session_file, takes_names_that_can_be_file_names) {
  for (const char* good : {"a", "alice", "A-1_b.c", "0"}) EXPECT_TRUE(check_name(good, "as")) << good;
  EXPECT_TRUE(check_name(std::string(63, 'x'), "as"));
  for (const char* bad : {"", ".", ".a", "a/b", "a b", "\n", "\xc3\xa4"}) {
    const auto checked = check_name(bad, "as");
    EXPECT_EQ(checked.error().reason(), errc::bad_option) << bad;
    EXPECT_NE(checked.error().text().find("as='"), std::string::npos);
  }
  EXPECT_FALSE(check_name(std::string(64, 'x'), "as"));
}

TEST(session_checksum, changes_with_every_bit_and_with_the_order) {
  std::vector<std::byte> data(100);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 37);
  const auto sum = kept_sum(1, 2, data);
  for (std::size_t at = 0; at < data.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      data[at] ^= static_cast<std::byte>(1 << bit);
      EXPECT_NE(kept_sum(1, 2, data), sum);
      data[at] ^= static_cast<std::byte>(1 << bit);
    }
  std::swap_ranges(data.begin(), data.begin() + 16, data.begin() + 16);
  EXPECT_NE(kept_sum(1, 2, data), sum);
  EXPECT_NE(kept_sum(1, 2, bytes(data).first(99)), kept_sum(1, 2, data));
}

TEST(session_checksum, of_a_number_shows_every_flipped_bit) {
  for (const std::uint64_t number : {0ull, 1ull, 2ull, 255ull, 123456789ull, (1ull << 56) - 1}) {
    const auto word = checked_number::encode(number);
    EXPECT_EQ(checked_number::decode(word), number);
    for (int bit = 0; bit < 64; ++bit)
      EXPECT_EQ(checked_number::decode(word ^ (std::uint64_t{1} << bit)), checked_number::k_none) << number;
  }
  EXPECT_EQ(checked_number::encode(0), 0u) << "fresh memory holds the number 0";
}

TEST(session_checksum, is_the_one_of_the_page) {
  // docs/sessions.md has these, for whoever writes another implementation.
  checksum none;
  checksum pair;
  pair.add(1, 2);
  EXPECT_EQ(none.value(), 0x7ac37c442d882b0fu);
  EXPECT_EQ(pair.value(), 0x61e1c0cac671495fu);
}

}  // namespace
}  // namespace ferry::session
