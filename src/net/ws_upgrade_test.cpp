#include "net/ws_upgrade.hpp"

#include <gtest/gtest.h>

#include "net/http_text.hpp"

namespace {

using namespace ferry;
using namespace ferry::net;

// The example of RFC 6455, section 1.3.
constexpr std::string_view k_key = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view k_accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr std::string_view k_request =
    "GET /chat?room=1 HTTP/1.1\r\n"
    "Host: server.example.com\r\n"
    "Upgrade: websocket\r\n"
    "Connection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Origin: http://example.com\r\n"
    "Sec-WebSocket-Protocol: chat, superchat\r\n"
    "Cookie: a=1; token=x=y\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n";

bytes of(std::string_view text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

std::string replaced(std::string_view what, std::string_view with) {
  std::string text(k_request);
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

struct refusal {
  std::string answer;
  error fault;
};

refusal refused(std::string_view request, const ws_server_rules& rules = {}) {
  ws_server_upgrade server(rules, "10.0.0.1:5");
  EXPECT_EQ(server.feed(of(request)).what, upgrade_outcome::refused) << request;
  return {server.answer(), server.fault()};
}

std::string accepted(std::string_view request, const ws_server_rules& rules = {}) {
  ws_server_upgrade server(rules, "10.0.0.1:5");
  EXPECT_EQ(server.feed(of(request)).what, upgrade_outcome::accepted) << server.answer();
  return server.answer();
}

TEST(ws_server_upgrade, answers_the_example_of_the_rfc) {
  EXPECT_EQ(accepted(k_request),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                std::string(k_accept) + "\r\n\r\n");
}

TEST(ws_server_upgrade, wants_more_at_every_cut_and_leaves_what_follows_the_head) {
  const std::string with_frames = std::string(k_request) + "\x81\x85 frames";
  const ws_server_rules rules;
  for (std::size_t cut = 0; cut < k_request.size(); ++cut) {
    ws_server_upgrade server(rules, "");
    const auto first = server.feed(of(with_frames).first(cut));
    EXPECT_EQ(first.what, upgrade_outcome::need_more) << cut;
    EXPECT_EQ(first.consumed, cut);
    const auto second = server.feed(of(with_frames).subspan(cut));
    EXPECT_EQ(second.what, upgrade_outcome::accepted) << cut;
    EXPECT_EQ(cut + second.consumed, k_request.size());
  }
}

TEST(ws_server_upgrade, shows_what_was_asked_for) {
  const ws_server_rules rules;
  ws_server_upgrade server(rules, "10.0.0.1:5");
  ASSERT_EQ(server.feed(of(k_request)).what, upgrade_outcome::accepted);
  const http_request& r = server.request();
  EXPECT_EQ(r.method, "GET");
  EXPECT_EQ(r.target, "/chat?room=1");
  EXPECT_EQ(r.path, "/chat");
  EXPECT_EQ(r.query, "room=1");
  EXPECT_EQ(r.address, "10.0.0.1:5");
  EXPECT_EQ(r.header("hOST"), "server.example.com");
  EXPECT_EQ(r.header("Missing"), "");
  EXPECT_EQ(r.cookie("token"), "x=y");
  EXPECT_EQ(r.cookie("a"), "1");
  EXPECT_EQ(r.cookie("A"), std::nullopt);
  EXPECT_EQ(r.subprotocols, (std::vector<std::string>{"chat", "superchat"}));
}

TEST(ws_server_upgrade, refuses_what_is_no_upgrade_and_says_why) {
  struct row {
    const char *what, *with, *status, *words;
  };
  const row rows[] = {
      {"GET", "POST", "405", "must be GET"},
      {"HTTP/1.1", "HTTP/1.0", "400", "HTTP/1.1"},
      {"HTTP/1.1", "HTTP/2.7", "400", "not a well-formed"},
      {"Host: server.example.com\r\n", "", "400", "Host"},
      {"Host: server.example.com", "Host: a\r\nHost: b", "400", "Host"},
      {"/chat?room=1", "http://a/chat", "400", "begin with '/'"},
      {"Upgrade: websocket\r\n", "", "426", "Upgrade: websocket"},
      {"keep-alive, Upgrade", "keep-alive", "426", "Connection: Upgrade"},
      {"Version: 13", "Version: 8", "426", "version 13"},
      {"Sec-WebSocket-Version: 13\r\n", "", "426", "version 13"},
      {"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", "400", "16 bytes"},
      {"dGhlIHNhbXBsZSBub25jZQ==", "", "400", "16 bytes"},
      {"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j*Q==", "400", "16 bytes"},
      {"Origin: ", "Content-Length: 4\r\nOrigin: ", "400", "has a body"},
      {"Origin: ", "Content-Length: 0\r\nContent-Length: 0\r\nOrigin: ", "400", "has a body"},
      {"Origin: ", "Transfer-Encoding: chunked\r\nOrigin: ", "400", "has a body"},
      {"Origin: ", "Folded: a\r\n b\r\nOrigin: ", "400", "several lines"},
      {"Origin: ", "No colon\r\nOrigin: ", "400", "not a well-formed"},
      {"Origin: ", "Null: \x01\r\nOrigin: ", "400", "no HTTP request"},
      {"Origin: ", "Space : a\r\nOrigin: ", "400", "not a well-formed"},
  };
  for (const row& r : rows) {
    const auto got = refused(replaced(r.what, r.with));
    EXPECT_TRUE(got.answer.starts_with("HTTP/1.1 " + std::string(r.status) + " ")) << r.with << '\n' << got.answer;
    EXPECT_NE(got.answer.find(r.words), std::string::npos) << r.with << '\n' << got.answer;
    EXPECT_NE(got.answer.find("Connection: close\r\n"), std::string::npos);
    EXPECT_EQ(got.fault, errc::protocol) << r.with;
    EXPECT_NE(got.fault.text().find(r.words), std::string::npos) << got.fault.text();
  }
  EXPECT_NE(refused(replaced("GET", "POST")).answer.find("Allow: GET\r\n"), std::string::npos);
  EXPECT_NE(refused(replaced("Version: 13", "Version: 8")).answer.find("Sec-WebSocket-Version: 13\r\n"),
            std::string::npos);
}

TEST(ws_server_upgrade, answers_head_without_a_body_and_tells_of_a_reason_in_one_line) {
  const auto got = refused(replaced("GET", "HEAD"));
  EXPECT_TRUE(got.answer.starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(got.answer.ends_with("\r\n\r\n"));
  ws_server_rules rules;
  rules.check = [](const http_request&) { return http_verdict{403, "first line\nsecond line", {}, {}}; };
  EXPECT_EQ(refused(k_request, rules).fault.text(), "refused with 403 Forbidden: first line?second line");
}

TEST(ws_server_upgrade, says_so_when_tls_or_another_protocol_comes_at_the_first_byte) {
  EXPECT_NE(refused(std::string_view("\x16\x03\x01", 3)).answer.find("TLS came"), std::string::npos);
  EXPECT_NE(refused(std::string_view("\0\0\0\x05", 4)).answer.find("no HTTP request"), std::string::npos);
}

TEST(ws_server_upgrade, limits_the_request_in_bytes_and_in_headers) {
  ws_server_rules rules;
  rules.max_head = k_request.size();
  EXPECT_TRUE(accepted(k_request, rules).starts_with("HTTP/1.1 101"));
  rules.max_head -= 1;
  EXPECT_TRUE(refused(k_request, rules).answer.starts_with("HTTP/1.1 431"));
  rules = {};
  rules.max_fields = 7;
  EXPECT_TRUE(refused(k_request, rules).answer.starts_with("HTTP/1.1 431"));
  // Headers without end: refused at the limit, whatever follows.
  ws_server_upgrade server(rules, "");
  const std::string line = "X: " + std::string(1021, 'x') + "\r\n";
  auto outcome = server.feed(of("GET / HTTP/1.1\r\n")).what;
  int lines = 0;
  while (outcome == upgrade_outcome::need_more && lines < 1000) {
    outcome = server.feed(of(line)).what;
    ++lines;
  }
  EXPECT_EQ(outcome, upgrade_outcome::refused);
  EXPECT_EQ(lines, 8);
}

TEST(ws_server_upgrade, takes_the_paths_that_the_rule_names) {
  const auto taken = [](const char* rule, const char* path) {
    ws_server_rules rules;
    rules.path = rule;
    ws_server_upgrade server(rules, "");
    const bool yes = server.feed(of(replaced("/chat?room=1", path))).what == upgrade_outcome::accepted;
    EXPECT_EQ(server.answer().starts_with("HTTP/1.1 404"), !yes);
    EXPECT_TRUE(yes || server.fault() == errc::not_found);
    return yes;
  };
  EXPECT_TRUE(taken("", "/anything?x"));
  EXPECT_TRUE(taken("/chat", "/chat"));
  EXPECT_TRUE(taken("/chat", "/chat?room=/other"));
  EXPECT_FALSE(taken("/chat", "/chat/"));
  EXPECT_FALSE(taken("/chat", "/Chat"));
  EXPECT_FALSE(taken("/", "/chat"));
  EXPECT_TRUE(taken("/chat/*", "/chat/a/b"));
  EXPECT_FALSE(taken("/chat/*", "/chatter"));
}

TEST(ws_server_upgrade, lets_in_the_origins_that_are_named_and_who_has_none) {
  ws_server_rules rules;
  rules.origins = {"https://example.com", "http://EXAMPLE.com"};
  EXPECT_TRUE(accepted(k_request, rules).starts_with("HTTP/1.1 101"));
  EXPECT_TRUE(accepted(replaced("Origin: http://example.com\r\n", ""), rules).starts_with("HTTP/1.1 101"));
  const auto other = refused(replaced("http://example.com", "http://example.com.evil"), rules);
  EXPECT_TRUE(other.answer.starts_with("HTTP/1.1 403"));
  EXPECT_EQ(other.fault, errc::auth);
  rules.origins = {"*"};
  EXPECT_TRUE(accepted(k_request, rules).starts_with("HTTP/1.1 101"));
}

TEST(ws_server_upgrade, chooses_the_subprotocol_by_its_own_order_or_as_the_check_says) {
  ws_server_rules rules;
  rules.subprotocols = {"other", "superchat", "chat"};
  EXPECT_NE(accepted(k_request, rules).find("Sec-WebSocket-Protocol: superchat\r\n"), std::string::npos);
  rules.check = [](const http_request&) { return http_verdict{101, {}, {}, "chat"}; };
  EXPECT_NE(accepted(k_request, rules).find("Sec-WebSocket-Protocol: chat\r\n"), std::string::npos);
  rules.check = [](const http_request&) { return http_verdict{101, {}, {}, "not offered"}; };
  EXPECT_NE(accepted(k_request, rules).find("Sec-WebSocket-Protocol: superchat\r\n"), std::string::npos);
  rules = {};
  rules.subprotocols = {"other"};
  EXPECT_EQ(accepted(k_request, rules).find("Sec-WebSocket-Protocol"), std::string::npos);
}

TEST(ws_server_upgrade, refuses_with_the_status_of_the_check) {
  ws_server_rules rules;
  rules.check = [](const http_request& r) {
    if (r.cookie("token") == "x=y" && r.query == "room=1")
      return http_verdict{
          403, "room 1 is closed", {{"Retry-After", "60"}, {"Bad\r\nHeader", "x"}, {"Split", "a\r\nb"}}, {}};
    return http_verdict{};
  };
  const auto got = refused(k_request, rules);
  EXPECT_TRUE(got.answer.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_NE(got.answer.find("Retry-After: 60\r\n"), std::string::npos);
  EXPECT_EQ(got.answer.find("Split"), std::string::npos);
  EXPECT_EQ(got.answer.find("Bad"), std::string::npos);
  EXPECT_TRUE(got.answer.ends_with("\r\n\r\nroom 1 is closed\n"));
  EXPECT_EQ(got.fault, errc::auth);
  rules.check = [](const http_request&) { return http_verdict{200, "", {}, {}}; };
  EXPECT_TRUE(refused(k_request, rules).answer.starts_with("HTTP/1.1 500"));
  rules.check = [](const http_request&) -> http_verdict { throw std::runtime_error("no database"); };
  const auto thrown = refused(k_request, rules);
  EXPECT_TRUE(thrown.answer.starts_with("HTTP/1.1 500"));
  EXPECT_EQ(thrown.answer.find("no database"), std::string::npos);
  EXPECT_NE(thrown.fault.text().find("no database"), std::string::npos);
  rules.check = [](const http_request&) -> http_verdict { throw 1; };
  EXPECT_TRUE(refused(k_request, rules).answer.starts_with("HTTP/1.1 500"));
}

TEST(ws_server_upgrade, agrees_on_compression_only_where_both_want_it) {
  const auto offering =
      replaced("Origin:", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nOrigin:");
  ws_server_rules rules;
  EXPECT_EQ(accepted(offering, rules).find("Extensions"), std::string::npos);
  rules.deflate.emplace();
  EXPECT_EQ(accepted(k_request, rules).find("Extensions"), std::string::npos);
  EXPECT_NE(accepted(offering, rules).find("Sec-WebSocket-Extensions: permessage-deflate"), std::string::npos);
}

TEST(ws_server_upgrade, survives_every_byte_being_another) {
  const ws_server_rules rules;
  for (std::size_t at = 0; at < k_request.size(); ++at)
    for (const int flip : {0x01, 0x20, 0x80, 0xff}) {
      std::string damaged(k_request);
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      ws_server_upgrade server(rules, "");
      const auto got = server.feed(of(damaged));
      EXPECT_EQ(got.what == upgrade_outcome::refused,
                !server.answer().empty() && !server.answer().starts_with("HTTP/1.1 101"));
      EXPECT_LE(got.consumed, damaged.size());
    }
}

// The client's side -------------------------------------------------------------------------------

std::array<std::byte, 16> nonce() {
  std::array<std::byte, 16> n;
  std::memcpy(n.data(), "the sample nonce", 16);
  return n;
}

std::string answer_of(std::string_view more = "") {
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: " +
         std::string(k_accept) + "\r\n" + std::string(more) + "\r\n";
}

error failed(std::string_view answer, const ws_client_wishes& wishes = {}, bool ends = false) {
  ws_client_upgrade client(wishes, nonce());
  const auto got = client.feed(of(answer)).what;
  EXPECT_EQ(ends ? client.end() : got, upgrade_outcome::refused) << answer;
  return client.fault();
}

TEST(ws_client_upgrade, asks_as_the_rfc_says) {
  ws_client_wishes wishes;
  wishes.host = "server.example.com:8080";
  wishes.target = "/chat?room=1";
  wishes.origin = "http://example.com";
  wishes.subprotocols = {"chat", "superchat"};
  wishes.deflate.emplace();
  wishes.fields = {{"Authorization", "Bearer x"}, {"Host", "evil"}, {"Sec-WebSocket-Key", "evil"}, {"A", "b\r\nc"}};
  const ws_client_upgrade client(wishes, nonce());
  EXPECT_EQ(
      client.request(),
      "GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: " +
          std::string(k_key) +
          "\r\nSec-WebSocket-Version: 13\r\nOrigin: http://example.com\r\n"
          "Sec-WebSocket-Protocol: chat, superchat\r\n"
          "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nUser-Agent: ferry\r\n"
          "Authorization: Bearer x\r\n\r\n");
  ws_server_rules rules;
  rules.subprotocols = {"chat"};
  rules.deflate.emplace();
  ws_server_upgrade server(rules, "");
  ASSERT_EQ(server.feed(of(client.request())).what, upgrade_outcome::accepted);
  ws_client_upgrade again(wishes, nonce());
  ASSERT_EQ(again.feed(of(server.answer())).what, upgrade_outcome::accepted) << again.fault().text();
  EXPECT_EQ(again.subprotocol(), "chat");
  EXPECT_TRUE(again.deflate().has_value());
}

TEST(ws_client_upgrade, wants_more_at_every_cut_and_leaves_what_follows_the_head) {
  const std::string answer = answer_of("Set-Cookie: a=b\r\n");
  const std::string with_frames = answer + "\x81\x02hi";
  for (std::size_t cut = 0; cut < answer.size(); ++cut) {
    ws_client_upgrade client({}, nonce());
    EXPECT_EQ(client.feed(of(with_frames).first(cut)).what, upgrade_outcome::need_more) << cut;
    const auto second = client.feed(of(with_frames).subspan(cut));
    EXPECT_EQ(second.what, upgrade_outcome::accepted);
    EXPECT_EQ(cut + second.consumed, answer.size());
    EXPECT_EQ(find_field(client.fields(), "set-cookie"), "a=b");
  }
}

TEST(ws_client_upgrade, passes_over_answers_that_are_not_the_last_one) {
  const std::string early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  const std::string wire = early + answer_of("Set-Cookie: a=b\r\n") + "frames";
  for (std::size_t cut = 0; cut < wire.size() - 6; ++cut) {
    ws_client_upgrade client({}, nonce());
    EXPECT_EQ(client.feed(of(wire).first(cut)).what, upgrade_outcome::need_more) << cut;
    const auto second = client.feed(of(wire).subspan(cut));
    EXPECT_EQ(second.what, upgrade_outcome::accepted) << client.fault().text();
    EXPECT_EQ(cut + second.consumed, wire.size() - 6);
    EXPECT_EQ(client.fields().size(), 4u) << "those of the last one";
  }
  std::string many;
  for (int i = 0; i < 9; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(failed(many), errc::protocol);
}

TEST(ws_client_upgrade, writes_nothing_that_would_begin_another_line) {
  ws_client_wishes wishes;
  wishes.host = "a\r\nEvil: 1";
  wishes.target = "/a b\r\nEvil: 2";
  wishes.origin = "http://a\nEvil: 3";
  wishes.subprotocols = {"good", "bad\r\nEvil: 4", "two words", ""};
  const ws_client_upgrade client(wishes, nonce());
  EXPECT_EQ(client.request(),
            "GET /abEvil:2 HTTP/1.1\r\nHost: \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " +
                std::string(k_key) +
                "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: good\r\nUser-Agent: ferry\r\n\r\n");
}

TEST(ws_client_upgrade, says_what_is_wrong_with_an_answer) {
  const auto expect = [](const error& got, errc code, std::string_view words) {
    EXPECT_EQ(got, code) << got.text();
    EXPECT_NE(got.text().find(words), std::string::npos) << got.text();
  };
  expect(failed("\x15\x03\x03"), errc::protocol, "no HTTP answer");
  expect(failed("SSH-2.0-x\r\n\r\n"), errc::protocol, "no well-formed");
  expect(failed("HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n"), errc::protocol, "lacks");
  expect(failed("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n"), errc::protocol, "lacks");
  expect(failed("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"),
         errc::protocol, "Sec-WebSocket-Accept");
  expect(failed(answer_of("Sec-WebSocket-Protocol: chat\r\n")), errc::protocol, "'chat', which was not asked for");
  expect(failed(answer_of("Sec-WebSocket-Extensions: permessage-deflate\r\n")), errc::protocol, "none was asked for");
  ws_client_wishes small;
  small.max_head = 60;
  expect(failed(answer_of(), small), errc::protocol, "60 bytes");
  expect(failed("", {}, true), errc::truncated, "without an answer");
  expect(failed("HTTP/1.1 101", {}, true), errc::truncated, "inside its answer");
}

TEST(ws_client_upgrade, tells_why_a_server_refuses) {
  const auto expect = [](const error& got, errc code, std::string_view text) {
    EXPECT_EQ(got, code) << got.text();
    EXPECT_EQ(got.text(), text);
  };
  expect(failed("HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\n\r\nno such path\r\n"), errc::not_found,
         "the server answers 404 Not Found: no such path");
  expect(failed("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), errc::auth, "the server answers 403 Forbidden");
  expect(failed("HTTP/1.1 503 Busy\r\n\r\nlater \x1b[2J", {}, true), errc::busy,
         "the server answers 503 Busy: later ?[2J");
  expect(failed("HTTP/1.0 500 Oh\r\n\r\n<html>", {}, true), errc::refused, "the server answers 500 Oh");
  expect(failed("HTTP/1.1 302 Found\r\nLocation: ws://b/\r\nContent-Length: 0\r\n\r\n"), errc::unsupported,
         "the server answers 302 Found; it points to ws://b/, which is not followed: connect there if you trust it");
  expect(failed("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + std::string(5000, 'a')), errc::refused,
         "the server answers 200 OK: " + std::string(200, 'a'));
}

TEST(ws_client_upgrade, survives_every_byte_being_another) {
  const std::string answer = answer_of();
  for (std::size_t at = 0; at < answer.size(); ++at)
    for (const int flip : {0x01, 0x20, 0x80, 0xff}) {
      std::string damaged = answer;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      ws_client_upgrade client({}, nonce());
      const auto got = client.feed(of(damaged));
      const auto last = got.what == upgrade_outcome::need_more ? client.end() : got.what;
      EXPECT_EQ(last == upgrade_outcome::refused, !client.fault().text().empty() && client.fault().reason() != errc{});
    }
}

}  // namespace
