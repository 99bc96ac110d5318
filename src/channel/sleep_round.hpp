#pragma once
/// Falling asleep together: the bells of all channels that have nothing to do are announced, one barrier orders them
/// all, and then each looks once more. A barrier costs microseconds; so many channels pay for one.

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

namespace ferry::detail {

/// Somebody who is about to wait for a peer that only writes to memory.
class sleeper {
 public:
  /// Says what it waits for. @return whether a barrier must follow
  [[nodiscard]] virtual bool announce_sleep() = 0;
  /// After the barrier: looks once more, and either takes the announcement back and goes on, or rests until its socket
  /// is readable.
  virtual void look_once_more() = 0;

 protected:
  ~sleeper() = default;
};

/// One for each io_context; used on its thread only.
class sleep_round final : public boost::asio::execution_context::service {
 public:
  using key_type = sleep_round;
  static boost::asio::execution_context::id id;

  explicit sleep_round(boost::asio::execution_context& of);
  [[nodiscard]] static sleep_round& of(boost::asio::io_context& io) {
    return boost::asio::use_service<sleep_round>(io);
  }

  /// `one` falls asleep when everybody else has had a turn. At most once until look_once_more().
  void join(std::shared_ptr<sleeper> one);

 private:
  void shutdown() noexcept override;
  void turn();

  boost::asio::io_context& io_;
  std::vector<std::shared_ptr<sleeper>> tired_;
  std::vector<std::shared_ptr<sleeper>> round_;  // those whose turn it is; kept for its capacity
};

}  // namespace ferry::detail
