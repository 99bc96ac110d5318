// What a WebSocket listener does with peers that mean it harm: a program of its own that echoes, an attacker, and a
// channel that behaves and must not notice. Each attack ends with the right close code, a line in the log that says
// why, and no memory to speak of.
#include <ferry/channel.hpp>

#include <gtest/gtest.h>
#include <zlib.h>

#include <deque>
#include <fstream>
#include <string>

#include "testing/child.hpp"
#include "testing/sanitizers.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"
#include "testing/tls_by_hand.hpp"
#include "testing/tls_records_by_hand.hpp"
#include "testing/watchdog.hpp"
#include "testing/websocket_by_hand.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t k_max_message = 1 << 20;
// By which the program may grow: a generous bound for one attacker. A sanitizer keeps what is freed for a while, 256
// MiB of it.
constexpr std::size_t k_memory = (k_checks_addresses || k_checks_threads ? 512u : 64u) << 20;

/// "ferry listen" as the victim.
class victim {
 public:
  victim(const std::string& scheme, const std::vector<std::string>& settings) : program_(call(scheme, settings)) {
    const std::string prefix = "ferry: listening on ";
    const auto line = program_.read_error_line();
    if (!line || !line->starts_with(prefix)) throw std::runtime_error("ferry listen said " + line.value_or("nothing"));
    url_ = line->substr(prefix.size());
  }
  [[nodiscard]] const std::string& url() const noexcept { return url_; }
  [[nodiscard]] std::uint16_t port() const {
    return static_cast<std::uint16_t>(std::stoi(url_.substr(url_.find("127.0.0.1:") + 10)));
  }
  /// The most memory that it ever had, in bytes.
  [[nodiscard]] std::size_t peak() const {
    std::ifstream status("/proc/" + std::to_string(program_.pid()) + "/status");
    for (std::string word; status >> word;) {
      if (word != "VmHWM:") continue;
      status >> word;
      return std::stoull(word) << 10;
    }
    throw std::runtime_error("no VmHWM in /proc");
  }
  /// Its next line of log in which `text` occurs; those before are gone. Nothing after a minute or at its end.
  [[nodiscard]] std::string logged(const std::string& text) {
    for (;;) {
      const auto line = program_.read_error_line();
      if (!line) return "nothing in the log says: " + text;
      if (line->find(text) != std::string::npos) return *line;
    }
  }

 private:
  static std::vector<std::string> call(const std::string& scheme, const std::vector<std::string>& settings) {
    std::vector<std::string> all{FERRY_PROGRAM_PATH,
                                 "listen",
                                 scheme + "://127.0.0.1:0/x",
                                 "--echo",
                                 "--output",
                                 "none",
                                 "--log",
                                 "info",
                                 "-o",
                                 "max_message=" + std::to_string(k_max_message)};
    for (const auto& one : settings) all.insert(all.end(), {"-o", one});
    return all;
  }
  child program_;
  std::string url_;
};

class websocket_under_attack : public ::testing::Test {
 protected:
  void begin(const std::string& scheme, const std::vector<std::string>& settings = {}) {
    target.emplace(scheme, settings);
    options with;
    if (scheme == "wss") with.tls_ca = dir.file("host.pem.ca");
    healthy = channel::open(where, target->url(), with).value();
    healthy.on_message([this](const message_view&) {
      ++echoes;
      EXPECT_TRUE(healthy.try_send(std::string_view("still here")));
    });
    healthy.on_down([](const down_info& info) { ADD_FAILURE() << "healthy: " << info.reason.text(); });
    EXPECT_TRUE(healthy.try_send(std::string_view("still here")));
    EXPECT_TRUE(turn([&] { return echoes > 10; }, "the one that behaves"));
    peak_before = target->peak();
  }
  void TearDown() override {
    if (!target) return;
    const auto seen = echoes;
    EXPECT_TRUE(turn([&] { return echoes > seen + 10; }, "the one that behaves, afterwards"));
    EXPECT_LT(target->peak() - peak_before, k_memory);
    healthy.on_down({});
    healthy.cut();
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }

