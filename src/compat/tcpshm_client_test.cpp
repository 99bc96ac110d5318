#include <gtest/gtest.h>

#include "testing/tcpshm_pair.hpp"

namespace ferry::test {
namespace {

class tcpshm_over : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] bool shm() const { return GetParam(); }
  void expect_echo(tcpshm_pair& on, std::size_t messages) {
    on.server->echoes = true;
    const auto before = on.client->messages.size();
    for (std::size_t i = 0; i < messages; ++i) ASSERT_FALSE(on.client->say(std::to_string(i), 7));
    ASSERT_TRUE(on.until([&] { return on.client->messages.size() == before + messages; }, "the echoes"));
    for (std::size_t i = 0; i < messages; ++i) EXPECT_EQ(on.client->messages[before + i], "7 " + std::to_string(i));
  }
};

INSTANTIATE_TEST_SUITE_P(, tcpshm_over, ::testing::Values(false, true),
                         [](const auto& which) { return which.param ? "shared_memory" : "tcp"; });

TEST_P(tcpshm_over, messages_go_both_ways_after_a_login_that_both_are_told_of) {
  tcpshm_pair on;
  ASSERT_TRUE(on.log_in(shm()));
  EXPECT_EQ(on.client->notes, told{"success: " + on.server_name});
  EXPECT_EQ(on.server->notes, (told{"new: " + on.client_name + (shm() ? " shm" : " tcp"), "logon: " + on.client_name}));
  expect_echo(on, 10);
}

TEST_P(tcpshm_over, what_is_pushed_while_the_peer_is_away_comes_after_the_next_login) {
  tcpshm_pair on;
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 1);
  on.client->get_connection().close();
  ASSERT_TRUE(on.until([&] { return on.member().is_closed() && on.client->get_connection().is_closed(); }, "the end"));
  EXPECT_FALSE(on.client->say("from the client"));
  EXPECT_FALSE(on.server->say(on.client_name, "from the server"));
  on.poll();
  on.server->echoes = false;
  ASSERT_TRUE(on.log_in(shm()));
  ASSERT_TRUE(on.until([&] { return on.client->messages.size() == 2 && on.server->messages.size() == 2; }, "both"));
  EXPECT_EQ(on.client->messages[1], "1 from the server");
  EXPECT_EQ(on.server->messages[1], "1 from the client");
}

}  // namespace
}  // namespace ferry::test
