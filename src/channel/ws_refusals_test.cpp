// What a listener makes of WebSocket handshakes that come to nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "net/guests.hpp"
#include "testing/listening_world.hpp"
#include "testing/tcp_by_hand.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ws_refusals : public listening_world {
 protected:
  void listen(const options& with = {}) { listen_at("ws://127.0.0.1:0/chat", with); }
  [[nodiscard]] static std::string request(const std::string& path) {
    return "GET " + path +
           " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  }
};

TEST_F(ws_refusals, answer_who_asks_for_another_path_and_keep_nobody_else_waiting) {
  listen();
  raw_tcp lost(port());
  lost.send(request("/other"));
  ASSERT_TRUE(run_until(
      io, [&] { return !refusals.empty() && lost.ended(); }, "a refusal"));
  EXPECT_EQ(refusals[0], errc::not_found);
  EXPECT_THAT(refusals[0].text(), Not(HasSubstr("accepting pauses")));
  EXPECT_THAT(lost.received(), HasSubstr("HTTP/1.1 404 Not Found\r\n"));
  raw_tcp welcome(port());
  welcome.send(request("/chat"));
  ASSERT_TRUE(run_until(
      io, [&] { return !arrivals.empty(); }, "a channel"));
}

TEST_F(ws_refusals, tell_who_is_too_slow_that_it_is) {
  options with;
  with.connect_timeout = std::chrono::milliseconds(50);
  listen(with);
  raw_tcp slow(port());
  slow.send(request("/chat").substr(0, 30));
  ASSERT_TRUE(run_until(
      io, [&] { return !refusals.empty() && slow.ended(); }, "a refusal"));
  EXPECT_EQ(refusals[0], errc::timeout);
  EXPECT_THAT(slow.received(), HasSubstr("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_THAT(slow.received(), HasSubstr("(connect_timeout)"));
}

TEST_F(ws_refusals, come_behind_a_balancer_with_the_clients_address) {
  options with;
  with.proxy_protocol = proxy_protocol_kind::accept;
  listen(with);
  raw_tcp balancer(port());
  balancer.send("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n" + request("/other"));
  ASSERT_TRUE(run_until(
      io, [&] { return !refusals.empty(); }, "a refusal"));
  EXPECT_THAT(refusals[0].text(), HasSubstr("connection from 192.0.2.7:4711 (through 127.0.0.1:"));
  raw_tcp other(port());
  other.send("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n" + request("/chat"));
  ASSERT_TRUE(run_until(
      io, [&] { return !arrivals.empty(); }, "a channel"));
  EXPECT_EQ(arrivals[0].peer().address, "192.0.2.7:4711");
}

/// As many descriptors as this process may have, while it lives.
class all_descriptors {
 public:
  all_descriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit most = before_;
    most.rlim_cur = most.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &most);
  }
  ~all_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  all_descriptors(const all_descriptors&) = delete;
  all_descriptors& operator=(const all_descriptors&) = delete;

 private:
  rlimit before_{};
};

raw_tcp from_another_host(std::uint16_t port) {
  os::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in other = raw_tcp::loopback(0);
  other.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
  const sockaddr_in to = raw_tcp::loopback(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&other), sizeof other) != 0) raw_tcp::fail("bind");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) raw_tcp::fail("connect");
  return raw_tcp(std::move(fd));
}

