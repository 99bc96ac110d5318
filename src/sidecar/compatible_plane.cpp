#include "sidecar/compatible_plane.hpp"

#include <algorithm>
#include <utility>

namespace ferry::sidecar {

result<std::unique_ptr<compatible_reader>> compatible_reader::attach(os::private_file file,
                                                                     const ring::sidecar_ring_limits& limits) {
  const auto memory = ring::sidecar_ring_memory::open(file.span());
  if (!memory) return memory.error();
  auto in = ring::sidecar_ring_consumer::attach(*memory, limits);
  if (!in) return in.error();
  auto made = std::make_unique<compatible_reader>();
  made->file_ = std::move(file);
  made->in_ = *in;
  return made;
}

result<ring_message> compatible_reader::front(std::uint64_t now_ms) {
  const auto found = in_.front(now_ms);
  if (!found) return found.error();
  return ring_message{service_rings::compatible, found->body, found->head_bytes, found->time_ms, found->there};
}

result<std::unique_ptr<compatible_writer>> compatible_writer::attach(os::private_file file) {
  const auto memory = ring::sidecar_ring_memory::open(file.span());
  if (!memory) return memory.error();
  auto out = ring::sidecar_ring_producer::attach(*memory);
  if (!out) return out.error();
  auto made = std::make_unique<compatible_writer>();
  made->file_ = std::move(file);
  made->out_ = *out;
  return made;
}

bool compatible_writer::write(std::span<const bytes> parts, std::size_t head_bytes, std::uint64_t time_ms) noexcept {
  std::size_t size = 0;
  for (const auto& part : parts) size += part.size();
  std::byte* to = out_.reserve(size);
  if (to == nullptr) return false;
  for (const auto& part : parts) to = std::copy(part.begin(), part.end(), to);
  out_.publish(size, head_bytes, time_ms);
  return true;
}

}  // namespace ferry::sidecar
