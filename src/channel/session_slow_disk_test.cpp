// Persistent sessions whose disk takes its time, while logins come, the peer begins anew, and both go on sending.
#include <ferry/listener.hpp>
#include <ferry/session.hpp>

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <string>
#include <vector>

#include "testing/meeting_places.hpp"
#include "testing/session_options.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

/// A disk that does what it is asked for only while `works`, and one sync at a time where it is told to.
struct slow_disk {
  boost::asio::io_context queue;
  bool works = true;
  void turn() {
    if (works) queue.poll();
    queue.restart();
  }
};

/// Alice connects to Bob, whose disk is slow; each at an event loop of their own.
class sessions_on_a_slow_disk : public ::testing::TestWithParam<const char*> {
 protected:
  using texts = std::vector<std::string>;

  [[nodiscard]] options settings(const char* as, const temp_dir& dir, durable_kind durable) const {
    options o = session_options(as, dir);
    o.durable = durable;
    places_.equip(o);
    return o;
  }
  [[nodiscard]] listener listen(context& where, const char* as = "bob", const std::string& name = "orders") {
    auto made = listener::open(where, places_.url(name), settings(as, dir_, durable_kind::disk)).value();
    made.on_channel([this](channel one) {
      bob_ = std::move(one);
      bob_.on_message([this](const message_view& m) { got_ += m.text(); });
      bob_.on_drain([this] { drained_ += 1; });
    });
    return made;
  }
  /// @param files  where hers are
  void alice_comes(const temp_dir& files, durable_kind durable = durable_kind::process,
                   const std::string& name = "orders") {
    alice_ = {};
    auto with = settings("alice", files, durable);
    with.runtime_dir = dir_.path();
    ASSERT_TRUE(run_until(
        io_,
        [&] {
          disk_.turn();
          auto opened = channel::open(alices_, places_.url(name), with);
          if (opened) alice_ = *opened;
          return opened.has_value();
        },
        "her files"));
    alice_.on_message([this](const message_view& m) { answers_.emplace_back(m.text()); });
    alice_.on_connect_failure([this](const error& why) { failures_.push_back(why.text()); });
  }
  [[nodiscard]] persistent_session bobs() { return persistent_session::of(bob_).value(); }
  [[nodiscard]] session_info alices() { return persistent_session::of(alice_)->info(); }
  /// Whatever can be done without the disk.
  void settle() {
    for (std::size_t did = 1; did != 0;) {
      did = 0;
      for (auto* one : {&io_, &bobs_io_, &second_io_}) {
        did += one->poll();
        one->restart();
      }
    }
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(
        io_, [&] { return run_ready(bobs_io_), run_ready(second_io_), disk_.turn(), done(); }, awaited,
        std::chrono::seconds(60));
  }
  [[nodiscard]] ::testing::AssertionResult both_are_up() {
    return turn([&] { return bob_ && bob_.state() == channel_state::up && alice_.state() == channel_state::up; },
                "both ends");
  }
  /// One more message goes either way, and nothing else that was not expected.
  void expect_that_it_goes_on() {
    ASSERT_TRUE(both_are_up());
    got_.clear();
    answers_.clear();
    ASSERT_TRUE(alice_.try_send("there"));
    ASSERT_TRUE(bob_.try_send("back"));
    ASSERT_TRUE(turn([&] { return got_ == "there" && answers_ == texts{"back"}; }, "both messages"));
    ASSERT_TRUE(turn([&] { return bobs().info().acknowledged == bobs().info().sent; }, "all to be consumed"));
  }

  temp_dir dir_, others_;
  meeting_places places_{GetParam(), dir_};
  slow_disk disk_;
  boost::asio::io_context io_, bobs_io_, second_io_;
  context alices_{io_, {.blocking_executor = disk_.queue.get_executor()}};
  context bobs_where_{bobs_io_, {.blocking_executor = disk_.queue.get_executor()}};
  context second_where_{second_io_, bobs_where_};
  channel alice_, bob_;
  std::string got_;
  texts answers_, failures_;
  int drained_ = 0;
};

TEST_P(sessions_on_a_slow_disk, take_nothing_more_until_a_new_session_is_on_it) {
  auto listening = listen(bobs_where_);
  alice_comes(dir_);
  expect_that_it_goes_on();
  disk_.works = false;
  ASSERT_TRUE(bob_.try_send("for the old one"));
  const auto before = bobs().info().session;
  alice_comes(others_);  // who has lost her files
  settle();
  EXPECT_EQ(bobs().info().session, before) << "what is under way is on its way to the disk";
  disk_.works = true;
  ASSERT_TRUE(turn([&] { return bobs().info().session != before; }, "the new session"));
  disk_.works = false;
  EXPECT_EQ(bob_.try_send("too early").error(), errc::full);
  auto step = bobs().begin().value();
  EXPECT_EQ(step.send("too early").error(), errc::full);
  ASSERT_TRUE(step.set_state(as_bytes("kept")));
  ASSERT_TRUE(step.commit());
  disk_.works = true;
  ASSERT_TRUE(turn([&] { return drained_ != 0; }, "word that there is room"));
  expect_that_it_goes_on();
  EXPECT_EQ(failures_, texts{});
  EXPECT_EQ(as_text(bobs().state()), "kept");
  // What is in the files fits together too.
  bob_ = {};
  listening = {};
  settle();
  listening = listen(bobs_where_);
  expect_that_it_goes_on();
}

