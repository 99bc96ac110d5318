// ws:// and wss:// with those who wrote the other WebSockets: Python's websockets and autobahn, ws of npm, as clients
// and as servers, with compression and without; and a browser.
#include "tests/interop/websocket_peers.hpp"

#include <algorithm>
#include <string>
#include <tuple>

#include "testing/raw_tcp.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;

std::string text_of(std::size_t bytes) {
  std::string made;
  for (std::size_t i = 0; i < bytes / 2; ++i) made += "\xc3\xa9";
  return made.append(bytes % 2, 'x');
}
std::string binary_of(std::size_t bytes) {
  std::string made;
  for (std::size_t i = 0; i < bytes; ++i) made.push_back(static_cast<char>(i * 7 + i / 251));
  return made;
}

/// A library, and whether messages are compressed.
class with_library : public among_peers, public ::testing::WithParamInterface<std::tuple<const char*, bool>> {
 protected:
  with_library() { with.ws_compression = compressed; }
  void SetUp() override {
    const std::string python = "/usr/lib/python3/dist-packages/";
    const std::string why = missing(library == "ws" ? "/usr/share/nodejs/ws" : python + library);
    if (!why.empty()) GTEST_SKIP() << why;
  }
  [[nodiscard]] child peer(std::vector<std::string> arguments) const {
    if (compressed) arguments.emplace_back("--deflate");
    return child(websocket_peer(library, arguments));
  }

  /// The peer as a server, and a channel to it.
  void connect(child& peer, const std::string& scheme) {
    const auto line = peer.read_line();
    ASSERT_TRUE(line && line->starts_with("listening on ")) << peer.error_output();
    if (scheme == "wss") with.tls_ca = certificate + ".ca";
    auto made = channel::open(where, scheme + "://localhost:" + line->substr(13) + "/chat?room=1", with);
    ASSERT_TRUE(made) << made.error().text();
    talking = *made;
    talking.on_message(
        [this](const message_view& m) { (m.kind == message_kind::text ? texts : binaries).emplace_back(m.text()); });
    talking.on_down([this](const down_info& info) {
      downs.push_back(info.reason);
      notes.push_back(talking.peer_close_note().value_or(close_note{0, "none"}));
    });
    ASSERT_TRUE(turn([&] { return talking.state() == channel_state::up || talking.state() == channel_state::closed; },
                     "the upgrade"));
    ASSERT_EQ(talking.state(), channel_state::up) << talking.last_error().text();
  }
  /// Sends, and waits for the same.
  void exchange(const std::string& message, message_kind kind) {
    auto& heard = kind == message_kind::text ? texts : binaries;
    heard.clear();
    ASSERT_TRUE(talking.try_send(as_bytes(message), kind));
    ASSERT_TRUE(turn([&] { return !heard.empty() || talking.state() == channel_state::closed; }, "the echo"));
    ASSERT_FALSE(heard.empty()) << talking.last_error().text();
    EXPECT_TRUE(heard.front() == message) << message.size() << " bytes";
  }

  const std::string library = std::get<0>(GetParam());
  const bool compressed = std::get<1>(GetParam());
  channel talking;
  std::vector<std::string> texts, binaries;
};

TEST_P(with_library, its_client_hears_from_a_listener_what_it_sent) {
  with.ws_subprotocols = "chat";
  listen("ws://127.0.0.1:0/chat");
  child one = peer({"talk", url(), "--protocol", "chat", "--close", "4001", "good bye"});
  ASSERT_TRUE(run(one));
  EXPECT_THAT(one.output(), HasSubstr("closed "));
  ASSERT_TRUE(turn([&] { return !downs.empty(); }, "the end"));
  EXPECT_EQ(downs[0], errc::end_of_stream) << downs[0].text();
  EXPECT_EQ(notes[0].code, 4001);
  EXPECT_EQ(notes[0].reason, "good bye");
  EXPECT_EQ(held[0].peer().websocket->subprotocol, "chat");
  EXPECT_EQ(held[0].peer().websocket->compressed, compressed);
}

