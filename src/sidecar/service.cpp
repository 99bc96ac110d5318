#include <utility>

#include "codec/sidecar_notices.hpp"
#include "net/event_loop.hpp"
#include "os/socket.hpp"
#include "sidecar/service_parts.hpp"

namespace ferry {
namespace {

constexpr std::uint32_t k_max_pipes = 1024;

result<void> check(const service_options& with) {
  const auto bad = [](const std::string& text) { return error(errc::bad_option, text); };
  const auto none = service_options::duration::zero();
  if (with.directory.empty()) return bad("directory: the sidecar's for this service is missing");
  if (with.pipes < 1 || with.pipes > k_max_pipes)
    return bad("pipes: " + std::to_string(with.pipes) + ", it must be 1 .. " + std::to_string(k_max_pipes));
  if (with.batch < 1) return bad("batch: 1 message in a turn is the least");
  if (with.retry_interval <= none || with.register_timeout <= none || with.heartbeat_timeout <= none ||
      with.min_heartbeat <= none || with.answer_timeout <= none || with.poll_interval <= none)
    return bad(
        "retry_interval, register_timeout, heartbeat_timeout, min_heartbeat, answer_timeout, poll_interval: a "
        "time that is not above 0");
  if (with.ring_wait < none || with.message_validity.count() < 0)
    return bad("ring_wait, message_validity: a time below 0");
  for (const auto* name : {&with.socket_name, &with.receive_name, &with.send_name, &with.lock_name})
    if (name->empty() || name->find('/') != std::string::npos)
      return bad("'" + *name + "' is no name of a file in the directory");
  if (const auto address = os::unix_address(with.directory + "/" + with.socket_name); !address) return address.error();
  return {};
}

}  // namespace

const char* to_string(service_state state) noexcept {
  switch (state) {
    case service_state::none: return "none";
    case service_state::inited: return "inited";
    case service_state::connecting: return "connecting";
    case service_state::registered: return "registered";
    case service_state::migrating: return "migrating";
    case service_state::stopped: return "stopped";
  }
  return "unknown";
}

result<service> service::make(context& where, service_options with) {
  if (const auto fine = check(with); !fine) return fine.error();
  if (with.version == 0)
    with.version = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  if (with.unique_id == 0) with.unique_id = static_cast<std::uint32_t>(with.version ^ with.version >> 32);
  const auto made = std::make_shared<detail::service_parts>(where, std::move(with));
  // When the last handle goes, all is closed; what the event loop still holds then ends by itself.
  return service({made.get(), [made](detail::service_parts*) { made->close(); }});
}

result<void> service::start() { return parts_->start(); }
void service::on_message(std::function<void(const service_message&)> handler) {
  parts_->on_message(std::move(handler));
}
void service::on_registered(std::function<void(const service_registration&)> handler) {
  parts_->registered_handler = std::move(handler);
}
void service::on_unregistered(std::function<void(const error&)> handler) {
  parts_->unregistered_handler = std::move(handler);
}
void service::on_attempt_failed(std::function<void(const error&)> handler) {
  parts_->attempt_failed_handler = std::move(handler);
}
void service::on_fault(std::function<void(const error&)> handler) { parts_->fault_handler = std::move(handler); }
void service::on_migration_step(std::function<void(std::int32_t)> handler) {
  parts_->migration_handler = std::move(handler);
}
void service::on_failed(std::function<void(const error&)> handler) { parts_->failed_handler = std::move(handler); }

result<void> service::send(const service_route& route, const service_package& package, bytes body) {
  return parts_->send(route, package, body);
}
result<std::size_t> service::send(std::span<const service_message> all) { return parts_->send(all); }
result<void> service::reply(const service_message& to, const service_package& answer, bytes body) {
  return parts_->reply(to, answer, body);
}
result<void> service::forward(const service_message& what) { return parts_->forward(what); }
bool service::is_to_current_instance(const service_message& what) const { return parts_->is_to_current_instance(what); }

std::size_t service::poll() { return parts_->poll(); }

void service::start_change_route(detail::service_parts& of, detail::completion<error_code> done) {
  of.change_route(std::move(done));
}
void service::start_stop(detail::service_parts& of, options::duration deadline, detail::completion<error_code> done) {
  of.stop(deadline, std::move(done));
}

result<bool> service::other_instance_is_there() const { return parts_->other_instance_is_there(); }
void service::set_condition(service_condition condition) { parts_->set_condition(condition); }
result<void> service::report_load(std::int64_t load, std::int64_t capacity) {
  return parts_->report_load(load, capacity);
}
result<void> service::tell_migration_step(std::int32_t step) { return parts_->tell_migration_step(step); }
void service::stop_receive() { parts_->stop_receive(); }
void service::leave() { parts_->leave(); }
void service::unregister() { parts_->unregister(); }
void service::close() { parts_->close(); }

service_state service::state() const { return parts_->state(); }
std::optional<std::uint32_t> service::pipe() const { return parts_->pipe(); }
service_rings service::rings() const { return parts_->rings(); }
service_stats service::stats() const { return parts_->stats(); }
service_usage service::take_usage() { return parts_->take_usage(); }
std::uint32_t service::unread_bytes() const { return parts_->unread_bytes(); }
const service_options& service::with() const { return parts_->with(); }
boost::asio::io_context::executor_type service::executor() const { return parts_->where().io().get_executor(); }

}  // namespace ferry
