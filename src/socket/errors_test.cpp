#include <ferry/socket.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace ferry {
namespace {

using n = socket_errno;

TEST(socket_errors, call_the_errnos_of_broken_connections_enet_and_keep_them) {
  for (const int one : {ECONNRESET, ETIMEDOUT, EPIPE}) {
    const auto failed = error::from_errno(one, "write");
    EXPECT_EQ(socket_errno_of(failed), n::enet) << one;
    EXPECT_EQ(failed.system_errno(), one);
  }
}

TEST(socket_errors, have_a_name_for_every_code) {
  for (int code = static_cast<int>(errc::would_block); code <= static_cast<int>(errc::cancelled); ++code) {
    const error one(static_cast<errc>(code));
    EXPECT_NE(socket_errno_of(one), n::none) << one.text();
    const bool broken = one == errc::truncated || one == errc::reset || one == errc::network || one == errc::refused ||
                        one == errc::not_found;
    EXPECT_EQ(socket_errno_of(one) == n::enet, broken) << one.text();
  }
}

TEST(socket_errors, name_the_six_domains_and_their_close_codes) {
  EXPECT_EQ(socket_errno_of(errc::reset), n::enet);
  EXPECT_EQ(socket_errno_of(errc::protocol), n::eprotocol);
  EXPECT_EQ(socket_errno_of(errc::mask), n::emask);
  EXPECT_EQ(socket_errno_of(errc::message_too_large), n::eoverflow);
  EXPECT_EQ(socket_errno_of(errc::no_memory), n::eoverflow);
  EXPECT_EQ(socket_errno_of(errc::timeout), n::etimeout);
  EXPECT_EQ(socket_errno_of(errc::idle), n::etimeout);
  EXPECT_EQ(socket_errno_of(errc::end_of_stream), n::eclosed);
  EXPECT_EQ(close_code_of(n::eprotocol), 1002);
  EXPECT_EQ(close_code_of(n::emask), 1002);
  EXPECT_EQ(close_code_of(n::eoverflow), 1009);
  EXPECT_EQ(close_code_of(n::eclosed), 1000);
}

TEST(socket_errors, have_a_close_code_where_a_connection_ends_by_them) {
  for (int one = 0; one <= static_cast<int>(n::ecanceled); ++one) {
    const auto value = static_cast<n>(one);
    int expected = 0;
    if (value == n::enet || value == n::etimeout) expected = 1006;  // for which no Close can be sent
    if (value == n::eprotocol || value == n::emask) expected = 1002;
    if (value == n::eoverflow) expected = 1009;
    if (value == n::eclosed) expected = 1000;
    if (value == n::eacces) expected = 1008;
    EXPECT_EQ(close_code_of(value), expected) << to_string(value);
  }
}

TEST(socket_errors, are_written_each_in_its_own_way) {
  std::set<std::string> names;
  for (int one = 0; one <= static_cast<int>(n::ecanceled); ++one) {
    const std::string name = to_string(static_cast<n>(one));
    if (name == "?") continue;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(names.size(), 23u);
}

TEST(socket_errors, say_no_error_for_no_error) { EXPECT_EQ(socket_errno_of(error()), n::none); }

}  // namespace
}  // namespace ferry
