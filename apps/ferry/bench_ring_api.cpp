// A channel against the poll API, over rings of the same kind in the same two processes.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "apps/ferry/bench_ring_ends.hpp"
#include "bench/statistics.hpp"
#include "channel/fail.hpp"

namespace ferry::app {
namespace {

constexpr std::uint64_t k_messages = 50'000;  // of one train one way
constexpr int k_tries = 15;

/// Longer than any train: nobody falls asleep inside one.
options spinning(options with) {
  with.spin = std::chrono::seconds(1);
  return with;
}

/// What is compared: the first one to the second one.
enum class rivals : std::uint8_t { channel_to_poll, session_to_poll, session_to_channel };

/// Each connection has a session of its own, in which nothing is left of an earlier one.
options in_session(const std::string& url, options with, bool accepting) {
  with.session = session_kind::persistent;
  with.as = accepting ? "answering" : "asking";
  with.dir += url.substr(url.rfind('/'));
  return with;
}

/// Both ways to a peer; every train runs through one of them.
struct ends {
  ends(const std::string& url, const options& with, rivals which, bool accepting, ring_board& board)
      : channel(url + "-channel",
                which == rivals::channel_to_poll ? spinning(with) : in_session(url, spinning(with), accepting),
                accepting),
        side(board.steps, !accepting) {
    if (which == rivals::session_to_channel)
      plain.emplace(url + "-plain", spinning(with), accepting);
    else
      poll.emplace(url + "-poll", spinning(with), accepting);
  }
  std::optional<poll_end> poll;
  std::optional<channel_end> plain;
  channel_end channel;
  bench::partner side;
};

[[noreturn]] void gone() { throw failure(errc::reset, 0, "the other side is gone"); }

// ---- round trips ---------------------------------------------------------------------

/// @return bits that differ
std::uint64_t receive(ring_connection& link, std::uint64_t n, std::uint64_t what = 0) {
  ring_record record;
  while (!(record = link.front())) link.pause();
  const auto wrong = prepared_messages::difference(record.body(), n, what);
  link.pop();
  return wrong;
}
void send(ring_connection& link, bytes m) {
  if (!link.try_push(m)) gone();  // with one message under way there is room
}
void send(channel& link, bytes m) { or_fail(link.try_send(m)); }

class asker {
 public:
  asker(const std::string& url, const ring_plan& plan, rivals which, ring_board& board)
      : plan_(plan), board_(board), ends_(url, plan.with, which, false, board) {
    hear(ends_.channel);
    if (ends_.plain) hear(*ends_.plain);
  }

  void run() {
    for (int round = 0; round < plan_.rounds; ++round) {
      std::vector<double> channel_trains, other_trains;
      for (int i = 0; i < k_trains; ++i) {
        other_trains.push_back(ends_.plain ? channel_train(*ends_.plain) : poll_train());
        channel_trains.push_back(channel_train(ends_.channel));
      }
      board_.other[static_cast<std::size_t>(round)] = bench::median(other_trains);
      board_.ring[static_cast<std::size_t>(round)] = bench::median(channel_trains);
    }
    board_.wrong |= wrong_;
    ends_.side.meet();
  }

 private:
  void hear(channel_end& at) {
    at.link().on_message([this, &at](const message_view& m) { answered(at, m.payload); });
  }

  double poll_train() {
    auto& link = ends_.poll->link();
    ends_.side.meet();
    const auto began = bench::now_ns();
    for (std::uint64_t i = 0; i < k_train; ++i) {
      send(link, questions_[i]);
      wrong_ |= receive(link, i, k_answer);
    }
    return static_cast<double>(bench::now_ns() - began) / k_train;
  }

  double channel_train(channel_end& at) {
    ends_.side.meet();
    turn_ = 0;
    const auto began = bench::now_ns();
    send(at.link(), questions_[turn_]);
    at.run();
    return static_cast<double>(ended_ - began) / k_train;
  }
  void answered(channel_end& at, bytes payload) {
    wrong_ |= prepared_messages::difference(payload, turn_, k_answer);
    if (++turn_ != k_train) return send(at.link(), questions_[turn_]);
    ended_ = bench::now_ns();
    at.done();
  }

