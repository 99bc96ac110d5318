#include "os/thread_stacks.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "os/process_view.hpp"
#include "testing/watchdog.hpp"

namespace ferry::os {
namespace {

std::uint32_t this_thread() { return static_cast<std::uint32_t>(::syscall(SYS_gettid)); }

const thread_stack* find(const std::vector<thread_stack>& all, std::uint32_t id) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.id == id; });
  return found == all.end() ? nullptr : &*found;
}

bool has(const thread_stack& one, const std::string& text) {
  return std::any_of(one.frames.begin(), one.frames.end(),
                     [&](const auto& frame) { return frame.find(text) != std::string::npos; });
}

// A thread that waits in poll() until its pipe is closed.
class waiting_thread {
 public:
  explicit waiting_thread(bool deaf) {
    if (::pipe(ends_) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    thread_ = std::thread([this, deaf] {
      sigset_t all;
      sigfillset(&all);
      if (deaf) ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
      id_ = this_thread();
      id_.notify_all();
      pollfd one{ends_[0], POLLIN, 0};
      while (::poll(&one, 1, -1) < 0 && errno == EINTR) ++interrupted_;
    });
    id_.wait(0);
  }
  ~waiting_thread() {
    ::close(ends_[1]);
    thread_.join();
    ::close(ends_[0]);
  }
  waiting_thread(const waiting_thread&) = delete;
  waiting_thread& operator=(const waiting_thread&) = delete;
  [[nodiscard]] std::uint32_t id() const { return id_; }

 private:
  int ends_[2]{};
  std::atomic<std::uint32_t> id_{0};
  std::atomic<int> interrupted_{0};
  std::thread thread_;
};

// Once the thread that has that id waits.
void wait_until_it_sleeps(std::uint32_t id) {
  for (;;) {
    for (const auto& one : threads_of_process())
      if (one.id == id && one.state == 'S') return;
    std::this_thread::yield();
  }
}

// Asks until that thread has answered, which a busy machine may not let it in time.
std::vector<thread_stack> stacks_with(std::uint32_t id) {
  const auto end = std::chrono::steady_clock::now() + test::k_patience;
  for (;;) {
    auto all = stacks_of_threads();
    const auto* const one = find(all, id);
    if ((one != nullptr && !one->frames.empty()) || std::chrono::steady_clock::now() > end) return all;
  }
}

TEST(thread_stacks, show_where_others_wait_and_where_the_caller_is) {
  const waiting_thread other(false);
  wait_until_it_sleeps(other.id());
  const auto all = stacks_with(other.id());
  const auto* const waiting = find(all, other.id());
  ASSERT_NE(waiting, nullptr);
  EXPECT_TRUE(has(*waiting, "libc.so.6+0x")) << ::testing::PrintToString(waiting->frames);
  EXPECT_TRUE(has(*waiting, "poll")) << ::testing::PrintToString(waiting->frames);
  const auto* const me = find(all, this_thread());
  ASSERT_NE(me, nullptr);
  EXPECT_TRUE(has(*me, "test_os+0x")) << ::testing::PrintToString(me->frames);
  EXPECT_FALSE(has(*waiting, "restore_rt")) << "the interrupt itself is left out";
}

TEST(thread_stacks, leave_out_who_does_not_answer_and_go_on_with_the_next) {
  const waiting_thread deaf(true), other(false);
  wait_until_it_sleeps(other.id());
  for (int round = 0; round < 3; ++round) {
    const auto all = stacks_with(other.id());
    ASSERT_NE(find(all, deaf.id()), nullptr);
    EXPECT_TRUE(find(all, deaf.id())->frames.empty()) << ::testing::PrintToString(find(all, deaf.id())->frames);
    ASSERT_NE(find(all, other.id()), nullptr);
    EXPECT_FALSE(find(all, other.id())->frames.empty());
  }
}

TEST(thread_stacks, give_the_signal_back) {
  static std::atomic<int> heard;
  heard = 0;
  struct sigaction mine {
  }, before{};
  mine.sa_handler = [](int) { ++heard; };
  ::sigaction(SIGURG, &mine, &before);
  { (void)stacks_of_threads(); }
  std::raise(SIGURG);
  EXPECT_EQ(heard, 1);
  ::sigaction(SIGURG, &before, nullptr);
}

}  // namespace
}  // namespace ferry::os
