#include "socket/option_names.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace ferry::sockets {
namespace {

bool is_of_a_socket(std::string_view name) {
  return name == "nonblocking" || name == "receive_timeout" || name == "send_timeout" || name == "receive_mode" ||
         name == "close_policy" || name == "state" || name == "error" || name == "system_errno" || name == "transport";
}

TEST(socket_options, have_numbers_spellings_and_names_of_their_own) {
  std::set<std::int32_t> numbers;
  std::set<std::string_view> spellings, names;
  for (const auto& row : option_rows()) {
    EXPECT_TRUE(numbers.insert(static_cast<std::int32_t>(row.number)).second) << row.name;
    EXPECT_TRUE(spellings.insert(row.spelling).second) << row.spelling;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
}

TEST(socket_options, are_rows_of_the_option_table_with_its_units) {
  for (const auto& row : option_rows()) {
    if (is_of_a_socket(row.name)) continue;
    const auto table = option_table();
    const auto found = std::find_if(table.begin(), table.end(), [&](const auto& one) { return one.name == row.name; });
    ASSERT_NE(found, table.end()) << row.name;
    EXPECT_EQ(found->unit, row.unit) << row.name;
    if (row.unit != option_unit::choice) continue;
    EXPECT_EQ(found->values, row.words) << row.name;
  }
}

TEST(socket_options, are_found_by_every_spelling) {
  const auto* row = find_option(socket_option::read_idle);
  ASSERT_NE(row, nullptr);
  for (const char* name : {"readIdle", "read_idle_timeout", "read-idle", "READ_IDLE"})
    EXPECT_EQ(find_option(name), row) << name;
  EXPECT_EQ(find_option("no such"), nullptr);
  EXPECT_EQ(find_option(std::string(100'000, 'a')), nullptr);
}

TEST(socket_options, become_text_and_number_again) {
  const auto both = [](socket_option which, std::int64_t number) {
    const auto& row = *find_option(which);
    const auto text = number_as_text(row, number);
    return text ? *text + "=" + std::to_string(*text_as_number(row, *text)) : text.error().text();
  };
  EXPECT_EQ(both(socket_option::connect_timeout, 250), "250ms=250");
  EXPECT_EQ(both(socket_option::max_message, 65536), "65536=65536");
  EXPECT_EQ(both(socket_option::no_delay, 1), "on=1");
  EXPECT_EQ(both(socket_option::close_policy, 1), "hard=1");
  EXPECT_EQ(both(socket_option::tls_verify, 2), "no=2");
  EXPECT_EQ(text_as_number(*find_option("connectTimeout"), "1500us").value(), 2) << "never less than was set";
}

TEST(socket_options, refuse_what_is_no_number_of_theirs) {
  EXPECT_FALSE(number_as_text(*find_option("connectTimeout"), -1));
  EXPECT_FALSE(number_as_text(*find_option("closePolicy"), 2));
  EXPECT_FALSE(number_as_text(*find_option("ca"), 0));
  EXPECT_FALSE(text_as_number(*find_option("ca"), "file"));
  EXPECT_FALSE(text_as_number(*find_option("closePolicy"), "soft"));
}

}  // namespace
}  // namespace ferry::sockets
