// ferry connect: a channel by hand, standard input to messages and messages to standard output.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "apps/ferry/app.hpp"
#include "apps/ferry/feeder.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/forwarder.hpp"
#include "apps/ferry/host.hpp"
#include "apps/ferry/message_flags.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/signals.hpp"
#include "apps/ferry/tally.hpp"

namespace ferry::app {
namespace {

struct connect_flags {
  channel_flags channels;
  std::string url;
  message_format format = message_format::lines;
  std::string split = "lines";
  bool echo = false;
  bool stats = false;
};

/// Both directions flow until standard input ends (then ours is half-closed) and the peer has ended too. Who sends
/// everything back has no input: the peer alone ends it.
class conversation {
 public:
  explicit conversation(const connect_flags& flags) : flags_(flags), host_(flags.channels.log), output_(host_.io()) {}

  int run(const options& with) {
    auto opened = channel::open(host_.channels(), flags_.url, with);
    if (!opened) return complain(opened.error());
    link_ = *opened;
    if (flags_.echo) {
      echo_ = std::make_shared<forwarder>(link_, host_.channels().buffers(), [this] { go_on_reading(); });
    } else if (const auto typed = send_typed(with); !typed) {
      return complain(typed.error());
    }
    output_.on_room([this] { go_on_reading(); });
    output_.on_error([this](const error& why) {
      exit_code_ = complain(why);
      link_.cut();
    });
    link_.on_message([this](const message_view& m) { show(m); });
    link_.on_up([this](const peer_info&) { up(); });
    link_.on_down([this](const down_info& why) { down(why); });
    watch_for_the_end();
    stop_signals signals(host_.io(), [this](int) { close(); });
    host_.io().run();
    if (flags_.stats) static_cast<void>(std::fputs(tally_.table().c_str(), stderr));
    return exit_code_;
  }

 private:
  [[nodiscard]] result<void> send_typed(const options& with) {
    auto typed = input::open(host_.io(), "-");
    if (!typed) return typed.error();
    auto messages = make_input_source(std::move(*typed), *split_rule::parse(flags_.split), with.max_message);
    feeder::rules rules;
    rules.on_sent = [this](const message_view& m) { count_sent(m); };
    rules.on_end = [this](const error& why) { input_ended(why); };
    feeder_ = std::make_shared<feeder>(link_, std::move(messages), std::move(rules));
    return {};
  }

  void count_sent(const message_view& m) {
    tally_.messages_sent += 1;
    tally_.bytes_sent += m.payload.size();
  }

  void go_on_reading() {
    if (!output_.full() && !(echo_ && echo_->blocked())) link_.resume();
  }

  void up() {
    // Nothing is read from standard input before there is somebody to send it to.
    if (tally_.connections++ != 0) return say("connected again");
    if (feeder_) feeder_->start();
  }

  void show(const message_view& m) {
    tally_.messages_received += 1;
    tally_.bytes_received += m.payload.size();
    write_message(output_, flags_.format, m, tally_.messages_received, link_.peer().text());
    if (echo_) echo(m);
    if (output_.full()) link_.pause();
  }

  void echo(const message_view& m) {
    const auto sent = echo_->forward(m);
    if (!sent && sent.error() == errc::closed) return;  // its end follows
    if (!sent) {
      exit_code_ = complain(sent.error());
      return link_.cut();
    }
    count_sent(m);
    if (echo_->blocked()) link_.pause();
  }

  void input_ended(const error& why) {
    if (why.reason() != errc{} && why != errc::closed) exit_code_ = complain(why);
    link_.half_close();
  }

  void down(const down_info& why) {
    tally_.add(why);
    const bool as_wanted = flags_.echo && in_order(why.reason);  // nobody else ends it
    if (why.messages_maybe_lost != 0 && !as_wanted) {
      exit_code_ = k_failed;
      say("ended by the other side first; at most " + counted(why.messages_maybe_lost, "message") + " may be lost");
    }
    if (!in_order(why.reason)) {
      exit_code_ = k_failed;
      say("connection lost: " + why.reason.text() + (why.will_reconnect ? "; connecting again" : ""));
    }
    why.will_reconnect ? watch_for_the_end() : close();
  }

  void watch_for_the_end() {
    link_.async_wait_up([this](error_code failed) {
      if (failed) close();
    });
  }

  void close() {
    if (std::exchange(closing_, true)) return;
    if (feeder_) feeder_->stop();
    if (link_.state() == channel_state::connecting || link_.state() == channel_state::waiting) link_.cut();
    link_.async_close([this](error_code, const close_report& report) { closed(report); });
  }

  void closed(const close_report& report) {
    tally_.never_sent = report.messages_unsent;
    if (tally_.connections == 0) exit_code_ = complain(with_advice(report.reason, link_));
    if (report.messages_unsent != 0) {
      exit_code_ = k_failed;
      say(counted(report.messages_unsent, "message") + " in the queue not sent");
    }
    output_.on_flushed([this] { host_.io().stop(); });
  }

  const connect_flags& flags_;
  host host_;
  output output_;
  channel link_;
  std::shared_ptr<feeder> feeder_;   // null with --echo
  std::shared_ptr<forwarder> echo_;  // null without it
  tally tally_;
  bool closing_ = false;
  int exit_code_ = k_ok;
};

int run_connect(const connect_flags& flags) {
  const auto with = options_from(flags.channels);
  return with ? conversation(flags).run(*with) : complain(with.error());
}

constexpr const char* k_examples = R"(  ferry connect tcp://localhost:5000            each line you type is a message
  printf 'ping\n' | ferry connect ipc://@echo   one question, its answers, then the end
  ferry connect ipc://@a --split 64KiB --output raw < in.bin > out.bin
  ferry connect ws://localhost:9001/chat --echo --output none   sends back what comes until the other side ends

The end of standard input (Ctrl-D) ends our direction only: answers are shown until the other side ends too. Ctrl-C ends
both. Exit status: 0 ended in order, 1 not connected, or something may be lost, 2 wrong command line.)";

}  // namespace

void add_connect(command_line app, int& exit_code) {
  const auto flags = std::make_shared<connect_flags>();
  const command_line command = app.add_command("connect", "Talk by hand: terminal to messages and back", k_examples);
  add_url(command, "URL", flags->url, "Where to connect: shm://NAME, ipc:///PATH, ipc://@NAME, tcp://HOST:PORT");
  const flag split =
      add_split(command, flags->split,
                "How standard input becomes messages: lines (default), whole,\nor so many BYTES per message");
  command.add_flag("--echo", flags->echo, "Send each message back, instead of what is typed").excludes(split);
  add_format(command, flags->format);
  command.add_flag("--stats", flags->stats, "Print a table to standard error at the end");
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] { exit_code = run_connect(*flags); });
}

}  // namespace ferry::app
