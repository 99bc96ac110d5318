#pragma once
/// Which numbers virtual connections are given. Source: docs/gateway.md.

#include <algorithm>
#include <array>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>

#include "codec/gateway_packet.hpp"

namespace ferry::session {

/// Which numbers virtual connections and clients are given.
struct gateway_numbering {
  /// All 0: 1, 2, 3 ... Else every number once, in an order that these random bits decide, so that nobody can tell
  /// the next one from the last. That keeps nobody out: only its ends may use a virtual connection, whatever its
  /// number.
  std::array<std::uint32_t, 4> secret{};
  std::uint32_t first_connection = 1;  ///< where counting begins
  std::uint32_t first_client = 1;      ///< the same of the IDs of clients
  /// Where counting begins again, from 1; above twice as many as are in use at a time. Not with a secret.
  std::uint32_t last_connection = UINT32_MAX;
};

/// The numbers of virtual connections, in that order. One that is free again rests until k_rest others were given, or a
/// quarter of them all where these are few: an end that has not heard of Close yet may still send there, and what it
/// sends then must not reach whoever has the number next.
class gateway_numbers {
 public:
  static constexpr std::uint32_t k_rest = 1u << 16;

  explicit gateway_numbers(const gateway_numbering& order = {}) noexcept
      : secret_(order.secret), count_(order.first_connection - 1), last_(order.last_connection) {}

  /// @param is_used  of a number; false of most of them @return the next one that is not, never 0
  template <class Used>
  [[nodiscard]] std::uint32_t next(const Used& is_used) {
    for (;;) {
      if (count_ == last_ && !is_secret()) count_ = 0;
      const auto number = permuted(++count_);
      if (resting_.erase(number) == 0 && number != codec::gateway::k_command_connection && !is_used(number))
        return number;
    }
  }
  /// Is not used any more. Only one whose turn is near is kept, until that has gone by.
  void given_back(std::uint32_t number) {
    auto turns = (is_secret() ? counted(number) : number) - count_;
    if (!is_secret() && number <= count_) turns += last_;
    if (turns <= std::min(k_rest, last_ / 4)) resting_.insert(number);
  }

 private:
  [[nodiscard]] bool is_secret() const noexcept { return secret_ != std::array<std::uint32_t, 4>{}; }
  // Feistel's network: every number once, whatever the function of each round is.
  [[nodiscard]] std::uint32_t permuted(std::uint32_t count) const noexcept {
    if (!is_secret()) return count;
    std::uint32_t left = count >> 16, right = count & 0xffff;
    for (const auto key : secret_) {
      const auto turned = left ^ mixed(right, key);
      left = right;
      right = turned;
    }
    return left << 16 | right;
  }
  // The other way.
  [[nodiscard]] std::uint32_t counted(std::uint32_t number) const noexcept {
    std::uint32_t left = number >> 16, right = number & 0xffff;
    for (auto key = secret_.rbegin(); key != secret_.rend(); ++key) {
      const auto turned = right ^ mixed(left, *key);
      right = left;
      left = turned;
    }
    return left << 16 | right;
  }
  [[nodiscard]] static std::uint32_t mixed(std::uint32_t half, std::uint32_t key) noexcept {
    std::uint64_t mix = (half + std::uint64_t{key}) * 0x9e3779b97f4a7c15u;
    mix ^= mix >> 29;
    mix *= 0xbf58476d1ce4e5b9u;
    return static_cast<std::uint32_t>(mix >> 48);
  }

  std::array<std::uint32_t, 4> secret_{};
  std::uint32_t count_ = 0;  // of numbers given; with a secret before it is permuted
  std::uint32_t last_ = UINT32_MAX;
  boost::unordered_flat_set<std::uint32_t> resting_;  // free, and not to be given when their turn comes
};

}  // namespace ferry::session
