#include "ring/ring_hello.hpp"

#include <cstring>

#include "base/utf8.hpp"

namespace ferry::ring {
namespace {

constexpr std::uint64_t k_hello_magic = 0x4d48'5359'5252'4546;  // "FERRYSHM"
constexpr std::uint32_t k_flag_barriers = 1;

/// As it travels; little endian.
struct wire_hello {
  std::uint64_t magic = k_hello_magic;
  std::uint32_t version = k_version;
  std::uint32_t kind = 0;
  std::uint32_t flags = 0;
  std::uint32_t page_bytes = 0;
  std::uint64_t ring_bytes = 0;
  std::uint32_t rings = 0;
  std::uint32_t reason = 0;
  std::uint64_t epoch = 0;
  std::array<std::uint64_t, 2> reserved{};
  std::array<char, k_hello_text_bytes + 1> text{};  // the last one is 0
};
static_assert(sizeof(wire_hello) == k_hello_bytes && offsetof(wire_hello, kind) == 12 &&
              offsetof(wire_hello, ring_bytes) == 24 && offsetof(wire_hello, epoch) == 40 &&
              offsetof(wire_hello, text) == 64);

error not_ours(const std::string& what) { return {errc::protocol, "the peer does not speak shm: " + what}; }

}  // namespace

std::array<std::byte, k_hello_bytes> encode(const hello& h) noexcept {
  wire_hello w;
  w.kind = static_cast<std::uint32_t>(h.kind);
  w.flags = h.barriers ? k_flag_barriers : 0;
  w.page_bytes = h.memory.page_bytes;
  w.ring_bytes = h.memory.ring_bytes;
  w.rings = h.memory.rings;
  w.reason = static_cast<std::uint32_t>(h.reason);
  w.epoch = h.epoch;
  const auto text = utf8_beginning(h.text, k_hello_text_bytes);
  std::memcpy(w.text.data(), text.data(), text.size());
  std::array<std::byte, k_hello_bytes> out{};
  std::memcpy(out.data(), &w, sizeof w);
  return out;
}

result<hello> decode_hello(bytes in) {
  wire_hello w;
  if (in.size() != sizeof w)
    return not_ours("it sent " + std::to_string(in.size()) + " bytes instead of " + std::to_string(sizeof w));
  std::memcpy(&w, in.data(), sizeof w);
  if (w.magic != k_hello_magic) return not_ours("its first bytes are not FERRYSHM");
  hello h;
  h.text = printable({w.text.data(), ::strnlen(w.text.data(), k_hello_text_bytes)});
  if (w.kind == static_cast<std::uint32_t>(hello_kind::refusal)) {
    h.kind = hello_kind::refusal;
    h.reason =
        w.reason >= static_cast<std::uint32_t>(errc::closed) && w.reason <= static_cast<std::uint32_t>(errc::cancelled)
            ? static_cast<errc>(w.reason)
            : errc::protocol;
    return h;
  }
  if (w.version != k_version)
    return error(errc::unsupported, "the peer speaks version " + std::to_string(w.version) +
                                        " of shm, this program version " + std::to_string(k_version) +
                                        ": use the same release on both sides");
  if (w.kind != static_cast<std::uint32_t>(hello_kind::hello) &&
      w.kind != static_cast<std::uint32_t>(hello_kind::welcome))
    return not_ours("message kind " + std::to_string(w.kind));
  h.kind = static_cast<hello_kind>(w.kind);
  h.barriers = (w.flags & k_flag_barriers) != 0;
  h.memory = {w.ring_bytes, w.rings, w.page_bytes};
  h.epoch = w.epoch;
  if (const auto checked = check(h.memory); !checked) return not_ours(checked.error().text());
  return h;
}

error refusal_of(const hello& h) {
  return {h.reason, "the listener refused: " + (h.text.empty() ? std::string("it did not say why") : h.text)};
}

}  // namespace ferry::ring
