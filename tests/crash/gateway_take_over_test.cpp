// A gateway that takes another one's place is stepped from one system call that others notice to the next, and one of
// the two is killed wherever it stands: who connects is never refused as long as one of them has the listening sockets,
// and whoever is left serves.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "codec/gateway_packet.hpp"
#include "os/unique_fd.hpp"
#include "stepped_child.hpp"
#include "testing/child.hpp"
#include "testing/raw_tcp.hpp"
#include "testing/raw_unix.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::test {
namespace {

using codec::gateway::command;
using words = std::vector<std::string>;

constexpr int k_most_steps = 20'000;
// Of all system calls those that others notice, and so moments that differ.
constexpr std::uint64_t k_noticed[] = {
    SYS_sendmsg,    SYS_recvmsg,  SYS_bind,  SYS_listen,    SYS_write,       SYS_writev,
    SYS_pwrite64,   SYS_unlinkat, SYS_close, SYS_ftruncate, SYS_epoll_pwait,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
};

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A connection is taken; whoever takes it may die at once.
bool is_refused(std::uint16_t port) {
  try {
    const raw_tcp one(port);
    return false;
  } catch (const std::system_error&) {
    return true;
  }
}
bool serves(std::uint16_t port) {
  raw_tcp one(port);
  const auto encoded = encode(command::ping());
  const std::string ping(as_text(encoded.view()));
  one.send(ping);
  const auto end = std::chrono::steady_clock::now() + child::k_limit;
  while (one.received().size() < ping.size() && !one.ended() && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  return one.received() == ping;
}

// The inode of the socket that listens at a port of 127.0.0.1.
std::string inode_listening_at(std::uint16_t port) {
  char local[16];
  std::snprintf(local, sizeof local, "0100007F:%04X", static_cast<unsigned>(port));
  std::ifstream table("/proc/net/tcp");
  for (std::string line; std::getline(table, line);) {
    std::istringstream in(line);
    std::string slot, at, to, state, queues, timer, retries, user, timeouts, inode;
    in >> slot >> at >> to >> state >> queues >> timer >> retries >> user >> timeouts >> inode;
    if (at == local && state == "0A") return inode;
  }
  return {};
}
bool has_socket(pid_t who, const std::string& inode) {
  std::error_code gone;
  for (const auto& one : std::filesystem::directory_iterator("/proc/" + std::to_string(who) + "/fd", gone))
    if (std::filesystem::read_symlink(one.path(), gone) == "socket:[" + inode + "]") return true;
  return false;
}

// The one that takes over, from when it waits to be answered, and what it says.
class stepped_gateway {
 public:
  explicit stepped_gateway(words call) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    said_.reset(ends[0]);
    const os::unique_fd to(ends[1]);
    ::fcntl(said_.get(), F_SETFL, O_NONBLOCK);
    std::vector<char*> argv;
    for (auto& one : call) argv.push_back(one.data());
    argv.push_back(nullptr);
    it_ = std::make_unique<stepped_child>(
        [&] {
          ::prctl(PR_SET_PDEATHSIG, SIGKILL);
          ::dup2(to.get(), 2);
          ::execv(argv[0], argv.data());
        },
        stepped_child::held::later);
  }
  // Nobody answers it yet. @return false: it cannot be stopped
  [[nodiscard]] bool stop_when_it_waits() {
    const auto end = std::chrono::steady_clock::now() + child::k_limit;
    const auto waits_in = [&] {
      std::ifstream from("/proc/" + std::to_string(it_->pid()) + "/syscall");
      std::uint64_t number = 0;
      return from >> number ? std::optional(number) : std::nullopt;
    };
    for (auto now = waits_in(); !now || (*now != SYS_ppoll && *now != k_poll); now = waits_in()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return it_->take_hold();
  }
  [[nodiscard]] stepped_child& process() { return *it_; }
  // To the beginning or the end of the next call that others notice. @return false: it has ended
  [[nodiscard]] bool step() {
    if (inside_) {
      inside_ = false;
      return it_->step_to_system_call();
    }
    for (int i = 0; i < k_most_steps && it_->step_to_system_call(); ++i) {
      const auto now = it_->entering();
      inside_ = now && std::find(std::begin(k_noticed), std::end(k_noticed), now->number) != std::end(k_noticed);
      if (inside_) return true;
    }
    return false;
  }
  [[nodiscard]] bool has_said(std::string_view what) {
    char buffer[4096];
    for (ssize_t n = 0; (n = ::read(said_.get(), buffer, sizeof buffer)) > 0;)
      text_.append(buffer, static_cast<std::size_t>(n));
    return text_.find(what) != std::string::npos;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
#ifdef SYS_poll
  static constexpr std::uint64_t k_poll = SYS_poll;
#else
  static constexpr std::uint64_t k_poll = SYS_ppoll;
#endif
  os::unique_fd said_;
  std::unique_ptr<stepped_child> it_;
  bool inside_ = false;  // it stands at the beginning of such a call
  std::string text_;
};

class gateway_take_over : public ::testing::Test {
 protected:
  [[nodiscard]] words call(bool over) const {
    words made{FERRY_PROGRAM_PATH, "gateway",
               "-ClientAddr",      "127.0.0.1:" + std::to_string(clients) + " ipc://" + place.file("c.sock"),
               "-ServerAddr",      "127.0.0.1:0",
               "--pid-file",       place.file("g.pid")};
    if (over) made.emplace_back("--take-over");
    return made;
  }
  void start() {
    // LeakSanitizer does not come to an end in a process that is stopped and continued.
    old.emplace(call(false), child_options{{"ASAN_OPTIONS=detect_leaks=0"}, {}});
    ASSERT_FALSE(line_with("clients: listening on tcp").empty());
    ASSERT_FALSE(line_with("servers: listening on").empty());
  }
  // The old one does nothing until SIGCONT.
  void put_to_sleep() {
    old->kill(SIGSTOP);
    const auto sleeps = [this] {
      const auto stat = content_of("/proc/" + std::to_string(old->pid()) + "/stat");
      return stat.find(") T ") != stat.npos;
    };
    while (!sleeps()) std::this_thread::yield();
  }
  // The next line of the old one with one of those texts.
  std::string line_with(std::string_view text, std::string_view other = "\n") {
    while (const auto line = old->read_error_line())
      if (line->find(text) != line->npos || line->find(other) != line->npos) return *line;
    return {};
  }
  [[nodiscard]] std::string number() const { return content_of(place.file("g.pid")); }
  [[nodiscard]] bool serves_all() const { return serves(clients) && raw_unix::connect(place.file("c.sock")).fd() >= 0; }

  temp_dir place;
  std::optional<child> old;
  const reserved_port reserved;  // while nobody listens nobody else takes it
  const std::uint16_t clients = reserved.number();
};

TEST_F(gateway_take_over, leaves_the_old_one_in_its_place_wherever_the_new_one_is_killed_until_that_has_let_go) {
  start();
  int went_on = 0, let_go = 0;
  for (int moment = 0;; ++moment) {
    put_to_sleep();
    stepped_gateway next(call(true));
    if (!next.stop_when_it_waits()) GTEST_SKIP() << "ptrace is not allowed here";
    old->kill(SIGCONT);
    bool over = false, last_words = false;
    for (int i = 0; i < moment && !over; ++i) {
      // What it says last waits for the old one when it is killed.
      const auto now = next.process().entering();
      last_words = i + 1 == moment && now && now->number == SYS_sendmsg;
      if (last_words) put_to_sleep();
      ASSERT_TRUE(next.step()) << next.text();
      ASSERT_FALSE(is_refused(clients)) << "step " << i;
      over = next.has_said("has taken over from process");
    }
    next.process().kill();
    if (over) break;
    old->kill(SIGCONT);
    const auto line = line_with("nobody takes over", " has taken over");
    if (line.find("nobody takes over") != line.npos) {
      ++went_on;
      ASSERT_FALSE(is_refused(clients)) << "moment " << moment;
      ASSERT_EQ(number(), std::to_string(old->pid()) + "\n");
      continue;
    }
    ASSERT_FALSE(line.empty()) << "moment " << moment;
    ASSERT_FALSE(last_words) << "it let go of everything for one that was dead";
    ++let_go;  // that was the gateway that was killed
    ASSERT_EQ(old->finish(), 0) << old->error_output();
    start();
  }
  EXPECT_GT(went_on, 10);
  EXPECT_GT(let_go, 0);
  EXPECT_EQ(old->finish(), 0) << old->error_output();
}

TEST_F(gateway_take_over, goes_on_wherever_the_old_one_is_killed) {
  start();
  int before = 0, after = 0;
  for (int moment = 0;; ++moment) {
    put_to_sleep();
    stepped_gateway next(call(true));
    if (!next.stop_when_it_waits()) GTEST_SKIP() << "ptrace is not allowed here";
    old->kill(SIGCONT);
    const auto inode = inode_listening_at(clients);
    ASSERT_FALSE(inode.empty());
    bool over = false;
    for (int i = 0; i < moment && !over; ++i) {
      ASSERT_TRUE(next.step()) << next.text();
      over = next.has_said("has taken over from process");
    }
    if (over) break;
    old->kill(SIGKILL);
    (void)old->wait();
    const bool had_it = has_socket(next.process().pid(), inode);
    ++(had_it ? after : before);
    for (int i = 0; i < k_most_steps && !next.has_said("servers: listening on"); ++i) {
      ASSERT_TRUE(next.step()) << "moment " << moment << ": " << next.text();
      ASSERT_FALSE(had_it && is_refused(clients)) << "moment " << moment << ", step " << i;
    }
    next.process().let_go();
    EXPECT_TRUE(serves_all()) << "moment " << moment << ": " << next.text();
    EXPECT_EQ(number(), std::to_string(next.process().pid()) + "\n") << "moment " << moment;
    next.process().kill();
    start();
  }
  EXPECT_GT(before, 0);
  EXPECT_GT(after, 10);
}

}  // namespace
}  // namespace ferry::test
