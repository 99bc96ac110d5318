#include "apps/ferry/fuzz_cases.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <string_view>

#include "codec/typed_framing.hpp"
#include "codec/u32_framing.hpp"
#include "codec/varint_framing.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_most_payload = 3000;

class dice {
 public:
  explicit dice(std::uint64_t seed) : engine_(seed) {}
  /// 0 .. n - 1
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
  bool once_in(std::size_t n) { return below(n) == 0; }
  std::byte byte() { return static_cast<std::byte>(engine_()); }
  std::string text(std::size_t size) {
    static constexpr std::array<std::string_view, 5> k_letters{"a", "Z", "\xc3\xa9", "\xe2\x82\xac",
                                                               "\xf0\x9f\x9a\xa2"};
    std::string made;
    while (made.size() < size) made += k_letters[below(k_letters.size())];
    return made;
  }

 private:
  std::mt19937_64 engine_;
};

void add(std::vector<std::byte>& to, std::string_view what) {
  const auto view = as_bytes(what);
  to.insert(to.end(), view.begin(), view.end());
}

// One piece, a few, or one for each byte.
std::vector<std::size_t> cuts_of(std::size_t size, dice& d) {
  std::vector<std::size_t> cuts;
  if (size < 2 || d.once_in(4)) return cuts;
  if (size < 300 && d.once_in(4)) {
    for (std::size_t at = 1; at < size; ++at) cuts.push_back(at);
    return cuts;
  }
  for (std::size_t n = 1 + d.below(6); n != 0; --n) cuts.push_back(1 + d.below(size - 1));
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  return cuts;
}

// Streams ------------------------------------------------------------------------------------------

template <class Framing>
void add_framed(std::vector<std::byte>& to, const message_view& m) {
  std::byte header[Framing::k_max_header];
  const auto size = Framing::encode_header(header, m);
  to.insert(to.end(), header, header + size);
  to.insert(to.end(), m.payload.begin(), m.payload.end());
}

void add_message(std::vector<std::byte>& to, framing_kind framing, const message_view& m) {
  switch (framing) {
    case framing_kind::u32: return add_framed<codec::u32_framing>(to, m);
    case framing_kind::typed: return add_framed<codec::typed_framing>(to, m);
    case framing_kind::automatic:
    case framing_kind::varint: return add_framed<codec::varint_framing>(to, m);
  }
}

void add_sound_messages(fuzz_case& c, const fuzz_target& target, dice& d) {
  for (std::size_t n = d.below(5); n != 0; --n) {
    const std::string payload = d.text(std::min(d.below(k_most_payload), target.max_message / 2));
    add_message(c.wire, target.framing, {as_bytes(payload), message_kind::binary});
  }
}

void add_length(std::vector<std::byte>& to, framing_kind framing, std::uint64_t length) {
  if (framing == framing_kind::varint || framing == framing_kind::automatic) {
    for (; length >= 128; length >>= 7) to.push_back(static_cast<std::byte>(length | 128));
    to.push_back(static_cast<std::byte>(length));
    return;
  }
  for (int shift = 0; shift < 32; shift += 8) to.push_back(static_cast<std::byte>(length >> shift));
  if (framing == framing_kind::typed) to.insert(to.end(), 4, std::byte{0});
}

fuzz_case wrong_stream(const fuzz_target& target, dice& d) {
  fuzz_case c;
  c.wanted = fuzz_answer::ends;
  add_sound_messages(c, target, d);
  const bool varint = target.framing == framing_kind::varint || target.framing == framing_kind::automatic;
  switch (d.below(4)) {
    case 0:
      if (varint) {
        c.name = "a length that does not end";
        c.wire.insert(c.wire.end(), 10 + d.below(40), std::byte{0xff});
        break;
      }
      if (target.framing == framing_kind::typed) {
        c.name = "a kind or reserved byte that is none";
        add_length(c.wire, target.framing, 1);
        c.wire[c.wire.size() - 1 - d.below(2)] = static_cast<std::byte>(2 + d.below(254));
        c.wire.push_back(std::byte{0});
        break;
      }
      [[fallthrough]];
    case 1:
      c.name = "a length just above the limit";
      add_length(c.wire, target.framing, target.max_message + 1 + d.below(3));
      break;
    case 2:
      c.name = "an absurd length";
      add_length(c.wire, target.framing, varint ? ~std::uint64_t{0} >> d.below(20) : 0xffffffffu - d.below(1000));
      break;
    default:
      c.name = "an end inside a message";
      c.half_closes = true;
      add_length(c.wire, target.framing, std::min<std::uint64_t>(target.max_message, 100));
      add(c.wire, d.text(d.below(20)));
      break;
  }
  return c;
}

