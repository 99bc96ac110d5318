#include "gateway/client_check.hpp"

#include <ferry/channel.hpp>

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "testing/gateway_by_hand.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::gateway {
namespace {

using test::run_until;

http_request asking(std::string query, http_fields fields = {}) {
  http_request made;
  made.query = std::move(query);
  made.fields = std::move(fields);
  return made;
}

TEST(client_token, is_in_the_header_or_the_cookie_or_the_query) {
  EXPECT_EQ(token_of(asking("")), "");
  EXPECT_EQ(token_of(asking("a=1&token=x%2Fy%zz&token=z")), "x/y%zz");
  EXPECT_EQ(token_of(asking("mytoken=x&token")), "");
  EXPECT_EQ(token_of(asking("token=q", {{"Cookie", "a=b; token=c"}})), "c");
  EXPECT_EQ(token_of(asking("token=q", {{"authorization", "BEARER abc.def"}, {"Cookie", "token=c"}})), "abc.def");
  EXPECT_EQ(token_of(asking("token=q", {{"Authorization", "Basic abc"}})), "q");
  EXPECT_EQ(token_of(asking("token=100%")), "100%");
}

class client_check : public test::gateway_service {
 protected:
  // Opens a gateway that asks a program of that text.
  void open_asking(const std::string& text, client_check_settings with = {}, const address_limits& limits = {}) {
    const auto path = place.file("check");
    std::ofstream(path) << text << "\n";
    with.command = "/bin/sh " + path + " " + place.path().string();
    settings all;
    all.clients.url = "tcp://127.0.0.1:0 ws://127.0.0.1:0/";
    all.check = with;
    all.clients.per_address = limits;
    open(all);
  }
  // Somebody who asks for a WebSocket at "/" and more.
  channel browser(const std::string& more) {
    auto made = channel::open(where, it->urls(session::gateway_role::client)[1] + more);
    EXPECT_TRUE(made) << made.error().text();
    return *made;
  }
  ::testing::AssertionResult is_closed(channel& who) {
    return run_until(
        io,
        [&] {
          const auto came = who.try_receive();
          return !came && came.error() != errc::would_block;
        },
        "the end of the channel");
  }
  std::string said_in(const std::string& name) {
    std::ifstream file(place.file(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  test::temp_dir place;
};

constexpr const char* k_asks_and_notes = "read token; echo \"$token\" >> $1/asked; test \"$token\" = good";
constexpr const char* k_knows_good =
    "read token; echo \"$FERRY_CLIENT_ADDRESS $FERRY_CLIENT_PATH\" > $1/who; test \"$token\" = good";

TEST_F(client_check, asks_about_nobody_above_the_limits) {
  open_asking(k_asks_and_notes, {}, {.max_connections = 1});
  auto first = browser("?token=bad");
  EXPECT_TRUE(is_closed(first));
  auto second = browser("?token=good");
  ASSERT_TRUE(run_until(
      io, [&] { return it->stats().clients == 1; }, "a client: who was turned away counts no more"));
  auto third = browser("?token=good");
  EXPECT_TRUE(is_closed(third));
  EXPECT_EQ(it->stats().turned_away, 1u);
  EXPECT_EQ(said_in("asked"), "bad\ngood\n") << "and nobody about the third one";
}

TEST_F(client_check, lets_in_who_shows_a_good_token_and_turns_others_away) {
  open_asking(k_knows_good);
  auto good = browser("?token=good");
  ASSERT_TRUE(run_until(
      io, [&] { return it->stats().clients == 1; }, "a client"));
  EXPECT_TRUE(said_in("who").starts_with("127.0.0.1:")) << said_in("who");
  EXPECT_TRUE(said_in("who").ends_with(" /\n")) << said_in("who");
  auto bad = browser("?token=bad");
  auto none = browser("");
  EXPECT_TRUE(is_closed(bad));
  EXPECT_TRUE(is_closed(none));
  EXPECT_EQ(it->stats().clients_accepted, 1u);
  EXPECT_EQ(it->stats().clients, 1u) << "who was let in stays";
}

TEST_F(client_check, asks_about_who_comes_over_tcp_too_by_the_address_alone) {
  open_asking("read token; test -z \"$token\" && test -n \"$FERRY_CLIENT_ADDRESS\"");
  EXPECT_TRUE(client().is_well()) << "what it said before it was let in is not lost";
  EXPECT_EQ(it->stats().clients, 1u);
}

TEST_F(client_check, turns_away_whose_check_takes_too_long) {
  open_asking("exec sleep 600", {.timeout = std::chrono::milliseconds(50)});
  auto slow = browser("?token=slow");
  EXPECT_TRUE(is_closed(slow));
  EXPECT_EQ(it->stats().clients_accepted, 0u);
}

TEST_F(client_check, asks_about_no_more_at_once_than_it_may_and_then_about_those_who_wait) {
  open_asking("echo x >> $1/asked; while kill -0 $PPID && ! test -e $1/go; do sleep 0.01; done",
              {.timeout = std::chrono::minutes(5), .at_once = 1});
  const auto first = browser(""), second = browser("");
  ASSERT_TRUE(run_until(
      io, [&] { return !said_in("asked").empty(); }, "a question"));
  EXPECT_TRUE(run_until(
      io, [&] { return first.state() == channel_state::up && second.state() == channel_state::up; },
      "both WebSockets"));
  EXPECT_EQ(said_in("asked"), "x\n");
  std::ofstream(place.file("go")) << "go";
  EXPECT_TRUE(run_until(
      io, [&] { return it->stats().clients == 2; }, "both clients"));
  EXPECT_EQ(said_in("asked"), "x\nx\n");
}

TEST_F(client_check, counts_who_waits_for_the_question_as_one_of_its_address) {
  open_asking("echo x >> $1/asked; while kill -0 $PPID && ! test -e $1/go; do sleep 0.01; done",
              {.timeout = std::chrono::minutes(5), .at_once = 1}, {.max_connections = 3});
  const auto first = browser(""), second = browser(""), third = browser("");
  ASSERT_TRUE(run_until(
      io,
      [&] {
        return first.state() == channel_state::up && second.state() == channel_state::up &&
               third.state() == channel_state::up;
      },
      "three WebSockets"));
  auto fourth = browser("");
  EXPECT_TRUE(is_closed(fourth)) << "while nobody is asked about it";
  EXPECT_EQ(it->stats().turned_away, 1u);
  std::ofstream(place.file("go")) << "go";
  EXPECT_TRUE(run_until(
      io, [&] { return it->stats().clients == 3; }, "all who may come"));
  EXPECT_EQ(said_in("asked"), "x\nx\nx\n");
}

TEST_F(client_check, that_cannot_be_asked_lets_nobody_in) {
  settings all;
  all.clients.url = "tcp://127.0.0.1:0";
  all.check.command = "/nonexistent/check";
  open(all);
  test::gateway_peer somebody(io, test::port_of(it->client_url()));
  EXPECT_TRUE(somebody.is_closed());
  EXPECT_EQ(it->stats().clients_accepted, 0u);
}

TEST_F(client_check, ends_with_the_gateway_while_it_asks) {
  open_asking("exec sleep 600");
  auto waiting = browser("?token=x");
  test::gateway_peer other(io, test::port_of(it->client_url()));
  test::run_ready(io);
  it.reset();
  EXPECT_TRUE(other.is_closed());
}

}  // namespace
}  // namespace ferry::gateway
