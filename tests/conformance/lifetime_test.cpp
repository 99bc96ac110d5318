// Handlers that end, replace or let go of what calls them; and event loops that end first.
#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

TEST_P(transport, lets_a_handler_cut_close_or_let_go_of_its_channel) {
  using ending = std::function<void(channel&)>;
  const ending endings[] = {
      [](channel& c) { c.cut(); },
      [](channel& c) { c.half_close(); },
      [](channel& c) { c.async_close([](error_code, const close_report&) {}); },
      [](channel& c) { c = channel{}; },
      [](channel& c) {
        c.half_close();
        c.cut();
        c = channel{};
      },
  };
  for (const ending& end : endings) {
    auto made = connect();
    life at_client;
    at_client.watch(made.client);
    int handled = 0;
    made.server.on_message([&, mark = std::string(100, 'm')](const message_view&) {
      if (++handled == 2) end(made.server);
      EXPECT_EQ(mark.size(), 100u);  // the handler still lives
    });
    run_ready(io);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(made.client.try_send("x"));
    ASSERT_TRUE(turn([&] { return made.client.state() == channel_state::closed; }, "the end"));
    EXPECT_GE(handled, 2);
    EXPECT_EQ(at_client.downs.size(), 1u);
  }
}

TEST_P(transport, delivers_nothing_after_a_cut_inside_the_handler) {
  join();
  int handled = 0;
  server.on_message([&](const message_view&) {
    ++handled;
    server.cut();
  });
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(client.try_send("x"));
  ASSERT_TRUE(turn([&] { return client.state() == channel_state::closed; }, "the end"));
  EXPECT_EQ(handled, 1);
}

TEST_P(transport, lets_up_and_down_handlers_end_replace_and_let_go) {
  join();
  channel copy = client;
  std::vector<std::string> told;
  client.on_down([&, mark = std::string("first")](const down_info&) {
    client.on_down([&](const down_info&) { told.emplace_back("second"); });
    client.cut();
    client = channel{};
    copy = channel{};
    told.push_back(mark);
  });
  server.on_up([&, mark = std::string("up")](const peer_info&) {
    server.on_up(nullptr);
    server.cut();
    server = channel{};
    told.push_back(mark);
  });
  ASSERT_TRUE(turn([&] { return told.size() == 2; }, "both handlers"));
  run_ready(io);
  EXPECT_EQ(told, (std::vector<std::string>{"up", "first"}));
  EXPECT_EQ(where.totals().channels_open.value(), 0);
}

TEST_P(transport, lets_a_reconnecting_channel_be_ended_in_its_down_handler) {
  options with = settings();
  with.reconnect = true;
  for (const bool let_go : {false, true}) {
    auto made = connect(with, settings());
    life at_client;
    made.client.on_down([&](const down_info& info) {
      at_client.downs.push_back(info);
      let_go ? void(made.client = channel{}) : made.client.cut();
    });
    made.server.cut();
    ASSERT_TRUE(
        turn([&] { return at_client.downs.size() == 1 && where.totals().channels_open.value() == 0; }, "the end"));
    run_ready(io);
    EXPECT_EQ(at_client.downs.size(), 1u);
    EXPECT_TRUE(at_client.downs[0].will_reconnect);
  }
}

TEST_P(transport, lets_a_drain_handler_replace_itself) {
  options with = settings();
  with.send_queue_bytes = 1000;
  join(with, settings());
  life at_server;
  at_server.receive(server);
  std::vector<std::string> told;
  client.on_drain([&, mark = std::string("first")] {
    client.on_drain([&] { told.emplace_back("second"); });
    told.push_back(mark);
  });
  for (std::size_t round = 1; round <= 2; ++round) {
    while (client.try_send(pattern(1, 100))) {
    }
    ASSERT_TRUE(turn([&] { return told.size() == round; }, "room"));
  }
  EXPECT_EQ(told, (std::vector<std::string>{"first", "second"}));
}

TEST_P(transport, lets_a_listener_be_closed_replaced_and_let_go_in_its_own_handler) {
  listening = listen(settings());
  const std::string to = connect_url(listening);
  std::vector<channel> servers;
  listening.on_channel([&, mark = std::string(100, 'm')](channel arrived) {
    listening.on_channel(nullptr);
    listening.close();
    listening = listener{};
    servers.push_back(std::move(arrived));
    EXPECT_EQ(mark.size(), 100u);
  });
  client = open(to, settings());
  life at_server;
  ASSERT_TRUE(turn([&] { return servers.size() == 1; }, "the channel"));
  at_server.receive(servers[0]);
  ASSERT_TRUE(wait_until_it_takes_messages(client));
  ASSERT_TRUE(client.try_send("x"));
  EXPECT_TRUE(turn([&] { return at_server.messages.size() == 1; }, "a message"));
}

