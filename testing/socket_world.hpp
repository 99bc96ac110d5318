#pragma once
/// For tests: a manager, a transport, and two sockets of it that talk to each other.

#include <ferry/socket.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"

namespace ferry::test {

using namespace std::chrono_literals;

inline constexpr socket_transport k_transports[] = {
    socket_transport::ipc,     socket_transport::tcp,    socket_transport::tls, socket_transport::shm,
    socket_transport::inproc,  socket_transport::ws,     socket_transport::wss, socket_transport::raw_ws,
    socket_transport::raw_wss, socket_transport::ws_ipc,
};
inline std::string name_of(socket_transport transport) {
  static constexpr const char* k_names[] = {"",   "ipc", "tcp",    "tls",     "shm",   "inproc",
                                            "ws", "wss", "raw_ws", "raw_wss", "ws_ipc"};
  return k_names[static_cast<int>(transport)];
}

/// One manager has both ends, so a call at one of them lets the other progress too.
class socket_world {
 public:
  explicit socket_world(socket_transport transport, const socket_manager_options& with = {})
      : over(transport), api(with) {
    if (is_encrypted()) tls_authority().issue(dir.file("host.pem"), {.names = "DNS:localhost,IP:127.0.0.1"});
  }

  [[nodiscard]] bool is_encrypted() const {
    return over == socket_transport::tls || over == socket_transport::wss || over == socket_transport::raw_wss;
  }
  [[nodiscard]] bool has_ports() const {
    return over != socket_transport::ipc && over != socket_transport::shm && over != socket_transport::inproc &&
           over != socket_transport::ws_ipc;
  }
  [[nodiscard]] bool is_websocket() const { return over >= socket_transport::ws; }

  /// Where to bind.
  [[nodiscard]] socket_address address() const {
    socket_address made;
    if (has_ports()) {
      made.host = "127.0.0.1";
      made.family = address_family::ipv4;
    } else {
      made.family = address_family::local;
      made.path = over == socket_transport::ipc || over == socket_transport::ws_ipc ? dir.file("socket") : "meeting";
    }
    return made;
  }
  socket_id made() {
    const auto one = api.socket(over);
    if (!one) ADD_FAILURE() << one.error().text();
    const socket_id id = one ? *one : 0;
    set(id, "runtime_dir", std::string(dir.path()));
    if (is_encrypted()) {
      set(id, "cert", dir.file("host.pem"));
      set(id, "ca", dir.file("host.pem.ca"));
    }
    return id;
  }
  void set(socket_id id, std::string_view name, std::string_view value) {
    const auto done = api.setsockopt(id, name, value);
    EXPECT_TRUE(done) << done.error().text();
  }
  /// Options for both ends, before they are used.
  using settings = std::vector<std::pair<std::string, std::string>>;

  void listen(const settings& with = {}) {
    listening = made();
    for (const auto& [name, value] : with) set(listening, name, value);
    auto done = api.bind(listening, address());
    ASSERT_TRUE(done) << done.error().text();
    done = api.listen(listening, 16);
    ASSERT_TRUE(done) << done.error().text();
  }
  [[nodiscard]] socket_address where() {
    const auto at = api.getsockname(listening);
    EXPECT_TRUE(at) << at.error().text();
    return at ? *at : socket_address{};
  }
  /// Makes `client` and `server`, both open.
  void join(const settings& client_with = {}, const settings& server_with = {}) {
    if (listening == 0) {
      ASSERT_NO_FATAL_FAILURE(listen(server_with));
    }
    client = made();
    for (const auto& [name, value] : client_with) set(client, name, value);
    const auto connected = api.connect(client, where());
    ASSERT_TRUE(connected) << connected.error().text();
    const auto accepted = api.accept(listening);
    ASSERT_TRUE(accepted) << accepted.error().text();
    server = *accepted;
  }

  /// What recv gives; its error's name otherwise.
  [[nodiscard]] std::string receive(socket_id id, std::size_t room = 1u << 20, unsigned flags = 0) {
    std::vector<std::byte> buffer(room);
    const auto got = api.recv(id, buffer, flags);
    if (!got) return to_string(socket_errno_of(got.error()));
    if (got->end) return "(end)";
    return std::string(as_text(bytes(buffer).first(got->size)));
  }
  /// "7" for seven bytes taken, else the error's name.
  [[nodiscard]] std::string send(socket_id id, std::string_view text, unsigned flags = 0) {
    const auto sent = api.send(id, as_bytes(text), flags);
    return sent ? std::to_string(*sent) : to_string(socket_errno_of(sent.error()));
  }
  [[nodiscard]] std::string state(socket_id id) {
    const auto found = api.state(id);
    return found ? to_string(*found) : to_string(socket_errno_of(found.error()));
  }
  /// Turns until the socket is in this state.
  [[nodiscard]] ::testing::AssertionResult reaches(socket_id id, socket_state wanted) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < end) {
      const auto found = api.state(id);
      if (found && *found == wanted) return ::testing::AssertionSuccess();
      socket_poll one{id, socket_events::k_in};  // whoever asks for messages is told of the end
      (void)api.poll({&one, 1}, 1ms);
    }
    return ::testing::AssertionFailure() << "is " << state(id) << ", not " << to_string(wanted);
  }
  [[nodiscard]] unsigned poll(socket_id id, unsigned events, std::chrono::milliseconds limit = 60s) {
    socket_poll one{id, events};
    (void)api.poll({&one, 1}, limit);
    return one.revents;
  }
  template <class T>
  [[nodiscard]] static std::string name_of_error(const result<T>& outcome) {
    return outcome ? "none" : to_string(socket_errno_of(outcome.error()));
  }

  const socket_transport over;
  temp_dir dir;
  socket_manager api;
  socket_id listening = 0, client = 0, server = 0;
};

}  // namespace ferry::test
