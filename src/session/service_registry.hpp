#pragma once
/// The rules of a sidecar's control side, without its sockets: who has registered, on which pipe, who is heard of, who
/// is the main instance, and how one instance hands over to another. Source: docs/sidecar.md.
///
///     link      arriving --RegisterRequest, taken--> registered --UnRegister--> left
///               arriving --too long--> over        registered --not heard of--> over      any --its end--> over
///
///     entity    steady --801 of an instance that is not the main one (802 to it)--> started
///               started --ChangePipe--> switched (803 to both, 804 to the one that was the main one)
///               started, switched --805, or either of them leaves--> steady
///               steady --ChangePipe--> steady
///
/// Not for more than one thread.

#include <ferry/error.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "codec/sidecar_notices.hpp"
#include "session/service_routes.hpp"

namespace ferry::session {

struct service_registry_limits {
  duration registration_timeout = std::chrono::seconds(3);  ///< from the connection's begin to its registration
  duration heartbeat_timeout = std::chrono::seconds(15);    ///< without a heartbeat: it is not there any more
  std::uint32_t links_per_entity = 32;           ///< control connections at a time; above: ended as they come
  std::uint32_t notices_per_second = 1000;       ///< of one link; above: a breach of the protocol
  std::uint32_t registrations_per_second = 200;  ///< of one entity, as each asks for locks; above: refused
};

/// How often something happened in the second that began with the first time.
class counted_second {
 public:
  /// Once more. @return whether that is more than it may
  [[nodiscard]] bool is_above(std::uint32_t limit, time_point now) noexcept;

 private:
  time_point begin_{};
  std::uint32_t count_ = 0;
};

/// Why a registration is refused: RegisterResponse.err_code.
enum class registration_refusal : std::int32_t {
  none = 0,
  other_service = 1,  ///< the names are not those of this directory
  no_such_pipe = 2,
  pipe_taken = 3,     ///< by another process that is there
  bad_tag = 4,        ///< areaN without a number
  pipe_unusable = 5,  ///< it does not hold its lock, or the files are damaged
  too_many = 6,       ///< registrations of this entity in this second
};

/// One control connection, from add() to remove(). What holds the socket derives from it; its address must not change
/// meanwhile.
class service_link {
 public:
  enum class state : std::uint8_t { over, arriving, registered, left };

  service_link() = default;
  service_link(const service_link&) = delete;
  service_link& operator=(const service_link&) = delete;

  [[nodiscard]] state where() const noexcept { return state_; }
  /// Of its registration; before it: the slot alone means something.
  [[nodiscard]] service_address address() const noexcept { return at_; }
  [[nodiscard]] std::int64_t process() const noexcept { return process_; }
  [[nodiscard]] std::uint32_t unique_id() const noexcept { return unique_id_; }
  [[nodiscard]] std::int64_t version() const noexcept { return version_; }
  [[nodiscard]] bool is_stateful() const noexcept { return stateful_; }
  [[nodiscard]] time_point heard() const noexcept { return heard_; }

 protected:
  ~service_link() = default;

 private:
  friend class service_registry;
  state state_ = state::over;
  bool stateful_ = false;
  bool wants_main_ = false;  // it is told when it becomes the main one
  service_address at_;
  std::int64_t process_ = 0;
  std::int64_t version_ = 0;
  std::uint32_t unique_id_ = 0;
  counted_second notices_;
  time_point heard_{};
};

/// Does what the registry asks for. Must not call the registry it is called by.
class service_commands {
 public:
  virtual void tell(service_link& to, const codec::sidecar::notice& what) = 0;
  /// The registry knows it no more; its socket must be closed.
  virtual void end(service_link& which, const error& why) = 0;
  /// Why a process cannot register on that pipe; empty: it holds its lock, and the files are whole.
  [[nodiscard]] virtual std::string unusable(service_address pipe, std::int64_t process) = 0;
  /// From now on messages of this pipe are read.
  virtual void attached(service_address pipe) = 0;
  /// What its instance has written is still read; then no more of it.
  virtual void detached(service_address pipe) = 0;

