// What a program does with a persistent session: handlers and transactions, as steps of which all happens or nothing.
#include "channel/session_channel.hpp"

#include <ferry/listener.hpp>
#include <ferry/session.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "channel/session_book.hpp"
#include "os/mapping.hpp"
#include "os/session_directory.hpp"
#include "os/unique_fd.hpp"
#include "ring/ring_layout.hpp"
#include "testing/meeting_places.hpp"
#include "testing/session_options.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

class sessions : public ::testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] options settings(const char* as) const {
    options o = session_options(as, dir_);
    places_.equip(o);
    if (change_) change_(o);
    return o;
  }
  void listen() { listen(where_, settings("bob")); }
  void listen(context& where, const options& with) {
    listening_ = listener::open(where, places_.url("orders"), with).value();
    listening_.on_channel([this](channel one) {
      bob_ = std::move(one);
      if (when_bob_comes_) when_bob_comes_();
    });
  }
  void connect() {
    alice_ = channel::open(where_, listening_.url(), settings("alice")).value();
    alice_.on_message([this](const message_view& m) { answers_.emplace_back(m.text()); });
    ASSERT_TRUE(turn([&] { return bob_ && alice_.state() == channel_state::up; }, "both ends"));
  }
  void join() {
    listen();
    connect();
  }
  void send(std::string_view text) { ASSERT_TRUE(alice_.try_send(text)); }
  [[nodiscard]] persistent_session bobs() { return persistent_session::of(bob_).value(); }
  /// Once whoever had her files has given them back.
  [[nodiscard]] ::testing::AssertionResult alice_comes_again() {
    return turn(
        [&] {
          auto again = channel::open(where_, listening_.url(), settings("alice"));
          if (again) alice_ = *again;
          return again.has_value();
        },
        "the files of the one that was cut");
  }
  /// Nothing that was under way is left.
  void settle() {
    error_code flushed = errc::would_block;
    alice_.async_flush([&](error_code done) { flushed = done; });
    ASSERT_TRUE(turn([&] { return !flushed; }, "all to be consumed"));
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io_, std::move(done), awaited, std::chrono::seconds(60));
  }

  temp_dir dir_;
  meeting_places places_{GetParam(), dir_};
  boost::asio::io_context io_;
  context where_{io_};
  listener listening_;
  channel alice_, bob_;
  std::function<void()> when_bob_comes_;
  std::function<void(options&)> change_;
  std::vector<std::string> answers_;
};

TEST_P(sessions, answer_in_the_step_that_consumes_and_keep_a_state_with_it) {
  join();
  std::string seen;
  bob_.on_message([&](const message_view& m) {
    seen += m.text();
    ASSERT_TRUE(bob_.try_send("1 " + std::string(m.text())));
    ASSERT_TRUE(bob_.try_send("2 " + std::string(m.text())));
    ASSERT_TRUE(bobs().set_state(as_bytes(seen)));
  });
  send("a");
  send("b");
  ASSERT_TRUE(turn([&] { return answers_.size() == 4; }, "four answers"));
  EXPECT_EQ(answers_, (std::vector<std::string>{"1 a", "2 a", "1 b", "2 b"}));
  EXPECT_EQ(as_text(bobs().state()), "ab");
  EXPECT_EQ(bobs().info().consumed, 2u);
  EXPECT_EQ(bobs().info().peer_name, "alice");
}

TEST_P(sessions, that_are_cut_where_they_arrive_are_closed_and_go_on_with_the_next_connection) {
  std::vector<error> downs;
  when_bob_comes_ = [&] {
    if (!downs.empty()) return;
    bob_.on_down([&](const down_info& why) { downs.push_back(why.reason); });
    bob_.cut();
  };
  listen();
  alice_ = channel::open(where_, listening_.url(), settings("alice")).value();
  send("kept");
  ASSERT_TRUE(turn([&] { return !downs.empty() && bob_.state() == channel_state::up; }, "the next connection"));
  EXPECT_EQ(downs.front(), errc::closed) << downs.front().text();
  std::vector<std::string> seen;
  bob_.on_message([&](const message_view& m) { seen.emplace_back(m.text()); });
  settle();
  EXPECT_EQ(seen, std::vector<std::string>{"kept"});
  EXPECT_EQ(downs.size(), 1u);
}

