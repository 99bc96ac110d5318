#pragma once
/// A peer of a shm:// channel that is none of ours: it has the memory and the socket, and writes what it likes.

#include <array>
#include <cstring>
#include <stdexcept>
#include <string>

#include "os/fd_passing.hpp"
#include "os/mapping.hpp"
#include "ring/ring_hello.hpp"

namespace ferry::test {

/// Outgoing memory as a well-behaved peer would make it, and all of it in reach.
struct raw_ring_memory {
  explicit raw_ring_memory(ring::geometry sizes_ = {65536, 1, 4096}) : sizes(sizes_) {
    fd = os::create_memory("hostile", sizes.total(), false).value();
    at = os::mapping::of(fd.get(), sizes.total(), true).value();
    ring::format(at.span(), sizes, {"hostile", k_epoch, 1, 1, 1});
  }
  static constexpr std::uint64_t k_epoch = 4711;
  ring::geometry sizes;
  os::unique_fd fd;
  os::mapping at;
  [[nodiscard]] ring::hello hello(ring::hello_kind kind) const { return {kind, true, sizes, k_epoch, {}, "hostile"}; }
  [[nodiscard]] ring::shared_page& shared() const {
    return *reinterpret_cast<ring::shared_page*>(at.data() + sizes.shared_offset());
  }
  [[nodiscard]] std::span<std::byte> ring() const { return at.span().subspan(sizes.ring_offset(0), sizes.ring_bytes); }
};

inline void say_hello(int socket, const raw_ring_memory& memory, ring::hello_kind kind) {
  const auto text = ring::encode(memory.hello(kind));
  if (!os::send_with_fd(socket, text, memory.fd.get())) throw std::runtime_error("cannot say hello");
}

/// What the other end said, and the descriptor that came along; nothing and none if there is nothing to hear.
struct heard_hello {
  std::string text;
  os::unique_fd fd;
  [[nodiscard]] result<ring::hello> decoded() const { return ring::decode_hello(as_bytes(text)); }
};
[[nodiscard]] inline heard_hello hear_hello(int socket) {
  std::array<std::byte, ring::k_hello_bytes> text{};
  auto got = os::receive_with_fd(socket, text);
  if (!got) return {};
  return {std::string(reinterpret_cast<const char*>(text.data()), got->size), std::move(got->fd)};
}

}  // namespace ferry::test