 protected:
  ~service_commands() = default;
};

struct service_registry_counts {
  std::uint64_t registered = 0;  ///< taken, ever
  std::uint64_t refused = 0;     ///< registrations
  std::uint64_t unregistered = 0;
  std::uint64_t lost = 0;       ///< registered ones whose link ended without UnRegister
  std::uint64_t timed_out = 0;  ///< of these and those arriving: nothing was heard
  std::uint64_t breaches = 0;   ///< links ended because they broke the protocol
  std::uint64_t switches = 0;   ///< ChangePipe done
};

class service_registry {
 public:
  explicit service_registry(const service_registry_limits& limits = {}) : limits_(limits) {}

  /// As of service_routes::add().
  [[nodiscard]] result<std::uint32_t> add_entity(const service_entity& what);
  /// Ends its links.
  void remove_entity(std::uint32_t slot, service_commands& out);

  /// A connection to the control socket of that entity. @param process  at its other end, as the kernel says
  /// @return busy: there are links_per_entity
  [[nodiscard]] result<void> add(service_link& who, std::uint32_t slot, std::int64_t process, time_point now);
  /// Its connection is over.
  void remove(service_link& who, service_commands& out);

  /// @return protocol: `who` has broken the protocol; it must be removed and closed
  [[nodiscard]] result<void> on_notice(service_link& who, const codec::sidecar::notice& what, time_point now,
                                       service_commands& out);
  /// Ends whom nothing was heard of for too long. @return when to ask again
  time_point tick(time_point now, service_commands& out);

  /// From now on these hold.
  void set_limits(const service_registry_limits& limits) noexcept { limits_ = limits; }

  [[nodiscard]] const service_routes& routes() const noexcept { return routes_; }
  [[nodiscard]] const service_registry_counts& counts() const noexcept { return counts_; }
  /// Null: nobody has registered on that pipe.
  [[nodiscard]] const service_link* on_pipe(service_address at) const noexcept;
  /// Between StartMigrate and its end.
  [[nodiscard]] bool is_migrating(std::uint32_t slot) const noexcept { return places_[slot].step != migration::steady; }

 private:
  enum class migration : std::uint8_t { steady, started, switched };
  struct place {
    std::vector<service_link*> links;  // all of its links
    migration step = migration::steady;
    service_link* leaving = nullptr;  // of a migration
    service_link* coming = nullptr;
    counted_second registrations;
  };

  result<void> on(service_link& who, const codec::sidecar::registration& what, time_point now, service_commands& out);
  void refuse(service_link& who, registration_refusal why, std::string reason, service_commands& out);
  result<void> on(service_link& who, const codec::sidecar::heartbeat& what, service_commands& out);
  result<void> on(service_link& who, const codec::sidecar::unregistration& what, service_commands& out);
  result<void> on(service_link& who, const codec::sidecar::load_report& what);
  result<void> on(service_link& who, const codec::sidecar::change_pipe& what, service_commands& out);
  result<void> on(service_link& who, const codec::sidecar::migration_step& what, service_commands& out);

  [[nodiscard]] registration_refusal judge(const service_link& who, const codec::sidecar::registration& what,
                                           service_instance& made, std::string& why, service_commands& out) const;
  void enter(service_link& who, const codec::sidecar::registration& what, const service_instance& made,
             service_commands& out);
  void detach(service_link& who, service_link::state then, service_commands& out);
  void tell_main(std::uint32_t slot, service_commands& out);
  [[nodiscard]] codec::sidecar::registration_answer answer_to(const service_link& who) const;
  [[nodiscard]] service_link* find(service_address at) const noexcept;

  service_registry_limits limits_;
  service_routes routes_;
  std::vector<place> places_;  // by slot
  service_registry_counts counts_;
};

}  // namespace ferry::session
