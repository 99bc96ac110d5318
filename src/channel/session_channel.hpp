#pragma once
/// A channel with a persistent session: what is sent lies in a file until the peer has consumed it for good, and what
/// is received was consumed, answered and counted in one step. Which connection carries it, and how often there is a
/// new one, shows in nothing but on_up() and on_down(). Source: docs/sessions.md.
///
/// A message handler is a transaction: its message, what it sends over this channel and the state that it sets become
/// one step when it returns. Whoever receives without a handler has consumed a message when it is handed out.

#include <ferry/session.hpp>

#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "channel/arrivals.hpp"
#include "channel/link_channel.hpp"
#include "channel/session_carrier.hpp"
#include "channel/stream_channel.hpp"
#include "os/session_store.hpp"

namespace ferry::detail {

/// Where the connecting end of a session goes: over a stream, or to a shared-memory endpoint.
struct session_destination {
  std::unique_ptr<destination> stream;  // null: memory
  std::string memory;
};

/// What whoever asks for a session hears that nobody has open any more.
[[nodiscard]] inline session::login_decision nobody_has_it() {
  session::login_decision all;
  all.action = session::login_action::resume;
  return all;
}

class session_channel final : public link_channel {
 public:
  /// @param with  as session_options() made them
  session_channel(context& where, std::string url, std::shared_ptr<const options> with,
                  std::unique_ptr<os::session_store> store, std::unique_ptr<session_destination> to);
  ~session_channel() override;

  // The listening end

  /// Somebody has logged in under our peer's name: answers, and takes the connection over if the sides fit together.
  /// `done` is called once, perhaps from inside this call: then start() or come_back() follows, or why not.
  void welcome(std::unique_ptr<net::greeting> from, net::heard_login heard, session::login said,
               std::function<void(result<void>)> done);
  /// After the first one, once whoever listens has the channel. That connection may have gone meanwhile.
  void start(std::shared_ptr<void> slot) {
    started_ = true;
    accepted(std::move(slot));
  }
  /// After another one; nothing before start().
  void come_back();
  using decided = std::function<void(const session::login_decision&)>;
  /// Its peer has logged in at another event loop, where the session goes on if both sides fit together: then this
  /// channel ends once what was committed is on the disk, and its files are free when the event loop has turned.
  /// @param said  becomes what is known here of its numbers @param then  as decide_login(); stop: nothing has happened.
  /// Called once, perhaps from inside this call, unless this channel goes before
  void leave_to(const std::shared_ptr<session::login>& said, decided then);
  /// @return whether this is the first welcome() that succeeded
  [[nodiscard]] bool announce() noexcept { return !std::exchange(announced_, true); }
  [[nodiscard]] bool gone() const noexcept { return store_ == nullptr || refuses_; }

  // Transactions; contracts as in ferry::transaction

  [[nodiscard]] result<void> begin();
  [[nodiscard]] result<message_view> receive();
  [[nodiscard]] result<void> set_state(bytes to);
  [[nodiscard]] result<std::uint64_t> commit();
  void abort() noexcept;
  [[nodiscard]] result<void> give_back();
  [[nodiscard]] result<void> try_send(const message_view& m) override;
  [[nodiscard]] bytes kept_state() const;
  [[nodiscard]] session_info info();
  void start_wait_input(send_completion done);
  void start_wait_durable(send_completion done);
  [[nodiscard]] channel_stats stats() override;

  // For the carriers

  [[nodiscard]] session::persistent_session& session() noexcept { return store_->session(); }
  [[nodiscard]] os::session_store& store() noexcept { return *store_; }
  [[nodiscard]] std::unique_lock<std::mutex> locked() const {
    return many_ ? std::unique_lock(lock_) : std::unique_lock<std::mutex>();
  }
  /// Hands inputs out, each in a transaction. @return how many were taken
  [[nodiscard]] std::size_t take_inputs(std::optional<error>& wrong);
  /// Whether inputs are wanted; where not, and there are some, whoever might ask for them is told.
  [[nodiscard]] bool takes_inputs() const noexcept;
  void inputs_wait();
  [[nodiscard]] bool receives() const noexcept { return receiving(); }
  [[nodiscard]] bool sending_has_ended() const noexcept { return sending_ended(); }
  /// What was sent before this position of our ring was consumed, which somebody waits for; 0: nobody waits.
  [[nodiscard]] std::uint64_t wanted_position();
  /// The peer's position may have moved, or something was written.
  void progressed() { after_write(); }
  void failed(const error& why) { read_failed(why == errc::message_too_large ? held_up_by(why) : why); }
  void count_read(std::size_t n);
  void count_write(std::size_t n);
  void count_wait() { stats_.reads += 1; }
  void count_wake() noexcept { wakes_.fetch_add(1, std::memory_order_relaxed); }
  /// The files are still open.
  [[nodiscard]] bool is_open() const noexcept { return store_ != nullptr; }
  void heard_something() {
    where_.totals().messages_received.add(std::exchange(uncounted_, 0));
    deadlines_.on_read(now());
    arm_timer();
  }
  void write_waits() { deadlines_.on_write_pending(now()); }
  void write_goes_on() { deadlines_.on_write_progress(now()); }
  void write_failed(const error& why) { write_error_ = why; }
  [[nodiscard]] bool many() const noexcept { return many_; }

