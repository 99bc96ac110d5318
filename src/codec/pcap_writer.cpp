#include "codec/pcap_writer.hpp"

#include <algorithm>
#include <cstring>

#include "base/endian.hpp"

namespace ferry::codec {
namespace {

constexpr std::uint8_t k_fin = 1, k_syn = 2, k_rst = 4, k_psh = 8, k_ack = 16;
constexpr std::size_t k_v4_header = 20, k_v6_header = 40, k_tcp_header = 20, k_syn_options = 8;
constexpr std::uint8_t k_tcp = 6;
constexpr std::uint8_t k_hops = 64;
constexpr std::uint16_t k_window = 65'535;
constexpr std::uint8_t k_window_shift = 14;  // RFC 7323: a window that nothing captured fills
constexpr std::uint16_t k_largest_segment = 65'495;

// RFC 1071, in the file's byte order.
class internet_checksum {
 public:
  void add(bytes data) noexcept {
    std::size_t i = 0;
    for (; i + 1 < data.size(); i += 2) sum_ += load_be<std::uint16_t>(data.data() + i);
    if (i < data.size()) sum_ += std::to_integer<std::uint64_t>(data[i]) << 8;
  }
  void add(std::uint64_t value) noexcept { sum_ += value; }
  [[nodiscard]] std::uint16_t value() const noexcept {
    std::uint64_t folded = sum_;
    while (folded >> 16 != 0) folded = (folded & 0xffff) + (folded >> 16);
    return static_cast<std::uint16_t>(~folded);
  }

