#pragma once
/// Ctrl-C and SIGTERM: the first one asks for an orderly end, the second one ends the process at once.

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <functional>
#include <memory>

namespace ferry::app {

/// While it lives, the first SIGINT or SIGTERM calls `stop` on the event loop, with the signal's number. From then on
/// both signals end the process at once, as by default, even if the loop is blocked; process 1 too. At most
/// one object at a time in a process. Keeps the event loop from running out of work only until cancel() or destruction.
class stop_signals {
 public:
  stop_signals(boost::asio::io_context& io, std::function<void(int)> stop);
  ~stop_signals();
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;

  /// `stop` is not called any more, and the event loop may end. The default actions are back.
  void cancel() noexcept;

 private:
  struct parts;
  std::shared_ptr<parts> parts_;
};

/// Of process 1, to which the system gives all whose parents have ended: while it lives, they are reaped. Of another
/// process it does nothing.
class orphan_reaper {
 public:
  explicit orphan_reaper(boost::asio::io_context& io);

 private:
  void wait();
  boost::asio::signal_set signals_;
};

/// While it lives, each SIGHUP calls `then` on the event loop; not if this process was started with it ignored (nohup).
class hangup_signal {
 public:
  hangup_signal(boost::asio::io_context& io, std::function<void()> then);

 private:
  void wait();
  std::function<void()> then_;
  boost::asio::signal_set signals_;
};

}  // namespace ferry::app
