// A process that publishes or consumes is stepped one machine instruction at a time, and killed at each of them: that
// visits every state that a crash can leave in the memory of a ring, whatever the compiler made of the source.
#include <ferry/detail/ring_core.hpp>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "os/mapping.hpp"
#include "ring/ring_layout.hpp"
#include "rounds.hpp"
#include "stepped_child.hpp"

namespace ferry::test {
namespace {

constexpr std::uint64_t k_ring = 4096;

// Bodies are told by their number alone, so that whoever reads one knows whether it is whole.
std::size_t size_of(std::uint64_t number) {
  constexpr std::size_t k_sizes[] = {8, 0, 1, 64, 200, 7, 24, 333, 12};
  return k_sizes[number % std::size(k_sizes)];
}
std::byte byte_of(std::uint64_t number, std::size_t i) { return static_cast<std::byte>(number * 31 + i * 7 + 1); }
std::string body_of(std::uint64_t number, std::size_t size) {
  std::string made(size, '\0');
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<char>(byte_of(number, i));
  return made;
}
::testing::AssertionResult whole(const ring_record& record, std::uint64_t number, std::size_t size) {
  if (record.size != size) return ::testing::AssertionFailure() << number << " has " << record.size << " bytes";
  for (std::size_t i = 0; i < size; ++i)
    if (record.data[i] != byte_of(number, i)) return ::testing::AssertionFailure() << number << " torn at byte " << i;
  return ::testing::AssertionSuccess();
}

// One direction's memory, mapped as both sides have it, and a word beside it in which a child says how far it is.
class shared_ring {
 public:
  shared_ring() {
    auto fd = os::create_memory("crash", k_sizes.total(), false);
    auto at = os::mapping::of(fd.value().get(), k_sizes.total(), true);
    at_ = std::move(at.value());
    ring::format(at_.span(), k_sizes, {"crash", 1, 1, 1, 1});
    auto* const word = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED) throw std::bad_alloc();
    done_ = new (word) std::atomic<std::uint64_t>{0};
  }
  ~shared_ring() { ::munmap(done_, 4096); }
  shared_ring(const shared_ring&) = delete;
  shared_ring& operator=(const shared_ring&) = delete;

  [[nodiscard]] std::span<std::byte> all() const { return at_.span(); }
  [[nodiscard]] std::span<std::byte> data() const { return data_of(at_.span()); }
  [[nodiscard]] ring_line& line() const { return line_of(at_.span()); }
  [[nodiscard]] std::atomic<std::uint64_t>& done() const { return *done_; }

  [[nodiscard]] static std::span<std::byte> data_of(std::span<std::byte> memory) {
    return memory.subspan(k_sizes.ring_offset(0), k_ring);
  }
  [[nodiscard]] static ring_line& line_of(std::span<std::byte> memory) {
    return reinterpret_cast<ring::shared_page*>(memory.data() + k_sizes.shared_offset())->rings[0];
  }

 private:
  static constexpr ring::geometry k_sizes{k_ring, 1, 4096};
  os::mapping at_;
  std::atomic<std::uint64_t>* done_;
};

// What there is to try: messages that lie in the ring before, and what the child then does.
struct scene {
  const char* name;
  std::uint64_t before;    // published before the child starts
  std::uint64_t consumed;  // of these
  bool produces;
  std::uint64_t operations;
  std::size_t size = k_by_number;  // of the child's own messages
  bool ends = false;
  static constexpr std::size_t k_by_number = ~std::size_t{0};

  [[nodiscard]] std::size_t size_at(std::uint64_t number) const {
    return size != k_by_number && number >= before ? size : size_of(number);
  }
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const scene& s, std::ostream* out) { *out << s.name; }

// How the ring stands when the child starts.
struct stage {
  shared_ring ring;
  ring_producer producer{ring.data(), ring.line()};
  ring_consumer consumer{ring.data(), ring.line()};
  std::vector<std::string>
      bodies;  // of the child's messages, made beforehand: only the ring's own steps are of interest

  explicit stage(const scene& s) {
    for (std::uint64_t number = 0; number < s.before; ++number) {
      while (!producer.try_push(as_bytes(body_of(number, size_of(number))))) take(number);
    }
    while (consumer.sequence() < s.consumed) take(s.before);
    consumer.publish_position();
    ring.done() = s.produces ? s.before : s.consumed;
    for (std::uint64_t i = 0; s.produces && i < s.operations; ++i)
      bodies.push_back(body_of(s.before + i, s.size_at(s.before + i)));
  }
  void take(std::uint64_t end) {
    ASSERT_LT(consumer.sequence(), end);
    const auto record = consumer.front();
    ASSERT_TRUE(whole(record, consumer.sequence(), size_of(consumer.sequence())));
    consumer.pop();
    consumer.publish_position();
  }

