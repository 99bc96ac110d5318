#include "codec/md5.hpp"

#include <boost/uuid/detail/md5.hpp>
#include <cstdint>

#include "base/endian.hpp"

namespace ferry::codec {

std::array<std::byte, 16> md5(bytes a, bytes b) noexcept {
  boost::uuids::detail::md5 sum;
  for (const bytes part : {a, b})
    if (!part.empty()) sum.process_bytes(part.data(), part.size());  // memcpy takes no null pointer, of no bytes either
  boost::uuids::detail::md5::digest_type words{};
  sum.get_digest(words);
  std::array<std::byte, 16> made{};
  for (std::size_t i = 0; i < 4; ++i) store_be<std::uint32_t>(made.data() + 4 * i, words[i]);
  return made;
}

}  // namespace ferry::codec
