#pragma once
/// The head of a message between services in a native ring: fixed places, then lists and texts. Sans-I/O: bytes in,
/// views out. Source: docs/sidecar.md.
///
/// Bytes may lie in memory that somebody else writes to: a head is measured there, copied, and only then read.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>
#include <ferry/service_message.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ferry::codec::sidecar {

inline constexpr std::size_t k_native_fixed_bytes = 104;
inline constexpr std::size_t k_max_native_head = 256 * 1024;
inline constexpr std::size_t k_max_native_list = 4096;  ///< entities, notes; of each

/// What a head says before it is copied.
struct native_measure {
  std::uint64_t time_ms = 0;   ///< when it was sent, since 1970
  std::size_t head_bytes = 0;  ///< 0: it cannot be a head
};
/// Reads the two fields once. @param whole  a message
[[nodiscard]] native_measure measure_native(bytes whole) noexcept;

/// What most heads say of the way of a message.
struct native_way {
  std::uint32_t from = 0;
  std::uint32_t to = 0;  ///< entity
  std::uint64_t to_set_version = 0;
};
/// @param head  as for native_head_reader @return nothing: it is for somebody else than one entity, or
/// native_head_reader::route() refuses it
[[nodiscard]] std::optional<native_way> native_way_of(bytes head) noexcept;

/// Writes heads in memory that it uses again and again.
class native_head_writer {
 public:
  /// A head, valid until the next call. @return misuse: a text is not UTF-8, there is no destination, or a list is
  /// longer than k_max_native_list | message_too_large: with the limit
  [[nodiscard]] result<bytes> write(const service_route& route, const service_package& package, std::uint64_t time_ms);

 private:
  void append(std::string_view text) noexcept;
  std::vector<std::byte> head_;
  std::byte* at_ = nullptr;
};

/// Reads heads that were copied. What is returned refers to the head, and to lists that the next call uses again.
class native_head_reader {
 public:
  /// @param head  8-byte aligned; what measure_native() said, exactly @return protocol: with what is wrong
  [[nodiscard]] result<service_route> route(bytes head);
  [[nodiscard]] result<service_package> package(bytes head);

 private:
  std::vector<service_note> notes_;
};

}  // namespace ferry::codec::sidecar