  const ring_plan& plan_;
  ring_board& board_;
  ends ends_;
  const prepared_messages questions_;
  std::uint64_t turn_ = 0;
  std::uint64_t wrong_ = 0;
  std::int64_t ended_ = 0;
};

class answerer {
 public:
  answerer(const std::string& url, const ring_plan& plan, rivals which, ring_board& board)
      : plan_(plan), board_(board), ends_(url, plan.with, which, true, board) {
    hear(ends_.channel);
    if (ends_.plain) hear(*ends_.plain);
  }

  void run() {
    for (int i = 0; i < plan_.rounds * k_trains; ++i) {
      ends_.plain ? channel_train(*ends_.plain) : poll_train();
      channel_train(ends_.channel);
    }
    board_.wrong |= wrong_;
    ends_.side.meet();
  }

 private:
  void hear(channel_end& at) {
    at.link().on_message([this, &at](const message_view& m) { answer(at, m.payload); });
  }

  void poll_train() {
    auto& link = ends_.poll->link();
    ends_.side.meet();
    for (std::uint64_t i = 0; i < k_train; ++i) {
      wrong_ |= receive(link, i);
      send(link, answers_[i]);
    }
  }
  void channel_train(channel_end& at) {
    ends_.side.meet();
    turn_ = 0;
    at.run();
  }
  void answer(channel_end& at, bytes payload) {
    wrong_ |= prepared_messages::difference(payload, turn_);
    send(at.link(), answers_[turn_]);
    if (++turn_ == k_train) at.done();
  }

  const ring_plan& plan_;
  ring_board& board_;
  ends ends_;
  const prepared_messages answers_{k_answer};
  std::uint64_t turn_ = 0;
  std::uint64_t wrong_ = 0;
};

// ---- one way -------------------------------------------------------------------------

class writer {
 public:
  writer(const std::string& url, const ring_plan& plan, rivals which, ring_board& board)
      : plan_(plan), board_(board), ends_(url, plan.with, which, false, board) {
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
    auto& link = ends_.poll->link();
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
  const prepared_messages messages_;
  std::uint64_t next_ = 0;
};

class reader {
 public:
  reader(const std::string& url, const ring_plan& plan, rivals which, ring_board& board)
      : plan_(plan), board_(board), ends_(url, plan.with, which, true, board) {
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
    auto& link = ends_.poll->link();
    for (std::uint64_t i = 0; i < k_messages; ++i) wrong_ |= receive(link, i);
    board_.ended = bench::now_ns();
  }
  void take(bytes payload) {
    wrong_ |= prepared_messages::difference(payload, next_);
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
ring_side side(const ring_plan& plan, rivals which) {
  return [&plan, which](bench::child& me, const std::string& url, ring_board& board) {
    Side one(url, plan, which, board);
    me.rendezvous();
    one.run();
  };
}

result<bench::ring_comparison> round_trips(const ring_plan& plan, rivals which) {
  return compare_ring_sides(plan, side<asker>(plan, which), side<answerer>(plan, which));
}
result<bench::ring_comparison> rates(const ring_plan& plan, rivals which) {
  return compare_ring_sides(plan, side<writer>(plan, which), side<reader>(plan, which));
}

}  // namespace

result<bench::ring_comparison> measure_channel_round_trip(const ring_plan& plan) {
  return round_trips(plan, rivals::channel_to_poll);
}
result<bench::ring_comparison> measure_session_round_trip(const ring_plan& plan) {
  return round_trips(plan, rivals::session_to_channel);
}
result<bench::ring_comparison> measure_session_round_trip_to_poll(const ring_plan& plan) {
  return round_trips(plan, rivals::session_to_poll);
}
result<bench::ring_comparison> measure_channel_rate(const ring_plan& plan) {
  return rates(plan, rivals::channel_to_poll);
}
result<bench::ring_comparison> measure_session_rate(const ring_plan& plan) {
  return rates(plan, rivals::session_to_poll);
}

}  // namespace ferry::app
