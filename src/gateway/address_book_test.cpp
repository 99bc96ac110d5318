#include "gateway/address_book.hpp"

#include <gtest/gtest.h>

namespace ferry::gateway {
namespace {

using namespace std::chrono_literals;

constexpr time_point k_start{std::chrono::hours(1)};

TEST(address, is_that_of_a_host_whatever_its_port) {
  EXPECT_EQ(address_of("192.0.2.1:4711"), "192.0.2.1");
  EXPECT_EQ(address_of("[2001:db8:0:1::5]:80"), address_of("[2001:db8:0:1:ffff::]:81"));
  EXPECT_NE(address_of("[2001:db8:0:1::5]:80"), address_of("[2001:db8:0:2::5]:80"));
  EXPECT_EQ(address_of("[::ffff:192.0.2.1]:80"), "192.0.2.1");
  for (const char* none : {"", "/run/a.sock", "@abstract", "host:80", "[x]:1"}) EXPECT_EQ(address_of(none), "") << none;
}

TEST(address_book, limits_what_is_there_at_a_time) {
  address_book book({.max_connections = 2});
  EXPECT_TRUE(book.came("a", k_start));
  EXPECT_TRUE(book.came("a", k_start));
  EXPECT_EQ(book.came("a", k_start).error(), errc::busy);
  EXPECT_TRUE(book.came("b", k_start));
  book.gone("a");
  EXPECT_TRUE(book.came("a", k_start));
}

TEST(address_book, limits_how_fast_they_come_and_lets_as_many_come_at_once) {
  address_book book({.per_second = 3});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(book.came("a", k_start));
  EXPECT_FALSE(book.came("a", k_start));
  EXPECT_FALSE(book.came("a", k_start + 300ms));
  EXPECT_TRUE(book.came("a", k_start + 400ms));
  EXPECT_FALSE(book.came("a", k_start + 400ms));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(book.came("a", k_start + 1h));
  EXPECT_FALSE(book.came("a", k_start + 1h));
}

TEST(address_book, lets_nobody_come_for_a_minute_who_has_failed_too_often) {
  address_book book({.max_failures = 2});
  EXPECT_TRUE(book.came("a", k_start));
  book.failed("a", k_start);
  EXPECT_TRUE(book.came("a", k_start));
  book.failed("a", k_start + 1s);
  EXPECT_EQ(book.came("a", k_start + 60s).error(), errc::busy);
  EXPECT_TRUE(book.came("b", k_start + 60s));
  EXPECT_TRUE(book.came("a", k_start + 61s));
  book.failed("a", k_start + 61s);
  EXPECT_TRUE(book.came("a", k_start + 62s));
}

TEST(address_book, keeps_no_more_notes_than_its_limit_besides_those_who_are_there) {
  address_book book({.max_failures = 2});
  EXPECT_TRUE(book.came("stays", k_start));
  for (std::size_t i = 0; i < 2 * address_book::k_most_notes; ++i) {
    const auto one = std::to_string(i);
    EXPECT_TRUE(book.came(one, k_start));
    book.gone(one);
  }
  EXPECT_LE(book.size(), address_book::k_most_notes);
  book.gone("stays");
}

TEST(address_book, without_limits_or_an_address_notes_nothing) {
  address_book none;
  EXPECT_TRUE(none.came("a", k_start));
  EXPECT_EQ(none.size(), 0u);
  address_book some({.max_connections = 1});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(some.came("", k_start));
}

}  // namespace
}  // namespace ferry::gateway
