#pragma once
/// The rules of a gateway, without its sockets: who is there, which virtual connection belongs to whom, and what each
/// packet brings about. Source: docs/gateway.md.
///
///     dial --known, accepting, within the limits--> open --Close of an end, or an end leaves--> gone
///     dial --else--> Refuse
///
/// A gateway may have several tables, each with members of its own, which a directory joins. A virtual connection of
/// members of two tables is a half in each of them, with one number; the other table's members are one `remote` member
/// of their role there. What one table says to another arrives in order.
///
///     half   dial, connect() --> open --ends here--> closing --the other's Close--> gone
///                                     --the other's Close, answered with our own--> gone
///
/// So each half says Close once and hears it once, and when both have heard it nothing of the number is under way any
/// more: it may be given again, and what is late for a half that is gone reaches nobody.
///
/// Not for more than one thread.

#include <ferry/error.hpp>

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <vector>

#include "codec/gateway_packet.hpp"
#include "session/gateway_numbers.hpp"

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
  /// Stands for members of another table.
  [[nodiscard]] bool is_remote() const noexcept { return is_remote_; }

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
  bool is_remote_ = false;
};

/// Takes the commands that the gateway sends. Must not call the table it is called by: who cannot be told any more is
/// removed later.
class gateway_commands {
 public:
  virtual void tell(gateway_member& to, const codec::gateway::command& what) = 0;
  /// A virtual connection with a member of another table begins: connect() there. Where there is one table: never.
  /// @param from  ID of who dialled @param remote  ID of who is dialled
  virtual void dial_through(gateway_member& to, std::uint32_t number, std::uint32_t from, std::uint32_t remote) {
    (void)to, (void)number, (void)from, (void)remote;
  }
  /// Whether a member of this table has room for another dial. If not, the dial is refused, as above a limit.
  [[nodiscard]] virtual bool takes_dial(gateway_member& to) {
    (void)to;
    return true;
  }

 protected:
  ~gateway_commands() = default;
};

/// What the tables of one gateway share: who is where, and which numbers are in use. As one of them sees it, on its
/// thread.
class gateway_directory {
 public:
  enum class answer : std::uint8_t { found, unknown, limit, stopping };
  struct dialled {
    answer what = answer::unknown;
    std::uint32_t number = 0;      ///< in use until each table that has a half of it, or the whole, has released it
    gateway_member* to = nullptr;  ///< of this table, or the remote one of the table that has it
  };
  /// @return its ID
  virtual std::uint32_t add_client(gateway_member& who) = 0;
  virtual void add_server(gateway_member& who, std::uint32_t id) = 0;
  /// It takes no new dials. Its ID may be another one's by now.
  virtual void remove(gateway_member& who) noexcept = 0;
  virtual dialled dial(gateway_role role, std::uint32_t id) = 0;
  virtual void release(std::uint32_t number) = 0;
  /// In use, and this table has had no part in it.
  [[nodiscard]] virtual bool is_of_others(std::uint32_t number) const = 0;

 protected:
  ~gateway_directory() = default;
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
  std::uint64_t refused_limit = 0;     ///< dials above a limit, or to who has no room
  std::uint64_t refused_stopping = 0;  ///< dials after stop_dials()
  std::uint64_t unknown_packets = 0;   ///< for virtual connections that are gone
};

class virtual_connections {
 public:
  /// @param shared  null: this is the only table. Else it numbers, counts and stops dials, and limits but
  /// max_per_client are its own
  explicit virtual_connections(const virtual_connection_limits& limits = {}, const gateway_numbering& order = {},
                               gateway_directory* shared = nullptr);

  /// A client came; it gets the next ID. @return busy: there are max_members
  [[nodiscard]] result<void> add_client(gateway_member& who);
  /// A server that has proved itself. If its ID is in use, it takes the place of whoever had it, for new dials; the
  /// virtual connections of the other one stay as they are. @return busy: there are max_members
  [[nodiscard]] result<void> add_server(gateway_member& who, std::uint32_t id);
  /// All members of that role in another table.
  void add_remote(gateway_member& who, gateway_role role) noexcept;
  /// Who is dialled by that ID, in this table; null: nobody.
  [[nodiscard]] gateway_member* find(gateway_role role, std::uint32_t id) const noexcept;
  /// No new dials to it, and none of its own.
  void leave(gateway_member& who) noexcept;
  /// Its physical connection is over: each of its virtual connections ends, of which the other ends are told.
  void remove(gateway_member& who, gateway_commands& out);

