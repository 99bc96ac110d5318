#pragma once
/// How a sidecar is set up. Source of names and defaults: docs/sidecar.md.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "session/pipe_lease.hpp"

namespace ferry::sidecar {

inline constexpr std::uint64_t k_least_queue_bytes = 4096;
inline constexpr std::uint64_t k_most_queue_bytes = (1ull << 32) - 4096;  ///< the whole file stays below 4 GiB
inline constexpr std::uint64_t k_least_shared_bytes = 64u << 10;
inline constexpr std::uint64_t k_most_shared_bytes = 1u << 30;
inline constexpr std::uint32_t k_own_uid = UINT32_MAX;

/// Where the instances of one entity and the sidecar meet: a directory of files.
struct entity_settings {
  std::uint32_t service = 0;
  std::uint32_t entity = 0;
  std::string directory;
  std::uint32_t pipes = 1;
  std::string socket_name = "sidecar.sock";
  std::string receive_name = "recv.shm";  ///< what the service reads; behind it the number of the pipe, from 1 on
  std::string send_name = "send.shm";     ///< what the service writes
  std::string lock_name = "client.lock";  ///< with the number of the pipe, from 0 on
  std::uint64_t receive_bytes = 8u << 20;
  std::uint64_t send_bytes = 8u << 20;
  bool native = true;                       ///< instances that ask for native rings get them
  std::uint32_t owner = k_own_uid;          ///< of the files; another one than its own needs root
  std::vector<std::uint32_t> allowed_uids;  ///< who may register besides the owner
  std::string tag;                          ///< of instances that bring no areaN themselves

  friend bool operator==(const entity_settings&, const entity_settings&) = default;
};

/// What happens to a message whose receiver's ring is full.
enum class full_ring : std::uint8_t {
  hold,  ///< whoever sent it is read no further until there is room, at most for `hold`
  drop,  ///< it is dropped and counted
};

struct settings {
  std::vector<entity_settings> entities;
  full_ring when_full = full_ring::hold;
  duration hold = std::chrono::seconds(5);         ///< longest wait of one message; then it is dropped and counted
  duration message_age = std::chrono::seconds(6);  ///< older ones are dropped and counted; 0: none is too old
  duration registration_timeout = std::chrono::seconds(3);
  duration heartbeat_timeout = std::chrono::seconds(15);
  /// Whoever holds the lock of a pipe, has not registered there, and does not renew its lease for so long has stopped:
  /// the pipe is taken from it.
  duration lease = session::k_lease_seconds * std::chrono::seconds(1);
  duration poll_interval = std::chrono::milliseconds(1);  ///< longest sleep between two looks at the rings
  duration spin = std::chrono::microseconds(50);          ///< how long it looks without sleep after the last message
  bool check_source = true;  ///< a message that says it comes from another entity than its ring is dropped, but
                             ///< for one that an instance hands on to the other one of its entity
  /// Of a file in which a body lies once that several entities of one service get; there is one for each service that
  /// has several, and whose instances ask for it. 0: each gets a copy.
  std::uint64_t shared_bytes = 16u << 20;
  bool return_undeliverable = false;  ///< what reaches nobody comes back to its sender with a return code
  std::int32_t undeliverable_code = -1;
};

}  // namespace ferry::sidecar
