#pragma once
/// The native head of most messages, written and read in registers: for one entity, with no other field set, and with
/// no notes but of instances, k_most_plain_notes at most. All others are native_head_writer's and
/// native_head_reader's, which write and read these as well, to the same bytes. Source: docs/sidecar.md.

#include <ferry/bytes.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.hpp"
#include "codec/native_message.hpp"

namespace ferry::codec::sidecar {

struct plain_head {
  std::uint32_t from = 0, to = 0;
  std::array<std::uint64_t, k_most_plain_notes> rows;  ///< as instance_row(); of them so many are there:
  std::size_t count = 0;

  [[nodiscard]] std::size_t size() const noexcept { return k_native_fixed_bytes + count * sizeof(std::uint64_t); }

  /// @return false: it is no such head
  [[nodiscard]] bool make(const native_head& what) noexcept {
    const auto* const entity = std::get_if<to_entity>(&what.to);
    const auto& package = what.package;
    const auto small =
        static_cast<std::uint32_t>(package.return_code) | package.server_sequence | package.client_sequence;
    const auto large = what.from_set_version | what.to_set_version | package.from_actor | package.to_actor |
                       static_cast<std::uint64_t>(package.client_version) | what.message_id.size() |
                       package.message_id.size();
    const auto all = what.notes() + (what.instance != 0 ? 1 : 0);
    if (entity == nullptr || (small | large) != 0 || all > k_most_plain_notes) return false;
    bool are_instances = true;
    what.each_note([&](const service_note& note) {
      rows[count] = instance_row(note);
      are_instances = are_instances && rows[count++] != 0;
    });
    if (what.instance != 0) rows[count++] = what.instance;
    from = what.from;
    to = entity->entity;
    return are_instances;
  }
  /// @param at  of size() bytes, 8-byte aligned @param time_ms  as for native_head_writer::put
  void put(std::byte* at, std::uint64_t time_ms) const noexcept {
    store_le(at, (time_ms < k_max_native_time ? time_ms : k_max_native_time) | std::uint64_t{size() / 8} << 48);
    store_le(at + 8, from | std::uint64_t{to} << 32);
    store_le(at + 16, k_kind | std::uint64_t{count} << 16);
    for (std::size_t i = 0; i < count; ++i) store_le(at + k_native_fixed_bytes + i * 8, rows[i]);
  }
  /// Reads each word once. @param whole  a message, 8-byte aligned @param head_bytes  of it, as measured @return false:
  /// it is no such head
  [[nodiscard]] bool read(bytes whole, std::size_t head_bytes) noexcept {
    const auto ends = load_le<std::uint64_t>(whole.data() + 8);
    const auto kind = load_le<std::uint64_t>(whole.data() + 16);
    count = kind >> 16 & 0xffff;
    if ((kind & ~std::uint64_t{0xffff0000}) != k_kind || count > k_most_plain_notes || head_bytes != size())
      return false;
    std::uint64_t wrong = 0;
    for (std::size_t i = 0; i < count; ++i) {
      rows[i] = load_le<std::uint64_t>(whole.data() + k_native_fixed_bytes + i * 8);
      wrong |= rows[i] >> 48 ^ k_instance_mark;
    }
    from = static_cast<std::uint32_t>(ends);
    to = static_cast<std::uint32_t>(ends >> 32);
    return wrong == 0;
  }

 private:
  static constexpr std::uint64_t k_kind = 1;                // for an entity; no words
  static constexpr std::uint64_t k_instance_mark = 0x8000;  // the top of a row, above a pipe
};

inline void native_head_reader::read(const plain_head& head, service_route& route, service_package& package) noexcept {
  for (std::size_t i = 0; i < head.count; ++i)
    if (plain_instances_[i].row != head.rows[i]) [[unlikely]]
      plain_notes_[i] = plain_instances_[i].of(head.rows[i]);
  route.from = head.from;
  route.message_id = {};
  route.to = to_entity{head.to};
  route.from_set_version = route.to_set_version = 0;
  package = {.notes = std::span(plain_notes_).first(head.count)};
}

}  // namespace ferry::codec::sidecar
