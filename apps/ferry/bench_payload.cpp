#include "apps/ferry/bench_payload.hpp"

namespace ferry::app {

bench_pattern::bench_pattern(std::size_t size) : size_(size), table_(size + k_step * k_windows) {
  std::uint64_t state = 0;
  for (auto& byte : table_) {  // a Weyl sequence, mixed: no two windows look alike
    state += 0x9e3779b97f4a7c15;
    auto mixed = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
    mixed ^= mixed >> 31;
    byte = static_cast<std::byte>(mixed >> 24);
  }
  stamped_ = table_.data();
  covered_ = load_le<std::uint64_t>(stamped_);
}

void bench_checker::note_gap(std::uint64_t sequence) noexcept {
  constexpr std::uint64_t k_credible = std::uint64_t{1} << 32;  // a larger gap is a damaged number
  if (sequence < next_) {
    counts_.duplicated += 1;
  } else if (sequence - next_ >= k_credible) {
    counts_.corrupt += 1;
  } else {
    counts_.lost += sequence - next_;
    next_ = sequence;
    return;
  }
  next_ -= 1;  // the caller goes on by one, and this one was none
}

}  // namespace ferry::app
