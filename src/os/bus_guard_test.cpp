#include "os/bus_guard.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "os/mapping.hpp"
#include "os/unique_fd.hpp"

namespace ferry::os {
namespace {

/// A page of a file without pages.
class missing_page {
 public:
  missing_page() : fd_(::memfd_create("test", MFD_CLOEXEC)), at_(mapping::of(fd_.get(), page_bytes(false), true)) {}
  [[nodiscard]] std::span<std::byte> span() const { return at_->span(); }
  [[nodiscard]] std::byte read() const { return *const_cast<const volatile std::byte*>(at_->data()); }

 private:
  unique_fd fd_;
  result<mapping> at_;
};

TEST(bus_guard, turns_a_missing_page_into_zeros_and_remembers) {
  const missing_page gone, other;
  const bus_guard guard(gone.span());
  const bus_guard second(other.span());
  EXPECT_FALSE(guard.torn());
  EXPECT_EQ(gone.read(), std::byte{0});
  EXPECT_TRUE(guard.torn());
  EXPECT_FALSE(second.torn());
}

TEST(bus_guard, knows_thousands_of_mappings_apart_and_forgets_those_that_are_gone) {
  const missing_page gone;
  constexpr std::size_t k_many = 5000;
  std::vector<std::byte> bytes(k_many);
  std::vector<std::unique_ptr<bus_guard>> guards;
  for (int round = 0; round < 2; ++round) {
    guards.clear();
    for (auto& one : bytes) guards.push_back(std::make_unique<bus_guard>(std::span(&one, 1)));
  }
  const bus_guard last(gone.span());
  EXPECT_EQ(gone.read(), std::byte{0});
  EXPECT_TRUE(last.torn());
  for (const auto& guard : guards) ASSERT_FALSE(guard->torn());
}

TEST(bus_guard, that_takes_the_place_of_a_torn_one_is_whole) {
  {
    const missing_page gone;
    const bus_guard guard(gone.span());
    (void)gone.read();
    ASSERT_TRUE(guard.torn());
  }
  const missing_page next;
  const bus_guard guard(next.span());
  EXPECT_FALSE(guard.torn());
}

}  // namespace
}  // namespace ferry::os
