#include "codec/native_message.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/endian.hpp"
#include "base/utf8_validator.hpp"

namespace ferry::codec::sidecar {
namespace {

enum class destination : std::uint8_t { none, entity, any, all, entities, other_instance };

// Where things lie in a head.
constexpr std::size_t k_time = 0, k_head_bytes = 8, k_from = 12, k_destination = 16, k_has_key = 17, k_to = 20,
                      k_zone = 24, k_return_code = 28, k_key = 32, k_from_set = 40, k_to_set = 48, k_server = 56,
                      k_client = 60, k_from_actor = 64, k_to_actor = 72, k_version = 80, k_route_text = 88,
                      k_package_text = 92, k_notes = 96;
constexpr std::size_t k_entity_bytes = 4, k_note_bytes = 8;

bool is_text(std::string_view text) noexcept { return text.empty() || is_utf8(as_bytes(text)); }
error bad(const std::string& what) { return {errc::protocol, "a native message " + what}; }

struct destination_writer {
  std::byte* head;
  void kind(destination which, std::uint32_t to) const {
    head[k_destination] = static_cast<std::byte>(which);
    store_le(head + k_to, to);
  }
  void operator()(std::monostate) const { kind(destination::none, 0); }
  void operator()(const to_entity& to) const { kind(destination::entity, to.entity); }
  void operator()(const to_any& to) const {
    kind(destination::any, to.service);
    head[k_has_key] = static_cast<std::byte>(to.key.has_value());
    store_le(head + k_key, to.key.value_or(0));
    store_le(head + k_zone, to.zone);
  }
  void operator()(const to_all& to) const {
    kind(destination::all, to.service);
    store_le(head + k_zone, to.zone);
  }
  void operator()(const to_entities& to) const {
    kind(destination::entities, static_cast<std::uint32_t>(to.entities.size()));
    std::byte* at = head + k_native_fixed_bytes;
    for (const auto one : to.entities) {
      store_le(at, static_cast<std::uint32_t>(one));
      at += k_entity_bytes;
    }
  }
  void operator()(const to_other_instance& to) const {
    kind(destination::other_instance, static_cast<std::uint32_t>(to.pipe));
  }
};

/// How many bytes of lists and texts follow the fixed ones; each number is what the head says.
struct extent {
  std::size_t entities, notes, route_text, package_text;
  [[nodiscard]] std::size_t notes_at() const noexcept { return k_native_fixed_bytes + entities * k_entity_bytes; }
  [[nodiscard]] std::size_t texts_at() const noexcept { return notes_at() + notes * k_note_bytes; }
};

/// @return nothing but what lies within the head
result<extent> extent_of(bytes head) {
  if (head.size() < k_native_fixed_bytes || load_le<std::uint32_t>(head.data() + k_head_bytes) != head.size())
    return bad("whose head is not of " + std::to_string(head.size()) + " bytes");
  const bool is_list = head[k_destination] == static_cast<std::byte>(destination::entities);
  const extent made{is_list ? load_le<std::uint32_t>(head.data() + k_to) : 0,
                    load_le<std::uint32_t>(head.data() + k_notes), load_le<std::uint32_t>(head.data() + k_route_text),
                    load_le<std::uint32_t>(head.data() + k_package_text)};
  if (made.entities > k_max_native_list || made.notes > k_max_native_list)
    return bad("with " + std::to_string(made.entities) + " entities and " + std::to_string(made.notes) +
               " notes, the limit is " + std::to_string(k_max_native_list));
  if (made.texts_at() + made.route_text + made.package_text > head.size())
    return bad("whose lists and texts do not fit into its head of " + std::to_string(head.size()) + " bytes");
  return made;
}

std::string_view text_at(bytes head, std::size_t at, std::size_t size) noexcept {
  return as_text(head.subspan(at, size));
}

}  // namespace

native_measure measure_native(bytes whole) noexcept {
  if (whole.size() < k_native_fixed_bytes) return {};
  const auto head_bytes = load_le<std::uint32_t>(whole.data() + k_head_bytes);
  const bool can_be = head_bytes >= k_native_fixed_bytes && head_bytes <= k_max_native_head &&
                      head_bytes <= whole.size() && head_bytes % 8 == 0;
  return {load_le<std::uint64_t>(whole.data() + k_time), can_be ? head_bytes : 0};
}

std::optional<native_way> native_way_of(bytes head) noexcept {
  const auto lies = extent_of(head);
  if (!lies || head[k_destination] != static_cast<std::byte>(destination::entity) ||
      !is_text(text_at(head, lies->texts_at(), lies->route_text)))
    return std::nullopt;
  return native_way{load_le<std::uint32_t>(head.data() + k_from), load_le<std::uint32_t>(head.data() + k_to),
                    load_le<std::uint64_t>(head.data() + k_to_set)};
}

void native_head_writer::append(std::string_view text) noexcept {
  if (!text.empty()) std::memcpy(at_, text.data(), text.size());
  at_ += text.size();
}

result<bytes> native_head_writer::write(const service_route& route, const service_package& package,
                                        std::uint64_t time_ms) {
  if (std::holds_alternative<std::monostate>(route.to)) return error(errc::misuse, "a message without a destination");
  const auto* several = std::get_if<to_entities>(&route.to);
  const auto entities = several == nullptr ? 0 : several->entities.size();
  if (entities > k_max_native_list || package.notes.size() > k_max_native_list)
    return error(errc::misuse, "a message with " + std::to_string(entities) + " entities and " +
                                   std::to_string(package.notes.size()) + " notes, the limit is " +
                                   std::to_string(k_max_native_list));
  const auto texts_at = k_native_fixed_bytes + entities * k_entity_bytes + package.notes.size() * k_note_bytes;
  auto size = texts_at + route.message_id.size() + package.message_id.size();
  bool all_texts = is_text(route.message_id) && is_text(package.message_id);
  for (const auto& note : package.notes) {
    size += note.name.size() + note.value.size();
    all_texts = all_texts && is_text(note.name) && is_text(note.value);
  }
  if (!all_texts) return error(errc::misuse, "a message with a text that is not UTF-8");
  const auto head_bytes = (size + 7) & ~std::size_t{7};
  if (head_bytes > k_max_native_head)
    return error(errc::message_too_large, "a message head of " + std::to_string(head_bytes) + " bytes, the limit is " +
                                              std::to_string(k_max_native_head));
  head_.assign(head_bytes, std::byte{0});
  std::byte* const head = head_.data();
  store_le(head + k_time, time_ms);
  store_le(head + k_head_bytes, static_cast<std::uint32_t>(head_bytes));
  store_le(head + k_from, route.from);
  std::visit(destination_writer{head}, route.to);
  store_le(head + k_return_code, static_cast<std::uint32_t>(package.return_code));
  store_le(head + k_from_set, route.from_set_version);
  store_le(head + k_to_set, route.to_set_version);
  store_le(head + k_server, package.server_sequence);
  store_le(head + k_client, package.client_sequence);
  store_le(head + k_from_actor, package.from_actor);
  store_le(head + k_to_actor, package.to_actor);
  store_le(head + k_version, static_cast<std::uint64_t>(package.client_version));
  store_le(head + k_route_text, static_cast<std::uint32_t>(route.message_id.size()));
  store_le(head + k_package_text, static_cast<std::uint32_t>(package.message_id.size()));
  store_le(head + k_notes, static_cast<std::uint32_t>(package.notes.size()));
  at_ = head + texts_at;
  append(route.message_id);
  append(package.message_id);
  std::byte* row = head + texts_at - package.notes.size() * k_note_bytes;
  for (const auto& note : package.notes) {
    store_le(row, static_cast<std::uint32_t>(note.name.size()));
    store_le(row + 4, static_cast<std::uint32_t>(note.value.size()));
    row += k_note_bytes;
    append(note.name);
    append(note.value);
  }
  return bytes(head_);
}

result<service_route> native_head_reader::route(bytes head) {
  const auto lies = extent_of(head);
  if (!lies) return lies.error();
  service_route made;
  made.from = load_le<std::uint32_t>(head.data() + k_from);
  made.message_id = text_at(head, lies->texts_at(), lies->route_text);
  if (!is_text(made.message_id)) return bad("whose route has a text that is not UTF-8");
  const auto to = load_le<std::uint32_t>(head.data() + k_to);
  const auto zone = load_le<std::uint32_t>(head.data() + k_zone);
  const auto kind = std::to_integer<std::uint8_t>(head[k_destination]);
  switch (static_cast<destination>(kind)) {
    case destination::none: break;
    case destination::entity: made.to = to_entity{to}; break;
    case destination::any: {
      const bool by_key = head[k_has_key] != std::byte{0};
      made.to = to_any{to, by_key ? std::optional(load_le<std::uint64_t>(head.data() + k_key)) : std::nullopt, zone};
      break;
    }
    case destination::all: made.to = to_all{to, zone}; break;
    case destination::entities:
      made.to =
          to_entities{{reinterpret_cast<const std::int32_t*>(head.data() + k_native_fixed_bytes), lies->entities}};
      break;
    case destination::other_instance: made.to = to_other_instance{static_cast<std::int32_t>(to)}; break;
    default: return bad("with a destination of kind " + std::to_string(kind) + ", known are 0 .. 5");
  }
  made.from_set_version = load_le<std::uint64_t>(head.data() + k_from_set);
  made.to_set_version = load_le<std::uint64_t>(head.data() + k_to_set);
  return made;
}

result<service_package> native_head_reader::package(bytes head) {
  const auto lies = extent_of(head);
  if (!lies) return lies.error();
  auto at = lies->texts_at() + lies->route_text;
  const auto message_id = text_at(head, at, lies->package_text);
  at += lies->package_text;
  notes_.clear();
  const std::byte* row = head.data() + lies->notes_at();
  for (std::size_t i = 0; i < lies->notes; ++i, row += k_note_bytes) {
    const std::size_t name = load_le<std::uint32_t>(row);
    const std::size_t value = load_le<std::uint32_t>(row + 4);
    if (name + value > head.size() - at) return bad("with a note that does not fit into its head");
    notes_.push_back({text_at(head, at, name), text_at(head, at + name, value)});
    at += name + value;
    if (!is_text(notes_.back().name) || !is_text(notes_.back().value)) return bad("with a note that is not UTF-8");
  }
  if (!is_text(message_id)) return bad("whose package has a text that is not UTF-8");
  service_package made;
  made.message_id = message_id;
  made.return_code = static_cast<std::int32_t>(load_le<std::uint32_t>(head.data() + k_return_code));
  made.server_sequence = load_le<std::uint32_t>(head.data() + k_server);
  made.client_sequence = load_le<std::uint32_t>(head.data() + k_client);
  made.from_actor = load_le<std::uint64_t>(head.data() + k_from_actor);
  made.to_actor = load_le<std::uint64_t>(head.data() + k_to_actor);
  made.client_version = static_cast<std::int64_t>(load_le<std::uint64_t>(head.data() + k_version));
  made.notes = notes_;
  return made;
}

}  // namespace ferry::codec::sidecar
