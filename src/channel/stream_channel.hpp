#pragma once
/// A channel over a stream: framing, batching, back-pressure.
#include <mutex>

#include "channel/inbound.hpp"
#include "channel/inbound_messages.hpp"
#include "channel/link_channel.hpp"
#include "channel/parts_sender.hpp"
#include "codec/parts_framing.hpp"
#include "net/bare_wait.hpp"
#include "net/message_source.hpp"
#include "os/brief_lock.hpp"

namespace ferry::detail {

/// Where a connecting end goes; null for an accepted one.
struct destination {
  std::shared_ptr<stream_transport> transport;
  endpoint where;
};

template <codec::framing F>
class stream_channel final : public link_channel, private stream_events, private net::bare_reader {
 public:
  stream_channel(context& where, shared_url url, std::shared_ptr<const options> with, std::unique_ptr<destination> to);
  ~stream_channel() override;

  /// Starts on a stream that is connected; for an accepted end, once. `slot` is let go of when the channel ends.
  void start(std::shared_ptr<stream> connected, std::shared_ptr<void> slot);

  [[nodiscard]] result<void> try_send(const message_view& m) override;
  [[nodiscard]] channel_stats stats() override;
  result<void> set_close_note(std::uint16_t code, std::string_view reason) override;
  [[nodiscard]] std::optional<close_note> peer_close_note() const override;
  [[nodiscard]] std::string local_address() const override {
    return stream_ ? stream_->local_address() : std::string();
  }

 private:
  // channel_impl
  void resume_reading() override;
  [[nodiscard]] std::size_t unsent_bytes() const noexcept override {
    return outbox_.byte_count() + (staging_ ? staging_->bytes.load(std::memory_order_relaxed) : 0);
  }
  [[nodiscard]] std::uint64_t queued_bytes() const noexcept override {
    return taken_bytes_ + outbox_.on_this_connection_at_least().bytes + unsent_bytes();
  }

  // link_channel
  void begin_attempt() override;
  void end_attempt() noexcept override { attempt_.reset(); }
  [[nodiscard]] bool attempting() const noexcept override { return attempt_ != nullptr; }
  [[nodiscard]] bool attached() const noexcept override { return stream_ != nullptr; }
  [[nodiscard]] std::optional<peer_info> begin_connection() override;
  [[nodiscard]] peer_info current_peer() const override { return stream_ ? stream_->peer() : peer_info(); }
  void begin_flow() override { arm_read(); }
  void abort_connection() noexcept override;
  [[nodiscard]] remains end_connection() override;
  [[nodiscard]] result<void> end_sending() override { return stream_->shutdown_write(); }
  [[nodiscard]] result<void> stop_receiving() override { return stream_->shutdown_read(); }
  void post_flush() override;
  [[nodiscard]] bytes first_frame() const noexcept override { return outbox_.first_frame(); }
  void drop_first_frame() noexcept override;
  taken drop_queue() noexcept override;
  void read_what_is_left() override;
  [[nodiscard]] bool take_was_full() override;
  [[nodiscard]] bool ask_for_life() noexcept override { return stream_ && stream_->ask_for_life(); }
  [[nodiscard]] const rare<error>& write_error() const noexcept override { return write_error_; }
  [[nodiscard]] bool write_blocked() const noexcept override { return write_blocked_; }
  [[nodiscard]] std::size_t pending_bytes() const noexcept override { return inbound_.pending(); }
  [[nodiscard]] bool peer_gave_up() const noexcept override;

  // stream_events, bare_reader
  void on_read(result<std::size_t> outcome) override;
  void on_readable() override;
  void on_writable() override;

  // Reading
  void pump(bool more);
  void arm_read();
  void pump_later(bool more);
  void count_read(std::size_t n);
  [[nodiscard]] bool take(const message_view& m);
  /// `wrong` is set if the peer broke the rules, or the connection broke. @return how many were taken
  std::uint64_t take_messages(std::optional<error>& wrong);
  /// @return bytes that came now, 0: none
  [[nodiscard]] std::size_t read_more(std::optional<error>& wrong);
  [[nodiscard]] result<std::size_t> read_once();
  [[nodiscard]] std::size_t spin_for_bytes(bool answers, std::optional<error>& wrong);

