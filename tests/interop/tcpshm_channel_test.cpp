// Channels with compat=tcpshm and the peer that was written from the page alone, which is killed and comes again: a
// numbered echo has no gap and no duplicate.
#include <ferry/channel.hpp>
#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <string>

#include "os/mapping.hpp"
#include "testing/child.hpp"
#include "testing/tcpshm_pair.hpp"
#include "tests/crash/tcpshm_log.hpp"

namespace ferry::test {
namespace {

constexpr int k_kills = 10;
constexpr std::uint64_t k_between = 50;  // echoes

struct way {
  const char* name;
  const char* scheme;
  bool shaped;  ///< long names, user data that is aligned to 8, big endian
  // NOLINTNEXTLINE(readability-identifier-naming): as GoogleTest calls it
  friend void PrintTo(const way& one, std::ostream* to) { *to << one.name; }
};

class tcpshm_channel_and_a_foreign_peer : public ::testing::TestWithParam<way> {
 protected:
  tcpshm_channel_and_a_foreign_peer() {
    std::ofstream(log_path_) << std::string(k_tcpshm_log_bytes, '\0');
    const auto file = os::open_file(log_path_, true);
    map_ = os::mapping::of(file.value().get(), k_tcpshm_log_bytes, true).value();
    log().spread = 40;  // as the original publishes pads: see tcpshm_test.cpp
  }
  [[nodiscard]] tcpshm_log& log() { return *reinterpret_cast<tcpshm_log*>(map_.data()); }
  /// With the sizes that the peer has.
  [[nodiscard]] options settings(const std::string& as) const {
    options o;
    o.session = session_kind::persistent;
    o.compat = compat_kind::tcpshm;
    o.as = as;
    o.dir = ours_.path();
    o.tcpshm_queue_bytes = 2048;
    o.reconnect = true;
    o.reconnect_base = o.reconnect_max = std::chrono::milliseconds(1);
    o.heartbeat = std::chrono::minutes(1);
    if (!GetParam().shaped) return o;
    o.tcpshm_name_size = 24;
    o.tcpshm_login_data_bytes = o.tcpshm_answer_data_bytes = o.tcpshm_data_alignment = 8;
    o.tcpshm_big_endian = true;
    return o;
  }
  [[nodiscard]] std::string url(std::uint16_t port) const {
    return std::string(GetParam().scheme) + "://127.0.0.1:" + std::to_string(port);
  }
  void start(const std::string& role, const std::string& name) {
    std::vector<std::string> all{
        "python3", "-B", FERRY_SOURCE_DIR "/tests/interop/tcpshm_peer.py", role, theirs_.path(), log_path_, name};
    if (role == "client") all.emplace_back(GetParam().scheme);
    if (GetParam().shaped) all.emplace_back("24,8,big");
    peer_ = std::make_unique<child>(all);
  }
  void kill() {
    peer_->kill(SIGKILL);
    EXPECT_EQ(peer_->wait(), 128 + SIGKILL) << peer_->error_output();
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    const auto how = run_until(
        io_, [&] { return done() || log().wrong != 0; }, awaited, std::chrono::seconds(60));
    return log().wrong != 0 ? ::testing::AssertionFailure() << log().complaint : how;
  }

  const std::string client_name_ = unique_name(GetParam().shaped ? "the-client-" : "c");
  const std::string server_name_ = unique_name(GetParam().shaped ? "the-server-" : "s");
  const clean_rings rings_{client_name_, server_name_};
  temp_dir ours_, theirs_, logs_;
  const std::string log_path_ = logs_.file("log");
  os::mapping map_;
  boost::asio::io_context io_;
  context where_{io_};
  std::unique_ptr<child> peer_;
};

INSTANTIATE_TEST_SUITE_P(, tcpshm_channel_and_a_foreign_peer,
                         ::testing::Values(way{"tcp", "tcp", false}, way{"shm", "shm", false},
                                           way{"tcp_in_another_shape", "tcp", true},
                                           way{"shm_in_another_shape", "shm", true}),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_P(tcpshm_channel_and_a_foreign_peer, listener_echoes_to_it) {
  channel server;
  auto listening = listener::open(where_, url(0), settings(server_name_)).value();
  listening.on_channel([&](channel one) {
    server = std::move(one);
    server.on_message([&](const message_view& m) {
      EXPECT_TRUE(server.try_send(m.payload, message_kind::binary, m.type)) << "the client has few on the way";
    });
  });
  listening.on_error([](const error& why) { ADD_FAILURE() << why.text(); });
  const std::string at = listening.url();
  log().port = std::stoul(at.substr(at.rfind(':') + 1));
  for (int i = 0; i <= k_kills; ++i) {
    start("client", client_name_);
    const auto wanted = log().echoed + k_between;
    ASSERT_TRUE(turn([&] { return log().echoed >= wanted; }, "echoes"));
    kill();
  }
  server.cut();
}

TEST_P(tcpshm_channel_and_a_foreign_peer, client_is_echoed_by_it) {
  start("server", server_name_);
  ASSERT_TRUE(turn([&] { return log().port != 0; }, "the server"));
  std::uint64_t sent = 0, echoed = 0;
  channel client;
  const auto open = [&] {
    client = channel::open(where_, url(static_cast<std::uint16_t>(log().port)), settings(client_name_)).value();
    client.on_message([&](const message_view& m) {
      EXPECT_EQ(m.text(), tcpshm_body(echoed, log().spread));
      EXPECT_EQ(m.type, tcpshm_type(echoed));
      ++echoed;
    });
  };
  open();
  for (int i = 0; i <= k_kills; ++i) {
    const auto wanted = echoed + k_between;
    ASSERT_TRUE(turn(
        [&] {
          while (sent - echoed < 20 &&
                 client.try_send(as_bytes(tcpshm_body(sent, log().spread)), message_kind::binary, tcpshm_type(sent)))
            ++sent;
          return echoed >= wanted;
        },
        "echoes"));
    kill();
    log().port = 0;
    if (i == k_kills) break;
    start("server", server_name_);
    ASSERT_TRUE(turn([&] { return log().port != 0; }, "the server"));
    client.cut();  // it listens elsewhere now
    ASSERT_TRUE(turn([&] { return client.state() == channel_state::closed; }, "the end of the first channel"));
    open();
  }
  client.cut();
}

}  // namespace
}  // namespace ferry::test
