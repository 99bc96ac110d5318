#pragma once
/// The private file of one side of a persistent session: who it belongs to, and two commit slots. Its ring of outgoing
/// records is a file of its own, laid out as every ring. Source: docs/sessions.md.
///
///     0       session_header, written once, the magic last
///     4096    commit_slot 0: the transactions with even numbers
///     12288   commit_slot 1: those with odd ones
///     20480   the end
///
/// Each slot lies in pages of its own: a disk that tears a write never tears the other slot.

#include <ferry/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ring/ring_layout.hpp"
#include "session/checksum.hpp"

namespace ferry::session {

inline constexpr std::uint64_t k_file_magic = 0x4e53'5359'5252'4546;  // "FERRYSSN"
inline constexpr std::uint32_t k_file_version = 1;
inline constexpr std::size_t k_name_bytes = 64;
inline constexpr std::size_t k_max_state = 4096;

/// Names as they lie in files and logins, padded with zeros.
using name_field = std::array<char, k_name_bytes>;

/// A name of a side: 1 .. 63 letters, digits, '.', '-', '_', not beginning with '.'; it becomes part of file names.
/// @param whose  for the text of the error: "as", "peer"
[[nodiscard]] result<void> check_name(std::string_view name, std::string_view whose);
/// @param name  at most 63 bytes
[[nodiscard]] name_field to_field(std::string_view name) noexcept;
/// The bytes before the first 0; those that no name has become '?', as what is shown comes from outside.
[[nodiscard]] std::string to_name(const name_field& field);

struct session_header {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t reserved_1;  ///< 0
  std::uint64_t file_bytes;
  std::uint64_t ring_bytes;  ///< of the outgoing ring
  std::uint64_t ring_epoch;  ///< in the header of the outgoing ring's file
  std::uint64_t created_at;  ///< nanoseconds since 1970; for people
  name_field own_name;
  name_field peer_name;
  std::array<std::uint64_t, 9> reserved_2;  ///< 0
  std::uint64_t checksum;                   ///< of everything before it
};
static_assert(sizeof(session_header) == 256 && offsetof(session_header, version) == 8 &&
              offsetof(session_header, file_bytes) == 16 && offsetof(session_header, ring_bytes) == 24 &&
              offsetof(session_header, ring_epoch) == 32 && offsetof(session_header, created_at) == 40 &&
              offsetof(session_header, own_name) == 48 && offsetof(session_header, peer_name) == 112 &&
              offsetof(session_header, reserved_2) == 176 && offsetof(session_header, checksum) == 248);

/// What one transaction leaves behind.
struct commit_record {
  std::uint64_t generation = 0;    ///< number of the transaction, from 1
  std::uint64_t session = 0;       ///< random, not 0; both sides have the same once they have met
  std::uint64_t in_sequence = 0;   ///< number of the next input
  std::uint64_t out_start = 0;     ///< where the withheld word of its outputs goes
  std::uint64_t out_word = 0;      ///< the withheld word; 0: it has no outputs
  std::uint64_t out_end = 0;       ///< where the next output goes
  std::uint64_t out_sequence = 0;  ///< number of the next output
  std::uint64_t out_acked = 0;     ///< position in our ring before which the peer had consumed everything
  std::uint64_t epoch = 0;         ///< of the newest login
  friend bool operator==(const commit_record&, const commit_record&) = default;
};

/// As a commit lies in the file. All words but `settled` are covered by the checksum.
struct commit_slot {
  std::uint64_t generation;  ///< stored last: this is the commit
  std::uint64_t checksum;
  std::uint64_t session;
  std::uint64_t in_sequence;
  std::uint64_t out_start;
  std::uint64_t out_word;
  std::uint64_t out_end;
  std::uint64_t out_sequence;
  std::uint64_t out_acked;
  std::uint64_t epoch;
  std::uint64_t state_bytes;
  std::uint64_t settled;  ///< checked_number: the generation again, once it is known to be there for good
  std::array<std::byte, k_max_state> state;
};
static_assert(sizeof(commit_slot) == 4192 && offsetof(commit_slot, session) == 16 &&
              offsetof(commit_slot, out_start) == 32 && offsetof(commit_slot, out_acked) == 64 &&
              offsetof(commit_slot, settled) == 88 && offsetof(commit_slot, state) == 96);

struct session_file {
  session_header header;
  std::array<std::byte, 4096 - sizeof(session_header)> reserved_1;
  struct slot_pages {
    commit_slot slot;
    std::array<std::byte, 8192 - sizeof(commit_slot)> reserved;
  };
  std::array<slot_pages, 2> slots;

  [[nodiscard]] commit_slot& slot_of(std::uint64_t generation) noexcept { return slots[generation & 1].slot; }
};
static_assert(sizeof(session_file) == 20480 && offsetof(session_file, slots) == 4096);

/// What a slot's checksum takes from that which few transactions change.
[[nodiscard]] std::uint64_t kept_sum(std::uint64_t session, std::uint64_t epoch, bytes state) noexcept;
/// The checksum of a slot but for its last pair, the only one that needs to know the outputs' size.
/// @param kept  kept_sum() of the same transaction
[[nodiscard]] inline checksum slot_sum_begun(const commit_record& c, std::uint64_t kept) noexcept {
  checksum sum;
  sum.add(c.generation, c.in_sequence);
  sum.add(c.out_start, c.out_acked);
  sum.add(c.out_sequence, kept);
  return sum;
}
[[nodiscard]] inline std::uint64_t slot_sum_ended(checksum begun, std::uint64_t out_word,
                                                  std::uint64_t out_end) noexcept {
  begun.add(out_word, out_end);
  return begun.value();
}
/// The checksum of a slot. @param kept  as above
[[nodiscard]] inline std::uint64_t slot_sum(const commit_record& c, std::uint64_t kept) noexcept {
  return slot_sum_ended(slot_sum_begun(c, kept), c.out_word, c.out_end);
}

/// Who a file belongs to.
struct file_identity {
  std::string own_name;
  std::string peer_name;  ///< empty: none met yet
  std::uint64_t ring_bytes = 0;
  std::uint64_t ring_epoch = 0;
  std::uint64_t created_at = 0;
};

/// Lays out a new file: nothing consumed, nothing sent, no state.
/// @param memory  sizeof(session_file) bytes, all zero, 8-byte aligned
/// @param who  names that check_name() takes, or no peer's @param session  random, not 0
void format_file(std::span<std::byte> memory, const file_identity& who, std::uint64_t session) noexcept;

/// Writes the peer's name into a copy of a file, which then takes the file's place as a whole.
/// @param copy  of which read_identity() took the header @param peer_name  that check_name() takes
void name_peer(std::span<std::byte> copy, std::string_view peer_name) noexcept;

/// What a file says about its owner, checked.
/// @return corrupt (not such a file, or damaged) | unsupported (another version) | truncated
[[nodiscard]] result<file_identity> read_identity(bytes memory);

/// The newest commit and its state, a view of `memory`.
struct committed {
  commit_record last;
  bytes state;
};
/// @param memory  of which read_identity() took the header
/// @return corrupt: a slot that was committed for good is damaged. A slot that a crash left half written is passed
/// over.
[[nodiscard]] result<committed> read_newest(bytes memory);

/// The parts of a ring's file, as one who maps it all has them.
struct ring_parts {
  std::span<std::byte> data;
  ring_line* line = nullptr;
};
/// @param memory  the whole file
/// @return corrupt: not the ring that belongs to `who` | as ring::read_header
[[nodiscard]] result<ring_parts> outgoing_ring(std::span<std::byte> memory, const file_identity& who);

}  // namespace ferry::session
