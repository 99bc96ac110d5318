#include <ferry/compat/uds.hpp>
#include <ferry/context.hpp>

#include <gtest/gtest.h>

#include <vector>

#include "testing/raw_unix.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::raw_unix;
using test::run_until;
using test::varint_frame;

struct complaint {
  error what;
  std::string where;
};

class uds_writer_test : public ::testing::Test {
 protected:
  // Fast enough for a test; a test that looks at time sets its own.
  uds_writer_options quick() {
    uds_writer_options with;
    with.reconnect_delay = 1ms;
    with.reconnect_max = 4ms;
    with.on_error = [this](const error& what, std::string_view at) { complaints.push_back({what, std::string(at)}); };
    return with;
  }
  // Turns the loop until the writer has connected.
  raw_unix accept(const raw_unix& listening) {
    EXPECT_TRUE(run_until(
        io, [&] { return listening.ready(); }, "the writer"));
    return listening.accept();
  }
  // Turns the loop until `size` bytes have been read.
  std::string read(const raw_unix& from, std::size_t size) {
    std::string got;
    EXPECT_TRUE(run_until(
        io, [&] { return (got += from.read_some(size - got.size())).size() == size; }, "bytes of the writer"));
    return got;
  }

  test::temp_dir files;
  const std::string path = files.file("a.sock");
  boost::asio::io_context io;
  context loop{io};
  std::vector<complaint> complaints;
};

TEST_F(uds_writer_test, has_the_defaults_of_uds_ipc) {
  const uds_writer_options defaults;
  EXPECT_EQ(defaults.queue_messages, 10'000u);
  EXPECT_EQ(defaults.write_timeout, 1s);
  EXPECT_EQ(defaults.dial_timeout, 1s);
  EXPECT_EQ(defaults.reconnect_delay, 1s);
  EXPECT_EQ(defaults.reconnect_max, 10s);
  EXPECT_EQ(defaults.write_buffer, 256u << 10);
  EXPECT_EQ(defaults.max_send_attempts, 3u);
}

TEST_F(uds_writer_test, writes_shortest_varints_and_the_messages_and_nothing_else) {
  const auto listening = raw_unix::listen(path);
  uds_writer writer(loop, path, quick());
  writer.start();
  writer.start();
  const std::string large(300, 'x');
  ASSERT_TRUE(writer.write_message("one"));
  ASSERT_TRUE(writer.write_message(large));
  const auto peer = accept(listening);
  EXPECT_EQ(read(peer, 306), "\x03one\xac\x02" + large);
  EXPECT_EQ(writer.metrics().sent, 2u);
  EXPECT_EQ(writer.metrics().queue_depth, 0u);
}

TEST_F(uds_writer_test, takes_an_empty_message_and_sends_nothing) {
  const auto listening = raw_unix::listen(path);
  uds_writer writer(loop, path, quick());
  writer.start();
  EXPECT_TRUE(writer.write_message(""));
  EXPECT_TRUE(writer.write_message("x"));
  const auto peer = accept(listening);
  EXPECT_EQ(read(peer, 2), "\x01x");
  EXPECT_EQ(writer.metrics().sent, 1u);
}

TEST_F(uds_writer_test, refuses_at_once_what_the_full_queue_cannot_take_and_counts_it) {
  auto with = quick();
  with.queue_messages = 3;
  uds_writer writer(loop, path, with);
  for (const char* one : {"a", "b", "c"}) EXPECT_TRUE(writer.write_message(one));
  EXPECT_EQ(writer.write_message("d").error(), errc::full);
  EXPECT_EQ(writer.metrics().queue_depth, 3u);
  EXPECT_EQ(writer.metrics().dropped, 1u);

  const auto listening = raw_unix::listen(path);
  writer.start();
  const auto peer = accept(listening);
  EXPECT_EQ(read(peer, 6), "\1a\1b\1c");
  EXPECT_TRUE(writer.write_message("e"));
  EXPECT_EQ(read(peer, 2), "\1e");
}

TEST_F(uds_writer_test, counts_the_queue_in_messages_also_when_they_wait_for_a_connection) {
  auto with = quick();
  with.queue_messages = 5;
  uds_writer writer(loop, path, with);
  writer.start();
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(writer.write_message("m"));
    test::run_ready(io);  // takes it from the threads' queue to the connection's
  }
  EXPECT_EQ(writer.write_message("m").error(), errc::full);
  EXPECT_EQ(writer.metrics().queue_depth, 5u);
}

