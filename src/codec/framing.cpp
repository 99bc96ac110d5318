#include "codec/framing.hpp"

#include <string>

namespace ferry::codec::detail {

error message_too_large(std::uint64_t size, std::size_t max_message) noexcept {
  try {
    return {errc::message_too_large, "message of " + std::to_string(size) + " bytes is larger than max_message (" +
                                         std::to_string(max_message) + ")"};
  } catch (const std::bad_alloc&) {
    return errc::message_too_large;
  }
}

}  // namespace ferry::codec::detail
