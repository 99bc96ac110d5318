#include "gateway/inbox.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ferry::gateway {
namespace {

std::string taken(inbox& from, std::size_t most) {
  std::string text(most, '\0');
  text.resize(from.take({reinterpret_cast<std::byte*>(text.data()), text.size()}));
  return text;
}

TEST(inbox, gives_what_was_put_in_in_order_whatever_is_read_at_once) {
  for (const std::size_t size : {1, 2, 3, 5, 7, 100}) {
    inbox of;
    std::string put, got;
    for (int i = 0; i < 200; ++i) {
      const auto more = std::to_string(i);
      of.put(as_bytes(more));
      put += more;
      EXPECT_EQ(of.size(), put.size() - got.size());
      got += taken(of, size);
    }
    while (!of.empty()) got += taken(of, size);
    EXPECT_EQ(got, put) << size;
    EXPECT_EQ(taken(of, 1), "");
  }
}

// Whoever sends messages of the size that is read at once, and one that is larger before them, leaves a rest for ever.
TEST(inbox, that_is_never_empty_does_not_grow) {
  constexpr std::size_t at_once = 1000;
  inbox of;
  of.put(as_bytes(std::string(at_once + 10, 'x')));
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_EQ(taken(of, at_once).size(), at_once);
    of.put(as_bytes(std::string(at_once, 'x')));
    ASSERT_LE(of.memory(), 4 * at_once + 64) << i;
  }
}

TEST(inbox, that_is_empty_keeps_little) {
  inbox of;
  const std::string large(1 << 20, 'x'), small(1000, 'x');
  of.put(as_bytes(large));
  EXPECT_EQ(taken(of, large.size()), large);
  EXPECT_LE(of.memory(), inbox::k_kept);
  of.put(as_bytes(small));
  EXPECT_EQ(taken(of, small.size()), small);
  EXPECT_GE(of.memory(), small.size()) << "the next one of that size needs no other";
}

}  // namespace
}  // namespace ferry::gateway
