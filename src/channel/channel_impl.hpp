#pragma once
/// What every channel has, whatever carries it: handlers, the receive queue, waiting operations, the report of its end.
/// A carrier (streams here, rings elsewhere) derives from it and moves the messages.

#include <ferry/channel.hpp>

#include <memory>
#include <string>
#include <variant>

#include "base/rare.hpp"
#include "channel/receive_queue.hpp"
#include "channel/replaceable.hpp"
#include "channel/shared_url.hpp"
#include "channel/waiters.hpp"
#include "net/residents.hpp"

namespace ferry::detail {

class channel_impl : public channel_front, public std::enable_shared_from_this<channel_impl>, public resident {
 public:
  channel_impl(context& where, shared_url url, std::shared_ptr<const options> with, transport_traits traits);
  virtual ~channel_impl();

  // The carrier's part. Contracts as in <ferry/channel.hpp>.
  [[nodiscard]] virtual result<void> try_send(const message_view& m) = 0;
  virtual void half_close() = 0;
  virtual result<void> end_receiving() = 0;
  /// For a connecting end, once; nothing for an accepted one.
  virtual void connect() = 0;
  /// Ends at once for this reason. The report follows from the event loop.
  virtual void cut(const error& reason) = 0;
  [[nodiscard]] virtual std::string local_address() const { return {}; }
  [[nodiscard]] virtual channel_stats stats() = 0;
  virtual result<void> set_close_note(std::uint16_t code, std::string_view reason) {
    (void)code, (void)reason;
    return errc::unsupported;
  }
  [[nodiscard]] virtual std::optional<close_note> peer_close_note() const { return std::nullopt; }

  void on_message(std::function<void(const message_view&)> handler);
  [[nodiscard]] result<message> try_receive();
  void pause() noexcept {
    paused_ = true;
    undisturbed_ = false;
  }
  void resume();
  void on_up(std::function<void(const peer_info&)> handler);
  void on_down(std::function<void(const down_info&)> handler) { handlers_.rare().down = std::move(handler); }
  void on_drain(std::function<void()> handler) { handlers_.rare().drain = std::move(handler); }
  void on_peer_end(std::function<void()> handler) { handlers_.rare().peer_end = std::move(handler); }
  void on_connect_failure(std::function<void(const error&)> handler) {
    handlers_.rare().connect_failure = std::move(handler);
  }
  void on_attempt(std::function<void(attempt_step)> handler) { handlers_.rare().attempt = std::move(handler); }
  void on_poisoned(std::function<void(bytes)> handler) { handlers_.rare().poisoned = std::move(handler); }

  void start_send(const message_view& what, send_completion done);
  void start_flush(send_completion done);
  void start_receive(receive_completion done);
  void start_wait_up(send_completion done);
  void start_close(close_completion done, std::optional<options::duration> within);

  [[nodiscard]] channel_state state() const noexcept { return state_; }
  [[nodiscard]] const peer_info& peer() const;
  [[nodiscard]] const error& last_error() const noexcept { return told().last_error; }
  [[nodiscard]] transport_traits traits() const noexcept { return traits_; }
  [[nodiscard]] const options& settings() const noexcept { return *options_; }
  [[nodiscard]] const std::string& url() const noexcept { return url_.text(); }
  [[nodiscard]] std::any& user_data() { return user_data_.need(); }
  [[nodiscard]] int readiness_fd();
  [[nodiscard]] std::size_t messages_waiting() const noexcept { return queue_.messages(); }
  [[nodiscard]] context& where() const noexcept { return where_; }
  [[nodiscard]] boost::asio::io_context& io() const noexcept { return io_; }

  void abandon() noexcept override;
  [[nodiscard]] std::shared_ptr<resident> keep() noexcept override { return weak_from_this().lock(); }

 protected:
  /// Lets go of the connection, or of the attempt, as part of abandon().
  virtual void let_go() noexcept = 0;
  /// Where the close deadline starts, `within` instead of close_timeout if given; called before half_close().
  virtual void closing_begins(std::optional<options::duration> within) = 0;
  /// Whoever receives has taken all there was and asked for more. Where the peer has ended, so may our direction now.
  virtual void end_was_taken() = 0;
  /// Whether somebody who receives message by message has not come back yet, and may want to answer what it has.
  [[nodiscard]] bool receiver_is_busy() const noexcept { return pulled_ && !somebody_takes(); }
  /// There is something to be asked for: the end.
  void tell_receiver() { queue_.raise(); }
  /// Somebody asks for a message, none is queued, and there is no message handler. A carrier that hands out no more
  /// than is asked for delivers one now, if it has one.
  virtual void pull_one() {}
  /// Whether pull_one() would have one.
  [[nodiscard]] virtual bool could_pull() const { return false; }
  /// Whether a message that is delivered now goes to somebody who waits for it, not into the queue.
  [[nodiscard]] bool somebody_takes() const noexcept { return handlers_.message || receiver_waits(); }
  [[nodiscard]] bool has_message_handler() const noexcept { return handlers_.message != nullptr; }
  /// Whether somebody waits until what is queued was taken.
  [[nodiscard]] bool flush_wanted() const noexcept { return waiting_ && !waiting_->to_flush.empty(); }
  /// Whether report_progress() has nobody to tell.
  [[nodiscard]] bool nobody_waits() const noexcept { return !waiting_; }
  /// Reading may go on: resume() was called, or the receive queue has drained. Called by the event loop.
  virtual void resume_reading() = 0;
  /// Bytes that are queued and not taken by the kernel or ring.
  [[nodiscard]] virtual std::size_t unsent_bytes() const noexcept = 0;
  /// Bytes ever queued, the unsent ones included.
  [[nodiscard]] virtual std::uint64_t queued_bytes() const noexcept = 0;