// WebSocket (RFC 6455) -----------------------------------------------------------------------------

enum class length_form : std::uint8_t { least, two, eight };

struct frame {
  unsigned opcode = 2;
  bool fin = true;
  unsigned reserved = 0;
  bool masked = true;
  length_form form = length_form::least;
};

void add_header(std::vector<std::byte>& to, const frame& f, std::uint64_t length) {
  to.push_back(static_cast<std::byte>((f.fin ? 0x80u : 0u) | f.reserved << 4 | f.opcode));
  const std::byte mask = f.masked ? std::byte{0x80} : std::byte{0};
  const bool eight = f.form == length_form::eight || length > 0xffff;
  const bool two = f.form == length_form::two || length > 125;
  if (!eight && !two) return to.push_back(mask | static_cast<std::byte>(length));
  to.push_back(mask | static_cast<std::byte>(eight ? 127 : 126));
  for (int shift = eight ? 56 : 8; shift >= 0; shift -= 8) to.push_back(static_cast<std::byte>(length >> shift));
}

void add_frame(std::vector<std::byte>& to, const frame& f, std::string_view payload, dice& d) {
  add_header(to, f, payload.size());
  std::array<std::byte, 4> key{};
  if (f.masked) {
    for (auto& b : key) b = d.byte();
    to.insert(to.end(), key.begin(), key.end());
  }
  for (std::size_t i = 0; i < payload.size(); ++i) to.push_back(static_cast<std::byte>(payload[i]) ^ key[i % 4]);
}

std::string close_payload(unsigned code, std::string_view reason = {}) {
  return std::string{static_cast<char>(code >> 8), static_cast<char>(code)} + std::string(reason);
}

// A message in one frame or several, with pings between them.
void add_sound_message(std::vector<std::byte>& to, const fuzz_target& target, dice& d) {
  const std::string payload = d.text(std::min(d.below(k_most_payload), target.max_message / 2));
  const unsigned opcode = 1 + static_cast<unsigned>(d.below(2));
  std::string_view rest = payload;
  const std::size_t frames = 1 + d.below(5);
  for (std::size_t i = 0; i < frames; ++i) {
    const bool last = i + 1 == frames;
    const std::size_t size = last ? rest.size() : d.below(rest.size() + 1);
    add_frame(to, {.opcode = i == 0 ? opcode : 0u, .fin = last}, rest.substr(0, size), d);
    rest.remove_prefix(size);
    if (!last && d.once_in(3)) add_frame(to, {.opcode = 9}, d.text(d.below(100)), d);
  }
}

