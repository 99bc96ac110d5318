#pragma once
/// A channel over a stream: framing, batching, back-pressure, reconnecting.
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
///     sending:   open --half_close--> ending --everything taken--> ended (the peer reads end of stream)
///     receiving: open --end of stream--> ended
/// A connecting end with `reconnect` takes the peer's end as a lost connection unless it is ending itself; one that is
/// told to end while it is not up still tries to bring out what is queued, until close_timeout.
#include <ferry/url.hpp>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <mutex>

#include "base/time.hpp"
#include "channel/channel_impl.hpp"
#include "channel/inbound.hpp"
#include "channel/outbox.hpp"
#include "session/backoff.hpp"
#include "session/deadlines.hpp"

namespace ferry::detail {

/// Where a connecting end goes; null for an accepted one.
struct destination {
  std::shared_ptr<stream_transport> transport;
  endpoint where;
};

template <codec::framing F>
class stream_channel final : public channel_impl, private stream_events {
 public:
  stream_channel(context& where, std::string url, std::shared_ptr<const options> with, std::unique_ptr<destination> to);
  ~stream_channel() override;

  /// Starts on a stream that is connected; for an accepted end, once. `slot` is let go of when the channel ends.
  void start(std::shared_ptr<stream> connected, std::shared_ptr<void> slot);

  [[nodiscard]] result<void> try_send(const message_view& m) override;
  void connect() override;
  void half_close() override;
  result<void> end_receiving() override;
  void cut(const error& reason) override;
  [[nodiscard]] channel_stats stats() override;

 private:
  enum class direction : std::uint8_t { open, ending, ended };

  // channel_impl
  void let_go() noexcept override;
  void closing_begins(std::optional<options::duration> within) override;
  void resume_reading() override;
  [[nodiscard]] std::size_t unsent_bytes() const noexcept override {
    return outbox_.byte_count() + staged_bytes_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t queued_bytes() const noexcept override {
    return taken_bytes_ + outbox_.on_this_connection_at_least().bytes + unsent_bytes();
  }

  // stream_events
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override;

  // Link
  void dial();
  void connected(result<std::shared_ptr<stream>> outcome);
  void attempt_failed(const error& why);
  void go_up(std::shared_ptr<stream> connected);
  void retry_or_end(const error& why);
  void lost(const error& why);
  void finish(const error& why);
  void peer_ended();
  void end_with_the_peer();
  void end_was_taken() override;
  void drop_poison();

  // Reading
  void pump(bool more);
  void arm_read();
  void pump_later(bool more);
  void count_read(std::size_t n);
  result<void> take_messages();
  /// @return bytes that came now, 0: none
  result<std::size_t> read_more();
  result<std::size_t> spin_for_bytes();
  void read_what_is_left();
  void read_failed(const error& why);

  // Writing
  [[nodiscard]] result<void> admit(const message_view& m, std::size_t waiting_bytes, std::size_t waiting_messages);
  [[nodiscard]] result<void> try_send_shared(const message_view& m);
  [[nodiscard]] bool send_directly(const message_view& m);
  void count_write(std::size_t n);
  void write_some();
  void after_write();
  void post_flush();
  void flush_turn();
  [[nodiscard]] bool take_was_full();
  void post_staged();
  void collect_staged();
  void publish_outbox() noexcept;

  // Time
  [[nodiscard]] static time_point now() { return std::chrono::steady_clock::now(); }
  void arm_timer();
  void on_timer();
  void on_deadline(session::deadline which);

  std::unique_ptr<destination> to_;
  std::unique_ptr<connect_attempt> attempt_;
  std::shared_ptr<stream> stream_;  // while up or closing
  std::shared_ptr<void> slot_;
  direction sending_ = direction::open;
  direction receiving_ = direction::open;
  session::backoff backoff_;
  session::deadlines deadlines_;
  std::optional<time_point> retry_at_;
  boost::asio::steady_timer timer_;
  std::optional<time_point> timer_set_for_;

  inbound<F> inbound_;
  std::size_t room_size_ = 0;  // of the read that is under way
  bool read_armed_ = false;
  bool in_batch_ = false;  // messages are being delivered: what is sent now goes out in one batch afterwards
  bool pump_posted_ = false;
  bool end_posted_ = false;
  bool peer_end_told_ = false;
  bool bulk_ = false;                     // the last bytes came in large pieces
  std::optional<time_point> spin_until_;  // nothing came lately, and this is how long to look for more
  std::uint64_t received_before_ = 0;     // messages on earlier connections

  outbox<F> outbox_;
  std::uint64_t taken_bytes_ = 0;  // by earlier connections, and not to be sent again
  bool write_blocked_ = false;     // on_writable comes
  bool flush_posted_ = false;
  bool was_full_ = false;
  std::optional<error> write_error_;
  std::uint64_t unread_at_cut_ = 0;  // bytes in the kernel that nobody will read
  std::uint64_t last_lost_ = 0;      // messages_maybe_lost of the last connection
  std::uint32_t head_attempts_ = 0;  // connections in a row that were lost while they took the first message
  channel_stats stats_;

  // senders=many: other threads put their messages here, in the order in which they come.
  std::mutex staging_lock_;
  outbox<F> staging_;              // guarded by staging_lock_
  bool staged_ = false;            // guarded by staging_lock_: the io_context has been told
  bool staging_was_full_ = false;  // guarded by staging_lock_
  std::atomic<std::size_t> staged_bytes_{0};
  std::atomic<std::size_t> outbox_bytes_{0};  // what the other threads see of outbox_
  std::atomic<std::size_t> outbox_messages_{0};
  std::atomic<bool> refuses_{false};  // no more messages: ending or closed
};

/// A handle for a channel: the channel is cut when its last copy goes.
[[nodiscard]] channel hold(const std::shared_ptr<channel_impl>& impl);

/// Makes the channel for the framing that the options ask for, `automatic` being typed where messages stay in the
/// process and varint elsewhere.
struct made_channel {
  std::shared_ptr<channel_impl> impl;
  std::function<void(std::shared_ptr<stream>, std::shared_ptr<void>)> start;  // for an accepted end
};
[[nodiscard]] made_channel make_accepted(context& where, std::string url, std::shared_ptr<const options> with,
                                         bool local);
/// It only queues until connect() is called.
[[nodiscard]] std::shared_ptr<channel_impl> make_connecting(context& where, std::string url,
                                                            std::shared_ptr<const options> with,
                                                            std::unique_ptr<destination> to);

}  // namespace ferry::detail
