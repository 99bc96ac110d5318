// The main job: the lines of a file from one process to another.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "apps/ferry/program_under_test.hpp"
#include "testing/raw_tcp.hpp"

namespace {

using namespace ferry::app::test;

class transfer : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { ::setenv("RUNTIME_DIRECTORY", directory_.path().c_str(), 1); }
  void TearDown() override { ::unsetenv("RUNTIME_DIRECTORY"); }
  /// Where to listen; every test process has its own directory, and a port that nobody else takes.
  [[nodiscard]] std::string url() const {
    const std::string scheme = GetParam();
    if (scheme == "shm") return "shm://transfer";
    return scheme == "ipc" ? "ipc://" + directory_.file("socket") : "tcp://127.0.0.1:" + std::to_string(port_.number());
  }
  [[nodiscard]] std::string file(const std::string& name) const { return directory_.file(name); }

 private:
  ferry::test::temp_dir directory_;
  ferry::test::reserved_port port_;
};

INSTANTIATE_TEST_SUITE_P(over, transfer, ::testing::Values("ipc", "tcp", "shm"),
                         [](const auto& it) { return it.param; });

TEST_P(transfer, gives_the_same_bytes_with_empty_and_long_lines) {
  const auto text = numbered_lines(20u << 20) + "\n";
  write_file(file("sent"), text);
  listening_program listener(ferry_call_to(file("received"), {"listen", url()}));
  const auto sent = run_ferry({"send", listener.url(), "--file", file("sent")});
  EXPECT_EQ(sent.status, 0);
  EXPECT_EQ(sent.err, "");
  EXPECT_EQ(listener.stop().status, 0);
  EXPECT_TRUE(content_of(file("received")) == text);
}

TEST_P(transfer, makes_a_last_line_without_a_newline_a_message_too) {
  listening_program listener(ferry_call({"listen", url(), "--count", "3"}));
  EXPECT_EQ(run_ferry({"send", listener.url(), "--file", "-"}, "one\n\nlast").status, 0);
  EXPECT_EQ(listener.process().finish(), 0);
  EXPECT_EQ(listener.process().output(), "one\n\nlast\n");
}

TEST_P(transfer, gives_the_same_bytes_in_chunks_and_as_a_whole) {
  const auto text = numbered_lines(5'000'000);
  write_file(file("sent"), text);
  for (const auto* split : {"1000", "1MiB", "whole"}) {
    listening_program listener(ferry_call_to(file("received"), {"listen", url(), "--output", "raw"}));
    EXPECT_EQ(run_ferry({"send", listener.url(), "--file", file("sent"), "--split", split}).status, 0) << split;
    EXPECT_EQ(listener.stop().status, 0);
    EXPECT_TRUE(content_of(file("received")) == text) << split;
  }
}

TEST_P(transfer, sends_texts_as_they_are) {
  listening_program listener(ferry_call({"listen", url(), "--count", "4"}));
  EXPECT_EQ(run_ferry({"send", listener.url(), "-m", "[a,b]", "-m", "", "-m", "--file", "--message=x y"}).status, 0);
  EXPECT_EQ(listener.process().finish(), 0);
  EXPECT_EQ(listener.process().output(), "[a,b]\n\n--file\nx y\n");
}

TEST_P(transfer, sends_generated_messages_at_a_pace) {
  listening_program listener(ferry_call({"listen", url(), "--count", "20"}));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(run_ferry({"send", listener.url(), "--count", "20", "--size", "14", "--rate", "100"}).status, 0);
  // The last one is due 19/100 s after the first.
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(190));
  EXPECT_EQ(listener.process().finish(), 0);
  const auto lines = lines_of(listener.process().output());
  ASSERT_EQ(lines.size(), 20u);
  EXPECT_EQ(lines.front(), "000000000000mn");
  EXPECT_EQ(lines.back(), "000000000019mn");
}

TEST_P(transfer, checks_every_echo) {
  write_file(file("sent"), numbered_lines(20u << 20));
  listening_program listener(ferry_call({"listen", url(), "--echo", "--output", "none", "--stats"}));
  const auto sent = run_ferry({"send", listener.url(), "--file", file("sent"), "--expect-echo"});
  EXPECT_EQ(sent.status, 0);
  EXPECT_EQ(sent.err, "");
  const auto end = listener.stop();
  EXPECT_EQ(end.status, 0);
  EXPECT_EQ(end.out, "");
  EXPECT_NE(end.err.find("received"), std::string::npos) << end.err;
}

