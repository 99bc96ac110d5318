#include <ferry/gateway.hpp>

#include <boost/asio/io_context.hpp>

// A client that nobody listens for says so; no more than that the library is whole.
int main() {
  boost::asio::io_context io;
  ferry::context where(io);
  auto client = ferry::gateway_client::open(where, "ipc://@nobody.listens.here").value();
  bool refused = false;
  client.async_dial(7, [&](ferry::error_code failed, ferry::channel) { refused = failed == ferry::errc::closed; });
  io.run();
  return refused ? 0 : 1;
}