  /// An attacker that is in.
  [[nodiscard]] websocket_by_hand& attacker(const std::string& headers = {}) {
    auto& one = attackers.emplace_back(target->port(), "/x", headers);
    EXPECT_TRUE(turn([&] { return one.turn(); }, "the attacker's upgrade"));
    return one;
  }
  /// It gets this close code, its connection is ended, and the log says why.
  void expect_close(websocket_by_hand& one, int code, const std::string& reason) {
    ASSERT_TRUE(turn([&] { return one.turn(), one.close_code() != 0 || one.ended(); }, "the Close"));
    EXPECT_EQ(one.close_code(), code);
    one.send(k_close, close_payload(code));
    ASSERT_TRUE(turn([&] { return one.turn(), one.ended(); }, "the end"));
    EXPECT_THAT(target->logged(reason), HasSubstr(reason));
  }

  temp_dir dir;
  boost::asio::io_context io;
  context where{io};
  std::optional<victim> target;
  channel healthy;
  std::uint64_t echoes = 0;
  std::size_t peak_before = 0;
  std::deque<websocket_by_hand> attackers;
};

// Handshakes ----------------------------------------------------------------------------------------

TEST_F(websocket_under_attack, slow_handshakes_are_ended_when_their_time_is_over) {
  begin("ws", {"connect_timeout=1s"});
  std::deque<raw_tcp> slow;
  for (int i = 0; i < 200; ++i) {
    slow.emplace_back(target->port());
    slow.back().send("GET /x HTTP/1.1\r\nHost: a\r\n");
  }
  std::size_t ended = 0;
  std::size_t said = 0;
  ASSERT_TRUE(turn(
      [&] {
        // A byte of the next header now and then keeps nobody in.
        if (++said % 64 == 0)
          for (auto& one : slow)
            if (!one.ended()) one.try_send("X");
        ended =
            static_cast<std::size_t>(std::count_if(slow.begin(), slow.end(), [](auto& one) { return one.ended(); }));
        return ended == slow.size();
      },
      "all of them to be thrown out"));
  EXPECT_THAT(target->logged("handshake"), HasSubstr("handshake"));
}

TEST_F(websocket_under_attack, headers_without_end_are_answered_by_431) {
  begin("ws");
  websocket_by_hand& one = attackers.emplace_back(target->port(), "/x", "X-First: 1");  // no empty line
  std::size_t sent = 0;
  ASSERT_TRUE(turn(
      [&] {
        if (one.all_sent() && sent < (8u << 20)) {
          one.send("X-Header-" + std::to_string(sent) + ": " + std::string(1000, 'x') + "\r\n");
          sent += 1000;
        }
        return one.turn(), one.ended();
      },
      "the end"));
  EXPECT_THAT(one.unread(), HasSubstr("431")) << one.unread();
  EXPECT_LT(sent, 4u << 20);
}

TEST_F(websocket_under_attack, requests_that_are_none_are_refused_with_a_reason) {
  begin("ws");
  const std::vector<std::pair<std::string, std::string>> requests{
      {"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 "},
      {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 "},
      {"GET /other HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
       "HTTP/1.1 404 "},
      {"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
       "HTTP/1.1 426 "},
      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "HTTP/1.1 400 "}};
  for (const auto& [request, answer] : requests) {
    raw_tcp peer(target->port());
    peer.send(request);
    if (request[0] == '\x16') peer.send("\r\n\r\n");
    ASSERT_TRUE(turn([&] { return peer.ended(); }, "the end of " + request));
    EXPECT_TRUE(peer.received().starts_with(answer)) << request << peer.received();
  }
}

// Frames --------------------------------------------------------------------------------------------

