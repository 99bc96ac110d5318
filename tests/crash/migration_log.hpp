#pragma once
/// What the instances of a service write down that are killed while they take over from each other, in memory that
/// outlives them: which questions each has taken out of its ring, and which it has answered.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "os/mapping.hpp"

namespace ferry::test {

/// The question, and its answer.
[[nodiscard]] inline std::string migration_body(std::uint32_t number) {
  std::string made(number * 37 % 400, static_cast<char>('a' + number % 26));
  return std::to_string(number) + " " + made;
}

struct migration_log {
  static constexpr std::uint32_t k_nothing = UINT32_MAX;
  enum class mark : std::uint32_t { none, taken, answered };

  /// What one instance does at this moment; a number, or k_nothing.
  struct instance {
    std::atomic<std::uint32_t> hand{k_nothing};     ///< given to it last: whether it is out of the ring cannot be known
    std::atomic<std::uint32_t> sending{k_nothing};  ///< whose answer may be in the ring already
  };
  static constexpr std::size_t k_instances = 8;

  std::atomic<std::uint64_t> wrong{0};  ///< questions that are torn, or not for that instance
  std::array<instance, k_instances> instances{};

  [[nodiscard]] instance& of(std::uint32_t version) { return instances[version % k_instances]; }
};

/// The log, and behind it one word for each question.
class migration_book {
 public:
  static constexpr std::size_t k_head = 4096;
  static_assert(sizeof(migration_log) <= k_head);
  [[nodiscard]] static std::size_t bytes_for(std::size_t questions) { return k_head + 4 * questions; }

  explicit migration_book(int fd, std::size_t bytes) : at_(os::mapping::of(fd, bytes, true).value()) {}
  [[nodiscard]] migration_log& log() { return *reinterpret_cast<migration_log*>(at_.data()); }
  [[nodiscard]] bool knows(std::uint32_t number) const { return number < (at_.size() - k_head) / 4; }
  void write(std::uint32_t number, std::uint32_t version, migration_log::mark what) {
    word(number) = version << 2 | static_cast<std::uint32_t>(what);
  }
  /// For people.
  [[nodiscard]] std::string text(std::uint32_t number) {
    constexpr const char* k_marks[] = {"nobody has taken it", "taken by instance ", "answered by instance ", "?"};
    const std::uint32_t what = word(number);
    return k_marks[what & 3] + ((what & 3) == 0 ? std::string() : std::to_string(what >> 2));
  }
  [[nodiscard]] bool says(std::uint32_t number, std::uint32_t version, migration_log::mark what) {
    return word(number) == (version << 2 | static_cast<std::uint32_t>(what));
  }

 private:
  [[nodiscard]] std::atomic_ref<std::uint32_t> word(std::uint32_t number) {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(at_.data() + k_head + std::size_t{4} * number));
  }
  os::mapping at_;
};

}  // namespace ferry::test
