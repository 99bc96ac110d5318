#pragma once
/// Ctrl-C and SIGTERM: the first one asks for an orderly end, the second one ends the process at once.

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

namespace ferry::app {

/// While it lives, the first SIGINT or SIGTERM calls `stop` on the event loop, with the signal's number. From then on
/// both signals have their default action again, so a second one ends the process even if the loop is blocked. At most
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

}  // namespace ferry::app
