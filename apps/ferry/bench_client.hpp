#pragma once
/// The asking side of a benchmark, over one channel.

#include <ferry/channel.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "apps/ferry/bench_dialogue.hpp"
#include "apps/ferry/bench_meter.hpp"
#include "apps/ferry/bench_payload.hpp"
#include "apps/ferry/bench_plan.hpp"

namespace ferry::app {

/// Warms up, measures, leaves its figures (and, if the other side reports, that side's) on the board, and closes.
///
///   connecting --up--> warming --> marking --> measuring --> finishing --> over
///
/// Marking and finishing wait for what the kind of benchmark takes as the sign that the other side is there too.
/// Stops the io_context when it is over. Thread safety: the context's thread only.
class bench_client {
 public:
  bench_client(context& where, const bench_plan& plan, bench_board& board);
  virtual ~bench_client() = default;
  bench_client(const bench_client&) = delete;
  bench_client& operator=(const bench_client&) = delete;

  /// @return as channel::open; what goes wrong later is failure()
  [[nodiscard]] result<void> start(const std::string& url);
  /// After the io_context has stopped.
  [[nodiscard]] const std::optional<error>& failure() const noexcept { return failure_; }

 protected:
  enum class state : std::uint8_t { connecting, warming, marking, measuring, finishing, over };

  // The kind's part.
  /// Warming or measuring begins, with what the plan or the warm-up allows.
  virtual void begin() = 0;
  /// Something that is no sentence of the dialogue arrived.
  virtual void on_data(bytes payload) = 0;
  /// There is room again.
  virtual void on_drain() {}
  /// Reaches the other side behind everything sent. Without a dialogue: waits as the kind can, then calls reached().
  virtual void say_mark();
  virtual void say_finish();
  /// What the kind itself counted goes to the board.
  virtual void settle(bench_side& mine) = 0;

  /// The present part is over: its time has passed, or all its messages were sent.
  void part_over();
  /// The other side is there too.
  void reached();
  void fail(const error& why);

  [[nodiscard]] bool sending() const noexcept { return state_ == state::warming || state_ == state::measuring; }
  [[nodiscard]] bool measuring() const noexcept { return state_ == state::measuring; }
  /// Whether the present part ends with message number `next`, for its count.
  [[nodiscard]] bool counted_out(std::uint64_t next) const noexcept { return next == last_; }
  [[nodiscard]] bool timed_out(std::int64_t now) const noexcept { return now >= deadline_; }
  [[nodiscard]] std::uint64_t last() const noexcept { return last_; }

  context& where_;
  const bench_plan& plan_;
  bench_board& board_;
  channel channel_;
  std::uint64_t next_ = 0;  // sequence number of the next message

 private:
  void enter(state next) noexcept { state_ = next; }
  void begin_part(state part, std::chrono::nanoseconds duration, std::uint64_t count);
  void went_up();
  void went_down(const error& why);
  void on_message(bytes payload);
  void say(const bench_sentence& sentence);
  void close();

  state state_ = state::connecting;
  std::int64_t begun_ns_ = 0;
  std::int64_t deadline_ = 0;
  std::uint64_t last_ = 0;  // the present part ends before this number
  bench_meter meter_;
  std::optional<bench_sentence> unsaid_;  // for which there was no room
  std::optional<error> failure_;
};

/// The client for this kind of plan.
[[nodiscard]] std::unique_ptr<bench_client> make_bench_client(context& where, const bench_plan& plan,
                                                              bench_board& board);

}  // namespace ferry::app
