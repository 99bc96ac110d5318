#include <gtest/gtest.h>

#include "apps/ferry/gateway_flags.hpp"
#include "apps/ferry/program_under_test.hpp"

namespace ferry::app {
namespace {

using test::arguments;
using test::run_ferry;
using words = std::vector<std::string>;

TEST(gateway_spelling, of_the_original_is_written_as_ours) {
  EXPECT_EQ(spelled_as_ours({"gateway", "-ClientMaxConn", "16", "-ServerAddr=:0", "--client-addr", ":1"}),
            (words{"gateway", "--client-max-conn=16", "--server-addr=:0", "--client-addr", ":1"}));
  EXPECT_EQ(spelled_as_ours({"-ReusePort", "-ReusePort=false", "--ClientAddr", ":0"}),
            (words{"--reuse-port=true", "--reuse-port=false", "--client-addr=:0"}));
  EXPECT_EQ(spelled_as_ours({"-o", "-", "--", "-ClientAddr"}), (words{"-o", "-", "--", "--client-addr"}));
}

TEST(gateway_configuration, the_command_line_wins_over_the_environment_and_that_over_the_file) {
  const ferry::test::temp_dir place;
  const auto path = place.file("gateway.toml");
  test::write_file(path,
                   "client_max_conn = 1\nServerAuthKey = \"one\"\n[gateway]\nmax-packet = \"1K\"\nreuse-port = true\n");
  const char* const environment[] = {"FERRY_GATEWAY_CLIENT_MAX_CONN=2", "FERRY_GATEWAY_MAX_PACKET=2K", "FERRY_X=1"};
  const auto made = gateway_configuration({path, "", {{"client-max-conn", "3"}}}, environment);
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(made->service.client_max_conn, 3u);
  EXPECT_EQ(made->service.max_packet, 2048u);
  EXPECT_EQ(made->service.server_key, "one");
  EXPECT_TRUE(made->service.reuse_port);
}

TEST(gateway_configuration, takes_the_key_from_a_file_without_its_last_line_end) {
  const ferry::test::temp_dir place;
  test::write_file(place.file("key"), "sek rit\n");
  const auto made = gateway_configuration({"", place.file("key"), {}}, {});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->service.server_key, "sek rit");
}

TEST(gateway_configuration, that_is_wrong_says_where) {
  gateway::configuration all;
  const std::pair<const char*, const char*> wrong[] = {{"a = [1", "f:1"},
                                                       {"\nclient-max-con = 1", "f:2: unknown parameter"},
                                                       {"client-max-conn = 0", "f:1: client-max-conn"},
                                                       {"[channel]\nx = 1", "unknown table [channel]"},
                                                       {"max-packet = 5\nMaxPacket = 6", "twice"},
                                                       {"max-packet = 1979-05-27", "must be a text"}};
  for (const auto& [text, expected] : wrong) {
    const auto done = set_parameters_from_toml(all, text, "f");
    ASSERT_FALSE(done) << text;
    EXPECT_NE(done.error().text().find(expected), std::string::npos) << done.error().text();
  }
  const char* const environment[] = {"FERRY_GATEWAY_MAX_PACKET=x"};
  EXPECT_NE(gateway_configuration({}, environment).error().text().find("FERRY_GATEWAY_MAX_PACKET"), std::string::npos);
}

TEST(ferry_gateway, checks_a_configuration_and_does_nothing_else) {
  const auto good = run_ferry({"gateway", "--check", "-ServerAddr", "127.0.0.1:0", "-ClientMaxConn=16"});
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_EQ(good.out, "the configuration is good\n");
  const auto open_to_all = run_ferry({"gateway", "--check"});
  EXPECT_EQ(open_to_all.status, 2);
  EXPECT_NE(open_to_all.err.find("server-addr"), std::string::npos);
  EXPECT_EQ(run_ferry({"gateway", "--check", "--insecure"}).status, 0);
  const auto wrong = run_ferry({"gateway", "--check", "--insecure", "-MaxPacket", "3"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.err.find("max-packet"), std::string::npos);
}

TEST(ferry_gateway, warns_of_a_key_on_the_command_line_and_does_not_say_it) {
  const auto warned = run_ferry({"gateway", "--check", "-ServerAuthPassword", "sekrit"});
  EXPECT_EQ(warned.status, 0) << warned.err;
  EXPECT_NE(warned.err.find("warning"), std::string::npos);
  EXPECT_EQ(warned.err.find("sekrit"), std::string::npos);
}

TEST(ferry_gateway, listens_until_it_is_told_to_stop) {
  ferry::test::child program(test::ferry_call({"gateway", "-ClientAddr=127.0.0.1:0", "-ServerAddr=127.0.0.1:0"}));
  const auto clients = program.read_error_line();
  const auto servers = program.read_error_line();
  ASSERT_TRUE(clients && servers);
  EXPECT_TRUE(clients->starts_with("ferry: clients: listening on tcp://127.0.0.1:")) << *clients;
  EXPECT_TRUE(servers->starts_with("ferry: servers: listening on tcp://127.0.0.1:")) << *servers;
  program.kill(SIGTERM);
  EXPECT_EQ(program.finish(), 0);
}

}  // namespace
}  // namespace ferry::app
