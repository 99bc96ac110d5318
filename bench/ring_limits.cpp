#include "bench/ring_limits.hpp"

#include <ferry/detail/ring_core.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <string>

#include "base/endian.hpp"
#include "bench/child.hpp"
#include "bench/in_step.hpp"
#include "bench/ring_plain.hpp"
#include "bench/sockets.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {

namespace {

constexpr int k_max_rounds = 1000;
constexpr std::size_t k_max_ring = 8 << 20;
constexpr std::size_t k_small = 64;  // bytes of the messages that are not copied out

/// What the two processes share.
struct arena {
  meeting_place steps;
  alignas(128) std::atomic<std::uint64_t> ball{0};
  alignas(128) ring_line there;
  ring_line back;
  plain_indices plain;
  // When each side began its last run.
  alignas(128) std::int64_t first_began{0};
  alignas(128) std::int64_t second_began{0};
  alignas(128) std::uint64_t wrong{0};
  std::array<double, k_max_rounds> ring{};
  std::array<double, k_max_rounds> other{};
  alignas(4096) std::byte there_data[k_max_ring]{};
  std::byte back_data[k_max_ring]{};
};

using message = std::array<std::uint64_t, k_small / 8>;

message numbered(std::uint64_t n) noexcept {
  message made;
  made.fill(n);
  return made;
}
/// 0 if every word is n.
std::uint64_t difference(const std::byte* body, std::uint64_t n) noexcept {
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < k_small; i += 8) all |= load_le<std::uint64_t>(body + i) ^ n;
  return all;
}

// ---- round trips ---------------------------------------------------------------------

constexpr std::uint64_t k_train = 1000;
constexpr int k_trains = 51;

/// A number on a line of its own.
template <bool Pausing>
struct by_line {
  std::atomic<std::uint64_t>& ball;
  void send(std::uint64_t n) noexcept { ball.store(n, std::memory_order_release); }  // pairs with: receive
  std::uint64_t receive(std::uint64_t n) noexcept {
    while (ball.load(std::memory_order_acquire) != n)  // pairs with: send
      if constexpr (Pausing) ring_pause();
    return 0;
  }
};
/// A message of 64 bytes.
struct by_ring {
  ring_producer out;
  ring_consumer in;
  void send(std::uint64_t n) noexcept {
    const auto body = numbered(n);
    (void)out.try_push(std::as_bytes(std::span(body)));  // with one message under way there is room
  }
  std::uint64_t receive(std::uint64_t n) noexcept {
    ring_record record;
    while (!(record = in.front())) {
      if (in.corrupt()) return 1;
      in.pause();
    }
    const auto wrong = difference(record.data, n) | (record.size ^ k_small);
    in.pop();
    return wrong;
  }
};

/// @return not 0 if something else came back
template <class Medium>
std::uint64_t asker_train(Medium& medium, std::uint64_t& turn) noexcept {
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < k_train; ++i) {
    medium.send(turn + 1);
    turn += 2;
    wrong |= medium.receive(turn);
  }
  return wrong;
}
template <class Medium>
std::uint64_t answerer_train(Medium& medium, std::uint64_t& turn) noexcept {
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < k_train; ++i) {
    wrong |= medium.receive(turn + 1);
    turn += 2;
    medium.send(turn);
  }
  return wrong;
}

template <bool Pausing>
void answer(const ring_measurement& what, arena& shared) {
  by_line<Pausing> line{shared.ball};
  by_ring ring{{{shared.back_data, what.ring_bytes}, shared.back},
               {{shared.there_data, what.ring_bytes}, shared.there}};
  std::uint64_t line_turn = 0, ring_turn = 0, wrong = 0;
  for (int i = 0; i < what.rounds * k_trains; ++i) {
    wrong |= answerer_train(line, line_turn);
    wrong |= answerer_train(ring, ring_turn);
  }
  std::atomic_ref(shared.wrong).fetch_or(wrong);
}

template <bool Pausing>
void ask(const ring_measurement& what, arena& shared) {
  by_line<Pausing> line{shared.ball};
  by_ring ring{{{shared.there_data, what.ring_bytes}, shared.there},
               {{shared.back_data, what.ring_bytes}, shared.back}};
  std::uint64_t line_turn = 0, ring_turn = 0, wrong = 0;
  for (int round = 0; round < what.rounds; ++round) {
    std::vector<double> line_trains, ring_trains;
    for (int i = 0; i < k_trains; ++i) {
      const auto begun = now_ns();
      wrong |= asker_train(line, line_turn);
      const auto middle = now_ns();
      wrong |= asker_train(ring, ring_turn);
      const auto ended = now_ns();
      line_trains.push_back(static_cast<double>(middle - begun) / k_train);
      ring_trains.push_back(static_cast<double>(ended - middle) / k_train);
    }
    shared.other[static_cast<std::size_t>(round)] = percentile(line_trains, 0.5);
    shared.ring[static_cast<std::size_t>(round)] = percentile(ring_trains, 0.5);
  }
  std::atomic_ref(shared.wrong).fetch_or(wrong);
}

