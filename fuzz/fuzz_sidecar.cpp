// Input: one byte for what it is. A stream of control messages, shown in portions; a data message; or a ring, into
// which something is written between any two steps. Whatever the bytes say, nothing outside is touched, everything
// comes to an end, and what is accepted keeps its own rules.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/endian.hpp"
#include "codec/sidecar_control.hpp"
#include "codec/sidecar_message.hpp"
#include "fuzz/checks.hpp"
#include "fuzz/input.hpp"
#include "ring/sidecar_ring.hpp"
#include "session/pipe_lease.hpp"

namespace {

using namespace ferry;
using ferry::fuzz::input;
using ferry::fuzz::require;
namespace wire = codec::sidecar;

void hear_control(bytes in) {
  if (in.empty()) return;
  const std::size_t portion = std::to_integer<std::size_t>(in[0]) + 1;
  const wire::control_decoder decoder(portion * 64);
  auto stream = in.subspan(1);
  for (std::size_t shown = 0; shown < stream.size();) {
    shown = std::min(shown + portion, stream.size());
    const std::vector<std::byte> exact(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(shown));
    const auto got = decoder.next(exact);
    if (!got) return require(fuzz::is_one_line(got.error().text()));
    if (got->consumed == 0) {
      require(got->total == 0 ? exact.size() < wire::k_control_header_bytes : got->total > exact.size());
      continue;
    }
    require(got->consumed <= exact.size() && got->consumed <= portion * 64);
    require(got->head.size() + wire::k_control_header_bytes <= got->consumed);
    require(got->id >= wire::k_min_control_id && got->id <= wire::k_max_control_id);
    std::byte header[wire::k_control_header_bytes];
    wire::store_control_header(header, got->id, got->head.size());
    require(std::memcmp(header, exact.data(), 8) == 0);
    stream = stream.subspan(got->consumed);
    shown -= got->consumed;
  }
}

void hear_message(bytes in) {
  if (in.empty()) return;
  const std::vector<std::byte> whole(in.begin() + 1, in.end());
  const auto parts = wire::split_message(whole, std::to_integer<std::size_t>(in[0]));
  if (!parts) return require(fuzz::is_one_line(parts.error().text()));
  require(parts->total_bytes() == whole.size() && !parts->route_head.empty() && !parts->package_head.empty());
  require(wire::check_message(*parts).has_value());
  std::vector<std::byte> again(whole.size());
  wire::store_message(again.data(), *parts);
  require(again == whole);
}

void use_ring(input& in) {
  constexpr std::size_t k_bytes = ring::k_sidecar_control_bytes + ring::k_min_sidecar_queue;
  const std::unique_ptr<std::uint32_t[]> words(new std::uint32_t[k_bytes / 4]{});
  const std::span<std::byte> all(reinterpret_cast<std::byte*>(words.get()), k_bytes);
  ring::sidecar_ring_memory::format(all);
  const auto at = ring::sidecar_ring_memory::open(all).value();
  at.head() = at.tail() = static_cast<std::uint32_t>(in.number(2) % at.queue_bytes());
  auto out = ring::sidecar_ring_producer::attach(at).value();
  auto from = ring::sidecar_ring_consumer::attach(at, {.max_payload = 3000, .valid_ms = 100}).value();
  const auto inside = [&](const std::byte* what, std::size_t size) {
    require(what >= at.at(0) && what + size <= at.at(0) + at.queue_bytes());
  };
  while (in.more()) {
    switch (in.byte() % 4) {
      case 0: {
        const std::size_t size = in.number(2) % 5000;
        std::byte* const to = out.reserve(size);
        if (to == nullptr) break;
        inside(to, size);
        std::memset(to, 1, size);
        out.publish(size, size / 2, in.byte());
        break;
      }
      case 1:
      case 2:
        if (const auto found = from.front(in.byte()); found && *found) {
          inside(found->body.data(), found->body.size());
          require(found->head_bytes <= found->body.size() && found->body.size() - found->head_bytes <= 3000);
          from.pop();
        }
        break;
      case 3: {
        const std::size_t where = in.number(2) % (k_bytes - 8);
        for (std::size_t i = where, count = in.byte() % 8; i < where + count; ++i)
          all[i] = static_cast<std::byte>(in.byte());
        break;
      }
    }
    require(out.unread_bytes() <= at.queue_bytes() && from.unread_bytes() <= at.queue_bytes());
  }
}

void read_lease(bytes in) {
  const auto lease = session::parse_lease(as_text(in));
  if (lease) require(session::parse_lease(to_text(*lease)) == lease);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bytes rest(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  input in(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: hear_control(rest); break;
    case 1: hear_message(rest); break;
    case 2: use_ring(in); break;
    case 3: read_lease(rest); break;
  }
  return 0;
}
