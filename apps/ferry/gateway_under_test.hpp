#pragma once
/// `ferry gateway` as a child process that a test talks to.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "apps/ferry/program_under_test.hpp"
#include "testing/gateway_by_hand.hpp"

namespace ferry::app::test {

class gateway_process : public ::testing::Test {
 protected:
  /// Without a name, unless `more` gives it one.
  void start(const arguments& more) {
    auto words = words_of_call(more);
    if (std::find(more.begin(), more.end(), "--name") == more.end()) words.insert(words.end(), {"--name", ""});
    it.emplace(ferry_call(words));
  }
  /// In the test's own directory, with the name that it has by default. @param before  what runs it, if it is not the
  /// shell alone
  void start_at_home(const arguments& more, const ferry::test::child_options& with = {}, const arguments& before = {}) {
    it.emplace(at_home(words_of_call(more), before), with);
  }
  [[nodiscard]] arguments at_home(const arguments& words, const arguments& before = {}) const {
    arguments call{"/bin/sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh", place.path().string()};
    call.insert(call.end(), before.begin(), before.end());
    const auto program = ferry_call(words);
    call.insert(call.end(), program.begin(), program.end());
    return call;
  }
  [[nodiscard]] static arguments words_of_call(const arguments& more) {
    arguments words{"gateway", "-ClientAddr=127.0.0.1:0", "-ServerAddr=127.0.0.1:0"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::string port_on_next_line() {
    const auto line = it->read_error_line();
    EXPECT_TRUE(line && line->find("listening on") != std::string::npos) << line.value_or("nothing");
    return line ? line->substr(line->rfind(':') + 1) : "0";
  }
  /// The next line of its log ends so.
  ::testing::AssertionResult says_next(const std::string& end) {
    const auto line = it->read_error_line().value_or("nothing");
    return line.ends_with(end) ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << line;
  }
  /// What it answers to commands in NAME.cmd, its next line.
  std::string answer_to(const std::string& commands, const std::string& name = "ferry") {
    write_file(place.file(name + ".cmd"), commands);
    it->kill(SIGUSR1);
    return it->read_error_line().value_or("nothing");
  }
  static std::string page(const std::string& port, const std::string& path) {
    ferry::test::raw_tcp one(static_cast<std::uint16_t>(std::stoi(port)));
    one.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (!one.ended()) std::this_thread::yield();
    return one.received();
  }
  static void wait_for_text(const std::string& path, const std::string& text) {
    const auto end = std::chrono::steady_clock::now() + ferry::test::child::k_limit;
    while (content_of(path).find(text) == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << path << " says: " << content_of(path);
      std::this_thread::yield();
    }
  }
  /// SIGTERM, and an orderly end.
  void stop() {
    peers.clear();
    it->kill(SIGTERM);
    EXPECT_EQ(it->finish(), 0) << it->error_output();
    it.reset();
  }
  void TearDown() override {
    if (it) stop();
  }
  /// A client, or a server of that key and ID, once it has logged in.
  ferry::test::gateway_peer& client(const std::string& port) {
    auto& made = peers.emplace_back(io, static_cast<std::uint16_t>(std::stoi(port)));
    EXPECT_TRUE(made.is_well());
    return made;
  }
  ferry::test::gateway_peer& knocking(const std::string& port, std::uint32_t id, const char* key) {
    auto& made = peers.emplace_back(io, static_cast<std::uint16_t>(std::stoi(port)));
    EXPECT_TRUE(ferry::test::run_until(
        io, [&] { return made.socket().received().size() >= 8; }, "the challenge"));
    codec::gateway::challenge asked{};
    const auto came = made.socket().take(asked.size());
    std::copy_n(as_bytes(came).begin(), came.size(), asked.begin());
    made.send(as_text(codec::gateway::encode({codec::gateway::prove(asked, key), id})));
    return made;
  }
  ferry::test::temp_dir place;
  boost::asio::io_context io{1};
  std::deque<ferry::test::gateway_peer> peers;
  std::optional<ferry::test::child> it;
};

}  // namespace ferry::app::test
