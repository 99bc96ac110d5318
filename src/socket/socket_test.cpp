// What a caller of sockets sees, over every transport.
#include <ferry/socket.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "testing/socket_world.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;

class sockets : public ::testing::TestWithParam<socket_transport>, public socket_world {
 protected:
  sockets() : socket_world(GetParam()) {}
};
INSTANTIATE_TEST_SUITE_P(every, sockets, ::testing::ValuesIn(k_transports),
                         [](const auto& one) { return name_of(one.param); });

TEST_P(sockets, carry_messages_both_ways) {
  ASSERT_NO_FATAL_FAILURE(join());
  EXPECT_EQ(send(client, "there"), "5");
  EXPECT_EQ(receive(server), "there");
  EXPECT_EQ(send(server, "and back"), "8");
  EXPECT_EQ(receive(client), "and back");
}

TEST_P(sockets, tell_text_from_binary_where_the_transport_does) {
  ASSERT_NO_FATAL_FAILURE(join());
  EXPECT_EQ(send(client, "text", socket_flags::k_text), "4");
  EXPECT_EQ(send(client, "binary"), "6");
  std::byte buffer[8];
  const bool carried = is_websocket() || over == socket_transport::inproc || over == socket_transport::shm;
  EXPECT_EQ(api.recv(server, buffer)->kind == message_kind::text, carried);
  EXPECT_EQ(api.recv(server, buffer)->kind, message_kind::binary);
}

TEST_P(sockets, keep_the_bounds_of_messages_and_empty_ones) {
  ASSERT_NO_FATAL_FAILURE(join());
  for (const char* text : {"one", "", "three"}) EXPECT_EQ(send(client, text), std::to_string(std::strlen(text)));
  EXPECT_EQ(receive(server), "one");
  std::byte byte{};
  const auto empty = api.recv(server, {&byte, 1});
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->size, 0u);
  EXPECT_TRUE(empty->message_end);
  EXPECT_FALSE(empty->end);
  EXPECT_EQ(receive(server), "three");
}

TEST_P(sockets, carry_a_message_of_many_pieces) {
  ASSERT_NO_FATAL_FAILURE(join());
  const std::string large(3u << 20, 'x');
  ASSERT_EQ(send(client, large, socket_flags::k_dont_wait), std::to_string(large.size()));
  EXPECT_EQ(receive(server, 4u << 20), large);
}

TEST_P(sockets, go_through_the_states_of_the_diagram) {
  std::vector<std::string> seen;
  api.on_state([&](socket_id id, socket_state from, socket_state to) {
    seen.push_back((id == listening ? "l:"
                    : id == client  ? "c:"
                                    : "s:") +
                   std::string(to_string(from)) + ">" + to_string(to));
  });
  const auto first = api.socket(over);
  EXPECT_EQ(state(*first), "INIT");
  EXPECT_TRUE(api.close(*first));
  seen.clear();
  ASSERT_NO_FATAL_FAILURE(join());
  EXPECT_EQ(state(listening), "LISTENING");
  EXPECT_EQ(state(client), "OPEN");
  EXPECT_EQ(state(server), "OPEN");
  const auto has = [&](const std::string& line) { return std::find(seen.begin(), seen.end(), line) != seen.end(); };
  EXPECT_TRUE(has("l:BOUND>LISTENING"));
  EXPECT_TRUE(has("s:INIT>CONNECTING") || has("c:INIT>CONNECTING"));
  const bool shakes = is_encrypted() || over == socket_transport::ws || over == socket_transport::ws_ipc;
  EXPECT_EQ(has("c:CONNECTING>HANDSHAKING") || has("s:CONNECTING>HANDSHAKING"), shakes);
  ASSERT_TRUE(api.shutdown(client, shutdown_what::sending));
  EXPECT_EQ(receive(server), "(end)");
  if (!is_websocket()) {  // which answers a Close by itself
    EXPECT_EQ(state(server), "CLOSING");
    ASSERT_TRUE(api.shutdown(server, shutdown_what::sending));
  }
  EXPECT_TRUE(reaches(server, socket_state::closed));
  EXPECT_TRUE(reaches(client, socket_state::closed));
}

