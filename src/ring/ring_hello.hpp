#pragma once
/// What two ends tell each other on the connection's Unix socket before records flow: 512 bytes each way, each with
/// the sender's outgoing memory attached as a file descriptor. Afterwards the socket carries bytes without meaning,
/// one to wake whoever sleeps, and its end says that the process is gone.
///
///     connecting end                          listening end
///        hello, memory  ------------------------>
///                       <------------------------  welcome, memory    or    refusal, why
///
/// Source: docs/shared-memory.md.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstdint>
#include <string>

#include "ring/ring_layout.hpp"

namespace ferry::ring {

inline constexpr std::size_t k_hello_bytes = 512;
inline constexpr std::size_t k_hello_text_bytes = 447;

enum class hello_kind : std::uint32_t { hello = 1, welcome = 2, refusal = 3 };

struct hello {
  hello_kind kind = hello_kind::hello;
  bool barriers = false;  ///< asks for membarriers and is reached by them; else both sides pay for order themselves
  geometry memory;        ///< as in the header of the memory that comes along
  std::uint64_t epoch = 0;
  errc reason{};     ///< of a refusal
  std::string text;  ///< the endpoint's name; of a refusal: why. At most k_hello_text_bytes of UTF-8, cut between two
                     ///< characters if longer
};

[[nodiscard]] std::array<std::byte, k_hello_bytes> encode(const hello& h) noexcept;

/// @param in  k_hello_bytes
/// @return protocol (not a hello, or with impossible numbers) | unsupported (another version); a refusal is returned as
/// one, not as an error
[[nodiscard]] result<hello> decode_hello(bytes in);

/// A refusal as the error that the connecting end reports.
[[nodiscard]] error refusal_of(const hello& h);

}  // namespace ferry::ring
