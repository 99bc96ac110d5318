// The poll API over the same connections as ring channels; it waits with poll(2) and futexes instead of an event loop.
#include <ferry/error.hpp>
#include <ferry/ring.hpp>
#include <ferry/url.hpp>

#include <poll.h>

#include <array>
#include <list>
#include <memory>
#include <vector>

#include "channel/fail.hpp"
#include "channel/printed_url.hpp"
#include "net/ring_link.hpp"
#include "os/barrier.hpp"
#include "os/socket.hpp"
#include "os/unix_listener.hpp"

namespace ferry {
namespace {

using clock = std::chrono::steady_clock;
using duration = std::chrono::nanoseconds;

constexpr auto k_slice = std::chrono::milliseconds(80);  // a futex does not see the peer's death
constexpr unsigned k_records_per_ring = 64;              // then the next one has its turn

struct place {
  std::string name;
  std::string url;
  options with;
};

place place_of(std::string_view url, const options& with) {
  static const std::array<std::string, 1> known{"shm"};
  place there{{}, {}, with};
  const auto at = or_fail(parse_url(url, there.with, known));
  there.name = at.path;
  there.url = printed_url(at.text(), there.with);
  if (const auto problem = check_options(there.with)) throw failure(errc::bad_option, 0, problem->text);
  return there;
}

int milliseconds_until(clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

}  // namespace

struct ring_connection::parts {
  std::unique_ptr<net::ring_link> link;
  duration spin{0};
  std::size_t ring = 0;            // that is read now
  unsigned taken = 0;              // from it in a row
  std::atomic<bool> gone = false;  // the socket has ended

  [[nodiscard]] bool look_for_peer() noexcept {
    if (!gone && !link->take_wakes()) gone = true;
    return !gone;
  }
  [[nodiscard]] bool is_over() const noexcept {
    for (const auto& one : link->in)
      if (!one.ended()) return false;
    return true;
  }
  // Announces, looks again and sleeps in slices, until `there`, or the peer is gone, or the time is over.
  template <class There>
  [[nodiscard]] bool sleep(os::bell& bell, duration within, There there) {
    const auto until = deadline_after(within);
    for (bool announced = false;; announced = bell.announced()) {
      if (!announced) {
        bell.announce(ring::sleeping::on_futex);
        if (!bell.fenced()) os::barrier_everywhere();
      }
      if (there()) break;
      const auto left = until - clock::now();
      if (left <= duration::zero()) return false;
      bell.wait(std::min<duration>(left, k_slice));
      if (there() || !look_for_peer()) break;
    }
    return true;
  }
};

ring_connection::ring_connection(std::unique_ptr<parts> made) noexcept
    : parts_(std::move(made)),
      out_(&parts_->link->out.front()),
      in_(&parts_->link->in.front()),
      reader_sleeps_(&parts_->link->peer_reads.word()),
      fenced_(parts_->link->peer_reads.fenced()),
      several_(parts_->link->in.size() > 1) {}
ring_connection::ring_connection(ring_connection&&) noexcept = default;
ring_connection& ring_connection::operator=(ring_connection&& other) noexcept {
  if (this == &other) return *this;
  std::destroy_at(this);
  return *std::construct_at(this, std::move(other));
}
ring_connection::~ring_connection() {
  if (parts_) end();
}

ring_connection ring_connection::connect(std::string_view url, const options& with) {
  place there = place_of(url, with);
  // One thread sends.
  there.with.senders = senders_kind::one;
  auto step = or_fail(net::ring_connecting::start(there.name, there.with));
  const bool limited = there.with.connect_timeout.count() != 0;
  const auto until = deadline_after(limited ? there.with.connect_timeout : duration::max());
  for (;;) {
    pollfd readable{step.fd(), POLLIN, 0};
    if (::poll(&readable, 1, milliseconds_until(until)) > 0) {
      auto made = step.on_readable();
      if (made) {
        auto all = std::make_unique<parts>();
        all->link = std::move(*made);
        all->spin = there.with.spin;
        return ring_connection(std::move(all));
      }
      if (made.error() != errc::would_block) fail(made.error().in("connect to " + there.url));
    }
    if (clock::now() >= until)
      throw failure(errc::timeout, 0,
                    "connect to " + there.url + ": no answer within " + get_option(there.with, "connect_timeout") +
                        " (connect_timeout)");
  }
}

void ring_connection::tell_reader() noexcept { parts_->link->tell_reader(); }

void ring_connection::end() noexcept {
  for (auto& one : parts_->link->out) one.end();
  tell_reader();
}

bool ring_connection::wait_for_room(duration within) {
  const std::uint64_t half = out_->ring_bytes() / 2;
  const auto there = [&] { return out_->used() <= half || out_->corrupt(); };
  const auto sleep = [&] {
    if (out_->tail() > half) out_->line().wake_at.store(out_->tail() - half, std::memory_order_relaxed);
    return parts_->sleep(parts_->link->we_wait, within, there);
  };
  if (!there() && !sleep()) return false;
  return !out_->corrupt() && !out_->ended() && out_->used() <= half;
}

ring_record ring_connection::front_elsewhere() noexcept {
  auto& link = *parts_->link;
  for (std::size_t tried = 1;; ++tried) {
    link.tell_writer(*in_);
    if (tried >= link.in.size()) return {};
    parts_->ring = (parts_->ring + 1) % link.in.size();
    parts_->taken = 0;
    in_ = &link.in[parts_->ring];
    if (const ring_record record = in_->front()) return record;
  }
}

void ring_connection::after_pop() noexcept {
  auto& link = *parts_->link;
  link.tell_writer(*in_);
  if (++parts_->taken < k_records_per_ring) return;
  parts_->taken = 0;
  parts_->ring = (parts_->ring + 1) % link.in.size();
  in_ = &link.in[parts_->ring];
}

bool ring_connection::wait(duration within) {
  auto& link = *parts_->link;
  const auto there = [&] { return link.something() || parts_->gone || parts_->is_over(); };
  if (there()) return true;
  if (parts_->spin.count() != 0) {
    const auto until = deadline_after(std::min(parts_->spin, within));
    do {
      for (int i = 0; i < 64; ++i) {
        if (link.something()) return true;
        link.pause();
      }
    } while (clock::now() < until);
  }
  for (auto& one : link.in) {
    one.publish_position();
    link.tell_writer(one);
  }
  const bool woken = parts_->sleep(link.we_read, within, there);
  link.we_read.awake();
  return woken;
}

ring_state ring_connection::state() noexcept {
  auto& link = *parts_->link;
  for (const auto& one : link.in)
    if (one.corrupt()) return ring_state::corrupt;
  if (out_->corrupt()) return ring_state::corrupt;
  if (parts_->is_over()) return ring_state::ended;
  const bool there = parts_->look_for_peer();
  return there || link.something() ? ring_state::open : ring_state::gone;
}

bool ring_connection::alive() noexcept { return parts_->look_for_peer(); }
int ring_connection::fd() const noexcept { return parts_->link->socket.get(); }

// Listening ---------------------------------------------------------------------------------------

struct ring_listener::parts {
  parts(os::unix_listener at_, place where_) : at(std::move(at_)), where(std::move(where_)) {}
  struct guest {
    net::ring_accepting step;
    clock::time_point until;
  };

