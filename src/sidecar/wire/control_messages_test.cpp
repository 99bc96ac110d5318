#include "sidecar/wire/control_messages.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/hex.hpp"
#include "testing/splitter.hpp"

namespace ferry::sidecar::wire {
namespace {

using namespace codec::sidecar;
using test::from_hex;

struct sample {
  const char* name;
  notice what;
  const char* hex;
};
// As the protobuf library for Python writes them, from the page's own words: tests/interop/sidecar_messages.py.
const sample k_samples[] = {
    {"registration",
     registration{"10", "1001", {"area3", "blue"}, 7, true, true, true, 100, -1, true, 1, 4'000'000'000, 20240229},
     "cb0000003f0000004f000000000000000a190a0231301204313030311a0561726561331a04626c756520071222080110011801206428fffff"
     "f"
     "ffffffffffff01300138014080d0acf30e48e5aed309"},
    {"its answer", registration_answer{3, "taken", 1, 1, 9},
     "cc0000001100000021000000000000000a090803120574616b656e100118012009"},
    {"heartbeat", heartbeat{service_health::fast_exit, 1, 77, 5}, "c900000008000000180000000000000008021001184d2005"},
    {"empty heartbeat", heartbeat{}, "c9000000000000001000000000000000"},
    {"unregistration", unregistration{"1001", 1, 77}, "d30000000c0000001c0000000000000008011204313030311801204d"},
    {"load", load_report{"1001", 5, -2}, "d50000001300000023000000000000000a0431303031100518feffffffffffffffff01"},
    {"change of the pipe", change_pipe{3}, "d60000000200000012000000000000000803"},
    {"its answer", change_pipe_answer{-1}, "d70000000b0000001b0000000000000008ffffffffffffffffff01"},
    {"step of a migration", migration_step{control_id::sidecar_migrated}, "23030000000000001000000000000000"},
    {"reserved notice", other_notice{205}, "cd000000000000001000000000000000"},
};

result<notice> decoded(bytes wire) {
  const auto whole = control_decoder().next(wire);
  if (!whole) return whole.error();
  if (whole->consumed != wire.size()) return error(errc::truncated);
  return decode(*whole);
}

TEST(sidecar_control_messages, are_written_and_read_as_another_library_does) {
  for (const auto& [name, what, hex] : k_samples) {
    std::vector<std::byte> written;
    ASSERT_TRUE(append(written, what)) << name;
    const auto read = decoded(from_hex(hex));
    ASSERT_TRUE(read) << name << ": " << read.error().text();
    EXPECT_TRUE(*read == what) << name;
    // The one that leaves out nothing that is zero is as good.
    const auto again = decoded(written);
    ASSERT_TRUE(again) << name;
    EXPECT_TRUE(*again == what) << name;
    EXPECT_EQ(test::to_hex(written), hex) << name;
  }
}

TEST(sidecar_control_messages, with_any_byte_of_their_protobuf_changed_are_refused_or_read_and_written_again) {
  for (const auto& one : k_samples) {
    const auto wire = from_hex(one.hex);
    test::for_every_corruption(bytes(wire).subspan(k_control_header_bytes), [&](bytes damaged, std::size_t) {
      const auto whole = control_decoder().next(wire);
      auto changed = *whole;
      changed.head = damaged;
      const auto read = decode(changed);
      if (!read) {
        EXPECT_EQ(read.error(), errc::protocol);
        return;
      }
      std::vector<std::byte> written;
      ASSERT_TRUE(append(written, *read)) << one.name;
      const auto again = decoded(written);
      ASSERT_TRUE(again);
      EXPECT_TRUE(*again == *read) << one.name;
    });
  }
}

TEST(sidecar_control_messages, that_are_cut_are_refused) {
  for (const auto& one : k_samples) {
    const auto wire = from_hex(one.hex);
    auto whole = *control_decoder().next(wire);
    if (whole.head.size() < 2) continue;
    whole.head = whole.head.first(whole.head.size() - 1);
    const auto read = decode(whole);
    ASSERT_FALSE(read) << one.name;
    EXPECT_NE(read.error().text().find(std::to_string(whole.head.size()) + " bytes"), std::string::npos)
        << read.error().text();
  }
}

TEST(sidecar_control_messages, of_a_number_that_nobody_knows_are_told_with_it) {
  for (const std::int32_t id : {101, 202, 205, 207, 209, 800, 806, 59999}) {
    const auto read = decode({16, 16, id, {}});
    ASSERT_TRUE(read) << id;
    EXPECT_TRUE(*read == notice(other_notice{id})) << id;
  }
}

TEST(sidecar_control_messages, with_texts_that_are_not_utf8_are_neither_written_nor_read) {
  std::vector<std::byte> written;
  EXPECT_EQ(append(written, registration{.service = "\xff", .entity = "1"}).error(), errc::misuse);
  EXPECT_EQ(append(written, registration{.service = "1", .entity = "1", .tags = {"\xc0\x80"}}).error(), errc::misuse);
  EXPECT_EQ(append(written, registration_answer{.reason = "\xed\xa0\x80"}).error(), errc::misuse);
  EXPECT_TRUE(written.empty());
  auto wire = from_hex("d50000001300000023000000000000000a0431303031100518feffffffffffffffff01");
  wire[20] = std::byte{0xff};
  EXPECT_EQ(decoded(wire).error(), errc::protocol);
}

TEST(sidecar_control_messages, with_a_state_that_has_no_meaning_are_refused_with_it) {
  const auto read =
      decoded(from_hex("c9000000020000001200000000000000"
                       "0803"));
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().text().find("state 3"), std::string::npos) << read.error().text();
}

TEST(sidecar_control_messages, that_are_too_large_are_not_written) {
  std::vector<std::byte> written;
  const registration_answer large{.reason = std::string().append(k_max_control_message, 'x')};
  EXPECT_EQ(append(written, large).error(), errc::message_too_large);
  EXPECT_TRUE(written.empty());
}

}  // namespace
}  // namespace ferry::sidecar::wire
