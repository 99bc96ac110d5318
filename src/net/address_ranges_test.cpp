#include "net/address_ranges.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ferry::net {
namespace {

bool within(std::string_view ranges, std::string_view address) {
  const auto parsed = parse_address_ranges(ranges);
  EXPECT_TRUE(parsed) << ranges;
  return parsed && is_within(*parsed, address);
}

TEST(address_ranges, hold_addresses_and_networks_of_both_families) {
  EXPECT_TRUE(within("10.0.0.0/8", "10.255.0.1:80"));
  EXPECT_FALSE(within("10.0.0.0/8", "11.0.0.1:80"));
  EXPECT_TRUE(within("10.0.0.0/9", "10.127.0.1:80"));
  EXPECT_FALSE(within("10.0.0.0/9", "10.128.0.1:80"));
  EXPECT_TRUE(within("127.0.0.1", "127.0.0.1:4711"));
  EXPECT_FALSE(within("127.0.0.1", "127.0.0.2:4711"));
  EXPECT_TRUE(within("2001:db8::/32, ::1", "[2001:db8:1::5]:80"));
  EXPECT_TRUE(within("2001:db8::/32, ::1", "[::1]:80"));
  EXPECT_FALSE(within("2001:db8::/32, ::1", "[2001:db9::5]:80"));
  EXPECT_TRUE(within("fe80::/10", "[fe80::1%eth0]:80"));
  EXPECT_TRUE(within("0.0.0.0/0", "1.2.3.4:1"));
  EXPECT_FALSE(within("0.0.0.0/0", "[::1]:1"));
  EXPECT_TRUE(within("::/0", "1.2.3.4:1"));
}

TEST(address_ranges, know_an_ipv4_address_that_came_over_ipv6) {
  EXPECT_TRUE(within("127.0.0.1", "[::ffff:127.0.0.1]:80"));
  EXPECT_TRUE(within("::ffff:127.0.0.1", "127.0.0.1:80"));
}

TEST(address_ranges, hold_nobody_whose_address_is_none) {
  EXPECT_FALSE(within("::/0", ""));
  EXPECT_FALSE(within("::/0", "/run/a.sock"));
  EXPECT_FALSE(within("::/0", "host:80"));
  EXPECT_FALSE(within("", "127.0.0.1:80"));
}

TEST(address_ranges, are_refused_as_a_whole_if_one_is_not_of_the_form) {
  for (const std::string_view text : {"10.0.0.0/33", "::1/129", "10.0.0", "10.0.0.1,", ",", "10.0.0.1,,::1", "host",
                                      "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/8/8", "[::1]"})
    EXPECT_FALSE(parse_address_ranges(text)) << text;
  EXPECT_FALSE(parse_address_ranges(std::string_view("10.0.0.1\0", 9)));
  std::string many = "10.0.0.1";
  for (int i = 1; i < 256; ++i) many += ",10.0.0.1";
  EXPECT_EQ(parse_address_ranges(many)->size(), 256u);
  EXPECT_FALSE(parse_address_ranges(many + ",10.0.0.1"));
}

}  // namespace
}  // namespace ferry::net