// ---- one way -------------------------------------------------------------------------

// A round is k_tries runs of each, in turns, and its figure the best of them: runs are shorter than the time slice of
// whoever else wants a core.
constexpr int k_tries = 15;

/// One side of both; the two processes are in step before and after every run.
class runner {
 public:
  runner(arena& shared, bool first) noexcept
      : side_(shared.steps, first),
        began_(first ? shared.first_began : shared.second_began),
        other_began_(first ? shared.second_began : shared.first_began) {}

  /// @return nanoseconds from the first side's beginning to the last side's end
  template <class Turn>
  double run(const Turn& turn) noexcept {
    side_.meet();
    began_ = now_ns();
    turn();
    side_.meet();
    return static_cast<double>(now_ns() - std::min(began_, other_began_));
  }

 private:
  partner side_;
  std::int64_t& began_;
  const std::int64_t& other_began_;
};

/// The writer's side of all rounds. @param ring, other one run each  @param amount of one run
template <class Ring, class Other>
void write_rounds(const ring_measurement& what, arena& shared, double amount, const Ring& ring, const Other& other) {
  runner side(shared, true);
  for (std::size_t round = 0; round < static_cast<std::size_t>(what.rounds); ++round)
    for (int i = 0; i < k_tries; ++i) {
      shared.ring[round] = std::max(shared.ring[round], 1e9 * amount / side.run(ring));
      shared.other[round] = std::max(shared.other[round], 1e9 * amount / side.run(other));
    }
}
template <class Ring, class Other>
void read_rounds(const ring_measurement& what, arena& shared, const Ring& ring, const Other& other) {
  runner side(shared, false);
  for (int i = 0; i < what.rounds * k_tries; ++i) {
    side.run(ring);
    side.run(other);
  }
}

constexpr std::uint64_t k_messages = 50'000;  // of one run

void write_rates(const ring_measurement& what, arena& shared) {
  ring_producer ring({shared.there_data, what.ring_bytes}, shared.there);
  plain_producer plain({shared.back_data, what.ring_bytes}, shared.plain);
  const auto send_all = [](auto& producer) {
    for (std::uint64_t i = 0; i < k_messages; ++i) {
      const auto body = numbered(i);
      while (!producer.try_push(std::as_bytes(std::span(body)))) ring_pause();
    }
  };
  write_rounds(
      what, shared, k_messages, [&] { send_all(ring); }, [&] { send_all(plain); });
}

void read_rates(const ring_measurement& what, arena& shared) {
  ring_consumer ring({shared.there_data, what.ring_bytes}, shared.there);
  plain_consumer plain({shared.back_data, what.ring_bytes}, shared.plain);
  std::uint64_t wrong = 0;
  read_rounds(
      what, shared,
      [&] {
        for (std::uint64_t i = 0; i < k_messages; ++i) {
          ring_record record;
          while (!(record = ring.front())) ring.pause();
          wrong |= difference(record.data, i) | (record.size ^ k_small);
          ring.pop();
        }
      },
      [&] {
        for (std::uint64_t i = 0; i < k_messages; ++i) {
          bytes body;
          while ((body = plain.front()).data() == nullptr) ring_pause();
          wrong |= difference(body.data(), i) | (body.size() ^ k_small);
          plain.pop();
        }
      });
  shared.wrong |= wrong;
}

// ---- copies --------------------------------------------------------------------------

constexpr std::byte k_fill{0xee};                        // no number below has such a byte in it
constexpr std::size_t k_copied = std::size_t{16} << 20;  // bytes of one run

/// The positions of the same copies in the same memory, without records: where the next message goes.
std::size_t next_place(std::size_t place, const ring_measurement& what) noexcept {
  const auto next = place + what.size + 8;
  return next + what.size + 8 > what.ring_bytes ? 0 : next;
}

/// A number at both ends and in the middle.
void stamp(std::vector<std::byte>& body, std::uint64_t n) noexcept {
  for (const auto at : {std::size_t{0}, body.size() / 16 * 8, body.size() - 8})
    std::memcpy(body.data() + at, &n, sizeof n);
}
std::uint64_t stamp_difference(const std::vector<std::byte>& body, std::uint64_t n) noexcept {
  std::uint64_t all = 0;
  for (const auto at : {std::size_t{0}, body.size() / 16 * 8, body.size() - 8}) {
    std::uint64_t got;
    std::memcpy(&got, body.data() + at, sizeof got);
    all |= got ^ n;
  }
  return all;
}

