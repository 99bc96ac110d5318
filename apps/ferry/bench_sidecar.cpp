#include "apps/ferry/bench_sidecar.hpp"

#include <ferry/detail/ring_core.hpp>
#include <ferry/sidecar.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/pin.hpp"
#include "bench/statistics.hpp"
#include "sidecar/sidecar.hpp"

namespace ferry::app {
namespace {

using clock = std::chrono::steady_clock;
using found = result<std::vector<double>>;  // one figure for each train

constexpr std::uint32_t k_sender = 1;          // entity, of service 1
constexpr std::uint32_t k_first_receiver = 2;  // entities of service 2, from here on
constexpr std::size_t k_large = 16u << 10;
constexpr std::size_t k_line = 64;    // bytes of a line of the cache
constexpr std::uint8_t k_filler = 7;  // what bodies consist of
constexpr std::size_t k_large_ring = 4u << 20;
constexpr std::size_t k_usual_ring = 1u << 20;
constexpr std::size_t k_least_record = 104;  // in a native ring, of a body of 64 bytes
constexpr auto k_patience = std::chrono::seconds(60);
constexpr unsigned k_asked_a_turn = 2048;  // then the event loop, which has heartbeats, has its turn

double nanoseconds_since(clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(clock::now() - begin).count();
}

/// A sidecar on a thread of its own, and services for the thread that made this.
class sidecar_bed {
 public:
  /// @param receivers  entities of service 2, in the order of their numbers, with two pipes each
  sidecar_bed(std::string directory, std::uint32_t receivers, std::size_t ring_bytes, std::optional<int> core)
      : directory_(std::move(directory)) {
    sidecar::settings with;
    for (std::uint32_t entity = k_sender; entity < k_first_receiver + receivers; ++entity) {
      sidecar::entity_settings one;
      one.service = entity == k_sender ? 1 : 2;
      one.entity = entity;
      one.directory = path_of(entity);
      one.pipes = 2;
      one.receive_bytes = one.send_bytes = ring_bytes;
      with.entities.push_back(one);
    }
    with.message_age = {};
    auto made = sidecar::daemon::open(beside_, with);
    if (!made) throw failure(made.error().reason(), 0, made.error().text());
    daemon_.emplace(std::move(*made));
    thread_ = std::thread([this, core] {
      if (core) (void)bench::pin_to(*core);
      beside_io_.run();
    });
  }
  ~sidecar_bed() {
    services_.clear();
    boost::asio::post(beside_io_, [this] {
      daemon_.reset();
      beside_guard_.reset();
    });
    thread_.join();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  sidecar_bed(const sidecar_bed&) = delete;
  sidecar_bed& operator=(const sidecar_bed&) = delete;

  /// Registered, with native rings.
  result<service> start(std::uint32_t entity) {
    service_options with;
    with.number = entity == k_sender ? 1 : 2;
    with.entity = entity;
    with.version = ++last_version_;
    with.directory = path_of(entity);
    with.pipes = 2;
    with.message_validity = {};
    auto made = service::make(where_, with);
    if (!made) return made;
    if (const auto started = made->start(); !started) return started.error();
    services_.push_back(*made);
    const auto is_up = [&] {
      return made->state() == service_state::registered && made->rings() == service_rings::native;
    };
    if (const auto came = until(is_up); !came) return came.error();
    return made;
  }
  /// Asks again and again; the event loop has its turns.
  template <class Done>
  result<void> until(Done done) {
    const auto end = clock::now() + k_patience;
    for (unsigned asked = 1; !done(); ++asked) {
      if (asked % k_asked_a_turn != 0) continue;
      turn();
      if (clock::now() > end) return error(errc::timeout, "a service or the sidecar hung");
    }
    return {};
  }
  void turn() { io_.poll(); }

 private:
  [[nodiscard]] std::string path_of(std::uint32_t entity) const { return directory_ + "/" + std::to_string(entity); }

  std::string directory_;
  boost::asio::io_context beside_io_{1}, io_{1};
  context beside_{beside_io_}, where_{io_};
  using guard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;
  guard beside_guard_{beside_io_.get_executor()}, guard_{io_.get_executor()};
  std::optional<sidecar::daemon> daemon_;
  std::thread thread_;
  std::vector<service> services_;
  std::uint64_t last_version_ = 0;
};

/// Numbers that arrive one after the other.
struct arrivals {
  /// @param large  what arrives is as numbered::of() makes it, of which a byte of each line of the cache is read
  explicit arrivals(service& at, bool large = false) : large_(large) {
    at.on_message([this](const service_message& got) { take(got); });
  }
  void take(const service_message& got) {
    std::uint32_t number = 0;
    if (got.body.size() >= sizeof number) std::memcpy(&number, got.body.data(), sizeof number);
    wrong += number != next || !has_rest(got.body) ? 1 : 0;
    next = number + 1;
  }
  std::uint32_t next = 0, wrong = 0;

