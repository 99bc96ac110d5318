#include "sidecar/wire/heads.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "testing/hex.hpp"
#include "testing/splitter.hpp"

namespace ferry::sidecar::wire {
namespace {

using test::from_hex;

constexpr std::array<std::int32_t, 3> k_entities{1, 300, -1};
struct sample {
  const char* name;
  service_destination to;
  const char* hex;
};
// As the protobuf library for Python writes them, from the page's own words: tests/interop/sidecar_messages.py.
const sample k_routes[] = {
    {"one entity", to_entity{2001}, "08e90712077270632e5361791a0308d10f40014802"},
    {"by key", to_any{20, std::uint64_t{1} << 40, 3}, "08e90712077270632e536179220d0814100118808080808020200340014802"},
    {"by chance", to_any{20}, "08e90712077270632e5361792202081440014802"},
    {"all", to_all{20, 3}, "08e90712077270632e5361792a040814100340014802"},
    {"some", to_entities{k_entities}, "08e90712077270632e536179320f0a0d01ac02ffffffffffffffffff0140014802"},
    {"the other instance", to_other_instance{1}, "08e90712077270632e5361793a02080140014802"},
    {"the other instance than pipe 0", to_other_instance{0}, "08e90712077270632e5361793a0040014802"},
};
service_route route_to(const service_destination& to) { return {1001, "rpc.Say", to, 1, 2}; }

const std::vector<service_note> k_notes{{"1001ShmPipeIdx", "1"}, {"a", "b"}};
service_package sample_package() {
  return {.message_id = "m",
          .return_code = -5,
          .server_sequence = 6,
          .client_sequence = 7,
          .from_actor = 8,
          .to_actor = 9,
          .client_version = 10,
          .notes = k_notes};
}
constexpr const char* k_package_hex =
    "0a016d10fbffffffffffffffff011d06000000250700000028083009380a42130a0e3130303153686d5069706549647812013142060a016112"
    "0162";

bool same(const service_package& a, const service_package& b) {
  return a.message_id == b.message_id && a.return_code == b.return_code && a.server_sequence == b.server_sequence &&
         a.client_sequence == b.client_sequence && a.from_actor == b.from_actor && a.to_actor == b.to_actor &&
         a.client_version == b.client_version &&
         std::equal(a.notes.begin(), a.notes.end(), b.notes.begin(), b.notes.end());
}

TEST(sidecar_heads, are_written_and_read_as_another_library_does) {
  head_reader reader;
  head_writer writer;
  for (const auto& [name, to, hex] : k_routes) {
    const auto written = writer.route(route_to(to));
    ASSERT_TRUE(written) << name;
    EXPECT_EQ(test::to_hex(*written), hex) << name;
    reader.clear();
    const auto read = reader.route(from_hex(hex));
    ASSERT_TRUE(read) << name;
    EXPECT_TRUE(*read == route_to(to)) << name;
  }
  const auto written = writer.package(sample_package());
  ASSERT_TRUE(written);
  EXPECT_EQ(test::to_hex(*written), k_package_hex);
  const auto read = reader.package(from_hex(k_package_hex));
  ASSERT_TRUE(read);
  EXPECT_TRUE(same(*read, sample_package()));
  EXPECT_EQ(read->note("1001ShmPipeIdx"), "1");
  EXPECT_EQ(read->note("a"), "b");
  EXPECT_EQ(read->note("b"), std::nullopt);
}

TEST(sidecar_heads, of_nothing_but_zeros_are_not_empty_as_nobody_takes_an_empty_one) {
  head_writer writer;
  const auto written = writer.package({});
  ASSERT_TRUE(written);
  EXPECT_FALSE(written->empty());
  head_reader reader;
  EXPECT_TRUE(same(reader.package(*written).value(), {}));
}

// Others write the empty value of a note, or leave it out.
TEST(sidecar_heads, with_an_empty_note_are_read_in_either_form) {
  for (const char* const hex : {"42050a01611200", "42030a0161"}) {
    head_reader reader;
    EXPECT_EQ(reader.package(from_hex(hex)).value().note("a"), "") << hex;
  }
}

TEST(sidecar_heads, without_a_destination_are_read_but_not_written) {
  head_reader reader;
  const auto read = reader.route(from_hex("08e907"));
  ASSERT_TRUE(read);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(read->to));
  EXPECT_EQ(head_writer().route({.from = 1}).error(), errc::misuse);
}

TEST(sidecar_heads, with_a_note_twice_mean_the_last_one) {
  head_reader reader;
  const auto read =
      reader.package(from_hex("42060a01611201"
                              "31"
                              "42060a01611201"
                              "32"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->note("a"), "2");
}

TEST(sidecar_heads, with_texts_that_are_not_utf8_are_neither_written_nor_read) {
  head_writer writer;
  EXPECT_EQ(writer.route({.message_id = "\xff", .to = to_entity{1}}).error(), errc::misuse);
  EXPECT_EQ(writer.package({.message_id = "\xff"}).error(), errc::misuse);
  const std::vector<service_note> notes{{"a", "\xc0\x80"}};
  EXPECT_EQ(writer.package({.notes = notes}).error(), errc::misuse);
  head_reader reader;
  EXPECT_EQ(reader.route(from_hex("1201ff")).error(), errc::protocol);
  EXPECT_EQ(reader.package(from_hex("0a01ff")).error(), errc::protocol);
  EXPECT_EQ(reader
                .package(from_hex("42060a0161"
                                  "1201ff"))
                .error(),
            errc::protocol);
}

TEST(sidecar_heads, with_any_byte_changed_are_refused_or_read_and_written_again) {
  head_reader reader, second;
  head_writer writer;
  for (const auto& one : k_routes) {
    test::for_every_corruption(from_hex(one.hex), [&](bytes damaged, std::size_t) {
      reader.clear();
      second.clear();
      const auto read = reader.route(damaged);
      if (!read || std::holds_alternative<std::monostate>(read->to)) return;
      const auto again = second.route(writer.route(*read).value());
      EXPECT_TRUE(again && *again == *read) << one.name;
    });
  }
  test::for_every_corruption(from_hex(k_package_hex), [&](bytes damaged, std::size_t) {
    reader.clear();
    second.clear();
    const auto read = reader.package(damaged);
    if (!read) return;
    const auto again = second.package(writer.package(*read).value());
    EXPECT_TRUE(again && same(*again, *read));
  });
}

TEST(sidecar_heads, that_are_cut_are_refused_or_are_whole_at_the_cut) {
  test::for_every_cut(from_hex(k_package_hex), [](bytes head, bytes) {
    head_reader reader;
    const auto read = reader.package(head);
    EXPECT_TRUE(read || read.error() == errc::protocol);
  });
}

TEST(sidecar_heads, with_very_many_notes_are_refused_by_their_number) {
  std::vector<service_note> notes(k_max_notes, service_note{"n", "v"});
  head_writer writer;
  head_reader reader;
  const auto most = writer.package({.notes = notes}).value();
  EXPECT_TRUE(reader.package(most));
  std::vector<std::byte> one_more(most.begin(), most.end());
  const auto again = from_hex("42060a016e120176");
  one_more.insert(one_more.end(), again.begin(), again.end());
  const auto read = reader.package(one_more);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().text().find(std::to_string(k_max_notes)), std::string::npos) << read.error().text();
  notes.push_back({"n", "v"});
  EXPECT_EQ(writer.package({.notes = notes}).error(), errc::misuse);
}

}  // namespace
}  // namespace ferry::sidecar::wire
