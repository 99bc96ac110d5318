// A side of a persistent session is stepped one machine instruction at a time: whatever the compiler made of a
// transaction, of a recovery or of what follows a sync, both sides go on from every state that a kill can leave.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <new>
#include <span>

#include "rounds.hpp"
#include "stepped_child.hpp"
#include "testing/session_world.hpp"

namespace ferry::test {
namespace {

constexpr auto k_process = session::durability::process;
constexpr auto k_disk = session::durability::disk;
constexpr auto k_ever = ~std::uint64_t{0};

using direct_side = session_side<ring::direct_stores>;

/// What the child does, after both have worked for a while.
struct act {
  const char* name;
  void (*run)(direct_side&);
  session::durability how = k_process;
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const act& a, std::ostream* out) { *out << a.name; }

/// Memory that a child shares, and what both sides are in it.
class shared_world {
 public:
  explicit shared_world(session::durability how) {
    auto* const at = ::mmap(nullptr, k_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    words_ = {static_cast<std::uint64_t*>(at), session_memory::words_needed()};
    memory_ = std::make_unique<session_memory>(words_);
    for (int who = 0; who < 2; ++who) sides.emplace_back(*memory_, who, how);
    for (auto& side : sides) side.recover();
    for (auto& side : sides) side.attach();
  }
  ~shared_world() { ::munmap(words_.data(), k_bytes); }
  shared_world(const shared_world&) = delete;
  shared_world& operator=(const shared_world&) = delete;

  [[nodiscard]] bool changed(const std::vector<std::uint64_t>& since) const {
    return std::memcmp(since.data(), words_.data(), k_bytes) != 0;
  }
  [[nodiscard]] std::vector<std::uint64_t> copy() const { return memory_->copy(); }

  std::vector<direct_side> sides;

 private:
  static constexpr std::size_t k_bytes = session_memory::words_needed() * 8;
  std::span<std::uint64_t> words_;
  std::unique_ptr<session_memory> memory_;
};

class session_steps : public ::testing::TestWithParam<act> {};

TEST_P(session_steps, leave_files_that_both_sides_go_on_from_at_every_instruction) {
  std::mt19937_64 random(11);
  std::uint64_t states = 0;
  for (std::uint64_t round = 0; round < rounds(4); ++round) {
    shared_world world(GetParam().how);
    const auto who = static_cast<std::size_t>(round % 2);
    for (auto warm_up = random() % 40; warm_up > 0; --warm_up) {
      auto& side = world.sides[random() % 2];
      side.work(1 + random() % 4, k_ever);
      sync_all(*side.s);
    }
    stepped_child child([&] { GetParam().run(world.sides[who]); });
    if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile): nothing to step";
    std::vector<std::uint64_t> seen;
    std::uint64_t instructions = 0;
    do {
      if (!seen.empty() && !world.changed(seen)) continue;
      seen = world.copy();
      states += 1;
      session_memory after;
      after.assign(seen);
      try {
        finish_everything(after, GetParam().how);
      } catch (const std::exception& e) {
        FAIL() << "round " << round << ", after instruction " << instructions << ": " << e.what();
      }
    } while (child.step() && ++instructions != 0);
  }
  RecordProperty("states", static_cast<int>(states));
  EXPECT_GT(states, 4u);
}

INSTANTIATE_TEST_SUITE_P(, session_steps,
                         ::testing::Values(act{"a_transaction", [](direct_side& side) { side.work(1, k_ever); }},
                                           act{"several_in_one", [](direct_side& side) { side.work(4, k_ever); }},
                                           act{"nothing_but_state", [](direct_side& side) { side.commit_nothing(); }},
                                           act{"a_transaction_given_up",
                                               [](direct_side& side) { side.work(3, k_ever, true); }},
                                           act{"a_recovery",
                                               [](direct_side& side) {
                                                 side.recover();
                                                 side.attach();
                                                 side.s->publish_position();
                                               }},
                                           act{"a_transaction_on_disk",
                                               [](direct_side& side) {
                                                 side.work(2, k_ever);
                                                 sync_all(*side.s);
                                               },
                                               k_disk},
                                           act{"a_group_on_disk",
                                               [](direct_side& side) {
                                                 for (int i = 0; i < 3; ++i) side.work(1, k_ever);
                                                 sync_all(*side.s);
                                               },
                                               k_disk},
                                           act{"a_recovery_on_disk",
                                               [](direct_side& side) {
                                                 side.recover();
                                                 side.attach();
                                                 side.s->publish_position();
                                               },
                                               k_disk}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace ferry::test
