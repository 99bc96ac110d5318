// ferry send: messages from the command line, a file or standard input into one channel.
#include <ferry/session.hpp>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/ferry/app.hpp"
#include "apps/ferry/echo_check.hpp"
#include "apps/ferry/feeder.hpp"
#include "apps/ferry/file_position.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/host.hpp"
#include "apps/ferry/message_flags.hpp"
#include "apps/ferry/progress.hpp"
#include "apps/ferry/send_continue.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/signals.hpp"
#include "apps/ferry/tally.hpp"

namespace ferry::app {
namespace {

struct send_flags {
  channel_flags channels;
  std::string url;
  std::vector<std::string> texts;
  std::string file;
  std::string split = "lines";
  std::uint64_t count = 0;
  std::uint64_t size = 64;
  bool sized = false;
  std::uint64_t per_second = 0;
  std::string wait = "5s";
  bool expect_echo = false;
  bool goes_on = false;
  bool stats = false;
};

constexpr auto k_tick = std::chrono::milliseconds(100);

/// feeding --the source has ended, or failed--> draining --all is in the kernel--> echoing --all came back--> closing
/// any --the connection is gone for good, Ctrl-C--> closing --the channel's report--> the end
class sending {
 public:
  sending(const send_flags& flags, options::duration wait)
      : flags_(flags), wait_(wait), host_(flags.channels.log), tick_(host_.io()), echoes_(host_.channels().buffers()) {}

  int run(const options& with) {
    auto opened = channel::open(host_.channels(), flags_.url, with);
    if (!opened) return complain(opened.error());
    link_ = *opened;
    if (const auto fits = check_session(); !fits) return complain(fits.error());
    auto messages = make_source();
    if (!messages) return complain(messages.error());
    bar_.emplace("sending", (*messages)->bytes_in_all());
    feeder_ = std::make_shared<feeder>(link_, std::move(*messages), feeding_rules());
    link_.on_up([this](const peer_info&) { up(); });
    link_.on_down([this](const down_info& why) { down(why); });
    link_.on_connect_failure([this](const error& why) { connect_failed(why); });
    link_.on_message([this](const message_view& m) { received(m); });
    watch_for_the_end();
    stop_signals signals(host_.io(), [this](int) { interrupted(); });
    feeder_->start();
    tick();
    host_.io().run();
    return summary();
  }

 private:
  enum class state { feeding, draining, echoing, closing };

  // Messages of ours would lie between the bytes of the file that somebody copies.
  [[nodiscard]] result<void> check_session() const {
    const auto session = persistent_session::of(link_);
    if (!session) return {};
    const auto copies = decode_position(session->state(), position_of::sender);
    if (!copies || !*copies) return {};
    return error(errc::unsupported,
                 "this session copies a file with --continue: write that too, or give this one a name (as) or a "
                 "directory (dir) of its own");
  }

  [[nodiscard]] result<std::unique_ptr<source>> make_source() {
    std::vector<std::unique_ptr<source>> parts;
    if (!flags_.texts.empty()) parts.push_back(make_text_source(flags_.texts));
    if (flags_.sized || flags_.count != 0) {
      parts.push_back(make_generated_source(std::max<std::uint64_t>(flags_.count, 1), flags_.size));
    }
    if (!flags_.file.empty() || parts.empty()) {
      auto from = input::open(host_.io(), flags_.file.empty() ? "-" : flags_.file);
      if (!from) return error(errc::bad_option, "--file: " + from.error().text(), from.error().system_errno());
      parts.push_back(
          make_input_source(std::move(*from), *split_rule::parse(flags_.split), link_.settings().max_message));
    }
    return make_chain(std::move(parts));
  }

  feeder::rules feeding_rules() {
    feeder::rules rules;
    rules.per_second = flags_.per_second;
    if (flags_.expect_echo) rules.gate = [this] { return echoes_.has_room(); };
    rules.on_sent = [this](const message_view& m) {
      tally_.messages_sent += 1;
      tally_.bytes_sent += m.payload.size();
      if (flags_.expect_echo) echoes_.sent(m);
    };
    rules.on_end = [this](const error& why) {
      complete_ = why.reason() == errc{};
      if (!complete_ && why != errc::closed) fail(why.text());  // why the channel is closed is told by its report
      half_close();
    };
    return rules;
  }

  // The connection --------------------------------------------------------------------------------------------------

  void up() {
    if (tally_.connections++ != 0) say("connected again");
  }

  void down(const down_info& why) {
    tally_.add(why);
    if (why.will_reconnect) {
      const std::string lost =
          in_session() ? "nothing is lost" : "at most " + counted(why.messages_maybe_lost, "message") + " may be lost";
      say("connection lost: " + why.reason.text() + "; " + lost + "; connecting again");
    }
    if (!in_session()) echoes_.forget_all_but(link_.stats().send_queue_messages);
    if (!why.will_reconnect) return close();
    watch_for_the_end();
    feeder_->poke();  // there may be room for echoes now
  }

