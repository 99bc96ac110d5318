// A channel against the poll API, over rings of the same kind in the same two processes.
#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "apps/ferry/bench_ring_ends.hpp"
#include "base/endian.hpp"
#include "bench/statistics.hpp"
#include "channel/fail.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_size = 64;
constexpr std::uint64_t k_train = 1000;
constexpr int k_trains = 51;
constexpr std::uint64_t k_messages = 50'000;  // of one train one way
constexpr int k_tries = 15;

using message = std::array<std::uint64_t, k_size / 8>;

/// What is sent lies ready in memory, as with a caller's payload: making it is no part of the figure. Message n says
/// n modulo 64 eight times.
class prepared {
 public:
  explicit prepared(std::uint64_t what = 0) {
    for (std::uint64_t n = 0; n < k_numbers; ++n) all_[n].fill(word(n, what));
  }
  [[nodiscard]] bytes operator[](std::uint64_t n) const noexcept {
    return std::as_bytes(std::span(all_[n % k_numbers]));
  }
  /// 0 if this is message n.
  [[nodiscard]] static std::uint64_t difference(bytes body, std::uint64_t n, std::uint64_t what = 0) noexcept {
    if (body.size() != k_size) return 1;
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < k_size; i += 8) all |= load_le<std::uint64_t>(body.data() + i) ^ word(n, what);
    return all;
  }

 private:
  static constexpr std::uint64_t k_numbers = 64;
  static std::uint64_t word(std::uint64_t n, std::uint64_t what) noexcept { return n % k_numbers + what; }
  std::array<message, k_numbers> all_;
};

constexpr std::uint64_t k_answer = 1000;  // makes answers differ from questions

/// Longer than any train: nobody falls asleep inside one.
options spinning(options with) {
  with.spin = std::chrono::seconds(1);
  return with;
}

/// Both ways to a peer; every train runs through one of them.
struct ends {
  ends(const std::string& url, const options& with, bool accepting, ring_board& board)
      : poll(url + "-poll", spinning(with), accepting),
        channel(url + "-channel", spinning(with), accepting),
        side(board.steps, !accepting) {}
  poll_end poll;
  channel_end channel;
  bench::partner side;
};

[[noreturn]] void gone() { throw failure(errc::reset, 0, "the other side is gone"); }

// ---- round trips ---------------------------------------------------------------------

/// @return bits that differ
std::uint64_t receive(ring_connection& link, std::uint64_t n, std::uint64_t what = 0) {
  ring_record record;
  while (!(record = link.front())) link.pause();
  const auto wrong = prepared::difference(record.body(), n, what);
  link.pop();
  return wrong;
}
void send(ring_connection& link, bytes m) {
  if (!link.try_push(m)) gone();  // with one message under way there is room
}
void send(channel& link, bytes m) { or_fail(link.try_send(m)); }

class asker {
 public:
  asker(const std::string& url, const ring_plan& plan, ring_board& board)
      : plan_(plan), board_(board), ends_(url, plan.with, false, board) {
    ends_.channel.link().on_message([this](const message_view& m) { answered(m.payload); });
  }

  void run() {
    for (int round = 0; round < plan_.rounds; ++round) {
      std::vector<double> channel_trains, poll_trains;
      for (int i = 0; i < k_trains; ++i) {
        poll_trains.push_back(poll_train());
        channel_trains.push_back(channel_train());
      }
      board_.other[static_cast<std::size_t>(round)] = bench::median(poll_trains);
      board_.ring[static_cast<std::size_t>(round)] = bench::median(channel_trains);
    }
    board_.wrong |= wrong_;
    ends_.side.meet();
  }

 private:
  double poll_train() {
    auto& link = ends_.poll.link();
    ends_.side.meet();
    const auto began = bench::now_ns();
    for (std::uint64_t i = 0; i < k_train; ++i) {
      send(link, questions_[i]);
      wrong_ |= receive(link, i, k_answer);
    }
    return static_cast<double>(bench::now_ns() - began) / k_train;
  }

  double channel_train() {
    ends_.side.meet();
    turn_ = 0;
    const auto began = bench::now_ns();
    send(ends_.channel.link(), questions_[turn_]);
    ends_.channel.run();
    return static_cast<double>(ended_ - began) / k_train;
  }
  void answered(bytes payload) {
    wrong_ |= prepared::difference(payload, turn_, k_answer);
    if (++turn_ != k_train) return send(ends_.channel.link(), questions_[turn_]);
    ended_ = bench::now_ns();
    ends_.channel.done();
  }

  const ring_plan& plan_;
  ring_board& board_;
  ends ends_;
  const prepared questions_;
  std::uint64_t turn_ = 0;
  std::uint64_t wrong_ = 0;
  std::int64_t ended_ = 0;
};

