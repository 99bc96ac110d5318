#include "apps/ferry/inspect_ring.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "session/persistent_session.hpp"

namespace ferry::app {
namespace {

constexpr int k_attempts = 8;                      // at a ring that is being used
constexpr std::uint64_t k_first_bytes = 64 << 10;  // read at first; records that wait are few as a rule

struct line_copy {
  std::uint64_t position = 0, sequence = 0, wake_at = 0;
};

result<line_copy> read_line(const memory_reader& read, const ring::geometry& sizes, std::uint32_t ring) {
  alignas(ring_line) std::byte raw[sizeof(ring_line)];
  const auto at = sizes.shared_offset() + offsetof(ring::shared_page, rings) + ring * sizeof(ring_line);
  if (const auto got = read(at, raw); !got) return got.error();
  line_copy line;
  std::memcpy(&line.position, raw, 8);
  std::memcpy(&line.sequence, raw + offsetof(ring_line, sequence), 8);
  std::memcpy(&line.wake_at, raw + offsetof(ring_line, wake_at), 8);
  return line;
}

// A copy of a ring that takes only as much memory as was read.
class ring_copy {
 public:
  explicit ring_copy(std::uint64_t size) : size_(size), at_(static_cast<std::byte*>(std::calloc(1, size))) {}
  explicit operator bool() const noexcept { return at_ != nullptr; }
  [[nodiscard]] std::span<const std::byte> span() const noexcept { return {at_.get(), size_}; }

  /// The bytes of positions `from` .. `to`, in this order.
  result<void> load(const memory_reader& read, std::uint64_t begin, std::uint64_t from, std::uint64_t to) {
    while (from < to) {
      const std::uint64_t offset = from & (size_ - 1);
      const std::uint64_t now = std::min(to - from, size_ - offset);
      if (auto got = read(begin + offset, {at_.get() + offset, static_cast<std::size_t>(now)}); !got) return got;
      from += now;
    }
    return {};
  }
  /// Whoever comes around to this position finds nothing there.
  void clear_word(std::uint64_t position) { std::memset(at_.get() + (position & (size_ - 8)), 0, 8); }

 private:
  struct free_it {
    void operator()(std::byte* at) const noexcept { std::free(at); }
  };
  std::uint64_t size_;
  std::unique_ptr<std::byte, free_it> at_;
};

std::optional<ring_contents> scan(const ring_copy& copy, const line_copy& line) {
  ring_line at;
  at.position.store(line.position, std::memory_order_relaxed);
  at.sequence.store(line.sequence, std::memory_order_relaxed);
  return ring_scan(copy.span(), at);
}

std::vector<waiting_message> oldest_messages(const ring_copy& copy, const line_copy& line) {
  std::vector<waiting_message> all;
  ring_line unused;
  ring_consumer reader(copy.span(), unused, line.position, line.sequence);
  while (all.size() < k_most_messages) {
    const auto record = reader.front();
    const auto m = record ? session::message_of(record) : result<message_view>(errc::would_block);
    if (!m) break;
    all.push_back({line.sequence + all.size(), m->type, m->kind == message_kind::text, m->payload.size()});
    reader.pop();
  }
  return all;
}

// What lies behind a position is not overwritten before the consumer has published a later one. So the position is read
// again afterwards, and what is counted begins there.
result<ring_report> inspect_ring(const memory_reader& read, const ring::geometry& sizes, std::uint32_t ring) {
  const std::uint64_t begin = sizes.ring_offset(ring);
  ring_report report;
  for (int attempt = 0; attempt < k_attempts; ++attempt) {
    ring_copy copy(sizes.ring_bytes);
    if (!copy) return error(errc::no_memory, "no memory for a copy of a ring");
    const auto before = read_line(read, sizes, ring);
    if (!before) return before.error();
    auto line = *before;
    for (std::uint64_t loaded = 0, wanted = k_first_bytes; loaded < sizes.ring_bytes; wanted *= 4) {
      wanted = std::min(wanted, sizes.ring_bytes);
      if (const auto got = copy.load(read, begin, before->position + loaded, before->position + wanted); !got)
        return got.error();
      loaded = wanted;
      const auto after = read_line(read, sizes, ring);
      if (!after) return after.error();
      line = *after;
      // A producer that has gone on has reached the end of what was read; behind it lies what is a lap older.
      if (line.position != before->position) copy.clear_word(before->position);
      report.unread = scan(copy, line);
      if (report.unread && report.unread->tail < before->position + loaded) break;
    }
    report.position = line.position;
    report.sequence = line.sequence;
    report.wake_at = line.wake_at;
    report.busy = line.position != before->position;
    if (report.unread) report.oldest = oldest_messages(copy, line);
    if (report.unread || !report.busy) break;
  }
  return report;
}

}  // namespace

result<memory_report> inspect_memory(const memory_reader& read, std::uint64_t size) {
  alignas(ring::ring_header) std::byte first[sizeof(ring::ring_header)]{};
  const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(size, sizeof first));
  if (const auto got = read(0, mutable_bytes(first).first(there)); !got) return got.error();
  const auto sizes = ring::read_header(bytes(first).first(there), size);
  if (!sizes) return sizes.error();
  memory_report report;
  report.sizes = *sizes;
  report.header = ring::describe(first);
  report.version = ring::k_version;
  const auto word = [&](std::size_t offset, std::uint32_t& into) {
    return read(sizes->shared_offset() + offset, {reinterpret_cast<std::byte*>(&into), sizeof into});
  };
  if (const auto got = word(offsetof(ring::shared_page, records), report.consumer_sleeps); !got) return got.error();
  if (const auto got = word(offsetof(ring::shared_page, room), report.producer_sleeps); !got) return got.error();
  for (std::uint32_t i = 0; i < sizes->rings; ++i) {
    auto ring = inspect_ring(read, *sizes, i);
    if (!ring) return ring.error();
    report.rings.push_back(*ring);
  }
  return report;
}

}  // namespace ferry::app
