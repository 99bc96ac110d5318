// A peer that stands still (SIGSTOP), and how soon a death is known.
#include "crash_test.hpp"

namespace ferry::test {
namespace {

using a_stopped_peer = crash;
using a_dead_peer = crash;

constexpr std::uint64_t k_all = 20'000;

// 'T' in /proc/PID/stat: no thread of it runs.
bool stopped(pid_t pid) {
  std::ifstream from("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(from, line);
  const auto name_ends = line.rfind(')');
  return name_ends != std::string::npos && line.substr(name_ends + 2, 1) == "T";
}

TEST_F(a_stopped_peer, fills_the_ring_and_nothing_else_and_reads_on_when_it_continues) {
  const shared_log log;
  const auto receiver = start_peer({"receive", peer_url()}, {log.fd()});
  ASSERT_TRUE(ready(*receiver));
  channel to = open(settings());
  numbered_sender sender(to, 0, k_all);
  ASSERT_TRUE(turn([&] { return log->received() > 100; }, "messages"));
  for (int times = 0; times < 3; ++times) {
    receiver->kill(SIGSTOP);
    ASSERT_TRUE(turn([&] { return stopped(receiver->pid()); }, "a stopped receiver"));
    // Full for good, not only until the next look.
    std::uint64_t taken = 0;
    do {
      taken = sender.next();
      ASSERT_TRUE(turn([&] { return sender.full() || sender.next() == k_all; }, "a full ring"));
      for (int i = 0; i < 100; ++i) run_ready(io);
    } while (sender.next() != taken);
    const std::uint64_t seen = log->received();
    const auto before = footprint::now();
    for (int i = 0; i < 2000; ++i) run_ready(io);
    EXPECT_EQ(sender.next(), taken);
    EXPECT_EQ(to.state(), channel_state::up);
    EXPECT_LE(to.stats().send_queue_bytes, to.settings().send_queue_bytes);
    EXPECT_LT(footprint::now().resident, before.resident + 1024) << "KiB";
    receiver->kill(SIGCONT);
    ASSERT_TRUE(turn([&] { return log->received() > seen; }, "it goes on"));
  }
  ASSERT_TRUE(turn([&] { return sender.next() == k_all; }, "everything taken"));
  std::optional<close_report> report;
  to.async_close([&](error_code, const close_report& told) { report = told; });
  ASSERT_TRUE(turn([&] { return report.has_value(); }, "the end"));
  EXPECT_TRUE(report->clean()) << report->reason.text();
  EXPECT_EQ(log->received(), k_all);
  EXPECT_EQ(log->wrong, 0u);
}

TEST_F(a_stopped_peer, ends_the_channel_after_write_timeout_if_one_is_set) {
  const shared_log log;
  const auto receiver = start_peer({"receive", peer_url()}, {log.fd()});
  ASSERT_TRUE(ready(*receiver));
  options with = settings();
  with.write_timeout = std::chrono::milliseconds(100);
  channel to = open(with);
  std::optional<down_info> down;
  to.on_down([&](const down_info& info) { down = info; });
  numbered_sender sender(to, 0, ~std::uint64_t{0});
  ASSERT_TRUE(turn([&] { return log->received() > 100; }, "messages"));
  receiver->kill(SIGSTOP);
  ASSERT_TRUE(turn([&] { return down.has_value(); }, "the deadline"));
  EXPECT_EQ(down->reason, errc::timeout) << down->reason.text();
  std::optional<close_report> report;
  to.async_close([&](error_code, const close_report& told) { report = told; });
  ASSERT_TRUE(turn([&] { return report.has_value(); }, "what is left to tell"));
  EXPECT_GE(log->received() + down->messages_maybe_lost + report->messages_unsent, sender.next());
  // It wakes up to a connection that is gone, with all that had found room.
  receiver->kill(SIGCONT);
  channel next = open(settings());
  const numbered_sender more(next, 1'000'000, 1'000'010);
  ASSERT_TRUE(turn([&] { return log->spans[1].next == 1'000'010; }, "the next connection"));
  EXPECT_EQ(log->wrong, 0u);
}

TEST_F(a_stopped_peer, that_sends_is_waited_for_and_goes_on_where_it_was) {
  listener at = listen(settings());
  receiver_log log;
  numbered_receiver receiver(log);
  std::optional<down_info> down;
  channel from;
  at.on_channel([&](channel one) {
    receiver.watch(one);
    one.on_down([&](const down_info& info) { down = info; });
    from = std::move(one);
  });
  const auto sender = start_peer({"send", peer_url(), "0", std::to_string(k_all)});
  for (std::uint64_t enough = 100; enough < 10'000; enough *= 5) {
    ASSERT_TRUE(turn([&] { return log.received() > enough; }, "messages"));
    sender->kill(SIGSTOP);
    ASSERT_TRUE(turn([&] { return stopped(sender->pid()); }, "a stopped sender"));
    run_ready(io);
    EXPECT_EQ(from.state(), channel_state::up);
    sender->kill(SIGCONT);
  }
  ASSERT_TRUE(turn([&] { return down.has_value(); }, "everything"));
  EXPECT_EQ(log.received(), k_all);
  EXPECT_EQ(log.wrong, 0u);
  EXPECT_EQ(sender->finish(), 0);
}

TEST_F(a_dead_peer, is_known_at_once_in_an_event_loop_that_has_no_deadline_to_wait_for) {
  listener at = listen(settings());
  for (int times = 0; times < 5; ++times) {
    std::optional<down_info> down;
    channel from;
    at.on_channel([&](channel one) {
      one.on_down([&](const down_info& info) { down = info; });
      from = std::move(one);
    });
    const auto guest = start_peer({"sit", peer_url()});
    ASSERT_TRUE(ready(*guest));
    ASSERT_TRUE(turn([&] { return from && from.state() == channel_state::up; }, "a connection"));
    kill_and_reap(*guest);
    // No timer is set, so nothing but the news itself ends this.
    io.restart();
    const auto begin = std::chrono::steady_clock::now();
    while (!down && io.run_one_for(k_patience) != 0) {
    }
    ASSERT_TRUE(down);
    EXPECT_EQ(down->reason, errc::reset) << down->reason.text();
    const auto took = std::chrono::steady_clock::now() - begin;
    RecordProperty("microseconds", std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  }
}

TEST_F(a_dead_peer, is_known_to_a_sender_that_takes_no_messages_itself) {
  const auto at = start_peer({"host", peer_url()});
  ASSERT_TRUE(ready(*at));
  channel to = open(settings());
  std::optional<down_info> down;
  to.on_down([&](const down_info& info) { down = info; });
  to.pause();
  numbered_sender sender(to, 0, ~std::uint64_t{0});
  ASSERT_TRUE(turn([&] { return to.state() == channel_state::up && sender.next() > 1000; }, "messages taken"));
  kill_and_reap(*at);
  ASSERT_TRUE(turn([&] { return down.has_value(); }, "the news of its death"));
  EXPECT_EQ(down->reason, errc::reset) << down->reason.text();
}

}  // namespace
}  // namespace ferry::test
