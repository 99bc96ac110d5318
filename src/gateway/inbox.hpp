#pragma once
/// Bytes that have come and are not read yet.

#include <ferry/bytes.hpp>

#include <algorithm>
#include <cstring>
#include <vector>

namespace ferry::gateway {

/// Has memory for at most twice what lies in it at a time and what is put in next; empty for k_kept bytes.
class inbox {
 public:
  static constexpr std::size_t k_kept = 16 * 1024;

  [[nodiscard]] bool empty() const noexcept { return begin_ == all_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return all_.size() - begin_; }
  [[nodiscard]] std::size_t memory() const noexcept { return all_.capacity(); }

  void put(bytes what) {
    // What was read goes when it is more than what was not, so that each byte is moved once on the average.
    if (begin_ > size()) {
      all_.erase(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(begin_));
      begin_ = 0;
    }
    all_.insert(all_.end(), what.begin(), what.end());
  }
  /// @return how many there were, at most what fits
  std::size_t take(mutable_bytes into) noexcept {
    const auto count = std::min(into.size(), size());
    if (count != 0) std::memcpy(into.data(), all_.data() + begin_, count);
    begin_ += count;
    if (!empty()) return count;
    begin_ = 0;
    if (all_.capacity() > k_kept)
      std::vector<std::byte>().swap(all_);
    else
      all_.clear();
    return count;
  }

 private:
  std::vector<std::byte> all_;
  std::size_t begin_ = 0;  // of what was not read yet
};

}  // namespace ferry::gateway