TEST_P(sessions, that_another_event_loop_asks_for_where_they_arrive_end_and_let_go_of_their_files) {
  std::vector<error> downs;
  when_bob_comes_ = [&] {
    if (!downs.empty()) return;
    bob_.on_down([&](const down_info& why) { downs.push_back(why.reason); });
    const auto whose = os::session_paths(dir_.path().string(), {"bob", "alice"}).base;
    const auto one = where_.sessions()->find(whose, io_);
    ASSERT_TRUE(one);
    const auto& s = one->session();
    const auto said = std::make_shared<session::login>();
    std::tie(said->session, said->epoch, said->own_name) = std::tuple(s.session(), s.epoch() + 1, "alice");
    one->leave_to(said, [](const session::login_decision& decision) {
      EXPECT_EQ(decision.action, session::login_action::resume) << decision.why.text();
    });
  };
  listen();
  alice_ = channel::open(where_, listening_.url(), settings("alice")).value();
  send("kept");
  ASSERT_TRUE(turn([&] { return !downs.empty() && bob_.state() == channel_state::up; }, "the next connection"));
  EXPECT_EQ(downs.front(), errc::reset) << downs.front().text();
  EXPECT_EQ(listening_.stats().open, 1u);
  std::vector<std::string> seen;
  bob_.on_message([&](const message_view& m) { seen.emplace_back(m.text()); });
  settle();
  EXPECT_EQ(seen, std::vector<std::string>{"kept"});
}

TEST_P(sessions, give_a_message_again_whose_handler_gave_it_back_and_nothing_of_what_it_did) {
  join();
  int tries = 0;
  bob_.on_message([&](const message_view& m) {
    ASSERT_TRUE(bob_.try_send("try " + std::to_string(++tries) + " " + std::string(m.text())));
    if (tries == 1) {
      ASSERT_TRUE(bobs().give_back());
    }
  });
  run_ready(io_);
  send("a");
  ASSERT_TRUE(turn([&] { return tries == 1; }, "the first try"));
  run_ready(io_);
  EXPECT_EQ(tries, 1) << "it waits for resume()";
  bob_.resume();
  ASSERT_TRUE(turn([&] { return answers_.size() == 1; }, "the answer"));
  EXPECT_EQ(answers_.front(), "try 2 a");
  EXPECT_EQ(bobs().give_back().error(), errc::misuse) << "no handler runs";
}

TEST_P(sessions, give_a_message_again_whose_handler_threw) {
  join();
  int tries = 0;
  bob_.on_message([&](const message_view& m) {
    ASSERT_TRUE(bob_.try_send("try " + std::to_string(++tries) + " " + std::string(m.text())));
    if (tries < 3) throw std::runtime_error("not now");
  });
  send("a");
  int thrown = 0;
  while (answers_.empty() && thrown < 3) {
    try {
      ASSERT_TRUE(turn([&] { return !answers_.empty(); }, "the answer"));
    } catch (const std::runtime_error&) {
      ++thrown;
    }
  }
  EXPECT_EQ(thrown, 2);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_.front(), "try 3 a");
}

