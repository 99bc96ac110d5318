// ferry listen: many channels arrive, their messages go to standard output.
#include <ferry/listener.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>

#include "apps/ferry/app.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/forwarder.hpp"
#include "apps/ferry/host.hpp"
#include "apps/ferry/listen_append.hpp"
#include "apps/ferry/message_flags.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/signals.hpp"
#include "apps/ferry/tally.hpp"

namespace ferry::app {
namespace {

struct listen_flags {
  channel_flags channels;
  std::string url;
  message_format format = message_format::lines;
  std::string append;
  bool echo = false;
  bool stats = false;
  std::uint64_t count = 0;  // 0: no end
};

// How long those who have sent the last message wanted may take to end by themselves. Who is ended first cannot know
// that everything it sent was read.
constexpr auto k_grace = std::chrono::milliseconds(250);

// What a peer said of itself when it logged in; tcpshm's programs fill that up with zeros.
std::string said_by(const peer_info& who) {
  return shown(std::string_view(who.login_data).substr(0, who.login_data.find_last_not_of('\0') + 1), 64);
}

/// open --the count is reached--> counted --the grace is over--> ending --all channels gone--> flushing --> over
/// open --signal--> ending        any --standard output fails--> flushing
class listening {
 public:
  explicit listening(const listen_flags& flags)
      : flags_(flags), host_(flags.channels.log), output_(host_.io()), grace_(host_.io()) {}

  int run(const options& with) {
    auto opened = listener::open(host_.channels(), flags_.url, with);
    if (!opened) return complain(with_advice(opened.error()));
    listener_ = *opened;
    listener_.on_channel([this](channel arrived) { welcome(std::move(arrived)); });
    output_.on_room([this] { go_on_reading(); });
    output_.on_error([this](const error& why) { output_failed(why); });
    stop_signals signals(host_.io(), [this](int) { end(); });
    say("listening on " + listener_.url());
    host_.io().run();
    if (flags_.stats) static_cast<void>(std::fputs(tally_.table().c_str(), stderr));
    return exit_code_;
  }

 private:
  enum class state { open, counted, ending, flushing };
  struct peer {
    channel link;
    std::string address;
    std::string said;                 // of itself, in its login
    std::shared_ptr<forwarder> echo;  // null without --echo
    [[nodiscard]] std::string name() const { return said.empty() ? address : address + " ('" + said + "')"; }
    void pause_or_resume(bool stop) { stop || (echo && echo->blocked()) ? link.pause() : link.resume(); }
  };

  void welcome(channel arrived) {
    const auto id = ++last_id_;
    peer& fresh = peers_[id];
    fresh.link = arrived;
    tally_.connections += 1;
    if (flags_.echo) {
      fresh.echo = std::make_shared<forwarder>(arrived, host_.channels().buffers(), [this, id] {
        if (const auto at = peers_.find(id); at != peers_.end()) at->second.pause_or_resume(output_.full());
      });
    }
    if (output_.full()) arrived.pause();
    arrived.on_up([this, id](const peer_info& who) {
      peer& here = peers_[id];
      here.address = who.text();
      here.said = said_by(who);
      host_.channels().log(log_level::info, "listen", [&] { return "connection from " + here.name(); });
    });
    arrived.on_message([this, &fresh](const message_view& m) { take(fresh, m); });
    arrived.on_down([this, id](const down_info& why) { gone(id, why); });
  }

  void take(peer& from, const message_view& m) {
    if (flags_.count != 0 && tally_.messages_received == flags_.count) return refuse(from);
    tally_.messages_received += 1;
    tally_.bytes_received += m.payload.size();
    write_message(output_, flags_.format, m, tally_.messages_received, from.address, from.said);
    if (output_.full()) {
      for (auto& [id, one] : peers_) one.link.pause();
    }
    if (from.echo) echo(from, m);
    if (tally_.messages_received == flags_.count) count_reached();
  }

  void refuse(peer& from) {
    say("more came from " + from.name() + " than --count " + std::to_string(flags_.count) + "; it is not taken");
    from.link.cut();
  }

  void echo(peer& to, const message_view& m) {
    const auto sent = to.echo->forward(m);
    if (!sent) {
      say("cannot echo to " + to.name() + ": " + sent.error().text());
      return to.link.cut();
    }
    tally_.messages_sent += 1;
    tally_.bytes_sent += m.payload.size();
    if (to.echo->blocked()) to.link.pause();
  }

