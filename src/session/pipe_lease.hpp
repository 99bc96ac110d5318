#pragma once
/// The right to use a pipe of a sidecar, as the content of its lock file tells it: which pipe a service takes, when it
/// writes the content again, and what follows when that fails. Without the files. Source: docs/sidecar.md.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace ferry::session {

/// "VERSION EXPIRY", both in decimal.
struct pipe_lease {
  std::uint64_t version = 0;  ///< the number of the service's build or start
  std::int64_t expiry = 0;    ///< seconds since 1970
  friend bool operator==(const pipe_lease&, const pipe_lease&) = default;
};

inline constexpr std::size_t k_max_lease_text = 64;  ///< bytes; a longer content is none
inline constexpr duration k_lease_renewal = std::chrono::seconds(30);
inline constexpr std::int64_t k_lease_seconds = 60;  ///< from the renewal to the expiry

[[nodiscard]] std::string to_text(const pipe_lease& lease);
/// @return nothing for an empty content and for one that no service writes
[[nodiscard]] std::optional<pipe_lease> parse_lease(std::string_view content) noexcept;

/// A pipe whose lock a service could take, and what it found there.
struct free_pipe {
  std::uint32_t index = 0;
  std::optional<pipe_lease> left{};  ///< by whoever had it before
};

/// The pipe to keep; the others are let go. @param found  in the order of their indices @return an index into `found`:
/// of the pipe that this version held last, else of the last one; nothing if there is none
[[nodiscard]] std::optional<std::size_t> choose_pipe(std::span<const free_pipe> found, std::uint64_t version) noexcept;

/// What its holder has to do about a lease.
enum class lease_action : std::uint8_t {
  none,
  renew,   ///< write it again, then say how it went
  relock,  ///< lock the file again, then say how it went
  lost,    ///< the pipe must not be used any more; said once
};

///   held --30 s: renew--> held --could not write: relock--> unsure --locked: renew--> relocked --written--> held
///                                                           unsure --could not lock: lost--> lost
///                                                           relocked --could not write: lost--> lost
class lease_keeper {
 public:
  /// It has just been locked: the first renewal is due at once.
  explicit lease_keeper(time_point now) noexcept : renew_at_(now) {}

  /// To be called at next(), or whenever. @return none | renew
  [[nodiscard]] lease_action on_time(time_point now) const noexcept;
  /// @return none | relock | lost
  [[nodiscard]] lease_action on_renewed(bool written, time_point now) noexcept;
  /// @return renew | lost
  [[nodiscard]] lease_action on_relocked(bool locked) noexcept;
  /// When the next renewal is due; nothing once it is lost.
  [[nodiscard]] std::optional<time_point> next() const noexcept;
  [[nodiscard]] bool lost() const noexcept { return state_ == state::lost; }

 private:
  enum class state : std::uint8_t { held, unsure, relocked, lost };
  lease_action enter(state next, lease_action what) noexcept {
    state_ = next;
    return what;
  }
  state state_ = state::held;
  time_point renew_at_;
};

}  // namespace ferry::session
