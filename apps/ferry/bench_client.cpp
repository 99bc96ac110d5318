#include "apps/ferry/bench_client.hpp"

#include <algorithm>
#include <limits>

#include "bench/child.hpp"

namespace ferry::app {

namespace {
constexpr std::chrono::milliseconds k_longest_warm_up{200};
constexpr std::uint64_t k_no_count = std::numeric_limits<std::uint64_t>::max() / 4;
}  // namespace

bench_client::bench_client(context& where, const bench_plan& plan, bench_board& board)
    : where_(where), plan_(plan), board_(board) {}

result<void> bench_client::start(const std::string& url) {
  auto opened = channel::open(where_, url, plan_.with);
  if (!opened) return opened.error();
  channel_ = std::move(*opened);
  channel_.on_message([this](const message_view& m) { on_message(m.payload); });
  channel_.on_up([this](const peer_info&) { went_up(); });
  channel_.on_drain([this] {
    if (unsaid_) return say(*std::exchange(unsaid_, std::nullopt));
    on_drain();
  });
  channel_.on_down([this](const down_info& why) { went_down(why.reason); });
  channel_.async_wait_up([this](error_code failed) {
    if (failed) fail(channel_.last_error());
  });
  return {};
}

void bench_client::went_up() {
  const bool dialogue = plan_.kind == bench_kind::rtt || plan_.kind == bench_kind::oneway;
  const auto mode = plan_.kind == bench_kind::rtt ? bench_mode::echo : bench_mode::count;
  if (dialogue) say({bench_word::hello, {static_cast<std::uint64_t>(mode), plan_.size}});
  const std::chrono::nanoseconds longest = k_longest_warm_up;
  begin_part(state::warming, std::min(longest, plan_.duration / 4), plan_.count.value_or(k_no_count));
}

void bench_client::begin_part(state part, std::chrono::nanoseconds duration, std::uint64_t count) {
  enter(part);
  last_ = next_ + count;
  begun_ns_ = bench::now_ns();
  deadline_ = begun_ns_ + duration.count();
  begin();
}

void bench_client::part_over() {
  if (state_ == state::warming) {
    enter(state::marking);
    return say_mark();
  }
  enter(state::finishing);
  say_finish();
}

void bench_client::reached() {
  if (state_ == state::marking) {
    meter_.start(channel_);
    return begin_part(state::measuring, plan_.duration, plan_.count.value_or(k_no_count));
  }
  board_.elapsed_ns = bench::now_ns() - begun_ns_;
  meter_.stop(channel_, board_.client);
  settle(board_.client);
  enter(state::over);
  board_.over = true;
  close();
}

void bench_client::on_message(bytes payload) {
  if (!is_bench_word(payload)) return on_data(payload);
  const auto word = bench_word_of(payload);
  if (state_ == state::marking && word == bench_word::marked) return reached();
  if (state_ != state::finishing || word != bench_word::report)
    return fail(error(errc::protocol, "the other side does not keep to the benchmark's dialogue"));
  board_.server = side_from(payload);
  reached();
}

void bench_client::say_mark() { say({bench_word::mark, {next_}}); }
void bench_client::say_finish() { say({bench_word::finish, {next_}}); }

void bench_client::say(const bench_sentence& sentence) {
  const auto sent = channel_.try_send(sentence.wire());
  if (sent) return;
  if (sent.error() != errc::full) return fail(sent.error());
  unsaid_ = sentence;
}

void bench_client::went_down(const error& why) {
  if (state_ != state::over) fail(why.in("the other side left before the end"));
}

void bench_client::close() {
  channel_.async_close([this](error_code, const close_report&) { where_.io().stop(); });
}

void bench_client::fail(const error& why) {
  if (failure_ || state_ == state::over) return;
  failure_ = why;
  channel_.cut();
  where_.io().stop();
}

}  // namespace ferry::app
