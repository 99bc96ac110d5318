#include "codec/proxy_header.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "testing/splitter.hpp"

namespace ferry::codec {
namespace {

using ::testing::HasSubstr;

using test::byte_string;
using test::make_bytes;

/// What a whole header says; nothing of it may be left, and nothing missing.
result<proxy_header> decode(bytes wire) {
  proxy_header_decoder decoder;
  const auto got = decoder.feed(wire);
  if (!got) return got.error();
  if (!got->whole) return error(errc::would_block);
  EXPECT_EQ(got->consumed, wire.size());
  return decoder.header();
}
result<proxy_header> decode(std::string_view line) { return decode(as_bytes(line)); }

// The examples of the specification, section 2.1.
constexpr std::string_view k_line4 = "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n";
constexpr std::string_view k_longest =
    "PROXY UNKNOWN ffff:f...f:ffff:ffff:ffff:ffff:ffff:ffff ffff:f...f:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";

const proxy_header k_inet{proxied_family::inet, {"192.168.0.1", 56324}, {"192.168.0.11", 443}};
const proxy_header k_inet6{proxied_family::inet6, {"2001:db8::1", 1}, {"::1", 65535}};
const proxy_header k_unix{proxied_family::unix_socket, {"/run/a.sock", 0}, {"@abstract", 0}};

/// Version 2 by hand: a header of this command and family with these bytes behind its length.
byte_string block(int command, int family, const byte_string& rest) {
  byte_string wire = make_bytes({0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 'Q', 'U', 'I', 'T', 0x0a});
  wire.push_back(static_cast<std::byte>(command));
  wire.push_back(static_cast<std::byte>(family));
  wire.push_back(static_cast<std::byte>(rest.size() >> 8));
  wire.push_back(static_cast<std::byte>(rest.size() & 255));
  wire.insert(wire.end(), rest.begin(), rest.end());
  return wire;
}
byte_string inet_block(std::initializer_list<int> extensions = {}) {
  auto rest = make_bytes({10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 80});
  const auto more = make_bytes(extensions);
  rest.insert(rest.end(), more.begin(), more.end());
  return block(0x21, 0x11, rest);
}

TEST(proxy_header, reads_a_line_of_either_family) {
  EXPECT_EQ(decode(k_line4).value(), k_inet);
  const auto six = decode("PROXY TCP6 2001:DB8:0::1 ::1 1 65535\r\n").value();
  EXPECT_EQ(six, k_inet6) << "the host is written the usual way";
  EXPECT_EQ(six.text(six.source), "[2001:db8::1]:1");
  EXPECT_EQ(k_inet.text(k_inet.source), "192.168.0.1:56324");
}

TEST(proxy_header, takes_an_unknown_client_as_one_whose_socket_tells_who_it_is) {
  EXPECT_EQ(decode("PROXY UNKNOWN\r\n").value(), proxy_header{});
  EXPECT_EQ(decode("PROXY UNKNOWN \x01 whatever\r\n").value(), proxy_header{});
  const std::string longest = std::string(k_longest).substr(0, 105) + "\r\n";
  EXPECT_EQ(decode(longest).value(), proxy_header{}) << "107 bytes are allowed";
}

TEST(proxy_header, refuses_a_line_that_is_longer_than_107_bytes) {
  const auto refused = decode("PROXY UNKNOWN " + std::string(200, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::protocol);
  EXPECT_THAT(refused.error().text(), HasSubstr("107"));
}

TEST(proxy_header, refuses_lines_that_are_not_of_the_form) {
  for (const std::string_view line : {"PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",
                                      "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 1\r\n",
                                      "PROXY TCP4  192.168.0.1 192.168.0.11 56324 443\r\n",
                                      "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 \r\n",
                                      "PROXY TCP4 192.168.0.1 192.168.0.256 56324 443\r\n",
                                      "PROXY TCP4 ::1 ::1 56324 443\r\n",
                                      "PROXY TCP6 1.2.3.4 1.2.3.4 56324 443\r\n",
                                      "PROXY TCP4 192.168.1 192.168.0.11 56324 443\r\n",
                                      "PROXY TCP4 192.168.0.1 192.168.0.11 65536 443\r\n",
                                      "PROXY TCP4 192.168.0.1 192.168.0.11 -1 443\r\n",
                                      "PROXY TCP4 192.168.0.1 192.168.0.11 +1 443\r\n",
                                      "PROXY TCP4 192.168.0.1 192.168.0.11 0x1 443\r\n",
                                      "PROXY TCP4 192.168.0.1 192.168.0.11 01 443\r\n",
                                      "PROXY TCP4 192.168.0.1 192.168.0.11 1 \r\n",
                                      "PROXY TCP5 192.168.0.1 192.168.0.11 1 2\r\n",
                                      "PROXY UNKNOWNX\r\n",
                                      "PROXY \r\n",
                                      "PROXY TCP4\r\n",
                                      "PROXY UNKNOWN\n",
                                      "PROXY UNKNOWN\rx",
                                      "PROXY UNKNOWN \r\r\n",
                                      "proxy UNKNOWN\r\n",
                                      "GET / HTTP/1.1\r\n",
                                      "\x16\x03\x01"}) {
    const auto refused = decode(line);
    ASSERT_FALSE(refused) << line;
    EXPECT_EQ(refused.error(), errc::protocol) << line;
  }
}

TEST(proxy_header, reads_what_it_writes_in_both_versions) {
  for (const auto& header : {k_inet, k_inet6, proxy_header{}}) {
    EXPECT_EQ(decode(encode_proxy_v1(header).value()).value(), header);
    EXPECT_EQ(decode(encode_proxy_v2(header).value()).value(), header);
  }
  EXPECT_EQ(decode(encode_proxy_v2(k_unix).value()).value(), k_unix);
  EXPECT_EQ(decode(encode_proxy_v1(k_unix).value()).value(), proxy_header{}) << "version 1 knows no Unix sockets";
  EXPECT_EQ(as_text(encode_proxy_v1(k_inet).value()), k_line4);
}

TEST(proxy_header, takes_no_path_for_an_abstract_name) {
  for (const std::size_t end : {0u, 108u}) {
    byte_string paths(216, std::byte{0});
    EXPECT_TRUE(decode(block(0x21, 0x31, paths)));
    paths[end] = std::byte{'@'};
    const auto refused = decode(block(0x21, 0x31, paths));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), errc::protocol);
  }
}

TEST(proxy_header, writes_no_host_that_is_none) {
  EXPECT_EQ(encode_proxy_v1({proxied_family::inet, {"::1", 1}, {"::1", 1}}).error(), errc::bad_address);
  EXPECT_EQ(encode_proxy_v2({proxied_family::inet6, {"host", 1}, {"::1", 1}}).error(), errc::bad_address);
  EXPECT_EQ(encode_proxy_v2({proxied_family::unix_socket, {std::string(109, 'a'), 0}, {}}).error(), errc::bad_address);
}

TEST(proxy_header, reads_a_block_written_by_hand) {
  const auto header = decode(inet_block()).value();
  EXPECT_EQ(header, (proxy_header{proxied_family::inet, {"10.0.0.1", 0x1234}, {"10.0.0.2", 80}}));
}

TEST(proxy_header, wants_more_at_every_cut_and_leaves_what_follows) {
  for (const auto& wire : {make_bytes(k_line4), make_bytes("PROXY UNKNOWN\r\n"), encode_proxy_v1(k_inet6).value(),
                           encode_proxy_v2(k_inet).value(), encode_proxy_v2(k_inet6).value(),
                           encode_proxy_v2(k_unix).value(), encode_proxy_v2({}).value(), block(0x20, 0, {})}) {
    const auto all = decode(wire).value();
    auto more = wire;
    more.push_back(std::byte{'x'});
    test::for_every_cut(more, [&](bytes head, bytes tail) {
      proxy_header_decoder decoder;
      const auto first = decoder.feed(head).value();
      EXPECT_EQ(first.whole, head.size() >= wire.size());
      if (first.whole) return;
      EXPECT_EQ(first.consumed, head.size());
      const auto second = decoder.feed(tail).value();
      EXPECT_TRUE(second.whole);
      EXPECT_EQ(head.size() + second.consumed, wire.size());
      EXPECT_EQ(decoder.header(), all);
    });
  }
}

// Whoever reads as many bytes as are wanted, again and again, reads the header and not a byte more.
TEST(proxy_header, never_wants_a_byte_that_is_behind_the_header) {
  for (const auto& wire : {make_bytes(k_line4), make_bytes("PROXY UNKNOWN\r\n"), encode_proxy_v1(k_inet6).value(),
                           encode_proxy_v2(k_inet).value(), encode_proxy_v2({}).value(), block(0x20, 0, {})}) {
    proxy_header_decoder decoder;
    std::size_t at = 0;
    while (decoder.wanted() != 0) {
      ASSERT_LE(at + decoder.wanted(), wire.size());
      const auto part = bytes(wire).subspan(at, decoder.wanted());
      at += part.size();
      ASSERT_EQ(decoder.feed(part).value().consumed, part.size());
    }
    EXPECT_EQ(at, wire.size());
  }
}

TEST(proxy_header, notices_every_damaged_byte_of_a_block_by_its_checksum) {
  const auto wire = encode_proxy_v2(k_inet).value();
  test::for_every_corruption(wire, [&](bytes damaged, std::size_t at) {
    proxy_header_decoder decoder;
    // A length that ends before the checksum leaves a block without one.
    if (const auto fed = decoder.feed(damaged); fed && fed->whole && fed->consumed < wire.size()) {
      EXPECT_TRUE(at == 14 || at == 15) << "byte " << at;
      return;
    }
    const auto got = decode(damaged);
    // What the checksum has become is passed over, as everything of a type that is unknown.
    if (got && at == 28) {
      EXPECT_EQ(*got, k_inet);
      return;
    }
    // A command or a family that says "ignore the addresses" is in order, and says nothing about anybody.
    if (got) {
      EXPECT_EQ(*got, proxy_header{}) << "byte " << at;
      EXPECT_TRUE(at == 12 || at == 13) << "byte " << at;
    } else {
      EXPECT_TRUE(got.error() == errc::protocol || got.error() == errc::corrupt || got.error() == errc::would_block);
    }
  });
}

TEST(proxy_header, makes_of_a_damaged_line_another_line_or_none) {
  test::for_every_corruption(make_bytes(k_line4), [](bytes damaged, std::size_t) {
    const auto got = decode(damaged);
    if (got) {
      EXPECT_EQ(decode(encode_proxy_v1(*got).value()).value(), *got);
    } else {
      EXPECT_TRUE(got.error() == errc::protocol || got.error() == errc::would_block);
    }
  });
}

TEST(proxy_header, passes_over_extensions_and_checks_their_lengths) {
  EXPECT_TRUE(decode(inet_block({0x04, 0, 2, 0, 0, 0xee, 0, 0})));
  for (const auto& wire : {inet_block({0x04}), inet_block({0x04, 0}), inet_block({0x04, 0, 3, 1, 2}),
                           inet_block({0x03, 0, 3, 1, 2, 3}), inet_block({0x04, 0xff, 0xff})}) {
    const auto refused = decode(wire);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), errc::protocol);
  }
  EXPECT_EQ(decode(inet_block({0x03, 0, 4, 1, 2, 3, 4})).error(), errc::corrupt);
}