TEST_P(sessions_on_a_slow_disk, compare_a_login_with_the_new_session_once_that_is_on_it) {
  const auto listening = listen(bobs_where_);
  alice_comes(dir_);
  expect_that_it_goes_on();
  const auto before = bobs().info().session;
  disk_.works = false;
  alice_comes(others_);
  settle();
  ASSERT_NE(bobs().info().session, before);
  alice_comes(others_);  // once more, while the first login waits
  settle();
  EXPECT_EQ(failures_, texts{});
  disk_.works = true;
  expect_that_it_goes_on();
  EXPECT_EQ(failures_, texts{});
}

TEST_P(sessions_on_a_slow_disk, leave_their_event_loop_once_the_new_session_is_on_it) {
  const auto first = listen(bobs_where_);
  const auto second = listen(second_where_, "bob", "second");
  alice_comes(dir_);
  expect_that_it_goes_on();
  const auto before = bobs().info().session;
  disk_.works = false;
  alice_comes(others_);
  settle();
  ASSERT_NE(bobs().info().session, before);
  alice_comes(others_, durable_kind::process, "second");
  settle();
  disk_.works = true;
  expect_that_it_goes_on();
  EXPECT_EQ(failures_, texts{});
}

TEST_P(sessions_on_a_slow_disk, begin_anew_with_another_peer_once_all_is_on_it) {
  {
    const auto listening = listen(bobs_where_);
    alice_comes(dir_, durable_kind::disk);
    expect_that_it_goes_on();
    alice_.cut();
    ASSERT_TRUE(turn([&] { return bob_.state() == channel_state::waiting; }, "the loss"));
    bob_ = {};
  }
  settle();
  const auto listening = listen(bobs_where_, "carol");
  alice_comes(dir_, durable_kind::disk);
  const auto before = alices();
  // Her login goes out once its number is on the disk; carol's answer waits.
  ASSERT_TRUE(run_until(
      io_, [&] { return run_ready(bobs_io_), disk_.turn(), alices().epoch > before.epoch; }, "her login"));
  for (std::size_t did = 1; did != 0;) {
    did = io_.poll() + disk_.queue.poll();
    io_.restart();
    disk_.queue.restart();
  }
  disk_.works = false;
  ASSERT_TRUE(alice_.try_send("for bob"));
  settle();
  EXPECT_EQ(alices().session, before.session);
  EXPECT_EQ(failures_, texts{});
  disk_.works = true;
  ASSERT_TRUE(turn([&] { return alices().session != before.session; }, "the new session"));
  disk_.works = false;
  EXPECT_EQ(alice_.try_send("too early").error(), errc::full);
  disk_.works = true;
  expect_that_it_goes_on();
  EXPECT_EQ(failures_, texts{});
  EXPECT_EQ(alices().peer_name, "carol");
}

TEST_P(sessions_on_a_slow_disk, are_over_when_their_channel_is_though_a_sync_is_under_way) {
  const auto listening = listen(bobs_where_);
  alice_comes(dir_);
  expect_that_it_goes_on();
  auto session = bobs();
  got_.clear();
  disk_.works = false;
  ASSERT_TRUE(alice_.try_send("x"));
  settle();
  ASSERT_EQ(got_, "x");
  auto step = session.begin().value();
  ASSERT_TRUE(step.send("never"));
  bob_.cut();
  ASSERT_TRUE(turn([&] { return bob_.state() == channel_state::closed; }, "the end"));
  settle();
  EXPECT_EQ(step.commit().error(), errc::closed);
  step.abort();
  EXPECT_EQ(session.begin().error(), errc::closed);
  disk_.works = true;
}

// Over memory, who has been cut off still reads what the other side appends.
TEST_P(sessions_on_a_slow_disk, move_with_what_came_behind_the_login_that_moves_them) {
  const auto first = listen(bobs_where_);
  const auto second = listen(second_where_, "bob", "second");
  alice_comes(dir_);
  expect_that_it_goes_on();
  got_.clear();
  alice_.cut();
  alice_comes(dir_, durable_kind::process, "second");
  run_ready(io_);
  ASSERT_TRUE(alice_.try_send("behind it"));
  ASSERT_TRUE(run_until(
      bobs_io_, [&] { return bob_.state() == channel_state::waiting; }, "the loss"));
  EXPECT_EQ(!got_.empty(), std::string(GetParam()) == "shm");
  settle();
  ASSERT_TRUE(turn([&] { return alice_.state() == channel_state::up && alices().acknowledged == alices().sent; },
                   "all to be consumed"));
  EXPECT_EQ(got_, "behind it");
  EXPECT_EQ(failures_, texts{});
  expect_that_it_goes_on();
}

INSTANTIATE_TEST_SUITE_P(over, sessions_on_a_slow_disk, ::testing::Values("shm", "ipc", "tcp", "tls"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ferry::test
