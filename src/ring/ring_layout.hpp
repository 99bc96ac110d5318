#pragma once
/// How the memory of one direction of a connection is laid out: a page that its producer writes, a page that both
/// write, and the records of 1 to 16 rings. The consumer maps everything but the second page read-only.
///
///     0            page 0: ring_header
///     page_bytes   page 1: shared_page
///     2 pages      ring 0, ring 1, ...: ring_bytes each
///
/// Source: docs/shared-memory.md.

#include <ferry/detail/ring_core.hpp>
#include <ferry/error.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ferry::ring {

inline constexpr std::uint64_t k_magic = 0x474e'5259'5252'4546;  // "FERRYRNG"
inline constexpr std::uint32_t k_version = 1;
inline constexpr std::uint32_t k_max_rings = 16;
inline constexpr std::size_t k_name_bytes = 64;

/// Page 0. Written once, before anybody else sees it; the magic last.
struct ring_header {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t page_bytes;
  std::uint64_t ring_bytes;
  std::uint32_t rings;
  std::uint32_t flags;                  ///< 0
  std::uint64_t epoch;                  ///< random, not 0; another one for each life of the memory
  std::uint64_t created_at;             ///< nanoseconds since 1970
  std::uint32_t producer_pid;           ///< in the producer's namespace; for people
  std::uint32_t producer_uid;           ///< for people
  std::uint64_t reserved;               ///< 0
  std::array<char, k_name_bytes> name;  ///< of the endpoint, cut if longer, padded with zeros; for people
};
static_assert(sizeof(ring_header) == 128 && offsetof(ring_header, version) == 8 &&
              offsetof(ring_header, page_bytes) == 12 && offsetof(ring_header, ring_bytes) == 16 &&
              offsetof(ring_header, rings) == 24 && offsetof(ring_header, epoch) == 32 &&
              offsetof(ring_header, created_at) == 40 && offsetof(ring_header, producer_pid) == 48 &&
              offsetof(ring_header, name) == 64);

/// What a sleeper does: the value of a bell's word. Whoever rings stores `awake` first.
enum class sleeping : std::uint32_t { awake = 0, on_futex = 1, on_socket = 2 };

/// A word on a line of its own.
struct bell_line {
  std::atomic<std::uint32_t> sleeps{0};  ///< a `sleeping`; also the futex
  std::byte reserved[124]{};
};
static_assert(sizeof(bell_line) == 128);

/// Page 1.
struct shared_page {
  bell_line records;  ///< the consumer waits for a record in any ring
  bell_line room;     ///< the producer waits for room; the rings' wake_at say how much
  std::array<ring_line, k_max_rings> rings;
};
static_assert(sizeof(shared_page) == 256 + 128 * k_max_rings && sizeof(shared_page) <= 4096);

/// The sizes of one direction's memory.
struct geometry {
  std::uint64_t ring_bytes = 0;
  std::uint32_t rings = 1;
  std::uint32_t page_bytes = 4096;

  [[nodiscard]] std::uint64_t shared_offset() const noexcept { return page_bytes; }
  [[nodiscard]] std::uint64_t data_offset() const noexcept { return 2ull * page_bytes; }
  [[nodiscard]] std::uint64_t ring_offset(std::uint32_t i) const noexcept { return data_offset() + i * ring_bytes; }
  [[nodiscard]] std::uint64_t total() const noexcept { return ring_offset(rings); }
  friend bool operator==(const geometry&, const geometry&) = default;
};

/// @return bad_option: the size is not a power of two within 4 KiB .. 1 GiB, or the number of rings not 1 .. 16; the
/// text says which sizes would do
[[nodiscard]] result<void> check(const geometry& g);

/// For people and for telling lives apart.
struct identity {
  std::string_view name;
  std::uint64_t epoch = 0;
  std::uint64_t created_at = 0;
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
};

/// Writes the header of fresh memory (all zero) of g.total() bytes, page-aligned.
void format(std::span<std::byte> memory, const geometry& g, const identity& who) noexcept;

/// What a header says, checked: every field is read once, and the sizes fit into `size`, the memory there is.
/// @param first_page  at least sizeof(ring_header) bytes
/// @return corrupt (not a ring, or damaged) | unsupported (another version) | truncated (less memory than it says)
[[nodiscard]] result<geometry> read_header(bytes first_page, std::uint64_t size);
/// The rest of a header that read_header() took, for people. `name` has nothing but printable characters.
struct description {
  std::string name;
  std::uint64_t epoch = 0, created_at = 0;
  std::uint32_t pid = 0, uid = 0;
};
[[nodiscard]] description describe(bytes first_page);

}  // namespace ferry::ring