TEST_P(sockets, can_still_answer_after_the_peer_has_ended) {
  if (is_websocket()) GTEST_SKIP() << "a Close frame is answered at once";
  ASSERT_NO_FATAL_FAILURE(join());
  EXPECT_EQ(send(client, "question"), "8");
  ASSERT_TRUE(api.shutdown(client, shutdown_what::sending));
  EXPECT_EQ(receive(server), "question");
  EXPECT_EQ(receive(server), "(end)");
  EXPECT_EQ(send(server, "answer"), "6");
  EXPECT_EQ(receive(client), "answer");
  EXPECT_EQ(send(client, "more"), "ECLOSED");
}

TEST_P(sockets, drop_what_comes_once_receiving_is_shut_down) {
  ASSERT_NO_FATAL_FAILURE(join());
  EXPECT_EQ(send(client, "unread"), "6");
  ASSERT_TRUE(api.shutdown(server, shutdown_what::receiving));
  EXPECT_EQ(receive(server), "(end)");
  EXPECT_EQ(send(server, "still"), "5");
  EXPECT_EQ(receive(client), "still");
}

TEST_P(sockets, would_block_where_nothing_has_come_and_wait_no_longer_than_they_may) {
  ASSERT_NO_FATAL_FAILURE(join());
  EXPECT_EQ(receive(server, 10, socket_flags::k_dont_wait), "EAGAIN");
  set(server, "receiveTimeout", "5ms");
  EXPECT_EQ(receive(server), "ETIMEOUT");
  set(server, "nonBlocking", "on");
  EXPECT_EQ(receive(server), "EAGAIN");
  set(listening, "receive_timeout", "5ms");
  EXPECT_EQ(name_of_error(api.accept(listening)), "ETIMEOUT");
  set(listening, "nonblocking", "on");
  EXPECT_EQ(name_of_error(api.accept(listening)), "EAGAIN");
}

TEST_P(sockets, would_block_when_full_and_tell_when_there_is_room) {
  ASSERT_NO_FATAL_FAILURE(join({{"highWaterMark", "64KiB"}}, {{"receiveHighWaterMark", "64KiB"}}));
  const std::string piece(8000, 'p');
  std::size_t sent = 0;
  while (send(client, piece, socket_flags::k_dont_wait) == "8000") ++sent;
  EXPECT_EQ(send(client, piece, socket_flags::k_dont_wait), "EAGAIN");
  EXPECT_GT(sent, 1u);
  EXPECT_EQ(poll(client, socket_events::k_out, 0ms), 0u);
  set(client, "sendTimeout", "5ms");
  EXPECT_EQ(send(client, piece), "ETIMEOUT");
  for (std::size_t i = 0; i < sent; ++i) ASSERT_EQ(receive(server), piece) << i;
  EXPECT_EQ(poll(client, socket_events::k_out), socket_events::k_out);
  EXPECT_EQ(send(client, piece, socket_flags::k_dont_wait), "8000");
}

TEST_P(sockets, keep_a_message_that_does_not_fit_and_cut_it_only_if_told) {
  ASSERT_NO_FATAL_FAILURE(join());
  EXPECT_EQ(send(client, "seven b"), "7");
  EXPECT_EQ(receive(server, 3), "EMSGSIZE");
  EXPECT_EQ(receive(server, 7, socket_flags::k_peek), "seven b");
  std::vector<std::byte> small(3);
  const auto cut = api.recv(server, small, socket_flags::k_truncate);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->size, 3u);
  EXPECT_EQ(cut->length, 7u);
  EXPECT_FALSE(cut->message_end);
  EXPECT_EQ(receive(server, 7, socket_flags::k_dont_wait), "EAGAIN");
}

TEST_P(sockets, receive_as_a_stream_across_messages) {
  ASSERT_NO_FATAL_FAILURE(join());
  set(server, "fragmentationPolicy", "stream");
  for (const char* text : {"abc", "", "defg", "h"}) EXPECT_NE(send(client, text), "EAGAIN");
  EXPECT_EQ(poll(server, socket_events::k_in), socket_events::k_in);
  EXPECT_EQ(receive(server, 2), "ab");
  std::string rest;
  while (rest.size() < 6) rest += receive(server, 3);
  EXPECT_EQ(rest, "cdefgh");
  EXPECT_EQ(receive(server, 5, socket_flags::k_dont_wait), "EAGAIN");
}

