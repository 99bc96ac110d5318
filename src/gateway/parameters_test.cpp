#include "gateway/parameters.hpp"

#include <gtest/gtest.h>

namespace ferry::gateway {
namespace {

using namespace std::chrono_literals;

configuration with(std::string_view name, std::string_view value) {
  configuration made;
  const auto done = set_parameter(made, name, value);
  EXPECT_TRUE(done) << done.error().text();
  return made;
}

TEST(gateway_parameters, have_the_defaults_that_the_table_says) {
  const configuration plain;
  for (const auto& one : parameter_table()) {
    configuration set;
    ASSERT_TRUE(set_parameter(set, one.name, one.default_text)) << one.name;
    EXPECT_EQ(set.service.clients.url, plain.service.clients.url) << one.name;
    EXPECT_EQ(set.service.servers.url, plain.service.servers.url) << one.name;
    EXPECT_EQ(set.service.max_packet, plain.service.max_packet) << one.name;
    EXPECT_EQ(set.service.client_max_conn, plain.service.client_max_conn) << one.name;
    for (auto side : {&settings::clients, &settings::servers}) {
      EXPECT_EQ((set.service.*side).buffer_size, (plain.service.*side).buffer_size) << one.name;
      EXPECT_EQ((set.service.*side).idle_timeout, (plain.service.*side).idle_timeout) << one.name;
      EXPECT_EQ((set.service.*side).send_queue, (plain.service.*side).send_queue) << one.name;
      EXPECT_EQ((set.service.*side).send_queue_bytes, (plain.service.*side).send_queue_bytes) << one.name;
      const auto &mine = (set.service.*side).resume, &theirs = (plain.service.*side).resume;
      EXPECT_EQ(mine.kind, theirs.kind) << one.name;
      EXPECT_EQ(mine.stream.form, theirs.stream.form) << one.name;
      EXPECT_EQ(mine.stream.encrypt, theirs.stream.encrypt) << one.name;
      EXPECT_EQ(mine.stream.history_bytes, theirs.stream.history_bytes) << one.name;
      EXPECT_EQ(mine.stream.history_limit, theirs.stream.history_limit) << one.name;
      EXPECT_EQ(mine.handshake_timeout, theirs.handshake_timeout) << one.name;
      EXPECT_EQ(mine.wait, theirs.wait) << one.name;
      const auto &limits = (set.service.*side).per_address, &most = (plain.service.*side).per_address;
      EXPECT_EQ(limits.max_connections, most.max_connections) << one.name;
      EXPECT_EQ(limits.per_second, most.per_second) << one.name;
      EXPECT_EQ(limits.max_failures, most.max_failures) << one.name;
    }
    EXPECT_EQ(set.service.when_full, plain.service.when_full) << one.name;
    EXPECT_EQ(set.service.max_members, plain.service.max_members) << one.name;
    EXPECT_EQ(set.service.max_connections, plain.service.max_connections) << one.name;
    EXPECT_EQ(set.service.max_arriving, plain.service.max_arriving) << one.name;
    EXPECT_EQ(set.service.login_timeout, plain.service.login_timeout) << one.name;
    EXPECT_EQ(set.service.threads, plain.service.threads) << one.name;
    EXPECT_EQ(set.service.reuse_port, plain.service.reuse_port) << one.name;
    EXPECT_EQ(set.service.unpredictable_numbers, plain.service.unpredictable_numbers) << one.name;
    EXPECT_EQ(set.service.check, plain.service.check) << one.name;
    EXPECT_EQ(set.pool_kind, plain.pool_kind) << one.name;
    EXPECT_EQ(set.slab_bytes, plain.slab_bytes) << one.name;
    EXPECT_EQ(set.memory.growth, plain.memory.growth) << one.name;
    EXPECT_EQ(set.memory.max_bytes, plain.memory.max_bytes) << one.name;
    EXPECT_EQ(set.service.history_memory, plain.service.history_memory) << one.name;
    EXPECT_EQ(set.memory.min_buffer, plain.memory.min_buffer) << one.name;
    EXPECT_EQ(set.memory.max_buffer, plain.memory.max_buffer) << one.name;
    EXPECT_EQ(set.stop_within, plain.stop_within) << one.name;
    EXPECT_EQ(set.insecure, plain.insecure) << one.name;
    EXPECT_EQ(set.service.login, plain.service.login) << one.name;
    EXPECT_EQ(set.service.connect_address, plain.service.connect_address) << one.name;
  }
}

TEST(gateway_parameters, choose_the_kind_of_memory_pool) {
  EXPECT_EQ(with("MemPoolType", "sync").pool_kind, buffer_pool_kind::sync);
  EXPECT_EQ(with("MemPoolType", "atom").pool_kind, buffer_pool_kind::atom);
  EXPECT_EQ(with("mem-pool-type", "chan").pool_kind, buffer_pool_kind::chan);
  EXPECT_EQ(with("mem-pool-limit", "1G").memory.max_bytes, 1u << 30);
  EXPECT_EQ(with("snet-memory", "512M").service.history_memory, 512u << 20);
  EXPECT_EQ(with("MemPoolPageSize", "64K").slab_bytes, 65536u);
}

TEST(gateway_parameters, are_known_by_every_spelling) {
  for (const char* name : {"client-max-conn", "client_max_conn", "CLIENT_MAX_CONN", "ClientMaxConn"})
    EXPECT_EQ(with(name, "5").service.client_max_conn, 5u) << name;
  for (const char* name : {"ServerAuthPassword", "ServerAuthKey", "server-auth-key"})
    EXPECT_EQ(with(name, "sekrit").service.server_key, "sekrit") << name;
  for (const auto& one : parameter_table())
    EXPECT_EQ(canonical_parameter_name(one.seed.empty() ? one.name : one.seed), one.name);
}

TEST(gateway_parameters, say_how_long_a_thread_looks_for_more) {
  EXPECT_EQ(with("spin", "50us").service.spin, std::chrono::microseconds(50));
  EXPECT_EQ(with("spin", "0").service.spin, duration::zero());
  configuration made;
  for (const char* wrong : {"50", "2s", "-1us", ""}) EXPECT_FALSE(set_parameter(made, "spin", wrong)) << wrong;
}

TEST(gateway_parameters, take_a_number_of_threads_or_one_for_each_core) {
  EXPECT_EQ(with("threads", "3").service.threads, 3u);
  for (const char* all : {"auto", "0"}) EXPECT_GE(with("threads", all).service.threads, 1u);
  configuration made;
  for (const char* wrong : {"-1", "257", "many", ""}) EXPECT_FALSE(set_parameter(made, "threads", wrong)) << wrong;
}

TEST(gateway_parameters, take_sizes_durations_and_addresses_as_the_original_does) {
  EXPECT_EQ(with("MaxPacket", "512K").service.max_packet, 512u * 1024);
  EXPECT_EQ(with("MaxPacket", "1M").service.max_packet, 1u << 20);
  EXPECT_EQ(with("MaxPacket", "100").service.max_packet, 100u);
  EXPECT_EQ(with("ClientIdleTimeout", "1m30s").service.clients.idle_timeout, 90s);
  EXPECT_EQ(with("ClientIdleTimeout", "1h2m3.5s").service.clients.idle_timeout, 1h + 2min + 3500ms);
  EXPECT_EQ(with("ServerIdleTimeout", "0").service.servers.idle_timeout, 0s);
  EXPECT_EQ(with("ClientAddr", ":0").service.clients.url, "tcp://*:0");
  EXPECT_EQ(with("ClientAddr", "127.0.0.1:5000").service.clients.url, "tcp://127.0.0.1:5000");
  EXPECT_EQ(with("ServerAddr", "[::1]:5000").service.servers.url, "tcp://[::1]:5000");
  EXPECT_EQ(with("ServerAddr", "ipc:///run/a.sock").service.servers.url, "ipc:///run/a.sock");
  EXPECT_FALSE(with("ReusePort", "false").service.reuse_port);
  EXPECT_TRUE(with("ReusePort", "true").service.reuse_port);
}

TEST(gateway_parameters, that_cannot_be_are_refused_with_what_to_write_and_change_nothing) {
  const std::pair<const char*, const char*> wrong[] = {
      {"MaxPacket", "3"},         {"MaxPacket", "2G"},       {"MaxPacket", "-1"},       {"ClientMaxConn", "0"},
      {"ClientMaxConn", "x"},     {"ClientAddr", "host"},    {"ClientAddr", "host:x"},  {"ClientAddr", "host:"},
      {"ClientIdleTimeout", "5"}, {"ReusePort", "maybe"},    {"ClientBufferSize", "1"}, {"MemPoolType", "slab"},
      {"when-full", "drop"},      {"ClientSnetEnable", "x"}, {"ClientSnetBuffer", "0"}, {"ClientSnetWaitTimeout", "0"},
      {"ClientAddr", ":1 host"},  {"server-auth", "md5"},    {"client-snet-form", "x"}};
  for (const auto& [name, value] : wrong) {
    configuration all;
    const auto done = set_parameter(all, name, value);
    ASSERT_FALSE(done) << name << ' ' << value;
    EXPECT_EQ(done.error(), errc::bad_option);
    EXPECT_NE(done.error().text().find("must be"), std::string::npos);
    EXPECT_EQ(all.service.max_packet, 512u * 1024);
  }
  configuration all;
  const auto unknown = set_parameter(all, "client-max-con", "5");
  EXPECT_EQ(unknown.error(), errc::unknown_option);
  EXPECT_NE(unknown.error().text().find("client-max-conn"), std::string::npos);
}

TEST(gateway_parameters, take_several_addresses_and_resumable_streams_of_either_kind) {
  EXPECT_EQ(with("ClientAddr", ":5000  ws://*:5080/a?b").service.clients.url, "tcp://*:5000 ws://*:5080/a?b");
  EXPECT_EQ(with("ClientSnetEnable", "true").service.clients.resume.kind, resume_kind::snet);
  EXPECT_EQ(with("client-resume", "true").service.clients.resume.kind, resume_kind::token);
  EXPECT_EQ(with("ServerSnetBuffer", "2M").service.servers.resume.stream.history_bytes, 2u << 20);
  EXPECT_EQ(with("ClientSnetWaitTimeout", "5s").service.clients.resume.wait, 5s);
  EXPECT_EQ(with("client-snet-form", "older").service.clients.resume.stream.form, codec::snet::form::older);
  auto all = with("client-resume", "true");
  all.insecure = true;
  EXPECT_NE(check(all).error().text().find("use tls://"), std::string::npos);
  ASSERT_TRUE(set_parameter(all, "client-addr", "tls://*:5001 ws://*:80/"));
  EXPECT_TRUE(check(all));
  ASSERT_TRUE(set_parameter(all, "client-options", "tls_certficate=x"));
  EXPECT_NE(check(all).error().text().find("tls_certificate"), std::string::npos);
}

TEST(gateway_parameters, without_a_key_servers_may_come_from_this_host_alone) {
  configuration all;
  EXPECT_EQ(check(all).error(), errc::bad_option);
  for (const char* here :
       {"127.0.0.1:0", "localhost:0", "[::1]:0", "ipc://@x", "shm://gateway ipc://@x", "tls://*:5001?tls_verify=yes"}) {
    ASSERT_TRUE(set_parameter(all, "server-addr", here));
    EXPECT_TRUE(check(all)) << here;
  }
  ASSERT_TRUE(set_parameter(all, "server-addr", "127.0.0.1:0 :5001"));
  EXPECT_EQ(check(all).error(), errc::bad_option);
  ASSERT_TRUE(set_parameter(all, "server-options", "tls_verify=yes"));
  ASSERT_TRUE(set_parameter(all, "server-addr", "tls://*:5001"));
  EXPECT_TRUE(check(all));
  ASSERT_TRUE(set_parameter(all, "server-addr", "tls://*:5001?tls_verify=no"));
  EXPECT_EQ(check(all).error(), errc::bad_option) << "what the URL says counts";
  all = {};
  all.service.server_key = "sekrit";
  EXPECT_TRUE(check(all));
  all = {};
  all.insecure = true;
  EXPECT_TRUE(check(all));
}

}  // namespace
}  // namespace ferry::gateway
