#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "apps/ferry/program_under_test.hpp"
#include "apps/ferry/sidecar_flags.hpp"
#include "testing/service_by_hand.hpp"
#include "testing/tcp_by_hand.hpp"

namespace ferry::app {
namespace {

using namespace std::chrono_literals;
using test::run_ferry;

TEST(sidecar_configuration, the_command_line_wins_over_the_environment_and_that_over_the_file) {
  const ferry::test::temp_dir place;
  const auto path = place.file("sidecar.toml");
  test::write_file(path, R"(
UnixSockHBTimeoutMS = 4000
hold = "1s"
[sidecar]
message-age = 9
ShmpipeCnt = 2
[[service]]
name = 7
id = 101
ShmDirPath = "/run/ferry/101"
[[service]]
name = 8
id = 201
dir = "/run/ferry/201"
pipes = 3
allow-uids = [1000, 1001]
)");
  const char* const environment[] = {"FERRY_SIDECAR_HOLD=2s", "FERRY_SIDECAR_MESSAGE_AGE=8", "FERRY_X=1"};
  const auto made =
      sidecar_configuration({path, {"name=9,id=301,dir=/run/ferry/301"}, {{"message-age", "7"}}}, environment);
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(made->process.heartbeat_timeout, 4s);
  EXPECT_EQ(made->process.hold, 2s);
  EXPECT_EQ(made->process.message_age, 7s);
  const auto& entities = made->process.entities;
  ASSERT_EQ(entities.size(), 3u);
  EXPECT_EQ(entities[0].directory, "/run/ferry/101");
  EXPECT_EQ(entities[0].pipes, 2u) << "as all of them";
  EXPECT_EQ(entities[1].pipes, 3u);
  EXPECT_EQ(entities[1].allowed_uids, (std::vector<std::uint32_t>{1000, 1001}));
  EXPECT_EQ(entities[2].service, 9u);
}

TEST(sidecar_configuration, that_is_wrong_says_where) {
  const ferry::test::temp_dir place;
  const auto path = place.file("f");
  const std::pair<const char*, const char*> wrong[] = {
      {"a = [1", ":1: not TOML"},
      {"\nholt = 1", ":2: unknown parameter 'holt', did you mean 'hold'?"},
      {"[[service]]\nname = 1\n", ":2: id of this [[service]] is missing"},
      {"[[service]]\nname = 1\nid = 2\npipes = 99\n", ":4: pipes: 99 must be 1 to 16"},
      {"[[service]]\nname = 1\nid = 2\nid = 3\n", "not TOML"},
      {"[service]\nname = 1\n",
       "unknown table [service]; parameters stand at the top or in [sidecar], those of an entity in [[service]]"},
      {"[[servce]]\nname = 1\n", "unknown table [servce]; parameters stand"},
      {"id = 5", "is of one entity"}};
  for (const auto& [text, expected] : wrong) {
    test::write_file(path, text);
    const auto made = sidecar_configuration({path, {}, {}}, {});
    ASSERT_FALSE(made) << text;
    EXPECT_NE(made.error().text().find(expected), std::string::npos) << made.error().text();
  }
}

class ferry_sidecar : public ::testing::Test {
 protected:
  ferry_sidecar() {
    for (const std::uint32_t entity : {101u, 201u}) {
      sidecar::entity_settings one;
      one.service = entity / 100;
      one.entity = entity;
      one.directory = place.file(std::to_string(entity));
      entities.push_back(one);
    }
  }
  [[nodiscard]] static std::string service(const sidecar::entity_settings& of) {
    return "name=" + std::to_string(of.service) + ",id=" + std::to_string(of.entity) + ",dir=" + of.directory;
  }
  void start() {
    it.emplace(test::ferry_call({"sidecar", "--service", service(entities[0]), "--service", service(entities[1]),
                                 "--admin-addr", ":0", "--message-age", "0", "--hold", "60s", "--heartbeat-timeout",
                                 "1h"}));  // whatever the machine is busy with
    for (;;) {
      const auto line = it->read_error_line();
      if (!line) throw std::runtime_error("it said nothing more");
      const auto at = line->find("operators: listening on tcp://127.0.0.1:");
      if (at == std::string::npos) continue;
      admin = static_cast<std::uint16_t>(std::stoi(line->substr(line->rfind(':') + 1)));
      return;
    }
  }
  [[nodiscard]] std::string page(const std::string& path) const {
    ferry::test::raw_tcp one(admin);
    one.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (!one.ended()) std::this_thread::yield();
    return one.received();
  }

  const ferry::test::temp_dir place;
  boost::asio::io_context io{1};
  std::vector<sidecar::entity_settings> entities;
  std::optional<ferry::test::child> it;
  std::uint16_t admin = 0;
};

TEST_F(ferry_sidecar, carries_messages_shows_who_is_there_and_stops_in_order) {
  start();
  ferry::test::service_by_hand a(io, entities[0]), b(io, entities[1]);
  EXPECT_EQ(a.enter().code, 0);
  EXPECT_EQ(b.enter().code, 0);
  ASSERT_TRUE(a.send(to_entity{201}, "hello"));
  EXPECT_EQ(b.receive().body, "hello");
  const auto who = page("/services");
  EXPECT_NE(who.find("\"entity\":201,\"pipe\":0,\"state\":\"registered\",\"locked\":true,\"main\":true"),
            std::string::npos)
      << who;
  EXPECT_NE(page("/metrics").find("ferry_sidecar_forwarded_total 1\n"), std::string::npos);
  EXPECT_NE(page("/healthz").find("200 OK"), std::string::npos);
  it->kill(SIGTERM);
  EXPECT_EQ(it->wait(), 0);
}

TEST_F(ferry_sidecar, that_is_killed_and_started_again_goes_on_with_what_lies_in_the_rings) {
  start();
  ferry::test::service_by_hand a(io, entities[0]), b(io, entities[1]);
  EXPECT_EQ(a.enter().code, 0);
  EXPECT_EQ(b.enter().code, 0);
  it->kill(SIGKILL);
  (void)it->wait();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(a.send(to_entity{201}, std::to_string(i)));
  start();
  for (auto* one : {&a, &b}) {
    one->connect();
    one->tell(one->said());
    EXPECT_EQ(one->hear<codec::sidecar::registration_answer>()->code, 0);
  }
  for (int i = 0; i < 5; ++i) EXPECT_EQ(b.receive().body, std::to_string(i));
}

TEST_F(ferry_sidecar, says_whether_a_configuration_is_good) {
  const auto good = run_ferry({"sidecar", "--service", service(entities[0]), "--check"});
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_EQ(good.out, "the configuration is good\n");
  const auto example = run_ferry({"sidecar", "--check", "--config", FERRY_SOURCE_DIR "/examples/sidecar.toml"});
  EXPECT_EQ(example.status, 0) << example.err;
  const auto wrong = run_ferry({"sidecar", "--service", "name=7,id=x,dir=/d", "--check"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.err.find("id: x must be a whole number"), std::string::npos) << wrong.err;
}

}  // namespace
}  // namespace ferry::app