  // A channel that gives up while it is down has no other way to say so.
  void watch_for_the_end() {
    link_.async_wait_up([this](error_code failed) {
      if (failed) close();
    });
  }

  void received(const message_view& m) {
    tally_.messages_received += 1;
    tally_.bytes_received += m.payload.size();
    if (!flags_.expect_echo || failed_) return;
    if (const auto wrong = echoes_.received(m)) {
      fail(*wrong);
      return link_.cut();
    }
    if (state_ == state::feeding) feeder_->poke();
    if (state_ == state::echoing && echoes_.outstanding() == 0) close();
  }

  // The end ---------------------------------------------------------------------------------------------------------

  void fail(const std::string& text) {
    failed_ = true;
    say(text);
  }

  // No deadline before everything is in the kernel, and every echo here: a slow listener is no reason to give up.
  void half_close() {
    state_ = state::draining;
    link_.half_close();
    link_.async_flush([this](error_code failed) {
      if (state_ == state::closing) return;
      state_ = state::echoing;
      if (failed || failed_ || !flags_.expect_echo || echoes_.outstanding() == 0) close();
    });
  }

  void close() {
    if (state_ == state::closing) return;
    state_ = state::closing;
    feeder_->stop();
    link_.async_close([this](error_code, const close_report& report) {
      report_ = report;
      host_.io().stop();
    });
  }

  void interrupted() {
    if (!complete_) fail("interrupted before everything was sent");
    // Nobody is there who could take the rest within the deadline.
    if (link_.state() == channel_state::connecting || link_.state() == channel_state::waiting) link_.cut();
    close();
  }

  void tick() {
    bar_->update(feeder_->from().bytes_done());
    if (tally_.connections == 0) look_at_the_clock();
    tick_.expires_after(k_tick);
    tick_.async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled) tick();
    });
  }

  void connect_failed(const error& why) {
    if (tally_.connections != 0 || !link_.settings().reconnect || std::exchange(told_waiting_, true)) return;
    // No time will make it another address; what the system has said of it, it may take back.
    if (why == errc::bad_address && why.system_errno() == 0) return give_up(complain(why));
    say(with_advice(why, link_).text());
    say("trying again" + (wait_.count() == 0 ? std::string("; Ctrl-C ends") : " for " + flags_.wait + " (--wait)"));
  }

  void look_at_the_clock() {
    if (state_ == state::closing || wait_.count() == 0 || std::chrono::steady_clock::now() - tally_.begin < wait_)
      return;
    say("gave up after " + flags_.wait + " (--wait)");
    give_up(k_failed);
  }

  void give_up(int status) {
    failed_ = true;
    status_ = status;
    link_.cut();
    close();
  }

  [[nodiscard]] int summary() {
    bar_.reset();
    const auto stats = link_.stats();
    tally_.maybe_lost = stats.messages_maybe_lost;
    tally_.never_sent = report_.messages_unsent;
    // What was taken and stayed behind was not sent.
    const char* const taken = report_.messages_unsent == 0 ? "sent" : "queued";
    if (flags_.stats) static_cast<void>(std::fputs(tally_.table("received", taken).c_str(), stderr));
    const std::uint64_t echoes_missing = flags_.expect_echo ? echoes_.outstanding() + echoes_.forgotten() : 0;
    const bool all_well = complete_ && !failed_ && report_.clean() && stats.messages_maybe_lost == 0 &&
                          stats.messages_poisoned == 0 && echoes_missing == 0;
    if (all_well) return k_ok;
    if (!report_.clean() && !(failed_ && in_order(report_.reason))) say_why_closed();
    if (echoes_missing != 0)
      say(counted(echoes_missing, "message") + " did not come back; does the other end run with --echo?");
    if (in_session()) {
      say(counted(report_.messages_unsent, "message") +
          " not acknowledged; kept in the session until the other side has consumed them" +
          (complete_ ? "" : "; the input was not sent to its end"));
      return k_failed;
    }
    say("sent " + counted(tally_.messages_sent - report_.messages_unsent - stats.messages_poisoned, "message") +
        ", of which at most " + std::to_string(stats.messages_maybe_lost) + " may be lost; " +
        std::to_string(report_.messages_unsent) + " queued and not sent" + given_up(stats.messages_poisoned) +
        (complete_ ? "" : "; the input was not sent to its end"));
    return status_;
  }

  [[nodiscard]] bool in_session() const { return link_.settings().session == session_kind::persistent; }

  static std::string given_up(std::uint64_t poisoned) {
    return poisoned == 0 ? "" : "; " + std::to_string(poisoned) + " given up after max_send_attempts";
  }

  void say_why_closed() {
    if (tally_.connections == 0) return say(with_advice(report_.reason, link_).text());
    if (report_.reason == errc::end_of_stream) return say("the other end closed before it had everything");
    if (report_.reason != errc::closed) say(report_.reason.text());
  }

  const send_flags& flags_;
  options::duration wait_;
  host host_;
  boost::asio::steady_timer tick_;
  echo_check echoes_;
  std::optional<progress> bar_;
  channel link_;
  std::shared_ptr<feeder> feeder_;
  tally tally_;
  close_report report_;
  int status_ = k_failed;  // if not all went well
  state state_ = state::feeding;
  bool complete_ = false;  // the source has ended, and the channel has taken all of it
  bool failed_ = false;    // why was said
  bool told_waiting_ = false;
};

