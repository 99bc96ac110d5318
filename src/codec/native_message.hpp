#pragma once
/// The head of a message between services in a native ring: 24 bytes, a word for each of those fields that are set,
/// then lists and texts. Sans-I/O: bytes in, views out. Source: docs/sidecar.md.
///
/// Bytes may lie in memory that somebody else writes to: a head is measured there, copied, and only then read.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>
#include <ferry/service_message.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/endian.hpp"

namespace ferry::codec::sidecar {

inline constexpr std::size_t k_native_fixed_bytes = 24;
inline constexpr std::size_t k_max_native_head = 256 * 1024;
inline constexpr std::size_t k_max_native_list = 4096;                ///< entities, notes; of each
inline constexpr std::uint64_t k_max_native_time = (1ull << 48) - 1;  ///< in milliseconds since 1970

struct native_extent;  // where the parts of a head lie

/// What a head says before it is copied.
struct native_measure {
  std::uint64_t time_ms = 0;   ///< when it was sent, since 1970
  std::size_t head_bytes = 0;  ///< 0: it cannot be a head
};
/// Reads one word once. @param whole  a message, 8-byte aligned
[[nodiscard]] inline native_measure measure_native(bytes whole) noexcept {
  if (whole.size() < k_native_fixed_bytes) return {};
  const auto both = load_le<std::uint64_t>(whole.data());
  const auto head_bytes = static_cast<std::size_t>(both >> 48) * 8;
  const bool can_be =
      head_bytes >= k_native_fixed_bytes && head_bytes <= k_max_native_head && head_bytes <= whole.size();
  return {both & k_max_native_time, can_be ? head_bytes : 0};
}

/// A head of a message whose body lies elsewhere, with a reference to it behind the head, is as any other but for one
/// byte. Readers know it by says_elsewhere() and take it as a head after say_here(); else they refuse it.
/// @param head  at least k_native_fixed_bytes
[[nodiscard]] bool says_elsewhere(bytes head) noexcept;
void say_elsewhere(std::byte* head) noexcept;
void say_here(std::byte* head) noexcept;

/// What most heads say of the way of a message.
struct native_way {
  std::uint32_t from = 0;
  std::uint32_t to = 0;  ///< entity
  std::uint64_t to_set_version = 0;
};
/// @param head  as for native_head_reader @return nothing: it is for somebody else than one entity, or
/// native_head_reader::route() refuses it
[[nodiscard]] std::optional<native_way> native_way_of(bytes head) noexcept;

/// What a head is made of. All that others wrote just now is referred to: what was stored in several parts and is read
/// as a whole waits for all that was stored before, and that is records in rings.
struct native_head {
  native_head(const service_route& way, const service_package& what) noexcept
      : message_id(way.message_id),
        to(way.to),
        to_set_version(way.to_set_version),
        package(what),
        from(way.from),
        from_set_version(way.from_set_version) {}
  /// An answer. The notes of who asked come last, so that they count: they say which instance that was.
  native_head(const service_message& asked, const service_destination& back, const service_package& answer) noexcept
      : message_id(asked.route.message_id),
        to(back),
        to_set_version(asked.route.from_set_version),
        package(answer),
        more_notes(&asked.package.notes) {}
  const std::string_view& message_id;  ///< of the route
  const service_destination& to;
  const std::uint64_t& to_set_version;
  const service_package& package;
  const std::span<const service_note>* more_notes = nullptr;  ///< behind those of the package; null: none
  std::uint32_t from = 0;
  std::uint64_t from_set_version = 0;
  std::uint64_t instance = 0;  ///< an instance_row(), behind all notes; 0: none

  template <class Take>
  void each_note(const Take& take) const {
    for (const auto& note : package.notes) take(note);
    if (more_notes == nullptr) return;
    for (const auto& note : *more_notes) take(note);
  }
  [[nodiscard]] std::size_t notes() const noexcept {
    return package.notes.size() + (more_notes == nullptr ? 0 : more_notes->size());
  }
};

/// What a native head has of a note that says which instance of an entity: of the name "<entity>ShmPipeIdx".
/// @param pipe  at most 65535
[[nodiscard]] std::uint64_t instance_row(std::uint32_t entity, std::uint32_t pipe) noexcept;
/// @return 0: it is another note
[[nodiscard]] std::uint64_t instance_row(const service_note& note) noexcept;

struct plain_head;  // codec/native_plain.hpp
inline constexpr std::size_t k_most_plain_notes = 2;

/// Writes heads: each is measured first, then written to where it shall lie.
class native_head_writer {
 public:
  /// @return bytes of a head that says this: misuse: a text is not UTF-8, there is no destination, or a list is longer
  /// than k_max_native_list | message_too_large: with the limit
  [[nodiscard]] result<std::size_t> measure(const native_head& what);
  /// The head that was measured last, of the same values. @param to  so many bytes @param time_ms  since 1970; what is
  /// above k_max_native_time counts as that
  void put(std::byte* to, const native_head& what, std::uint64_t time_ms) const noexcept;
  /// Both, into memory of its own that it uses again and again. @return valid until the next call
  [[nodiscard]] result<bytes> write(const native_head& what, std::uint64_t time_ms);
  [[nodiscard]] result<bytes> write(const service_route& route, const service_package& package, std::uint64_t time_ms) {
    return write({route, package}, time_ms);
  }

 private:
  std::size_t head_bytes_ = 0;
  std::uint32_t words_ = 0;               // which of them there are
  std::vector<std::uint64_t> note_rows_;  // of each note
  std::vector<std::byte> head_;
};

/// Reads heads that were copied. What is returned refers to the head, and to lists that the next call uses again.
class native_head_reader {
 public:
  /// @param head  8-byte aligned; what measure_native() said, exactly @return protocol: with what is wrong
  [[nodiscard]] result<service_route> route(bytes head);
  [[nodiscard]] result<service_package> package(bytes head);
  /// Both at once. @return as they do; what is given is of no use then
  [[nodiscard]] result<void> read(bytes head, service_route& route, service_package& package);
  /// What a plain head says.
  void read(const plain_head& head, service_route& route, service_package& package) noexcept;

 private:
  /// The texts of a note that says which instance, as they were written out last in this place.
  struct instance_note {
    std::uint64_t row = 0;
    std::array<char, 20> name{};
    std::array<char, 5> value{};
    service_note note{};
    [[nodiscard]] const service_note& of(std::uint64_t which) noexcept;
  };
  [[nodiscard]] const char* read_package(bytes head, const native_extent& lies, service_package& made);

  std::vector<service_note> notes_;
  std::vector<instance_note> instances_;
  std::array<instance_note, k_most_plain_notes> plain_instances_;
  std::array<service_note, k_most_plain_notes> plain_notes_{};  // those of plain_instances_
};

}  // namespace ferry::codec::sidecar
