// A session carried by a stream: a pump reads our ring and sends, what comes in is handed out where it lies.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "channel/inbound.hpp"
#include "channel/session_channel.hpp"
#include "codec/session_frame.hpp"
#include "session/heartbeat.hpp"
#include "session/stream_talk.hpp"

namespace ferry::detail {
namespace {

namespace asio = boost::asio;
using codec::session_frame_kind;
using codec::session_framing;

constexpr int k_reads_per_turn = 16;           // then other channels have their turn
constexpr std::size_t k_probably_more = 4096;  // so much at once: the kernel has more
constexpr auto k_spin_turn = std::chrono::microseconds(50);
constexpr int k_looks_per_clock = 8;
// What was consumed is acknowledged after so long, unless something else says it before.
constexpr auto k_ack_delay = std::chrono::milliseconds(1);

class session_stream final : public session_carrier,
                             public std::enable_shared_from_this<session_stream>,
                             private stream_events {
 public:
  session_stream(session_channel& of, std::shared_ptr<net::stream_line> line)
      : of_(of),
        line_(std::move(line)),
        in_(of.where().buffers(), of.settings().max_message, of.settings().batch_bytes),
        heart_({of.settings().heartbeat, 3}),
        beat_(of.where().io()),
        ack_timer_(of.where().io()) {}
  ~session_stream() override { close(); }

  [[nodiscard]] result<void> attach(std::uint64_t peer_ack) override {
    const auto& out = of_.session().output();
    return talk_.start(out.data(), out.line(), peer_ack, of_.session().acknowledged());
  }
  void begin() override {
    line_->lead_to(this, of_.weak_from_this());
    heart_.on_up(now());
    arm_heart();
    arm_read();
    post_turn();
  }

  // What came: [ passed: consumed by the open transaction | looked at | seen_ | incomplete ]

  [[nodiscard]] std::optional<message_view> next(std::optional<error>& wrong) override {
    while (passed_ < seen_) {
      const auto frame = in_.peek(passed_);  // whole and checked: look_at_frames() has seen it
      if (!frame) return wrong = frame.error(), std::nullopt;
      if (frame->message.carries_message()) {
        next_size_ = frame->consumed;
        return frame->message.view;
      }
      passed_ += frame->consumed;
      if (held_ == 0) drop_passed();
    }
    return {};
  }
  void advance() noexcept override {
    passed_ += next_size_;
    held_ += 1;
    talk_.took(next_size_);
    of_.session().pop_elsewhere();
  }
  void committed() noexcept override { drop_passed(); }
  void rewind() noexcept override { passed_ = held_ = 0; }

  void outputs() noexcept override {
    if (of_.many() || !in_turn_) post_turn();
  }
  void settled() noexcept override {
    if (!in_turn_) post_turn();
  }
  void wants_room() noexcept override {
    wants_answer_ = true;
    post_turn();
  }
  void read_on() override { post_turn(); }
  [[nodiscard]] result<void> end() override {
    // The stream itself stays open: what the peer still sends is acknowledged.
    say(session_frame_kind::end);
    write_some(false);
    return {};
  }
  [[nodiscard]] bool write_blocked() const noexcept override { return write_blocked_; }
  [[nodiscard]] std::size_t pending() const noexcept override { return in_.pending() - seen_; }
  [[nodiscard]] backlog waiting() const override {
    backlog all;
    for (std::size_t at = passed_; at < seen_;) {
      const auto frame = in_.at(at);
      if (!frame) break;
      if (frame->message.carries_message()) {
        all.messages += 1;
        all.payload += frame->message.view.payload.size();
      }
      at += frame->consumed;
    }
    return all;
  }
  void close() noexcept override {
    if (closed_) return;
    closed_ = true;
    beat_.cancel();
    ack_timer_.cancel();
    line_->close();
  }

 private:
  [[nodiscard]] static time_point now() { return std::chrono::steady_clock::now(); }
  [[nodiscard]] std::uint64_t acknowledged() {
    const auto guard = of_.locked();
    return of_.session().acknowledged();
  }

  // Reading ---------------------------------------------------------------------------------------

  void on_read(result<std::size_t> outcome) override {
    read_armed_ = false;
    if (!outcome) return ended(outcome.error());
    filled(*outcome);
    turn(*outcome >= armed_room_);
  }

  // Only a frame says that the peer ends in order; a process that was killed ends its streams too.
  void ended(const error& why) {
    of_.failed(why == errc::end_of_stream ? error(errc::reset, "the peer died, or cut the connection") : as_loss(why));
  }
  // Over TLS an end without close_notify is `truncated`, as somebody may have cut off what was sent, for who writes
  // into it too; here what was cut off comes again.
  [[nodiscard]] static error as_loss(const error& why) {
    return why == errc::truncated ? error(errc::reset, why.text(), why.system_errno()) : why;
  }

  void filled(std::size_t n) {
    in_.filled(n);
    of_.count_read(n);
    heard_ = true;
  }

  void post_turn() {
    // On one thread alone a look is enough; among several, whoever publishes must not overtake the look.
    if (!of_.many() && turn_posted_.load(std::memory_order_relaxed)) return;
    if (turn_posted_.exchange(true)) return;
    asio::post(of_.where().io(), [owner = of_.weak_from_this(), self = shared_from_this()] {
      const auto keep = owner.lock();
      self->turn_posted_ = false;
      if (keep && !self->closed_) self->turn(false);
    });
  }

  void turn(bool more) {
    const auto keep = of_.shared_from_this();
    std::optional<error> wrong;
    in_turn_ = true;
    bool untaken = false;  // messages are left that are wanted
    bool unread = false;   // what was read last was not looked at
    for (int i = 0; i < k_reads_per_turn; ++i) {
      unread = false;
      look_at_frames(wrong);
      // What lies before a message that is too large is taken first: whoever skips that one must not skip another.
      std::optional<error> behind;
      if (wrong == errc::message_too_large && passed_ < seen_) std::swap(wrong, behind);
      if (!wrong && of_.take_inputs(wrong) != 0) heard_ = true;
      if (behind && !wrong && !closed_ && passed_ == seen_) wrong = behind;
      if (wrong || closed_) break;
      untaken = of_.takes_inputs() && passed_ < seen_;
      write_some(false);
      if (behind && !untaken) break;
      if (!has_room()) break;
      if (untaken) continue;
      const std::size_t got = read_armed_ ? 0 : more ? read_more(wrong) : spin_for_bytes(wrong);
      if (wrong || got == 0) {
        more = false;
        break;
      }
      more = got >= k_probably_more;
      unread = true;
    }
    in_turn_ = false;
    if (closed_) return;
    finish_turn(wrong, more || untaken || unread);
  }

  void finish_turn(const std::optional<error>& wrong, bool more) {
    if (std::exchange(heard_, false)) {
      heart_.on_answer(now());
      of_.heard_something();
    }
    if (wrong) return ended(*wrong);
    std::optional<error> unused;
    const bool waits = next(unused).has_value();
    if (talk_.peer_ended() && !waits && held_ == 0 && of_.receives()) of_.failed(errc::end_of_stream);
    if (closed_) return;
    write_some(true);
    of_.progressed();
    if (closed_) return;
    if (waits && !of_.takes_inputs()) of_.inputs_wait();
    if (more || spin_until_) return post_turn();
    settle();
    arm_read();
  }

  // Acknowledgements lie behind messages that nobody takes, so reading goes on for a while.
  [[nodiscard]] bool has_room() const noexcept {
    return of_.takes_inputs() || in_.pending() < of_.settings().receive_queue_bytes;
  }

  // What whole frames say besides their messages; once for each.
  void look_at_frames(std::optional<error>& wrong) {
    while (!wrong && seen_ < in_.pending()) {
      const auto frame = in_.peek(seen_);
      if (!frame) return void(wrong = frame.error());
      if (frame->consumed == 0) return;
      if (const auto counts = talk_.hear(frame->message); !counts) return void(wrong = counts.error());
      seen_ += frame->consumed;
    }
  }

  void drop_passed() noexcept {
    in_.drop(passed_);
    seen_ -= passed_;
    passed_ = held_ = 0;
  }

  [[nodiscard]] result<mutable_bytes> room(bool flowing) {
    const bool keeps = held_ != 0 || !of_.takes_inputs();
    if (keeps) in_.keep_more();
    return in_.room(flowing || keeps);
  }
  [[nodiscard]] std::size_t read_more(std::optional<error>& wrong) {
    const auto to = room(true);
    if (to) return read_into(*to, wrong);
    if (of_.takes_inputs()) wrong = to.error();
    return 0;
  }
  [[nodiscard]] std::size_t read_into(mutable_bytes room, std::optional<error>& wrong) {
    const auto n = line_->at().try_read(room);
    if (!n) {
      if (n.error() != errc::would_block) wrong = n.error();
      return 0;
    }
    filled(*n);
    spin_until_.reset();
    return *n;
  }

  // With `spin`, looks again and again for a while instead of going to sleep, in turns, so that others have theirs.
  [[nodiscard]] std::size_t spin_for_bytes(std::optional<error>& wrong) {
    const auto window = of_.settings().spin;
    if (window.count() == 0 || read_armed_) return 0;
    const auto to = room(true);
    if (!to) return wrong = to.error(), 0;
    const auto begin = now();
    if (!spin_until_) spin_until_ = begin + window;
    for (auto at = begin; at < *spin_until_ && at < begin + k_spin_turn; at = now())
      for (int i = 0; i < k_looks_per_clock; ++i)
        if (const std::size_t n = read_into(*to, wrong); n != 0 || wrong) return n;
    if (now() >= *spin_until_) spin_until_.reset();
    return 0;
  }

  void arm_read() {
    if (read_armed_ || !has_room()) return;
    const auto to = room(false);
    // Without a buffer for what nobody takes, it waits in the kernel.
    if (!to) return of_.takes_inputs() ? of_.failed(to.error()) : void();
    read_armed_ = true;
    armed_room_ = to->size();
    line_->at().async_read(*to);
  }

  // Writing ---------------------------------------------------------------------------------------

  void on_writable() override {
    write_blocked_ = false;
    of_.write_goes_on();
    turn(false);
  }

  /// @param told  what was consumed is acknowledged, also where nothing else is to be sent
  void write_some(bool told) {
    while (!write_blocked_ && !failed_) {
      fill();
      if (talk_.takes_header(buffer()) && wants_answer_.exchange(false)) say(session_frame_kind::question);
      if (talk_.idle()) {
        if (!told || !acknowledges_now()) return;
        say(session_frame_kind::acknowledgement);
        if (failed_) return;
      }
      const auto parts = talk_.unwritten(buffer());
      const auto n = line_->at().try_write(parts);
      if (!n) {
        if (n.error() == errc::would_block) {
          write_blocked_ = true;
          of_.write_waits();
          line_->at().async_wait_writable();
        } else {
          failed_ = true;
          of_.write_failed(as_loss(n.error()));
        }
        return;
      }
      written(*n);
    }
  }

  // Whether an acknowledgement goes out alone.
  [[nodiscard]] bool acknowledges_now() {
    const std::uint64_t consumed = acknowledged();
    if (talk_.owes(consumed)) return true;
    if (talk_.untold(consumed) != 0 && !std::exchange(ack_timer_set_, true)) {
      ack_timer_.expires_after(k_ack_delay);
      ack_timer_.async_wait([owner = of_.weak_from_this(), self = weak_from_this()](const auto& cancelled) {
        const auto keep = owner.lock();
        const auto alive = self.lock();
        if (!cancelled && keep && alive && !alive->closed_) alive->acknowledge();
      });
    }
    return false;
  }
  void acknowledge() {
    ack_timer_set_ = false;
    if (talk_.untold(acknowledged()) != 0) talk_.owe();
    write_some(true);
    of_.progressed();
  }

  void written(std::size_t n) {
    of_.count_write(n);
    heart_.on_sent(now());
    talk_.written(n);
  }

  // Records that wait, as frames.
  void fill() {
    if (talk_.records_wait() && make_room())
      if (const auto filled = talk_.fill(buffer(), acknowledged()); !filled) return cannot_go_on(filled.error());
    if (talk_.corrupt()) cannot_go_on(error(errc::corrupt, "our own records are damaged"));
  }
  void cannot_go_on(const error& why) {
    failed_ = true;
    of_.write_failed(why);
  }

  [[nodiscard]] mutable_bytes buffer() const noexcept { return {out_.data(), out_.capacity()}; }
  [[nodiscard]] bool make_room() {
    if (out_) return true;
    out_ = of_.where().buffers().acquire(std::max<std::size_t>(of_.settings().batch_bytes, 4096));
    if (out_) return true;
    cannot_go_on(error(errc::no_memory, "no buffer for sending"));
    return false;
  }
  void say(session_frame_kind what) {
    if (make_room()) talk_.say(what, buffer(), acknowledged());
  }

  // The large buffers go back when nothing flows.
  void settle() {
    if (!read_armed_) in_.settle();
    if (talk_.idle()) out_.reset();
  }

  // Time ------------------------------------------------------------------------------------------

  void arm_heart() {
    const auto next = heart_.next();
    if (!next) return;
    beat_.expires_at(*next);
    beat_.async_wait([owner = of_.weak_from_this(), self = weak_from_this()](const auto& cancelled) {
      const auto keep = owner.lock();
      const auto alive = self.lock();
      if (!cancelled && keep && alive && !alive->closed_) alive->beat();
    });
  }
  void beat() {
    switch (heart_.on_timer(now())) {
      case session::heartbeat_action::none: break;
      case session::heartbeat_action::ask: ask(); break;
      case session::heartbeat_action::dead:
        return of_.failed(error(errc::timeout, "heartbeat: no sign of the peer for three times " +
                                                   get_option(of_.settings(), "heartbeat")));
    }
    if (!closed_) arm_heart();
  }
  void ask() {
    wants_answer_ = true;
    write_some(false);
    of_.progressed();
  }

  session_channel& of_;
  std::shared_ptr<net::stream_line> line_;
  bool closed_ = false;

  inbound<session_framing> in_;
  std::size_t passed_ = 0;
  std::size_t seen_ = 0;
  std::size_t next_size_ = 0;
  std::size_t held_ = 0;  // messages that the open transaction has consumed
  std::size_t armed_room_ = 0;
  bool read_armed_ = false;
  bool heard_ = false;
  std::optional<time_point> spin_until_;
  std::atomic<bool> turn_posted_{false};
  bool in_turn_ = false;

  session::stream_talk talk_;
  pooled_buffer out_;
  std::atomic<bool> wants_answer_{false};
  bool write_blocked_ = false;
  bool failed_ = false;

  session::heartbeat heart_;
  asio::steady_timer beat_;
  asio::steady_timer ack_timer_;
  bool ack_timer_set_ = false;
};

}  // namespace

std::shared_ptr<session_carrier> carry_by_stream(session_channel& session, net::greeting& connection) {
  return std::make_shared<session_stream>(session, static_cast<net::stream_greeting&>(connection).take());
}

}  // namespace ferry::detail
