// Echo with coroutines: one for each client.
//
//   coroutine_echo listen ipc:///tmp/echo.sock             until Ctrl-C, and the last client has left
//   coroutine_echo connect ipc:///tmp/echo.sock TEXT...   sends each TEXT when the one before has come back
#include <ferry/listener.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iostream>
#include <string>
#include <vector>

namespace asio = boost::asio;

namespace {

// With this token an error is a value; with use_awaitable alone it is thrown.
constexpr auto k_as_values = asio::as_tuple(asio::use_awaitable);

asio::awaitable<void> serve(ferry::channel peer) {
  for (;;) {
    const auto [ended, message] = co_await peer.async_receive(k_as_values);
    if (ended) break;
    // Waits while the send queue is full; the peer feels it, as nothing is received meanwhile.
    const auto [failed] = co_await peer.async_send(message.payload(), message.kind(), message.type(), k_as_values);
    if (failed) break;
  }
}

asio::awaitable<void> accept_all(ferry::listener arrivals) {
  for (;;) {
    auto [closed, peer] = co_await arrivals.async_accept(k_as_values);
    if (closed) co_return;
    asio::co_spawn(arrivals.executor(), serve(std::move(peer)), asio::detached);
  }
}

asio::awaitable<void> ask(ferry::context& where, std::string url, std::vector<std::string> texts) {
  const ferry::options with;  // has a name because GCC 12 destroys a {} inside of co_await twice
  ferry::channel link = co_await ferry::async_connect(where, url, with, asio::use_awaitable);
  for (const std::string& text : texts) {
    co_await link.async_send(ferry::as_bytes(text), asio::use_awaitable);
    const ferry::message answer = co_await link.async_receive(asio::use_awaitable);
    std::cout << answer.text() << std::endl;
  }
  co_await link.async_close(asio::use_awaitable);
}

int listen(ferry::context& where, const std::string& url) {
  auto opened = ferry::listener::open(where, url);
  if (!opened) {
    std::cerr << opened.error().text() << '\n';
    return 1;
  }
  std::cout << "listening on " << opened->url() << std::endl;
  asio::co_spawn(where.io(), accept_all(*opened), asio::detached);
  asio::signal_set stop(where.io(), SIGINT, SIGTERM);
  stop.async_wait([&opened](boost::system::error_code, int) { opened->close(); });
  where.io().run();  // until the last client has left
  return 0;
}

int connect(ferry::context& where, const std::string& url, std::vector<std::string> texts) {
  std::exception_ptr thrown;
  asio::co_spawn(where.io(), ask(where, url, std::move(texts)), [&thrown](std::exception_ptr e) { thrown = e; });
  where.io().run();
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string how = argc > 2 ? argv[1] : "";
  asio::io_context io;
  ferry::context where(io);
  if (how == "listen") return listen(where, argv[2]);
  if (how == "connect") return connect(where, argv[2], {argv + 3, argv + argc});
  std::cerr << "usage: coroutine_echo listen URL | coroutine_echo connect URL TEXT...\n";
  return 2;
}
