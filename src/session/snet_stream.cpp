#include "session/snet_stream.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace ferry::session {

snet_stream::snet_stream(const snet_options& options, std::uint64_t id, const codec::snet::shared_key& key,
                         snet_end end)
    : id_(id),
      key_(key),
      encrypt_(options.encrypt),
      outgoing_(key),
      incoming_(key),
      limit_(std::max<std::size_t>(options.history_bytes, 1)) {
  // The server's stream of RC4 enciphered the id before anything else.
  (end == snet_end::server ? outgoing_ : incoming_).skip(sizeof id);
}

void snet_stream::write(bytes plain, mutable_bytes wire) {
  if (encrypt_)
    outgoing_.apply(plain, wire);
  else if (!plain.empty() && plain.data() != wire.data())
    std::memmove(wire.data(), plain.data(), plain.size());
  counts_.written += plain.size();
  // Grows with what is written, up to the limit; then it is a ring.
  bytes last = wire.first(plain.size());
  if (last.size() > limit_) last = last.last(limit_);
  if (history_.size() < limit_ && counts_.written > history_.size())
    history_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(limit_, counts_.written)));
  for (std::uint64_t at = counts_.written - last.size(); !last.empty();) {
    const auto place = static_cast<std::size_t>(at % limit_);
    const auto part = std::min(last.size(), limit_ - place);
    std::memcpy(history_.data() + place, last.data(), part);
    last = last.subspan(part);
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
  if (lacking > history_.size())
    return error(errc::truncated, "the peer lacks the last " + std::to_string(lacking) + " bytes, the history has " +
                                      std::to_string(history_.size()));
  const auto size = static_cast<std::size_t>(lacking);
  const auto place = static_cast<std::size_t>(peer.received % limit_);
  const auto first = std::min(size, limit_ - place);
  if (size == 0) return replay{};
  return replay{bytes(history_).subspan(place, first), bytes(history_).first(size - first)};
}

}  // namespace ferry::session
