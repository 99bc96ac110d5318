#include <ferry/compat/uds.hpp>
#include <ferry/context.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "testing/raw_unix.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using test::raw_unix;
using test::run_until;
using test::varint_frame;
using texts = std::vector<std::string>;

struct complaint {
  error what;
  std::string where;
};

class uds_reader_test : public ::testing::Test {
 protected:
  uds_reader_options reporting() {
    uds_reader_options with;
    with.on_error = [this](const error& what, std::string_view at) { complaints.push_back({what, std::string(at)}); };
    return with;
  }
  uds_reader::handler keeping() {
    return [this](bytes message) -> result<void> {
      received.emplace_back(as_text(message));
      return {};
    };
  }
  // Turns the loop until so many have been accepted.
  void accept(const uds_reader& reader, std::uint64_t connections) {
    ASSERT_TRUE(run_until(
        io, [&] { return reader.metrics().connections_accepted == connections; }, "the connection"));
  }
  // Turns the loop until the reader has ended the connection.
  void ends(const raw_unix& peer) {
    ASSERT_TRUE(run_until(
        io, [&] { return peer.ended(); }, "the end of the connection"));
  }
  // Turns the loop until all those have come.
  void come(const texts& expected) {
    ASSERT_TRUE(run_until(
        io, [&] { return received.size() >= expected.size(); }, "the messages"));
    EXPECT_EQ(received, expected);
  }

  test::temp_dir files;
  const std::string path = files.file("a.sock");
  boost::asio::io_context io;
  context loop{io};
  texts received;
  std::vector<complaint> complaints;
};

TEST_F(uds_reader_test, has_the_defaults_of_uds_ipc) {
  const uds_reader_options defaults;
  EXPECT_EQ(defaults.max_message, 10u << 20);
  EXPECT_EQ(defaults.inactivity_timeout, 10s);
  EXPECT_EQ(defaults.read_buffer, 256u << 10);
  EXPECT_EQ(defaults.max_accept_errors, 10u);
  EXPECT_FALSE(defaults.deliver_empty);
}

TEST_F(uds_reader_test, listens_when_start_returns_and_once_only) {
  uds_reader reader(loop, keeping(), path);
  ASSERT_TRUE(reader.start());
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  EXPECT_EQ(peer.send(varint_frame("hello")), 0);
  come({"hello"});
  EXPECT_EQ(reader.metrics().received, 1u);
  EXPECT_EQ(reader.metrics().connections_accepted, 1u);
  EXPECT_EQ(reader.metrics().errors, 0u);
  EXPECT_EQ(reader.metrics().open, 1u);
}

TEST_F(uds_reader_test, reads_varints_that_are_longer_than_they_need_be) {
  uds_reader reader(loop, keeping(), path);
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  EXPECT_EQ(peer.send("\x82\x80\x00"s + "ab" + "\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"s + "c"), 0);
  come({"ab", "c"});
}

TEST_F(uds_reader_test, skips_empty_messages_unless_they_are_wanted) {
  uds_reader reader(loop, keeping(), path);
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  const auto wire = "\x00"s + "\x80\x00"s + varint_frame("x");
  EXPECT_EQ(peer.send(wire), 0);
  come({"x"});
  EXPECT_EQ(reader.metrics().received, 1u);

  received.clear();
  uds_reader_options with;
  with.deliver_empty = true;
  uds_reader all(loop, keeping(), files.file("b.sock"), with);
  ASSERT_TRUE(all.start());
  const auto other = raw_unix::connect(files.file("b.sock"));
  EXPECT_EQ(other.send(wire), 0);
  come({"", "", "x"});
}

TEST_F(uds_reader_test, counts_and_reports_what_the_handler_refuses_and_keeps_the_connection) {
  uds_reader reader(
      loop,
      [this](bytes message) -> result<void> {
        received.emplace_back(as_text(message));
        if (as_text(message) == "bad") return error(errc::corrupt, "I do not like it");
        return {};
      },
      path, reporting());
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  EXPECT_EQ(peer.send(varint_frame("bad") + varint_frame("good")), 0);
  come({"bad", "good"});
  EXPECT_EQ(reader.metrics().errors, 1u);
  EXPECT_EQ(reader.metrics().received, 1u);
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_EQ(complaints[0].where, "handler");
  EXPECT_EQ(complaints[0].what.text(), "I do not like it");
}

