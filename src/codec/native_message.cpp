#include "codec/native_message.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <span>
#include <string>

#include "base/endian.hpp"
#include "base/utf8_validator.hpp"

namespace ferry::codec::sidecar {
namespace {

enum class destination : std::uint8_t { none, entity, any, all, entities, other_instance };

// Where things lie in a head.
constexpr std::size_t k_measure = 0, k_from = 8, k_to = 12, k_destination = 16, k_elsewhere = 17, k_notes = 18,
                      k_which = 20;
constexpr int k_measure_shift = 48;  // of the bytes of a head in words, above its time
constexpr std::size_t k_word_bytes = 8, k_entity_bytes = 4, k_note_bytes = 8;

// The words that there may be, in their order; a bit of k_which says so of each.
enum word : std::size_t {
  k_key,
  k_zone_and_code,
  k_from_set,
  k_to_set,
  k_sequences,  // server's, client's
  k_from_actor,
  k_to_actor,
  k_version,
  k_texts,  // bytes of the route's message id, and of the package's
  k_words
};
using words = std::array<std::uint64_t, k_words>;
constexpr std::uint32_t bit(word which) noexcept { return 1u << which; }
constexpr std::uint64_t pair(std::uint64_t low, std::uint64_t high) noexcept { return low | high << 32; }
constexpr std::uint32_t low(std::uint64_t both) noexcept { return static_cast<std::uint32_t>(both); }
constexpr std::uint32_t high(std::uint64_t both) noexcept { return static_cast<std::uint32_t>(both >> 32); }

// A row of a note: bytes of its name and of its value; or, with the top bit, the entity and the pipe of an instance.
constexpr std::uint64_t k_is_instance = 1ull << 63;
constexpr std::uint32_t k_most_pipe = 0xffff;
constexpr std::string_view k_instance_note = "ShmPipeIdx";

bool is_text(std::string_view text) noexcept { return text.empty() || is_utf8(as_bytes(text)); }
error bad(const std::string& what) { return {errc::protocol, "a native message " + what}; }

// Above all of 32 bits: it is not as std::to_chars writes a number. In one register, as all here that is told at once.
std::uint64_t number_in(std::string_view text) noexcept {
  constexpr std::uint64_t k_none = ~std::uint64_t{0};
  constexpr std::size_t k_most_digits = 10;
  if (text.empty() || text.size() > k_most_digits || (text.front() == '0' && text.size() != 1)) return k_none;
  std::uint64_t made = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return k_none;
    made = made * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return made;
}

bool is_of_instance(std::string_view name) noexcept {
  constexpr auto k_end = k_instance_note.size();
  return name.size() > k_end && std::memcmp(name.data() + (name.size() - k_end), k_instance_note.data(), k_end) == 0;
}

struct said_of {
  destination kind = destination::none;
  std::uint32_t to = 0;
};
struct destination_of {
  said_of operator()(std::monostate) const noexcept { return {}; }
  said_of operator()(const to_entity& to) const noexcept { return {destination::entity, to.entity}; }
  said_of operator()(const to_any& to) const noexcept { return {destination::any, to.service}; }
  said_of operator()(const to_all& to) const noexcept { return {destination::all, to.service}; }
  said_of operator()(const to_entities& to) const noexcept {
    return {destination::entities, static_cast<std::uint32_t>(to.entities.size())};
  }
  said_of operator()(const to_other_instance& to) const noexcept {
    return {destination::other_instance, static_cast<std::uint32_t>(to.pipe)};
  }
};

std::uint32_t zone_of(const service_destination& to) noexcept {
  if (const auto* any = std::get_if<to_any>(&to)) return any->zone;
  const auto* all = std::get_if<to_all>(&to);
  return all == nullptr ? 0 : all->zone;
}
std::optional<std::uint64_t> key_of(const service_destination& to) noexcept {
  const auto* any = std::get_if<to_any>(&to);
  return any == nullptr ? std::nullopt : any->key;
}
std::span<const std::int32_t> entities_of(const service_destination& to) noexcept {
  const auto* several = std::get_if<to_entities>(&to);
  return several == nullptr ? std::span<const std::int32_t>() : several->entities;
}

// Each with its value, in the order of `word`.
template <class Take>
void each_word(const native_head& what, const Take& take) noexcept {
  const auto& package = what.package;
  take(k_key, key_of(what.to).value_or(0));
  take(k_zone_and_code, pair(zone_of(what.to), static_cast<std::uint32_t>(package.return_code)));
  take(k_from_set, what.from_set_version);
  take(k_to_set, what.to_set_version);
  take(k_sequences, pair(package.server_sequence, package.client_sequence));
  take(k_from_actor, package.from_actor);
  take(k_to_actor, package.to_actor);
  take(k_version, static_cast<std::uint64_t>(package.client_version));
  take(k_texts, pair(what.message_id.size(), package.message_id.size()));
}

// Which of them it needs.
std::uint32_t words_of(const native_head& what) noexcept {
  std::uint32_t made = key_of(what.to) ? bit(k_key) : 0;
  each_word(what, [&](word which, std::uint64_t said) { made |= said != 0 ? bit(which) : 0; });
  return made;
}

}  // namespace

/// A head, measured; each number is what the head says, and all that it has lies within it.
struct native_extent {
  std::uint32_t which = 0;
  words said;  // of which only those that there are: clearing the others costs as much as all else
  std::size_t notes = 0, entities = 0;
  std::size_t notes_at = 0;
  [[nodiscard]] std::size_t entities_at() const noexcept { return notes_at + notes * k_note_bytes; }
  [[nodiscard]] std::size_t texts_at() const noexcept { return entities_at() + entities * k_entity_bytes; }
  /// 0: it is not there.
  [[nodiscard]] std::uint64_t at(word one) const noexcept { return (which & bit(one)) != 0 ? said[one] : 0; }
  [[nodiscard]] std::size_t route_text() const noexcept { return low(at(k_texts)); }
  [[nodiscard]] std::size_t package_text() const noexcept { return high(at(k_texts)); }
};

namespace {

/// Why it is none.
enum class flaw : std::uint8_t { none, size, unknown, fields, lists, texts };

flaw measure(bytes head, native_extent& made) noexcept {
  if (head.size() < k_native_fixed_bytes ||
      (load_le<std::uint64_t>(head.data() + k_measure) >> k_measure_shift) * k_word_bytes != head.size())
    return flaw::size;
  made.which = load_le<std::uint32_t>(head.data() + k_which);
  if (made.which >= 1u << k_words || head[k_elsewhere] != std::byte{0}) return flaw::unknown;
  std::size_t at = k_native_fixed_bytes;
  for (auto left = made.which; left != 0; left &= left - 1, at += k_word_bytes) {
    if (at + k_word_bytes > head.size()) return flaw::fields;
    made.said[static_cast<std::size_t>(std::countr_zero(left))] = load_le<std::uint64_t>(head.data() + at);
  }
  made.notes_at = at;
  made.notes = load_le<std::uint16_t>(head.data() + k_notes);
  if (head[k_destination] == static_cast<std::byte>(destination::entities))
    made.entities = load_le<std::uint32_t>(head.data() + k_to);
  if (made.entities > k_max_native_list || made.notes > k_max_native_list) return flaw::lists;
  return made.texts_at() + made.route_text() + made.package_text() > head.size() ? flaw::texts : flaw::none;
}

error told(flaw what, bytes head, const native_extent& found) {
  const auto in_head = " its head of " + std::to_string(head.size()) + " bytes";
  switch (what) {
    case flaw::none: break;
    case flaw::size: return bad("whose head is not of " + std::to_string(head.size()) + " bytes");
    case flaw::unknown: return bad("with fields that are not known, of the bits " + std::to_string(found.which));
    case flaw::fields: return bad("whose fields do not fit into" + in_head);
    case flaw::lists:
      return bad("with " + std::to_string(found.entities) + " entities and " + std::to_string(found.notes) +
                 " notes, the limit is " + std::to_string(k_max_native_list));
    case flaw::texts: return bad("whose lists and texts do not fit into" + in_head);
  }
  __builtin_unreachable();  // none is not told
}

std::string_view text_at(bytes head, std::size_t at, std::size_t size) noexcept {
  return as_text(head.subspan(at, size));
}

}  // namespace

std::uint64_t instance_row(std::uint32_t entity, std::uint32_t pipe) noexcept {
  return k_is_instance | pair(entity, pipe);
}

std::uint64_t instance_row(const service_note& note) noexcept {
  if (!is_of_instance(note.name)) return 0;
  const auto entity = number_in(note.name.substr(0, note.name.size() - k_instance_note.size()));
  const auto pipe = number_in(note.value);
  return entity <= UINT32_MAX && pipe <= k_most_pipe ? k_is_instance | pair(entity, pipe) : 0;
}

bool says_elsewhere(bytes head) noexcept { return head[k_elsewhere] == std::byte{1}; }
void say_elsewhere(std::byte* head) noexcept { head[k_elsewhere] = std::byte{1}; }
void say_here(std::byte* head) noexcept { head[k_elsewhere] = std::byte{0}; }

std::optional<native_way> native_way_of(bytes head) noexcept {
  native_extent lies;
  if (measure(head, lies) != flaw::none || head[k_destination] != static_cast<std::byte>(destination::entity) ||
      !is_text(text_at(head, lies.texts_at(), lies.route_text())))
    return std::nullopt;
  return native_way{load_le<std::uint32_t>(head.data() + k_from), load_le<std::uint32_t>(head.data() + k_to),
                    lies.at(k_to_set)};
}

result<std::size_t> native_head_writer::measure(const native_head& what) {
  if (std::holds_alternative<std::monostate>(what.to)) return error(errc::misuse, "a message without a destination");
  const auto entities = entities_of(what.to).size();
  const std::size_t notes = what.notes() + (what.instance != 0 ? 1 : 0);
  if (entities > k_max_native_list || notes > k_max_native_list)
    return error(errc::misuse, "a message with " + std::to_string(entities) + " entities and " + std::to_string(notes) +
                                   " notes, the limit is " + std::to_string(k_max_native_list));
  words_ = words_of(what);
  auto size = k_native_fixed_bytes + static_cast<std::size_t>(std::popcount(words_)) * k_word_bytes +
              notes * k_note_bytes + entities * k_entity_bytes + what.message_id.size() +
              what.package.message_id.size();
  bool all_texts = is_text(what.message_id) && is_text(what.package.message_id);
  note_rows_.clear();
  what.each_note([&](const service_note& note) {
    auto row = instance_row(note);
    if (row == 0) {
      row = pair(note.name.size(), note.value.size());
      size += note.name.size() + note.value.size();
      all_texts = all_texts && is_text(note.name) && is_text(note.value);
    }
    note_rows_.push_back(row);
  });
  if (what.instance != 0) note_rows_.push_back(what.instance);
  if (!all_texts) return error(errc::misuse, "a message with a text that is not UTF-8");
  head_bytes_ = (size + k_word_bytes - 1) / k_word_bytes * k_word_bytes;
  if (head_bytes_ > k_max_native_head)
    return error(errc::message_too_large, "a message head of " + std::to_string(head_bytes_) + " bytes, the limit is " +
                                              std::to_string(k_max_native_head));
  return head_bytes_;
}

void native_head_writer::put(std::byte* to, const native_head& what, std::uint64_t time_ms) const noexcept {
  const auto where = std::visit(destination_of(), what.to);
  store_le(to + k_measure, std::min(time_ms, k_max_native_time) | head_bytes_ / k_word_bytes << k_measure_shift);
  store_le(to + k_from, what.from);
  store_le(to + k_to, where.to);
  store_le(to + k_destination, static_cast<std::uint32_t>(where.kind) | static_cast<std::uint32_t>(note_rows_.size())
                                                                            << 8 * (k_notes - k_destination));
  store_le(to + k_which, words_);
  std::byte* at = to + k_native_fixed_bytes;
  if (words_ != 0)
    each_word(what, [&](word which, std::uint64_t said) {
      if ((words_ & bit(which)) == 0) return;
      store_le(at, said);
      at += k_word_bytes;
    });
  for (const auto row : note_rows_) {
    store_le(at, row);
    at += k_note_bytes;
  }
  if (at == to + head_bytes_) return;
  for (const auto entity : entities_of(what.to)) {
    store_le(at, static_cast<std::uint32_t>(entity));
    at += k_entity_bytes;
  }
  const auto append = [&](std::string_view text) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    at += text.size();
  };
  append(what.message_id);
  append(what.package.message_id);
  std::size_t row = 0;
  what.each_note([&](const service_note& note) {
    if ((note_rows_[row++] & k_is_instance) != 0) return;
    append(note.name);
    append(note.value);
  });
  std::fill(at, to + head_bytes_, std::byte{0});
}

