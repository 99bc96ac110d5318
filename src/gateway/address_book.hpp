#pragma once
/// How often, and how many, may come from one address. Bounded: what nobody needs any more goes when there is too much.

#include <ferry/error.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/time.hpp"

namespace ferry::gateway {

struct address_limits {
  std::uint32_t max_connections = 0;  ///< at a time; 0: no limit
  std::uint32_t per_second = 0;       ///< new ones, on the average; as many may come at once; 0: no limit
  std::uint32_t max_failures = 0;     ///< within a minute; then nobody from there may come for a minute; 0: no limit
};

/// What counts as one address: "192.0.2.1" of "192.0.2.1:4711", "2001:db8:0:1::/64" of "[2001:db8:0:1::5]:4711", for
/// who has one address of those has them all. Empty: not an address of a network; such are not limited.
[[nodiscard]] std::string address_of(std::string_view peer);

/// Time is the caller's business.
class address_book {
 public:
  explicit address_book(const address_limits& limits = {}) noexcept : limits_(limits) {}
  void set_limits(const address_limits& limits) noexcept { limits_ = limits; }

  /// Somebody comes, and is counted until gone(). @return busy: above a limit, which the text names; not counted
  [[nodiscard]] result<void> came(const std::string& address, time_point now) {
    if (address.empty() || !is_needed()) return {};
    if (all_.size() >= k_most_notes && !all_.contains(address)) forget(now);
    auto& note =
        all_.try_emplace(address, entry{0, 0, static_cast<double>(limits_.per_second), now, now}).first->second;
    if (limits_.max_failures != 0 && note.failures >= limits_.max_failures && now < note.failed + k_memory)
      return error(errc::busy, address + " has failed " + std::to_string(note.failures) + " times within a minute");
    if (limits_.max_connections != 0 && note.connections >= limits_.max_connections)
      return error(errc::busy,
                   address + " has " + std::to_string(note.connections) + " connections, which is the limit");
    if (limits_.per_second != 0) {
      const std::chrono::duration<double> passed = now - note.filled;
      const double most = limits_.per_second;
      note.tokens = std::min(most, note.tokens + passed.count() * most);
      note.filled = now;
      if (note.tokens < 1)
        return error(errc::busy,
                     address + " makes more than " + std::to_string(limits_.per_second) + " connections a second");
      note.tokens -= 1;
    }
    ++note.connections;
    return {};
  }
  /// Somebody who came has gone.
  void gone(const std::string& address) {
    if (const auto at = all_.find(address); at != all_.end() && at->second.connections != 0) --at->second.connections;
  }
  /// A proof from there was wrong.
  void failed(const std::string& address, time_point now) {
    const auto at = all_.find(address);
    if (at == all_.end()) return;
    auto& note = at->second;
    if (now >= note.failed + k_memory) note.failures = 0;
    ++note.failures;
    note.failed = now;
  }
  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }

  static constexpr std::size_t k_most_notes = 65536;  ///< besides those of addresses that are connected

 private:
  static constexpr auto k_memory = std::chrono::minutes(1);
  struct entry {
    std::uint32_t connections = 0;
    std::uint32_t failures = 0;
    double tokens = 0;
    time_point filled{}, failed{};
  };
  [[nodiscard]] bool is_needed() const noexcept {
    return limits_.max_connections != 0 || limits_.per_second != 0 || limits_.max_failures != 0;
  }
  // What is a minute old; if that is not enough, all that is not connected.
  void forget(time_point now) {
    std::erase_if(all_, [now](const auto& one) {
      const auto& note = one.second;
      return note.connections == 0 && now >= std::max(note.filled, note.failed) + k_memory;
    });
    if (all_.size() >= k_most_notes) std::erase_if(all_, [](const auto& one) { return one.second.connections == 0; });
  }

  address_limits limits_;
  std::unordered_map<std::string, entry> all_;
};

}  // namespace ferry::gateway
