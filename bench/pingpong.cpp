#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "bench/child.hpp"
#include "bench/limits.hpp"
#include "bench/sockets.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {

namespace {

constexpr std::size_t k_size = 64;
using ball = std::array<std::byte, k_size>;

/// One whole ball. @return false at the end of the stream
template <wait_mode mode>
bool receive(child& me, int fd, ball& into) noexcept {
  std::size_t have = 0;
  while (have < k_size) {
    const auto n = ::recv(fd, into.data() + have, k_size - have, mode == wait_mode::spinning ? MSG_DONTWAIT : 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    me.check(n, "recv");
    if (n == 0) return false;
    have += static_cast<std::size_t>(n);
  }
  return true;
}

/// A socket buffer holds far more than the one ball in play: it goes out whole and at once.
void send(child& me, int fd, const ball& from) noexcept {
  const auto n = me.check(::send(fd, from.data(), k_size, MSG_NOSIGNAL), "send");
  if (n != static_cast<ssize_t>(k_size)) me.fail(errc::full, "a socket buffer without room for 64 bytes");
}

template <wait_mode mode>
void answer(child& me, int fd) noexcept {
  ball in_hand{};
  me.rendezvous();
  while (receive<mode>(me, fd, in_hand)) send(me, fd, in_hand);
}

template <wait_mode mode>
void ask(child& me, int fd, std::int64_t duration_ns, std::uint64_t count, pingpong_run& figures) {
  std::vector<std::uint32_t> samples;
  samples.reserve(std::min<std::uint64_t>(count, 1 << 20));
  ball out{};
  ball back{};
  me.rendezvous();
  const auto begun = now_ns();
  auto before = begun;
  do {
    std::memcpy(out.data(), &before, sizeof before);  // each ball differs from the one before
    send(me, fd, out);
    if (!receive<mode>(me, fd, back)) me.fail(errc::end_of_stream, "the answerer left");
    const auto after = now_ns();
    if (back != out) me.fail(errc::corrupt, "the answer differs from what was sent");
    samples.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(after - before, UINT32_MAX)));
    before = after;
  } while (before - begun < duration_ns && samples.size() < count);
  figures.round_trips = samples.size();
  figures.mean_ns = static_cast<double>(before - begun) / static_cast<double>(samples.size());
  figures.p99_ns = percentile(samples, 0.99);
  figures.p50_ns = percentile(samples, 0.5);
}

template <wait_mode mode>
result<pingpong_run> play(stream_kind kind, placement cores, std::chrono::nanoseconds duration, std::uint64_t count) {
  auto pair = connected_pair(kind);
  if (!pair) return pair.error();

  shared<pingpong_run> figures;
  child_group children(2);
  if (auto outcome = children.start(role(kind, "ping-pong asker"), core_of(cores, &core_pair::first),
                                    [&](child& me) {
                                      pair->second.reset();
                                      ask<mode>(me, pair->first.get(), duration.count(), count, *figures);
                                    });
      !outcome)
    return outcome.error();
  pair->first.reset();
  if (auto outcome = children.start(role(kind, "ping-pong answerer"), core_of(cores, &core_pair::second),
                                    [&](child& me) { answer<mode>(me, pair->second.get()); });
      !outcome)
    return outcome.error();
  pair->second.reset();
  if (auto outcome = children.wait(patience(duration)); !outcome) return outcome.error();
  return *figures;
}

}  // namespace

result<pingpong_run> measure_pingpong(stream_kind kind, wait_mode mode, placement cores,
                                      std::chrono::nanoseconds duration, std::uint64_t count) {
  if (auto outcome = in_range("the number of round trips", count, 1, std::uint64_t{1} << 24); !outcome)
    return outcome.error();
  if (mode == wait_mode::blocking) return play<wait_mode::blocking>(kind, cores, duration, count);
  const auto pinned = cores ? result<core_pair>(*cores) : two_cores();
  if (!pinned) return pinned.error();
  return play<wait_mode::spinning>(kind, *pinned, duration, count);
}

}  // namespace ferry::bench
