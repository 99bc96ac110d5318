// Power is lost while the files of a session are made, opened, renamed, mended or removed, or while transactions go to
// the disk: before and after each system call, with any part of what was not synced. The next one finds a session,
// whole, as it was before or as it is to be, and what was said to be done is done; power may be lost while it looks,
// too.
#include <ferry/session_files.hpp>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "os/session_store.hpp"
#include "power_disk.hpp"
#include "quick_dir.hpp"
#include "rounds.hpp"

namespace ferry::test {
namespace {

namespace fs = std::filesystem;
using session::durability;

constexpr std::uint64_t k_messages = 3;

/// How far the child has come: what it was told is done.
class progress {
 public:
  progress() {
    auto* const at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    done_ = new (at) std::atomic<std::uint64_t>{0};
  }
  ~progress() { ::munmap(done_, 4096); }
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  [[nodiscard]] std::atomic<std::uint64_t>& operator*() const { return *done_; }

 private:
  std::atomic<std::uint64_t>* done_;
};

/// A directory with the files of one session, or of none.
struct place {
  std::string dir;
  os::session_names names;
  durability how = durability::disk;

  [[nodiscard]] result<std::unique_ptr<os::session_store>> open() const {
    os::session_store::settings with;
    with.ring_bytes = 4096;
    with.durable = how;
    return os::session_store::open(dir, names, with);
  }
  [[nodiscard]] session_key key() const { return {dir, names.own, names.peer}; }
};

/// What is found of a session.
struct kept {
  std::uint64_t consumed = 0, sent = 0;
  std::string state, peer;
  friend bool operator==(const kept&, const kept&) = default;
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const kept& k, std::ostream* out) {
  *out << "consumed " << k.consumed << ", sent " << k.sent << ", state '" << k.state << "', peer '" << k.peer << "'";
}

using told = std::atomic<std::uint64_t>;

void demand(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}
void send_some(const place& at, std::uint64_t transactions, std::uint64_t together, told* done) {
  const auto store = at.open().value();
  auto& s = store->session();
  for (std::uint64_t i = 0; i < transactions; ++i) {
    demand(s.send({as_bytes("message"), message_kind::text, 0}), "no room");
    s.set_state(as_bytes(std::to_string(s.output().sequence())));
    s.commit();
    if ((i + 1) % together != 0) continue;
    demand(session::sync_all(s, store->disk()).has_value(), "no disk");
    if (done != nullptr) *done = (i + 1) / together;
  }
}

/// What the child does, what was done before, and what may be found then.
struct act {
  const char* name;
  os::session_names names;
  void (*before)(const place&);
  void (*run)(const place&, told&);
  std::vector<kept> steps;  ///< what is found before it, and when it was told so many times that something is done
  durability how = durability::disk;
  bool removes = false;
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const act& a, std::ostream* out) { *out << a.name; }

void nothing(const place&) {}
void used(const place& at) { send_some(at, k_messages, 1, nullptr); }
void used_and_noted(const place& at) {
  used(at);
  at.open().value()->note_mismatch({{0, 0, 3}, {2, 5, 9}});
}

std::vector<kept> after_messages(std::uint64_t first, std::uint64_t count, std::uint64_t together) {
  std::vector<kept> all;
  for (std::uint64_t i = 0; i <= count; i += together) all.push_back({0, first + i, std::to_string(first + i), "bob"});
  return all;
}
const kept k_used{0, k_messages, "3", "bob"};

const act k_acts[] = {
    {"make", {"alice", "bob"}, nothing, [](const place& at, told&) { (void)at.open(); }, {{0, 0, "", "bob"}}},
    {"make_for_an_unknown_peer",
     {"alice", ""},
     nothing,
     [](const place& at, told&) { (void)at.open(); },
     {{0, 0, "", ""}}},
    {"make_not_for_the_disk",
     {"alice", "bob"},
     nothing,
     [](const place& at, told&) { (void)at.open(); },
     {{0, 0, "", "bob"}},
     durability::process},
    {"open", {"alice", "bob"}, used, [](const place& at, told&) { (void)at.open(); }, {k_used}},
    {"name_the_peer",
     {"alice", ""},
     used,
     [](const place& at, told& done) {
       const auto store = at.open().value();
       demand(store->name_peer("carol").has_value(), "no name");
       done = 1;
     },
     {{0, k_messages, "3", ""}, {0, k_messages, "3", "carol"}}},
    {"transactions",
     {"alice", "bob"},
     used,
     [](const place& at, told& done) { send_some(at, 4, 1, &done); },
     after_messages(k_messages, 4, 1)},
    {"groups_of_transactions",
     {"alice", "bob"},
     used,
     [](const place& at, told& done) { send_some(at, 6, 3, &done); },
     after_messages(k_messages, 6, 3)},
    {"reset",
     {"alice", "bob"},
     used,
     [](const place& at, told& done) {
       reset_session(at.key());
       done = 1;
     },
     {k_used, {0, 0, "", "bob"}}},
    {"skip",
     {"alice", "bob"},
     used,
     [](const place& at, told& done) {
       skip_messages(at.key(), 5);
       done = 1;
     },
     {k_used, {5, k_messages, "3", "bob"}}},
    {"accept_what_the_peer_has",
     {"alice", "bob"},
     used_and_noted,
     [](const place& at, told& done) {
       accept_remote(at.key());
       done = 1;
     },
     {k_used, {5, k_messages, "3", "bob"}}},
    {"accept_that_the_peer_wants_another_message",
     {"alice", "bob"},
     used,
     [](const place& at, told& done) {
       accept_remote(at.key(), {100, 7, 8});
       done = 1;
     },
     {k_used, {7, 100, "3", "bob"}}},
    {"remove",
     {"alice", "bob"},
     used,
     [](const place& at, told& done) {
       demand(os::session_store::remove(at.dir, at.names).has_value(), "not removed");
       done = 1;
     },
     {k_used, {0, 0, "", "bob"}},
     durability::disk,
     true},
};

class session_files_without_power : public ::testing::TestWithParam<act> {
 protected:
  [[nodiscard]] const act& what() const { return GetParam(); }
  [[nodiscard]] place in(const temp_dir& dir) const { return {dir.path(), what().names, what().how}; }

