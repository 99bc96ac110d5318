#include "compat/tcpshm_queue_link.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "testing/tcpshm_pair.hpp"

namespace ferry::compat::tcpshm {
namespace {

struct joined_link {
  explicit joined_link(bool shm, std::size_t ring_bytes = 256) {
    options with;
    with.shm_queue_bytes = ring_bytes;
    how = check(dir.path(), own, with).value();
    at = link::make(*how, peer);
    at->begin_join(shm, {});
    at->join();
  }
  void push(std::size_t body) const {
    auto* const to = at->alloc(body);
    ASSERT_NE(to, nullptr);
    to->msg_type = 1;
    ASSERT_FALSE(at->push(true));
  }

  const std::string own = test::unique_name("o"), peer = test::unique_name("p");
  const test::clean_rings rings{own, peer};
  test::temp_dir dir;
  std::optional<settings> how;
  std::unique_ptr<link> at;
};

TEST(tcpshm_queue_link, counts_what_was_pushed_into_a_ring_with_pads_whatever_was_consumed_meanwhile) {
  const joined_link one(true);
  ASSERT_EQ(one.at->outcome().how, join_outcome::kind::good);
  const os::unique_fd fd(::open(one.rings.path(true).c_str(), O_RDWR | O_CLOEXEC));
  const auto map = os::mapping::of(fd.get(), ring::tcpshm_ring_file_bytes(256), true);
  ASSERT_TRUE(map);
  ring::tcpshm_ring_consumer peer;
  ASSERT_TRUE(peer.attach({map->span(), 256}));
  one.push(130);
  EXPECT_EQ(one.at->pushed_bytes(), 192u);
  ASSERT_TRUE(peer.front());
  peer.pop();
  EXPECT_EQ(one.at->unacknowledged(), 0u);
  one.push(130);
  EXPECT_EQ(one.at->pushed_bytes(), 192u + 64 + 192) << "one block is left at the end, and is a pad";
}

TEST(tcpshm_queue_link, counts_what_was_pushed_into_a_queue_as_it_lies_there) {
  const joined_link one(false);
  ASSERT_EQ(one.at->outcome().how, join_outcome::kind::good);
  one.push(5);
  one.push(0);
  EXPECT_EQ(one.at->pushed_bytes(), 16u + 8);
}

}  // namespace
}  // namespace ferry::compat::tcpshm
