// Input: one byte for what it is. A login or an answer, as it comes from a peer; a queue file, then what is done with
// it; or a ring, into which something is written between any two steps. Whatever the bytes say, nothing outside is
// touched, everything comes to an end, and what is accepted keeps its own rules.
#include <cstring>
#include <memory>

#include "codec/tcpshm_messages.hpp"
#include "fuzz/checks.hpp"
#include "fuzz/input.hpp"
#include "ring/tcpshm_ring.hpp"
#include "session/tcpshm_queue.hpp"

namespace {

using namespace ferry;
using ferry::fuzz::input;
using ferry::fuzz::require;
namespace wire = codec::tcpshm;

/// A part of memory of its own, so that a sanitizer sees every step outside.
struct part {
  explicit part(std::size_t size) : words(new std::uint64_t[size / 8 + 1]{}), bytes_used(size) {}
  [[nodiscard]] std::span<std::byte> all() { return {reinterpret_cast<std::byte*>(words.get()), bytes_used}; }
  std::unique_ptr<std::uint64_t[]> words;
  std::size_t bytes_used;
};

void fill(part& into, std::size_t begin, input& from) {
  const std::size_t count = from.number(1) * 2;
  for (std::size_t i = begin; i < begin + count && i < into.bytes_used; ++i)
    into.all()[i] = static_cast<std::byte>(from.byte());
}

void hear(bytes in) {
  if (const auto read = wire::decode_login(in, {})) {
    const auto again = wire::decode_login(wire::encode(*read, {}), {});
    require(again && again->numbers == read->numbers && again->client_name == read->client_name &&
            again->last_server_name == read->last_server_name && again->use_shm == read->use_shm);
  }
  if (const auto read = wire::decode_answer(in, {})) {
    const auto again = wire::decode_answer(wire::encode(*read, {}), {});
    require(again && again->numbers == read->numbers && again->server_name == read->server_name);
  }
}

void use_queue(input& in) {
  constexpr std::size_t k_bytes = 256;
  part file(session::tcpshm_queue_file_bytes(k_bytes));
  fill(file, 0, in);
  fill(file, k_bytes, in);
  auto found = session::tcpshm_queue::recover(file.all(), k_bytes, std::endian::little);
  auto q = found ? *found : session::tcpshm_queue::begin(file.all(), k_bytes, std::endian::little);
  bool consumed = false;
  while (in.more()) {
    switch (in.byte() % 6) {
      case 0:
        if (q.alloc(static_cast<std::uint16_t>(8 + in.byte())) != nullptr) q.push(1);
        break;
      case 1: q.sent(q.unsent().size() / (1 + in.byte() % 3)); break;
      case 2: (void)q.acknowledge(q.range().start + in.byte() % 8); break;
      case 3: (void)q.acknowledge(static_cast<std::uint32_t>(in.number(4))); break;
      case 4:
        q.consumed();
        consumed = true;
        break;
      case 5: require(q.resume(q.range().start).has_value()); break;
    }
    const auto range = q.range();
    require(q.unsent().size() <= k_bytes && range.end - range.start <= k_bytes / 8);
  }
  const auto range = q.range();
  const auto again = session::tcpshm_queue::recover(file.all(), k_bytes, std::endian::little);
  // A file may come with a message that lies there since 2^31 others were consumed; one more is too many.
  require(again ? again->range() == range : found && consumed);
}

void use_ring(input& in) {
  constexpr std::size_t k_bytes = 512;
  part memory(ring::tcpshm_ring_file_bytes(k_bytes));
  const ring::tcpshm_ring_memory at(memory.all(), k_bytes);
  fill(memory, 0, in);
  fill(memory, k_bytes, in);
  fill(memory, k_bytes + 128, in);
  ring::tcpshm_ring_producer out;
  ring::tcpshm_ring_consumer from;
  if (!out.attach(at) || !from.attach(at)) at.reset();
  if (!out.attach(at) || !from.attach(at)) return;
  const auto inside = [&](const std::byte* what, std::size_t size) {
    require(what >= memory.all().data() && what + size <= memory.all().data() + k_bytes);
  };
  while (in.more()) {
    switch (in.byte() % 4) {
      case 0: {
        const auto size = static_cast<std::uint16_t>(8 + in.number(2) % 600);
        std::byte* const to = out.alloc(size);
        if (to == nullptr) break;
        inside(to, size);
        const std::uint16_t type = 1;
        std::memcpy(to + 2, &type, 2);
        out.push();
        break;
      }
      case 1:
      case 2:
        if (const auto found = from.front()) {
          inside(found.at, found.size);
          from.pop();
        }
        break;
      case 3: {
        const std::size_t where = in.number(2) % (memory.bytes_used / 4) * 4;
        fill(memory, where, in);
        break;
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  input in(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0: hear({reinterpret_cast<const std::byte*>(data + 1), size - 1}); break;
    case 1: use_queue(in); break;
    case 2: use_ring(in); break;
  }
  return 0;
}
