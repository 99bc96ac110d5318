// Who makes a file of tcpshm's, or mends a queue, is killed at every system call, or after every store: the file is not
// there, or whole; what was mended in part is mended by the same again.
#include <ferry/session_files.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "os/tcpshm_list.hpp"
#include "stepped_child.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::test {
namespace {

constexpr std::size_t k_queue = 256;
constexpr std::size_t k_file = session::tcpshm_queue_file_bytes(k_queue);

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void set_content(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

result<os::tcpshm::held_file> open_queue(const std::string& path) {
  return os::tcpshm::held_file::open(path, k_file, 0, os::k_writer_byte);
}

TEST(tcpshm_file, is_not_there_or_whole_at_every_system_call_of_its_making) {
  bool over = false;
  std::size_t missing = 0, whole = 0;
  for (std::size_t calls = 1; !over; ++calls) {
    ASSERT_LT(calls, 1000u);
    const temp_dir dir;
    const std::string path = dir.file("a_b.ptcp");
    {
      stepped_child child([&] { (void)open_queue(path); });
      if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile)";
      for (std::size_t i = 0; i < calls && !over; ++i) over = !child.step_to_system_call();
    }
    if (std::filesystem::exists(path)) {
      whole += 1;
      ASSERT_EQ(content_of(path), std::string(k_file, '\0')) << calls;
    } else {
      missing += 1;
    }
    ASSERT_TRUE(open_queue(path)) << calls;
    ASSERT_EQ(content_of(path), std::string(k_file, '\0')) << calls;
    ASSERT_FALSE(std::filesystem::exists(path + ".new")) << calls;
  }
  EXPECT_GT(missing, 3u);
  EXPECT_GT(whole, 0u);
}

/// alice's queue in a directory.
struct mended_queue {
  temp_dir dir;
  const session_key key{dir.path(), "alice", "bob", session_format::tcpshm};
  const std::string path = os::tcpshm::queue_path(dir.path(), "alice", "bob");

