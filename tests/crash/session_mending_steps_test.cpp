// Who mends a session is killed at every system call, and after every store: the session is as before or as it is to
// be, and the same again, where that makes sense, does the rest.
#include <ferry/session_files.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "os/session_store.hpp"
#include "quick_dir.hpp"
#include "stepped_child.hpp"

namespace ferry::test {
namespace {

constexpr session_counts k_before{5, 2, 4};
constexpr std::uint64_t k_session = 77;
constexpr std::uint64_t k_other_session = 88;
constexpr std::uint64_t k_state_bytes = 5;

/// alice's session with bob, with two messages for him, a state, and a login that did not fit.
class mended_session {
 public:
  /// @param remote  what bob said of which session
  mended_session(const session_counts& remote, std::uint64_t session) {
    const auto store = open();
    auto& s = store->session();
    if (!s.reset({k_session, k_before.consumed, k_before.acknowledged, false})) throw std::runtime_error("reset");
    for (auto i = k_before.acknowledged; i < k_before.sent; ++i)
      if (!s.send({as_bytes("message"), message_kind::text, 0})) throw std::runtime_error("no room");
    s.set_state(as_bytes("state"));
    s.commit();
    store->note_mismatch({{k_before.consumed, k_before.acknowledged, k_before.sent},
                          {remote.consumed, remote.acknowledged, remote.sent}},
                         session);
  }
  void damage() const { std::filesystem::resize_file(file(), 100); }
  [[nodiscard]] std::unique_ptr<os::session_store> open() const {
    os::session_store::settings small;
    small.ring_bytes = 4096;
    return os::session_store::open(dir_.path(), {"alice", "bob"}, small).value();
  }
  [[nodiscard]] std::string file() const { return dir_.file("alice~bob.session"); }
  [[nodiscard]] std::string ring() const { return dir_.file("alice~bob.ring"); }
  [[nodiscard]] std::string note() const { return dir_.file("alice~bob.mismatch"); }
  [[nodiscard]] session_key key() const { return {dir_.path(), "alice", "bob"}; }
  [[nodiscard]] std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) found.insert(entry.path().filename());
    return found;
  }

 private:
  quick_dir dir_;
};

/// What the victim does.
struct mend {
  const char* name;
  mending_report (*run)(const session_key&);
  session_counts after;
  session_counts remote{9, 9, 9};
  std::uint64_t said_of = k_session;
  bool may_be_done_again = true;
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const mend& one, std::ostream* out) { *out << one.name; }

mending_report reset_it(const session_key& which) { return reset_session(which); }
mending_report skip_three(const session_key& which) { return skip_messages(which, 3); }
mending_report accept_it(const session_key& which) { return accept_remote(which); }

const mend k_mends[] = {
    {"reset", reset_it, {0, 0, 0}},
    {"skip", skip_three, {8, 2, 4}, {9, 9, 9}, k_session, false},
    {"accept_that_keeps_and_skips", accept_it, {7, 2, 4}, {3, 7, 9}},
    {"accept_that_keeps_and_repeats", accept_it, {3, 2, 4}, {4, 1, 3}},
    {"accept_that_discards", accept_it, {7, 9, 9}, {9, 7, 8}},
    {"accept_of_another_session", accept_it, {1, 3, 3}, {3, 1, 2}, k_other_session},
};

class session_mending : public ::testing::TestWithParam<mend> {
 protected:
  [[nodiscard]] static bool is_reset() { return GetParam().run == reset_it; }
  [[nodiscard]] static std::unique_ptr<mended_session> prepared() {
    return std::make_unique<mended_session>(GetParam().remote, GetParam().said_of);
  }
  /// Whether it is as it is to be; else as before.
  static void expect_before_or_after(const mended_session& at, bool& done) {
    const auto now = show_session(at.key());
    ASSERT_EQ(now.damage, "");
    done = now.counts == GetParam().after;
    if (!done) {
      ASSERT_EQ(now.counts, k_before);
      ASSERT_TRUE(now.mismatch) << "the numbers go last";
    }
    const bool anew = done && (is_reset() || GetParam().said_of != k_session);
    ASSERT_EQ(now.session != k_session, anew);
    if (anew && !is_reset()) {
      ASSERT_EQ(now.session, k_other_session);
    }
    ASSERT_EQ(now.state_bytes, done && is_reset() ? 0 : k_state_bytes);
  }
  /// For who comes next, and opens it, or mends it again.
  static void expect_mendable(const mended_session& at, bool& done) {
    ASSERT_NO_FATAL_FAILURE(expect_before_or_after(at, done));
    if (done) {
      ASSERT_EQ(at.open()->session().range()->end, GetParam().after.sent);
    }
    if (done && !GetParam().may_be_done_again) return;
    if (!done || show_session(at.key()).mismatch || is_reset()) {
      ASSERT_EQ(GetParam().run(at.key()).counts, GetParam().after);
    }
    const auto then = show_session(at.key());
    ASSERT_EQ(then.counts, GetParam().after);
    ASSERT_EQ(then.damage, "");
    ASSERT_EQ(then.mismatch.has_value(), GetParam().run == skip_three) << "which fits, or not, at the next login";
    ASSERT_EQ(at.names().size(), GetParam().run == skip_three ? 3u : 2u);
  }
};

