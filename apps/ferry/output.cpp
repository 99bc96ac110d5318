#include "apps/ferry/output.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

#include "apps/ferry/input.hpp"

namespace ferry::app {
namespace asio = boost::asio;

output::output(asio::io_context& io, int fd) : io_(io), fd_(fd), waiter_(io) {
  buffer_.reserve(2 * k_block);
  auto own = reopen_nonblocking(fd, O_WRONLY);
  if (!own) return;
  boost::system::error_code refused;
  waiter_.assign(own.get(), refused);
  if (!refused) fd_ = own.release();
}

void output::write(bytes data) {
  if (failed_) return;
  buffer_.insert(buffer_.end(), data.begin(), data.end());
  if (pending() >= k_block && !waiting_) flush();
  if (pending() != 0) post_flush();
}

void output::post_flush() {
  if (waiting_ || std::exchange(flush_posted_, true)) return;
  asio::post(io_, [this, alive = std::weak_ptr<void>(alive_)] {
    if (alive.expired()) return;
    flush_posted_ = false;
    if (!waiting_) flush();
    settle();
  });
}

void output::flush() {
  while (!failed_ && pending() != 0) {
    const auto n = ::write(fd_, buffer_.data() + begin_, pending());
    if (n >= 0) {
      begin_ += static_cast<std::size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN && waiter_.is_open()) return wait();
    fail(errno);
  }
  buffer_.clear();
  begin_ = 0;
}

void output::wait() {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(std::exchange(begin_, 0)));
  waiting_ = true;
  waiter_.async_wait(asio::posix::stream_descriptor::wait_write,
                     [this, alive = std::weak_ptr<void>(alive_)](const boost::system::error_code& cancelled) {
                       if (cancelled || alive.expired()) return;
                       waiting_ = false;
                       flush();
                       settle();
                     });
}

// From the event loop, and not inside anybody's write().
void output::settle() {
  if (failed_ && error_handler_) return;  // fail() tells it
  if (!full() && room_handler_) room_handler_();
  if (pending() == 0 && flushed_handler_) std::exchange(flushed_handler_, nullptr)();
}

void output::fail(int system_errno) {
  failed_ = true;
  const auto why =
      system_errno == EPIPE
          ? error(errc::closed, "standard output was closed by whoever read it; what came after is not written", EPIPE)
          : error::from_errno(system_errno, "write to standard output").in("output failed");
  asio::post(io_, [this, why, alive = std::weak_ptr<void>(alive_)] {
    if (alive.expired()) return;
    if (const auto tell = std::exchange(error_handler_, nullptr)) tell(why);
    settle();
  });
}

void output::on_flushed(std::function<void()> done) {
  flushed_handler_ = std::move(done);
  asio::post(io_, [this, alive = std::weak_ptr<void>(alive_)] {
    if (alive.expired()) return;
    if (!waiting_) flush();
    settle();
  });
}

}  // namespace ferry::app
