// Listeners of persistent sessions that lie: the connection of whoever came to them ends with an error that says why,
// and nothing else in that process notices.
#include <ferry/session.hpp>

#include <vector>

#include "raw_session_peer.hpp"
#include "session_crash.hpp"
#include "session_lies.hpp"

namespace ferry::test {
namespace {

/// A liar that listens, who came to it, and two ends that behave.
class lying_listener : public session_crash, public ::testing::WithParamInterface<lie> {
 protected:
  lying_listener() {
    listening = listener::open(where, url("ipc", "server")).value();
    listening.on_channel([this](channel one) {
      good_end = std::move(one);
      good_end.on_message([this](const message_view& m) { (void)good_end.try_send(m.payload); });
    });
    good = channel::open(where, url("ipc", "client", "", "good")).value();
    good.on_message([this](const message_view&) { answers += 1; });
    good.on_down([this](const down_info&) { good_downs += 1; });
    expect_the_good_go_on();
    victim = channel::open(where, "ipc://" + dir.file("liar.sock") + "?session=persistent&ring_bytes=64KiB&as=victim" +
                                      "&dir=" + dir.file("client") + "&reconnect=on&reconnect_base=2ms")
                 .value();
    victim.on_message([this](const message_view& m) { received.emplace_back(m.text()); });
    victim.on_down([this](const down_info& info) { downs.push_back(info.reason); });
  }
  void expect_the_good_go_on() {
    const std::size_t wanted = answers + 1;
    ASSERT_TRUE(good.try_send("are you there?"));
    ASSERT_TRUE(turn([&] { return answers == wanted; }, "an answer to the other"));
    EXPECT_EQ(good_downs, 0);
  }
  /// The victim comes, logs in and is let in.
  [[nodiscard]] raw_unix let_in(session::login_outcome outcome) {
    EXPECT_TRUE(turn([&] { return at.ready(); }, "a connection"));
    raw_unix one = at.accept();
    std::string text;
    EXPECT_TRUE(turn([&] { return (text += one.read_some(256 - text.size())).size() == 256; }, "a login"));
    const auto said = session::decode_login(as_bytes(text), false).value();
    session::login answer;
    answer.outcome = outcome;
    answer.session = said.session;
    answer.epoch = said.epoch;
    answer.range = {said.range.start, said.range.ack, said.range.ack};
    answer.own_name = "liar";
    answer.peer_name = "victim";
    one.send(login_text(answer));
    EXPECT_TRUE(turn([&] { return victim.state() == channel_state::up; }, "the victim to be let in"));
    return one;
  }

  const raw_unix at = raw_unix::listen(dir.file("liar.sock"));
  listener listening;
  channel good, good_end, victim;
  std::size_t answers = 0;
  int good_downs = 0;
  std::vector<std::string> received;
  std::vector<error> downs;
};

TEST_P(lying_listener, ends_with_an_error_that_says_why_and_the_others_go_on) {
  const auto one = let_in(session::login_outcome::begun);
  one.send(GetParam().frames);
  ASSERT_TRUE(turn([&] { return !downs.empty(); }, "the end"));
  EXPECT_EQ(downs.front(), GetParam().reason) << downs.front().text();
  EXPECT_NE(downs.front().text(), "");
  // A part of what it said may be unread, which the system tells as a reset.
  ASSERT_TRUE(turn([&] { return (void)one.read_some(), one.ended(); }, "the end of its connection"));
  expect_the_good_go_on();
  // It may behave when its victim comes again.
  const auto again = let_in(session::login_outcome::resumed);
  again.send(session_frame_text(codec::session_frame_kind::text, 0, "sorry"));
  ASSERT_TRUE(turn([&] { return !received.empty() && received.back() == "sorry"; }, "its message"));
  ASSERT_TRUE(victim.try_send("well"));
  std::string came;
  ASSERT_TRUE(turn([&] { return (came += again.read_some()).find("well") != came.npos; }, "an answer"));
  EXPECT_EQ(downs.size(), 1u);
  expect_the_good_go_on();
}

INSTANTIATE_TEST_SUITE_P(that, lying_listener, all_lies(), [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ferry::test
