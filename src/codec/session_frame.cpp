#include "codec/session_frame.hpp"

namespace ferry::codec {

error session_framing::malformed(std::byte what, std::byte reserved) noexcept {
  return {errc::protocol, "a frame of a session with kind " + std::to_string(std::to_integer<unsigned>(what)) +
                              ", reserved byte " + std::to_string(std::to_integer<unsigned>(reserved)) +
                              ", or a length or type that this kind does not have"};
}

}  // namespace ferry::codec
