// The four kinds of benchmark.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "apps/ferry/bench_client.hpp"
#include "apps/ferry/bench_raw.hpp"
#include "bench/child.hpp"

namespace ferry::app {

const char* to_string(bench_kind kind) noexcept {
  switch (kind) {
    case bench_kind::rtt: return "rtt";
    case bench_kind::oneway: return "oneway";
    case bench_kind::write_only: return "write_only";
    case bench_kind::read_only: return "read_only";
  }
  return "?";
}

namespace {

/// One message in flight: each answer sends the next question.
class rtt_client final : public bench_client {
 public:
  rtt_client(context& where, const bench_plan& plan, bench_board& board)
      : bench_client(where, plan, board), questions_(plan.size), answers_(plan.size) {}

 private:
  void begin() override {
    answers_.restart(next_);
    before_ = bench::now_ns();
    ask();
  }

  void ask() {
    const auto sent = channel_.try_send(questions_.stamp(next_));
    if (!sent) return fail(sent.error());
    next_ += 1;
  }

  void on_data(bytes payload) override {
    const auto after = bench::now_ns();
    answers_.take(payload);
    if (measuring()) board_.rtt.record(static_cast<std::uint64_t>(after - before_));
    before_ = after;
    if (!sending() || answers_.next() != next_) return;  // what comes twice is counted and answers nothing
    if (counted_out(next_) || timed_out(after)) return part_over();
    ask();
  }

  void settle(bench_side& mine) override {
    answers_.finish(next_);
    const auto& checked = answers_.so_far();
    mine.messages = checked.messages;
    mine.lost = checked.lost;
    mine.duplicated = checked.duplicated;
    mine.corrupt = checked.corrupt;
  }

  bench_pattern questions_;
  bench_checker answers_;
  std::int64_t before_ = 0;
};

/// As many messages as the channel takes.
class oneway_client : public bench_client {
 public:
  oneway_client(context& where, const bench_plan& plan, bench_board& board)
      : bench_client(where, plan, board),
        pattern_(plan.size),
        stretch_(std::clamp<std::uint64_t>(k_stretch_bytes / plan.size, 1, k_stretch_messages)) {}

 protected:
  void settle(bench_side& mine) override { mine.messages = next_ - first_; }

 private:
  static constexpr std::uint64_t k_stretch_bytes = 1u << 20;  // between two looks at the clock
  static constexpr std::uint64_t k_stretch_messages = 16384;
  static constexpr int k_stretches_per_turn = 4;  // then the event loop has its turn, if the channel never was full

  void begin() override {
    first_ = next_;
    send_some();
  }
  void on_drain() override { send_some(); }
  void on_data(bytes) override { fail(error(errc::protocol, "the other side sent what nobody had asked for")); }

  void send_some() {
    if (!sending()) return;
    for (int i = 0; i < k_stretches_per_turn; ++i) {
      const bool room = send_stretch();
      if (!sending()) return;
      if (counted_out(next_) || timed_out(bench::now_ns())) return part_over();
      if (!room) return;  // on_drain goes on
    }
    boost::asio::post(where_.io(), [this] { send_some(); });
  }

  /// @return false: the channel is full, or has failed
  bool send_stretch() {
    const auto end = std::min(next_ + stretch_, last());
    for (; next_ != end; ++next_) {
      const auto sent = channel_.try_send(pattern_.stamp(next_));
      if (sent) [[likely]]
        continue;
      if (sent.error() != errc::full) fail(sent.error());
      return false;
    }
    return true;
  }

  bench_pattern pattern_;
  const std::uint64_t stretch_;
  std::uint64_t first_ = 0;
};

/// The peer throws away what it reads and says nothing: what the kernel has taken counts as there.
class write_only_client final : public oneway_client {
 public:
  using oneway_client::oneway_client;

 private:
  void say_mark() override { flush(); }
  void say_finish() override { flush(); }
  void flush() {
    channel_.async_flush([this](error_code failed) {
      if (failed) return fail(channel_.last_error());
      reached();
    });
  }
  void settle(bench_side& mine) override {
    oneway_client::settle(mine);
    board_.server.messages = mine.messages;
    board_.wire_bytes[0] = channel_.stats().bytes_sent;
  }
};

/// The peer writes the same buffer of whole messages again and again, until it is left.
class read_only_client final : public bench_client {
 public:
  read_only_client(context& where, const bench_plan& plan, bench_board& board)
      : bench_client(where, plan, board), checker_(plan.size), repeat_(raw_messages(plan.size)) {}

 private:
  void begin() override {
    checker_.restart(next_ % repeat_);
    taken_before_ = 0;
    if (measuring()) channel_.resume();
  }

  void on_data(bytes payload) override {
    if (!sending()) return;
    checker_.take(payload);
    const auto taken = taken_before_ + checker_.so_far().messages;
    if (checker_.next() == repeat_) {
      add(checker_.so_far());
      checker_.restart(0);
    }
    const bool all = counted_out(next_ + taken);
    if (all || (taken % k_between_looks == 0 && timed_out(bench::now_ns()))) end_part(taken);
  }

  void end_part(std::uint64_t taken) {
    next_ += taken;
    add(checker_.so_far());
    channel_.pause();
    part_over();
  }

  void add(const bench_checker::counts& more) {
    taken_before_ += more.messages;
    total_.lost += more.lost;
    total_.duplicated += more.duplicated;
    total_.corrupt += more.corrupt;
  }

  // Nobody to talk to: the parts follow each other.
  void say_mark() override {
    total_ = {};
    boost::asio::post(where_.io(), [this] { reached(); });
  }
  void say_finish() override { reached(); }
  void settle(bench_side& mine) override {
    mine.messages = taken_before_;
    mine.lost = total_.lost;
    mine.duplicated = total_.duplicated;
    mine.corrupt = total_.corrupt;
    board_.server.messages = taken_before_;
    where_.io().stop();  // the writer never ends by itself: the channel is cut, not closed
  }

  static constexpr std::uint64_t k_between_looks = 64;  // at the clock, in messages

  bench_checker checker_;
  const std::uint64_t repeat_;  // messages in the peer's buffer
  std::uint64_t taken_before_ = 0;
  bench_checker::counts total_;
};

}  // namespace

std::unique_ptr<bench_client> make_bench_client(context& where, const bench_plan& plan, bench_board& board) {
  switch (plan.kind) {
    case bench_kind::rtt: return std::make_unique<rtt_client>(where, plan, board);
    case bench_kind::oneway: return std::make_unique<oneway_client>(where, plan, board);
    case bench_kind::write_only: return std::make_unique<write_only_client>(where, plan, board);
    case bench_kind::read_only: return std::make_unique<read_only_client>(where, plan, board);
  }
  return nullptr;
}

}  // namespace ferry::app