TEST_P(sessions, make_one_step_of_several_messages_and_answers) {
  join();
  for (const char* text : {"a", "b", "c"}) send(text);
  ASSERT_TRUE(turn([&] { return bob_.stats().receive_queue_messages == 3; }, "three messages"));
  {
    auto given_up = bobs().begin().value();
    EXPECT_EQ(given_up.receive()->text(), "a");
    ASSERT_TRUE(given_up.send("never"));
    ASSERT_TRUE(given_up.set_state(as_bytes("never")));
    EXPECT_EQ(bobs().begin().error(), errc::busy);
  }
  auto t = bobs().begin().value();
  std::string all;
  while (const auto m = t.receive()) all += m->text();
  EXPECT_EQ(all, "abc");
  ASSERT_TRUE(t.send(all));
  ASSERT_TRUE(bob_.try_send("joins"));
  ASSERT_TRUE(t.set_state(as_bytes(all)));
  run_ready(io_);
  EXPECT_TRUE(answers_.empty()) << "nothing is seen before the commit";
  EXPECT_EQ(bobs().state().size(), 0u);
  ASSERT_TRUE(t.commit());
  EXPECT_FALSE(t);
  ASSERT_TRUE(turn([&] { return answers_.size() == 2; }, "both answers"));
  EXPECT_EQ(answers_, (std::vector<std::string>{"abc", "joins"}));
  EXPECT_EQ(as_text(bobs().state()), "abc");
  EXPECT_EQ(bobs().begin()->receive().error(), errc::would_block);
}

TEST_P(sessions, commit_all_that_a_transaction_was_allowed_to_send_wherever_the_ring_ends) {
  change_ = [](options& o) { o.ring_bytes = 64 << 10; };
  join();
  std::size_t consumed = 0;
  bob_.on_message([&](const message_view&) { consumed += 1; });
  auto alices = persistent_session::of(alice_).value();
  const std::string large(alices.info().max_message, 'l'), small(300, 's');
  std::size_t sent = 0;
  for (std::size_t round = 0; round < 40; ++round) {
    send(std::string(round * 411, 'm'));  // so that the ring's end comes elsewhere each time
    settle();
    auto t = alices.begin().value();
    std::size_t here = 0;
    while (t.send(here == round % 4 ? large : small)) here += 1;
    const auto done = t.commit();
    ASSERT_TRUE(done) << "in round " << round << ": " << done.error().text();
    sent += here + 1;
    settle();
  }
  EXPECT_EQ(consumed, sent);
}

TEST_P(sessions, send_nothing_of_a_transaction_before_its_commit_though_other_threads_may_send) {
  change_ = [](options& o) { o.senders = senders_kind::many; };
  join();
  std::string got;
  bob_.on_message([&](const message_view& m) { got += m.text(); });
  auto alices = persistent_session::of(alice_).value();
  auto step = alices.begin().value();
  ASSERT_TRUE(step.send("a"));
  ASSERT_TRUE(alice_.try_send("b")) << "which joins it";
  std::thread([&] { ASSERT_TRUE(alice_.try_send("1")); }).join();
  ASSERT_TRUE(turn([&] { return !got.empty(); }, "the thread's"));
  run_ready(io_);
  EXPECT_EQ(got, "1");
  step.abort();
  ASSERT_TRUE(alice_.try_send("2"));
  step = alices.begin().value();
  ASSERT_TRUE(step.send("c"));
  ASSERT_TRUE(step.commit());
  settle();
  EXPECT_EQ(got, "12c");
}

TEST_P(sessions, show_nothing_of_a_transaction_whose_room_another_thread_has_taken) {
  change_ = [](options& o) {
    o.ring_bytes = 64 << 10;
    o.senders = senders_kind::many;
  };
  join();
  std::vector<std::string> got;
  bob_.on_message([&](const message_view& m) { got.emplace_back(m.text().substr(0, 8)); });
  const std::string large(15 << 10, 'l');
  auto step = persistent_session::of(alice_).value().begin().value();
  ASSERT_TRUE(step.send("kept"));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(step.send(large));
  std::size_t sent = 0;
  std::thread([&] {
    while (alice_.try_send("x" + large)) sent += 1;
  }).join();
  EXPECT_EQ(step.commit().error(), errc::full);
  std::thread([&] { ASSERT_TRUE(alice_.try_send("last")); }).join();
  ASSERT_TRUE(turn([&] { return got.size() > sent; }, "what the thread sent"));
  EXPECT_EQ(got.back(), "last");
  EXPECT_EQ(got.size(), sent + 1);
  ASSERT_TRUE(turn([&] { return alice_.stats().send_queue_messages == 0; }, "room again"));
  ASSERT_TRUE(step.commit());
  settle();
  ASSERT_EQ(got.size(), sent + 4);
  EXPECT_EQ(got[sent + 1], "kept");
  EXPECT_EQ(got[sent + 3], "llllllll");
}

