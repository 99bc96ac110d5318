#pragma once
/// Asio watches a descriptor that somebody else owns.

#include <ferry/error.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <utility>

namespace ferry::net {

using watched_descriptor = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;

/// Stops before the descriptor is closed: a member declared behind its owner.
class watch {
 public:
  explicit watch(boost::asio::io_context& io) : at_(io) {}
  ~watch() { stop(); }
  watch(const watch&) = delete;
  watch& operator=(const watch&) = delete;

  [[nodiscard]] result<void> start(int fd) {
    boost::system::error_code refused;
    at_.assign(fd, refused);
    if (refused) return error::from_errno(refused.value(), "watch a socket");
    return {};
  }
  template <class Handler>
  void async_readable(Handler&& then) {
    at_.async_wait(boost::asio::posix::descriptor_base::wait_read, std::forward<Handler>(then));
  }
  template <class Handler>
  void async_writable(Handler&& then) {
    at_.async_wait(boost::asio::posix::descriptor_base::wait_write, std::forward<Handler>(then));
  }
  [[nodiscard]] auto executor() noexcept { return at_.get_executor(); }
  void stop() noexcept {
    if (at_.is_open()) (void)at_.release();
  }

 private:
  watched_descriptor at_;
};

}  // namespace ferry::net
