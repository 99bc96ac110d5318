#include "os/tcpshm_list.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "testing/temp_dir.hpp"

namespace ferry::os::tcpshm {
namespace {

constexpr std::size_t k_queue = 256;
constexpr std::size_t k_file = session::tcpshm_queue_file_bytes(k_queue);

class tcpshm_list : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return queue_path(dir.path(), names.own, names.peer); }
  /// A queue with this many messages, of which the first two were acknowledged, that has consumed as many.
  void make(int messages, std::endian order = std::endian::little) const {
    auto file = held_file::open(path(), k_file, 4, k_writer_byte);
    ASSERT_TRUE(file);
    auto q = session::tcpshm_queue::begin(file->memory(), k_queue, order);
    for (int i = 0; i < messages; ++i) {
      push(q, "m" + std::to_string(i));
      q.consumed();
    }
    q.sent(q.unsent().size());
    ASSERT_TRUE(q.acknowledge(2));
  }
  static void push(session::tcpshm_queue& to, const std::string& body) {
    std::byte* const at = to.alloc(static_cast<std::uint16_t>(8 + body.size()));
    ASSERT_NE(at, nullptr);
    std::memcpy(at + 8, body.data(), body.size());
    to.push(7);
  }
  [[nodiscard]] std::string content() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  void put(const std::string& bytes) const { std::ofstream(path(), std::ios::binary | std::ios::trunc) << bytes; }
  [[nodiscard]] queue_summary look() const {
    auto seen = look_at_queue(dir.path(), names);
    EXPECT_TRUE(seen) << seen.error().text();
    return seen ? *seen : queue_summary{};
  }

  test::temp_dir dir;
  const session_names names{"alice", "bob"};
};

TEST_F(tcpshm_list, shows_numbers_and_messages_and_changes_nothing) {
  make(5);
  auto dirty = content();
  dirty[2 * 16 + 10] = 'x';  // the original leaves bytes in its padding
  put(dirty);
  const auto seen = look();
  EXPECT_EQ(content(), dirty);
  EXPECT_FALSE(seen.damage);
  EXPECT_FALSE(seen.in_use);
  EXPECT_EQ(seen.bytes, k_file);
  EXPECT_EQ(seen.queue_bytes, k_queue);
  EXPECT_EQ(seen.range, (codec::tcpshm::range{5, 2, 5}));
  EXPECT_EQ(seen.unacknowledged_bytes, 48u);
  ASSERT_EQ(seen.oldest.size(), 3u);
  EXPECT_EQ(seen.oldest[1].number, 3u);
  EXPECT_EQ(seen.oldest[1].header.type, 7u);
  EXPECT_EQ(seen.oldest[1].header.size, 10u);
  EXPECT_EQ(seen.oldest[1].header.ack, 3u);
}

TEST_F(tcpshm_list, finds_out_in_which_order_of_bytes_the_messages_are) {
  make(5, std::endian::big);
  const auto seen = look();
  EXPECT_FALSE(seen.damage);
  EXPECT_EQ(seen.order, std::endian::big);
  EXPECT_EQ(seen.oldest.at(2).header.ack, 4u);
  const auto held = hold_queue(dir.path(), names);
  ASSERT_TRUE(held);
  EXPECT_EQ((*held)->at.range(), (codec::tcpshm::range{5, 2, 5}));
}

TEST_F(tcpshm_list, holds_a_queue_of_which_another_order_of_bytes_would_take_messages_for_padding) {
  // Little endian, this size would be 0x0301: a message of 769 bytes, whose padding lies in the third message.
  auto file = held_file::open(path(), session::tcpshm_queue_file_bytes(2048), 0, k_writer_byte);
  {
    auto q = session::tcpshm_queue::begin(file->memory(), 2048, std::endian::big);
    push(q, std::string().append(0x103 - 8, 'x'));
    push(q, std::string().append(0x101, 'y'));
    push(q, std::string().append(0x101, 'z'));
  }
  file = errc::closed;
  const auto before = content();
  ASSERT_TRUE(hold_queue(dir.path(), names));
  EXPECT_EQ(content(), before);
}

TEST_F(tcpshm_list, tells_a_few_messages_of_many) {
  auto file = held_file::open(path(), session::tcpshm_queue_file_bytes(1u << 16), 0, k_writer_byte);
  ASSERT_TRUE(file);
  auto q = session::tcpshm_queue::begin(file->memory(), 1u << 16, std::endian::little);
  for (int i = 0; i < 1000; ++i) push(q, "");
  const auto seen = look();
  EXPECT_TRUE(seen.in_use);
  EXPECT_EQ(seen.range.end, 1000u);
  EXPECT_EQ(seen.oldest.size(), k_most_shown);
  EXPECT_EQ(hold_queue(dir.path(), names).error(), errc::busy);
}

TEST_F(tcpshm_list, says_of_any_flipped_bit_that_it_is_damage_or_shows_numbers_that_can_be) {
  make(5);
  const auto good = content();
  ASSERT_EQ(good.size(), k_file);
  std::size_t damaged = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    put(bad);
    const auto seen = look();
    EXPECT_EQ(content(), bad);
    const auto held = hold_queue(dir.path(), names);
    ASSERT_EQ(held.has_value(), !seen.damage) << bit;
    if (seen.damage) {
      EXPECT_EQ(*seen.damage, errc::corrupt) << bit;
      damaged += 1;
      continue;
    }
    EXPECT_LE(seen.unacknowledged_bytes, k_queue);
    EXPECT_LE(seen.range.end - seen.range.start, k_queue / 8);
    EXPECT_EQ(seen.oldest.size(), seen.range.end - seen.range.start);
  }
  EXPECT_GT(damaged, 150u);
}

