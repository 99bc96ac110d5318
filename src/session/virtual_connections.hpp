#pragma once
/// The rules of a gateway, without its sockets: who is there, which virtual connection belongs to whom, and what each
/// packet brings about. Source: docs/gateway.md.
///
///     dial --known, accepting, within the limits--> open --Close of an end, or an end leaves--> gone
///     dial --else--> Refuse
///
/// Not for more than one thread.

#include <ferry/error.hpp>

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <vector>

#include "codec/gateway_packet.hpp"

namespace ferry::session {

enum class gateway_role : std::uint8_t { client, server };

/// A client or a server of the gateway, from add_client() or add_server() to remove(). What holds the physical
/// connection derives from it; its address must not change meanwhile.
class gateway_member {
 public:
  gateway_member() = default;
  gateway_member(const gateway_member&) = delete;
  gateway_member& operator=(const gateway_member&) = delete;

  [[nodiscard]] gateway_role role() const noexcept { return role_; }
  /// Of its role's own space: clients have theirs from the gateway, servers bring theirs.
  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
  /// Virtual connections that it has, whoever dialled.
  [[nodiscard]] std::uint32_t connections() const noexcept { return connections_; }

 protected:
  ~gateway_member() = default;

 private:
  friend class virtual_connections;
  enum class state : std::uint8_t { away, present, leaving };
  std::uint32_t id_ = 0;
  std::uint32_t connections_ = 0;
  std::uint32_t first_ = UINT32_MAX;  // slot of one of its virtual connections, UINT32_MAX: it has none
  gateway_role role_ = gateway_role::client;
  state state_ = state::away;
};

/// Takes the commands that the gateway sends. Must not call the table it is called by: who cannot be told any more is
/// removed later.
class gateway_commands {
 public:
  virtual void tell(gateway_member& to, const codec::gateway::command& what) = 0;

 protected:
  ~gateway_commands() = default;
};

/// Which numbers virtual connections and clients are given.
struct gateway_numbering {
  /// All 0: 1, 2, 3 ... Else every number once, in an order that these random bits decide, so that nobody can tell
  /// the next one from the last. That keeps nobody out: only its ends may use a virtual connection, whatever its
  /// number.
  std::array<std::uint32_t, 4> secret{};
  std::uint32_t first_connection = 1;  ///< where counting begins
  std::uint32_t first_client = 1;      ///< the same of the IDs of clients
};

struct virtual_connection_limits {
  std::uint32_t max_per_client = 16;        ///< above: a dial of that client is refused; servers may dial it still
  std::uint32_t max_connections = 1 << 20;  ///< of all together; above: every dial is refused
  std::uint32_t max_members = 1 << 20;      ///< clients and servers together
};

struct virtual_connection_counts {
  std::uint64_t dialled = 0;           ///< virtual connections made
  std::uint64_t closed = 0;            ///< and ended
  std::uint64_t refused_unknown = 0;   ///< dials to an ID that nobody has, or whose owner leaves
  std::uint64_t refused_limit = 0;     ///< dials above a limit
  std::uint64_t refused_stopping = 0;  ///< dials after stop_dials()
  std::uint64_t unknown_packets = 0;   ///< for virtual connections that are gone
};

class virtual_connections {
 public:
  explicit virtual_connections(const virtual_connection_limits& limits = {}, const gateway_numbering& order = {});

  /// A client came; it gets the next ID. @return busy: there are max_members
  [[nodiscard]] result<void> add_client(gateway_member& who);
  /// A server that has proved itself. If its ID is in use, it takes the place of whoever had it, for new dials; the
  /// virtual connections of the other one stay as they are. @return busy: there are max_members
  [[nodiscard]] result<void> add_server(gateway_member& who, std::uint32_t id);
  /// No new dials to it, and none of its own.
  void leave(gateway_member& who) noexcept;
  /// Its physical connection is over: each of its virtual connections ends, of which the other ends are told.
  void remove(gateway_member& who, gateway_commands& out);

  /// What a packet from `from` brings about. @return the member that the packet is for, as it is; null: it was for the
  /// gateway, and has been answered. protocol: `from` must be removed, and nobody else has noticed anything: the packet
  /// is a malformed command, one that only the gateway sends, or for a virtual connection of others.
  [[nodiscard]] result<gateway_member*> on_packet(gateway_member& from, const codec::gateway::packet& what,
                                                  gateway_commands& out);

  /// From now on numbers come in another order; those in use stay, and are not given again while they are.
  void renumber(const gateway_numbering& order) noexcept;

  /// From now on these hold; who is above them stays.
  void set_limits(const virtual_connection_limits& limits) noexcept { limits_ = limits; }

  /// From now on every dial is refused.
  void stop_dials() noexcept { stopping_ = true; }
  /// Ends each virtual connection, of which both ends are told.
  void close_all(gateway_commands& out);

  [[nodiscard]] std::size_t size() const noexcept { return by_number_.size(); }
  [[nodiscard]] std::size_t members() const noexcept { return members_; }
  [[nodiscard]] const virtual_connection_counts& counts() const noexcept { return counts_; }

 private:
  static constexpr std::uint32_t k_none = UINT32_MAX;
  struct end {
    gateway_member* who = nullptr;
    std::uint32_t next = k_none;  // slots, in the member's list; of a free slot's first end: the next free one
    std::uint32_t previous = k_none;
  };
  struct slot {
    std::uint32_t number = 0;
    std::array<end, 2> ends;  // client, server
  };
  using members_by_id = boost::unordered_flat_map<std::uint32_t, gateway_member*>;

  void enter(gateway_member& who, gateway_role role, std::uint32_t id) noexcept;
  result<gateway_member*> on_command(gateway_member& from, bytes message, gateway_commands& out);
  void dial(gateway_member& from, std::uint32_t remote, gateway_commands& out);
  void refuse(gateway_member& from, std::uint32_t remote, std::uint64_t& counted, gateway_commands& out);
  void open(gateway_member& from, gateway_member& to, gateway_commands& out);
  /// @return false: the virtual connection belongs to others
  bool close(gateway_member& from, std::uint32_t number, gateway_commands& out);
  [[nodiscard]] std::uint32_t take_slot();
  void end_slot(std::uint32_t at) noexcept;
  void link(std::uint32_t at, gateway_role side, gateway_member& who) noexcept;
  void unlink(std::uint32_t at, gateway_role side) noexcept;
  [[nodiscard]] std::uint32_t next_number() noexcept;
  [[nodiscard]] std::uint32_t permuted(std::uint32_t count) const noexcept;
  [[nodiscard]] members_by_id& by_id(gateway_role role) noexcept {
    return role == gateway_role::client ? clients_ : servers_;
  }

  virtual_connection_limits limits_;
  std::array<std::uint32_t, 4> secret_{};
  std::uint32_t count_ = 0;  // of numbers given; with a secret before it is permuted
  std::uint32_t last_client_ = 0;
  std::size_t members_ = 0;
  bool stopping_ = false;
  std::vector<slot> slots_;
  std::uint32_t free_ = k_none;                                        // the first free slot
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> by_number_;  // to slots
  members_by_id clients_;
  members_by_id servers_;
  virtual_connection_counts counts_;
};

}  // namespace ferry::session