 private:
  /// A message that joins its transaction when that is committed.
  struct kept_message {
    std::vector<std::byte> payload;
    message_kind kind;
    std::uint16_t type;
  };
  enum class step : std::uint8_t {
    none,     ///< no transaction is open
    handler,  ///< a message handler runs
    held      ///< somebody holds one
  };

  // channel_impl
  void resume_reading() override;
  void pull_one() override;
  [[nodiscard]] bool could_pull() const override { return carrier_ && !aborted_ && carrier_->waiting().messages != 0; }
  [[nodiscard]] std::size_t unsent_bytes() const noexcept override;
  [[nodiscard]] std::uint64_t queued_bytes() const noexcept override;
  [[nodiscard]] peer_info current_peer() const override { return arrived_; }

  // link_channel
  void begin_attempt() override;
  void end_attempt() noexcept override;
  [[nodiscard]] bool attempting() const noexcept override { return attempt_ != nullptr || greeting_ != nullptr; }
  [[nodiscard]] bool attached() const noexcept override { return carrier_ != nullptr; }
  [[nodiscard]] std::optional<peer_info> begin_connection() override;
  void begin_flow() override;
  void abort_connection() noexcept override;
  [[nodiscard]] remains end_connection() override;
  [[nodiscard]] result<void> end_sending() override;
  void post_flush() override;
  [[nodiscard]] bytes first_frame() const noexcept override { return {}; }
  void drop_first_frame() noexcept override {}
  taken drop_queue() noexcept override;
  void complete_rest() override;
  void drop_rest() noexcept override;
  void read_what_is_left() override {}
  [[nodiscard]] bool take_was_full() override;
  [[nodiscard]] const rare<error>& write_error() const noexcept override { return write_error_; }
  [[nodiscard]] bool write_blocked() const noexcept override { return carrier_ && carrier_->write_blocked(); }
  [[nodiscard]] std::size_t pending_bytes() const noexcept override { return carrier_ ? carrier_->pending() : 0; }
  [[nodiscard]] bool outlives_connection() const noexcept override { return !to_ && receiving(); }

  // Logging in
  void greet();
  void say_login();
  void answer_heard(result<net::heard_login> heard);
  [[nodiscard]] result<void> accept_answer(const session::login& answer, os::unique_fd ring);
  void name_peer(const std::string& name, std::function<void(result<void>)> then);
  void begin_anew(const session::login_decision& decision, const std::string& peer);
  [[nodiscard]] session::local_side self();
  [[nodiscard]] session::login_decision decide(const session::login& said);
  [[nodiscard]] std::uint64_t its_end(const session::login& said);
  void welcome_later(std::unique_ptr<net::greeting> from, net::heard_login heard, session::login said,
                     std::function<void(result<void>)> done);
  [[nodiscard]] result<void> welcome_now(net::greeting& from, net::heard_login& heard, const session::login& said,
                                         const session::login_decision& decision);
  [[nodiscard]] result<void> attach(net::greeting& connection, os::unique_fd ring, const session::login& peer);
  [[nodiscard]] result<void> say(net::greeting& to, const session::login& what);
  [[nodiscard]] std::uint32_t most_we_take() const noexcept;

