#pragma once
/// Polls on an io_context: when a descriptor shows that there is news, when somebody asks, and every so often.

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "net/watch.hpp"

namespace ferry::compat::tcpshm {

/// On the io_context's thread. What it calls may stop it, or let go of it.
class turns : public std::enable_shared_from_this<turns> {
 public:
  using clock = std::chrono::steady_clock;
  /// Polls once. @param now  milliseconds @return whether something happened: then there is another turn at once
  using work = std::function<bool(std::int64_t now)>;
  struct pace {
    clock::duration tick;    ///< a turn at least this often
    clock::duration spin{};  ///< one turn after the other for so long after something happened
  };

  turns(boost::asio::io_context& io, pace with) : io_(io), with_(with), news_(io), timer_(io) {}
  /// @param descriptor  of which every edge is news; outlives stop()
  [[nodiscard]] result<void> start(int descriptor, work poll);
  [[nodiscard]] bool started() const noexcept { return poll_ != nullptr; }
  /// A turn soon, not from inside this call.
  void poke();
  void stop() noexcept;
  [[nodiscard]] static std::int64_t now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock::now().time_since_epoch()).count();
  }

 private:
  void run();
  void wait_for_news();
  void wait_for_tick();

  boost::asio::io_context& io_;
  const pace with_;
  net::watch news_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<const work> poll_;  // null: not started, or stopped
  clock::time_point moved_{};
  bool posted_ = false;
  bool watching_ = false;
  bool ticking_ = false;
};

}  // namespace ferry::compat::tcpshm
