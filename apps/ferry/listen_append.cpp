#include "apps/ferry/listen_append.hpp"

#include <ferry/listener.hpp>
#include <ferry/session.hpp>
#include <ferry/url.hpp>

#include <boost/asio/post.hpp>
#include <cstdio>
#include <optional>
#include <vector>

#include "apps/ferry/app.hpp"
#include "apps/ferry/append_file.hpp"
#include "apps/ferry/host.hpp"
#include "apps/ferry/signals.hpp"
#include "apps/ferry/tally.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_bytes_per_transaction = 1u << 20;

/// waiting --a message is here--> one transaction: take what is here, write it, commit --> waiting
/// any --Ctrl-C, an error--> ended
class appending {
 public:
  appending(const append_flags& flags, append_file file, bool to_disk)
      : flags_(flags), host_(flags.log), file_(std::move(file)), to_disk_(to_disk) {}

  int run(const options& with) {
    auto opened = listener::open(host_.channels(), flags_.url, with);
    if (!opened) {
      file_.forget();
      return complain(with_advice(opened.error()));
    }
    listener_ = *opened;
    listener_.on_channel([this](channel arrived) { welcome(std::move(arrived)); });
    stop_signals signals(host_.io(), [this](int) { end(); });
    say("listening on " + listener_.url());
    host_.io().run();
    if (flags_.stats) static_cast<void>(std::fputs(tally_.table().c_str(), stderr));
    return exit_code_;
  }

 private:
  void welcome(channel arrived) {
    auto session = persistent_session::of(arrived);
    if (!session) return fail(session.error());
    const std::string who = session->info().peer_name;
    if (link_) {
      say("refused '" + who + "': '" + peer_ + "' is connected, and --append takes one sender; another one needs a " +
          "listener, a FILE and a name (as) of its own");
      return arrived.cut();
    }
    link_ = std::move(arrived);
    session_ = std::move(*session);
    peer_ = who;
    link_.on_up([this](const peer_info&) { tally_.connections += 1; });
    link_.on_down([this](const down_info& why) { down(why); });
    if (const auto ready = resume(); !ready) return fail(ready.error());
    wait();
  }

  // What is not there yet is a state too: whoever dies after the first write must know that it may be cut off.
  [[nodiscard]] result<void> resume() {
    const auto kept = decode_position(session_->state(), position_of::receiver);
    if (!kept) return kept.error();
    if (const auto ready = file_.resume(*kept, session_->info().session); !ready) return ready.error();
    return session_->set_state(encode(file_.position()));
  }

  void wait() {
    session_->async_wait_message([this](error_code failed) {
      if (!failed && link_) take();
    });
  }

  void take() {
    auto step = session_->begin();
    if (!step) return fail(step.error());
    const auto taken = fill(*step);
    if (taken == 0) {
      step->abort();
      return wait();
    }
    if (const auto done = write_down(*step); !done) {
      step->abort();
      file_.roll_back();
      // The connection was lost, and what came over it comes again.
      if (done.error() != errc::reset) return fail(done.error());
    } else {
      tally_.messages_received += taken;
      tally_.bytes_received += payload_bytes_;
    }
    wait();
  }

  /// @return messages that the transaction has consumed
  [[nodiscard]] std::uint64_t fill(transaction& step) {
    block_.clear();
    payload_bytes_ = 0;
    std::uint64_t messages = 0;
    while (block_.size() < k_bytes_per_transaction) {
      // Nothing is here, or what is wrong ends the connection by itself; what came before it counts.
      const auto m = step.receive();
      if (!m) break;
      block_.insert(block_.end(), m->payload.begin(), m->payload.end());
      if (m->kind == message_kind::text) block_.push_back(std::byte{'\n'});
      payload_bytes_ += m->payload.size();
      messages += 1;
    }
    return messages;
  }

  [[nodiscard]] result<void> write_down(transaction& step) {
    if (auto written = file_.write(block_); !written) return written;
    if (to_disk_)
      if (auto synced = file_.sync(); !synced) return synced;
    const auto position = file_.written();
    if (!position) return position.error();
    if (auto kept = step.set_state(encode(*position)); !kept) return kept;
    if (auto committed = step.commit(); !committed) return committed;
    file_.committed(*position);
    return {};
  }

  void down(const down_info& why) {
    tally_.add(why);
    if (!in_order(why.reason)) say("connection from '" + peer_ + "' ended: " + why.reason.text());
    if (why.will_reconnect) return;
    // Not now: it is this channel's handler that runs.
    boost::asio::post(host_.io(), [this] {
      session_.reset();
      link_ = {};
      if (ending_) host_.io().stop();
    });
  }

  // What was not committed stays with the sender.
  void fail(const error& why) {
    exit_code_ = complain(why);
    ending_ = true;
    listener_.close();
    if (link_) link_.cut();
    boost::asio::post(host_.io(), [this] { host_.io().stop(); });
  }

  void end() {
    if (std::exchange(ending_, true)) return;
    listener_.close();
    if (!link_) return host_.io().stop();
    link_.async_close([this](error_code, const close_report&) { host_.io().stop(); });
  }

  const append_flags& flags_;
  host host_;
  append_file file_;
  const bool to_disk_;
  listener listener_;
  channel link_;  // of the one sender, while it has a session with us
  std::optional<persistent_session> session_;
  std::string peer_;
  std::vector<std::byte> block_;
  std::uint64_t payload_bytes_ = 0;  // of the open transaction
  bool ending_ = false;
  tally tally_;
  int exit_code_ = k_ok;
};

}  // namespace

int listen_and_append(const append_flags& flags, const options& with) {
  options all = with;
  all.max_sessions = 1;  // whoever comes with another name is refused at the door
  options seen = all;
  boost::asio::io_context io;
  if (const auto parsed = parse_url(flags.url, seen, context(io).schemes()); !parsed) return complain(parsed.error());
  if (seen.session != session_kind::persistent)
    return complain({errc::bad_option,
                     "--append needs a session, whose state is how far FILE has got; write 'URL?session=persistent"
                     "&as=NAME&dir=DIR' on both sides"});
  auto file = append_file::open(flags.file);
  if (!file && file.error() != errc::busy)
    return complain({errc::bad_option, "--append: " + file.error().text(), file.error().system_errno()});
  if (!file) return complain(file.error());
  return appending(flags, std::move(*file), seen.durable == durable_kind::disk).run(all);
}

}  // namespace ferry::app
