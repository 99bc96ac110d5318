#include <ferry/compat/uds.hpp>
#include <ferry/runner.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

// Asks again and again, as an operator would who watches the metrics.
template <class Predicate>
::testing::AssertionResult eventually(Predicate done, std::string_view awaited) {
  const auto end = std::chrono::steady_clock::now() + test::k_patience;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return test::gave_up(awaited, test::k_patience);
    std::this_thread::yield();
  }
  return ::testing::AssertionSuccess();
}

class uds_on_runners : public ::testing::Test {
 protected:
  uds_writer_options roomy() {
    uds_writer_options with;
    with.queue_messages = 1'000'000;
    with.reconnect_delay = 1ms;
    with.reconnect_max = 4ms;
    return with;
  }
  // Every message is its number; each must be the one after the last.
  uds_reader::handler in_order() {
    return [this](bytes message) -> result<void> {
      if (as_text(message) != std::to_string(received++)) ++disorder;
      return {};
    };
  }

  test::temp_dir files;
  const std::string path = files.file("a.sock");
  runner reading;
  runner writing;
  std::uint64_t received = 0;  // of the reading thread; looked at after stop()
  std::uint64_t disorder = 0;
};

TEST_F(uds_on_runners, carry_messages_of_many_threads_each_in_its_order) {
  constexpr int k_threads = 4;
  constexpr int k_each = 20'000;
  std::map<char, int> next;
  uds_reader reader(
      reading,
      [&](bytes message) -> result<void> {
        ++received;
        const auto text = as_text(message);
        if (std::string(text.substr(1)) != std::to_string(next[text[0]]++)) ++disorder;
        return {};
      },
      path);
  ASSERT_TRUE(reader.start());
  uds_writer writer(writing, path, roomy());
  writer.start();
  std::vector<std::thread> threads;
  for (int t = 0; t < k_threads; ++t)
    threads.emplace_back([&writer, t] {
      for (int i = 0; i < k_each; ++i)
        EXPECT_TRUE(writer.write_message(std::string(1, static_cast<char>('a' + t)) + std::to_string(i)));
    });
  for (auto& one : threads) one.join();
  const auto report = writer.stop(60s);
  EXPECT_TRUE(report.clean()) << report.reason.text();
  EXPECT_EQ(reader.stop(60s).bytes_unread, 0u);
  EXPECT_EQ(received, std::uint64_t{k_threads} * k_each);
  EXPECT_EQ(disorder, 0u);
  EXPECT_EQ(writer.metrics().sent, received);
  EXPECT_EQ(reader.metrics().received, received);
}

TEST_F(uds_on_runners, lose_none_of_120000_messages_when_the_reader_is_stopped_after_the_last_was_sent) {
  constexpr std::uint64_t k_messages = 120'000;
  uds_reader reader(reading, in_order(), path);
  ASSERT_TRUE(reader.start());
  uds_writer writer(writing, path, roomy());
  writer.start();
  for (std::uint64_t i = 0; i < k_messages; ++i) ASSERT_TRUE(writer.write_message(std::to_string(i)));
  ASSERT_TRUE(eventually([&] { return writer.metrics().sent == k_messages; }, "the writer to have sent all"));
  const auto report = reader.stop(60s);
  EXPECT_EQ(report.reason, errc::closed) << report.reason.text();
  EXPECT_EQ(report.bytes_unread, 0u);
  EXPECT_EQ(received, k_messages);
  EXPECT_EQ(disorder, 0u);
}

TEST_F(uds_on_runners, agree_to_the_message_on_what_was_sent_when_the_reader_stops_in_the_middle_and_another_goes_on) {
  constexpr std::uint64_t k_messages = 120'000;
  uds_writer writer(writing, path, roomy());
  std::thread sender([&] {
    for (std::uint64_t i = 0; i < k_messages; ++i) EXPECT_TRUE(writer.write_message(std::to_string(i)));
  });
  writer.start();
  // Each reader handles what the writer had sent by the time it was stopped, and the next begins with the message
  // after.
  for (int readers = 0; readers < 5; ++readers) {
    uds_reader reader(reading, in_order(), path);
    ASSERT_TRUE(reader.start());
    ASSERT_TRUE(
        eventually([&] { return reader.metrics().received != 0 || writer.metrics().sent == k_messages; }, "a message"));
    EXPECT_EQ(reader.stop(60s).reason, errc::closed);
    EXPECT_EQ(writer.metrics().sent, received);
    EXPECT_EQ(reader.metrics().errors, 0u);
  }
  sender.join();
  uds_reader last(reading, in_order(), path);
  ASSERT_TRUE(last.start());
  EXPECT_TRUE(eventually([&] { return writer.metrics().sent == k_messages; }, "the writer to have sent all"));
  (void)writer.stop(60s);
  (void)last.stop(60s);
  EXPECT_EQ(received, k_messages);
  EXPECT_EQ(disorder, 0u);
  EXPECT_EQ(writer.metrics().dropped, 0u);
}

TEST_F(uds_on_runners, may_be_stopped_and_asked_by_several_threads_at_once) {
  uds_reader reader(reading, in_order(), path);
  ASSERT_TRUE(reader.start());
  uds_writer writer(writing, path, roomy());
  writer.start();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      (void)writer.write_message("0");
      (void)writer.metrics();
      EXPECT_EQ(writer.stop(60s).reason, errc::closed);
      EXPECT_EQ(writer.write_message("late").error(), errc::closed);
      EXPECT_EQ(reader.stop(60s).reason, errc::closed);
      (void)reader.metrics();
    });
  for (auto& one : threads) one.join();
}

TEST_F(uds_on_runners, end_with_their_objects_while_messages_flow) {
  for (int round = 0; round < 20; ++round) {
    uds_reader reader(
        reading, [](bytes) -> result<void> { return {}; }, path);
    ASSERT_TRUE(reader.start());
    uds_writer writer(writing, path, roomy());
    writer.start();
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(writer.write_message("message"));
  }
}

}  // namespace
}  // namespace ferry