TEST_F(uds_reader_test, ends_the_connection_that_sends_what_it_must_not_and_no_other) {
  auto with = reporting();
  with.max_message = 1000;
  uds_reader reader(loop, keeping(), path, with);
  ASSERT_TRUE(reader.start());
  const auto bystander = raw_unix::connect(path);
  struct fault {
    const char* name;
    std::string wire;
    errc reason;
  };
  const fault faults[] = {
      {"one byte more than the limit", varint_frame(std::string(1001, 'x')), errc::message_too_large},
      {"a length that nobody can have", std::string(9, '\xff') + "\x01", errc::message_too_large},
      {"a length of more than 64 bits", std::string(9, '\xff') + "\x02", errc::varint_overflow},
      {"a length that never ends", std::string(20, '\x80'), errc::varint_overflow},
  };
  std::size_t seen = 0;
  for (const auto& one : faults) {
    const auto peer = raw_unix::connect(path);
    (void)peer.send(one.wire);
    ends(peer);
    ASSERT_EQ(complaints.size(), ++seen) << one.name;
    EXPECT_EQ(complaints.back().what, one.reason) << one.name << ": " << complaints.back().what.text();
    EXPECT_EQ(complaints.back().where, "read");
    EXPECT_EQ(reader.metrics().errors, seen) << one.name;
  }
  EXPECT_EQ(bystander.send(varint_frame(std::string(1000, 'x'))), 0);
  come({std::string(1000, 'x')});
}

TEST_F(uds_reader_test, counts_an_end_inside_a_message_at_every_cut_and_none_between_messages) {
  uds_reader reader(loop, keeping(), path, reporting());
  ASSERT_TRUE(reader.start());
  const auto wire = varint_frame(std::string(200, 'm'));
  for (std::size_t cut = 1; cut < wire.size(); cut += 40) {
    auto peer = raw_unix::connect(path);
    EXPECT_EQ(peer.send(wire.substr(0, cut)), 0);
    peer.end_writing();
    ends(peer);
    EXPECT_EQ(complaints.back().what, errc::truncated) << "cut at " << cut;
  }
  const auto errors = reader.metrics().errors;
  EXPECT_EQ(errors, complaints.size());
  EXPECT_EQ(errors, 6u);
  auto peer = raw_unix::connect(path);
  EXPECT_EQ(peer.send(wire), 0);
  peer.end_writing();
  ends(peer);
  EXPECT_EQ(received.size(), 1u);
  EXPECT_EQ(reader.metrics().errors, errors);
}

TEST_F(uds_reader_test, reads_messages_that_come_byte_by_byte) {
  uds_reader reader(loop, keeping(), path);
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  const std::string message(200, 'm');
  for (const char one : varint_frame(message) + varint_frame("last")) {
    EXPECT_EQ(peer.send({&one, 1}), 0);
    test::run_ready(io);
  }
  come({message, "last"});
}

TEST_F(uds_reader_test, closes_a_silent_connection_without_counting_an_error) {
  auto with = reporting();
  with.inactivity_timeout = 10ms;
  uds_reader reader(loop, keeping(), path, with);
  ASSERT_TRUE(reader.start());
  const auto silent = raw_unix::connect(path);
  ends(silent);
  EXPECT_EQ(reader.metrics().errors, 0u);
  EXPECT_TRUE(complaints.empty());
}

TEST_F(uds_reader_test, lets_a_slow_large_message_go_on_as_long_as_bytes_arrive) {
  auto with = reporting();
  with.inactivity_timeout = 1s;
  uds_reader reader(loop, keeping(), path, with);
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  const std::string message(30, 'm');
  for (const char one : varint_frame(message)) {  // takes one and a half times as long as the timeout
    EXPECT_EQ(peer.send({&one, 1}), 0);
    io.restart();
    const auto next = std::chrono::steady_clock::now() + 50ms;
    while (std::chrono::steady_clock::now() < next) io.run_until(next);
  }
  come({message});
  EXPECT_TRUE(complaints.empty());
}

