#include "codec/gateway_packet.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "base/constant_time.hpp"
#include "testing/hex.hpp"
#include "testing/splitter.hpp"

namespace ferry::codec::gateway {
namespace {

using test::from_hex;
using test::to_hex;

constexpr std::uint32_t k_max = 512 * 1024;

struct sample {
  command what;
  const char* hex;
};
// Every command, as recorded.
const sample k_samples[] = {
    {command::dial(7), "09000000000000000007000000"},
    {command::accept(1, 7), "0d00000000000000010100000007000000"},
    {command::connect(1, 1), "0d00000000000000020100000001000000"},
    {command::refuse(99), "09000000000000000363000000"},
    {command::close(4242), "09000000000000000492100000"},
    {command::ping(), "050000000000000005"},
};

std::optional<command> command_of(bytes whole) {
  const auto got = packet_decoder(k_max).next(whole);
  if (!got || got->consumed == 0 || got->connection != k_command_connection) return std::nullopt;
  const auto read = decode_command(got->message);
  return read ? std::optional(*read) : std::nullopt;
}

error error_of(std::string_view hex_of_message) {
  const auto read = decode_command(from_hex(hex_of_message));
  return read ? error() : read.error();
}

TEST(gateway_command, is_written_and_read_as_recorded) {
  for (const auto& [what, hex] : k_samples) {
    EXPECT_EQ(to_hex(encode(what).view()), hex) << to_string(what.type);
    EXPECT_EQ(command_of(from_hex(hex)), what) << to_string(what.type);
  }
}

TEST(gateway_command, ignores_what_follows_its_arguments) {
  for (const auto& [what, hex] : k_samples) {
    auto longer = from_hex(std::string(hex) + "ff00ff");
    longer[0] = static_cast<std::byte>(longer.size() - 4);
    EXPECT_EQ(command_of(longer), what) << to_string(what.type);
  }
}

TEST(gateway_command, without_a_type_is_refused) { EXPECT_EQ(error_of(""), errc::protocol); }

TEST(gateway_command, of_an_unknown_type_is_refused_with_the_type) {
  for (int type = 6; type < 256; ++type) {
    const std::vector<std::byte> message(16, static_cast<std::byte>(type));
    const auto read = decode_command(message);
    ASSERT_FALSE(read) << type;
    EXPECT_EQ(read.error(), errc::protocol);
    EXPECT_NE(read.error().text().find(std::to_string(type)), std::string::npos);
  }
}

TEST(gateway_command, with_arguments_that_are_missing_is_refused_at_every_length) {
  for (const auto& [what, hex] : k_samples) {
    const auto whole = from_hex(hex);
    const bytes message = bytes(whole).subspan(k_header_bytes);
    for (std::size_t size = 1; size < message.size(); ++size) {
      const std::vector<std::byte> exact(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(decode_command(exact)) << to_string(what.type) << " of " << size;
    }
  }
}

TEST(gateway_packet, asks_for_more_at_every_cut_and_tells_its_size_as_soon_as_its_length_is_there) {
  const auto wire = from_hex("090000000100000048656c6c6f");
  test::for_every_cut(wire, [&](bytes head, bytes) {
    const auto got = packet_decoder(k_max).next(head);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->total, head.size() < 4 ? 0u : wire.size());
    EXPECT_EQ(got->consumed, head.size() < wire.size() ? 0u : wire.size());
  });
  const auto whole = packet_decoder(k_max).next(wire);
  EXPECT_EQ(whole->connection, 1u);
  EXPECT_EQ(as_text(whole->message), "Hello");
}

TEST(gateway_packet, may_be_empty) {
  const auto got = packet_decoder(k_max).next(from_hex("0400000001000000"));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->consumed, 8u);
  EXPECT_TRUE(got->message.empty());
}

TEST(gateway_packet, of_a_length_that_holds_no_connection_is_refused_before_more_is_waited_for) {
  for (const char* hex : {"00000000", "01000000", "02000000", "03000000"}) {
    const auto got = packet_decoder(k_max).next(from_hex(hex));
    ASSERT_FALSE(got) << hex;
    EXPECT_EQ(got.error(), errc::protocol);
  }
}

TEST(gateway_packet, of_a_length_above_the_limit_is_refused_before_more_is_waited_for) {
  const packet_decoder decoder(16);
  EXPECT_EQ(decoder.next(from_hex("10000000"))->total, 20u);
  for (const char* hex : {"11000000", "ffffff7f", "ffffffff"}) {
    const auto got = decoder.next(from_hex(hex));
    ASSERT_FALSE(got) << hex;
    EXPECT_EQ(got.error(), errc::message_too_large);
    EXPECT_NE(got.error().text().find("16"), std::string::npos);
  }
}

TEST(gateway_packet, of_the_largest_message_is_within_the_limit) {
  std::vector<std::byte> wire(k_header_bytes + max_message(16));
  store_header(wire.data(), 5, max_message(16));
  const auto got = packet_decoder(16).next(wire);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->consumed, wire.size());
  EXPECT_EQ(got->connection, 5u);
  EXPECT_EQ(got->message.size(), 12u);
}

