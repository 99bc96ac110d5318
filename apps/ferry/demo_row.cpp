#include "apps/ferry/demo_row.hpp"

#include <ferry/channel.hpp>
#include <ferry/listener.hpp>
#include <ferry/session.hpp>

#include <unistd.h>

#include <bit>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "apps/ferry/bench_sides.hpp"
#include "apps/ferry/progress.hpp"
#include "bench/tls_line.hpp"

namespace ferry::app {
namespace {

struct board {
  meeting_point where;
  std::atomic<bool> killed;  // the persistent echo server, in its first life
  demo_figures figures;
};

/// Sends back what comes, and stops taking more while there is no room for an answer.
class echoer : public std::enable_shared_from_this<echoer> {
 public:
  echoer(channel peer, demo_figures& figures, std::uint64_t lines, context& where)
      : peer_(std::move(peer)), figures_(figures), lines_(lines), where_(where) {}

  void start(const std::function<void(const error&)>& ended) {
    peer_.on_message([self = shared_from_this()](const message_view& m) { self->take(m); });
    peer_.on_drain([self = shared_from_this()] { self->send_held(); });
    peer_.on_down([ended](const down_info& why) { ended(why.reason); });
  }

 private:
  void take(const message_view& m) {
    if (figures_.arrived < lines_) {
      sum_.add(m.payload);
      figures_.checksum_there = sum_.value();
      figures_.arrived += 1;
    }
    if (send(m)) return;
    held_ = message::copy_of(m, where_.buffers());
    if (!held_->ok()) return peer_.cut();
    peer_.pause();
  }

  bool send(const message_view& m) {
    const auto sent = peer_.try_send(m.payload, m.kind, m.type);
    if (!sent && sent.error() != errc::full) peer_.cut();
    return sent || sent.error() != errc::full;
  }

  void send_held() {
    if (!held_ || !send(held_->view())) return;
    held_.reset();
    peer_.resume();
  }

  channel peer_;  // lets go of its handlers, and so of this, when it is closed
  demo_figures& figures_;
  const std::uint64_t lines_;
  context& where_;
  demo_checksum sum_;
  std::optional<message> held_;  // for which there was no room
};

/// The same in a session, which lives longer than this process: what it has counted is the state of its transactions.
/// Its first life ends in the middle of one.
class persistent_echoer : public std::enable_shared_from_this<persistent_echoer> {
 public:
  persistent_echoer(channel peer, board& shared, std::uint64_t lines)
      : peer_(std::move(peer)), session_(persistent_session::of(peer_).value()), shared_(shared), lines_(lines) {}

  void start(const std::function<void(const error&)>& ended) {
    peer_.on_message([self = shared_from_this()](const message_view& m) { self->take(m); });
    peer_.on_down([ended](const down_info& why) {
      if (!why.will_reconnect) ended(why.reason);
    });
  }

 private:
  struct counted {
    std::uint64_t arrived = 0;
    std::uint64_t checksum = demo_checksum().value();
  };

  void take(const message_view& m) {
    counted all;
    if (const bytes kept = session_.state(); kept.size() == sizeof all) std::memcpy(&all, kept.data(), sizeof all);
    if (!peer_.try_send(m.payload, m.kind, m.type)) {
      static_cast<void>(session_.give_back());
      return;
    }
    if (all.arrived == lines_) return;  // a question: nothing to count
    demo_checksum sum(all.checksum);
    sum.add(m.payload);
    all = {all.arrived + 1, sum.value()};
    session_.set_state(std::as_bytes(std::span(&all, 1))).value();
    shared_.figures.arrived = all.arrived;
    shared_.figures.checksum_there = all.checksum;
    if (all.arrived == lines_ / 2 + 1 && !shared_.killed.exchange(true)) ::kill(::getpid(), SIGKILL);
  }

  channel peer_;  // lets go of its handlers, and so of this, when it is closed
  persistent_session session_;
  board& shared_;
  const std::uint64_t lines_;
};

/// Sends all lines as fast as the channel takes them, takes the echoes, then asks one question at a time.
class asker {
 public:
  asker(loop& mine, const demo_text& text, demo_figures& figures, const std::string& title)
      : mine_(mine), text_(text), figures_(figures), next_(text), bar_(title, text.bytes_with_newlines()) {}

