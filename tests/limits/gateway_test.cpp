// What a message through a gateway may cost: client, gateway and server in one process, and no allocation in any.
#include "gateway/gateway.hpp"

#include <ferry/gateway.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "testing/watchdog.hpp"
#include "tests/limits/counting_new.hpp"

namespace ferry::test {
namespace {

class gateway_limits : public ::testing::TestWithParam<buffer_pool_kind> {};

TEST_P(gateway_limits, no_heap_allocation_per_echo_through_a_gateway) {
  boost::asio::io_context io{1};
  const buffer_pool_options sizes{.min_buffer = 64, .max_buffer = 64 * 1024, .growth = 2, .page_size = 64};
  context where(io, std::make_shared<buffer_pool>(GetParam(), 1 << 20, sizes));  // as the program makes it
  context of_peers(io);
  gateway::settings with;
  with.clients.url = with.servers.url = "tcp://127.0.0.1:0";
  auto between = gateway::service::open(where, with);
  ASSERT_TRUE(between) << between.error().text();
  auto serving = gateway_server::open(of_peers, between->server_url(), 7, "");
  auto asking = gateway_client::open(of_peers, between->client_url());
  ASSERT_TRUE(serving && asking);
  channel there, here;
  serving->on_channel([&](channel one) {
    there = std::move(one);
    there.on_message([&](const message_view& m) { (void)there.try_send(m.payload); });
  });
  std::optional<error_code> up;
  serving->async_wait_up([&](error_code code) { up = code; });
  ASSERT_TRUE(run_until(
      io, [&] { return up.has_value(); }, "the login"));
  asking->async_dial(7, [&](error_code, channel one) { here = std::move(one); });
  ASSERT_TRUE(run_until(
      io, [&] { return here && there; }, "a virtual connection"));
  std::size_t echoes = 0;
  std::string text;
  here.on_message([&](const message_view& m) {
    ++echoes;
    (void)here.try_send(m.payload);
  });
  for (const std::size_t size : {64u, 1000u, 4096u}) {
    text.assign(size, 'x');
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(here.try_send(text));
    const auto turns = [&, from = echoes](std::size_t more) {
      return run_until(
          io, [&] { return echoes >= from + more; }, "echoes");
    };
    ASSERT_TRUE(turns(2000));  // until every buffer that is needed has been made once
    const auto before = count_allocations().allocations;
    ASSERT_TRUE(turns(4000));
    EXPECT_LE(count_allocations().allocations - before, 10u) << "2000 echoes of " << size << " bytes, 4000 packets";
  }
}

// How many threads of a gateway have handed packets on.
std::size_t busy_threads(const gateway::service& of) {
  std::size_t made = 0;
  for (const auto& one : of.forward_latency())
    if (one.count() != 0) ++made;
  return made;
}

TEST(gateway_limits_on_threads, no_heap_allocation_per_packet_that_crosses_from_one_thread_to_another) {
  constexpr std::uint64_t k_few = 10;
  constexpr std::size_t k_clients = 16;  // the kernel chooses a thread for each: hardly that of the server for all
  boost::asio::io_context io{1};
  context where(io), of_peers(io);
  gateway::settings with;
  with.clients.url = with.servers.url = "tcp://127.0.0.1:0";
  with.threads = 3;
  auto between = gateway::service::open(where, with);
  ASSERT_TRUE(between) << between.error().text();
  auto serving = gateway_server::open(of_peers, between->server_url(), 7, "");
  ASSERT_TRUE(serving);
  std::deque<channel> there, here;
  serving->on_channel([&](channel one) {
    auto& kept = there.emplace_back(std::move(one));
    kept.on_message([&kept](const message_view& m) { (void)kept.try_send(m.payload); });
  });
  std::optional<error_code> up;
  serving->async_wait_up([&](error_code code) { up = code; });
  ASSERT_TRUE(run_until(
      io, [&] { return up.has_value(); }, "the login"));
  std::size_t echoes = 0;
  std::deque<gateway_client> asking;
  for (std::size_t i = 0; i < k_clients; ++i) {
    auto made = gateway_client::open(of_peers, between->client_url());
    ASSERT_TRUE(made);
    asking.push_back(*made);
    asking.back().async_dial(7, [&](error_code failed, channel one) {
      ASSERT_FALSE(failed) << failed.message();
      auto& kept = here.emplace_back(std::move(one));
      kept.on_message([&](const message_view& m) {
        ++echoes;
        (void)kept.try_send(m.payload);
      });
    });
  }
  ASSERT_TRUE(run_until(
      io, [&] { return here.size() == k_clients && there.size() == k_clients; }, "virtual connections"));
  for (const std::size_t size : {64u, 1000u, 4096u}) {
    const std::string text(size, 'x');
    for (auto& one : here)
      for (int i = 0; i < 4; ++i) ASSERT_TRUE(one.try_send(text));
    const auto turns = [&](std::size_t more) {
      return run_until(
          io, [&, enough = echoes + more] { return echoes >= enough; }, "echoes");
    };
    // Threads fall behind each other by chance, and each time that it is further than ever takes another buffer.
    std::uint64_t made = k_few + 1;
    for (int i = 0; i < 50 && made > k_few; ++i) {
      const auto before = count_allocations().allocations;
      ASSERT_TRUE(turns(20'000));
      made = count_allocations().allocations - before;
    }
    EXPECT_LE(made, k_few) << "of the last 20000 echoes of " << size << " bytes, 40000 packets";
  }
  EXPECT_GE(busy_threads(*between), 2u);
}

INSTANTIATE_TEST_SUITE_P(pools, gateway_limits,
                         ::testing::Values(buffer_pool_kind::atom, buffer_pool_kind::sync, buffer_pool_kind::chan),
                         [](const auto& one) {
                           return one.param == buffer_pool_kind::atom   ? "atom"
                                  : one.param == buffer_pool_kind::sync ? "sync"
                                                                        : "chan";
                         });

}  // namespace
}  // namespace ferry::test
