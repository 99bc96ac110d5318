// Connecting, losing the connection, and coming back.
#include <boost/asio/steady_timer.hpp>

#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

std::string numbered(std::size_t i) { return std::to_string(i) + ":" + pattern(i, i % 300); }

TEST_P(transport, tells_that_nobody_listens_and_where) {
  std::string url;
  {
    const listener gone = listen(settings());
    url = connect_url(gone);
  }
  error_code failed;
  channel made;
  async_connect(where, url, settings(), [&](error_code code, channel one) {
    failed = code;
    made = std::move(one);
  });
  ASSERT_TRUE(turn([&] { return bool(made); }, "the failure"));
  EXPECT_EQ(failed.default_error_condition(), make_error_condition(condition::reconnect)) << failed.message();
  EXPECT_TRUE(failed == errc::refused || failed == errc::not_found) << failed.message();
  EXPECT_EQ(made.state(), channel_state::closed);
  // The port, the name, or the end of the path: a host name may be told as the address that was tried.
  std::string where_to = url.substr(0, url.find('?'));
  if (const auto resource = where_to.find("/meeting"); is_ws() && resource != std::string::npos && resource > 6)
    where_to.resize(resource);
  const std::string place = where_to.substr(where_to.find_last_of("/:@") + 1);
  EXPECT_NE(made.last_error().text().find(place), std::string::npos) << made.last_error().text();
  EXPECT_EQ(made.stats().failed_attempts, 1u);
  EXPECT_EQ(made.stats().connections, 0u);
  EXPECT_EQ(where.totals().connect_failures.value(), 1u);
}

TEST_P(transport, refuses_a_second_listener_at_the_same_place_and_leaves_the_first_alone) {
  listening = listen(settings());
  const auto second = listener::open(where, listening.url(), settings());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), errc::address_in_use) << second.error().text();
  // A Unix listener was asked whether it lives by connecting to it: that connection comes first, and ends at once.
  std::vector<channel> servers;
  life at_server;
  listening.on_channel([&](channel arrived) {
    at_server.receive(arrived);
    servers.push_back(std::move(arrived));
  });
  client = open(connect_url(listening), settings());
  ASSERT_TRUE(wait_until_it_takes_messages(client));
  ASSERT_TRUE(client.try_send("still here"));
  EXPECT_TRUE(turn([&] { return at_server.messages.size() == 1; }, "a message through the first one"));
}

TEST_P(transport, listens_again_where_a_listener_was_closed) {
  listening = listen(settings());
  const std::string url = listening.url();
  listening.close();
  const auto again = listener::open(where, url, settings());
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->url(), url);
}

TEST_P(transport, sends_what_was_queued_before_it_was_connected) {
  listening = listen(settings());
  client = open(connect_url(listening), settings());
  for (std::size_t i = 0; i < 50; ++i) ASSERT_TRUE(client.try_send(numbered(i)));
  life at_server;
  listening.on_channel([&](channel arrived) {
    server = std::move(arrived);
    at_server.receive(server);
  });
  ASSERT_TRUE(turn([&] { return at_server.messages.size() == 50; }, "the messages"));
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(at_server.messages[i], numbered(i));
}

TEST_P(transport, keeps_its_queue_until_somebody_listens) {
  listening = listen(settings());
  const std::string url = listening.url();
  const std::string to = connect_url(listening);
  listening = listener{};
  options with = settings();
  with.reconnect = true;
  client = open(to, with);
  life at_client, at_server;
  at_client.watch(client);
  for (std::size_t i = 0; i < 50; ++i) ASSERT_TRUE(client.try_send(numbered(i)));
  ASSERT_TRUE(turn([&] { return client.stats().failed_attempts >= 3; }, "three failed attempts"));
  EXPECT_EQ(client.stats().send_queue_messages, 50u);
  listening = *listener::open(where, url, settings());
  listening.on_channel([&](channel arrived) {
    server = std::move(arrived);
    at_server.receive(server);
  });
  ASSERT_TRUE(turn([&] { return at_server.messages.size() == 50; }, "the messages"));
  EXPECT_EQ(at_client.ups, 1);
  EXPECT_EQ(at_client.downs.size(), 0u);
}

TEST_P(transport, gives_up_after_the_allowed_attempts) {
  std::string url;
  {
    const listener gone = listen(settings());
    url = connect_url(gone);
  }
  options with = settings();
  with.reconnect = true;
  with.reconnect_attempts = 3;
  client = open(url, with);
  EXPECT_EQ(client.try_send("never").has_value(), !with_.is_tcpshm());
  bool told = false;
  client.async_wait_up([&](error_code failed) {
    told = true;
    EXPECT_TRUE(failed);
  });
  ASSERT_TRUE(turn([&] { return told; }, "the end"));
  EXPECT_EQ(client.stats().failed_attempts, 4u);  // the first one, and three more
  EXPECT_EQ(client.state(), channel_state::closed);
}

