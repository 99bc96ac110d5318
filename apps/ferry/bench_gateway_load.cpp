#include "apps/ferry/bench_gateway_load.hpp"

#include <ferry/gateway.hpp>

#include <unistd.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>
#include <thread>
#include <vector>

#include "base/endian.hpp"
#include "bench/websocket_knock.hpp"

namespace ferry::app {
namespace {

namespace asio = boost::asio;
constexpr std::size_t k_stamped = 16;  // bytes of a message that differ from one to the next: number and time
constexpr std::uint32_t k_dials = 64;  // at a time, of each client
// Nanoseconds: what falls due within that time goes together, for the service needs the core as well.
constexpr std::int64_t k_shortest_sleep = 50'000;

/// When the load counts, and what it counts.
class stopwatch {
 public:
  stopwatch(const gateway_bench_plan& plan, gateway_board& shared) : plan_(plan), shared_(shared) {}

  void begin(std::int64_t now) {
    timed_from_ = now + plan_.duration.count() / 4;
    until_ = timed_from_ + plan_.duration.count();
  }
  /// @return false: it is over
  [[nodiscard]] bool count(std::int64_t since, std::int64_t now) {
    if (now < timed_from_) return true;
    auto& run = shared_.run;
    if (began_ == 0) {
      began_ = now;
      cpu_ = process_cpu_seconds(shared_.gateway_pid);
      return true;
    }
    if (now < until_) {
      run.echoes += 1;
      run.latency.record(static_cast<std::uint64_t>(std::max<std::int64_t>(now - since, 0)));
      return true;
    }
    if (shared_.over) return false;
    run.cpu_seconds = cpu_ < 0 ? -1 : process_cpu_seconds(shared_.gateway_pid) - cpu_;
    run.seconds = static_cast<double>(now - began_) / 1e9;
    shared_.over = true;
    return false;
  }

 private:
  const gateway_bench_plan& plan_;
  gateway_board& shared_;
  std::int64_t timed_from_ = 0, until_ = 0, began_ = 0;
  double cpu_ = 0;
};

gateway_options options_for(const gateway_bench_plan& plan) {
  gateway_options with;
  with.max_dials = std::max(plan.virtual_connections, k_dials);
  with.dial_timeout = std::chrono::seconds(60);
  with.link.connect_timeout = std::chrono::seconds(60);
  with.link.send_queue_bytes = 64u << 20;
  if (plan.carrier == gateway_carrier::snet) with.resume.kind = gateway_resume::snet;
  if (plan.carrier == gateway_carrier::token) with.resume.kind = gateway_resume::token;
  with.link.tls_ca = plan.ca;
  return with;
}

class echo_load {
 public:
  echo_load(bench::child& me, const gateway_bench_plan& plan, gateway_board& shared)
      : me_(me), plan_(plan), shared_(shared), watch_(plan, shared), pace_(mine_.io) {}

  void run() {
    for (std::uint32_t i = 0; i < plan_.clients; ++i) {
      auto made = gateway_client::open(mine_.channels, shared_.client_url.url(), options_for(plan_));
      if (!made) give_up(me_, made.error());
      made->on_down([this](const down_info& info) { left(info.reason); });
      made->on_connect_failure([this](const error& why) { left(why); });
      clients_.push_back(*made);
      for (std::uint32_t v = 0; v < plan_.virtual_connections; ++v)
        clients_.back().async_dial(k_bench_server, [this](error_code failed, channel one) {
          if (failed) give_up(me_, error(static_cast<errc>(failed.value()), "dial: " + failed.message()));
          add(std::move(one));
        });
    }
    mine_.io.run();
  }

 private:
  struct lane {
    channel over;
    std::uint64_t next = 0;      // number of the next question
    std::uint64_t expected = 0;  // and of the next echo
    std::vector<std::byte> body;
  };

  void left(const error& why) {
    if (!shared_.over) give_up(me_, why);
  }

  void add(channel one) {
    lanes_.push_back({std::move(one), 0, 0, std::vector<std::byte>(plan_.size)});
    lane& made = lanes_.back();
    for (std::size_t i = k_stamped; i < plan_.size; ++i)
      made.body[i] = static_cast<std::byte>(i * 7 + lanes_.size() * 31);
    made.over.on_message([this, at = lanes_.size() - 1](const message_view& m) { take(lanes_[at], m.payload); });
    if (lanes_.size() < std::size_t{plan_.clients} * plan_.virtual_connections) return;
    const auto now = bench::now_ns();
    watch_.begin(now);
    if (plan_.rate != 0) {
      due_ = static_cast<double>(now);
      return keep_pace(now);
    }
    for (auto& every : lanes_)
      for (std::uint32_t i = 0; i < plan_.window; ++i) ask(every, now);
  }

  void ask(lane& on, std::int64_t since) {
    store_le(on.body.data(), on.next);
    store_le(on.body.data() + 8, static_cast<std::uint64_t>(since));
    if (const auto sent = on.over.try_send(bytes(on.body)); !sent) give_up(me_, sent.error());
    on.next += 1;
    on_the_way_ += 1;
  }

