// uds_writer and uds_reader against a peer that is none of ours.
#include <ferry/compat/uds.hpp>
#include <ferry/runner.hpp>

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"
#include "tests/interop/uds_peer.hpp"

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using texts = std::vector<std::string>;

class uds_and_a_foreign_peer : public ::testing::Test {
 protected:
  // What a reader hears, from its thread.
  struct log {
    std::mutex lock;
    texts messages;
    texts errors;
    std::condition_variable told;  // of an error
  };
  uds_reader_options quick(log& into) {
    uds_reader_options with;
    with.on_error = [&into](const error& what, std::string_view where) {
      const std::lock_guard guard(into.lock);
      into.errors.push_back(std::string(where) + " " + to_string(what.reason()));
      into.told.notify_all();
    };
    return with;
  }
  static uds_reader::handler keep(log& into) {
    return [&into](bytes message) -> result<void> {
      const std::lock_guard guard(into.lock);
      into.messages.emplace_back(as_text(message));
      return {};
    };
  }

  temp_dir files;
  const std::string path = files.file("a.sock");
  runner on;
};

TEST_F(uds_and_a_foreign_peer, writer_sends_every_size_in_order_with_shortest_lengths_and_ends_in_order) {
  child peer(uds_peer({"read", path, "0"}));
  ASSERT_EQ(peer.read_line(), "listening");
  uds_writer writer(on, path);
  writer.start();
  const std::size_t sizes[] = {1, 2, 127, 128, 129, 4096, 16'383, 16'384, 100'000, 1u << 20, 11u << 20, 3};
  std::size_t number = 0;
  for (const auto size : sizes) {
    EXPECT_TRUE(writer.write_message(peer_payload(number++, size)));
    EXPECT_TRUE(writer.write_message(""));
  }
  const auto report = writer.stop(60s);
  EXPECT_TRUE(report.clean()) << report.reason.text();
  EXPECT_EQ(peer.read_line(), "messages 12 bad 0 empty 0 not-shortest 0 left 0");
  EXPECT_EQ(peer.finish(), 0) << peer.error_output();
}

TEST_F(uds_and_a_foreign_peer, writer_sends_a_cut_message_again_whole_and_first_on_the_next_connection) {
  child peer(uds_peer({"read", path, "200000", "0"}));
  ASSERT_EQ(peer.read_line(), "listening");
  uds_writer_options with;
  with.reconnect_delay = 1ms;
  uds_writer writer(on, path, with);
  EXPECT_TRUE(writer.write_message(peer_payload(0, 8u << 20)));
  EXPECT_TRUE(writer.write_message(peer_payload(1, 10)));
  writer.start();
  EXPECT_EQ(peer.read_line(), "messages 0 bad 0 empty 0 not-shortest 0 left 200000");
  EXPECT_TRUE(writer.stop(60s).clean());
  EXPECT_EQ(peer.read_line(), "messages 2 bad 0 empty 0 not-shortest 0 left 0");
  EXPECT_EQ(writer.metrics().failed, 1u);
  EXPECT_EQ(writer.metrics().sent, 2u);
  EXPECT_EQ(peer.finish(), 0) << peer.error_output();
}

TEST_F(uds_and_a_foreign_peer, reader_takes_every_form_of_message_and_never_speaks) {
  log heard;
  uds_reader reader(on, keep(heard), path, quick(heard));
  ASSERT_TRUE(reader.start());
  child peer(uds_peer({"write", path, "text:plain", "long-form:long form", "empty", "empty-long-form",
                       "dribble:byte by byte", "text:" + std::string(200, 'x'), "end", "wait-for-end"}));
  EXPECT_EQ(peer.read_line(), "closed in silence");
  EXPECT_EQ(peer.finish(), 0) << peer.error_output();
  (void)reader.stop();
  EXPECT_EQ(heard.messages, (texts{"plain", "long form", "byte by byte", std::string(200, 'x')}));
  EXPECT_EQ(heard.errors, texts{});
  EXPECT_EQ(reader.metrics().received, 4u);
  EXPECT_EQ(reader.metrics().errors, 0u);
}

TEST_F(uds_and_a_foreign_peer, reader_ends_only_the_connection_that_breaks_the_rules_and_counts_each_once) {
  log heard;
  auto with = quick(heard);
  with.max_message = 1000;
  uds_reader reader(on, keep(heard), path, with);
  ASSERT_TRUE(reader.start());
  const std::pair<texts, std::string> faults[] = {
      {{"text:a", "length:1001"}, "read " + std::string(to_string(errc::message_too_large))},
      {{"overflow"}, "read " + std::string(to_string(errc::varint_overflow))},
      {{"cut:half of it", "end"}, "read " + std::string(to_string(errc::truncated))},
  };
  std::size_t expected = 0;
  for (const auto& [steps, reason] : faults) {
    ++expected;
    texts arguments{"write", path};
    arguments.insert(arguments.end(), steps.begin(), steps.end());
    arguments.emplace_back("wait-for-end");
    child peer(uds_peer(arguments));
    EXPECT_EQ(peer.read_line(), "closed in silence");
    EXPECT_EQ(peer.finish(), 0) << peer.error_output();
    // The peer sees its connection closed before the reader's owner is told why.
    std::unique_lock guard(heard.lock);
    ASSERT_TRUE(heard.told.wait_for(guard, 60s, [&] { return heard.errors.size() == expected; })) << reason;
    EXPECT_EQ(heard.errors.back(), reason);
  }
  child peer(uds_peer({"write", path, "text:still here", "end", "wait-for-end"}));
  EXPECT_EQ(peer.finish(), 0) << peer.error_output();
  (void)reader.stop();
  EXPECT_EQ(heard.messages, (texts{"a", "still here"}));
  EXPECT_EQ(reader.metrics().errors, 3u);
  EXPECT_EQ(heard.errors.size(), 3u);
}

TEST_F(uds_and_a_foreign_peer, reader_handles_all_that_a_writer_that_has_gone_had_sent) {
  constexpr std::size_t k_messages = 120'000;
  std::size_t received = 0;
  std::size_t bad = 0;
  uds_reader reader(
      on,
      [&](bytes message) -> result<void> {
        bad += as_text(message) != peer_payload(received++, 20) ? 1 : 0;
        return {};
      },
      path);
  ASSERT_TRUE(reader.start());
  child peer(uds_peer({"write", path, "bulk:120000x20"}));
  EXPECT_EQ(peer.read_line(), "done");
  EXPECT_EQ(reader.stop(60s).bytes_unread, 0u);  // at once after the last was sent
  EXPECT_EQ(received, k_messages);
  EXPECT_EQ(bad, 0u);
  EXPECT_EQ(peer.finish(), 0) << peer.error_output();
}

TEST_F(uds_and_a_foreign_peer, reader_closes_a_silent_connection) {
  log heard;
  auto with = quick(heard);
  with.inactivity_timeout = 10ms;
  uds_reader reader(on, keep(heard), path, with);
  ASSERT_TRUE(reader.start());
  child peer(uds_peer({"write", path, "wait-for-end"}));
  EXPECT_EQ(peer.read_line(), "closed in silence");
  EXPECT_EQ(peer.finish(), 0) << peer.error_output();
  (void)reader.stop();
  EXPECT_EQ(heard.errors, texts{});
}

}  // namespace
}  // namespace ferry::test
