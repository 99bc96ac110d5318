#pragma once
/// Inputs that a server must stand: right ones in odd pieces, and wrong ones. A seed makes the same input everywhere.

#include <ferry/options.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace ferry::app {

/// What a server has to do with an input.
enum class fuzz_answer : std::uint8_t {
  open,    ///< take it; when we end our direction, so does the server
  ends,    ///< end the connection
  closes,  ///< send a Close frame with one of `codes`
};

struct fuzz_case {
  std::string name;  ///< "length not minimal"
  std::vector<std::byte> wire;
  std::vector<std::size_t> cuts;  ///< ascending offsets: each piece is written by itself
  bool half_closes = false;       ///< our direction ends behind it
  fuzz_answer wanted = fuzz_answer::open;
  std::vector<std::uint16_t> codes;
};

/// How messages lie in the stream, and the largest one that the server takes.
struct fuzz_target {
  bool websocket = false;
  framing_kind framing = framing_kind::varint;
  std::size_t max_message = 10u << 20;
};

[[nodiscard]] fuzz_case make_fuzz_case(const fuzz_target& target, std::uint64_t seed);
/// One that every server takes.
[[nodiscard]] fuzz_case make_sound_case(const fuzz_target& target, std::uint64_t seed);

}  // namespace ferry::app