  // Transactions
  [[nodiscard]] bool is_silent(const message_view& m) const noexcept {
    return m.payload.empty() && !options_->deliver_empty;
  }
  [[nodiscard]] bool hand_over(const message_view& m);
  [[nodiscard]] std::size_t take_straight();
  [[nodiscard]] bool nothing_there();
  [[nodiscard]] bool send_straight(const message_view& m);
  [[nodiscard]] bool joins() const;
  [[nodiscard]] result<void> admit(const message_view& m);
  [[nodiscard]] error held_up_by(const error& why);
  [[nodiscard]] result<std::uint64_t> commit_now();
  [[nodiscard]] std::uint64_t kept_end();
  [[nodiscard]] bool send_kept();
  void found_full();
  void went_out(bool disk_too);
  void undo() noexcept;
  void forget_transaction() noexcept;
  void break_transaction() noexcept;
  [[nodiscard]] result<void> usable() const;

  // The disk
  void sync_soon();
  void sync_now();
  void synced(const result<void>& outcome);
  /// `then` learns whether it has become durable before the channel ended.
  void when_durable(std::uint64_t number, std::function<void(bool)> then);
  /// The same for everything that was committed before, and what is under way.
  void when_all_durable(std::function<void(bool)> then);
  void disk_failed(const error& why);
  [[nodiscard]] bool rests() const;
  [[nodiscard]] bool restarts() const;
  void tell_durable();

  const std::unique_ptr<session_destination> to_;  // null: an accepted end
  const bool many_;
  const bool disk_;
  mutable std::mutex lock_;  // with senders=many it guards the session; else only the context's thread comes here
  std::unique_ptr<os::session_store> store_;  // until the channel has ended
  bool announced_ = false;                    // to whoever listens
  bool started_ = false;

  std::unique_ptr<connect_attempt> attempt_;
  std::unique_ptr<net::greeting> greeting_;
  session::login sent_;
  int restarts_ = 0;             // of the session in this attempt
  std::uint64_t discarded_ = 0;  // messages of ours, where the two sides began anew
  std::uint64_t login_number_ = 0;
  std::shared_ptr<session_carrier> carrier_;
  peer_info arrived_;
  std::size_t peer_takes_;        // bytes of a message; until it has said so, what we take
  bool mapped_its_ring_ = false;  // some connection of this object did
  bool aborted_ = false;
  bool straight_ = false;  // records may be taken where they lie, each as a step of its own
  rare<error> write_error_;

  step step_ = step::none;
  std::atomic<std::thread::id> begun_by_{};  // by which thread, where it is held
  std::size_t consumed_ = 0;                 // inputs, by the open transaction
  bool broken_ = false;                      // the connection has gone under it
  bool given_back_ = false;                  // by the handler that runs
  bool held_back_ = false;                   // the next input was given back, and waits for resume() or room
  std::vector<kept_message> kept_;           // outputs of an open transaction, except a handler's where senders=one
  std::uint64_t kept_from_ = 0;              // the ring's tail, behind which they go
  std::uint64_t kept_end_ = 0;               // where they will end
  std::array<std::byte, session::persistent_session::k_small> answer_room_;  // of a handler's first small answer
  bool was_full_ = false;
  bool flush_posted_ = false;
  bool in_batch_ = false;
  std::uint64_t uncounted_ = 0;  // messages, in the context's totals
  waiters<send_completion, std::monostate> input_waiters_;

  std::atomic<std::uint64_t> wakes_{0};

  bool syncing_ = false;
  std::atomic<bool> sync_posted_{false};
  /// What these hold belongs to this channel, and does not keep it.
  struct durable_waiter {
    std::uint64_t number;
    std::function<void(bool)> then;
  };
  std::deque<durable_waiter> durable_waiters_;
  error_code disk_failure_;
  bool completed_ = false;            // complete_rest() was called
  std::function<void()> after_sync_;  // for who needs that none is under way
};

/// What the options of a session's channel are: its queue is the ring, and its limit what that takes.
[[nodiscard]] std::shared_ptr<const options> session_options(const options& with, std::size_t ring_bytes,
                                                             std::size_t max_payload);
/// Opens the files of a session. @param peer  empty: not known yet
[[nodiscard]] result<std::unique_ptr<os::session_store>> open_session_files(const options& with,
                                                                            const std::string& peer);

/// What connects; it only queues until connect() is called. @return what opening the files said
[[nodiscard]] result<std::shared_ptr<channel_impl>> make_session_connecting(context& where, std::string url,
                                                                            const std::shared_ptr<const options>& with,
                                                                            std::unique_ptr<session_destination> to);
/// Those who log in at a listening endpoint, each session once.
[[nodiscard]] std::unique_ptr<arrivals> session_arrivals(context& where, std::unique_ptr<net::greeting_source> from,
                                                         std::shared_ptr<const options> with);

}  // namespace ferry::detail
