// Members that do not read, and a pool that is at its end.
#include <ferry/buffer_pool.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "gateway/gateway.hpp"
#include "testing/gateway_by_hand.hpp"

namespace ferry::gateway {
namespace {

using test::packet;
using test::run_until;
using peer = test::gateway_peer;

class gateway_memory : public ::testing::Test {
 protected:
  void SetUp() override {
    settings with;
    with.clients.options = "socket_send_buffer=16K";
    auto made = service::open(where, test::local(with));
    ASSERT_TRUE(made) << made.error().text();
    it.emplace(std::move(*made));
    server = &peers.emplace_back(io, test::port_of(it->server_url()));
    test::log_in(io, *server, 7, test::k_gateway_key);
    ASSERT_TRUE(server->is_well());
  }
  // @param number  of its virtual connection
  peer& client(std::uint32_t& number) {
    peer& made = peers.emplace_back(io, test::port_of(it->client_url()));
    made.say(codec::gateway::command::dial(7));
    const auto accepted = made.next_command();
    EXPECT_TRUE(accepted);
    number = accepted ? accepted->connection : 0;
    EXPECT_TRUE(server->next_command());
    return made;
  }
  std::size_t waiting_for(std::uint32_t client_id) {
    for (const auto& one : it->members(100))
      if (one.role == session::gateway_role::client && one.id == client_id) return one.waiting_bytes;
    return 0;
  }
  // A client that does not read, for which so much waits.
  peer& deaf(std::uint32_t id, std::size_t bytes_that_wait) {
    std::uint32_t number = 0;
    peer& made = client(number);
    const auto message = packet(number, std::string(20'000, 'x'));
    while (!it->stats().slow && waiting_for(id) < bytes_that_wait) {
      server->send(message);
      EXPECT_TRUE(server->is_well());  // it was read
    }
    return made;
  }

  static constexpr std::size_t k_pool = 1 << 20;
  boost::asio::io_context io{1};
  context where{io, std::make_shared<buffer_pool>(buffer_pool_options{
                        .min_buffer = 64, .max_buffer = 64 * 1024, .growth = 2, .page_size = 64, .max_bytes = k_pool})};
  std::optional<service> it;
  std::deque<peer> peers;
  peer* server = nullptr;
};

TEST_F(gateway_memory, is_paid_for_by_who_does_not_read_and_by_nobody_who_needs_some) {
  peer& first = deaf(1, 270'000);
  (void)deaf(2, 130'000);
  (void)deaf(3, 70'000);
  std::uint32_t number = 0;
  peer& good = client(number);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1100);
  while (std::chrono::steady_clock::now() < end) ASSERT_TRUE(good.is_well());  // none of them reads for a second
  ASSERT_EQ(it->stats().slow, 0u);

  const auto large = packet(number, std::string(500'000, 'y'));
  std::string_view rest = large;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        if (const auto n = server->socket().try_send(rest); n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
        return rest.empty();
      },
      "room"));
  EXPECT_TRUE(good.next() == large);
  EXPECT_GT(where.buffers().stats().refused, 0u) << "it was not needed";
  EXPECT_EQ(server->next_command(), codec::gateway::command::close(1)) << "the one for whom most waited";
  EXPECT_TRUE(first.is_closed());
  const auto now = it->stats();
  EXPECT_EQ(now.servers, 1u);
  EXPECT_EQ(now.clients, 4 - now.slow);
  EXPECT_TRUE(good.is_well());
}

}  // namespace
}  // namespace ferry::gateway
