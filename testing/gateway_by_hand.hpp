#pragma once
/// A gateway in a test, and its clients and servers by hand.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <string>

#include "base/endian.hpp"
#include "codec/gateway_login.hpp"
#include "codec/gateway_packet.hpp"
#include "gateway/gateway.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {

using codec::gateway::command;
using gateway::service;
using gateway::settings;

inline constexpr const char* k_gateway_key = "sekrit";

inline std::uint16_t port_of(const std::string& url) {
  return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}
inline std::string packet(std::uint32_t connection, std::string_view message) {
  std::string made(codec::gateway::k_header_bytes, '\0');
  codec::gateway::store_header(reinterpret_cast<std::byte*>(made.data()), connection, message.size());
  return made.append(message);
}
inline std::string wire(const command& what) {
  const auto made = encode(what);
  return std::string(as_text(made.view()));
}

inline settings local(settings with = {}) {
  if (with.clients.url == settings{}.clients.url) with.clients.url = "tcp://127.0.0.1:0";
  if (with.servers.url == settings{}.servers.url) with.servers.url = "tcp://127.0.0.1:0";
  if (with.server_keys.empty()) with.server_key = k_gateway_key;
  return with;
}

// A client or a server by hand, which reads when it is told to.
class gateway_peer {
 public:
  gateway_peer(boost::asio::io_context& io, std::uint16_t port) : io_(io), socket_(port) {}

  void send(std::string_view data) { socket_.send(data); }
  void say(const command& what) { socket_.send(wire(what)); }
  /// The next packet, whole, as it came; empty: the gateway closed the connection.
  [[nodiscard]] std::string next() {
    std::size_t size = 0;
    EXPECT_TRUE(run_until(
        io_,
        [&] {
          const auto& came = socket_.received();
          size = came.size() < 4 ? 0 : 4 + load_le<std::uint32_t>(as_bytes(came).data());
          return (size != 0 && came.size() >= size) || (socket_.ended() && (size == 0 || came.size() < size));
        },
        "a packet"));
    return size == 0 || socket_.received().size() < size ? "" : socket_.take(size);
  }
  [[nodiscard]] std::optional<command> next_command() {
    const auto came = next();
    if (came.size() < 9) return std::nullopt;
    const auto read = codec::gateway::decode_command(as_bytes(came).subspan(8));
    return read ? std::optional(*read) : std::nullopt;
  }
  [[nodiscard]] ::testing::AssertionResult is_closed() {
    return run_until(
        io_, [&] { return socket_.ended(); }, "the end of the connection");
  }
  /// Nothing has come, and the connection is there: a ping comes back next.
  [[nodiscard]] bool is_well() {
    say(command::ping());
    return next_command() == command::ping();
  }
  raw_tcp& socket() { return socket_; }

 private:
  boost::asio::io_context& io_;
  raw_tcp socket_;
};

/// A server's part of its login.
inline void log_in(boost::asio::io_context& io, gateway_peer& who, std::uint32_t id, const char* key) {
  ASSERT_TRUE(run_until(
      io, [&] { return who.socket().received().size() >= 8; }, "the challenge"));
  const auto asked = who.socket().take(8);
  codec::gateway::challenge number{};
  std::copy_n(as_bytes(asked).begin(), 8, number.begin());
  const auto said = codec::gateway::encode({codec::gateway::prove(number, key), id});
  who.send(as_text(said));
}

class gateway_service : public ::testing::Test {
 protected:
  void open(const settings& with = {}) {
    auto made = service::open(where, local(with));
    ASSERT_TRUE(made) << made.error().text();
    it.emplace(std::move(*made));
  }
  gateway_peer& client() {
    gateway_peer& made = peers.emplace_back(io, port_of(it->client_url()));
    EXPECT_TRUE(made.is_well());
    return made;
  }
  gateway_peer& knocking() { return peers.emplace_back(io, port_of(it->server_url())); }
  gateway_peer& server(std::uint32_t id) {
    gateway_peer& made = knocking();
    login(made, id, k_gateway_key);
    EXPECT_TRUE(made.is_well());
    return made;
  }
  void login(gateway_peer& who, std::uint32_t id, const char* key) { log_in(io, who, id, key); }
  std::uint32_t dial(gateway_peer& from, gateway_peer& to, std::uint32_t server_id) {
    from.say(command::dial(server_id));
    const auto accepted = from.next_command();
    const auto connected = to.next_command();
    EXPECT_TRUE(accepted && accepted->type == codec::gateway::command_type::accept);
    EXPECT_TRUE(connected && connected->type == codec::gateway::command_type::connect);
    return accepted ? accepted->connection : 0;
  }

  boost::asio::io_context io{1};
  context where{io};
  std::optional<service> it;
  std::deque<gateway_peer> peers;
};

/// Alike, on however many threads it runs: the parameter.
class gateway_service_on_threads : public gateway_service, public ::testing::WithParamInterface<std::uint32_t> {
 protected:
  void open(settings with = {}) {
    with.threads = GetParam();
    gateway_service::open(with);
  }
};

}  // namespace ferry::test
