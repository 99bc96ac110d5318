#include "apps/ferry/signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <csignal>
#include <utility>

#include "channel/fail.hpp"
#include "os/child_process.hpp"

namespace ferry::app {
namespace {

// The one thing that a signal handler can tell the event loop with. -1: nobody listens.
std::atomic<int> wake_fd{-1};

// Process 1 of a container, whom signals with their default action do not reach.
bool is_first_process() noexcept { return ::getpid() == 1; }

void end_at_once(int number) { ::_exit(128 + number); }

void restore_defaults() noexcept {
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, is_first_process() ? &end_at_once : SIG_DFL);
}

void on_signal(int number) {
  const int saved = errno;
  restore_defaults();
  const auto byte = static_cast<unsigned char>(number);
  const int fd = wake_fd.load();
  if (fd >= 0) static_cast<void>(::write(fd, &byte, 1) == 1);
  errno = saved;
}

}  // namespace

struct stop_signals::parts {
  parts(boost::asio::io_context& io, std::function<void(int)> stop_) : stop(std::move(stop_)), told(io) {}

  std::function<void(int)> stop;
  boost::asio::posix::stream_descriptor told;
};

stop_signals::stop_signals(boost::asio::io_context& io, std::function<void(int)> stop)
    : parts_(std::make_shared<parts>(io, std::move(stop))) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) fail(error::from_errno(errno, "make a pipe for signals"));
  parts_->told.assign(ends[0]);
  wake_fd = ends[1];
  parts_->told.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                          [kept = parts_](const boost::system::error_code& failed) {
                            unsigned char number = 0;
                            if (failed || ::read(kept->told.native_handle(), &number, 1) != 1) return;
                            if (const auto stop_now = std::exchange(kept->stop, nullptr)) stop_now(number);
                          });
  struct sigaction action {};
  action.sa_handler = &on_signal;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM}) ::sigaction(number, &action, nullptr);
}

stop_signals::~stop_signals() { cancel(); }

void stop_signals::cancel() noexcept {
  if (!parts_->told.is_open()) return;
  restore_defaults();
  ::close(wake_fd.exchange(-1));
  boost::system::error_code ignored;
  parts_->told.close(ignored);
}

orphan_reaper::orphan_reaper(boost::asio::io_context& io) : signals_(io) {
  if (!is_first_process()) return;
  signals_.add(SIGCHLD);
  wait();
}

void orphan_reaper::wait() {
  signals_.async_wait([this](const boost::system::error_code& failed, int) {
    if (failed) return;
    wait();
    os::child_process::reap_orphans();
  });
}

hangup_signal::hangup_signal(boost::asio::io_context& io, std::function<void()> then)
    : then_(std::move(then)), signals_(io) {
  struct sigaction now {};
  if (::sigaction(SIGHUP, nullptr, &now) != 0 || now.sa_handler == SIG_IGN) return;
  signals_.add(SIGHUP);
  wait();
}

void hangup_signal::wait() {
  signals_.async_wait([this](const boost::system::error_code& failed, int) {
    if (failed) return;
    wait();
    then_();
  });
}

}  // namespace ferry::app
