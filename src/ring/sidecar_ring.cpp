#include "ring/sidecar_ring.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "base/endian.hpp"

namespace ferry::ring {
namespace {

constexpr std::uint64_t k_validation = 0xefeffefeefeffefeu;
constexpr std::uint32_t k_version = 1;
constexpr auto k_filler = std::byte{5};
constexpr auto k_message = std::byte{7};
constexpr auto k_protobuf = std::byte{1};
constexpr auto k_header = static_cast<std::uint32_t>(k_sidecar_header_bytes);

void store_header(std::byte* to, std::byte kind, std::uint32_t length, std::uint32_t head_bytes,
                  std::uint64_t time_ms) noexcept {
  store_le(to, k_validation);
  store_le(to + 8, k_version);
  store_le(to + 12, time_ms);
  to[20] = kind;
  to[21] = k_protobuf;
  store_le(to + 22, length);
  store_le(to + 26, head_bytes);
}

result<void> check_positions(const sidecar_ring_memory& ring, std::uint32_t head, std::uint32_t tail) {
  if (head <= ring.queue_bytes() && tail <= ring.queue_bytes()) return {};
  return error(errc::corrupt, "a ring of " + std::to_string(ring.queue_bytes()) + " bytes cannot have head " +
                                  std::to_string(head) + " and tail " + std::to_string(tail));
}

}  // namespace

void sidecar_ring_memory::format(std::span<std::byte> all) noexcept {
  store_le(all.data(), static_cast<std::uint32_t>(k_sidecar_control_bytes));
  store_le(all.data() + 4, static_cast<std::uint32_t>(all.size() - k_sidecar_control_bytes));
  const sidecar_ring_memory made(all);
  made.head().store(0, std::memory_order_relaxed);
  made.tail().store(0, std::memory_order_release);
}

result<sidecar_ring_memory> sidecar_ring_memory::open(std::span<std::byte> all) {
  if (all.size() < k_sidecar_control_bytes + k_min_sidecar_queue ||
      all.size() > k_sidecar_control_bytes + k_max_sidecar_queue)
    return error(errc::corrupt, "a ring file of " + std::to_string(all.size()) + " bytes, it must be " +
                                    std::to_string(k_sidecar_control_bytes + k_min_sidecar_queue) +
                                    " bytes at least and less than 4 GiB");
  const auto control = load_le<std::uint32_t>(all.data());
  const auto queue = load_le<std::uint32_t>(all.data() + 4);
  if (control != k_sidecar_control_bytes || std::size_t{queue} + control != all.size())
    return error(errc::corrupt, "a ring file of " + std::to_string(all.size()) + " bytes that says it has " +
                                    std::to_string(control) + " and " + std::to_string(queue));
  return sidecar_ring_memory(all);
}

result<sidecar_ring_producer> sidecar_ring_producer::attach(const sidecar_ring_memory& ring) {
  const auto head = ring.head().load(std::memory_order_acquire);
  const auto tail = ring.tail().load(std::memory_order_acquire);
  if (const auto fine = check_positions(ring, head, tail); !fine) return fine.error();
  sidecar_ring_producer made;
  made.ring_ = ring;
  made.tail_ = tail;
  made.head_seen_ = head;
  return made;
}

// The reader only comes nearer to us.
bool sidecar_ring_producer::look() noexcept {
  const auto head = ring_.head().load(std::memory_order_acquire);  // pairs with: sidecar_ring_consumer::move_to
  if (head > ring_.queue_bytes() || ring_.distance(head, tail_) > ring_.distance(head_seen_, tail_)) corrupt_ = true;
  if (!corrupt_) head_seen_ = head;
  return !corrupt_;
}

bool sidecar_ring_producer::place(std::uint32_t length) noexcept {
  if (tail_ < head_seen_) {
    from_ = tail_;
    return length < head_seen_ - tail_;
  }
  // A tail at the very end would look like the start to some and not to others.
  from_ = tail_;
  if (length < ring_.queue_bytes() - tail_) return true;
  from_ = 0;
  return length < head_seen_;
}

std::byte* sidecar_ring_producer::reserve(std::size_t body_bytes) noexcept {
  if (corrupt_ || body_bytes >= ring_.queue_bytes() - k_header) return nullptr;
  const auto length = static_cast<std::uint32_t>(body_bytes) + k_header;
  if (!place(length) && (!look() || !place(length))) return nullptr;
  return ring_.at(from_) + k_header;
}

void sidecar_ring_producer::publish(std::size_t body_bytes, std::size_t head_bytes, std::uint64_t time_ms) noexcept {
  const auto length = static_cast<std::uint32_t>(body_bytes) + k_header;
  // The filler moves the tail together with the message: whoever is killed between has written both, or nothing.
  if (from_ != tail_ && ring_.queue_bytes() - tail_ >= k_header)
    store_header(ring_.at(tail_), k_filler, ring_.queue_bytes() - tail_, 0, time_ms);
  store_header(ring_.at(from_), k_message, length, static_cast<std::uint32_t>(head_bytes), time_ms);
  tail_ = from_ + length;
  ring_.tail().store(tail_, std::memory_order_release);  // pairs with: sidecar_ring_consumer::front
  const auto head = ring_.head().load(std::memory_order_relaxed);
  if (head <= ring_.queue_bytes()) peak_ = std::max(peak_, ring_.distance(head, tail_));
}

std::uint32_t sidecar_ring_producer::unread_bytes() noexcept {
  return look() ? ring_.distance(head_seen_, tail_) : ring_.queue_bytes();
}

struct sidecar_ring_consumer::header {
  std::uint64_t validation;
  std::uint64_t time_ms;
  std::byte kind;
  std::uint32_t length;
  std::uint32_t head_bytes;