void add_wrong_utf8(fuzz_case& c, dice& d) {
  static constexpr std::array<std::string_view, 6> k_wrong{"\xff",     "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                                           "\xe2\x82", "\x80"};
  const std::string payload = d.text(d.below(50)) + std::string(k_wrong[d.below(k_wrong.size())]);
  c.name = "text that is no UTF-8";
  c.codes = {1007};
  if (d.once_in(2)) return add_frame(c.wire, {.opcode = 1}, payload, d);
  const std::size_t cut = d.below(payload.size());
  add_frame(c.wire, {.opcode = 1, .fin = false}, std::string_view(payload).substr(0, cut), d);
  add_frame(c.wire, {.opcode = 0}, std::string_view(payload).substr(cut), d);
}

void add_wrong_control(fuzz_case& c, dice& d) {
  static constexpr std::array<unsigned, 3> k_controls{8, 9, 10};
  const unsigned opcode = k_controls[d.below(k_controls.size())];
  switch (d.below(4)) {
    case 0:
      c.name = "a control frame in fragments";
      return add_frame(c.wire, {.opcode = opcode, .fin = false}, opcode == 8 ? close_payload(1000) : "", d);
    case 1:
      c.name = "a control frame of more than 125 bytes";
      return add_frame(c.wire, {.opcode = opcode}, close_payload(1000) + std::string(124 + d.below(200), 'c'), d);
    case 2: c.name = "a Close of one byte"; return add_frame(c.wire, {.opcode = 8}, "x", d);
    default: {
      static constexpr std::array<unsigned, 9> k_codes{0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000};
      c.name = "a close code that must not be sent";
      return add_frame(c.wire, {.opcode = 8}, close_payload(k_codes[d.below(k_codes.size())]), d);
    }
  }
}

void add_wrong_order(fuzz_case& c, dice& d) {
  if (d.once_in(2)) {
    c.name = "a continuation of nothing";
    return add_frame(c.wire, {.opcode = 0, .fin = d.once_in(2)}, d.text(5), d);
  }
  c.name = "a message inside of a message";
  add_frame(c.wire, {.opcode = 2, .fin = false}, d.text(5), d);
  add_frame(c.wire, {.opcode = 2, .fin = d.once_in(2)}, d.text(5), d);
}

void add_wrong_length(fuzz_case& c, const fuzz_target& target, dice& d) {
  switch (d.below(4)) {
    case 0:
      c.name = "a length in a longer form than it needs";
      return add_frame(c.wire, {.form = d.once_in(2) ? length_form::two : length_form::eight}, d.text(d.below(100)), d);
    case 1:
      c.name = "a length of 64 bits";
      c.codes = {1002, 1009};
      return add_header(c.wire, {}, ~std::uint64_t{0} >> d.below(20) | std::uint64_t{1} << 63);
    case 2:
      c.name = "an absurd length";
      c.codes = {1009};
      return add_header(c.wire, {}, ~std::uint64_t{0} >> (1 + d.below(20)));
    default:
      c.name = "a length just above the limit";
      c.codes = {1009};
      return add_header(c.wire, {}, target.max_message + 1 + d.below(3));
  }
}

void add_wrong_bits(fuzz_case& c, dice& d) {
  switch (d.below(3)) {
    case 0:
      c.name = "reserved bits";
      return add_frame(c.wire, {.reserved = 1 + static_cast<unsigned>(d.below(7))}, d.text(5), d);
    case 1: {
      static constexpr std::array<unsigned, 10> k_unknown{3, 4, 5, 6, 7, 11, 12, 13, 14, 15};
      c.name = "an unknown opcode";
      return add_frame(c.wire, {.opcode = k_unknown[d.below(k_unknown.size())]}, d.text(5), d);
    }
    default: c.name = "no mask"; return add_frame(c.wire, {.masked = false}, d.text(5), d);
  }
}

fuzz_case wrong_websocket(const fuzz_target& target, dice& d) {
  fuzz_case c;
  c.wanted = fuzz_answer::closes;
  c.codes = {1002};
  for (std::size_t n = d.below(3); n != 0; --n) add_sound_message(c.wire, target, d);
  switch (d.below(6)) {
    case 0: add_wrong_utf8(c, d); break;
    case 1: add_wrong_control(c, d); break;
    case 2: add_wrong_order(c, d); break;
    case 3: add_wrong_length(c, target, d); break;
    case 4: add_wrong_bits(c, d); break;
    default:
      c.name = "an end inside a frame";
      c.wanted = fuzz_answer::ends;
      c.codes.clear();
      c.half_closes = true;
      add_header(c.wire, {}, 100);
      add(c.wire, d.text(d.below(20)));
      break;
  }
  return c;
}

fuzz_case sound(const fuzz_target& target, dice& d) {
  fuzz_case c;
  c.name = "nothing wrong";
  if (target.websocket) {
    for (std::size_t n = d.below(4); n != 0; --n) add_sound_message(c.wire, target, d);
    add_frame(c.wire, {.opcode = 8}, close_payload(1000, "bye"), d);
    c.wanted = fuzz_answer::closes;
    c.codes = {1000};
  } else {
    add_sound_messages(c, target, d);
    c.half_closes = true;
  }
  return c;
}

}  // namespace

fuzz_case make_fuzz_case(const fuzz_target& target, std::uint64_t seed) {
  dice d(seed);
  auto made = d.once_in(4) ? sound(target, d) : target.websocket ? wrong_websocket(target, d) : wrong_stream(target, d);
  made.cuts = cuts_of(made.wire.size(), d);
  return made;
}

fuzz_case make_sound_case(const fuzz_target& target, std::uint64_t seed) {
  dice d(seed);
  auto made = sound(target, d);
  made.cuts = cuts_of(made.wire.size(), d);
  return made;
}

}  // namespace ferry::app
