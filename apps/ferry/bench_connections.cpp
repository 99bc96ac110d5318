#include "apps/ferry/bench_connections.hpp"

#include <ferry/channel.hpp>
#include <ferry/listener.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "apps/ferry/bench_payload.hpp"
#include "apps/ferry/bench_sides.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_size = 64;
constexpr std::uint32_t k_spare_descriptors = 64;      // for everything that is no connection
constexpr std::uint32_t k_connecting_at_a_time = 128;  // below any backlog
constexpr auto k_look = std::chrono::milliseconds(2);
constexpr int k_quiet_looks = 50;  // before memory is read: what was under way has come to rest

/// One after the other; the load waits for odd ones, the server for even ones.
enum stage : int { few_wanted, few_measured, all_wanted, all_measured, active_done };

struct board {
  meeting_point where;
  std::atomic<int> stage;                // pairs: each side's store with the other's load
  std::atomic<std::uint32_t> connected;  // as the load counts
  connections_result figures;
};

std::uint64_t rollup_bytes(const char* key) {
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string line; std::getline(rollup, line);)
    if (line.starts_with(key)) return std::stoull(line.substr(std::strlen(key))) * 1024;
  return 0;
}

std::uint64_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::uint64_t>(std::distance(begin(all), end(all)));
}

class server {
 public:
  server(bench::child& me, const connections_plan& plan, board& shared)
      : me_(me), plan_(plan), shared_(shared), look_(mine_.io) {}

  void run() {
    auto opened = listener::open(mine_.channels, plan_.url, plan_.with);
    if (!opened) give_up(me_, opened.error());
    arrivals_ = std::move(*opened);
    shared_.where.publish(me_, arrivals_.url());
    arrivals_.on_channel([this](channel one) { welcome(std::move(one)); });
    arrivals_.on_error([this](const error& why) { give_up(me_, why); });
    look_again();
    me_.rendezvous();
    mine_.io.run();
  }

 private:
  void welcome(channel one) {
    one.on_message([one](const message_view& m) mutable {
      if (!one.try_send(m.payload)) one.cut();
    });
  }

  void look_again() {
    look_.expires_after(k_look);
    look_.async_wait([this](error_code) { look(); });
  }

  void look() {
    const int now = shared_.stage.load(std::memory_order_acquire);
    if (now == few_wanted) measure_at(shared_.figures.first_count, 0, few_measured);
    if (now == all_wanted) measure_at(plan_.count, 1, all_measured);
    if (now == active_done) return mine_.io.stop();
    look_again();
  }

  void measure_at(std::uint32_t wanted, int which, stage next) {
    if (shared_.connected.load(std::memory_order_acquire) != wanted || arrivals_.stats().open != wanted) return;
    if (++quiet_ < k_quiet_looks) return;
    quiet_ = 0;
    shared_.figures.rss_bytes[which] = rollup_bytes("Rss:");
    shared_.figures.pss_bytes[which] = rollup_bytes("Pss:");
    shared_.figures.descriptors[which] = open_descriptors();
    shared_.stage.store(next, std::memory_order_release);
  }

  bench::child& me_;
  const connections_plan& plan_;
  board& shared_;
  loop mine_;
  listener arrivals_;
  boost::asio::steady_timer look_;
  int quiet_ = 0;
};

class load {
 public:
  load(bench::child& me, const connections_plan& plan, board& shared)
      : me_(me), plan_(plan), shared_(shared), look_(mine_.io) {}

  void run() {
    me_.rendezvous();
    url_ = shared_.where.url();
    connections_.reserve(plan_.count);
    begun_ = bench::now_ns();
    wanted_ = shared_.figures.first_count;
    connect_more();
    look_again();
    mine_.io.run();
  }

 private:
  struct connection {
    channel link;
    bench_pattern pattern{k_size};
    std::uint64_t next = 0;
    std::int64_t asked = 0;
  };

  void connect_more() {
    while (connecting_ < k_connecting_at_a_time && connections_.size() < wanted_) {
      auto opened = channel::open(mine_.channels, url_, plan_.with);
      if (!opened) give_up(me_, opened.error());
      connecting_ += 1;
      connections_.push_back(std::make_unique<connection>(connection{*opened}));
      auto& one = *connections_.back();
      one.link.on_down([this](const down_info& why) { lost(why.reason); });
      one.link.async_wait_up([this, &one](error_code failed) {
        if (failed) lost(one.link.last_error());
        connecting_ -= 1;
        shared_.connected.fetch_add(1, std::memory_order_release);  // pairs with: server::measure_at
        connect_more();
      });
    }
  }

