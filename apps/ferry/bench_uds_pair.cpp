#include "apps/ferry/bench_uds_pair.hpp"

#include <ferry/compat/uds.hpp>

#include <algorithm>

#include "apps/ferry/bench_allocations.hpp"
#include "apps/ferry/bench_dialogue.hpp"
#include "apps/ferry/bench_payload.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "channel/fail.hpp"

namespace ferry::app {
namespace {

/// What a side has cost so far.
std::uint64_t calls_so_far(loop& of) {
  return of.channels.totals().reads.value() + of.channels.totals().writes.value();
}

/// reading --mark--> counting --finish--> over
class uds_server {
 public:
  uds_server(loop& mine, const bench_plan& plan, bench_board& board)
      : mine_(mine), board_(board), checker_(plan.size) {}

  result<void> take(bytes payload) {
    if (!is_bench_word(payload)) {
      checker_.take(payload);
    } else if (bench_word_of(payload) == bench_word::mark) {
      checker_.restart(bench_number(payload, 0));
      system_calls_ = calls_so_far(mine_);
      allocations_ = allocations();
      begun_ns_ = bench::now_ns();
    } else if (bench_word_of(payload) == bench_word::finish) {
      finish(bench_number(payload, 0));
    }
    return {};
  }

 private:
  void finish(std::uint64_t end) {
    board_.elapsed_ns = bench::now_ns() - begun_ns_;
    checker_.finish(end);
    const auto& seen = checker_.so_far();
    board_.server = {seen.messages,
                     seen.lost,
                     seen.duplicated,
                     seen.corrupt,
                     calls_so_far(mine_) - system_calls_,
                     allocations() - allocations_};
    board_.over = true;
    mine_.io.stop();
  }

  loop& mine_;
  bench_board& board_;
  bench_checker checker_;
  std::uint64_t system_calls_ = 0;
  std::uint64_t allocations_ = 0;
  std::int64_t begun_ns_ = 0;
};

/// Writes as fast as the queue takes it, turning the event loop after each batch and when the queue is full.
class uds_client {
 public:
  uds_client(loop& mine, const bench_plan& plan, const std::string& path)
      : mine_(mine), plan_(plan), pattern_(plan.size), writer_(mine.channels, path, roomy()) {}

  void run(bench_board& board) {
    writer_.start();
    const std::chrono::nanoseconds warm_up = std::chrono::milliseconds(200);
    write_for(std::min(warm_up, plan_.duration / 4), plan_.count);
    write({bench_word::mark, {next_}});
    const auto system_calls = calls_so_far(mine_);
    const auto before = allocations();
    const auto first = next_;
    write_for(plan_.duration, plan_.count);
    board.client = {next_ - first, 0, 0, 0, calls_so_far(mine_) - system_calls, allocations() - before};
    write({bench_word::finish, {next_}});
    (void)writer_.stop();
  }

 private:
  // As the defaults, but for the bytes in the queue and in the socket's buffer, which are a channel's.
  static uds_writer_options roomy() {
    uds_writer_options with;
    with.queue_bytes = options{}.send_queue_bytes;
    with.write_buffer = 1u << 20;
    return with;
  }

  void write_for(std::chrono::nanoseconds duration, std::optional<std::uint64_t> count) {
    const auto deadline = bench::now_ns() + duration.count();
    const auto end = count ? next_ + *count : UINT64_MAX;
    while (next_ != end) {
      if (next_ % 256 == 0 && bench::now_ns() >= deadline) return;
      write(pattern_.stamp(next_));
      if (++next_ % batch_ == 0) mine_.io.poll();
    }
  }

  void write(const bench_sentence& sentence) { write(sentence.wire()); }
  void write(bytes message) {
    for (bool again = false;; again = true) {
      const auto queued = writer_.write_message(message);
      if (queued) return;
      if (queued.error() != errc::full) fail(queued.error());
      mine_.io.poll();
      // Sleeps only while nothing can be written: the reader may need this core.
      if (again && writer_.metrics().queue_depth != 0) mine_.io.run_one();
    }
  }

  static constexpr std::size_t k_batch_bytes = 256u << 10;

  loop& mine_;
  const bench_plan& plan_;
  bench_pattern pattern_;
  const std::uint64_t batch_ = std::max<std::uint64_t>(1, k_batch_bytes / plan_.size);
  uds_writer writer_;
  std::uint64_t next_ = 0;
};

class uds_pair final : public bench_pair {
 public:
  explicit uds_pair(std::string path) : path_(std::move(path)) {}

  void serve(bench::child& me, const bench_plan& plan, bench_board& board) override {
    loop mine;
    uds_server server(mine, plan, board);
    uds_reader reader(
        mine.channels, [&](bytes m) { return server.take(m); }, path_);
    if (const auto listening = reader.start(); !listening) give_up(me, listening.error());
    me.rendezvous();
    mine.io.run();
    mine.io.restart();
    (void)reader.stop();
  }

  void drive(bench::child& me, const bench_plan& plan, bench_board& board) override {
    loop mine;
    uds_client client(mine, plan, path_);
    me.rendezvous();
    client.run(board);
  }

 private:
  std::string path_;
};

}  // namespace

std::unique_ptr<bench_pair> make_uds_pair(std::string path) { return std::make_unique<uds_pair>(std::move(path)); }

}  // namespace ferry::app