TEST_P(transport, calls_no_handler_from_inside_a_call) {
  auto made = connect();
  bool inside = false;
  int calls = 0;
  const auto check = [&](auto&&...) {
    ++calls;
    EXPECT_FALSE(inside) << "a handler was called from inside a call";
  };
  for (channel* one : {&made.client, &made.server}) {
    one->on_message(check);
    one->on_up(check);
    one->on_down(check);
    one->on_drain(check);
  }
  const auto act = [&](auto call) {
    inside = true;
    call();
    inside = false;
    run_ready(io);
  };
  act([&] { EXPECT_TRUE(made.client.try_send("x")); });
  act([&] { EXPECT_TRUE(made.client.try_send(as_bytes(pattern(1, at_most(300'000))))); });
  act([&] { made.server.pause(); });
  act([&] { EXPECT_TRUE(made.client.try_send("x")); });
  act([&] { made.server.resume(); });
  act([&] { made.client.async_send(as_bytes("y"), check); });
  act([&] { made.client.async_flush(check); });
  act([&] { made.client.async_wait_up(check); });
  act([&] {
    EXPECT_TRUE(made.client.try_send("x"));
    EXPECT_EQ(made.server.try_receive().error(), errc::would_block) << "it is the handler's";
    made.server.async_receive(check);
  });
  act([&] { made.client.half_close(); });
  act([&] { made.server.cut(); });
  act([&] { made.client.cut(); });
  EXPECT_GT(calls, 5);
}

TEST_P(transport, tells_that_there_is_room_from_the_event_loop_only) {
  options with = settings();
  with.send_queue_bytes = 4000;
  join(with, settings());
  server.on_message([](const message_view&) {});
  bool inside = false;
  int told = 0;
  client.on_drain([&] {
    ++told;
    EXPECT_FALSE(inside) << "called from inside try_send";
  });
  const std::string small = pattern(1, 1000), large = pattern(2, 100'000);  // which is written from where it lies
  int filled = 0;
  const auto fill = [&] {
    if (filled > told) return false;
    ++filled;
    inside = true;
    (void)client.try_send(large);
    while (client.try_send(small)) {
    }
    inside = false;
    return told >= 5;
  };
  EXPECT_TRUE(turn(fill, "room, again and again"));
}

// What a program leaves behind that stops in the middle; the sanitizers look for what is used later or never freed.
struct abandoned {
  const setting& with;
  void everything_under_way(bool handles_in_handlers) const {
    std::string text = pattern(1, 6u << 20);  // outlives the operations
    any_transport in(with);
    options o = in.settings();
    o.send_queue_bytes = 1000;
    o.reconnect = true;
    auto made = in.connect(o, o);
    if (handles_in_handlers) {
      // As servers are written: the handler keeps its channel, nobody else does.
      made.server.on_message(
          [server = made.server](const message_view& m) mutable { (void)server.try_send(m.payload); });
      made.client.on_message(
          [client = made.client](const message_view& m) mutable { (void)client.try_send(m.payload); });
      made.client.on_down([client = made.client](const down_info&) {});
    }
    made.server.pause();
    made.client.async_receive([client = made.client](error_code, const message&) {});
    (void)made.client.try_send(as_bytes(text));
    made.client.async_send(as_bytes(text), [client = made.client](error_code) {});
    made.client.async_flush([client = made.client](error_code) {});
    in.listening.async_accept([listening = in.listening](error_code, const channel&) {});
    o.session = session_kind::none;
    o.as.clear();
    o.compat = compat_kind::none;
    async_connect(in.where, "inproc://nobody", o, [](error_code, const channel&) {});
    made.client.async_close([client = made.client](error_code, const close_report&) {});
    auto waiting = channel::open(in.where, "inproc://nobody", o);
    ASSERT_TRUE(waiting) << waiting.error().text();
    waiting->async_wait_up([waiting = *waiting](error_code) {});
    run_ready(in.io);
    if (handles_in_handlers) made = {};
  }
};

TEST_P(transport, may_be_left_with_everything_under_way) {
  abandoned{GetParam()}.everything_under_way(false);
  abandoned{GetParam()}.everything_under_way(true);
}

}  // namespace
}  // namespace ferry::test
