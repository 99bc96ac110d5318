// Clients and servers of a gateway that a test plays by hand: the recorded conversation, and what a gateway should not
// do.
#include <ferry/gateway.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/endian.hpp"
#include "codec/gateway_packet.hpp"
#include "testing/hex.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using codec::gateway::command;
using codec::gateway::command_type;
using test::raw_tcp;
using test::run_until;
using namespace std::chrono_literals;

std::string packet(std::uint32_t connection, std::string_view message) {
  std::string made(codec::gateway::k_header_bytes, '\0');
  codec::gateway::store_header(reinterpret_cast<std::byte*>(made.data()), connection, message.size());
  return made.append(message);
}
std::string wire(const command& what) {
  const auto made = encode(what);
  return std::string(as_text(made.view()));
}

class gateway_by_hand : public ::testing::Test {
 protected:
  [[nodiscard]] std::string url() const { return "tcp://127.0.0.1:" + std::to_string(door.port()); }
  gateway_client client(const gateway_options& with = {}) {
    auto made = gateway_client::open(where, url(), with);
    EXPECT_TRUE(made) << made.error().text();
    return *made;
  }
  raw_tcp& arrival() {
    os::unique_fd fd;
    EXPECT_TRUE(turn(
        [&] {
          fd = door.try_accept();
          return static_cast<bool>(fd);
        },
        "a connection"));
    return arrivals.emplace_back(std::move(fd));
  }
  /// The next packet that came, whole; empty: the peer has ended.
  std::string next(raw_tcp& from) {
    std::size_t size = 0;
    EXPECT_TRUE(turn(
        [&] {
          const auto& came = from.received();
          size = came.size() < 4 ? 0 : 4 + load_le<std::uint32_t>(as_bytes(came).data());
          return (size != 0 && came.size() >= size) || from.ended();
        },
        "a packet"));
    return size == 0 || from.received().size() < size ? "" : from.take(size);
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }
  /// A virtual connection of that number to server 7.
  channel dialled(gateway_peer& from, raw_tcp& gateway, std::uint32_t number) {
    channel made;
    from.async_dial(7, [&](error_code code, channel one) {
      EXPECT_FALSE(code);
      made = std::move(one);
    });
    EXPECT_EQ(next(gateway), wire(command::dial(7)));
    gateway.send(wire(command::accept(number, 7)));
    EXPECT_TRUE(turn([&] { return static_cast<bool>(made); }, "the accept"));
    return made;
  }

  boost::asio::io_context io{1};
  context where{io};
  test::raw_tcp_listener door;
  std::deque<raw_tcp> arrivals;
};

TEST_F(gateway_by_hand, client_and_server_say_byte_for_byte_what_was_recorded) {
  auto asking = client();
  raw_tcp& to_client = arrival();
  auto serving = gateway_server::open(where, url(), 7, "sekrit");
  ASSERT_TRUE(serving);
  raw_tcp& to_server = arrival();
  channel here, there, back;
  serving->on_channel([&](channel one) { there = std::move(one); });
  std::optional<error_code> refused;
  std::size_t said = 0, heard = 0;
  for (const auto& line : test::recorded_conversation(FERRY_SOURCE_DIR "/tests/interop/data/gateway.jsonl")) {
    raw_tcp& which = line.connection == "server" ? to_server : to_client;
    if (line.direction.starts_with("G")) {
      which.send(as_text(line.data));
      ++said;
      if (line.what.starts_with("accept")) {
        ASSERT_TRUE(turn([&] { return static_cast<bool>(here); }, "the accept"));
      }
      if (line.what.starts_with("connect")) {
        ASSERT_TRUE(turn([&] { return static_cast<bool>(there); }, "the connect"));
      }
      if (line.what.starts_with("accept to server")) {
        ASSERT_TRUE(turn([&] { return static_cast<bool>(back); }, "the accept"));
      }
      continue;
    }
    if (line.what == "dial unknown server 99")
      asking.async_dial(99, [&](error_code code, channel) { refused = code; });
    else if (line.what == "dial server 7")
      asking.async_dial(7, [&](error_code, channel one) { here = std::move(one); });
    else if (line.what == "message")
      ASSERT_TRUE(here.try_send("Hello"));
    else if (line.what == "empty message")
      ASSERT_TRUE(there.try_send(""));
    else if (line.what == "server dials client 1")
      serving->async_dial(1, [&](error_code, channel one) { back = std::move(one); });
    else if (line.what == "close")
      here.half_close();
    else if (!line.what.starts_with("md5"))
      continue;  // what these peers have no reason to say
    std::string got;
    ASSERT_TRUE(turn([&] { return which.received().size() >= line.data.size(); }, line.what));
    EXPECT_EQ(test::to_hex(as_bytes(which.take(line.data.size()))), test::to_hex(line.data)) << line.what;
    ++heard;
    if (line.what.starts_with("md5")) {
      EXPECT_EQ(next(to_server), wire(command::ping())) << "whether the login was right";
      to_server.send(wire(command::ping()));
      ASSERT_TRUE(turn([&] { return serving->state() == channel_state::up; }, "the answer"));
    }
  }
  EXPECT_EQ(*refused, errc::refused);
  ASSERT_EQ(there.messages_waiting(), 1u);
  EXPECT_EQ(there.try_receive()->text(), "Hello");
  EXPECT_EQ(heard, 7u);
  EXPECT_GE(said, 11u);
}

