// What an idle WebSocket costs a server.
#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

#include "os/unique_fd.hpp"
#include "testing/listening_world.hpp"
#include "testing/tcp_by_hand.hpp"
#include "tests/limits/counting_new.hpp"

namespace ferry::test {
namespace {

class idle_websockets : public listening_world {
 protected:
  void welcome(channel arrived) override {
    arrived.on_message([arrived](const message_view&) mutable { arrived.cut(); });
    come += 1;
  }
  /// Clients that ask and then say nothing; they allocate nothing.
  void grow(std::size_t to) {
    static constexpr std::string_view k_request =
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:12345\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    const sockaddr_in at = raw_tcp::loopback(port());
    while (clients.size() < to) {
      clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const int fd = clients.back().get();
      ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
      ASSERT_EQ(::send(fd, k_request.data(), k_request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(k_request.size()));
      ASSERT_TRUE(run_until(
          io, [&] { return come == clients.size(); }, "a client"));
    }
    run_ready(io);
  }

  std::vector<os::unique_fd> clients;
  std::size_t come = 0;
};

TEST_F(idle_websockets, cost_at_most_2_kib_each) {
  constexpr std::size_t k_few = 50, k_many = 350, k_at_most = 2048;
  clients.reserve(k_many);
  listen_at("ws://127.0.0.1:0/");
  ASSERT_NO_FATAL_FAILURE(grow(k_few));
  const auto with_few = count_allocations().live_bytes;
  ASSERT_NO_FATAL_FAILURE(grow(k_many));
  const std::size_t each = (count_allocations().live_bytes - with_few) / (k_many - k_few);
  RecordProperty("bytes_per_connection", static_cast<int>(each));
  EXPECT_LE(each, k_at_most);
}

}  // namespace
}  // namespace ferry::test
