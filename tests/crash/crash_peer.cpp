// The process that the crash tests kill and stop. It says "ready" when it is where it was told to go.
//
//   crash_peer send URL FIRST END   connects, sends numbered messages FIRST .. END - 1, closes in order; END 0: no end
//   crash_peer receive URL          listens; what it receives goes into the receiver_log at descriptor 3
//   crash_peer sit URL              connects and does nothing
//   crash_peer host URL             listens and does nothing with those who come
//   crash_peer write FILE FIRST     writes numbered records from FIRST on into a ring in a file, without end
//   crash_peer read FILE            reads them; what it has seen goes into the receiver_log at descriptor 3
//   crash_peer try UID LIMIT VALUE connect|listen|host URL
//                                   as that user, with one limit lowered ("none", "files": how many more may be
//                                   opened, "memory": how many more bytes may be mapped, "file": bytes of a file):
//                                   prints why it cannot, and ends with the errc; host stays if it can
//   crash_peer handshake NAME STEP  half-way connected by hand, at the endpoint NAME of $RUNTIME_DIRECTORY: a
//                                   connecting end stops after "connect", "hello" or "welcome", a listening one
//                                   (NAME's socket is made by hand) after "accept", "heard" or "answered"
#include <ferry/listener.hpp>
#include <ferry/ring_file.hpp>

#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <vector>

#include "net/ring_link.hpp"
#include "numbered.hpp"
#include "os/fd_passing.hpp"
#include "os/mapping.hpp"
#include "os/unique_fd.hpp"
#include "raw_ring_peer.hpp"
#include "testing/raw_unix.hpp"

