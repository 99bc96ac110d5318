// ferry replay: plays one side of a captured connection again, and compares what the other side answers.
#include <ferry/url.hpp>

#include <cmath>
#include <memory>
#include <optional>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/capture_listing.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/host.hpp"
#include "apps/ferry/raw_url.hpp"
#include "apps/ferry/replaying.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/signals.hpp"

namespace ferry::app {
namespace {

constexpr std::uint64_t k_most = std::uint64_t{4} << 30;

struct replay_flags {
  std::string file, url;
  bool list = false;
  std::uint64_t flow = 1;
  codec::flow_side as = codec::flow_side::client;
  double speed = 0;
  std::chrono::nanoseconds wait = std::chrono::seconds(10);
  bool ignore_answers = false;
  channel_flags channels;
};

// From the stream to the verdict.
class replay_run {
 public:
  replay_run(const replay_flags& flags, const codec::captured_flow& flow, const replay_rules& rules)
      : host_(flags.channels.log),
        patience_(host_.io()),
        rules_(rules),
        replay_(host_.channels(), flow, rules, [this](const replay_outcome& outcome) {
          outcome_ = outcome;
          host_.io().stop();
        }) {}
  ~replay_run() {
    if (arrivals_) arrivals_->close();
  }

  int run(const std::string& url, options with) {
    const auto schemes = host_.channels().schemes();
    const auto where = parse_url(url, with, schemes);
    if (!where) return complain(where.error());
    const auto transport = host_.channels().transport(where->scheme);
    if (!transport) return complain(error(errc::unsupported, where->scheme + ": nothing can be replayed there"));
    with_ = std::move(with);
    stop_signals signals(host_.io(), [this](int) {
      interrupted_ = true;
      host_.io().stop();
    });
    if (rules_.as == codec::flow_side::client) {
      attempt_ = transport->connect(host_.channels(), *where, with_,
                                    [this](result<std::shared_ptr<stream>> made) { begin(std::move(made)); });
      give_up_connecting();
    } else {
      auto made = transport->listen(host_.channels(), *where, with_);
      if (!made) return complain(made.error());
      arrivals_ = std::move(*made);
      say("listening on " + arrivals_->local_url());
      accept();
    }
    host_.io().run();
    return verdict();
  }

 private:
  void give_up_connecting() {
    if (with_.connect_timeout.count() == 0) return;
    patience_.expires_after(with_.connect_timeout);
    patience_.async_wait([this](const boost::system::error_code& cancelled) {
      if (cancelled || !attempt_) return;
      attempt_.reset();
      begin(error(errc::timeout, "connecting took longer than connect_timeout"));
    });
  }

  void accept() {
    arrivals_->async_wait([this] {
      auto arrived = arrivals_->try_accept();
      if (!arrived) return accept();
      arrivals_->close();
      begin(std::move(arrived));
    });
  }

  void begin(result<std::shared_ptr<stream>> made) {
    patience_.cancel();
    if (made) return replay_.start(std::move(*made));
    outcome_.emplace();
    outcome_->failed = made.error();
    host_.io().stop();
  }

  int verdict() const {
    if (interrupted_ || !outcome_) {
      say("interrupted");
      return k_failed;
    }
    if (outcome_->differs) say(to_text(*outcome_->differs));
    if (outcome_->failed) return complain(outcome_->failed->in("replay"));
    if (outcome_->differs) return k_failed;
    const std::string answers = std::to_string(outcome_->received) + " bytes of answers" +
                                (rules_.ignore_answers ? ", which were not compared" : ", the same as in the capture");
    say(std::to_string(outcome_->sent) + " bytes sent, " + answers);
    return k_ok;
  }

