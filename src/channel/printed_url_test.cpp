#include "channel/printed_url.hpp"

#include <ferry/listener.hpp>
#include <ferry/url.hpp>

#include <gtest/gtest.h>

#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

TEST(printed_url, has_the_option_that_the_other_end_needs_too) {
  options with;
  EXPECT_EQ(printed_url("shm://news", with), "shm://news");
  EXPECT_EQ(printed_url("tcp://127.0.0.1:5000", with), "tcp://127.0.0.1:5000");
  with.runtime_dir = "/run/a b&c";
  with.framing = framing_kind::u32;
  with.max_message = 1;
  EXPECT_EQ(printed_url("shm://news", with), "shm://news?runtime_dir=/run/a%20b%26c");
  EXPECT_EQ(printed_url("tcp://127.0.0.1:5000", with), "tcp://127.0.0.1:5000?framing=u32");
  EXPECT_EQ(printed_url("mine://a?b=c", with), "mine://a?b=c&framing=u32");
  EXPECT_EQ(printed_url("wss://host/chat?room=1", with), "wss://host/chat?room=1") << "that query is the server's";
  with.compat = compat_kind::tcpshm;
  EXPECT_EQ(printed_url("shm://127.0.0.1:5000", with), "shm://127.0.0.1:5000") << "it meets at the port";
}

struct an_address : ::testing::Test {
  /// Who has only what a listener prints sends it a message.
  void expect_that_a_copy_of_it_connects(const std::string& url, const options& with) {
    const auto listening = listener::open(where, url, with);
    ASSERT_TRUE(listening) << listening.error().text();
    std::vector<channel> came;
    std::string received;
    auto at = *listening;
    at.on_channel([&](channel one) {
      one.on_message([&](const message_view& m) { received = m.text(); });
      came.push_back(std::move(one));
    });
    auto to = channel::open(where, at.url());
    ASSERT_TRUE(to) << at.url() << ": " << to.error().text();
    EXPECT_EQ(to->url(), at.url());
    ASSERT_TRUE(to->try_send("a message that is long enough to be misunderstood"));
    EXPECT_TRUE(test::run_until(
        io, [&] { return received == "a message that is long enough to be misunderstood"; }, at.url()));
  }

  test::temp_dir dir;
  boost::asio::io_context io;
  context where{io};
};

TEST_F(an_address, that_a_listener_prints_connects_whoever_copies_it) {
  options with;
  with.runtime_dir = dir.path().string();
  expect_that_a_copy_of_it_connects("shm://meeting", with);
  expect_that_a_copy_of_it_connects("shm://100%25%20sure%3F", with);
  expect_that_a_copy_of_it_connects("shm://meeting?runtime_dir=" + with.runtime_dir, {});
  with.framing = framing_kind::u32;
  expect_that_a_copy_of_it_connects("tcp://127.0.0.1:0", with);
  expect_that_a_copy_of_it_connects("ipc://" + dir.file("a%20b%3Fc"), with);
  expect_that_a_copy_of_it_connects("inproc://100%25?framing=u32", {});
}

}  // namespace
}  // namespace ferry