TEST_F(gateway_by_hand, dial_without_an_answer_times_out_and_a_late_one_is_closed) {
  gateway_options with;
  with.dial_timeout = 20ms;
  auto asking = client(with);
  raw_tcp& gateway = arrival();
  std::optional<error_code> how;
  asking.async_dial(7, [&](error_code code, channel) { how = code; });
  EXPECT_EQ(next(gateway), wire(command::dial(7)));
  ASSERT_TRUE(turn([&] { return how.has_value(); }, "the deadline"));
  EXPECT_EQ(*how, errc::timeout);
  gateway.send(wire(command::accept(5, 7)));
  EXPECT_EQ(next(gateway), wire(command::close(5)));
}

TEST_F(gateway_by_hand, dial_times_out_while_the_gateway_is_not_reached) {
  gateway_options with;
  with.dial_timeout = 20ms;
  auto asking = gateway_server::open(where, url(), 7, "no challenge comes", with);
  ASSERT_TRUE(asking);
  std::optional<error_code> how;
  asking->async_dial(1, [&](error_code code, channel) { how = code; });
  ASSERT_TRUE(turn([&] { return how.has_value(); }, "the deadline"));
  EXPECT_EQ(*how, errc::timeout);
}

TEST_F(gateway_by_hand, dial_is_closed_when_the_gateway_goes_and_cancelled_when_its_caller_wants) {
  auto asking = client();
  raw_tcp& gateway = arrival();
  boost::asio::cancellation_signal stop;
  std::optional<error_code> first, second;
  asking.async_dial(7,
                    boost::asio::bind_cancellation_slot(stop.slot(), [&](error_code code, channel) { first = code; }));
  asking.async_dial(7, [&](error_code code, channel) { second = code; });
  EXPECT_EQ(next(gateway), wire(command::dial(7)));
  EXPECT_EQ(next(gateway), wire(command::dial(7)));
  stop.emit(boost::asio::cancellation_type::terminal);
  ASSERT_TRUE(turn([&] { return first.has_value(); }, "the cancellation"));
  EXPECT_EQ(*first, errc::cancelled);
  gateway.send(wire(command::accept(5, 7)));
  EXPECT_EQ(next(gateway), wire(command::close(5))) << "nobody waits for it any more";
  gateway.close();
  ASSERT_TRUE(turn([&] { return second.has_value(); }, "the end"));
  EXPECT_EQ(*second, errc::closed);
}

TEST_F(gateway_by_hand, more_dials_than_may_wait_are_told_so) {
  gateway_options with;
  with.max_dials = 1;
  auto asking = client(with);
  std::optional<error_code> how;
  asking.async_dial(7, [](error_code, channel) {});
  asking.async_dial(7, [&](error_code code, channel) { how = code; });
  ASSERT_TRUE(turn([&] { return how.has_value(); }, "the limit"));
  EXPECT_EQ(*how, errc::busy);
}

