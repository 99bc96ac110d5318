#include "apps/ferry/echo_check.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using ferry::as_bytes;
using ferry::message_view;
using ferry::app::echo_check;

message_view text(std::string_view from) { return {as_bytes(from), ferry::message_kind::text, 0}; }

TEST(echo_check, takes_echoes_in_order_whatever_their_kind) {
  ferry::buffer_pool pool;
  echo_check check(pool);
  check.sent(text("one"));
  check.sent(text(""));
  EXPECT_EQ(check.received({as_bytes("one"), ferry::message_kind::binary, 0}), std::nullopt);
  EXPECT_EQ(check.received(text("")), std::nullopt);
  EXPECT_EQ(check.equal(), 2u);
  EXPECT_EQ(check.outstanding(), 0u);
}

TEST(echo_check, says_where_an_echo_differs) {
  ferry::buffer_pool pool;
  echo_check check(pool);
  check.sent(text("same"));
  check.sent(text("hello"));
  EXPECT_EQ(check.received(text("same")), std::nullopt);
  EXPECT_EQ(check.received(text("help")),
            "echo 2 is not what was sent: 5 bytes were sent and 4 came back, the first difference is at byte 3");
  EXPECT_EQ(check.received(text("hell")),
            "echo 2 is not what was sent: 5 bytes were sent and 4 came back, the first difference is at byte 4");
}

TEST(echo_check, says_when_an_echo_comes_that_nothing_was_sent_for) {
  ferry::buffer_pool pool;
  echo_check check(pool);
  EXPECT_EQ(check.received(text("x")), "echo 1 came, and nothing was sent that it could be the echo of");
}

TEST(echo_check, waits_only_for_what_is_still_queued_after_a_connection_is_lost) {
  ferry::buffer_pool pool;
  echo_check check(pool);
  for (const auto* one : {"lost", "lost too", "queued"}) check.sent(text(one));
  check.forget_all_but(1);
  EXPECT_EQ(check.forgotten(), 2u);
  EXPECT_EQ(check.received(text("queued")), std::nullopt);
}

TEST(echo_check, has_room_for_so_many_messages_and_bytes) {
  ferry::buffer_pool pool;
  echo_check by_count(pool);
  std::size_t messages = 0;
  for (; by_count.has_room(); ++messages) by_count.sent(text(""));
  EXPECT_EQ(messages, 65536u);

  echo_check by_bytes(pool);
  const std::string large(9u << 20, 'x');
  by_bytes.sent(text(large));
  EXPECT_TRUE(by_bytes.has_room());
  by_bytes.sent(text(large));
  EXPECT_FALSE(by_bytes.has_room());
  EXPECT_EQ(by_bytes.received(text(large)), std::nullopt);
  EXPECT_TRUE(by_bytes.has_room());
}

}  // namespace