TEST_P(sessions, say_that_a_message_waits) {
  join();
  error_code told = errc::would_block;
  bobs().async_wait_message([&](error_code done) { told = done; });
  run_ready(io_);
  EXPECT_EQ(told, errc::would_block);
  send("a");
  ASSERT_TRUE(turn([&] { return !told; }, "word of the message"));
  EXPECT_EQ(bobs().begin()->receive()->text(), "a");
}

TEST_P(sessions, tell_whoever_waits_of_a_message_at_whatever_moment_after_a_login_it_comes) {
  join();
  std::size_t got = 0;
  std::function<void()> wait = [&] {
    bobs().async_wait_message([&](error_code failed) {
      if (failed) return;
      auto step = bobs().begin().value();
      while (step.receive()) got += 1;
      ASSERT_TRUE(step.commit());
      wait();
    });
  };
  wait();
  for (int moment = 0; moment < 80; ++moment) {
    alice_.cut();
    alice_ = {};
    ASSERT_TRUE(alice_comes_again());
    for (int i = 0; i < moment; ++i) io_.poll_one();
    send("x");
    const std::size_t sent = static_cast<std::size_t>(moment) + 1;
    ASSERT_TRUE(turn([&] { return got == sent; }, "the message")) << "after " << moment << " handlers";
  }
  bob_.cut();
  ASSERT_TRUE(turn([&] { return bob_.state() == channel_state::closed; }, "the end"));
}

TEST_P(sessions, answer_more_than_the_ring_holds_while_more_comes_in_than_they_take) {
  change_ = [](options& o) {
    o.ring_bytes = 64 << 10;
    o.max_message = 8 << 10;
    o.receive_queue_bytes = 4 << 10;
    o.receive_queue_low_bytes = 1 << 10;
  };
  join();
  const std::string question(1 << 10, 'q'), answer(4 << 10, 'a');
  bob_.on_message([&](const message_view&) {
    if (!bob_.try_send(answer)) (void)bobs().give_back();
  });
  std::size_t asked = 0;
  const auto ask = [&] {
    while (asked < 300 && alice_.try_send(question)) asked += 1;
  };
  alice_.on_drain(ask);
  ask();
  ASSERT_TRUE(turn([&] { return answers_.size() == 300; }, "an answer to each"));
}

TEST_P(sessions, end_with_an_error_for_whoever_waits_for_a_message_or_for_the_disk) {
  join();
  std::optional<error_code> message, disk_done;
  bobs().async_wait_message([&](error_code failed) { message = failed; });
  boost::asio::io_context disk;  // that never gets to it
  context slow{io_, {.blocking_executor = disk.get_executor()}};
  auto with = settings("carol");
  with.durable = durable_kind::disk;
  auto carol = channel::open(slow, listening_.url(), with).value();
  ASSERT_TRUE(carol.try_send("for the disk"));
  persistent_session::of(carol).value().async_durable([&](error_code failed) { disk_done = failed; });
  io_.poll();
  EXPECT_FALSE(message || disk_done);
  bob_.cut();
  carol.cut();
  ASSERT_TRUE(turn([&] { return message && disk_done; }, "both"));
  EXPECT_EQ(*message, errc::closed);
  EXPECT_EQ(*disk_done, errc::closed);
  // Also for who asks later, though that sync is still under way.
  message.reset();
  disk_done.reset();
  bobs().async_wait_message([&](error_code failed) { message = failed; });
  persistent_session::of(carol).value().async_durable([&](error_code failed) { disk_done = failed; });
  ASSERT_TRUE(turn([&] { return message && disk_done; }, "both, after the end"));
  EXPECT_EQ(*message, errc::closed);
  EXPECT_EQ(*disk_done, errc::closed);
}

