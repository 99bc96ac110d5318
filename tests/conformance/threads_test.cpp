// Several threads at once: many senders on one channel, and two event loops that talk to each other.
#include <boost/asio/executor_work_guard.hpp>
#include <map>
#include <thread>

#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

TEST_P(transport, takes_messages_from_many_threads_in_each_ones_order) {
  if (with_.senders == senders_kind::one) GTEST_SKIP() << "for senders=many";
  options with = settings();
  with.send_queue_bytes = 64u << 10;
  join(with, settings());
  constexpr std::size_t k_threads = 3;
  const std::size_t each = 20'000 / k_slower;
  std::map<char, std::size_t> next;
  std::size_t wrong = 0, received = 0;
  server.on_message([&](const message_view& m) {
    const std::string text(m.text());
    wrong += text.substr(1) != std::to_string(next[text[0]]++) ? 1 : 0;
    ++received;
  });
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < k_threads; ++t)
    threads.emplace_back([&, t, to = client]() mutable {
      for (std::size_t i = 0; i < each;) {
        const auto sent = to.try_send(static_cast<char>('a' + t) + std::to_string(i));
        if (sent) {
          ++i;
        } else if (sent.error() == errc::full) {
          std::this_thread::yield();
        } else {
          return;
        }
      }
    });
  const auto all = turn([&] { return received == k_threads * each; }, "the messages of all threads");
  if (!all) client.cut();
  for (auto& one : threads) one.join();
  EXPECT_TRUE(all);
  EXPECT_EQ(wrong, 0u);
}

TEST_P(transport, wakes_the_event_loop_for_a_message_from_another_thread) {
  if (with_.senders == senders_kind::one) GTEST_SKIP() << "for senders=many";
  join();
  life at_server;
  at_server.receive(server);
  run_ready(io);
  std::thread other([&, to = client]() mutable { EXPECT_TRUE(to.try_send("from another thread")); });
  EXPECT_TRUE(turn([&] { return at_server.messages.size() == 1; }, "the message"));
  other.join();
}

TEST_P(transport, tells_of_room_when_another_thread_found_the_queue_full) {
  if (with_.senders == senders_kind::one) GTEST_SKIP() << "for senders=many";
  options with = settings();
  with.send_queue_bytes = 10'000;
  join(with, settings());
  life at_server;
  at_server.receive(server);
  std::atomic<int> drained{0};
  client.on_drain([&] { ++drained; });
  for (int round = 1; round <= 20; ++round) {
    event full;
    std::thread other([&, to = client]() mutable {
      const std::string text = pattern(1, 1000);
      while (to.try_send(text)) {
      }
      full.set();
    });
    EXPECT_TRUE(
        turn([&] { return full.is_set() && drained >= round; }, "the drain event of round " + std::to_string(round)));
    other.join();
    drained = round;
  }
}

TEST_P(transport, may_lose_its_last_handle_on_another_thread) {
  if (with_.senders == senders_kind::one) GTEST_SKIP() << "for senders=many";
  auto made = connect();
  life at_server;
  at_server.watch(made.server);
  run_ready(io);
  std::thread other([last = std::move(made.client)]() mutable {
    EXPECT_TRUE(last.try_send("last"));
    last = channel{};
  });
  EXPECT_TRUE(turn([&] { return at_server.downs.size() == 1; }, "the end"));
  other.join();
}

TEST_P(transport, connects_two_event_loops_on_two_threads) {
  if (with_.carrier().find("faulty") != std::string_view::npos) GTEST_SKIP() << "this transport is for one thread";
  boost::asio::io_context there;
  context other(there, where);
  options with = settings();
  with.send_queue_bytes = with.receive_queue_bytes = 50'000;
  listening = listen(with);
  const std::string to = connect_url(listening);
  const std::size_t count = 20'000 / k_slower;
  event answered;
  std::thread thread([&] {
    auto asking = channel::open(other, to, with);
    ASSERT_TRUE(asking);
    std::size_t sent = 0, received = 0, wrong = 0;
    const auto text = [](std::size_t i) { return std::to_string(i) + ":" + pattern(i, i % 100); };
    const std::function<void()> feed = [&] {
      while (sent < count && asking->try_send(text(sent))) ++sent;
    };
    asking->on_drain(feed);
    asking->on_message([&](const message_view& m) {
      wrong += m.text() != text(received) ? 1 : 0;
      ++received;
    });
    feed();
    EXPECT_TRUE(run_until(
        there, [&] { return received == count; }, "all answers"));
    EXPECT_EQ(wrong, 0u);
    bool closed = false;
    asking->async_close([&](error_code, const close_report& report) {
      closed = true;
      EXPECT_TRUE(report.clean()) << report.reason.text();
    });
    EXPECT_TRUE(run_until(
        there, [&] { return closed; }, "the close"));
    answered.set();
  });
  std::deque<std::string> answers;
  bool answering = false;
  const std::function<void()> answer = [&] {
    if (std::exchange(answering, true)) return;  // to send can drain
    while (!answers.empty() && server.try_send(answers.front())) answers.pop_front();
    answering = false;
  };
  listening.on_channel([&](channel arrived) {
    server = std::move(arrived);
    server.on_drain(answer);
    server.on_message([&](const message_view& m) {
      answers.emplace_back(m.text());
      answer();
    });
  });
  EXPECT_TRUE(turn([&] { return answered.is_set(); }, "the other thread"));
  thread.join();
}

}  // namespace
}  // namespace ferry::test
