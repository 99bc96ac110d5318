// `ferry demo --browser` without a browser: what the page does, by hand. With one: tests/interop/demo_page.py.
#include <ferry/context.hpp>
#include <ferry/gateway.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>

#include "testing/child.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using test::child;
using test::run_until;

class browser_demo : public ::testing::Test {
 protected:
  void start() {
    test::child_options with;
    with.environment.push_back("TMPDIR=" + place.path().string());
    demo.emplace(std::vector<std::string>{FERRY_PROGRAM_PATH, "demo", "--browser"}, with);
    const auto line = demo->read_line().value_or("");
    const auto at = line.find("http://");
    ASSERT_NE(at, std::string::npos) << line << demo->error_output();
    origin = line.substr(at, line.find("/ in a browser") - at);
  }
  std::string get(const std::string& path) {
    test::raw_tcp http(static_cast<std::uint16_t>(std::stoi(origin.substr(origin.rfind(':') + 1))));
    http.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(run_until(
        io, [&] { return http.ended(); }, "the page"));
    return http.received();
  }
  static std::string websocket_in(const std::string& page) {
    const auto at = page.find("ws://127.0.0.1:");
    return at == std::string::npos ? "" : page.substr(at, page.find('\'', at) - at);
  }
  gateway_client client(const std::string& url, const std::string& from) {
    gateway_options with;
    with.link.ws_origin = from;
    auto made = gateway_client::open(where, url, with);
    EXPECT_TRUE(made) << made.error().text();
    return *made;
  }
  channel dialled(gateway_client& from) {
    std::optional<error_code> how;
    channel made;
    from.async_dial(1, [&](error_code code, channel one) {
      how = code;
      made = std::move(one);
    });
    EXPECT_TRUE(run_until(
        io, [&] { return how.has_value(); }, "the service"));
    EXPECT_FALSE(*how) << how->message();
    return made;
  }
  std::string next(channel& from) {
    std::string got;
    EXPECT_TRUE(run_until(
        io,
        [&] {
          const auto came = from.try_receive();
          if (came) got = std::string(came->text());
          return came || came.error() != errc::would_block;
        },
        "a message"));
    return got;
  }

  test::temp_dir place;
  boost::asio::io_context io{1};
  context where{io};
  std::optional<child> demo;
  std::string origin;
};

TEST_F(browser_demo, brings_what_one_page_says_to_all_and_echoes_to_the_one_who_asks) {
  start();
  EXPECT_TRUE(get("/other").starts_with("HTTP/1.1 404 "));
  const auto page = get("/");
  EXPECT_TRUE(page.starts_with("HTTP/1.1 200 "));
  const auto url = websocket_in(page);
  ASSERT_NE(url, "");
  auto first = client(url, origin);
  auto one = dialled(first);
  EXPECT_TRUE(demo->read_line().value_or("").starts_with("page 1 comes from 127.0.0.1:"));
  auto second = client(url, origin);
  auto two = dialled(second);
  EXPECT_TRUE(demo->read_line().value_or("").starts_with("page 2 comes from 127.0.0.1:"));
  ASSERT_TRUE(one.try_send("echo this"));
  EXPECT_EQ(next(one), "echo this");
  ASSERT_TRUE(one.try_send("good\x1bmorning"));
  for (auto* each : {&one, &two}) EXPECT_EQ(next(*each), "page 1 good?morning");
  EXPECT_EQ(demo->read_line(), "page 1 good?morning");
  one = {};
  EXPECT_EQ(next(two), "page 1 has left");
}

TEST_F(browser_demo, takes_no_websocket_from_a_page_of_others) {
  start();
  auto other = client(websocket_in(get("/")), "http://example.org");
  EXPECT_TRUE(run_until(
      io, [&] { return other.state() == channel_state::closed; }, "the refusal"));
}

TEST_F(browser_demo, leaves_nothing_behind_when_it_is_interrupted) {
  start();
  demo->kill(SIGINT);
  EXPECT_EQ(demo->finish(), 128 + SIGINT);
  EXPECT_EQ(demo->error_output(), "ferry: interrupted; nothing is left behind\n");
  EXPECT_TRUE(std::filesystem::is_empty(place.path()));
}

}  // namespace
}  // namespace ferry
