#include "os/barrier.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ferry::os {
namespace {

bool membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

bool barriers_work() noexcept {
  static const bool works =
      membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) && membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
  return works;
}

void barrier_everywhere() noexcept { (void)membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED); }

}  // namespace ferry::os