  void lost(const error& why) {
    const auto text = "connection " + std::to_string(shared_.connected.load() + 1) + ": " + why.text();
    me_.fail(why.reason(), text.c_str());
  }

  void look_again() {
    look_.expires_after(k_look);
    look_.async_wait([this](error_code) { look(); });
  }

  void look() {
    const int now = shared_.stage.load(std::memory_order_acquire);
    if (now == few_measured) {
      shared_.stage.store(all_wanted, std::memory_order_release);
      begun_ = bench::now_ns();
      wanted_ = plan_.count;
      connect_more();
    }
    if (now == all_wanted && shared_.connected.load() == plan_.count && shared_.figures.seconds_to_connect == 0)
      shared_.figures.seconds_to_connect = static_cast<double>(bench::now_ns() - begun_) / 1e9;
    if (now == all_measured) return talk();
    look_again();
  }

  void talk() {
    const auto share = plan_.active_percent / 100 * plan_.count;
    if (share == 0) return end();
    active_ = std::clamp<std::size_t>(static_cast<std::size_t>(std::llround(share)), 1, plan_.count);
    begun_ = bench::now_ns();
    deadline_ = begun_ + plan_.duration.count();
    for (std::size_t i = 0; i < active_; ++i) {
      auto& one = *connections_[i];
      one.link.on_message([this, &one](const message_view& m) { answered(one, m.payload); });
      ask(one);
    }
  }

  void ask(connection& one) {
    one.asked = bench::now_ns();
    const auto sent = one.link.try_send(one.pattern.stamp(one.next));
    if (!sent) lost(sent.error());
  }

  void answered(connection& one, bytes payload) {
    const auto now = bench::now_ns();
    const auto expected = one.pattern.stamp(one.next++);
    if (!std::equal(payload.begin(), payload.end(), expected.begin(), expected.end())) shared_.figures.corrupt += 1;
    shared_.figures.rtt.record(static_cast<std::uint64_t>(now - one.asked));
    shared_.figures.messages += 1;
    if (now < deadline_) return ask(one);
    if (--active_ != 0) return;
    shared_.figures.active_seconds = static_cast<double>(now - begun_) / 1e9;
    end();
  }

  void end() {
    shared_.stage.store(active_done, std::memory_order_release);
    mine_.io.stop();
  }

  bench::child& me_;
  const connections_plan& plan_;
  board& shared_;
  loop mine_;
  boost::asio::steady_timer look_;
  std::string url_;
  std::vector<std::unique_ptr<connection>> connections_;
  std::uint32_t wanted_ = 0;
  std::uint32_t connecting_ = 0;
  std::size_t active_ = 0;  // that still have a message in flight
  std::int64_t begun_ = 0;
  std::int64_t deadline_ = 0;
};

}  // namespace

result<void> make_room_for(std::uint32_t count) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return error::from_errno(errno, "read the limit of descriptors");
  const std::uint64_t wanted = std::uint64_t{count} + k_spare_descriptors;
  if (limit.rlim_max < wanted)
    return error(errc::busy, std::to_string(count) + " connections need " + std::to_string(wanted) +
                                 " descriptors, and the hard limit is " + std::to_string(limit.rlim_max) +
                                 " (ulimit -Hn): ask for fewer, or raise it");
  if (limit.rlim_cur >= limit.rlim_max) return {};
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return error::from_errno(errno, "raise the limit of descriptors");
  return {};
}

result<connections_result> measure_connections(const connections_plan& asked) {
  auto plan = asked;
  if (const auto at = look_up_between_processes(plan.url, plan.with); !at) return at.error();
  plan.with.max_connections = std::max(plan.with.max_connections, plan.count);
  if (const auto room = make_room_for(plan.count); !room) return room.error();

  const bench::shared<board> shared;
  shared->figures.first_count = std::max<std::uint32_t>(plan.count / 9, 1);
  const auto connecting = std::chrono::milliseconds(10) * plan.count;  // far more than it takes
  const auto ended = bench::run_together({{"connections server", bench::core_of(plan.pin, &bench::core_pair::first),
                                           [&](bench::child& me) { server(me, plan, *shared).run(); }},
                                          {"connections load", bench::core_of(plan.pin, &bench::core_pair::second),
                                           [&](bench::child& me) { load(me, plan, *shared).run(); }}},
                                         bench::patience(plan.duration + connecting));
  if (!ended) return ended.error();
  return shared->figures;
}

}  // namespace ferry::app
