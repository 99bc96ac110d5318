#include <ferry/gateway.hpp>
#include <ferry/gateway_service.hpp>

#include <boost/asio/io_context.hpp>

// A gateway listens, and a client that nobody listens for says so; no more than that the library is whole.
int main() {
  boost::asio::io_context io;
  ferry::context where(io);
  {
    const auto gateway =
        ferry::gateway_service::open(where, {{"client-addr", "127.0.0.1:0"}, {"server-addr", "127.0.0.1:0"}}).value();
    if (gateway.client_urls().size() != 1) return 1;
  }
  auto client = ferry::gateway_client::open(where, "ipc://@nobody.listens.here").value();
  bool refused = false;
  client.async_dial(7, [&](ferry::error_code failed, ferry::channel) { refused = failed == ferry::errc::closed; });
  io.run();
  return refused ? 0 : 1;
}
