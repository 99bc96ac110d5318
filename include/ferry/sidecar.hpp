#pragma once
/// A service that reaches other services of its host, and is reached by them, through a sidecar. Source:
/// docs/sidecar.md.

#include <ferry/context.hpp>
#include <ferry/detail/completion.hpp>
#include <ferry/error.hpp>
#include <ferry/options.hpp>
#include <ferry/service_message.hpp>

#include <boost/asio/async_result.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ferry {

/// What carries the messages between a service and its sidecar.
enum class service_rings : std::uint8_t {
  compatible,  ///< those of the original, which both look at again and again
  native,      ///< with a doorbell: whoever has nothing to do sleeps until the other one rings
};

struct service_options {
  using duration = options::duration;

  std::uint32_t number = 0;         ///< of the service: what those ask for who take any of its entities
  std::uint32_t entity = 0;         ///< which of them this is
  std::vector<std::string> tags{};  ///< "area3" says that it is in zone 3
  std::uint64_t set_version = 0;
  bool stateful = false;
  bool wants_main = false;
  bool wants_backup = false;
  std::int32_t static_weight = 0;
  std::int32_t dynamic_weight = 0;
  /// Of this build or start. Of two instances the pipe with its own number is taken again; 0: one made of the time.
  std::uint64_t version = 0;
  std::uint32_t unique_id = 0;  ///< what the sidecar knows this instance by; 0: one made of the version

  std::string directory;  ///< of the sidecar for this service
  std::string socket_name = "sidecar.sock";
  std::string receive_name = "recv.shm";  ///< of the ring that is read; pipe 1 and further ones: with the number behind
  std::string send_name = "send.shm";     ///< of the ring that is written
  std::string lock_name = "client.lock";  ///< every pipe: with the number behind
  std::uint32_t pipes = 1;                ///< 1 .. 1024
  service_rings rings = service_rings::native;  ///< what it asks for; where the sidecar has none: compatible ones

  duration ring_wait = std::chrono::seconds(5);             ///< for the sidecar to make the rings
  duration retry_interval = std::chrono::seconds(1);        ///< from one attempt to register to the next
  duration register_timeout = std::chrono::seconds(3);      ///< of one attempt
  duration heartbeat_timeout = std::chrono::seconds(15);    ///< the sidecar's; a heartbeat every third of it,
  duration min_heartbeat = std::chrono::milliseconds(500);  ///< but not more often than this
  duration answer_timeout = std::chrono::seconds(3);        ///< of a change of the route
  std::chrono::milliseconds message_validity = std::chrono::seconds(6);  ///< older ones are skipped; 0: none is
  duration poll_interval = std::chrono::milliseconds(2);  ///< how often an idle compatible ring is looked at
  std::uint32_t batch = 64;                               ///< messages in one turn of the event loop; 1 at least
};

/// none --start, the rings are there--> inited --> connecting --> registered --the sidecar is lost--> connecting
/// any --leave, unregister--> migrating: the control socket is closed on purpose, the rings are used on
/// any --stop, the pipe is lost--> stopped
enum class service_state : std::uint8_t { none, inited, connecting, registered, migrating, stopped };
[[nodiscard]] const char* to_string(service_state state) noexcept;

enum class service_condition : std::uint8_t { healthy, graceful_exit, fast_exit };

/// What the sidecar answered to a registration.
struct service_registration {
  bool is_main = false;
  bool must_migrate = false;  ///< another instance of the entity is there
  std::int64_t version = 0;
};

/// Of a ring since it was asked last; 0 .. 100.
struct service_usage {
  std::uint32_t receive_percent = 0;
  std::uint32_t send_percent = 0;
};

struct service_stats {
  std::uint64_t sent = 0;
  std::uint64_t full = 0;           ///< times that the ring had no room for a message
  std::uint64_t received = 0;       ///< messages that were handed on
  std::uint64_t malformed = 0;      ///< messages that could not be understood, and were dropped
  std::uint64_t lost_bodies = 0;    ///< messages whose body, which others got too, was not there any more
  std::uint64_t expired = 0;        ///< messages that were too old, and were skipped
  std::uint64_t ring_faults = 0;    ///< times that everything unread was dropped, as what lay there could not be
  std::uint64_t dropped_bytes = 0;  ///< of these times
  std::uint64_t delay_sum_ms = 0;   ///< from sent to read, of all that were read
  std::uint64_t delay_max_ms = 0;
  std::uint64_t registrations = 0;
  std::uint64_t failed_attempts = 0;  ///< to register
  std::uint64_t renewals = 0;         ///< of the lease
};

namespace detail {
class service_parts;
}

/// A handle; copies refer to the same. When the last copy goes, it is as close(). Handlers are called on the context's
/// thread, never from inside a call of this class but poll(), and may call anything. Thread safety: the context's
/// thread only, but for send(), reply() and forward().
class service {
 public:
  service() noexcept = default;
  explicit operator bool() const noexcept { return parts_ != nullptr; }

  /// @return bad_option: with what to write instead
  [[nodiscard]] static result<service> make(context& where, service_options with);

  /// Takes a pipe: the one that this version held before, else the last that is free; waits for the rings, then
  /// registers by itself, again and again. Once.
  /// @return busy: no pipe is free | not_found | permission ...: its directory | misuse: it was started already
  result<void> start();

