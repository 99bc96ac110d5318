#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "apps/ferry/gateway_commands.hpp"
#include "apps/ferry/gateway_flags.hpp"
#include "apps/ferry/gateway_under_test.hpp"

namespace ferry::app {
namespace {

using test::arguments;
using test::gateway_process;
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
  const auto made = gateway_configuration({path, {{"client-max-conn", "3"}}}, environment);
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(made->service.client_max_conn, 3u);
  EXPECT_EQ(made->service.max_packet, 2048u);
  EXPECT_EQ(made->service.server_key, "one");
  EXPECT_TRUE(made->service.reuse_port);
}

TEST(gateway_configuration, takes_the_key_from_a_file_without_its_last_line_end) {
  const ferry::test::temp_dir place;
  test::write_file(place.file("key"), "sek rit\n");
  const auto made = gateway_configuration({"", {{"server-auth-key-file", place.file("key")}}}, {});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->service.server_key, "sek rit");
}

TEST(gateway_configuration, takes_keys_and_what_they_are_good_for_from_a_file) {
  const ferry::test::temp_dir place;
  test::write_file(place.file("keys"), "1-5 one\n* two\n");
  const char* const environment[] = {"FERRY_GATEWAY_SERVER_AUTH=hmac"};
  const auto made = gateway_configuration({"", {{"server-keys-file", place.file("keys")}}}, environment);
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(made->service.server_keys.size(), 2u);
  EXPECT_EQ(made->service.login, gateway::login_kind::hmac);
  test::write_file(place.file("keys"), "nonsense\n");
  const auto wrong = gateway_configuration({"", {{"server-keys-file", place.file("keys")}}}, {});
  EXPECT_NE(wrong.error().text().find(":1:"), std::string::npos) << wrong.error().text();
  test::write_file(place.file("empty"), "\n");
  EXPECT_FALSE(gateway_configuration({"", {{"server-auth-key-file", place.file("empty")}}}, {}));
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
  gateway_flags flags;
  flags.values.emplace_back("threads", "x");
  EXPECT_EQ(gateway_configuration(flags, {}).error().text(), "--threads: x must be a number, 1 to 256, or auto");
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

TEST(ferry_gateway, that_only_checks_finds_what_is_wrong_with_addresses_and_their_options) {
  const ferry::test::temp_dir place;
  const std::pair<arguments, std::string> wrong[] = {
      {{"--client-addr", "tcp://127.0.0.1:0?max_mesage=5"}, "client-addr: unknown option 'max_mesage', did you mean"},
      {{"--server-addr", "tcp://127.0.0.1:99999"}, "server-addr: bad URL"},
      {{"--client-addr", "inproc://a"}, "client-addr: inproc://a: nobody else"},
      {{"--client-addr", "tls://127.0.0.1:0"}, "client-addr: tls_certificate: listening on tls needs a certificate"},
      {{"--client-addr", "wss://127.0.0.1:0", "--client-options", "tls_certificate=" + place.file("none.pem")},
       "No such file"},
      {{"--client-addr", "ws://127.0.0.1:0", "--client-options", "reuse_prot=on"}, "client-options: unknown option"},
  };
  for (const auto& [more, text] : wrong) {
    arguments all{"gateway", "--check", "--insecure"};
    all.insert(all.end(), more.begin(), more.end());
    const auto checked = run_ferry(all);
    EXPECT_EQ(checked.status, 2) << text;
    EXPECT_NE(checked.err.find(text), std::string::npos) << checked.err;
    EXPECT_EQ(checked.out, "") << text;
  }
}

TEST_F(gateway_process, that_finds_its_address_taken_says_what_to_do) {
  start({});
  const auto second = run_ferry(
      {"gateway", "--name", "", "--client-addr", "127.0.0.1:" + port_on_next_line(), "--server-addr", "127.0.0.1:0"});
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.err.find("in use; end the one that listens there, or choose another address"), std::string::npos)
      << second.err;
}

