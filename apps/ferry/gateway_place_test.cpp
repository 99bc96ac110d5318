// `ferry gateway` whose place another one takes, and one that was given its sockets: real processes.
#include "apps/ferry/gateway_place.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "apps/ferry/program_under_test.hpp"
#include "codec/gateway_login.hpp"
#include "codec/gateway_packet.hpp"
#include "os/fd_passing.hpp"
#include "testing/child.hpp"
#include "testing/raw_unix.hpp"
#include "testing/tcp_by_hand.hpp"

namespace ferry::app {
namespace {

using codec::gateway::command;
using ferry::test::child;
using ferry::test::raw_tcp;
using ferry::test::raw_unix;
using strings = std::vector<std::string>;

std::string wire(const command& what) {
  const auto made = encode(what);
  return std::string(as_text(made.view()));
}

// Until something has come whole, or the connection has ended. @return it; empty: the end
std::string take(raw_tcp& from, std::size_t size) {
  const auto end = std::chrono::steady_clock::now() + child::k_limit;
  while (from.received().size() < size && !from.ended()) {
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "gave up waiting for " << size << " bytes";
      break;
    }
    std::this_thread::yield();
  }
  return from.received().size() < size ? "" : from.take(size);
}
bool is_served(raw_tcp& who) {
  const auto ping = wire(command::ping());
  return who.try_send(ping) > 0 && take(who, ping.size()) == ping;
}

class gateway_taking_over : public ::testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] strings call(const strings& more) const {
    strings made{"gateway",          "-ClientAddr", "127.0.0.1:0 ipc://" + place.file("c.sock"),
                 "-ServerAddr",      "127.0.0.1:0", "--pid-file",
                 place.file("g.pid")};
    made.insert(made.end(), more.begin(), more.end());
    return test::ferry_call(made);
  }
  // Reads until a line has that text. @return it
  static std::string line_with(child& of, const std::string& text) {
    std::string seen;
    while (const auto line = of.read_error_line()) {
      if (line->find(text) != std::string::npos) return *line;
      seen += *line + "\n";
    }
    ADD_FAILURE() << "nothing says '" << text << "' in: " << seen;
    return {};
  }
  static std::uint16_t port_in(const std::string& line) {
    return line.empty() ? 0 : static_cast<std::uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
  }
  // Starts one, and learns where it listens.
  child& start(const strings& more = {}) {
    now.emplace(call(more));
    clients = port_in(line_with(*now, "clients: listening on tcp"));
    servers = port_in(line_with(*now, "servers: listening on tcp"));
    return *now;
  }
  [[nodiscard]] std::string number() const { return test::content_of(place.file("g.pid")); }
  static void stop(child& one) {
    one.kill(SIGTERM);
    EXPECT_EQ(one.finish(), 0) << one.error_output();
  }
  static constexpr int k_rounds = 20;

  ferry::test::temp_dir place;
  std::optional<child> now;
  std::vector<std::unique_ptr<child>> kept;
  std::uint16_t clients = 0, servers = 0;
};

TEST_P(gateway_taking_over, refuses_nobody_while_it_is_replaced_twenty_times) {
  start({"--threads", GetParam()});
  std::atomic<int> refused = 0, served = 0;
  std::atomic<bool> over = false;
  std::thread knocking([&] {
    while (!over) {
      try {
        raw_tcp one(clients);
        if (is_served(one)) ++served;
      } catch (const std::system_error&) {
        ++refused;
      }
    }
  });
  child* one = &*now;
  for (int round = 0; round < k_rounds; ++round) {
    const auto before = served.load();
    // From time to time with another number of threads: nobody who waits at a socket may be forgotten.
    const char* const threads = round % 4 == 3 ? "2" : GetParam();
    auto next = std::make_unique<child>(call({"--take-over", "--threads", threads}));
    line_with(*next, "has taken over from process " + std::to_string(one->pid()));
    line_with(*one, "process " + std::to_string(next->pid()) + " has taken over");
    EXPECT_EQ(one->finish(), 0) << one->error_output();
    while (served <= before) std::this_thread::yield();
    one = kept.emplace_back(std::move(next)).get();
  }
  over = true;
  knocking.join();
  EXPECT_EQ(refused, 0);
  EXPECT_GE(served, k_rounds);
  EXPECT_EQ(number(), std::to_string(one->pid()) + "\n");
  const auto over_ipc = raw_unix::connect(place.file("c.sock"));
  stop(*one);
  EXPECT_TRUE(std::filesystem::is_empty(place.path())) << "files go with the last one";
}
INSTANTIATE_TEST_SUITE_P(on_threads, gateway_taking_over, ::testing::Values("1", "3"),
                         [](const auto& which) { return std::string("threads_") + which.param; });

