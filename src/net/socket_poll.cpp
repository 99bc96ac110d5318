#include "net/socket_poll.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "os/prefetch.hpp"

namespace ferry::net {
namespace asio = boost::asio;

// So many at once are a sign that more come soon, and to look again costs less than to have Asio wait.
constexpr std::size_t k_busy = 4;
// So many in a turn; then everybody else of the io_context has one.
constexpr std::size_t k_most_in_a_turn = 128;

// Also behind a handler that throws. What it leaves behind is told in another turn: the kernel does not tell it again.
struct socket_poll::rest {
  socket_poll& of;
  telling* const outer = of.telling_;
  ~rest() {
    of.telling_ = outer;
    of.buffers_.end();
    of.next_ == of.count_ ? of.arm() : of.turn_soon();
  }
};

result<void> socket_poll::add(int fd, entry& whose) {
  if (!watch_.is_open()) {
    os::unique_fd list(::epoll_create1(EPOLL_CLOEXEC));
    if (!list) return error::from_errno(errno, "make an event list");
    boost::system::error_code refused;
    watch_.assign(list.get(), refused);
    if (refused) return error::from_errno(refused.value(), "watch an event list");
    (void)list.release();
  }
  epoll_event what{};
  what.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  what.data.ptr = &whose;
  if (::epoll_ctl(watch_.native_handle(), EPOLL_CTL_ADD, fd, &what) != 0)
    return error::from_errno(errno, "watch a socket");
  watched_ += 1;
  return {};
}

result<void> socket_poll::watch_room(int fd, entry& whose) {
  epoll_event what{};
  what.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  what.data.ptr = &whose;
  if (::epoll_ctl(watch_.native_handle(), EPOLL_CTL_MOD, fd, &what) == 0) return {};
  return error::from_errno(errno, "watch a socket");
}

void socket_poll::remove(int fd, const entry& whose) noexcept {
  epoll_event ignored{};
  if (watch_.is_open()) (void)::epoll_ctl(watch_.native_handle(), EPOLL_CTL_DEL, fd, &ignored);
  watched_ -= 1;
  for (std::size_t i = next_; i < count_; ++i)
    if (events_[i].data.ptr == &whose) events_[i].data.ptr = nullptr;
}

void socket_poll::stop_waiting() noexcept {
  boost::system::error_code ignored;
  watch_.cancel(ignored);  // lest the io_context has work
}

void socket_poll::arm() noexcept {
  if (waits_ == 0 || armed_ || posted_ || !watch_.is_open()) return;
  armed_ = true;
  watch_.async_wait(asio::posix::descriptor_base::wait_read,
                    waiting_.hold([this](const boost::system::error_code& failed) {
                      armed_ = false;
                      failed ? arm() : turn();
                    }));
}

void socket_poll::turn() {
  telling now;
  const rest others{*this};
  telling_ = &now;
  buffers_.begin();
  if (next_ == count_) look();
  tell(now);
  for (std::size_t told = count_; count_ >= k_busy && told < k_most_in_a_turn; told += count_) {
    look();
    tell(now);
  }
}

void socket_poll::look() {
  const int n = ::epoll_wait(watch_.native_handle(), events_.data(), static_cast<int>(events_.size()), 0);
  next_ = 0;
  count_ = static_cast<std::size_t>(std::max(n, 0));
  if (count_ >= k_busy) turn_soon();
}

void socket_poll::tell(telling& now) {
  while (next_ != count_) {
    const epoll_event one = events_[next_++];
    expect_next();
    if (one.data.ptr == nullptr) continue;
    static_cast<entry*>(one.data.ptr)->on_ready(one.events);
    while (now.count != 0) now.kept[--now.count].reset();
  }
}

// With a thousand connections nothing of one is in the cache any more when its turn comes, and to fetch line by line
// what a message takes would be a tenth of the whole work.
void socket_poll::expect_next() const noexcept {
  constexpr std::size_t k_fit_into_the_cache = 200;
  if (watched_ < k_fit_into_the_cache) return;
  constexpr std::size_t k_entry_bytes = 256;
  if (next_ + 2 < count_) os::prefetch<k_entry_bytes>(events_[next_ + 2].data.ptr);
  for (std::size_t at = next_; at < std::min(next_ + 2, count_); ++at)
    if (const auto* one = static_cast<const entry*>(events_[at].data.ptr)) one->expect(at == next_);
}

void socket_poll::turn_soon() noexcept {
  if (std::exchange(posted_, true)) return;
  asio::post(watch_.get_executor(), soon_.hold([this] {
    posted_ = false;
    turn();
  }));
}

void socket_poll::shutdown() noexcept {
  boost::system::error_code ignored;
  watch_.close(ignored);
  armed_ = false;
  next_ = count_ = 0;
}

}  // namespace ferry::net
