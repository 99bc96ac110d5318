#include "channel/option_value.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace {

using enum ferry::option_unit;
using ferry::parse_whole;

constexpr auto k_largest = std::numeric_limits<std::uint64_t>::max();

TEST(sizes, are_read_with_units_of_1024_and_of_1000_in_either_case) {
  EXPECT_EQ(parse_whole(size, "65536"), 65536u);
  EXPECT_EQ(parse_whole(size, "0"), 0u);
  EXPECT_EQ(parse_whole(size, "7B"), 7u);
  EXPECT_EQ(parse_whole(size, "64KiB"), 65536u);
  EXPECT_EQ(parse_whole(size, "64kib"), 65536u);
  EXPECT_EQ(parse_whole(size, "1MiB"), 1048576u);
  EXPECT_EQ(parse_whole(size, "2GiB"), 2147483648u);
  EXPECT_EQ(parse_whole(size, "2k"), 2000u);
  EXPECT_EQ(parse_whole(size, "2kB"), 2000u);
  EXPECT_EQ(parse_whole(size, "3M"), 3000000u);
  EXPECT_EQ(parse_whole(size, "3MB"), 3000000u);
  EXPECT_EQ(parse_whole(size, "4G"), 4000000000u);
  EXPECT_EQ(parse_whole(size, "4GB"), 4000000000u);
  EXPECT_EQ(parse_whole(size, "1.5MiB"), 1572864u);
}

