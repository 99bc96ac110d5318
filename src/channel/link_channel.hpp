#pragma once
/// The life of a channel's link, whatever carries it: connecting, up, lost, reconnecting, ending; and its deadlines.
///
/// The link (channel_state; changed in enter() alone, timed by session::backoff and session::deadlines):
///
///                  connected               half_close, peer ended
///     connecting ------------> up ----------------------------> closing
///       ^    |                 | lost                              | both directions ended,
///       |    | failed          v                                   | lost, deadline
///       |    +------------> waiting                                v
///       +--- delay over --------+        --- no (more) retry --> closed   <-- cut, from anywhere
///
/// Besides it, each direction ends by itself:
///     sending:   open --half_close--> ending --everything taken--> ended (the peer reads the end)
///     receiving: open --the peer's end--> ended
/// A connecting end with `reconnect` takes the peer's end as a lost connection unless it is ending itself; one that is
/// told to end while it is not up still tries to bring out what is queued, until close_timeout.

#include <ferry/url.hpp>

#include <atomic>
#include <boost/asio/post.hpp>

#include "base/rare.hpp"
#include "base/time.hpp"
#include "channel/channel_impl.hpp"
#include "channel/outbox.hpp"
#include "net/timers.hpp"
#include "session/backoff.hpp"
#include "session/deadlines.hpp"

namespace ferry::detail {

class link_channel : public channel_impl, private net::timers::entry {
 public:
  link_channel(context& where, shared_url url, std::shared_ptr<const options> with, transport_traits traits,
               bool connects);
  ~link_channel() override { cancel_timer(io()); }

  void connect() final;
  void half_close() final;
  result<void> end_receiving() final;
  void cut(const error& reason) final;

 protected:
  enum class direction : std::uint8_t { open, ending, ended };

  // What the carrier does. All on the context's thread.

  /// Starts one attempt to connect, which ends in connected() or attempt_failed(), later.
  virtual void begin_attempt() = 0;
  /// Gives the attempt up, if there is one.
  virtual void end_attempt() noexcept = 0;
  [[nodiscard]] virtual bool attempting() const noexcept = 0;
  /// Whether there is a connection.
  [[nodiscard]] virtual bool attached() const noexcept = 0;
  /// The connection is new: nothing has been read or written on it. @return who is at its other end, or nothing: that
  /// is current_peer()
  [[nodiscard]] virtual std::optional<peer_info> begin_connection() = 0;
  /// Reads and writes from now on.
  virtual void begin_flow() = 0;
  /// Closes the connection, of which nothing more is wanted, but keeps what there is to tell about it.
  virtual void abort_connection() noexcept = 0;
  /// What is left to tell of a connection that ends.
  struct remains {
    taken took;                      ///< what it took wholly
    std::uint64_t unread_bytes = 0;  ///< came from the peer and was never delivered
    bool cut_inside = false;         ///< a message was taken in part
    bool wanted_to_write = false;    ///< something waited to be taken
  };
  /// Closes the connection and lets go of it; what it had not taken wholly is queued again.
  [[nodiscard]] virtual remains end_connection() = 0;
  /// Tells the peer that nothing follows what it was sent.
  [[nodiscard]] virtual result<void> end_sending() = 0;
  /// Tells the peer that nothing more is taken from it.
  [[nodiscard]] virtual result<void> stop_receiving() { return errc::unsupported; }
  /// Writes what is queued, soon, and then calls after_write(), or flush_without_connection().
  virtual void post_flush() = 0;
  /// The first queued frame, after a message was cut off.
  [[nodiscard]] virtual bytes first_frame() const noexcept = 0;
  virtual void drop_first_frame() noexcept = 0;
  /// Nothing is queued any more. @return what was
  virtual taken drop_queue() noexcept = 0;
  /// The channel ends for good: operations of its own kind that wait are over.
  virtual void complete_rest() {}
  /// The same, but as part of abandon(): they are let go of without a word.
  virtual void drop_rest() noexcept {}
  /// Whether an accepted end outlives its connection, as its peer may come back: came_back().
  [[nodiscard]] virtual bool outlives_connection() const noexcept { return false; }
  /// For reading a last time, before a connection that cannot be written to is given up.
  virtual void read_what_is_left() = 0;
  /// Whether try_send has returned full since this was last asked.
  [[nodiscard]] virtual bool take_was_full() = 0;
  /// Why writing failed, if it has.
  [[nodiscard]] virtual const rare<error>& write_error() const noexcept = 0;
  /// Tells deadlines and totals of messages that went out unnoticed by the event loop.
  virtual void catch_up() {}
  /// Whether the peer has taken something since this was last asked, though what is queued still waits.
  [[nodiscard]] virtual bool peer_takes_slowly() noexcept { return false; }
  /// Asks a silent peer for a sign of life, if the carrier can; it ends the connection by itself if there is none.
  [[nodiscard]] virtual bool ask_for_life() noexcept { return false; }
  /// Whether what is queued waits for the peer to take something.
  [[nodiscard]] virtual bool write_blocked() const noexcept = 0;

