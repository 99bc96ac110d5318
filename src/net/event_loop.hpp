#pragma once
/// What Asio leaves to its first use.

#include <ferry/error.hpp>

#include <boost/asio/io_context.hpp>

namespace ferry::net {

/// The first timer or socket of an io_context makes the descriptors that it waits with, and throws if there is none
/// left. After this has succeeded once, timers and sockets can be made. @return busy | no_memory
[[nodiscard]] result<void> make_ready(boost::asio::io_context& io);

}  // namespace ferry::net
