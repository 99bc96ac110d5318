// How `ferry gateway` is run: the name that it has by default, its files, and what it says where they cannot be.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "apps/ferry/gateway_under_test.hpp"

namespace ferry::app {
namespace {

using gateway_operation = test::gateway_process;

test::outcome run_to_end(const test::arguments& call) {
  ferry::test::child program(call);
  const auto status = program.finish();
  return {status.value_or(-1), program.output(), program.error_output()};
}

TEST_F(gateway_operation, has_the_name_ferry_where_it_was_started_and_leaves_nothing) {
  start_at_home({});
  (void)port_on_next_line();
  (void)port_on_next_line();
  EXPECT_EQ(test::content_of(place.file("ferry.pid")), std::to_string(it->pid()) + "\n");
  EXPECT_EQ(answer_to("connections\n"), "ferry: 0 clients, 0 servers, 0 arriving, 0 virtual connections");
  EXPECT_EQ(answer_to("lookup threadcreate\n"), "ferry: ferry.threadcreate.prof is written");
  EXPECT_NE(test::content_of(place.file("ferry.threadcreate.prof")), "");
  std::filesystem::remove(place.file("ferry.cmd"));
  std::filesystem::remove(place.file("ferry.threadcreate.prof"));
  stop();
  EXPECT_TRUE(std::filesystem::is_empty(place.path()));
}

TEST_F(gateway_operation, refuses_to_be_the_second_of_its_name_in_a_directory_and_may_have_another) {
  start_at_home({});
  (void)port_on_next_line();
  (void)port_on_next_line();
  const auto second = run_to_end(at_home(words_of_call({})));
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.err.find("ferry.pid: process " + std::to_string(it->pid()) + " has it"), std::string::npos)
      << second.err;
  EXPECT_NE(second.err.find("--name"), std::string::npos) << second.err;
  EXPECT_EQ(test::content_of(place.file("ferry.pid")), std::to_string(it->pid()) + "\n");
  ferry::test::child other(at_home(words_of_call({"--name", "fastway"})));
  EXPECT_NE(other.read_error_line().value_or("").find("listening on"), std::string::npos);
  EXPECT_EQ(test::content_of(place.file("fastway.pid")), std::to_string(other.pid()) + "\n");
  other.kill(SIGTERM);
  EXPECT_EQ(other.finish(), 0);
}

TEST_F(gateway_operation, takes_the_file_of_one_that_was_killed) {
  start_at_home({});
  (void)port_on_next_line();
  const auto before = it->pid();
  it->kill(SIGKILL);
  EXPECT_EQ(it->finish(), 128 + SIGKILL);
  EXPECT_EQ(test::content_of(place.file("ferry.pid")), std::to_string(before) + "\n") << "nobody removed it";
  start_at_home({});
  (void)port_on_next_line();
  EXPECT_EQ(test::content_of(place.file("ferry.pid")), std::to_string(it->pid()) + "\n");
  (void)port_on_next_line();
  EXPECT_EQ(answer_to("drain\n"), "ferry: nobody new and no new dials; it ends with the last virtual connection");
  EXPECT_EQ(it->finish(), 0);
  it.reset();
}

TEST_F(gateway_operation, with_an_empty_name_has_no_files) {
  start_at_home({"--name", ""});
  (void)port_on_next_line();
  (void)port_on_next_line();
  EXPECT_TRUE(std::filesystem::is_empty(place.path()));
}

TEST_F(gateway_operation, is_not_well_for_operators_while_it_stops_and_shows_its_numbers_until_the_end) {
  using codec::gateway::command;
  start_at_home({"--admin-addr", ":0", "--stop-within", "1h"});
  const auto clients = port_on_next_line();
  const auto servers = port_on_next_line();
  const auto admin = port_on_next_line();
  auto& server = knocking(servers, 7, "");
  EXPECT_TRUE(server.is_well());
  EXPECT_TRUE(says_next("server 7 is there"));
  auto& c = client(clients);
  c.say(command::dial(7));
  const auto accepted = c.next_command();
  ASSERT_TRUE(accepted);
  EXPECT_TRUE(page(admin, "/healthz").starts_with("HTTP/1.1 200 "));
  it->kill(SIGTERM);
  EXPECT_TRUE(says_next("again to end at once"));
  const auto health = page(admin, "/healthz");
  EXPECT_TRUE(health.starts_with("HTTP/1.1 503 ")) << health;
  EXPECT_TRUE(health.ends_with("\r\n\r\nstopping\n")) << health;
  EXPECT_NE(page(admin, "/metrics").find("ferry_gateway_virtual_connections 1\n"), std::string::npos);
  c.say(command::close(accepted->connection));
  EXPECT_EQ(it->finish(), 0);
  it.reset();
}

TEST(gateway_admin_address, beyond_this_host_is_refused_unless_it_is_said_to_be_meant) {
  for (const char* const address : {"0.0.0.0:0", "[::]:0", "*:0", "192.0.2.1:9090", "tcp://example.org:9090"}) {
    const auto refused = test::run_ferry({"gateway", "--check", "-ServerAddr=127.0.0.1:0", "--admin-addr", address});
    EXPECT_EQ(refused.status, 2) << address;
    EXPECT_NE(refused.err.find("admin-addr"), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("insecure"), std::string::npos) << refused.err;
    EXPECT_EQ(test::run_ferry({"gateway", "--check", "--insecure", "--admin-addr", address}).status, 0) << address;
  }
  for (const char* const address : {":0", "127.0.0.1:0", "[::1]:0", "localhost:0", "ipc:///run/admin.sock"})
    EXPECT_EQ(test::run_ferry({"gateway", "--check", "-ServerAddr=127.0.0.1:0", "--admin-addr", address}).status, 0)
        << address;
}

TEST(gateway_name, says_what_to_do_where_no_file_can_be_made) {
  test::arguments call{"/bin/sh", "-c", "cd /proc && exec \"$@\"", "sh"};
  const auto program = test::ferry_call({"gateway", "-ClientAddr=127.0.0.1:0", "-ServerAddr=127.0.0.1:0"});
  call.insert(call.end(), program.begin(), program.end());
  const auto failed = run_to_end(call);
  EXPECT_EQ(failed.status, 1);
  EXPECT_NE(failed.err.find("open ferry.pid: "), std::string::npos) << failed.err;
  EXPECT_NE(failed.err.find("--name '' none"), std::string::npos) << failed.err;
}

}  // namespace
}  // namespace ferry::app
