// Where a session ends to wait: for a peer that does not come back, and for room that a message will never have.
#include <ferry/listener.hpp>
#include <ferry/session.hpp>
#include <ferry/session_files.hpp>

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>
#include <vector>

#include "testing/meeting_places.hpp"
#include "testing/session_options.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

class session_limits : public ::testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] options settings(const char* as) const {
    options o = session_options(as, dir_);
    places_.equip(o);
    return o;
  }
  /// What bob's channel goes through.
  void watch(const channel& arrived) {
    bob_ = arrived;
    arrivals_ += 1;
    bob_.on_message([this](const message_view& m) { received_.emplace_back(m.text()); });
    bob_.on_down([this](const down_info& down) { down_ = down.reason.text(); });
    bob_.on_connect_failure([this](const error& why) { over_ = why; });
  }
  void listen(const options& with) {
    listening_ = listener::open(where_, places_.url("orders"), with).value();
    listening_.on_channel([this](const channel& one) { watch(one); });
  }
  /// Once whoever had her files has given them back.
  void connect(const options& with, const std::string& to = "orders") {
    ASSERT_TRUE(turn(
        [&] {
          auto opened = channel::open(where_, places_.url(to), with);
          if (opened) alice_ = *opened;
          return opened.has_value();
        },
        "alice's files"));
  }
  void join(const options& bobs, const options& alices) {
    listen(bobs);
    connect(alices);
    ASSERT_TRUE(turn([&] { return bob_ && alice_.state() == channel_state::up; }, "both ends"));
  }
  void leave() {
    alice_ = {};
    bob_ = {};
    listening_ = {};
    run_ready(io_);
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io_, std::move(done), awaited);
  }

  temp_dir dir_;
  meeting_places places_{GetParam(), dir_};
  boost::asio::io_context io_;
  context where_{io_};
  listener listening_;
  channel alice_, bob_;
  int arrivals_ = 0;
  std::vector<std::string> received_;
  std::string down_;
  std::optional<error> over_;
};

TEST_P(session_limits, let_nobody_send_what_the_other_side_does_not_take) {
  options bobs = settings("bob"), alices = settings("alice");
  bobs.max_message = 100;
  alices.max_message = 50;
  join(bobs, alices);
  const auto refused = bob_.try_send(std::string(51, 'x'));
  EXPECT_EQ(refused.error(), errc::message_too_large);
  EXPECT_NE(refused.error().text().find("'alice' takes (its max_message, 50)"), std::string::npos)
      << refused.error().text();
  EXPECT_EQ(persistent_session::of(bob_)->info().max_message, 50u);
  std::optional<error> in_handler;
  bob_.on_message([&](const message_view& m) {
    if (const auto answered = bob_.try_send(std::string(m.payload.size() + 1, 'y')); !answered)
      in_handler = answered.error();
  });
  ASSERT_TRUE(alice_.try_send(std::string(50, 'x')));
  ASSERT_TRUE(turn([&] { return in_handler.has_value(); }, "the answer that is too large"));
  EXPECT_EQ(*in_handler, errc::message_too_large);
}

TEST_P(session_limits, say_how_to_go_on_behind_a_message_that_was_sent_before_the_two_met) {
  options bobs = settings("bob");
  bobs.max_message = 100;
  connect(settings("alice"));
  for (const std::string& text : {std::string("before"), std::string(101, 'x'), std::string("behind")})
    ASSERT_TRUE(alice_.try_send(text));
  listen(bobs);
  ASSERT_TRUE(turn([&] { return !down_.empty(); }, "the message that is too large"));
  for (const char* part : {"message number 1 of 'alice'", "max_message (100)", "ferry session skip"})
    EXPECT_NE(down_.find(part), std::string::npos) << down_;
  EXPECT_EQ(received_, std::vector<std::string>{"before"});
  leave();
  ASSERT_TRUE(turn(
      [&] {
        const auto all = show_session({dir_.path(), "bob", "alice"});
        return !all.in_use;
      },
      "bob's files"));
  (void)skip_messages({dir_.path(), "bob", "alice"}, 1);
  join(bobs, settings("alice"));
  ASSERT_TRUE(turn([&] { return received_.size() == 2; }, "what lay behind it"));
  EXPECT_EQ(received_.back(), "behind");
}

TEST_P(session_limits, end_a_channel_whose_peer_does_not_come_back_and_keep_its_session) {
  options bobs = settings("bob");
  bobs.session_wait = std::chrono::milliseconds(20);
  join(bobs, settings("alice"));
  alice_ = {};
  ASSERT_TRUE(turn([&] { return bob_.state() == channel_state::waiting; }, "the loss"));
  ASSERT_TRUE(bob_.try_send("kept"));
  ASSERT_TRUE(turn([&] { return over_.has_value(); }, "bob's patience to end"));
  EXPECT_EQ(*over_, errc::timeout);
  EXPECT_NE(over_->text().find("session_wait"), std::string::npos) << over_->text();
  connect(settings("alice"));
  std::string got;
  alice_.on_message([&](const message_view& m) { got = m.text(); });
  ASSERT_TRUE(turn([&] { return arrivals_ == 2 && got == "kept"; }, "alice, with another channel"));
}

TEST_P(session_limits, wait_for_a_peer_as_long_as_it_is_there) {
  options bobs = settings("bob");
  for (bobs.session_wait = std::chrono::milliseconds(500);; bobs.session_wait *= 2) {
    join(bobs, settings("alice"));
    const auto left = std::chrono::steady_clock::now();
    alice_ = {};
    ASSERT_TRUE(turn([&] { return bob_.state() != channel_state::up; }, "the loss"));
    connect(settings("alice"));
    ASSERT_TRUE(turn(
        [&] { return over_ || (alice_.state() == channel_state::up && bob_.state() == channel_state::up); }, "both"));
    if (!over_) break;
    // Before she was back: a slow machine. Once more, with more time.
    ASSERT_GE(std::chrono::steady_clock::now() - left, bobs.session_wait);
    leave();
    over_.reset();
    arrivals_ = 0;
  }
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(turn([&] { return std::chrono::steady_clock::now() - began > 2 * bobs.session_wait; }, "some time"));
  EXPECT_FALSE(over_) << over_->text();
  EXPECT_EQ(arrivals_, 1);
}

INSTANTIATE_TEST_SUITE_P(over, session_limits, ::testing::Values("shm", "ipc", "tcp", "tls"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ferry::test
