// A channel in an event loop that is not Asio's: here poll(), in the same way select, epoll, Qt or libuv.
//
//   async_echo listen ipc:///tmp/echo.sock      somebody to talk to
//   foreign_loop ipc:///tmp/echo.sock           each line of standard input is sent, each answer printed
#include <ferry/blocking.hpp>

#include <poll.h>
#include <unistd.h>

#include <array>
#include <iostream>
#include <string>

namespace {

/// Takes everything that has come: the descriptor stays readable until try_receive says would_block.
/// @return false when the peer has ended
bool print_all(ferry::blocking::channel& link) {
  for (;;) {
    std::error_code why;
    const auto message = link.try_receive(why);
    if (why == ferry::errc::would_block) return true;
    if (!message) return false;
    std::cout << message->text() << std::endl;
  }
}

/// Sends the whole lines of what was typed; what is left waits for its newline.
/// @return false at the end of standard input
bool send_lines(ferry::blocking::channel& link, std::string& typed) {
  std::array<char, 4096> chunk;
  const ssize_t n = ::read(STDIN_FILENO, chunk.data(), chunk.size());
  if (n <= 0) return false;
  typed.append(chunk.data(), static_cast<std::size_t>(n));
  std::size_t end = 0;
  while ((end = typed.find('\n')) != std::string::npos) {
    link.send(std::string_view(typed).substr(0, end));
    typed.erase(0, end + 1);
  }
  return true;
}

int talk(const std::string& url) {
  ferry::runner runner;  // does the I/O; the loop below is told when something is there
  auto link = ferry::connect(url, {}, &runner);
  std::array<pollfd, 2> watched{{{STDIN_FILENO, POLLIN, 0}, {link.readiness_fd(), POLLIN, 0}}};
  std::string typed;
  for (;;) {
    if (::poll(watched.data(), watched.size(), -1) < 0) return 1;
    if (watched[1].revents != 0 && !print_all(link)) return 0;
    if (watched[0].revents != 0 && !send_lines(link, typed)) {
      link.half_close();  // answers may still come
      watched[0].fd = -1;
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 2) return talk(argv[1]);
  std::cerr << "usage: foreign_loop URL\n";
  return 2;
} catch (const ferry::failure& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