  host host_;
  boost::asio::steady_timer patience_;
  replay_rules rules_;
  options with_;
  replaying replay_;
  std::unique_ptr<connect_attempt> attempt_;
  std::unique_ptr<acceptor> arrivals_;
  std::optional<replay_outcome> outcome_;
  bool interrupted_ = false;
};

result<const codec::captured_flow*> chosen(const codec::capture_content& content, const replay_flags& flags) {
  if (flags.flow > content.flows.size())
    return error(errc::not_found, "there is no connection " + std::to_string(flags.flow) + " in " + flags.file +
                                      ", which has " + std::to_string(content.flows.size()) + "; see --list");
  const auto& flow = content.flows[static_cast<std::size_t>(flags.flow - 1)];
  if (flow.has_gap)
    return error(errc::corrupt, "bytes of connection " + std::to_string(flags.flow) + " are missing in " + flags.file);
  if (flow.pieces.empty())
    return error(errc::not_found, "nothing was said on connection " + std::to_string(flags.flow));
  return &flow;
}

replay_view::protocol spoken_over(const raw_url& url) {
  if (url.upgrades) return replay_view::protocol::http_then_websocket;
  return url.frames ? replay_view::protocol::websocket : replay_view::protocol::plain;
}

int replay(const replay_flags& flags) {
  const auto file = read_whole(flags.file, k_most);
  if (!file) return complain(file.error());
  const auto content = codec::read_capture(*file);
  if (!content) return complain(content.error().in(flags.file));
  if (flags.list) return print(to_text(*content));
  const auto with = options_from(flags.channels);
  if (!with) return complain(with.error());
  const auto url = raw_url_of(flags.url);
  if (!url) return complain(url.error());
  const auto flow = chosen(*content, flags);
  if (!flow) return complain(flow.error());
  replay_rules rules;
  rules.as = flags.as;
  rules.speed = flags.speed;
  rules.patience = flags.wait;
  rules.ignore_answers = flags.ignore_answers;
  rules.spoken = spoken_over(*url);
  return replay_run(flags, **flow, rules).run(url->url, *with);
}

double read_speed(const std::string& text) {
  const auto speed = parse_number(text);
  if (!speed || !std::isfinite(*speed) || *speed < 0)
    refuse_usage("--speed " + shown(text, 64) + ": must be 0, or how many times as fast as it was (0.5, 1, 10)");
  return *speed;
}

constexpr const char* k_examples =
    R"(  ferry listen tcp://localhost:5000 --echo -o capture=/tmp/talk.pcap    records what is said
  ferry replay /tmp/talk.pcap --list                                    the connections in it
  ferry replay /tmp/talk.pcap tcp://localhost:5000                      the first one's client again
  ferry replay /tmp/talk.pcap tcp://localhost:5000 --flow 3 --speed 1   the third one, as slow as it was
  ferry replay /tmp/talk.pcap 'tcp://*:5000' --as server                listens, and answers as it was answered
  wireshark /tmp/talk.pcap

The bytes go out as they were captured, below channels and messages. Before each piece, as many bytes must have come
as had come then. Of WebSockets, masks and the fields of HTTP that are other ones each time are not compared.
Exit status: 0 the answers were the same bytes; 1 they were not, or it could not be played; 2 wrong command line.)";

}  // namespace

void add_replay(command_line app, int& exit_code) {
  const auto flags = std::make_shared<replay_flags>();
  const command_line command =
      app.add_command("replay", "Play one side of a captured connection again, and compare the answers", k_examples);
  command.add_option("FILE", flags->file, "A capture: of the option capture, or a pcap file of tcpdump")
      .required()
      .type_name("");
  const flag url = command.add_option("URL", flags->url, "Where to connect, or to listen with --as server");
  url.type_name("");
  command.add_flag("--list", flags->list, "Only show the connections that are in it").excludes(url);
  add_whole(command, "--flow", flags->flow, option_unit::count, 1, "Which connection (default 1)").type_name("N");
  add_choice<codec::flow_side>(command, "--as", flags->as,
                               {{"client", codec::flow_side::client}, {"server", codec::flow_side::server}},
                               "Which side to play: client (default) or server")
      .type_name("SIDE");
  command
      .add_option(
          "--speed", [flags](const std::string& text) { flags->speed = read_speed(text); },
          "0 as fast as the answers come (default), 1 as it was, 10 ten times as fast")
      .type_name("X");
  add_duration(command, "--wait", flags->wait, "How long to wait for the next bytes (default 10s)");
  command.add_flag("--ignore-answers", flags->ignore_answers, "Only send; neither wait for answers nor compare them");
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] {
    if (!flags->list && flags->url.empty()) refuse_usage("a URL is needed, or --list");
    exit_code = replay(*flags);
  });
}

}  // namespace ferry::app
