// Four processes, which find out about each other here:
//
//   asker      sends numbered lines to the entity of the answerers, checks that each is answered once, in order
//   first      answers until the sidecar tells it to leave; takes what is in its ring still, and goes
//   second     comes when half of the lines are answered; asks for the route, and answers when the first one is gone
//   sidecar    stands beside them until the asker is done
#include "apps/ferry/demo_services.hpp"

#include <ferry/sidecar.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <utility>

#include "apps/ferry/bench_sides.hpp"
#include "apps/ferry/progress.hpp"
#include "sidecar/sidecar.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_name = "sidecar";
constexpr std::uint32_t k_asker = 101, k_answerer = 201;  // entities of services 1 and 2
constexpr std::uint64_t k_under_way = 1u << 20;           // bytes, and one line more; their answers fit into every ring
constexpr auto k_look = std::chrono::milliseconds(1);     // at what another process does
constexpr auto k_leave_within = std::chrono::seconds(30);
constexpr std::int32_t k_migration_begins = 801, k_may_change = 802, k_must_leave = 804;

// What the processes tell each other; in memory that they share.
struct board {
  meeting_point place;  // the sidecar is there; published as its directory
  demo_figures figures;
  std::atomic<std::uint64_t> answered;  // lines
  std::atomic<bool> first_is_there;     // and has the route
  std::atomic<bool> changed;            // messages go to the second instance
  std::atomic<bool> first_left;
  std::atomic<bool> over;
  std::uint64_t lines_of_first, lines_of_second;
};

/// Looks again and again whether something is so.
class lookout {
 public:
  explicit lookout(boost::asio::io_context& io) : timer_(io) {}
  void when(std::function<bool()> is_so, std::function<void()> then) {
    later([this, is_so = std::move(is_so), then = std::move(then)] { is_so() ? then() : when(is_so, then); });
  }
  void later(std::function<void()> then) {
    timer_.expires_after(k_look);
    timer_.async_wait([then = std::move(then)](error_code failed) {
      if (!failed) then();
    });
  }

 private:
  boost::asio::steady_timer timer_;
};

sidecar::settings beside(const std::string& directory, std::uint64_t longest) {
  sidecar::settings with;
  for (const auto entity : {k_asker, k_answerer}) {
    sidecar::entity_settings one;
    one.service = entity / 100;
    one.entity = entity;
    one.directory = directory + "/" + std::to_string(entity);
    one.pipes = entity == k_answerer ? 2 : 1;
    one.receive_bytes = one.send_bytes = std::max(one.send_bytes, std::bit_ceil(4 * longest));
    with.entities.push_back(one);
  }
  with.message_age = {};
  return with;
}

void run_sidecar(bench::child& me, board& shared, const sidecar::settings& with, const std::string& directory) {
  loop mine;
  const auto made = sidecar::daemon::open(mine.channels, with);
  if (!made) give_up(me, made.error());
  shared.place.publish(me, directory);
  me.arrive();
  lookout look(mine.io);
  look.when([&] { return shared.over.load(); }, [&] { mine.io.stop(); });
  mine.io.run();
}

service make_service(bench::child& me, loop& mine, board& shared, std::uint32_t entity, std::uint32_t pipes) {
  service_options with;
  with.number = entity / 100;
  with.entity = entity;
  with.directory = shared.place.url() + "/" + std::to_string(entity);
  with.pipes = pipes;
  with.message_validity = {};
  auto made = service::make(mine.channels, with);
  if (!made) give_up(me, made.error());
  made->on_failed([&me](const error& why) { give_up(me, why); });
  return *made;
}

void start(bench::child& me, service& one) {
  if (const auto started = one.start(); !started) give_up(me, started.error());
}

/// Answers each line with itself, and goes on with the count and the checksum of who answered before it.
class answerer {
 public:
  answerer(bench::child& me, loop& mine, board& shared, std::uint64_t lines)
      : me_(me), mine_(mine), shared_(shared), lines_(lines), it_(make_service(me, mine, shared, k_answerer, 2)) {}

