#include "ring/message_ring.hpp"

#include <algorithm>
#include <cstring>

namespace ferry::ring {
namespace {

constexpr std::size_t k_tag = sizeof(ring_tag);

// Of a message in several: one is written while another is read, and little is lost at the end of the ring.
std::size_t piece_of(std::size_t ring_bytes) noexcept { return ring_bytes / 8; }

// Null: it is not one.
bytes whole_in(const ring_record& record) noexcept {
  return record.marks == ring_marks::text ? record.body() : bytes();
}

// Copies `size` bytes from where the parts were left.
class parts_reader {
 public:
  explicit parts_reader(std::span<const bytes> parts) noexcept : parts_(parts) {}
  void copy(std::byte* to, std::size_t size) noexcept {
    while (size != 0) {
      const auto rest = parts_[part_].subspan(at_);
      const auto now = std::min(size, rest.size());
      if (now != 0) std::memcpy(to, rest.data(), now);
      to += now;
      size -= now;
      at_ += now;
      if (at_ != parts_[part_].size()) continue;
      ++part_;
      at_ = 0;
    }
  }

 private:
  std::span<const bytes> parts_;
  std::size_t part_ = 0, at_ = 0;
};

}  // namespace

// All records in an empty ring that stands where the most is lost: a piece before the end.
std::size_t message_ring_producer::max_message() const noexcept {
  const auto piece = piece_of(out_.ring_bytes());
  return out_.ring_bytes() - ring_geometry::record_bytes(piece) - 8 - k_tag - 8 * 16;
}

bool message_ring_producer::has_room(std::size_t total) noexcept {
  const auto ring = out_.ring_bytes();
  if (total > ring) return false;
  const auto used = out_.used();  // which is where the reader is, from the tail
  if (out_.corrupt()) return false;
  std::uint64_t at = out_.tail();
  const auto begin = at;
  while (total != 0) {
    const auto size = std::min(total, piece_of(ring));
    const auto record = ring_geometry::record_bytes(size);
    const auto offset = at & (ring - 1);
    if (offset + record > ring) at += ring - offset;
    at += record;
    total -= size;
  }
  return used + (at - begin) + 8 <= ring;
}

bool message_ring_producer::write(std::span<const bytes> parts) noexcept {
  std::size_t size = 0;
  for (const auto& part : parts) size += part.size();
  parts_reader from(parts);
  if (size <= out_.max_body()) {
    std::byte* const room = reserve(size);
    if (room == nullptr) return false;
    from.copy(room, size);
    publish();
    return true;
  }
  const ring_tag tag{0, 0, static_cast<std::uint32_t>(size)};
  auto left = k_tag + size;
  if (!has_room(left)) return false;
  for (bool is_first = true; left != 0; is_first = false) {
    const auto piece = std::min(left, piece_of(out_.ring_bytes()));
    std::byte* room = out_.reserve(piece);
    if (room == nullptr) return false;  // the reader went back; corrupt() says so
    auto rest = piece;
    if (is_first) {
      std::memcpy(room, &tag, k_tag);
      room += k_tag;
      rest -= k_tag;
    }
    from.copy(room, rest);
    left -= piece;
    out_.publish(
        piece, (is_first ? ring_marks::tagged : ring_marks::none) | (left != 0 ? ring_marks::more : ring_marks::none));
  }
  return true;
}

void message_ring_consumer::drop(std::uint64_t records) noexcept {
  for (; records != 0 && in_.front(); --records) in_.pop();
  in_.publish_position();
}

// All records of a message behind its first one. @return false: not all are there yet, or they are no message; those
// were dropped then. Whoever writes may do so while we walk: it ends with the bytes of a message, and of a ring.
bool message_ring_consumer::gather(const ring_record& first, std::size_t whole) {
  gathered_.assign(first.data + k_tag, first.data + first.size);
  ring_line nobodys;  // the writer learns nothing of this look
  ring_consumer walker(data_, nobodys, in_.position(), in_.sequence());
  (void)walker.front();
  walker.pop();
  std::uint64_t records = 1;
  for (bool more = true; more;) {
    const auto next = walker.front();
    if (!next && !walker.corrupt()) {
      awaited_ = walker.position();
      return false;
    }
    const bool goes_on = next && !has(next.marks, ring_marks::tagged | ring_marks::text) &&
                         next.size <= whole - gathered_.size() && walker.position() - in_.position() < data_.size();
    if (!goes_on) {
      torn_ += records;
      drop(records);
      return false;
    }
    gathered_.insert(gathered_.end(), next.data, next.data + next.size);
    more = has(next.marks, ring_marks::more);
    walker.pop();
    ++records;
  }
  if (gathered_.size() != whole) {
    torn_ += records;
    drop(records);
    return false;
  }
  front_ = gathered_;
  records_ = records;
  return true;
}

bytes message_ring_consumer::front() {
  if (records_ != 0) return front_;
  if (data_.empty()) return {};
  awaited_ = k_nothing_awaited;
  for (int dropped = 0; dropped < k_most_dropped; ++dropped) {
    const auto first = in_.front();
    if (!first) return {};
    expect(first);
    if (const auto whole = whole_in(first); whole.data() != nullptr) {
      records_ = 1;
      return front_ = whole;
    }
    ring_tag tag;
    if (has(first.marks, ring_marks::tagged)) std::memcpy(&tag, first.data, k_tag);
    const bool is_first = has(first.marks, ring_marks::tagged) && has(first.marks, ring_marks::more) &&
                          first.size - k_tag <= tag.remaining && tag.remaining <= data_.size();
    if (is_first) {
      const auto torn = torn_;
      if (gather(first, tag.remaining)) return front_;
      if (torn == torn_) return {};
      continue;
    }
    ++torn_;
    drop(1);
  }
  return {};
}

bool message_ring_consumer::more_came() const noexcept {
  ring_line nobodys;
  return ring_consumer(data_, nobodys, awaited_).something();
}

std::uint64_t message_ring_consumer::unread_bytes() const noexcept {
  if (data_.empty() || in_.corrupt()) return 0;
  ring_line nobodys;
  ring_consumer walker(data_, nobodys, in_.position(), in_.sequence());
  std::uint64_t unread = 0;
  for (auto next = walker.front(); next && unread <= data_.size(); next = walker.front()) {
    unread += ring_geometry::record_bytes(next.size);
    walker.pop();
  }
  return std::min<std::uint64_t>(unread, data_.size());
}

}  // namespace ferry::ring
