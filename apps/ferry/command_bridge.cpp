// ferry bridge: everything from one channel into another, both ways.
#include <ferry/listener.hpp>

#include <boost/asio/post.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bridged_pair.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/host.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/signals.hpp"

namespace ferry::app {
namespace {

struct bridge_flags {
  channel_flags channels;
  std::string first;
  std::string second;
  bool listen = false;
  bool stats = false;
};

class bridging {
 public:
  explicit bridging(const bridge_flags& flags) : flags_(flags), host_(flags.channels.log) {}

  int run(const options& with) {
    with_ = with;
    if (const auto begun = flags_.listen ? listen() : connect(); !begun) return complain(begun.error());
    stop_signals signals(host_.io(), [this](int) { end(); });
    host_.io().run();
    if (flags_.stats) static_cast<void>(std::fputs(tally_.table("first to second", "second to first").c_str(), stderr));
    return exit_code_;
  }

 private:
  [[nodiscard]] result<void> connect() {
    auto first = channel::open(host_.channels(), flags_.first, with_);
    if (!first) return first.error();
    return add(*first);
  }

  [[nodiscard]] result<void> listen() {
    // What is wrong with the second URL shows now, not when somebody comes.
    if (const auto tried = channel::open(host_.channels(), flags_.second, with_); !tried) return tried.error();
    auto opened = listener::open(host_.channels(), flags_.first, with_);
    if (!opened) return with_advice(opened.error());
    listener_ = *opened;
    listener_.on_channel([this](channel arrived) {
      if (const auto added = add(std::move(arrived)); !added) say(added.error().text());
    });
    say("listening on " + listener_.url());
    return {};
  }

  [[nodiscard]] result<void> add(channel first) {
    auto second = channel::open(host_.channels(), flags_.second, with_);
    if (!second) return second.error();
    const auto id = ++last_id_;
    auto pair = std::make_shared<bridged_pair>(host_.channels(), std::move(first), *second, tally_,
                                               [this, id](bool well) { over(id, well); });
    pairs_[id] = pair;
    pair->start();
    return {};
  }

  void over(std::uint64_t id, bool well) {
    if (!well && !flags_.listen) exit_code_ = k_failed;
    // Not now: it is the pair that calls.
    boost::asio::post(host_.io(), [this, id] {
      pairs_.erase(id);
      if (pairs_.empty() && (ending_ || !flags_.listen)) finish();
    });
  }

  void end() {
    ending_ = true;
    if (listener_) listener_.close();
    if (pairs_.empty()) return finish();
    for (auto& [id, pair] : pairs_) pair->close();
  }

  void finish() {
    if (listener_) {
      tally_.refused = listener_.stats().refused;
      tally_.errors += listener_.stats().errors;
    }
    host_.io().stop();
  }

  const bridge_flags& flags_;
  host host_;
  options with_;
  listener listener_;
  std::map<std::uint64_t, std::shared_ptr<bridged_pair>> pairs_;
  std::uint64_t last_id_ = 0;
  tally tally_;
  bool ending_ = false;
  int exit_code_ = k_ok;
};

constexpr const char* k_examples = R"(  ferry bridge ipc://@a tcp://host:5000              connects to both
  ferry bridge --listen 'tcp://*:5000' ipc://@a      for each that comes on port 5000, a connection to @a
  ferry bridge ipc://@a ipc://@b -o reconnect=on     goes on when one of them is lost and comes back

Each direction ends when its source ends; the bridge ends when both have (with --listen: on Ctrl-C). When one side takes
nothing, the other one is not read. Reports of delivery reach as far as the bridge: what it says on standard error tells
what it could not hand on. Exit status: 0 both ended in order, 1 one was not there or was lost, 2 wrong command line.)";

int run_bridge(const bridge_flags& flags) {
  const auto with = options_from(flags.channels);
  return with ? bridging(flags).run(*with) : complain(with.error());
}

}  // namespace

void add_bridge(command_line app, int& exit_code) {
  const auto flags = std::make_shared<bridge_flags>();
  const command_line command =
      app.add_command("bridge", "Everything from one channel into another, both ways", k_examples);
  add_url(command, "URL1", flags->first, "Where to connect, or to listen with --listen");
  add_url(command, "URL2", flags->second, "Where to connect");
  command.add_flag("--listen", flags->listen, "Listen on URL1, and connect to URL2 for each who comes");
  command.add_flag("--stats", flags->stats, "Print a table to standard error at the end");
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] { exit_code = run_bridge(*flags); });
}

}  // namespace ferry::app
