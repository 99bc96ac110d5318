#pragma once
/// Bodies that several readers get. Each lies once, in memory that one writer writes and all readers map for reading
/// only; the ring of each reader has a reference to it. Dry: the memory is given. Source: docs/sidecar.md.
///
///     0      header
///     4096   parts of equal size; in each of them bodies one behind the other, each on a line of its own
///
/// Bodies are put into one part until that is full, then into the lowest one into which no ring has a reference that
/// was not read: what readers who keep up need stays in few lines, and one who does not keep up keeps some parts from
/// all others, and no more than some.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ferry::ring {

inline constexpr std::uint64_t k_bodies_magic = 0x444f'4259'5252'4546;  // "FERRYBOD", at the beginning
inline constexpr std::size_t k_bodies_head_bytes = 4096;
inline constexpr std::uint32_t k_body_parts = 32;
inline constexpr std::uint32_t k_most_parts_of_one = 8;  ///< that one ring keeps from the others

/// What a ring has instead of a body.
struct body_reference {
  std::uint64_t generation = 0;  ///< of the memory
  std::uint64_t stamp = 0;       ///< what stands before the body
  std::uint32_t offset = 0;      ///< of that, from the first part on
  std::uint32_t length = 0;      ///< of the body
  friend bool operator==(const body_reference&, const body_reference&) = default;
};
inline constexpr std::size_t k_body_reference_bytes = 24;
void store(std::byte* to, const body_reference& what) noexcept;
/// @param there  k_body_reference_bytes
[[nodiscard]] body_reference load_body_reference(const std::byte* there) noexcept;

/// What the header says.
struct bodies_identity {
  std::uint64_t generation = 0;  ///< random, not 0: of this file
  std::uint32_t service = 0;
  std::uint64_t parts_bytes = 0;  ///< of all parts
};
/// Writes the header of fresh memory (all zero). @param memory  k_bodies_head_bytes and the parts
void format_bodies(std::span<std::byte> memory, std::uint64_t generation, std::uint32_t service) noexcept;
/// Reads each field once. @return corrupt: it is none, or of another size than `memory`
[[nodiscard]] result<bodies_identity> read_bodies_header(bytes memory);

/// Where a body lies. The writer may be another process, which is not believed. @param parts  of the memory whose
/// generation the reference names @return null data: it cannot lie there, or another one does by now
[[nodiscard]] bytes find_body(bytes parts, const body_reference& which) noexcept;

/// One reader's ring, as the writer of bodies knows it.
class body_holder {
 public:
  body_holder() noexcept = default;
  body_holder(const body_holder&) = delete;
  body_holder& operator=(const body_holder&) = delete;
  virtual ~body_holder() = default;
  /// Everything in its ring before this position was read.
  [[nodiscard]] virtual std::uint64_t read_to() noexcept = 0;

 private:
  friend class body_store;
  std::array<std::uint64_t, k_body_parts> held_to_{};  // behind the last reference into each part
  std::uint64_t read_to_ = 0;                          // as it was asked last
  std::uint64_t asked_in_ = 0;                         // turn of body_store
  bool may_refer_ = false;                             // what was found then
};

/// The end that writes. Reads nothing of the memory. One thread uses it.
class body_store {
 public:
  body_store() noexcept = default;  ///< takes none
  /// @param parts  of memory with a header @param stamp  of the first body: random, so that no earlier life of the
  /// writer has given the same ones
  body_store(std::span<std::byte> parts, std::uint64_t generation, std::uint64_t stamp) noexcept;

  /// A ring that has no reference yet.
  void add(body_holder& ring);
  void remove(const body_holder& ring) noexcept;

  [[nodiscard]] std::size_t max_body() const noexcept;
  /// Copies a body in, where it stays as long as a ring that was told of has a reference to it that was not read.
  /// @return nothing: it is larger than max_body(), or there is no part where it can lie
  [[nodiscard]] std::optional<body_reference> put(bytes body) noexcept;
  /// Whether a ring may have a reference to what was put last: not if it keeps k_most_parts_of_one already.
  [[nodiscard]] bool may_refer(body_holder& ring) noexcept;
  /// It has one to what was put last. @param end  the position behind it
  void refers(body_holder& ring, std::uint64_t end) noexcept { ring.held_to_[part_] = end; }
  /// It has one that was written before this writer began.
  void refers(body_holder& ring, const body_reference& what, std::uint64_t end) noexcept;
  /// Nobody reads that ring any more: it is another one now.
  void forget(body_holder& ring) noexcept { ring.held_to_ = {}; }
  [[nodiscard]] bool is_referred_to_by(body_holder& ring) const noexcept;

 private:
  [[nodiscard]] bool begin_part() noexcept;

  std::span<std::byte> parts_;
  std::uint64_t generation_ = 0;
  std::uint64_t stamp_ = 0;
  std::size_t part_bytes_ = 0;
  std::size_t used_ = 0;    // of the part
  std::uint32_t part_ = 0;  // that bodies are put into
  std::uint64_t turn_ = 0;  // parts that were begun
  std::vector<body_holder*> holders_;
};

}  // namespace ferry::ring
