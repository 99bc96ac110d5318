// kill -9 of whole processes on shm:// channels, at moments that nobody chose.
#include "crash_test.hpp"

namespace ferry::test {
namespace {

using kill_at_random = crash;
using std::chrono::microseconds;

constexpr std::uint64_t k_settled = 4;      // rounds after which nothing new is allocated for the first time
constexpr std::uint64_t k_life = 1u << 30;  // more messages than one life of a sender can send

// What one end that arrived went through.
struct arrival {
  channel one;
  std::optional<down_info> down;
};

// Everybody who arrives, watched.
struct guests {
  explicit guests(listener& at) {
    at.on_channel([this](channel one) {
      const auto kept = all.emplace_back(std::make_unique<arrival>(arrival{one, {}})).get();
      receiver.watch(one);
      one.on_down([kept](const down_info& info) { kept->down = info; });
    });
    at.on_error([this](const error&) { errors += 1; });
  }
  [[nodiscard]] bool all_down() const {
    return std::all_of(all.begin(), all.end(), [](const auto& one) { return one->down.has_value(); });
  }
  /// Forgets those who are gone, and what they brought.
  void forget() {
    all.clear();
    for (auto& one : log.spans) one.first = one.next = 0;
    log.connections = 0;
  }
  receiver_log log;
  numbered_receiver receiver{log};
  std::vector<std::unique_ptr<arrival>> all;
  std::uint64_t errors = 0;
};

TEST_F(kill_at_random, of_a_sender_tells_the_receiver_who_has_a_whole_prefix_and_takes_the_next_sender) {
  listener at = listen(settings());
  guests came(at);
  std::optional<footprint> before;
  std::uint64_t messages = 0;
  const std::uint64_t kills = rounds(50);
  for (std::uint64_t round = 0; round < kills; ++round) {
    if (round == k_settled) before = footprint::now();
    const auto url = peer_url(round % 3 == 0 ? "&senders=many" : "");  // several rings
    const auto sender = start_peer({"send", url, std::to_string(round * k_life), "0"});
    // Every other one dies somewhere between its start and its first messages, the others later.
    if (round % 2 == 0) {
      ASSERT_TRUE(turn([&] { return !came.all.empty(); }, "the sender"));
    }
    turn_until_some_moment(microseconds(8000));
    ASSERT_EQ(kill_and_reap(*sender), 137) << sender->error_output();
    ASSERT_TRUE(turn([&] { return came.all_down(); }, "the news of its death"));
    for (const auto& one : came.all) {
      EXPECT_EQ(one->down->reason, errc::reset) << one->down->reason.text();
      EXPECT_EQ(one->one.state(), channel_state::closed);
    }
    ASSERT_EQ(came.log.wrong, 0u);
    // Another one may have come that died before its welcome; it has sent nothing.
    for (const auto& one : came.log.spans) {
      if (one.next != one.first) {
        EXPECT_EQ(one.first, round * k_life) << "the first is missing";
      }
    }
    messages += came.log.received();
    came.forget();
  }
  EXPECT_GT(messages, kills);
  expect_nothing_left(*before);
  const auto last = start_peer({"send", peer_url(), "7", "500"});
  ASSERT_TRUE(turn([&] { return came.log.received() == 493 && came.all_down(); }, "a whole flow"));
  EXPECT_EQ(came.all.back()->down->reason, errc::end_of_stream) << came.all.back()->down->reason.text();
  EXPECT_EQ(came.log.wrong, 0u);
  EXPECT_EQ(last->finish(), 0) << last->error_output();
  at.close();
  EXPECT_EQ(files(), std::set<std::string>{});
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("messages", std::to_string(messages));
}

TEST_F(kill_at_random, of_a_receiver_tells_the_sender_whose_next_connection_goes_on_and_who_knows_what_may_be_lost) {
  channel to = open(reconnecting());
  std::uint64_t ups = 0;
  std::vector<down_info> downs;
  to.on_up([&](const peer_info&) { ups += 1; });
  to.on_down([&](const down_info& info) { downs.push_back(info); });
  std::uint64_t maybe_lost = 0;
  std::uint64_t received = 0;
  std::uint64_t last_seen = 0;  // the number after the last one that anybody had
  std::uint64_t lost_since = 0;
  std::optional<footprint> before;
  const auto read = [&](const receiver_log& log) {
    ASSERT_EQ(log.wrong, 0u);
    ASSERT_LE(log.connections, 1u);
    received += log.received();
    if (log.received() == 0) return;
    ASSERT_GE(log.spans[0].first, last_seen) << "a message came twice";
    ASSERT_LE(log.spans[0].first - last_seen, lost_since) << "more is missing than was said to be lost, at most";
    last_seen = log.spans[0].next;
    lost_since = 0;
  };
  const std::uint64_t kills = rounds(50);
  numbered_sender sender(to, 0, ~std::uint64_t{0});
  for (std::uint64_t round = 0; round < kills; ++round) {
    if (round == k_settled) before = footprint::now();
    const shared_log log;
    const auto receiver = start_peer({"receive", peer_url()}, {log.fd()});
    if (round % 2 == 0) {
      ASSERT_TRUE(turn([&] { return ups > downs.size(); }, "a connection"));
    }
    turn_until_some_moment(microseconds(8000));
    ASSERT_EQ(kill_and_reap(*receiver), 137) << receiver->error_output();
    // One that was never up is not reported as down.
    ASSERT_TRUE(turn([&] { return to.state() != channel_state::up && ups == downs.size(); }, "the news of its death"));
    for (std::size_t i = 0; i < downs.size(); ++i) {
      EXPECT_EQ(downs[i].reason, errc::reset) << downs[i].reason.text();
      EXPECT_TRUE(downs[i].will_reconnect);
      // The last connection is the one that this receiver saw; before it there may be one to a listener dead by then.
      if (i + 1 == downs.size()) read(*log);
      maybe_lost += downs[i].messages_maybe_lost;
      lost_since += downs[i].messages_maybe_lost;
    }
    if (HasFatalFailure()) return;
    downs.clear();
    ups = 0;
  }
  expect_no_more_than(*before);
  const shared_log log;
  const auto receiver = start_peer({"receive", peer_url()}, {log.fd()});
  ASSERT_TRUE(turn([&] { return log->received() > 100; }, "messages at the last receiver"));
  sender.stop();
  std::optional<close_report> report;
  to.async_close([&](error_code, const close_report& told) { report = told; });
  ASSERT_TRUE(turn([&] { return report.has_value(); }, "the end"));
  EXPECT_TRUE(report->clean()) << report->reason.text();
  kill_and_reap(*receiver);
  read(*log);
  EXPECT_EQ(last_seen, sender.next());
  EXPECT_GE(received + maybe_lost, sender.next());
  expect_nothing_left(footprint::now());
  EXPECT_LE(files().size(), 1u) << "the socket of the last one, which was killed";
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("messages", std::to_string(received));
}

TEST_F(kill_at_random, of_either_side_or_both_leaves_nothing_that_the_next_ones_stumble_over) {
  const auto before = footprint::now();
  std::uint64_t sender_lives = 0;
  std::uint64_t messages = 0;
  const std::uint64_t kills = rounds(50);
  std::unique_ptr<child> sender;
  std::unique_ptr<child> receiver;
  auto log = std::make_unique<shared_log>();
  const auto read = [&] {
    EXPECT_EQ((*log)->wrong, 0u);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
    for (const auto& one : (*log)->spans)
      if (one.next != one.first) spans.emplace_back(one.first, one.next);
    std::sort(spans.begin(), spans.end());
    for (std::size_t i = 1; i < spans.size(); ++i) EXPECT_GE(spans[i].first, spans[i - 1].second) << "doubled";
    messages += (*log)->received();
    log = std::make_unique<shared_log>();
  };
  for (std::uint64_t round = 0; round < kills; ++round) {
    if (!receiver) receiver = start_peer({"receive", peer_url()}, {log->fd()});
    if (!sender) sender = start_peer({"send", peer_url(k_reconnecting), std::to_string(++sender_lives * k_life), "0"});
    if (round % 3 == 0) {
      ASSERT_TRUE(turn([&] { return (*log)->received() > 50; }, "a flow"));
    }
    turn_until_some_moment(microseconds(10000));
    const auto whom = std::uniform_int_distribution<int>(0, 2)(random);
    if (whom != 0) sender->kill(SIGKILL);
    if (whom != 1) {
      ASSERT_EQ(kill_and_reap(*receiver), 137) << receiver->error_output();
      receiver.reset();
      read();
    }
    if (whom != 0) {
      ASSERT_EQ(kill_and_reap(*sender), 137) << sender->error_output();
      sender.reset();
    }
    ASSERT_FALSE(HasFailure());
  }
  if (sender) kill_and_reap(*sender);
  if (receiver) kill_and_reap(*receiver);
  read();
  receiver = start_peer({"receive", peer_url()}, {log->fd()});
  sender = start_peer({"send", peer_url(k_reconnecting), "0", "300"});
  EXPECT_EQ(sender->finish(), 0) << sender->error_output();
  EXPECT_EQ((*log)->received(), 300u);
  EXPECT_EQ((*log)->wrong, 0u);
  EXPECT_EQ(files(), std::set<std::string>{"meeting.shm"});
  sender.reset();
  receiver.reset();
  log.reset();
  expect_nothing_left(before);
  RecordProperty("rounds", std::to_string(kills));
  RecordProperty("messages", std::to_string(messages));
}

}  // namespace
}  // namespace ferry::test