 private:
  std::uint64_t sum_ = 0;
};

flow_address as_v6(const flow_address& from) noexcept {
  if (from.v6) return from;
  flow_address mapped{true, {}, from.port};
  mapped.ip[10] = mapped.ip[11] = std::byte{0xff};
  std::copy_n(from.ip.begin(), 4, mapped.ip.begin() + 12);
  return mapped;
}

bytes ip_of(const flow_address& at) noexcept { return bytes(at.ip).first(at.v6 ? 16 : 4); }

}  // namespace

std::array<std::byte, k_pcap_file_header> pcap_file_header() noexcept {
  std::array<std::byte, k_pcap_file_header> header{};
  store_le<std::uint32_t>(header.data(), k_pcap_nanoseconds);
  store_le<std::uint16_t>(header.data() + 4, 2);  // version 2.4
  store_le<std::uint16_t>(header.data() + 6, 4);
  store_le<std::uint32_t>(header.data() + 16, k_pcap_max_packet);
  store_le<std::uint32_t>(header.data() + 20, k_pcap_raw_ip);
  return header;
}

pcap_flow::pcap_flow(flow_address client, flow_address server) noexcept : ends_{client, server} {
  if (client.v6 == server.v6) return;
  for (auto& end : ends_) end = as_v6(end);
}

std::size_t pcap_flow::most_for(std::size_t payload) noexcept {
  constexpr std::size_t headers = k_pcap_packet_header + k_v6_header + k_tcp_header;
  return payload + headers * (payload / k_segment + 1 + payload / k_unacknowledged + 1);
}

std::size_t pcap_flow::begin_packet(flow_side from, std::uint8_t flags, std::size_t payload, std::uint64_t now,
                                    std::vector<std::byte>& out) {
  const auto& source = ends_[index_of(from)];
  const auto& target = ends_[index_of(other(from))];
  const std::size_t ip_header = source.v6 ? k_v6_header : k_v4_header;
  const std::size_t tcp_header = k_tcp_header + ((flags & k_syn) != 0 ? k_syn_options : 0);
  const std::size_t packet = ip_header + tcp_header + payload;
  const std::size_t begin = out.size();
  out.resize(begin + k_pcap_packet_header + ip_header + tcp_header);
  std::byte* at = out.data() + begin;
  store_le<std::uint32_t>(at, static_cast<std::uint32_t>(now / 1'000'000'000));
  store_le<std::uint32_t>(at + 4, static_cast<std::uint32_t>(now % 1'000'000'000));
  store_le<std::uint32_t>(at + 8, static_cast<std::uint32_t>(packet));
  store_le<std::uint32_t>(at + 12, static_cast<std::uint32_t>(packet));
  at += k_pcap_packet_header;
  if (source.v6) {
    at[0] = std::byte{0x60};
    store_be<std::uint16_t>(at + 4, static_cast<std::uint16_t>(packet - k_v6_header));
    at[6] = std::byte{k_tcp};
    at[7] = std::byte{k_hops};
    std::memcpy(at + 8, source.ip.data(), 16);
    std::memcpy(at + 24, target.ip.data(), 16);
  } else {
    at[0] = std::byte{0x45};
    store_be<std::uint16_t>(at + 2, static_cast<std::uint16_t>(packet));
    at[6] = std::byte{0x40};  // not to be fragmented
    at[8] = std::byte{k_hops};
    at[9] = std::byte{k_tcp};
    std::memcpy(at + 12, source.ip.data(), 4);
    std::memcpy(at + 16, target.ip.data(), 4);
    internet_checksum sum;
    sum.add(bytes(at, k_v4_header));
    store_be<std::uint16_t>(at + 10, sum.value());
  }
  at += ip_header;
  store_be<std::uint16_t>(at, source.port);
  store_be<std::uint16_t>(at + 2, target.port);
  store_be<std::uint32_t>(at + 4, next_[index_of(from)]);
  if ((flags & k_ack) != 0) store_be<std::uint32_t>(at + 8, next_[index_of(other(from))]);
  at[12] = static_cast<std::byte>(tcp_header / 4 << 4);
  at[13] = std::byte{flags};
  store_be<std::uint16_t>(at + 14, k_window);
  if ((flags & k_syn) != 0) {
    at[20] = std::byte{2};  // maximum segment size
    at[21] = std::byte{4};
    store_be<std::uint16_t>(at + 22, k_largest_segment);
    at[24] = std::byte{1};  // nothing
    at[25] = std::byte{3};  // window scale
    at[26] = std::byte{3};
    at[27] = std::byte{k_window_shift};
  }
  if ((flags & k_ack) != 0) acknowledged_[index_of(other(from))] = next_[index_of(other(from))];
  return static_cast<std::size_t>(at - out.data());
}

void pcap_flow::finish_packet(flow_side from, std::size_t tcp_begin, std::vector<std::byte>& out) const {
  const bytes segment = bytes(out).subspan(tcp_begin);
  internet_checksum sum;
  sum.add(ip_of(ends_[index_of(from)]));
  sum.add(ip_of(ends_[index_of(other(from))]));
  sum.add(std::uint64_t{k_tcp});
  sum.add(std::uint64_t{segment.size()});
  sum.add(segment);
  store_be<std::uint16_t>(out.data() + tcp_begin + 16, sum.value());
}

void pcap_flow::control(flow_side from, std::uint8_t flags, std::uint64_t now, std::vector<std::byte>& out) {
  finish_packet(from, begin_packet(from, flags, 0, now, out), out);
  if ((flags & (k_syn | k_fin)) != 0) next_[index_of(from)] += 1;
}

void pcap_flow::open(std::uint64_t now, std::vector<std::byte>& out) {
  control(flow_side::client, k_syn, now, out);
  control(flow_side::server, k_syn | k_ack, now, out);
  control(flow_side::client, k_ack, now, out);
}

void pcap_flow::data(flow_side from, std::span<const bytes> parts, std::uint64_t now, std::vector<std::byte>& out) {
  if (ended(from)) return;
  std::size_t left = 0;
  for (const auto& part : parts) left += part.size();
  auto part = parts.begin();
  std::size_t taken = 0;  // of *part
  auto& next = next_[index_of(from)];
  while (left != 0) {
    const std::size_t payload = std::min(left, k_segment);
    const std::size_t tcp_begin = begin_packet(from, k_psh | k_ack, payload, now, out);
    for (std::size_t missing = payload; missing != 0;) {
      const bytes here = part->subspan(taken, std::min(part->size() - taken, missing));
      out.insert(out.end(), here.begin(), here.end());
      missing -= here.size();
      taken += here.size();
      if (taken == part->size()) ++part, taken = 0;
    }
    finish_packet(from, tcp_begin, out);
    left -= payload;
    next += static_cast<std::uint32_t>(payload);
    if (next - acknowledged_[index_of(from)] >= k_unacknowledged) control(other(from), k_ack, now, out);
  }
}

void pcap_flow::end(flow_side from, std::uint64_t now, std::vector<std::byte>& out) {
  if (ended(from)) return;
  control(from, k_fin | k_ack, now, out);
  ended_[index_of(from)] = true;
  control(other(from), k_ack, now, out);
}

void pcap_flow::reset(flow_side from, std::uint64_t now, std::vector<std::byte>& out) {
  if (reset_ || (ended_[0] && ended_[1])) return;
  control(from, k_rst | k_ack, now, out);
  reset_ = true;
}

}  // namespace ferry::codec