namespace {
using namespace ferry;

void say(const char* text) {
  std::puts(text);
  std::fflush(stdout);
}
[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}
[[noreturn]] void stay() {
  say("ready");
  for (;;) ::pause();
}

channel connect(context& where, const char* url) {
  auto made = channel::open(where, url);
  if (!made) fail(made.error().text());
  made->on_up([](const peer_info&) { say("ready"); });
  made->on_connect_failure([](const error& why) { std::fprintf(stderr, "%s\n", why.text().c_str()); });
  return *made;
}

int send(const char* url, std::uint64_t first, std::uint64_t end) {
  boost::asio::io_context io;
  context where(io);
  channel to = connect(where, url);
  const std::uint64_t last = end == 0 ? ~std::uint64_t{0} : end;
  test::numbered_sender sender(to, first, last);
  while (sender.next() < last && to.state() != channel_state::closed) io.run_one();
  bool clean = false;
  to.async_close([&](error_code failed, const close_report&) { clean = !failed; });
  io.restart();
  io.run();
  return clean ? 0 : 1;
}

test::receiver_log& inherited_log() {
  void* const at = ::mmap(nullptr, sizeof(test::receiver_log), PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
  if (at == MAP_FAILED) fail("no log at descriptor 3");
  return *static_cast<test::receiver_log*>(at);
}

int write(const char* path, std::uint64_t first) {
  options with;
  with.ring_bytes = test::k_numbered_ring;
  auto to = ring_writer::open(path, with);
  say("ready");
  std::string record;
  for (std::uint64_t number = first;; ++number) {
    test::make_numbered_record(number, record);
    while (!to.try_push(as_bytes(record))) (void)to.wait_for_room(std::chrono::seconds(1));
  }
}

int read(const char* path) {
  auto& seen = inherited_log().spans[0];
  auto from = ring_reader::open(path);
  say("ready");
  test::record_checker check(seen, inherited_log().wrong);
  for (;;) {
    if (!from.wait(std::chrono::seconds(1))) continue;
    while (const auto record = from.front()) {
      check(record.body());
      from.pop();
    }
  }
}

int receive(const char* url) {
  test::numbered_receiver receiver(inherited_log());
  boost::asio::io_context io;
  context where(io);
  auto from = listener::open(where, url);
  if (!from) fail(from.error().text());
  std::vector<channel> kept;
  from->on_channel([&](channel one) {
    receiver.watch(one);
    kept.push_back(std::move(one));
  });
  say("ready");
  io.run();
  return 0;
}

int sit(const char* url) {
  boost::asio::io_context io;
  context where(io);
  const channel to = connect(where, url);
  io.run();
  return 0;
}

int host(const char* url) {
  boost::asio::io_context io;
  context where(io);
  auto from = listener::open(where, url);
  if (!from) fail(from.error().text());
  std::vector<channel> kept;
  from->on_channel([&](channel one) { kept.push_back(std::move(one)); });
  say("ready");
  io.run();
  return 0;
}

void lower(std::string_view which, rlim_t value) {
  const auto set = [](auto resource, rlim_t to) {
    const rlimit both{to, to};
    if (::setrlimit(resource, &both) != 0) fail("setrlimit");
  };
  if (which == "file") set(RLIMIT_FSIZE, value);
  if (which == "files") {
    // A descriptor is the lowest number that is free, between those that were inherited.
    std::vector<os::unique_fd> free;
    for (rlim_t i = 0; i <= value; ++i) free.emplace_back(::dup(0));
    set(RLIMIT_NOFILE, static_cast<rlim_t>(free.back().get()));
  }
  if (which == "memory") {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    set(RLIMIT_AS, pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + value);
  }
}

int give_up(const error& why) {
  say(why.text().c_str());
  return static_cast<int>(why.reason());
}

int attempt(char** argument) {
  const auto user = static_cast<uid_t>(std::strtoul(argument[0], nullptr, 10));
  if (user != 0 && (::setgid(user) != 0 || ::setuid(user) != 0)) fail("setuid");
  const std::string_view what = argument[3];
  const char* const url = argument[4];
  boost::asio::io_context io;
  context where(io);
  const boost::asio::steady_timer first_use(io);  // opens what an event loop needs for itself
  lower(argument[1], std::strtoul(argument[2], nullptr, 10));
  if (what == "host") return host(url);
  if (what == "listen") {
    const auto at = listener::open(where, url);
    return at ? 0 : give_up(at.error());
  }
  auto to = channel::open(where, url);
  if (!to) return give_up(to.error());
  to->async_wait_up([&](error_code) { io.stop(); });
  io.run();
  return to->state() == channel_state::up ? 0 : give_up(to->last_error());
}

void wait_readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  (void)::poll(&one, 1, -1);
}

void handshake(const std::string& name, std::string_view step) {
  const std::string path = std::string(std::getenv("RUNTIME_DIRECTORY")) + "/" + name + ".shm";
  if (step == "connect" || step == "hello" || step == "welcome") {
    const auto socket = test::raw_unix::connect(path);
    if (step == "connect") stay();
    const test::raw_ring_memory memory;
    test::say_hello(socket.fd(), memory, ring::hello_kind::hello);
    if (step == "hello") stay();
    wait_readable(socket.fd());
    const auto answer = test::hear_hello(socket.fd());
    if (!answer.fd) fail("no welcome");
    stay();
  }
  const auto listening = test::raw_unix::listen(path);
  say("ready");
  const auto socket = listening.accept();
  if (step == "accept") stay();
  wait_readable(socket.fd());
  const auto asked = test::hear_hello(socket.fd());
  if (step == "heard") stay();
  const test::raw_ring_memory memory;
  test::say_hello(socket.fd(), memory, ring::hello_kind::welcome);
  stay();
}

}  // namespace

int main(int count, char** argument) {
  const std::string_view role = count > 2 ? argument[1] : "";
  if (role == "send" && count == 5)
    return send(argument[2], std::strtoull(argument[3], nullptr, 10), std::strtoull(argument[4], nullptr, 10));
  if (role == "receive") return receive(argument[2]);
  if (role == "write" && count == 4) return write(argument[2], std::strtoull(argument[3], nullptr, 10));
  if (role == "read") return read(argument[2]);
  if (role == "sit") return sit(argument[2]);
  if (role == "host") return host(argument[2]);
  if (role == "try" && count == 7) return attempt(argument + 2);
  if (role == "handshake" && count == 4) handshake(argument[2], argument[3]);
  return 2;
}
