#include "codec/pcap_reader.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "base/endian.hpp"

namespace ferry::codec {
namespace {

constexpr std::uint32_t k_ethernet = 1;  // LINKTYPE_ETHERNET
constexpr std::uint32_t k_most_in_packet = 1u << 18;
constexpr std::uint8_t k_fin = 1, k_syn = 2, k_rst = 4, k_ack = 16;

struct file_form {
  bool swapped = false;  // big-endian
  bool nanoseconds = true;
  std::uint32_t link = 0;
  [[nodiscard]] std::uint32_t u32(const std::byte* at) const noexcept {
    return swapped ? load_be<std::uint32_t>(at) : load_le<std::uint32_t>(at);
  }
};

result<file_form> form_of(bytes file) {
  if (file.size() < k_pcap_file_header)
    return error(errc::truncated, "a capture begins with 24 bytes, and here are " + std::to_string(file.size()));
  file_form form;
  for (const bool swapped : {false, true}) {
    form.swapped = swapped;
    const auto magic = form.u32(file.data());
    if (magic != k_pcap_nanoseconds && magic != k_pcap_microseconds) continue;
    form.nanoseconds = magic == k_pcap_nanoseconds;
    form.link = form.u32(file.data() + 20) & 0x0fffffff;
    if (form.link == k_pcap_raw_ip || form.link == k_ethernet) return form;
    return error(errc::unsupported,
                 "packets of link type " + std::to_string(form.link) + "; known are 101 (IP) and 1 (Ethernet)");
  }
  return error(errc::corrupt, "no capture: a pcap file begins with another number");
}

// A segment of TCP: where it goes, and what it holds.
struct segment {
  flow_address source, target;
  std::uint32_t sequence = 0;
  std::uint8_t flags = 0;
  bytes data;
};

std::optional<segment> tcp_of(segment s, bytes tcp) {
  if (tcp.size() < 20) return std::nullopt;
  const std::size_t header = std::to_integer<std::size_t>(tcp[12] >> 4) * 4;
  if (header < 20 || header > tcp.size()) return std::nullopt;
  s.source.port = load_be<std::uint16_t>(tcp.data());
  s.target.port = load_be<std::uint16_t>(tcp.data() + 2);
  s.sequence = load_be<std::uint32_t>(tcp.data() + 4);
  s.flags = std::to_integer<std::uint8_t>(tcp[13]);
  s.data = tcp.subspan(header);
  return s;
}

std::optional<segment> ip_of(bytes packet) {
  if (packet.empty()) return std::nullopt;
  segment s;
  const auto version = std::to_integer<unsigned>(packet[0] >> 4);
  if (version == 4) {
    const std::size_t header = std::to_integer<std::size_t>(packet[0] & std::byte{15}) * 4;
    if (header < 20 || packet.size() < header) return std::nullopt;
    const std::size_t total = load_be<std::uint16_t>(packet.data() + 2);
    const bool fragment = (load_be<std::uint16_t>(packet.data() + 6) & 0x3fff) != 0;
    if (packet[9] != std::byte{6} || fragment || total < header || total > packet.size()) return std::nullopt;
    std::copy_n(packet.begin() + 12, 4, s.source.ip.begin());
    std::copy_n(packet.begin() + 16, 4, s.target.ip.begin());
    return tcp_of(s, packet.subspan(header, total - header));
  }
  if (version != 6 || packet.size() < 40 || packet[6] != std::byte{6}) return std::nullopt;
  const std::size_t payload = load_be<std::uint16_t>(packet.data() + 4);
  if (payload > packet.size() - 40) return std::nullopt;
  s.source.v6 = s.target.v6 = true;
  std::copy_n(packet.begin() + 8, 16, s.source.ip.begin());
  std::copy_n(packet.begin() + 24, 16, s.target.ip.begin());
  return tcp_of(s, packet.subspan(40, payload));
}

std::optional<segment> segment_of(const file_form& form, bytes packet) {
  if (form.link == k_pcap_raw_ip) return ip_of(packet);
  if (packet.size() < 14) return std::nullopt;
  const auto type = load_be<std::uint16_t>(packet.data() + 12);
  if (type != 0x0800 && type != 0x86dd) return std::nullopt;
  return ip_of(packet.subspan(14));
}

using end_key = std::tuple<bool, std::array<std::byte, 16>, std::uint16_t>;
end_key key_of(const flow_address& at) { return {at.v6, at.ip, at.port}; }

// Puts segments together.
class assembler {
 public:
  assembler(capture_content& into, const pcap_limits& limits) : into_(into), limits_(limits) {}

