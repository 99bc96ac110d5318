#include "base/utf8_validator.hpp"

#include <array>
#include <cstring>

namespace ferry {
namespace {

// A byte's row holds the next state of each state, six bits each: state' = row >> state. A row does not depend on the
// state, so the only thing that one byte waits for is the shift of the one before.
constexpr std::uint64_t k_error = utf8_validator::k_error;
constexpr std::uint64_t k_accept = utf8_validator::k_accept;
constexpr std::uint64_t k_one_more = 12;
constexpr std::uint64_t k_two_more = 18;
constexpr std::uint64_t k_three_more = 24;
constexpr std::uint64_t k_after_e0 = 30;  // then a0 .. bf: not written too long
constexpr std::uint64_t k_after_ed = 36;  // then 80 .. 9f: no surrogate
constexpr std::uint64_t k_after_f0 = 42;  // then 90 .. bf: not written too long
constexpr std::uint64_t k_after_f4 = 48;  // then 80 .. 8f: at most U+10FFFF

constexpr std::uint64_t first_byte(unsigned byte) noexcept {
  if (byte < 0x80) return k_accept;
  if (byte < 0xc2) return k_error;
  if (byte < 0xe0) return k_one_more;
  if (byte == 0xe0) return k_after_e0;
  if (byte == 0xed) return k_after_ed;
  if (byte < 0xf0) return k_two_more;
  if (byte == 0xf0) return k_after_f0;
  if (byte < 0xf4) return k_three_more;
  return byte == 0xf4 ? k_after_f4 : k_error;
}

constexpr std::array<std::uint64_t, 256> make_rows() noexcept {
  std::array<std::uint64_t, 256> rows{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool goes_on = byte >= 0x80 && byte < 0xc0;
    const auto when = [&](bool fits, std::uint64_t state, std::uint64_t next) {
      if (fits) rows[byte] |= next << state;  // else the six bits stay k_error
    };
    when(true, k_accept, first_byte(byte));
    when(goes_on, k_one_more, k_accept);
    when(goes_on, k_two_more, k_one_more);
    when(goes_on, k_three_more, k_two_more);
    when(goes_on && byte >= 0xa0, k_after_e0, k_one_more);
    when(goes_on && byte < 0xa0, k_after_ed, k_one_more);
    when(goes_on && byte >= 0x90, k_after_f0, k_two_more);
    when(goes_on && byte < 0x90, k_after_f4, k_two_more);
  }
  return rows;
}
constexpr auto k_rows = make_rows();

inline std::uint64_t step(std::uint64_t state, std::byte byte) noexcept {
  return k_rows[std::to_integer<std::size_t>(byte)] >> (state & 63);
}

constexpr std::size_t k_block = 32;

// SSE2 or NEON; elsewhere the compiler makes words of it.
using half = std::uint64_t __attribute__((vector_size(16)));

inline bool is_ascii(const std::byte* block) noexcept {
  half a;
  half b;
  std::memcpy(&a, block, sizeof a);
  std::memcpy(&b, block + sizeof a, sizeof b);
  const half both = a | b;
  return ((both[0] | both[1]) & 0x8080808080808080u) == 0;
}

}  // namespace

std::size_t utf8_validator::feed(bytes part) noexcept {
  std::uint64_t state = state_;
  std::size_t at = 0;
  for (; part.size() - at >= k_block; at += k_block) {
    const std::byte* const block = part.data() + at;
    if ((state & 63) == k_accept && is_ascii(block)) continue;
    std::uint64_t after = state;
    for (std::size_t i = 0; i < k_block; ++i) after = step(after, block[i]);
    if ((after & 63) == k_error) break;  // the loop below finds where
    state = after;
  }
  for (; at < part.size(); ++at) {
    state = step(state, part[at]);
    if ((state & 63) == k_error) break;
  }
  state_ = state;
  return at;
}

}  // namespace ferry
