#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "sidecar/service_pipe.hpp"
#include "testing/sidecar_by_hand.hpp"

namespace ferry {
namespace {

class service_threads : public ::testing::TestWithParam<service_rings> {};
INSTANTIATE_TEST_SUITE_P(rings, service_threads, ::testing::Values(service_rings::compatible, service_rings::native),
                         [](const auto& of) { return of.param == service_rings::native ? "native" : "compatible"; });

TEST_P(service_threads, many_threads_send_and_every_message_arrives_whole_and_in_the_order_of_its_sender) {
  boost::asio::io_context io;
  context where(io);
  test::sidecar_by_hand sidecar(io, GetParam());
  sidecar.make_rings();
  sidecar.listen();
  auto one = service::make(where, sidecar.options_for()).value();
  ASSERT_TRUE(one.start());
  (void)sidecar.take_registration();
  ASSERT_TRUE(test::run_until(
      io, [&] { return one.state() == service_state::registered && one.rings() == GetParam(); }, "the rings"));
  constexpr std::uint32_t k_senders = 4;
  constexpr std::uint32_t k_messages = 500;
  std::vector<std::thread> senders;
  std::atomic<int> wrong{0};
  for (std::uint32_t sender = 0; sender < k_senders; ++sender)
    senders.emplace_back([&, sender] {
      const std::string body(sender * 50 + 10, static_cast<char>('a' + sender));
      for (std::uint32_t i = 0; i < k_messages;) {
        const auto sent =
            one.send({.to = to_entity{1}}, {.server_sequence = sender, .client_sequence = i}, as_bytes(body));
        if (sent) {
          i += 1;
        } else {
          wrong += sent.error() == errc::full ? 0 : 1;
          std::this_thread::yield();
        }
      }
    });
  std::array<std::uint32_t, k_senders> next{};
  for (std::uint32_t taken = 0; taken < k_senders * k_messages;) {
    const auto got = sidecar.take();
    if (!got) {
      std::this_thread::yield();
      continue;
    }
    taken += 1;
    const auto sender = got->package.server_sequence;
    ASSERT_LT(sender, k_senders);
    wrong += got->package.client_sequence != next[sender]++;
    wrong += got->body != std::string(sender * 50 + 10, static_cast<char>('a' + sender));
  }
  for (auto& sender : senders) sender.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(one.stats().sent, k_senders * k_messages);
}

// Whoever picks a pipe looks at all of them, and holds the locks of those that are free for that moment.
TEST(service_pipes, are_enough_for_all_who_pick_one_at_the_same_time) {
  const test::temp_dir dir;
  service_options with;
  with.directory = dir.path().string();
  with.pipes = 4;
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> picked{0}, ready{0};
    std::vector<std::thread> all;
    for (std::uint32_t i = 0; i < with.pipes; ++i)
      all.emplace_back([&] {
        ready += 1;
        while (ready < 4) std::this_thread::yield();
        const auto one = sidecar::service_pipe::pick(with, 1);
        picked += one.has_value() ? 1 : 0;
        ready += 1;
        while (ready < 8) std::this_thread::yield();  // all hold theirs until all have one
      });
    for (auto& one : all) one.join();
    ASSERT_EQ(picked, 4) << "in round " << round;
  }
}

}  // namespace
}  // namespace ferry