TEST_P(with_library, its_client_comes_over_tls) {
  listen("wss://127.0.0.1:0/chat");
  child one = peer({"talk", url("localhost"), "--ca", certificate + ".ca"});
  ASSERT_TRUE(run(one));
  EXPECT_EQ(one.output(), "closed 1000\n");
}

TEST_P(with_library, its_server_echoes_to_a_channel) {
  child one = peer({"serve", "--protocol", "chat"});
  with.ws_subprotocols = "chat";
  connect(one, "ws");
  EXPECT_EQ(talking.peer().websocket->subprotocol, "chat");
  EXPECT_EQ(talking.peer().websocket->compressed, compressed);
  for (const std::size_t size : {0, 1, 125, 126, 127, 65535, 65536, 1 << 20}) {
    exchange(text_of(size), message_kind::text);
    exchange(binary_of(size), message_kind::binary);
  }
  exchange(binary_of(16u << 20), message_kind::binary);
  texts.clear();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(talking.try_send(std::to_string(i)));
  ASSERT_TRUE(turn([&] { return texts.size() == 200; }, "the burst"));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(texts[static_cast<std::size_t>(i)], std::to_string(i));
  bool clean = false;
  bool over = false;
  talking.async_close([&](error_code, const close_report& report) {
    clean = report.clean();
    over = true;
  });
  ASSERT_TRUE(turn([&] { return over; }, "the end"));
  EXPECT_TRUE(clean) << talking.last_error().text();
  EXPECT_EQ(one.read_line(), "closed 1000");
}

TEST_P(with_library, its_server_is_reached_over_tls_and_pings_splits_and_closes) {
  child one = peer({"serve", "--tls", certificate});
  connect(one, "wss");
  exchange(text_of(70000), message_kind::text);
  texts.clear();
  ASSERT_TRUE(talking.try_send(std::string_view("please ping")));
  ASSERT_TRUE(talking.try_send(std::string_view("please split")));
  ASSERT_TRUE(turn([&] { return texts.size() == 2; }, "the answers"));
  std::sort(texts.begin(), texts.end());
  EXPECT_EQ(texts, (std::vector<std::string>{"one two three", "pong came"}));
  ASSERT_TRUE(talking.try_send(std::string_view("please close 4002 enough of it")));
  ASSERT_TRUE(turn([&] { return !downs.empty(); }, "the Close"));
  EXPECT_EQ(downs[0], errc::end_of_stream) << downs[0].text();
  EXPECT_EQ(notes[0].code, 4002);
  EXPECT_EQ(notes[0].reason, "enough of it");
}

TEST_P(with_library, its_client_is_refused_with_a_status) {
  listen("ws://127.0.0.1:0/chat");
  const std::string right = url();
  child one = peer({"talk", right.substr(0, right.rfind('/')) + "/elsewhere"});
  ASSERT_TRUE(run(one));
  EXPECT_THAT(one.output(), HasSubstr("404"));
  EXPECT_TRUE(held.empty());
}

INSTANTIATE_TEST_SUITE_P(each, with_library,
                         ::testing::Combine(::testing::Values("websockets", "autobahn", "ws"), ::testing::Bool()),
                         [](const auto& one) {
                           return std::string(std::get<0>(one.param)) +
                                  (std::get<1>(one.param) ? "_deflate" : "_plain");
                         });

// A browser -----------------------------------------------------------------------------------------

class with_browser : public among_peers {
 protected:
  void SetUp() override {
    for (const char* const file : {"/usr/bin/chromium", "/usr/bin/certutil"})
      if (const std::string why = missing(file); !why.empty()) GTEST_SKIP() << why;
  }
  /// Starts the page; what it told, without its first line.
  void browse(const std::string& to, const std::vector<std::string>& arguments = {}) {
    child page(browser_peer(to, arguments));
    const auto first = page.read_line();
    ASSERT_TRUE(first && first->starts_with("origin ")) << page.error_output();
    ASSERT_TRUE(page.write("go\n"));
    ASSERT_TRUE(run(page));
    told = page.output();
  }
  reserved_port reserved;
  std::string told;
};

