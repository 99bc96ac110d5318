#include <ferry/error.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace ferry {
namespace {

constexpr int k_first = static_cast<int>(errc::would_block);
constexpr int k_last = static_cast<int>(errc::cancelled);

TEST(errc, has_a_text_of_its_own_for_every_code) {
  std::set<std::string> texts;
  for (int value = k_first; value <= k_last; ++value) texts.insert(to_string(static_cast<errc>(value)));
  EXPECT_EQ(texts.size(), static_cast<std::size_t>(k_last - k_first + 1));
  EXPECT_EQ(texts.count("unknown error"), 0u);
  EXPECT_STREQ(to_string(static_cast<errc>(0)), "unknown error");
  EXPECT_STREQ(to_string(static_cast<errc>(k_last + 1)), "unknown error");
}

TEST(errc, becomes_a_code_of_the_category_ferry) {
  const error_code code = errc::message_too_large;
  EXPECT_STREQ(code.category().name(), "ferry");
  EXPECT_EQ(code.message(), "message larger than the limit");
  char room[4];
  EXPECT_STREQ(code.message(room, sizeof room), "message larger than the limit");
  EXPECT_TRUE(code.failed());
  EXPECT_EQ(code, errc::message_too_large);
  EXPECT_NE(code, errc::protocol);
}

TEST(errc, folds_into_the_condition_a_caller_acts_on) {
  const struct {
    errc code;
    condition folded;
  } rows[] = {
      {errc::would_block, condition::retry_later},
      {errc::full, condition::retry_later},
      {errc::busy, condition::retry_later},
      {errc::no_memory, condition::retry_later},
      {errc::timeout, condition::retry_later},
      {errc::end_of_stream, condition::reconnect},
      {errc::reset, condition::reconnect},
      {errc::network, condition::reconnect},
      {errc::refused, condition::reconnect},
      {errc::idle, condition::reconnect},
      {errc::truncated, condition::protocol_violation},
      {errc::message_too_large, condition::protocol_violation},
      {errc::varint_overflow, condition::protocol_violation},
      {errc::protocol, condition::protocol_violation},
      {errc::corrupt, condition::protocol_violation},
      {errc::bad_url, condition::misuse},
      {errc::unknown_option, condition::misuse},
      {errc::bad_address, condition::misuse},
      {errc::misuse, condition::misuse},
      {errc::unsupported, condition::unsupported},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(condition_of(row.code), row.folded) << to_string(row.code);
    const error_code code = row.code;
    for (int other = 1; other <= static_cast<int>(condition::unsupported); ++other)
      EXPECT_EQ(code == static_cast<condition>(other), static_cast<condition>(other) == row.folded)
          << to_string(row.code);
  }
}

TEST(condition, has_a_text_of_its_own_for_every_value) {
  std::set<std::string> texts;
  for (int value = 1; value <= static_cast<int>(condition::unsupported); ++value)
    texts.insert(make_error_condition(static_cast<condition>(value)).message());
  EXPECT_EQ(texts.size(), 5u);
  EXPECT_EQ(texts.count("unknown condition"), 0u);
  EXPECT_STREQ(make_error_condition(condition::misuse).category().name(), "ferry.condition");
}

TEST(errc, converts_to_one_and_the_same_std_error_code) {
  const std::error_code standard = error_code(errc::refused);
  EXPECT_EQ(standard, to_std(errc::refused));
  EXPECT_TRUE(standard == errc::refused);
  EXPECT_FALSE(standard == errc::reset);
  EXPECT_STREQ(standard.category().name(), "ferry");
  EXPECT_EQ(standard.message(), to_string(errc::refused));
}

TEST(error, keeps_the_errno_and_says_what_was_tried) {
  const auto e = error::from_errno(ECONNREFUSED, "connect to /run/a.sock");
  EXPECT_EQ(e.reason(), errc::refused);
  EXPECT_EQ(e.system_errno(), ECONNREFUSED);
  EXPECT_EQ(e.text(), "connect to /run/a.sock: Connection refused");
  EXPECT_EQ(e.code(), condition::reconnect);
}

TEST(error, says_which_limit_to_raise_when_descriptors_ran_out) {
  EXPECT_EQ(error::from_errno(EMFILE, "accept").text(),
            "accept: Too many open files: raise the limit of this process (ulimit -n, LimitNOFILE= in a systemd unit)");
  EXPECT_EQ(error::from_errno(ENFILE, "accept").text(),
            "accept: Too many open files in system: raise the limit of the whole system (sysctl fs.file-max)");
}

TEST(error, maps_each_errno_to_the_nearest_code) {
  const struct {
    int system_errno;
    errc code;
  } rows[] = {
      {ECONNREFUSED, errc::refused},
      {ENOENT, errc::not_found},
      {EADDRINUSE, errc::address_in_use},
      {ECONNRESET, errc::reset},
      {EPIPE, errc::reset},
      {EMFILE, errc::busy},
      {ENFILE, errc::busy},
      {ENOMEM, errc::no_memory},
      {ENOBUFS, errc::no_memory},
      {ENOSPC, errc::no_memory},
      {EDQUOT, errc::no_memory},
      {EACCES, errc::permission},
      {EPERM, errc::permission},
      {ETIMEDOUT, errc::timeout},
      {EINVAL, errc::bad_address},
      {ENAMETOOLONG, errc::bad_address},
      {EADDRNOTAVAIL, errc::bad_address},
      {EAFNOSUPPORT, errc::bad_address},
      {EAGAIN, errc::would_block},
      {ECANCELED, errc::cancelled},
      {EHOSTUNREACH, errc::network},
      {EIO, errc::network},
  };
  for (const auto& row : rows)
    EXPECT_EQ(error::from_errno(row.system_errno, "x").reason(), row.code) << row.system_errno;
}

TEST(error, without_a_text_speaks_with_the_text_of_its_code) {
  const error e = errc::closed;
  EXPECT_EQ(e.text(), "closed");
  EXPECT_EQ(e.system_errno(), 0);
  EXPECT_TRUE(e == errc::closed);
  EXPECT_EQ(e.in("channel a").text(), "channel a: closed");
  EXPECT_EQ(error::from_errno(EPIPE, "write").in("channel a").system_errno(), EPIPE);
}

TEST(result, throws_a_failure_with_code_errno_and_text) {
  const result<int> failed = error::from_errno(ENOENT, "connect to /x");
  ASSERT_FALSE(failed);
  try {
    static_cast<void>(failed.value());
    FAIL() << "value() of an error did not throw";
  } catch (const failure& f) {
    EXPECT_EQ(f.reason(), errc::not_found);
    EXPECT_EQ(f.system_errno(), ENOENT);
    EXPECT_STREQ(f.what(), "connect to /x: No such file or directory");
    EXPECT_TRUE(f.code() == errc::not_found);
  }
}

TEST(result, of_nothing_holds_success_or_the_error) {
  const result<void> fine;
  EXPECT_TRUE(fine);
  const result<void> failed = error(errc::full);
  EXPECT_EQ(failed.error(), errc::full);
}

}  // namespace
}  // namespace ferry