using gateway_taking_over_once = gateway_taking_over;

class member_by_hand {
 public:
  explicit member_by_hand(std::uint16_t port) : socket(port) {}
  void log_in(std::uint32_t id) {
    const auto asked = take(socket, 8);
    ASSERT_EQ(asked.size(), 8u);
    codec::gateway::challenge number{};
    std::copy_n(as_bytes(asked).begin(), 8, number.begin());
    const auto said = codec::gateway::encode({codec::gateway::prove(number, ""), id});
    socket.send(as_text(said));
    EXPECT_TRUE(is_served(socket));
  }
  [[nodiscard]] std::optional<command> next() {
    const auto head = take(socket, 4);
    if (head.empty()) return std::nullopt;
    const auto rest = take(socket, static_cast<unsigned char>(head[0]));
    const auto read = codec::gateway::decode_command(as_bytes(rest).subspan(4));
    return read ? std::optional(*read) : std::nullopt;
  }
  raw_tcp socket;
};

TEST_F(gateway_taking_over_once, lets_virtual_connections_end_where_they_are_and_everybody_else_go) {
  child& old = start();
  member_by_hand server(servers), client(clients), idle(clients);
  server.log_in(7);
  EXPECT_TRUE(is_served(idle.socket));
  client.socket.send(wire(command::dial(7)));
  const auto accepted = client.next();
  ASSERT_TRUE(accepted && server.next());
  child next(call({"--take-over"}));
  line_with(next, "has taken over from process " + std::to_string(old.pid()));
  EXPECT_EQ(take(idle.socket, 1), "") << "it has no virtual connection, and is let go";
  std::string hello(codec::gateway::k_header_bytes, '\0');
  codec::gateway::store_header(reinterpret_cast<std::byte*>(hello.data()), accepted->connection, 2);
  hello += "hi";
  client.socket.send(hello);
  EXPECT_EQ(take(server.socket, hello.size()), hello);
  raw_tcp fresh(clients);
  EXPECT_TRUE(is_served(fresh)) << "by the new one";
  client.socket.send(wire(command::close(accepted->connection)));
  EXPECT_EQ(server.next(), command::close(accepted->connection));
  EXPECT_EQ(take(server.socket, 1), "") << "it may go to the new one";
  EXPECT_EQ(old.finish(), 0);
  stop(next);
}

TEST_F(gateway_taking_over_once, goes_on_when_who_wanted_to_take_over_dies_at_any_moment) {
  child& old = start();
  for (const std::size_t read : {0, 1, 3, 6}) {
    {
      const auto dying = raw_unix::connect(place.file("g.sock"));
      for (std::size_t i = 0; i < read; ++i) {
        std::byte one{};
        auto got = os::receive_with_fd(dying.fd(), {&one, 1});
        while (!got && got.error() == errc::would_block) got = os::receive_with_fd(dying.fd(), {&one, 1});
      }
    }
    line_with(old, "nobody takes over, process ");
    raw_tcp client(clients);
    EXPECT_TRUE(is_served(client));
    EXPECT_EQ(number(), std::to_string(old.pid()) + "\n");
  }
  child next(call({"--take-over", "--admin-addr", "127.0.0.1:" + std::to_string(clients)}));
  EXPECT_EQ(next.finish(), 1) << "it cannot listen where clients are";
  line_with(old, "nobody takes over, process ");
  raw_tcp client(clients);
  EXPECT_TRUE(is_served(client));
  stop(old);
}

