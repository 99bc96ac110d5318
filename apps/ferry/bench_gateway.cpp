#include "apps/ferry/bench_gateway.hpp"

#include <ferry/gateway.hpp>

#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "apps/ferry/bench_connections.hpp"
#include "apps/ferry/bench_gateway_load.hpp"
#include "bench/sockets.hpp"
#include "gateway/gateway.hpp"

namespace ferry::app {
namespace {

namespace asio = boost::asio;
constexpr const char* k_key = "bench";
constexpr std::size_t k_relay_clients = 500, k_relay_in_flight = 256;  // the most that a bare relay takes

/// Looks now and then whether the load is done.
class watcher {
 public:
  watcher(asio::io_context& io, std::function<bool()> done) : io_(io), timer_(io), done_(std::move(done)) { look(); }

 private:
  void look() {
    if (done_()) return io_.stop();
    timer_.expires_after(std::chrono::milliseconds(20));
    timer_.async_wait([this](const error_code& failed) {
      if (!failed) look();
    });
  }
  asio::io_context& io_;
  asio::steady_timer timer_;
  std::function<bool()> done_;
};

void run_gateway(bench::child& me, const gateway_bench_plan& plan, gateway_board& shared) {
  loop mine;
  gateway::settings with;
  with.servers.url = "tcp://127.0.0.1:0";
  with.clients.url = plan.carrier == gateway_carrier::ws ? "ws://127.0.0.1:0/" : with.servers.url;
  if (plan.carrier == gateway_carrier::snet) with.clients.resume.kind = gateway::resume_kind::snet;
  if (plan.carrier == gateway_carrier::token) {
    with.clients.resume.kind = gateway::resume_kind::token;
    with.clients.url = "tls://127.0.0.1:0";
    with.clients.options = "tls_certificate=" + plan.certificate;
  }
  with.clients.idle_timeout = with.servers.idle_timeout = std::chrono::hours(1);
  with.clients.send_queue = with.servers.send_queue = 10'000'000;
  with.client_max_conn = 1'000'000;
  with.server_key = k_key;
  with.threads = plan.threads;
  with.spin = plan.spin;
  auto made = gateway::service::open(mine.channels, with);
  if (!made) give_up(me, made.error());
  shared.gateway_pid = ::getpid();
  shared.client_url.publish(me, made->client_url());
  shared.server_url.publish(me, made->server_url());
  const watcher end(mine.io, [&] {
    if (plan.work == gateway_work::idle) shared.clients = made->stats().clients;
    return shared.over.load();
  });
  mine.io.run();
}

void serve(bench::child& me, const std::string& key, gateway_board& shared) {
  loop mine;
  gateway_options with;
  with.link.send_queue_bytes = 64u << 20;
  with.link.reconnect = false;
  auto made = gateway_server::open(mine.channels, shared.server_url.url(), k_bench_server, key, with);
  if (!made) give_up(me, made.error());
  made->on_channel([&](channel one) {
    one.on_message([&, one](const message_view& m) mutable {
      if (const auto sent = one.try_send(m.payload); !sent && sent.error() != errc::closed) give_up(me, sent.error());
    });
  });
  made->on_up([&](const peer_info&) { shared.serving = true; });
  made->on_connect_failure([&](const error& why) { give_up(me, why); });
  made->on_down([&](const down_info& info) {
    if (!shared.over) give_up(me, info.reason);
    mine.io.stop();
  });
  const watcher end(mine.io, [&] { return shared.over.load(); });
  mine.io.run();
}

result<void> check(const gateway_bench_plan& plan) {
  if (auto fine = bench::in_range("--clients", plan.clients, 1, 20'000); !fine) return fine;
  if (auto fine = bench::in_range("--virtual", plan.virtual_connections, 1, 1000); !fine) return fine;
  if (auto fine = bench::in_range("--window", plan.window, 1, 1000); !fine) return fine;
  if (auto fine = bench::in_range("--threads", plan.threads, 1, gateway::k_most_threads); !fine) return fine;
  if (auto fine = bench::in_range("--size", plan.size, 16, 256u << 10); !fine) return fine;
  if (plan.work == gateway_work::idle && !plan.external.client_url.empty())
    return error(errc::misuse, "--idle: only a gateway of our own says how many clients it has");
  if (plan.work == gateway_work::idle && plan.carrier != gateway_carrier::tcp)
    return error(errc::misuse, "--idle: with --carrier tcp alone");
  if (plan.carrier == gateway_carrier::token && plan.external.client_url.empty() && plan.certificate.empty())
    return error(errc::misuse, "--carrier token: a gateway of our own needs a certificate");
  return make_room_for(plan.clients);
}

void run_relay(const gateway_bench_plan& plan, gateway_bench_run& run) {
  const auto bare = bench::measure_relay(
      bench::stream_kind::tcp, std::min<std::size_t>(plan.clients, k_relay_clients),
      std::min<std::size_t>(std::size_t{plan.virtual_connections} * plan.window, k_relay_in_flight), plan.duration,
      plan.pin);
  if (!bare || bare->echoes == 0) return;
  run.relay_cpu_ns_per_echo = bare->cpu_seconds * 1e9 / static_cast<double>(bare->echoes);
  run.relay_echoes_per_second = static_cast<double>(bare->echoes) / bare->seconds;
  run.relay_p50_ns = bare->p50_ns;
  run.relay_p99_ns = bare->p99_ns;
}

}  // namespace

const char* to_string(gateway_carrier carrier) noexcept {
  switch (carrier) {
    case gateway_carrier::tcp: return "tcp";
    case gateway_carrier::ws: return "ws";
    case gateway_carrier::snet: return "snet";
    case gateway_carrier::token: return "token";
  }
  return "?";
}

result<gateway_bench_run> run_gateway_bench(const gateway_bench_plan& asked) {
  auto plan = asked;
  if (const auto fine = check(plan); !fine) return fine.error();
  if (!plan.pin) {
    const auto two = bench::two_cores();
    if (!two) return two.error();
    plan.pin = *two;
  }
  // Several threads go where the system puts them.
  const auto own = plan.threads > 1 ? std::nullopt : bench::core_of(plan.pin, &bench::core_pair::first);
  const auto others = bench::core_of(plan.pin, &bench::core_pair::second);
  const bool external = !plan.external.client_url.empty();
  const bench::shared<gateway_board> shared;
  std::vector<bench::child_part> parts;
  if (!external) parts.push_back({"gateway", own, [&](bench::child& me) { run_gateway(me, plan, *shared); }});
  if (plan.work != gateway_work::idle)
    parts.push_back({"service", others, [&](bench::child& me) {
                       if (external) {
                         shared->gateway_pid = plan.external.pid;
                         shared->server_url.publish(me, plan.external.server_url);
                       }
                       serve(me, external ? plan.external.key : k_key, *shared);
                     }});
  parts.push_back({"load", others, [&](bench::child& me) {
                     if (external) shared->client_url.publish(me, plan.external.client_url);
                     if (plan.work == gateway_work::idle) return load_gateway_idly(me, plan, *shared);
                     while (!shared->serving) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                     load_gateway(me, plan, *shared);
                   }});
  const auto ended = bench::run_together(parts, bench::patience(plan.duration) + std::chrono::seconds(60));
  if (!ended) return ended.error();
  auto run = shared->run;
  if (plan.work == gateway_work::echo && plan.with_relay && plan.rate == 0) run_relay(plan, run);
  return run;
}

}  // namespace ferry::app
