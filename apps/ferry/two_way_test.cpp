// ferry connect and ferry bridge: both directions at once.
#include <ferry/blocking.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "apps/ferry/program_under_test.hpp"

namespace {

using namespace ferry::app::test;

struct two_way : ::testing::Test {
  [[nodiscard]] std::string ipc(const std::string& name) const { return "ipc://" + directory.file(name); }
  ferry::test::temp_dir directory;
};

TEST_F(two_way, connect_shows_each_answer_as_it_comes) {
  listening_program listener(ferry_call({"listen", ipc("a"), "--echo", "--output", "none"}));
  ferry::test::child talk(ferry_call({"connect", listener.url()}));
  for (const std::string line : {"one", "", "three"}) {
    talk.write(line + "\n");
    EXPECT_EQ(talk.read_line(), line);
  }
  EXPECT_EQ(talk.finish(), 0);
  EXPECT_EQ(talk.error_output(), "");
}

TEST_F(two_way, connect_waits_for_all_answers_after_its_input_has_ended) {
  const auto text = numbered_lines(8u << 20) + "\n";
  write_file(directory.file("in"), text);
  listening_program listener(ferry_call({"listen", ipc("a"), "--echo", "--output", "none"}));
  const arguments call{"/bin/sh",
                       "-c",
                       "exec \"$0\" connect \"$1\" < \"$2\" > \"$3\"",
                       FERRY_PROGRAM_PATH,
                       listener.url(),
                       directory.file("in"),
                       directory.file("out")};
  ferry::test::child talk(call);
  EXPECT_EQ(talk.finish(), 0);
  EXPECT_TRUE(content_of(directory.file("out")) == text);
}

TEST_F(two_way, connect_ends_when_the_other_end_does) {
  listening_program listener(ferry_call({"listen", ipc("a")}));
  ferry::test::child talk(ferry_call({"connect", listener.url()}));
  talk.write("hello\n");
  EXPECT_EQ(listener.process().read_line(), "hello");
  EXPECT_EQ(listener.stop().status, 0);
  // Its input is still open.
  EXPECT_EQ(talk.wait(), 1);
  talk.read_all();
  EXPECT_EQ(talk.error_output(), "ferry: ended by the other side first; at most 1 message may be lost\n");
}

TEST_F(two_way, connect_with_echo_sends_back_all_that_comes_as_it_is) {
  auto here = ferry::listen("ws://127.0.0.1:0/chat");
  ferry::test::child mirror(ferry_call({"connect", here.url(), "--echo", "--output", "none", "--stats"}));
  auto peer = here.accept();
  using enum ferry::message_kind;
  const std::string large(3u << 20, 'x');
  const std::vector<std::pair<ferry::message_kind, std::string>> all{{text, ""}, {binary, "two"}, {text, large}};
  for (int round = 0; round < 4; ++round)
    for (const auto& [kind, said] : all) peer.send(ferry::as_bytes(said), kind);
  for (int round = 0; round < 4; ++round) {
    for (const auto& [kind, said] : all) {
      const auto back = peer.receive();
      ASSERT_TRUE(back);
      EXPECT_EQ(back->kind(), kind);
      EXPECT_TRUE(back->text() == said);
    }
  }
  peer.close();
  EXPECT_EQ(mirror.finish(), 0);
  EXPECT_NE(mirror.error_output().find("sent            12"), std::string::npos) << mirror.error_output();
}

TEST_F(two_way, connect_with_echo_reads_no_input) {
  const auto got = run_ferry({"connect", ipc("a"), "--echo", "--split", "whole"});
  EXPECT_EQ(got.status, 2);
  EXPECT_EQ(got.err, "ferry: --split excludes --echo\nferry: see 'ferry connect --help'\n");
}

TEST_F(two_way, bridge_carries_both_directions_and_their_ends) {
  listening_program listener(ferry_call({"listen", ipc("a"), "--echo", "--output", "none"}));
  listening_program between(
      ferry_call({"bridge", "--listen", "shm://between?runtime_dir=" + directory.path().string(), listener.url()}));
  listening_program bridge(ferry_call({"bridge", "--listen", "tcp://127.0.0.1:0", between.url(), "--stats"}));
  write_file(directory.file("in"), numbered_lines(20u << 20));
  const auto sent = run_ferry({"send", bridge.url(), "--file", directory.file("in"), "--expect-echo"});
  EXPECT_EQ(sent.status, 0);
  EXPECT_EQ(sent.err, "");
  // The answers come after the question's end.
  const auto asked = run_ferry({"connect", bridge.url()}, "question\n");
  EXPECT_EQ(asked.status, 0);
  EXPECT_EQ(asked.out, "question\n");
  const auto end = bridge.stop();
  EXPECT_EQ(end.status, 0);
  EXPECT_NE(end.err.find("first to second"), std::string::npos) << end.err;
  EXPECT_EQ(between.stop().status, 0);
}

TEST_F(two_way, bridge_connects_two_that_listen_and_ends_both_on_ctrl_c) {
  listening_program first(ferry_call({"listen", ipc("a"), "--log", "info"}));
  listening_program second(ferry_call({"listen", ipc("b"), "--log", "info"}));
  ferry::test::child bridge(ferry_call({"bridge", first.url(), second.url()}));
  for (auto* const one : {&first, &second}) {
    const auto line = one->process().read_error_line();
    ASSERT_TRUE(line && line->find("connection from pid ") != std::string::npos) << line.value_or("nothing");
  }
  bridge.kill(SIGINT);
  EXPECT_EQ(bridge.finish(), 0);
  EXPECT_EQ(bridge.error_output(), "");
  EXPECT_EQ(first.stop().status, 0);
  EXPECT_EQ(second.stop().status, 0);
}

TEST_F(two_way, listen_says_who_has_come_and_what_he_says_of_himself) {
  const std::string of_session = "?session=persistent&dir=" + directory.path().string();
  listening_program listener(
      ferry_call({"listen", ipc("a") + of_session + "&as=bob", "--log", "info", "--output", "json"}));
  EXPECT_EQ(run_ferry({"send", ipc("a") + of_session + "&as=alice", "-o", "login_data=desk 7\t", "-m", "hello"}).status,
            0);
  std::string all;
  while (all.find("connection from ") == all.npos) {
    const auto line = listener.process().read_error_line();
    ASSERT_TRUE(line) << all;
    all += *line + "\n";
  }
  EXPECT_NE(all.find(" ('desk 7\\x09')"), std::string::npos) << all;
  const auto end = listener.stop();
  EXPECT_EQ(end.status, 0);
  EXPECT_NE(end.out.find(R"("login_data":"desk 7\\x09")"), std::string::npos) << end.out;
}

TEST_F(two_way, bridge_says_which_side_is_not_there) {
  listening_program listener(ferry_call({"listen", ipc("a")}));
  const auto got = run_ferry({"bridge", listener.url(), ipc("b")});
  EXPECT_EQ(got.status, 1);
  EXPECT_EQ(got.err,
            "ferry: " + ipc("b") + ": connect to " + directory.file("b") +
                ": No such file or directory; check the name or path, or start a listener with: ferry listen " +
                ipc("b") + "\n");
}

}  // namespace
