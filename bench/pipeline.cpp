#include <algorithm>
#include <cstring>
#include <vector>

#include "base/endian.hpp"
#include "bench/child.hpp"
#include "bench/limits.hpp"
#include "bench/sockets.hpp"
#include "bench/tls_line.hpp"

namespace ferry::bench {

namespace {

constexpr std::size_t k_max_prefix = 10;
constexpr std::size_t k_max_size = 16 << 20;
constexpr std::size_t k_max_buffer = 64 << 20;

/// What the two ends of a run share.
struct tally {
  std::uint64_t sent;
  std::uint64_t received;
  std::uint64_t received_bytes;  // payload
  std::uint64_t wrong;           // messages whose sequence number was not the next one
  std::int64_t begun_ns;
  std::int64_t ended_ns;
};

std::byte* put_varint(std::byte* to, std::uint64_t value) noexcept {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<std::byte>(value | 0x80);
  *to++ = static_cast<std::byte>(value);
  return to;
}

/// @return behind the varint, or nullptr if it does not end before `end` or within its 10 bytes
const std::byte* get_varint(const std::byte* from, const std::byte* end, std::uint64_t& value) noexcept {
  value = 0;
  for (unsigned shift = 0; from < end && shift < 70; shift += 7) {
    const auto byte = std::to_integer<std::uint64_t>(*from++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return from;
  }
  return nullptr;
}

/// @param write  all of it: (from, size)
template <class Write>
void write_frames(child& me, const Write& write, std::size_t size, std::size_t capacity, std::int64_t duration_ns,
                  tally& sums) {
  std::vector<std::byte> payload(size, std::byte{'x'});
  std::vector<std::byte> buffer(capacity, std::byte{0});
  std::uint64_t sequence = 0;
  me.rendezvous();
  const auto begun = sums.begun_ns = now_ns();
  do {
    auto* to = buffer.data();
    const auto* last = buffer.data() + (capacity - size - k_max_prefix);
    while (to <= last) {
      to = put_varint(to, size);
      store_le(payload.data(), sequence++);
      std::memcpy(to, payload.data(), size);
      to += size;
    }
    write(buffer.data(), static_cast<std::size_t>(to - buffer.data()));
  } while (now_ns() - begun < duration_ns);
  sums.sent = sequence;
}

/// @param read  some bytes, 0 at the end: (into, room)
template <class Read>
void read_frames(child& me, const Read& read, std::size_t capacity, tally& sums) {
  std::vector<std::byte> buffer(capacity, std::byte{0});
  std::uint64_t sequence = 0;
  std::uint64_t bytes = 0;
  std::uint64_t wrong = 0;
  std::size_t kept = 0;
  me.rendezvous();
  while (const std::size_t n = read(buffer.data() + kept, capacity - kept)) {
    const auto* at = buffer.data();
    const auto* const end = at + kept + n;
    std::uint64_t length;
    for (const std::byte* body; (body = get_varint(at, end, length)) != nullptr; at = body + length) {
      if (length > static_cast<std::size_t>(end - body)) break;
      wrong += load_le<std::uint64_t>(body) != sequence++;
      bytes += length;
    }
    kept = static_cast<std::size_t>(end - at);
    if (kept == capacity) me.fail(errc::corrupt, "a frame larger than any that was sent");
    std::memmove(buffer.data(), at, kept);
  }
  sums.ended_ns = now_ns();
  if (kept != 0) me.fail(errc::truncated, "the stream ended inside a frame");
  sums.received = sequence;
  sums.received_bytes = bytes;
  sums.wrong = wrong;
}

void write_messages(child& me, int fd, std::size_t size, std::int64_t duration_ns, tally& sums) {
  constexpr std::uint64_t k_between_looks = 16;  // at the clock
  std::vector<std::byte> payload(size, std::byte{'x'});
  std::uint64_t sequence = 0;
  me.rendezvous();
  const auto begun = sums.begun_ns = now_ns();
  do {
    for (std::uint64_t i = 0; i < k_between_looks; ++i) {
      store_le(payload.data(), sequence++);
      write_all(me, fd, payload.data(), size);
    }
  } while (now_ns() - begun < duration_ns);
  sums.sent = sequence;
}

void read_messages(child& me, int fd, std::size_t size, std::size_t capacity, tally& sums) {
  std::vector<std::byte> buffer(capacity, std::byte{0});
  std::uint64_t sequence = 0;  // of the next message that begins
  std::uint64_t wrong = 0;
  std::uint64_t bytes = 0;
  std::size_t skip = 0;  // to the next message's begin
  me.rendezvous();
  while (const auto n = read_some(me, fd, buffer.data(), capacity)) {
    bytes += n;
    for (; skip < n; skip += size, ++sequence)
      if (skip + sizeof sequence <= n) wrong += load_le<std::uint64_t>(buffer.data() + skip) != sequence;
    skip -= n;
  }
  sums.ended_ns = now_ns();
  if (skip != 0) me.fail(errc::truncated, "the stream ended inside a message");
  sums.received = sequence;
  sums.received_bytes = bytes;
  sums.wrong = wrong;
}

/// Writer on the first core, reader on the second; the end of the stream ends the reader.
template <class Write, class Read>
result<oneway_run> run_oneway(stream_kind kind, std::size_t size, std::chrono::nanoseconds duration, placement cores,
                              const Write& write, const Read& read) {
  auto pair = connected_pair(kind);
  if (!pair) return pair.error();

  shared<tally> sums;
  child_group children(2);
  if (auto outcome = children.start(role(kind, "reader"), core_of(cores, &core_pair::second),
                                    [&](child& me) {
                                      pair->first.reset();
                                      read(me, pair->second.get(), *sums);
                                    });
      !outcome)
    return outcome.error();
  pair->second.reset();
  if (auto outcome = children.start(role(kind, "writer"), core_of(cores, &core_pair::first),
                                    [&](child& me) { write(me, pair->first.get(), *sums); });
      !outcome)
    return outcome.error();
  pair->first.reset();
  if (auto outcome = children.wait(patience(duration)); !outcome) return outcome.error();

  if (sums->wrong != 0 || sums->received != sums->sent || sums->received_bytes != sums->sent * size)
    return error(errc::corrupt, std::to_string(sums->sent) + " messages sent, " + std::to_string(sums->received) +
                                    " with " + std::to_string(sums->received_bytes) + " bytes received, " +
                                    std::to_string(sums->wrong) + " out of order");
  return oneway_run{sums->received, sums->received_bytes, static_cast<double>(sums->ended_ns - sums->begun_ns) / 1e9};
}

}  // namespace

result<oneway_run> measure_raw(stream_kind kind, std::size_t size, std::size_t buffer,
                               std::chrono::nanoseconds duration, placement cores) {
  if (auto outcome = in_range("the message size", size, 8, k_max_size); !outcome) return outcome.error();
  if (auto outcome = in_range("the buffer", buffer, size, k_max_buffer); !outcome) return outcome.error();
  return run_oneway(
      kind, size, duration, cores,
      [&](child& me, int fd, tally& sums) { write_messages(me, fd, size, duration.count(), sums); },
      [&](child& me, int fd, tally& sums) { read_messages(me, fd, size, buffer, sums); });
}

result<oneway_run> measure_pipeline(stream_kind kind, std::size_t size, std::size_t buffer,
                                    std::chrono::nanoseconds duration, placement cores) {
  if (auto outcome = in_range("the message size", size, 8, k_max_size); !outcome) return outcome.error();
  if (auto outcome = in_range("the buffer", buffer, size + k_max_prefix, k_max_buffer); !outcome)
    return outcome.error();
  return run_oneway(
      kind, size, duration, cores,
      [&](child& me, int fd, tally& sums) {
        write_frames(
            me, [&](const std::byte* from, std::size_t n) { write_all(me, fd, from, n); }, size, buffer,
            duration.count(), sums);
      },
      [&](child& me, int fd, tally& sums) {
        read_frames(
            me, [&](std::byte* into, std::size_t room) { return read_some(me, fd, into, room); }, buffer, sums);
      });
}

result<oneway_run> measure_tls_pipeline(std::size_t size, std::size_t buffer, std::chrono::nanoseconds duration,
                                        placement cores) {
  if (auto outcome = in_range("the message size", size, 8, k_max_size); !outcome) return outcome.error();
  if (auto outcome = in_range("the buffer", buffer, size + k_max_prefix, k_max_buffer); !outcome)
    return outcome.error();
  if (!tls_line::available()) return error(errc::unsupported, "this build has no TLS (FERRY_TLS)");
  return run_oneway(
      stream_kind::tcp, size, duration, cores,
      [&](child& me, int fd, tally& sums) {
        tls_line line(me, fd, false);
        write_frames(
            me, [&](const std::byte* from, std::size_t n) { line.write_all(from, n); }, size, buffer, duration.count(),
            sums);
        line.end();
      },
      [&](child& me, int fd, tally& sums) {
        tls_line line(me, fd, true);
        read_frames(
            me, [&](std::byte* into, std::size_t room) { return line.read_some(into, room); }, buffer, sums);
      });
}

}  // namespace ferry::bench
