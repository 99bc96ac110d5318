#include "sidecar/wire/heads.hpp"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <string_view>

#include "base/utf8_validator.hpp"
#include "sidecar.pb.h"

namespace ferry::sidecar::wire {
namespace {

constexpr std::size_t k_first_block = 4096;  // holds the heads of usual messages

bool is_text(std::string_view text) noexcept { return is_utf8(as_bytes(text)); }

error not_a_head(const char* which, bytes head) {
  return {errc::protocol, std::string("a message whose ") + which + " head of " + std::to_string(head.size()) +
                              " bytes is not its protobuf"};
}
error not_text(errc reason, const char* which) {
  return {reason, std::string("a message whose ") + which + " head has a text that is not UTF-8"};
}

error too_many_notes(errc reason) {
  return {reason, "a message with more than " + std::to_string(k_max_notes) + " notes"};
}

bool parse(google::protobuf::MessageLite& message, bytes from) {
  return from.size() <= std::numeric_limits<int>::max() &&
         message.ParseFromArray(from.data(), static_cast<int>(from.size()));
}

service_destination destination_of(const RouteHead& head) {
  switch (head.to_case()) {
    case RouteHead::kEntity: return to_entity{head.entity().entity()};
    case RouteHead::kAny: {
      const auto& any = head.any();
      return to_any{any.function(), any.by_key() ? std::optional(any.key()) : std::nullopt, any.area()};
    }
    case RouteHead::kAll: return to_all{head.all().function(), head.all().area()};
    case RouteHead::kEntities: {
      const auto& entities = head.entities().entities();
      return to_entities{{entities.data(), static_cast<std::size_t>(entities.size())}};
    }
    case RouteHead::kInstance: return to_other_instance{head.instance().pipe()};
    case RouteHead::TO_NOT_SET: break;
  }
  return {};
}

struct destination_setter {
  RouteHead& head;
  void operator()(std::monostate) const { head.clear_to(); }
  void operator()(const to_entity& to) const { head.mutable_entity()->set_entity(to.entity); }
  void operator()(const to_any& to) const {
    auto& any = *head.mutable_any();
    any.set_function(to.service);
    any.set_by_key(to.key.has_value());
    any.set_key(to.key.value_or(0));
    any.set_area(to.zone);
  }
  void operator()(const to_all& to) const {
    head.mutable_all()->set_function(to.service);
    head.mutable_all()->set_area(to.zone);
  }
  void operator()(const to_entities& to) const {
    head.mutable_entities()->mutable_entities()->Add(to.entities.begin(), to.entities.end());
  }
  void operator()(const to_other_instance& to) const { head.mutable_instance()->set_pipe(to.pipe); }
};

/// Messages of the protobuf library in one block of memory that is used again and again.
class scratch {
 public:
  scratch() : arena_(options(block_)) {}
  template <class Message>
  [[nodiscard]] Message& make() {
    return *google::protobuf::Arena::CreateMessage<Message>(&arena_);
  }
  void clear() noexcept { arena_.Reset(); }

 private:
  static google::protobuf::ArenaOptions options(std::array<char, k_first_block>& block) noexcept {
    google::protobuf::ArenaOptions made;
    made.initial_block = block.data();
    made.initial_block_size = block.size();
    return made;
  }
  alignas(std::max_align_t) std::array<char, k_first_block> block_;
  google::protobuf::Arena arena_;
};

bytes serialized(const google::protobuf::MessageLite& message, std::vector<std::byte>& into) {
  into.resize(message.ByteSizeLong());
  (void)message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(into.data()));
  return into;
}

}  // namespace

struct head_reader::memory {
  scratch messages;
  std::vector<service_note> notes;
};

head_reader::head_reader() : memory_(std::make_unique<memory>()) {}
head_reader::~head_reader() = default;
head_reader::head_reader(head_reader&&) noexcept = default;
head_reader& head_reader::operator=(head_reader&&) noexcept = default;

