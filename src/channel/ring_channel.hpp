#pragma once
/// A channel over rings in shared memory. A message is one record; a larger one travels in pieces. While the peer is
/// there and nothing waits, what is sent goes straight into the ring, and a ring without room is back-pressure; before
/// that, and behind a message in pieces, it waits in an outbox.

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <mutex>
#include <vector>

#include "channel/arrivals.hpp"
#include "channel/link_channel.hpp"
#include "channel/sleep_round.hpp"
#include "codec/typed_framing.hpp"
#include "net/ring_acceptor.hpp"

namespace ferry::detail {

class ring_channel final : public link_channel, public sleeper {
 public:
  /// @param to  the endpoint's name; empty for an accepted end
  ring_channel(context& where, shared_url url, std::shared_ptr<const options> with, std::string to);
  ~ring_channel() override;

  /// Starts on a connection; for an accepted end, once.
  void start(std::unique_ptr<net::ring_link> connected, std::shared_ptr<void> slot);

  [[nodiscard]] result<void> try_send(const message_view& m) override;
  [[nodiscard]] channel_stats stats() override;

 private:
  /// What one sending thread, or several, put into one ring, and what waits before it.
  struct lane {
    lane(buffer_pool& pool, std::size_t batch_bytes) : queue(pool, batch_bytes) {}
    mutable std::mutex lock;  // with senders=many it guards the rest; else only the context's thread comes here
    outbox<codec::typed_framing> queue;
    ring_producer* ring = nullptr;  // null: no connection
    std::size_t rest = 0;           // payload bytes of the first queued message that are not in the ring, 0: all
    bool was_full = false;          // try_send said so
  };
  /// A message in pieces as it comes in.
  struct assembly {
    pooled_buffer buffer;
    std::size_t have = 0;
    std::size_t total = 0;  // 0: none under way
    ring_tag tag;
    bool whole = false;  // waits to be delivered
  };

  // channel_impl
  void resume_reading() override;
  [[nodiscard]] std::size_t unsent_bytes() const noexcept override;
  [[nodiscard]] std::uint64_t queued_bytes() const noexcept override;

  // link_channel
  void begin_attempt() override;
  void end_attempt() noexcept override { attempt_.reset(); }
  [[nodiscard]] bool attempting() const noexcept override { return attempt_ != nullptr; }
  [[nodiscard]] bool attached() const noexcept override { return link_ != nullptr; }
  [[nodiscard]] std::optional<peer_info> begin_connection() override;
  void begin_flow() override;
  void abort_connection() noexcept override;
  [[nodiscard]] remains end_connection() override;
  [[nodiscard]] result<void> end_sending() override;
  void post_flush() override;
  [[nodiscard]] bytes first_frame() const noexcept override;
  void drop_first_frame() noexcept override;
  taken drop_queue() noexcept override;
  void read_what_is_left() override;
  [[nodiscard]] bool take_was_full() override;
  [[nodiscard]] const rare<error>& write_error() const noexcept override { return write_error_; }
  [[nodiscard]] bool write_blocked() const noexcept override { return write_blocked_; }
  void catch_up() override { count_traffic(); }
  [[nodiscard]] bool peer_takes_slowly() noexcept override;
  [[nodiscard]] std::size_t pending_bytes() const noexcept override;

  // sleeper
  [[nodiscard]] bool announce_sleep() override;
  void look_once_more() override;

  // Receiving
  void watch_socket();
  void on_socket();
  void pump();
  void pump_later();
  /// @return how many there were; `wrong` is set if the peer broke the rules
  [[nodiscard]] std::size_t take_records(std::optional<error>& wrong);
  [[nodiscard]] std::size_t take_records_of(std::size_t ring, std::optional<error>& wrong);
  /// @return false: nobody takes it now
  [[nodiscard]] result<bool> take_record(std::size_t ring, ring_record record);
  [[nodiscard]] result<bool> take_piece(assembly& message, ring_record record, bytes body);
  [[nodiscard]] bool hand_over(const message_view& m);
  [[nodiscard]] result<void> make_room(assembly& message, std::size_t more);
  void count_received(std::size_t payload) noexcept {
    stats_.messages_received += 1;
    stats_.bytes_received += payload + 8;
  }
  void batch_begins() noexcept {
    in_batch_ = true;
    delivering_begins();
  }
  void batch_ends() noexcept {
    in_batch_ = false;
    straight.shut();
    delivering_ends();
  }
  [[nodiscard]] bool spin();
  [[nodiscard]] bool look_for_a_while() noexcept;
  [[nodiscard]] result<void> look_for_end();
  [[nodiscard]] bool has_read_everything() const noexcept;
  void rest();

  // Sending
  [[nodiscard]] lane& my_lane() noexcept;
  [[nodiscard]] result<void> send_through(lane& mine, const message_view& m);
  [[nodiscard]] result<void> queue_in(lane& mine, const message_view& m);
  [[nodiscard]] bool put(lane& mine, const message_view& m) noexcept;
  /// @return payload bytes that found room; `done` of them are in the ring before
  [[nodiscard]] std::size_t put_pieces(lane& mine, const message_view& m, std::size_t done) noexcept;
  void flush_turn();
  void flush(lane& one);
  /// Whether the sender of a lane should try again, or what is queued there.
  [[nodiscard]] static bool has_room(lane& one) noexcept;
  [[nodiscard]] bool peer_has_everything() noexcept;
  [[nodiscard]] bool waits(const lane& one) const noexcept { return one.was_full || !one.queue.empty(); }
  [[nodiscard]] std::unique_lock<std::mutex> locked(const lane& one) const {
    return many_ ? std::unique_lock(one.lock) : std::unique_lock<std::mutex>();
  }
  void count_traffic() noexcept;

  const std::string to_;
  const bool many_;
  const std::size_t view_least_;  // messages from this size
  const std::size_t view_span_;   // up to so many bytes more are handed out where they lie
  std::unique_ptr<connect_attempt> attempt_;
  std::unique_ptr<net::ring_link> link_;  // while up or closing
  net::watched_descriptor socket_;        // the link's
  bool aborted_ = false;                  // the link's socket is closed
  bool peer_gone_ = false;                // the socket has ended
  bool joined_ = false;                   // the next sleep_round

  std::vector<assembly> assemblies_;  // one for each incoming ring
  pooled_buffer copy_;                // with `copy`
  std::size_t next_ring_ = 0;
  bool in_batch_ = false;  // messages are being handed out
  bool pump_posted_ = false;
  bool bulk_ = false;                     // many records came of late
  std::optional<time_point> spin_until_;  // nothing came lately, and this is how long to look for more

  std::vector<std::unique_ptr<lane>> lanes_;
  std::size_t cut_lane_ = 0;  // in which the last connection took a message in part
  std::atomic<bool> flush_posted_{false};
  bool write_blocked_ = false;
  std::uint64_t positions_seen_ = 0;  // of the peer, when it was last asked whether it takes anything
  std::uint64_t bytes_counted_ = 0;   // in the context's totals
  rare<error> write_error_;
};

/// What connects to a shared-memory endpoint; it only queues until connect() is called.
[[nodiscard]] std::shared_ptr<channel_impl> make_ring_connecting(context& where, std::string url,
                                                                 std::shared_ptr<const options> with, std::string name);
/// Those who arrive at one.
[[nodiscard]] result<std::unique_ptr<arrivals>> ring_arrivals(context& where, const std::string& name,
                                                              std::shared_ptr<const options> with);

}  // namespace ferry::detail
