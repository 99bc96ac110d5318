#pragma once
/// Makes a capture file that Wireshark opens: pcap with time stamps in nanoseconds, whose packets are IP with TCP
/// headers made up around bytes that were seen in a stream. Sources: draft-ietf-opsawg-pcap, RFC 791, 8200, 9293.

#include <ferry/bytes.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ferry::codec {

/// An end of a TCP connection. IPv4 takes the first 4 bytes of `ip`.
struct flow_address {
  bool v6 = false;
  std::array<std::byte, 16> ip{};
  std::uint16_t port = 0;
  friend bool operator==(const flow_address&, const flow_address&) = default;
};

/// Which end of a connection: the one that connected, or the one that accepted.
enum class flow_side : std::uint8_t { client, server };
[[nodiscard]] constexpr flow_side other(flow_side side) noexcept {
  return side == flow_side::client ? flow_side::server : flow_side::client;
}
[[nodiscard]] constexpr std::size_t index_of(flow_side side) noexcept { return static_cast<std::size_t>(side); }

inline constexpr std::size_t k_pcap_file_header = 24;
inline constexpr std::size_t k_pcap_packet_header = 16;
inline constexpr std::uint32_t k_pcap_nanoseconds = 0xa1b23c4d;  // the file's magic number, in its byte order
inline constexpr std::uint32_t k_pcap_microseconds = 0xa1b2c3d4;
inline constexpr std::uint32_t k_pcap_max_packet = 65'535;
inline constexpr std::uint32_t k_pcap_raw_ip = 101;  // LINKTYPE_RAW: IPv4 or IPv6, as the first byte says

/// What each file begins with.
[[nodiscard]] std::array<std::byte, k_pcap_file_header> pcap_file_header() noexcept;

/// One TCP connection. Every member appends whole packets to `out`, stamped `now`: nanoseconds since 1970.
/// An end of one direction counts once; nothing follows a reset.
class pcap_flow {
 public:
  static constexpr std::size_t k_segment = 32u << 10;        // payload of one packet at most
  static constexpr std::size_t k_unacknowledged = 1u << 20;  // then the other side says what it has

  /// Both of one family; if not, the IPv4 one is written as IPv6 (::ffff:a.b.c.d).
  pcap_flow(flow_address client, flow_address server) noexcept;

  /// The handshake: three packets.
  void open(std::uint64_t now, std::vector<std::byte>& out);
  /// `parts` in one go, in as few packets as hold them.
  void data(flow_side from, std::span<const bytes> parts, std::uint64_t now, std::vector<std::byte>& out);
  /// FIN, and its acknowledgement.
  void end(flow_side from, std::uint64_t now, std::vector<std::byte>& out);
  void reset(flow_side from, std::uint64_t now, std::vector<std::byte>& out);
  [[nodiscard]] bool ended(flow_side side) const noexcept { return ended_[index_of(side)] || reset_; }

  /// The most that data() appends for so many bytes of payload.
  [[nodiscard]] static std::size_t most_for(std::size_t payload) noexcept;

 private:
  /// Appends the headers, the checksum left open. @return where its TCP header begins in `out`
  std::size_t begin_packet(flow_side from, std::uint8_t flags, std::size_t payload, std::uint64_t now,
                           std::vector<std::byte>& out);
  void finish_packet(flow_side from, std::size_t tcp_begin, std::vector<std::byte>& out) const;
  void control(flow_side from, std::uint8_t flags, std::uint64_t now, std::vector<std::byte>& out);

  std::array<flow_address, 2> ends_;
  std::array<std::uint32_t, 2> next_{};          // the sequence number of what each side sends next
  std::array<std::uint32_t, 2> acknowledged_{};  // up to where the other side has said so
  std::array<bool, 2> ended_{};
  bool reset_ = false;
};

}  // namespace ferry::codec
