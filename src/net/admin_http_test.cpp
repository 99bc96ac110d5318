#include "net/admin_http.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "testing/tcp_by_hand.hpp"
#include "testing/watchdog.hpp"

namespace ferry::net {
namespace {

using test::raw_tcp;

class admin : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = admin_http::open(where, "tcp://127.0.0.1:0", [](std::string_view path) -> http_page {
      if (path == "/large") return {200, {}, std::string(8 << 20, 'x')};
      if (path == "/page") return {200, "text/html", "<p>"};
      return {404, {}, "none\n"};
    });
    ASSERT_TRUE(made) << made.error().text();
    it = std::make_unique<admin_http>(std::move(*made));
  }
  [[nodiscard]] std::uint16_t port() const {
    return static_cast<std::uint16_t>(std::stoi(it->url().substr(it->url().rfind(':') + 1)));
  }
  std::string answer_to(std::string_view request) {
    raw_tcp one(port());
    one.send(request);
    EXPECT_TRUE(test::run_until(
        io, [&] { return one.ended(); }, "the answer"));
    return one.received();
  }

  boost::asio::io_context io{1};
  context where{io};
  std::unique_ptr<admin_http> it;
};

TEST_F(admin, shows_a_page_and_closes) {
  const auto said = answer_to("GET /page?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(said.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n")) << said;
  EXPECT_TRUE(said.ends_with("\r\n\r\n<p>")) << said;
  const auto head = answer_to("HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  EXPECT_NE(head.find("Content-Length: 3"), std::string::npos);
  EXPECT_EQ(answer_to("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").size() >> 20, 8u);
}

TEST_F(admin, refuses_what_it_does_not_know) {
  EXPECT_TRUE(answer_to("GET /other HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(answer_to("POST /page HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(answer_to("GET /page\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(answer_to("GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 431 "));
  EXPECT_EQ(answer_to(std::string("\x16\x03\x01\0\0", 5)), "");
}

TEST_F(admin, closes_who_comes_above_the_limit) {
  std::deque<raw_tcp> silent;
  for (std::size_t i = 0; i < admin_http::k_most_requests; ++i) silent.emplace_back(port());
  test::run_ready(io);
  raw_tcp one(port());
  EXPECT_TRUE(test::run_until(
      io, [&] { return one.ended(); }, "the end"));
  silent.clear();
  EXPECT_TRUE(test::run_until(
      io,
      [&] {
        raw_tcp again(port());
        again.send("GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
        while (!again.ended()) test::run_ready(io);
        return again.received().starts_with("HTTP/1.1 200");
      },
      "room"));
}

}  // namespace
}  // namespace ferry::net
