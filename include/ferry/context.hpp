#pragma once
/// What all channels of one io_context share: buffers, log, metrics, transports.

#include <ferry/buffer_pool.hpp>
#include <ferry/log.hpp>
#include <ferry/metrics.hpp>
#include <ferry/stream.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {
namespace detail {
class residents;
class session_book;
}  // namespace detail
namespace net {
class capture_files;
}

struct context_options {
  buffer_pool_options buffers;
  log_sink* log = nullptr;  ///< not owned; may be called from the io_context's thread only
  log_level level = log_level::info;
  /// Where name look-ups, which may block, run. None: in place, on the thread that connects.
  boost::asio::any_io_executor blocking_executor;
};

/// Counters of all channels and listeners of a context, also in its metrics under "ferry_...".
struct context_totals {
  counter connections_accepted, connections_refused, connections_made, connect_failures, accept_errors;
  counter messages_received, bytes_sent, bytes_received, writes, reads;
  counter protocol_errors, messages_maybe_lost, messages_poisoned;
  counter tls_handshakes, tls_resumed, tls_handshake_failures, tls_reloads, tls_reload_failures;
  histogram tls_handshake_nanoseconds;
  counter ws_handshakes, ws_handshake_failures;
  counter capture_bytes, captures_cut_short;
  gauge channels_open;
};

/// Thread safety: one thread turns the io_context and uses everything made with the context, except where a member
/// says otherwise. Must outlive what is made with it; the io_context must outlive the context.
class context {
 public:
  explicit context(boost::asio::io_context& io, const context_options& with = {});
  /// With a pool of the caller's, of whatever kind, which others may use too; `with.buffers` says nothing then.
  context(boost::asio::io_context& io, std::shared_ptr<buffer_pool> buffers, const context_options& with = {});
  /// A context for another io_context (another thread) that shares buffers, transports, inproc names and the
  /// sessions of accepted ends with `other`: a peer may come back at either's listener.
  context(boost::asio::io_context& io, const context& other);
  /// Lets go of what is still under way; its handlers are not called.
  ~context();
  context(const context&) = delete;
  context& operator=(const context&) = delete;

  [[nodiscard]] boost::asio::io_context& io() const noexcept { return io_; }
  [[nodiscard]] buffer_pool& buffers() const noexcept { return *buffers_; }
  /// The same pool, for what may outlive the context.
  [[nodiscard]] const std::shared_ptr<buffer_pool>& shared_buffers() const noexcept { return buffers_; }
  [[nodiscard]] metrics_registry& metrics() noexcept { return registry_; }
  [[nodiscard]] context_totals& totals() noexcept { return *totals_; }
  [[nodiscard]] const boost::asio::any_io_executor& blocking_executor() const noexcept { return blocking_executor_; }
  [[nodiscard]] const std::shared_ptr<detail::residents>& residents() const noexcept { return residents_; }

  /// The sessions of accepted ends that are open in this context and those that share its transports.
  [[nodiscard]] const std::shared_ptr<detail::session_book>& sessions() const noexcept;
  /// The capture files of this context and those that share its transports.
  [[nodiscard]] const std::shared_ptr<net::capture_files>& captures() const noexcept;

  /// Adds or replaces a transport. Everything above (channels, listeners, the program) then takes its URLs, and the
  /// option `capture` shows what its streams carry.
  /// Before the context is shared or used.
  void register_transport(std::string scheme, std::shared_ptr<stream_transport> transport);
  /// Null if there is none; shm has none, for no stream carries it.
  [[nodiscard]] std::shared_ptr<stream_transport> transport(std::string_view scheme) const;
  /// Whether messages of this scheme stay in this process.
  [[nodiscard]] bool is_local(std::string_view scheme) const;
  /// The schemes that URLs may have, sorted: the registered ones, and shm.
  [[nodiscard]] std::vector<std::string> schemes() const;

  /// Writes to the log sink if there is one and `level` is wanted; `text` is called only then and returns a string.
  template <class Text>
  void log(log_level level, std::string_view component, const Text& text) {
    if (log_ != nullptr && level <= level_) log_->write(level, component, text());
  }

 private:
  struct shared_parts;
  boost::asio::io_context& io_;
  std::shared_ptr<shared_parts> shared_;
  std::shared_ptr<buffer_pool> buffers_;
  log_sink* log_;
  log_level level_;
  boost::asio::any_io_executor blocking_executor_;
  void list_totals();

  metrics_registry registry_;
  std::shared_ptr<context_totals> totals_ = std::make_shared<context_totals>();
  std::vector<metric_registration> listed_;
  std::shared_ptr<detail::residents> residents_;
};

}  // namespace ferry
