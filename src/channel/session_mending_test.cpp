// Two channels whose sides of a session do not fit together any more: an old copy of the files of one of them has come
// back, or another server listens where the one that was known did.
#include <ferry/listener.hpp>
#include <ferry/session.hpp>
#include <ferry/session_files.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "testing/meeting_places.hpp"
#include "testing/session_options.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

struct kept_log final : log_sink {
  void write(log_level level, std::string_view, std::string_view text) noexcept override {
    if (level == log_level::warn) warnings.emplace_back(text);
  }
  std::vector<std::string> warnings;
};

class sides_that_do_not_fit : public ::testing::TestWithParam<const char*> {
 protected:
  sides_that_do_not_fit() {
    for (const auto* side : {"alice", "bob", "carol"}) std::filesystem::create_directory(dir_.path() / side);
  }
  [[nodiscard]] options settings(const std::string& as) const {
    options o = session_options(as, dir_);
    o.dir = dir_.file(as);
    places_.equip(o);
    return o;
  }
  void listen(const std::string& as = "bob") {
    listening_ = listener::open(where_, places_.url("orders"), settings(as)).value();
    listening_.on_channel([this](channel one) {
      bob_ = std::move(one);
      bob_.on_message([this](const message_view& m) { orders_.emplace_back(m.text()); });
    });
    listening_.on_error([this](const error& why) { refusals_.push_back(why.text()); });
  }
  void connect() {
    alice_ = channel::open(where_, places_.url("orders"), settings("alice")).value();
    alice_.on_message([this](const message_view& m) { answers_.emplace_back(m.text()); });
    alice_.on_connect_failure([this](const error& why) { failures_.push_back(why); });
  }
  void join() {
    listen();
    connect();
    ASSERT_TRUE(turn([&] { return bob_ && alice_.state() == channel_state::up; }, "both ends"));
  }
  /// Both are gone, and so is whoever had their files.
  void leave() {
    alice_ = {};
    bob_ = {};
    listening_ = {};
    const auto in_use = [this](const char* side) {
      const auto all = list_sessions(dir_.file(side));
      return std::any_of(all.begin(), all.end(), [](const session_report& one) { return one.in_use; });
    };
    ASSERT_TRUE(turn([&] { return !in_use("alice") && !in_use("bob"); }, "the files"));
    refusals_.clear();
    failures_.clear();
  }
  void talk(int orders, int answers) {
    const auto before = orders_.size(), answered = answers_.size();
    for (int i = 0; i < orders; ++i) ASSERT_TRUE(alice_.try_send("order " + std::to_string(sent_++)));
    for (int i = 0; i < answers; ++i) ASSERT_TRUE(bob_.try_send("answer"));
    ASSERT_TRUE(turn(
        [&] {
          return orders_.size() == before + static_cast<std::size_t>(orders) &&
                 answers_.size() == answered + static_cast<std::size_t>(answers);
        },
        "what was said"));
    settle(alice_);
    settle(bob_);
  }
  /// Nothing that it has sent is left.
  void settle(channel& of) {
    error_code flushed = errc::would_block;
    of.async_flush([&](error_code done) { flushed = done; });
    ASSERT_TRUE(turn([&] { return !flushed; }, "all to be consumed"));
  }
  void copy(const std::string& from, const std::string& to) const {
    std::filesystem::remove_all(dir_.file(to));
    std::filesystem::copy(dir_.file(from), dir_.file(to));
  }
  /// Bob has had 3 orders and alice 2 answers when `whose` files are copied; that copy is there again, after two more
  /// orders and an answer.
  void restore_an_old_copy_of(const std::string& whose) {
    join();
    talk(3, 2);
    leave();
    copy(whose, "backup");
    join();
    talk(2, 1);
    leave();
    copy("backup", whose);
  }
  void lose_the_files_of(const std::string& whose) const {
    std::filesystem::remove_all(dir_.file(whose));
    std::filesystem::create_directory(dir_.file(whose));
  }
  /// An old copy has old logins too, so the other side may refuse a first one as stale; each one has a newer number.
  void meet_and_fail() {
    listen();
    connect();
    ASSERT_TRUE(turn([&] { return !refusals_.empty() && refusals_.back().find("do not fit") != std::string::npos; },
                     "numbers that do not fit"));
    ASSERT_TRUE(turn([&] { return !failures_.empty(); }, "the same at the other end"));
    for (const auto& one : failures_) EXPECT_EQ(one, errc::corrupt) << one.text();
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io_, std::move(done), awaited, std::chrono::seconds(60));
  }

  temp_dir dir_;
  meeting_places places_{GetParam(), dir_};
  const session_key alices_{dir_.file("alice"), "alice", ""};
  const session_key bobs_{dir_.file("bob"), "bob", "alice"};
  kept_log log_;
  boost::asio::io_context io_;
  context where_{io_, {.log = &log_, .level = log_level::warn}};
  listener listening_;
  channel alice_, bob_;
  int sent_ = 0;
  std::vector<std::string> orders_, answers_, refusals_;
  std::vector<error> failures_;
};