TEST_F(ws_refusals, above_the_limit_of_handshakes_are_for_the_host_that_has_the_most_which_reads_503) {
  const all_descriptors many;
  options with;
  with.connect_timeout = {};
  listen(with);
  raw_tcp honest = from_another_host(port());
  honest.send(request("/chat").substr(0, 30));
  std::vector<raw_tcp> flood;
  for (std::size_t i = 0; i < net::k_most_guests; ++i) {
    flood.emplace_back(port());
    flood.back().send("GET ");
    run_ready(io);
  }
  ASSERT_TRUE(run_until(
      io, [&] { return refusals.size() == 1 && flood.front().ended(); }, "a refusal"));
  EXPECT_THAT(flood.front().received(), ::testing::StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(flood.front().received(), HasSubstr("1024 handshakes were under way"));
  EXPECT_FALSE(flood[1].ended());
  honest.send(request("/chat").substr(30));
  ASSERT_TRUE(run_until(
      io, [&] { return !arrivals.empty(); }, "a channel for who came before them"));
  EXPECT_EQ(refusals.size(), 1u);
}

// What the program decides about a request ------------------------------------------------------------

TEST_F(ws_refusals, tell_a_page_of_another_origin_403_and_let_the_others_in) {
  options with;
  with.ws_origins = "https://example.com,http://localhost:8080";
  listen(with);
  options asking;
  asking.reconnect = false;
  asking.ws_origin = "https://example.com.evil.example";
  auto evil = channel::open(where, listening.url(), asking).value();
  ASSERT_TRUE(run_until(
      io, [&] { return evil.state() == channel_state::closed && !refusals.empty(); }, "a refusal"));
  EXPECT_EQ(evil.last_error(), errc::auth) << evil.last_error().text();
  EXPECT_THAT(evil.last_error().text(), HasSubstr("403"));
  EXPECT_EQ(refusals[0], errc::auth);
  EXPECT_THAT(refusals[0].text(), HasSubstr("example.com.evil.example"));
  for (const char* origin : {"https://example.com", "http://localhost:8080", ""}) {
    asking.ws_origin = origin;
    auto good = channel::open(where, listening.url(), asking).value();
    ASSERT_TRUE(run_until(
        io, [&] { return good.state() != channel_state::connecting; }, "an answer"));
    EXPECT_EQ(good.state(), channel_state::up) << origin << ": " << good.last_error().text();
    EXPECT_TRUE(good.try_send(std::string_view("in")));
  }
  EXPECT_EQ(refusals.size(), 1u);
}

TEST_F(ws_refusals, have_the_status_and_the_reason_that_the_program_gives) {
  options with;
  std::vector<std::string> asked;
  with.ws_check = [&](const http_request& request) {
    asked.push_back(request.path + "?" + request.query + " " + std::string(request.header("x-token")));
    EXPECT_THAT(request.address, HasSubstr("127.0.0.1:"));
    if (request.header("x-token") == "good") return http_verdict{101, "", {{"X-Seen", "yes"}}, ""};
    if (request.header("x-token") == "bad") return http_verdict{401, "who are you?", {{"X-Seen", "no"}}, ""};
    throw std::runtime_error("the database is gone");
  };
  listen(with);
  const auto request_with = [](const std::string& token) {
    std::string all = request("/chat?room=1");
    return all.insert(all.find("\r\n") + 2, "X-Token: " + token + "\r\n");
  };
  raw_tcp bad(port());
  bad.send(request_with("bad"));
  ASSERT_TRUE(run_until(
      io, [&] { return bad.ended() && refusals.size() == 1; }, "a refusal"));
  const std::string answer = bad.received();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401 ")) << answer;
  EXPECT_THAT(answer, HasSubstr("X-Seen: no\r\n"));
  EXPECT_THAT(answer, HasSubstr("who are you?"));
  EXPECT_EQ(refusals[0], errc::auth);
  raw_tcp broken(port());
  broken.send(request_with("other"));
  ASSERT_TRUE(run_until(
      io, [&] { return broken.ended() && refusals.size() == 2; }, "a refusal"));
  const std::string blame = broken.received();
  EXPECT_TRUE(blame.starts_with("HTTP/1.1 500 ")) << blame;
  EXPECT_THAT(blame, Not(HasSubstr("database"))) << "the peer is told nothing of what is inside";
  EXPECT_THAT(refusals[1].text(), HasSubstr("the database is gone"));
  raw_tcp good(port());
  good.send(request_with("good"));
  ASSERT_TRUE(run_until(
      io, [&] { return !arrivals.empty() && good.received().size() > 100; }, "a channel"));
  EXPECT_THAT(good.received(), HasSubstr("X-Seen: yes\r\n"));
  EXPECT_EQ(arrivals.size(), 1u);
  EXPECT_EQ(asked, (std::vector<std::string>{"/chat?room=1 bad", "/chat?room=1 other", "/chat?room=1 good"}));
}

TEST_F(ws_refusals, do_not_come_where_the_program_chooses_a_subprotocol_that_was_offered) {
  options with;
  with.ws_subprotocols = "v1,v2";
  with.ws_check = [](const http_request& request) {
    EXPECT_EQ(request.subprotocols, (std::vector<std::string>{"v1", "v2"}));
    return http_verdict{101, "", {}, "v2"};
  };
  listen(with);
  options asking;
  asking.ws_subprotocols = "v1,v2";
  auto client = channel::open(where, listening.url(), asking).value();
  ASSERT_TRUE(run_until(
      io, [&] { return client.state() == channel_state::up && !arrivals.empty(); }, "a channel"));
  EXPECT_EQ(client.peer().websocket->subprotocol, "v2");
  EXPECT_EQ(arrivals[0].peer().websocket->subprotocol, "v2");
}

}  // namespace
}  // namespace ferry::test
