// Books orders in a file, each exactly once, whatever dies and however often.
//
//   order_server 'shm://orders?session=persistent&as=exchange&dir=/var/lib/exchange' BOOKS       until Ctrl-C
//
// Each client has a book of its own, BOOKS/NAME.book, with a line for each order. A file is no part of a transaction,
// but its length can be: the state says how much of the book counts. What was written behind that by somebody who died
// before the transaction was committed is cut off at the next start, and the order comes again.
#include <ferry/listener.hpp>
#include <ferry/session.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

class book {
 public:
  book(const std::string& path, ferry::channel client)
      : path_(path), client_(std::move(client)), session_(ferry::persistent_session::of(client_).value()) {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0 || ::ftruncate(fd_, length()) != 0) fail(path_);
    to_disk_ = client_.settings().durable == ferry::durable_kind::disk;
  }
  book(const book&) = delete;
  book& operator=(const book&) = delete;
  ~book() { ::close(fd_); }

  // Called inside a transaction: the order, the answer and the length of the book become one step when it returns.
  void enter(const ferry::message_view& order) {
    const std::string line = std::string(order.text()) + '\n';
    write(line, length());
    if (!client_.try_send("booked " + std::string(order.text()))) {
      (void)session_.give_back();  // no room for an answer: the order comes again when there is
      return;
    }
    const off_t counts = length() + static_cast<off_t>(line.size());
    session_.set_state(std::as_bytes(std::span(&counts, 1))).value();
  }

 private:
  // Of the last transaction that was committed; nobody else remembers it, so nobody can disagree.
  [[nodiscard]] off_t length() const {
    off_t counts = 0;
    const ferry::bytes state = session_.state();
    if (state.size() == sizeof counts) std::memcpy(&counts, state.data(), sizeof counts);
    return counts;
  }

  void write(const std::string& line, off_t where) {
    for (std::size_t done = 0; done < line.size();) {
      const ssize_t n = ::pwrite(fd_, line.data() + done, line.size() - done, where + static_cast<off_t>(done));
      if (n < 0) fail(path_);
      done += static_cast<std::size_t>(n);
    }
    // The state must not be on disk before what it speaks of.
    if (to_disk_ && ::fdatasync(fd_) != 0) fail(path_);
  }

  std::string path_;
  ferry::channel client_;
  ferry::persistent_session session_;
  int fd_ = -1;
  bool to_disk_ = false;
};

int serve(const std::string& url, const std::string& books) {
  boost::asio::io_context io;
  ferry::context where(io);
  auto opened = ferry::listener::open(where, url);
  if (!opened) {
    std::cerr << opened.error().text() << '\n';
    return 1;
  }
  opened->on_channel([&books](ferry::channel client) {
    const auto name = ferry::persistent_session::of(client).value().info().peer_name;
    // The handler keeps the book, and lets go of it when the client has left for good.
    client.on_message([kept = std::make_shared<book>(books + "/" + name + ".book", client)](
                          const ferry::message_view& order) { kept->enter(order); });
  });
  opened->on_error([](const ferry::error& why) { std::cerr << why.text() << '\n'; });
  std::cout << "listening on " << opened->url() << std::endl;
  boost::asio::signal_set stop(io, SIGINT, SIGTERM);
  stop.async_wait([&io](boost::system::error_code, int) { io.stop(); });
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 3) return serve(argv[1], argv[2]);
  std::cerr << "usage: order_server URL BOOKS\n";
  return 2;
} catch (const std::exception& why) {
  std::cerr << why.what() << '\n';
  return 1;
}
