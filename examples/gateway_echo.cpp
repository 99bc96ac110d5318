// A service and its client, through a gateway:
//
//   ferry gateway --client-addr 127.0.0.1:5000 --server-addr 127.0.0.1:5001 --server-auth-key-file key &
//   gateway_echo serve tcp://127.0.0.1:5001 7 key &
//   echo hello | gateway_echo talk tcp://127.0.0.1:5000 7
#include <ferry/gateway.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

namespace asio = boost::asio;

namespace {

// Sends back what comes, and stops taking more while there is no room for it.
void serve(ferry::channel one) {
  one.on_message([one](const ferry::message_view& m) mutable {
    if (one.try_send(m.payload)) return;
    one.pause();
    const auto kept = std::make_shared<std::string>(m.text());  // until it is sent
    one.async_send(ferry::as_bytes(*kept), [one, kept](ferry::error_code) mutable { one.resume(); });
  });
}

asio::awaitable<void> talk(ferry::gateway_client& client, std::uint32_t id) {
  auto service = co_await client.async_dial(id, asio::use_awaitable);
  for (std::string line; std::getline(std::cin, line);) {
    co_await service.async_send(ferry::as_bytes(line), asio::use_awaitable);
    const auto answer = co_await service.async_receive(asio::use_awaitable);
    std::cout << answer.text() << std::endl;
  }
  co_await client.async_close(asio::use_awaitable);
}

int run(int argc, char** argv) {
  const std::string what = argc > 3 ? argv[1] : "";
  const auto id = static_cast<std::uint32_t>(argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 0);
  asio::io_context io{1};
  ferry::context where(io);
  ferry::gateway_options with;
  with.link.reconnect = true;
  if (what == "serve" && argc == 5) {
    std::string key;
    std::getline(std::ifstream(argv[4]), key);
    auto server = ferry::gateway_server::open(where, argv[2], id, key, with).value();
    server.on_channel(serve);
    server.on_connect_failure([](const ferry::error& why) { std::cerr << why.text() << '\n'; });
    server.on_up([&](const ferry::peer_info&) { std::cout << "serving as " << id << std::endl; });
    io.run();
    return 0;
  }
  if (what != "talk") {
    std::cerr << "usage: gateway_echo serve URL ID KEY-FILE | talk URL ID\n";
    return 2;
  }
  auto client = ferry::gateway_client::open(where, argv[2], with).value();
  asio::co_spawn(io, talk(client, id), [&](const std::exception_ptr& failed) {
    client.close();
    if (failed) std::rethrow_exception(failed);
  });
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& failed) {
    std::cerr << failed.what() << '\n';
    return 1;
  }
}
