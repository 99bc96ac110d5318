#pragma once
/// Takes whoever arrives at an acceptor, again and again.

#include <ferry/error.hpp>
#include <ferry/stream.hpp>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace ferry::net {

/// At most k_most_per_turn at a time, so that those who are there have their turn; when the system has no room for more
/// (busy), or there is no memory to wait, it pauses for k_pause. The pause itself needs no memory.
///
/// Thread safety: the io_context's thread only.
class accept_loop {
 public:
  static constexpr int k_most_per_turn = 64;
  static constexpr std::chrono::milliseconds k_pause{100};

  struct handlers {
    std::function<void(std::shared_ptr<stream>)> came;
    std::function<void(const error&)> failed;  ///< as of acceptor::try_accept, but would_block
  };
  /// Throws std::bad_alloc. @param told  may close this loop, not destroy it; called inside of the io_context, and of
  /// start()
  accept_loop(boost::asio::io_context& io, handlers told);
  ~accept_loop();
  accept_loop(accept_loop&&) noexcept = default;
  accept_loop& operator=(accept_loop&&) = delete;

  /// Begins, or goes on there instead: whoever had arrived at the one before is taken first, and then it is closed.
  void start(std::unique_ptr<acceptor> at);
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept;
  /// While it is open.
  [[nodiscard]] std::string local_url() const;

 private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace ferry::net