INSTANTIATE_TEST_SUITE_P(over, sides_that_do_not_fit, ::testing::Values("shm", "ipc", "tcp", "tls"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(sides_that_do_not_fit, say_so_with_all_six_numbers_and_talk_on_once_one_of_them_accepts_the_other) {
  restore_an_old_copy_of("alice");
  meet_and_fail();
  const session_counts alices{2, 3, 3}, bobs{5, 3, 3};
  EXPECT_NE(
      failures_.back().text().find("this one acknowledges 2 and has 3 .. 3, the peer acknowledges 5 and has 3 .. 3"),
      std::string::npos)
      << failures_.back().text();
  EXPECT_NE(refusals_.back().find("this one acknowledges 5 and has 3 .. 3, the peer acknowledges 2 and has 3 .. 3"),
            std::string::npos)
      << refusals_.back();
  EXPECT_FALSE(bob_) << "nobody has come";
  leave();
  const auto seen_by_alice = show_session(alices_), seen_by_bob = show_session(bobs_);
  ASSERT_TRUE(seen_by_alice.mismatch && seen_by_bob.mismatch);
  EXPECT_EQ(seen_by_alice.mismatch->local, alices);
  EXPECT_EQ(seen_by_alice.mismatch->remote, bobs);
  EXPECT_EQ(seen_by_bob.mismatch->local, bobs);
  EXPECT_EQ(seen_by_bob.mismatch->remote, alices);
  EXPECT_EQ(seen_by_alice.counts, alices) << "nothing was changed";
  EXPECT_EQ(seen_by_bob.counts, bobs);

  const auto told = accept_remote(alices_);
  EXPECT_EQ(told.counts, (session_counts{3, 5, 5}));
  EXPECT_EQ(told.skipped, 1u) << "the answer that bob was told she had";
  EXPECT_EQ(told.discarded, 0u);
  join();
  talk(2, 2);
  EXPECT_EQ(orders_.back(), "order 6");
  EXPECT_EQ(orders_.size(), 7u);
  leave();
  EXPECT_FALSE(show_session(alices_).mismatch || show_session(bobs_).mismatch) << "a login that fitted forgets them";
}

TEST_P(sides_that_do_not_fit, are_mended_at_the_listening_end_too) {
  restore_an_old_copy_of("bob");
  meet_and_fail();
  leave();
  ASSERT_TRUE(show_session(bobs_).mismatch);
  EXPECT_EQ(show_session(bobs_).mismatch->local, (session_counts{3, 2, 2}));
  EXPECT_EQ(show_session(bobs_).mismatch->remote, (session_counts{3, 5, 5}));
  EXPECT_EQ(accept_remote(bobs_).skipped, 2u) << "orders that alice was told he had";
  join();
  talk(2, 2);
  EXPECT_EQ(orders_.back(), "order 6");
}

TEST_P(sides_that_do_not_fit, are_those_of_two_servers_and_the_session_goes_anew_saying_what_that_discards) {
  join();
  talk(3, 2);
  const auto first = persistent_session::of(alice_)->info();
  bob_ = {};
  listening_ = {};
  ASSERT_TRUE(turn([&] { return alice_.state() == channel_state::waiting; }, "the loss"));
  for (const char* text : {"never comes", "nor does this"}) ASSERT_TRUE(alice_.try_send(text));
  listen("carol");
  ASSERT_TRUE(turn([&] { return alice_.state() == channel_state::up; }, "the other server"));
  std::vector<std::string> said;
  for (const auto& one : log_.warnings)
    if (one.find("a new session begins") != one.npos) said.push_back(one);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said.front().find("the session was with 'bob', this is 'carol'"), std::string::npos) << said.front();
  EXPECT_NE(said.front().find("2 messages that nobody acknowledged are discarded"), std::string::npos) << said.front();
  const auto now = persistent_session::of(alice_)->info();
  EXPECT_EQ(now.peer_name, "carol");
  EXPECT_NE(now.session, first.session);
  EXPECT_EQ(now.sent, 0u);
  EXPECT_EQ(now.unacknowledged_bytes, 0u);
  EXPECT_EQ(now.discarded, 2u);
  EXPECT_EQ(first.discarded, 0u);
  const auto before = orders_.size();
  talk(2, 1);
  EXPECT_EQ(orders_.size(), before + 2) << "and nothing of what was meant for bob";
  EXPECT_EQ(show_session(bobs_).counts, (session_counts{3, 2, 2})) << "whose files nobody has touched";
}

TEST_P(sides_that_do_not_fit, go_anew_though_somebody_holds_a_transaction_which_is_told_when_it_goes_on) {
  const auto hold = [](const channel& of) {
    auto held = persistent_session::of(of)->begin().value();
    EXPECT_TRUE(held.set_state(as_bytes("of the session before")));
    return held;
  };
  const auto expect_broken = [](transaction& held) {
    EXPECT_EQ(held.send("more").error(), errc::reset);
    EXPECT_EQ(held.commit().error(), errc::reset);
    held.abort();
  };
  join();
  talk(3, 2);
  alice_ = {};
  ASSERT_TRUE(
      turn([&] { return bob_.state() == channel_state::waiting && !show_session(alices_).in_use; }, "the loss"));
  auto bobs = hold(bob_);
  std::filesystem::remove_all(dir_.file("alice"));
  std::filesystem::create_directory(dir_.file("alice"));
  connect();
  ASSERT_TRUE(turn([&] { return alice_.state() == channel_state::up; }, "a new session at the listening end"));
  expect_broken(bobs);
  talk(2, 1);

  bob_ = {};
  listening_ = {};
  ASSERT_TRUE(turn([&] { return alice_.state() == channel_state::waiting; }, "the loss at the connecting end"));
  auto alices = hold(alice_);
  listen("carol");
  ASSERT_TRUE(turn([&] { return alice_.state() == channel_state::up; }, "a new session with another server"));
  expect_broken(alices);
  talk(2, 1);
}

TEST_P(sides_that_do_not_fit, go_anew_where_the_connecting_end_has_lost_its_files_and_say_what_that_discards) {
  join();
  talk(3, 2);
  alice_ = {};
  ASSERT_TRUE(
      turn([&] { return bob_.state() == channel_state::waiting && !show_session(alices_).in_use; }, "the loss"));
  ASSERT_TRUE(bob_.try_send("never comes"));
  lose_the_files_of("alice");
  connect();
  ASSERT_TRUE(turn([&] { return bob_.state() == channel_state::up; }, "a new session"));
  EXPECT_EQ(persistent_session::of(bob_)->info().discarded, 1u);
  ASSERT_FALSE(log_.warnings.empty());
  EXPECT_NE(log_.warnings.back().find("'alice' has begun a new session; 1 messages for the old one are discarded"),
            std::string::npos)
      << log_.warnings.back();
  const auto before = answers_.size();
  talk(2, 1);
  EXPECT_EQ(answers_.size(), before + 1);
  EXPECT_EQ(answers_.back(), "answer") << "and nothing of what was for the session before";
}

TEST_P(sides_that_do_not_fit, change_nothing_where_the_listening_end_has_lost_its_files_before_it_is_accepted) {
  join();
  talk(3, 2);
  leave();
  lose_the_files_of("bob");
  meet_and_fail();
  leave();
  EXPECT_TRUE(list_sessions(dir_.file("bob")).empty()) << "of somebody who may never be welcome";
  EXPECT_EQ(show_session(alices_).counts, (session_counts{2, 3, 3}));
  ASSERT_TRUE(show_session(alices_).mismatch);
  EXPECT_EQ(show_session(alices_).mismatch->remote, (session_counts{0, 0, 0}));
  EXPECT_EQ(accept_remote(alices_).counts, (session_counts{0, 0, 0}));
  join();
  talk(2, 2);
  EXPECT_EQ(orders_.back(), "order 4");
}

TEST_P(sides_that_do_not_fit, go_on_where_the_listening_end_has_lost_its_files_before_anything_was_acknowledged) {
  join();
  leave();
  lose_the_files_of("bob");
  connect();
  ASSERT_TRUE(alice_.try_send("queued"));
  listen();
  ASSERT_TRUE(turn([&] { return !orders_.empty(); }, "the message"));
  EXPECT_EQ(orders_, std::vector<std::string>{"queued"});
  EXPECT_TRUE(refusals_.empty()) << refusals_.front();
}

TEST_P(sides_that_do_not_fit, do_not_go_anew_where_the_peer_was_named) {
  listen("carol");
  auto with = settings("alice");
  with.peer = "bob";
  alice_ = channel::open(where_, places_.url("orders"), with).value();
  alice_.on_connect_failure([this](const error& why) { failures_.push_back(why); });
  ASSERT_TRUE(alice_.try_send("for bob alone"));
  ASSERT_TRUE(turn([&] { return !failures_.empty(); }, "the refusal"));
  EXPECT_EQ(failures_.front(), errc::auth);
  EXPECT_EQ(persistent_session::of(alice_)->info().sent, 1u);
  EXPECT_GT(persistent_session::of(alice_)->info().unacknowledged_bytes, 0u);
}

}  // namespace
}  // namespace ferry::test