// A file says nothing of its queue's size: one that is cut off may look like one that was always shorter.
TEST_F(tcpshm_list, says_of_a_file_of_any_length_that_it_is_damaged_or_shows_numbers_that_can_be) {
  make(5);
  const auto good = content();
  for (std::size_t size = 0; size < good.size(); ++size) {
    put(good.substr(0, size));
    const auto seen = look();
    if (session::tcpshm_queue_bytes(size) == 0) {
      ASSERT_TRUE(seen.damage) << size;
      EXPECT_NE(seen.damage->text().find(std::to_string(size) + " bytes"), std::string::npos);
    }
    EXPECT_LE(seen.unacknowledged_bytes, size);
    EXPECT_EQ(content().size(), size);
  }
  EXPECT_FALSE(look().oldest.size() > k_most_shown);
}

TEST_F(tcpshm_list, finds_no_messages_where_indices_lead_out_of_the_queue) {
  make(5);
  const auto good = content();
  for (const std::uint32_t write : {33u, 0xffff'ffffu, 0x2000'0000u})
    for (const std::uint32_t read : {0u, 34u, 0xffff'fffeu}) {
      auto bad = good;
      std::memcpy(bad.data() + k_queue, &write, 4);
      std::memcpy(bad.data() + k_queue + 4, &read, 4);
      put(bad);
      const auto seen = look();
      ASSERT_TRUE(seen.damage);
      EXPECT_EQ(*seen.damage, errc::corrupt);
      EXPECT_TRUE(seen.oldest.empty());
    }
}

TEST_F(tcpshm_list, reads_what_lies_in_it_only_and_not_as_much_as_a_file_says_it_has_room_for) {
  make(5);
  const auto indices = content().substr(k_queue);
  put(content().substr(0, k_queue));
  std::filesystem::resize_file(path(), std::size_t{1} << 30);
  std::ofstream(path(), std::ios::binary | std::ios::app) << indices;
  const auto seen = look();
  EXPECT_FALSE(seen.damage) << seen.damage->text();
  EXPECT_EQ(seen.range.end, 5u);
  std::filesystem::resize_file(path(), std::size_t{1} << 40);
  EXPECT_TRUE(look().damage);
}

TEST_F(tcpshm_list, divides_names_at_the_first_underline_unless_a_client_says_more) {
  const auto divided = [&](std::string_view file) { return names_of_queue(dir.path(), file); };
  EXPECT_EQ(divided("alice_bob.ptcp"), names);
  EXPECT_EQ(divided("a_b_c.ptcp"), (session_names{"a", "b_c"}));
  ASSERT_TRUE(save_last_server(dir.path(), "a_b", "c", 16));
  EXPECT_EQ(divided("a_b_c.ptcp"), (session_names{"a_b", "c"}));
  ASSERT_TRUE(save_last_server(dir.path(), "a_b", "d", 16));
  EXPECT_EQ(divided("a_b_c.ptcp"), (session_names{"a", "b_c"}));
  EXPECT_EQ(divided("_a_b.ptcp"), (session_names{"_a", "b"}));
  for (const char* none : {"alice.ptcp", "_.ptcp", "alice_.ptcp", "_bob.ptcp", ".ptcp", "alice_bob.shm",
                           "alice_bob.ptcp.mismatch", "a b_c.ptcp", "alice~bob.ring"})
    EXPECT_FALSE(divided(none)) << none;
}

TEST_F(tcpshm_list, lists_all_queues_of_a_directory_whatever_else_lies_there) {
  make(5);
  note_mismatch(note_path(path()), 0, {{5, 2, 5}, {1, 2, 3}});
  put(content().substr(0, 5));
  const session_names others{"alice", "carol"};
  ASSERT_TRUE(held_file::open(queue_path(dir.path(), others.own, others.peer), k_file, 0, k_writer_byte));
  std::filesystem::create_directory(dir.path() / "a_directory.ptcp");
  std::ofstream(dir.path() / "nobody.ptcp");
  const auto all = list_queues(dir.path());
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ(all->at(0).names, (session_names{"a", "directory"}));
  EXPECT_TRUE(all->at(0).damage);
  EXPECT_EQ(all->at(1).names, names);
  EXPECT_EQ(*all->at(1).damage, errc::truncated);
  EXPECT_EQ(all->at(1).mismatch->numbers.remote, (session::session_range{1, 2, 3}));
  EXPECT_EQ(all->at(2).names, others);
  EXPECT_FALSE(all->at(2).damage) << "made and not used yet";
  EXPECT_TRUE(list_queues(dir.file("none"))->empty());
}

TEST(last_server, that_cannot_be_saved_leaves_nothing_beside_it) {
  const test::temp_dir dir;
  std::filesystem::create_directory(dir.file("alice.lastserver"));
  EXPECT_FALSE(save_last_server(dir.path(), "alice", "bob", 16));
  EXPECT_FALSE(std::filesystem::exists(dir.file("alice.lastserver.new")));
}

}  // namespace
}  // namespace ferry::os::tcpshm