  result<void> add(const segment& s, std::uint64_t time) {
    auto [a, b] = std::pair(key_of(s.source), key_of(s.target));
    if (b < a) std::swap(a, b);
    const bool begins = (s.flags & (k_syn | k_ack)) == k_syn;
    const auto known = open_.find({a, b});
    if (known == open_.end() || (begins && !is_same_begin(known->second, s))) {
      if (into_.flows.size() >= limits_.max_flows)
        return error(errc::busy, "more than " + std::to_string(limits_.max_flows) + " connections in one capture");
      // Whoever answers a beginning that was missed did not connect.
      const bool answers = (s.flags & (k_syn | k_ack)) == (k_syn | k_ack);
      into_.flows.push_back(
          {answers ? s.target : s.source, answers ? s.source : s.target, {}, {}, {}, false, begins, false});
      open_.insert_or_assign({a, b}, progress{into_.flows.size() - 1, {}});
    }
    take(open_.at({a, b}), s, time);
    return {};
  }

 private:
  struct progress {
    std::size_t flow = 0;
    std::array<std::optional<std::uint32_t>, 2> next{};  // the sequence number that each side sends next
  };

  // The same SYN again, not a new connection between the same ports.
  [[nodiscard]] bool is_same_begin(const progress& p, const segment& s) const {
    const auto& flow = into_.flows[p.flow];
    const auto& next = p.next[index_of(flow_side::client)];
    return flow.client == s.source && next && *next == s.sequence + 1 && flow.pieces.empty();
  }

  void take(progress& p, const segment& s, std::uint64_t time) {
    auto& flow = into_.flows[p.flow];
    const auto from = flow.client == s.source ? flow_side::client : flow_side::server;
    const auto side = index_of(from);
    auto& next = p.next[side];
    if ((s.flags & k_rst) != 0) flow.reset = true;
    if ((s.flags & k_syn) != 0) {
      next = s.sequence + 1;
      return;
    }
    if (!next) next = s.sequence;
    // What was there before counts once; what is missing ends it.
    const std::uint32_t behind = *next - s.sequence;
    bytes fresh = s.data;
    if (behind < 0x80000000u) {
      fresh = fresh.subspan(std::min<std::size_t>(behind, fresh.size()));
    } else if (!fresh.empty()) {
      flow.has_gap = true;
    }
    if (flow.has_gap || flow.ended[side]) return;
    if (!fresh.empty()) {
      flow.pieces.push_back({from, time, fresh});
      flow.bytes_of[side] += fresh.size();
      next = *next + static_cast<std::uint32_t>(fresh.size());
    }
    if ((s.flags & k_fin) != 0 && behind <= s.data.size()) flow.ended[side] = true;
  }

  capture_content& into_;
  const pcap_limits& limits_;
  std::map<std::pair<end_key, end_key>, progress> open_;
};

}  // namespace

result<capture_content> read_capture(bytes file, const pcap_limits& limits) {
  const auto form = form_of(file);
  if (!form) return form.error();
  capture_content content;
  assembler all(content, limits);
  bytes rest = file.subspan(k_pcap_file_header);
  while (!rest.empty()) {
    if (rest.size() < k_pcap_packet_header) {
      content.cut_short = true;
      break;
    }
    const std::uint64_t seconds = form->u32(rest.data());
    const std::uint64_t fraction = form->u32(rest.data() + 4);
    const std::size_t length = form->u32(rest.data() + 8);
    if (length > k_most_in_packet)
      return error(errc::corrupt, "a packet of " + std::to_string(length) + " bytes at offset " +
                                      std::to_string(file.size() - rest.size()) + "; at most " +
                                      std::to_string(k_most_in_packet) + " are possible");
    if (rest.size() - k_pcap_packet_header < length) {
      content.cut_short = true;
      break;
    }
    const auto found = segment_of(*form, rest.subspan(k_pcap_packet_header, length));
    if (found) {
      const auto time = seconds * 1'000'000'000 + fraction * (form->nanoseconds ? 1 : 1000);
      if (const auto added = all.add(*found, time); !added) return added.error();
    } else {
      content.ignored += 1;
    }
    rest = rest.subspan(k_pcap_packet_header + length);
  }
  return content;
}

result<void> extend(pcap_extent& from, bytes tail) {
  if (from.whole == 0) {
    if (tail.size() < k_pcap_file_header) return {};
    const auto ours = pcap_file_header();
    if (!std::equal(ours.begin(), ours.end(), tail.begin()))
      return error(errc::corrupt, "there is something else than a capture of Ferry's in it");
    from.whole = k_pcap_file_header;
    tail = tail.subspan(k_pcap_file_header);
  }
  while (tail.size() >= k_pcap_packet_header) {
    const std::size_t length = load_le<std::uint32_t>(tail.data() + 8);
    if (length > k_pcap_max_packet || length < 40 || length != load_le<std::uint32_t>(tail.data() + 12))
      return error(errc::corrupt, "there is no packet of Ferry's at offset " + std::to_string(from.whole));
    if (tail.size() - k_pcap_packet_header < length) break;
    from.whole += k_pcap_packet_header + length;
    tail = tail.subspan(k_pcap_packet_header + length);
  }
  return {};
}

}  // namespace ferry::codec
