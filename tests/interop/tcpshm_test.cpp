// Ours and a peer that was written from the page alone, in both roles, over both transports: killed at random, a
// numbered echo has no gap and no duplicate.
#include <gtest/gtest.h>

#include "tests/crash/tcpshm_world.hpp"

namespace ferry::test {
namespace {

const program k_ours{FERRY_TCPSHM_PEER};
const program k_foreign{"python3", "-B", FERRY_SOURCE_DIR "/tests/interop/tcpshm_peer.py"};
constexpr std::uint64_t k_kills = 40;

class tcpshm_and_a_foreign_peer : public ::testing::TestWithParam<bool> {
 protected:
  void expect_an_echo_without_gaps(const program& server, const program& client) {
    tcpshm_world on(server, client, GetParam());
    // The original publishes a pad before its message, so a push cannot be told by the index: each takes one block.
    if (GetParam()) on.log().spread = 40;
    on.kill_at_random(k_kills, std::chrono::microseconds(100'000));
    EXPECT_EQ(on.log().wrong, 0u) << on.log().complaint;
    EXPECT_GT(on.log().logins, 3u);
    RecordProperty("echoes", std::to_string(on.log().echoed));
  }
};

INSTANTIATE_TEST_SUITE_P(, tcpshm_and_a_foreign_peer, ::testing::Values(false, true),
                         [](const auto& which) { return which.param ? "shared_memory" : "tcp"; });

TEST_P(tcpshm_and_a_foreign_peer, server_of_ours_echoes_to_it_whoever_is_killed) {
  expect_an_echo_without_gaps(k_ours, k_foreign);
}
TEST_P(tcpshm_and_a_foreign_peer, client_of_ours_is_echoed_by_it_whoever_is_killed) {
  expect_an_echo_without_gaps(k_foreign, k_ours);
}

}  // namespace
}  // namespace ferry::test
