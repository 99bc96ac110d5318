#include "os/process_view.hpp"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "testing/sanitizers.hpp"

namespace ferry::os {
namespace {

TEST(process_view, names_every_thread) {
  std::atomic<bool> named{false}, over{false};
  std::jthread other([&] {
    ::prctl(PR_SET_NAME, "odd) S 1 (name");
    named = true;
    named.notify_all();
    over.wait(false);
  });
  named.wait(false);
  const auto all = threads_of_process();
  over = true;
  over.notify_all();
  const auto found = std::find_if(all.begin(), all.end(), [](const auto& one) { return one.name == "odd) S 1 (name"; });
  ASSERT_NE(found, all.end());
  EXPECT_NE(std::string("RSDt").find(found->state), std::string::npos) << found->state;
  EXPECT_TRUE(std::any_of(all.begin(), all.end(),
                          [](const auto& one) { return one.id == static_cast<std::uint32_t>(::getpid()); }));
}

TEST(process_view, counts_what_is_allocated) {
  const auto before = view_of_allocator();
  const auto block = std::make_unique<char[]>(8 << 20);
  block[1 << 20] = 1;
  const auto now = view_of_allocator();
  EXPECT_GT(now.resident, 0u);
  if (!test::k_checks_addresses && !test::k_checks_threads) {  // whose allocators are others
    EXPECT_GE(now.in_use, before.in_use + (8 << 20));
    EXPECT_GE(now.from_system, now.in_use);
    EXPECT_NE(allocator_details().find("<malloc version="), std::string::npos);
  }
}

}  // namespace
}  // namespace ferry::os
