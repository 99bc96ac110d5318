// The network goes away for a moment, and all who were on it come again at once.
#include <ferry/gateway.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <string>

#include "gateway/gateway.hpp"
#include "testing/faulty_proxy.hpp"
#include "testing/gateway_by_hand.hpp"
#include "testing/sanitizers.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"

namespace ferry {
namespace {

using test::run_until;
using namespace std::chrono_literals;

constexpr std::size_t k_clients = test::k_checks_addresses || test::k_checks_threads ? 60 : 200;  // 4 sockets each
constexpr std::size_t k_under_way = 8;   // messages of each client
constexpr std::size_t k_message = 5000;  // bytes

// One client, and what it has sent and heard through one virtual connection.
struct talker {
  gateway_client peer;
  channel here;
  std::uint64_t sent = 0, heard = 0, wrong = 0;

  [[nodiscard]] static std::string body(std::size_t who, std::uint64_t number) {
    auto made = std::to_string(who) + ' ' + std::to_string(number) + ' ';
    made.resize(k_message, static_cast<char>('a' + (who + number) % 26));
    return made;
  }
  void say(std::size_t who) { EXPECT_TRUE(here.try_send(body(who, sent++))); }
};

class resume_storm : public ::testing::Test, public ::testing::WithParamInterface<gateway_resume> {
 protected:
  ~resume_storm() override {
    away.clear();
    staying = {};
    serving = {};
    it.reset();
    test::run_ready(io);
  }
  void open_gateway() {
    const test::tls_authority authority;
    authority.issue(dir.file("host"), {});
    gateway::settings with;
    with.clients.url = is_token() ? "tls://127.0.0.1:0?tls_certificate=" + dir.file("host") : "tcp://127.0.0.1:0";
    with.clients.resume.kind = is_token() ? gateway::resume_kind::token : gateway::resume_kind::snet;
    with.clients.idle_timeout = with.clients.resume.wait = with.clients.resume.handshake_timeout = 1h;
    it.emplace(gateway::service::open(gateway_where, test::local(with)).value());
    serving = gateway_server::open(where, it->server_url(), 7, test::k_gateway_key, {}).value();
    serving.on_channel([](channel one) {
      one.on_message([one](const message_view& m) mutable { EXPECT_TRUE(one.try_send(m.payload)); });
    });
  }
  [[nodiscard]] bool is_token() const { return GetParam() == gateway_resume::token; }

  void connect(talker& one, std::size_t who, std::uint16_t port) {
    gateway_options with;
    with.resume.kind = GetParam();
    with.resume.wait = with.resume.handshake_timeout = 1h;
    with.link.reconnect_base = 1ms;
    with.link.reconnect_max = 20ms;
    with.link.tls_ca = is_token() ? dir.file("host") + ".ca" : "";
    const auto url = (is_token() ? "tls://127.0.0.1:" : "tcp://127.0.0.1:") + std::to_string(port);
    one.peer = gateway_client::open(where, url, with).value();
    one.peer.async_dial(7, [&one, who](error_code failed, channel made) {
      ASSERT_FALSE(failed) << failed.message();
      one.here = std::move(made);
      one.here.on_message(
          [&one, who](const message_view& m) { one.wrong += m.text() == talker::body(who, one.heard++) ? 0 : 1; });
    });
  }
  [[nodiscard]] bool all_heard_after(std::uint64_t storms) const {
    return std::all_of(away.begin(), away.end(), [storms](const talker& one) {
      return one.heard == one.sent && one.peer.stats().resumed >= storms;
    });
  }
  [[nodiscard]] std::uint64_t lent() const { return gateway_where.buffers().stats().bytes_lent; }

  test::temp_dir dir;
  boost::asio::io_context io{1};
  context where{io}, gateway_where{io};
  std::optional<test::faulty_proxy> network;
  std::optional<gateway::service> it;
  gateway_server serving;
  std::deque<talker> away;
  talker staying;
};
INSTANTIATE_TEST_SUITE_P(of, resume_storm, ::testing::Values(gateway_resume::snet, gateway_resume::token),
                         [](const auto& one) { return one.param == gateway_resume::token ? "token" : "snet"; });

TEST_P(resume_storm, is_survived_by_all_streams_in_bounded_memory_while_others_go_on) {
  open_gateway();
  network.emplace(io, test::port_of(it->client_url()), [] { return test::network_fault{}; });
  connect(staying, 0, test::port_of(it->client_url()));
  for (std::size_t who = 1; who <= k_clients; ++who) connect(away.emplace_back(), who, network->port());
  const auto all_up = [&] {
    return staying.here &&
           std::all_of(away.begin(), away.end(), [](const talker& one) { return static_cast<bool>(one.here); });
  };
  ASSERT_TRUE(run_until(io, all_up, "all to be there"));
  std::uint64_t most = 0, broken = 0;
  for (unsigned storm = 0; storm < 3; ++storm) {
    for (std::size_t i = 0; i < k_under_way; ++i)
      for (std::size_t who = 1; who <= k_clients; ++who) away[who - 1].say(who);
    for (int turn = 0; turn < 5; ++turn) test::run_ready(io);  // so that much is under way, both ways
    broken += network->cut_all();
    std::uint64_t meanwhile = 0;
    const auto step = [&] {
      most = std::max(most, lent());
      if (staying.heard == staying.sent) {
        staying.say(0);
        ++meanwhile;
      }
      return all_heard_after(storm + 1u) || HasFailure();
    };
    ASSERT_TRUE(run_until(io, step, "all bytes of all"));
    EXPECT_GT(meanwhile, 0u) << "who was not cut had to wait";
  }
  EXPECT_EQ(broken, 3 * k_clients);
  for (const auto& one : away) {
    EXPECT_EQ(one.wrong, 0u);
    EXPECT_EQ(one.heard, 3 * k_under_way);
    EXPECT_EQ(one.peer.stats().connections, 1u);
    EXPECT_GE(one.peer.stats().resumed, 3u);
  }
  EXPECT_EQ(staying.peer.stats().resumed, 0u);
  EXPECT_EQ(it->stats().resumable.made, k_clients + 1);
  EXPECT_EQ(it->stats().resumable.given_up, 0u);
  EXPECT_EQ(it->stats().clients, k_clients + 1);
  // What each may have under way, in a history and in a queue, whose buffers are of the next larger class.
  EXPECT_LT(most, (k_clients + 2) * 2 * 4 * k_under_way * k_message);
  away.clear();
  staying = {};
  serving = {};
  it.reset();
  ASSERT_TRUE(run_until(
      io, [&] { return lent() == 0; }, "all memory to be given back"));
}

}  // namespace
}  // namespace ferry