  /// What a packet from `from` brings about. @return the member that the packet is for, as it is; null: it was for the
  /// gateway, and has been answered. protocol: `from` must be removed, and nobody else has noticed anything: the packet
  /// is a malformed command, one that only the gateway sends, or for a virtual connection of others.
  [[nodiscard]] result<gateway_member*> on_packet(gateway_member& from, const codec::gateway::packet& what,
                                                  gateway_commands& out);

  /// The other half of what dial_through() told: who is dialled is told, or, if it is not here any more or has no room,
  /// `through`.
  void connect(gateway_member& through, std::uint32_t number, std::uint32_t from, std::uint32_t remote,
               gateway_commands& out);
  /// The other half has said Close.
  void close_half(gateway_member& through, std::uint32_t number, gateway_commands& out);
  /// Whom a packet of that remote member is for; null: nobody, its half here is gone.
  [[nodiscard]] gateway_member* other_end(const gateway_member& through, std::uint32_t number) const noexcept;

  /// From now on numbers come in another order; those in use stay, and are not given again while they are.
  void renumber(const gateway_numbering& order) noexcept;

  /// From now on these hold; who is above them stays.
  void set_limits(const virtual_connection_limits& limits) noexcept { limits_ = limits; }

  /// From now on every dial is refused.
  void stop_dials() noexcept { stopping_ = true; }
  /// Ends each virtual connection, of which both ends are told.
  void close_all(gateway_commands& out);

  [[nodiscard]] std::size_t size() const noexcept { return by_number_.size(); }
  /// Of these, those that a member of this table dialled.
  [[nodiscard]] std::size_t dialled_here() const noexcept { return dialled_here_; }
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
    bool dialled_here = false;
    std::array<end, 2> ends;  // client, server
  };
  using members_by_id = boost::unordered_flat_map<std::uint32_t, gateway_member*>;

  void enter(gateway_member& who, gateway_role role, std::uint32_t id) noexcept;
  result<gateway_member*> on_command(gateway_member& from, bytes message, gateway_commands& out);
  void dial(gateway_member& from, std::uint32_t remote, gateway_commands& out);
  void refuse(gateway_member& from, std::uint32_t remote, std::uint64_t& counted, gateway_commands& out);
  [[nodiscard]] bool is_of_others(std::uint32_t number) const {
    return shared_ != nullptr && !closing_.contains(number) && shared_->is_of_others(number);
  }
  void dial_shared(gateway_member& from, std::uint32_t remote, gateway_commands& out);
  [[nodiscard]] bool is_above(const gateway_member& from) const noexcept {
    return from.role_ == gateway_role::client && from.connections_ >= limits_.max_per_client;
  }
  void open(gateway_member& from, gateway_member& to, std::uint32_t number, std::uint32_t remote,
            gateway_commands& out);
  void add(std::uint32_t number, gateway_member& one, gateway_member& other, bool dialled_here);
  /// @return false: the virtual connection belongs to others
  bool close(gateway_member& from, std::uint32_t number, gateway_commands& out);
  [[nodiscard]] std::uint32_t take_slot();
  void end(std::uint32_t at);
  void end_slot(std::uint32_t at) noexcept;
  void link(std::uint32_t at, gateway_role side, gateway_member& who) noexcept;
  void unlink(std::uint32_t at, gateway_role side) noexcept;
  [[nodiscard]] members_by_id& by_id(gateway_role role) noexcept {
    return role == gateway_role::client ? clients_ : servers_;
  }

  virtual_connection_limits limits_;
  gateway_directory* shared_;
  gateway_numbers numbers_;
  std::uint32_t last_client_ = 0;
  std::size_t members_ = 0;
  bool stopping_ = false;
  std::vector<slot> slots_;
  std::uint32_t free_ = k_none;                                        // the first free slot
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> by_number_;  // to slots
  members_by_id clients_;
  members_by_id servers_;
  boost::unordered_flat_set<std::uint32_t> closing_;  // numbers of halves that ended here, not yet over there
  std::size_t dialled_here_ = 0;
  virtual_connection_counts counts_;
};

}  // namespace ferry::session
