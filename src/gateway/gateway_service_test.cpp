#include <ferry/gateway_service.hpp>

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "testing/gateway_by_hand.hpp"
#include "testing/temp_dir.hpp"

namespace ferry {
namespace {

const gateway_service::parameters k_here{{"client-addr", "127.0.0.1:0"}, {"ServerAddr", "127.0.0.1:0"}};

gateway_service::parameters and_also(const std::string& name, const std::string& value) {
  auto all = k_here;
  all.emplace_back(name, value);
  return all;
}

class own_gateway : public ::testing::Test {
 protected:
  boost::asio::io_context io{1};
  context where{io};
};

TEST_F(own_gateway, is_reached_by_clients_and_shows_them_to_operators) {
  const auto it = gateway_service::open(where, and_also("admin-addr", ":0"));
  ASSERT_TRUE(it) << it.error().text();
  test::gateway_peer client(io, test::port_of(it->client_urls().front()));
  EXPECT_TRUE(client.is_well());
  EXPECT_EQ(it->server_urls().size(), 1u);
  EXPECT_NE(it->page("/metrics").find("ferry_gateway_members{role=\"client\"} 1\n"), std::string::npos);
  EXPECT_EQ(it->page("/healthz"), "ok\n");
  test::raw_tcp operators(test::port_of(it->admin_url()));
  operators.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(test::run_until(
      io, [&] { return operators.ended(); }, "the page"));
  EXPECT_TRUE(operators.received().ends_with("\r\n\r\nok\n")) << operators.received();
}

TEST_F(own_gateway, has_the_commands_of_all_gateways_and_those_that_are_added) {
  auto it = gateway_service::open(where, k_here);
  ASSERT_TRUE(it) << it.error().text();
  it->add_command({"greet", "WHO", "Greets", [](gateway_command::words given) -> result<std::string> {
                     return "hello " + std::string(given.empty() ? "" : given.front());
                   }});
  EXPECT_EQ(it->run_command("greet you").value(), "hello you");
  EXPECT_TRUE(it->run_command("connections").value().starts_with("0 clients, 0 servers"));
  EXPECT_NE(it->run_command("nonsense").error().text().find("connections, greet WHO, lookup block"), std::string::npos)
      << it->run_command("nonsense").error().text();
  EXPECT_FALSE(it->run_command("lookup heap")) << "it has no name";
}

TEST_F(own_gateway, refuses_what_is_wrong_and_what_is_of_the_program) {
  EXPECT_EQ(gateway_service::open(where, {}).error(), errc::bad_option) << "servers could come from anywhere";
  EXPECT_EQ(gateway_service::open(where, and_also("client-max-con", "1")).error(), errc::unknown_option);
  for (const char* const name : {"log-file", "pid_file", "MemPoolType", "mem-pool-limit"}) {
    const auto refused = gateway_service::open(where, and_also(name, "x"));
    ASSERT_FALSE(refused) << name;
    EXPECT_NE(refused.error().text().find("is of the program"), std::string::npos) << refused.error().text();
  }
}

TEST_F(own_gateway, holds_to_what_it_is_told_to_change_and_says_what_has_to_wait) {
  using codec::gateway::command_type;
  const test::temp_dir place;
  const auto key_file = place.file("key");
  std::ofstream(key_file) << "before\n";
  auto with = and_also("server-auth-key-file", key_file);
  with.emplace_back("client-max-conn", "1");
  auto it = gateway_service::open(where, with);
  ASSERT_TRUE(it) << it.error().text();
  const auto servers = test::port_of(it->server_urls().front());
  test::gateway_peer server(io, servers);
  test::log_in(io, server, 7, "before");
  EXPECT_TRUE(server.is_well());
  test::gateway_peer client(io, test::port_of(it->client_urls().front()));
  const auto answer = [&] {
    client.say(codec::gateway::command::dial(7));
    const auto came = client.next_command();
    return came ? came->type : command_type::ping;
  };
  EXPECT_EQ(answer(), command_type::accept);
  EXPECT_EQ(answer(), command_type::refuse);

  std::ofstream(key_file) << "after\n";
  with.emplace_back("client-max-conn", "2");
  with.emplace_back("max-packet", "1K");
  with.emplace_back("admin-addr", ":0");
  EXPECT_EQ(it->change(with).value(), (std::vector<std::string>{"max-packet", "admin-addr"}));
  EXPECT_EQ(answer(), command_type::accept);
  EXPECT_EQ(answer(), command_type::refuse);
  test::gateway_peer late(io, servers), next(io, servers);
  test::log_in(io, late, 8, "before");
  EXPECT_TRUE(late.is_closed());
  test::log_in(io, next, 8, "after");
  EXPECT_TRUE(next.is_well());
  EXPECT_FALSE(server.socket().ended()) << "it had logged in before";
  EXPECT_EQ(it->change(and_also("client-max-con", "3")).error(), errc::unknown_option);
  EXPECT_EQ(answer(), command_type::refuse) << "nothing has changed";
}

TEST_F(own_gateway, keeps_its_key_while_servers_may_come_from_anywhere) {
  const gateway_service::parameters anywhere{
      {"client-addr", "127.0.0.1:0"}, {"server-addr", ":0"}, {"server-auth-key", "secret"}};
  auto it = gateway_service::open(where, anywhere);
  ASSERT_TRUE(it) << it.error().text();
  // Good for another start, but what listens now is reached from everywhere.
  const auto refused = it->change(k_here);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("anybody who reaches it could be a server"), std::string::npos);
  test::gateway_peer stranger(io, test::port_of(it->server_urls().front()));
  test::log_in(io, stranger, 7, "");
  EXPECT_TRUE(stranger.is_closed());
}

TEST_F(own_gateway, stops_in_order) {
  auto it = gateway_service::open(where, k_here);
  ASSERT_TRUE(it) << it.error().text();
  test::gateway_peer client(io, test::port_of(it->client_urls().front()));
  EXPECT_TRUE(client.is_well());
  bool stopped = false;
  it->stop([&] { stopped = true; });
  EXPECT_EQ(it->page("/healthz"), "stopping\n");
  ASSERT_TRUE(test::run_until(
      io, [&] { return stopped; }, "the stop"));
  EXPECT_TRUE(client.is_closed());
}

}  // namespace
}  // namespace ferry
