// Input: one byte for the kind of ring, two for where it stands; then steps: an honest writer writes a message,
// somebody else writes anywhere in the memory, or puts a record where the reader looks next, and the sidecar takes what
// is there as its forwarder does: it reads the heads, and forms the message anew for a receiver with the other kind of
// ring. Nothing outside of the memory is touched, every look comes to an end, and what was formed is understood by who
// gets it.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/endian.hpp"
#include "codec/native_message.hpp"
#include "fuzz/checks.hpp"
#include "fuzz/input.hpp"
#include "ring/held_consumer.hpp"
#include "ring/message_ring.hpp"
#include "ring/sidecar_ring.hpp"
#include "sidecar/message_forms.hpp"

namespace {

using namespace ferry;
using ferry::fuzz::input;
using ferry::fuzz::require;

constexpr std::size_t k_ring_bytes = 4096;

/// Of exactly this size, so that a sanitizer sees every byte that is read behind it.
struct memory {
  explicit memory(std::size_t bytes) : size(bytes), words(new std::uint64_t[bytes / 8]{}) {}
  [[nodiscard]] std::span<std::byte> all() const { return {reinterpret_cast<std::byte*>(words.get()), size}; }
  std::size_t size;
  std::unique_ptr<std::uint64_t[]> words;
};

// Bytes that mean something are small, and few of them are.
void scribble(input& in, std::span<std::byte> all) {
  const std::size_t where = in.number(2) % all.size();
  for (std::size_t i = where, end = std::min(all.size(), where + in.byte() % 64); i < end; ++i)
    all[i] = static_cast<std::byte>(in.byte());
}

class forwarder {
 public:
  void hear(const sidecar::ring_message& what) {
    if (!reader_.take(what)) return;
    const auto route = reader_.route();
    if (what.kind == service_rings::native) {
      const auto way = codec::sidecar::native_way_of(reader_.as_it_is().parts()[0]);
      const auto* one = route ? std::get_if<to_entity>(&route->to) : nullptr;
      require(way.has_value() == (one != nullptr));
      require(!way ||
              (way->from == route->from && way->to == one->entity && way->to_set_version == route->to_set_version));
    }
    if (!route) return require(fuzz::is_one_line(route.error().text()));
    require(reader_.as_it_is().total() == what.whole.size());
    const auto package = reader_.package();
    if (!package) return require(fuzz::is_one_line(package.error().text()));
    const auto other = what.kind == service_rings::native ? service_rings::compatible : service_rings::native;
    const auto formed = former_.form(other, *route, *package, reader_.body(), what.time_ms);
    if (!formed) return require(fuzz::is_one_line(formed.error().text()));
    understand(other, *formed, *route, *package);
  }

 private:
  void understand(service_rings kind, const sidecar::formed_message& formed, const service_route& route,
                  const service_package& package) {
    std::vector<std::uint64_t> room(formed.total() / 8 + 1);
    auto* const at = reinterpret_cast<std::byte*>(room.data());
    std::size_t size = 0;
    for (const auto& part : formed.parts()) {
      if (!part.empty()) std::memcpy(at + size, part.data(), part.size());
      size += part.size();
    }
    require(receiver_.take({kind, bytes(at, size), formed.head_bytes, 0, true}).has_value());
    const auto seen = receiver_.route();
    require(seen && seen->from == route.from && seen->to.index() == route.to.index());
    const auto got = receiver_.package();
    require(got && got->message_id == package.message_id && got->return_code == package.return_code);
    require(receiver_.body().size() == reader_.body().size());
  }