  void go_on_reading() {
    for (auto& [id, one] : peers_) one.pause_or_resume(false);
  }

  void gone(std::uint64_t id, const down_info& why) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;
    const peer& who = found->second;
    tally_.add(why);
    tally_.never_sent += who.link.stats().send_queue_messages;
    if (!in_order(why.reason)) say("connection from " + who.name() + " ended: " + why.reason.text());
    // Not now: it is this channel's handler that runs. And not if it is up again: the peer of a session may be back.
    boost::asio::post(host_.io(), [this, id] {
      const auto at = peers_.find(id);
      if (at == peers_.end() || at->second.link.state() == channel_state::up) return;
      peers_.erase(at);
      if (state_ == state::ending || (state_ == state::counted && peers_.empty())) end();
    });
  }

  void count_reached() {
    if (state_ != state::open) return;
    state_ = state::counted;
    listener_.close();
    grace_.expires_after(k_grace);
    grace_.async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled) end();
    });
  }

  void end() {
    grace_.cancel();
    if (state_ == state::open || state_ == state::counted) {
      state_ = state::ending;
      listener_.close();
      for (auto& [id, one] : peers_) {
        one.link.async_close([](error_code, const close_report&) {});
      }
    }
    if (state_ != state::ending || !peers_.empty()) return;
    state_ = state::flushing;
    output_.on_flushed([this] { finish(); });
  }

  void output_failed(const error& why) {
    exit_code_ = complain(why);
    state_ = state::flushing;
    listener_.close();
    for (auto& [id, one] : peers_) one.link.cut();
    finish();
  }

  void finish() {
    const auto accepted = listener_.stats();
    tally_.refused = accepted.refused;
    tally_.errors += accepted.errors;
    host_.io().stop();
  }

  const listen_flags& flags_;
  host host_;
  output output_;
  boost::asio::steady_timer grace_;
  listener listener_;
  std::map<std::uint64_t, peer> peers_;  // stays in place while others come and go
  std::uint64_t last_id_ = 0;
  state state_ = state::open;
  tally tally_;
  int exit_code_ = k_ok;
};

int run_listen(const listen_flags& flags) {
  const auto with = options_from(flags.channels);
  if (!with) return complain(with.error());
  if (flags.append.empty()) return listening(flags).run(*with);
  if (flags.format != message_format::lines)
    return complain({errc::bad_option, "--append writes --output lines, and nothing else"});
  return listen_and_append({flags.url, flags.append, flags.channels.log, flags.stats}, *with);
}

constexpr const char* k_examples = R"(  ferry listen ipc://@news
  ferry listen 'tcp://*:5000' > received.txt
  ferry listen tcp://localhost:0 --echo --stats     any free port, which is printed
  ferry listen ipc:///run/a.sock --count 1 --output raw > picture.png
  ferry listen ipc://@news --output json | jq .size
  ferry listen 'tcp://*:5000?session=persistent&as=archive&dir=/var/lib/copy' --append access.log

With --append FILE ends up as the file of 'ferry send --continue', whichever side is killed and started again.
Ends on Ctrl-C: what has been sent to it until then is still written. A second Ctrl-C ends it at once.
Exit status: 0 ended as asked, 1 an error (the address cannot be used, standard output fails), 2 wrong command line.)";

}  // namespace

void add_listen(command_line app, int& exit_code) {
  const auto flags = std::make_shared<listen_flags>();
  const command_line command =
      app.add_command("listen", "Take messages from whoever connects, and write them out", k_examples);
  add_url(command, "URL", flags->url,
          "Where to listen: shm://NAME, ipc:///PATH, ipc://@NAME, tcp://HOST:PORT (port 0: any)");
  const flag echo = command.add_flag("--echo", flags->echo, "Send each message back");
  const flag count = add_whole(command, "--count", flags->count, option_unit::count, 1, "End after N messages");
  count.type_name("N");
  add_format(command, flags->format);
  command
      .add_option("--append", flags->append,
                  "Write the messages of one persistent session into FILE, each exactly once,\n"
                  "whoever dies in between; goes on where it was")
      .type_name("FILE")
      .excludes(echo)
      .excludes(count);
  command.add_flag("--stats", flags->stats, "Print a table to standard error at the end");
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] { exit_code = run_listen(*flags); });
}

}  // namespace ferry::app
