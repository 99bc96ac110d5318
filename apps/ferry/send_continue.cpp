#include "apps/ferry/send_continue.hpp"

#include <ferry/channel.hpp>
#include <ferry/session.hpp>
#include <ferry/url.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <optional>

#include "apps/ferry/app.hpp"
#include "apps/ferry/file_messages.hpp"
#include "apps/ferry/host.hpp"
#include "apps/ferry/progress.hpp"
#include "apps/ferry/signals.hpp"
#include "apps/ferry/tally.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_bytes_per_transaction = 64u << 10;
constexpr std::size_t k_cost_of_a_message = 32;
constexpr auto k_tick = std::chrono::milliseconds(100);

/// feeding --the end of FILE--> flushing --everything was acknowledged--> closing --the channel's report--> the end
/// any --an error, Ctrl-C--> closing
class continuing {
 public:
  continuing(const continue_flags& flags) : flags_(flags), host_(flags.log), tick_(host_.io()) {}

  int run(const options& with) {
    auto opened = channel::open(host_.channels(), flags_.url, with);
    if (!opened) return complain(opened.error());
    link_ = *opened;
    auto session = persistent_session::of(link_);
    if (!session) return complain(session.error());
    session_ = std::move(*session);
    auto file = file_messages::open(flags_.file, flags_.split, link_.settings().max_message);
    if (!file) return complain({errc::bad_option, "--file: " + file.error().text(), file.error().system_errno()});
    file_ = std::move(*file);
    if (const auto ready = resume(); !ready) return complain(ready.error());
    bar_.emplace("sending", file_->size());
    link_.on_up([this](const peer_info&) { up(); });
    link_.on_down([this](const down_info& why) { down(why); });
    link_.on_connect_failure([this](const error& why) { connect_failed(why); });
    link_.on_drain([this] { turn(); });
    watch_for_the_end();
    stop_signals signals(host_.io(), [this](int) { interrupted(); });
    turn();
    tick();
    host_.io().run();
    return summary();
  }

 private:
  enum class state { feeding, flushing, closing };

  [[nodiscard]] result<void> resume() {
    const auto about = session_->info();
    const auto kept = decode_position(session_->state(), position_of::sender);
    if (!kept) return kept.error();
    if (!*kept && about.sent != 0)
      return error(errc::unsupported, "this session has sent " + std::to_string(about.sent) +
                                          " messages without --continue; give this one a name (as) or a directory "
                                          "(dir) of its own");
    return file_->resume(*kept, about.session);
  }

  // Sending ---------------------------------------------------------------------------------------------------------

  void turn() {
    if (state_ != state::feeding) return;
    const auto sent = send_some();
    if (!sent) return fail(sent.error());
    switch (*sent) {
      case outcome::more: return boost::asio::post(host_.io(), [this] { turn(); });
      case outcome::full: return;  // the drain event comes
      case outcome::end: return flush();
    }
  }

  enum class outcome { more, full, end };

  /// Some messages and the position behind them, as one step.
  [[nodiscard]] result<outcome> send_some() {
    // The other end knows nothing of the session that we had: both begin anew, and so does the file.
    if (session_->info().session != file_->session())
      if (const auto again = resume(); !again) return again.error();
    auto step = session_->begin();
    if (!step) return step.error();
    auto stopped = fill(*step);
    if (!stopped) return stopped.error();
    if (sent_now_ == 0) return stopped;
    const auto position = file_->position();
    if (!position) return position.error();
    if (const auto kept = step->set_state(encode(*position)); !kept) return kept.error();
    if (const auto committed = step->commit(); !committed) return committed.error();
    return stopped;
  }

  [[nodiscard]] result<outcome> fill(transaction& step) {
    sent_now_ = 0;
    for (std::size_t cost = 0; cost < k_bytes_per_transaction;) {
      const auto m = file_->next();
      if (!m) return m.error();
      if (!*m) return outcome::end;
      const auto sent = step.send((*m)->payload, (*m)->kind);
      if (!sent && sent.error() == errc::full) return outcome::full;
      if (!sent) return sent.error();
      sent_now_ += 1;
      tally_.messages_sent += 1;
      tally_.bytes_sent += (*m)->payload.size();
      cost += (*m)->payload.size() + k_cost_of_a_message;
      file_->taken();
    }
    return outcome::more;
  }

