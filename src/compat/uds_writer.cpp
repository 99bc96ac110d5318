#include <ferry/channel.hpp>
#include <ferry/compat/uds.hpp>

#include <vector>

#include "compat/home.hpp"
#include "compat/uds_path.hpp"

namespace ferry {
namespace {

options channel_options(const uds_writer_options& with) {
  options all;
  all.framing = framing_kind::varint;
  all.senders = senders_kind::many;
  all.max_message = with.max_message;
  all.send_queue_messages = with.queue_messages;
  all.send_queue_bytes = with.queue_bytes;
  all.write_timeout = with.write_timeout;
  all.connect_timeout = with.dial_timeout;
  all.reconnect = true;
  all.reconnect_base = with.reconnect_delay;
  all.reconnect_factor = 2;
  all.reconnect_jitter = 0;
  all.reconnect_max = with.reconnect_max;
  all.max_send_attempts = with.max_send_attempts;
  all.socket_send_buffer = with.write_buffer;
  return all;
}

}  // namespace

/// A channel that reconnects and takes messages from any thread, with the counts and the words that uds-ipc's users
/// know. made --start--> running --stop--> stopping --channel closed--> stopped      made --stop--> stopping
struct uds_writer::parts : std::enable_shared_from_this<parts> {
  enum class state : std::uint8_t { made, running, stopping, stopped };

  parts(compat::home at_, const std::string& path_, uds_writer_options with_)
      : at(at_), path(path_), with(std::move(with_)) {}

  void make_link() {
    const auto to = compat::uds_endpoint(path);
    compat::require(with.queue_messages != 0, "queue_messages is 0: must be at least 1");
    const auto all = channel_options(with);
    compat::require(all);
    link = channel::prepare(at.where(), to, all).value();
    const auto self = weak_from_this();
    link.on_connect_failure([self](const error& why) {
      if (const auto me = self.lock()) me->report(why, "dial");
    });
    link.on_down([self](const down_info& info) {
      if (const auto me = self.lock()) me->lost(info);
    });
    link.on_poisoned([self](bytes frame) {
      if (const auto me = self.lock()) me->gave_up(frame);
    });
  }

  void start() {
    if (now != state::made) return;
    now = state::running;
    link.connect();
  }

  void lost(const down_info& info) {
    const auto failed = link.stats().failed_sends;
    const bool while_writing = std::exchange(failures_seen, failed) != failed;
    if (info.reason == errc::closed) return;
    // A reader that closes a connection on which nothing was said has done nothing wrong.
    if (info.reason == errc::end_of_stream && !while_writing && info.messages_maybe_lost == 0) return;
    const auto bound = std::to_string(info.messages_maybe_lost) + " messages that were sent may not have been read";
    report(info.reason.in(path + ": " + bound), while_writing ? "write" : "connection");
  }

  void gave_up(bytes frame) {
    dropped.add_shared();
    report(error(errc::poisoned, path + ": a message was cut off " + std::to_string(with.max_send_attempts) +
                                     " times (max_send_attempts) and is dropped; with its prefix it has " +
                                     std::to_string(frame.size()) + " bytes"),
           "write");
  }

  void report(const error& why, std::string_view where) const {
    if (with.on_error) with.on_error(why, where);
  }

  void stop(options::duration within, stop_completion done) {
    if (now == state::stopped) return done(ended);
    waiting.push_back(std::move(done));
    if (now == state::stopping) return;
    const bool at_once = now == state::made || within <= options::duration::zero();
    now = state::stopping;
    link.async_close(std::max(within, options::duration(1)),
                     [self = weak_from_this()](error_code, const close_report& all) {
                       if (const auto me = self.lock()) me->stopped(all);
                     });
    if (at_once) link.cut();
  }

  void stopped(const close_report& all) {
    now = state::stopped;
    dropped.add_shared(all.messages_unsent);
    ended = {all.reason, all.messages_unsent, all.messages_maybe_lost};
    for (auto& one : waiting) one(ended);
    waiting.clear();
  }

  compat::home at;
  const std::string path;
  const uds_writer_options with;
  channel link;
  state now = state::made;
  std::uint64_t failures_seen = 0;
  counter dropped;
  std::vector<stop_completion> waiting;
  uds_writer_report ended;
};

uds_writer::uds_writer(runner& on, const std::string& path, uds_writer_options with)
    : parts_(std::make_shared<parts>(compat::home(on), path, std::move(with))) {
  parts_->at.run([this] { parts_->make_link(); });
}

uds_writer::uds_writer(context& in, const std::string& path, uds_writer_options with)
    : parts_(std::make_shared<parts>(compat::home(in), path, std::move(with))) {
  parts_->make_link();
}

uds_writer::~uds_writer() {
  const auto at = parts_->at;
  at.run([this] {
    parts_->link.cut();
    parts_.reset();
  });
}

void uds_writer::start() {
  parts_->at.run([this] { parts_->start(); });
}

result<void> uds_writer::write_message(bytes message) {
  auto queued = message.empty() ? result<void>() : parts_->link.try_send(message);
  if (!queued && (queued.error() == errc::full || queued.error() == errc::no_memory)) parts_->dropped.add_shared();
  return queued;
}

uds_writer_report uds_writer::stop(options::duration within) {
  parts_->at.refuse_inside("uds_writer::stop");
  return parts_->at.wait<uds_writer_report>([&](auto done) { async_stop(within, std::move(done)); });
}

uds_writer_metrics uds_writer::metrics() const {
  const auto stats = parts_->at.run([this] { return parts_->link.stats(); });
  return {stats.messages_sent, parts_->dropped.value(), stats.failed_sends, stats.send_queue_messages,
          stats.messages_maybe_lost};
}

const std::string& uds_writer::path() const noexcept { return parts_->path; }

boost::asio::io_context::executor_type uds_writer::executor() const { return parts_->at.where().io().get_executor(); }

void uds_writer::begin_stop(options::duration within, stop_completion done) { parts_->stop(within, std::move(done)); }

}  // namespace ferry
