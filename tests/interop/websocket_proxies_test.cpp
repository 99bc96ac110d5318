// nginx and haproxy between a client and our listener: TLS ended at the proxy, and passed through it.
#include <fstream>
#include <string>

#include "testing/raw_tcp.hpp"
#include "tests/interop/websocket_peers.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* k_no_stream_module = "nginx has no stream module: scripts/setup.sh test installs it";

class behind_a_proxy : public among_peers {
 protected:
  void SetUp() override {
    for (const char* const file : {"/usr/sbin/nginx", "/usr/sbin/haproxy", "/usr/lib/python3/dist-packages/websockets"})
      if (const std::string why = missing(file); !why.empty()) GTEST_SKIP() << why;
  }
  void start(std::vector<std::string> call, const std::string& settings) {
    const std::string file = dir.file("proxy.conf");
    std::ofstream(file) << settings;
    for (auto& word : call)
      if (word == "CONF") word = file;
    proxy.emplace(std::move(call));
  }
  /// nginx in one process, without a place of its own in the system.
  void start_nginx(const std::string& server) {
    start(
        {"/usr/sbin/nginx", "-p", dir.path().string(), "-e", "stderr", "-c", "CONF"},
        "daemon off; master_process off; pid " + dir.file("pid") + "; error_log stderr; events {}\nhttp {\n" +
            "access_log off; client_body_temp_path " + dir.file("body") + "; proxy_temp_path " + dir.file("proxy") +
            "; fastcgi_temp_path " + dir.file("fastcgi") + "; uwsgi_temp_path " + dir.file("uwsgi") +
            "; scgi_temp_path " + dir.file("scgi") + ";\nserver {\n" + server +
            "location / {\nproxy_pass http://127.0.0.1:" + port() +
            ";\nproxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;\n"
            "proxy_set_header Host $http_host; proxy_read_timeout 60s; proxy_buffering off; }\n}\n}\n");
  }
  /// nginx as a balancer of connections; its module for that is a package of its own.
  [[nodiscard]] bool start_nginx_stream(const std::string& more = "") {
    const std::string module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    if (!missing(module).empty()) return false;
    start({"/usr/sbin/nginx", "-p", dir.path().string(), "-e", "stderr", "-c", "CONF"},
          "load_module " + module + ";\ndaemon off; master_process off; pid " + dir.file("pid") +
              "; error_log stderr; events {}\nstream {\nserver {\nlisten 127.0.0.1:" +
              std::to_string(reserved.number()) + ";\nproxy_pass 127.0.0.1:" + port() + ";\n" + more + "}\n}\n");
    return true;
  }
  void start_haproxy(const std::string& mode, const std::string& bind, const std::string& server = "") {
    start({"/usr/sbin/haproxy", "-db", "-f", "CONF"},
          "defaults\n mode " + mode +
              "\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n timeout tunnel 60s\n"
              "frontend front\n bind 127.0.0.1:" +
              std::to_string(reserved.number()) + " " + bind +
              "\n default_backend back\nbackend back\n server ferry 127.0.0.1:" + port() + " " + server + "\n");
  }
  [[nodiscard]] std::string proxied(const std::string& scheme) const {
    return scheme + "://localhost:" + std::to_string(reserved.number()) + "/chat";
  }

  /// A channel through the proxy, which may still be starting, gets back what it sends, and ends in order.
  void exchange(const std::string& to) {
    with.tls_ca = certificate + ".ca";
    with.reconnect = true;
    with.reconnect_base = std::chrono::milliseconds(20);
    with.reconnect_max = std::chrono::milliseconds(100);
    auto made = channel::open(where, to, with);
    ASSERT_TRUE(made) << made.error().text();
    talking = *made;
    std::vector<std::string> heard;
    talking.on_message([&](const message_view& m) { heard.emplace_back(m.text()); });
    std::vector<std::string> sent{"", "hello", std::string(70000, 'x'), std::string(8u << 20, 'y')};
    for (const auto& one : sent) ASSERT_TRUE(talking.try_send(one));
    ASSERT_TRUE(turn([&] { return heard.size() == sent.size(); }, "the echoes")) << talking.last_error().text();
    EXPECT_TRUE(heard == sent);
    bool over = false;
    talking.async_close([&](error_code failed, const close_report&) {
      EXPECT_FALSE(failed) << talking.last_error().text();
      over = true;
    });
    ASSERT_TRUE(turn([&] { return over && !downs.empty(); }, "the end"));
    EXPECT_EQ(downs.back(), errc::end_of_stream) << downs.back().text();
  }
  /// The same by a client that others wrote.
  void let_talk(const std::string& to) {
    child one(websocket_peer("websockets", {"talk", to, "--ca", certificate + ".ca", "--deflate"}));
    ASSERT_TRUE(run(one));
    EXPECT_EQ(one.output(), "closed 1000\n");
  }

