#include "ring/shared_bodies.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/endian.hpp"

namespace ferry::ring {
namespace {

constexpr std::uint32_t k_version = 1;

// Where things lie in the header.
constexpr std::size_t k_magic_at = 0, k_version_at = 8, k_service_at = 12, k_generation_at = 16, k_bytes_at = 24;

// Before a body: its stamp, its length.
constexpr std::size_t k_before_body = 16;
constexpr std::size_t k_line = 64;

constexpr std::size_t lines(std::size_t size) noexcept { return (size + k_line - 1) / k_line * k_line; }

}  // namespace

void store(std::byte* to, const body_reference& what) noexcept {
  store_le(to, what.generation);
  store_le(to + 8, what.stamp);
  store_le(to + 16, what.offset);
  store_le(to + 20, what.length);
}

body_reference load_body_reference(const std::byte* there) noexcept {
  return {load_le<std::uint64_t>(there), load_le<std::uint64_t>(there + 8), load_le<std::uint32_t>(there + 16),
          load_le<std::uint32_t>(there + 20)};
}

void format_bodies(std::span<std::byte> memory, std::uint64_t generation, std::uint32_t service) noexcept {
  store_le(memory.data() + k_magic_at, k_bodies_magic);
  store_le(memory.data() + k_version_at, k_version);
  store_le(memory.data() + k_service_at, service);
  store_le(memory.data() + k_generation_at, generation);
  store_le(memory.data() + k_bytes_at, std::uint64_t{memory.size() - k_bodies_head_bytes});
}

result<bodies_identity> read_bodies_header(bytes memory) {
  if (memory.size() < k_bodies_head_bytes)
    return error(errc::corrupt, "memory for shared bodies of only " + std::to_string(memory.size()) + " bytes");
  if (load_le<std::uint64_t>(memory.data() + k_magic_at) != k_bodies_magic ||
      load_le<std::uint32_t>(memory.data() + k_version_at) != k_version)
    return error(errc::corrupt, "no memory for shared bodies");
  const bodies_identity said{load_le<std::uint64_t>(memory.data() + k_generation_at),
                             load_le<std::uint32_t>(memory.data() + k_service_at),
                             load_le<std::uint64_t>(memory.data() + k_bytes_at)};
  if (said.parts_bytes != memory.size() - k_bodies_head_bytes)
    return error(errc::corrupt, "memory for " + std::to_string(said.parts_bytes) + " bytes of shared bodies that has " +
                                    std::to_string(memory.size() - k_bodies_head_bytes));
  return said;
}

bytes find_body(bytes parts, const body_reference& which) noexcept {
  const std::uint64_t end = std::uint64_t{which.offset} + k_before_body + which.length;
  if (which.offset % k_line != 0 || end > parts.size()) return {};
  const auto* const there = parts.data() + which.offset;
  if (load_le<std::uint64_t>(there) != which.stamp || load_le<std::uint64_t>(there + 8) != which.length) return {};
  return {there + k_before_body, which.length};
}

body_store::body_store(std::span<std::byte> parts, std::uint64_t generation, std::uint64_t stamp) noexcept
    : parts_(parts),
      generation_(generation),
      stamp_(stamp),
      part_bytes_(parts.size() / k_body_parts / k_line * k_line),
      used_(part_bytes_) {}

void body_store::add(body_holder& ring) {
  forget(ring);
  ring.asked_in_ = 0;
  holders_.push_back(&ring);
}

void body_store::remove(const body_holder& ring) noexcept { std::erase(holders_, &ring); }

std::size_t body_store::max_body() const noexcept {
  return part_bytes_ < k_before_body ? 0 : part_bytes_ - k_before_body;
}

// Each position costs a line of the cache, once for a part.
bool body_store::begin_part() noexcept {
  for (auto* one : holders_) one->read_to_ = one->read_to();
  for (std::uint32_t part = 0; part < k_body_parts; ++part) {
    const bool is_read = std::all_of(holders_.begin(), holders_.end(),
                                     [&](const auto* one) { return one->held_to_[part] <= one->read_to_; });
    if (!is_read) continue;
    part_ = part;
    used_ = 0;
    ++turn_;
    return true;
  }
  return false;
}

std::optional<body_reference> body_store::put(bytes body) noexcept {
  const auto needed = lines(k_before_body + body.size());
  if (needed > part_bytes_ || (needed > part_bytes_ - used_ && !begin_part())) return std::nullopt;
  const auto offset = part_ * part_bytes_ + used_;
  auto* const there = parts_.data() + offset;
  used_ += needed;
  store_le(there, ++stamp_);
  store_le(there + 8, std::uint64_t{body.size()});
  if (!body.empty()) std::memcpy(there + k_before_body, body.data(), body.size());
  return body_reference{generation_, stamp_, static_cast<std::uint32_t>(offset),
                        static_cast<std::uint32_t>(body.size())};
}

bool body_store::may_refer(body_holder& ring) noexcept {
  if (ring.asked_in_ == turn_) return ring.may_refer_;
  ring.asked_in_ = turn_;
  const auto read_to = ring.read_to();
  const auto kept =
      std::count_if(ring.held_to_.begin(), ring.held_to_.end(), [&](std::uint64_t end) { return end > read_to; });
  return ring.may_refer_ = kept < k_most_parts_of_one;
}

void body_store::refers(body_holder& ring, const body_reference& what, std::uint64_t end) noexcept {
  if (what.generation != generation_ || part_bytes_ == 0) return;
  const auto part = what.offset / part_bytes_;
  if (part < k_body_parts) ring.held_to_[part] = std::max(ring.held_to_[part], end);
}

bool body_store::is_referred_to_by(body_holder& ring) const noexcept {
  const auto read_to = ring.read_to();
  return std::any_of(ring.held_to_.begin(), ring.held_to_.end(), [&](std::uint64_t end) { return end > read_to; });
}

}  // namespace ferry::ring
