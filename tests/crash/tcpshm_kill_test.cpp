// kill -9 of a client or a server in tcpshm's shape, or of both, at moments that nobody chose: a numbered echo has no
// gap, no duplicate, nothing torn. Over persistent sessions neither side keeps notes of its own: each message is taken
// and answered in one step.
#include "rounds.hpp"
#include "tests/crash/tcpshm_world.hpp"

namespace ferry::test {
namespace {

void expect_an_echo_without_gaps(bool shm, const std::string& sessions = {}, std::uint64_t kills = rounds(500)) {
  tcpshm_world on({FERRY_TCPSHM_PEER}, {FERRY_TCPSHM_PEER}, shm, sessions);
  on.kill_at_random(kills, std::chrono::microseconds(10'000));
  EXPECT_EQ(on.log().wrong, 0u) << on.log().complaint;
  EXPECT_GT(on.log().logins, kills / 8);
  ::testing::Test::RecordProperty("kills", std::to_string(kills));
  ::testing::Test::RecordProperty("echoes", std::to_string(on.log().echoed));
  ::testing::Test::RecordProperty("logins", std::to_string(on.log().logins));
}

TEST(tcpshm_kill, over_tcp_leaves_no_gap_and_no_duplicate) { expect_an_echo_without_gaps(false); }
TEST(tcpshm_kill, over_shared_memory_leaves_no_gap_and_no_duplicate) { expect_an_echo_without_gaps(true); }
TEST(tcpshm_kill, of_sessions_over_tcp_answers_each_message_exactly_once) {
  expect_an_echo_without_gaps(false, "ferry");
}
TEST(tcpshm_kill, of_sessions_over_shared_memory_answers_each_message_exactly_once) {
  expect_an_echo_without_gaps(true, "ferry");
}
TEST(tcpshm_kill, of_sessions_on_disk_over_tcp_answers_each_message_exactly_once) {
  expect_an_echo_without_gaps(false, "disk", rounds(100));
}
TEST(tcpshm_kill, of_sessions_on_disk_in_shared_memory_answers_each_message_exactly_once) {
  expect_an_echo_without_gaps(true, "disk", rounds(100));
}

}  // namespace
}  // namespace ferry::test
