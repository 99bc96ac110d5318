// Looking at a ring whose two sides go on between any two looks.
#include "apps/ferry/inspect_ring.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace {

using ferry::app::inspect_memory;
using ferry::app::memory_report;

/// A ring of 4 KiB that is full of records of 32 bytes; it has no pads.
class moving_ring : public ::testing::Test {
 protected:
  moving_ring() {
    ferry::ring::format(span(), sizes, {"moving", 1, 1, 1, 1});
    producer = {data(), line()};
    consumer = {data(), line()};
    while (push()) {
    }
  }
  [[nodiscard]] std::span<std::byte> span() { return std::as_writable_bytes(std::span(memory)); }
  [[nodiscard]] std::span<std::byte> data() { return span().subspan(sizes.data_offset(), sizes.ring_bytes); }
  [[nodiscard]] ferry::ring_line& line() {
    return reinterpret_cast<ferry::ring::shared_page*>(span().data() + sizes.shared_offset())->rings[0];
  }
  bool push() { return producer.try_push(ferry::as_bytes("four and twenty of bytes")); }
  void go_on(int records) {
    for (int i = 0; i < records; ++i) {
      ASSERT_TRUE(consumer.front());
      consumer.pop();
      consumer.publish_position();
      ASSERT_TRUE(push());
    }
  }
  [[nodiscard]] memory_report inspect(const std::function<void()>& before, const std::function<void()>& after) {
    const auto read = [&](std::uint64_t offset, ferry::mutable_bytes into) -> ferry::result<void> {
      const bool records = offset >= sizes.data_offset();
      if (records) before();
      std::memcpy(into.data(), span().data() + offset, into.size());
      if (records) after();
      return {};
    };
    return inspect_memory(read, span().size()).value();
  }

  const ferry::ring::geometry sizes{4096, 1, 4096};
  std::vector<std::uint64_t> memory = std::vector<std::uint64_t>(3 * 4096 / 8);
  ferry::ring_producer producer;
  ferry::ring_consumer consumer;
};

TEST_F(moving_ring, is_counted_from_where_the_consumer_is_when_its_records_have_been_read) {
  const auto nothing = [] {};
  const auto whole = inspect(nothing, nothing).rings.at(0);
  ASSERT_TRUE(whole.unread);
  const auto all = whole.unread->records;
  ASSERT_EQ(all, 127u);
  EXPECT_EQ(whole.unread->tail, producer.tail());
  // Those that were read meanwhile are overwritten already.
  const auto overwritten = inspect([&] { go_on(3); }, nothing).rings.at(0);
  ASSERT_TRUE(overwritten.unread);
  EXPECT_EQ(overwritten.position, consumer.position());
  EXPECT_GE(overwritten.unread->tail, all * 32) << "all that had been there before";
  EXPECT_EQ(overwritten.unread->tail, overwritten.position + overwritten.unread->records * 32);
  const auto written_since = inspect(nothing, [&] { go_on(5); }).rings.at(0);
  ASSERT_TRUE(written_since.unread);
  EXPECT_EQ(written_since.position, consumer.position());
  EXPECT_GE(written_since.unread->tail, producer.tail() - 10 * 32) << "it may have been read in two parts";
  EXPECT_EQ(written_since.unread->tail, written_since.position + written_since.unread->records * 32);
}

TEST_F(moving_ring, is_busy_and_not_damaged_when_it_laps_whoever_looks) {
  const auto seen = inspect([] {}, [&] { go_on(1000); }).rings.at(0);
  EXPECT_FALSE(seen.unread);
  EXPECT_TRUE(seen.busy);
  EXPECT_EQ(seen.position, consumer.position());
}

TEST_F(moving_ring, that_stands_still_with_a_wrong_word_is_damaged) {
  data()[8 * 7 + 7] = std::byte{0xff};  // inside of a body: nobody looks
  EXPECT_TRUE(inspect([] {}, [] {}).rings.at(0).unread);
  data()[7] = std::byte{0xff};
  const auto seen = inspect([] {}, [] {}).rings.at(0);
  EXPECT_FALSE(seen.unread);
  EXPECT_FALSE(seen.busy);
}

TEST_F(moving_ring, says_what_could_not_be_read) {
  const auto read = [](std::uint64_t, ferry::mutable_bytes) -> ferry::result<void> {
    return ferry::error(ferry::errc::permission, "no");
  };
  EXPECT_EQ(inspect_memory(read, 12288).error(), ferry::errc::permission);
  const auto cut = [&](std::uint64_t offset, ferry::mutable_bytes into) -> ferry::result<void> {
    std::memcpy(into.data(), span().data() + offset, into.size());
    return {};
  };
  EXPECT_EQ(inspect_memory(cut, 100).error(), ferry::errc::truncated);
  EXPECT_EQ(inspect_memory(cut, 12287).error(), ferry::errc::truncated);
}

}  // namespace