TEST(ferry_gateway, warns_of_a_key_on_the_command_line_and_does_not_say_it) {
  const auto warned = run_ferry({"gateway", "--check", "-ServerAuthPassword", "sekrit"});
  EXPECT_EQ(warned.status, 0) << warned.err;
  EXPECT_NE(warned.err.find("warning"), std::string::npos);
  EXPECT_EQ(warned.err.find("sekrit"), std::string::npos);
}

TEST(ferry_gateway, warns_of_resumable_streams_of_the_compatible_kind) {
  const auto warned = run_ferry({"gateway", "--check", "--insecure", "-ClientSnetEnable"});
  EXPECT_EQ(warned.status, 0) << warned.err;
  EXPECT_NE(warned.err.find("protect nothing"), std::string::npos) << warned.err;
}

TEST(ferry_gateway, finds_the_example_good) {
  const auto good = run_ferry({"gateway", "--check", "--config", FERRY_SOURCE_DIR "/examples/gateway.toml"});
  EXPECT_EQ(good.status, 0) << good.err;
}

TEST_F(gateway_process, counts_packets_above_the_largest_chunk_of_its_pool) {
  start({"--admin-addr", ":0", "-MemPoolType", "sync", "-MemPoolMaxChunk", "4K", "-MemPoolPageSize=64K"});
  const auto clients = port_on_next_line();
  (void)port_on_next_line();
  const auto admin = port_on_next_line();
  const std::string above = "ferry_gateway_buffers_total{from=\"exact\"} ";
  EXPECT_NE(page(admin, "/metrics").find(above + "0\n"), std::string::npos);
  ferry::test::raw_tcp client(static_cast<std::uint16_t>(std::stoi(clients)));
  client.send(std::string("\0\0\1\0\x05\0\0\0", 8) + std::string(20'000, 'x'));  // the beginning of 64 KiB
  while (page(admin, "/metrics").find(above + "0\n") != std::string::npos) std::this_thread::yield();
}

TEST_F(gateway_process, shows_operators_its_numbers_and_who_is_there) {
  start({"--admin-addr", ":0"});
  const auto clients = port_on_next_line();
  (void)port_on_next_line();
  const auto admin = port_on_next_line();
  EXPECT_NE(page(admin, "/healthz").find("\r\n\r\nok\n"), std::string::npos);
  ferry::test::raw_tcp client(static_cast<std::uint16_t>(std::stoi(clients)));
  client.send(std::string("\x09\0\0\0\0\0\0\0\0\x07\0\0\0", 13));  // Dial 7: nobody
  while (client.received().size() < 13) std::this_thread::yield();
  const auto numbers = page(admin, "/metrics");
  for (const char* line :
       {"ferry_gateway_members{role=\"client\"} 1\n", "ferry_gateway_refused_total{reason=\"unknown\"} 1\n",
        "ferry_gateway_waiting_packets 0\n", "# TYPE ferry_gateway_forward_nanoseconds histogram\n"})
    EXPECT_NE(numbers.find(line), std::string::npos) << line << numbers;
  const auto list = page(admin, "/connections");
  EXPECT_NE(list.find("{\"role\":\"client\",\"id\":1,\"address\":\"127.0.0.1:"), std::string::npos) << list;
  EXPECT_TRUE(page(admin, "/other").starts_with("HTTP/1.1 404 "));
}

TEST_F(gateway_process, shows_operators_packets_and_bytes_each_way) {
  using ferry::test::packet;
  test::write_file(place.file("key"), "sekrit\n");
  start({"--admin-addr", ":0", "--server-auth-key-file", place.file("key")});
  const auto clients = port_on_next_line();
  auto& server = knocking(port_on_next_line(), 7, "sekrit");
  const auto admin = port_on_next_line();
  EXPECT_TRUE(server.is_well());
  auto& c = client(clients);
  c.say(codec::gateway::command::dial(7));
  const auto accepted = c.next_command();
  ASSERT_TRUE(accepted && server.next_command());
  for (const char* const message : {"one", "two"}) {
    c.send(packet(accepted->connection, message));
    EXPECT_EQ(server.next(), packet(accepted->connection, message));
  }
  server.send(packet(accepted->connection, "three"));
  EXPECT_EQ(c.next(), packet(accepted->connection, "three"));
  const auto numbers = page(admin, "/metrics");
  for (const char* line : {"ferry_gateway_packets_total{direction=\"from_clients\"} 2\n",
                           "ferry_gateway_packets_total{direction=\"from_servers\"} 1\n",
                           "ferry_gateway_bytes_total{direction=\"from_clients\"} 22\n",
                           "ferry_gateway_bytes_total{direction=\"from_servers\"} 13\n"})
    EXPECT_NE(numbers.find(line), std::string::npos) << line << numbers;
}

TEST_F(gateway_process, keeps_its_number_in_a_file_and_others_of_its_name_out) {
  const auto path = place.file("fastway.pid");
  start({"--pid-file", path});
  (void)port_on_next_line();
  std::ifstream file(path);
  pid_t number = 0;
  EXPECT_TRUE(file >> number);
  EXPECT_EQ(number, it->pid());
  const auto second = run_ferry({"gateway", "-ServerAddr=127.0.0.1:0", "--pid-file", path});
  EXPECT_NE(second.status, 0);
  EXPECT_NE(second.err.find(std::to_string(number)), std::string::npos) << second.err;
  it->kill(SIGTERM);
  EXPECT_EQ(it->finish(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
  it.reset();
}

TEST_F(gateway_process, reads_its_configuration_again_when_it_hangs_up) {
  const auto path = place.file("gateway.toml");
  test::write_file(path, "client-max-conn = 1\n");
  start({"--config", path});
  (void)port_on_next_line();
  (void)port_on_next_line();
  test::write_file(path, "client-max-conn = 2\nmax-packet = \"1K\"\nadmin-addr = \":0\"\nmem-pool-limit = \"1G\"\n");
  it->kill(SIGHUP);
  EXPECT_EQ(it->read_error_line(),
            "ferry: the configuration was read again; with the next start only: max-packet, admin-addr, mem-pool-...");
  test::write_file(path, "client-max-con = 2\n");
  it->kill(SIGHUP);
  const auto wrong = it->read_error_line();
  EXPECT_TRUE(wrong && wrong->starts_with("ferry: the configuration stays as it was: ")) << wrong.value_or("nothing");
}

TEST_F(gateway_process, holds_to_the_limits_and_the_key_that_it_has_read_again) {
  using codec::gateway::command;
  using codec::gateway::command_type;
  const auto path = place.file("gateway.toml");
  test::write_file(path, "client-max-conn = 1\nserver-auth-key = \"before\"\n");
  start({"--config", path});
  const auto clients = port_on_next_line();
  const auto servers = port_on_next_line();
  auto& server = knocking(servers, 7, "before");
  EXPECT_TRUE(server.is_well());
  EXPECT_TRUE(says_next("server 7 is there"));
  auto& dialling = client(clients);
  const auto answer = [&] {
    dialling.say(command::dial(7));
    const auto came = dialling.next_command();
    return came ? came->type : command_type::ping;
  };
  EXPECT_EQ(answer(), command_type::accept);
  EXPECT_EQ(answer(), command_type::refuse);
  test::write_file(path, "client-max-conn = 2\nserver-auth-key = \"after\"\n");
  it->kill(SIGHUP);
  EXPECT_EQ(it->read_error_line(), "ferry: the configuration was read again");
  EXPECT_EQ(answer(), command_type::accept);
  EXPECT_EQ(answer(), command_type::refuse);
  EXPECT_TRUE(knocking(servers, 8, "before").is_closed());
  EXPECT_TRUE(knocking(servers, 8, "after").is_well());
  EXPECT_FALSE(server.socket().ended()) << "it had logged in before";
}

TEST_F(gateway_process, ends_in_order_when_it_is_interrupted_and_at_once_the_second_time) {
  using codec::gateway::command;
  const auto key = place.file("key");
  test::write_file(key, "sekrit\n");
  start({"--server-auth-key-file", key, "--stop-within", "1h"});
  const auto clients = port_on_next_line();
  auto& server = knocking(port_on_next_line(), 7, "sekrit");
  EXPECT_TRUE(server.is_well());
  EXPECT_TRUE(says_next("server 7 is there"));
  auto& c = client(clients);
  c.say(command::dial(7));
  const auto accepted = c.next_command();
  ASSERT_TRUE(accepted && accepted->type == codec::gateway::command_type::accept);
  EXPECT_EQ(server.next_command(), command::connect(accepted->connection, 1));
  it->kill(SIGINT);
  EXPECT_EQ(it->read_error_line(), "ferry: stopping: new dials are refused; again to end at once");
  c.say(command::dial(7));
  EXPECT_EQ(c.next_command(), command::refuse(7));
  c.send(ferry::test::packet(accepted->connection, "goes on"));
  EXPECT_EQ(server.next(), ferry::test::packet(accepted->connection, "goes on"));
  it->kill(SIGINT);
  EXPECT_EQ(it->finish(), 128 + SIGINT);
  it.reset();
}

TEST_F(gateway_process, ends_by_itself_after_an_interrupt_when_nobody_talks) {
  start({});
  (void)port_on_next_line();
  (void)port_on_next_line();
  it->kill(SIGINT);
  EXPECT_EQ(it->finish(), 0) << it->error_output();
  it.reset();
}

TEST_F(gateway_process, does_what_its_command_file_says_when_it_is_told_to_look) {
  const auto path = place.file("fastway.pid");
  start({"--pid-file", path});
  const auto clients = port_on_next_line();
  (void)port_on_next_line();
  ferry::test::raw_tcp client(static_cast<std::uint16_t>(std::stoi(clients)));
  client.send(std::string("\x09\0\0\0\0\0\0\0\0\x07\0\0\0", 13));  // Dial 7: nobody
  while (client.received().size() < 13) std::this_thread::yield();
  const auto ask = [&](const std::string& commands) {
    test::write_file(place.file("fastway.cmd"), commands);
    it->kill(SIGUSR1);
  };
  ask("connections\nnonsense\n");
  EXPECT_EQ(it->read_error_line(), "ferry: 1 clients, 0 servers, 0 arriving, 0 virtual connections");
  const auto member = it->read_error_line();
  EXPECT_TRUE(member && member->starts_with("ferry: client 1 127.0.0.1:")) << member.value_or("nothing");
  const auto unknown = it->read_error_line();
  EXPECT_TRUE(unknown &&
              unknown->find("unknown command 'nonsense'; there are: connections, cpuprof start, ") != std::string::npos)
      << unknown.value_or("nothing");
  for (const auto* const kind : {"heap", "threadcreate", "goroutine", "block"}) {
    ask(std::string("lookup ") + kind + "\n");
    const auto file = place.file(std::string("fastway.") + kind + ".prof");
    EXPECT_EQ(it->read_error_line(), "ferry: " + file + " is written");
    EXPECT_NE(test::content_of(file), "") << kind;
  }
  EXPECT_NE(test::content_of(place.file("fastway.threadcreate.prof")).find(std::to_string(it->pid())),
            std::string::npos);
  ask("lookup gc\n");
  const auto pool = it->read_error_line();
  EXPECT_TRUE(pool && pool->starts_with("ferry: pool: ")) << pool.value_or("nothing");
}

TEST_F(gateway_process, changes_its_log_level_and_drains_when_it_is_told_to) {
  const auto path = place.file("g.pid");
  start({"--pid-file", path, "--name", "fastway"});
  const auto clients = port_on_next_line();
  (void)port_on_next_line();
  const auto ask = [&](const std::string& commands) {
    test::write_file(place.file("fastway.cmd"), commands);
    it->kill(SIGUSR1);
  };
  ask("log level debug\n");
  EXPECT_EQ(it->read_error_line(), "ferry: from now on debug and what is more important");
  { ferry::test::raw_tcp gone(static_cast<std::uint16_t>(std::stoi(clients))); }
  const auto line = it->read_error_line();
  EXPECT_TRUE(line && line->find(" debug gateway: client 1 ") != std::string::npos) << line.value_or("nothing");
  ask("log level loud\ncpuprof stop\n");
  EXPECT_EQ(it->read_error_line(), "ferry: log level: is one of error, warn, info, debug, trace");
  EXPECT_EQ(it->read_error_line(), "ferry: cpuprof stop: none is under way");
  ask("drain\n");
  EXPECT_EQ(it->finish(), 0) << "nobody has a virtual connection";
  EXPECT_NE(it->error_output().find("nobody new and no new dials"), std::string::npos);
  it.reset();
}

TEST_F(gateway_process, without_a_name_has_no_command_file_and_says_so) {
  start({});
  (void)port_on_next_line();
  (void)port_on_next_line();
  it->kill(SIGUSR1);
  const auto line = it->read_error_line();
  EXPECT_TRUE(line && line->find("--name") != std::string::npos) << line.value_or("nothing");
}

TEST(gateway_operator_files, lie_beside_the_pid_file) {
  gateway::configuration with;
  EXPECT_EQ(operator_prefix(with), "ferry");
  with.name = "";
  EXPECT_EQ(operator_prefix(with), "");
  with.name = "fastway";
  EXPECT_EQ(operator_prefix(with), "fastway");
  with.pid_file = "/run/ferry/g.pid";
  EXPECT_EQ(operator_prefix(with), "/run/ferry/fastway");
  with.name.reset();
  EXPECT_EQ(operator_prefix(with), "/run/ferry/g");
  with.pid_file = "number";
  EXPECT_EQ(operator_prefix(with), "number");
}

TEST_F(gateway_process, goes_on_in_a_new_log_file_when_it_hangs_up) {
  const auto path = place.file("gateway.log");
  start({"--log-file", path});
  wait_for_text(path, "servers: listening on");
  std::filesystem::rename(path, path + ".1");
  it->kill(SIGHUP);
  wait_for_text(path, "the configuration was read again\n");
  EXPECT_EQ(test::content_of(path + ".1").find("read again"), std::string::npos);
  std::filesystem::rename(path, path + ".2");
  std::filesystem::create_directory(path);
  it->kill(SIGHUP);
  wait_for_text(path + ".2", "warning: the log goes on in the file it was in: ");
  it->kill(SIGTERM);
  EXPECT_EQ(it->finish(), 0);
  EXPECT_NE(test::content_of(path + ".2").find("stopping"), std::string::npos);
  EXPECT_EQ(it->error_output(), "") << "all of it is in the file";
  it.reset();
}

TEST_F(gateway_process, started_with_hang_ups_ignored_keeps_its_log_and_its_configuration) {
  const auto path = place.file("gateway.log");
  arguments call{"/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh"};
  for (const auto& word : test::ferry_call({"gateway", "-ServerAddr=127.0.0.1:0", "--name", "", "--log-file", path}))
    call.push_back(word);
  it.emplace(call);
  wait_for_text(path, "servers: listening on");
  std::filesystem::rename(path, path + ".1");
  it->kill(SIGHUP);
  it->kill(SIGTERM);
  EXPECT_EQ(it->finish(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(test::content_of(path + ".1").find("read again"), std::string::npos);
  EXPECT_NE(test::content_of(path + ".1").find("stopping"), std::string::npos);
  it.reset();
}

TEST_F(gateway_process, says_where_it_was_started_why_it_cannot_log_or_listen) {
  const auto wrong =
      run_ferry({"gateway", "-ServerAddr=127.0.0.1:0", "--log-file", place.file("not/there"), "--admin-addr", ":0"});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_NE(wrong.err.find("log-file: "), std::string::npos) << wrong.err;
  const auto path = place.file("gateway.log");
  const auto deaf = run_ferry({"gateway", "-ServerAddr=ipc:///nonexistent/g.sock", "--name", "", "--log-file", path});
  EXPECT_EQ(deaf.status, 1);
  EXPECT_NE(deaf.err.find("/nonexistent/g.sock"), std::string::npos) << deaf.err;
  EXPECT_NE(test::content_of(path).find("/nonexistent/g.sock"), std::string::npos) << "and in the file";
}

TEST(ferry_gateway, listens_until_it_is_told_to_stop) {
  ferry::test::child program(
      test::ferry_call({"gateway", "-ClientAddr=127.0.0.1:0", "-ServerAddr=127.0.0.1:0", "--name", ""}));
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
