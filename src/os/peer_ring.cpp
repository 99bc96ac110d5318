#include "os/peer_ring.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace ferry::os {

result<peer_ring> map_peer_ring(const unique_fd& file) {
  if (!file) return error(errc::protocol, "the peer sent no memory along with its login");
  struct stat what {};
  if (::fstat(file.get(), &what) != 0) return error::from_errno(errno, "look at the peer's ring");
  if (!S_ISREG(what.st_mode)) return error(errc::protocol, "the peer sent something else than a file along");
  peer_ring made;
  const auto size = static_cast<std::size_t>(what.st_size);
  const std::size_t page = page_bytes(false);
  if (size < 2 * page || size > 2 * ring_geometry::k_max_bytes)
    return error(errc::corrupt, "the peer's ring has " + std::to_string(size) + " bytes");
  auto at = mapping::of(file.get(), size, false);
  if (!at) return at.error();
  made.at = std::move(*at);
  made.guard = std::make_unique<bus_guard>(made.at.span());
  const auto sizes = ring::read_header(made.at.span(), size);
  if (!sizes) return sizes.error();
  if (sizes->rings != 1 || sizes->page_bytes % page != 0)
    return error(errc::corrupt, "the peer's memory is no ring of a session");
  made.sizes = *sizes;
  if (auto writable = made.at.make_writable(file.get(), sizes->shared_offset(), sizes->page_bytes); !writable)
    return error(errc::protocol, "the peer's ring: " + writable.error().text());  // the peer's doing, not our trouble
  return made;
}

}  // namespace ferry::os
