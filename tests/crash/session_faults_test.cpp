// A network between the two sides of a persistent session that cuts, resets, half-closes, delays, swallows and repeats
// connections: no message is ever lost or doubled.
#include "session_crash.hpp"
#include "session_side.hpp"
#include "testing/faulty_proxy.hpp"

namespace ferry::test {
namespace {

using kind = network_fault::kind;
using std::chrono::microseconds;

struct setting {
  const char* name;
  const char* scheme;  // tcp or tls
  session_style style;
  const char* more;  // options of both sides
  std::uint64_t faults;
  // NOLINTNEXTLINE(readability-identifier-naming): as GoogleTest calls it
  friend void PrintTo(const setting& one, std::ostream* to) { *to << one.name; }
};

class session_over_a_bad_network : public session_crash, public ::testing::WithParamInterface<setting> {
 protected:
  session_over_a_bad_network() { start_both(); }
  ~session_over_a_bad_network() override {
    stop_both();
    sides.clear();
  }

  void start_both() {
    at = listener::open(where, url(GetParam().scheme, "server", k_impatient + GetParam().more)).value();
    at.on_channel([this](channel came) {
      server = keep(std::make_unique<session_side>(std::move(came), *answered, session_role::server, GetParam().style));
    });
    at.on_error([this](const error& why) { listener_errors.push_back(why); });
    const std::string through = std::string(GetParam().scheme) + "://127.0.0.1:" + std::to_string(proxy.port());
    const std::string options = url(GetParam().scheme, "client", k_impatient + GetParam().more);
    channel to = channel::open(where, through + options.substr(options.find('?'))).value();
    client = keep(std::make_unique<session_side>(std::move(to), *asked, session_role::client, GetParam().style));
  }
  session_side* keep(std::unique_ptr<session_side> made) {
    made->on_trouble = [this](const error& why) { troubles.push_back(why); };
    return sides.emplace_back(std::move(made)).get();
  }
  // Over TLS nobody gets through with what somebody else has said: that is TLS's affair.
  [[nodiscard]] static bool encrypted() { return std::string_view(GetParam().scheme) == "tls"; }
  /// That was cut: TLS tells what it made of the rest.
  [[nodiscard]] static bool is_of_a_handshake(const error& why) {
    const auto says = [text = why.text()](std::string_view what) { return text.find(what) != text.npos; };
    return (why == errc::protocol && says("alert decode error")) || (why == errc::truncated && says("close_notify"));
  }
  [[nodiscard]] static std::size_t last_kind() {
    static_assert(static_cast<std::size_t>(kind::replay) == network_fault::k_kinds - 1);
    return network_fault::k_kinds - (encrypted() ? 2 : 1);
  }
  // As a process that ends: what was not committed is gone.
  void stop_both() {
    at.close();
    for (auto* one : {client, server})
      if (one != nullptr) one->of().cut();
    client = server = nullptr;
    run_ready(io);
  }
  /// What may happen to the next connection.
  [[nodiscard]] network_fault plan() {
    if (calm) return {};
    const auto number = [this](std::size_t most) {
      return std::uniform_int_distribution<std::size_t>(0, most)(random);
    };
    network_fault next;
    next.what = static_cast<kind>(1 + number(last_kind() - 1));
    next.after = number(3) == 0 ? number(600) : number(60'000);
    next.piece = number(3) == 0 ? 1 + number(3) : 16384;
    if (next.piece < 5) next.after %= 4000;
    if (number(7) == 0) next.delay = microseconds(number(300));
    return next;
  }

  // What a black hole swallowed shows soon.
  static inline const std::string k_impatient = "&heartbeat=30ms&connect_timeout=150ms";
  const mapped_file<session_book> asked{dir.file("client.book")};
  const mapped_file<session_book> answered{dir.file("server.book")};
  bool calm = false;
  faulty_proxy proxy{io, encrypted() ? tls_port.number() : port.number(), [this] { return plan(); }};
  listener at;
  session_side* client = nullptr;
  session_side* server = nullptr;
  std::vector<std::unique_ptr<session_side>> sides;  // also those whose life is over
  std::vector<error> troubles;
  std::vector<error> listener_errors;
};

TEST_P(session_over_a_bad_network, loses_nothing_and_doubles_nothing) {
  const std::uint64_t wanted = rounds(GetParam().faults);
  std::uint64_t replayed = 0;
  std::uint64_t refused_as_stale = 0;
  std::uint64_t taken_up = 0;
  std::uint64_t restarts = 0;
  while (proxy.faults() < wanted) {
    const std::uint64_t before = proxy.faults();
    ASSERT_TRUE(turn([&] { return proxy.faults() > before; }, "the next fault")) << proxy.faults();
    if (server == nullptr) continue;
    // A connection of long ago arrives, while another one is at work or on its way.
    const bool arrives = proxy.replay_one([&](const std::string& heard) {
      // Who closes while something lies unread resets, which can overtake the answer. 5: stale; 1, 2: goes on
      refused_as_stale += heard.size() == 256 && heard[12] == 5;
      taken_up += heard.size() >= 256 && heard[12] < 3;
    });
    replayed += arrives;
    if (proxy.faults() % 40 == 0) {
      stop_both();
      start_both();
      restarts += 1;
    }
  }
  calm = true;
  asked->stop = 1;
  ASSERT_TRUE(turn([&] { return client->of().state() == channel_state::up && client->all_answered(); }, "all answers"));
  stop_both();
  const side_counts requests = committed("client", "");
  const side_counts replies = committed("server", "client");
  EXPECT_EQ(requests.sent, replies.received);
  EXPECT_EQ(replies.sent, requests.received);
  EXPECT_EQ(replies.sent, answers_before(requests.sent));
  EXPECT_EQ(asked->read(requests.step), requests);
  EXPECT_EQ(answered->read(replies.step), replies);
  EXPECT_GT(requests.sent, wanted);

  for (std::size_t what = 1; what <= last_kind(); ++what)
    EXPECT_GT(proxy.faults(static_cast<kind>(what)), wanted / 50) << "of kind " << what;
  EXPECT_EQ(replayed > 0, !encrypted());
  EXPECT_EQ(refused_as_stale > 0, !encrypted());
  EXPECT_EQ(taken_up, 0u);
  EXPECT_GT(restarts, 0u);
  for (const auto& why : troubles)
    EXPECT_TRUE(why.code() == condition::reconnect || why == errc::timeout || why == errc::closed ||
                (encrypted() && is_of_a_handshake(why)))
        << why.text();
  RecordProperty("faults", std::to_string(proxy.faults()));
  RecordProperty("requests", std::to_string(requests.sent));
}

INSTANTIATE_TEST_SUITE_P(
    by, session_over_a_bad_network,
    ::testing::Values(setting{"handlers", "tcp", session_style::handlers, "", 300},
                      setting{"transactions", "tcp", session_style::transactions, "", 300},
                      setting{"transactions_on_disk", "tcp", session_style::transactions, "&durable=disk", 100},
                      setting{"transactions_over_tls", "tls", session_style::transactions, "", 150}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ferry::test