TEST(gateway_packet, damaged_in_one_byte_is_another_one_or_an_error_but_never_reaches_beyond_its_end) {
  const auto wire = from_hex("0d00000000000000010100000007000000");
  test::for_every_corruption(wire, [&](bytes damaged, std::size_t at) {
    const auto got = packet_decoder(64).next(damaged);
    if (!got || got->consumed == 0) return;
    EXPECT_LE(got->consumed, damaged.size()) << at;
    if (got->connection == k_command_connection) (void)decode_command(got->message);
  });
}

TEST(gateway_packet, transcript_is_read_whole_in_pieces_of_every_size) {
  std::vector<std::byte> all;
  std::size_t packets = 0;
  for (const auto& line : test::recorded_conversation(FERRY_SOURCE_DIR "/tests/interop/data/gateway.jsonl")) {
    if (line.data.empty() || line.what == "challenge" || line.what == "md5, server id 7") continue;
    all.insert(all.end(), line.data.begin(), line.data.end());
    ++packets;
  }
  ASSERT_EQ(packets, 20u);
  test::for_every_piece_size(all, [&](const std::vector<bytes>& pieces) {
    const packet_decoder decoder(k_max);
    std::vector<std::byte> kept;
    std::size_t found = 0;
    for (const auto piece : pieces) {
      kept.insert(kept.end(), piece.begin(), piece.end());
      for (;;) {
        const auto got = decoder.next(kept);
        ASSERT_TRUE(got) << got.error().text();
        if (got->consumed == 0) break;
        if (got->connection == k_command_connection) {
          const auto read = decode_command(got->message);
          ASSERT_TRUE(read) << read.error().text();
          EXPECT_EQ(to_hex(encode(*read).view()), to_hex(bytes(kept).first(got->consumed)));
        }
        kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(got->consumed));
        ++found;
      }
    }
    EXPECT_EQ(found, packets);
    EXPECT_TRUE(kept.empty());
  });
}

TEST(gateway_login, is_what_the_recorded_server_sent) {
  const auto asked = from_hex("16811c8e277ec4d1");
  challenge number{};
  std::copy(asked.begin(), asked.end(), number.begin());
  const auto made = encode(server_login{prove(number, "sekrit"), 7});
  EXPECT_EQ(to_hex(made), "734d354806c878fa901cd81de717cfe607000000");
  const auto read = decode_server_login(made);
  EXPECT_EQ(read.server, 7u);
  EXPECT_TRUE(equal_in_constant_time(read.proven, prove(number, "sekrit")));
  EXPECT_FALSE(equal_in_constant_time(read.proven, prove(number, "Sekrit")));
}

}  // namespace
}  // namespace ferry::codec::gateway
