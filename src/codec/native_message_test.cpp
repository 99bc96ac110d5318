#include "codec/native_message.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/endian.hpp"
#include "codec/native_plain.hpp"
#include "testing/hex.hpp"

namespace ferry::codec::sidecar {
namespace {

// Heads are read from memory that is aligned to 8 bytes.
std::vector<std::byte> copy_of(bytes what) { return {what.begin(), what.end()}; }

struct example {
  std::vector<std::int32_t> entities{7, -1, 3};
  std::vector<service_note> notes{{"colour", "blue"}, {"", ""}, {"1001ShmPipeIdx", "0"}};
  service_package package{.message_id = "Say",
                          .return_code = -5,
                          .server_sequence = 6,
                          .client_sequence = 7,
                          .from_actor = 1ull << 63,
                          .to_actor = 9,
                          .client_version = -10,
                          .notes = notes};
};

TEST(native_message, lies_in_bytes_as_its_page_says) {
  native_head_writer writer;
  const std::vector<service_note> notes{{"n", "vw"}, {"3ShmPipeIdx", "1"}};
  const auto head = writer.write(
      {.from = 0x11, .message_id = "ab", .to = to_any{0x22, 0x33, 0x44}, .from_set_version = 5, .to_set_version = 6},
      {.message_id = "c",
       .return_code = -2,
       .server_sequence = 7,
       .client_sequence = 8,
       .from_actor = 9,
       .to_actor = 10,
       .client_version = 11,
       .notes = notes},
      0x010203040506);
  ASSERT_TRUE(head);
  EXPECT_EQ(test::to_hex(*head),
            "0605040302010f00"  // time, words of the head
            "1100000022000000"  // from, the service
            "02000200ff010000"  // any, two notes, all words
            "3300000000000000"  // key
            "44000000feffffff"  // zone, return code
            "05000000000000000600000000000000"
            "0700000008000000"
            "09000000000000000a000000000000000b00000000000000"
            "0200000001000000"  // bytes of both message ids
            "0100000002000000"  // of the first note
            "0300000001000080"  // pipe 1 of entity 3
            "6162636e76770000");
}

TEST(native_message, has_words_for_what_is_set_alone) {
  native_head_writer writer;
  const std::vector<service_note> notes{{"1001ShmPipeIdx", "0"}};
  EXPECT_EQ(test::to_hex(*writer.write({.from = 1001, .to = to_entity{201}}, {.notes = notes}, 1)),
            "0100000000000400"
            "e9030000c9000000"
            "0100010000000000"
            "e903000000000080");
  EXPECT_EQ(test::to_hex(*writer.write({.to = to_entities{std::vector<std::int32_t>{7, -1}}}, {.to_actor = 5},
                                       ~std::uint64_t{0})),
            "ffffffffffff0500"
            "0000000002000000"
            "0400000040000000"
            "0500000000000000"
            "07000000ffffffff");
  EXPECT_EQ(writer.write({.to = to_any{1, 0}}, {}, 1)->size(), 32u) << "a key of 0 is one";
  EXPECT_EQ(writer.write({.to = to_any{1}}, {}, 1)->size(), 24u);
}

// What is not as it would be written out again is a text as any other.
TEST(native_message, has_a_row_of_an_instance_as_its_last_note) {
  native_head_writer writer;
  const std::vector<service_note> all{{"n", "vw"}, {"1001ShmPipeIdx", "3"}};
  for (const std::size_t others : {0u, 1u}) {
    const auto both = std::span(all).subspan(1 - others);
    const auto wanted = copy_of(writer.write({.from = 1001, .to = to_entity{201}}, {.notes = both}, 1).value());
    const service_route route{.from = 1001, .to = to_entity{201}};
    const service_package package{.notes = both.first(others)};
    native_head what(route, package);
    what.instance = instance_row(1001, 3);
    EXPECT_EQ(copy_of(writer.write(what, 1).value()), wanted) << others;
  }
  const std::vector<service_note> many(k_max_native_list);
  const service_route route{.to = to_entity{1}};
  const service_package package{.notes = many};
  native_head what(route, package);
  EXPECT_TRUE(writer.write(what, 1));
  what.instance = instance_row(1, 0);
  EXPECT_EQ(writer.write(what, 1).error(), errc::misuse);
}

TEST(native_message, that_is_plain_has_the_same_bytes_and_says_the_same_both_ways) {
  native_head_writer writer;
  native_head_reader reader;
  const std::vector<service_note> all{{"7ShmPipeIdx", "65535"}, {"4294967295ShmPipeIdx", "0"}, {"1ShmPipeIdx", "1"}};
  for (std::size_t notes = 0; notes <= all.size(); ++notes)
    for (const bool has_instance : {false, true}) {
      const service_route route{.from = 1001, .to = to_entity{0xfffffffe}};
      const service_package package{.notes = std::span(all).first(notes)};
      native_head what(route, package);
      if (has_instance) what.instance = instance_row(9, 8);
      plain_head plain;
      const bool is_plain = notes + (has_instance ? 1 : 0) <= k_most_plain_notes;
      ASSERT_EQ(plain.make(what), is_plain) << notes;
      const auto whole = copy_of(writer.write(what, 5).value());
      plain_head back;
      ASSERT_EQ(back.read(whole, whole.size()), is_plain) << notes;
      if (!is_plain) continue;
      std::vector<std::byte> made(plain.size());
      plain.put(made.data(), 5);
      EXPECT_EQ(made, whole) << notes;
      service_route said;
      service_package said_besides;
      reader.read(back, said, said_besides);
      native_head_reader general;
      EXPECT_EQ(said, general.route(whole).value());
      EXPECT_TRUE(std::ranges::equal(said_besides.notes, general.package(whole).value().notes));
      for (std::size_t at = 0; at < whole.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
          auto other = whole;
          other[at] ^= std::byte(1 << bit);
          const auto measured = measure_native(other);
          if (measured.head_bytes == 0 || !plain_head().read(other, measured.head_bytes)) continue;
          EXPECT_TRUE(general.package(bytes(other).first(measured.head_bytes))) << at << " " << bit;
        }
    }
}

TEST(native_message, that_says_more_is_not_plain) {
  const auto is_plain = [](const service_route& route, const service_package& package) {
    return plain_head().make({route, package});
  };
  const service_route to_one{.to = to_entity{1}};
  EXPECT_TRUE(is_plain(to_one, {}));
  for (const auto& route : {service_route{},
                            {.to = to_any{1}},
                            {.to = to_all{1}},
                            {.to = to_entities{}},
                            {.to = to_other_instance{1}},
                            {.message_id = "a", .to = to_entity{1}},
                            {.to = to_entity{1}, .from_set_version = 1},
                            {.to = to_entity{1}, .to_set_version = 1ull << 63}})
    EXPECT_FALSE(is_plain(route, {}));
  const std::vector<service_note> note{{"n", "v"}};
  for (const auto& package : {service_package{.message_id = "a"},
                              {.return_code = -1},
                              {.server_sequence = 1},
                              {.client_sequence = 1},
                              {.from_actor = 1},
                              {.to_actor = 1},
                              {.client_version = 1},
                              {.notes = note}})
    EXPECT_FALSE(is_plain(to_one, package));
}

TEST(native_message, keeps_every_note_as_it_was_and_in_its_order) {
  native_head_writer writer;
  native_head_reader reader;
  const std::vector<service_note> notes{
      {"1001ShmPipeIdx", "0"},       {"1001ShmPipeIdx", "01"}, {"01ShmPipeIdx", "1"},
      {"ShmPipeIdx", "1"},           {"0ShmPipeIdx", "65535"}, {"4294967295ShmPipeIdx", "7"},
      {"7ShmPipeIdx", ""},           {"7ShmPipeIdx", "-1"},    {"-7ShmPipeIdx", "1"},
      {"4294967296ShmPipeIdx", "7"}, {"7ShmPipeIdx", "x"},     {"7ShmPipeIdx", "65536"},
      {"7ShmPipeIdx ", "1"},         {"7shmPipeIdx", "1"},     {"", ""},
      {"1001ShmPipeIdx", "2"},
  };
  for (std::size_t first = 0; first < notes.size(); ++first) {
    const auto some = std::span(notes).subspan(first);
    const auto head = copy_of(writer.write({.to = to_entity{1}}, {.notes = some}, 1).value());
    for (int again = 0; again < 2; ++again) {
      const auto read = reader.package(head).value().notes;
      ASSERT_EQ(read.size(), some.size());
      for (std::size_t i = 0; i < read.size(); ++i) EXPECT_TRUE(read[i] == some[i]) << some[i].name << some[i].value;
    }
  }
}

TEST(native_message, of_the_earlier_layout_is_none) {
  std::array<std::byte, 160> head{};  // a time below 2^48, then the bytes of its head
  store_le(head.data(), std::uint64_t{1'700'000'000'000});
  store_le(head.data() + 8, std::uint32_t{104});
  EXPECT_EQ(measure_native(head).head_bytes, 0u);
}

TEST(native_message, says_the_same_when_it_is_read_whatever_it_is_for) {
  const example e;
  native_head_writer writer;
  native_head_reader reader;
  for (const service_destination& to :
       {service_destination(to_entity{5}), service_destination(to_any{6}), service_destination(to_any{6, 0, 2}),
        service_destination(to_all{7, 3}), service_destination(to_entities{e.entities}),
        service_destination(to_other_instance{-1})}) {
    const service_route route{.from = 1, .message_id = "r", .to = to, .from_set_version = 2, .to_set_version = 3};
    const auto head = copy_of(writer.write(route, e.package, 4).value());
    EXPECT_EQ(measure_native(head).head_bytes, head.size());
    EXPECT_EQ(measure_native(head).time_ms, 4u);
    EXPECT_TRUE(reader.route(head).value() == route) << to.index();
    const auto package = reader.package(head).value();
    EXPECT_EQ(package.message_id, "Say");
    EXPECT_EQ(package.return_code, -5);
    EXPECT_EQ(package.server_sequence, 6u);
    EXPECT_EQ(package.client_sequence, 7u);
    EXPECT_EQ(package.from_actor, 1ull << 63);
    EXPECT_EQ(package.to_actor, 9u);
    EXPECT_EQ(package.client_version, -10);
    EXPECT_TRUE(std::equal(
        package.notes.begin(), package.notes.end(), e.notes.begin(), e.notes.end(),
        [](const service_note& a, const service_note& b) { return a.name == b.name && a.value == b.value; }));
    service_message both;
    ASSERT_TRUE(reader.read(head, both.route, both.package));
    EXPECT_TRUE(both.route == route) << to.index();
    EXPECT_EQ(both.package.message_id, "Say");
    EXPECT_EQ(both.package.client_version, -10);
    EXPECT_EQ(both.package.notes.size(), e.notes.size());
  }
}

TEST(native_message, tells_the_way_of_what_is_for_one_entity_and_of_nothing_else) {
  const example e;
  native_head_writer writer;
  const auto head = copy_of(
      writer.write({.from = 1, .message_id = "r", .to = to_entity{5}, .to_set_version = 3}, e.package, 4).value());
  const auto way = native_way_of(head).value();
  EXPECT_EQ(way.from, 1u);
  EXPECT_EQ(way.to, 5u);
  EXPECT_EQ(way.to_set_version, 3u);
  EXPECT_FALSE(native_way_of(bytes(head).first(head.size() - 8))) << "a head that cannot be";
  for (const service_destination& to :
       {service_destination(to_any{6}), service_destination(to_all{7}), service_destination(to_entities{e.entities}),
        service_destination(to_other_instance{1})})
    EXPECT_FALSE(native_way_of(copy_of(writer.write({.to = to}, {}, 4).value()))) << to.index();
  auto no_text = head;
  *std::find(no_text.begin(), no_text.end(), std::byte{'r'}) = std::byte{0xff};
  EXPECT_FALSE(native_way_of(no_text)) << "its message id is not UTF-8";
}

TEST(native_message, is_refused_by_its_writer_where_it_says_nothing_or_too_much) {
  native_head_writer writer;
  EXPECT_EQ(writer.write({}, {}, 0).error(), errc::misuse) << "no destination";
  EXPECT_EQ(writer.write({.message_id = "\xff", .to = to_entity{1}}, {}, 0).error(), errc::misuse);
  EXPECT_EQ(writer.write({.to = to_entity{1}}, {.message_id = "\xff"}, 0).error(), errc::misuse);
  const std::vector<service_note> bad{{"\xff", ""}};
  EXPECT_EQ(writer.write({.to = to_entity{1}}, {.notes = bad}, 0).error(), errc::misuse);
  const std::vector<service_note> many(k_max_native_list + 1);
  EXPECT_EQ(writer.write({.to = to_entity{1}}, {.notes = many}, 0).error(), errc::misuse);
  const std::string long_text(k_max_native_head, 'x');
  EXPECT_EQ(writer.write({.to = to_entity{1}}, {.message_id = long_text}, 0).error(), errc::message_too_large);
}

// Whatever one byte is changed to, all that is told lies within the head, and nothing is read behind it.
TEST(native_message, survives_every_change_of_a_byte_and_every_cut) {
  const example e;
  native_head_writer writer;
  native_head_reader reader;
  const auto whole =
      copy_of(writer.write({.from = 1, .message_id = "route", .to = to_entities{e.entities}}, e.package, 4).value());
  const auto lies_within = [](std::string_view text, bytes head) {
    const auto* const first = reinterpret_cast<const char*>(head.data());
    return text.empty() || (text.data() >= first && text.data() + text.size() <= first + head.size());
  };
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (const int bit : {0x01, 0x80, 0xff}) {
      auto head = whole;
      head[at] ^= static_cast<std::byte>(bit);
      const auto measured = measure_native(head);
      ASSERT_LE(measured.head_bytes, head.size());
      if (measured.head_bytes == 0) continue;
      const auto part = copy_of(bytes(head).first(measured.head_bytes));
      service_message both;
      const bool can_be = reader.route(part).has_value() && reader.package(part).has_value();
      ASSERT_EQ(reader.read(part, both.route, both.package).has_value(), can_be) << at;
      if (const auto route = reader.route(part)) {
        ASSERT_TRUE(lies_within(route->message_id, part)) << at;
        if (const auto* to = std::get_if<to_entities>(&route->to)) {
          ASSERT_LE(reinterpret_cast<const std::byte*>(to->entities.data() + to->entities.size()),
                    part.data() + part.size());
        }
      }
      if (const auto package = reader.package(part)) {
        ASSERT_TRUE(lies_within(package->message_id, part)) << at;
        for (const auto& note : package->notes)
          ASSERT_TRUE(note.name.ends_with("ShmPipeIdx") ||
                      (lies_within(note.name, part) && lies_within(note.value, part)))
              << at;
      }
    }
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_EQ(measure_native(bytes(whole).first(cut)).head_bytes, 0u) << cut;
    const auto part = copy_of(bytes(whole).first(cut));
    EXPECT_FALSE(reader.route(part)) << cut;
    EXPECT_FALSE(reader.package(part)) << cut;
  }
}

}  // namespace
}  // namespace ferry::codec::sidecar
