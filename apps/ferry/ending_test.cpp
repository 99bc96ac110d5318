// How the commands end when something goes wrong, and on Ctrl-C.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "apps/ferry/program_under_test.hpp"
#include "apps/ferry/tally.hpp"
#include "os/unique_fd.hpp"

namespace {

using namespace ferry::app::test;

struct ending : ::testing::Test {
  [[nodiscard]] std::string url() const { return "ipc://" + directory.file("socket"); }
  ferry::test::temp_dir directory;
};

TEST_F(ending, of_listen_on_ctrl_c_comes_after_what_was_received_and_with_a_table) {
  listening_program listener(ferry_call({"listen", url(), "--stats"}));
  ferry::test::child sender(ferry_call({"send", listener.url(), "-o", "reconnect=off"}));
  sender.write("one\ntwo\n");
  EXPECT_EQ(listener.process().read_line(), "one");
  EXPECT_EQ(listener.process().read_line(), "two");
  const auto end = listener.stop();
  EXPECT_EQ(end.status, 0);
  EXPECT_EQ(end.out, "");
  EXPECT_NE(end.err.find("connections"), std::string::npos) << end.err;
  EXPECT_NE(end.err.find("received         2"), std::string::npos) << end.err;
}

TEST_F(ending, of_send_on_ctrl_c_says_that_not_everything_was_sent) {
  listening_program listener(ferry_call({"listen", url()}));
  ferry::test::child sender(ferry_call({"send", listener.url()}));
  sender.write("one\n");
  EXPECT_EQ(listener.process().read_line(), "one");
  sender.kill(SIGINT);
  EXPECT_EQ(sender.wait(), 1);
  sender.read_all();
  EXPECT_EQ(sender.error_output(),
            "ferry: interrupted before everything was sent\n"
            "ferry: sent 1 message, of which at most 0 may be lost; 0 queued and not sent; the input was not sent to "
            "its end\n");
}

TEST_F(ending, of_a_program_that_does_not_react_comes_with_the_second_ctrl_c) {
  // A listener that accepts and then stands still: the sender's orderly end would take close_timeout.
  listening_program listener(ferry_call({"listen", url()}));
  ferry::test::child sender(ferry_call({"send", listener.url(), "-o", "close_timeout=1h"}));
  sender.write("one\n");
  EXPECT_EQ(listener.process().read_line(), "one");
  listener.process().kill(SIGSTOP);
  sender.kill(SIGINT);
  EXPECT_EQ(sender.read_error_line(), "ferry: interrupted before everything was sent");
  sender.kill(SIGINT);
  EXPECT_EQ(sender.wait(), 128 + SIGINT);
  listener.process().kill(SIGCONT);
}

TEST_F(ending, of_send_to_nobody_says_so_and_how_to_start_somebody) {
  const auto got = run_ferry({"send", url(), "-m", "x", "--wait", "400ms"});
  EXPECT_EQ(got.status, 1);
  const auto path = directory.file("socket");
  EXPECT_EQ(got.err,
            "ferry: connect to " + path +
                ": No such file or directory; check the name or path, or start a listener with: ferry listen " + url() +
                "\nferry: trying again for 400ms (--wait)\nferry: gave up after 400ms (--wait)\n" +
                "ferry: sent 0 messages, of which at most 0 may be lost; 1 queued and not sent\n");
}

TEST_F(ending, of_send_to_nobody_with_a_table_calls_nothing_sent_that_was_only_queued) {
  const auto got = run_ferry({"send", url(), "-m", "x", "--wait", "10ms", "--stats"});
  EXPECT_NE(got.err.find("\nqueued           1 "), std::string::npos) << got.err;
  EXPECT_EQ(got.err.find("\nsent  "), std::string::npos) << got.err;
}

TEST_F(ending, of_send_to_nobody_in_a_session_says_that_what_was_sent_is_kept) {
  const std::string in_session = url() + "?session=persistent&as=web&dir=" + directory.path().string() + "/sessions";
  const auto got = run_ferry({"send", in_session, "-m", "x", "-m", "y", "--wait", "10ms"});
  EXPECT_EQ(got.status, 1);
  EXPECT_NE(got.err.find(" not acknowledged; kept in the session until the other side has consumed them"),
            std::string::npos)
      << got.err;
}

TEST_F(ending, of_send_to_nobody_names_a_command_that_a_shell_takes_as_it_is) {
  const std::string shm = "shm://nobody?runtime_dir=" + directory.path().string();
  const auto got = run_ferry({"send", shm + "&ring_bytes=64KiB", "-m", "x", "--wait", "10ms"});
  EXPECT_EQ(got.status, 1);
  EXPECT_NE(got.err.find("start a listener with: ferry listen '" + shm + "'\n"), std::string::npos) << got.err;
}

TEST_F(ending, of_send_without_reconnecting_comes_at_the_first_failure) {
  const auto got = run_ferry({"send", url() + "?reconnect=off", "-m", "x"});
  EXPECT_EQ(got.status, 1);
  EXPECT_EQ(got.err.find("trying again"), std::string::npos) << got.err;
  EXPECT_NE(got.err.find("ferry: sent 0 messages, of which at most 0 may be lost; "), std::string::npos) << got.err;
}

TEST_F(ending, of_connect_to_nobody_says_so) {
  const auto got = run_ferry({"connect", url()});
  EXPECT_EQ(got.status, 1);
  EXPECT_EQ(got.err,
            "ferry: connect to " + directory.file("socket") +
                ": No such file or directory; check the name or path, or start a listener with: ferry listen " + url() +
                "\n");
}

TEST_F(ending, of_listen_where_somebody_listens_says_so) {
  listening_program first(ferry_call({"listen", url()}));
  const auto second = run_ferry({"listen", url()});
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.err.find("end the one that listens there, or choose another address"), std::string::npos)
      << second.err;
}

