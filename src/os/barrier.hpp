#pragma once
/// One side of a pair of threads pays for both: membarrier(2), global expedited.

namespace ferry::os {

/// Whether this process can ask for barriers and is reached by those of others. The first call registers it; a
/// container may forbid that.
[[nodiscard]] bool barriers_work() noexcept;

/// Every thread of every registered process passes a full memory barrier before this returns: what it stored before is
/// seen here, or what we stored before is seen there. About 8 microseconds. Only if barriers_work().
void barrier_everywhere() noexcept;

}  // namespace ferry::os
