// Sessions with durable=disk on a disk of which a sync fails: a clear error, nothing is said to be safe that is not,
// and what was safe before is there.
#include <ferry/listener.hpp>
#include <ferry/session.hpp>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "testing/meeting_places.hpp"
#include "testing/session_options.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace {
int good_syncs = -1;  // then each one fails; negative: none does
}  // namespace

// The library's way to the disk, in this program.
extern "C" int msync(void* at, std::size_t size, int flags) {
  if (good_syncs == 0) {
    errno = EIO;
    return -1;
  }
  if (good_syncs > 0) good_syncs -= 1;
  return static_cast<int>(::syscall(SYS_msync, at, size, flags));
}

namespace ferry::test {
namespace {

using texts = std::vector<std::string>;

/// Alice connects to Bob. How many of the two syncs of a group still work is the parameter.
class failing_disks : public ::testing::TestWithParam<std::tuple<const char*, int>> {
 protected:
  ~failing_disks() override { good_syncs = -1; }
  [[nodiscard]] options settings(const char* as, durable_kind durable) const {
    options o = session_options(as, dir_);
    o.durable = durable;
    places_.equip(o);
    return o;
  }
  void listen(durable_kind durable) {
    listening_ = listener::open(where_, places_.url("orders"), settings("bob", durable)).value();
    listening_.on_channel([this](channel one) {
      bob_ = std::move(one);
      bob_.on_message([this](const message_view& m) {
        got_.emplace_back(m.text());
        ASSERT_TRUE(bob_.try_send("re: " + got_.back()));
        ASSERT_TRUE(persistent_session::of(bob_)->set_state(m.payload));
      });
    });
  }
  void connect(durable_kind durable) {
    alice_ = channel::open(where_, listening_.url(), settings("alice", durable)).value();
    alice_.on_message([this](const message_view& m) { answers_.emplace_back(m.text()); });
  }
  [[nodiscard]] session_info alices() const { return persistent_session::of(alice_)->info(); }
  /// Until nothing is under way, on the disk neither.
  void settle(channel& one) {
    std::optional<error_code> flushed, durable;
    one.async_flush([&](error_code done) { flushed = done; });
    ASSERT_TRUE(turn([&] { return flushed.has_value(); }, "all to be consumed"));
    persistent_session::of(one)->async_durable([&](error_code done) { durable = done; });
    ASSERT_TRUE(turn([&] { return durable.has_value(); }, "all to be on the disk"));
    EXPECT_FALSE(*flushed);
    EXPECT_FALSE(*durable);
    run_ready(io_);
  }
  void expect_clear(const error& why) const {
    EXPECT_EQ(why.system_errno(), EIO) << why.text();
    EXPECT_NE(why.text().find("Input/output error"), std::string::npos) << why.text();
    EXPECT_NE(why.text().find(dir_.path()), std::string::npos) << why.text();
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io_, std::move(done), awaited);
  }