void head_reader::clear() noexcept {
  memory_->messages.clear();
  memory_->notes.clear();
}

result<service_route> head_reader::route(bytes head) {
  auto& message = memory_->messages.make<RouteHead>();
  if (!parse(message, head)) return not_a_head("route", head);
  if (!is_text(message.message_id())) return not_text(errc::protocol, "route");
  return service_route{.from = message.source(),
                       .message_id = message.message_id(),
                       .to = destination_of(message),
                       .from_set_version = message.source_set_version(),
                       .to_set_version = message.target_set_version()};
}

result<service_package> head_reader::package(bytes head) {
  auto& message = memory_->messages.make<PackageHead>();
  if (!parse(message, head)) return not_a_head("package", head);
  auto& notes = memory_->notes;
  notes.clear();
  if (static_cast<std::size_t>(message.notes_size()) > k_max_notes) return too_many_notes(errc::protocol);
  for (const auto& note : message.notes()) {
    if (!is_text(note.name()) || !is_text(note.value())) return not_text(errc::protocol, "package");
    notes.push_back({note.name(), note.value()});
  }
  if (!is_text(message.message_id())) return not_text(errc::protocol, "package");
  return service_package{.message_id = message.message_id(),
                         .return_code = message.return_code(),
                         .server_sequence = message.server_sequence(),
                         .client_sequence = message.client_sequence(),
                         .from_actor = message.source_actor(),
                         .to_actor = message.target_actor(),
                         .client_version = message.client_version(),
                         .notes = notes};
}

struct head_writer::memory {
  scratch messages;
  std::vector<std::byte> route;
  std::vector<std::byte> package;
};

head_writer::head_writer() : memory_(std::make_unique<memory>()) {}
head_writer::~head_writer() = default;
head_writer::head_writer(head_writer&&) noexcept = default;
head_writer& head_writer::operator=(head_writer&&) noexcept = default;

result<bytes> head_writer::route(const service_route& what) {
  if (!is_text(what.message_id)) return not_text(errc::misuse, "route");
  if (std::holds_alternative<std::monostate>(what.to)) return error(errc::misuse, "a message without a destination");
  memory_->messages.clear();
  auto& message = memory_->messages.make<RouteHead>();
  message.set_source(what.from);
  message.set_message_id(what.message_id.data(), what.message_id.size());
  std::visit(destination_setter{message}, what.to);
  message.set_source_set_version(what.from_set_version);
  message.set_target_set_version(what.to_set_version);
  return serialized(message, memory_->route);
}

result<bytes> head_writer::package(const service_package& what) {
  const auto is_note = [](const service_note& note) { return is_text(note.name) && is_text(note.value); };
  if (!is_text(what.message_id) || !std::all_of(what.notes.begin(), what.notes.end(), is_note))
    return not_text(errc::misuse, "package");
  if (what.notes.size() > k_max_notes) return too_many_notes(errc::misuse);
  memory_->messages.clear();
  auto& message = memory_->messages.make<PackageHead>();
  message.set_message_id(what.message_id.data(), what.message_id.size());
  message.set_return_code(what.return_code);
  message.set_server_sequence(what.server_sequence);
  message.set_client_sequence(what.client_sequence);
  message.set_source_actor(what.from_actor);
  message.set_target_actor(what.to_actor);
  message.set_client_version(what.client_version);
  for (const auto& note : what.notes) {
    auto& added = *message.add_notes();
    added.set_name(note.name.data(), note.name.size());
    added.set_value(note.value.data(), note.value.size());
  }
  const auto written = serialized(message, memory_->package);
  if (!written.empty()) return written;
  // Nobody takes a head of 0 bytes; a zero that is written out says the same.
  static constexpr std::array k_zero_return_code{std::byte{0x10}, std::byte{0}};
  return bytes(k_zero_return_code);
}

}  // namespace ferry::sidecar::wire