void write_copies(const ring_measurement& what, arena& shared) {
  ring_producer ring({shared.there_data, what.ring_bytes}, shared.there);
  std::vector<std::byte> body(what.size, k_fill);
  const std::uint64_t messages = k_copied / what.size;
  write_rounds(
      what, shared, static_cast<double>(messages * what.size),
      [&] {
        for (std::uint64_t i = 0; i < messages; ++i) {
          stamp(body, i);
          while (!ring.try_push(body)) ring_pause();
        }
      },
      [&] {
        std::size_t place = 0;
        for (std::uint64_t i = 0; i < messages; ++i, place = next_place(place, what)) {
          stamp(body, i);
          std::memcpy(shared.back_data + place + 8, body.data(), body.size());
        }
      });
}

void read_copies(const ring_measurement& what, arena& shared) {
  ring_consumer ring({shared.there_data, what.ring_bytes}, shared.there);
  std::vector<std::byte> body(what.size);
  const std::uint64_t messages = k_copied / what.size;
  std::uint64_t wrong = 0;
  std::uint64_t seen = 0;  // of what cannot be checked: looked at, so that the copies are made
  read_rounds(
      what, shared,
      [&] {
        for (std::uint64_t i = 0; i < messages; ++i) {
          ring_record record;
          while (!(record = ring.front())) ring.pause();
          wrong |= record.size ^ body.size();
          std::memcpy(body.data(), record.data, body.size());
          ring.pop();
          wrong |= stamp_difference(body, i);
        }
        wrong |= std::count(body.begin(), body.end(), k_fill) != static_cast<std::ptrdiff_t>(body.size() - 24);
      },
      [&] {
        std::size_t place = 0;
        for (std::uint64_t i = 0; i < messages; ++i, place = next_place(place, what)) {
          std::memcpy(body.data(), shared.back_data + place + 8, body.size());
          seen += stamp_difference(body, i);
        }
      });
  shared.wrong |= wrong;
  asm volatile("" : : "r"(seen));
}

// ---- all -----------------------------------------------------------------------------

using role_body = std::function<void(const ring_measurement&, arena&)>;

result<ring_comparison> compare(const ring_measurement& what, placement cores, const role_body& first,
                                const role_body& second) {
  if (auto outcome = in_range("the number of rounds", static_cast<std::size_t>(what.rounds), 1, k_max_rounds); !outcome)
    return outcome.error();
  if (!ring_geometry::valid(what.ring_bytes) || what.ring_bytes > k_max_ring)
    return error(errc::misuse, "the ring must have a power of two bytes, 4 KiB .. 8 MiB");
  if (auto outcome = in_range("the message size", what.size, 64, ring_geometry::max_body(what.ring_bytes)); !outcome)
    return outcome.error();
  if (what.size % 8 != 0) return error(errc::misuse, "the message size is no multiple of 8");
  const auto pinned = cores ? result<core_pair>(*cores) : two_cores();
  if (!pinned) return pinned.error();

  shared<arena> between;
  const auto role = [&](const char* name, int core, const role_body& body) {
    return child_part{name, core, [&](child& me) {
                        me.rendezvous();
                        body(what, *between);
                      }};
  };
  const auto outcome =
      run_together({role("ring reader", pinned->second, second), role("ring writer", pinned->first, first)},
                   patience(std::chrono::seconds(60)));
  if (!outcome) return outcome.error();
  if (between->wrong != 0) return error(errc::corrupt, "what arrived is not what was sent");
  const auto samples = [&](const auto& from) { return std::vector<double>(from.begin(), from.begin() + what.rounds); };
  return ring_comparison{samples(between->ring), samples(between->other)};
}

}  // namespace

double ring_comparison::median_ratio() const {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < ring.size(); ++i) ratios.push_back(ring[i] / other[i]);
  return median(std::move(ratios));
}

result<ring_comparison> measure_ring_round_trip(const ring_measurement& what, placement cores) {
  return compare(what, cores, ask<false>, answer<false>);
}
result<ring_comparison> measure_ring_round_trip_to_pausing_line(const ring_measurement& what, placement cores) {
  return compare(what, cores, ask<true>, answer<true>);
}
result<ring_comparison> measure_ring_rate(const ring_measurement& what, placement cores) {
  return compare(what, cores, write_rates, read_rates);
}
result<ring_comparison> measure_ring_copies(const ring_measurement& what, placement cores) {
  return compare(what, cores, write_copies, read_copies);
}

}  // namespace ferry::bench
