// What a message keeps on its way.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

namespace asio = boost::asio;

std::string numbered(std::size_t i) { return std::to_string(i) + ":" + pattern(i, i % 300); }

TEST_P(transport, keeps_the_order_both_ways_and_delivers_nothing_twice) {
  join();
  life at_client, at_server;
  at_client.receive(client);
  at_server.receive(server);
  constexpr std::size_t k_count = 3000;
  const feeder there(client, k_count, numbered);
  const feeder back(server, k_count, [](std::size_t i) { return "back " + numbered(i); });
  ASSERT_TRUE(turn([&] { return at_server.messages.size() >= k_count && at_client.messages.size() >= k_count; },
                   "all messages"));
  run_ready(io);
  ASSERT_EQ(at_server.messages.size(), k_count);
  ASSERT_EQ(at_client.messages.size(), k_count);
  for (std::size_t i = 0; i < k_count; ++i) {
    ASSERT_EQ(at_server.messages[i], numbered(i));
    ASSERT_EQ(at_client.messages[i], "back " + numbered(i));
  }
  EXPECT_EQ(client.stats().messages_sent, k_count);
  EXPECT_EQ(server.stats().messages_received, k_count);
}

TEST_P(transport, delivers_every_size_around_the_boundaries) {
  join();
  life at_client, at_server;
  at_client.receive(client);
  at_server.receive(server);
  std::vector<std::size_t> sizes{0, 1, 2};
  for (const std::size_t boundary : {127u, 256u, 512u, 4096u, 16384u, 65536u, 262144u, 1048576u})
    for (const int step : {-11, -5, -3, -2, -1, 0, 1, 2}) sizes.push_back(boundary + static_cast<std::size_t>(step));
  const auto payload = [&](std::size_t i) { return pattern(i, sizes[i]); };
  const feeder there(client, sizes.size(), payload);
  const feeder back(server, sizes.size(), payload);
  ASSERT_TRUE(
      turn([&] { return at_server.messages.size() == sizes.size() && at_client.messages.size() == sizes.size(); },
           "every size"));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    ASSERT_TRUE(at_server.messages[i] == payload(i)) << "size " << sizes[i];
    ASSERT_TRUE(at_client.messages[i] == payload(i)) << "size " << sizes[i];
  }
}

TEST_P(transport, delivers_each_size_alone_too) {
  join();
  life at_server;
  at_server.receive(server);
  for (const std::size_t size : {0u, 1u, 128u, 511u, 512u, 513u, 65535u, 65536u, 262143u, 262144u, 300000u}) {
    ASSERT_TRUE(client.try_send(pattern(size, size)));
    ASSERT_TRUE(turn([&] { return !at_server.messages.empty(); }, "one message of " + std::to_string(size)));
    ASSERT_TRUE(at_server.messages.at(0) == pattern(size, size)) << "size " << size;
    at_server.messages.clear();
  }
}