TEST_P(sockets, send_a_stream_of_any_length) {
  ASSERT_NO_FATAL_FAILURE(join());
  set(client, "receive_mode", "stream");
  set(server, "receive_mode", "stream");
  std::string all(200'000, '\0');
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i * 7);
  EXPECT_EQ(send(client, all), "200000");
  std::string got;
  while (got.size() < all.size()) got += receive(server, 30'000);
  EXPECT_EQ(got, all);
}

TEST_P(sockets, send_one_message_in_several_calls) {
  ASSERT_NO_FATAL_FAILURE(join({{"maxMessageSize", "100"}}));
  EXPECT_EQ(send(client, "be", socket_flags::k_more), "2");
  EXPECT_EQ(send(client, "gin", socket_flags::k_more), "3");
  EXPECT_EQ(send(client, "ning"), "4");
  EXPECT_EQ(receive(server), "beginning");
  EXPECT_EQ(send(client, std::string(60, 'x'), socket_flags::k_more), "60");
  EXPECT_EQ(send(client, std::string(60, 'x')), "EOVERFLOW");
  EXPECT_EQ(send(client, "next"), "4");
  EXPECT_EQ(receive(server), "next") << "nothing of what was too large is left";
}

TEST_P(sockets, send_and_receive_a_message_in_fragments_as_they_come_where_both_are_streams) {
  ASSERT_NO_FATAL_FAILURE(join({{"fragmentationPolicy", "stream"}}, {{"fragmentationPolicy", "stream"}}));
  EXPECT_EQ(send(client, "first", socket_flags::k_more), "5");
  EXPECT_EQ(receive(server), "first") << "before the message has ended";
  std::byte buffer[100];
  EXPECT_EQ(send(client, " and more", socket_flags::k_more), "9");
  const auto middle = api.recv(server, buffer);
  ASSERT_TRUE(middle);
  EXPECT_EQ(as_text(bytes(buffer).first(middle->size)), " and more");
  EXPECT_EQ(middle->message_end, !is_websocket());
  EXPECT_EQ(send(client, " and the last"), "13");
  const auto last = api.recv(server, buffer);
  ASSERT_TRUE(last);
  EXPECT_EQ(as_text(bytes(buffer).first(last->size)), " and the last");
  EXPECT_TRUE(last->message_end);
  EXPECT_EQ(name_of_error(api.setsockopt(server, "fragmentationPolicy", "message")),
            is_websocket() ? "EINVAL" : "none");
}

TEST_P(sockets, send_fragments_that_are_one_message_to_who_wants_it_whole) {
  if (!is_websocket()) GTEST_SKIP() << "nothing but a WebSocket has fragments";
  ASSERT_NO_FATAL_FAILURE(join({{"receive_mode", "stream"}}));
  const std::string large(200'000, 'x');
  EXPECT_EQ(send(client, "frag", socket_flags::k_more | socket_flags::k_text), "4");
  EXPECT_EQ(send(client, large, socket_flags::k_more), "200000");
  EXPECT_EQ(send(client, "ments"), "5");
  EXPECT_EQ(receive(server), "frag" + large + "ments");
  EXPECT_EQ(send(client, "an", socket_flags::k_more), "2");
  EXPECT_EQ(send(client, ""), "0") << "ends it";
  EXPECT_EQ(send(client, "other"), "5");
  EXPECT_EQ(receive(server), "an");
  EXPECT_EQ(receive(server), "other");
}

TEST_P(sockets, refuse_messages_above_the_limit_and_send_the_next) {
  ASSERT_NO_FATAL_FAILURE(join({{"maxMessageSize", "1000"}}));
  EXPECT_EQ(send(client, std::string(1001, 'x')), "EOVERFLOW");
  EXPECT_EQ(send(client, std::string(1000, 'x')), "1000");
  EXPECT_EQ(receive(server).size(), 1000u);
}

TEST_P(sockets, end_when_the_peer_sends_more_than_their_limit) {
  if (over == socket_transport::shm) GTEST_SKIP() << "shared memory agrees on the smaller limit when it connects";
  ASSERT_NO_FATAL_FAILURE(join({}, {{"maxMessageSize", "1000"}}));
  EXPECT_EQ(send(client, std::string(1001, 'x')), "1001");
  EXPECT_EQ(receive(server), "EOVERFLOW");
  EXPECT_EQ(state(server), "CLOSED");
  EXPECT_EQ(api.getsockopt_number(server, socket_option::error).value(), static_cast<int>(socket_errno::eoverflow));
  EXPECT_EQ(api.getsockopt_number(server, socket_option::error).value(), 0) << "told once";
}

TEST_P(sockets, connect_without_waiting_and_tell_when_it_is_done) {
  ASSERT_NO_FATAL_FAILURE(listen());
  client = made();
  set(client, "nonblocking", "on");
  const auto begun = api.connect(client, where());
  EXPECT_TRUE(begun || name_of_error(begun) == "EINPROGRESS") << begun.error().text();
  EXPECT_EQ(name_of_error(api.connect(client, where())).substr(0, 1), "E");
  EXPECT_EQ(poll(client, socket_events::k_out), socket_events::k_out);
  EXPECT_EQ(api.getsockopt(client, "error").value(), "0");
  EXPECT_EQ(name_of_error(api.connect(client, where())), "EISCONN");
  EXPECT_EQ(poll(listening, socket_events::k_in), socket_events::k_in);
  EXPECT_TRUE(api.accept(listening));
}

TEST_P(sockets, say_why_nobody_is_there) {
  client = made();
  auto nowhere = address();
  nowhere.port = 1;
  if (!has_ports()) nowhere.path += "-nobody";
  const auto refused = api.connect(client, nowhere);
  EXPECT_EQ(name_of_error(refused), "ENET") << refused.error().text();
  EXPECT_EQ(state(client), "CLOSED");
  EXPECT_EQ(name_of_error(api.connect(client, nowhere)), "EINVAL") << "a closed socket stays closed";
}

TEST_P(sockets, reconnect_as_often_as_they_may) {
  client = made();
  for (const auto& [name, value] :
       settings{{"reconnect", "on"}, {"reconnectBase", "1ms"}, {"maxDelay", "1ms"}, {"maxAttempts", "3"}})
    set(client, name, value);
  std::vector<std::string> seen;
  api.on_state([&](socket_id, socket_state, socket_state to) { seen.emplace_back(to_string(to)); });
  auto nowhere = address();
  nowhere.port = 1;
  if (!has_ports()) nowhere.path += "-nobody";
  EXPECT_EQ(name_of_error(api.connect(client, nowhere)), "ENET");
  EXPECT_EQ(std::count(seen.begin(), seen.end(), "RECONNECTING"), 4) << "the last one finds that no attempt is left";
  EXPECT_EQ(std::count(seen.begin(), seen.end(), "CONNECTING"), 4);
  EXPECT_EQ(seen.back(), "CLOSED");
}

TEST_P(sockets, come_back_to_a_listener_that_comes_back) {
  const settings again{{"reconnect", "on"}, {"reconnectBase", "1ms"}, {"maxDelay", "1ms"}};
  ASSERT_NO_FATAL_FAILURE(join(again));
  const auto at = where();
  EXPECT_TRUE(api.close(server));
  EXPECT_TRUE(reaches(client, socket_state::open));
  const auto second = api.accept(listening);
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_EQ(send(client, "again"), "5");
  EXPECT_EQ(receive(*second), "again");
}

TEST_P(sockets, know_where_they_are) {
  ASSERT_NO_FATAL_FAILURE(join());
  const auto at = where();
  const auto peer = api.getpeername(client);
  ASSERT_TRUE(peer);
  if (has_ports()) {
    EXPECT_EQ(peer->host, "127.0.0.1");
    EXPECT_EQ(peer->port, at.port);
    EXPECT_EQ(peer->family, address_family::ipv4);
    const auto client_here = api.getsockname(client);
    const auto server_peer = api.getpeername(server);
    EXPECT_NE(client_here->port, 0);
    EXPECT_EQ(client_here->port, server_peer->port);
    EXPECT_EQ(api.getsockname(server)->port, at.port);
  } else {
    EXPECT_EQ(peer->family, address_family::local);
    EXPECT_EQ(at.path, address().path);
  }
  EXPECT_EQ(name_of_error(api.getpeername(listening)), "ENOTCONN");
}

TEST_P(sockets, speak_over_ipv6_where_there_are_ports) {
  if (!has_ports()) GTEST_SKIP() << "no port, no IPv6";
  listening = made();
  const socket_address loopback{.host = "::1", .family = address_family::ipv6};
  if (!api.bind(listening, loopback) || !api.listen(listening, 16)) GTEST_SKIP() << "no IPv6 on this machine";
  client = made();
  set(client, "rejectUnauthorized", "false");
  const auto connected = api.connect(client, where());
  ASSERT_TRUE(connected) << connected.error().text();
  const auto accepted = api.accept(listening);
  ASSERT_TRUE(accepted) << accepted.error().text();
  EXPECT_EQ(send(client, "over six"), "8");
  EXPECT_EQ(receive(*accepted), "over six");
  EXPECT_EQ(api.getpeername(client)->host, "::1");
  EXPECT_EQ(api.getpeername(client)->family, address_family::ipv6);
}

TEST_P(sockets, close_after_everything_has_arrived) {
  ASSERT_NO_FATAL_FAILURE(join());
  set(client, "nonblocking", "on");
  for (int i = 0; i < 100; ++i) ASSERT_EQ(send(client, std::string(1000, 'x')), "1000");
  EXPECT_TRUE(api.close(client));
  EXPECT_EQ(state(client), "EBADF");
  for (int i = 0; i < 100; ++i) ASSERT_EQ(receive(server).size(), 1000u) << i;
  EXPECT_EQ(receive(server), "(end)");
  EXPECT_TRUE(api.close(server));
  EXPECT_EQ(api.stats().lingering, 0u);
}

TEST_P(sockets, cut_at_once_where_the_close_policy_says_so) {
  ASSERT_NO_FATAL_FAILURE(join());
  set(client, "closePolicy", "hard");
  EXPECT_TRUE(api.close(client));
  EXPECT_NE(poll(server, socket_events::k_in) & socket_events::k_in, 0u);
  EXPECT_NE(state(server), "OPEN");
  EXPECT_EQ(api.stats().lingering, 0u);
}

TEST_P(sockets, are_counted_up_listed_and_closed_together) {
  ASSERT_NO_FATAL_FAILURE(join());
  EXPECT_LT(listening, client);
  EXPECT_LT(client, server);
  const auto all = api.list();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].id, listening);
  EXPECT_EQ(all[0].state, socket_state::listening);
  EXPECT_EQ(all[2].transport, over);
  EXPECT_EQ(send(client, "counted"), "7");
  EXPECT_EQ(receive(server), "counted");
  EXPECT_EQ(api.stats(server)->channel.messages_received, 1u);
  EXPECT_EQ(api.stats(listening)->accepted, 1u);
  EXPECT_EQ(api.stats().created, 3u);
  for (const auto& one : all) set(one.id, "nonblocking", "on");
  EXPECT_EQ(api.close_all(), 3u);
  EXPECT_TRUE(api.list().empty());
  EXPECT_EQ(api.stats().closed, 3u);
  const auto next = api.socket(over);
  EXPECT_GT(*next, server) << "no number is given out twice";
}

