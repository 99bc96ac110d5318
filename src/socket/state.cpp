#include "socket/state.hpp"

namespace ferry {

const char* to_string(socket_state state) noexcept {
  switch (state) {
    case socket_state::init: return "INIT";
    case socket_state::bound: return "BOUND";
    case socket_state::listening: return "LISTENING";
    case socket_state::connecting: return "CONNECTING";
    case socket_state::handshaking: return "HANDSHAKING";
    case socket_state::open: return "OPEN";
    case socket_state::closing: return "CLOSING";
    case socket_state::closed: return "CLOSED";
    case socket_state::reconnecting: return "RECONNECTING";
  }
  return "?";
}

namespace sockets {

std::optional<socket_state> after(socket_state from, socket_event what) noexcept {
  using e = socket_event;
  using s = socket_state;
  constexpr std::optional<s> no;
  const auto to = [](s next) { return std::optional<s>(next); };
  if (what == e::drop) return from == s::closed ? no : to(s::closed);
  switch (from) {
    case s::init:
      if (what == e::bind) return to(s::bound);
      if (what == e::connect) return to(s::connecting);
      if (what == e::handshake) return to(s::handshaking);
      return what == e::accept ? to(s::open) : no;
    case s::bound: return what == e::listen ? to(s::listening) : no;
    case s::listening: return no;
    case s::connecting:
      if (what == e::handshake) return to(s::handshaking);
      [[fallthrough]];
    case s::handshaking:
      if (what == e::up || what == e::accept) return to(s::open);
      return what == e::fail || what == e::end ? to(s::closed) : no;
    case s::open: return what == e::end || what == e::fail ? to(s::closing) : no;
    case s::closing: return what == e::over ? to(s::closed) : no;
    case s::closed: return what == e::retry ? to(s::reconnecting) : no;
    case s::reconnecting: return what == e::again ? to(s::connecting) : no;
  }
  return no;
}

}  // namespace sockets
}  // namespace ferry
