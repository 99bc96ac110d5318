// Clients and servers against the gateway itself; what it never does is played by hand in peer_by_hand_test.cpp.
#include <ferry/gateway.hpp>
#include <ferry/url.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "testing/gateway_peers.hpp"

namespace ferry {
namespace {

using test::gateway_peers;
using test::k_peers_key;
using dialled = test::dial_outcome;

TEST_F(gateway_peers, talk_over_a_virtual_connection_and_know_whom_with) {
  open_gateway();
  auto serving = server(7);
  auto asking = client();
  auto [here, there] = connected(asking, serving, 7);
  EXPECT_EQ(here.state(), channel_state::up);
  EXPECT_EQ(gateway_address_of(here)->remote, 7u);
  EXPECT_EQ(gateway_address_of(there)->remote, 1u);
  EXPECT_EQ(gateway_address_of(here)->connection, gateway_address_of(there)->connection);
  EXPECT_EQ(here.peer().address, "server 7");
  EXPECT_EQ(there.peer().address, "client 1");
  EXPECT_FALSE(gateway_address_of(channel()));
  ASSERT_TRUE(here.try_send("a question"));
  EXPECT_EQ(next(there), "a question");
  ASSERT_TRUE(there.try_send("an answer"));
  EXPECT_EQ(next(here), "an answer");
  EXPECT_EQ(here.stats().messages_sent, 1u);
  EXPECT_EQ(here.stats().messages_received, 1u);
  EXPECT_EQ(asking.stats().dialled, 1u);
  EXPECT_EQ(serving.stats().accepted, 1u);
}

TEST_F(gateway_peers, carry_messages_of_every_size_whole_and_in_order) {
  open_gateway();
  auto serving = server(7);
  auto asking = client();
  auto [here, there] = connected(asking, serving, 7);
  there.on_message([echo = there](const message_view& m) mutable { ASSERT_TRUE(echo.try_send(m.payload)); });
  for (const std::size_t size : {0, 1, 2039, 16379, 16380, 16381, 65536, 512 * 1024 - 4}) {
    std::string said(size, 'x');
    for (std::size_t i = 0; i < size; ++i) said[i] = static_cast<char>(i * 7 + i / 251);
    ASSERT_TRUE(here.try_send(said)) << size;
    EXPECT_EQ(next(here), said) << size;
  }
  const auto too_large = here.try_send(std::string(512 * 1024 - 3, 'x'));
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error(), errc::message_too_large);
}

TEST_F(gateway_peers, server_dials_a_client_that_has_dialled_it) {
  open_gateway();
  auto serving = server(7);
  auto asking = client();
  auto [here, there] = connected(asking, serving, 7);
  auto [back_here, back_there] = connected(serving, asking, gateway_address_of(there)->remote);
  ASSERT_TRUE(back_here.try_send("called back"));
  EXPECT_EQ(next(back_there), "called back");
  EXPECT_EQ(back_there.peer().address, "server 7");
}

TEST_F(gateway_peers, dial_is_refused_where_nobody_has_that_id) {
  open_gateway();
  auto asking = client();
  dialled how;
  asking.async_dial(99, how.keep());
  ASSERT_TRUE(turn([&] { return how.code.has_value(); }, "an answer"));
  EXPECT_EQ(*how.code, errc::refused);
  EXPECT_FALSE(how.got);
}

TEST_F(gateway_peers, dials_made_before_the_gateway_is_reached_wait_for_it) {
  open_gateway();
  auto serving = server(7);
  serving.on_channel([](channel) {});
  auto asking = client();
  EXPECT_EQ(asking.state(), channel_state::connecting);
  std::vector<dialled> all(20);
  for (auto& one : all) asking.async_dial(7, one.keep());
  EXPECT_EQ(asking.stats().dialling, 20u);
  ASSERT_TRUE(turn([&] { return all.back().code.has_value(); }, "the answers"));
  for (std::size_t i = 0; i < all.size(); ++i)  // ClientMaxConn is 16
    EXPECT_EQ(*all[i].code, i < 16 ? error_code() : make_error_code(errc::refused)) << i;
}

TEST_F(gateway_peers, end_of_one_side_is_the_end_of_the_other_after_everything_that_was_said) {
  open_gateway();
  auto serving = server(7);
  auto asking = client();
  auto [here, there] = connected(asking, serving, 7);
  ASSERT_TRUE(here.try_send("one"));
  ASSERT_TRUE(here.try_send("two"));
  std::optional<close_report> closed;
  here.async_close([&](error_code, const close_report& report) { closed = report; });
  ASSERT_TRUE(turn([&] { return closed.has_value(); }, "the report"));
  EXPECT_EQ(closed->reason, errc::closed);
  EXPECT_EQ(closed->messages_maybe_lost, 2u) << "a gateway confirms nothing";
  EXPECT_EQ(next(there), "one");
  EXPECT_EQ(next(there), "two");
  EXPECT_EQ(next(there), "nothing");
  EXPECT_EQ(end_of(there), errc::end_of_stream);
  EXPECT_EQ(there.try_send("late").error(), errc::closed);
  EXPECT_EQ(asking.stats().open, 0u);
  EXPECT_EQ(serving.stats().open, 0u);
}

TEST_F(gateway_peers, message_handler_gets_what_came_before_the_end_although_it_was_paused) {
  open_gateway();
  auto serving = server(7);
  auto asking = client();
  auto [here, there] = connected(asking, serving, 7);
  std::vector<std::string> events;
  there.pause();
  there.on_message([&](const message_view& m) { events.emplace_back(m.text()); });
  there.on_peer_end([&] { events.emplace_back("end"); });
  there.on_down([&](const down_info& info) { events.push_back(info.reason.text()); });
  ASSERT_TRUE(here.try_send("last words"));
  here.half_close();
  ASSERT_TRUE(turn([&] { return serving.stats().held_up == 1; }, "the pause"));
  there.resume();
  ASSERT_TRUE(turn([&] { return events.size() == 3; }, "the end"));
  EXPECT_EQ(events[0], "last words");
  EXPECT_EQ(events[1], "end");
  EXPECT_EQ(events[2], error(errc::end_of_stream).text());
}

TEST_F(gateway_peers, last_handle_of_a_virtual_connection_closes_it) {
  open_gateway();
  auto serving = server(7);
  auto asking = client();
  auto [here, there] = connected(asking, serving, 7);
  here = {};
  EXPECT_EQ(end_of(there), errc::end_of_stream);
}

TEST_F(gateway_peers, full_receive_queue_holds_the_sender_up_and_loses_nothing) {
  open_gateway();
  gateway_options little;
  little.link.receive_queue_messages = 2;
  auto serving = server(7, little);
  auto asking = client();
  auto [here, there] = connected(asking, serving, 7);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(here.try_send(std::to_string(i)));
  ASSERT_TRUE(turn([&] { return serving.stats().held_up != 0; }, "the limit"));
  EXPECT_EQ(there.messages_waiting(), 2u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(next(there), std::to_string(i));
}

TEST_F(gateway_peers, full_receive_queue_is_the_end_of_its_connection_alone_where_that_is_asked_for) {
  open_gateway();
  gateway_options little;
  little.link.receive_queue_messages = 2;
  little.when_full = gateway_overflow::close;
  auto serving = server(7, little);
  auto asking = client();
  auto [here, there] = connected(asking, serving, 7);
  auto [other_here, other_there] = connected(asking, serving, 7);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(here.try_send(std::to_string(i)));
  ASSERT_TRUE(other_here.try_send("still here"));
  EXPECT_EQ(next(other_there), "still here");
  EXPECT_EQ(end_of(there), errc::full);
  EXPECT_EQ(end_of(here), errc::end_of_stream);
  EXPECT_EQ(next(there), "0") << "what was queued is still there";
  EXPECT_EQ(other_there.state(), channel_state::up);
}

TEST_F(gateway_peers, sender_is_told_when_there_is_room_and_when_all_is_on_its_way) {
  open_gateway();
  auto serving = server(7);
  gateway_options little;
  little.link.send_queue_bytes = 64 * 1024;
  auto asking = client(little);
  auto [here, there] = connected(asking, serving, 7);
  std::size_t came = 0;
  there.on_message([&](const message_view& m) { came += m.payload.size(); });
  const std::string piece(10'000, 'x');
  std::size_t said = 0;
  while (here.try_send(piece)) said += piece.size();
  EXPECT_EQ(here.try_send(piece).error(), errc::full);
  bool drained = false;
  std::optional<error_code> flushed, sent;
  here.on_drain([&] { drained = true; });
  here.async_send(as_bytes(piece), [&](error_code code) { sent = code; });
  here.async_flush([&](error_code code) { flushed = code; });
  ASSERT_TRUE(turn([&] { return drained && flushed && sent; }, "room"));
  EXPECT_FALSE(*flushed);
  EXPECT_FALSE(*sent);
  said += piece.size();
  ASSERT_TRUE(turn([&] { return came == said; }, "all of it"));
}

TEST_F(gateway_peers, wrong_key_is_told_as_such) {
  open_gateway();
  auto wrong = gateway_server::open(where, it->server_url(), 7, "another");
  ASSERT_TRUE(wrong);
  std::optional<error_code> up;
  wrong->async_wait_up([&](error_code code) { up = code; });
  ASSERT_TRUE(turn([&] { return up.has_value(); }, "the refusal"));
  EXPECT_EQ(*up, errc::auth);
  EXPECT_NE(wrong->last_error().text().find("key"), std::string::npos) << wrong->last_error().text();
  EXPECT_EQ(wrong->state(), channel_state::closed);
}

TEST_F(gateway_peers, servers_log_in_by_hmac_where_nothing_else_is_taken) {
  gateway::settings strict;
  strict.login = gateway::login_kind::hmac;
  open_gateway(strict);
  gateway_options by_hmac;
  by_hmac.login = gateway_login::hmac;
  auto serving = server(7, by_hmac);
  auto asking = client();
  auto [here, there] = connected(asking, serving, 7);
  ASSERT_TRUE(here.try_send("a question"));
  EXPECT_EQ(next(there), "a question");
  gateway_options by_md5;
  for (const auto& [key, with] : {std::pair{k_peers_key, by_md5}, {"another", by_hmac}}) {
    auto wrong = gateway_server::open(where, it->server_url(), 8, key, with);
    ASSERT_TRUE(wrong);
    ASSERT_TRUE(turn([&] { return wrong->state() == channel_state::closed; }, "the refusal"));
    EXPECT_EQ(wrong->last_error(), errc::auth) << wrong->last_error().text();
  }
  EXPECT_EQ(it->stats().wrong_proofs, 2u);
}

TEST_F(gateway_peers, server_knows_where_a_client_comes_from_where_the_gateway_tells) {
  gateway::settings telling;
  telling.connect_address = true;
  open_gateway(telling);
  auto serving = server(7);
  auto asking = client();
  auto [here, there] = connected(asking, serving, 7);
  const auto told = gateway_address_of(there)->address;
  EXPECT_TRUE(told.starts_with("127.0.0.1:")) << told;
  EXPECT_EQ(there.peer().address, told);
  EXPECT_EQ(there.peer().through, serving.url());
  EXPECT_EQ(gateway_address_of(there)->remote, 1u);
  EXPECT_EQ(gateway_address_of(here)->address, "");
  EXPECT_EQ(here.peer().address, "server 7");
}

TEST_F(gateway_peers, who_dials_a_server_that_accepts_nobody_is_closed_above_its_limit) {
  open_gateway();
  gateway_options few;
  few.max_arriving = 2;
  auto serving = server(7, few);
  auto asking = client();
  std::vector<dialled> all(3);
  for (auto& one : all) asking.async_dial(7, one.keep());
  ASSERT_TRUE(turn([&] { return all[2].code.has_value(); }, "the answers"));
  EXPECT_EQ(end_of(all[2].got), errc::end_of_stream);
  EXPECT_EQ(serving.stats().arriving, 2u);
  EXPECT_EQ(serving.stats().turned_away, 1u);
  dialled first;
  serving.async_accept(first.keep());
  ASSERT_TRUE(turn([&] { return first.code.has_value(); }, "the first of them"));
  EXPECT_FALSE(*first.code);
}

TEST_F(gateway_peers, take_a_stream_that_the_caller_has_made) {
  open_gateway();
  const auto stream_to = [&](const std::string& url) {
    options with;
    const auto at = parse_url(url, with, where.schemes());
    std::shared_ptr<stream> made;
    const auto attempt = where.transport(at->scheme)->connect(where, *at, with, [&](auto came) { made = *came; });
    EXPECT_TRUE(turn([&] { return made != nullptr; }, "a stream"));
    return made;
  };
  auto serving = gateway_server::on(where, stream_to(it->server_url()), 7, k_peers_key);
  auto asking = gateway_client::on(where, stream_to(it->client_url()));
  ASSERT_TRUE(serving && asking);
  std::optional<error_code> up;
  serving->async_wait_up([&](error_code code) { up = code; });
  ASSERT_TRUE(turn([&] { return up.has_value(); }, "the login"));
  EXPECT_FALSE(*up);
  auto [here, there] = connected(*asking, *serving, 7);
  ASSERT_TRUE(here.try_send("over a stream of my own"));
  EXPECT_EQ(next(there), "over a stream of my own");
  it.reset();
  EXPECT_TRUE(turn([&] { return asking->state() == channel_state::closed; }, "the end of it"));
}

TEST_F(gateway_peers, close_in_order_brings_everything_out_first) {
  open_gateway();
  auto serving = server(7);
  auto asking = client();
  auto ends = connected(asking, serving, 7);
  auto &here = ends.first, &there = ends.second;
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(here.try_send(std::string(10'000, 'x')));
  std::optional<error_code> closed;
  asking.async_close([&](error_code code) { closed = code; });
  std::size_t came = 0;
  there.on_message([&](const message_view&) { ++came; });
  ASSERT_TRUE(turn([&] { return closed && there.state() == channel_state::closed; }, "the end"));
  EXPECT_FALSE(*closed) << closed->message();
  EXPECT_EQ(came, 50u);
  EXPECT_EQ(here.state(), channel_state::closed);
}

TEST_F(gateway_peers, context_that_goes_first_lets_go_of_everything) {
  open_gateway();
  auto serving = server(7);
  auto asking = client();
  const auto held = std::make_shared<int>(0);
  auto ends = connected(asking, serving, 7);
  auto &here = ends.first, &there = ends.second;
  here.on_message([held, itself = here](const message_view&) {});
  asking.on_channel([held, asking](channel) {});
  asking.async_dial(8, [held](error_code, channel) {});
  serving.async_accept([held](error_code, channel) {});
  here = there = {};
  asking = {};
  serving = {};
  it.reset();
  test::run_ready(io);
  SUCCEED() << "the leak checker of a sanitizer build has the last word";
}

TEST_F(gateway_peers, options_that_cannot_work_are_told_with_what_to_do) {
  open_gateway();
  const auto refused = [&](const gateway_options& with) {
    const auto made = gateway_client::open(where, it->client_url(), with);
    return made ? std::string() : made.error().text();
  };
  gateway_options slow;
  slow.ping_interval = std::chrono::seconds(30);
  EXPECT_NE(refused(slow).find("gateway_idle_time"), std::string::npos);
  gateway_options silent;
  silent.ping_interval = {};
  EXPECT_NE(refused(silent).find("ping_interval"), std::string::npos);
  silent.gateway_idle_time = {};
  EXPECT_EQ(refused(silent), "");
  gateway_options unheard;
  unheard.ping_timeout = std::chrono::seconds(1);
  EXPECT_NE(refused(unheard).find("on_ping_timeout"), std::string::npos);
  unheard.on_ping_timeout = [] {};
  EXPECT_EQ(refused(unheard), "");
  unheard.ping_timeout = {};
  EXPECT_NE(refused(unheard).find("on_ping_timeout"), std::string::npos);
  gateway_options tiny;
  tiny.max_packet = 3;
  EXPECT_NE(refused(tiny).find("max_packet"), std::string::npos);
  gateway_options kept;
  kept.link.session = session_kind::persistent;
  EXPECT_NE(refused(kept).find("session"), std::string::npos);
  EXPECT_EQ(gateway_client::open(where, "nonsense").error().reason(), errc::bad_url);
}

}  // namespace
}  // namespace ferry
