#include "gateway/hand_over.hpp"

#include <gtest/gtest.h>

namespace ferry::gateway {
namespace {

std::unique_ptr<batch> with_room(std::size_t bytes_of_it) {
  auto made = std::make_unique<batch>();
  made->data.reserve(bytes_of_it);
  return made;
}

TEST(spare_batches, are_used_again_whoever_has_most_room_first) {
  spare_batches spares;
  EXPECT_EQ(spares.take(), nullptr);
  for (const std::size_t room : {4096u, 65536u, 8192u, 65536u, 0u}) spares.put(with_room(room));
  for (const std::size_t room : {65536u, 65536u, 8192u, 4096u, 0u}) EXPECT_EQ(spares.take()->data.capacity(), room);
  EXPECT_EQ(spares.take(), nullptr);
}

TEST(spare_batches, are_not_kept_above_their_number_or_their_room) {
  spare_batches many, large;
  for (std::size_t i = 0; i < 2 * spare_batches::k_most; ++i) {
    many.put(with_room(64));
    large.put(with_room(spare_batches::k_most_bytes / 4));
  }
  std::size_t kept = 0;
  while (many.take()) ++kept;
  EXPECT_EQ(kept, spare_batches::k_most);
  for (kept = 0; large.take() != nullptr; ++kept) continue;
  EXPECT_EQ(kept, 4u);
  large.put(with_room(spare_batches::k_most_bytes));
  EXPECT_NE(large.take(), nullptr) << "what was taken is no longer counted";
}

// Deeper backlogs than ever take new room; the same one again takes none.
TEST(spare_batches, of_a_backlog_that_has_been_there_before_have_all_its_room) {
  spare_batches spares;
  const auto backlog = [&](std::initializer_list<std::size_t> sizes) {
    std::vector<std::unique_ptr<batch>> open;
    int grown = 0;
    for (const auto size : sizes) {
      auto one = spares.take();
      if (!one) one = with_room(0);
      if (one->data.capacity() < size) ++grown;
      one->data.resize(size);
      open.push_back(std::move(one));
    }
    for (auto& one : open) {
      one->clear();
      spares.put(std::move(one));
    }
    return grown;
  };
  EXPECT_EQ(backlog({100'000, 4'000, 4'000}), 3);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(backlog({90'000}), 0);
    EXPECT_EQ(backlog({100'000, 4'000, 4'000}), 0);
    EXPECT_EQ(backlog({4'000, 4'000, 3'000}), 0);
  }
}

}  // namespace
}  // namespace ferry::gateway