  /// Tells the peer that we end without having read everything it sent, if so.
  void say_given_up() noexcept;

  // Writing
  [[nodiscard]] bool admits(const message_view& m, std::size_t waiting_bytes, std::size_t waiting_messages) const;
  [[nodiscard]] error refusal(const message_view& m) const;
  [[nodiscard]] result<void> try_send_alone(const message_view& m);
  [[nodiscard]] result<void> try_send_shared(const message_view& m);
  [[nodiscard]] bool is_lone_answer(const message_view& m) const noexcept;
  [[nodiscard]] bool keep_lone_answer(const message_view& m);
  [[nodiscard]] bool may_pass_the_queue() const noexcept {
    return outbox_.empty() && stream_ && !write_blocked_ && !write_error_;
  }
  [[nodiscard]] bool passed_the_queue(const message_view& m, std::size_t all, std::size_t taken);
  [[nodiscard]] bool send_directly(const message_view& m);
  void count_write(std::size_t n);
  /// Whether after_write() has nothing to do but to tell the deadlines: nearly always.
  [[nodiscard]] bool all_is_written() const noexcept {
    return outbox_.empty() && !write_blocked_ && !write_error_ && !was_full_ && !staging_ && nobody_waits() &&
           stream_ && !sending_ends();
  }
  void write_some();
  void flush_turn();
  void post_staged();
  void collect_staged();
  void publish_outbox() noexcept;
  /// Parts whose beginning is gone. @return how many there were
  std::uint64_t drop_orphans() noexcept;

  std::unique_ptr<destination> to_;
  std::unique_ptr<connect_attempt> attempt_;
  std::shared_ptr<stream> stream_;  // while up or closing
  net::bare_wait* bare_ = nullptr;  // the same, if it can

  std::conditional_t<codec::carries_parts<F>, inbound_messages, inbound<F>> inbound_;
  std::size_t room_size_ = 0;  // of the read that is under way
  bool read_armed_ = false;
  bool in_batch_ = false;  // messages are being delivered: what is sent now goes out in one batch afterwards
  bool pump_posted_ = false;
  bool bulk_ = false;           // the last bytes came in large pieces
  bool write_blocked_ = false;  // on_writable comes
  bool flush_posted_ = false;
  bool was_full_ = false;
  std::uint8_t lone_answers_ = 0;         // batches in a row that had one answer, up to k_lone_answers
  std::uint32_t answers_ = 0;             // messages sent in this batch
  std::optional<time_point> spin_until_;  // nothing came lately, and this is how long to look for more

  outbox<F> outbox_;
  rare<error> write_error_;
  /// Only where messages are carried in parts.
  struct nothing {};
  [[no_unique_address]] std::conditional_t<codec::carries_parts<F>, parts_sender, nothing> parts_;
  std::unique_ptr<close_note> our_note_, peers_note_;  // to be told, and told on the last connection
  std::uint64_t unread_at_cut_ = 0;                    // bytes in the kernel that nobody will read

  // Other threads put their messages here, in the order in which they come.
  struct staging {
    staging(buffer_pool& pool, std::size_t batch_bytes) noexcept : queue(pool, batch_bytes) {}
    os::brief_lock lock;
    outbox<F> queue;        // guarded by lock
    bool told = false;      // guarded by lock: the io_context has been
    bool was_full = false;  // guarded by lock
    std::atomic<std::size_t> bytes{0};
    std::atomic<std::size_t> outbox_bytes{0};  // what the other threads see of outbox_
    std::atomic<std::size_t> outbox_messages{0};
  };
  const std::unique_ptr<staging> staging_;  // with senders=many
};

/// Makes the channel for the framing that the stream's shape and the options ask for.
struct made_channel {
  std::shared_ptr<channel_impl> impl;
  std::function<void(std::shared_ptr<stream>, std::shared_ptr<void>)> start;  // for an accepted end
};
[[nodiscard]] made_channel make_accepted(context& where, const shared_url& url, std::shared_ptr<const options> with,
                                         stream_shape shape);
/// It only queues until connect() is called.
[[nodiscard]] std::shared_ptr<channel_impl> make_connecting(context& where, std::string url,
                                                            std::shared_ptr<const options> with,
                                                            std::unique_ptr<destination> to);

}  // namespace ferry::detail
