#include "apps/ferry/bench_service.hpp"

#include <optional>
#include <utility>

#include "apps/ferry/bench_dialogue.hpp"
#include "apps/ferry/bench_meter.hpp"
#include "apps/ferry/bench_payload.hpp"

namespace ferry::app {
namespace {

/// One channel's half of the dialogue.
class answerer : public std::enable_shared_from_this<answerer> {
 public:
  explicit answerer(channel peer) : peer_(std::move(peer)) {}

  void start(const std::shared_ptr<std::function<void(const error&)>>& ended) {
    peer_.on_message([self = shared_from_this()](const message_view& m) { self->take(m.payload); });
    peer_.on_down([ended](const down_info& why) {
      if (*ended) (*ended)(why.reason);
    });
  }

 private:
  enum class state : std::uint8_t { silent, echoing, counting, reported };

  void take(bytes payload) {
    if (is_bench_word(payload)) return obey(payload);
    switch (state_) {
      case state::counting: return checker_->take(payload);
      case state::echoing: return echo(payload);
      case state::silent:
      case state::reported: return peer_.cut();
    }
  }

  void echo(bytes payload) {
    echoed_ += 1;
    say(payload);
  }

  void obey(bytes sentence) {
    switch (bench_word_of(sentence)) {
      case bench_word::hello: return greet(sentence);
      case bench_word::mark: return mark(bench_number(sentence, 0));
      case bench_word::finish: return report(bench_number(sentence, 0));
      case bench_word::marked:
      case bench_word::report: break;
    }
    peer_.cut();
  }

  void greet(bytes sentence) {
    const auto size = bench_number(sentence, 1);
    if (state_ != state::silent || size < k_bench_min_size || size > peer_.settings().max_message) return peer_.cut();
    checker_.emplace(size);
    const auto mode = static_cast<bench_mode>(bench_number(sentence, 0));
    if (mode != bench_mode::echo && mode != bench_mode::count) return peer_.cut();
    state_ = mode == bench_mode::echo ? state::echoing : state::counting;
  }

  void mark(std::uint64_t next) {
    if (state_ != state::echoing && state_ != state::counting) return peer_.cut();
    checker_->restart(next);
    echoed_ = 0;
    say(bench_sentence(bench_word::marked, {}).wire());
    meter_.start(peer_);
  }

  void report(std::uint64_t end) {
    if (state_ != state::echoing && state_ != state::counting) return peer_.cut();
    bench_side counted;
    meter_.stop(peer_, counted);
    if (state_ == state::counting) checker_->finish(end);
    const auto& checked = checker_->so_far();
    counted.messages = state_ == state::echoing ? echoed_ : checked.messages;
    counted.lost = state_ == state::echoing ? 0 : checked.lost;
    counted.duplicated = checked.duplicated;
    counted.corrupt = checked.corrupt;
    state_ = state::reported;
    say(report_of(counted).wire());
    peer_.half_close();
  }

  // A peer that keeps to the dialogue leaves room for every answer.
  void say(bytes payload) {
    if (!peer_.try_send(payload)) peer_.cut();
  }

  channel peer_;  // lets go of its handlers, and so of this, when it is closed
  state state_ = state::silent;
  std::optional<bench_checker> checker_;
  std::uint64_t echoed_ = 0;
  bench_meter meter_;
};

}  // namespace

bench_service::bench_service(listener arrivals)
    : arrivals_(std::move(arrivals)), ended_(std::make_shared<std::function<void(const error&)>>()) {
  arrivals_.on_channel(
      [ended = ended_](channel arrived) { std::make_shared<answerer>(std::move(arrived))->start(ended); });
}

result<bench_service> bench_service::open(context& where, const std::string& url, const options& with) {
  auto opened = listener::open(where, url, with);
  if (!opened) return opened.error();
  return bench_service(std::move(*opened));
}

}  // namespace ferry::app
