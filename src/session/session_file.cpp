#include "session/session_file.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

namespace ferry::session {
namespace {

constexpr std::string_view k_advice = "; restore both files of the session from a backup, or reset it";

error damaged(const std::string& what) {
  return {errc::corrupt, "not the file of a session, or damaged: " + what + std::string(k_advice)};
}

bool may_be_in_name(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

std::uint64_t header_sum(const session_header& h) noexcept {
  checksum sum;
  sum.add(std::as_bytes(std::span(&h, 1)).first(offsetof(session_header, checksum)));
  return sum.value();
}

bool name_is_clean(const name_field& field, bool may_be_empty) {
  const std::string_view all(field.data(), field.size());
  const auto end = std::min(all.find('\0'), all.size());
  return (end == 0 ? may_be_empty : check_name(all.substr(0, end), "").has_value()) &&
         all.find_first_not_of('\0', end) == std::string_view::npos;
}

commit_record commit_of(const commit_slot& slot) noexcept {
  return {slot.generation, slot.session,      slot.in_sequence, slot.out_start, slot.out_word,
          slot.out_end,    slot.out_sequence, slot.out_acked,   slot.epoch};
}

bool whole(const commit_slot& slot) noexcept {
  if (slot.generation == 0 || slot.state_bytes > k_max_state) return false;
  const auto state = bytes(slot.state).first(slot.state_bytes);
  return slot.checksum == slot_sum(commit_of(slot), kept_sum(slot.session, slot.epoch, state));
}

}  // namespace

result<void> check_name(std::string_view name, std::string_view whose) {
  if (!name.empty() && name.size() < k_name_bytes && name.front() != '.' &&
      std::all_of(name.begin(), name.end(), may_be_in_name))
    return {};
  std::string shown;
  for (const char c : name.substr(0, k_name_bytes)) shown += c >= ' ' && c <= '~' ? c : '?';
  return error(errc::bad_option, std::string(whose) + "='" + shown + "' (" + std::to_string(name.size()) +
                                     " bytes) cannot name a side of a session: 1 .. 63 letters, digits, '.', '-', '_', "
                                     "not beginning with '.'");
}

name_field to_field(std::string_view name) noexcept {
  name_field field{};
  std::memcpy(field.data(), name.data(), std::min(name.size(), k_name_bytes - 1));
  return field;
}

std::string to_name(const name_field& field) {
  std::string name;
  for (const char c : field) {
    if (c == '\0') break;
    name += may_be_in_name(c) ? c : '?';
  }
  return name;
}

std::uint64_t kept_sum(std::uint64_t session, std::uint64_t epoch, bytes state) noexcept {
  checksum sum;
  sum.add(session, epoch);
  sum.add(state.size(), k_file_version);
  sum.add(state);
  return sum.value();
}

void format_file(std::span<std::byte> memory, const file_identity& who, std::uint64_t session) noexcept {
  auto& file = *new (memory.data()) session_file{};
  session_header& h = file.header;
  h.version = k_file_version;
  h.file_bytes = sizeof(session_file);
  h.ring_bytes = who.ring_bytes;
  h.ring_epoch = who.ring_epoch;
  h.created_at = who.created_at;
  h.own_name = to_field(who.own_name);
  h.peer_name = to_field(who.peer_name);
  commit_record first;
  first.generation = 1;
  first.session = session;
  commit_slot& slot = file.slot_of(first.generation);
  slot.generation = first.generation;
  slot.session = first.session;
  slot.checksum = slot_sum(first, kept_sum(first.session, first.epoch, {}));
  slot.settled = checked_number::encode(first.generation);
  // The magic is part of what the checksum covers, and is stored last all the same.
  session_header copy = h;
  copy.magic = k_file_magic;
  h.checksum = header_sum(copy);
  std::atomic_ref(h.magic).store(k_file_magic, std::memory_order_release);
}

void name_peer(std::span<std::byte> copy, std::string_view peer_name) noexcept {
  session_header& h = reinterpret_cast<session_file*>(copy.data())->header;
  h.peer_name = to_field(peer_name);
  h.checksum = header_sum(h);
}

result<file_identity> read_identity(bytes memory) {
  if (memory.size() < sizeof(session_file))
    return error(errc::truncated, "the file of a session has " + std::to_string(sizeof(session_file)) +
                                      " bytes, this has " + std::to_string(memory.size()) + ": it was cut off" +
                                      std::string(k_advice));
  session_header h;
  std::memcpy(&h, memory.data(), sizeof h);
  if (h.magic != k_file_magic) return damaged("it does not start with FERRYSSN");
  if (h.version != k_file_version)
    return error(errc::unsupported, "the file of a session of version " + std::to_string(h.version) +
                                        ", this program knows version " + std::to_string(k_file_version) +
                                        ": use the release that made it");
  if (h.checksum != header_sum(h)) return damaged("the checksum of its header is wrong");
  if (memory.size() != h.file_bytes || h.file_bytes != sizeof(session_file))
    return damaged("it has " + std::to_string(memory.size()) + " bytes instead of " +
                   std::to_string(sizeof(session_file)));
  if (!ring_geometry::valid(h.ring_bytes) || h.ring_epoch == 0 || !name_is_clean(h.own_name, false) ||
      !name_is_clean(h.peer_name, true))
    return damaged("its header has a size, an epoch or a name that cannot be");
  return file_identity{to_name(h.own_name), to_name(h.peer_name), h.ring_bytes, h.ring_epoch, h.created_at};
}

result<committed> read_newest(bytes memory) {
  if (memory.size() != sizeof(session_file)) return damaged("it has " + std::to_string(memory.size()) + " bytes");
  const auto& file = *reinterpret_cast<const session_file*>(memory.data());
  const commit_slot* newest = nullptr;
  std::uint64_t settled = 0;
  for (std::uint64_t i = 0; i < file.slots.size(); ++i) {
    const commit_slot& slot = file.slots[i].slot;
    const std::uint64_t known = checked_number::decode(slot.settled);
    if (known == checked_number::k_none) return damaged("the mark of commit slot " + std::to_string(i));
    settled = std::max(settled, known);
    if (!whole(slot)) continue;
    if ((slot.generation & 1) != i) return damaged("a commit lies in the other one's slot");
    if (newest == nullptr || slot.generation > newest->generation) newest = &slot;
  }
  if (newest == nullptr || newest->generation < settled)
    return damaged("the checksum of transaction " + std::to_string(settled) + ", the newest, is wrong");
  const commit_record last = commit_of(*newest);
  if (last.session == 0 || last.out_start > last.out_end || last.out_acked > last.out_end ||
      ((last.out_start | last.out_end | last.out_acked) & 7) != 0 ||
      (last.out_word != 0) != (last.out_start != last.out_end) ||
      (last.out_word != 0 && (last.out_word & ring_word::k_present) == 0))
    return damaged("transaction " + std::to_string(last.generation) + " has numbers that contradict each other");
  return committed{last, bytes(newest->state).first(newest->state_bytes)};
}

result<ring_parts> outgoing_ring(std::span<std::byte> memory, const file_identity& who) {
  const auto sizes = ring::read_header(memory, memory.size());
  if (!sizes) return sizes.error();
  if (sizes->rings != 1 || sizes->ring_bytes != who.ring_bytes || ring::describe(memory).epoch != who.ring_epoch)
    return error(errc::corrupt, "this ring does not belong to the session of " + who.own_name + " with " +
                                    who.peer_name + ": keep both files of a session together");
  auto* const shared = reinterpret_cast<ring::shared_page*>(memory.data() + sizes->shared_offset());
  return ring_parts{memory.subspan(sizes->data_offset(), sizes->ring_bytes), &shared->rings[0]};
}

}  // namespace ferry::session