// The listener is restarted again and again in the middle of a flow of messages.
TEST_P(transport, delivers_nothing_twice_and_loses_at_most_the_bound_when_the_listener_restarts) {
  options with = settings();
  with.reconnect = true;
  listening = listen(settings());
  const std::string url = listening.url();
  client = open(connect_url(listening), with);
  life at_client;
  at_client.watch(client);
  std::vector<std::size_t> got;
  std::vector<channel> servers;
  const std::size_t count = 5000;
  const auto accept_on = [&](listener& on) {
    on.on_channel([&](channel arrived) {
      arrived.on_message([&](const message_view& m) { got.push_back(std::stoul(std::string(m.text()))); });
      servers.push_back(std::move(arrived));
    });
  };
  accept_on(listening);
  const feeder all(client, count, numbered);
  for (int restart = 0; restart < 5; ++restart) {
    const std::size_t before = got.size();
    ASSERT_TRUE(turn([&] { return got.size() > before || client.stats().send_queue_messages == 0; }, "some messages"));
    listening = listener{};
    servers.clear();
    run_ready(io);
    ASSERT_TRUE(turn([&] { return at_client.downs.size() > static_cast<std::size_t>(restart); }, "the loss"));
    listening = *listener::open(where, url, settings());
    accept_on(listening);
    ASSERT_TRUE(turn([&] { return client.state() == channel_state::up; }, "the new connection"));
  }
  ASSERT_TRUE(turn([&] { return all.done() && client.stats().send_queue_messages == 0; }, "everything to be sent"));
  bool closed = false;
  client.async_close([&](error_code, const close_report& report) {
    closed = true;
    EXPECT_TRUE(report.clean()) << report.reason.text();
  });
  ASSERT_TRUE(turn([&] { return closed; }, "the close"));
  std::vector<std::size_t> sorted = got;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_TRUE(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end()) << "a message arrived twice";
  EXPECT_EQ(sorted, got) << "order";
  std::uint64_t bound = 0;
  for (const auto& info : at_client.downs) {
    EXPECT_TRUE(info.will_reconnect || info.reason == errc::closed);
    bound += info.messages_maybe_lost;
  }
  EXPECT_LE(count - got.size(), bound);
  EXPECT_EQ(client.stats().messages_maybe_lost, bound);
  EXPECT_TRUE(at_client.paired);
  EXPECT_EQ(at_client.downs.size(), 6u);
  EXPECT_EQ(client.stats().connections, 6u);
}

TEST_P(transport, goes_on_after_a_peer_that_ended_in_order) {
  options with = settings();
  with.reconnect = true;
  listening = listen(settings());
  std::vector<channel> servers;
  std::size_t received = 0;
  listening.on_channel([&](channel arrived) {
    arrived.on_message([&](const message_view&) { ++received; });
    servers.push_back(std::move(arrived));
  });
  client = open(connect_url(listening), with);
  life at_client;
  at_client.watch(client);
  for (std::size_t round = 1; round <= 3; ++round) {
    ASSERT_TRUE(client.try_send("x"));
    ASSERT_TRUE(turn([&] { return received == round; }, "the message"));
    servers.back().half_close();
    ASSERT_TRUE(turn([&] { return at_client.downs.size() == round && client.state() == channel_state::up; },
                     "a new connection"));
    EXPECT_EQ(at_client.downs.back().reason, errc::end_of_stream);
  }
}

TEST_P(transport, refuses_connections_above_the_limit_and_leaves_the_others_alone) {
  options with = settings();
  with.max_connections = 2;
  listening = listen(with);
  std::vector<channel> servers;
  std::vector<error> errors;
  listening.on_channel([&](channel arrived) { servers.push_back(std::move(arrived)); });
  listening.on_error([&](const error& why) { errors.push_back(why); });
  std::vector<channel> clients;
  std::vector<life> lives(5);
  for (std::size_t i = 0; i < 5; ++i) {
    clients.push_back(open(connect_url(listening), settings()));
    lives[i].watch(clients[i]);
  }
  ASSERT_TRUE(turn([&] { return errors.size() == 3 && servers.size() == 2; }, "three refusals"));
  EXPECT_EQ(errors[0], errc::busy);
  EXPECT_NE(errors[0].text().find("2 are open, max_connections is 2"), std::string::npos) << errors[0].text();
  EXPECT_EQ(listening.stats().refused, 3u);
  EXPECT_EQ(listening.stats().accepted, 2u);
  EXPECT_EQ(where.totals().connections_refused.value(), 3u);
  const auto closed = [&] {
    return std::count_if(clients.begin(), clients.end(),
                         [](const channel& c) { return c.state() == channel_state::closed; });
  };
  ASSERT_TRUE(turn([&] { return closed() == 3; }, "the refused ones to notice"));
  int got = 0;
  for (auto& one : servers) one.on_message([&](const message_view&) { ++got; });
  for (auto& one : clients) {
    if (one.state() == channel_state::closed) continue;
    ASSERT_TRUE(wait_until_it_takes_messages(one));
    ASSERT_TRUE(one.try_send("x"));
  }
  ASSERT_TRUE(turn([&] { return got == 2; }, "the others"));
  servers.pop_back();
  ASSERT_TRUE(turn([&] { return listening.stats().open == 1; }, "a free place"));
  channel another = open(connect_url(listening), settings());
  ASSERT_TRUE(turn([&] { return servers.size() == 2; }, "a place that became free"));
  ASSERT_TRUE(wait_until_it_takes_messages(another));
  ASSERT_TRUE(another.try_send("x"));
}

