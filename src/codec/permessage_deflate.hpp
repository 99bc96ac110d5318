#pragma once
/// Messages compressed and inflated as the WebSocket extension permessage-deflate says: raw deflate, ended by a flush
/// whose last four bytes are left out. Source: RFC 7692, section 7.2. What two sides agree on is in deflate_offer.hpp.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ferry::codec {

/// What both sides agreed on.
struct deflate_parameters {
  int server_max_window_bits = 15;  ///< of the window that the server compresses with; 8 .. 15
  int client_max_window_bits = 15;
  bool server_no_context_takeover = false;  ///< each message of the server is compressed on its own
  bool client_no_context_takeover = false;
  bool operator==(const deflate_parameters&) const = default;
};

/// How one direction compresses.
struct deflate_direction {
  int window_bits = 15;   ///< 8 .. 15
  bool take_over = true;  ///< a message may refer to the ones before it
};
[[nodiscard]] constexpr deflate_direction of_server(const deflate_parameters& agreed) noexcept {
  return {agreed.server_max_window_bits, !agreed.server_no_context_takeover};
}
[[nodiscard]] constexpr deflate_direction of_client(const deflate_parameters& agreed) noexcept {
  return {agreed.client_max_window_bits, !agreed.client_no_context_takeover};
}

namespace detail {
struct end_deflate {
  void operator()(void* stream) const noexcept;
};
struct end_inflate {
  void operator()(void* stream) const noexcept;
};
}  // namespace detail

/// Compresses one direction's messages. Memory: about 2^(window_bits + 2) + 2^(memory_level + 9) bytes, from the first
/// message on; none is allocated per message.
class message_deflater {
 public:
  struct settings {
    int level = 1;         ///< 1 (fast) .. 9 (small)
    int memory_level = 8;  ///< 1 .. 9
  };
  explicit message_deflater(const deflate_direction& direction) noexcept : message_deflater(direction, settings{}) {}
  message_deflater(const deflate_direction& direction, const settings& with) noexcept
      : direction_(direction), settings_(with) {}

  /// Most bytes that compressing `size` bytes in one call makes.
  [[nodiscard]] static constexpr std::size_t bound(std::size_t size) noexcept {
    return size + size / 8 + size / 64 + 64;
  }

  /// Compresses a part of a message; all of it can be inflated from what has been returned so far.
  /// @param part  may be empty
  /// @param last  the message ends here
  /// @param out   at least bound(part.size()) bytes, not overlapping
  /// @return bytes written, at least 1 if `last` | no_memory. After an error nothing can be compressed any more.
  [[nodiscard]] result<std::size_t> deflate(bytes part, bool last, mutable_bytes out) noexcept;

  /// Frees what no later message needs; between two messages.
  void settle() noexcept {
    if (!direction_.take_over) stream_.reset();
  }

 private:
  [[nodiscard]] bool start() noexcept;

  std::unique_ptr<void, detail::end_deflate> stream_;
  deflate_direction direction_;
  settings settings_;
  bool broken_ = false;
};

/// Inflates the other direction's messages. Memory: about 10 KiB and the window, from the first message on; none is
/// allocated per message. What it writes is bounded by the room it is given, whatever the peer sends.
///
///   between --feed--> inside --feed (a block with BFINAL ends)--> after_final --feed--> inside
///   inside, after_final --finish, until it is done--> between;   any --corrupt--> broken
class message_inflater {
 public:
  explicit message_inflater(const deflate_direction& direction) noexcept : direction_(direction) {}

  struct progress {
    std::size_t consumed = 0;  ///< bytes of the input that are used up
    std::size_t produced = 0;  ///< bytes written; if the room is full, there may be more
    bool corrupt = false;      ///< what follows cannot be inflated; what was written is good
  };
  /// Goes on with the message. Call again while it produces all that it has room for.
  /// @param in  payload, unmasked; a frame's or a part of it @param out  not empty
  /// @return no_memory. After that, and once it is corrupt, nothing comes any more.
  [[nodiscard]] result<progress> feed(bytes in, mutable_bytes out) noexcept;

  /// The message has no more payload. Call until `done()`. A message that ends inside of a block is corrupt.
  /// @return no_memory
  [[nodiscard]] result<progress> finish(mutable_bytes out) noexcept;
  /// finish() has written everything.
  [[nodiscard]] bool done() const noexcept { return state_ == state::between; }

  /// Frees what no later message needs; between two messages.
  void settle() noexcept {
    if (!direction_.take_over) stream_.reset();
  }

 private:
  enum class state : std::uint8_t { between, inside, after_final, broken };
  void enter(state next) noexcept { state_ = next; }
  [[nodiscard]] bool start() noexcept;
  void resume_after_final() noexcept;
  [[nodiscard]] result<progress> inflate(bytes in, mutable_bytes out) noexcept;
  [[nodiscard]] result<progress> fail(progress so_far) noexcept;

  std::unique_ptr<void, detail::end_inflate> stream_;
  deflate_direction direction_;
  state state_ = state::between;
  std::uint8_t tail_used_ = 0;  // bytes of the omitted tail that finish() has fed
  bool out_of_memory_ = false;  // why it is broken
};

}  // namespace ferry::codec
