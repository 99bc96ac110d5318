#include "net/event_loop.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>

#include "net/timers.hpp"

namespace ferry::net {

result<void> make_ready(boost::asio::io_context& io) {
  try {
    const boost::asio::steady_timer first(io);
    (void)boost::asio::use_service<timers>(io);
    return {};
  } catch (const boost::system::system_error& failed) {
    return error::from_errno(failed.code().value(), "make an event loop");
  }
}

}  // namespace ferry::net
