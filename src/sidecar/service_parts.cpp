// A service's life: the pipe, the lease, the deadlines, the end.
#include "sidecar/service_parts.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "os/barrier.hpp"

namespace ferry::detail {
namespace {

constexpr auto k_ring_look = std::chrono::milliseconds(100);  // for rings that the sidecar has not made yet
constexpr auto k_taken_look = std::chrono::milliseconds(1);   // whether the sidecar has taken all that was sent

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::uint32_t rings_asked_for(const service_options& with) {
  using namespace codec::sidecar;
  if (with.rings == service_rings::compatible) return 0;
  return k_native_rings | k_shared_bodies | (os::barriers_work() ? k_ring_barriers : 0);
}

session::sidecar_service_options machine_options(const service_options& with) {
  return {.self = {.service = std::to_string(with.number),
                   .entity = std::to_string(with.entity),
                   .tags = with.tags,
                   .set_version = with.set_version,
                   .stateful = with.stateful,
                   .wants_main = with.wants_main,
                   .wants_backup = with.wants_backup,
                   .static_weight = with.static_weight,
                   .dynamic_weight = with.dynamic_weight,
                   .unique_id = with.unique_id,
                   .version = static_cast<std::int64_t>(with.version),
                   .rings = rings_asked_for(with)},
          .retry_interval = with.retry_interval,
          .attempt_timeout = with.register_timeout,
          .heartbeat_timeout = with.heartbeat_timeout,
          .min_heartbeat = with.min_heartbeat,
          .answer_timeout = with.answer_timeout};
}

}  // namespace

service_parts::service_parts(context& where, service_options with)
    : where_(where),
      with_(std::move(with)),
      house_(where.residents()),
      machine_(machine_options(with_)),
      timer_(where.io()),
      look_timer_(where.io()),
      own_note_(std::to_string(with_.entity) + "ShmPipeIdx") {
  house_->add(this);
}

service_parts::~service_parts() { house_->remove(this); }

result<void> service_parts::start() {
  if (pipe_state_ != pipe_state::none) return error(errc::misuse, "the service was started already");
  auto picked = sidecar::service_pipe::pick(with_, with_.version);
  if (!picked) return picked.error();
  pipe_ = std::make_unique<sidecar::service_pipe>(std::move(*picked));
  own_pipe_ = std::to_string(pipe_->index());
  own_row_ = codec::sidecar::instance_row(with_.entity, pipe_->index());
  lease_.emplace(now());
  rings_until_ = now() + with_.ring_wait;
  pipe_state_ = pipe_state::waiting;
  // Not from inside this call: what it finds may be told to handlers.
  boost::asio::post(where_.io(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->tick();
  });
  return {};
}

// Everything that has a time.
void service_parts::tick() {
  const auto self = shared_from_this();
  if (pipe_state_ == pipe_state::waiting) find_rings();
  if (pipe_state_ == pipe_state::waiting || pipe_state_ == pipe_state::usable) keep_lease();
  if (pipe_state_ == pipe_state::usable) machine_.on_time(now(), *this);
  if (pipe_state_ == pipe_state::ending) look_whether_taken();
  arm();
}

void service_parts::arm() {
  std::optional<time_point> next;
  const auto at = [&](std::optional<time_point> when) {
    if (when && (!next || *when < *next)) next = when;
  };
  switch (pipe_state_) {
    case pipe_state::none:
    case pipe_state::gone: break;
    case pipe_state::waiting:
      at(now() + k_ring_look);
      at(lease_->next());
      break;
    case pipe_state::usable:
      at(machine_.next());
      at(lease_->next());
      break;
    case pipe_state::ending: at(now() + k_taken_look); break;
  }
  if (!next) return static_cast<void>(timer_.cancel());
  timer_.expires_at(*next);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& failed) {
    if (failed) return;
    if (const auto self = weak.lock()) self->tick();
  });
}

void service_parts::find_rings() {
  const auto mapped = pipe_->map(with_);
  if (!mapped) return fail(mapped.error());
  if (!*mapped) {
    if (now() >= rings_until_)
      fail(error(errc::timeout, "the sidecar has not made the rings of pipe " + own_pipe_ + " in " + with_.directory +
                                    " within " + std::to_string(with_.ring_wait / std::chrono::milliseconds(1)) +
                                    " ms"));
    return;
  }
  pipe_state_ = pipe_state::usable;
  {
    const std::lock_guard guard(send_lock_);
    can_send_ = true;
  }
  machine_.start(pipe_->index(), now());
  look_soon();
}