result<bytes> native_head_writer::write(const native_head& what, std::uint64_t time_ms) {
  const auto size = measure(what);
  if (!size) return size.error();
  head_.resize(*size);
  put(head_.data(), what, time_ms);
  return bytes(head_);
}

namespace {

// What is wrong with it, in words; null: nothing.
const char* read_route(bytes head, const native_extent& lies, service_route& made) noexcept {
  made.from = load_le<std::uint32_t>(head.data() + k_from);
  made.message_id = text_at(head, lies.texts_at(), lies.route_text());
  if (!is_text(made.message_id)) return "whose route has a text that is not UTF-8";
  const auto to = load_le<std::uint32_t>(head.data() + k_to);
  const auto zone = low(lies.at(k_zone_and_code));
  switch (static_cast<destination>(head[k_destination])) {
    case destination::none: made.to = std::monostate(); break;
    case destination::entity: made.to = to_entity{to}; break;
    case destination::any: {
      const bool by_key = (lies.which & bit(k_key)) != 0;
      made.to = to_any{to, by_key ? std::optional(lies.at(k_key)) : std::nullopt, zone};
      break;
    }
    case destination::all: made.to = to_all{to, zone}; break;
    case destination::entities:
      made.to = to_entities{{reinterpret_cast<const std::int32_t*>(head.data() + lies.entities_at()), lies.entities}};
      break;
    case destination::other_instance: made.to = to_other_instance{static_cast<std::int32_t>(to)}; break;
    default: return "with a destination of a kind that is not known";
  }
  made.from_set_version = lies.at(k_from_set);
  made.to_set_version = lies.at(k_to_set);
  return nullptr;
}

}  // namespace

