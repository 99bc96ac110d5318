#pragma once
/// A gateway's peer: its connection to the gateway, made anew when it is lost, and who the packets belong to.
///
///     connecting --reached; a server: its first answer--> up
///     connecting --failed--> waiting, closed
///     up --lost--> waiting, closed
///     waiting --delay over--> connecting
///     up --async_close--> closing --all is sent, lost--> closed      any --close--> closed
///
/// Each connection is a channel of its own, so that nothing that waited for an earlier one reaches a later one, where
/// the numbers of virtual connections mean others.

#include <ferry/gateway.hpp>
#include <ferry/url.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <functional>
#include <list>
#include <vector>

#include "channel/replaceable.hpp"
#include "channel/waiters.hpp"
#include "gateway/peer_login.hpp"
#include "gateway/resumable.hpp"
#include "net/residents.hpp"
#include "session/backoff.hpp"
#include "session/gateway_peer.hpp"

namespace ferry::detail {

class virtual_channel;

/// How a peer gets to its gateway.
struct gateway_route {
  std::string url;                              ///< for people
  endpoint where;                               ///< of no meaning for a stream that was handed in
  std::shared_ptr<stream_transport> transport;  ///< null: shm
  bool again = false;                           ///< it can be used more than once
  std::optional<gateway::server_identity> server;
  std::weak_ptr<gateway::resuming> resumes;  ///< what makes another connection below the same stream; none: it cannot
};

class gateway_parts final : public std::enable_shared_from_this<gateway_parts>,
                            public resident,
                            private session::gateway_peer_output {
 public:
  gateway_parts(context& where, gateway_route to, const gateway_options& with);
  ~gateway_parts();
  void connect();

  // Contracts as in <ferry/gateway.hpp>.
  void dial(std::uint32_t remote, accept_completion done);
  void accept(accept_completion done);
  void wait_up(send_completion done);
  void on_channel(std::function<void(channel)> handler);
  void on_up(std::function<void(const peer_info&)> handler);
  void on_down(std::function<void(const down_info&)> handler) { down_handler_ = std::move(handler); }
  void on_connect_failure(std::function<void(const error&)> handler) { failure_handler_ = std::move(handler); }
  void close();
  void async_close(send_completion done);
  [[nodiscard]] channel_state state() const noexcept { return state_; }
  [[nodiscard]] gateway_stats stats() const;
  [[nodiscard]] const std::string& url() const noexcept { return route_.url; }
  [[nodiscard]] const error& last_error() const noexcept { return last_error_; }
  [[nodiscard]] context& where() const noexcept { return where_; }

  // What virtual connections ask for.

  /// @return as channel::try_send; full: drained() of that connection follows
  [[nodiscard]] result<void> send(virtual_channel& from, bytes message);
  /// Tells the gateway that one of ours ends, behind what was sent on it.
  void close_connection(virtual_channel& which);
  /// It takes messages again.
  void resume(virtual_channel& which);
  /// A message for it has come and waits until it takes messages.
  [[nodiscard]] bool holds_for(const virtual_channel& which) const noexcept;
  /// Nothing more is for it.
  void forget(virtual_channel& which) noexcept;
  /// Where in all that was ever sent on this connection the next byte lies.
  [[nodiscard]] std::uint64_t position() const noexcept { return queued_ + commands_bytes_; }
  /// How far the kernel has taken it.
  [[nodiscard]] std::uint64_t taken() const;
  /// progressed() of it follows when the kernel has taken more.
  void tell_progress(virtual_channel& which);

  void abandon() noexcept override;
  [[nodiscard]] std::shared_ptr<resident> keep() noexcept override { return weak_from_this().lock(); }

 private:
  struct pending_dial {
    std::uint64_t id = 0;
    std::uint32_t remote = 0;
    time_point made{};
    accept_completion done;
    std::uint64_t number = 0;  // as the gateway's peer counts; 0: the gateway is not reached yet
  };
  using dial_place = std::list<pending_dial>::iterator;
  struct held_message {
    std::uint32_t connection = 0;
    std::weak_ptr<virtual_channel> to;
    message what;
  };

  void enter(channel_state next) noexcept { state_ = next; }
  [[nodiscard]] static time_point now() { return std::chrono::steady_clock::now(); }
  [[nodiscard]] result<channel> open_link();
  void attempt_failed(const error& why);
  void link_up();
  void go_up();
  void lost(const error& why);
  void retry_or_finish(const error& why);
  void finish(const error& why);
  void drop_link() noexcept;

  // gateway_peer_output
  void send(const codec::gateway::command& what) override;
  [[nodiscard]] bool send_now(bytes packet);
  void send_commands();
  void drained();
  void progressed();

  void take(bytes packet);
  void log_in(bytes said);
  void act(const session::gateway_event& event);
  void deliver(const session::gateway_event& event);
  std::shared_ptr<virtual_channel> add(const session::gateway_event& event);
  void arrive(const session::gateway_event& event);
  void serve_arrivals();

  [[nodiscard]] dial_place find_dial(std::uint64_t number);
  void end_dial(dial_place which, errc why);
  void send_dials();
  void cancel_dial(std::uint64_t id);

  void arm();
  void on_timer();

  context& where_;
  const std::shared_ptr<residents> residents_;
  gateway_route route_;
  gateway_options with_;
  std::shared_ptr<const options> link_options_;     // of the connection to the gateway
  std::shared_ptr<const options> virtual_options_;  // of the channels on top
  session::gateway_peer peer_;
  session::backoff backoff_;
  channel_state state_ = channel_state::connecting;
  channel link_;
  std::uint64_t life_ = 0;  // of the link; what an earlier one says is not heard
  bool link_is_up_ = false;
  bool heard_ = false;  // a packet came on this connection
  // Where the login goes in messages; over streams it is part of the attempt to connect.
  enum class login_step : std::uint8_t { done, asked, proving };
  login_step login_step_ = login_step::done;
  session::server_login login_;
  bool protocol_ = false;  // the gateway broke the protocol
  error last_error_ = errc::closed;

  boost::unordered_flat_map<std::uint32_t, virtual_channel*> channels_;
  std::list<pending_dial> dials_;
  std::uint64_t last_dial_ = 0;
  std::deque<channel> arrived_;
  std::optional<held_message> held_;
  bool paused_ = false;

  std::vector<std::byte> scratch_;
  std::uint64_t queued_ = 0;
  std::deque<codec::gateway::encoded_command> commands_;  // for which the queue had no room
  std::size_t commands_bytes_ = 0;
  std::vector<std::weak_ptr<virtual_channel>> want_room_, want_progress_;
  bool flush_asked_ = false;

  boost::asio::steady_timer timer_;
  std::optional<time_point> timer_set_for_;
  std::optional<time_point> retry_at_;

  waiters<accept_completion, std::monostate> accepts_;
  waiters<send_completion, std::monostate> up_waiters_;
  replaceable<channel> channel_handler_;
  replaceable<const peer_info&> up_handler_;
  replaceable<const down_info&> down_handler_;
  replaceable<const error&> failure_handler_;
  gateway_stats stats_;
};

}  // namespace ferry::detail
