#include "ring/ring_layout.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace ferry::ring {
namespace {

error damaged(const std::string& what) { return {errc::corrupt, "not the memory of a ring, or damaged: " + what}; }

ring_header copy_of(bytes first_page) noexcept {
  ring_header copy{};
  std::memcpy(&copy, first_page.data(), sizeof copy);
  return copy;
}

}  // namespace

result<void> check(const geometry& g) {
  if (!ring_geometry::valid(g.ring_bytes))
    return error(errc::bad_option, "a ring of " + std::to_string(g.ring_bytes) +
                                       " bytes cannot be: ring_bytes must be a power of two, 4KiB .. 1GiB");
  if (g.rings == 0 || g.rings > k_max_rings)
    return error(errc::bad_option,
                 std::to_string(g.rings) + " rings: must be 1 .. " + std::to_string(k_max_rings) + " (sender_rings)");
  return {};
}

void format(std::span<std::byte> memory, const geometry& g, const identity& who) noexcept {
  auto* const header = new (memory.data()) ring_header{};
  header->version = k_version;
  header->page_bytes = g.page_bytes;
  header->ring_bytes = g.ring_bytes;
  header->rings = g.rings;
  header->epoch = who.epoch;
  header->created_at = who.created_at;
  header->producer_pid = who.pid;
  header->producer_uid = who.uid;
  std::memcpy(header->name.data(), who.name.data(), std::min(who.name.size(), k_name_bytes));
  new (memory.data() + g.shared_offset()) shared_page{};
  std::atomic_ref(header->magic).store(k_magic, std::memory_order_release);  // pairs with: read_header
}

result<geometry> read_header(bytes first_page, std::uint64_t size) {
  if (first_page.size() < sizeof(ring_header) || size < sizeof(ring_header))
    return error(errc::truncated,
                 "the memory of a ring has at least 12KiB, this has " + std::to_string(size) + " bytes");
  // atomic_ref wants something that is not const; a load does not write.
  auto& magic = *reinterpret_cast<std::uint64_t*>(const_cast<std::byte*>(first_page.data()));
  if (std::atomic_ref(magic).load(std::memory_order_acquire) != k_magic)  // pairs with: format
    return damaged("it does not start with FERRYRNG");
  const ring_header h = copy_of(first_page);
  if (h.version != k_version)
    return error(errc::unsupported, "a ring of version " + std::to_string(h.version) + ", this program knows version " +
                                        std::to_string(k_version) + ": use the same release on both sides");
  if (!std::has_single_bit(h.page_bytes) || h.page_bytes < sizeof(shared_page) || h.page_bytes > (2u << 20))
    return damaged("pages of " + std::to_string(h.page_bytes) + " bytes");
  if (h.flags != 0 || h.reserved != 0 || h.epoch == 0) return damaged("reserved fields are set, or the epoch is not");
  const geometry g{h.ring_bytes, h.rings, h.page_bytes};
  if (const auto checked = check(g); !checked) return damaged(checked.error().text());
  if (g.total() > size)
    return error(errc::truncated, "the header tells of " + std::to_string(g.total()) + " bytes, there are " +
                                      std::to_string(size) + ": it was cut off");
  return g;
}

description describe(bytes first_page) {
  const ring_header h = copy_of(first_page);
  description told{{}, h.epoch, h.created_at, h.producer_pid, h.producer_uid};
  for (const char c : h.name) {
    if (c == '\0') break;
    told.name += c > ' ' && c <= '~' ? c : '?';
  }
  return told;
}

}  // namespace ferry::ring

namespace ferry {

std::optional<ring_contents> ring_scan(std::span<const std::byte> data, const ring_line& line) noexcept {
  // The line is only looked at: the reader that walks publishes into one of its own.
  ring_line unused;
  // A consumer at work moves the position after the sequence: what belongs together was stored before and after alike.
  std::uint64_t position = line.position.load(std::memory_order_acquire);
  std::uint64_t sequence = line.sequence.load(std::memory_order_relaxed);
  const std::uint64_t mask = data.size() - 1;
  if (!ring_geometry::valid(data.size()) || (position & 7) != 0) return std::nullopt;
  // A consumer that died between the two left a sequence that is too new; then its records are still there to tell.
  const auto word_at = [&](std::uint64_t at) {
    auto* const where = const_cast<std::byte*>(data.data() + (at & mask));  // as in ring_consumer::word
    return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(where)).load(std::memory_order_acquire);
  };
  std::uint64_t first = word_at(position);
  if (first == ring_word::k_pad_word) first = word_at(position + data.size() - (position & mask));
  if ((first & ring_word::k_present) != 0 && (first & ring_word::k_pad) == 0) {
    const auto too_new = (sequence - (first >> ring_word::k_sequence_shift)) & ring_word::k_sequence_mask;
    if (too_new > sequence || too_new > data.size() / 8) return std::nullopt;
    sequence -= too_new;
  }
  ring_consumer walker(data, unused, position, sequence);
  ring_contents found;
  while (const auto record = walker.front()) {
    walker.pop();
    found.records += 1;
    found.body_bytes += record.size;
    if (walker.position() - position > data.size()) return std::nullopt;
  }
  if (walker.corrupt()) return std::nullopt;
  found.tail = walker.position();
  found.sequence = walker.sequence();
  found.ended = walker.ended();
  return found;
}

}  // namespace ferry
