#include "session/persistent_session.hpp"

#include "session/persistent_session.ipp"

namespace ferry::session {

template class basic_persistent_session<ring::direct_stores>;

namespace {

/// The parts of a record's body, as far as its size allows.
struct record_parts {
  std::uint64_t tag = 0;  // 0: none
  std::uint64_t sum = 0;
  bytes payload;
};
std::optional<record_parts> parts_of(const ring_record& record) noexcept {
  record_parts parts;
  bytes rest = record.body();
  const auto next = [&](std::uint64_t& word) {
    if (rest.size() < sizeof word) return false;
    std::memcpy(&word, rest.data(), sizeof word);
    rest = rest.subspan(sizeof word);
    return true;
  };
  if ((has(record.marks, ring_marks::tagged) && !next(parts.tag)) || !next(parts.sum)) return {};
  parts.payload = rest;
  return parts;
}

}  // namespace

std::optional<std::uint64_t> first_damaged(std::span<const std::byte> data, std::uint64_t position,
                                           std::uint64_t sequence) {
  ring_line nobody;
  ring_consumer reader(data, nobody, position, sequence);
  for (ring_record record = reader.front(); record; record = reader.front()) {
    const std::uint64_t word = ring_word::k_present | word_bits(record.marks) | record.size |
                               ((reader.sequence() & ring_word::k_sequence_mask) << ring_word::k_sequence_shift);
    const auto parts = parts_of(record);
    if (!parts || parts->sum != record_sum(word, parts->tag, parts->payload)) return reader.sequence();
    reader.pop();
  }
  return {};
}

result<message_view> message_of(const ring_record& record) {
  if (has(record.marks, ring_marks::more))
    return error(errc::protocol, "a persistent message is one record, and the peer sent a piece of one");
  const auto parts = parts_of(record);
  if (!parts) return error(errc::protocol, "the peer sent a record of " + std::to_string(record.size) + " bytes");
  message_view m{parts->payload, has(record.marks, ring_marks::text) ? message_kind::text : message_kind::binary, 0};
  if (!has(record.marks, ring_marks::tagged)) return m;
  const auto tag = std::bit_cast<ring_tag>(parts->tag);
  if (tag.reserved != 0 || tag.remaining != m.payload.size() || tag.type == 0)
    return error(errc::protocol, "the peer tagged a message of " + std::to_string(m.payload.size()) +
                                     " bytes with type " + std::to_string(tag.type) + " and size " +
                                     std::to_string(tag.remaining));
  m.type = tag.type;
  return m;
}

}  // namespace ferry::session
