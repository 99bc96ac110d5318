#pragma once
/// Messages: bytes with a boundary, a kind and a 16-bit type. Includes no Boost.

#include <ferry/buffer_pool.hpp>
#include <ferry/bytes.hpp>

#include <cstdint>
#include <cstring>

namespace ferry {

enum class message_kind : std::uint8_t { binary = 0, text = 1 };

/// A message somebody else owns; what says how long it stays valid is the function that hands it out.
struct message_view {
  bytes payload;
  message_kind kind = message_kind::binary;
  std::uint16_t type = 0;
  /// Where a transport carries messages in parts and the receiver wants them so (`ws_delivery=pieces`), one of these
  /// views is a part: `first` of its message, or not; followed by `more` of it, or not. A whole message has both at
  /// their defaults.
  bool first = true;
  bool more = false;

  [[nodiscard]] std::string_view text() const noexcept { return as_text(payload); }
  [[nodiscard]] bool whole() const noexcept { return first && !more; }
};

/// A message of its own, in a pooled buffer. Movable; may be destroyed on any thread, also after its pool.
class message {
 public:
  message() noexcept = default;
  /// Copies `view`. Empty() and !ok() if the pool is at its limit.
  static message copy_of(const message_view& view, buffer_pool& pool) noexcept {
    message copy;
    if (!view.payload.empty()) {
      copy.buffer_ = pool.acquire(view.payload.size());
      if (!copy.buffer_) return copy;
      std::memcpy(copy.buffer_.data(), view.payload.data(), view.payload.size());
    }
    copy.size_ = view.payload.size();
    copy.kind_ = view.kind;
    copy.type_ = view.type;
    copy.first_ = view.first;
    copy.more_ = view.more;
    copy.ok_ = true;
    return copy;
  }
  /// Takes over a buffer that holds the payload in its first `size` bytes.
  message(pooled_buffer buffer, std::size_t size, message_kind kind, std::uint16_t type) noexcept
      : buffer_(std::move(buffer)), size_(size), type_(type), kind_(kind), ok_(true) {}

  [[nodiscard]] bytes payload() const noexcept { return {buffer_.data(), size_}; }
  [[nodiscard]] std::string_view text() const noexcept { return as_text(payload()); }
  [[nodiscard]] message_kind kind() const noexcept { return kind_; }
  [[nodiscard]] std::uint16_t type() const noexcept { return type_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool first() const noexcept { return first_; }  ///< as in message_view
  [[nodiscard]] bool more() const noexcept { return more_; }    ///< as in message_view
  [[nodiscard]] message_view view() const noexcept { return {payload(), kind_, type_, first_, more_}; }
  /// False for a default-constructed message and where no memory was to be had.
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  pooled_buffer buffer_;
  std::size_t size_ = 0;
  std::uint16_t type_ = 0;
  message_kind kind_ = message_kind::binary;
  bool ok_ = false;
  bool first_ = true;
  bool more_ = false;
};

}  // namespace ferry
