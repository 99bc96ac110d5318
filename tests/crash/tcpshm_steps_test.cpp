// The queue of tcpshm is stepped one machine instruction at a time: whatever the compiler made of a push, of an
// acknowledgement or of a move, a kill leaves what was before it or what is after it, also where the indices lie across
// two cache lines or two pages.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "session/tcpshm_queue.hpp"
#include "stepped_child.hpp"

namespace ferry::test {
namespace {

using session::tcpshm_queue;

struct queue_memory {
  explicit queue_memory(std::size_t queue_bytes) : size(queue_bytes) {
    at = static_cast<std::byte*>(::mmap(nullptr, k_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    if (at == MAP_FAILED) throw std::bad_alloc();
  }
  ~queue_memory() { ::munmap(at, k_bytes); }
  queue_memory(const queue_memory&) = delete;
  queue_memory& operator=(const queue_memory&) = delete;
  [[nodiscard]] std::span<std::byte> span() const { return {at, session::tcpshm_queue_file_bytes(size)}; }
  static constexpr std::size_t k_bytes = 3 * 4096;
  std::byte* at;
  std::size_t size;
};

bool push(tcpshm_queue& to, std::size_t body) {
  std::byte* const at = to.alloc(static_cast<std::uint16_t>(8 + body));
  if (at == nullptr) return false;
  std::memset(at + 8, 'x', body);
  to.push(1);
  return true;
}

// What a login would say and send.
std::string look(const queue_memory& at) {
  std::vector<std::byte> copy(at.span().size() + 16);
  std::byte* const aligned = copy.data() + (16 - reinterpret_cast<std::uintptr_t>(copy.data()) % 16) % 16;
  std::memcpy(aligned, at.at, at.span().size());
  const auto q = tcpshm_queue::recover({aligned, at.span().size()}, at.size, std::endian::little);
  if (!q) return "unreadable";
  const auto range = q->range();
  return std::to_string(range.ack) + " " + std::to_string(range.start) + " " + std::to_string(range.end) + " " +
         std::string(as_text(q->unsent()));
}

struct step {
  const char* name;
  void (*run)(tcpshm_queue&);
};
constexpr step k_steps[] = {
    {"push", [](tcpshm_queue& q) { EXPECT_TRUE(push(q, 13)); }},
    {"acknowledge some", [](tcpshm_queue& q) { EXPECT_TRUE(q.acknowledge(q.range().start + 2)); }},
    {"acknowledge all", [](tcpshm_queue& q) { EXPECT_TRUE(q.acknowledge(q.range().end)); }},
    {"consume", [](tcpshm_queue& q) { q.consumed(); }},
    {"resume", [](tcpshm_queue& q) { EXPECT_TRUE(q.resume(q.range().start + 1)); }},
};

// @return states that were looked at
std::uint64_t expect_before_or_after(const queue_memory& at, tcpshm_queue& q, const step& what, bool& forbidden) {
  const std::string before = look(at);
  std::uint64_t states = 0;
  std::string after;
  {
    stepped_child child([&] { what.run(q); });
    forbidden = child.forbidden();
    if (forbidden) return 0;
    std::vector<std::byte> seen(at.at, at.at + at.span().size());
    while (child.step()) {
      if (std::memcmp(seen.data(), at.at, seen.size()) == 0) continue;
      seen.assign(at.at, at.at + seen.size());
      states += 1;
      const auto now = look(at);
      if (now == before && after.empty()) continue;
      if (after.empty()) after = now;
      EXPECT_EQ(now, after) << what.name << " in a queue of " << at.size << " bytes";
    }
  }
  EXPECT_NE(after, before) << what.name;
  EXPECT_NE(after, "unreadable") << what.name;
  return states;
}

TEST(tcpshm_steps, leave_a_queue_as_it_was_or_as_it_is_to_be_at_every_instruction) {
  // Indices aligned to 16, to 8, across two cache lines, across two pages.
  for (const std::size_t bytes : {2000u, 2008u, 4088u, 8184u, 4080u + 4096u + 8u}) {
    for (const auto& what : k_steps) {
      const queue_memory at(bytes);
      auto q = tcpshm_queue::begin(at.span(), bytes, std::endian::little);
      for (int i = 0; i < 5; ++i) ASSERT_TRUE(push(q, static_cast<std::size_t>(i) * 9));
      q.consumed();
      q.sent(q.unsent().size());
      bool forbidden = false;
      EXPECT_GE(expect_before_or_after(at, q, what, forbidden), forbidden ? 0u : 1u);
      if (forbidden) GTEST_SKIP() << "ptrace is forbidden here (a container's seccomp profile): nothing to step";
    }
    // Full but for a little, of which most is acknowledged: the next message moves the others to the front.
    const queue_memory at(bytes);
    auto q = tcpshm_queue::begin(at.span(), bytes, std::endian::little);
    while (push(q, 92)) q.consumed();
    q.sent(q.unsent().size());
    ASSERT_TRUE(q.acknowledge(q.range().end - 4));
    bool forbidden = false;
    EXPECT_GT(expect_before_or_after(at, q, {"move and push", [](tcpshm_queue& full) { EXPECT_TRUE(push(full, 200)); }},
                                     forbidden),
              2u);
  }
}

}  // namespace
}  // namespace ferry::test