TEST_F(gateway_taking_over_once, goes_on_with_what_it_has_got_when_its_predecessor_dies) {
  const auto predecessor = raw_unix::listen(place.file("g.sock"));
  std::optional<ferry::test::raw_tcp_listener> listening(std::in_place);
  raw_tcp waiting(listening->port());  // whom nobody has accepted yet
  child next(
      test::ferry_call({"gateway", "--take-over", "-ClientAddr", "127.0.0.1:" + std::to_string(listening->port()),
                        "-ServerAddr", "127.0.0.1:0", "--pid-file", place.file("g.pid")}));
  {
    const auto asked = predecessor.accept();
    const std::array<std::byte, 2> said{std::byte{'1'}, std::byte{'c'}};
    ASSERT_TRUE(os::send_with_fd(asked.fd(), bytes(said).first(1), -1));
    ASSERT_TRUE(os::send_with_fd(asked.fd(), bytes(said).last(1), listening->fd()));
    listening.reset();
  }
  line_with(next, "has ended before it had given all");
  EXPECT_TRUE(is_served(waiting));
  line_with(next, "clients: listening on tcp");
  EXPECT_EQ(number(), std::to_string(next.pid()) + "\n");
  stop(next);
}

TEST_F(gateway_taking_over_once, starts_where_nobody_is_and_says_what_it_needs) {
  now.emplace(call({"--take-over"}));
  line_with(*now, "nobody is there to take over from");
  line_with(*now, "servers: listening on");
  stop(*now);
  const auto nameless = test::run_ferry({"gateway", "-ServerAddr=127.0.0.1:0", "--name", "", "--take-over"});
  EXPECT_EQ(nameless.status, 2);
  EXPECT_NE(nameless.err.find("--name"), std::string::npos) << nameless.err;
}

TEST(gateway_activation, listens_on_the_sockets_of_a_service_manager_by_their_names) {
  const ferry::test::raw_tcp_listener for_servers, for_clients;
  raw_tcp waiting(for_clients.port());  // which is why it is started
  ferry::test::child_options with;
  with.environment = {"LISTEN_FDS=2", "LISTEN_FDNAMES=server:client"};
  with.listen_pid = true;
  with.descriptors = {for_servers.fd(), for_clients.fd()};
  child one(test::ferry_call(
                {"gateway", "-ClientAddr=127.0.0.1:0", "-ServerAddr=127.0.0.1:0", "--threads", "3", "--name", ""}),
            with);
  EXPECT_TRUE(is_served(waiting));
  const auto clients = one.read_error_line(), servers = one.read_error_line();
  EXPECT_EQ(clients, "ferry: clients: listening on tcp://127.0.0.1:" + std::to_string(for_clients.port()));
  EXPECT_EQ(servers, "ferry: servers: listening on tcp://127.0.0.1:" + std::to_string(for_servers.port()));
  for (int i = 0; i < 20; ++i) {
    raw_tcp more(for_clients.port());
    EXPECT_TRUE(is_served(more)) << "whichever thread takes it";
  }
  one.kill(SIGTERM);
  EXPECT_EQ(one.finish(), 0) << one.error_output();
}

TEST(gateway_activation, by_addresses_and_says_which_socket_is_nobodys) {
  const ferry::test::raw_tcp_listener listening;
  ferry::test::child_options with;
  with.environment = {"LISTEN_FDS=1"};
  with.listen_pid = true;
  with.descriptors = {listening.fd()};
  const auto at = "127.0.0.1:" + std::to_string(listening.port());
  child one(test::ferry_call({"gateway", "-ClientAddr=127.0.0.2:0", "-ServerAddr", at, "--name", ""}), with);
  EXPECT_NE(one.read_error_line().value_or("").find("clients: listening on"), std::string::npos);
  EXPECT_EQ(one.read_error_line(), "ferry: servers: listening on tcp://" + at);
  one.kill(SIGTERM);
  EXPECT_EQ(one.finish(), 0);
  const ferry::test::temp_dir place;
  const auto wrong = test::run_ferry(
      {"gateway", "-ClientAddr=127.0.0.2:0", "-ServerAddr=ipc://" + place.file("s.sock"), "--name", ""}, "", with);
  EXPECT_EQ(wrong.status, 2) << wrong.err;
  EXPECT_NE(wrong.err.find("LISTEN_FDS: " + at), std::string::npos) << wrong.err;
}

}  // namespace
}  // namespace ferry::app
