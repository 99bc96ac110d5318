#include "os/thread_stacks.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <mutex>

#include "os/process_view.hpp"

namespace ferry::os {
namespace {

constexpr int k_signal = SIGURG;  // one that comes late, when the handler is gone, is ignored
constexpr int k_most_frames = 64;
constexpr int k_of_handler = 2;  // frames: the handler, and what the kernel returns to from it
constexpr long k_patience_ns = 200'000'000;

pid_t number_of_this_thread() noexcept { return static_cast<pid_t>(::syscall(SYS_gettid)); }

// What a signal handler and who asks have in common; one question at a time.
//   nobody --ask--> a thread's number --its handler--> taking --the handler--> nobody, and `answered`
struct question {
  static constexpr pid_t k_nobody = 0, k_taking = -1;
  std::atomic<pid_t> whom{k_nobody};
  std::array<void*, k_most_frames> frames{};
  int count = 0;
  sem_t answered{};

  question() { ::sem_init(&answered, 0, 0); }
};

question& the_question() {
  static question one;
  return one;
}

void answer(int) {
  const int saved = errno;
  auto& one = the_question();
  auto asked = number_of_this_thread();
  if (one.whom.compare_exchange_strong(asked, question::k_taking, std::memory_order_acquire)) {  // pairs with: ask
    one.count = ::backtrace(one.frames.data(), k_most_frames);
    one.whom.store(question::k_nobody, std::memory_order_release);
    ::sem_post(&one.answered);
  }
  errno = saved;
}

// @return it has answered
bool ask(question& one, pid_t whom) {
  one.whom.store(whom, std::memory_order_release);  // pairs with: answer
  bool answers = ::syscall(SYS_tgkill, ::getpid(), whom, k_signal) == 0;
  if (answers) {
    timespec end{};
    ::clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += k_patience_ns;
    if (end.tv_nsec >= 1'000'000'000) {
      end.tv_nsec -= 1'000'000'000;
      ++end.tv_sec;
    }
    int waited = 0;
    while ((waited = ::sem_clockwait(&one.answered, CLOCK_MONOTONIC, &end)) != 0 && errno == EINTR) {
    }
    answers = waited == 0;
  }
  if (answers) return true;
  auto asked = whom;
  if (one.whom.compare_exchange_strong(asked, question::k_nobody, std::memory_order_relaxed)) return false;
  while (::sem_wait(&one.answered) != 0) {  // it is about to
  }
  return true;
}

std::string in_hex(std::uintptr_t number) {
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
  return "0x" + std::string(digits.data(), end);
}

std::string text_of(void* frame) {
  const auto at = reinterpret_cast<std::uintptr_t>(frame);
  Dl_info where{};
  // A return address may be behind the end of its function: what called is before it.
  if (::dladdr(reinterpret_cast<const void*>(at - 1), &where) == 0 || where.dli_fname == nullptr) return in_hex(at);
  const std::string path(where.dli_fname);
  auto made = path.substr(path.rfind('/') + 1) + "+" + in_hex(at - reinterpret_cast<std::uintptr_t>(where.dli_fbase));
  if (where.dli_sname == nullptr) return made;
  int failed = 0;
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(where.dli_sname, nullptr, nullptr, &failed),
                                                    &std::free);
  return made + " " + (failed == 0 ? name.get() : where.dli_sname);
}

std::vector<std::string> texts_of(const question& of, int skipped) {
  std::vector<std::string> made;
  for (int i = skipped; i < of.count; ++i) made.push_back(text_of(of.frames[static_cast<std::size_t>(i)]));
  return made;
}

}  // namespace

std::vector<thread_stack> stacks_of_threads() {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  auto& asked = the_question();
  // The first call may allocate, which a signal handler must not.
  asked.count = ::backtrace(asked.frames.data(), k_most_frames);
  struct sigaction now {
  }, before{};
  now.sa_handler = &answer;
  now.sa_flags = SA_RESTART;
  sigemptyset(&now.sa_mask);
  ::sigaction(k_signal, &now, &before);
  const auto me = static_cast<std::uint32_t>(number_of_this_thread());
  std::vector<thread_stack> made;
  for (const auto& one : threads_of_process()) {
    auto& of = made.emplace_back(thread_stack{one.id, {}});
    if (one.id == me) {
      asked.count = ::backtrace(asked.frames.data(), k_most_frames);
      of.frames = texts_of(asked, 1);
    } else if (ask(asked, static_cast<pid_t>(one.id))) {
      of.frames = texts_of(asked, k_of_handler);
    }
  }
  ::sigaction(k_signal, &before, nullptr);
  return made;
}

}  // namespace ferry::os
