#include "codec/http_blanker.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "testing/splitter.hpp"

namespace ferry::codec {
namespace {

constexpr std::string_view k_request =
    "GET /chat?room=1&token=se?cr:et&bare HTTP/1.1\r\n"
    "Host: example?a=b\r\n"
    "AUTHORIZATION: Basic c2VjcmV0OnNlY3JldA==\r\n"
    "Cookie:a=secret;\r\n"
    "\tb=secret\r\n"
    "Proxy-Authorization : secret\r\n"
    "Sec-WebSocket-Protocol: chat, bearer.secret\r\n"
    "X-Cookie: kept\r\n"
    "X: kept cookie: kept\r\n"
    "\r\n";
constexpr std::string_view k_blanked_request =
    "GET /chat?xxxx=x&xxxxx=xxxxxxxx&xxxx HTTP/1.1\r\n"
    "Host: example?a=b\r\n"
    "AUTHORIZATION: xxxxx xxxxxxxxxxxxxxxxxxxx\r\n"
    "Cookie:xxxxxxxxx\r\n"
    "\txxxxxxxx\r\n"
    "Proxy-Authorization : xxxxxx\r\n"
    "Sec-WebSocket-Protocol: xxxxx xxxxxxxxxxxxx\r\n"
    "X-Cookie: kept\r\n"
    "X: kept cookie: kept\r\n"
    "\r\n";
constexpr std::string_view k_answer =
    "HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: id=secret\r\nsec-websocket-protocol:secret\r\nUpgrade: "
    "websocket\r\n\r\n";
constexpr std::string_view k_blanked_answer =
    "HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: xxxxxxxxx\r\nsec-websocket-protocol:xxxxxx\r\nUpgrade: "
    "websocket\r\n\r\n";

std::string blanked(http_blanker& with, flow_side from, std::string_view text) {
  auto copy = test::make_bytes(text);
  with.blank(from, copy);
  return std::string(as_text(copy));
}

TEST(http_blanker, blanks_the_secrets_and_nothing_else_at_every_cut) {
  test::for_every_cut(as_bytes(k_request), [](bytes head, bytes tail) {
    http_blanker blanker;
    const auto first = blanked(blanker, flow_side::client, as_text(head));
    EXPECT_EQ(first + blanked(blanker, flow_side::client, as_text(tail)), k_blanked_request);
  });
}

TEST(http_blanker, blanks_in_pieces_of_every_size) {
  test::for_every_piece_size(as_bytes(k_request), [](const std::vector<bytes>& pieces) {
    http_blanker blanker;
    std::string all;
    for (const auto& piece : pieces) all += blanked(blanker, flow_side::client, as_text(piece));
    EXPECT_EQ(all, k_blanked_request);
  });
}

TEST(http_blanker, is_over_where_the_server_agrees_to_another_protocol) {
  const std::string wire = std::string(k_answer) + "\r\nCookie: of another protocol\r\n";
  test::for_every_cut(as_bytes(wire), [&](bytes head, bytes tail) {
    http_blanker blanker;
    const auto first = blanked(blanker, flow_side::server, as_text(head));
    EXPECT_EQ(blanker.over(), head.size() >= k_answer.size());
    EXPECT_EQ(first + blanked(blanker, flow_side::server, as_text(tail)),
              std::string(k_blanked_answer) + "\r\nCookie: of another protocol\r\n");
    EXPECT_EQ(blanked(blanker, flow_side::client, "\r\nCookie: too\r\n"), "\r\nCookie: too\r\n");
  });
}

TEST(http_blanker, says_how_much_of_a_piece_is_http) {
  http_blanker blanker;
  auto wire = test::make_bytes(std::string(k_answer) + "more");
  EXPECT_EQ(blanker.blank(flow_side::server, wire), k_answer.size());
  EXPECT_EQ(blanker.blank(flow_side::server, wire), 0u);
}

TEST(http_blanker, goes_on_after_an_answer_that_refuses) {
  http_blanker blanker;
  EXPECT_EQ(blanked(blanker, flow_side::client, k_request), k_blanked_request);
  EXPECT_EQ(blanked(blanker, flow_side::server, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  EXPECT_FALSE(blanker.over());
  EXPECT_EQ(blanked(blanker, flow_side::client, k_request), k_blanked_request);
}

TEST(http_blanker, is_not_deceived_by_a_request_that_looks_like_an_answer) {
  http_blanker blanker;
  blanked(blanker, flow_side::client, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
  EXPECT_FALSE(blanker.over());
  EXPECT_EQ(blanked(blanker, flow_side::client, k_request), k_blanked_request);
}

TEST(http_blanker, blanks_the_query_of_every_form_of_target_and_of_nothing_else) {
  for (const auto& [line, expected] : std::vector<std::pair<std::string, std::string>>{
           {"GET http://u:1/a?b=c HTTP/1.1\r\n\r\n", "GET http://u:1/a?x=x HTTP/1.1\r\n\r\n"},
           {"GET /a? HTTP/1.1\r\n\r\n", "GET /a? HTTP/1.1\r\n\r\n"},
           {"GET /a?secret\r\n\r\n", "GET /a?xxxxxx\r\n\r\n"},
           {"GET /cookie:a?secret HTTP/1.1\r\nX-A: ?b=c\r\n\r\nGET /?d HTTP/1.1\r\n",
            "GET /cookie:a?xxxxxx HTTP/1.1\r\nX-A: ?b=c\r\n\r\nGET /?x HTTP/1.1\r\n"}}) {
    http_blanker blanker;
    EXPECT_EQ(blanked(blanker, flow_side::client, line), expected);
  }
  http_blanker blanker;
  EXPECT_EQ(blanked(blanker, flow_side::server, "HTTP/1.1 404 What?now\r\n\r\n"), "HTTP/1.1 404 What?now\r\n\r\n");
}

TEST(http_blanker, blanks_the_fields_that_it_is_told) {
  constexpr std::array<std::string_view, 1> fields{"date"};
  http_blanker blanker(fields);
  EXPECT_EQ(blanked(blanker, flow_side::server, "HTTP/1.1 200 OK\r\nDate: now\r\nCookie: a\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nDate: xxx\r\nCookie: a\r\n\r\n");
}

TEST(http_blanker, keeps_the_length_whatever_comes) {
  test::for_every_corruption(as_bytes(k_request), [](bytes damaged, std::size_t at) {
    http_blanker blanker;
    test::byte_string copy(damaged.begin(), damaged.end());
    EXPECT_EQ(blanker.blank(flow_side::client, copy), copy.size());
    const auto text = as_text(copy);
    for (std::size_t i = 0; i < copy.size(); ++i)
      ASSERT_TRUE(copy[i] == damaged[i] || text[i] == 'x') << "corrupted at " << at;
  });
}

}  // namespace
}  // namespace ferry::codec
