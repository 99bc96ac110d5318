#include <sys/epoll.h>

#include <array>
#include <cstring>

#include "bench/echo_parts.hpp"
#include "bench/limits.hpp"
#include "bench/sockets.hpp"

namespace ferry::bench {

poller::poller(child& me, const std::vector<os::unique_fd>& sockets)
    : me_(me), epoll_(::epoll_create1(EPOLL_CLOEXEC)), ready_(sockets.size()) {
  me.check(epoll_.get(), "epoll_create1");
  for (std::uint32_t i = 0; i < sockets.size(); ++i) {
    set_nonblocking(me, sockets[i].get());
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = i;
    me.check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, sockets[i].get(), &event), "epoll_ctl");
  }
}

std::span<const std::uint32_t> poller::wait() noexcept {
  std::array<epoll_event, 128> events;
  const auto room = static_cast<int>(std::min(events.size(), ready_.size()));
  int n = 0;
  while ((n = ::epoll_wait(epoll_.get(), events.data(), room, -1)) < 0 && errno == EINTR) {
  }
  me_.check(n, "epoll_wait");
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) ready_[i] = events[i].data.u32;
  return std::span(ready_).first(static_cast<std::size_t>(n));
}

std::size_t read_ready(child& me, int fd, std::byte* into, std::size_t room) noexcept {
  const auto n = ::recv(fd, into, room, 0);
  return static_cast<std::size_t>(me.check(n, "recv"));
}

void write_ready(child& me, int fd, const std::byte* from, std::size_t size) noexcept {
  const auto n = me.check(::send(fd, from, size, MSG_NOSIGNAL), "send");
  if (static_cast<std::size_t>(n) != size) me.fail(errc::full, "a socket buffer without room for what is in flight");
}

void serve_echo(child& me, std::vector<os::unique_fd>& sockets) {
  std::vector<std::byte> buffer(k_echo_buffer, std::byte{0});
  poller readable(me, sockets);
  me.rendezvous();
  for (auto open = sockets.size(); open != 0;) {
    for (const auto i : readable.wait()) {
      const auto n = read_ready(me, sockets[i].get(), buffer.data(), buffer.size());
      if (n != 0) {
        write_ready(me, sockets[i].get(), buffer.data(), n);
      } else {
        sockets[i].reset();
        --open;
      }
    }
  }
}

namespace {

/// An endless stream of equal messages whose bytes differ: what a stream holds from a position on.
class pattern {
 public:
  pattern() : bytes_(k_echo_buffer + k_echo_size) {
    for (std::size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = static_cast<std::byte>(i % k_echo_size);
  }
  /// At least k_echo_buffer bytes.
  [[nodiscard]] const std::byte* from(std::uint64_t position) const noexcept {
    return bytes_.data() + position % k_echo_size;
  }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

void load_echo(child& me, std::vector<os::unique_fd>& sockets, std::size_t in_flight, std::chrono::nanoseconds duration,
               echo_tally& sums) {
  std::vector<std::byte> buffer(k_echo_buffer, std::byte{0});
  std::vector<std::uint64_t> received(sockets.size(), 0);  // bytes
  const pattern expected;
  const auto window = in_flight * k_echo_size;
  poller readable(me, sockets);
  me.rendezvous();

  const auto begun = now_ns();
  for (const auto& socket : sockets) write_ready(me, socket.get(), expected.from(0), window);
  std::uint64_t total = 0;  // bytes
  auto on_the_way = window * sockets.size();
  for (bool timed = true; on_the_way != 0;) {
    for (const auto i : readable.wait()) {
      const int fd = sockets[i].get();
      const auto n = read_ready(me, fd, buffer.data(), buffer.size());
      if (n == 0) me.fail(errc::end_of_stream, "the echo ended early");
      if (std::memcmp(buffer.data(), expected.from(received[i]), n) != 0)
        me.fail(errc::corrupt, "an echo differs from what was sent");
      if (timed)
        write_ready(me, fd, expected.from(received[i] + window), n);
      else
        on_the_way -= n;
      received[i] += n;
      total += n;
    }
    if (!timed) continue;
    const auto elapsed = now_ns() - begun;
    timed = elapsed < duration.count();
    sums.timed = total / k_echo_size;
    sums.seconds = static_cast<double>(elapsed) / 1e9;
  }
  sums.total = total / k_echo_size;
  sockets.clear();
}

result<echo_run> measure_echo(stream_kind kind, std::size_t connections, std::size_t in_flight,
                              std::chrono::nanoseconds duration, placement cores) {
  if (auto outcome = in_range("the number of connections", connections, 1, 1000); !outcome) return outcome.error();
  if (auto outcome = in_range("the messages in flight", in_flight, 1, 256); !outcome) return outcome.error();
  const auto pinned = cores ? result<core_pair>(*cores) : two_cores();
  if (!pinned) return pinned.error();
  auto pairs = connected_pairs(kind, connections);
  if (!pairs) return pairs.error();

  shared<echo_tally> sums;
  child_group children(2);
  if (auto outcome = children.start(role(kind, "echo load"), pinned->second,
                                    [&](child& me) {
                                      pairs->second.clear();
                                      load_echo(me, pairs->first, in_flight, duration, *sums);
                                    });
      !outcome)
    return outcome.error();
  pairs->first.clear();
  if (auto outcome =
          children.start(role(kind, "echo server"), pinned->first, [&](child& me) { serve_echo(me, pairs->second); });
      !outcome)
    return outcome.error();
  pairs->second.clear();
  if (auto outcome = children.wait(patience(duration)); !outcome) return outcome.error();
  return echo_run{sums->timed, sums->seconds};
}

}  // namespace ferry::bench