TEST_P(transport, delivers_max_message_and_refuses_one_byte_more_with_both_numbers) {
  options with = settings();
  with.max_message = 100'000;
  join(with, with);
  life at_server;
  at_server.receive(server);
  const auto refused = client.try_send(pattern(1, 100'001));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::message_too_large);
  EXPECT_NE(refused.error().text().find("100001"), std::string::npos) << refused.error().text();
  EXPECT_NE(refused.error().text().find("100000"), std::string::npos) << refused.error().text();
  ASSERT_TRUE(client.try_send(pattern(2, 100'000)));
  ASSERT_TRUE(client.try_send("after"));
  ASSERT_TRUE(turn([&] { return at_server.messages.size() == 2; }, "the largest message and the one after it"));
  EXPECT_TRUE(at_server.messages[0] == pattern(2, 100'000));
}

TEST_P(transport, takes_a_message_larger_than_the_send_queue_when_nothing_else_waits) {
  options with = settings();
  with.send_queue_bytes = with.receive_queue_bytes = 1000;
  join(with, with);
  life at_server;
  at_server.receive(server);
  ASSERT_TRUE(client.try_send(pattern(1, 200'000)));
  ASSERT_TRUE(turn([&] { return at_server.messages.size() == 1; }, "the large message"));
  EXPECT_TRUE(at_server.messages[0] == pattern(1, 200'000));
}

TEST_P(transport, ends_the_connection_when_the_peer_sends_more_than_max_message) {
  options small = settings();
  small.max_message = 1000;
  join(settings(), small);
  life at_server;
  at_server.watch(server);
  at_server.receive(server);
  ASSERT_TRUE(client.try_send("fits"));
  ASSERT_TRUE(client.try_send(pattern(1, 1001)));
  ASSERT_TRUE(turn([&] { return server.state() == channel_state::closed; }, "the end"));
  EXPECT_EQ(at_server.messages, std::vector<std::string>{"fits"});
  ASSERT_EQ(at_server.downs.size(), 1u);
  EXPECT_EQ(at_server.downs[0].reason, errc::message_too_large);
  EXPECT_NE(at_server.downs[0].reason.text().find("1001"), std::string::npos) << at_server.downs[0].reason.text();
  EXPECT_NE(at_server.downs[0].reason.text().find("1000"), std::string::npos) << at_server.downs[0].reason.text();
  EXPECT_EQ(where.totals().protocol_errors.value(), 1u);
}

TEST_P(transport, keeps_kind_and_type_exactly_where_its_traits_say_so) {
  join();
  struct arrived {
    std::string text;
    message_kind kind;
    std::uint16_t type;
  };
  std::vector<arrived> all;
  server.on_message([&](const message_view& m) { all.push_back({std::string(m.text()), m.kind, m.type}); });
  ASSERT_TRUE(client.try_send("a"));
  ASSERT_TRUE(client.try_send(as_bytes("b")));
  const auto typed = client.try_send(as_bytes("c"), message_kind::text, 65535);
  const transport_traits traits = client.traits();
  EXPECT_EQ(traits.carries_type, server.traits().carries_type);
  const bool wire_has_both = is_ring() || with_.is_session() || with_.framing == framing_kind::typed ||
                             (with_.is("inproc") && with_.framing == framing_kind::automatic);
  EXPECT_EQ(traits.carries_kind, wire_has_both || is_ws());
  EXPECT_EQ(traits.carries_parts, is_ws());
  EXPECT_EQ(traits.carries_type, wire_has_both);
  if (!wire_has_both) {
    ASSERT_FALSE(typed);
    EXPECT_EQ(typed.error(), errc::unsupported);
    EXPECT_NE(typed.error().text().find("65535"), std::string::npos) << typed.error().text();
  }
  const std::size_t expected = wire_has_both ? 3 : 2;
  ASSERT_TRUE(turn([&] { return all.size() == expected; }, "the messages"));
  EXPECT_EQ(all[0].kind, traits.carries_kind ? message_kind::text : message_kind::binary);
  EXPECT_EQ(all[1].kind, message_kind::binary);
  if (wire_has_both) {
    EXPECT_EQ(all[2].kind, message_kind::text);
    EXPECT_EQ(all[2].type, 65535);
  }
}

TEST_P(transport, delivers_empty_messages_unless_told_to_skip_them) {
  options skips = settings();
  skips.deliver_empty = false;
  join(settings(), skips);
  life at_client, at_server;
  at_client.receive(client);
  at_server.receive(server);
  for (channel* one : {&client, &server})
    for (const char* text : {"", "x", "", "", "y"}) ASSERT_TRUE(one->try_send(text));
  ASSERT_TRUE(turn([&] { return at_client.messages.size() == 5 && at_server.messages.size() == 2; }, "the messages"));
  EXPECT_EQ(at_client.messages, (std::vector<std::string>{"", "x", "", "", "y"}));
  EXPECT_EQ(at_server.messages, (std::vector<std::string>{"x", "y"}));
}

// Each end asks, answers and checks at the same time; the first byte tells which it is.
struct echo_end {
  channel one;
  std::size_t count;
  std::uint64_t seed;
  std::size_t asked = 0, answered = 0;
  std::size_t wrong = 0;
  static constexpr std::size_t k_window = 64;

  [[nodiscard]] std::string request(std::size_t i) const {
    const std::uint64_t random = (seed + i) * 0x9e3779b97f4a7c15u;
    const std::size_t size = random >> 60 == 0 ? (random >> 32) % 8000 : (random >> 32) % 200;
    return "?" + pattern(seed + i, size);
  }
  asio::awaitable<void> ask() {
    for (; asked < count; ++asked) {
      while (asked - answered >= k_window) co_await asio::post(asio::use_awaitable);
      const std::string text = request(asked);
      co_await one.async_send(as_bytes(text), asio::use_awaitable);
    }
  }
  asio::awaitable<void> answer(std::size_t theirs) {
    for (std::size_t left = count + theirs; left != 0; --left) {
      const message m = co_await one.async_receive(asio::use_awaitable);
      std::string text(m.text());
      if (text[0] == '?') {
        text[0] = '!';
        co_await one.async_send(as_bytes(text), asio::use_awaitable);
      } else {
        text[0] = '?';
        wrong += text != request(answered++) ? 1 : 0;
      }
    }
  }
};

TEST_P(transport, echoes_a_hundred_thousand_messages_of_random_sizes_both_ways_at_once) {
  join();
  const std::size_t count = 50'000 / k_slower;
  echo_end at_client{client, count, 1};
  echo_end at_server{server, count, 1'000'000};
  int running = 4;
  const auto over = [&](const std::exception_ptr& failed) {
    EXPECT_EQ(failed, nullptr);
    --running;
  };
  asio::co_spawn(io, at_client.ask(), over);
  asio::co_spawn(io, at_server.ask(), over);
  asio::co_spawn(io, at_client.answer(count), over);
  asio::co_spawn(io, at_server.answer(count), over);
  EXPECT_TRUE(run_until(
      io, [&] { return running == 0; }, "all answers", std::chrono::minutes(5)));
  EXPECT_EQ(at_client.answered, count);
  EXPECT_EQ(at_server.answered, count);
  EXPECT_EQ(at_client.wrong + at_server.wrong, 0u);
  client.cut();
  server.cut();
  run_ready(io);
}

TEST_P(transport, counts_what_it_sends_in_the_totals_of_its_context) {
  if (is_ring() && settings().senders == senders_kind::many)
    GTEST_SKIP() << "other threads do not tell the event loop of every message";
  auto both = connect();
  life at_client;
  at_client.receive(both.client);
  both.server.on_message([&](const message_view&) { EXPECT_TRUE(both.server.try_send("an answer")); });
  run_ready(io);
  ASSERT_TRUE(both.client.try_send("a question"));
  ASSERT_TRUE(turn([&] { return at_client.messages.size() == 1; }, "the answer"));
  run_ready(io);
  for (std::size_t i = 2; i < 6; ++i) {
    ASSERT_TRUE(both.server.try_send("more"));
    ASSERT_TRUE(turn([&] { return at_client.messages.size() == i; }, "the next message"));
  }
  const auto sent = both.client.stats().bytes_sent + both.server.stats().bytes_sent;
  EXPECT_TRUE(turn([&] { return where.totals().bytes_sent.value() == sent; }, "the totals"));
}

}  // namespace
}  // namespace ferry::test
