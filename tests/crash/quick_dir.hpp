#pragma once
/// A test's own directory for many files that are synced often.

#include "testing/temp_dir.hpp"

namespace ferry::test {

/// In memory, where syncing takes no time, if there is such a place.
struct quick_dir : temp_dir {
  quick_dir() : temp_dir(std::filesystem::is_directory("/dev/shm") ? "/dev/shm/quick.XXXXXX" : "/tmp/quick.XXXXXX") {}
};

}  // namespace ferry::test
