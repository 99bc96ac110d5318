// Whoever pushes into tcpshm's ring, pops from it, or answers what it pops, is stepped one machine instruction at a
// time, and killed after each: the other side and a successor go on, and nothing is lost, doubled or torn. What the
// order of the seed leaves open is found, too, and nothing else: who pops and then pushes may have popped and not
// pushed.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "ring/tcpshm_ring.hpp"
#include "rounds.hpp"
#include "stepped_child.hpp"

namespace ferry::test {
namespace {

using ring::tcpshm_ring_consumer;
using ring::tcpshm_ring_memory;
using ring::tcpshm_ring_producer;

constexpr std::size_t k_ring = 1024;  // 16 blocks
constexpr std::size_t k_ring_file = ring::tcpshm_ring_file_bytes(k_ring);

// Bodies follow from their number; those of three blocks do not fit before the end of the ring now and then.
std::string body_of(std::uint64_t number) {
  constexpr std::size_t k_sizes[] = {8, 1, 56, 57, 24, 140, 0, 13};
  std::string made(k_sizes[number % std::size(k_sizes)], '\0');
  for (std::size_t i = 0; i < made.size(); ++i) made[i] = static_cast<char>(number * 31 + i * 7 + 1);
  return made;
}
std::uint16_t type_of(std::uint64_t number) { return static_cast<std::uint16_t>(1 + number % 999); }

bool push(tcpshm_ring_producer& to, std::uint64_t number, const std::string& body) {
  std::byte* const at = to.alloc(static_cast<std::uint16_t>(8 + body.size()));
  if (at == nullptr) return false;
  const auto type = type_of(number);
  std::memcpy(at + 2, &type, sizeof type);
  std::memcpy(at + 8, body.data(), body.size());
  to.push();
  return true;
}
::testing::AssertionResult is(const ring::tcpshm_record& record, std::uint64_t number) {
  if (!record) return ::testing::AssertionFailure() << "no message " << number;
  if (record.type != type_of(number) || as_text(bytes(record.at + 8, record.size - 8u)) != body_of(number))
    return ::testing::AssertionFailure() << "message " << number << " is torn, or another one";
  return ::testing::AssertionSuccess();
}

/// Two rings, and two words in which a child says how far it is.
class rings {
 public:
  rings() {
    at_ = static_cast<std::byte*>(::mmap(nullptr, k_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    if (at_ == MAP_FAILED) throw std::bad_alloc();
  }
  ~rings() { ::munmap(at_, k_bytes); }
  rings(const rings&) = delete;
  rings& operator=(const rings&) = delete;
  [[nodiscard]] tcpshm_ring_memory ring(int which) const {
    return {{at_ + static_cast<std::size_t>(which) * k_ring_file, k_ring_file}, k_ring};
  }
  [[nodiscard]] std::atomic_ref<std::uint64_t> popped() const { return word(0); }
  [[nodiscard]] std::atomic_ref<std::uint64_t> pushed() const { return word(64); }
  void copy_from(const rings& other) const { std::memcpy(at_, other.at_, k_bytes); }
  [[nodiscard]] bool equals(const rings& other) const { return std::memcmp(at_, other.at_, k_bytes) == 0; }

 private:
  static constexpr std::size_t k_bytes = 3 * 4096;
  [[nodiscard]] std::atomic_ref<std::uint64_t> word(std::size_t offset) const {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at_ + 2 * 4096 + offset));
  }
  std::byte* at_;
};

/// What the child does: it takes messages from ring 0, or pushes into ring 1, or answers those by these.
struct scene {
  const char* name;
  std::uint64_t first;  ///< number of the first message under way, and of the next answer
  std::uint64_t waiting;
  bool pops, pushes;
  std::uint64_t operations;
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const scene& s, std::ostream* out) { *out << s.name; }

/// Everybody's ends as they stand when the child starts.
struct stage {
  rings at;
  tcpshm_ring_producer requests, answers;
  tcpshm_ring_consumer asked, answered;
  std::vector<std::string> bodies;  // made beforehand: only the ring's own steps are of interest

