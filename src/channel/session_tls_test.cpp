// Persistent sessions over TLS whose connection ends as a process that is killed ends it.
#include <ferry/session.hpp>

#include "testing/faulty_proxy.hpp"
#include "testing/session_options.hpp"
#include "testing/tls_world.hpp"

namespace ferry::test {
namespace {

TEST_F(tls_world, a_session_whose_connection_ends_without_close_notify_was_lost_and_goes_on_with_the_next_one) {
  listen(session_options("bob", dir));
  faulty_proxy network(io, port(), [] { return network_fault{}; });
  auto with = session_options("alice", dir);
  with.tls_ca = ca();
  std::vector<error> downs;
  std::vector<std::string> answers;
  client = channel::open(where, "tls://127.0.0.1:" + std::to_string(network.port()), with).value();
  client.on_message([&](const message_view& m) { answers.emplace_back(m.text()); });
  client.on_down([&](const down_info& info) { downs.push_back(info.reason); });
  ASSERT_TRUE(client.try_send("one"));
  ASSERT_TRUE(turn([&] { return answers.size() == 1; }, "an answer"));
  EXPECT_GT(network.cut_all(), 0u);
  ASSERT_TRUE(turn([&] { return !downs.empty() && !server_downs.empty(); }, "both to notice"));
  for (const auto& why : {downs.front(), server_downs.front()}) {
    EXPECT_EQ(why, errc::reset) << why.text();
    EXPECT_EQ(condition_of(why.reason()), condition::reconnect);
    EXPECT_NE(why.text().find("close_notify"), std::string::npos) << why.text();
  }
  ASSERT_TRUE(client.try_send("two"));
  ASSERT_TRUE(turn([&] { return answers.size() == 2; }, "an answer over the next connection"));
  client.cut();
  server.cut();
  io.poll();
}

}  // namespace
}  // namespace ferry::test