result<service_route> native_head_reader::route(bytes head) {
  native_extent lies;
  if (const auto why = measure(head, lies); why != flaw::none) return told(why, head, lies);
  service_route made;
  if (const auto* why = read_route(head, lies, made); why != nullptr) return bad(why);
  return made;
}

// Most messages come from the same instances as those before.
const service_note& native_head_reader::instance_note::of(std::uint64_t which) noexcept {
  if (row == which) return note;
  row = which;
  auto* const digits = std::to_chars(name.data(), name.data() + name.size(), low(row)).ptr;
  const auto* const name_end = std::copy(k_instance_note.begin(), k_instance_note.end(), digits);
  const auto* const value_end =
      std::to_chars(value.data(), value.data() + value.size(), high(row & ~k_is_instance)).ptr;
  note = {{name.data(), static_cast<std::size_t>(name_end - name.data())},
          {value.data(), static_cast<std::size_t>(value_end - value.data())}};
  return note;
}

result<service_package> native_head_reader::package(bytes head) {
  native_extent lies;
  if (const auto why = measure(head, lies); why != flaw::none) return told(why, head, lies);
  service_package made;
  if (const auto* why = read_package(head, lies, made); why != nullptr) return bad(why);
  return made;
}

result<void> native_head_reader::read(bytes head, service_route& route, service_package& package) {
  native_extent lies;
  if (const auto why = measure(head, lies); why != flaw::none) return told(why, head, lies);
  const auto* why = read_route(head, lies, route);
  if (why == nullptr) why = read_package(head, lies, package);
  return why == nullptr ? result<void>() : result<void>(bad(why));
}

