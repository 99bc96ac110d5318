#include "apps/ferry/bench_pair.hpp"

#include <string>

#include "apps/ferry/bench_client.hpp"
#include "apps/ferry/bench_payload.hpp"
#include "apps/ferry/bench_raw.hpp"
#include "apps/ferry/bench_service.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "apps/ferry/bench_uds_pair.hpp"

namespace ferry::app {
namespace {

/// The URL to connect to, from when somebody listens there.
std::string to_connect(const bench_plan& plan, const bench_board& board) {
  if (plan.external) return plan.url;
  const auto listens_at = board.where.url();
  return plan.listen_url == plan.url ? listens_at : plan.url;
}

/// The plan of one side. Both have the same options, but in a session each has a name; its files are new in each run,
/// so that nothing of an earlier one is waiting.
bench_plan of_side(const bench_plan& plan, const char* name, std::uint64_t run) {
  auto mine = plan;
  if (mine.with.session != session_kind::persistent || mine.external) return mine;
  if (mine.with.as.empty()) mine.with.as = name;
  if (mine.with.dir.empty()) mine.with.dir = mine.directory + "/run-" + std::to_string(run);
  return mine;
}

bool in_order(const error& why) { return why == errc::closed || why == errc::end_of_stream; }

class channel_pair final : public bench_pair {
 public:
  channel_pair(bool local, std::uint64_t run) : local_(local), run_(run) {}

  void serve(bench::child& me, const bench_plan& plan, bench_board& board) override {
    loop mine;
    auto service = listening(me, mine, of_side(plan, "bench-server", run_), board);
    error ended = errc::closed;
    service.on_end([&](const error& why) {
      ended = why;
      mine.io.stop();
    });
    me.rendezvous();
    mine.io.run();
    if (!board.over && !in_order(ended)) give_up(me, ended);
  }

  void drive(bench::child& me, const bench_plan& plan, bench_board& board) override {
    loop mine;
    me.rendezvous();
    run_client(me, mine, of_side(plan, "bench-client", run_), board);
  }

  [[nodiscard]] bool one_process() const override { return local_; }

  void serve_and_drive(bench::child& me, const bench_plan& plan, bench_board& board) override {
    loop mine;
    const auto service = listening(me, mine, plan, board);
    me.rendezvous();
    run_client(me, mine, plan, board);
    board.server.allocations = 0;  // they are the client's already
  }

 private:
  static bench_service listening(bench::child& me, loop& mine, const bench_plan& plan, bench_board& board) {
    auto service = bench_service::open(mine.channels, plan.listen_url, plan.with);
    if (!service) give_up(me, service.error());
    board.where.publish(me, service->url());
    return std::move(*service);
  }

  static void run_client(bench::child& me, loop& mine, const bench_plan& plan, bench_board& board) {
    const auto client = make_bench_client(mine.channels, plan, board);
    if (const auto started = client->start(to_connect(plan, board)); !started) give_up(me, started.error());
    mine.io.run();
    if (client->failure()) give_up(me, *client->failure());
  }

  bool local_;
  std::uint64_t run_;
};

/// A channel against somebody who moves bytes only.
class raw_pair final : public bench_pair {
 public:
  void serve(bench::child& me, const bench_plan& plan, bench_board& board) override {
    loop mine;
    const auto task = plan.kind == bench_kind::write_only ? raw_peer::task::discard : raw_peer::task::repeat;
    const auto peer = raw_peer::open(mine.channels, plan.url, plan.with, task, plan.size);
    if (!peer) give_up(me, peer.error());
    board.where.publish(me, (*peer)->url());
    me.rendezvous();
    mine.io.run();
    if (task == raw_peer::task::discard) board.wire_bytes[1] = (*peer)->moved();
  }

  void drive(bench::child& me, const bench_plan& plan, bench_board& board) override {
    loop mine;
    me.rendezvous();
    const auto client = make_bench_client(mine.channels, plan, board);
    if (const auto started = client->start(to_connect(plan, board)); !started) give_up(me, started.error());
    mine.io.run();
    if (client->failure()) give_up(me, *client->failure());
  }
};

}  // namespace

void bench_pair::serve_and_drive(bench::child& me, const bench_plan&, bench_board&) {
  me.fail(errc::unsupported, "these two sides do not share a process");
}

result<std::unique_ptr<bench_pair>> make_bench_pair(bench_plan& plan) {
  const auto at = look_up(plan.url, plan.with);
  if (!at) return at.error();
  const bool local = stays_in_process(at->scheme);
  const bool raw = plan.kind == bench_kind::write_only || plan.kind == bench_kind::read_only;
  if (plan.size < k_bench_min_size || plan.size > plan.with.max_message)
    return error(errc::misuse, "messages of " + std::to_string(plan.size) + " bytes: must be " +
                                   std::to_string(k_bench_min_size) + " (the sequence number) .. " +
                                   std::to_string(plan.with.max_message) + " (max_message)");
  const auto listens_at = plan.external ? plan.url : url_to_listen(*at, plan.url);
  if (!listens_at) return listens_at.error();
  plan.listen_url = *listens_at;
  if (local && (raw || plan.external))
    return error(errc::unsupported, at->scheme + ":// stays in one process: it has no raw or external other side");
  if (raw && (at->scheme == "shm" || at->scheme == "sidecar"))
    return error(errc::unsupported, at->scheme + ":// has no raw other side: no bytes flow there, only records");
  if (raw && plan.with.session != session_kind::none)
    return error(errc::unsupported, "a session has no raw other side: who throws bytes away acknowledges nothing");
  if (plan.uds_pair && (at->scheme != "ipc" || raw || plan.external))
    return error(errc::unsupported, "--uds-pair is for `bench oneway ipc:...`, both sides started here");
  if (plan.uds_pair) return make_uds_pair(at->path);
  if (raw && plan.external) return error(errc::misuse, "--write-only and --read-only start their own raw peer");
  if (raw) return std::unique_ptr<bench_pair>(std::make_unique<raw_pair>());
  static std::uint64_t run = 0;
  return std::unique_ptr<bench_pair>(std::make_unique<channel_pair>(local, ++run));
}

}  // namespace ferry::app