TEST_F(uds_writer_test, sends_the_failed_message_first_and_whole_after_reconnecting) {
  auto listening = raw_unix::listen(path);
  uds_writer writer(loop, path, quick());
  writer.start();
  const std::string large(4u << 20, 'L');
  ASSERT_TRUE(writer.write_message(large));
  ASSERT_TRUE(writer.write_message("next"));
  auto peer = accept(listening);
  EXPECT_EQ(read(peer, 1000), varint_frame(large).substr(0, 1000));
  peer.close();

  peer = accept(listening);
  EXPECT_EQ(read(peer, large.size() + 4 + 5), varint_frame(large) + varint_frame("next"));
  EXPECT_EQ(writer.metrics().failed, 1u);
  EXPECT_EQ(writer.metrics().sent, 2u);
  EXPECT_EQ(writer.metrics().dropped, 0u);
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_EQ(complaints[0].where, "write");
}

TEST_F(uds_writer_test, gives_a_connection_up_that_takes_not_a_byte_for_the_write_timeout) {
  const auto listening = raw_unix::listen(path);
  auto with = quick();
  with.write_timeout = 20ms;
  with.max_send_attempts = 0;
  uds_writer writer(loop, path, with);
  writer.start();
  const std::string large(4u << 20, 'L');
  ASSERT_TRUE(writer.write_message(large));
  const auto silent = accept(listening);
  ASSERT_TRUE(run_until(
      io, [&] { return !complaints.empty(); }, "the write timeout"));
  EXPECT_EQ(complaints[0].what, errc::timeout);
  EXPECT_EQ(complaints[0].where, "write");
  EXPECT_EQ(writer.metrics().failed, 1u);
  EXPECT_EQ(writer.metrics().queue_depth, 1u);
}

TEST_F(uds_writer_test, says_that_dialling_failed_waits_twice_as_long_each_time_and_connects_when_a_reader_comes) {
  auto with = quick();
  with.reconnect_delay = 10ms;
  with.reconnect_max = 40ms;
  std::vector<std::chrono::steady_clock::time_point> dialled;
  std::vector<error> reasons;
  with.on_error = [&](const error& what, std::string_view at) {
    EXPECT_EQ(at, "dial");
    dialled.push_back(std::chrono::steady_clock::now());
    reasons.push_back(what);
  };
  uds_writer writer(loop, path, with);
  writer.start();
  ASSERT_TRUE(writer.write_message("m"));
  ASSERT_TRUE(run_until(
      io, [&] { return dialled.size() == 5; }, "five attempts"));
  EXPECT_EQ(reasons[0], errc::not_found);
  EXPECT_NE(reasons[0].text().find(path), std::string::npos) << reasons[0].text();
  const std::chrono::milliseconds delays[] = {10ms, 20ms, 40ms, 40ms};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_GE(dialled[i + 1] - dialled[i], delays[i]) << "attempt " << i + 1;

  const auto listening = raw_unix::listen(path);
  const auto peer = accept(listening);
  EXPECT_EQ(read(peer, 2), "\1m");
}