// As read_route().
const char* native_head_reader::read_package(bytes head, const native_extent& lies, service_package& made) {
  auto at = lies.texts_at() + lies.route_text();
  const auto message_id = text_at(head, at, lies.package_text());
  at += lies.package_text();
  notes_.clear();
  if (instances_.size() < lies.notes) instances_ = std::vector<instance_note>(lies.notes);
  for (std::size_t i = 0; i < lies.notes; ++i) {
    const auto row = load_le<std::uint64_t>(head.data() + lies.notes_at + i * k_note_bytes);
    if ((row & k_is_instance) != 0) {
      if (high(row & ~k_is_instance) > k_most_pipe) return "with a note of an instance that cannot be";
      notes_.push_back(instances_[i].of(row));
      continue;
    }
    const std::size_t name = low(row), value = high(row);
    if (name + value > head.size() - at) return "with a note that does not fit into its head";
    notes_.push_back({text_at(head, at, name), text_at(head, at + name, value)});
    at += name + value;
    if (!is_text(notes_.back().name) || !is_text(notes_.back().value)) return "with a note that is not UTF-8";
  }
  made = {.message_id = message_id, .notes = notes_};
  if (lies.which == 0) return nullptr;  // most say nothing else
  if (!is_text(made.message_id)) return "whose package has a text that is not UTF-8";
  made.return_code = static_cast<std::int32_t>(high(lies.at(k_zone_and_code)));
  made.server_sequence = low(lies.at(k_sequences));
  made.client_sequence = high(lies.at(k_sequences));
  made.from_actor = lies.at(k_from_actor);
  made.to_actor = lies.at(k_to_actor);
  made.client_version = static_cast<std::int64_t>(lies.at(k_version));
  return nullptr;
}

}  // namespace ferry::codec::sidecar
