#include "codec/varint_framing.hpp"

#include <string>

namespace ferry::codec {

static_assert(framing<varint_framing>);

error varint_framing::overflow(std::byte tenth) noexcept {
  try {
    return {errc::varint_overflow, "length prefix larger than 64 bits: its tenth byte is " +
                                       std::to_string(std::to_integer<unsigned>(tenth)) + ", at most 1 fits"};
  } catch (const std::bad_alloc&) {
    return errc::varint_overflow;
  }
}

}  // namespace ferry::codec