  service& it() noexcept { return it_; }
  [[nodiscard]] std::uint64_t answered() const noexcept { return answered_; }

  void answer() {
    auto& figures = shared_.figures;
    if (figures.arrived != 0) sum_ = demo_checksum(figures.checksum_there);
    it_.on_message([this, &figures](const service_message& asked) {
      if (figures.arrived < lines_) {
        sum_.add(asked.body);
        figures.checksum_there = sum_.value();
        figures.arrived += 1;
        answered_ += 1;
      }
      const service_package same{.client_sequence = asked.package.client_sequence};
      if (const auto sent = it_.reply(asked, same, asked.body); !sent) give_up(me_, sent.error());
    });
  }
  void leave(std::function<void()> then) {
    it_.async_stop(k_leave_within, [this, then = std::move(then)](error_code failed) {
      if (failed) give_up(me_, error(errc::timeout, "the sidecar has not taken all answers"));
      then();
      mine_.io.stop();
    });
  }

 private:
  bench::child& me_;
  loop& mine_;
  board& shared_;
  const std::uint64_t lines_;
  demo_checksum sum_;
  std::uint64_t answered_ = 0;
  service it_;
};

void run_first(bench::child& me, board& shared, std::uint64_t lines) {
  loop mine;
  answerer one(me, mine, shared, lines);
  lookout look(mine.io);
  bool begun = false;  // it is told again when another instance becomes the main one
  one.it().on_registered([&](const service_registration&) {
    if (std::exchange(begun, true)) return;
    shared.first_is_there = true;
    me.arrive();
  });
  one.it().on_migration_step([&](std::int32_t step) {
    if (step != k_must_leave) return;
    look.when([&] { return one.it().unread_bytes() == 0; },
              [&] {
                one.leave([&] {
                  shared.lines_of_first = one.answered();
                  shared.first_left = true;
                });
              });
  });
  one.answer();
  start(me, one.it());
  mine.io.run();
}

void run_second(bench::child& me, board& shared, std::uint64_t lines) {
  loop mine;
  me.arrive();
  answerer one(me, mine, shared, lines);
  lookout look(mine.io);
  auto& it = one.it();
  bool begun = false;
  it.on_registered([&](const service_registration&) {
    if (std::exchange(begun, true)) return;
    if (const auto told = it.tell_migration_step(k_migration_begins); !told) give_up(me, told.error());
  });
  it.on_migration_step([&](std::int32_t step) {
    if (step != k_may_change) return;
    it.async_change_route([&](error_code failed) {
      if (failed) give_up(me, error(errc::refused, "the route was not changed: " + failed.message()));
      shared.changed = true;
      // Meanwhile what comes waits in the ring.
      look.when([&] { return shared.first_left.load(); },
                [&] {
                  one.answer();
                  look.when([&] { return shared.over.load(); },
                            [&] {
                              shared.lines_of_second = one.answered();
                              mine.io.stop();
                            });
                });
    });
  });
  look.when([&] { return shared.first_is_there && shared.answered >= lines / 2; }, [&] { start(me, it); });
  mine.io.run();
}

class service_asker {
 public:
  service_asker(bench::child& me, loop& mine, board& shared, const demo_text& text)
      : me_(me),
        mine_(mine),
        shared_(shared),
        text_(text),
        next_(text),
        bar_(k_name, text.bytes_with_newlines()),
        look_(mine.io),
        it_(make_service(me, mine, shared, k_asker, 1)) {}

  void run() {
    it_.on_message([this](const service_message& m) { take(m); });
    it_.on_registered([this](const service_registration&) {
      if (begun_ != 0) return;
      me_.rendezvous();
      begun_ = bench::now_ns();
      send_lines();
    });
    start(me_, it_);
    mine_.io.run();
  }

