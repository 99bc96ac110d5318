#include <ferry/compat/uds.hpp>
#include <ferry/listener.hpp>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <unordered_map>
#include <vector>

#include "base/time.hpp"
#include "compat/home.hpp"
#include "compat/uds_path.hpp"

namespace ferry {
namespace {

constexpr std::uint32_t k_most_accept_errors = 63;

options channel_options(const uds_reader_options& with) {
  options all = with.others;
  all.framing = framing_kind::varint;
  all.max_message = with.max_message;
  all.deliver_empty = with.deliver_empty;
  all.read_idle_timeout = with.inactivity_timeout;
  all.batch_bytes = with.read_buffer;
  all.socket_receive_buffer = with.read_buffer;
  return all;
}

result<void> make_directory_of(const std::string& path) {
  const auto directory = std::filesystem::path(path).parent_path();
  if (path.starts_with('@') || directory.empty()) return {};
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed) return error::from_errno(failed.value(), "make the directory " + directory.string());
  return {};
}

time_point after(options::duration within) {
  const auto now = std::chrono::steady_clock::now();
  return within < time_point::max() - now ? now + std::max(within, options::duration::zero()) : time_point::max();
}

}  // namespace

/// A listener and the channels that arrive there, with the counts and the words that uds-ipc's users know.
/// made --start--> listening --stop--> stopping --last connection gone--> stopped      made --stop--> stopped
struct uds_reader::parts : std::enable_shared_from_this<parts> {
  enum class state : std::uint8_t { made, listening, stopping, stopped };

  parts(compat::home at_, handler handle_, const std::string& path_, uds_reader_options with_)
      : at(at_),
        handle(std::move(handle_)),
        with(std::move(with_)),
        path(with.manager ? with.manager->socket_path(path_) : path_),
        where(compat::uds_endpoint(path)),
        deadline(at.where().io()) {
    if (!handle) throw failure(errc::misuse, 0, "uds_reader needs a handler");
    compat::require(with.max_accept_errors >= 1 && with.max_accept_errors <= k_most_accept_errors,
                    "max_accept_errors is " + std::to_string(with.max_accept_errors) + ": must be 1 .. " +
                        std::to_string(k_most_accept_errors));
    compat::require(channel_options(with));
  }

  // Starting
  // -----------------------------------------------------------------------------------------------------------

  result<void> start() {
    if (now == state::listening) return {};
    if (now != state::made) return errc::closed;
    auto made = listen();
    if (!made) return made.error();
    arrivals = std::move(*made);
    arrivals.on_error([this](const error& why) { accept_failed(why); });
    arrivals.on_channel([this](channel arrived) { welcome(std::move(arrived)); });
    now = state::listening;
    if (with.manager) with.manager->ready();
    return {};
  }

  result<listener> listen() {
    const auto all = channel_options(with);
    if (with.manager) {
      auto given = with.manager->take_listener(at.where(), all);
      if (!given) return given.error();
      if (*given) return listener::on(at.where(), std::move(*given), all);
    }
    if (const auto directory = make_directory_of(path); !directory) return directory.error();
    return listener::open(at.where(), where, all);
  }

  void accept_failed(const error& why) {
    const auto failed = arrivals.stats().errors;
    const bool refused = std::exchange(counts.accept_errors, failed) == failed;
    report(why, "accept");
    if (refused || ++failed_in_a_row <= with.max_accept_errors) return;
    arrivals.close();
    report(why.in(path + ": accepting ends after " + std::to_string(failed_in_a_row) +
                  " failures in a row, max_accept_errors is " + std::to_string(with.max_accept_errors)),
           "accept");
  }

  // Receiving
  // ----------------------------------------------------------------------------------------------------------

  void welcome(channel arrived) {
    counts.connections_accepted += 1;
    failed_in_a_row = 0;
    const std::uint64_t id = counts.connections_accepted;
    arrived.on_message([this](const message_view& m) { take(m); });
    arrived.on_down([self = weak_from_this(), id](const down_info& info) {
      if (const auto me = self.lock()) me->gone(id, info);
    });
    open.emplace(id, std::move(arrived));
  }

  void take(const message_view& m) {
    if (const auto outcome = handle(m.payload)) {
      counts.received += 1;
    } else {
      failed(outcome.error(), "handler");
    }
    // A slow handler must not outlast the deadline by the rest of the batch.
    const auto until = cut_at.load(std::memory_order_relaxed);
    if (until != time_point::max() && until <= std::chrono::steady_clock::now()) cut_all();
  }