  temp_dir dir_;
  meeting_places places_{std::get<0>(GetParam()), dir_};
  boost::asio::io_context io_, alices_io_, disk_;
  context where_{io_};
  context alices_where_{alices_io_, {.blocking_executor = disk_.get_executor()}};  // for who is alone at first
  listener listening_;
  channel alice_, bob_;
  texts got_, answers_;
};

TEST_P(failing_disks, end_the_sender_with_a_clear_error_and_the_peer_sees_nothing_that_is_not_safe) {
  const int good = std::get<1>(GetParam());
  listen(durable_kind::process);
  connect(durable_kind::disk);
  ASSERT_TRUE(alice_.try_send("kept"));
  settle(alice_);
  EXPECT_EQ(got_, texts{"kept"});
  good_syncs = good;
  std::optional<error_code> durable;
  ASSERT_TRUE(alice_.try_send("in doubt"));
  persistent_session::of(alice_)->async_durable([&](error_code done) { durable = done; });
  ASSERT_TRUE(turn([&] { return durable && alice_.state() == channel_state::closed; }, "the failure"));
  run_ready(io_);
  EXPECT_EQ(*durable, errc::network) << "the disk's error, not closed";
  expect_clear(alice_.last_error());
  EXPECT_EQ(got_, texts{"kept"}) << "what the disk does not have is not the peer's";

  good_syncs = -1;
  alice_ = {};
  run_ready(io_);
  connect(durable_kind::disk);
  EXPECT_EQ(alices().acknowledged, 1u);
  ASSERT_TRUE(alice_.try_send("again"));
  settle(alice_);
  // Of what was in doubt the system had nothing that counts, or all.
  EXPECT_EQ(got_, good == 0 ? (texts{"kept", "again"}) : (texts{"kept", "in doubt", "again"}));
}

TEST_P(failing_disks, end_the_receiver_with_a_clear_error_and_nothing_is_acknowledged_that_is_not_safe) {
  const int good = std::get<1>(GetParam());
  listen(durable_kind::disk);
  connect(durable_kind::process);
  ASSERT_TRUE(alice_.try_send("a"));
  ASSERT_TRUE(turn([&] { return answers_.size() == 1; }, "the first answer"));
  settle(bob_);
  settle(alice_);
  good_syncs = good;
  ASSERT_TRUE(alice_.try_send("b"));
  ASSERT_TRUE(turn([&] { return bob_.last_error() == errc::network; }, "the failure"));
  EXPECT_EQ(bob_.state(), channel_state::closed);
  expect_clear(bob_.last_error());
  EXPECT_EQ(got_, (texts{"a", "b"}));
  EXPECT_EQ(answers_, texts{"re: a"});
  EXPECT_EQ(alices().acknowledged, 1u);
  EXPECT_EQ(alices().sent, 2u);

  good_syncs = -1;
  ASSERT_TRUE(turn([&] { return answers_.size() == 2; }, "the second answer"));
  settle(alice_);
  EXPECT_EQ(answers_, (texts{"re: a", "re: b"}));
  EXPECT_EQ(as_text(persistent_session::of(bob_)->state()), "b");
  EXPECT_EQ(got_, good == 0 ? (texts{"a", "b", "b"}) : (texts{"a", "b"}));
  EXPECT_EQ(alices().acknowledged, 2u);
}

TEST_P(failing_disks, say_of_nothing_that_it_is_safe_where_they_fail_while_the_peer_is_met_for_the_first_time) {
  const auto settle_alone = [&](bool with_the_disk) {
    for (std::size_t did = 1; did != 0;) {
      did = alices_io_.poll() + (with_the_disk ? disk_.poll() : 0);
      alices_io_.restart();
      disk_.restart();
    }
  };
  listen(durable_kind::process);
  alice_ = channel::open(alices_where_, listening_.url(), settings("alice", durable_kind::disk)).value();
  // As far as both ends have to be there; the number of her login waits for the disk.
  ASSERT_TRUE(turn([&] { return settle_alone(false), alices().epoch == 1; }, "a connection"));
  settle_alone(true);  // her login is said
  std::optional<error_code> durable;
  ASSERT_TRUE(alice_.try_send("in doubt"));
  persistent_session::of(alice_)->async_durable([&](error_code done) { durable = done; });
  settle_alone(false);  // a sync is under way
  ASSERT_TRUE(turn([&] { return bob_ && bob_.state() == channel_state::up; }, "the answer to her login"));
  settle_alone(false);  // it is heard, and waits for that sync
  EXPECT_FALSE(durable);
  good_syncs = std::get<1>(GetParam());
  ASSERT_TRUE(run_until(
      alices_io_, [&] { return disk_.poll(), disk_.restart(), durable && alice_.state() == channel_state::closed; },
      "the failure"));
  EXPECT_EQ(*durable, errc::network) << "the disk's error";
  expect_clear(alice_.last_error());
  EXPECT_EQ(got_, texts{});
  alice_ = {};
  settle_alone(true);
}

INSTANTIATE_TEST_SUITE_P(over, failing_disks,
                         ::testing::Combine(::testing::Values("shm", "ipc", "tcp", "tls"), ::testing::Values(0, 1)),
                         [](const auto& one) {
                           return std::string(std::get<0>(one.param)) +
                                  (std::get<1>(one.param) == 0 ? "_of_the_ring" : "_of_the_slot");
                         });

}  // namespace
}  // namespace ferry::test