TEST_F(uds_reader_test, handles_on_stop_all_that_has_come_also_from_who_still_waits_to_be_accepted) {
  uds_reader reader(loop, keeping(), path, reporting());
  ASSERT_TRUE(reader.start());
  std::vector<raw_unix> peers;
  texts expected;
  for (const char* name : {"a", "b", "c"}) {
    peers.push_back(raw_unix::connect(path));
    EXPECT_EQ(peers.back().send(varint_frame(name)), 0);
    expected.emplace_back(name);
  }
  const auto report = reader.stop(60s);  // nothing was accepted before
  EXPECT_EQ(report.reason, errc::closed);
  EXPECT_EQ(report.bytes_unread, 0u);
  EXPECT_EQ(report.connections_cut, 0u);
  EXPECT_EQ(received, expected);
  EXPECT_EQ(reader.metrics().errors, 0u);
  EXPECT_EQ(peers[0].send("late"), EPIPE);
  EXPECT_THROW((void)raw_unix::connect(path), std::system_error);
  EXPECT_EQ(reader.start().error(), errc::closed);
}

TEST_F(uds_reader_test, says_on_stop_how_many_bytes_of_an_unfinished_message_were_left_and_counts_no_error) {
  uds_reader reader(loop, keeping(), path, reporting());
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  EXPECT_EQ(peer.send(varint_frame("whole") + varint_frame(std::string(100, 'h')).substr(0, 60)), 0);
  const auto report = reader.stop(60s);
  EXPECT_EQ(received, texts{"whole"});
  EXPECT_EQ(report.bytes_unread, 60u);
  EXPECT_EQ(reader.metrics().errors, 0u);
  EXPECT_TRUE(complaints.empty());
}

TEST_F(uds_reader_test, cuts_at_the_deadline_and_says_how_many_bytes_were_left_unread) {
  uds_reader reader(loop, keeping(), path, reporting());
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  accept(reader, 1);
  EXPECT_EQ(peer.send(std::string(5000, 'x')), 0);
  const auto report = reader.stop(0s);
  EXPECT_EQ(report.reason, errc::timeout);
  EXPECT_EQ(report.connections_cut, 1u);
  EXPECT_EQ(report.bytes_unread, 5000u);
  EXPECT_TRUE(peer.ended());
  EXPECT_EQ(reader.stop(60s).bytes_unread, 5000u);  // idempotent: the first report again
  EXPECT_EQ(reader.metrics().errors, 0u);
}

TEST_F(uds_reader_test, stops_at_the_deadline_in_the_middle_of_a_batch) {
  uds_reader* self = nullptr;
  std::optional<uds_reader_report> report;
  uds_reader reader(
      loop,
      [&](bytes message) -> result<void> {
        received.emplace_back(as_text(message));
        self->async_stop(1ns, [&](const uds_reader_report& r) { report = r; });
        return {};
      },
      path, reporting());
  self = &reader;
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  EXPECT_EQ(peer.send(varint_frame("first") + varint_frame("second") + varint_frame("third")), 0);
  ASSERT_TRUE(run_until(
      io, [&] { return report.has_value(); }, "the report"));
  EXPECT_EQ(received, texts{"first"});
  EXPECT_EQ(report->bytes_unread, 7u + 6u);
  EXPECT_EQ(report->reason, errc::timeout);
}

TEST_F(uds_reader_test, refuses_to_wait_for_its_own_loop_inside_a_handler) {
  uds_reader* self = nullptr;
  bool refused = false;
  uds_reader reader(
      loop,
      [&](bytes) -> result<void> {
        try {
          (void)self->stop();
        } catch (const failure& why) {
          refused = why.reason() == errc::misuse;
        }
        return {};
      },
      path);
  self = &reader;
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  EXPECT_EQ(peer.send(varint_frame("a") + varint_frame("b")), 0);
  ASSERT_TRUE(run_until(
      io, [&] { return reader.metrics().received == 2; }, "both messages"));
  EXPECT_TRUE(refused);
}

