// Echo with callbacks, on an io_context of your own.
//
//   async_echo listen tcp://127.0.0.1:0            prints the URL to connect to, serves until Ctrl-C
//   async_echo connect tcp://127.0.0.1:PORT TEXT   sends TEXT, prints what comes back
#include <ferry/listener.hpp>

#include <boost/asio/signal_set.hpp>
#include <iostream>
#include <map>
#include <string>

namespace {

/// Sends back what comes. While the send queue is full, one message waits here and nothing more is read: the peer's
/// own queue fills, and memory stays bounded on both sides.
class echo_server {
 public:
  echo_server(ferry::context& where, ferry::listener arrivals) : where_(where), listener_(std::move(arrivals)) {
    listener_.on_channel([this](ferry::channel peer) { welcome(std::move(peer)); });
  }
  void close() {
    listener_.close();
    for (auto& [id, one] : clients_) one.link.async_close([](ferry::error_code, const ferry::close_report&) {});
  }

 private:
  struct client {
    ferry::channel link;
    ferry::message waiting;  // had no room
  };

  void welcome(ferry::channel link) {
    const int id = ++last_id_;
    client& one = clients_[id];
    one.link = link;
    link.on_message([this, &one](const ferry::message_view& m) {
      const auto sent = one.link.try_send(m.payload, m.kind);
      if (sent || sent.error() != ferry::errc::full) return;
      one.waiting = ferry::message::copy_of(m, where_.buffers());
      one.link.pause();
    });
    link.on_drain([&one] {
      if (one.waiting.ok()) (void)one.link.try_send(one.waiting.payload(), one.waiting.kind());
      one.waiting = {};
      one.link.resume();
    });
    link.on_down([this, id](const ferry::down_info& why) {
      std::cerr << "client " << id << ": " << why.reason.text() << '\n';
      clients_.erase(id);
    });
  }

  ferry::context& where_;
  ferry::listener listener_;
  std::map<int, client> clients_;
  int last_id_ = 0;
};

int listen(ferry::context& where, const std::string& url) {
  auto opened = ferry::listener::open(where, url);
  if (!opened) {
    std::cerr << opened.error().text() << '\n';
    return 1;
  }
  std::cout << "listening on " << opened->url() << std::endl;
  echo_server server(where, *opened);
  boost::asio::signal_set stop(where.io(), SIGINT, SIGTERM);
  stop.async_wait([&server](boost::system::error_code, int) { server.close(); });
  where.io().run();  // until the last channel is closed
  return 0;
}

int connect(ferry::context& where, const std::string& url, const std::string& text) {
  int exit_code = 1;
  ferry::channel link;
  ferry::async_connect(where, url, {}, [&](ferry::error_code failed, ferry::channel made) {
    link = made;
    if (failed) {
      std::cerr << (made ? made.last_error().text() : failed.message()) << '\n';
      return;
    }
    link.on_message([&](const ferry::message_view& m) {
      std::cout << m.text() << std::endl;
      link.async_close([&](ferry::error_code, const ferry::close_report& left) { exit_code = left.clean() ? 0 : 1; });
    });
    if (const auto sent = link.try_send(text); !sent) std::cerr << sent.error().text() << '\n';
  });
  where.io().run();
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string how = argc > 2 ? argv[1] : "";
  boost::asio::io_context io;
  ferry::context where(io);
  if (how == "listen") return listen(where, argv[2]);
  if (how == "connect" && argc > 3) return connect(where, argv[2], argv[3]);
  std::cerr << "usage: async_echo listen URL | async_echo connect URL TEXT\n";
  return 2;
}
