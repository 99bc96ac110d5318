#pragma once
#include <sys/random.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace ferry::os {

/// 64 random bits from the system's generator.
[[nodiscard]] inline std::uint64_t random_u64() noexcept {
  std::uint64_t bits = 1ull << 63;
  (void)!::getrandom(&bits, sizeof bits, 0);  // cannot fail for 8 bytes once the system is up
  return bits;
}

/// A random number in [0, 1), from the system's generator.
[[nodiscard]] inline double random_unit() noexcept { return static_cast<double>(random_u64() >> 11) * 0x1p-53; }

/// The same in small portions, of which many come with one system call. Each byte is given once. One thread.
class random_portions {
 public:
  template <class T>
  [[nodiscard]] T next() noexcept {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
    if (store_.size() - used_ < sizeof(T)) refill();
    T portion;
    std::memcpy(&portion, store_.data() + used_, sizeof portion);
    used_ += sizeof portion;
    return portion;
  }

 private:
  void refill() noexcept {
    (void)!::getrandom(store_.data(), store_.size(), 0);  // no less than asked for, up to 256 bytes
    used_ = 0;
  }
  std::array<std::byte, 256> store_{};
  std::size_t used_ = sizeof store_;
};

}  // namespace ferry::os
