#include "apps/ferry/demo_browser.hpp"

#include <ferry/gateway.hpp>

#include <cstdint>
#include <map>
#include <string_view>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "apps/ferry/demo_page.hpp"
#include "bench/child.hpp"
#include "gateway/gateway.hpp"
#include "net/admin_http.hpp"
#include "os/random.hpp"

namespace ferry::app {
namespace {

constexpr std::uint32_t k_service = 1;  // its ID; the page dials it
constexpr std::string_view k_echo = "echo ";
constexpr std::size_t k_longest = 4096;  // bytes of what a page says

// What the two processes tell each other; in memory that they share.
struct board {
  meeting_point page;       // "http://127.0.0.1:40123"
  meeting_point websocket;  // where the gateway takes clients, and
  meeting_point services;   // servers
};

void run_gateway(bench::child& me, const std::string& directory, const std::string& key, board& shared) {
  const auto page = shared.page.url();
  const auto port = page.substr(page.rfind(':'));
  loop mine;
  gateway::settings with;
  with.clients.url = "ws://127.0.0.1:0/";
  with.clients.options = "ws_origins=" + page + ",http://localhost" + port;
  with.servers.url = "shm://services";
  with.servers.options = "runtime_dir=" + directory;
  with.server_key = key;
  with.login = gateway::login_kind::hmac;
  with.max_packet = k_longest + 4;
  with.connect_address = true;
  const auto made = gateway::service::open(mine.channels, with);
  if (!made) give_up(me, made.error());
  shared.services.publish(me, made->server_url());
  shared.websocket.publish(me, made->client_url());
  mine.io.run();
}

/// Who is there, and what they say to each other.
class room {
 public:
  void enter(channel one) {
    const auto id = gateway_address_of(one)->connection;
    const auto name = "page " + std::to_string(gateway_address_of(one)->remote);
    // By number: a handler that had the channel would keep it open.
    one.on_message([this, id, name](const message_view& m) { hear(id, name, as_text(m.payload)); });
    one.on_down([this, id, name](const down_info&) {
      if (pages_.erase(id) != 0) tell_all(name + " has left");
    });
    tell(name + " comes from " + one.peer().address);
    pages_.emplace(id, std::move(one));
  }

 private:
  void hear(std::uint32_t id, const std::string& name, std::string_view text) {
    if (text.starts_with(k_echo)) return send(id, text);
    std::string line = name + ' ';
    for (const char c : text) line += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c;
    tell_all(line);
  }
  void tell_all(const std::string& line) {
    tell(line);
    for (auto one = pages_.begin(); one != pages_.end();) send((one++)->first, line);
  }
  // A page that does not read misses what does not fit.
  void send(std::uint32_t id, std::string_view text) {
    if (const auto found = pages_.find(id); found != pages_.end()) (void)found->second.try_send(as_bytes(text));
  }
  static void tell(const std::string& line) { (void)print(line + "\n"); }

  std::map<std::uint32_t, channel> pages_;
};

net::http_page page_at(std::string_view path, const std::string& websocket) {
  if (path != "/" || websocket.empty()) return {404, {}, "there is only /\n"};
  return {200, "text/html; charset=utf-8", demo_page(websocket)};
}

void serve(bench::child& me, const std::string& key, board& shared) {
  loop mine;
  std::string websocket;  // empty until the service is there
  auto pages = net::admin_http::open(mine.channels, "tcp://127.0.0.1:0",
                                     [&](std::string_view path) { return page_at(path, websocket); });
  if (!pages) give_up(me, pages.error());
  const auto page = "http" + pages->url().substr(3);
  shared.page.publish(me, page);

  room all;
  gateway_options with;
  with.login = gateway_login::hmac;
  with.max_packet = k_longest + 4;
  auto made = gateway_server::open(mine.channels, shared.services.url(), k_service, key, with);
  if (!made) give_up(me, made.error());
  made->on_channel([&](channel one) { all.enter(std::move(one)); });
  made->on_connect_failure([&](const error& why) { give_up(me, why); });
  made->on_down([&](const down_info& info) { give_up(me, info.reason); });
  made->on_up([&](const peer_info&) {
    websocket = shared.websocket.url();
    (void)print("Open " + page + "/ in a browser; Ctrl-C ends it.\n");
  });
  mine.io.run();
}

std::string random_key() { return std::to_string(os::random_u64()) + std::to_string(os::random_u64()); }

}  // namespace

error run_browser_demo(const std::string& directory) {
  const auto key = random_key();
  const bench::shared<board> shared;
  const auto ended =
      bench::run_together({{"gateway", {}, [&](bench::child& me) { run_gateway(me, directory, key, *shared); }},
                           {"service", {}, [&](bench::child& me) { serve(me, key, *shared); }}},
                          std::chrono::hours(24 * 365));
  return ended ? error(errc::closed, "it has ended") : ended.error();
}

}  // namespace ferry::app
