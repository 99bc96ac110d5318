#include "codec/pcap_writer.hpp"

#include <gtest/gtest.h>

#include "base/endian.hpp"
#include "testing/splitter.hpp"

namespace ferry::codec {
namespace {

using test::byte_string;
using test::make_bytes;

constexpr std::uint64_t k_now = 1'700'000'000'123'456'789;

flow_address v4(int last, std::uint16_t port) {
  flow_address at;
  at.ip = {std::byte{127}, std::byte{0}, std::byte{0}, static_cast<std::byte>(last)};
  at.port = port;
  return at;
}

flow_address v6(int last, std::uint16_t port) {
  flow_address at{true, {}, port};
  at.ip[15] = static_cast<std::byte>(last);
  return at;
}

void send(pcap_flow& flow, flow_side from, bytes what, byte_string& out) { flow.data(from, {&what, 1}, k_now, out); }

// Sums to all ones with its checksum in it (RFC 1071).
bool checks(bytes data, std::uint64_t sum) {
  for (std::size_t i = 0; i < data.size(); ++i)
    sum += i % 2 == 0 ? std::to_integer<std::uint64_t>(data[i]) << 8 : std::to_integer<std::uint64_t>(data[i]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

// All packets of `file`, whose checksums must be right.
std::vector<byte_string> packets_of(bytes file) {
  std::vector<byte_string> packets;
  while (!file.empty()) {
    const std::size_t length = load_le<std::uint32_t>(file.data() + 8);
    const bytes packet = file.subspan(k_pcap_packet_header, length);
    const bool six = packet[0] == std::byte{0x60};
    const std::size_t header = six ? 40 : 20;
    const std::uint64_t pseudo = 6 + length - header;
    EXPECT_TRUE(six || checks(packet.first(20), 0)) << "IPv4 checksum of packet " << packets.size();
    byte_string summed(packet.begin() + (six ? 8 : 12), packet.end());
    EXPECT_TRUE(checks(summed, pseudo)) << "TCP checksum of packet " << packets.size();
    packets.emplace_back(packet.begin(), packet.end());
    file = file.subspan(k_pcap_packet_header + length);
  }
  return packets;
}

TEST(pcap_writer, begins_a_file_as_the_format_says) {
  const auto header = pcap_file_header();
  EXPECT_EQ(byte_string(header.begin(), header.end()),
            make_bytes({0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0}));
}

TEST(pcap_writer, writes_a_packet_byte_for_byte_as_computed_by_hand) {
  pcap_flow flow(v4(1, 0x1234), v4(2, 80));
  byte_string out;
  flow.open(k_now, out);
  out.clear();
  send(flow, flow_side::client, as_bytes("hi!"), out);
  EXPECT_EQ(out, make_bytes({0x00, 0xf1, 0x53, 0x65, 0x15, 0xcd, 0x5b, 0x07, 43,   0,  0, 0,    43,   0,   0,
                             0,    0x45, 0,    0,    43,   0,    0,    0x40, 0,    64, 6, 0x3c, 0xca, 127, 0,
                             0,    1,    127,  0,    0,    2,    0x12, 0x34, 0,    80, 0, 0,    0,    1,   0,
                             0,    0,    1,    0x50, 0x18, 0xff, 0xff, 0x15, 0xd7, 0,  0, 'h',  'i',  '!'}));
}

TEST(pcap_writer, opens_a_connection_with_three_packets_and_ends_each_direction_with_two) {
  pcap_flow flow(v6(1, 4000), v6(2, 5000));
  byte_string out;
  flow.open(k_now, out);
  flow.end(flow_side::client, k_now, out);
  flow.end(flow_side::client, k_now, out);  // counts once
  flow.end(flow_side::server, k_now, out);
  flow.reset(flow_side::server, k_now, out);  // there is nothing to reset any more
  send(flow, flow_side::client, as_bytes("late"), out);
  std::vector<int> flags;
  for (const auto& packet : packets_of(out)) flags.push_back(std::to_integer<int>(packet[40 + 13]));
  EXPECT_EQ(flags, (std::vector<int>{2, 18, 16, 17, 16, 17, 16}));
}

TEST(pcap_writer, writes_two_families_as_one) {
  pcap_flow flow(v4(1, 4000), v6(1, 5000));
  byte_string out;
  flow.open(k_now, out);
  const auto packets = packets_of(out);
  ASSERT_EQ(packets.size(), 3u);
  EXPECT_EQ(byte_string(packets[0].begin() + 8, packets[0].begin() + 24),
            make_bytes({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}));
}

TEST(pcap_writer, cuts_what_is_long_into_packets_and_acknowledges_it_now_and_then) {
  pcap_flow flow(v4(1, 4000), v4(2, 5000));
  byte_string out, sent;
  for (int i = 0; i < 3'000'000; ++i) sent.push_back(static_cast<std::byte>(i * 31 + i / 256));
  // In parts of odd sizes, an empty one among them.
  const std::array<bytes, 4> parts{bytes(sent).first(1), bytes(), bytes(sent).subspan(1, 1'000'000),
                                   bytes(sent).subspan(1'000'001)};
  flow.data(flow_side::server, parts, k_now, out);
  EXPECT_LE(out.size(), pcap_flow::most_for(sent.size()));
  byte_string got;
  int acknowledgements = 0;
  for (const auto& packet : packets_of(out)) {
    EXPECT_LE(packet.size(), k_pcap_max_packet);
    if (packet.size() == 40) ++acknowledgements;
    got.insert(got.end(), packet.begin() + 40, packet.end());
  }
  EXPECT_EQ(acknowledgements, 2);
  EXPECT_EQ(got, sent);
}

}  // namespace
}  // namespace ferry::codec
