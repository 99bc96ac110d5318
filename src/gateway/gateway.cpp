#include "gateway/gateway.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <system_error>
#include <thread>

#include "gateway/shard.hpp"
#include "net/event_loop.hpp"
#include "net/listening_sockets.hpp"

namespace ferry::gateway {
namespace {

namespace asio = boost::asio;
using session::gateway_role;

counts& operator+=(counts& sum, const counts& one) noexcept {
  sum.clients += one.clients;
  sum.servers += one.servers;
  sum.arriving += one.arriving;
  sum.clients_accepted += one.clients_accepted;
  sum.servers_accepted += one.servers_accepted;
  sum.turned_away += one.turned_away;
  sum.wrong_proofs += one.wrong_proofs;
  sum.breaches += one.breaches;
  sum.idle += one.idle;
  sum.slow += one.slow;
  sum.forwarded += one.forwarded;
  sum.forwarded_bytes += one.forwarded_bytes;
  sum.forwarded_from_servers += one.forwarded_from_servers;
  sum.forwarded_bytes_from_servers += one.forwarded_bytes_from_servers;
  sum.batches += one.batches;
  sum.writes += one.writes;
  sum.held_back += one.held_back;
  sum.connections += one.connections;
  sum.dials.dialled += one.dials.dialled;
  sum.dials.closed += one.dials.closed;
  sum.dials.refused_unknown += one.dials.refused_unknown;
  sum.dials.refused_limit += one.dials.refused_limit;
  sum.dials.refused_stopping += one.dials.refused_stopping;
  sum.dials.unknown_packets += one.dials.unknown_packets;
  sum.resumable.made += one.resumable.made;
  sum.resumable.broken += one.resumable.broken;
  sum.resumable.resumed += one.resumable.resumed;
  sum.resumable.refused += one.resumable.refused;
  sum.resumable.given_up += one.resumable.given_up;
  sum.resumable.histories.taken += one.resumable.histories.taken;
  sum.resumable.histories.refused += one.resumable.histories.refused;
  return sum;
}

// A thread with an event loop of its own, and the part of the gateway that lives there.
class worker {
 public:
  worker(const context& other, const settings& with, const std::shared_ptr<commons>& shared, std::size_t index)
      : where_(io_, other), part_(std::make_shared<shard>(where_, with, shared, index)) {
    net::listening_sockets::use(io_, net::listening_sockets::of(other.io()));
  }
  ~worker() { end(); }
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  [[nodiscard]] result<void> make_ready() { return net::make_ready(io_); }
  [[nodiscard]] const std::shared_ptr<shard>& part() const noexcept { return part_; }
  [[nodiscard]] result<void> start() {
    try {
      thread_ = std::thread([this] { io_.run(); });
    } catch (const std::system_error& failed) {
      return error(errc::busy, "no thread can be started", failed.code().value());
    }
    return {};
  }
  /// Closes all that is there, and waits for the thread.
  void end() noexcept {
    if (!thread_.joinable()) return part_->close();
    asio::post(io_, [this] {
      part_->close();
      asio::post(io_, [this] { io_.stop(); });  // after what closing has posted
    });
    thread_.join();
  }
  /// On its thread; returns what `ask` does.
  template <class Ask>
  auto run(const Ask& ask) {
    if (!thread_.joinable()) return ask(*part_);
    std::packaged_task<decltype(ask(*part_))()> task([&] { return ask(*part_); });
    auto done = task.get_future();
    asio::post(io_, [task = std::move(task)]() mutable { task(); });
    return done.get();
  }

 private:
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  context where_;
  std::shared_ptr<shard> part_;
  std::thread thread_;
};

}  // namespace

// Part 0 is on the thread that the service was made on. It may wait for the others, which wait for nobody.
class service::parts {
 public:
  parts(context& where, const settings& with)
      : shared_(std::make_shared<commons>(with)), first_(std::make_shared<shard>(where, with, shared_, 0)) {
    for (std::uint32_t i = 1; i < with.threads; ++i)
      workers_.push_back(std::make_unique<worker>(where, with, shared_, i));
  }
  ~parts() { close(); }
  parts(const parts&) = delete;
  parts& operator=(const parts&) = delete;

  [[nodiscard]] result<void> open() {
    std::vector<std::shared_ptr<shard>> all{first_};
    for (const auto& one : workers_) {
      if (auto ready = one->make_ready(); !ready) return ready;
      all.push_back(one->part());
    }
    if (all.size() > 1)
      for (const auto& one : all) one->meet(all);
    for (const auto& one : all)
      if (auto done = one->listen(one == first_ ? nullptr : first_.get()); !done) return done;
    if (const auto sockets = net::listening_sockets::of(first_->where().io())) sockets->now_for({});
    for (const auto& one : workers_)
      if (auto started = one->start(); !started) return started;
    return {};
  }
  void close() noexcept {
    first_->close();
    for (const auto& one : workers_) one->end();
  }