  /// Copied before it is looked at: whatever changes there later, what was checked is what is used.
  static header read_once(const std::byte* at) noexcept {
    std::array<std::byte, k_sidecar_header_bytes> copy;
    std::memcpy(copy.data(), at, copy.size());
    return {load_le<std::uint64_t>(copy.data()), load_le<std::uint64_t>(copy.data() + 12), copy[20],
            load_le<std::uint32_t>(copy.data() + 22), load_le<std::uint32_t>(copy.data() + 26)};
  }
};

result<sidecar_ring_consumer> sidecar_ring_consumer::attach(const sidecar_ring_memory& ring,
                                                            const sidecar_ring_limits& limits) {
  const auto head = ring.head().load(std::memory_order_acquire);
  const auto tail = ring.tail().load(std::memory_order_acquire);
  if (const auto fine = check_positions(ring, head, tail); !fine) return fine.error();
  sidecar_ring_consumer made;
  made.ring_ = ring;
  made.limits_ = limits;
  made.head_ = head;
  return made;
}

std::uint32_t sidecar_ring_consumer::unread_bytes() const noexcept {
  const auto tail = ring_.tail().load(std::memory_order_acquire);
  return tail > ring_.queue_bytes() ? ring_.queue_bytes() : ring_.distance(head_, tail);
}

void sidecar_ring_consumer::move_to(std::uint32_t position) noexcept {
  head_ = position;
  ring_.head().store(position, std::memory_order_release);  // pairs with: sidecar_ring_producer::look
}

void sidecar_ring_consumer::pop() noexcept {
  front_ = {};
  move_to(next_);
}

error sidecar_ring_consumer::dropped(std::uint32_t tail, errc reason, const std::string& what) {
  const auto at = head_;
  const auto unread = tail <= ring_.queue_bytes() ? ring_.distance(head_, tail) : ring_.queue_bytes();
  stats_.faults += 1;
  stats_.dropped_bytes += unread;
  move_to(tail <= ring_.queue_bytes() ? tail : head_);
  return {reason, what + " at " + std::to_string(at) + " of a ring of " + std::to_string(ring_.queue_bytes()) +
                      " bytes; all " + std::to_string(unread) + " unread bytes are dropped"};
}

error sidecar_ring_consumer::dropped_at(std::uint32_t tail, const header& found, const std::string& what) {
  return dropped(tail, errc::corrupt,
                 what + " (kind " + std::to_string(std::to_integer<unsigned>(found.kind)) + ", length " +
                     std::to_string(found.length) + ", head " + std::to_string(found.head_bytes) + ")");
}

result<sidecar_record> sidecar_ring_consumer::look(std::uint32_t tail) {
  for (;;) {
    if (head_ == tail) return sidecar_record{};
    const bool wrapped = tail < head_;
    const auto there = wrapped ? ring_.queue_bytes() - head_ : tail - head_;
    if (there < k_header) {
      if (!wrapped) return dropped(tail, errc::corrupt, "less than a message");
      move_to(0);
      continue;
    }
    const auto found = header::read_once(ring_.at(head_));
    if (found.validation != k_validation) return dropped_at(tail, found, "no message");
    if (found.kind == k_filler && wrapped) {
      move_to(0);
      continue;
    }
    if (found.kind != k_message || found.length < k_header || found.length > there ||
        found.head_bytes > found.length - k_header)
      return dropped_at(tail, found, "an impossible message");
    if (const auto payload = found.length - k_header - found.head_bytes; payload > limits_.max_payload)
      return dropped(tail, errc::message_too_large,
                     "a payload of " + std::to_string(payload) + " bytes, the limit is " +
                         std::to_string(limits_.max_payload) + ",");
    next_ = head_ + found.length;
    return sidecar_record{{ring_.at(head_) + k_header, found.length - k_header}, found.head_bytes, found.time_ms, true};
  }
}

bool sidecar_ring_consumer::expired(const sidecar_record& one, std::uint64_t now_ms) const noexcept {
  return limits_.valid_ms != 0 && now_ms > one.time_ms && now_ms - one.time_ms > limits_.valid_ms;
}

result<sidecar_record> sidecar_ring_consumer::front(std::uint64_t now_ms) {
  if (front_) return front_;
  skips_ = false;
  const auto tail = ring_.tail().load(std::memory_order_acquire);  // pairs with: sidecar_ring_producer::publish
  if (tail == head_) return sidecar_record{};
  if (tail > ring_.queue_bytes()) return dropped(tail, errc::corrupt, "a tail of " + std::to_string(tail));
  peak_ = std::max(peak_, ring_.distance(head_, tail));
  for (std::uint32_t skipped = 0;; ++skipped) {
    auto found = look(tail);
    if (!found || !*found) return found;
    if (!expired(*found, now_ms)) {
      stats_.messages += 1;
      stats_.count_delay(found->time_ms, now_ms);
      return front_ = *found;
    }
    if (skipped == limits_.max_skipped) {
      skips_ = true;
      return sidecar_record{};
    }
    stats_.expired += 1;
    move_to(next_);
  }
}

}  // namespace ferry::ring
