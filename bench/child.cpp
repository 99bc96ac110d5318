#include "bench/child.hpp"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/utf8.hpp"
#include "bench/pin.hpp"

namespace ferry::bench {

namespace {

constexpr int k_done = 1;
constexpr int k_failed = 2;

void leave(detail::report& mine, int outcome) noexcept {
  mine.outcome.store(outcome, std::memory_order_release);  // pairs with: child_group::outcome_of
  ::_exit(outcome == k_done ? 0 : 1);
}

/// The parent's handlers belong to the parent: a signal that reaches the child must end the child.
void default_signals() noexcept {
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

void child::arrive() noexcept {
  board_.arrived.fetch_add(1, std::memory_order_acq_rel);  // pairs with: the load in rendezvous, in the others
}

void child::rendezvous() noexcept {
  arrive();
  while (board_.arrived.load(std::memory_order_acquire) < board_.expected) ::sched_yield();
}

void child::fail(const char* what) noexcept {
  mine_.system_errno = errno;
  utf8_beginning(what, sizeof mine_.what - 1).copy(mine_.what, sizeof mine_.what - 1);
  leave(mine_, k_failed);
  ::abort();  // not reached: leave() does not return
}

void child::fail(errc code, const char* what) noexcept {
  mine_.code = static_cast<int>(code);
  fail(what);
}

child_group::child_group(std::uint32_t expected) { board_->expected = expected; }

child_group::~child_group() { kill_all(); }

result<void> child_group::start(std::string role, std::optional<int> core, const std::function<void(child&)>& body) {
  const auto index = members_.size();
  if (index == board_->expected || index == detail::k_max_children)
    return error(errc::misuse, "more children started than the group expects");
  members_.push_back({std::move(role), -1, {}});
  auto& one = members_.back();
  const int parent = ::getpid();
  one.pid = ::fork();
  if (one.pid == 0) run_child(index, core, parent, body);
  if (one.pid < 0) return error::from_errno(errno, "fork for the " + one.role);
  one.handle.reset(static_cast<int>(::syscall(SYS_pidfd_open, one.pid, 0)));
  if (one.handle) return {};
  const auto failed = error::from_errno(errno, "pidfd_open for the " + one.role);
  ::kill(one.pid, SIGKILL);
  reap(one);
  return failed;
}

void child_group::run_child(std::size_t index, std::optional<int> core, int parent,
                            const std::function<void(child&)>& body) noexcept {
  auto& mine = board_->reports[index];
  child me(*board_, mine);
  default_signals();
  me.check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
  if (::getppid() != parent) ::_exit(1);  // it died before the line above; nobody is left to read a report
  if (core && !pin_to(*core)) me.fail(("run on core " + std::to_string(*core)).c_str());
  try {
    body(me);
  } catch (const failure& why) {
    me.fail(why.reason(), why.what());
  }
  leave(mine, k_done);
  ::abort();  // not reached: leave() does not return
}

void child_group::reap(member& one) noexcept {
  while (::waitpid(one.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  one.handle.reset();
  one.pid = -1;
}

void child_group::kill_all() noexcept {
  for (const auto& one : members_)
    if (one.pid > 0) ::kill(one.pid, SIGKILL);
  for (auto& one : members_)
    if (one.pid > 0) reap(one);
}

result<void> child_group::outcome_of(std::size_t index) const {
  const auto& report = board_->reports[index];
  const auto outcome = report.outcome.load(std::memory_order_acquire);  // pairs with: leave
  if (outcome == k_done) return {};
  const auto& role = members_[index].role;
  if (outcome != k_failed)
    return error(errc::reset, "the " + role + " ended without a report: it crashed, or somebody killed it");
  if (report.code != 0) return error(static_cast<errc>(report.code), "the " + role + ": " + report.what);
  return error::from_errno(report.system_errno, "the " + role + ": " + report.what);
}

result<void> child_group::wait(std::chrono::nanoseconds limit) {
  const auto deadline = now_ns() + limit.count();
  for (;;) {
    std::vector<pollfd> watched;
    for (const auto& one : members_)
      if (one.pid > 0) watched.push_back({one.handle.get(), POLLIN, 0});
    if (watched.empty()) return {};

    const auto left = (deadline - now_ns()) / 1'000'000;
    const auto ready =
        ::poll(watched.data(), watched.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30)));
    if (ready < 0 && errno != EINTR) return error::from_errno(errno, "poll for children");
    if (ready == 0) {
      kill_all();
      return error(errc::timeout,
                   "a measurement did not end within " + std::to_string(limit.count() / 1'000'000) + " ms");
    }
    for (const auto& event : watched) {
      if (event.revents == 0) continue;
      const auto ended = std::find_if(members_.begin(), members_.end(),
                                      [&](const member& one) { return one.handle.get() == event.fd; });
      reap(*ended);
      if (auto outcome = outcome_of(static_cast<std::size_t>(ended - members_.begin())); !outcome) {
        kill_all();
        return outcome;
      }
    }
  }
}

result<void> run_together(const std::vector<child_part>& parts, std::chrono::nanoseconds limit) {
  child_group children(static_cast<std::uint32_t>(parts.size()));
  for (const auto& one : parts)
    if (auto started = children.start(one.role, one.core, one.body); !started) return started;
  return children.wait(limit);
}

}  // namespace ferry::bench