void service_parts::keep_lease() {
  auto action = lease_->on_time(now());
  error why;
  while (action != session::lease_action::none) {
    if (action == session::lease_action::renew) {
      const auto renewed = pipe_->renew(unix_seconds());
      if (renewed) stats_.renewals += 1;
      if (!renewed) why = renewed.error();
      action = lease_->on_renewed(renewed.has_value(), now());
    } else if (action == session::lease_action::relock) {
      const auto locked = pipe_->relock(with_);
      if (!locked) why = locked.error();
      action = lease_->on_relocked(locked.has_value());
    } else {
      return fail(why.in("the pipe " + own_pipe_ + " is lost"));
    }
  }
}

void service_parts::let_pipe_go() {
  pipe_state_ = pipe_state::gone;
  timer_.cancel();
  stop_looking();
  const std::lock_guard guard(send_lock_);
  can_send_ = false;
  if (takes_ && pipe_) kept().pipe = std::move(pipe_);  // a turn that is under way goes on with it to its end
  pipe_.reset();
}

// The pipe must not be used any more.
void service_parts::fail(const error& why) {
  where_.log(log_level::error, "service", [&] { return why.text(); });
  (void)machine_.stop(*this);
  hang_up();
  let_pipe_go();
  failed_handler(where_.io(), why);
  finish_stop(make_error_code(why.reason()));
}

void service_parts::stop(duration deadline, completion<error_code> done) {
  if (pipe_state_ == pipe_state::ending) return done(make_error_code(errc::misuse));
  const auto self = shared_from_this();
  stop_done_ = std::move(done);
  (void)machine_.stop(*this);
  hang_up();
  if (pipe_state_ != pipe_state::usable) {
    let_pipe_go();
    return finish_stop({});
  }
  pipe_state_ = pipe_state::ending;
  stop_looking();
  {
    const std::lock_guard guard(send_lock_);
    can_send_ = false;
  }
  stop_until_ = now() + std::min(deadline, k_longest_wait);
  look_whether_taken();
  arm();
}

void service_parts::look_whether_taken() {
  const auto unread = pipe_->unread_by_sidecar();
  if (unread != 0 && now() < stop_until_ && !pipe_->torn()) return;
  let_pipe_go();
  finish_stop(unread == 0 ? error_code() : make_error_code(errc::timeout));
}

// They may hold handles of this service.
void service_parts::drop_handlers() {
  set_message_handler(nullptr);
  registered_handler = nullptr;
  for (auto* handler : {&unregistered_handler, &attempt_failed_handler, &fault_handler, &failed_handler})
    *handler = nullptr;
  migration_handler = nullptr;
}

void service_parts::finish_stop(error_code outcome) {
  if (auto done = std::move(stop_done_)) done(outcome);
  drop_handlers();
}

void service_parts::close() {
  const auto self = shared_from_this();
  if (takes_) kept().self = self;  // its last handle may go next
  if (pipe_state_ == pipe_state::gone) return;
  (void)machine_.stop(*this);
  hang_up();
  let_pipe_go();
  finish_stop(make_error_code(errc::closed));
}

void service_parts::abandon() noexcept {
  attempt_.reset();
  if (link_) link_->close();
  link_.reset();
  let_pipe_go();
  change_done_ = {};
  stop_done_ = {};
  drop_handlers();
}

void service_parts::stop_receive() {
  receives_ = false;
  stop_looking();
}

service_state service_parts::state() const noexcept {
  using machine = session::sidecar_service::state;
  if (pipe_state_ == pipe_state::ending || pipe_state_ == pipe_state::gone) return service_state::stopped;
  switch (machine_.where()) {
    case machine::none: return service_state::none;
    case machine::inited: return service_state::inited;
    case machine::waiting:
    case machine::dialling:
    case machine::registering: return service_state::connecting;
    case machine::registered: return service_state::registered;
    case machine::migrating: return service_state::migrating;
    case machine::stopped: return service_state::stopped;
  }
  __builtin_unreachable();  // all values are there
}

std::optional<std::uint32_t> service_parts::pipe() const noexcept {
  return pipe_ ? std::optional(pipe_->index()) : std::nullopt;
}

service_rings service_parts::rings() const noexcept { return pipe_ ? pipe_->writes() : service_rings::compatible; }

result<bool> service_parts::other_instance_is_there() const {
  for (std::uint32_t i = 0; i < with_.pipes; ++i) {
    if (pipe_ && i == pipe_->index()) continue;
    auto held = os::pipe_lock::held(sidecar::lock_path(with_, i));
    if (!held || *held) return held;
  }
  return false;
}

}  // namespace ferry::detail