  void gone(std::uint64_t id, const down_info& info) {
    const auto keep = shared_from_this();
    open.erase(id);
    const bool stopping = cut_at.load(std::memory_order_relaxed) != time_point::max();
    if (stopping) ended.bytes_unread += info.bytes_unread;
    const bool in_order =
        info.reason == errc::end_of_stream || info.reason == errc::idle || info.reason == errc::closed;
    // We ended that message ourselves, and its writer still has it.
    const bool unfinished = stopping && info.reason == errc::truncated;
    if (!in_order && !unfinished) failed(info.reason, "read");
    if (now == state::stopping && open.empty()) stopped();
  }

  void failed(const error& why, std::string_view what) {
    counts.errors += 1;
    report(why, what);
  }

  void report(const error& why, std::string_view what) const {
    if (with.on_error) with.on_error(why, what);
  }

  // Stopping
  // -----------------------------------------------------------------------------------------------------------

  void stop(options::duration within, stop_completion done) {
    if (now == state::stopped) return done(ended);
    waiting.push_back(std::move(done));
    if (now == state::stopping) return;
    if (with.manager) with.manager->stopping();
    const bool listened = std::exchange(now, state::stopping) == state::listening;
    if (cut_at.load() == time_point::max()) cut_at.store(after(within));
    if (listened) arrivals.drain();
    for (auto& [id, one] : open) (void)one.end_receiving();  // where the stream cannot, the deadline ends it
    if (open.empty()) return stopped();
    if (within <= options::duration::zero()) return cut_all();
    deadline.expires_at(cut_at.load());
    deadline.async_wait([self = weak_from_this()](const boost::system::error_code& moved) {
      if (const auto me = self.lock(); me && !moved) me->cut_all();
    });
  }

  void cut_all() {
    if (ended.connections_cut == 0 && !open.empty()) {
      ended.reason = error(errc::timeout, path + ": the deadline came before all that had been received was handled");
      ended.connections_cut = open.size();
    }
    for (auto& [id, one] : open) one.cut();
  }

  void stopped() {
    now = state::stopped;
    deadline.cancel();
    for (auto& one : waiting) one(ended);
    waiting.clear();
  }

  void abandon() {
    if (arrivals) arrivals.close();
    for (auto& [id, one] : open) one.cut();
    open.clear();
  }

  compat::home at;
  const handler handle;
  const uds_reader_options with;
  const std::string path;
  const endpoint where;
  state now = state::made;
  listener arrivals;
  std::unordered_map<std::uint64_t, channel> open;
  std::uint32_t failed_in_a_row = 0;
  uds_reader_metrics counts;
  /// When connections are cut; time_point::max(): not stopping. Set by whoever asks, so that a busy loop sees it too.
  std::atomic<time_point> cut_at{time_point::max()};
  boost::asio::steady_timer deadline;
  std::vector<stop_completion> waiting;
  uds_reader_report ended;
};

uds_reader::uds_reader(runner& on, handler handle, const std::string& path, uds_reader_options with)
    : parts_(std::make_shared<parts>(compat::home(on), std::move(handle), path, std::move(with))) {}

uds_reader::uds_reader(context& in, handler handle, const std::string& path, uds_reader_options with)
    : parts_(std::make_shared<parts>(compat::home(in), std::move(handle), path, std::move(with))) {}

uds_reader::~uds_reader() {
  const auto at = parts_->at;
  at.run([this] {
    parts_->abandon();
    parts_.reset();
  });
}

result<void> uds_reader::start() {
  return parts_->at.run([this] { return parts_->start(); });
}

uds_reader_report uds_reader::stop(options::duration within) {
  parts_->at.refuse_inside("uds_reader::stop");
  auto none = time_point::max();
  parts_->cut_at.compare_exchange_strong(none, after(within));
  return parts_->at.wait<uds_reader_report>([&](auto done) { async_stop(within, std::move(done)); });
}

uds_reader_metrics uds_reader::metrics() const {
  return parts_->at.run([this] {
    uds_reader_metrics all = parts_->counts;
    all.open = parts_->open.size();
    return all;
  });
}

const std::string& uds_reader::path() const noexcept { return parts_->path; }

boost::asio::io_context::executor_type uds_reader::executor() const { return parts_->at.where().io().get_executor(); }

void uds_reader::begin_stop(options::duration within, stop_completion done) { parts_->stop(within, std::move(done)); }

}  // namespace ferry