TEST_F(uds_writer_test, drops_and_reports_a_message_that_ends_every_connection_and_goes_on_with_the_next) {
  auto listening = raw_unix::listen(path);
  uds_writer writer(loop, path, quick());
  writer.start();
  const std::string poison(4u << 20, 'P');
  ASSERT_TRUE(writer.write_message(poison));
  ASSERT_TRUE(writer.write_message("next"));
  for (int i = 0; i < 3; ++i) {
    auto peer = accept(listening);
    EXPECT_EQ(read(peer, 4), varint_frame(poison).substr(0, 4));
  }
  const auto peer = accept(listening);
  EXPECT_EQ(read(peer, 5), varint_frame("next"));
  EXPECT_EQ(writer.metrics().dropped, 1u);
  EXPECT_EQ(writer.metrics().failed, 3u);
  EXPECT_EQ(writer.metrics().sent, 1u);
  ASSERT_EQ(complaints.size(), 4u);
  EXPECT_EQ(complaints[2].what, errc::poisoned);
  EXPECT_EQ(complaints[2].where, "write");
  EXPECT_NE(complaints[2].what.text().find("4194308 bytes"), std::string::npos) << complaints[2].what.text();
}

TEST_F(uds_writer_test, counts_the_attempts_of_each_message_by_itself) {
  const auto listening = raw_unix::listen(path);
  uds_writer writer(loop, path, quick());
  writer.start();
  const std::string first(4u << 20, '1');
  const std::string second(4u << 20, '2');
  ASSERT_TRUE(writer.write_message(first));
  for (int i = 0; i < 2; ++i) (void)read(accept(listening), 4);
  {
    const auto peer = accept(listening);
    EXPECT_EQ(read(peer, first.size() + 4), varint_frame(first));
    ASSERT_TRUE(run_until(
        io, [&] { return writer.metrics().sent == 1; }, "the first message"));
  }
  ASSERT_TRUE(writer.write_message(second));
  for (int i = 0; i < 2; ++i) (void)read(accept(listening), 4);
  const auto peer = accept(listening);
  EXPECT_EQ(read(peer, second.size() + 4), varint_frame(second));
  EXPECT_EQ(writer.metrics().dropped, 0u);
}

TEST_F(uds_writer_test, does_not_hurry_back_when_connections_are_lost_as_soon_as_they_are_made) {
  const auto listening = raw_unix::listen(path);
  auto with = quick();
  with.reconnect_delay = 20ms;
  with.reconnect_max = 80ms;
  with.max_send_attempts = 0;
  uds_writer writer(loop, path, with);
  writer.start();
  ASSERT_TRUE(writer.write_message(std::string(4u << 20, 'P')));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 4; ++i) (void)read(accept(listening), 4);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 20ms + 40ms + 80ms);
}

TEST_F(uds_writer_test, says_nothing_of_a_quiet_connection_that_the_reader_closes_and_comes_back) {
  const auto listening = raw_unix::listen(path);
  uds_writer writer(loop, path, quick());
  writer.start();
  accept(listening).close();
  const auto peer = accept(listening);
  EXPECT_TRUE(complaints.empty());
  EXPECT_EQ(writer.metrics().failed, 0u);
}

TEST_F(uds_writer_test, tells_how_many_messages_a_vanished_reader_may_not_have_read) {
  const auto listening = raw_unix::listen(path);
  uds_writer writer(loop, path, quick());
  writer.start();
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(writer.write_message("m"));
  auto peer = accept(listening);
  ASSERT_TRUE(run_until(
      io, [&] { return writer.metrics().sent == 7; }, "seven messages"));
  peer.close();
  ASSERT_TRUE(run_until(
      io, [&] { return !complaints.empty(); }, "the loss"));
  EXPECT_EQ(complaints[0].where, "connection");
  EXPECT_NE(complaints[0].what.text().find("7 messages"), std::string::npos) << complaints[0].what.text();
  EXPECT_EQ(writer.metrics().maybe_lost, 7u);
}