TEST_P(transfer, says_how_many_echoes_are_missing) {
  listening_program listener(ferry_call({"listen", url(), "--output", "none"}));
  const auto sent = run_ferry({"send", listener.url(), "--count", "5", "--expect-echo"});
  EXPECT_EQ(sent.status, 1);
  EXPECT_EQ(sent.err,
            "ferry: 5 messages did not come back; does the other end run with --echo?\n"
            "ferry: sent 5 messages, of which at most 0 may be lost; 0 queued and not sent\n");
}

TEST_P(transfer, takes_messages_of_many_senders) {
  listening_program listener(ferry_call({"listen", url()}));
  {
    std::vector<std::unique_ptr<ferry::test::child>> senders;
    for (const auto* name : {"a", "b", "c"}) {
      senders.push_back(std::make_unique<ferry::test::child>(ferry_call({"send", listener.url()})));
      for (int i = 0; i < 100; ++i) senders.back()->write(name + std::to_string(i) + "\n");
    }
    for (auto& sender : senders) EXPECT_EQ(sender->finish(), 0);
  }
  const auto end = listener.stop();
  EXPECT_EQ(end.status, 0);
  const auto lines = lines_of(end.out);
  ASSERT_EQ(lines.size(), 300u);
  for (const char name : {'a', 'b', 'c'}) {
    int next = 0;
    for (const auto& line : lines) {
      if (line.front() != name) continue;
      EXPECT_EQ(line, name + std::to_string(next++));
    }
    EXPECT_EQ(next, 100);
  }
}

/// What "... at most N message(s) may be lost" in the last line says.
std::size_t bound_in(const std::string& summary) {
  const std::string before = "at most ";
  const auto at = summary.rfind(before);
  return at == std::string::npos ? 0 : std::stoul(summary.substr(at + before.size()));
}

TEST_P(transfer, goes_on_when_the_listener_is_killed_and_started_again) {
  constexpr int count = 200'000;
  const auto where = url();
  const ferry::test::temp_dir outputs;
  const auto started = [&](const std::string& at, const char* name) {
    return std::make_unique<listening_program>(ferry_call_to(outputs.file(name), {"listen", at}));
  };
  auto first = started(where, "first");
  ferry::test::child sender(ferry_call({"send", first->url(), "-o", "reconnect_base=10ms"}));
  // Half of it, then the listener dies at whatever it is doing; the rest comes while nobody listens, and after that.
  for (int i = 0; i < count / 2; ++i) ASSERT_TRUE(sender.write(std::to_string(i) + "\n"));
  const auto again_at = first->url();
  first->process().kill(SIGKILL);
  EXPECT_EQ(first->process().wait(), 128 + SIGKILL);
  const auto lost_line = sender.read_error_line();
  ASSERT_TRUE(lost_line && lost_line->starts_with("ferry: connection lost: ")) << lost_line.value_or("nothing");
  auto second = started(again_at, "second");
  for (int i = count / 2; i < count; ++i) ASSERT_TRUE(sender.write(std::to_string(i) + "\n"));
  const auto status = sender.finish();
  EXPECT_EQ(second->stop().status, 0);

  auto arrived = content_of(outputs.file("first"));
  arrived.resize(arrived.rfind('\n') == std::string::npos ? 0 : arrived.rfind('\n') + 1);
  auto lines = lines_of(arrived);
  const auto after = lines_of(content_of(outputs.file("second")));
  lines.insert(lines.end(), after.begin(), after.end());
  std::vector<int> numbers;
  for (const auto& line : lines) numbers.push_back(std::stoi(line));
  EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  EXPECT_EQ(std::set<int>(numbers.begin(), numbers.end()).size(), numbers.size()) << "something arrived twice";
  ASSERT_FALSE(numbers.empty());
  EXPECT_EQ(numbers.back(), count - 1);

  const auto missing = static_cast<std::size_t>(count) - numbers.size();
  EXPECT_LE(missing, bound_in(sender.error_output())) << sender.error_output();
  EXPECT_EQ(status, missing == 0 && bound_in(sender.error_output()) == 0 ? 0 : 1);
}

}  // namespace
