#include "apps/ferry/file_position.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/endian.hpp"
#include "session/checksum.hpp"

namespace ferry::app {
namespace {

constexpr std::string_view k_magic = "FERRYPOS";
constexpr std::uint32_t k_version = 1;

// magic 0, version 8, whose 12, session 16, offset 24, tail 32
static_assert(file_position::k_bytes == 32 + sizeof(std::uint64_t));

const char* done_to(position_of whose) { return whose == position_of::sender ? "sent" : "written"; }

}  // namespace

std::array<std::byte, file_position::k_bytes> encode(const file_position& position) noexcept {
  std::array<std::byte, file_position::k_bytes> state{};
  std::memcpy(state.data(), k_magic.data(), k_magic.size());
  store_le(state.data() + 8, k_version);
  store_le(state.data() + 12, static_cast<std::uint32_t>(position.whose));
  store_le(state.data() + 16, position.session);
  store_le(state.data() + 24, position.offset);
  store_le(state.data() + 32, position.tail);
  return state;
}

result<std::optional<file_position>> decode_position(bytes state, position_of whose) {
  if (state.empty()) return std::optional<file_position>();
  const bool ours = state.size() == file_position::k_bytes && as_text(state.first(k_magic.size())) == k_magic &&
                    load_le<std::uint32_t>(state.data() + 8) == k_version &&
                    load_le<std::uint32_t>(state.data() + 12) == static_cast<std::uint32_t>(whose);
  if (!ours)
    return error(errc::unsupported,
                 "the session keeps a state that is no position in a file: another program, command or version uses "
                 "it; give this one a name (as) or a directory (dir) of its own");
  return std::optional(file_position{whose, load_le<std::uint64_t>(state.data() + 16),
                                     load_le<std::uint64_t>(state.data() + 24),
                                     load_le<std::uint64_t>(state.data() + 32)});
}

result<void> read_exactly(int fd, std::uint64_t offset, mutable_bytes into, const std::string& name) {
  while (!into.empty()) {
    const auto n = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error::from_errno(errno, "read " + name);
    if (n == 0)
      return error(errc::end_of_stream, name + " has become shorter than " + std::to_string(offset) + " bytes");
    into = into.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

result<std::uint64_t> tail_before(int fd, std::uint64_t offset, const std::string& name) {
  std::array<std::byte, file_position::k_looked_at> block{};
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(offset, block.size()));
  const mutable_bytes tail(block.data(), size);
  if (const auto read = read_exactly(fd, offset - size, tail, name); !read) return read.error();
  session::checksum sum;
  sum.add(tail);
  return sum.value();
}

result<void> check_position(int fd, const file_position& at, const std::string& name) {
  const std::string how_far = std::to_string(at.offset) + " bytes of it were " + done_to(at.whose) + " already";
  const auto tail = tail_before(fd, at.offset, name);
  if (!tail && tail.error() == errc::end_of_stream)
    return error(errc::corrupt, name + " was cut off or replaced: " + how_far +
                                    ", and it is shorter now; bring it back, or begin a new session on both sides");
  if (!tail) return tail.error();
  if (*tail != at.tail)
    return error(errc::corrupt, name + " was changed or replaced: " + how_far +
                                    ", and what lies before that place is something else now; bring it back, or begin "
                                    "a new session on both sides");
  return {};
}

}  // namespace ferry::app
