#pragma once
/// What the sides of the session crash tests keep beside their sessions: counters in a mapped file of their own, which
/// must agree with what was committed, whenever somebody dies. And the messages that they send, each of whose bytes
/// follows from its number.
///
/// The pattern: step n writes the counters of n into place n mod k_places, and n itself into the state of its
/// transaction. Whoever comes back finds n in the state that survived, and in that place exactly what belongs to it;
/// what lies in later places is of steps that never happened. Two places are enough, unless several steps can wait for
/// the disk.

#include <ferry/bytes.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>

namespace ferry::test {

inline constexpr std::size_t k_session_ring = 64u << 10;

/// Counters of one side, as of one step.
struct side_counts {
  std::uint64_t step = 0;
  std::uint64_t sent = 0;      ///< number of the next message to send
  std::uint64_t received = 0;  ///< number of the next message to receive
  friend bool operator==(const side_counts&, const side_counts&) = default;
};

/// The mapped file of one side; zeros at first.
struct session_book {
  static constexpr std::size_t k_places = 4096;
  std::array<side_counts, k_places> at;
  std::atomic<std::uint64_t> committed;  ///< the newest step of which somebody has seen that it is there for good
  std::atomic<std::uint64_t> lives;      ///< of processes that had the session
  std::atomic<std::uint64_t> stop;       ///< not 0: send nothing new, and end when all is answered
  std::atomic<std::uint64_t> silence;    ///< not 0: the other side may be stopped, so that nothing comes for a while
  std::atomic<std::uint64_t> silences;   ///< connections that ended because of that

  /// Before the commit of that step.
  void write(const side_counts& now) noexcept { at[now.step % k_places] = now; }
  [[nodiscard]] const side_counts& read(std::uint64_t step) const noexcept { return at[step % k_places]; }
};

enum class numbered_kind : std::uint64_t { request, answer };

/// Every third request has no answer, every third has two.
[[nodiscard]] constexpr std::uint64_t answers_to(std::uint64_t request) noexcept { return request % 3; }
/// Answers to the requests before this one.
[[nodiscard]] constexpr std::uint64_t answers_before(std::uint64_t request) noexcept {
  return request / 3 * 3 + (request % 3 == 2 ? 1 : 0);
}

/// Bytes of message `number`: most are small, some are empty, some as large as the ring allows.
/// @param largest  session_info::max_message
[[nodiscard]] constexpr std::size_t session_message_size(std::uint64_t number, std::size_t largest) noexcept {
  const std::uint64_t mixed = (number + 1) * 0x9e37'79b9'7f4a'7c15u >> 20;
  if (number % 128 == 77) return largest;
  if (number % 32 == 7) return 0;
  if (number % 16 == 3) return mixed % 4000;
  return mixed % 200;
}

inline void make_session_message(numbered_kind kind, std::uint64_t number, std::size_t largest, std::string& made) {
  made.resize(session_message_size(number, largest));
  std::uint64_t word = number * 2 + static_cast<std::uint64_t>(kind) + 1;
  for (std::size_t at = 0; at < made.size(); at += sizeof word) {
    word = word * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(made.data() + at, &word, std::min(sizeof word, made.size() - at));
  }
}
[[nodiscard]] constexpr std::uint16_t session_message_type(std::uint64_t number) noexcept {
  return static_cast<std::uint16_t>(number % 5 == 0 ? number % 1000 : 0);
}
[[nodiscard]] constexpr bool session_message_is_text(std::uint64_t number) noexcept { return number % 7 == 0; }

}  // namespace ferry::test
