// `ferry gateway` as process 1 of a container: a pid namespace of its own, where the system treats it otherwise.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "apps/ferry/gateway_under_test.hpp"

namespace ferry::app {
namespace {

// Processes whose parent is that one, as this side of the namespace numbers them.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> made;
  std::error_code failed;
  for (std::filesystem::directory_iterator at("/proc", failed), end; !failed && at != end; at.increment(failed)) {
    const auto number = static_cast<pid_t>(std::strtol(at->path().filename().c_str(), nullptr, 10));
    std::string line;  // empty: it has ended meanwhile
    if (std::ifstream stat(at->path().string() + "/stat"); number != 0) std::getline(stat, line);
    std::istringstream rest(line.substr(std::min(line.size(), line.rfind(')') + 1)));
    char state = 0;
    pid_t of = 0;
    if (rest >> state >> of && of == parent) made.push_back(number);
  }
  return made;
}

class gateway_in_a_container : public test::gateway_process {
 protected:
  // @return false: this machine does not let us make namespaces, of which the test is told
  bool begin(const test::arguments& more) {
    start_at_home(more, {},
                  {"unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child", "--"});
    const auto line = it->read_error_line().value_or("unshare: nothing");
    if (line.starts_with("unshare: ")) {
      static_cast<void>(it->finish());
      it.reset();
      return false;
    }
    clients = line.substr(line.rfind(':') + 1);
    servers = port_on_next_line();
    const auto inside = children_of(it->pid());
    EXPECT_EQ(inside.size(), 1u);
    if (!inside.empty()) first = inside.front();
    EXPECT_EQ(test::content_of(place.file("ferry.pid")), "1\n");
    return true;
  }
  // @return the status of process 1
  int end_by(int signal) {
    ::kill(first, signal);
    const auto status = it->finish();
    it.reset();
    return status.value_or(-1);
  }
  void TearDown() override {
    if (!it) return;
    peers.clear();
    EXPECT_EQ(end_by(SIGTERM), 0);
  }
  template <class Condition>
  static void wait_until(const Condition& holds, const char* what) {
    const auto end = std::chrono::steady_clock::now() + ferry::test::child::k_limit;
    while (!holds()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "gave up waiting: " << what;
      std::this_thread::yield();
    }
  }
  std::string clients, servers;
  pid_t first = -1;  // as this side numbers it
};

constexpr const char* k_not_allowed = "this machine does not allow namespaces to this user";

TEST_F(gateway_in_a_container, ends_in_order_when_it_is_told_to_stop) {
  if (!begin({})) GTEST_SKIP() << k_not_allowed;
  EXPECT_EQ(end_by(SIGTERM), 0);
  EXPECT_FALSE(std::filesystem::exists(place.file("ferry.pid")));
}

TEST_F(gateway_in_a_container, ends_at_once_when_it_is_told_a_second_time) {
  using codec::gateway::command;
  if (!begin({"--stop-within", "1h"})) GTEST_SKIP() << k_not_allowed;
  auto& server = knocking(servers, 7, "");
  EXPECT_TRUE(server.is_well());
  EXPECT_TRUE(says_next("server 7 is there"));
  auto& c = client(clients);
  c.say(command::dial(7));
  ASSERT_TRUE(c.next_command());
  ::kill(first, SIGTERM);
  EXPECT_TRUE(says_next("again to end at once"));
  EXPECT_EQ(end_by(SIGTERM), 128 + SIGTERM) << "signals with their default action do not reach process 1";
}

TEST_F(gateway_in_a_container, reaps_what_its_checks_leave_behind_and_still_hears_their_answers) {
  // A check that starts something which outlives it, until the fifo is written to.
  const auto fifo = place.file("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const auto check = place.file("check");
  test::write_file(check, "#!/bin/sh\nsh -c 'read line < " + fifo + "' < /dev/null 2> /dev/null &\nexit 0\n");
  ASSERT_EQ(::chmod(check.c_str(), 0700), 0);
  if (!begin({"--client-check-command", check})) GTEST_SKIP() << k_not_allowed;
  (void)client(clients);
  std::vector<pid_t> left;
  wait_until([&] { return (left = children_of(first)).size() == 1; }, "what the check has started is its own now");
  std::ofstream(fifo) << "end\n";
  wait_until([&] { return children_of(first).empty(); }, "it has ended and is reaped");
  (void)client(clients);
  std::ofstream(fifo) << "end\n";
  wait_until([&] { return children_of(first).empty(); }, "so is the next");
}

}  // namespace
}  // namespace ferry::app