TEST_P(sessions, send_again_only_what_was_not_consumed_while_their_login_waited_for_the_disk) {
  boost::asio::io_context disk;
  context slow{io_, {.blocking_executor = disk.get_executor()}};
  auto with = settings("bob");
  with.durable = durable_kind::disk;
  bool works = true;
  const auto both_turn = [&](auto done, std::string_view awaited) {
    const auto look = [&] {
      if (works) disk.poll();
      disk.restart();
      return done();
    };
    return turn(look, awaited);
  };
  listen(slow, with);
  alice_ = channel::open(where_, listening_.url(), settings("alice")).value();
  ASSERT_TRUE(both_turn([&] { return bob_ && alice_.state() == channel_state::up; }, "both ends"));
  std::string got;
  bob_.on_message([&](const message_view& m) { got += m.text(); });
  works = false;
  send("a");
  send("b");
  ASSERT_TRUE(both_turn([&] { return got == "ab"; }, "both messages"));
  const auto epoch = bobs().info().epoch;
  alice_.cut();
  ASSERT_TRUE(alice_comes_again());
  ASSERT_TRUE(both_turn([&] { return bobs().info().epoch > epoch; }, "her login"));
  EXPECT_EQ(bobs().info().consumed, 0u) << "nothing is durable yet";
  works = true;
  ASSERT_TRUE(both_turn([&] { return alice_.state() == channel_state::up; }, "her to be let in"));
  send("c");
  ASSERT_TRUE(both_turn([&] { return alice_.stats().send_queue_messages == 0; }, "all to be consumed"));
  EXPECT_EQ(got, "abc");
}

TEST_P(sessions, end_as_closed_for_whoever_waits_for_a_message_whatever_the_reason_was) {
  change_ = [](options& o) { o.reconnect = false; };
  join();
  std::optional<error_code> message;
  persistent_session::of(alice_).value().async_wait_message([&](error_code failed) { message = failed; });
  bob_.cut();
  ASSERT_TRUE(turn([&] { return message.has_value(); }, "the end"));
  EXPECT_EQ(*message, errc::closed);
  EXPECT_EQ(alice_.last_error(), errc::reset) << "which the channel tells";
}

