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

/// One socket's place in both streams.
struct dialogue {
  std::uint64_t asked = 0;         // bytes
  std::uint64_t answered = 0;      // bytes
  std::vector<std::int64_t> when;  // the last questions were asked, by their number modulo what is in flight
};

class loader {
 public:
  loader(child& me, std::vector<os::unique_fd>& sockets, const echo_wire& wire, const echo_load& how, echo_tally& sums)
      : me_(me),
        sockets_(sockets),
        wire_(wire),
        how_(how),
        sums_(sums),
        question_(wire.questions.message_size()),
        answer_(wire.answers.message_size()),
        buffer_(k_echo_buffer, std::byte{0}),
        dialogues_(sockets.size()),
        readable_(me, sockets) {
    if (how_.times != nullptr)
      for (auto& one : dialogues_) one.when.resize(how_.in_flight);
  }

  void run() {
    me_.rendezvous();
    begun_ = now_ns();
    until_ = begun_ + how_.warm_up.count();
    if (how_.warm_up.count() == 0) enter(echo_phase::timed);
    for (std::size_t i = 0; i < sockets_.size(); ++i) ask(i, how_.in_flight);
    while (on_the_way_ != 0) {
      for (const auto i : readable_.wait()) take(i);
      if (phase_ != echo_phase::over) look_at_the_clock();
    }
    sums_.total = total_;
    sockets_.clear();
  }

 private:
  void ask(std::size_t i, std::size_t messages) {
    auto& one = dialogues_[i];
    const auto size = messages * question_;
    if (how_.times != nullptr) note_asked(one, messages);
    write_ready(me_, sockets_[i].get(), wire_.questions.from(one.asked), size);
    one.asked += size;
    on_the_way_ += messages;
  }

  void take(std::size_t i) {
    auto& one = dialogues_[i];
    const auto n = read_ready(me_, sockets_[i].get(), buffer_.data(), buffer_.size());
    if (n == 0) me_.fail(errc::end_of_stream, "the echo ended early");
    if (n > how_.in_flight * answer_ || std::memcmp(buffer_.data(), wire_.answers.from(one.answered), n) != 0)
      me_.fail(errc::corrupt, "an echo differs from what was sent");
    const auto before = one.answered / answer_;
    one.answered += n;
    const auto whole = one.answered / answer_ - before;
    on_the_way_ -= whole;
    total_ += whole;
    if (how_.times != nullptr && phase_ == echo_phase::timed) note_answered(one, before, whole);
    if (whole != 0 && phase_ != echo_phase::over) ask(i, whole);
  }

  void note_asked(dialogue& one, std::size_t messages) {
    const auto now = now_ns();
    const auto first = one.asked / question_;
    for (std::size_t i = 0; i < messages; ++i) one.when[(first + i) % how_.in_flight] = now;
  }

  void note_answered(const dialogue& one, std::uint64_t first, std::size_t messages) {
    const auto now = now_ns();
    for (std::size_t i = 0; i < messages; ++i)
      how_.times->push_back(
          static_cast<std::uint32_t>(std::min<std::int64_t>(now - one.when[(first + i) % how_.in_flight], UINT32_MAX)));
  }

  void look_at_the_clock() {
    const auto now = now_ns();
    sums_.timed = total_ - total_at_mark_;
    sums_.seconds = static_cast<double>(now - begun_) / 1e9;
    if (now < until_) return;
    enter(phase_ == echo_phase::warming_up ? echo_phase::timed : echo_phase::over);
  }

  void enter(echo_phase next) {
    phase_ = next;
    if (next == echo_phase::timed) {
      begun_ = now_ns();
      until_ = begun_ + how_.duration.count();
      total_at_mark_ = total_;
    }
    sums_.phase.store(next, std::memory_order_release);  // pairs with: whoever counts at the other end
  }

  child& me_;
  std::vector<os::unique_fd>& sockets_;
  const echo_wire& wire_;
  const echo_load how_;
  echo_tally& sums_;
  const std::size_t question_;
  const std::size_t answer_;
  std::vector<std::byte> buffer_;
  std::vector<dialogue> dialogues_;
  poller readable_;
  echo_phase phase_ = echo_phase::warming_up;
  std::int64_t begun_ = 0;
  std::int64_t until_ = 0;
  std::uint64_t total_ = 0;  // messages
  std::uint64_t total_at_mark_ = 0;
  std::uint64_t on_the_way_ = 0;  // messages
};

}  // namespace

void load_echo(child& me, std::vector<os::unique_fd>& sockets, const echo_wire& wire, const echo_load& how,
               echo_tally& sums) {
  loader(me, sockets, wire, how, sums).run();
}

result<echo_run> measure_echo(stream_kind kind, const echo_plan& plan, placement cores) {
  if (auto outcome = check_echo_plan(plan); !outcome) return outcome.error();
  const auto pinned = cores ? result<core_pair>(*cores) : two_cores();
  if (!pinned) return pinned.error();
  auto pairs = connected_pairs(kind, plan.connections);
  if (!pairs) return pairs.error();

  shared<echo_tally> sums;
  child_group children(2);
  const auto load = [&](child& me) {
    pairs->second.clear();
    const auto wire = unframed_echo(plan.size, plan.in_flight);
    load_echo(me, pairs->first, wire, {plan.in_flight, plan.duration, plan.warm_up}, *sums);
  };
  if (auto outcome = children.start(role(kind, "echo load"), pinned->second, load); !outcome) return outcome.error();
  pairs->first.clear();
  if (auto outcome =
          children.start(role(kind, "echo server"), pinned->first, [&](child& me) { serve_echo(me, pairs->second); });
      !outcome)
    return outcome.error();
  pairs->second.clear();
  if (auto outcome = children.wait(patience(plan.warm_up + plan.duration)); !outcome) return outcome.error();
  return echo_run{sums->timed, sums->seconds};
}

}  // namespace ferry::bench
