#pragma once
/// What a channel costs between two moments.

#include <ferry/channel.hpp>

#include <cstdint>

#include "apps/ferry/bench_allocations.hpp"
#include "apps/ferry/bench_plan.hpp"

namespace ferry::app {

class bench_meter {
 public:
  void start(const channel& of) {
    system_calls_ = calls_of(of);
    allocations_ = allocations();
  }
  void stop(const channel& of, bench_side& into) const {
    into.allocations = allocations() - allocations_;
    into.system_calls = calls_of(of) - system_calls_;
  }

 private:
  [[nodiscard]] static std::uint64_t calls_of(const channel& one) {
    const auto now = one.stats();
    return now.reads + now.writes;
  }
  std::uint64_t system_calls_ = 0;
  std::uint64_t allocations_ = 0;
};

}  // namespace ferry::app