  [[nodiscard]] result<void> start(const std::string& url, const options& with) {
    auto opened = channel::open(mine_.channels, url, with);
    if (!opened) return opened.error();
    peer_ = std::move(*opened);
    peer_.on_message([this](const message_view& m) { take(m.payload); });
    peer_.on_drain([this] { send_lines(); });
    peer_.on_up([this](const peer_info&) {
      if (begun_ == 0) begun_ = bench::now_ns();
      send_lines();
    });
    peer_.on_down([this](const down_info& why) {
      if (!why.will_reconnect) stop(why.reason);
    });
    peer_.async_wait_up([this](error_code failed) {
      if (failed) stop(peer_.last_error());
    });
    return {};
  }

  [[nodiscard]] bool finished() const noexcept { return finished_; }
  [[nodiscard]] const error& reason() const noexcept { return reason_; }

 private:
  void send_lines() {
    while (!next_.at_end()) {
      const auto line = next_.line();
      const auto sent = peer_.try_send(line);
      if (!sent && sent.error() == errc::full) return;
      if (!sent) return stop(sent.error());
      next_.advance(line);
      figures_.sent += 1;
    }
  }

  void take(bytes payload) {
    if (figures_.elapsed_ns != 0) return answered(payload);
    sum_.add(payload);
    figures_.checksum_back = sum_.value();
    figures_.back += 1;
    echoed_ += payload.size() + 1;
    if (figures_.back % 1024 == 0) bar_.update(echoed_);
    if (figures_.back != text_.lines()) return;
    bar_.hide();
    before_ = bench::now_ns();
    figures_.elapsed_ns = before_ - begun_;
    ask();
  }

  void ask() {
    const auto sent = peer_.try_send(k_demo_question);
    if (!sent) stop(sent.error());
  }

  void answered(bytes payload) {
    const auto now = bench::now_ns();
    if (as_text(payload) != k_demo_question) {  // an echo too many, or a wrong one
      figures_.back += 1;
      return;
    }
    figures_.rtt.record(static_cast<std::uint64_t>(now - before_));
    const bool enough =
        figures_.rtt.count() == k_demo_round_trips || now - begun_ - figures_.elapsed_ns > k_demo_longest_ns;
    before_ = now;
    if (!enough) return ask();
    finished_ = true;
    peer_.async_close([this](error_code, const close_report&) { mine_.io.stop(); });
  }

  void stop(const error& why) {
    reason_ = why;
    mine_.io.stop();
  }