TEST_F(with_browser, hears_what_it_sent_with_compression_and_without) {
  for (const bool compressed : {false, true}) {
    with.ws_compression = compressed;
    listen("ws://127.0.0.1:0/chat");
    downs.clear();
    notes.clear();
    browse(url());
    EXPECT_EQ(told, std::string(compressed ? "compressed" : "plain") + "\nechoed 517\nclosed 4001 clean\n");
    ASSERT_TRUE(turn([&] { return !downs.empty(); }, "the end"));
    EXPECT_EQ(downs[0], errc::end_of_stream) << downs[0].text();
    EXPECT_EQ(notes[0].code, 4001);
    EXPECT_EQ(notes[0].reason, "good bye");
  }
}

TEST_F(with_browser, hears_the_code_and_the_reason_of_a_close_that_is_ours) {
  for (const int code : {1000, 4002}) {
    held.clear();
    listen("ws://127.0.0.1:0/chat");
    bool over = false;
    listening.on_channel([&](channel arrived) {
      held.push_back(arrived);
      arrived.on_message([&](const message_view& m) {
        if (m.text() != "end it") {
          EXPECT_TRUE(held[0].try_send(m.payload, m.kind)) << "an echo";
          return;
        }
        EXPECT_TRUE(held[0].set_close_note(static_cast<std::uint16_t>(code), "it is late, gute Nacht \u263e"));
        held[0].async_close([&](error_code failed, const close_report&) {
          EXPECT_FALSE(failed);
          over = true;
        });
      });
    });
    browse(url(), {"--please", "end it"});
    EXPECT_EQ(told, "plain\nechoed 517\nclosed " + std::to_string(code) + " it is late, gute Nacht \u263e clean\n");
    ASSERT_TRUE(turn([&] { return over; }, "the end"));
    EXPECT_EQ(held[0].peer_close_note().value_or(close_note{0, "none"}).code, code) << "its answer";
  }
}

TEST_F(with_browser, trusts_the_ca_that_it_was_given_and_no_other) {
  with.ws_compression = true;
  listen("wss://127.0.0.1:0/chat");
  browse(url("localhost"), {"--ca", certificate + ".ca"});
  EXPECT_EQ(told, "compressed\nechoed 517\nclosed 4001 clean\n");
  browse(url("localhost"));
  EXPECT_EQ(told, "closed 1006 unclean\n");
  ASSERT_TRUE(turn([&] { return !refusals.empty(); }, "the listener to hear of it"));
  EXPECT_THAT(refusals[0], HasSubstr("certificate"));
}

TEST_F(with_browser, is_let_in_from_the_origins_that_are_allowed_only) {
  for (const bool allowed : {true, false}) {
    with.ws_origins = "https://example.com";
    // The page's origin is known before the browser starts, the listener's address before the page is made.
    child page(browser_peer("ws://127.0.0.1:" + std::to_string(reserved.number()) + "/chat"));
    const auto first = page.read_line();
    ASSERT_TRUE(first && first->starts_with("origin ")) << page.error_output();
    if (allowed) with.ws_origins += "," + first->substr(7);
    listen("ws://127.0.0.1:" + std::to_string(reserved.number()) + "/chat");
    ASSERT_TRUE(page.write("go\n"));
    ASSERT_TRUE(run(page));
    EXPECT_THAT(page.output(), HasSubstr(allowed ? "closed 4001 clean" : "closed 1006 unclean"));
    EXPECT_EQ(held.size(), 1u);
    listening.close();
    if (!allowed) {
      ASSERT_FALSE(refusals.empty());
      EXPECT_THAT(refusals[0], HasSubstr("origin"));
    }
  }
}

}  // namespace
}  // namespace ferry::test