TEST(durations, are_read_in_nanoseconds_and_fractions_are_exact) {
  EXPECT_EQ(parse_whole(duration, "7ns"), 7u);
  EXPECT_EQ(parse_whole(duration, "500us"), 500'000u);
  EXPECT_EQ(parse_whole(duration, "10ms"), 10'000'000u);
  EXPECT_EQ(parse_whole(duration, "1.5s"), 1'500'000'000u);
  EXPECT_EQ(parse_whole(duration, "1.500000000s"), 1'500'000'000u);
  EXPECT_EQ(parse_whole(duration, "0.000000001s"), 1u);
  EXPECT_EQ(parse_whole(duration, "2m"), 120'000'000'000u);
  EXPECT_EQ(parse_whole(duration, "0.1h"), 360'000'000'000u);
  EXPECT_EQ(parse_whole(duration, "0"), 0u);
  EXPECT_EQ(parse_whole(duration, "0.0"), 0u);
}

TEST(durations, need_a_unit_unless_they_are_zero) {
  EXPECT_FALSE(parse_whole(duration, "30"));
  EXPECT_FALSE(parse_whole(duration, "0.5"));
}

TEST(whole_values, refuse_what_is_not_whole_or_not_of_their_form) {
  EXPECT_FALSE(parse_whole(duration, "0.1ns"));
  EXPECT_FALSE(parse_whole(duration, "0.0000000001s"));
  EXPECT_FALSE(parse_whole(duration, "1.0000000000000000000001s"));
  EXPECT_FALSE(parse_whole(size, "0.3KiB"));
  EXPECT_FALSE(parse_whole(size, "1.5"));
  EXPECT_FALSE(parse_whole(count, "0.5"));
  EXPECT_FALSE(parse_whole(count, "5KiB"));
  for (const auto unit : {size, duration, count, mode}) {
    for (const auto* text : {"", " 1", "1 ", "-1", "+1", ".5", "1.", "x", "0x10", "1e3", "1,000", "1KiBs", "s"}) {
      EXPECT_FALSE(parse_whole(unit, text)) << "'" << text << "' as unit " << int(unit);
    }
  }
}

TEST(whole_values, that_do_not_fit_into_64_bits_become_the_largest_number) {
  EXPECT_EQ(parse_whole(size, "18446744073709551615"), k_largest);
  EXPECT_EQ(parse_whole(size, "18446744073709551616"), k_largest);
  EXPECT_EQ(parse_whole(size, "17179869183GiB"), 17179869183u << 30);
  EXPECT_EQ(parse_whole(size, "17179869184GiB"), k_largest);
  EXPECT_EQ(parse_whole(size, "17179869183.9999999990686774253845214843750GiB"), std::nullopt);
  EXPECT_EQ(parse_whole(size, "17179869183.5GiB"), (17179869183u << 30) + (1u << 29));
  EXPECT_EQ(parse_whole(duration, "5124096h"), k_largest);
  EXPECT_EQ(parse_whole(mode, "7777777777777777777777777"), k_largest);
  EXPECT_EQ(parse_whole(size, std::string(1000, '9') + "k"), k_largest);
}

TEST(counts_and_modes, are_plain_and_octal_numbers) {
  EXPECT_EQ(parse_whole(count, "10k"), 10'000u);
  EXPECT_EQ(parse_whole(count, "1M"), 1'000'000u);
  EXPECT_EQ(parse_whole(mode, "0660"), 0660u);
  EXPECT_EQ(parse_whole(mode, "660"), 0660u);
  EXPECT_FALSE(parse_whole(mode, "0680"));
}

TEST(whole_values, are_written_in_their_largest_exact_unit_and_read_back) {
  EXPECT_EQ(format_whole(size, 10u << 20), "10MiB");
  EXPECT_EQ(format_whole(size, 1u << 30), "1GiB");
  EXPECT_EQ(format_whole(size, 65537), "65537");
  EXPECT_EQ(format_whole(size, 2000), "2000");
  EXPECT_EQ(format_whole(duration, 1'500'000'000), "1500ms");
  EXPECT_EQ(format_whole(duration, 86'400'000'000'000), "24h");
  EXPECT_EQ(format_whole(count, 65536), "65536");
  EXPECT_EQ(format_whole(mode, 0660), "0660");
  for (const auto unit : {size, duration, count, mode}) {
    EXPECT_EQ(format_whole(unit, 0), "0");
    for (int shift = 0; shift < 64; ++shift) {
      for (const std::uint64_t value :
           {1ull << shift, (1ull << shift) - 1, 3600ull << (shift / 2), 1000ull << (shift / 2)}) {
        EXPECT_EQ(parse_whole(unit, format_whole(unit, value)), value) << format_whole(unit, value);
      }
    }
  }
}

TEST(numbers, are_fractions_or_percents) {
  EXPECT_EQ(ferry::parse_number("0.2"), 0.2);
  EXPECT_EQ(ferry::parse_number("20%"), 0.2);
  EXPECT_EQ(ferry::parse_number("1.6"), 1.6);
  EXPECT_EQ(ferry::parse_number("3"), 3.0);
  for (const auto* text : {"", "%", "-1", "+1", "nan", "inf", "1x", " 1", "0.2%%", "1e999", ".5"}) {
    EXPECT_FALSE(ferry::parse_number(text)) << text;
  }
}

TEST(numbers, read_back_as_the_same_number) {
  for (const double value : {0.0, 0.2, 1.6, 1.0 / 3, 100.0, 1e-300}) {
    EXPECT_EQ(ferry::parse_number(ferry::format_number(value)), value);
  }
  EXPECT_EQ(ferry::format_number(1.6), "1.6");
}

TEST(flags, have_four_pairs_of_words) {
  for (const auto* word : {"on", "true", "yes", "1", "ON", "True"}) EXPECT_EQ(ferry::parse_flag(word), true) << word;
  for (const auto* word : {"off", "false", "no", "0", "Off", "NO"}) EXPECT_EQ(ferry::parse_flag(word), false) << word;
  for (const auto* word : {"", "2", "onn", "o", " on"}) EXPECT_EQ(ferry::parse_flag(word), std::nullopt) << word;
  EXPECT_EQ(ferry::format_flag(true), "on");
  EXPECT_EQ(ferry::format_flag(false), "off");
}

TEST(uids, are_numbers_with_commas_between) {
  EXPECT_EQ(ferry::parse_uids(""), std::vector<std::uint32_t>{});
  EXPECT_EQ(ferry::parse_uids("0,1000,4294967294"), (std::vector<std::uint32_t>{0, 1000, 4294967294u}));
  EXPECT_EQ(ferry::format_uids({0, 1000}), "0,1000");
  for (const auto* text :
       {",", "1,", ",1", "1,,2", "root", "1;2", "1 ,2", "-1", "4294967295", "99999999999999999999"}) {
    EXPECT_FALSE(ferry::parse_uids(text)) << text;
  }
}

TEST(uids, are_at_most_1024) {
  const std::vector<std::uint32_t> most(ferry::k_max_uids, 7);
  EXPECT_EQ(ferry::parse_uids(ferry::format_uids(most)), most);
  EXPECT_FALSE(ferry::parse_uids(ferry::format_uids(most) + ",7"));
}

}  // namespace
