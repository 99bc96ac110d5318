// Thousands of persistent sessions on one thread, of which nearly all are idle.
#include <ferry/session.hpp>

#include <sys/resource.h>

#include "raw_session_peer.hpp"
#include "session_crash.hpp"

namespace ferry::test {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t k_most_kib = 1024;  // for each session; a sanitizer keeps what was freed
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr std::size_t k_most_kib = 1024;
#else
constexpr std::size_t k_most_kib = 64;
#endif
#else
constexpr std::size_t k_most_kib = 64;
#endif

constexpr std::size_t k_sessions = 2000;
constexpr std::size_t k_active = 5;

class many_sessions : public session_crash {
 protected:
  // Returns the limit to what it was.
  many_sessions() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit more = before_;
    more.rlim_cur = std::min<rlim_t>(before_.rlim_max, 8 * k_sessions);
    ::setrlimit(RLIMIT_NOFILE, &more);
    enough_ = more.rlim_cur >= 6 * k_sessions;
  }
  ~many_sessions() override { ::setrlimit(RLIMIT_NOFILE, &before_); }
  bool enough_ = false;

 private:
  rlimit before_{};
};

TEST_F(many_sessions, cost_little_while_they_are_idle_and_do_not_slow_down_the_others) {
  if (!enough_) GTEST_SKIP() << "not enough descriptors are allowed here";
  const auto empty = footprint::now();
  options with = settings();
  with.ring_bytes = 4096;
  with.max_sessions = k_sessions;
  listener at = listener::open(where,
                               "ipc://" + dir.file("meeting.sock") +
                                   "?session=persistent&as=server&heartbeat=1h&dir=" + dir.file("server"),
                               with)
                    .value();
  std::vector<channel> all;
  std::vector<error> errors;
  at.on_error([&](const error& why) { errors.push_back(why); });
  at.on_channel([&](channel one) {
    one.on_message([&all, i = all.size()](const message_view& m) { (void)all[i].try_send(m.payload, m.kind); });
    all.push_back(std::move(one));
  });
  std::vector<raw_session_peer> peers;
  peers.reserve(k_sessions + 1);
  for (std::size_t i = 0; i < k_sessions; ++i) {
    auto& one = peers.emplace_back(dir.file("meeting.sock"));
    one.say(login_text(first_login("client" + std::to_string(i))));
    ASSERT_TRUE(turn([&] { return one.heard() && all.size() == i + 1; }, "an answer")) << i;
  }
  EXPECT_TRUE(errors.empty()) << errors[0].text();
  const auto idle = footprint::now();
  const std::size_t ours = idle.descriptors - empty.descriptors - k_sessions;  // without the peers' own
  EXPECT_LE(ours, 3 * k_sessions + 10) << "a socket, a ring and its lock for each";
  EXPECT_LT(idle.resident - empty.resident, k_sessions * k_most_kib) << "KiB";

  // One more is one too many.
  raw_session_peer late(dir.file("meeting.sock"));
  late.say(login_text(first_login("late")));
  ASSERT_TRUE(turn([&] { return late.heard(); }, "an answer"));
  ASSERT_TRUE(late.answer());
  EXPECT_EQ(late.answer()->outcome, session::login_outcome::refused);
  EXPECT_NE(late.answer()->text.find("max_sessions"), std::string::npos) << late.answer()->text;

  const auto reads_of_the_idle = [&] {
    std::uint64_t reads = 0;
    for (std::size_t i = k_active; i < all.size(); ++i) reads += all[i].stats().reads;
    return reads;
  };
  const std::uint64_t before = reads_of_the_idle();
  const std::string request = session_frame_text(codec::session_frame_kind::text, 0, "a request");
  for (int round = 1; round <= 20; ++round)
    for (std::size_t i = 0; i < k_active; ++i) {
      peers[i].say(request);
      ASSERT_TRUE(turn([&] { return peers[i].frames().size() >= request.size() * static_cast<std::size_t>(round); },
                       "an answer"));
    }
  EXPECT_EQ(reads_of_the_idle(), before);
  RecordProperty("resident_kib_per_session", std::to_string((idle.resident - empty.resident) / k_sessions));
  RecordProperty("descriptors_per_session", std::to_string(ours / k_sessions));

  peers.clear();
  ASSERT_TRUE(turn(
      [&] {
        return std::all_of(all.begin(), all.end(),
                           [](const auto& one) { return one.state() == channel_state::waiting; });
      },
      "the news"));
  at.close();
  for (auto& one : all) one.cut();
  run_ready(io);
  all.clear();
  late.close();
  // The list in which the io_context watches its sockets stays.
  EXPECT_TRUE(turn([&] { return footprint::now().descriptors <= empty.descriptors + 1; }, "descriptors given back"));
}

TEST_F(many_sessions, that_come_back_all_at_once_leave_room_for_who_comes_next) {
  constexpr std::size_t k_crowd = 64;  // as many as may be about to log in
  listener at = listener::open(where, url("ipc", "server", "&connect_timeout=10m"), settings()).value();
  std::vector<channel> all;
  at.on_channel([&](channel one) { all.push_back(std::move(one)); });
  const auto name = [](std::size_t i) { return "client" + std::to_string(i); };
  for (std::size_t i = 0; i < k_crowd; ++i) {
    raw_session_peer one(dir.file("meeting.sock"));
    one.say(login_text(first_login(name(i))));
    ASSERT_TRUE(turn([&] { return one.heard() && all.size() == i + 1; }, "an answer")) << i;
  }
  std::vector<raw_session_peer> crowd;
  for (std::size_t i = 0; i < k_crowd; ++i) {
    crowd.emplace_back(dir.file("meeting.sock"));
    run_ready(io);  // it has come, and not said who it is
  }
  for (std::size_t i = 0; i < k_crowd; ++i) {
    auto again = first_login(name(i));
    again.epoch = 2;
    again.peer_name = "server";
    crowd[i].say(login_text(again));
  }
  raw_session_peer next(dir.file("meeting.sock"));
  next.say(login_text(first_login("next")));
  ASSERT_TRUE(turn([&] { return next.heard(); }, "an answer to the next one"));
  ASSERT_TRUE(next.answer());
  EXPECT_EQ(next.answer()->outcome, session::login_outcome::begun) << next.answer()->text;
  for (auto& one : crowd) {
    ASSERT_TRUE(turn([&] { return one.heard(); }, "an answer"));
    EXPECT_EQ(one.answer()->outcome, session::login_outcome::resumed) << one.answer()->text;
  }
}

}  // namespace
}  // namespace ferry::test
