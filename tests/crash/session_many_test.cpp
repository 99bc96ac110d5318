// Thousands of persistent sessions on one thread, of which nearly all are idle.
#include <ferry/session.hpp>

#include <sys/resource.h>

#include <algorithm>

#include "quick_dir.hpp"
#include "raw_session_peer.hpp"
#include "rounds.hpp"
#include "session_crash.hpp"
#include "testing/sanitizers.hpp"

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

/// Both ends of as many sessions as this machine has descriptors and mappings for, in one process.
class many_in_shared_memory : public many_sessions {
 protected:
  many_in_shared_memory() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    std::uint64_t most_mappings = 65530;
    std::ifstream("/proc/sys/vm/max_map_count") >> most_mappings;
    const std::uint64_t by_descriptors = (limit.rlim_cur - footprint::now().descriptors - 200) / k_descriptors;
    const std::uint64_t by_mappings = (most_mappings - 2000) / k_mappings;
    pairs = std::min({by_descriptors, by_mappings, rounds(2000)});
    limited_by = pairs == by_descriptors ? "descriptors (RLIMIT_NOFILE)"
                 : pairs == by_mappings  ? "mappings (vm.max_map_count)"
                                         : "the test";
  }
  void add_one() {
    const auto i = std::to_string(clients.size());
    auto& one = clients.emplace_back(
        channel::open(where, "shm://meeting?session=persistent&as=client" + i + "&dir=" + files.file("client"), with())
            .value());
    one.on_message([this](const message_view&) { answers += 1; });
    ASSERT_TRUE(turn([&] { return one.state() == channel_state::up && servers.size() == clients.size(); }, "a login"));
  }
  void ask(std::size_t whom) {
    const auto wanted = answers + 1;
    ASSERT_TRUE(clients[whom].try_send("a request"));
    ASSERT_TRUE(turn([&] { return answers == wanted; }, "an answer"));
  }
  /// @return nanoseconds for a round trip of the first few
  std::uint64_t talk() {
    constexpr std::size_t k_rounds = 400;
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < k_rounds && !HasFatalFailure(); ++i) ask(i % k_active);
    const auto took = std::chrono::steady_clock::now() - begin;
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(took).count()) / k_rounds;
  }
  [[nodiscard]] std::uint64_t calls_of_the_idle() const {
    std::uint64_t calls = 0;
    for (const auto* all : {&clients, &servers})
      for (std::size_t i = k_active; i < all->size(); ++i) calls += (*all)[i].stats().reads + (*all)[i].stats().writes;
    return calls;
  }
  [[nodiscard]] static std::size_t mappings() {
    std::ifstream maps("/proc/self/maps");
    return static_cast<std::size_t>(std::count(std::istreambuf_iterator(maps), {}, '\n'));
  }
  [[nodiscard]] options with() const {
    options o = settings();
    o.ring_bytes = 4096;
    o.max_sessions = static_cast<std::uint32_t>(pairs);
    return o;
  }
  // Of two ends: a socket, a ring and its lock each; the two files of its own, and the peer's with one page to write
  // to.
  static constexpr std::uint64_t k_descriptors = 6, k_mappings = 10;
  quick_dir files;
  std::uint64_t pairs = 0;
  std::string limited_by;
  std::vector<channel> clients, servers;
  std::uint64_t answers = 0;
};

TEST_F(many_in_shared_memory, are_as_many_as_the_machine_allows_and_idle_ones_do_nothing_while_others_talk) {
  const auto empty = footprint::now();
  const auto mapped = mappings();
  listener at =
      listener::open(where, "shm://meeting?session=persistent&as=server&dir=" + files.file("server"), with()).value();
  at.on_channel([&](channel one) {
    one.on_message([this, i = servers.size()](const message_view& m) { (void)servers[i].try_send(m.payload, m.kind); });
    servers.push_back(std::move(one));
  });
  clients.reserve(pairs);
  servers.reserve(pairs);
  while (clients.size() < k_active) ASSERT_NO_FATAL_FAILURE(add_one());
  const auto alone = talk();
  while (clients.size() < pairs) ASSERT_NO_FATAL_FAILURE(add_one()) << clients.size();
  const auto full = footprint::now();
  EXPECT_LE(full.descriptors - empty.descriptors, k_descriptors * pairs + 20);
  EXPECT_LE(mappings() - mapped, k_mappings * pairs + (k_checks_addresses ? 2000 : 200));  // its own heap's, too
  EXPECT_LT(full.resident - empty.resident, 2 * pairs * k_most_kib) << "KiB";

  run_ready(io);
  const auto before = calls_of_the_idle();
  const auto among_many = talk();
  EXPECT_EQ(calls_of_the_idle(), before);
  ask(clients.size() - 1);  // the last one, too
  RecordProperty("sessions", std::to_string(pairs));
  RecordProperty("limited_by", limited_by);
  RecordProperty("mappings_per_session", std::to_string((mappings() - mapped) / pairs));
  RecordProperty("descriptors_per_session", std::to_string((full.descriptors - empty.descriptors) / pairs));
  RecordProperty("nanoseconds_alone", std::to_string(alone));
  RecordProperty("nanoseconds_among_many", std::to_string(among_many));
  RecordProperty("resident_kib_per_session", std::to_string((full.resident - empty.resident) / pairs / 2));
  at.close();
  for (auto* all : {&clients, &servers})
    for (auto& one : *all) one.cut();
  run_ready(io);
  clients.clear();
  servers.clear();
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