  os::unix_listener at;
  place where;
  std::list<guest> guests;

  void let_in() {
    for (;;) {
      auto got = os::accept(at.get());
      if (!got && got.error() == errc::would_block) return;
      if (!got) fail(got.error());
      auto who = os::identify_peer(got->fd.get(), got->peer);
      if (!os::is_allowed(who, where.with)) continue;
      const auto patience = where.with.connect_timeout.count() != 0 ? where.with.connect_timeout : duration::max();
      guests.push_back(
          {net::ring_accepting(std::move(got->fd), std::move(who), where.name, where.with), deadline_after(patience)});
    }
  }

  // Who says nothing, or nonsense, is turned away; the others wait on.
  [[nodiscard]] std::unique_ptr<net::ring_link> listen_to_guests() {
    for (auto one = guests.begin(); one != guests.end();) {
      auto made = one->step.on_readable();
      const bool waits = !made && made.error() == errc::would_block && clock::now() < one->until;
      one = waits ? std::next(one) : guests.erase(one);
      if (made) return std::move(*made);
    }
    return nullptr;
  }

  void wait(clock::time_point until) {
    std::vector<pollfd> all{{at.get(), POLLIN, 0}};
    for (const auto& one : guests) {
      all.push_back({one.step.fd(), POLLIN, 0});
      until = std::min(until, one.until);
    }
    (void)::poll(all.data(), all.size(), milliseconds_until(until));
  }
};

ring_listener::ring_listener(std::unique_ptr<parts> made) noexcept : parts_(std::move(made)) {}
ring_listener::ring_listener(ring_listener&&) noexcept = default;
ring_listener& ring_listener::operator=(ring_listener&&) noexcept = default;
ring_listener::~ring_listener() = default;

ring_listener ring_listener::open(std::string_view url, const options& with) {
  place where = place_of(url, with);
  where.with.senders = senders_kind::one;
  const auto path = or_fail(net::ring_socket_path(where.name, where.with, true));
  auto at = or_fail(os::unix_listener::open(path, where.with));
  return ring_listener(std::make_unique<parts>(std::move(at), std::move(where)));
}

std::optional<ring_connection> ring_listener::accept(duration within) {
  const auto until = deadline_after(within);
  for (;;) {
    parts_->let_in();
    if (auto link = parts_->listen_to_guests()) {
      auto all = std::make_unique<ring_connection::parts>();
      all->link = std::move(link);
      all->spin = parts_->where.with.spin;
      return ring_connection(std::move(all));
    }
    if (clock::now() >= until) return std::nullopt;
    parts_->wait(until);
  }
}

std::string ring_listener::url() const { return parts_->where.url; }

}  // namespace ferry