  /// Three messages wait, of which the first one acknowledged 5, the others 6.
  void make() const {
    const auto file = open_queue(path);
    ASSERT_TRUE(file);
    auto q = session::tcpshm_queue::begin(file->memory(), k_queue, std::endian::little);
    q.give_up(7);
    q.want(5);
    for (int i = 0; i < 3; ++i) {
      ASSERT_NE(q.alloc(12), nullptr);
      q.push(1);
      if (i == 0) q.consumed();
    }
  }
};

/// What the file was after each store of a child that mends it.
void collect(const mended_queue& at, const std::function<void()>& mend, std::vector<std::string>& states,
             bool& forbidden) {
  stepped_child child(mend);
  forbidden = child.forbidden();
  if (forbidden) return;
  const auto maps_it = [](const stepped_child::system_call& one) {
    return one.number == SYS_mmap && (one.arguments[2] & PROT_WRITE) != 0 && (one.arguments[3] & MAP_SHARED) != 0;
  };
  bool running = true;
  for (bool mapped = false; running && !mapped; running = child.step_to_system_call())
    if (const auto call = child.entering()) mapped = maps_it(*call);
  ASSERT_TRUE(running) << "it has mapped the file";
  states.push_back(content_of(at.path));
  const os::unique_fd fd(::open(at.path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto map = os::mapping::of(fd.get(), k_file, false);
  ASSERT_TRUE(map);
  const auto now = [&] { return std::string(as_text(map->span())); };
  while (child.step()) {
    if (now() == states.back()) continue;
    states.push_back(now());
    ASSERT_TRUE(std::filesystem::exists(os::tcpshm::note_path(at.path))) << "it goes last";
  }
}

struct mending_of {
  const char* name;
  session_counts remote;  ///< what the other side has, and so what it fits together with
};
void PrintTo(const mending_of& one, std::ostream* out) { *out << one.name; }  // NOLINT: GoogleTest's name for it

class tcpshm_accept : public ::testing::TestWithParam<mending_of> {};
INSTANTIATE_TEST_SUITE_P(, tcpshm_accept,
                         ::testing::Values(mending_of{"discards_and_skips", {3, 9, 10}},
                                           mending_of{"discards_and_repeats", {3, 2, 4}},
                                           mending_of{"keeps_and_skips", {8, 9, 10}},
                                           mending_of{"keeps_and_repeats", {9, 2, 4}}),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_P(tcpshm_accept, is_not_done_or_done_or_done_by_the_same_again_after_every_store) {
  const mended_queue at;
  at.make();
  const auto before = show_session(at.key).counts;
  ASSERT_EQ(before, (session_counts{6, 7, 10}));
  os::note_mismatch(os::tcpshm::note_path(at.path), 0,
                    {{before.consumed, before.acknowledged, before.sent},
                     {GetParam().remote.consumed, GetParam().remote.acknowledged, GetParam().remote.sent}});
  const auto wanted = accept_remote(at.key, mending::preview);
  std::vector<std::string> states;
  bool forbidden = false;
  collect(
      at, [&] { (void)accept_remote(at.key); }, states, forbidden);
  if (forbidden) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile)";
  ASSERT_EQ(show_session(at.key).counts, wanted.counts);
  ASSERT_FALSE(show_session(at.key).mismatch);
  EXPECT_GT(states.size(), 2u) << "more than one store";
  for (std::size_t i = 0; i < states.size(); ++i) {
    set_content(at.path, states[i]);
    const auto found = show_session(at.key);
    ASSERT_EQ(found.damage, "") << i;
    const auto again = accept_remote(at.key, GetParam().remote);
    EXPECT_EQ(again.counts, wanted.counts) << i;
    EXPECT_EQ(show_session(at.key).counts, wanted.counts) << i;
    const bool all_discarded = found.counts.acknowledged == found.counts.sent;
    EXPECT_EQ(again.discarded, all_discarded ? 0 : wanted.discarded) << i;
  }
}

/// A client's queue, with the name of the server and numbers that did not fit.
struct reset_queue : mended_queue {
  reset_queue() {
    make();
    EXPECT_TRUE(os::tcpshm::save_last_server(dir.path(), "alice", "bob", k_name_size));
    os::note_mismatch(os::tcpshm::note_path(path), 0, {{6, 7, 10}, {3, 9, 10}});
  }
  [[nodiscard]] bool knows_its_server() const { return std::filesystem::exists(dir.file("alice.lastserver")); }
  /// The same again does the rest.
  void expect_done_again() const {
    (void)reset_session(key);
    EXPECT_FALSE(knows_its_server());
    EXPECT_TRUE(open_queue(path));
    const auto found = show_session(key);
    EXPECT_EQ(found.counts, session_counts{});
    EXPECT_EQ(found.damage, "");
    EXPECT_FALSE(found.mismatch);
  }

  static constexpr std::size_t k_name_size = 16;
};

TEST(tcpshm_reset, is_not_done_or_done_by_the_same_again_at_every_system_call) {
  for (const bool damaged : {false, true}) {
    bool over = false;
    std::size_t before = 0, later = 0;
    for (std::size_t calls = 1; !over; ++calls) {
      ASSERT_LT(calls, 1000u);
      const reset_queue at;
      if (damaged) set_content(at.path, std::string(k_file, '\xff'));
      {
        stepped_child child([&] { (void)reset_session(at.key); });
        if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile)";
        for (std::size_t i = 0; i < calls && !over; ++i) over = !child.step_to_system_call();
      }
      SCOPED_TRACE((damaged ? "damaged, killed at stop " : "killed at stop ") + std::to_string(calls));
      (at.knows_its_server() ? before : later) += 1;
      if (at.knows_its_server()) {
        const auto found = show_session(at.key);
        ASSERT_EQ(found.damage.empty(), !damaged) << found.damage;
        ASSERT_EQ(found.counts, damaged ? session_counts{} : (session_counts{6, 7, 10}))
            << "the server's name goes first";
      }
      if (damaged && !at.knows_its_server() && !std::filesystem::exists(at.path)) {
        ASSERT_FALSE(std::filesystem::exists(os::tcpshm::note_path(at.path))) << "nothing is left to reset";
        continue;
      }
      ASSERT_NO_FATAL_FAILURE(at.expect_done_again());
    }
    EXPECT_GT(before, 10u);
    EXPECT_GT(later, 1u);
  }
}

TEST(tcpshm_reset, is_done_by_the_same_again_after_every_store) {
  std::vector<std::string> states;
  bool forbidden = false;
  {
    const reset_queue at;
    ASSERT_NO_FATAL_FAILURE(collect(
        at, [&] { (void)reset_session(at.key); }, states, forbidden));
  }
  if (forbidden) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile)";
  EXPECT_GT(states.size(), 2u) << "more than one store";
  for (std::size_t i = 0; i < states.size(); ++i) {
    SCOPED_TRACE("killed after store " + std::to_string(i));
    const reset_queue at;
    set_content(at.path, states[i]);
    ASSERT_EQ(show_session(at.key).damage, "");
    at.expect_done_again();
  }
}

TEST(tcpshm_skip, is_done_or_not_after_every_store) {
  std::vector<std::string> states;
  bool forbidden = false;
  const session_counts before{6, 7, 10}, after{8, 7, 10};
  const reset_queue at;
  ASSERT_NO_FATAL_FAILURE(collect(
      at, [&] { (void)skip_messages(at.key, 2); }, states, forbidden));
  if (forbidden) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile)";
  EXPECT_EQ(show_session(at.key).counts, after);
  for (std::size_t i = 0; i < states.size(); ++i) {
    set_content(at.path, states[i]);
    const auto found = show_session(at.key);
    EXPECT_EQ(found.damage, "") << i;
    EXPECT_TRUE(found.counts == before || found.counts == after) << i << ": consumed " << found.counts.consumed;
  }
}

}  // namespace
}  // namespace ferry::test
