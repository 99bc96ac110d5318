#include "channel/wording.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace {

using namespace std::literals;

constexpr std::array k_names{"max_message"sv, "idle_timeout"sv, "spin"sv, "ipc"sv, "tcp"sv};

TEST(edit_distance, counts_insertions_deletions_changes_and_swaps_of_neighbours) {
  EXPECT_EQ(ferry::edit_distance("", ""), 0u);
  EXPECT_EQ(ferry::edit_distance("spin", "spin"), 0u);
  EXPECT_EQ(ferry::edit_distance("", "spin"), 4u);
  EXPECT_EQ(ferry::edit_distance("spin", "spinn"), 1u);
  EXPECT_EQ(ferry::edit_distance("spin", "spn"), 1u);
  EXPECT_EQ(ferry::edit_distance("spin", "spun"), 1u);
  EXPECT_EQ(ferry::edit_distance("tpc", "tcp"), 1u);
  EXPECT_EQ(ferry::edit_distance("pc", "tcp"), 2u);
  EXPECT_EQ(ferry::edit_distance("abcd", "badc"), 2u);
}

TEST(nearest, finds_the_name_that_was_meant_and_nothing_when_none_is_near) {
  EXPECT_EQ(ferry::nearest("max_mesage", k_names), "max_message");
  EXPECT_EQ(ferry::nearest("maxmesage", k_names), "max_message");
  EXPECT_EQ(ferry::nearest("tpc", k_names), "tcp");
  EXPECT_EQ(ferry::nearest("tls", k_names), "");
  EXPECT_EQ(ferry::nearest("xpc", k_names), "ipc");
  EXPECT_EQ(ferry::nearest("", k_names), "");
  EXPECT_EQ(ferry::nearest(std::string(100'000, 'x'), k_names), "");
}

TEST(did_you_mean, is_a_part_of_a_sentence_or_nothing) {
  EXPECT_EQ(ferry::did_you_mean("sipn", k_names), ", did you mean 'spin'?");
  EXPECT_EQ(ferry::did_you_mean("whatever", k_names), "");
}

TEST(shown, leaves_text_alone_and_makes_control_characters_visible) {
  EXPECT_EQ(ferry::shown("a b/\xc3\xbc~"), "a b/\xc3\xbc~");
  EXPECT_EQ(ferry::shown("a\n\x1b[1m\x7f\0z"sv), "a\\x0a\\x1b[1m\\x7f\\x00z");
}

TEST(shown, cuts_what_is_too_long) {
  EXPECT_EQ(ferry::shown("12345", 5), "12345");
  EXPECT_EQ(ferry::shown("123456", 5), "12345...");
}

TEST(joined, puts_commas_between) {
  EXPECT_EQ(ferry::joined({}), "");
  EXPECT_EQ(ferry::joined(std::array{"a"sv, "b"sv}), "a, b");
}

TEST(not_known, suggests_the_near_name_and_lists_all) {
  EXPECT_EQ(ferry::not_known("option", "Spni", "spni", k_names),
            "unknown option 'Spni', did you mean 'spin'? Known options: max_message, idle_timeout, spin, ipc, tcp");
  EXPECT_EQ(ferry::not_known("option", "a\nb", "a_b", k_names),
            "unknown option 'a\\x0ab'. Known options: max_message, idle_timeout, spin, ipc, tcp");
}

}  // namespace