 private:
  [[nodiscard]] bool has_rest(bytes body) const {
    if (!large_) return true;
    std::size_t sum = 0;
    for (std::size_t at = k_line - 1; at < body.size(); at += k_line) sum += std::to_integer<std::size_t>(body[at]);
    return body.size() == k_large && sum == k_large / k_line * k_filler;
  }
  bool large_;
};

/// What is sent, with its number. One of the small bodies is numbered when the one 32 before it is sent: a copy of what
/// was stored just now waits until all has left the processor that was stored before.
class numbered {
 public:
  explicit numbered(std::size_t size)
      : all_(size <= k_small ? 2 * k_ahead : 1, std::vector(size, std::byte{k_filler})) {
    for (std::uint32_t i = 0; i < all_.size(); ++i) number(i);
  }
  /// @param which  the next one
  bytes of(std::uint32_t which) {
    number(all_.size() == 1 ? which : which + k_ahead);
    return all_[which % all_.size()];
  }

 private:
  static constexpr std::uint32_t k_ahead = 32;
  static constexpr std::size_t k_small = 1024;
  void number(std::uint32_t which) { std::memcpy(all_[which % all_.size()].data(), &which, sizeof which); }
  std::vector<std::vector<std::byte>> all_;
};

error wrong_ones(std::uint64_t how_many) {
  return {errc::corrupt, std::to_string(how_many) + " messages came twice, or not, or in another order"};
}

struct bed_plan {
  std::uint32_t receivers = 1;
  std::uint32_t idle = 0;  // services more
  std::size_t ring_bytes = k_usual_ring;
};

/// The measurement runs on a thread of its own, so that its core is only this one's.
found on_bed(const ring_plan& plan, const bed_plan& wanted, const std::function<found(sidecar_bed&)>& measure) {
  found made = error(errc::timeout);
  std::thread([&] {
    try {
      auto cores = plan.pin;
      if (!cores)
        if (const auto two = bench::two_cores()) cores = *two;
      if (cores) (void)bench::pin_to(cores->first);
      sidecar_bed on(plan.with.runtime_dir + "/sidecar", wanted.receivers + wanted.idle, wanted.ring_bytes,
                     cores ? std::optional(cores->second) : std::nullopt);
      for (std::uint32_t i = 0; i < wanted.idle; ++i)
        if (const auto one = on.start(k_first_receiver + wanted.receivers + i); !one) {
          made = one.error();
          return;
        }
      made = measure(on);
    } catch (const failure& failed) {
      made = error(failed.reason(), failed.what());
    }
  }).join();
  return made;
}

// ---- the measurements

struct two_services {
  service a, b;
};
result<two_services> start_two(sidecar_bed& on) {
  const auto a = on.start(k_sender);
  if (!a) return a.error();
  const auto b = on.start(k_first_receiver);
  if (!b) return b.error();
  return two_services{*a, *b};
}

found round_trips(sidecar_bed& on, bool brief) {
  const int trains = brief ? 3 : 21;
  const std::uint32_t trips = brief ? 20 : 1000;
  // Pages of a file that are touched for the first time cost more than what is measured: first each ring goes round.
  const int uncounted = brief ? 0 : static_cast<int>(1 + k_usual_ring / (trips * k_least_record));
  auto both = start_two(on);
  if (!both) return both.error();
  auto &a = both->a, &b = both->b;
  arrivals answers(a);
  b.on_message([&](const service_message& asked) { (void)b.reply(asked, {}, asked.body); });
  numbered body(64);
  std::vector<double> made;
  std::uint32_t asked = 0;
  for (int train = -uncounted; train < trains; ++train) {
    const auto begin = clock::now();
    const auto last = asked + trips;
    auto done = on.until([&] {
      if (b.poll() + a.poll() == 0) ring_pause();
      if (answers.next != asked) return false;
      if (asked == last) return true;
      return !a.send({.to = to_entity{k_first_receiver}}, {}, body.of(asked++)).has_value();
    });
    if (!done) return done.error();
    if (train >= 0) made.push_back(nanoseconds_since(begin) / trips);
  }
  if (answers.wrong != 0) return wrong_ones(answers.wrong);
  return made;
}

found rates(sidecar_bed& on, bool brief) {
  const int trains = brief ? 2 : 9;
  const std::uint32_t messages = brief ? 1000 : 20'000;
  constexpr std::uint32_t k_at_once = 32;
  auto both = start_two(on);
  if (!both) return both.error();
  auto &a = both->a, &b = both->b;
  arrivals came(b);
  numbered body(64);
  std::array<service_message, k_at_once> next;
  for (auto& one : next) one.route.to = to_entity{k_first_receiver};
  std::vector<double> made;
  std::uint32_t sent = 0;
  for (int train = 0; train < trains; ++train) {
    const auto begin = clock::now();
    const auto last = sent + messages;
    auto done = on.until([&] {
      const auto now = std::min(k_at_once, last - sent);
      for (std::uint32_t i = 0; i < now; ++i) next[i].body = body.of(sent + i);
      if (const auto put = a.send(std::span(next).first(now)); put) sent += static_cast<std::uint32_t>(*put);
      (void)b.poll();
      return came.next == last;
    });
    if (!done) return done.error();
    made.push_back(messages * 1e9 / nanoseconds_since(begin));
  }
  if (came.wrong != 0) return wrong_ones(came.wrong);
  return made;
}

/// Nanoseconds for each receiver, of trains in turns.
struct broadcast_times {
  std::vector<double> all, sending_all;  // one message to all
  std::vector<double> each, sending_each;
};

result<broadcast_times> broadcasts(sidecar_bed& on) {
  constexpr int k_trains = 21;
  constexpr std::uint32_t k_messages = 16;
  constexpr std::uint32_t k_receivers = 8;
  // Pages of a file that are touched for the first time cost more than what is measured: first each ring goes round.
  constexpr int k_uncounted = 2 + k_large_ring / (k_messages * k_large);
  auto sender = on.start(k_sender);
  if (!sender) return sender.error();
  std::vector<service> receivers;
  std::vector<std::unique_ptr<arrivals>> came;
  for (std::uint32_t i = 0; i < k_receivers; ++i) {
    const auto one = on.start(k_first_receiver + i);
    if (!one) return one.error();
    came.push_back(std::make_unique<arrivals>(receivers.emplace_back(*one), true));
  }
  numbered body(k_large);
  std::uint32_t sent = 0;
  const auto train = [&](bool to_each, std::vector<double>& whole, std::vector<double>& sending) -> result<void> {
    const auto begin = clock::now();
    for (std::uint32_t i = 0; i < k_messages; ++i, ++sent) {
      const auto what = body.of(sent);
      for (std::uint32_t to = 0; to < (to_each ? k_receivers : 1); ++to) {
        const service_destination where =
            to_each ? service_destination(to_entity{k_first_receiver + to}) : service_destination(to_all{2});
        const auto done = sender->send({.to = where}, {}, what);
        if (!done) return done.error();
      }
    }
    sending.push_back(nanoseconds_since(begin) / (k_messages * k_receivers));
    auto done = on.until([&] {
      for (auto& one : receivers) (void)one.poll();
      return std::all_of(came.begin(), came.end(), [&](const auto& one) { return one->next == sent; });
    });
    whole.push_back(nanoseconds_since(begin) / (k_messages * k_receivers));
    return done;
  };
  broadcast_times made, uncounted;
  for (int i = 0; i < k_uncounted + k_trains; ++i) {
    auto& to = i < k_uncounted ? uncounted : made;
    if (const auto done = train(false, to.all, to.sending_all); !done) return done.error();
    if (const auto done = train(true, to.each, to.sending_each); !done) return done.error();
  }
  for (const auto& one : came)
    if (one->wrong != 0) return wrong_ones(one->wrong);
  return made;
}

found route_changes(sidecar_bed& on) {
  constexpr int k_changes = 100;
  constexpr std::uint32_t k_under_way = 64;
  constexpr std::uint32_t k_before = 1000;  // messages from one change to the next
  auto sender = on.start(k_sender);
  const auto one = on.start(k_first_receiver), other = on.start(k_first_receiver);
  if (!sender || !one || !other) return error(errc::timeout, "a service does not register");
  std::array<service, 2> instances{*one, *other};
  std::uint32_t sent = 0, came = 0, wrong = 0;
  std::vector<double> made;
  std::vector<bool> here;  // by number: one may come a little later from the instance that leaves
  std::optional<clock::time_point> last;
  double longest = 0;
  for (auto& instance : instances)
    instance.on_message([&](const service_message& got) {
      const auto now = clock::now();
      if (last) longest = std::max(longest, std::chrono::duration<double, std::nano>(now - *last).count());
      last = now;
      std::uint32_t number = 0;
      if (got.body.size() >= sizeof number) std::memcpy(&number, got.body.data(), sizeof number);
      if (number >= here.size() || here[number]) {
        wrong += 1;
      } else {
        here[number] = true;
        came += 1;
      }
    });
  numbered body(64);
  const auto step = [&] {
    while (sent < came + k_under_way && sender->send({.to = to_entity{k_first_receiver}}, {}, body.of(sent))) {
      here.push_back(false);
      ++sent;
    }
    for (auto& instance : instances) (void)instance.poll();
  };
  for (int change = 0; change < k_changes; ++change) {
    const auto before = came + k_before;
    const auto flows = on.until([&] {
      step();
      return came >= before;
    });
    if (!flows) return flows.error();
    longest = 0;
    std::optional<error_code> changed;
    instances[static_cast<std::size_t>(change % 2 == 0)].async_change_route(
        [&](error_code failed) { changed = failed; });
    std::uint32_t after = 0;
    auto done = on.until([&] {
      step();
      on.turn();
      if (changed && after == 0) after = came + k_under_way;
      return changed && came >= after;
    });
    if (!done) return done.error();
    if (*changed) return error(errc::refused, "the change of the route: " + changed->message());
    made.push_back(longest);
  }
  auto done = on.until([&] {
    for (auto& instance : instances) (void)instance.poll();
    return came == sent;
  });
  if (!done) return done.error();
  if (wrong != 0) return wrong_ones(wrong);
  return made;
}

// ---- rounds

double median_of(const std::vector<double>& all) { return bench::median(all); }
double best_of(const std::vector<double>& all) { return *std::max_element(all.begin(), all.end()); }

using ring_measure = result<bench::ring_comparison> (*)(const bench::ring_measurement&, bench::placement);

result<bench::ring_comparison> beside_a_bare_ring(const ring_plan& plan, ring_measure bare,
                                                  found (*measure)(sidecar_bed&, bool brief),
                                                  double (*figure)(const std::vector<double>&)) {
  bench::ring_comparison made;
  for (int round = 0; round < plan.rounds; ++round) {
    bench::ring_measurement what;
    what.rounds = 1;
    const auto ring = bare(what, plan.pin);
    if (!ring) return ring.error();
    const auto trains = on_bed(plan, {}, [&](sidecar_bed& on) { return measure(on, plan.brief); });
    if (!trains) return trains.error();
    made.ring.push_back(figure(*trains));
    made.other.push_back(ring->ring.front());
  }
  return made;
}

result<bench::ring_comparison> broadcast_rounds(const ring_plan& plan, bool sending) {
  bench::ring_comparison made;
  for (int round = 0; round < plan.rounds; ++round) {
    const auto trains = on_bed(plan, {.receivers = 8, .ring_bytes = k_large_ring}, [&](sidecar_bed& on) -> found {
      const auto times = broadcasts(on);
      if (!times) return times.error();
      made.ring.push_back(median_of(sending ? times->sending_all : times->all));
      made.other.push_back(median_of(sending ? times->sending_each : times->each));
      return std::vector<double>{};
    });
    if (!trains) return trains.error();
  }
  return made;
}

/// Hundreds of services need thousands of descriptors.
void take_all_descriptors() {
  rlimit now{};
  if (::getrlimit(RLIMIT_NOFILE, &now) != 0) return;
  now.rlim_cur = now.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &now);
}

}  // namespace

result<bench::ring_comparison> measure_sidecar_round_trip(const ring_plan& plan) {
  return beside_a_bare_ring(plan, bench::measure_ring_round_trip, round_trips, median_of);
}
result<bench::ring_comparison> measure_sidecar_rate(const ring_plan& plan) {
  return beside_a_bare_ring(plan, bench::measure_ring_rate, rates, best_of);
}
result<bench::ring_comparison> measure_sidecar_broadcast(const ring_plan& plan) {
  return broadcast_rounds(plan, false);
}
result<bench::ring_comparison> measure_sidecar_broadcast_sending(const ring_plan& plan) {
  return broadcast_rounds(plan, true);
}

result<bench::ring_comparison> measure_sidecar_route_change(const ring_plan& plan) {
  bench::ring_comparison made;
  for (int round = 0; round < plan.rounds; ++round) {
    auto pauses = on_bed(plan, {}, route_changes);
    if (!pauses) return pauses.error();
    std::sort(pauses->begin(), pauses->end());
    made.ring.push_back((*pauses)[pauses->size() * 99 / 100]);
  }
  return made;
}

result<bench::ring_comparison> measure_sidecar_idle(const ring_plan& plan) {
  constexpr std::uint32_t k_idle = 256;
  constexpr std::size_t k_ring = 64u << 10;
  take_all_descriptors();
  const auto measure = [&](sidecar_bed& on) { return rates(on, plan.brief); };
  bench::ring_comparison made;
  for (int round = 0; round < plan.rounds; ++round) {
    const auto alone = on_bed(plan, {.ring_bytes = k_ring}, measure);
    if (!alone) return alone.error();
    const auto among = on_bed(plan, {.idle = k_idle, .ring_bytes = k_ring}, measure);
    if (!among) return among.error();
    made.ring.push_back(best_of(*among));
    made.other.push_back(best_of(*alone));
  }
  return made;
}

}  // namespace ferry::app
