#pragma once
/// What a peer of a persistent session says, once it is logged in, that cannot be true.

#include <ferry/error.hpp>

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "raw_session_peer.hpp"

namespace ferry::test {

struct lie {
  const char* name;
  std::string frames;
  errc reason;  ///< why the connection ends
  // NOLINTNEXTLINE(readability-identifier-naming): as GoogleTest calls it
  friend void PrintTo(const lie& one, std::ostream* to) { *to << one.name; }
};

/// The lies that are told to either end.
[[nodiscard]] inline auto all_lies() {
  using enum codec::session_frame_kind;
  const auto changed = [](std::size_t at, char value) {
    std::string frame = session_frame_text(acknowledgement, 0);
    frame[at] = value;
    return frame;
  };
  return ::testing::Values(
      lie{"acknowledges_what_was_never_sent", session_frame_text(acknowledgement, 1), errc::protocol},
      lie{"acknowledges_the_end_of_time", session_frame_text(binary, ~0ull, "x"), errc::protocol},
      lie{"has_an_unknown_kind", changed(6, 5), errc::protocol},
      lie{"has_the_last_kind", changed(6, '\xff'), errc::protocol},
      lie{"has_a_reserved_byte", changed(7, 1), errc::protocol},
      lie{"has_a_long_acknowledgement", changed(0, 1), errc::protocol},
      lie{"has_an_acknowledgement_with_a_type", changed(4, 1), errc::protocol},
      lie{"is_too_long", session_frame_text(binary, 0, "", 1u << 20), errc::message_too_large},
      lie{"is_as_long_as_can_be_said", session_frame_text(binary, 0, "", 0xffffffff), errc::message_too_large},
      lie{"goes_on_after_its_end", session_frame_text(end, 0) + session_frame_text(text, 0, "and"), errc::protocol},
      lie{"ends_twice", session_frame_text(end, 0) + session_frame_text(end, 0), errc::protocol});
}

}  // namespace ferry::test