  void stop(duration within, std::function<void()> done, leaving how) {
    const auto at = std::chrono::steady_clock::now() + std::min(within, k_longest_wait);
    if (workers_.empty()) return first_->stop(at, std::move(done), how);
    std::vector<std::weak_ptr<shard>> all{first_};
    for (const auto& one : workers_) all.emplace_back(one->part());
    shared_->stop_dials([all] {
      for (const auto& one : all)
        if (const auto part = one.lock()) part->look_soon();
    });
    // The last one to end calls `done`, on the thread of the first.
    const auto last = [&io = first_->where().io(), left = std::make_shared<std::atomic<std::size_t>>(all.size()),
                       work = asio::make_work_guard(first_->where().io()), done = std::move(done)] {
      if (left->fetch_sub(1, std::memory_order_acq_rel) == 1) asio::post(io, done);
    };
    for (const auto& one : workers_) one->run([&](shard& part) { part.stop(at, last, how); });
    first_->stop(at, last, how);
  }

  /// @param ask  called with each part, on its thread; its results, in order
  template <class Ask>
  [[nodiscard]] auto on_each(const Ask& ask) const {
    std::vector<decltype(ask(*first_))> made;
    made.push_back(ask(*first_));
    for (const auto& one : workers_) made.push_back(one->run(ask));
    return made;
  }
  [[nodiscard]] shard& first() const noexcept { return *first_; }

 private:
  std::shared_ptr<commons> shared_;
  std::shared_ptr<shard> first_;
  std::vector<std::unique_ptr<worker>> workers_;
};

service::service(std::shared_ptr<parts> made) : parts_(std::move(made)) {}
service::service(service&&) noexcept = default;
service& service::operator=(service&& other) noexcept {
  std::swap(parts_, other.parts_);
  return *this;
}
service::~service() {
  if (parts_) parts_->close();
}

result<service> service::open(context& where, const settings& with) {
  if (with.threads == 0 || with.threads > k_most_threads)
    return error(errc::bad_option,
                 "threads: " + std::to_string(with.threads) + " is not within 1 .. " + std::to_string(k_most_threads));
  auto made = std::make_shared<parts>(where, with);
  if (const auto open = made->open(); !open) {
    made->close();
    return open.error();
  }
  return service(std::move(made));
}

result<void> service::check(const context& where, const settings& with) {
  if (auto good = doors::check(where, gateway_role::client, with.clients, with); !good) return good;
  return doors::check(where, gateway_role::server, with.servers, with);
}

std::vector<std::string> service::urls(gateway_role of) const { return parts_->first().urls(of); }
counts service::stats() const {
  counts sum;
  for (const auto& one : parts_->on_each([](const shard& part) { return part.stats(); })) sum += one;
  return sum;
}
std::vector<member_view> service::members(std::size_t most) const {
  std::vector<member_view> all;
  (void)parts_->on_each([&](const shard& part) {  // one after the other
    part.add_members(all, most);
    return all.size();
  });
  return all;
}
std::pair<std::uint64_t, std::uint64_t> service::waiting() const {
  std::pair<std::uint64_t, std::uint64_t> sum;
  for (const auto& one : parts_->on_each([](const shard& part) { return part.waiting(); })) {
    sum.first += one.first;
    sum.second += one.second;
  }
  return sum;
}
std::vector<metric_sample> service::metrics() const {
  auto each = parts_->on_each([](const shard& part) { return part.where().metrics().snapshot(); });
  if (each.size() == 1) return std::move(each.front());
  std::vector<metric_sample> all;
  for (std::size_t i = 0; i < each.size(); ++i)
    for (auto& one : each[i]) {
      one.id.labels.emplace_back("thread", std::to_string(i));
      all.push_back(std::move(one));
    }
  return all;
}
std::vector<latency_buckets> service::forward_latency() const {
  return parts_->on_each([](const shard& part) { return part.forward_latency(); });
}
const buffer_pool& service::buffers() const noexcept { return parts_->first().where().buffers(); }
bool service::is_stopping() const noexcept { return parts_->first().is_stopping(); }
void service::change(const settings& with) {
  (void)parts_->on_each([&](shard& part) {
    part.change(with);
    return true;
  });
}
void service::stop(duration within, std::function<void()> done, leaving how) {
  parts_->stop(within, std::move(done), how);
}

}  // namespace ferry::gateway
