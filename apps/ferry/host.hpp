#pragma once
/// What a command runs on: one event loop, one context, the log, and a thread for look-ups of names.

#include <ferry/context.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "apps/ferry/log.hpp"
#include "apps/ferry/transports.hpp"
#include "channel/fail.hpp"
#include "net/event_loop.hpp"

namespace ferry::app {

/// One thread uses it; must outlive all channels made with its context. Throws failure if no descriptor is
/// left for the event loop.
class host {
 public:
  explicit host(log_level level = log_level::warn)
      : log_(level), context_(io_, {.log = &log_, .level = level, .blocking_executor = names_.get_executor()}) {
    or_fail(net::make_ready(io_));
    add_transports(context_);
  }

  [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }
  [[nodiscard]] context& channels() noexcept { return context_; }

 private:
  stderr_log log_;
  boost::asio::io_context io_{1};
  boost::asio::thread_pool names_{1};
  context context_;
};

}  // namespace ferry::app