  /// False while no message may be delivered.
  [[nodiscard]] bool wants_messages() const noexcept {
    return !paused_ && !receive_full_ && !handler_threw_ && state_ != channel_state::closed;
  }
  [[nodiscard]] const receive_queue& received() const noexcept { return queue_; }
  /// Hands a received message on. @return false: not taken; offer it again after resume_reading()
  [[nodiscard]] bool deliver(const message_view& m) {
    if (!wants_messages()) [[unlikely]]
      return false;
    if (!handlers_.message || !queue_.empty()) return enqueue(m);
    call_message_handler(m);
    if (next_message_handler_) [[unlikely]]
      change_message_handler();
    return true;
  }
  /// Whether the message handler has thrown and that has not left the event loop yet: nothing is delivered meanwhile.
  [[nodiscard]] bool handler_threw() const noexcept { return handler_threw_; }
  /// Between these two, a message handler that is replaced stays alive until it returns.
  void delivering_begins() noexcept {
    delivering_ = true;
    undisturbed_ = wants_messages() && handlers_.message && queue_.empty();
  }
  void delivering_ends() noexcept { delivering_ = undisturbed_ = false; }
  /// While delivering: whether the next message will be taken, by the handler. No longer once anything was done that
  /// may decide otherwise; deliver() knows then.
  [[nodiscard]] bool undisturbed() const noexcept { return undisturbed_; }
  /// deliver(), where undisturbed().
  void deliver_undisturbed(const message_view& m) {
    call_message_handler(m);
    if (!undisturbed_ && next_message_handler_) [[unlikely]]
      change_message_handler();
  }

  void enter(channel_state next) noexcept {
    state_ = next;
    undisturbed_ = false;
  }
  /// Whoever the peer is, while there is a connection.
  [[nodiscard]] virtual peer_info current_peer() const { return {}; }
  /// @param who  nothing: current_peer(), should anybody ask
  void report_up(std::optional<peer_info> who);
  void report_down(const down_info& info);
  /// After messages were taken: wakes whoever waited for room or for a flush, and tells the drain event if there is
  /// room below the low mark. @param was_full  try_send has returned full since the last drain event
  void report_progress(bool drained);
  void report_poisoned(bytes frame);
  /// @return false: nobody wants to decide what follows
  [[nodiscard]] bool report_peer_end();
  void report_connect_failure(const error& why);
  void report_attempt(attempt_step step) {
    if (const auto* set = handlers_.set()) set->attempt(io_, step);
  }
  /// For good: completes what waits, reports, lets go of the handlers. Called by the event loop, once.
  void ended(close_report report);

  context& where_;
  const std::shared_ptr<const options> options_;

 private:
  struct rare_handlers {
    replaceable<const peer_info&> up;
    replaceable<const down_info&> down;
    replaceable<> drain;
    replaceable<> peer_end;
    replaceable<bytes> poisoned;
    replaceable<const error&> connect_failure;
    replaceable<attempt_step> attempt;
  };
  // Many channels have a message handler only.
  class handler_set {
   public:
    std::function<void(const message_view&)> message;
    [[nodiscard]] rare_handlers& rare() {
      if (!rare_) rare_ = std::make_unique<rare_handlers>();
      return *rare_;
    }
    [[nodiscard]] const rare_handlers* set() const noexcept { return rare_.get(); }

   private:
    std::unique_ptr<rare_handlers> rare_;
  };

  struct waiting_operations {
    waiters<receive_completion, std::monostate> to_receive;
    waiters<send_completion, message_view> to_send;
    waiters<send_completion, std::uint64_t> to_flush;  // each with the position that it waits for
    waiters<send_completion, std::monostate> to_be_up;
  };
  [[nodiscard]] bool receiver_waits() const noexcept { return waiting_ && !waiting_->to_receive.empty(); }
  [[nodiscard]] bool sender_waits() const noexcept { return waiting_ && !waiting_->to_send.empty(); }

  // What there is to tell of connections and attempts that ended, and of the end of all.
  struct told_ends {
    error last_error = errc::closed;
    close_report report;
  };
  [[nodiscard]] const told_ends& told() const noexcept;

  [[nodiscard]] message copy_of(const message_view& m, pooled_buffer room) const;
  [[nodiscard]] bool enqueue(const message_view& m);
  void call_message_handler(const message_view& m) {
    try {
      handlers_.message(m);
    } catch (...) {
      message_handler_threw();
    }
  }
  void message_handler_threw();
  void change_message_handler();
  void deliver_queued();
  void pull();
  void after_pop();
  void post_resume();
  void resume_later();
  void serve_senders();
  void serve_flushes();

  boost::asio::io_context& io_;
  const std::shared_ptr<residents> residents_;
  const shared_url url_;
  transport_traits traits_;
  channel_state state_ = channel_state::connecting;
  bool paused_ = false;
  bool pulled_ = false;  // somebody has used try_receive, async_receive or the readiness descriptor
  bool receive_full_ = false;
  bool handler_threw_ = false;
  bool delivering_ = false;
  bool undisturbed_ = false;
  bool resume_posted_ = false;
  bool resume_timed_ = false;
  bool over_ = false;  // ended() was called
  handler_set handlers_;
  std::unique_ptr<std::function<void(const message_view&)>> next_message_handler_;  // set by the one that runs
  receive_queue queue_;
  rare<waiting_operations> waiting_;
  close_completion close_done_;
  rare<told_ends> told_;
  mutable std::unique_ptr<peer_info> peer_;  // once somebody has asked
  rare<std::any> user_data_;
};

}  // namespace ferry::detail
