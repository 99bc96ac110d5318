#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "ring/tcpshm_ring.hpp"

namespace ferry::ring {
namespace {

TEST(tcpshm_ring_threads, messages_of_all_sizes_cross_whole_and_in_order) {
  constexpr std::size_t k_bytes = 1024;
  struct alignas(128) memory {
    std::array<std::byte, tcpshm_ring_file_bytes(k_bytes)> bytes{};
  } at;
  constexpr std::uint32_t k_messages = 100'000;
  const auto size_of = [](std::uint32_t i) { return static_cast<std::uint16_t>(16 + i * 37 % 400); };
  std::thread producer([&] {
    tcpshm_ring_producer out;
    ASSERT_TRUE(out.attach({at.bytes, k_bytes}));
    for (std::uint32_t i = 0; i < k_messages; ++i) {
      std::byte* to = nullptr;
      while ((to = out.alloc(size_of(i))) == nullptr) std::this_thread::yield();
      const std::uint16_t type = 1;
      std::memcpy(to + 2, &type, 2);
      for (std::size_t word = 8; word + 4 <= size_of(i); word += 4) std::memcpy(to + word, &i, 4);
      out.push();
    }
  });
  tcpshm_ring_consumer in;
  ASSERT_TRUE(in.attach({at.bytes, k_bytes}));
  std::uint64_t wrong = 0;
  for (std::uint32_t i = 0; i < k_messages; ++i) {
    tcpshm_record found;
    while (!(found = in.front())) std::this_thread::yield();
    wrong += found.size != size_of(i);
    for (std::size_t word = 8; word + 4 <= found.size; word += 4) wrong += std::memcmp(found.at + word, &i, 4) != 0;
    in.pop();
  }
  producer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_FALSE(in.corrupt());
}

}  // namespace
}  // namespace ferry::ring
