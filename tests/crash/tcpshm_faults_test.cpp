// A network between a client and a server in tcpshm's shape that cuts, resets, half-closes, delays, splits, swallows
// and holds up connections, while both are killed now and then: a numbered echo has no gap, no duplicate, nothing torn.
#include <boost/asio/io_context.hpp>

#include "codec/tcpshm_messages.hpp"
#include "rounds.hpp"
#include "testing/faulty_proxy.hpp"
#include "tests/crash/tcpshm_world.hpp"

namespace ferry::test {
namespace {

using kind = network_fault::kind;
using std::chrono::microseconds;

struct setting {
  const char* name;
  bool shm;              // then the network carries the logins and the heartbeats
  const char* sessions;  // as tcpshm_world has them
  std::uint64_t faults;
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const setting& one, std::ostream* out) { *out << one.name; }

class tcpshm_over_a_bad_network : public ::testing::TestWithParam<setting> {
 protected:
  tcpshm_over_a_bad_network() {
    on.meanwhile = [this] {
      proxy.lead_to(static_cast<std::uint16_t>(on.log().port.load()));
      io.restart();
      io.poll();
      std::this_thread::yield();
    };
    proxy.least_replayed = k_login;
    on.log().through = proxy.port();
    on.log().patience = 200;
  }
  ~tcpshm_over_a_bad_network() override {
    proxy.cut_all();
    io.restart();
    io.poll();
  }
  /// What may happen to the next connection.
  [[nodiscard]] network_fault plan() {
    if (calm) return {};
    const auto number = [this](std::size_t most) {
      return std::uniform_int_distribution<std::size_t>(0, most)(on.random);
    };
    network_fault next;
    next.what = static_cast<kind>(1 + number(network_fault::k_kinds - 2));
    next.after = number(3) == 0 ? number(200) : number(GetParam().shm ? 400 : 30'000);
    next.piece = number(3) == 0 ? 1 + number(3) : 16384;
    if (next.piece < 5) next.after %= 2000;
    if (number(7) == 0) next.delay = microseconds(number(300));
    // The very first login is of no session yet, whenever it arrives: see docs/compat-tcpshm.md.
    if (next.what == kind::replay && on.log().logins == 0) next.what = kind::cut;
    return next;
  }
  /// A connection that was held up comes when a later one is at work, or on its way. Over sessions all of it; tcpshm's
  /// own wire cannot tell what is in it from news, and a client that waits for the answer has said no more than a
  /// login.
  void let_one_arrive() {
    const bool seed = *GetParam().sessions == '\0';
    on.log().held_up = 1;
    arrived += proxy.replay_one([](const std::string&) {}, seed ? k_login : faulty_proxy::k_all);
  }
  void kill_somebody() {
    const auto whom = std::uniform_int_distribution<int>(0, 2)(on.random);
    if (whom != 0) on.kill_server();
    if (whom != 1) on.kill_client();
    if (whom != 0) on.start_server();
    if (whom != 1) on.start_client();
    kills += 1;
  }

  static inline const std::size_t k_login = codec::tcpshm::login_bytes({});
  bool calm = false;
  std::uint64_t arrived = 0, kills = 0;
  tcpshm_world on{{FERRY_TCPSHM_PEER}, {FERRY_TCPSHM_PEER}, GetParam().shm, GetParam().sessions};
  boost::asio::io_context io;
  faulty_proxy proxy{io, 0, [this] { return plan(); }};
};

TEST_P(tcpshm_over_a_bad_network, an_echo_has_no_gap_and_no_duplicate) {
  const std::uint64_t wanted = rounds(GetParam().faults);
  on.start_server();
  on.start_client();
  while (proxy.faults() < wanted) {
    const std::uint64_t before = proxy.faults();
    ASSERT_TRUE(on.until([&] { return proxy.faults() > before; }, "the next fault")) << proxy.faults();
    let_one_arrive();
    if (proxy.faults() % 16 == 0) kill_somebody();
  }
  calm = true;
  ASSERT_TRUE(on.until_more_echoes(100)) << "after the last fault";
  EXPECT_EQ(on.log().wrong, 0u) << on.log().complaint;
  for (std::size_t what = 1; what < network_fault::k_kinds; ++what)
    EXPECT_GT(proxy.faults(static_cast<kind>(what)), wanted / 50) << "of kind " << what;
  EXPECT_GT(arrived, 0u);
  EXPECT_GT(kills, 0u);
  EXPECT_GT(on.log().logins, wanted / 8);
  RecordProperty("faults", std::to_string(proxy.faults()));
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("held_up", std::to_string(arrived));
  RecordProperty("found_stale", std::to_string(on.log().stale));
  RecordProperty("echoes", std::to_string(on.log().echoed));
}

INSTANTIATE_TEST_SUITE_P(, tcpshm_over_a_bad_network,
                         ::testing::Values(setting{"tcp", false, "", 150}, setting{"shared_memory", true, "", 100},
                                           setting{"sessions", false, "ferry", 150},
                                           setting{"sessions_on_disk", false, "disk", 80}),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ferry::test
