#include "ring/tcpshm_ring.hpp"

#include <array>
#include <string>

namespace ferry::ring {
namespace {

constexpr std::uint32_t k_header_bytes = 8;

struct first_word {
  std::uint16_t size;
  std::uint16_t type;
  std::uint32_t unused;
};
static_assert(sizeof(first_word) == k_header_bytes);

first_word read_once(std::byte* at) noexcept {
  return std::bit_cast<first_word>(
      std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at)).load(std::memory_order_relaxed));
}

error out_of_range(std::uint32_t write, std::uint32_t read, std::uint32_t blocks) {
  return {errc::corrupt, "a ring of " + std::to_string(blocks) + " blocks cannot have write_idx " +
                             std::to_string(write) + " and read_idx " + std::to_string(read)};
}

}  // namespace

void tcpshm_ring_memory::reset() const noexcept {
  read_index().store(0, std::memory_order_relaxed);
  read_index_seen().store(0, std::memory_order_relaxed);
  write_index().store(0, std::memory_order_release);
}

result<tcpshm_record> tcpshm_record_at(const tcpshm_ring_memory& ring, std::uint32_t index,
                                       std::uint32_t end) noexcept {
  const std::uint32_t blocks = ring.blocks();
  if (index == end) return tcpshm_record{};
  if (end - index > blocks) return errc::corrupt;
  first_word word = read_once(ring.block(index));
  if (word.size == 0) {
    const std::uint32_t to_start = blocks - (index & (blocks - 1));
    if (to_start == blocks || to_start > end - index) return errc::corrupt;
    index += to_start;
    if (index == end) return tcpshm_record{0, 0, nullptr, index};
    word = read_once(ring.block(index));
  }
  const std::uint32_t need = (word.size + k_tcpshm_block - 1) / k_tcpshm_block;
  if (word.size < k_header_bytes || word.type == 0 || need > end - index || (index & (blocks - 1)) + need > blocks)
    return errc::corrupt;
  return tcpshm_record{word.size, word.type, ring.block(index), index + need};
}

tcpshm_backlog tcpshm_backlog_between(const tcpshm_ring_memory& ring, std::uint32_t index, std::uint32_t end) noexcept {
  tcpshm_backlog all;
  while (index != end) {
    const auto record = tcpshm_record_at(ring, index, end);
    if (!record) break;
    index = record->next_index;
    if (!*record) continue;
    all.messages += 1;
    all.bytes += record->size - k_header_bytes;
  }
  return all;
}

result<void> tcpshm_ring_producer::attach(const tcpshm_ring_memory& ring) {
  const auto write = ring.write_index().load(std::memory_order_acquire);
  const auto read = ring.read_index().load(std::memory_order_acquire);
  if (write - read > ring.blocks()) return out_of_range(write, read, ring.blocks());
  std::uint32_t found = 0;
  for (std::uint32_t at = read; at != write;) {
    const auto record = tcpshm_record_at(ring, at, write);
    if (!record)
      return error(errc::corrupt,
                   "what lies in block " + std::to_string(at & (ring.blocks() - 1)) + " of a ring is no message");
    at = record->next_index;
    if (*record) found += 1;
  }
  ring_ = ring;
  found_ = found;
  write_ = from_ = to_ = write;
  read_seen_ = read;
  corrupt_ = false;
  ring.read_index_seen().store(read, std::memory_order_relaxed);
  return {};
}

result<void> tcpshm_ring_consumer::attach(const tcpshm_ring_memory& ring) {
  const auto write = ring.write_index().load(std::memory_order_acquire);
  const auto read = ring.read_index().load(std::memory_order_acquire);
  if (write - read > ring.blocks()) return out_of_range(write, read, ring.blocks());
  ring_ = ring;
  read_ = read;
  front_ = {};
  corrupt_ = false;
  return {};
}

tcpshm_record tcpshm_ring_consumer::look(std::uint32_t write) noexcept {
  const auto found = tcpshm_record_at(ring_, read_, write);
  if (!found) {
    corrupt_ = true;
    return {};
  }
  if (*found) return front_ = *found;
  // A pad and nothing behind it yet: its room is the producer's again.
  read_ = found->next_index;
  ring_.read_index().store(read_, std::memory_order_release);
  return {};
}

}  // namespace ferry::ring