TEST_F(gateway_by_hand, silent_client_pings) {
  gateway_options with;
  with.ping_interval = 10ms;
  auto asking = client(with);
  raw_tcp& gateway = arrival();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(next(gateway), wire(command::ping()));
    gateway.send(wire(command::ping()));
  }
  EXPECT_TRUE(turn([&] { return asking.stats().round_trip.has_value(); }, "the answer"));
  EXPECT_EQ(asking.state(), channel_state::up);
}

TEST_F(gateway_by_hand, gateway_that_answers_no_ping_is_told_of_and_left_for_another_connection_at_once) {
  gateway_options with;
  with.ping_interval = 10ms;
  with.ping_timeout = 10ms;
  int told = 0;
  with.on_ping_timeout = [&] { ++told; };
  with.link.reconnect = true;
  with.link.reconnect_base = with.link.reconnect_max = std::chrono::hours(1);
  std::optional<down_info> down;  // until the client has gone: its end is told too
  auto asking = client(with);
  asking.on_down([&](const down_info& info) { down = info; });
  raw_tcp& gateway = arrival();
  auto here = dialled(asking, gateway, 1);
  raw_tcp& again = arrival();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(down->reason, errc::timeout);
  EXPECT_TRUE(down->will_reconnect);
  EXPECT_EQ(here.last_error(), errc::timeout);
  EXPECT_EQ(next(again), wire(command::ping()));
}

