#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <thread>

#include "ring/sidecar_ring.hpp"

namespace ferry::ring {
namespace {

TEST(sidecar_ring_threads, messages_of_all_sizes_cross_whole_and_in_order) {
  struct alignas(128) memory {
    std::array<std::byte, k_sidecar_control_bytes + k_min_sidecar_queue> bytes{};
  } at;
  sidecar_ring_memory::format(at.bytes);
  const auto ring = sidecar_ring_memory::open(at.bytes).value();
  constexpr std::uint32_t k_messages = 20'000;
  const auto size_of = [](std::uint32_t i) { return std::size_t{i * 37 % 700}; };
  const auto value_of = [](std::uint32_t i) { return static_cast<std::byte>(i * 13 + 1); };
  std::thread writer([&] {
    auto out = sidecar_ring_producer::attach(ring).value();
    for (std::uint32_t i = 0; i < k_messages; ++i) {
      std::byte* to = nullptr;
      while ((to = out.reserve(size_of(i))) == nullptr) std::this_thread::yield();
      std::fill_n(to, size_of(i), value_of(i));
      out.publish(size_of(i), size_of(i) / 3, i);
    }
    EXPECT_FALSE(out.corrupt());
  });
  auto in = sidecar_ring_consumer::attach(ring).value();
  std::uint64_t wrong = 0;
  for (std::uint32_t i = 0; i < k_messages; ++i) {
    result<sidecar_record> found;
    while ((found = in.front(0)) && !*found) std::this_thread::yield();
    ASSERT_TRUE(found) << found.error().text();
    wrong += found->body.size() != size_of(i) || found->head_bytes != size_of(i) / 3 || found->time_ms != i;
    for (const auto one : found->body) wrong += one != value_of(i);
    in.pop();
  }
  writer.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace ferry::ring
