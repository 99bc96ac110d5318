#pragma once
/// What a service and its sidecar tell each other on the control socket, as plain values; how they lie in bytes is the
/// business of sidecar_control.hpp (the header) and of src/sidecar/wire/ (the protobuf behind it).
/// Source: docs/sidecar.md.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace ferry::codec::sidecar {

/// What stands in the header of a control message.
enum class control_id : std::int32_t {
  heartbeat = 201,
  register_request = 203,
  register_response = 204,
  connect_notice = 205,     ///< reserved
  disconnect_notice = 207,  ///< reserved
  event_fd_notice = 209,    ///< reserved; of a service whose native rings were agreed on: it writes to them now
  unregister = 211,
  dynamic_load = 213,
  change_pipe_request = 214,
  change_pipe_response = 215,
  start_migration_request = 801,
  start_migration_response = 802,
  sidecar_migrated = 803,
  old_instance_stops = 804,
  new_instance_migrated = 805,
};

/// Bits of `rings`, which is a field of our own, and passed over by others.
/// Bit 0 is not given again: in rings of that name messages had other heads.
inline constexpr std::uint32_t k_native_rings = 8;    ///< asked for; agreed on
inline constexpr std::uint32_t k_ring_barriers = 2;   ///< whoever sleeps pays for the order of the doorbell: membarrier
inline constexpr std::uint32_t k_native_in_use = 4;   ///< of one that comes again: what is compatible is the older part
inline constexpr std::uint32_t k_shared_bodies = 16;  ///< of a native ring: bodies may lie in the service's shared file

/// Service to sidecar: who it is and how it wants to be reached.
struct registration {
  std::string service;  ///< the function's number, in decimal
  std::string entity;   ///< the entity's number, in decimal
  std::vector<std::string> tags{};
  std::uint64_t set_version = 0;
  bool stateful = false;
  bool wants_main = false;
  bool wants_backup = false;
  std::int32_t static_weight = 0;
  std::int32_t dynamic_weight = 0;
  bool healthy = true;
  std::int32_t pipe = 0;
  std::uint32_t unique_id = 0;  ///< of this start of the service
  std::int64_t version = 0;
  std::uint32_t rings = 0;
  friend bool operator==(const registration&, const registration&) = default;
};

/// Sidecar to service.
struct registration_answer {
  std::int32_t code = 0;  ///< 0: taken
  std::string reason{};
  std::int32_t is_main = 0;
  std::int32_t must_migrate = 0;
  std::int64_t version = 0;
  std::uint32_t rings = 0;
  friend bool operator==(const registration_answer&, const registration_answer&) = default;
};

enum class service_health : std::uint8_t { healthy = 0, graceful_exit = 1, fast_exit = 2 };

/// Both ways.
struct heartbeat {
  service_health state = service_health::healthy;
  std::int32_t pipe = 0;
  std::uint32_t unique_id = 0;
  std::uint64_t set_version = 0;
  friend bool operator==(const heartbeat&, const heartbeat&) = default;
};

/// Service to sidecar: messages for its entity shall go to this pipe from now on.
struct change_pipe {
  std::int32_t pipe = 0;
  friend bool operator==(const change_pipe&, const change_pipe&) = default;
};
struct change_pipe_answer {
  std::int32_t result = 0;  ///< 0: done
  friend bool operator==(const change_pipe_answer&, const change_pipe_answer&) = default;
};

/// Service to sidecar.
struct unregistration {
  std::string entity;
  std::int32_t pipe = 0;
  std::uint32_t unique_id = 0;
  friend bool operator==(const unregistration&, const unregistration&) = default;
};

/// Service to sidecar.
struct load_report {
  std::string entity;
  std::int64_t load = 0;
  std::int64_t capacity = 0;
  friend bool operator==(const load_report&, const load_report&) = default;
};

/// 801 .. 805. What they may carry is not known, and is not looked at.
struct migration_step {
  control_id id = control_id::start_migration_request;
  friend bool operator==(const migration_step&, const migration_step&) = default;
};

/// A number that is reserved, or that nobody knows: to be ignored.
struct other_notice {
  std::int32_t id = 0;
  friend bool operator==(const other_notice&, const other_notice&) = default;
};

using notice = std::variant<other_notice, heartbeat, registration, registration_answer, unregistration, load_report,
                            change_pipe, change_pipe_answer, migration_step>;

}  // namespace ferry::codec::sidecar
