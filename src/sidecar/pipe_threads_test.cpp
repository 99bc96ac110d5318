// The files of a pipe, while services come and go.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "os/file_id.hpp"
#include "os/pipe_lock.hpp"
#include "sidecar/pipe.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::sidecar {
namespace {

TEST(pipe_threads, files_are_made_anew_under_nobody_who_has_the_lock) {
  const test::temp_dir dir;
  const auto of = test::small_entity(dir, 101);
  ASSERT_TRUE(os::make_private_directory(of.directory, users_of(of)));
  auto made = pipe::open(of, 0, {});
  ASSERT_TRUE(made) << made.error().text();
  auto& files = **made;
  std::atomic<bool> ends{false};
  std::atomic<int> held{0}, replaced{0};
  std::thread service([&] {
    while (!ends) {
      const auto lock = os::pipe_lock::try_acquire(files.lock_path());
      if (!lock) continue;
      const auto path = of.directory + "/" + of.send_name;
      const auto opened = os::id_at(path);
      for (int i = 0; i < 50 && os::id_at(path) == opened; ++i) continue;
      if (os::id_at(path) != opened) ++replaced;
      ++held;
    }
  });
  int mended = 0;
  while (mended < 100 || held < 100) {
    files.enter(pipe::state::damaged);
    if (files.mend()) ++mended;
    for (int i = 0; i < 50; ++i) (void)os::id_at(files.lock_path());
  }
  ends = true;
  service.join();
  EXPECT_EQ(replaced, 0);
}

}  // namespace
}  // namespace ferry::sidecar