 private:
  void send_lines() {
    auto& figures = shared_.figures;
    while (!next_.at_end() && under_way_ < k_under_way) {
      // However few they are, the second instance answers one.
      if (figures.sent + 1 == text_.lines() && !shared_.changed)
        return look_.when([this] { return shared_.changed.load(); }, [this] { send_lines(); });
      const auto line = next_.line();
      if (!send(as_bytes(line), figures.sent)) return look_.later([this] { send_lines(); });
      under_way_ += line.size() + 1;
      next_.advance(line);
      figures.sent += 1;
    }
  }

  /// @return false: no room now
  bool send(bytes body, std::uint64_t number) {
    const auto sent =
        it_.send({.to = to_entity{k_answerer}}, {.client_sequence = static_cast<std::uint32_t>(number)}, body);
    if (!sent && sent.error() != errc::full) give_up(me_, sent.error());
    return sent.has_value();
  }

  void take(const service_message& m) {
    auto& figures = shared_.figures;
    if (figures.elapsed_ns != 0) return answered(m.body);
    if (m.package.client_sequence != static_cast<std::uint32_t>(figures.back))
      give_up(me_, error(errc::protocol, "answer " + std::to_string(m.package.client_sequence) + " came instead of " +
                                             std::to_string(figures.back)));
    sum_.add(m.body);
    figures.checksum_back = sum_.value();
    figures.back += 1;
    shared_.answered = figures.back;
    under_way_ -= m.body.size() + 1;
    echoed_ += m.body.size() + 1;
    if (figures.back % 1024 == 0) bar_.update(echoed_);
    if (figures.back != text_.lines()) return send_lines();
    bar_.hide();
    before_ = bench::now_ns();
    figures.elapsed_ns = before_ - begun_;
    ask();
  }

  void ask() {
    if (!send(as_bytes(k_demo_question), 0)) give_up(me_, error(errc::full, "a ring is full in which nothing is"));
  }

  void answered(bytes body) {
    auto& figures = shared_.figures;
    const auto now = bench::now_ns();
    if (as_text(body) != k_demo_question) {  // an echo too many, or a wrong one
      figures.back += 1;
      return;
    }
    figures.rtt.record(static_cast<std::uint64_t>(now - before_));
    const bool enough =
        figures.rtt.count() == k_demo_round_trips || now - begun_ - figures.elapsed_ns > k_demo_longest_ns;
    before_ = now;
    if (!enough) return ask();
    it_.async_stop(k_leave_within, [this](error_code) {
      shared_.over = true;
      mine_.io.stop();
    });
  }

  bench::child& me_;
  loop& mine_;
  board& shared_;
  const demo_text& text_;
  demo_text::cursor next_;
  progress bar_;
  lookout look_;
  service it_;
  demo_checksum sum_;
  std::uint64_t under_way_ = 0;  // bytes of lines that are not answered yet
  std::uint64_t echoed_ = 0;
  std::int64_t begun_ = 0;
  std::int64_t before_ = 0;
};

void run_asker(bench::child& me, board& shared, const demo_text& text) {
  loop mine;
  service_asker(me, mine, shared, text).run();
}

}  // namespace

std::optional<demo_row> run_services_demo_row(const demo_text& text, const std::string& directory) {
  const bench::shared<board> shared;
  const auto place = directory + "/services";
  const auto with = beside(place, text.longest());
  const auto lines = text.lines();
  const auto outcome =
      bench::run_together({{"sidecar", {}, [&](bench::child& me) { run_sidecar(me, *shared, with, place); }},
                           {"sidecar's first instance", {}, [&](bench::child& me) { run_first(me, *shared, lines); }},
                           {"sidecar's second instance", {}, [&](bench::child& me) { run_second(me, *shared, lines); }},
                           {"sidecar's client", {}, [&](bench::child& me) { run_asker(me, *shared, text); }}},
                          demo_time_for(text));
  demo_row row{k_name, shared->figures, outcome ? "" : outcome.error().text()};
  if (outcome)
    row.about = "from service to service; the first instance of the other one answered " +
                std::to_string(shared->lines_of_first) + " lines, then a second one took its place and answered " +
                std::to_string(shared->lines_of_second);
  return row;
}

}  // namespace ferry::app