TEST_P(sockets, refuse_calls_that_are_not_for_their_state) {
  const auto one = made();
  EXPECT_EQ(name_of_error(api.listen(one)), "EINVAL");
  EXPECT_EQ(name_of_error(api.accept(one)), "EINVAL");
  EXPECT_EQ(send(one, "x"), "ENOTCONN");
  EXPECT_EQ(receive(one), "ENOTCONN");
  EXPECT_EQ(name_of_error(api.shutdown(one, shutdown_what::both)), "ENOTCONN");
  ASSERT_TRUE(api.bind(one, address()));
  EXPECT_EQ(name_of_error(api.bind(one, address())), "EINVAL");
  EXPECT_EQ(name_of_error(api.connect(one, address())), "EINVAL");
  ASSERT_NO_FATAL_FAILURE(join());
  EXPECT_EQ(name_of_error(api.setsockopt(client, "connectTimeout", "1s")), "EINVAL");
}

TEST_P(sockets, have_no_room_for_a_message_when_the_buffers_are_exhausted) {
  if (over == socket_transport::shm) GTEST_SKIP() << "what is sent lies in the ring";
  if (over == socket_transport::inproc) GTEST_SKIP() << "both ends share their buffers";
  ASSERT_NO_FATAL_FAILURE(listen());
  ASSERT_TRUE(api.run_in_background());
  socket_manager_options with;
  with.buffers.max_bytes = 128u << 10;
  socket_world small(over, with);  // its own buffers are few, the other end's are not
  small.client = small.made();
  if (is_encrypted()) {
    small.set(small.client, "ca", dir.file("host.pem.ca"));
    small.set(small.client, "cert", dir.file("host.pem"));
  }
  const auto connected = small.api.connect(small.client, where());
  ASSERT_TRUE(connected) << connected.error().text();
  std::string outcome;
  for (int i = 0; i < 10'000 && outcome != "EOVERFLOW" && outcome != "EAGAIN"; ++i)
    outcome = small.send(small.client, std::string(16'000, 'x'), socket_flags::k_dont_wait);
  EXPECT_EQ(outcome, "EOVERFLOW");
  EXPECT_NE(small.api.stats().buffers.refused, 0u);
}

}  // namespace
}  // namespace ferry::test
