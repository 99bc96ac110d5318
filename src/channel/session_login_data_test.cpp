// What both ends of a persistent session say of themselves in their logins.
#include <ferry/listener.hpp>
#include <ferry/options.hpp>

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <string>
#include <vector>

#include "testing/meeting_places.hpp"
#include "testing/session_options.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

class session_login_data : public ::testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] options settings(const char* as, const std::string& data) const {
    options o = session_options(as, dir_);
    o.login_data = data;
    places_.equip(o);
    return o;
  }
  void listen(const std::string& data) {
    listening_ = listener::open(where_, places_.url("orders"), settings("bob", data)).value();
    listening_.on_channel([this](const channel& one) {
      bob_ = one;
      bob_heard_.push_back(bob_.peer().login_data);
      bob_.on_up([this](const peer_info& who) { bob_heard_.push_back(who.login_data); });
      bob_.on_message([this](const message_view& m) { (void)bob_.try_send(m.text()); });
    });
  }
  /// Once whoever had her files has given them back; then there and back.
  void connect(const std::string& data) {
    ASSERT_TRUE(run_until(
        io_,
        [&] {
          auto opened = channel::open(where_, listening_.url(), settings("alice", data));
          if (opened) alice_ = *opened;
          return opened.has_value();
        },
        "alice's files"));
    alice_.on_up([this](const peer_info& who) { alice_heard_.push_back(who.login_data); });
    bool answered = false;
    alice_.on_message([&](const message_view&) { answered = true; });
    ASSERT_TRUE(alice_.try_send("there and back"));
    ASSERT_TRUE(run_until(
        io_, [&] { return answered; }, "the answer"));
    alice_.on_message([](const message_view&) {});
  }

  temp_dir dir_;
  meeting_places places_{GetParam(), dir_};
  boost::asio::io_context io_;
  context where_{io_};
  listener listening_;
  channel alice_, bob_;
  std::vector<std::string> alice_heard_, bob_heard_;
};

TEST_P(session_login_data, are_seen_at_both_ends_whatever_their_bytes_and_before_the_first_message) {
  const std::string alices(63, '\xff'), bobs("v2\0\n\x7f", 5);
  listen(bobs);
  connect(alices);
  EXPECT_EQ(alice_.peer().login_data, bobs);
  EXPECT_EQ(bob_.peer().login_data, alices);
  ASSERT_FALSE(bob_heard_.empty());
  for (const auto& heard : bob_heard_) EXPECT_EQ(heard, alices);
  EXPECT_EQ(alice_heard_, std::vector<std::string>{bobs});
}

TEST_P(session_login_data, are_those_of_the_last_login) {
  listen("of bob");
  connect("the first of alice");
  alice_ = {};
  connect("more");
  EXPECT_EQ(bob_.peer().login_data, "more");
  EXPECT_EQ(alice_.peer().login_data, "of bob");
  alice_ = {};
  connect("");
  EXPECT_EQ(bob_.peer().login_data, "");
}

TEST_P(session_login_data, are_empty_where_an_end_says_nothing) {
  listen("");
  connect("");
  EXPECT_EQ(alice_.peer().login_data, "");
  EXPECT_EQ(bob_.peer().login_data, "");
}

INSTANTIATE_TEST_SUITE_P(over, session_login_data, ::testing::Values("shm", "ipc", "tcp", "tls"),
                         [](const auto& one) { return std::string(one.param); });

TEST(check_options, wants_a_session_for_login_data_and_no_more_than_a_login_has_room_for) {
  options all;
  all.login_data = "x";
  EXPECT_EQ(check_options(all)->text, "login_data: only a persistent session says it; set session=persistent");
  all.session = session_kind::persistent;
  all.as = "alice";
  all.login_data = std::string(63, 'x');
  EXPECT_FALSE(check_options(all));
  all.login_data += 'x';
  EXPECT_EQ(check_options(all)->text, "login_data of 64 bytes: a persistent session says at most 63; shorten it");
  all.compat = compat_kind::tcpshm;
  EXPECT_FALSE(check_options(all));
}

}  // namespace
}  // namespace ferry::test