TEST_F(uds_writer_test, drains_the_queue_on_stop_and_ends_in_order) {
  const auto listening = raw_unix::listen(path);
  uds_writer writer(loop, path, quick());
  writer.start();
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(writer.write_message(std::to_string(i)));
    expected += varint_frame(std::to_string(i));
  }
  std::optional<uds_writer_report> report;
  writer.async_stop(60s, [&](const uds_writer_report& r) { report = r; });
  EXPECT_EQ(writer.write_message("late").error(), errc::closed);
  auto peer = accept(listening);
  EXPECT_EQ(read(peer, expected.size()), expected);
  ASSERT_TRUE(run_until(
      io, [&] { return peer.ended(); }, "the end of the stream"));
  EXPECT_FALSE(report);  // the reader has not ended yet
  peer.close();
  ASSERT_TRUE(run_until(
      io, [&] { return report.has_value(); }, "the report"));
  EXPECT_TRUE(report->clean()) << report->reason.text();
  EXPECT_TRUE(writer.stop().clean());
  EXPECT_EQ(writer.metrics().sent, 1000u);
}

TEST_F(uds_writer_test, discards_on_stop_what_no_reader_takes_before_the_deadline_and_says_how_much) {
  uds_writer writer(loop, path, quick());
  writer.start();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(writer.write_message("m"));
  const auto report = writer.stop(20ms);
  EXPECT_EQ(report.reason, errc::timeout);
  EXPECT_EQ(report.messages_discarded, 5u);
  EXPECT_FALSE(report.clean());
  EXPECT_EQ(writer.metrics().dropped, 5u);
  EXPECT_EQ(writer.metrics().queue_depth, 0u);
  EXPECT_EQ(writer.stop(60s).messages_discarded, 5u);  // idempotent: the first report again, at once
  EXPECT_EQ(writer.write_message("late").error(), errc::closed);
}

TEST_F(uds_writer_test, finishes_at_once_when_it_is_stopped_without_time_or_was_never_started) {
  uds_writer never(loop, path, quick());
  ASSERT_TRUE(never.write_message("m"));
  const auto unstarted = never.stop(60s);
  EXPECT_EQ(unstarted.messages_discarded, 1u);
  EXPECT_EQ(unstarted.reason, errc::closed) << unstarted.reason.text();  // no deadline was waited for
  uds_writer no_time(loop, path, quick());
  no_time.start();
  ASSERT_TRUE(no_time.write_message("m"));
  EXPECT_EQ(no_time.stop(0s).messages_discarded, 1u);
}

TEST_F(uds_writer_test, refuses_to_wait_for_its_own_loop_inside_a_handler) {
  auto with = quick();
  uds_writer* self = nullptr;
  bool refused = false;
  with.on_error = [&](const error&, std::string_view) {
    try {
      (void)self->stop();
    } catch (const failure& why) {
      refused = why.reason() == errc::misuse;
    }
  };
  uds_writer writer(loop, path, with);
  self = &writer;
  writer.start();
  ASSERT_TRUE(run_until(
      io, [&] { return refused; }, "the refusal"));
}

TEST_F(uds_writer_test, refuses_a_path_that_is_too_long_or_empty_and_options_out_of_range) {
  const auto reason_of = [this](const std::string& at, const uds_writer_options& with) {
    try {
      const uds_writer writer(loop, at, with);
    } catch (const failure& why) {
      return std::pair(why.reason(), std::string(why.what()));
    }
    return std::pair(errc{}, std::string());
  };
  EXPECT_EQ(reason_of("/" + std::string(106, 'p'), {}).first, errc{});
  const auto [reason, text] = reason_of("/" + std::string(107, 'p'), {});
  EXPECT_EQ(reason, errc::bad_address);
  EXPECT_NE(text.find("108"), std::string::npos) << text;
  EXPECT_NE(text.find("107"), std::string::npos) << text;
  EXPECT_EQ(reason_of("", {}).first, errc::bad_address);
  uds_writer_options none;
  none.queue_messages = 0;
  EXPECT_EQ(reason_of(path, none).first, errc::bad_option);
}

}  // namespace
}  // namespace ferry
