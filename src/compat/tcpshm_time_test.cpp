// The time that the user gives stands still, goes back, leaps.
#include "compat/tcpshm_time.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "testing/tcpshm_pair.hpp"

namespace ferry::test {
namespace {

using compat::tcpshm::has_passed;
using compat::tcpshm::user_time;

constexpr auto k_first = std::numeric_limits<std::int64_t>::min();
constexpr auto k_last = std::numeric_limits<std::int64_t>::max();

TEST(tcpshm_time, passes_only_forward) {
  user_time time(100);
  EXPECT_EQ(time.passed(100), 0u);
  EXPECT_EQ(time.passed(107), 7u);
  EXPECT_EQ(time.passed(107), 7u) << "it stands still";
  EXPECT_EQ(time.passed(-50), 7u) << "it goes back";
  EXPECT_EQ(time.passed(-48), 9u) << "and on from there";
}

TEST(tcpshm_time, takes_the_largest_leap) {
  user_time time(k_last);
  EXPECT_EQ(time.passed(k_first), 0u);
  EXPECT_EQ(time.passed(k_last), ~std::uint64_t{0});
  EXPECT_TRUE(has_passed(0, time.passed(k_last), k_last));
  EXPECT_FALSE(has_passed(5, 14, 10));
  EXPECT_TRUE(has_passed(5, 15, 10));
  EXPECT_TRUE(has_passed(5, 5, 0)) << "at once";
}

struct shape {
  const char* name;
  tcpshm::protocol speaks;
  bool shm;
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const shape& s, std::ostream* out) { *out << s.name; }

/// A client and a server, each with a time of its own.
class tcpshm_times : public ::testing::TestWithParam<shape> {
 protected:
  tcpshm_times() : on_(options(), options()) {}
  [[nodiscard]] static tcpshm::options options() {
    tcpshm::options with;
    with.speaks = GetParam().speaks;
    return with;
  }
  void poll() {
    on_.server->poll(server_now_);
    on_.client->now = client_now_;
    on_.client->poll_tcp(client_now_);
    on_.client->poll_shm();
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult until(Predicate done, std::string_view awaited) {
    return poll_until([this] { poll(); }, std::move(done), awaited);
  }
  void log_in() {
    on_.server->echoes = true;
    ASSERT_TRUE(on_.client->start_connect(GetParam().shm, "127.0.0.1", on_.server->port()));
    ASSERT_TRUE(until([&] { return !on_.client->connecting(); }, "an answer to the login"));
    ASSERT_FALSE(on_.client->get_connection().is_closed()) << on_.client->notes.back();
  }
  void expect_echo() {
    const auto before = on_.client->messages.size();
    ASSERT_FALSE(on_.client->say("on it goes"));
    ASSERT_TRUE(until([&] { return on_.client->messages.size() == before + 1; }, "an echo"));
  }
  [[nodiscard]] bool both_up() { return !on_.client->get_connection().is_closed() && !on_.member().is_closed(); }
  /// Over shared memory sessions see the kernel's word, and have no heartbeats.
  [[nodiscard]] static bool beats() { return !GetParam().shm || GetParam().speaks == tcpshm::protocol::tcpshm; }

  tcpshm_pair on_;
  std::int64_t client_now_ = 1000, server_now_ = 1000;
};

TEST_P(tcpshm_times, that_stand_still_end_nothing) {
  log_in();
  for (int i = 0; i < 200; ++i) poll();
  EXPECT_TRUE(both_up());
  expect_echo();
}

TEST_P(tcpshm_times, that_go_back_put_off_no_heartbeat) {
  log_in();
  // An hour, again and again; meanwhile the peer's time goes on, and it would give up after 10.
  for (int i = 0; i < 50; ++i) {
    client_now_ += i % 5 == 4 ? -3600 : 1;
    server_now_ += 1;
    for (int k = 0; k < 20; ++k) poll();
    ASSERT_TRUE(both_up()) << "after " << i << ": " << on_.server->notes.back();
  }
  expect_echo();
}

TEST_P(tcpshm_times, that_went_back_do_not_hide_a_silent_peer) {
  log_in();
  client_now_ -= 1'000'000;
  const auto silent_for = [&](std::int64_t span) {
    for (std::int64_t i = 0; i < span; ++i) {
      client_now_ += 1;
      on_.client->poll_tcp(client_now_);
    }
  };
  silent_for(9);
  EXPECT_FALSE(on_.client->get_connection().is_closed());
  // What the server said before lies there, and counts when it is read.
  silent_for(11);
  EXPECT_EQ(on_.client->get_connection().is_closed(), beats());
}

TEST_P(tcpshm_times, that_leap_cost_the_connection_at_most_and_no_message) {
  log_in();
  std::uint64_t logins = 0, leaps = 0;
  for (const std::int64_t client : std::array{k_first, k_last, std::int64_t{0}, k_last, k_first, std::int64_t{7}})
    for (const std::int64_t server : std::array{std::int64_t{5}, k_last, k_first}) {
      const auto heard = on_.server->messages.size();
      if (const auto failed = on_.client->say("under way")) FAIL() << failed.message();
      client_now_ = client;
      server_now_ = server;
      leaps += 1;
      ASSERT_TRUE(until(
          [&] {
            if (on_.client->get_connection().is_closed() && !on_.client->connecting()) {
              logins += 1;
              (void)on_.client->start_connect(GetParam().shm, "127.0.0.1", on_.server->port());
            }
            return on_.server->messages.size() > heard && both_up();
          },
          "what was under way"));
      EXPECT_EQ(on_.server->messages.size(), heard + 1) << "once";
      expect_echo();
    }
  EXPECT_LE(logins, 20 * leaps);
}

INSTANTIATE_TEST_SUITE_P(, tcpshm_times,
                         ::testing::Values(shape{"over_tcp", tcpshm::protocol::tcpshm, false},
                                           shape{"in_shared_memory", tcpshm::protocol::tcpshm, true},
                                           shape{"of_sessions_over_tcp", tcpshm::protocol::ferry, false},
                                           shape{"of_sessions_in_shared_memory", tcpshm::protocol::ferry, true}),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ferry::test