// The socket file ---------------------------------------------------------------------------------

TEST_F(uds_reader_test, makes_the_directory_and_removes_only_its_socket_file) {
  const auto deep = files.file("some/where/a.sock");
  uds_reader reader(loop, keeping(), deep);
  EXPECT_FALSE(std::filesystem::exists(files.file("some")));
  ASSERT_TRUE(reader.start());
  EXPECT_TRUE(std::filesystem::is_socket(deep));
  (void)reader.stop();
  EXPECT_TRUE(std::filesystem::is_empty(files.file("some/where")));
}

TEST_F(uds_reader_test, leaves_a_regular_file_and_a_directory_at_the_path_alone) {
  std::ofstream(path) << "precious";
  uds_reader reader(loop, keeping(), path);
  const auto outcome = reader.start();
  EXPECT_EQ(outcome.error(), errc::bad_address);
  EXPECT_NE(outcome.error().text().find(path), std::string::npos);
  (void)reader.stop();
  std::string kept;
  std::ifstream(path) >> kept;
  EXPECT_EQ(kept, "precious");

  const auto folder = files.file("folder");
  std::filesystem::create_directory(folder);
  uds_reader other(loop, keeping(), folder);
  EXPECT_EQ(other.start().error(), errc::bad_address);
  EXPECT_TRUE(std::filesystem::is_directory(folder));
}

TEST_F(uds_reader_test, leaves_a_live_socket_alone_and_replaces_one_on_which_nobody_listens) {
  auto live = raw_unix::listen(path);
  {
    uds_reader reader(loop, keeping(), path);
    EXPECT_EQ(reader.start().error(), errc::address_in_use);
  }
  while (live.ready()) live.accept().close();  // it was looked at, no more
  const auto client = raw_unix::connect(path);
  EXPECT_TRUE(live.ready());

  live.close();
  EXPECT_TRUE(std::filesystem::is_socket(path));
  uds_reader reader(loop, keeping(), path);
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  EXPECT_EQ(peer.send(varint_frame("x")), 0);
  come({"x"});
}

TEST_F(uds_reader_test, stops_without_the_path_and_leaves_it_to_whoever_took_it) {
  uds_reader reader(loop, keeping(), path);
  ASSERT_TRUE(reader.start());
  const auto peer = raw_unix::connect(path);
  EXPECT_EQ(peer.send(varint_frame("x")), 0);
  std::filesystem::remove(path);
  const auto other = raw_unix::listen(path);
  const auto report = reader.stop(60s);
  EXPECT_EQ(report.reason, errc::closed);
  EXPECT_EQ(received, texts{"x"});
  EXPECT_FALSE(other.ready()) << "stop went through the path";
  const auto client = raw_unix::connect(path);
  EXPECT_TRUE(other.ready());
}

TEST_F(uds_reader_test, refuses_a_path_that_is_too_long_a_missing_handler_and_options_out_of_range) {
  const auto reason_of = [this](const std::string& at, const uds_reader::handler& handle,
                                const uds_reader_options& with) {
    try {
      const uds_reader reader(loop, handle, at, with);
    } catch (const failure& why) {
      return why.reason();
    }
    return errc{};
  };
  EXPECT_EQ(reason_of("/" + std::string(106, 'p'), keeping(), {}), errc{});
  EXPECT_EQ(reason_of("/" + std::string(107, 'p'), keeping(), {}), errc::bad_address);
  EXPECT_EQ(reason_of("", keeping(), {}), errc::bad_address);
  EXPECT_EQ(reason_of(path, {}, {}), errc::misuse);
  uds_reader_options with;
  for (const auto& [limit, reason] :
       {std::pair(0u, errc::bad_option), {1u, errc{}}, {63u, errc{}}, {64u, errc::bad_option}}) {
    with.max_accept_errors = limit;
    EXPECT_EQ(reason_of(path, keeping(), with), reason) << limit;
  }
}

}  // namespace
}  // namespace ferry
