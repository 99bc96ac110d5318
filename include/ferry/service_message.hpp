#pragma once
/// What services say to each other through a sidecar: where a message goes, and what it says about itself. Plain views:
/// texts and lists are valid as long as what they were read from. Source: docs/sidecar.md. Includes no Boost.

#include <ferry/bytes.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

namespace ferry {

/// To one entity: to the instance that serves it now.
struct to_entity {
  std::uint32_t entity = 0;
  friend bool operator==(const to_entity&, const to_entity&) = default;
};

/// To one entity of a service: by weight and chance, or always to the same one for the same key.
struct to_any {
  std::uint32_t service = 0;
  std::optional<std::uint64_t> key{};
  std::uint32_t zone = 0;  ///< 0: in any
  friend bool operator==(const to_any&, const to_any&) = default;
};

/// To every entity of a service.
struct to_all {
  std::uint32_t service = 0;
  std::uint32_t zone = 0;  ///< 0: in any
  friend bool operator==(const to_all&, const to_all&) = default;
};

/// To each of these entities.
struct to_entities {
  std::span<const std::int32_t> entities{};
  friend bool operator==(const to_entities& a, const to_entities& b) noexcept {
    return std::equal(a.entities.begin(), a.entities.end(), b.entities.begin(), b.entities.end());
  }
};

/// To the other instance of the sender's own entity.
struct to_other_instance {
  std::int32_t pipe = 0;  ///< the sender's
  friend bool operator==(const to_other_instance&, const to_other_instance&) = default;
};

/// Nothing: a head that says no destination, which no sidecar can route.
using service_destination = std::variant<std::monostate, to_entity, to_any, to_all, to_entities, to_other_instance>;

/// How a message finds its way.
struct service_route {
  std::uint32_t from = 0;         ///< the sender's entity
  std::string_view message_id{};  ///< UTF-8
  service_destination to{};
  std::uint64_t from_set_version = 0;
  std::uint64_t to_set_version = 0;  ///< 0: any
  friend bool operator==(const service_route&, const service_route&) = default;
};

/// One entry of what a package says besides, both UTF-8.
struct service_note {
  std::string_view name{};
  std::string_view value{};
  friend bool operator==(const service_note&, const service_note&) = default;
};

/// What a message says about itself.
struct service_package {
  std::string_view message_id{};  ///< UTF-8
  std::int32_t return_code = 0;
  std::uint32_t server_sequence = 0;
  std::uint32_t client_sequence = 0;
  std::uint64_t from_actor = 0;
  std::uint64_t to_actor = 0;
  std::int64_t client_version = 0;
  std::span<const service_note> notes{};  ///< in any order; of two with one name the last one counts

  /// The value of a note. @return nothing if there is none of that name
  [[nodiscard]] std::optional<std::string_view> note(std::string_view name) const noexcept {
    const auto found =
        std::find_if(notes.rbegin(), notes.rend(), [&](const service_note& n) { return n.name == name; });
    return found == notes.rend() ? std::nullopt : std::optional(found->value);
  }
};

/// A whole message.
struct service_message {
  service_route route;
  service_package package;
  bytes body;  ///< may be empty
};

}  // namespace ferry