  /// Somebody who comes next, and goes on. @param told_of  what the one before was told
  void expect_whole(const place& at, std::uint64_t told_of, bool ended) const {
    auto store = at.open();
    if (!store && what().removes && store.error() == errc::corrupt) {
      // The removal is done again.
      ASSERT_TRUE(os::session_store::remove(at.dir, at.names));
      store = at.open();
    }
    ASSERT_TRUE(store) << store.error().text();
    auto& s = (*store)->session();
    const auto range = s.range();
    ASSERT_TRUE(range) << range.error().text();
    const kept found{range->ack, range->end, std::string(as_text(s.state())), (*store)->who().peer_name};
    const auto& steps = what().steps;
    const bool is_next = !ended && told_of + 1 < steps.size() && found == steps[told_of + 1];
    ASSERT_TRUE(found == steps.at(told_of) || is_next)
        << ::testing::PrintToString(found) << " after step " << told_of << " of " << ::testing::PrintToString(steps);
    ASSERT_TRUE(s.send({as_bytes("on it goes"), message_kind::text, 0}));
    s.commit();
    ASSERT_TRUE(session::sync_all(s, (*store)->disk()));
    store->reset();
    const auto again = at.open();
    ASSERT_TRUE(again) << again.error().text();
    ASSERT_EQ((*again)->session().range()->end, range->end + 1);
    std::set<std::string> expected{at.names.own + "~" + at.names.peer + ".session",
                                   at.names.own + "~" + at.names.peer + ".ring"};
    if (at.names.peer.empty()) expected.insert(at.names.own + "~.session.spare");
    std::set<std::string> files;
    for (const auto& entry : fs::directory_iterator(at.dir))
      if (!entry.path().string().ends_with(".mismatch")) files.insert(entry.path().filename());
    ASSERT_EQ(files, expected);
  }
  /// Power is lost now, in each way once; and in some of them once more while the next one opens the files.
  void lose_power(const power_disk& disk, std::uint64_t told_of, bool ended) {
    struct part {
      unsigned share;
      std::uint64_t named;
    };
    std::vector<part> parts{{0, 0}, {100, ~std::uint64_t{0}}, {5, random_()}, {50, random_()}, {95, random_()}};
    // Where few names are under way each part of them has its turn.
    for (std::uint64_t named = 0; named < std::uint64_t{1} << std::min<std::size_t>(disk.changes(), 4); ++named)
      parts.push_back({random_() % 2 == 0 ? 100u : 50u, disk.changes() > 4 ? random_() : named});
    for (const auto& [share, named] : parts) {
      const quick_dir left;
      disk.lose_power(random_, share, named, left.path());
      losses_ += 1;
      if (random_() % 3 == 0) {
        const quick_dir left_again;
        power_disk next(left.path());
        stepped_child child([&] { (void)in(left).open(); });
        for (auto steps = random_() % 80; steps > 0 && next.step(child); --steps) {
        }
        next.lose_power(random_, static_cast<unsigned>(random_() % 101), random_(), left_again.path());
        child.kill();
        ASSERT_NO_FATAL_FAILURE(expect_whole(in(left_again), told_of, ended)) << "lost again";
      }
      SCOPED_TRACE(std::to_string(share) + " % of what was not synced is there");
      ASSERT_NO_FATAL_FAILURE(expect_whole(in(left), told_of, ended));
    }
  }

  std::mt19937_64 random_{17};
  std::uint64_t losses_ = 0;
};

TEST_P(session_files_without_power, are_as_before_or_as_they_are_to_be_wherever_it_is_lost) {
  std::uint64_t stops = 0;
  for (std::uint64_t round = 0; round < rounds(1); ++round) {
    const quick_dir dir;
    what().before(in(dir));
    power_disk disk(dir.path());
    const progress done;
    stepped_child child([&] { what().run(in(dir), *done); });
    if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile): nothing to step";
    std::uint64_t told_of = 0;
    for (bool goes_on = true; goes_on; ++stops) {
      goes_on = disk.step(child);
      const bool was_told = std::exchange(told_of, *done) != *done;
      if (!disk.news() && !was_told && goes_on) continue;
      SCOPED_TRACE("round " + std::to_string(round) + ", stop " + std::to_string(stops));
      ASSERT_NO_FATAL_FAILURE(lose_power(disk, told_of, !goes_on));
    }
    ASSERT_EQ(*done != 0, what().steps.size() > 1) << "it went to the end";
  }
  EXPECT_GT(stops, 15u);
  EXPECT_GT(losses_, 20u);
  RecordProperty("losses", std::to_string(losses_));
}

INSTANTIATE_TEST_SUITE_P(, session_files_without_power, ::testing::ValuesIn(k_acts),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ferry::test
