// The sides of persistent sessions that the crash tests kill; session_side.hpp says what they do. They end with 3, and
// say why, when anything is missing, doubled, torn, or does not agree.
//
//   session_peer client HOW BOOK URL      until the book says stop, and everything is answered
//   session_peer server HOW BOOK URL ...  listens at each URL
//
// HOW: handlers or transactions
#include <ferry/listener.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

#include "session_side.hpp"

namespace {
using namespace ferry;
using namespace ferry::test;

session_book& open_book(const char* path) {
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  void* const at = ::mmap(nullptr, sizeof(session_book), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) give_up("no book");
  ::close(fd);
  return *static_cast<session_book*>(at);
}

void client(session_style style, session_book& book, const char* url) {
  boost::asio::io_context io;
  context where(io);
  session_side one(must(channel::open(where, url), "open"), book, session_role::client, style);
  boost::asio::steady_timer look(io);
  std::function<void()> wait = [&] {
    look.expires_after(std::chrono::milliseconds(2));
    look.async_wait([&](const auto&) {
      if (one.of().state() == channel_state::closed) give_up("closed: " + one.of().last_error().text());
      if (book.stop == 0 || !one.all_answered()) return wait();
      one.of().async_close([&](error_code, const close_report& report) {
        if (!report.clean()) give_up("close: " + report.reason.text());
        io.stop();
      });
    });
  };
  wait();
  io.run();
}

void server(session_style style, session_book& book, char** urls) {
  boost::asio::io_context io;
  context where(io);
  std::vector<std::unique_ptr<session_side>> all;  // a client that closed in order and came again is another one
  std::vector<listener> at;
  for (; *urls != nullptr; ++urls) {
    auto& made = at.emplace_back(must(listener::open(where, *urls), "listen"));
    made.on_channel([&](channel came) {
      all.push_back(std::make_unique<session_side>(std::move(came), book, session_role::server, style));
    });
    made.on_error([](const error& why) { std::fprintf(stderr, "%s\n", why.text().c_str()); });
  }
  io.run();
}

}  // namespace

int main(int count, char** arguments) try {
  if (count < 5) give_up("wrong arguments");
  const auto style =
      std::string_view(arguments[2]) == "handlers" ? session_style::handlers : session_style::transactions;
  auto& book = open_book(arguments[3]);
  if (std::string_view(arguments[1]) == "client")
    client(style, book, arguments[4]);
  else
    server(style, book, arguments + 4);
  return 0;
} catch (const std::exception& why) {
  std::fprintf(stderr, "%s\n", why.what());
  return 3;
}
