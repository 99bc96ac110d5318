#pragma once
/// One socket: what it is told to do, what its channel or its listener tells, and what a caller would see.

#include <ferry/listener.hpp>
#include <ferry/socket.hpp>
#include <ferry/url.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "socket/state.hpp"

namespace ferry::sockets {

class socket_object;

/// What all sockets of a manager share.
struct surroundings {
  context& where;
  std::vector<std::string> schemes;
  std::function<void(socket_id, socket_state from, socket_state to)> changed;
  std::function<void(socket_object&)> finished;  ///< closed by its owner, and over now
};

enum class receive_as : std::uint8_t { message, stream };
enum class close_as : std::uint8_t { graceful, hard };

/// What belongs to the socket and not to its connection.
struct own_options {
  bool nonblocking = false;
  options::duration receive_timeout{0};  ///< 0: for ever
  options::duration send_timeout{0};     ///< 0: for ever
  receive_as receiving = receive_as::message;
  close_as closing = close_as::graceful;
};

/// Nothing here waits: would_block is an outcome, and can_send, can_receive say whether it would be.
/// On whatever thread has the turn.
class socket_object : public std::enable_shared_from_this<socket_object> {
 public:
  socket_object(surroundings& with, socket_transport transport) : with_(with), transport_(transport) {}
  socket_object(const socket_object&) = delete;
  socket_object& operator=(const socket_object&) = delete;

  void set_id(socket_id id) noexcept { id_ = id; }
  [[nodiscard]] socket_id id() const noexcept { return id_; }
  [[nodiscard]] socket_transport transport() const noexcept { return transport_; }
  [[nodiscard]] socket_state state() const noexcept { return state_; }
  [[nodiscard]] const own_options& own() const noexcept { return own_; }
  [[nodiscard]] options::duration connect_timeout() const noexcept { return settings_.connect_timeout; }

  // Life
  result<void> bind(const socket_address& at);
  /// The host to listen at, if it is a name that somebody has to be asked for; else empty.
  [[nodiscard]] std::string name_to_look_up() const;
  /// @param hosts  what that name stands for: the first one that can be had is taken; empty: the host itself
  result<void> listen(std::uint32_t backlog, const std::vector<std::string>& hosts);
  result<void> connect(const socket_address& to);
  /// Nothing while it connects. @return once it is open, or why it never was
  [[nodiscard]] std::optional<result<void>> connect_outcome() const;
  [[nodiscard]] bool has_arrival() const noexcept { return !arrivals_.empty(); }
  /// The next connection that came, or null. Give it a number, then call opened().
  [[nodiscard]] std::shared_ptr<socket_object> take_arrival();
  void opened();
  result<void> shutdown(shutdown_what what);
  /// Its owner is done with it. finished() is told to the surroundings when it is over, perhaps before this returns.
  void close(close_as how);
  [[nodiscard]] bool abandoned() const noexcept { return owner_ == owner::gone; }
  [[nodiscard]] bool over() const noexcept { return state_ == socket_state::closed; }
  /// Of a socket that is over: what was lost.
  [[nodiscard]] result<void> close_outcome() const;

  // Data
  [[nodiscard]] result<std::size_t> send(bytes payload, unsigned flags);
  [[nodiscard]] bool can_send() const;
  [[nodiscard]] result<socket_received> receive(mutable_bytes into, unsigned flags);
  [[nodiscard]] bool can_receive();
  [[nodiscard]] unsigned events();

  // Knowing
  [[nodiscard]] result<socket_address> peer() const;
  [[nodiscard]] result<socket_address> here() const;
  [[nodiscard]] socket_stats stats() const;
  result<void> set(std::string_view name, std::string_view value);
  [[nodiscard]] result<std::string> get(std::string_view name);

 private:
  enum class half : std::uint8_t { open, ended };
  enum class owner : std::uint8_t { there, gone };

  bool on(socket_event what);
  /// The options of a channel or a listener that is made now.
  [[nodiscard]] options carrying() const;
  [[nodiscard]] error wrong_state(const char* call) const;
  void watch();
  void wait_for_up();
  void went_down(const down_info& info);
  void attempt_failed(const error& why);
  void never_up(const error& why);
  void peer_ended();
  void over_for_good();
  void arm_accept();
  void arrived(channel one);
  [[nodiscard]] std::optional<error> why_not_sending() const;
  [[nodiscard]] result<void> push(bytes payload, message_kind kind, bool more);
  [[nodiscard]] result<std::size_t> send_message(bytes payload, unsigned flags);
  [[nodiscard]] result<std::size_t> send_stream(bytes payload, unsigned flags);
  [[nodiscard]] bool fill();
  [[nodiscard]] result<socket_received> nothing_there() const;
  [[nodiscard]] result<socket_received> receive_message(mutable_bytes into, unsigned flags);
  [[nodiscard]] result<socket_received> receive_stream(mutable_bytes into, unsigned flags);
  void consume(std::size_t bytes_taken);
  [[nodiscard]] bool set_own(std::string_view name, std::string_view value, std::optional<error>& failed);
  [[nodiscard]] std::optional<std::string> get_own(std::string_view name);

  surroundings& with_;
  const socket_transport transport_;
  socket_id id_ = 0;  // 0: not accepted yet
  socket_state state_ = socket_state::init;
  own_options own_;
  options settings_;
  socket_address bound_;
  owner owner_ = owner::there;

  // Listening
  listener at_;
  std::deque<std::shared_ptr<socket_object>> arrivals_;  // at most one; the others wait in the kernel

  // Connected
  channel link_;
  half sending_ = half::open;
  half receiving_ = half::open;
  bool full_ = false;    // until there is room again
  bool inside_ = false;  // a message that was begun in fragments goes on
  bool was_up_ = false;  // so that what is sent while reconnecting may be queued
  message front_;        // taken from the channel and not wholly by the caller
  std::size_t front_at_ = 0;
  std::vector<std::byte> begun_;  // a message that goes on with the next send
  error why_;                     // it ended, or never began
  error pending_;                 // the same, until somebody has asked
  std::uint64_t lost_ = 0;        // messages, of the last connection and the queue
};

}  // namespace ferry::sockets
