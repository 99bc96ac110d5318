#include "sidecar/wire/control_messages.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/utf8_validator.hpp"
#include "sidecar.pb.h"

namespace ferry::sidecar::wire {
namespace {

using namespace codec::sidecar;

std::int32_t number_of(control_id id) noexcept { return static_cast<std::int32_t>(id); }

bool is_text(std::string_view text) noexcept { return is_utf8(as_bytes(text)); }

RegisterRequest to_protobuf(const registration& from) {
  RegisterRequest made;
  auto& service = *made.mutable_service();
  service.set_name(from.service);
  service.set_id(from.entity);
  for (const auto& tag : from.tags) service.add_tags(tag);
  service.set_set_version(from.set_version);
  auto& with = *made.mutable_options();
  with.set_stateful(from.stateful);
  with.set_wants_main(from.wants_main);
  with.set_wants_backup(from.wants_backup);
  with.set_static_weight(from.static_weight);
  with.set_dynamic_weight(from.dynamic_weight);
  with.set_healthy(from.healthy);
  with.set_pipe(from.pipe);
  with.set_unique_id(from.unique_id);
  with.set_version(from.version);
  with.set_rings(from.rings);
  return made;
}
registration from_protobuf(const RegisterRequest& from) {
  const auto& service = from.service();
  const auto& with = from.options();
  return {.service = service.name(),
          .entity = service.id(),
          .tags = {service.tags().begin(), service.tags().end()},
          .set_version = service.set_version(),
          .stateful = with.stateful(),
          .wants_main = with.wants_main(),
          .wants_backup = with.wants_backup(),
          .static_weight = with.static_weight(),
          .dynamic_weight = with.dynamic_weight(),
          .healthy = with.healthy(),
          .pipe = with.pipe(),
          .unique_id = with.unique_id(),
          .version = with.version(),
          .rings = with.rings()};
}

RegisterResponse to_protobuf(const registration_answer& from) {
  RegisterResponse made;
  made.mutable_outcome()->set_code(from.code);
  made.mutable_outcome()->set_reason(from.reason);
  made.set_is_main(from.is_main);
  made.set_must_migrate(from.must_migrate);
  made.set_version(from.version);
  made.set_rings(from.rings);
  return made;
}
registration_answer from_protobuf(const RegisterResponse& from) {
  return {.code = from.outcome().code(),
          .reason = from.outcome().reason(),
          .is_main = from.is_main(),
          .must_migrate = from.must_migrate(),
          .version = from.version(),
          .rings = from.rings()};
}

HeartBeat to_protobuf(const heartbeat& from) {
  HeartBeat made;
  made.set_state(static_cast<HeartBeat::State>(from.state));
  made.set_pipe(from.pipe);
  made.set_unique_id(from.unique_id);
  made.set_set_version(from.set_version);
  return made;
}
heartbeat from_protobuf(const HeartBeat& from) {
  return {.state = static_cast<service_health>(from.state()),
          .pipe = from.pipe(),
          .unique_id = from.unique_id(),
          .set_version = from.set_version()};
}

ChangePipeRequest to_protobuf(const change_pipe& from) {
  ChangePipeRequest made;
  made.set_pipe(from.pipe);
  return made;
}
change_pipe from_protobuf(const ChangePipeRequest& from) { return {from.pipe()}; }

ChangePipeResponse to_protobuf(const change_pipe_answer& from) {
  ChangePipeResponse made;
  made.set_result(from.result);
  return made;
}
change_pipe_answer from_protobuf(const ChangePipeResponse& from) { return {from.result()}; }

UnRegister to_protobuf(const unregistration& from) {
  UnRegister made;
  made.set_dummy(1);
  made.set_id(from.entity);
  made.set_pipe(from.pipe);
  made.set_unique_id(from.unique_id);
  return made;
}
unregistration from_protobuf(const UnRegister& from) { return {from.id(), from.pipe(), from.unique_id()}; }

DynamicLoad to_protobuf(const load_report& from) {
  DynamicLoad made;
  made.set_id(from.entity);
  made.set_load(from.load);
  made.set_capacity(from.capacity);
  return made;
}
load_report from_protobuf(const DynamicLoad& from) { return {from.id(), from.load(), from.capacity()}; }

control_id id_of(const registration&) noexcept { return control_id::register_request; }
control_id id_of(const registration_answer&) noexcept { return control_id::register_response; }
control_id id_of(const heartbeat&) noexcept { return control_id::heartbeat; }
control_id id_of(const change_pipe&) noexcept { return control_id::change_pipe_request; }
control_id id_of(const change_pipe_answer&) noexcept { return control_id::change_pipe_response; }
control_id id_of(const unregistration&) noexcept { return control_id::unregister; }
control_id id_of(const load_report&) noexcept { return control_id::dynamic_load; }

bool has_texts_only(const registration& what) {
  return is_text(what.service) && is_text(what.entity) && std::all_of(what.tags.begin(), what.tags.end(), is_text);
}
bool has_texts_only(const registration_answer& what) { return is_text(what.reason); }
bool has_texts_only(const unregistration& what) { return is_text(what.entity); }
bool has_texts_only(const load_report& what) { return is_text(what.entity); }
bool has_texts_only(const heartbeat&) { return true; }
bool has_texts_only(const change_pipe&) { return true; }
bool has_texts_only(const change_pipe_answer&) { return true; }

void append_header(std::vector<std::byte>& to, std::int32_t id, std::size_t head_bytes) {
  const auto at = to.size();
  to.resize(at + k_control_header_bytes + head_bytes);
  store_control_header(to.data() + at, id, head_bytes);
}

struct appender {
  std::vector<std::byte>& to;
  result<void> operator()(const other_notice& what) const {
    append_header(to, what.id, 0);
    return {};
  }
  result<void> operator()(const migration_step& what) const {
    append_header(to, number_of(what.id), 0);
    return {};
  }
  template <class Notice>
  result<void> operator()(const Notice& what) const {
    const auto id = number_of(id_of(what));
    if (!has_texts_only(what))
      return error(errc::misuse, "a control message " + std::to_string(id) + " with a text that is not UTF-8");
    const auto made = to_protobuf(what);
    const auto size = made.ByteSizeLong();
    if (size > k_max_control_message - k_control_header_bytes)
      return error(errc::message_too_large, "a control message " + std::to_string(id) + " of " + std::to_string(size) +
                                                " bytes of protobuf, the limit is " +
                                                std::to_string(k_max_control_message - k_control_header_bytes));
    append_header(to, id, size);
    (void)made.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(to.data() + to.size() - size));
    return {};
  }
};

template <class Message>
result<notice> parsed(const control_message& what) {
  Message message;
  if (!message.ParseFromArray(what.head.data(), static_cast<int>(what.head.size())))
    return error(errc::protocol, "a control message " + std::to_string(what.id) + " whose " +
                                     std::to_string(what.head.size()) + " bytes are not its protobuf");
  if constexpr (std::is_same_v<Message, HeartBeat>)
    if (!HeartBeat::State_IsValid(message.state()))
      return error(errc::protocol,
                   "a heartbeat with the state " + std::to_string(message.state()) + ", known are 0 .. 2");
  auto made = from_protobuf(message);
  if (!has_texts_only(made))
    return error(errc::protocol, "a control message " + std::to_string(what.id) + " with a text that is not UTF-8");
  return notice(std::move(made));
}

}  // namespace

result<void> append(std::vector<std::byte>& to, const notice& what) { return std::visit(appender{to}, what); }

result<notice> decode(const control_message& what) {
  switch (static_cast<control_id>(what.id)) {
    case control_id::heartbeat: return parsed<HeartBeat>(what);
    case control_id::register_request: return parsed<RegisterRequest>(what);
    case control_id::register_response: return parsed<RegisterResponse>(what);
    case control_id::unregister: return parsed<UnRegister>(what);
    case control_id::dynamic_load: return parsed<DynamicLoad>(what);
    case control_id::change_pipe_request: return parsed<ChangePipeRequest>(what);
    case control_id::change_pipe_response: return parsed<ChangePipeResponse>(what);
    case control_id::start_migration_request:
    case control_id::start_migration_response:
    case control_id::sidecar_migrated:
    case control_id::old_instance_stops:
    case control_id::new_instance_migrated: return notice(migration_step{static_cast<control_id>(what.id)});
    case control_id::connect_notice:
    case control_id::disconnect_notice:
    case control_id::event_fd_notice: break;
  }
  return notice(other_notice{what.id});
}

}  // namespace ferry::sidecar::wire
