#include "session/sidecar_service.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

namespace ferry::session {

using namespace codec::sidecar;

void sidecar_service::start(std::uint32_t pipe, time_point now) noexcept {
  options_.self.pipe = static_cast<std::int32_t>(pipe);
  attempt_ = now - options_.retry_interval;
  enter(state::inited);
}

duration sidecar_service::heartbeat_interval() const noexcept {
  return std::max(options_.min_heartbeat, options_.heartbeat_timeout / 3);
}

void sidecar_service::dial(time_point now, sidecar_service_output& out) {
  attempt_ = now;
  enter(state::dialling);
  out.connect();
}

void sidecar_service::on_connected(sidecar_service_output& out) {
  if (state_ != state::dialling) return;
  enter(state::registering);
  auto self = options_.self;
  self.healthy = health_ == service_health::healthy;
  out.send(self);
}

// Whatever went wrong on the connection, it ends, and another one is made.
void sidecar_service::fail(const error& why, sidecar_service_output& out) {
  const bool was_registered = state_ == state::registered;
  enter(state::waiting);
  out.hang_up();
  if (!was_registered) return out.on_attempt_failed(why);
  end_change(error(errc::closed, "the connection to the sidecar ended: " + why.text()), out);
  out.on_unregistered(why);
}

void sidecar_service::on_lost(const error& why, sidecar_service_output& out) {
  switch (state_) {
    case state::dialling:
    case state::registering:
    case state::registered: return fail(why, out);
    case state::none:
    case state::inited:
    case state::waiting:
    case state::migrating:
    case state::stopped: return;
  }
}

void sidecar_service::on_answer(const registration_answer& what, time_point now, sidecar_service_output& out) {
  if (state_ != state::registering && state_ != state::registered)
    return on_lost(error(errc::protocol, "the sidecar answered a registration that was not asked for"), out);
  if (what.code != 0)
    return fail(error(errc::auth,
                      "the sidecar refused the registration: " + what.reason + " (" + std::to_string(what.code) + ")"),
                out);
  if (state_ == state::registered) return out.on_main_changed(what);
  enter(state::registered);
  beat_at_ = now + heartbeat_interval();
  out.on_registered(what);
}

void sidecar_service::on_notice(const notice& what, time_point now, sidecar_service_output& out) {
  if (const auto* answer = std::get_if<registration_answer>(&what)) return on_answer(*answer, now, out);
  if (state_ != state::registered) return;
  if (const auto* changed = std::get_if<change_pipe_answer>(&what)) {
    if (!change_until_) return;
    if (changed->result == 0) return end_change(std::nullopt, out);
    return end_change(
        error(errc::refused, "the sidecar refused to change the route: " + std::to_string(changed->result)), out);
  }
  if (const auto* step = std::get_if<migration_step>(&what)) out.on_migration_step(step->id);
}

void sidecar_service::beat(time_point now, sidecar_service_output& out) {
  beat_at_ = now + heartbeat_interval();
  out.send(heartbeat{.state = health_,
                     .pipe = options_.self.pipe,
                     .unique_id = options_.self.unique_id,
                     .set_version = options_.self.set_version});
}

void sidecar_service::end_change(const std::optional<error>& failed, sidecar_service_output& out) {
  if (std::exchange(change_until_, std::nullopt)) out.on_route_changed(failed);
}

void sidecar_service::on_time(time_point now, sidecar_service_output& out) {
  switch (state_) {
    case state::inited:
    case state::waiting:
      if (now >= attempt_ + options_.retry_interval) dial(now, out);
      return;
    case state::dialling:
    case state::registering:
      if (now >= attempt_ + options_.attempt_timeout)
        fail(error(errc::timeout, state_ == state::dialling ? "the sidecar could not be reached in time"
                                                            : "the sidecar did not answer the registration in time"),
             out);
      return;
    case state::registered:
      if (now >= beat_at_) beat(now, out);
      if (change_until_ && now >= *change_until_)
        end_change(error(errc::timeout, "the sidecar did not answer the change of the route in time"), out);
      return;
    case state::none:
    case state::migrating:
    case state::stopped: return;
  }
}

std::optional<time_point> sidecar_service::next() const noexcept {
  switch (state_) {
    case state::inited:
    case state::waiting: return attempt_ + options_.retry_interval;
    case state::dialling:
    case state::registering: return attempt_ + options_.attempt_timeout;
    case state::registered: return change_until_ ? std::min(beat_at_, *change_until_) : beat_at_;
    case state::none:
    case state::migrating:
    case state::stopped: return std::nullopt;
  }
  __builtin_unreachable();  // state_ is assigned in enter() only
}

void sidecar_service::set_health(service_health health, time_point now, sidecar_service_output& out) {
  health_ = health;
  if (state_ == state::registered) beat(now, out);
}

result<void> sidecar_service::change_route(time_point now, sidecar_service_output& out) {
  if (state_ != state::registered) return error(errc::closed, "the service is not registered, its route cannot change");
  if (change_until_) return error(errc::busy, "the route is being changed already");
  change_until_ = now + options_.answer_timeout;
  out.send(change_pipe{options_.self.pipe});
  return {};
}

result<void> sidecar_service::report_load(std::int64_t load, std::int64_t capacity, sidecar_service_output& out) {
  if (state_ != state::registered)
    return error(errc::closed, "the service is not registered, nobody asks for its load");
  out.send(load_report{options_.self.entity, load, capacity});
  return {};
}

result<void> sidecar_service::tell(control_id step, sidecar_service_output& out) {
  if (state_ != state::registered) return error(errc::closed, "the service is not registered, it cannot migrate");
  out.send(migration_step{step});
  return {};
}

void sidecar_service::migrate(sidecar_service_output& out) {
  if (state_ == state::none || state_ == state::stopped || state_ == state::migrating) return;
  enter(state::migrating);
  out.hang_up();
  end_change(error(errc::closed, "the service left its sidecar"), out);
}

void sidecar_service::unregister(sidecar_service_output& out) {
  if (state_ == state::registered)
    out.send(unregistration{options_.self.entity, options_.self.pipe, options_.self.unique_id});
  migrate(out);
}

bool sidecar_service::stop(sidecar_service_output& out) {
  const bool tells = state_ == state::registered;
  enter(state::stopped);
  if (tells) out.send(unregistration{options_.self.entity, options_.self.pipe, options_.self.unique_id});
  end_change(error(errc::closed, "the service was stopped"), out);
  return tells;
}

}  // namespace ferry::session
