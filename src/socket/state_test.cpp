#include "socket/state.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ferry::sockets {
namespace {

using e = socket_event;
using s = socket_state;

constexpr s k_states[] = {s::init, s::bound,   s::listening, s::connecting,  s::handshaking,
                          s::open, s::closing, s::closed,    s::reconnecting};
constexpr e k_events[] = {e::bind, e::listen, e::connect, e::accept, e::handshake, e::up,
                          e::end,  e::fail,   e::over,    e::retry,  e::again,     e::drop};

s walk(std::initializer_list<e> events) {
  s at = s::init;
  for (const e one : events) {
    const auto next = after(at, one);
    EXPECT_TRUE(next) << to_string(at) << " and event " << static_cast<int>(one);
    at = next.value_or(at);
  }
  return at;
}

TEST(socket_states, lead_from_init_to_listening) { EXPECT_EQ(walk({e::bind, e::listen}), s::listening); }

TEST(socket_states, lead_from_connecting_to_open_with_and_without_a_handshake) {
  EXPECT_EQ(walk({e::connect, e::up}), s::open);
  EXPECT_EQ(walk({e::connect, e::handshake}), s::handshaking);
  EXPECT_EQ(walk({e::connect, e::handshake, e::up}), s::open);
}

TEST(socket_states, let_an_accepted_socket_be_open_after_its_handshake) {
  EXPECT_EQ(walk({e::accept}), s::open);
  EXPECT_EQ(walk({e::handshake, e::accept}), s::open);
}

TEST(socket_states, close_an_attempt_that_fails_at_once) {
  EXPECT_EQ(walk({e::connect, e::fail}), s::closed);
  EXPECT_EQ(walk({e::connect, e::handshake, e::fail}), s::closed);
}

TEST(socket_states, go_from_open_to_closed_through_closing_alone) {
  for (const e one : {e::end, e::fail}) EXPECT_EQ(after(s::open, one), s::closing);
  EXPECT_EQ(after(s::open, e::over), std::nullopt);
  EXPECT_EQ(after(s::closing, e::over), s::closed);
}

TEST(socket_states, come_back_through_reconnecting) {
  EXPECT_EQ(walk({e::connect, e::up, e::fail, e::over, e::retry, e::again, e::up}), s::open);
}

TEST(socket_states, have_no_other_ways) {
  std::size_t ways = 0;
  for (const s from : k_states)
    for (const e what : k_events)
      if (what != e::drop && after(from, what)) ++ways;
  // init 4, bound 1, connecting 5, handshaking 4, open 2, closing 1, closed 1, reconnecting 1
  EXPECT_EQ(ways, 19u);
}

TEST(socket_states, can_be_dropped_from_everywhere_once) {
  for (const s from : k_states) EXPECT_EQ(after(from, e::drop).has_value(), from != s::closed) << to_string(from);
}

}  // namespace
}  // namespace ferry::sockets