  void take(lane& on, bytes echo) {
    const auto now = bench::now_ns();
    if (echo.size() != plan_.size || load_le<std::uint64_t>(echo.data()) != on.expected ||
        std::memcmp(echo.data() + k_stamped, on.body.data() + k_stamped, plan_.size - k_stamped) != 0)
      me_.fail(errc::corrupt, "an echo is not what was said");
    on.expected += 1;
    on_the_way_ -= 1;
    if (!watch_.count(static_cast<std::int64_t>(load_le<std::uint64_t>(echo.data() + 8)), now)) return mine_.io.stop();
    if (plan_.rate == 0) return ask(on, now);
    if (!will_pace_) return keep_pace(now);
    if (on_the_way_ == 0) pace_.cancel();  // nobody else needs this core now
  }

  // With a rate, a question counts from when it was due, whether or not there was room for it then. While nothing is on
  // the way, the clock is looked at: who sleeps until a question is due may be woken late by more than an echo takes.
  void keep_pace(std::int64_t now) {
    send_due(now);
    will_pace_ = has_room();
    if (!will_pace_) return;  // the next echo makes room
    if (on_the_way_ == 0) return asio::post(mine_.io, [this] { keep_pace(bench::now_ns()); });
    const auto due = std::max(static_cast<std::int64_t>(due_) + 1, now + k_shortest_sleep);
    pace_.expires_at(asio::steady_timer::time_point(std::chrono::nanoseconds(due)));
    pace_.async_wait([this](const error_code&) { keep_pace(bench::now_ns()); });  // also when it was cancelled
  }

  void send_due(std::int64_t now) {
    const auto step = static_cast<double>(1'000'000'000) / static_cast<double>(plan_.rate);
    while (due_ <= static_cast<double>(now) && has_room()) {
      lane& on = lanes_[turn_];
      turn_ = (turn_ + 1) % lanes_.size();
      if (on.next - on.expected == plan_.window) continue;
      ask(on, static_cast<std::int64_t>(due_));
      due_ += step;
    }
  }
  [[nodiscard]] bool has_room() const { return on_the_way_ < lanes_.size() * plan_.window; }

  bench::child& me_;
  const gateway_bench_plan& plan_;
  gateway_board& shared_;
  loop mine_;
  stopwatch watch_;
  asio::steady_timer pace_;
  std::vector<gateway_client> clients_;
  std::deque<lane> lanes_;
  double due_ = 0;
  std::size_t turn_ = 0;
  std::uint64_t on_the_way_ = 0;  // questions of all lanes
  bool will_pace_ = false;        // keep_pace() is called when something is due
};

class dial_load {
 public:
  dial_load(bench::child& me, const gateway_bench_plan& plan, gateway_board& shared)
      : me_(me), plan_(plan), shared_(shared), watch_(plan, shared) {}

  void run() {
    watch_.begin(bench::now_ns());
    for (std::uint32_t i = 0; i < plan_.clients; ++i) {
      auto made = gateway_client::open(mine_.channels, shared_.client_url.url(), options_for(plan_));
      if (!made) give_up(me_, made.error());
      clients_.push_back(*made);
      for (std::uint32_t d = 0; d < k_dials; ++d) dial(i);
    }
    mine_.io.run();
  }

 private:
  void dial(std::size_t at) {
    clients_[at].async_dial(k_bench_server, [this, at, since = bench::now_ns()](error_code failed, channel one) {
      if (failed && !shared_.over) give_up(me_, error(static_cast<errc>(failed.value()), "dial: " + failed.message()));
      one = {};  // closes it
      if (!watch_.count(since, bench::now_ns())) return mine_.io.stop();
      dial(at);
    });
  }

  bench::child& me_;
  const gateway_bench_plan& plan_;
  gateway_board& shared_;
  loop mine_;
  stopwatch watch_;
  std::deque<gateway_client> clients_;
};

std::uint64_t rss_of(int pid) {
  std::ifstream from("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t whole = 0, resident = 0;
  from >> whole >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

double process_cpu_seconds(int pid) noexcept {
  clockid_t clock{};
  timespec spent{};
  if (pid <= 0 || ::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &spent) != 0) return -1;
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

void load_gateway(bench::child& me, const gateway_bench_plan& plan, gateway_board& shared) {
  if (plan.work == gateway_work::dials) return dial_load(me, plan, shared).run();
  echo_load(me, plan, shared).run();
}

void load_gateway_idly(bench::child& me, const gateway_bench_plan& plan, gateway_board& shared) {
  options with;
  const auto at = look_up(shared.client_url.url(), with);
  if (!at) give_up(me, at.error());
  std::vector<os::unique_fd> all;
  const std::uint32_t counts[] = {std::max<std::uint32_t>(plan.clients / 9, 1), plan.clients};
  for (int i = 0; i < 2; ++i) {
    while (all.size() < counts[i]) all.push_back(bench::connect_tcp(me, at->host, at->port));
    while (shared.clients < counts[i]) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    shared.run.rss_bytes[i] = rss_of(shared.gateway_pid);
    shared.run.rss_clients[i] = counts[i];
  }
  shared.over = true;
}

}  // namespace ferry::app