INSTANTIATE_TEST_SUITE_P(, session_mending, ::testing::ValuesIn(k_mends),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_P(session_mending, is_done_or_not_at_every_system_call_at_which_its_owner_is_killed) {
  std::size_t not_done = 0, done = 0;
  bool over = false;
  for (std::size_t calls = 1; !over; ++calls) {
    ASSERT_LT(calls, 1000u);
    const auto at = prepared();
    {
      stepped_child child([&] { GetParam().run(at->key()); });
      if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile)";
      for (std::size_t i = 0; i < calls && !over; ++i) over = !child.step_to_system_call();
    }
    SCOPED_TRACE("killed at stop " + std::to_string(calls));
    bool is_done = false;
    ASSERT_NO_FATAL_FAILURE(expect_mendable(*at, is_done));
    (is_done ? done : not_done) += 1;
  }
  EXPECT_GT(not_done, 10u);
  EXPECT_GT(done, 1u);
}

void set_content(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

/// What lies in both files after a store.
struct stored {
  std::string file, ring;
};

/// What both files were after each store of a child that mends them.
void collect(const mended_session& at, std::vector<stored>& states, bool& forbidden) {
  const auto map = [](const std::string& path) {
    const os::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return os::mapping::of(fd.get(), std::filesystem::file_size(path), false).value();
  };
  const auto file = map(at.file()), ring = map(at.ring());
  states.push_back({std::string(as_text(file.span())), std::string(as_text(ring.span()))});
  stepped_child child([&] { session_mending::GetParam().run(at.key()); });
  forbidden = child.forbidden();
  while (child.step()) {
    const auto now_file = as_text(file.span()), now_ring = as_text(ring.span());
    if (now_file == states.back().file && now_ring == states.back().ring) continue;
    states.push_back({std::string(now_file), std::string(now_ring)});
    ASSERT_TRUE(std::filesystem::exists(at.note())) << "it goes last";
  }
}

TEST_P(session_mending, is_done_or_not_after_every_store_after_which_its_owner_is_killed) {
  std::vector<stored> states;
  bool forbidden = false;
  ASSERT_NO_FATAL_FAILURE(collect(*prepared(), states, forbidden));
  if (forbidden) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile)";
  EXPECT_GT(states.size(), 5u) << "a transaction";
  std::size_t not_done = 0, done = 0;
  for (std::size_t i = 0; i < states.size(); ++i) {
    const auto at = prepared();
    set_content(at->file(), states[i].file);
    set_content(at->ring(), states[i].ring);
    SCOPED_TRACE("killed after store " + std::to_string(i));
    bool is_done = false;
    ASSERT_NO_FATAL_FAILURE(expect_mendable(*at, is_done));
    (is_done ? done : not_done) += 1;
  }
  EXPECT_GT(not_done, 1u);
  EXPECT_GT(done, 1u);
  RecordProperty("states", static_cast<int>(states.size()));
}

TEST(damaged_session, that_is_reset_is_damaged_or_gone_at_every_system_call_at_which_its_owner_is_killed) {
  bool over = false;
  for (std::size_t calls = 1; !over; ++calls) {
    ASSERT_LT(calls, 1000u);
    const mended_session at({9, 9, 9}, k_session);
    at.damage();
    {
      stepped_child child([&] { reset_session(at.key()); });
      if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile)";
      for (std::size_t i = 0; i < calls && !over; ++i) over = !child.step_to_system_call();
    }
    SCOPED_TRACE("killed at stop " + std::to_string(calls));
    const bool gone = list_sessions(at.key().dir).empty();
    if (!gone) {
      ASSERT_NE(show_session(at.key()).damage, "") << "nothing damaged becomes a session again";
      ASSERT_TRUE(reset_session(at.key()).damaged);
    }
    ASSERT_EQ(at.open()->session().range()->end, 0u);
    ASSERT_EQ(at.names(), (std::set<std::string>{"alice~bob.ring", "alice~bob.session"}));
  }
}

}  // namespace
}  // namespace ferry::test
