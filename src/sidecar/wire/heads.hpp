#pragma once
/// The two protobuf heads of a data message, as bytes and back. Source: docs/sidecar.md.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>
#include <ferry/service_message.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace ferry::sidecar::wire {

inline constexpr std::size_t k_max_notes = 4096;  ///< of one package; the limit is ours

/// Reads heads, one message after the other, in memory that it uses again and again: the protobuf library asks for no
/// more of it once the largest heads were seen, but for texts of more than 15 bytes, which it keeps in strings of their
/// own. What is returned is valid until the next clear().
class head_reader {
 public:
  head_reader();
  ~head_reader();
  head_reader(head_reader&&) noexcept;
  head_reader& operator=(head_reader&&) noexcept;

  /// Forgets what was read: to be called before the heads of the next message.
  void clear() noexcept;
  /// @return protocol: the bytes are not a head, a text is not UTF-8, or there are more than k_max_notes. A head
  /// without destination is one.
  [[nodiscard]] result<service_route> route(bytes head);
  [[nodiscard]] result<service_package> package(bytes head);

 private:
  struct memory;
  std::unique_ptr<memory> memory_;
};

/// Writes heads, one message after the other, in memory that it uses again and again.
class head_writer {
 public:
  head_writer();
  ~head_writer();
  head_writer(head_writer&&) noexcept;
  head_writer& operator=(head_writer&&) noexcept;

  /// The bytes of a head, valid until the next call of the same function.
  /// @return misuse: a text is not UTF-8, there is no destination, or there are more than k_max_notes
  [[nodiscard]] result<bytes> route(const service_route& what);
  [[nodiscard]] result<bytes> package(const service_package& what);

 private:
  struct memory;
  std::unique_ptr<memory> memory_;
};

}  // namespace ferry::sidecar::wire
