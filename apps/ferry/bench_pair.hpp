#pragma once
/// The two sides of a measurement, each of which runs in a process of its own.

#include <memory>

#include "apps/ferry/bench_plan.hpp"
#include "bench/child.hpp"

namespace ferry::app {

/// What another pair of ends (a compatible reader and writer, a pair of rings) derives from, to be measured like a
/// channel. Both functions run in a child process, block until the measurement is over and report what goes wrong with
/// me.fail(). Both call me.rendezvous() once, the server when the client may connect.
class bench_pair {
 public:
  virtual ~bench_pair() = default;
  /// Listens, writes the URL for the client to the board, serves one client. Fills board.server if the client cannot.
  virtual void serve(bench::child& me, const bench_plan& plan, bench_board& board) = 0;
  /// Connects to the URL on the board (of the plan, if it has an external server), measures, fills the board.
  virtual void drive(bench::child& me, const bench_plan& plan, bench_board& board) = 0;
  /// Both in one, where messages do not leave the process; the default is that they do.
  [[nodiscard]] virtual bool one_process() const { return false; }
  virtual void serve_and_drive(bench::child& me, const bench_plan& plan, bench_board& board);
};

/// The pair for this plan: channels, or a channel and a raw peer. The options of the plan's URL are in plan.with
/// afterwards, for both sides, and plan.listen_url is set.
/// @return bad_url | unknown_scheme | unknown_option | bad_option | as url_to_listen() | unsupported (write_only or
/// read_only where messages
///         do not leave the process; uds_pair without ipc) | misuse (a size below 8 or above max_message; an external
///         raw peer; session=persistent with a raw peer)
[[nodiscard]] result<std::unique_ptr<bench_pair>> make_bench_pair(bench_plan& plan);

}  // namespace ferry::app
