#pragma once
/// Standard output, or what stands in for it, in big blocks.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace ferry::app {

/// Collects what is written into blocks of 256 KiB; what is left goes out when the event loop has done its present
/// turn, so that nothing waits while nothing comes. A pipe or terminal that takes nothing does not block the event
/// loop: then full() becomes true, and the caller stops until on_room. Standard output keeps its flags. One thread uses
/// it.
class output {
 public:
  /// @param fd  not owned; must stay open
  explicit output(boost::asio::io_context& io, int fd = 1);
  output(const output&) = delete;
  output& operator=(const output&) = delete;

  /// Takes everything, also while full(): the caller stops in time. Dropped after an error.
  void write(bytes data);
  void write(std::string_view text) { write(as_bytes(text)); }
  void put(char one) { write(std::string_view(&one, 1)); }

  [[nodiscard]] bool full() const noexcept { return waiting_ && pending() >= k_block; }
  /// Called from the event loop when full() has become false.
  void on_room(std::function<void()> handler) { room_handler_ = std::move(handler); }
  /// Called once, from the event loop: the reader went away, the disk is full, ... The text says which.
  void on_error(std::function<void(const error&)> handler) { error_handler_ = std::move(handler); }
  /// Calls `done` from the event loop when everything written so far is out, or has failed. One at a time.
  void on_flushed(std::function<void()> done);

  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  static constexpr std::size_t k_block = 256u << 10;

  [[nodiscard]] std::size_t pending() const noexcept { return buffer_.size() - begin_; }
  void post_flush();
  void flush();
  void wait();
  void fail(int system_errno);
  void settle();

  boost::asio::io_context& io_;
  int fd_;
  boost::asio::posix::stream_descriptor waiter_;  // owns fd_ where the output may make us wait
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  bool flush_posted_ = false;
  bool waiting_ = false;
  bool failed_ = false;
  std::function<void()> room_handler_;
  std::function<void(const error&)> error_handler_;
  std::function<void()> flushed_handler_;
  std::shared_ptr<void> alive_ = std::make_shared<int>();
};

}  // namespace ferry::app
