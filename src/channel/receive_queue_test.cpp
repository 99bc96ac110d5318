#include "channel/receive_queue.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <string>

namespace ferry::detail {
namespace {

struct receive_queue_of : ::testing::Test {
  void push(receive_queue& queue, std::size_t size) { queue.push(of(size), size); }
  message of(std::size_t size) { return message::copy_of({as_bytes(std::string(size, 'x'))}, pool); }
  static options with(std::size_t bytes, std::size_t low, std::size_t messages) {
    options o;
    o.receive_queue_bytes = bytes;
    o.receive_queue_low_bytes = low;
    o.receive_queue_messages = messages;
    return o;
  }
  static bool readable(int fd) {
    pollfd one{fd, POLLIN, 0};
    return ::poll(&one, 1, 0) == 1;
  }
  buffer_pool pool;
};

TEST_F(receive_queue_of, bytes_is_full_at_its_mark_and_drained_at_a_quarter_of_it) {
  const options limits = with(1000, 0, 0);
  receive_queue queue(limits);
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(queue.full());
    push(queue, 100);
  }
  EXPECT_TRUE(queue.full());
  EXPECT_EQ(queue.byte_count(), 1000u);
  for (int i = 0; i < 7; ++i) {
    EXPECT_FALSE(queue.drained());
    (void)queue.pop();
  }
  EXPECT_FALSE(queue.drained()) << queue.byte_count();
  (void)queue.pop();
  EXPECT_TRUE(queue.drained()) << queue.byte_count();
}

TEST_F(receive_queue_of, bytes_is_drained_at_the_low_mark_that_was_given) {
  const options limits = with(1000, 900, 0);
  receive_queue queue(limits);
  for (int i = 0; i < 10; ++i) push(queue, 100);
  EXPECT_FALSE(queue.drained());
  (void)queue.pop();
  EXPECT_TRUE(queue.drained());
}

TEST_F(receive_queue_of, messages_is_full_at_its_limit_and_drained_at_half_of_it) {
  const options limits = with(1'000'000, 0, 4);
  receive_queue queue(limits);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(queue.full());
    push(queue, 0);
  }
  EXPECT_TRUE(queue.full());
  (void)queue.pop();
  EXPECT_FALSE(queue.drained());
  (void)queue.pop();
  EXPECT_TRUE(queue.drained());
}

TEST_F(receive_queue_of, nothing_takes_one_message_of_any_size) {
  const options limits = with(10, 0, 1);
  receive_queue queue(limits);
  EXPECT_FALSE(queue.full());
  push(queue, 100'000);
  EXPECT_TRUE(queue.full());
}

TEST_F(receive_queue_of, small_messages_in_large_buffers_is_full_by_the_buffers) {
  const options limits = with(4u << 20, 0, 0);
  receive_queue queue(limits);
  std::size_t lent = 0;
  while (!queue.full()) {
    queue.push(of(1), 1024);
    lent += 1024;
  }
  EXPECT_GT(lent, 4u << 20);
  EXPECT_LE(lent, (4u << 20) + receive_queue::k_overhead);
  while (!queue.drained()) (void)queue.pop();
  EXPECT_FALSE(queue.empty());
  EXPECT_LT(queue.messages() * 1024, lent / 2 + 1024);
  while (!queue.empty()) (void)queue.pop();
  EXPECT_TRUE(queue.drained());
}

TEST_F(receive_queue_of, many_messages_keeps_their_order_while_it_grows) {
  const options limits = with(1'000'000, 0, 0);
  receive_queue queue(limits);
  for (std::size_t i = 0; i < 1000; ++i) {
    push(queue, i);
    if (i % 3 == 0) (void)queue.pop();
  }
  for (std::size_t expected = 1000 - queue.messages(); !queue.empty(); ++expected)
    EXPECT_EQ(queue.pop().size(), expected);
}

TEST_F(receive_queue_of, anything_is_readable_until_it_is_told_that_nothing_was_found) {
  const options limits = with(1000, 0, 0);
  receive_queue queue(limits);
  const int fd = queue.readiness_fd(false);
  ASSERT_GE(fd, 0);
  EXPECT_FALSE(readable(fd));
  push(queue, 1);
  push(queue, 1);
  EXPECT_TRUE(readable(fd));
  (void)queue.pop();
  EXPECT_TRUE(readable(fd));
  (void)queue.pop();
  queue.lower();
  EXPECT_FALSE(readable(fd));
  queue.raise();
  EXPECT_TRUE(readable(fd));
}

}  // namespace
}  // namespace ferry::detail
