#include "codec/pcap_reader.hpp"

#include <gtest/gtest.h>

#include <string>

#include "base/endian.hpp"
#include "testing/splitter.hpp"

namespace ferry::codec {
namespace {

using test::byte_string;
using test::make_bytes;

flow_address at(int last, std::uint16_t port, bool v6 = false) {
  flow_address made{v6, {}, port};
  made.ip[v6 ? 15 : 3] = static_cast<std::byte>(last);
  return made;
}

struct writing {
  writing() {
    const auto header = pcap_file_header();
    file.assign(header.begin(), header.end());
  }
  void say(pcap_flow& flow, flow_side from, std::string_view what) {
    const bytes view = as_bytes(what);
    flow.data(from, {&view, 1}, ++now, file);
  }
  byte_string file;
  std::uint64_t now = 5'000'000'000;
};

std::string said(const captured_flow& flow, flow_side side) {
  std::string text;
  for (const auto& piece : flow.pieces)
    if (piece.from == side) text += as_text(piece.data);
  return text;
}

// Two connections at once.
byte_string conversation() {
  writing w;
  pcap_flow one(at(1, 1000), at(2, 80)), two(at(1, 1001, true), at(2, 80, true));
  one.open(w.now, w.file);
  w.say(one, flow_side::client, "hello");
  two.open(w.now, w.file);
  w.say(two, flow_side::server, "who is it?");
  w.say(one, flow_side::server, "welcome");
  w.say(one, flow_side::client, "bye");
  one.end(flow_side::client, w.now, w.file);
  one.end(flow_side::server, w.now, w.file);
  two.reset(flow_side::client, w.now, w.file);
  return w.file;
}

TEST(pcap_reader, reads_back_what_the_writer_wrote) {
  const auto file = conversation();
  const auto content = read_capture(file);
  ASSERT_TRUE(content) << content.error().text();
  EXPECT_FALSE(content->cut_short);
  EXPECT_EQ(content->ignored, 0u);
  ASSERT_EQ(content->flows.size(), 2u);
  const auto& one = content->flows[0];
  EXPECT_EQ(one.client, at(1, 1000));
  EXPECT_EQ(one.server, at(2, 80));
  EXPECT_TRUE(one.has_begin && one.ended[0] && one.ended[1] && !one.reset && !one.has_gap);
  EXPECT_EQ(said(one, flow_side::client), "hellobye");
  EXPECT_EQ(said(one, flow_side::server), "welcome");
  EXPECT_EQ(one.bytes_of, (std::array<std::uint64_t, 2>{8, 7}));
  ASSERT_EQ(one.pieces.size(), 3u);
  EXPECT_EQ(one.pieces[1].from, flow_side::server);
  EXPECT_EQ(one.pieces[1].time, 5'000'000'003u);
  const auto& two = content->flows[1];
  EXPECT_TRUE(two.client.v6 && two.reset && !two.ended[0]);
  EXPECT_EQ(said(two, flow_side::server), "who is it?");
}

TEST(pcap_reader, reads_what_is_whole_at_every_cut) {
  test::for_every_cut(conversation(), [](bytes head, bytes) {
    const auto content = read_capture(head);
    if (head.size() < k_pcap_file_header) {
      EXPECT_EQ(content.error(), errc::truncated);
      return;
    }
    ASSERT_TRUE(content) << content.error().text();
    pcap_extent extent;
    ASSERT_TRUE(extend(extent, head));
    EXPECT_EQ(content->cut_short, extent.whole != head.size());
  });
}

TEST(pcap_reader, survives_every_corruption_and_never_finds_more_than_the_file_holds) {
  const auto file = conversation();
  test::for_every_corruption(file, [&](bytes damaged, std::size_t) {
    const auto content = read_capture(damaged);
    if (!content) return;
    std::size_t total = 0;
    for (const auto& flow : content->flows)
      for (const auto& piece : flow.pieces) {
        total += piece.data.size();
        ASSERT_GE(piece.data.data(), damaged.data());
        ASSERT_LE(piece.data.data() + piece.data.size(), damaged.data() + damaged.size());
      }
    ASSERT_LE(total, damaged.size());
  });
}

// As tcpdump writes on other machines: big-endian, microseconds, Ethernet.
byte_string foreign(bytes file) {
  byte_string made(k_pcap_file_header);
  store_be<std::uint32_t>(made.data(), k_pcap_microseconds);
  store_be<std::uint32_t>(made.data() + 20, 1);
  file = file.subspan(k_pcap_file_header);
  while (!file.empty()) {
    const auto length = load_le<std::uint32_t>(file.data() + 8);
    std::array<std::byte, k_pcap_packet_header + 14> header{};
    store_be<std::uint32_t>(header.data(), load_le<std::uint32_t>(file.data()));
    store_be<std::uint32_t>(header.data() + 4, load_le<std::uint32_t>(file.data() + 4) / 1000);
    store_be<std::uint32_t>(header.data() + 8, length + 14);
    store_be<std::uint32_t>(header.data() + 12, length + 14);
    const bool six = file[k_pcap_packet_header] == std::byte{0x60};
    store_be<std::uint16_t>(header.data() + 28, six ? std::uint16_t{0x86dd} : std::uint16_t{0x0800});
    made.insert(made.end(), header.begin(), header.end());
    made.insert(made.end(), file.begin() + k_pcap_packet_header, file.begin() + k_pcap_packet_header + length);
    file = file.subspan(k_pcap_packet_header + length);
  }
  return made;
}

TEST(pcap_reader, reads_the_other_byte_order_microseconds_and_ethernet) {
  const auto file = foreign(conversation());
  const auto content = read_capture(file);
  ASSERT_TRUE(content) << content.error().text();
  ASSERT_EQ(content->flows.size(), 2u);
  EXPECT_EQ(said(content->flows[0], flow_side::client), "hellobye");
  EXPECT_EQ(content->flows[0].pieces[0].time, 5'000'000'000u);
}

TEST(pcap_reader, counts_repeated_segments_once_and_stops_at_a_gap) {
  writing w;
  pcap_flow flow(at(1, 1000), at(2, 80));
  flow.open(w.now, w.file);
  std::array<std::size_t, 4> begin{};
  for (int i = 0; i < 3; ++i) {
    begin[static_cast<std::size_t>(i)] = w.file.size();
    w.say(flow, flow_side::client, i == 0 ? "one" : i == 1 ? "two" : "three");
  }
  begin[3] = w.file.size();
  const auto piece = [&](std::size_t i) {
    return byte_string(w.file.begin() + static_cast<std::ptrdiff_t>(begin[i]),
                       w.file.begin() + static_cast<std::ptrdiff_t>(begin[i + 1]));
  };
  auto again = w.file;
  for (const std::size_t i : {1u, 0u}) {
    const auto once_more = piece(i);
    again.insert(again.end(), once_more.begin(), once_more.end());
  }
  const auto content = read_capture(again);
  ASSERT_TRUE(content);
  EXPECT_EQ(said(content->flows.at(0), flow_side::client), "onetwothree");
  EXPECT_FALSE(content->flows[0].has_gap);

  byte_string holed(w.file.begin(), w.file.begin() + static_cast<std::ptrdiff_t>(begin[1]));
  const auto third = piece(2);
  holed.insert(holed.end(), third.begin(), third.end());
  const auto half = read_capture(holed);
  ASSERT_TRUE(half);
  EXPECT_TRUE(half->flows.at(0).has_gap);
  EXPECT_EQ(said(half->flows[0], flow_side::client), "one");
}

TEST(pcap_reader, knows_two_connections_between_the_same_ports) {
  writing w;
  for (const auto* text : {"first", "second"}) {
    pcap_flow flow(at(1, 1000), at(2, 80));
    flow.open(w.now, w.file);
    w.say(flow, flow_side::client, text);
    flow.end(flow_side::client, w.now, w.file);
  }
  const auto content = read_capture(w.file);
  ASSERT_TRUE(content);
  ASSERT_EQ(content->flows.size(), 2u);
  EXPECT_EQ(said(content->flows[1], flow_side::client), "second");
}

TEST(pcap_reader, takes_no_more_connections_than_it_is_told) {
  const auto file = conversation();
  EXPECT_EQ(read_capture(file, {.max_flows = 1}).error(), errc::busy);
}

TEST(pcap_reader, says_what_a_file_is_not) {
  EXPECT_EQ(read_capture(as_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).error(), errc::corrupt);
  auto file = conversation();
  file[20] = std::byte{113};
  EXPECT_EQ(read_capture(file).error(), errc::unsupported);
}

TEST(pcap_extent, finds_the_end_of_the_last_whole_packet_in_windows_of_any_size) {
  const auto file = conversation();
  for (std::size_t window = k_pcap_packet_header + 70; window <= file.size(); ++window) {
    pcap_extent extent;
    for (std::uint64_t before = 1; before != extent.whole;) {
      before = extent.whole;
      const auto rest = bytes(file).subspan(static_cast<std::size_t>(extent.whole));
      ASSERT_TRUE(extend(extent, rest.first(std::min(window, rest.size()))));
    }
    EXPECT_EQ(extent.whole, file.size());
  }
}

TEST(pcap_extent, refuses_what_the_writer_has_not_written) {
  auto file = conversation();
  pcap_extent extent;
  EXPECT_EQ(extend(extent, foreign(file)).error(), errc::corrupt);
  file[k_pcap_file_header + 8] ^= std::byte{1};
  EXPECT_EQ(extend(extent, file).error(), errc::corrupt);
}

}  // namespace
}  // namespace ferry::codec