TEST_F(websocket_under_attack, a_million_fragments_of_one_byte_are_one_message) {
  begin("ws");
  auto& one = attacker();
  const std::string middle = websocket_frame(0, "x", plays::client);
  std::string wire = websocket_frame(k_text, "x", plays::client);
  for (int i = 1; i < 999'999; ++i) wire += middle;
  one.send(wire.append(websocket_frame(k_fin, "x", plays::client)));
  ASSERT_TRUE(turn([&] { return one.turn(), !one.messages().empty() || one.ended(); }, "the echo"));
  EXPECT_TRUE(one.messages() == std::vector<std::string>{"text " + std::string(1'000'000, 'x')});
}

TEST_F(websocket_under_attack, messages_of_one_byte_by_the_hundred_thousand_are_echoed) {
  begin("ws");
  auto& one = attacker();
  constexpr std::size_t k_count = 300'000;
  std::string wire;
  for (std::size_t i = 0; i < k_count; ++i) wire += websocket_frame(k_fin | k_binary, "x", plays::client);
  one.send(wire);
  ASSERT_TRUE(turn([&] { return one.turn(), one.messages().size() >= k_count || one.ended(); }, "the echoes"));
  EXPECT_EQ(one.messages().size(), k_count);
}

TEST_F(websocket_under_attack, a_flood_of_pings_is_answered_within_limits_then_closed_with_1008) {
  begin("ws");
  auto& one = attacker();
  std::string wire;
  for (int i = 0; i < 50'000; ++i) wire += websocket_frame(k_ping, repeated(125), plays::client);
  one.send(wire);
  expect_close(one, 1008, "control frames");
  EXPECT_GT(one.controls().size(), 100u);
  EXPECT_LT(one.controls().size(), 10'000u);
}

TEST_F(websocket_under_attack, fragments_without_end_stop_at_the_limit) {
  begin("ws");
  auto& one = attacker();
  one.send(k_binary, repeated(1000));
  const std::string more = websocket_frame(0, repeated(50'000), plays::client);
  ASSERT_TRUE(turn(
      [&] {
        if (one.all_sent()) one.send(more);
        return one.turn(), one.close_code() != 0 || one.ended();
      },
      "the Close"));
  expect_close(one, 1009, "at most 1048576");
}

TEST_F(websocket_under_attack, fragments_of_nothing_stop_at_the_limit) {
  begin("ws");
  auto& one = attacker();
  std::string wire = websocket_frame(k_text, "", plays::client);
  for (int i = 0; i < 100'000; ++i) wire += websocket_frame(0, "", plays::client);
  one.send(wire);
  expect_close(one, 1008, "without payload");
}

TEST_F(websocket_under_attack, a_header_that_promises_too_much_is_refused_at_once) {
  begin("ws");
  auto& one = attacker();
  one.send(std::string("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04", 14));
  expect_close(one, 1009, "at most 1048576");
}

std::string bomb() {
  z_stream deflater{};
  EXPECT_EQ(::deflateInit2(&deflater, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string zeros(1 << 20, '\0');
  std::string made(1 << 20, '\0');
  deflater.next_out = reinterpret_cast<Bytef*>(made.data());
  deflater.avail_out = static_cast<uInt>(made.size());
  for (int i = 0; i < 200; ++i) {
    deflater.next_in = reinterpret_cast<Bytef*>(zeros.data());
    deflater.avail_in = static_cast<uInt>(zeros.size());
    EXPECT_EQ(::deflate(&deflater, Z_NO_FLUSH), Z_OK);
  }
  EXPECT_EQ(::deflate(&deflater, Z_SYNC_FLUSH), Z_OK);
  made.resize(made.size() - deflater.avail_out - 4);
  ::deflateEnd(&deflater);
  return made;
}

TEST_F(websocket_under_attack, a_compression_bomb_stops_at_the_limit) {
  begin("ws", {"ws_compression=on"});
  auto& one = attacker("Sec-WebSocket-Extensions: permessage-deflate\r\n");
  ASSERT_THAT(one.head(), HasSubstr("permessage-deflate"));
  const std::string small = bomb();
  ASSERT_LT(small.size(), 300'000u);
  one.send(0xc2, small);
  expect_close(one, 1009, "at most 1048576");
}

TEST_F(websocket_under_attack, text_that_is_no_utf8_is_found_in_whatever_frame_it_is) {
  begin("ws");
  auto& one = attacker();
  one.send(k_text, "good \xce");
  one.send(k_ping, "between");
  one.send(0, "\xba and bad \xf4");
  one.send(0, "\x90");  // no end comes
  expect_close(one, 1007, "UTF-8");
}

TEST_F(websocket_under_attack, a_peer_that_never_reads_is_not_read_either) {
  begin("ws", {"write_timeout=2s"});
  raw_tcp deaf(target->port());
  deaf.send(
      "GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  const std::string message = websocket_frame(k_fin | k_binary, repeated(500'000), plays::client);
  std::size_t sent = 0;
  std::string_view left = message;
  ASSERT_TRUE(turn(
      [&] {
        for (;;) {
          const ssize_t n = deaf.try_send(left);
          if (n < 0) return errno != EAGAIN && errno != EWOULDBLOCK;  // it was cut: nothing is taken for too long
          sent += static_cast<std::size_t>(n);
          left.remove_prefix(static_cast<std::size_t>(n));
          if (left.empty()) left = message;
          if (sent > (1u << 30)) return true;
        }
      },
      "it to be cut"));
  EXPECT_LT(sent, 200u << 20);
}

// TLS -----------------------------------------------------------------------------------------------

TEST_F(websocket_under_attack, slow_and_broken_tls_handshakes_harm_nobody) {
  tls_authority().issue(dir.file("host.pem"), {});
  begin("wss", {"connect_timeout=1s", "tls_certificate=" + dir.file("host.pem")});
  std::deque<raw_tcp> slow;
  for (int i = 0; i < 100; ++i) {
    slow.emplace_back(target->port());
    if (i % 2 == 0) slow.back().send(std::string("\x16\x03\x01\x02\x00\x01", 6));  // of a record that never ends
  }
  ASSERT_TRUE(turn([&] { return std::all_of(slow.begin(), slow.end(), [](auto& one) { return one.ended(); }); },
                   "all of them to be thrown out"));
  raw_tcp plain(target->port());
  plain.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(turn([&] { return plain.ended(); }, "the end"));
  EXPECT_THAT(target->logged("a plain HTTP request came"), HasSubstr("speaks TLS"));
}

/// A client by hand whose upgrade is over.
void upgrade(raw_tls& one) {
  ASSERT_TRUE(one.send(
      "GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
}

TEST_F(websocket_under_attack, who_asks_tls_for_new_keys_without_end_is_cut) {
  tls_authority().issue(dir.file("host.pem"), {});
  begin("wss", {"tls_certificate=" + dir.file("host.pem")});
  raw_tls one(target->port());
  ASSERT_TRUE(turn([&] { return one.shaken(); }, "the handshake"));
  upgrade(one);
  ASSERT_TRUE(turn([&] { return one.received().ends_with("\r\n\r\n"); }, "the upgrade"));
  std::size_t asked = 0;
  ASSERT_TRUE(turn(
      [&] {
        for (int i = 0; i < 100 && !one.ended(); ++i) asked += one.ask_for_new_keys() ? 1 : 0;
        return one.ended();
      },
      "it to be cut"));
  EXPECT_GT(asked, 100u) << "some of it is answered";
  EXPECT_THAT(target->logged("floods TLS"), HasSubstr("at most 100 at once"));
}

TEST_F(websocket_under_attack, who_wants_to_negotiate_tls_again_without_end_is_cut) {
  tls_authority().issue(dir.file("host.pem"), {});
  begin("wss", {"tls_certificate=" + dir.file("host.pem")});
  raw_tls one(target->port());
  SSL_set_max_proto_version(one.ssl(), TLS1_2_VERSION);
  ASSERT_EQ(SSL_set_cipher_list(one.ssl(), tls_1_2_sealer::k_cipher), 1);
  ASSERT_TRUE(turn([&] { return one.shaken(); }, "the handshake"));
  tls_1_2_sealer sealer(one.ssl());
  const int fd = SSL_get_fd(one.ssl());
  const std::string hello("\1\0\0\0", 4);  // as much of it as is looked at
  std::string wire;
  bool over = false;
  ASSERT_TRUE(turn(
      [&] {
        while (!over) {
          if (wire.empty()) wire = sealer.seal(SSL3_RT_HANDSHAKE, hello);
          const ssize_t n = ::send(fd, wire.data(), wire.size(), MSG_NOSIGNAL);
          if (n < 0 && errno == EAGAIN) break;
          over = n < 0;
          if (n > 0) wire.erase(0, static_cast<std::size_t>(n));
        }
        return over;
      },
      "it to be cut"));
  EXPECT_THAT(target->logged("floods TLS"), HasSubstr("at most 100 at once"));
}

}  // namespace
}  // namespace ferry::test
