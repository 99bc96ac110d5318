#pragma once
/// What the threads of one gateway share, behind one lock: how many have come and from where, who is on which thread,
/// which numbers are in use. Taken when somebody comes, goes, dials or closes; never for a packet.
///
/// Thread safety: all members.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "base/time.hpp"
#include "gateway/address_book.hpp"
#include "gateway/settings.hpp"
#include "session/virtual_connections.hpp"

namespace ferry::gateway {

class commons {
 public:
  /// Where somebody is. Only that thread looks at `who`.
  struct place {
    std::size_t thread = 0;
    session::gateway_member* who = nullptr;
  };
  struct dialled {
    session::gateway_directory::answer what = session::gateway_directory::answer::unknown;
    std::uint32_t number = 0;
    place to;
  };

  explicit commons(const settings& with);
  void set_limits(const settings& with);

  // Those who come, whether they log in or not.

  /// @return busy: above a limit, which the text names; not counted. Else it is counted until gone()
  [[nodiscard]] result<void> came(session::gateway_role role, const std::string& address, time_point now);
  /// A server, which was `arriving` until now.
  void logged_in();
  void gone(session::gateway_role role, const std::string& address, bool was_arriving);
  /// A server's proof was wrong.
  void failed(const std::string& address, time_point now);

  // Who is where, and numbers: where there are several threads.

  [[nodiscard]] std::uint32_t add_client(const place& where);
  void add_server(const place& where, std::uint32_t id);
  void remove(const session::gateway_member& who) noexcept;
  /// Who would be dialled by that ID; nobody: `who` is null.
  [[nodiscard]] place find(session::gateway_role role, std::uint32_t id) const;
  /// @param from  thread of who dials @return as of gateway_directory::dial
  [[nodiscard]] dialled dial(std::size_t from, session::gateway_role role, std::uint32_t id);
  void release(std::uint32_t number);
  [[nodiscard]] bool is_of_others(std::size_t thread, std::uint32_t number) const;
  /// From now on every dial is refused. @param emptied  called when the last number is released, on any thread
  void stop_dials(std::function<void()> emptied);
  [[nodiscard]] bool has_connections() const;

 private:
  // Of a virtual connection: where its ends are, and how many of these threads have not released it.
  struct taken {
    std::array<std::uint16_t, 2> threads{};
    std::uint8_t left = 0;
  };
  using places = boost::unordered_flat_map<std::uint32_t, place>;

  [[nodiscard]] places& of(session::gateway_role role) noexcept {
    return role == session::gateway_role::client ? clients_ : servers_;
  }
  [[nodiscard]] address_book& book(session::gateway_role role) noexcept {
    return role == session::gateway_role::client ? client_book_ : server_book_;
  }

  mutable std::mutex lock_;
  std::uint32_t max_members_, max_arriving_, max_connections_;
  std::uint32_t members_ = 0, arriving_ = 0;
  address_book client_book_, server_book_;
  places clients_, servers_;
  std::uint32_t last_client_;
  session::gateway_numbers numbers_;
  boost::unordered_flat_map<std::uint32_t, taken> in_use_;
  bool stopping_ = false;
  std::function<void()> emptied_;
};

/// The order of numbers that the settings ask for.
[[nodiscard]] session::gateway_numbering numbering(const settings& with);
/// Virtual connections that there may be at a time: so few that a free number is near.
[[nodiscard]] std::uint32_t most_connections(const settings& with);

}  // namespace ferry::gateway