  loop& mine_;
  const demo_text& text_;
  demo_figures& figures_;
  demo_text::cursor next_;
  progress bar_;
  channel peer_;
  demo_checksum sum_;
  std::uint64_t echoed_ = 0;
  std::int64_t begun_ = 0;
  std::int64_t before_ = 0;
  bool finished_ = false;
  error reason_;
};

/// @param name  of this end of the session
options in_session(const std::string& name, const std::string& scheme, const demo_text& text,
                   const std::string& directory) {
  options with;
  with.session = session_kind::persistent;
  with.as = name;
  with.dir = directory + "/state-" + scheme;
  // A message takes less than a quarter of the ring.
  with.ring_bytes = std::max<std::size_t>(with.ring_bytes, std::bit_ceil(4 * text.longest() + 4096));
  with.reconnect = true;
  with.reconnect_base = with.reconnect_max = std::chrono::milliseconds(5);
  return with;
}

listener listening(bench::child& me, loop& mine, board& shared, const std::string& url, const options& with,
                   std::uint64_t lines, std::function<void(const error&)> ended) {
  auto opened = listener::open(mine.channels, url, with);
  if (!opened) give_up(me, opened.error());
  shared.where.publish(me, opened->url());
  opened->on_channel([&mine, &shared, lines, ended = std::move(ended)](channel arrived) {
    std::make_shared<echoer>(std::move(arrived), shared.figures, lines, mine.channels)->start(ended);
  });
  return std::move(*opened);
}

void serve(bench::child& me, board& shared, const std::string& url, const options& with, std::uint64_t lines) {
  loop mine;
  const auto arrivals = listening(me, mine, shared, url, with, lines, [&mine](const error&) { mine.io.stop(); });
  me.rendezvous();
  mine.io.run();
}

/// One life of the persistent echo server. @param url  where to listen; in its second life, where the first one did
void live(bench::child& me, board& shared, const std::string& url, const options& with, std::uint64_t lines) {
  loop mine;
  auto opened = listener::open(mine.channels, url, with);
  if (!opened) give_up(me, opened.error());
  if (!shared.killed) shared.where.publish(me, opened->url());
  opened->on_channel([&](channel arrived) {
    std::make_shared<persistent_echoer>(std::move(arrived), shared, lines)->start([&mine](const error&) {
      mine.io.stop();
    });
  });
  mine.io.run();
}

void serve_in_two_lives(bench::child& me, board& shared, const std::string& url, const options& with,
                        std::uint64_t lines) {
  const auto one_life = [&](const std::string& at) {
    bench::child_group lives(1);
    const auto begun = lives.start("echo server", {}, [&](bench::child& it) { live(it, shared, at, with, lines); });
    return begun ? lives.wait(std::chrono::hours(1)) : begun;
  };
  const auto first = one_life(url);
  if (!shared.killed) give_up(me, first ? error(errc::closed, "it was not killed") : first.error());
  if (const auto second = one_life(shared.where.url()); !second) give_up(me, second.error());
}

void ask(bench::child& me, loop& mine, board& shared, const demo_text& text, const std::string& title,
         const options& with = {}) {
  asker client(mine, text, shared.figures, title);
  if (const auto started = client.start(shared.where.url(), with); !started) give_up(me, started.error());
  mine.io.run();
  if (!client.finished()) give_up(me, client.reason());
}

}  // namespace

std::chrono::seconds demo_time_for(const demo_text& text) {
  return std::chrono::seconds(60 + text.bytes_with_newlines() / 1'000'000);
}

demo_row run_demo_row(const std::string& scheme, const demo_text& text, const std::string& directory) {
  const bool local = stays_in_process(scheme);
  const auto url = free_url(scheme, directory);
  options asking, serving;
  if (speaks_tls(scheme)) {
    asking.tls_ca = serving.tls_certificate = directory + "/certificate-" + scheme;
    if (!bench::write_certificate(asking.tls_ca)) return {scheme, {}, "OpenSSL could not make a certificate"};
  }
  const bench::shared<board> shared;
  const auto client = [&](bench::child& me) {
    loop mine;
    std::optional<listener> own;
    if (local) own = listening(me, mine, *shared, url, serving, text.lines(), [](const error&) {});
    me.rendezvous();
    ask(me, mine, *shared, text, scheme, asking);
  };
  std::vector<bench::child_part> parts{{scheme + " client", {}, client}};
  if (!local)
    parts.push_back(
        {scheme + " echo server", {}, [&](bench::child& me) { serve(me, *shared, url, serving, text.lines()); }});
  const auto outcome = bench::run_together(parts, demo_time_for(text));
  return {scheme, shared->figures, outcome ? "" : outcome.error().text()};
}

demo_row run_persistent_demo_row(const std::string& scheme, const demo_text& text, const std::string& directory) {
  const auto url = free_url(scheme, directory);
  const auto name = scheme + "-persistent";
  const bench::shared<board> shared;
  const auto client = [&](bench::child& me) {
    loop mine;
    ask(me, mine, *shared, text, name, in_session("client", scheme, text, directory));
  };
  const auto server = [&](bench::child& me) {
    serve_in_two_lives(me, *shared, url, in_session("echo", scheme, text, directory), text.lines());
  };
  const auto outcome =
      bench::run_together({{name + " client", {}, client}, {name + " echo server", {}, server}}, demo_time_for(text));
  return {name, shared->figures, outcome ? "" : outcome.error().text()};
}

}  // namespace ferry::app