  explicit stage(const scene& s) {
    EXPECT_TRUE(requests.attach(at.ring(0)) && asked.attach(at.ring(0)));
    EXPECT_TRUE(answers.attach(at.ring(1)) && answered.attach(at.ring(1)));
    for (std::uint64_t n = 0; n < s.first; ++n) {
      EXPECT_TRUE(push(requests, n, body_of(n)) && is(asked.front(), n));
      asked.pop();
      EXPECT_TRUE(push(answers, n, body_of(n)) && is(answered.front(), n));
      answered.pop();
    }
    for (std::uint64_t n = s.first; n < s.first + s.waiting; ++n) EXPECT_TRUE(push(requests, n, body_of(n)));
    for (std::uint64_t n = s.first; n < s.first + s.operations; ++n) bodies.push_back(body_of(n));
    at.popped() = at.pushed() = s.first;
  }
  void run(const scene& s) {
    std::uint64_t n = s.first;
    for (const auto& body : bodies) {
      if (s.pops) {
        if (!asked.front()) ::_exit(1);
        asked.pop();
        at.popped() = n + 1;
      }
      if (s.pushes) {
        if (!push(answers, n, body)) ::_exit(1);
        at.pushed() = n + 1;
      }
      n += 1;
    }
  }
};

/// How often what was found.
struct seen {
  std::uint64_t states = 0, taken_and_not_answered = 0;
};

/// One ring goes around several times. @param taken, pushed  numbers of the next message to take, and to push
void go_on(tcpshm_ring_producer& from, tcpshm_ring_consumer& to, std::uint64_t taken, std::uint64_t pushed) {
  for (const std::uint64_t enough = pushed + 60; taken < enough;) {
    while (pushed < enough && push(from, pushed, body_of(pushed))) pushed += 1;
    while (const auto record = to.front()) {
      ASSERT_TRUE(is(record, taken));
      to.pop();
      taken += 1;
    }
    ASSERT_EQ(taken, pushed) << "lost or doubled";
    ASSERT_FALSE(from.corrupt() || to.corrupt());
  }
}

/// A successor of the child, and the other side, which knows its place, go on with `at`.
void survive(const scene& s, const stage& before, const rings& at, seen& found) {
  const std::uint64_t popped = at.popped(), pushed = at.pushed(), asked_to = s.first + s.waiting;
  tcpshm_ring_producer requests, answers;
  tcpshm_ring_consumer asked, answered;
  ASSERT_TRUE(requests.attach(at.ring(0)) && asked.attach(at.ring(0)));
  ASSERT_TRUE(answers.attach(at.ring(1)) && answered.attach(at.ring(1)));
  ASSERT_EQ(requests.position(), before.requests.position());
  ASSERT_EQ(answered.position(), before.answered.position());

  // The child may have finished one step more than it has said.
  const std::uint64_t to_take = asked_to - requests.found();
  const std::uint64_t to_answer = s.first + answers.found();
  ASSERT_TRUE(to_take == popped || (s.pops && to_take == popped + 1))
      << to_take << ", and " << popped << " were popped";
  ASSERT_TRUE(to_answer == pushed || (s.pushes && to_answer == pushed + 1)) << to_answer << " and " << pushed;
  if (s.pops && s.pushes) {
    ASSERT_LE(to_answer, to_take) << "answered, and comes again";
    ASSERT_LE(to_take, to_answer + 1) << "more than one answer is missing";
    found.taken_and_not_answered += to_take != to_answer;
  }
  found.states += 1;
  go_on(requests, asked, to_take, asked_to);
  go_on(answers, answered, s.first, to_answer);
}

class tcpshm_ring_steps : public ::testing::TestWithParam<scene> {};

TEST_P(tcpshm_ring_steps, leave_rings_that_others_go_on_with_at_every_instruction) {
  const scene& s = GetParam();
  stage before(s);
  stepped_child child([&] { before.run(s); });
  if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile): nothing to step";
  const rings last, copy;
  seen found;
  std::uint64_t instructions = 0;
  do {
    if (found.states != 0 && last.equals(before.at)) continue;
    last.copy_from(before.at);
    copy.copy_from(before.at);
    survive(s, before, copy, found);
    if (HasFatalFailure()) FAIL() << "after instruction " << instructions;
  } while (child.step() && ++instructions != 0);
  EXPECT_EQ(before.at.popped(), s.first + (s.pops ? s.operations : 0)) << "it went to the end";
  EXPECT_EQ(before.at.pushed(), s.first + (s.pushes ? s.operations : 0));
  EXPECT_GT(found.states, s.operations);
  EXPECT_EQ(found.taken_and_not_answered > 0, s.pops && s.pushes) << "pop, then push: in between there is a gap";
  RecordProperty("instructions", std::to_string(instructions));
  RecordProperty("states", std::to_string(found.states));
}

TEST_P(tcpshm_ring_steps, survive_a_kill_after_any_number_of_instructions) {
  const scene& s = GetParam();
  std::uint64_t length = 0;
  {
    stage at(s);
    stepped_child child([&] { at.run(s); });
    if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile): nothing to step";
    while (child.step()) ++length;
  }
  const std::uint64_t stride = std::max<std::uint64_t>(1, length / rounds(25));
  seen found;
  for (std::uint64_t after = 0; after < length; after += stride) {
    stage at(s);
    stepped_child child([&] { at.run(s); });
    std::uint64_t steps = 0;
    while (steps < after && child.step()) ++steps;
    child.kill();
    survive(s, at, at.at, found);
    if (HasFatalFailure()) FAIL() << "after instruction " << after;
  }
  RecordProperty("kills", std::to_string(found.states));
}

INSTANTIATE_TEST_SUITE_P(, tcpshm_ring_steps,
                         ::testing::Values(scene{"push_one_small_message", 0, 0, false, true, 1},
                                           scene{"push_over_the_end", 200, 0, false, true, 6},
                                           scene{"pop_one_small_message", 0, 1, true, false, 1},
                                           scene{"pop_over_the_end", 200, 6, true, false, 6},
                                           scene{"pop_and_push_one_small_message", 40, 1, true, true, 1},
                                           scene{"pop_and_push_over_the_end", 200, 6, true, true, 6}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace ferry::test
