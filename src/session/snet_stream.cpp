#include "session/snet_stream.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace ferry::session {

snet_stream::snet_stream(const snet_options& options, std::uint64_t id, const codec::snet::shared_key& key,
                         snet_end end)
    : id_(id),
      key_(key),
      encrypt_(options.encrypt),
      outgoing_(key),
      incoming_(key),
      least_(std::max<std::size_t>(options.history_bytes, 1)),
      limit_(std::max(options.history_limit, least_)),
      capacity_(least_) {
  // The server's stream of RC4 enciphered the id before anything else.
  (end == snet_end::server ? outgoing_ : incoming_).skip(sizeof id);
}

void snet_stream::write(bytes plain, mutable_bytes wire) {
  if (encrypt_)
    outgoing_.apply(plain, wire);
  else if (!plain.empty() && plain.data() != wire.data())
    std::memmove(wire.data(), plain.data(), plain.size());
  make_room(plain.size());
  counts_.written += plain.size();
  bytes last = wire.first(plain.size());
  if (last.size() > capacity_) last = last.last(capacity_);
  copy_in(counts_.written - last.size(), last);
  oldest_ = std::max(oldest_, counts_.written - std::min<std::uint64_t>(counts_.written, capacity_));
}

// For so much more, without what the peer may lack being overwritten.
void snet_stream::make_room(std::size_t size) {
  const auto written = counts_.written + size;
  const auto needed = written - settled_;
  if (needed > capacity_ && capacity_ < limit_ && pool_ != nullptr) {
    const auto wanted = std::min<std::uint64_t>(limit_, std::max<std::uint64_t>(needed, 2 * capacity_));
    auto grown = larger(wanted);
    const auto capacity = std::min(grown.capacity(), limit_);
    if (grown) return move_to(std::move(grown), capacity);
  }
  if (!grown_ && history_.size() < capacity_)
    history_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(capacity_, written)));
}

pooled_buffer snet_stream::larger(std::uint64_t wanted) {
  const auto fits = [this](std::uint64_t size) { return !room_ || room_->taken - charged_ + size <= room_->most; };
  auto made = fits(wanted) ? pool_->acquire(static_cast<std::size_t>(wanted)) : pooled_buffer();
  if (!fits(made.capacity())) made = {};
  if (!made && room_) ++room_->refused;
  return made;
}

void snet_stream::charge(std::size_t grown) noexcept {
  if (room_) room_->taken += grown - charged_;
  charged_ = grown;
}

void snet_stream::move_to(pooled_buffer grown, std::size_t capacity) {
  const auto kept = std::min(held(), capacity);
  const auto from = counts_.written - kept;
  const auto parts = last(kept);
  charge(grown ? grown.capacity() : 0);
  std::vector<std::byte> small(grown ? 0 : capacity);
  const auto old_small = std::exchange(history_, std::move(small));
  const auto old_grown = std::exchange(grown_, std::move(grown));
  capacity_ = capacity;
  oldest_ = from;
  copy_in(from, parts.first);
  copy_in(from + parts.first.size(), parts.second);
}

void snet_stream::copy_in(std::uint64_t at, bytes what) noexcept {
  std::byte* const to = grown_ ? grown_.data() : history_.data();
  while (!what.empty()) {
    const auto place = static_cast<std::size_t>(at % capacity_);
    const auto part = std::min(what.size(), capacity_ - place);
    std::memcpy(to + place, what.data(), part);
    what = what.subspan(part);
    at += part;
  }
}

void snet_stream::receive(mutable_bytes wire) noexcept {
  if (encrypt_) incoming_.apply(wire, wire);
  counts_.received += wire.size();
}

result<snet_stream::replay> snet_stream::resume(const codec::snet::counts& peer) const {
  if (peer.received > counts_.written)
    return error(errc::protocol, "the peer says it received " + std::to_string(peer.received) + " bytes, and only " +
                                     std::to_string(counts_.written) + " were written");
  if (peer.written < counts_.received)
    return error(errc::protocol, "the peer says it wrote " + std::to_string(peer.written) + " bytes, and " +
                                     std::to_string(counts_.received) + " were received");
  const auto lacking = counts_.written - peer.received;
  if (lacking > held())
    return error(errc::truncated, "the peer lacks the last " + std::to_string(lacking) + " bytes, the history has " +
                                      std::to_string(held()));
  return last(static_cast<std::size_t>(lacking));
}

snet_stream::replay snet_stream::last(std::size_t size) const noexcept {
  if (size == 0) return {};
  const auto place = static_cast<std::size_t>((counts_.written - size) % capacity_);
  const auto first = std::min(size, capacity_ - place);
  return {bytes(data() + place, first), bytes(data(), size - first)};
}

void snet_stream::settle(std::size_t lacking) noexcept {
  settled_ = told_ = counts_.written - lacking;
  mark_.reset();
}

void snet_stream::heard() {
  if (!has_grown()) return;
  // A step may be nearly over where the mark is set, and what is heard may have come at the beginning of another one.
  if (mark_ && ran_ - mark_->at < k_settled + k_step) return;
  if (mark_) settled_ = mark_->written;
  mark_ = {counts_.written, ran_};
  const auto needed = counts_.written - settled_;
  if (needed > least_ && needed > capacity_ / 8) return;
  if (needed <= least_) {
    mark_.reset();
    return move_to({}, least_);
  }
  auto less = pool_->acquire(static_cast<std::size_t>(2 * needed));
  const auto capacity = std::min(less.capacity(), limit_);
  if (less && capacity < capacity_) move_to(std::move(less), capacity);
}

}  // namespace ferry::session
