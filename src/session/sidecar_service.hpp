#pragma once
/// What a service has to keep in mind about its sidecar: registration, heartbeats, the switch of its route. Without its
/// socket, rings and lock: what came in, what shall go out. Source: docs/sidecar.md.
///
///     none --start: the pipe is locked, its rings are mapped--> inited --on_time: connect--> dialling
///     dialling --connected: RegisterRequest--> registering --RegisterResponse, taken--> registered
///     dialling, registering --failed, refused, too long--> waiting --the retry interval is over: connect--> dialling
///     registered --RegisterResponse: the main instance is another one--> registered
///     registered --the connection ends, breaks the protocol, or the registration is refused now--> waiting
///     any but none --migrate, unregister--> migrating: the connection is closed on purpose, the rings are still read
///     any --stop: UnRegister, if it was registered--> stopped
///
/// Not for more than one thread.

#include <ferry/error.hpp>

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "codec/sidecar_notices.hpp"

namespace ferry::session {

struct sidecar_service_options {
  codec::sidecar::registration self;                        ///< what it registers as
  duration retry_interval = std::chrono::seconds(1);        ///< from one attempt to register to the next
  duration attempt_timeout = std::chrono::seconds(3);       ///< of one: until it is registered
  duration heartbeat_timeout = std::chrono::seconds(15);    ///< the sidecar's; a heartbeat every third of it,
  duration min_heartbeat = std::chrono::milliseconds(500);  ///< but not more often than this
  duration answer_timeout = std::chrono::seconds(3);        ///< of a change of the route
};

/// Does what the service asks for. Must not call the service that it is called by.
class sidecar_service_output {
 public:
  /// A new connection to the sidecar. on_connected() or on_lost() follows, later.
  virtual void connect() = 0;
  virtual void send(const codec::sidecar::notice& what) = 0;
  /// The connection, or the attempt, is over, when what was sent on it is written; nothing of it is reported any more.
  virtual void hang_up() = 0;

  virtual void on_registered(const codec::sidecar::registration_answer& answer) = 0;
  /// It was registered before, and is told anew whether it is the main instance. Rings stay as they are.
  virtual void on_main_changed(const codec::sidecar::registration_answer& answer) = 0;
  /// It was registered, and is not any more; an attempt follows.
  virtual void on_unregistered(const error& why) = 0;
  /// An attempt has failed; another one follows.
  virtual void on_attempt_failed(const error& why) = 0;
  /// The outcome of change_route(): nothing, or refused (by the sidecar, with its number) | timeout | closed.
  virtual void on_route_changed(const std::optional<error>& failed) = 0;
  /// 801 .. 805, from the sidecar.
  virtual void on_migration_step(codec::sidecar::control_id which) = 0;

 protected:
  ~sidecar_service_output() = default;
};

class sidecar_service {
 public:
  enum class state : std::uint8_t { none, inited, waiting, dialling, registering, registered, migrating, stopped };

  explicit sidecar_service(sidecar_service_options options) : options_(std::move(options)) {}

  /// The pipe is locked and mapped; the first attempt is due at once. @param pipe  its index
  void start(std::uint32_t pipe, time_point now) noexcept;
  void on_connected(sidecar_service_output& out);
  /// The connection ended, or could not be made.
  void on_lost(const error& why, sidecar_service_output& out);
  void on_notice(const codec::sidecar::notice& what, time_point now, sidecar_service_output& out);
  /// To be called at next(), or whenever.
  void on_time(time_point now, sidecar_service_output& out);
  [[nodiscard]] std::optional<time_point> next() const noexcept;

  /// A heartbeat tells it at once, if it is registered.
  void set_health(codec::sidecar::service_health health, time_point now, sidecar_service_output& out);
  /// Messages for our entity shall come to our pipe. The outcome is told. @return closed: not registered | busy: the
  /// answer to another one is awaited
  [[nodiscard]] result<void> change_route(time_point now, sidecar_service_output& out);
  /// What the sidecar weighs it by. @return closed: not registered
  [[nodiscard]] result<void> report_load(std::int64_t load, std::int64_t capacity, sidecar_service_output& out);
  /// Tells a step of a migration. @return closed: not registered
  [[nodiscard]] result<void> tell(codec::sidecar::control_id step, sidecar_service_output& out);
  /// Leaves the control socket on purpose.
  void migrate(sidecar_service_output& out);
  /// As migrate(), after an UnRegister, where it was registered.
  void unregister(sidecar_service_output& out);
  /// UnRegister, where it was registered; the connection is left to the caller, who ends it when that is written.
  /// @return whether something was sent
  bool stop(sidecar_service_output& out);

  [[nodiscard]] state where() const noexcept { return state_; }

 private:
  void enter(state next) noexcept { state_ = next; }
  void dial(time_point now, sidecar_service_output& out);
  void fail(const error& why, sidecar_service_output& out);
  void beat(time_point now, sidecar_service_output& out);
  void end_change(const std::optional<error>& failed, sidecar_service_output& out);
  void on_answer(const codec::sidecar::registration_answer& what, time_point now, sidecar_service_output& out);
  [[nodiscard]] duration heartbeat_interval() const noexcept;

  sidecar_service_options options_;
  state state_ = state::none;
  codec::sidecar::service_health health_ = codec::sidecar::service_health::healthy;
  time_point attempt_{};                      // when the last one began
  time_point beat_at_{};                      // registered: the next heartbeat
  std::optional<time_point> change_until_{};  // an answer to change_route() is awaited
};

}  // namespace ferry::session
