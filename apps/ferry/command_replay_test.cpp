// ferry replay, against the program itself: what was captured is played again, from both sides.
#include <gmock/gmock.h>

#include "apps/ferry/program_under_test.hpp"

namespace ferry::app::test {
namespace {

using ::testing::HasSubstr;

class command_replay : public ::testing::Test {
 protected:
  /// Captures a conversation of a client with an echoing listener at `url`.
  void record(const std::string& url, const arguments& more = {}) {
    arguments words{"listen", url, "--echo", "-o", "capture=" + capture()};
    words.insert(words.end(), more.begin(), more.end());
    listening_program listening(ferry_call(words));
    const auto sent =
        run_ferry({"send", listening.url(), "-m", "hello", "-m", std::string(5000, 'w'), "--expect-echo"});
    ASSERT_EQ(sent.status, 0) << sent.err;
    ASSERT_EQ(listening.stop().status, 0);
  }
  [[nodiscard]] std::string capture() const { return dir.file("talk.pcap"); }

  ferry::test::temp_dir dir;
};

TEST_F(command_replay, lists_the_connections_of_a_capture) {
  record("tcp://127.0.0.1:0");
  const auto shown = run_ferry({"replay", capture(), "--list"});
  EXPECT_EQ(shown.status, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("127.0.0.1:"));
  EXPECT_THAT(shown.out, HasSubstr("5008 bytes there, 5008 back, closed\n"));
}

TEST_F(command_replay, plays_the_client_and_finds_the_same_answers) {
  record("tcp://127.0.0.1:0");
  for (const auto* url : {"tcp://127.0.0.1:0", "ipc://@"}) {
    listening_program listening(
        ferry_call({"listen", url == std::string("ipc://@") ? "ipc://" + dir.file("s") : url, "--echo"}));
    for (const auto* speed : {"0", "1000"}) {
      const auto played = run_ferry({"replay", capture(), listening.url(), "--speed", speed});
      EXPECT_EQ(played.status, 0) << played.err;
      EXPECT_THAT(played.err, HasSubstr("5008 bytes sent, 5008 bytes of answers, the same as in the capture"));
    }
    const auto all = listening.stop();
    EXPECT_EQ(all.status, 0) << all.err;
    EXPECT_THAT(all.out, HasSubstr("hello\n"));
  }
}

TEST_F(command_replay, says_where_the_answers_differ) {
  record("tcp://127.0.0.1:0");
  listening_program listening(ferry_call({"listen", "tcp://127.0.0.1:0"}));
  const auto played = run_ferry({"replay", capture(), listening.url(), "--wait", "200ms"});
  EXPECT_EQ(played.status, 1);
  EXPECT_THAT(played.err, HasSubstr("0 of 5008 bytes of answers"));
  const auto driven = run_ferry({"replay", capture(), listening.url(), "--ignore-answers"});
  EXPECT_EQ(driven.status, 0) << driven.err;
}

TEST_F(command_replay, shows_both_versions_of_an_answer_that_is_another) {
  record("tcp://127.0.0.1:0");
  listening_program listening(ferry_call({"listen", "tcp://127.0.0.1:0", "--echo"}));
  // One byte of the first answer, in the capture.
  std::string file = content_of(capture());
  const auto first = file.find("hello");
  const auto answer = file.find("hello", first + 1);
  ASSERT_NE(answer, std::string::npos);
  file[answer + 1] = 'a';
  write_file(capture(), file);
  const auto played = run_ferry({"replay", capture(), listening.url()});
  EXPECT_EQ(played.status, 1);
  EXPECT_THAT(played.err, HasSubstr("the answers differ at offset 2; from offset 0:"));
  EXPECT_THAT(played.err, HasSubstr("05 68 61 6c 6c 6f"));
  EXPECT_THAT(played.err, HasSubstr("05 68 65 6c 6c 6f"));
}

TEST_F(command_replay, plays_the_server) {
  record("tcp://127.0.0.1:0");
  listening_program playing(ferry_call({"replay", capture(), "tcp://127.0.0.1:0", "--as", "server"}));
  const auto sent = run_ferry({"send", playing.url(), "-m", "hello", "-m", std::string(5000, 'w'), "--expect-echo"});
  EXPECT_EQ(sent.status, 0) << sent.err;
  const auto status = playing.process().finish();
  EXPECT_EQ(status, 0) << playing.process().error_output();
}

TEST_F(command_replay, plays_the_server_of_a_websocket_to_a_client_with_a_key_of_its_own) {
  record("ws://127.0.0.1:0/chat");
  listening_program playing(ferry_call({"replay", capture(), "ws://127.0.0.1:0", "--as", "server"}));
  const auto address = playing.url().substr(playing.url().find("127."));
  const auto sent =
      run_ferry({"send", "ws://" + address + "/chat", "-m", "hello", "-m", std::string(5000, 'w'), "--expect-echo"});
  EXPECT_EQ(sent.status, 0) << sent.err;
  const auto status = playing.process().finish();
  EXPECT_EQ(status, 0) << playing.process().error_output();
}

TEST_F(command_replay, captures_a_unix_socket_with_addresses_made_up) {
  record("ipc://" + dir.file("s"));
  const auto shown = run_ferry({"replay", capture(), "--list"});
  EXPECT_THAT(shown.out, HasSubstr("192.0.2.1:1024 -> 192.0.2.2:9000"));
}

TEST_F(command_replay, says_what_is_wrong_with_its_command_line) {
  EXPECT_EQ(run_ferry({"replay", "/nowhere"}).status, 2);
  EXPECT_EQ(run_ferry({"replay", dir.file("none"), "--list"}).status, 1);
  record("tcp://127.0.0.1:0");
  const auto far = run_ferry({"replay", capture(), "tcp://127.0.0.1:1", "--flow", "9"});
  EXPECT_EQ(far.status, 1);
  EXPECT_THAT(far.err, HasSubstr("no connection 9"));
  write_file(dir.file("text"), "this is no capture at all, but a text");
  EXPECT_EQ(run_ferry({"replay", dir.file("text"), "--list"}).status, 1);
}

}  // namespace
}  // namespace ferry::app::test