TEST_P(sessions, tell_of_damage_in_their_own_ring_to_who_sends_out_of_the_handler_and_from_any_thread) {
  change_ = [](options& o) { o.senders = senders_kind::many; };
  listen();
  alice_ = channel::open(where_, listening_.url(), settings("alice")).value();
  const std::string path = os::session_paths(dir_.path(), {"alice", ""}).ring();
  const os::unique_fd ring(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  const auto at = os::mapping::of(ring.get(), std::filesystem::file_size(path), true).value();
  auto& line = reinterpret_cast<ring::shared_page*>(at.data() + os::page_bytes(false))->rings[0];
  line.position.store(1u << 20, std::memory_order_release);  // as if somebody had consumed what was never sent
  std::vector<error> failures;
  alice_.on_connect_failure([&](const error& why) {
    failures.push_back(why);
    (void)alice_.try_send("is it lost?");
  });
  ASSERT_TRUE(turn([&] { return !failures.empty(); }, "the failure"));
  EXPECT_EQ(failures[0], errc::corrupt) << failures[0].text();
  alice_.cut();
  run_ready(io_);
}

TEST_P(sessions, take_back_what_a_transaction_consumed_from_a_connection_that_went) {
  join();
  send("a");
  ASSERT_TRUE(turn([&] { return bob_.stats().receive_queue_messages == 1; }, "the message"));
  auto t = bobs().begin().value();
  ASSERT_TRUE(t.receive());
  ASSERT_TRUE(t.send("never"));
  alice_.cut();
  alice_ = {};
  ASSERT_TRUE(turn([&] { return bob_.state() == channel_state::waiting; }, "the loss"));
  EXPECT_EQ(t.send("more").error(), errc::reset);
  EXPECT_EQ(t.commit().error(), errc::reset);
  t.abort();
  ASSERT_TRUE(alice_comes_again());
  std::string got;
  bob_.on_message([&](const message_view& m) { got += m.text(); });
  settle();
  EXPECT_EQ(got, "a");
  EXPECT_TRUE(answers_.empty());
}

TEST_P(sessions, keep_what_was_sent_and_the_state_while_nobody_is_there) {
  {
    listen();
    connect();
    bob_.on_message([&](const message_view& m) { ASSERT_TRUE(bobs().set_state(m.payload)); });
    send("state");
    settle();
    alice_ = {};
    ASSERT_TRUE(turn([&] { return bob_.state() == channel_state::waiting; }, "the loss"));
    for (const char* text : {"x", "y"}) ASSERT_TRUE(bob_.try_send(text));
    EXPECT_EQ(bobs().info().unacknowledged_bytes, 2u * 24);
    bob_ = {};
    listening_.close();
    run_ready(io_);
  }
  listen();
  connect();
  ASSERT_TRUE(turn([&] { return answers_.size() == 2; }, "what was kept"));
  EXPECT_EQ(answers_, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(as_text(bobs().state()), "state");
}

TEST_P(sessions, carry_a_message_of_a_quarter_of_the_ring_and_refuse_a_larger_one) {
  join();
  std::vector<std::size_t> sizes;
  bob_.on_message([&](const message_view& m) {
    EXPECT_EQ(m.type, 7);
    sizes.push_back(m.payload.size());
  });
  const std::string largest(256u << 10, 'x');
  ASSERT_TRUE(alice_.try_send(as_bytes(largest), message_kind::binary, 7));
  EXPECT_EQ(alice_.try_send(largest + "x").error(), errc::message_too_large);
  settle();
  EXPECT_EQ(sizes, std::vector<std::size_t>{largest.size()});
  const std::string state(4097, 's');
  EXPECT_EQ(bobs().set_state(as_bytes(state)).error(), errc::message_too_large);
  EXPECT_TRUE(bobs().set_state(as_bytes(state).first(4096)));
}

TEST_P(sessions, are_not_listened_for_where_their_directory_cannot_be_made) {
  auto with = settings("bob");
  with.dir = dir_.file("a file");
  ASSERT_TRUE(os::unique_fd(::open(with.dir.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)));
  with.dir += "/within";
  const auto refused = listener::open(where_, places_.url("orders"), with);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().system_errno(), ENOTDIR) << refused.error().text();
}

TEST_P(sessions, are_in_use_by_one_channel_at_a_time) {
  join();
  EXPECT_EQ(channel::open(where_, listening_.url(), settings("alice")).error(), errc::busy);
  EXPECT_EQ(channel::open(where_, "inproc://x", settings("carol")).error(), errc::unsupported);
  options plain = settings("carol");
  plain.session = session_kind::none;
  plain.as = "";
  const auto none = channel::open(where_, listening_.url(), plain);
  ASSERT_TRUE(none);
  EXPECT_EQ(persistent_session::of(*none).error(), errc::misuse);
  EXPECT_EQ(persistent_session::of(channel{}).error(), errc::misuse);
}

INSTANTIATE_TEST_SUITE_P(over, sessions, ::testing::Values("shm", "ipc", "tcp", "tls"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ferry::test