  /// Messages, from now on; before, they wait in the ring. Views are valid during the call.
  void on_message(std::function<void(const service_message&)> handler);
  /// It is registered; called again while it is, when the sidecar tells whose instance is the main one now.
  void on_registered(std::function<void(const service_registration&)> handler);
  /// It was registered, and is not any more; the next attempt follows.
  void on_unregistered(std::function<void(const error&)> handler);
  /// An attempt to register has failed; the next one follows.
  void on_attempt_failed(std::function<void(const error&)> handler);
  /// A message could not be understood, or everything unread in the ring had to be dropped: counted, and over.
  void on_fault(std::function<void(const error&)> handler);
  /// 803 .. 805: what the sidecar tells of a migration.
  void on_migration_step(std::function<void(std::int32_t)> handler);
  /// It is stopped for good: the rings did not come in time | its pipe is lost, which others may use now.
  void on_failed(std::function<void(const error&)> handler);

  /// Puts one whole message into the ring; never blocks. A route whose `from` is 0 gets our entity. A note
  /// "<entity>ShmPipeIdx" with our pipe is added unless there is one, so that answers find this instance.
  /// @return full: try again later | closed: not started, rings not there yet, or stopped | message_too_large | misuse:
  /// a text is not UTF-8, no destination | corrupt: what the sidecar says of the ring cannot be. Any thread.
  [[nodiscard]] result<void> send(const service_route& route, const service_package& package, bytes body);
  /// Puts each of these into the ring, in their order, up to the first one that cannot go; as send() for each, but for
  /// less, as the time, which all of them get, is asked once. @return how many were put there: fewer if the next one
  /// cannot go now, or never | as send(): the first one cannot; nothing was put there. Any thread.
  [[nodiscard]] result<std::size_t> send(std::span<const service_message> all);
  /// To whoever sent `to`, with all of its notes; those of `answer` come before them. As send(). Any thread.
  [[nodiscard]] result<void> reply(const service_message& to, const service_package& answer, bytes body);
  /// To the other instance of our entity, as it is. As send(). Any thread.
  [[nodiscard]] result<void> forward(const service_message& what);
  /// Whether a message is for this instance: it names its pipe, or none.
  [[nodiscard]] bool is_to_current_instance(const service_message& what) const;

  /// Takes up to options.batch messages now, and calls the handler for them from inside this call: for a program that
  /// has a loop of its own. From the first call on, the event loop does not look at the ring any more, and nobody is
  /// woken for it: whoever polls goes on polling. The event loop still needs its turns. @return how many there were
  std::size_t poll();

  /// Asks for messages for our entity to come to this instance. Completes with (error_code): nothing: they do | refused
  /// by the sidecar | timeout | closed: not registered, or not any more | busy: the last change is under way.
  template <class Token>
  auto async_change_route(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [self = parts_, ex = executor()](auto handler) {
          start_change_route(*self, detail::completion<error_code>(ex, std::move(handler)));
        },
        token);
  }
  /// Whether another pipe of our entity is held by somebody. Locks are asked for, of which `start` of another instance
  /// can take note for a moment. @return permission ...
  [[nodiscard]] result<bool> other_instance_is_there() const;
  /// Told at once if it is registered, else when it is.
  void set_condition(service_condition condition);
  /// What weights are made of. @return closed: not registered
  result<void> report_load(std::int64_t load, std::int64_t capacity);
  /// 801 or 805. @return closed: not registered
  result<void> tell_migration_step(std::int32_t step);
  /// From now on what comes stays in the ring.
  void stop_receive();
  /// Closes the control socket; the rings are used on.
  void leave();
  /// Tells the sidecar before it leaves.
  void unregister();

  /// Ends: nothing more is received; UnRegister is sent; what was sent is left to the sidecar, within `deadline`; then
  /// the pipe is let go. Completes with (error_code): nothing | timeout: the ring is not empty.
  template <class Token>
  auto async_stop(options::duration deadline, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [self = parts_, ex = executor(), deadline](auto handler) {
          start_stop(*self, deadline, detail::completion<error_code>(ex, std::move(handler)));
        },
        token);
  }
  /// The same with two seconds.
  template <class Token>
  auto async_stop(Token&& token) {
    return async_stop(std::chrono::seconds(2), std::forward<Token>(token));
  }
  /// Ends at once.
  void close();

  [[nodiscard]] service_state state() const;
  [[nodiscard]] std::optional<std::uint32_t> pipe() const;  ///< that it holds
  [[nodiscard]] service_rings rings() const;                ///< that it writes to now
  [[nodiscard]] service_stats stats() const;
  [[nodiscard]] service_usage take_usage();
  /// What has come and was not taken, in bytes of the ring: an instance that leaves waits until there is nothing.
  [[nodiscard]] std::uint32_t unread_bytes() const;
  [[nodiscard]] const service_options& with() const;
  [[nodiscard]] boost::asio::io_context::executor_type executor() const;

 private:
  explicit service(std::shared_ptr<detail::service_parts> parts) noexcept : parts_(std::move(parts)) {}
  static void start_change_route(detail::service_parts& of, detail::completion<error_code> done);
  static void start_stop(detail::service_parts& of, options::duration deadline, detail::completion<error_code> done);
  std::shared_ptr<detail::service_parts> parts_;
};

}  // namespace ferry