class answerer {
 public:
  answerer(const std::string& url, const ring_plan& plan, ring_board& board)
      : plan_(plan), board_(board), ends_(url, plan.with, true, board) {
    ends_.channel.link().on_message([this](const message_view& m) { answer(m.payload); });
  }

  void run() {
    for (int i = 0; i < plan_.rounds * k_trains; ++i) {
      poll_train();
      ends_.side.meet();
      turn_ = 0;
      ends_.channel.run();
    }
    board_.wrong |= wrong_;
    ends_.side.meet();
  }

 private:
  void poll_train() {
    auto& link = ends_.poll.link();
    ends_.side.meet();
    for (std::uint64_t i = 0; i < k_train; ++i) {
      wrong_ |= receive(link, i);
      send(link, answers_[i]);
    }
  }
  void answer(bytes payload) {
    wrong_ |= prepared::difference(payload, turn_);
    send(ends_.channel.link(), answers_[turn_]);
    if (++turn_ == k_train) ends_.channel.done();
  }

  const ring_plan& plan_;
  ring_board& board_;
  ends ends_;
  const prepared answers_{k_answer};
  std::uint64_t turn_ = 0;
  std::uint64_t wrong_ = 0;
};

// ---- one way -------------------------------------------------------------------------

class writer {
 public:
  writer(const std::string& url, const ring_plan& plan, ring_board& board)
      : plan_(plan), board_(board), ends_(url, plan.with, false, board) {
    ends_.channel.link().on_drain([this] { send_on(); });
  }

  void run() {
    for (int round = 0; round < plan_.rounds; ++round)
      for (int i = 0; i < k_tries; ++i) {
        auto& poll = board_.other[static_cast<std::size_t>(round)];
        auto& channel = board_.ring[static_cast<std::size_t>(round)];
        poll = std::max(poll, rate([this] { poll_train(); }));
        channel = std::max(channel, rate([this] { channel_train(); }));
      }
  }

 private:
  template <class Train>
  double rate(const Train& train) {
    ends_.side.meet();
    const auto began = bench::now_ns();
    train();
    ends_.side.meet();
    return 1e9 * k_messages / static_cast<double>(board_.ended - began);
  }

  void poll_train() {
    auto& link = ends_.poll.link();
    for (std::uint64_t i = 0; i < k_messages; ++i) {
      while (!link.try_push(messages_[i])) ring_pause();
    }
  }

  void channel_train() {
    next_ = 0;
    send_on();
    if (next_ != k_messages) ends_.channel.run();
  }
  void send_on() {
    for (; next_ < k_messages; ++next_) {
      const auto sent = ends_.channel.link().try_send(messages_[next_]);
      if (sent) continue;
      if (sent.error() != errc::full) fail(sent.error());
      return;
    }
    ends_.channel.done();
  }

  const ring_plan& plan_;
  ring_board& board_;
  ends ends_;
  const prepared messages_;
  std::uint64_t next_ = 0;
};

class reader {
 public:
  reader(const std::string& url, const ring_plan& plan, ring_board& board)
      : plan_(plan), board_(board), ends_(url, plan.with, true, board) {
    ends_.channel.link().on_message([this](const message_view& m) { take(m.payload); });
  }

  void run() {
    for (int i = 0; i < plan_.rounds * k_tries; ++i) {
      ends_.side.meet();
      poll_train();
      ends_.side.meet();
      ends_.side.meet();
      next_ = 0;
      ends_.channel.run();
      ends_.side.meet();
    }
    board_.wrong |= wrong_;
  }

 private:
  void poll_train() {
    auto& link = ends_.poll.link();
    for (std::uint64_t i = 0; i < k_messages; ++i) wrong_ |= receive(link, i);
    board_.ended = bench::now_ns();
  }
  void take(bytes payload) {
    wrong_ |= prepared::difference(payload, next_);
    if (++next_ != k_messages) return;
    board_.ended = bench::now_ns();
    ends_.channel.done();
  }

  const ring_plan& plan_;
  ring_board& board_;
  ends ends_;
  std::uint64_t next_ = 0;
  std::uint64_t wrong_ = 0;
};

template <class Side>
ring_side side(const ring_plan& plan) {
  return [&plan](bench::child& me, const std::string& url, ring_board& board) {
    Side one(url, plan, board);
    me.rendezvous();
    one.run();
  };
}

}  // namespace

result<bench::ring_comparison> measure_channel_round_trip(const ring_plan& plan) {
  return compare_ring_sides(plan, side<asker>(plan), side<answerer>(plan));
}
result<bench::ring_comparison> measure_channel_rate(const ring_plan& plan) {
  return compare_ring_sides(plan, side<writer>(plan), side<reader>(plan));
}

}  // namespace ferry::app