  // What the carrier tells.

  /// A connection was made; attached() is true.
  void connected();
  void attempt_failed(const error& why);
  /// A connection was accepted; `slot` is let go of when the channel ends. Where it has gone already, nothing happens.
  void accepted(std::shared_ptr<void> slot);
  /// An accepted end whose peer has connected again; attached() is true.
  void came_back() { go_up(); }
  /// The connection is over, whoever ended it. What it had not taken wholly stays queued, if there will be another one.
  void lost(const error& why);
  /// Reading found the peer's end, or broke.
  void read_failed(const error& why);
  /// Bytes or records were taken, in the event loop and not inside anybody's call.
  void after_write() { after_write(now()); }
  void after_write(time_point when);
  /// Nothing can be written now. @return whether the channel has ended by that
  bool flush_without_connection();
  void finish(const error& why);
  void arm_timer();

  [[nodiscard]] static time_point now() { return std::chrono::steady_clock::now(); }
  /// For deadlines that count from the last bytes; without one of them any time will do, and no clock is read.
  [[nodiscard]] time_point now_if_idleness_counts() const {
    constexpr options::duration k_none{0};
    const bool counts = options_->read_idle_timeout > k_none || options_->write_idle_timeout > k_none ||
                        options_->idle_timeout > k_none;
    return counts ? now() : time_point{};
  }
  void refuse_messages() noexcept {
    refuses_ = true;
    straight.shut();
    first_answer.shut();
  }
  [[nodiscard]] bool receiving() const noexcept { return receiving_ == direction::open; }
  [[nodiscard]] bool sending_ends() const noexcept { return sending_ != direction::open; }
  [[nodiscard]] bool sending_ended() const noexcept { return sending_ == direction::ended; }
  /// A message in part: the peer may not end inside it. @return bytes of it that have come
  [[nodiscard]] virtual std::size_t pending_bytes() const noexcept = 0;
  /// Whether the peer, whose end has come, ended without having read everything.
  [[nodiscard]] virtual bool peer_gave_up() const noexcept { return false; }
  template <class Carrier>
  [[nodiscard]] std::shared_ptr<Carrier> self_as() {
    return std::static_pointer_cast<Carrier>(this->shared_from_this());
  }

  /// What is counted while messages flow.
  struct traffic {
    std::uint64_t messages_sent = 0;
    std::uint64_t messages_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t writes = 0;
    std::uint64_t reads = 0;
  };
  /// That, and what is counted when something ends.
  [[nodiscard]] channel_stats counted() const noexcept;

  session::deadlines deadlines_;
  traffic stats_;
  std::uint64_t taken_bytes_ = 0;     // by earlier connections, and not to be sent again
  std::atomic<bool> refuses_{false};  // no more messages: ending or closed

 private:
  // channel_impl
  void let_go() noexcept final;
  void closing_begins(std::optional<options::duration> within) final;
  void end_was_taken() final;

  void dial();
  void go_up();
  void retry_or_end(const error& why);
  [[nodiscard]] bool comes_back() const noexcept { return connects_ ? options_->reconnect : outlives_connection(); }
  void peer_ended(const error& how);
  void end_with_the_peer();
  void drop_poison();
  void on_time() final;
  void on_deadline(session::deadline which);

  struct dialling {
    session::backoff backoff;
    std::optional<time_point> retry_at;
  };
  // Of connections that were lost, and of attempts that failed.
  struct loss_counts {
    std::uint64_t failed_attempts = 0;
    std::uint64_t messages_maybe_lost = 0;
    std::uint64_t messages_poisoned = 0;
    std::uint64_t failed_sends = 0;
    std::uint64_t messages_received = 0;  // until the last loss
    std::uint64_t last_lost = 0;          // messages_maybe_lost of the last connection
    std::uint32_t head_attempts = 0;      // connections in a row that were lost while they took the first message
  };

  const bool connects_;
  direction sending_ = direction::open;
  direction receiving_ = direction::open;
  bool end_posted_ = false;
  bool peer_end_told_ = false;
  std::uint32_t connections_ = 0;
  std::shared_ptr<void> slot_;
  std::unique_ptr<dialling> dialling_;  // of a connecting end
  rare<error> peer_end_;                // why receiving ended
  rare<loss_counts> losses_;
};

/// A handle for a channel: the channel is cut when its last copy goes.
[[nodiscard]] channel hold(const std::shared_ptr<channel_impl>& impl);

}  // namespace ferry::detail