  sidecar::message_reader reader_, receiver_;
  sidecar::message_former former_;
};

sidecar::formed_message honest(sidecar::message_former& former, service_rings kind, input& in) {
  static const std::vector<std::byte> body(3000, std::byte{'b'});
  const service_note note{"note", "of it"};
  service_route route{.from = in.byte(), .message_id = "id", .to = to_entity{in.byte()}};
  service_package package{.message_id = "id", .notes = {&note, 1}};
  const auto size = in.number(2) % body.size();
  const std::uint64_t time_ms = in.byte();
  return former.form(kind, route, package, bytes(body).first(size), time_ms).value();
}

void native(input& in) {
  const memory of(k_ring_bytes);
  const auto all = of.all();
  ring_line line;
  line.position = in.number(2) * 4;  // every other one cannot be
  line.sequence = in.number(2);
  for (int i = in.byte() % 4; i > 0; --i) scribble(in, all);
  const auto position = line.position.load();
  const auto found = ring::scan_from(all, position, line.sequence);
  if (!found) return;
  ring::message_ring_consumer from(all, line, position, found->sequence - found->records);
  ring::message_ring_producer out(ring_producer(all, line, found->tail, found->sequence));
  sidecar::message_former former;
  forwarder hears;
  while (in.more()) {
    switch (in.byte() % 5) {
      case 0: (void)out.write(honest(former, service_rings::native, in).parts()); break;
      case 1:
      case 2: {
        const auto whole = from.front();
        (void)from.take_torn();
        require(whole.size() <= k_ring_bytes);
        if (whole.data() == nullptr) break;
        const auto measured = codec::sidecar::measure_native(whole);
        require(measured.head_bytes <= whole.size());
        hears.hear({service_rings::native, whole, measured.head_bytes, measured.time_ms, true});
        from.pop();
        break;
      }
      case 3: scribble(in, all); break;
      case 4: {
        // Where it looks next, with the number that it expects there.
        const auto at = from.position() & (k_ring_bytes - 1);
        const auto size = std::min<std::size_t>(in.number(2), k_ring_bytes - at - 8);
        const auto marks = std::uint64_t{in.byte()} << 29 & (ring_word::k_tagged | ring_word::k_text);
        const auto more = in.byte() % 2 != 0 ? ring_word::k_more : 0;
        const auto number = (from.sequence() & ring_word::k_sequence_mask) << ring_word::k_sequence_shift;
        store_le(all.data() + at, ring_word::k_present | marks | more | number | size);
        for (std::size_t i = 0; i < std::min<std::size_t>(size, 160); ++i)
          all[at + 8 + i] = static_cast<std::byte>(in.byte());
        break;
      }
    }
    require(from.unread_bytes() <= k_ring_bytes && out.unread_bytes() <= k_ring_bytes);
    (void)from.something();
  }
}

void compatible(input& in) {
  const memory of(ring::k_sidecar_control_bytes + k_ring_bytes);
  ring::sidecar_ring_memory::format(of.all());
  for (int i = in.byte() % 4; i > 0; --i) scribble(in, of.all());
  const auto at = ring::sidecar_ring_memory::open(of.all());
  if (!at) return require(fuzz::is_one_line(at.error().text()));
  at->head() = at->tail() = static_cast<std::uint32_t>(in.number(2));
  auto out = ring::sidecar_ring_producer::attach(*at);
  auto from = ring::sidecar_ring_consumer::attach(*at, {.max_payload = 3000, .valid_ms = 100});
  require(out.has_value() == from.has_value());
  if (!out) return;
  sidecar::message_former former;
  forwarder hears;
  while (in.more()) {
    switch (in.byte() % 5) {
      case 0: {
        const auto what = honest(former, service_rings::compatible, in);
        auto* to = out->reserve(what.total());
        if (to == nullptr) break;
        for (const auto& part : what.parts()) to = std::copy(part.begin(), part.end(), to);
        out->publish(what.total(), what.head_bytes, in.byte());
        break;
      }
      case 1:
      case 2:
        if (const auto found = from->front(in.byte()); found && *found) {
          hears.hear({service_rings::compatible, found->body, found->head_bytes, found->time_ms, true});
          from->pop();
        }
        break;
      case 3: scribble(in, of.all()); break;
      case 4: {
        // A header that could be, where it looks next, and anything behind it.
        const auto head = at->head().load();
        const auto length = static_cast<std::uint32_t>(30 + in.number(2));
        if (head > k_ring_bytes || k_ring_bytes - head < length) break;
        auto* const to = at->at(head);
        store_le(to, std::uint64_t{0xefeffefeefeffefe});
        store_le(to + 8, std::uint32_t{1});
        store_le(to + 12, std::uint64_t{in.byte()});
        to[20] = std::byte{7};
        to[21] = std::byte{1};
        store_le(to + 22, length);
        store_le(to + 26, static_cast<std::uint32_t>(in.byte()));
        for (std::size_t i = 30; i < std::min<std::size_t>(length, 190); ++i) to[i] = static_cast<std::byte>(in.byte());
        at->tail() = head + length;
        break;
      }
    }
    require(out->unread_bytes() <= k_ring_bytes && from->unread_bytes() <= k_ring_bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  input in(data + 1, size - 1);
  if (data[0] % 2 == 0)
    native(in);
  else
    compatible(in);
  return 0;
}