  // The child's part; it has these objects as copies of its own.
  void produce(const scene& s) {
    for (const std::string& body : bodies) {
      if (producer.sequence() % 2 == 0) {
        if (!producer.try_push(as_bytes(body))) ::_exit(1);
      } else {
        std::byte* const at = producer.reserve(body.size());
        if (at == nullptr) ::_exit(1);
        std::memcpy(at, body.data(), body.size());
        producer.publish(body.size());
      }
      ring.done() = producer.sequence();
    }
    if (s.ends) producer.end();
  }
  void consume(const scene& s) {
    for (std::uint64_t i = 0; i < s.operations; ++i) {
      if (!consumer.front()) ::_exit(1);
      consumer.pop();
      ring.done() = consumer.sequence();
      if (i % 3 == 2) consumer.publish_position();
    }
    consumer.publish_position();
  }
  [[nodiscard]] stepped_child start(const scene& s) {
    return stepped_child([&] { s.produces ? produce(s) : consume(s); });
  }
};

// The other side goes on with `memory` as the dead one left it, and so does a successor of the dead one.
// @param done  what the dead one had finished
void survive(const scene& s, const stage& at, std::span<std::byte> memory, std::uint64_t done) {
  const auto data = shared_ring::data_of(memory);
  ring_line& line = shared_ring::line_of(memory);
  const auto found = ring_scan(data, line);
  ASSERT_TRUE(found) << "what is left cannot be read";
  const std::uint64_t first = found->sequence - found->records;
  const std::uint64_t published = s.produces ? done : s.before;
  if (s.produces) {
    ASSERT_EQ(first, s.consumed);
    ASSERT_GE(found->sequence, published) << "a published message was lost";
    ASSERT_LE(found->sequence, published + 1) << "more than was published";
    ASSERT_TRUE(!found->ended || (s.ends && published == s.before + s.operations));
  } else {
    ASSERT_EQ(found->sequence, published);
    ASSERT_LE(first, done + 1) << "a message would be skipped";
    ASSERT_GE(first, s.consumed);
  }
  // The consumer that survived knows its place; a successor begins where the dead one last said it was.
  ring_consumer consumer = s.produces ? ring_consumer(data, line, at.consumer.position(), s.consumed)
                                      : ring_consumer(data, line, line.position, first);
  if (found->ended) {
    while (const auto record = consumer.front()) {
      ASSERT_TRUE(whole(record, consumer.sequence(), s.size_at(consumer.sequence())));
      consumer.pop();
    }
    ASSERT_TRUE(consumer.ended());
    ASSERT_EQ(consumer.sequence(), s.before + s.operations);
    return;
  }
  // Three times around, so that every word of the ring is used again.
  ring_producer producer(data, line, found->tail, found->sequence);
  ASSERT_FALSE(producer.corrupt());
  std::uint64_t next = found->sequence;
  const std::uint64_t enough = found->tail + 3 * k_ring;
  while (producer.tail() < enough) {
    while (producer.try_push(
        as_bytes(body_of(next, s.produces && next < s.before + s.operations ? s.size_at(next) : size_of(next)))))
      ++next;
    while (const auto record = consumer.front()) {
      const std::uint64_t number = consumer.sequence();
      ASSERT_TRUE(whole(record, number, number < s.before + s.operations ? s.size_at(number) : size_of(number)));
      consumer.pop();
    }
    ASSERT_FALSE(consumer.corrupt()) << "at " << consumer.position();
    ASSERT_EQ(consumer.sequence(), next) << "lost or doubled";
  }
}

class ring_steps : public ::testing::TestWithParam<scene> {};

TEST_P(ring_steps, leave_memory_that_the_other_side_and_a_successor_go_on_with_at_every_instruction) {
  const scene& s = GetParam();
  stage at(s);
  auto child = at.start(s);
  if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile): nothing to step";
  std::string seen;
  std::uint64_t instructions = 0;
  std::uint64_t states = 0;
  do {
    // Nothing changes while it stands still: what lies there now is what a kill would leave.
    const std::uint64_t done = at.ring.done();
    std::string now(reinterpret_cast<const char*>(at.ring.all().data()), at.ring.all().size());
    now.append(reinterpret_cast<const char*>(&done), sizeof done);
    if (now == seen) continue;
    seen = now;
    states += 1;
    // Aligned like the mapping itself.
    std::vector<std::uint64_t> copy(at.ring.all().size() / sizeof(std::uint64_t));
    std::memcpy(copy.data(), now.data(), at.ring.all().size());
    survive(s, at, std::as_writable_bytes(std::span(copy)), done);
    if (HasFatalFailure()) FAIL() << "after instruction " << instructions;
  } while (child.step() && ++instructions != 0);
  EXPECT_EQ(at.ring.done(), s.produces ? s.before + s.operations : s.consumed + s.operations) << "it went to the end";
  EXPECT_GT(states, s.operations);
  RecordProperty("instructions", static_cast<int>(instructions));
  RecordProperty("states", static_cast<int>(states));
}

TEST_P(ring_steps, survive_a_kill_after_any_number_of_instructions) {
  const scene& s = GetParam();
  std::uint64_t length = 0;
  {
    stage at(s);
    auto child = at.start(s);
    if (child.forbidden()) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile): nothing to step";
    while (child.step()) ++length;
  }
  const std::uint64_t stride = std::max<std::uint64_t>(1, length / rounds(20));
  std::uint64_t kills = 0;
  for (std::uint64_t after = 0; after < length; after += stride) {
    stage at(s);
    auto child = at.start(s);
    std::uint64_t steps = 0;
    while (steps < after && child.step()) ++steps;
    // On its way out, behind the last operation, not every child takes the same number.
    ASSERT_GE(steps + 100, after);
    child.kill();
    survive(s, at, at.ring.all(), at.ring.done());
    if (HasFatalFailure()) FAIL() << "after instruction " << after;
    ++kills;
  }
  RecordProperty("kills", static_cast<int>(kills));
}

INSTANTIATE_TEST_SUITE_P(, ring_steps,
                         ::testing::Values(scene{"publish_into_a_fresh_ring", 0, 0, true, 4},
                                           scene{"publish_after_many_rounds", 203, 201, true, 6},
                                           scene{"publish_over_the_end_with_pads", 100, 100, true, 6, 504},
                                           scene{"publish_largest_records", 55, 55, true, 2,
                                                 ring_geometry::max_body(k_ring)},
                                           scene{"publish_and_end", 70, 66, true, 2, 40, true},
                                           scene{"consume_from_a_fresh_ring", 9, 0, false, 9},
                                           scene{"consume_over_the_end", 151, 120, false, 31},
                                           scene{"consume_the_last_one", 61, 60, false, 1}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace ferry::test
