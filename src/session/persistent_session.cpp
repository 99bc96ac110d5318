#include "session/persistent_session.hpp"

#include "session/persistent_session.ipp"

namespace ferry::session {

template class basic_persistent_session<ring::direct_stores>;

result<message_view> message_of(const ring_record& record) {
  if (has(record.marks, ring_marks::more))
    return error(errc::protocol, "a persistent message is one record, and the peer sent a piece of one");
  message_view m{record.body(), has(record.marks, ring_marks::text) ? message_kind::text : message_kind::binary, 0};
  if (!has(record.marks, ring_marks::tagged)) return m;
  ring_tag tag;
  std::memcpy(&tag, record.data, sizeof tag);
  m.payload = m.payload.subspan(sizeof tag);
  if (tag.reserved != 0 || tag.remaining != m.payload.size() || tag.type == 0)
    return error(errc::protocol, "the peer tagged a message of " + std::to_string(m.payload.size()) +
                                     " bytes with type " + std::to_string(tag.type) + " and size " +
                                     std::to_string(tag.remaining));
  m.type = tag.type;
  return m;
}

}  // namespace ferry::session