TEST_P(transport, lets_the_handler_see_the_first_message_when_it_is_set_inside_on_channel) {
  listening = listen(settings());
  life at_server;
  listening.on_channel([&](channel arrived) {
    server = std::move(arrived);
    at_server.watch(server);
    at_server.receive(server);
  });
  client = open(connect_url(listening), settings());
  ASSERT_TRUE(client.try_send("first"));
  client.half_close();
  ASSERT_TRUE(turn([&] { return server && server.state() == channel_state::closed; }, "all of it"));
  EXPECT_EQ(at_server.messages, std::vector<std::string>{"first"});
  EXPECT_EQ(at_server.ups, 1);
  EXPECT_EQ(at_server.downs.size(), 1u);
  EXPECT_TRUE(at_server.paired);
}

TEST_P(transport, cuts_a_channel_of_which_no_copy_was_kept) {
  listening = listen(settings());
  int arrived = 0;
  listening.on_channel([&](const channel&) { ++arrived; });
  client = open(connect_url(listening), settings());
  ASSERT_TRUE(turn([&] { return client.state() == channel_state::closed; }, "the cut"));
  EXPECT_EQ(arrived, 1);
  EXPECT_TRUE(turn([&] { return listening.stats().open == 0; }, "the end of the other end"));
}

TEST_P(transport, ends_waiting_accepts_when_the_listener_closes_and_lets_its_channels_live) {
  join();
  std::vector<error_code> codes;
  for (int i = 0; i < 3; ++i)
    listening.async_accept([&](error_code failed, const channel&) { codes.push_back(failed); });
  run_ready(io);
  listening.close();
  ASSERT_TRUE(turn([&] { return codes.size() == 3; }, "three accepts"));
  for (const auto& code : codes) EXPECT_EQ(code, errc::closed);
  life at_server;
  at_server.receive(server);
  ASSERT_TRUE(client.try_send("x"));
  EXPECT_TRUE(turn([&] { return at_server.messages.size() == 1; }, "a message after the listener closed"));
}

TEST_P(transport, times_out_when_idle_and_says_so) {
  options with = settings();
  with.idle_timeout = std::chrono::milliseconds(20);  // and the server may come later than that
  listening = listen(settings());
  listening.async_accept([this](error_code, channel arrived) { server = std::move(arrived); });
  client = open(connect_url(listening), with);
  life at_client;
  at_client.watch(client);
  ASSERT_TRUE(turn([&] { return at_client.downs.size() == 1; }, "the idle deadline"));
  EXPECT_EQ(at_client.downs[0].reason, errc::idle);
  EXPECT_NE(at_client.downs[0].reason.text().find("20ms (idle_timeout)"), std::string::npos)
      << at_client.downs[0].reason.text();
}

TEST_P(transport, is_not_idle_in_writing_while_it_sends) {
  options with = settings();
  with.write_idle_timeout = std::chrono::milliseconds(250);
  auto both = connect(settings(), with);
  life at_client, at_server;
  at_client.receive(both.client);
  at_server.watch(both.server);
  boost::asio::steady_timer clock(io);
  constexpr std::size_t k_ticks = 40;
  std::size_t ticks = 0;
  const std::function<void()> tick = [&] {
    EXPECT_TRUE(both.server.try_send("tick"));
    if (++ticks == k_ticks) return;
    clock.expires_after(std::chrono::milliseconds(8));
    clock.async_wait([&](const error_code& cancelled) {
      if (!cancelled) tick();
    });
  };
  // The first one out of a message handler.
  both.server.on_message([&](const message_view&) { tick(); });
  ASSERT_TRUE(both.client.try_send("go on"));
  ASSERT_TRUE(turn([&] { return at_client.messages.size() == k_ticks || !at_server.downs.empty(); }, "all ticks"));
  EXPECT_EQ(at_client.messages.size(), k_ticks);
  EXPECT_TRUE(at_server.downs.empty());
  ASSERT_TRUE(turn([&] { return at_server.downs.size() == 1; }, "the deadline"));
  EXPECT_EQ(at_server.downs[0].reason, errc::idle);
}

}  // namespace
}  // namespace ferry::test
