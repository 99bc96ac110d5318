// Rings in files, whose other end is killed at random and started again on the same file.
#include <ferry/ring_file.hpp>

#include "crash_test.hpp"

namespace ferry::test {
namespace {

using a_ring_file = crash;
using std::chrono::microseconds;

constexpr std::uint64_t k_life = 1ull << 32;

TEST_F(a_ring_file, whose_writer_is_killed_again_and_again_holds_what_every_life_of_it_published) {
  options with = settings();
  const std::string path = dir.file("ring");
  { (void)ring_writer::open(path, with); }
  auto from = ring_reader::open(path);
  receiver_log log;
  std::uint64_t records = 0;
  const std::uint64_t kills = rounds(40);
  for (std::uint64_t life = 1; life <= kills; ++life) {
    const auto writer = start_peer({"write", path, std::to_string(life * k_life)});
    span_of_numbers seen;
    record_checker check(seen, log.wrong);
    const auto read_all = [&] {
      while (const auto record = from.front()) {
        check(record.body());
        from.pop();
      }
    };
    if (life % 2 == 0) {
      while (seen.next - seen.first < 100) {
        ASSERT_TRUE(from.wait(k_patience)) << writer->error_output();
        read_all();
      }
    }
    turn_until_some_moment(microseconds(6000));
    ASSERT_EQ(kill_and_reap(*writer), 137) << writer->error_output();
    read_all();
    ASSERT_EQ(log.wrong, 0u) << "in life " << life;
    if (seen.next != seen.first) {
      EXPECT_EQ(seen.first, life * k_life);
    }
    EXPECT_FALSE(from.writer_lives());
    EXPECT_FALSE(from.damaged());
    records += seen.next - seen.first;
  }
  EXPECT_GT(records, kills);
  EXPECT_EQ(files(), std::set<std::string>{"ring"});
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("messages", std::to_string(records));
}

TEST_F(a_ring_file, whose_reader_is_killed_again_and_again_is_read_without_a_gap_and_little_twice) {
  options with = settings();
  const std::string path = dir.file("ring");
  auto to = ring_writer::open(path, with);
  std::uint64_t written = 0;
  std::uint64_t seen = 0;  // the number after the last one that any reader had
  std::uint64_t twice = 0;
  std::string record;
  const std::uint64_t kills = rounds(40);
  for (std::uint64_t life = 0; life < kills; ++life) {
    const shared_log log;
    const auto reader = start_peer({"read", path}, {log.fd()});
    const auto enough = written + std::uniform_int_distribution<std::uint64_t>(1, 2000)(random);
    while (written < enough) {
      make_numbered_record(written, record);
      if (to.try_push(as_bytes(record))) {
        ++written;
      } else {
        ASSERT_TRUE(to.wait_for_room(k_patience)) << reader->error_output();
      }
    }
    ASSERT_EQ(kill_and_reap(*reader), 137) << reader->error_output();
    ASSERT_EQ(log->wrong, 0u) << "in life " << life;
    EXPECT_FALSE(to.reader_lives());
    EXPECT_FALSE(to.damaged());
    if (log->received() == 0) continue;
    ASSERT_LE(log->spans[0].first, seen) << "a record was skipped";
    twice += seen - log->spans[0].first;
    seen = log->spans[0].next;
  }
  EXPECT_GT(seen, kills);
  // The last word: everything that is left, from where the last one gave back.
  auto from = ring_reader::open(path);
  span_of_numbers rest;
  std::atomic<std::uint64_t> wrong{0};
  record_checker check(rest, wrong);
  while (const auto one = from.front()) {
    check(one.body());
    from.pop();
  }
  EXPECT_EQ(wrong, 0u);
  const bool nothing_left = rest.next == rest.first;  // the one before had read everything
  EXPECT_LE(rest.first, seen);
  EXPECT_EQ(nothing_left ? seen : rest.next.load(), written);
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("messages", std::to_string(written));
  RecordProperty("read_twice", std::to_string(twice));
}

}  // namespace
}  // namespace ferry::test
