// A service's connection to its sidecar.
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <boost/asio/post.hpp>
#include <utility>

#include "sidecar/service_parts.hpp"

namespace ferry::detail {

void service_parts::connect() {
  const endpoint to{"ipc", {}, 0, with_.directory + "/" + with_.socket_name, {}};
  attempt_ = where_.transport("ipc")->connect(
      where_, to, options{}, [weak = weak_from_this()](result<std::shared_ptr<stream>> outcome) {
        const auto self = weak.lock();
        if (!self) return;
        self->attempt_.reset();
        if (!outcome) {
          self->machine_.on_lost(outcome.error(), *self);
        } else {
          self->link_ = std::make_shared<sidecar::control_link>(static_cast<sidecar::control_link_owner&>(*self),
                                                                self->where_.io(), std::move(*outcome));
          self->link_->start();
          self->machine_.on_connected(*self);
        }
        self->arm();
      });
}

void service_parts::send(const codec::sidecar::notice& what) {
  if (!link_) return;
  const auto* said = std::get_if<codec::sidecar::registration>(&what);
  if (said == nullptr || rings() == service_rings::compatible) return link_->tell(what);
  auto again = *said;
  again.rings |= codec::sidecar::k_native_in_use;
  link_->tell(again);
}

void service_parts::hang_up() {
  attempt_.reset();
  if (const auto link = std::exchange(link_, nullptr)) link->end();
}

result<void> service_parts::heard(sidecar::control_link& from, const codec::sidecar::notice& what) {
  if (&from != link_.get()) return {};
  machine_.on_notice(what, now(), *this);
  if (pipe_state_ == pipe_state::usable) arm();
  return {};
}

void service_parts::over(sidecar::control_link& which, const error& why) {
  if (&which != link_.get()) return;
  link_.reset();
  machine_.on_lost(why, *this);
  if (pipe_state_ == pipe_state::usable) arm();
}

void service_parts::on_registered(const codec::sidecar::registration_answer& answer) {
  stats_.registrations += 1;
  where_.log(log_level::info, "service", [&] { return "registered on pipe " + own_pipe_; });
  // Not from inside the machine, which may have to be stopped for it.
  boost::asio::post(where_.io(), [weak = weak_from_this(), agreed = answer.rings] {
    if (const auto self = weak.lock()) self->use_rings(agreed);
  });
  tell_registration(answer);
}

void service_parts::on_main_changed(const codec::sidecar::registration_answer& answer) {
  where_.log(log_level::info, "service", [&] {
    return "pipe " + own_pipe_ +
           (answer.is_main != 0 ? " has the main instance now" : " has not the main instance now");
  });
  tell_registration(answer);
}

void service_parts::tell_registration(const codec::sidecar::registration_answer& answer) {
  registered_handler(where_.io(), {answer.is_main != 0, answer.must_migrate != 0, answer.version});
}

void service_parts::on_unregistered(const error& why) {
  where_.log(log_level::warn, "service", [&] { return "the sidecar is lost: " + why.text(); });
  unregistered_handler(where_.io(), why);
}

void service_parts::on_attempt_failed(const error& why) {
  stats_.failed_attempts += 1;
  where_.log(log_level::info, "service", [&] { return "could not register: " + why.text(); });
  attempt_failed_handler(where_.io(), why);
}

void service_parts::on_route_changed(const std::optional<error>& failed) {
  if (auto done = std::move(change_done_)) done(failed ? failed->code() : error_code());
}

void service_parts::on_migration_step(codec::sidecar::control_id which) {
  migration_handler(where_.io(), static_cast<std::int32_t>(which));
}

void service_parts::change_route(completion<error_code> done) {
  if (change_done_) return done(make_error_code(errc::busy));
  change_done_ = std::move(done);
  if (const auto asked = machine_.change_route(now(), *this); !asked) on_route_changed(asked.error());
  if (pipe_state_ == pipe_state::usable) arm();
}

void service_parts::set_condition(service_condition condition) {
  machine_.set_health(static_cast<codec::sidecar::service_health>(condition), now(), *this);
}

result<void> service_parts::report_load(std::int64_t load, std::int64_t capacity) {
  return machine_.report_load(load, capacity, *this);
}

result<void> service_parts::tell_migration_step(std::int32_t step) {
  using codec::sidecar::control_id;
  const auto which = static_cast<control_id>(step);
  if (which != control_id::start_migration_request && which != control_id::new_instance_migrated)
    return error(errc::misuse, "a service tells 801 or 805, not " + std::to_string(step));
  return machine_.tell(which, *this);
}

void service_parts::leave() { machine_.migrate(*this); }
void service_parts::unregister() { machine_.unregister(*this); }

}  // namespace ferry::detail