  void flush() {
    state_ = state::flushing;
    link_.async_flush([this](error_code failed) {
      if (state_ != state::flushing || failed) return;  // the channel's end tells why
      const auto about = session_->info();
      if (about.session != file_->session()) return feed_again();
      if (about.acknowledged != about.sent) return flush();
      acknowledged_ = true;
      close();
    });
  }

  void feed_again() {
    state_ = state::feeding;
    turn();
  }

  // The connection --------------------------------------------------------------------------------------------------

  void up() {
    if (tally_.connections++ != 0) say("connected again");
    if (state_ == state::flushing && session_->info().session != file_->session()) feed_again();
  }

  void down(const down_info& why) {
    tally_.add(why);
    if (!why.will_reconnect) return close();
    say("connection lost: " + why.reason.text() + "; nothing is lost; connecting again");
    watch_for_the_end();
  }

  // A channel that gives up while it is down has no other way to say so.
  void watch_for_the_end() {
    link_.async_wait_up([this](error_code failed) {
      if (failed) close();
    });
  }

  void connect_failed(const error& why) {
    if (why.text() == told_failure_ || !link_.settings().reconnect) return;
    told_failure_ = why.text();
    say(with_advice(why, link_).text());
    if (tally_.connections == 0)
      say("trying again" +
          (flags_.wait.count() == 0 ? std::string("; Ctrl-C ends") : " for " + flags_.wait_text + " (--wait)"));
  }

  // The end ---------------------------------------------------------------------------------------------------------

  void fail(const error& why) {
    failed_ = why;
    close();
  }

  void close() {
    if (state_ == state::closing) return;
    state_ = state::closing;
    // Nobody is there who could take the rest.
    if (link_.state() == channel_state::connecting || link_.state() == channel_state::waiting) link_.cut();
    link_.async_close([this](error_code, const close_report& report) {
      report_ = report;
      host_.io().stop();
    });
  }

  void interrupted() {
    interrupted_ = true;
    if (!acknowledged_) link_.cut();
    close();
  }

  void tick() {
    bar_->update(file_->offset());
    if (tally_.connections == 0) look_at_the_clock();
    tick_.expires_after(k_tick);
    tick_.async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled) tick();
    });
  }

  void look_at_the_clock() {
    if (state_ == state::closing || flags_.wait.count() == 0) return;
    if (std::chrono::steady_clock::now() - tally_.begin < flags_.wait) return;
    fail({errc::timeout, "gave up after " + flags_.wait_text + " (--wait)"});
  }

  [[nodiscard]] int summary() {
    bar_.reset();
    if (flags_.stats) static_cast<void>(std::fputs(tally_.table().c_str(), stderr));
    if (acknowledged_) return k_ok;
    if (failed_) {
      say(failed_->text());
    } else if (interrupted_) {
      say("interrupted");
    } else if (report_.reason != errc::closed) {
      say(report_.reason.text());
    }
    say("not everything was acknowledged; the same command goes on from here");
    return k_failed;
  }

  const continue_flags& flags_;
  host host_;
  boost::asio::steady_timer tick_;
  channel link_;
  std::optional<persistent_session> session_;
  std::optional<file_messages> file_;
  std::optional<progress> bar_;
  tally tally_;
  close_report report_;
  std::uint64_t sent_now_ = 0;  // messages, in the open transaction
  state state_ = state::feeding;
  bool acknowledged_ = false;
  bool interrupted_ = false;
  std::optional<error> failed_;
  std::string told_failure_;  // the same one is not told at every attempt
};

}  // namespace

int send_and_continue(const continue_flags& flags, const options& with) {
  options seen = with;
  boost::asio::io_context io;
  if (const auto parsed = parse_url(flags.url, seen, context(io).schemes()); !parsed) return complain(parsed.error());
  if (seen.session != session_kind::persistent)
    return complain({errc::bad_option,
                     "--continue needs a session, whose state is how far FILE was sent; write 'URL?session=persistent"
                     "&as=NAME&dir=DIR' on both sides"});
  if (flags.file == "-")
    return complain({errc::bad_option, "--continue needs a file that it can come back to, not standard input"});
  return continuing(flags).run(with);
}

}  // namespace ferry::app