int run_send(const send_flags& flags) {
  options defaults;
  defaults.reconnect = true;
  const auto with = options_from(flags.channels, defaults);
  if (!with) return complain(with.error());
  const auto wait = parse_whole(option_unit::duration, flags.wait);
  if (flags.goes_on)
    return send_and_continue({flags.url, flags.file, *split_rule::parse(flags.split), flags.wait,
                              options::duration(*wait), flags.channels.log, flags.stats},
                             *with);
  return sending(flags, options::duration(*wait)).run(*with);
}

constexpr const char* k_examples = R"(  ferry send ipc://@news -m hello -m world
  ferry send tcp://localhost:5000 --file access.log               each line is a message
  tail -f access.log | ferry send tcp://localhost:5000 --file -   until Ctrl-C
  ferry send ipc://@news --file photo.png --split whole
  ferry send ipc://@news --count 1M --size 100 --rate 50k --stats
  ferry send ipc://@news --file a.txt --expect-echo               against: ferry listen ipc://@news --echo
  ferry send 'tcp://host:5000?session=persistent&as=web1&dir=/var/lib/copy' --file access.log --continue

It reconnects when the connection is lost (-o reconnect=off: it ends then), and says how much may be lost at most.
Exit status: 0 everything was sent, and the listener has read it all and closed in order; 1 an error, or at most so
many messages as it says may be lost; 2 wrong command line. With --continue: 0 the listener has acknowledged
everything, 1 it has not yet, and the same command goes on from there.)";

void check_wait(const std::string& text) {
  if (const auto value = parse_whole(option_unit::duration, text); value && *value < std::uint64_t{1} << 62) return;
  refuse_usage("--wait " + shown(text, 64) + ": must be a duration (500ms, 10s, 1m), or 0 for ever");
}

}  // namespace

void add_send(command_line app, int& exit_code) {
  const auto flags = std::make_shared<send_flags>();
  const command_line command =
      app.add_command("send", "Send messages: texts, the lines of a file, generated ones", k_examples);
  add_url(command, "URL", flags->url, "Where to connect: shm://NAME, ipc:///PATH, ipc://@NAME, tcp://HOST:PORT");
  const flag texts = command.add_list("-m,--message", flags->texts, "Send TEXT; may be given several times");
  texts.type_name("TEXT");
  const flag file =
      command.add_option("--file", flags->file, "Send what FILE holds; - is standard input, as without any source");
  file.type_name("FILE");
  add_split(command, flags->split,
            "How FILE becomes messages: lines (default; without their newlines), whole,\nor so many BYTES per message");
  const flag count = add_whole(command, "--count", flags->count, option_unit::count, 1, "Send N generated messages");
  count.type_name("N");
  const flag size = add_whole(command, "--size", flags->size, option_unit::size, 0,
                              "Size of a generated message (default 64)", std::uint64_t{1} << 30);
  size.type_name("BYTES");
  const flag rate =
      add_whole(command, "--rate", flags->per_second, option_unit::count, 1, "Send at most N messages per second");
  rate.type_name("N");
  command
      .add_option(
          "--wait", [flags](const std::string& text) { check_wait(text), flags->wait = text; },
          "How long to try to connect for the first time (default 5s; 0: for ever)")
      .type_name("TIME");
  const flag echo =
      command.add_flag("--expect-echo", flags->expect_echo, "Check that everything comes back, equal and in order");
  command
      .add_flag("--continue", flags->goes_on,
                "With a persistent session: send of FILE what was not sent before, each byte once,\n"
                "and wait until it was acknowledged; whoever dies in between is started again")
      .needs(file)
      .excludes(texts)
      .excludes(count)
      .excludes(size)
      .excludes(rate)
      .excludes(echo);
  command.add_flag("--stats", flags->stats, "Print a table to standard error at the end");
  add_channel_flags(command, flags->channels);
  command.callback([flags, size, &exit_code] {
    flags->sized = size.given();
    exit_code = run_send(*flags);
  });
}

}  // namespace ferry::app
