#pragma once
/// Which numbers virtual connections are given. Source: docs/gateway.md.

#include <array>
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

/// The numbers of virtual connections, in that order.
class gateway_numbers {
 public:
  explicit gateway_numbers(const gateway_numbering& order = {}) noexcept
      : secret_(order.secret), count_(order.first_connection - 1), last_(order.last_connection) {}

  /// @param is_used  of a number; false of most of them @return the next one that is not, never 0
  template <class Used>
  [[nodiscard]] std::uint32_t next(const Used& is_used) {
    for (;;) {
      if (count_ == last_ && !is_secret()) count_ = 0;
      const auto number = permuted(++count_);
      if (number != codec::gateway::k_command_connection && !is_used(number)) return number;
    }
  }

 private:
  [[nodiscard]] bool is_secret() const noexcept { return secret_ != std::array<std::uint32_t, 4>{}; }
  // Feistel's network: every number once, whatever the function of each round is.
  [[nodiscard]] std::uint32_t permuted(std::uint32_t count) const noexcept {
    if (!is_secret()) return count;
    std::uint32_t left = count >> 16, right = count & 0xffff;
    for (const auto key : secret_) {
      std::uint64_t mix = (right + std::uint64_t{key}) * 0x9e3779b97f4a7c15u;
      mix ^= mix >> 29;
      mix *= 0xbf58476d1ce4e5b9u;
      const auto turned = left ^ static_cast<std::uint32_t>(mix >> 48);
      left = right;
      right = turned;
    }
    return left << 16 | right;
  }

  std::array<std::uint32_t, 4> secret_{};
  std::uint32_t count_ = 0;  // of numbers given; with a secret before it is permuted
  std::uint32_t last_ = UINT32_MAX;
};

}  // namespace ferry::session
