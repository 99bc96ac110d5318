#include <ferry/sidecar.hpp>

#include <boost/asio/io_context.hpp>

// A service without a directory says so; no more than that the component is whole.
int main() {
  boost::asio::io_context io;
  ferry::context where(io);
  const auto made = ferry::service::make(where, {});
  return made.has_error() && made.error() == ferry::errc::bad_option ? 0 : 1;
}