  reserved_port reserved;
  std::optional<child> proxy;
  channel talking;
};

TEST_F(behind_a_proxy, nginx_ends_tls_and_passes_the_websocket_on) {
  with.ws_compression = true;
  listen("ws://127.0.0.1:0/chat");
  start_nginx("listen 127.0.0.1:" + std::to_string(reserved.number()) + " ssl;\nssl_certificate " + certificate +
              "; ssl_certificate_key " + certificate + ";\n");
  exchange(proxied("wss"));
  let_talk(proxied("wss"));
}

TEST_F(behind_a_proxy, nginx_passes_a_plain_websocket_on) {
  listen("ws://127.0.0.1:0/chat");
  start_nginx("listen 127.0.0.1:" + std::to_string(reserved.number()) + ";\n");
  exchange(proxied("ws"));
}

TEST_F(behind_a_proxy, nginx_passes_tls_through) {
  with.ws_compression = true;
  listen("wss://127.0.0.1:0/chat");
  if (!start_nginx_stream()) GTEST_SKIP() << k_no_stream_module;
  exchange(proxied("wss"));
  let_talk(proxied("wss"));
}

TEST_F(behind_a_proxy, haproxy_ends_tls_and_passes_the_websocket_on) {
  with.ws_compression = true;
  listen("ws://127.0.0.1:0/chat");
  start_haproxy("http", "ssl crt " + certificate);
  exchange(proxied("wss"));
  let_talk(proxied("wss"));
}

TEST_F(behind_a_proxy, haproxy_passes_tls_through) {
  with.ws_compression = true;
  listen("wss://127.0.0.1:0/chat");
  start_haproxy("tcp", "");
  exchange(proxied("wss"));
  let_talk(proxied("wss"));
}

// The client's address through a balancer that says so -----------------------------------------------

/// What the listener knows of the peer is where the client really is, whatever came between.
class behind_a_balancer : public behind_a_proxy {
 protected:
  void expect_the_clients_address(const std::string& to) {
    with.tls_ca = certificate + ".ca";
    with.reconnect = true;
    with.reconnect_base = std::chrono::milliseconds(20);
    with.reconnect_max = std::chrono::milliseconds(100);
    talking = channel::open(where, to, with).value();
    std::string heard;
    talking.on_message([&](const message_view& m) { heard = m.text(); });
    ASSERT_TRUE(talking.try_send(std::string_view("hello")));
    ASSERT_TRUE(turn([&] { return heard == "hello"; }, "the echo")) << talking.last_error().text();
    const auto who = held.back().peer();
    EXPECT_EQ(who.address, talking.local_address());
    EXPECT_THAT(who.through, ::testing::StartsWith("127.0.0.1:"));
    EXPECT_NE(who.through, who.address);
    talking.cut();
  }
  void SetUp() override {
    behind_a_proxy::SetUp();
    with.proxy_protocol = proxy_protocol_kind::accept;
    with.proxy_from = "127.0.0.1";
  }
  [[nodiscard]] std::string through(const std::string& scheme) const {
    return scheme + "://localhost:" + std::to_string(reserved.number()) + (scheme.starts_with("ws") ? "/chat" : "");
  }
};

TEST_F(behind_a_balancer, haproxy_says_in_version_1_where_the_client_is) {
  listen("ws://127.0.0.1:0/chat");
  start_haproxy("tcp", "", "send-proxy");
  expect_the_clients_address(through("ws"));
}

TEST_F(behind_a_balancer, haproxy_says_in_version_2_where_the_client_is) {
  listen("tcp://127.0.0.1:0");
  start_haproxy("tcp", "", "send-proxy-v2");
  expect_the_clients_address(through("tcp"));
}

TEST_F(behind_a_balancer, haproxy_says_it_in_front_of_tls_that_it_passes_through) {
  listen("wss://127.0.0.1:0/chat");
  start_haproxy("tcp", "", "send-proxy-v2");
  expect_the_clients_address(through("wss"));
}

TEST_F(behind_a_balancer, haproxy_adds_what_it_knows_of_the_tls_that_it_ended) {
  listen("ws://127.0.0.1:0/chat");
  start_haproxy("tcp", "ssl crt " + certificate, "send-proxy-v2-ssl-cn");
  expect_the_clients_address(through("wss"));
}

TEST_F(behind_a_balancer, nginx_says_in_version_1_where_the_client_is) {
  listen("ws://127.0.0.1:0/chat");
  if (!start_nginx_stream("proxy_protocol on;\n")) GTEST_SKIP() << k_no_stream_module;
  expect_the_clients_address(through("ws"));
}

}  // namespace
}  // namespace ferry::test