TEST_F(gateway_by_hand, nothing_of_an_earlier_connection_reaches_a_later_one) {
  gateway_options with;
  with.link.reconnect = true;
  with.link.reconnect_base = 1ms;
  auto asking = client(with);
  raw_tcp& gateway = arrival();
  auto old = dialled(asking, gateway, 1);
  std::optional<down_info> down;
  old.on_down([&](const down_info& info) { down = info; });
  while (old.try_send(std::string(100'000, 'x'))) test::run_ready(io);
  gateway.close();
  raw_tcp& again = arrival();
  ASSERT_TRUE(turn([&] { return down.has_value(); }, "the end of the old one"));
  EXPECT_FALSE(down->will_reconnect);
  EXPECT_GE(down->messages_maybe_lost, 1u);
  EXPECT_EQ(old.try_send("more").error(), errc::closed);
  auto fresh = dialled(asking, again, 1);  // the first that is said, and the same number
  ASSERT_TRUE(fresh.try_send("fresh"));
  EXPECT_EQ(next(again), packet(1, "fresh"));
  EXPECT_EQ(asking.stats().connections, 2u);
}

TEST_F(gateway_by_hand, gateway_that_breaks_the_protocol_is_left_for_good) {
  for (const auto& wrong :
       {std::string("\3\0\0\0abc", 7), std::string("\xff\xff\xff\xff", 4), packet(0, "\x06"), packet(0, ""),
        wire(command::accept(1, 7)), wire(command::dial(7)), wire(command::connect(0, 1))}) {
    gateway_options with;
    with.link.reconnect = true;
    auto asking = client(with);
    raw_tcp& gateway = arrival();
    gateway.send(wrong);
    EXPECT_TRUE(turn([&] { return asking.state() == channel_state::closed; }, "the end"));
    EXPECT_EQ(asking.last_error().code(), condition::protocol_violation) << test::to_hex(as_bytes(wrong));
    EXPECT_EQ(next(gateway), "");
  }
}

TEST_F(gateway_by_hand, server_whose_challenge_never_is_whole_says_so_and_tries_again) {
  gateway_options with;
  with.link.reconnect = true;
  with.link.reconnect_base = 1ms;
  auto serving = gateway_server::open(where, url(), 7, "sekrit", with);
  ASSERT_TRUE(serving);
  std::vector<error> failures;
  serving->on_connect_failure([&](const error& why) { failures.push_back(why); });
  raw_tcp& half = arrival();
  half.send("1234");
  test::run_ready(io);
  half.close();
  raw_tcp& again = arrival();
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0], errc::truncated);
  again.send("12345678");
  ASSERT_TRUE(turn([&] { return again.received().size() >= 20; }, "the login"));
}

TEST_F(gateway_by_hand, what_is_no_address_behind_connect_is_passed_over) {
  auto serving = gateway_server::open(where, url(), 7, "sekrit");
  ASSERT_TRUE(serving);
  std::vector<channel> came;
  serving->on_channel([&](channel one) { came.push_back(std::move(one)); });
  raw_tcp& gateway = arrival();
  gateway.send("12345678");
  ASSERT_TRUE(turn([&] { return gateway.received().size() >= 20; }, "the login"));
  gateway.send(wire(command::ping()));
  std::uint32_t number = 0;
  for (const auto& more : {std::string("[2001:db8::1]:4711"), std::string("two words"), std::string("\0\1", 2),
                           std::string("\xc3\xa9"), std::string(65, 'x'), std::string(64, 'x')}) {
    const auto plain = wire(command::connect(++number, 3)).substr(codec::gateway::k_header_bytes);
    gateway.send(packet(0, plain + more));
    ASSERT_TRUE(turn([&] { return came.size() == number; }, "the virtual connection"));
  }
  EXPECT_EQ(came[0].peer().address, "[2001:db8::1]:4711");
  for (const std::size_t other : {1, 2, 3, 4}) EXPECT_EQ(came[other].peer().address, "client 3") << other;
  EXPECT_EQ(came[5].peer().address, std::string(64, 'x'));
}

TEST_F(gateway_by_hand, login_by_hmac_ends_where_the_gateway_proves_nothing) {
  gateway_options with;
  with.login = gateway_login::hmac;
  for (const auto& [answer, how] : {std::pair<std::string, errc>{"", errc::auth},
                                    {wire(command::ping()), errc::protocol},
                                    {packet(0, "\x06" + std::string(32, 'x')), errc::auth}}) {
    auto serving = gateway_server::open(where, url(), 7, "sekrit", with);
    ASSERT_TRUE(serving);
    raw_tcp& gateway = arrival();
    gateway.send("12345678");
    ASSERT_TRUE(turn([&] { return gateway.received().size() >= 68; }, "the login"));
    gateway.send(answer);
    if (answer.empty()) gateway.close();
    ASSERT_TRUE(turn([&] { return serving->state() == channel_state::closed; }, "the end"));
    EXPECT_EQ(serving->last_error(), how) << serving->last_error().text();
    EXPECT_EQ(gateway.received().size(), 68u) << "nothing behind the login";
  }
}

TEST_F(gateway_by_hand, gateway_that_dials_without_end_and_reads_nothing_is_left) {
  gateway_options with;
  with.max_connections = 1;
  with.max_dials = 1;
  with.link.send_queue_bytes = 64 * 1024;
  with.link.socket_send_buffer = 16 * 1024;
  auto asked = client(with);
  raw_tcp& gateway = arrival();
  std::string flood;
  for (std::uint32_t number = 1; number <= 200'000; ++number) flood += wire(command::connect(number, 7));
  std::string_view rest = flood;
  ASSERT_TRUE(turn(
      [&] {
        if (const auto n = gateway.try_send(rest); n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
        return asked.state() == channel_state::closed;
      },
      "its end"));
  EXPECT_EQ(asked.last_error(), errc::full);
}

TEST_F(gateway_by_hand, close_behind_a_full_queue_still_reaches_the_gateway) {
  gateway_options with;
  with.link.send_queue_bytes = 64 * 1024;
  auto asking = client(with);
  raw_tcp& gateway = arrival();
  auto here = dialled(asking, gateway, 1);
  std::size_t sent = 0;
  const std::string piece(50'000, 'x');
  for (int turns = 0; turns < 1000 && here.try_send(piece); ++turns) {
    ++sent;
    test::run_ready(io);
  }
  ASSERT_FALSE(here.try_send(piece));
  std::size_t empty = 0;
  while (here.try_send("")) ++empty;  // until there is no room for the Close either
  std::optional<close_report> closed;
  here.async_close([&](error_code, const close_report& report) { closed = report; });
  test::run_ready(io);
  EXPECT_FALSE(closed) << "the gateway has not taken everything";
  for (std::size_t i = 0; i < sent; ++i) ASSERT_EQ(next(gateway), packet(1, piece)) << i;
  for (std::size_t i = 0; i < empty; ++i) ASSERT_EQ(next(gateway), packet(1, "")) << i;
  EXPECT_EQ(next(gateway), wire(command::close(1)));
  ASSERT_TRUE(turn([&] { return closed.has_value(); }, "the report"));
  EXPECT_EQ(closed->reason, errc::closed);
}

}  // namespace
}  // namespace ferry
