#include "bench/table.hpp"

#include <gtest/gtest.h>

namespace ferry::bench {
namespace {

TEST(text_table, lines_up_its_columns_and_leaves_no_trailing_space) {
  text_table table({"name", "value", ""}, {alignment::left, alignment::right, alignment::left});
  table.add({"a", "1", ""});
  table.add({"longer", "12345 ns", "note"});
  EXPECT_EQ(table.text(),
            "name       value\n"
            "a              1\n"
            "longer  12345 ns  note\n");
}

TEST(text_table, without_titles_begins_with_the_first_row) {
  text_table table({"", ""}, {alignment::left, alignment::right});
  table.add({"a", "1"});
  EXPECT_EQ(table.text(), "a  1\n");
}

TEST(units, keep_three_digits_in_the_largest_unit_that_fits) {
  EXPECT_EQ(nanoseconds_text(0), "0.00 ns");
  EXPECT_EQ(nanoseconds_text(112.4), "112 ns");
  EXPECT_EQ(nanoseconds_text(2580), "2.58 us");
  EXPECT_EQ(nanoseconds_text(45'300'000), "45.3 ms");
  EXPECT_EQ(rate_text(1.4e6), "1.40 M/s");
  EXPECT_EQ(rate_text(230'400), "230 k/s");
  EXPECT_EQ(bytes_rate_text(6.9e9), "6.90 GB/s");
  EXPECT_EQ(bytes_rate_text(0.5), "0.50 B/s");
}

}  // namespace
}  // namespace ferry::bench
