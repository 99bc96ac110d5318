#pragma once
/// The bytes that a fuzz target is given, one after the other; zeros when they are used up.

#include <cstddef>
#include <cstdint>

namespace ferry::fuzz {

class input {
 public:
  input(const std::uint8_t* data, std::size_t size) noexcept : at_(data), end_(data + size) {}
  [[nodiscard]] bool more() const noexcept { return at_ != end_; }
  std::uint8_t byte() noexcept { return more() ? *at_++ : 0; }
  std::uint64_t number(int bytes_used) noexcept {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes_used; ++i) value = value << 8 | byte();
    return value;
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

}  // namespace ferry::fuzz