TEST(proxy_header, ignores_what_a_local_header_and_an_unspecified_family_say) {
  EXPECT_EQ(decode(block(0x20, 0x11, make_bytes({1, 2, 3}))).value(), proxy_header{});
  EXPECT_EQ(decode(block(0x20, 0xff, {})).value(), proxy_header{});
  EXPECT_EQ(decode(block(0x21, 0x00, make_bytes({9, 9}))).value(), proxy_header{});
}

TEST(proxy_header, refuses_blocks_that_contradict_themselves) {
  const auto text_of = [](const byte_string& wire) {
    const auto refused = decode(wire);
    return refused ? "taken" : std::string(refused.error().text());
  };
  EXPECT_THAT(text_of(block(0x11, 0x11, {})), HasSubstr("version is 1"));
  EXPECT_THAT(text_of(block(0x22, 0x11, {})), HasSubstr("LOCAL nor PROXY"));
  EXPECT_THAT(text_of(block(0x21, 0x41, {})), HasSubstr("family"));
  EXPECT_THAT(text_of(block(0x21, 0x13, {})), HasSubstr("transport"));
  EXPECT_THAT(text_of(block(0x21, 0x12, byte_string(12))), HasSubstr("datagrams"));
  EXPECT_THAT(text_of(block(0x21, 0x11, byte_string(11))), HasSubstr("ends inside its addresses"));
  EXPECT_THAT(text_of(block(0x21, 0x21, byte_string(35))), HasSubstr("ends inside its addresses"));
  EXPECT_THAT(text_of(block(0x21, 0x31, byte_string(215))), HasSubstr("ends inside its addresses"));
}

TEST(proxy_header, refuses_a_block_above_its_limit_before_it_comes) {
  auto wire = block(0x21, 0x11, {});
  wire[14] = std::byte{0x10};
  wire[15] = std::byte{0x01};
  const auto refused = decode(wire);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("4113 bytes, more than 4112"));
}

}  // namespace
}  // namespace ferry::codec
