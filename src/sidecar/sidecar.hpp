#pragma once
/// The sidecar: services of one host that reach each other through rings in files. Source: docs/sidecar.md.

#include <ferry/context.hpp>
#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "session/service_registry.hpp"
#include "sidecar/forwarder.hpp"
#include "sidecar/settings.hpp"

namespace ferry::sidecar {

struct daemon_counts {
  session::service_registry_counts control;
  forwarder_counts data;
  std::uint64_t turned_away = 0;  ///< connections of users that may not, or above a limit
  std::uint64_t missing = 0;      ///< entities in the configuration that could not be made, and are tried again
};

/// One pipe, for operators.
struct pipe_view {
  std::uint32_t service = 0, entity = 0, pipe = 0;
  pipe::state where = pipe::state::idle;
  bool is_held = false;  ///< somebody has its lock
  bool is_main = false;
  std::string health;  ///< empty, as what follows: nobody has registered
  std::uint32_t zone = 0;
  std::uint64_t set_version = 0, weight = 0;
  std::int64_t process = 0;
  std::int64_t version = 0;
  duration silent{};                             ///< since its last heartbeat
  std::uint32_t unread_to = 0, unread_from = 0;  ///< bytes in its rings
  std::uint64_t size_to = 0, size_from = 0;      ///< of these
  pipe_counts counts;
  ring::sidecar_ring_stats from;  ///< of the ring that it writes
};

/// Runs on the context's io_context. The context must outlive it.
class daemon {
 public:
  /// Makes directories, files and sockets of all entities. Those of which some cannot be made are tried again every 5
  /// s, which the log says; it fails if none can be. @return permission | address_in_use: another sidecar is there |
  /// no_memory ..., with the entity
  [[nodiscard]] static result<daemon> open(context& where, const settings& with);
  daemon(daemon&&) noexcept;
  daemon& operator=(daemon&&) noexcept;
  /// Closes everything at once. Rings stay, with what is in them.
  ~daemon();

  [[nodiscard]] daemon_counts stats() const;
  [[nodiscard]] std::vector<pipe_view> pipes() const;
  [[nodiscard]] std::size_t entities() const noexcept;
  [[nodiscard]] bool is_stopping() const noexcept;

  /// From now on these settings hold: entities that are new come, those that are there no more go, with their control
  /// connections. @return texts of what could not be done, or stays as it was until the next start
  std::vector<std::string> change(const settings& with);

  /// Takes nobody new; when all that lies in the rings has been read, or after `within`, closes all and calls `done`,
  /// from the event loop.
  void stop(duration within, std::function<void()> done);

 private:
  class parts;
  explicit daemon(std::shared_ptr<parts> made);
  std::shared_ptr<parts> parts_;
};

}  // namespace ferry::sidecar
