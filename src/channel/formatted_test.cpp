#include <ferry/formatted.hpp>
#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <optional>
#include <string>
#include <vector>

#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using test::run_until;

// Numbers below 1000 as digits.
message_format<int> digits() {
  return {[](const int& value, std::vector<std::byte>& into) -> result<void> {
            if (value < 0 || value > 999) return error(errc::misuse, "only 0 to 999");
            const auto text = std::to_string(value);
            into.assign(as_bytes(text).begin(), as_bytes(text).end());
            return {};
          },
          [](bytes message) -> result<int> {
            int value = 0;
            for (const char c : as_text(message)) {
              if (c < '0' || c > '9' || value > 99) return error(errc::protocol, "no number");
              value = 10 * value + (c - '0');
            }
            return value;
          }};
}

class formatted : public ::testing::Test {
 protected:
  void SetUp() override {
    door.on_channel([this](channel one) { there = {std::move(one), digits()}; });
    here = {channel::open(where, "inproc://numbers").value(), digits()};
    ASSERT_TRUE(turn([&] { return static_cast<bool>(there); }, "the channel"));
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }

  boost::asio::io_context io{1};
  context where{io};
  listener door = listener::open(where, "inproc://numbers").value();
  formatted_channel<int> here, there;
};

TEST_F(formatted, values_come_as_they_were_sent) {
  ASSERT_TRUE(here.try_send(7));
  std::optional<error_code> sent;
  here.async_send(42, [&](error_code failed) { sent = failed; });
  std::vector<int> came;
  there.async_receive([&](error_code failed, int value) {
    EXPECT_FALSE(failed);
    came.push_back(value);
  });
  ASSERT_TRUE(turn([&] { return came.size() == 1 && sent; }, "the first"));
  EXPECT_FALSE(*sent);
  there.on_value([&](const result<int>& value) { came.push_back(value.value()); });
  ASSERT_TRUE(turn([&] { return came.size() == 2; }, "the second"));
  EXPECT_EQ(came, (std::vector{7, 42}));
}

TEST_F(formatted, value_that_is_no_message_is_refused_and_nothing_is_sent) {
  EXPECT_EQ(here.try_send(1000).error(), errc::misuse);
  std::optional<error_code> sent;
  here.async_send(-1, [&](error_code failed) { sent = failed; });
  ASSERT_TRUE(turn([&] { return sent.has_value(); }, "the refusal"));
  EXPECT_EQ(*sent, errc::misuse);
  EXPECT_EQ(here.base().stats().messages_sent, 0u);
}

TEST_F(formatted, message_that_is_no_value_is_told_in_its_turn_and_the_channel_goes_on) {
  for (const char* said : {"1", "two", "3", "four", "5"}) ASSERT_TRUE(here.base().try_send(said));
  ASSERT_TRUE(turn([&] { return there.base().messages_waiting() == 5; }, "all"));
  EXPECT_EQ(there.try_receive().value(), 1);
  EXPECT_EQ(there.try_receive().error(), errc::protocol);
  std::vector<std::string> told;
  there.async_receive([&](error_code failed, int value) { told.push_back(failed ? "none" : std::to_string(value)); });
  there.async_receive([&](error_code failed, int value) { told.push_back(failed ? "none" : std::to_string(value)); });
  ASSERT_TRUE(turn([&] { return told.size() == 2; }, "two of them"));
  there.on_value(
      [&](const result<int>& value) { told.push_back(value ? std::to_string(*value) : value.error().text()); });
  ASSERT_TRUE(turn([&] { return told.size() == 3; }, "the last one"));
  EXPECT_EQ(told, (std::vector<std::string>{"3", "none", "5"}));
}

TEST_F(formatted, waiting_is_cancelled_and_ends_with_the_channel) {
  boost::asio::cancellation_signal stop;
  std::optional<error_code> first, second;
  there.async_receive(boost::asio::bind_cancellation_slot(stop.slot(), [&](error_code code, int) { first = code; }));
  there.async_receive([&](error_code code, int) { second = code; });
  stop.emit(boost::asio::cancellation_type::terminal);
  ASSERT_TRUE(turn([&] { return first.has_value(); }, "the cancellation"));
  EXPECT_EQ(*first, errc::cancelled);
  here.base().cut();
  ASSERT_TRUE(turn([&] { return second.has_value(); }, "the end"));
  EXPECT_TRUE(*second);
}

}  // namespace
}  // namespace ferry
