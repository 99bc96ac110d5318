#include "apps/ferry/bench_service.hpp"

#include <ferry/channel.hpp>

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <optional>
#include <vector>

#include "apps/ferry/bench_client.hpp"
#include "apps/ferry/bench_dialogue.hpp"
#include "testing/watchdog.hpp"

namespace {

using ferry::bytes;
using ferry::app::bench_kind;
using ferry::app::bench_mode;
using ferry::app::bench_sentence;
using ferry::app::bench_side;
using ferry::app::bench_word;
using ferry::test::run_until;

constexpr std::size_t k_size = 64;

/// A client that says what a test wants said.
class bench_service_dialogue : public ::testing::Test {
 protected:
  bench_service_dialogue() {
    auto opened = ferry::app::bench_service::open(where_, "inproc://bench", {});
    EXPECT_TRUE(opened) << opened.error().text();
    service_.emplace(std::move(*opened));
    peer_ = *ferry::channel::open(where_, "inproc://bench");
    peer_.on_message([this](const ferry::message_view& m) {
      answers_ += 1;
      if (!ferry::app::is_bench_word(m.payload)) return;
      if (ferry::app::bench_word_of(m.payload) == bench_word::report) report_ = ferry::app::side_from(m.payload);
    });
    peer_.on_down([this](const ferry::down_info&) { gone_ = true; });
  }

  void say(bench_word word, std::initializer_list<std::uint64_t> numbers) {
    send(bench_sentence(word, numbers).wire());
  }
  void hello(bench_mode mode, std::uint64_t size = k_size) {
    say(bench_word::hello, {static_cast<std::uint64_t>(mode), size});
  }
  void send(bytes payload) { ASSERT_TRUE(peer_.try_send(payload)); }
  void wait_for_report() {
    ASSERT_TRUE(run_until(
        io_, [&] { return report_.has_value(); }, "the report"));
  }
  void expect_cut() {
    EXPECT_TRUE(run_until(
        io_, [&] { return gone_; }, "the service to cut the channel"));
  }

  boost::asio::io_context io_{1};
  ferry::context where_{io_};
  std::optional<ferry::app::bench_service> service_;
  ferry::channel peer_;
  std::optional<bench_side> report_;
  int answers_ = 0;
  bool gone_ = false;
};

TEST_F(bench_service_dialogue, reports_what_arrived_after_the_mark) {
  ferry::app::bench_pattern pattern(k_size);
  hello(bench_mode::count);
  for (std::uint64_t i = 0; i < 10; ++i) send(pattern.stamp(i));
  say(bench_word::mark, {10});
  for (std::uint64_t i = 10; i < 40; ++i) send(pattern.stamp(i));
  say(bench_word::finish, {40});
  wait_for_report();
  EXPECT_EQ(report_->messages, 30u);
  EXPECT_EQ(report_->lost + report_->duplicated + report_->corrupt, 0u);
}

TEST_F(bench_service_dialogue, reports_lost_duplicated_and_corrupt_messages) {
  ferry::app::bench_pattern pattern(k_size);
  hello(bench_mode::count);
  say(bench_word::mark, {0});
  send(pattern.stamp(0));
  send(pattern.stamp(0));
  const auto right = pattern.stamp(3);
  std::vector<std::byte> wrong(right.begin(), right.end());
  wrong.back() ^= std::byte{1};
  send(wrong);
  say(bench_word::finish, {5});
  wait_for_report();
  EXPECT_EQ(report_->messages, 3u);
  EXPECT_EQ(report_->duplicated, 1u);
  EXPECT_EQ(report_->lost, 2u + 1u);
  EXPECT_EQ(report_->corrupt, 1u);
}

TEST_F(bench_service_dialogue, echoes_in_the_echo_mode) {
  ferry::app::bench_pattern pattern(k_size);
  hello(bench_mode::echo);
  for (std::uint64_t i = 0; i < 3; ++i) send(pattern.stamp(i));
  EXPECT_TRUE(run_until(
      io_, [&] { return answers_ == 3; }, "three echoes"));
}

TEST_F(bench_service_dialogue, cuts_who_sends_before_it_has_greeted) {
  send(std::vector<std::byte>(k_size));
  expect_cut();
}

TEST_F(bench_service_dialogue, cuts_who_asks_for_what_there_is_not) {
  hello(static_cast<bench_mode>(7));
  expect_cut();
}

TEST_F(bench_service_dialogue, cuts_who_announces_messages_that_the_channel_cannot_carry) {
  hello(bench_mode::count, std::uint64_t{1} << 40);
  expect_cut();
}

TEST_F(bench_service_dialogue, cuts_who_greets_twice) {
  hello(bench_mode::count);
  hello(bench_mode::count);
  expect_cut();
}

TEST_F(bench_service_dialogue, cuts_who_answers_a_question_that_nobody_asked) {
  hello(bench_mode::count);
  say(bench_word::marked, {});
  expect_cut();
}

/// A server that breaks the content on its way back must not go unnoticed by the client.
TEST(bench_client, notices_echoes_whose_content_was_changed) {
  boost::asio::io_context io{1};
  ferry::context where(io);
  auto arrivals = *ferry::listener::open(where, "inproc://breaks");
  arrivals.on_channel([](ferry::channel peer) {
    peer.on_message([peer, seen = 0](const ferry::message_view& m) mutable {
      std::vector<std::byte> back(m.payload.begin(), m.payload.end());
      if (!ferry::app::is_bench_word(m.payload)) {
        if (++seen % 8 == 0) back.back() ^= std::byte{1};
      } else if (ferry::app::bench_word_of(m.payload) == bench_word::hello) {
        return;
      } else {
        const bool mark = ferry::app::bench_word_of(m.payload) == bench_word::mark;
        const bench_sentence answer(mark ? bench_word::marked : bench_word::report, {});
        back.assign(answer.wire().begin(), answer.wire().end());
      }
      EXPECT_TRUE(peer.try_send(bytes(back)));
    });
  });
  ferry::app::bench_plan plan;
  plan.url = "inproc://breaks";
  plan.count = 80;
  ferry::app::bench_board board{};
  const auto client = ferry::app::make_bench_client(where, plan, board);
  ASSERT_TRUE(client->start(plan.url));
  ASSERT_TRUE(run_until(
      io, [&] { return board.over.load(); }, "the end of the benchmark"));
  EXPECT_FALSE(client->failure());
  EXPECT_EQ(board.client.messages, 80u);
  EXPECT_EQ(board.client.corrupt, 10u);
}

TEST(bench_client, fails_when_the_other_side_leaves_before_the_end) {
  boost::asio::io_context io{1};
  ferry::context where(io);
  auto arrivals = *ferry::listener::open(where, "inproc://leaves");
  arrivals.on_channel(
      [](ferry::channel peer) { peer.on_message([peer](const ferry::message_view&) mutable { peer.cut(); }); });
  ferry::app::bench_plan plan;
  plan.kind = bench_kind::oneway;
  plan.url = "inproc://leaves";
  ferry::app::bench_board board{};
  const auto client = ferry::app::make_bench_client(where, plan, board);
  ASSERT_TRUE(client->start(plan.url));
  ASSERT_TRUE(run_until(
      io, [&] { return client->failure().has_value(); }, "the failure"));
  EXPECT_TRUE(client->failure()->text().starts_with("the other side left before the end")) << client->failure()->text();
  EXPECT_FALSE(board.over.load());
}

}  // namespace
