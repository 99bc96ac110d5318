// The sides of persistent sessions that the crash tests kill. They end with 3, and say why, when anything is missing,
// doubled, torn, or does not agree.
//
//   session_peer client HOW BOOK URL       session_side.hpp; until the book says stop, and everything is answered
//   session_peer server HOW BOOK URL ...   listens at each URL
//   session_peer spray HOW BOOK URL        session_spray.hpp
//   session_peer collect HOW BOOK URL ...
//
// HOW: handlers or transactions; with _on_a_slow_disk behind it each sync waits for some moments on another thread
#include <ferry/listener.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "session_side.hpp"
#include "session_spray.hpp"

namespace {

bool disk_is_slow = false;

// A moment that nobody chose; now and then so long that a killed peer is back before it is over.
void wait_for_the_disk() {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto up_to = [&](long most) { return std::uniform_int_distribution<long>(0, most)(random); };
  const timespec some{0, up_to(7) == 0 ? up_to(60'000'000) : up_to(2'000'000)};
  ::nanosleep(&some, nullptr);
}

}  // namespace

// The library's way to the disk, in this program.
extern "C" int msync(void* at, std::size_t size, int flags) {
  if (disk_is_slow) wait_for_the_disk();
  return static_cast<int>(::syscall(SYS_msync, at, size, flags));
}

namespace {
using namespace ferry;
using namespace ferry::test;

/// An event loop, and the thread on which a slow disk is waited for.
struct world {
  world() {
    if (disk_is_slow) disk.emplace(1);
  }
  ~world() {
    if (disk) disk->join();  // what is under way there holds a channel
  }
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  boost::asio::io_context io;
  std::optional<boost::asio::thread_pool> disk;
  context where{io, disk ? context_options{.blocking_executor = disk->get_executor()} : context_options{}};
};

template <class Book>
Book& open_book(const char* path) {
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  void* const at = ::mmap(nullptr, sizeof(Book), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) give_up("no book");
  ::close(fd);
  return *static_cast<Book*>(at);
}

// Until it has sent and received everything.
template <class Side, class Book>
void run_to_the_end(boost::asio::io_context& io, Side& one, Book& book) {
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

// Whoever arrives is a Side.
template <class Side, class Book, class... More>
void serve(Book& book, char** urls, More... more) {
  world here;
  std::vector<std::unique_ptr<Side>> all;  // a client that closed in order and came again is another one
  std::vector<listener> at;
  for (; *urls != nullptr; ++urls) {
    auto& made = at.emplace_back(must(listener::open(here.where, *urls), "listen"));
    made.on_channel([&](channel came) { all.push_back(std::make_unique<Side>(std::move(came), book, more...)); });
    made.on_error([](const error& why) { std::fprintf(stderr, "%s\n", why.text().c_str()); });
  }
  here.io.run();
}

void client(session_style style, session_book& book, const char* url) {
  world here;
  session_side one(must(channel::open(here.where, url), "open"), book, session_role::client, style);
  run_to_the_end(here.io, one, book);
}

void spray(spray_book& book, const char* url) {
  world here;
  sprayer one(must(channel::open(here.where, url), "open"), book);
  try {
    run_to_the_end(here.io, one, book);
  } catch (const std::exception& why) {
    std::fprintf(stderr, "%s\n", why.what());
    std::fflush(stderr);
    ::_exit(3);  // its threads do not end
  }
}

}  // namespace

int main(int count, char** arguments) try {
  if (count < 5) give_up("wrong arguments");
  const std::string_view role = arguments[1];
  const std::string_view how = arguments[2];
  const auto style = how.starts_with("handlers") ? session_style::handlers : session_style::transactions;
  disk_is_slow = how.ends_with("_on_a_slow_disk");
  const char* const book = arguments[3];
  char** const urls = arguments + 4;
  if (role == "client") client(style, open_book<session_book>(book), *urls);
  if (role == "server") serve<session_side>(open_book<session_book>(book), urls, session_role::server, style);
  if (role == "spray") spray(open_book<spray_book>(book), *urls);
  if (role == "collect") serve<collector>(open_book<spray_book>(book), urls);
  return 0;
} catch (const std::exception& why) {
  std::fprintf(stderr, "%s\n", why.what());
  return 3;
}