TEST_F(ending, of_listen_at_an_address_of_another_host_says_so) {
  const auto got = run_ferry({"listen", "tcp://192.0.2.1:0"});  // for documentation, and of no host: RFC 5737
  EXPECT_EQ(got.status, 2);
  EXPECT_TRUE(got.err.ends_with("; choose an address of this host, or * for all\n")) << got.err;
}

TEST_F(ending, of_listen_without_the_right_to_its_capture_speaks_of_no_address) {
  const ferry::error why(ferry::errc::permission, "capture to /a: Permission denied", EACCES);
  EXPECT_EQ(ferry::app::with_advice(why).text(),
            why.text() + "; choose a place that this user may use, or run as one who may");
}

TEST_F(ending, of_send_to_a_host_that_nobody_knows_names_no_command_to_start) {
  const ferry::error why(ferry::errc::not_found, "host 'x' not found");
  EXPECT_EQ(ferry::app::with_advice(why, "tcp://x:1").text(), "host 'x' not found; check the name");
  EXPECT_EQ(ferry::app::with_advice(why, "ipc:///x").text(),
            "host 'x' not found; check the name or path, or start a listener with: ferry listen ipc:///x");
}

TEST_F(ending, of_listen_on_a_full_disk_says_so) {
  listening_program listener(ferry_call_to("/dev/full", {"listen", url()}));
  static_cast<void>(run_ferry({"send", listener.url(), "-m", "x", "-o", "reconnect=off"}));
  EXPECT_EQ(listener.process().finish(), 1);
  EXPECT_EQ(listener.process().error_output(),
            "ferry: output failed: write to standard output: No space left on device\n");
}

TEST_F(ending, of_help_on_a_full_disk_says_so) {
  for (const char* const wanted : {"--help", "--version"}) {
    ferry::test::child asked(ferry_call_to("/dev/full", {wanted}));
    EXPECT_EQ(asked.finish(), 1) << wanted;
    EXPECT_EQ(asked.error_output(), "ferry: output failed: No space left on device\n") << wanted;
  }
}

TEST_F(ending, of_listen_without_a_reader_says_so) {
  const auto pipe = directory.file("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  ferry::os::unique_fd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  listening_program listener(ferry_call_to(pipe, {"listen", url()}));
  reader.reset();
  const auto sent = run_ferry({"send", listener.url(), "--count", "2M", "-o", "reconnect=off"});
  EXPECT_EQ(sent.status, 1);
  EXPECT_NE(sent.err.find("may be lost"), std::string::npos) << sent.err;
  EXPECT_EQ(listener.process().finish(), 1);
  EXPECT_EQ(listener.process().error_output(),
            "ferry: standard output was closed by whoever read it; what came after is not written\n");
}

TEST_F(ending, of_listen_started_without_a_standard_output_says_so) {
  const arguments call{"/bin/sh", "-c", "exec \"$0\" listen \"$1\" >&-", FERRY_PROGRAM_PATH, url()};
  listening_program listener(call);
  static_cast<void>(run_ferry({"send", listener.url(), "-m", "x", "-o", "reconnect=off"}));
  EXPECT_EQ(listener.process().finish(), 1);
  EXPECT_EQ(listener.process().error_output(), "ferry: output failed: write to standard output: Bad file descriptor\n");
}

TEST_F(ending, of_listen_after_a_count_leaves_the_rest) {
  listening_program listener(ferry_call({"listen", url(), "--count", "2"}));
  static_cast<void>(run_ferry({"send", listener.url(), "-m", "1", "-m", "2", "-m", "3", "-o", "reconnect=off"}));
  EXPECT_EQ(listener.process().finish(), 0);
  EXPECT_EQ(listener.process().output(), "1\n2\n");
  EXPECT_NE(listener.process().error_output().find("than --count 2; it is not taken\n"), std::string::npos)
      << listener.process().error_output();
}

TEST_F(ending, of_send_with_a_message_above_the_limit_says_which) {
  listening_program listener(ferry_call({"listen", url()}));
  const auto got = run_ferry({"send", listener.url(), "-o", "max_message=4", "--file", "-"}, "one\ntoo long\n");
  EXPECT_EQ(got.status, 1);
  EXPECT_EQ(
      got.err,
      "ferry: standard input: message 2 is larger than max_message (4 bytes); cut it with --split BYTES, or raise -o "
      "max_message on both sides\n"
      "ferry: sent 1 message, of which at most 0 may be lost; 0 queued and not sent; the input was not sent to its "
      "end\n");
  EXPECT_EQ(listener.stop().out, "one\n");
}

}  // namespace
