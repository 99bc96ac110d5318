// Whoever makes, opens, renames or removes the files of a session is killed before and after each of its system calls:
// the next one finds a session, whole, and leaves nothing lying around.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "os/session_store.hpp"
#include "rounds.hpp"
#include "stepped_child.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::test {
namespace {

namespace fs = std::filesystem;
using session::durability;

constexpr std::uint64_t k_messages = 3;

/// A directory, and what is done in it.
class world {
 public:
  explicit world(const os::session_names& names, durability how) : names_(names) {
    with_.ring_bytes = 4096;
    with_.durable = how;
  }
  [[nodiscard]] result<std::unique_ptr<os::session_store>> open() const {
    return os::session_store::open(dir_.path(), names_, with_);
  }
  // Some messages and a state.
  void use() const {
    const auto store = open().value();
    for (std::uint64_t i = 0; i < k_messages; ++i) {
      if (!store->session().send({as_bytes("message"), message_kind::text, 0})) throw std::runtime_error("no room");
      store->session().set_state(as_bytes("state"));
      store->session().commit();
      if (!session::sync_all(store->session(), store->disk())) throw std::runtime_error("no disk");
    }
  }
  [[nodiscard]] result<void> remove() const { return os::session_store::remove(dir_.path(), names_); }
  /// What is left of a maker who got nowhere.
  void litter() const {
    for (const char* end : {".session.new", ".ring.new", ".session.spare", ".mismatch.new", ".lock"})
      if (names_.peer.empty() || std::string(end) != ".session.spare")
        (void)os::create_file(dir_.file(names_.own + "~" + names_.peer + end), 100);
  }
  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(dir_.path())) found.insert(entry.path().filename());
    return found;
  }

 private:
  temp_dir dir_;
  os::session_names names_;
  os::session_store::settings with_;
};

/// What the victim does, and what has been done before.
struct act {
  const char* name;
  os::session_names names;
  void (*before)(const world&);
  void (*run)(const world&);
  bool keeps;  ///< the messages from before are there, whenever it is killed
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const act& a, std::ostream* out) { *out << a.name; }

void nothing(const world&) {}
void used(const world& of) { of.use(); }
void used_and_littered(const world& of) {
  of.use();
  of.litter();
}
void littered(const world& of) { of.litter(); }
void open_it(const world& of) { (void)of.open(); }
void rename_it(const world& of) { (void)of.open().value()->name_peer("carol"); }
void note_it(const world& of) { of.open().value()->note_mismatch({{1, 2, 3}, {4, 5, 6}}); }
void remove_it(const world& of) { (void)of.remove(); }

const act k_acts[] = {
    {"make", {"alice", "bob"}, nothing, open_it, false},
    {"make_for_an_unknown_peer", {"alice", ""}, littered, open_it, false},
    {"open", {"alice", "bob"}, used_and_littered, open_it, true},
    {"name_the_peer", {"alice", ""}, used, rename_it, true},
    {"note_numbers_that_do_not_fit", {"alice", "bob"}, used, note_it, true},
    {"remove", {"alice", "bob"}, used, remove_it, false},
};

class session_files : public ::testing::TestWithParam<std::tuple<act, durability>> {
 protected:
  [[nodiscard]] const act& what() const { return std::get<0>(GetParam()); }
  [[nodiscard]] std::unique_ptr<world> prepared() const {
    auto made = std::make_unique<world>(what().names, std::get<1>(GetParam()));
    what().before(*made);
    return made;
  }
  // Somebody who comes next.
  void expect_whole(const world& of) const {
    auto store = of.open();
    if (!store && what().run == remove_it) {
      // The removal is done again.
      ASSERT_EQ(store.error(), errc::corrupt) << store.error().text();
      ASSERT_TRUE(of.remove());
      store = of.open();
    }
    ASSERT_TRUE(store) << store.error().text();
    const auto range = (*store)->session().range();
    ASSERT_TRUE(range) << range.error().text();
    const std::string state(as_text((*store)->session().state()));
    if (what().keeps || range->end != 0) {
      ASSERT_NE(what().before, nothing);
      ASSERT_EQ(range->end, k_messages);
      ASSERT_EQ(state, "state");
    } else {
      ASSERT_EQ(state, "");
    }
    std::set<std::string> expected{what().names.own + "~" + what().names.peer + ".session",
                                   what().names.own + "~" + what().names.peer + ".ring"};
    if (what().names.peer.empty()) expected.insert(what().names.own + "~.session.spare");
    auto found = of.files();
    if (what().run == note_it) found.erase("alice~bob.mismatch");  // is there, or is not
    ASSERT_EQ(found, expected);
  }
};

TEST_P(session_files, are_whole_for_the_next_one_wherever_their_owner_is_killed) {
  std::mt19937_64 random(5);
  std::uint64_t stops = 0;
  for (bool ended = false; !ended; ++stops) {
    const auto where = prepared();
    stepped_child child([&] { what().run(*where); });
    if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile): nothing to step";
    for (std::uint64_t i = 0; i < stops && !ended; ++i) ended = !child.step_to_system_call();
    child.kill();
    // Who comes next may be killed too.
    stepped_child next([&] { open_it(*where); });
    for (auto left = random() % 60; left > 0 && next.step_to_system_call(); --left) {
    }
    next.kill();
    SCOPED_TRACE("killed at stop " + std::to_string(stops));
    ASSERT_NO_FATAL_FAILURE(expect_whole(*where));
  }
  EXPECT_GT(stops, 15u);
  RecordProperty("stops", static_cast<int>(stops));
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<act, durability>>& info) {
  return std::string(std::get<0>(info.param).name) +
         (std::get<1>(info.param) == durability::disk ? "_on_disk" : "_in_memory");
}
INSTANTIATE_TEST_SUITE_P(all, session_files,
                         ::testing::Combine(::testing::ValuesIn(k_acts),
                                            ::testing::Values(durability::process, durability::disk)),
                         name_of);

}  // namespace
}  // namespace ferry::test
