#include "codec/typed_framing.hpp"

#include <string>

namespace ferry::codec {

static_assert(framing<typed_framing>);

error typed_framing::malformed(std::byte kind, std::byte reserved) noexcept {
  try {
    if (kind > std::byte{1})
      return {errc::protocol, "message kind " + std::to_string(std::to_integer<unsigned>(kind)) +
                                  " is neither 0 (binary) nor 1 (text)"};
    return {errc::protocol,
            "reserved byte of a header is " + std::to_string(std::to_integer<unsigned>(reserved)) + ", not 0"};
  } catch (const std::bad_alloc&) {
    return errc::protocol;
  }
}

}  // namespace ferry::codec
