// What a session's channel does with messages: transactions and sending.
#include "channel/session_channel.hpp"

#include <boost/asio/post.hpp>

#include "channel/describe.hpp"
#include "channel/water_marks.hpp"

namespace ferry::detail {
namespace asio = boost::asio;

namespace {

constexpr std::size_t k_inputs_per_look = 256;  // then what was sent goes out
constexpr std::size_t k_sum_bytes = 8;          // of a record, before the payload

error no_room() { return errc::full; }
error connection_went() {
  return {errc::reset, "the connection was lost under this transaction: abort it, its messages come again"};
}

}  // namespace

// Receiving ---------------------------------------------------------------------------------------

bool session_channel::takes_inputs() const noexcept {
  return store_ && step_ == step::none && !held_back_ && wants_messages() && somebody_takes() && receiving();
}

void session_channel::inputs_wait() {
  tell_receiver();
  while (!input_waiters_.empty()) input_waiters_.pop()({});
}

std::size_t session_channel::take_inputs(std::optional<error>& wrong) {
  std::size_t taken = 0;
  const bool outer = !std::exchange(in_batch_, true);
  if (outer) delivering_begins();
  bool whole = false;
  if (straight_ && carrier_ && takes_inputs()) {
    taken = take_straight();
    whole = taken != 0 || nothing_there();  // what stopped it is found by the next look
  }
  while (!whole && taken < k_inputs_per_look && carrier_ && takes_inputs()) {
    std::optional<message_view> next;
    {
      const auto guard = locked();
      next = carrier_->next(wrong);
    }
    if (!next || !hand_over(*next)) break;
    taken += 1;
    if (aborted_) break;
  }
  if (outer) {
    in_batch_ = false;
    delivering_ends();
    uncounted_ += taken;
  }
  return taken;
}

// The first small answer of a handler is kept until its commit, which writes it last; another one follows it at once.
bool session_channel::send_straight(const message_view& m) {
  auto& s = session();
  if (first_answer.kept()) (void)s.send(first_answer.take());  // there is room: it was asked for
  first_answer.shut();
  return s.send(m);
}

// Over memory: the same as next() finds out, but for what is wrong.
bool session_channel::nothing_there() {
  auto& s = session();
  if (s.input().something()) return false;
  s.publish_position();
  carrier_->committed();
  return true;
}

// Records of the peer's ring that are a message by themselves, as long as nothing is in their way: the same as
// hand_over() does, but that whoever waits at the other side is told once for all of them.
std::size_t session_channel::take_straight() {
  std::size_t taken = 0, told = 0;
  const auto tell = [&] {
    if (taken == told || !carrier_ || aborted_) return;
    carrier_->outputs();
    carrier_->committed();
    told = taken;
  };
  const auto room = std::span(answer_room_).first(std::min({answer_room_.size(), options_->max_message, peer_takes_}));
  auto& s = session();
  while (taken < k_inputs_per_look && undisturbed()) {
    const ring_record record = s.front();
    if (!record && taken != 0) {
      tell();
      if (carrier_->look_a_little()) continue;
    }
    if (!record || has(record.marks, ring_marks::more | ring_marks::tagged)) break;
    const std::size_t payload = record.size - k_sum_bytes;
    if (payload > options_->max_message) break;  // also where there is no checksum
    step_ = step::handler;
    if (s.prepared() || s.reserve(room.size()) != nullptr) first_answer.open(room);
    deliver_undisturbed({record.body().subspan(k_sum_bytes),
                         has(record.marks, ring_marks::text) ? message_kind::text : message_kind::binary, 0});
    if (given_back_ || handler_threw() || !carrier_) [[unlikely]] {
      undo();
      held_back_ = true;
      forget_transaction();
      break;
    }
    first_answer.shut();
    step_ = step::none;
    s.pop();
    if (first_answer.kept()) {
      (void)s.commit_with(first_answer.take());
      stats_.messages_sent += 1;
    } else {
      (void)s.commit();
    }
    taken += 1;
    stats_.messages_received += 1;
    stats_.bytes_received += payload;
  }
  tell();
  return taken;
}

// One message and what its handler does, as one step.
bool session_channel::hand_over(const message_view& m) {
  step_ = step::handler;
  const bool taken = is_silent(m) || deliver(m);
  // A handler that has thrown has done nothing; the message comes again when that has left the event loop.
  bool done = taken && !given_back_ && !handler_threw() && store_ != nullptr && carrier_ != nullptr;
  if (done) {
    const auto guard = locked();
    carrier_->advance();
    consumed_ += 1;
    done = send_kept();
    if (done) {
      (void)session().commit();
      carrier_->committed();
    } else {
      found_full();
    }
  }
  if (!done) {
    undo();
    held_back_ = taken;
  } else {
    stats_.messages_received += 1;
    stats_.bytes_received += m.payload.size();
  }
  forget_transaction();
  if (done) went_out(true);
  return done;
}

void session_channel::pull_one() {
  if (!carrier_ || aborted_ || !store_ || step_ != step::none || held_back_ || !receiving()) return;
  std::optional<error> wrong;
  std::optional<message_view> next;
  {
    const auto guard = locked();
    next = carrier_->next(wrong);
  }
  // Behind an empty one that nobody wants there may be another one: the next turn tells of it.
  const bool silent = next && is_silent(*next);
  if (next) (void)hand_over(*next);
  if (carrier_ && !wrong && (!next || silent)) carrier_->read_on();
  // What is wrong is found again by the carrier's next turn.
}

void session_channel::resume_reading() {
  held_back_ = false;
  if (carrier_ && !aborted_ && receiving()) carrier_->read_on();
}

// Transactions ------------------------------------------------------------------------------------

result<void> session_channel::usable() const {
  if (!store_ || completed_) return errc::closed;
  if (broken_) return connection_went();
  return {};
}

result<void> session_channel::begin() {
  if (!store_ || completed_) return errc::closed;
  if (step_ != step::none)
    return error(errc::busy, step_ == step::handler ? "a message handler runs, which is a transaction by itself"
                                                    : "another transaction of this session is open");
  step_ = step::held;
  begun_by_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  return {};
}

result<message_view> session_channel::receive() {
  if (const auto fine = usable(); !fine) return fine.error();
  if (!carrier_ || aborted_ || !receiving()) return errc::would_block;
  std::optional<error> wrong;
  const auto guard = locked();
  const auto next = carrier_->next(wrong);
  if (wrong) return *wrong;
  if (!next) return errc::would_block;
  carrier_->advance();
  consumed_ += 1;
  return *next;
}

result<void> session_channel::set_state(bytes to) {
  if (const auto fine = usable(); !fine) return fine.error();
  if (to.size() > session::k_max_state)
    return error(errc::message_too_large, "a state of " + std::to_string(to.size()) + " bytes; at most " +
                                              std::to_string(session::k_max_state) + " fit");
  const auto guard = locked();
  session().set_state(to);
  if (step_ != step::none) return {};
  (void)session().commit();
  went_out(true);
  return {};
}

result<std::uint64_t> session_channel::commit() {
  if (step_ != step::held) return error(errc::misuse, "no transaction is open");
  auto done = commit_now();
  if (!done) return done;
  const auto received = consumed_;
  stats_.messages_received += received;
  where_.totals().messages_received.add(received);
  forget_transaction();
  went_out(true);
  if (carrier_ && !aborted_) carrier_->read_on();
  return done;
}

result<std::uint64_t> session_channel::commit_now() {
  if (const auto fine = usable(); !fine) return fine.error();
  const auto guard = locked();
  if (!send_kept()) {
    found_full();
    return no_room();
  }
  const std::uint64_t number = session().commit();
  if (carrier_) carrier_->committed();
  return number;
}

// Exactly where it will be, so that a commit never finds the ring full, unless other threads have sent meanwhile.
std::uint64_t session_channel::kept_end() {
  auto& s = session();
  if (const std::uint64_t tail = s.output().tail(); kept_.empty() || tail != kept_from_) {
    kept_from_ = kept_end_ = tail;
    for (const auto& one : kept_) kept_end_ = s.end_behind(kept_end_, {one.payload, one.kind, one.type});
  }
  return kept_end_;
}

// What a transaction kept goes into the ring: all of it, as what another thread commits would take a part along.
bool session_channel::send_kept() {
  if (kept_.empty()) return true;
  if (!session().has_room_up_to(kept_end())) return false;
  for (const auto& one : kept_) (void)session().send({one.payload, one.kind, one.type});
  return true;
}

void session_channel::abort() noexcept {
  if (step_ != step::held) return;
  undo();
  forget_transaction();
  if (carrier_ && !aborted_) carrier_->read_on();
}

void session_channel::undo() noexcept {
  if (!store_) return;
  const auto guard = locked();
  session().abort();
  if (carrier_) carrier_->rewind();
}

void session_channel::forget_transaction() noexcept {
  if (step_ == step::held) begun_by_.store({}, std::memory_order_relaxed);
  step_ = step::none;
  consumed_ = 0;
  broken_ = given_back_ = false;
  first_answer.drop();
  kept_.clear();
}

result<void> session_channel::give_back() {
  if (step_ != step::handler) return error(errc::misuse, "no message handler of this session runs");
  given_back_ = true;
  return {};
}

bytes session_channel::kept_state() const { return store_ ? store_->session().state() : bytes(); }

session_info session_channel::info() {
  session_info all;
  if (!store_) return all;
  const auto guard = locked();
  all.own_name = store_->who().own_name;
  all.peer_name = store_->who().peer_name;
  all.session = session().session();
  all.epoch = session().epoch();
  if (const auto range = session().range()) {
    all.consumed = range->ack;
    all.acknowledged = range->start;
    all.sent = range->end;
  }
  const auto& out = session().output();
  all.unacknowledged_bytes = out.tail() - out.seen();
  all.ring_bytes = out.data().size();
  all.max_message = std::min(options_->max_message, peer_takes_);
  all.discarded = discarded_;
  return all;
}

void session_channel::start_wait_input(send_completion done) {
  if (!store_ || completed_) return done(errc::closed);
  input_waiters_.add(self_as<session_channel>(), &session_channel::input_waiters_, where_.io(), std::move(done), {},
                     [](send_completion& one) { one(errc::cancelled); });
  asio::post(where_.io(), [self = self_as<session_channel>()] {
    if (self->carrier_ && !self->aborted_) self->carrier_->read_on();
  });
}

// Sending -----------------------------------------------------------------------------------------

// Whether what is sent now belongs to the transaction that is open. Who has begun it may go on with it between two
// turns of the event loop, when no thread runs that.
bool session_channel::joins() const {
  if (!many_ || where_.io().get_executor().running_in_this_thread()) return step_ != step::none;
  return begun_by_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

result<void> session_channel::admit(const message_view& m) {
  if (refuses_.load(std::memory_order_relaxed)) return errc::closed;
  if (m.payload.size() > options_->max_message) return describe_too_large(m.payload.size(), *options_);
  if (m.payload.size() > peer_takes_)
    return error(errc::message_too_large, "message of " + std::to_string(m.payload.size()) + " bytes is larger than '" +
                                              store_->who().peer_name + "' takes (its max_message, " +
                                              std::to_string(peer_takes_) + ")");
  return {};
}

// It comes again with each connection, and what is behind it never does.
error session_channel::held_up_by(const error& why) {
  if (!store_) return why;
  return {errc::message_too_large, "message number " + std::to_string(session().input().sequence()) + " of '" +
                                       store_->who().peer_name + "': " + why.text() +
                                       "; what is behind it waits: raise max_message, or give it up with 'ferry "
                                       "session skip'"};
}

result<void> session_channel::try_send(const message_view& m) {
  if (!many_ && straight_ && step_ == step::handler && m.payload.size() <= options_->max_message &&
      m.payload.size() <= peer_takes_ && !refuses_.load(std::memory_order_relaxed) && send_straight(m)) [[likely]] {
    stats_.messages_sent += 1;
    return {};
  }
  const auto guard = locked();
  if (!store_) return errc::closed;
  if (const auto fine = admit(m); !fine) return fine.error();
  if (joins()) {
    if (broken_) return connection_went();
    if (many_ || step_ == step::held) {
      const std::uint64_t end = session().end_behind(kept_end(), m);
      if (!session().has_room_up_to(end)) {
        found_full();
        return no_room();
      }
      kept_end_ = end;
      kept_.push_back({{m.payload.begin(), m.payload.end()}, m.kind, m.type});
    } else if (!session().send(m)) {
      found_full();
      return no_room();
    }
    stats_.messages_sent += 1;
    return {};
  }
  if (!session().send(m)) {
    found_full();
    return no_room();
  }
  (void)session().commit_outputs();
  stats_.messages_sent += 1;
  if (disk_) {
    sync_soon();
  } else if (carrier_ && !aborted_) {
    carrier_->outputs();
  }
  return {};
}

// With a disk, what the peer has freed is room only after a sync, for which somebody must ask.
void session_channel::found_full() {
  was_full_ = true;
  if (disk_) sync_soon();
  if (carrier_ && !aborted_) carrier_->wants_room();
}

// After a commit.
void session_channel::went_out(bool disk_too) {
  if (disk_ && disk_too) return sync_soon();
  if (!carrier_ || aborted_) return;
  carrier_->outputs();
  carrier_->settled();
}

std::size_t session_channel::unsent_bytes() const noexcept {
  const auto guard = locked();
  if (!store_) return 0;
  auto& s = store_->session();
  const std::size_t unsent = s.output().tail() - s.look();
  // Who closes in order leaves nothing behind that only this process knows of.
  const bool to_disk = disk_ && sending_ends() && s.durable() != s.newest();
  return unsent == 0 && to_disk ? 1 : unsent;
}

std::uint64_t session_channel::queued_bytes() const noexcept {
  const auto guard = locked();
  return store_ ? store_->session().output().tail() : 0;
}

std::uint64_t session_channel::wanted_position() {
  const bool all = flush_wanted() || sending_ends();
  const auto guard = locked();
  if (!store_) return 0;
  const auto& out = session().output();
  if (all) return out.tail();
  if (!was_full_) return 0;
  const std::uint64_t half = out.data().size() / 2;
  return out.tail() > half ? out.tail() - half : 1;
}

bool session_channel::take_was_full() {
  const std::size_t unsent = unsent_bytes();
  const auto guard = locked();
  if (!was_full_ || (store_ && unsent > session().output().data().size() / 2)) return false;
  was_full_ = false;
  if (std::exchange(held_back_, false) && carrier_) carrier_->read_on();
  return true;
}

void session_channel::post_flush() {
  if (std::exchange(flush_posted_, true)) return;
  asio::post(where_.io(), [self = self_as<session_channel>()] {
    self->flush_posted_ = false;
    if (self->flush_without_connection() || !self->carrier_ || self->aborted_) return;
    self->carrier_->outputs();
    self->after_write();
  });
}

taken session_channel::drop_queue() noexcept {
  taken left;
  const auto guard = locked();
  if (!store_) return left;
  if (const auto range = session().range()) left.messages = range->end - range->start;
  const auto& out = session().output();
  left.bytes = out.tail() - out.seen();
  if (!syncing_) store_.reset();
  return left;
}

void session_channel::count_read(std::size_t n) {
  stats_.reads += 1;
  where_.totals().reads.add(1);
  where_.totals().bytes_received.add(n);
}

void session_channel::count_write(std::size_t n) {
  stats_.writes += 1;
  stats_.bytes_sent += n;
  where_.totals().writes.add(1);
  where_.totals().bytes_sent.add(n);
}

channel_stats session_channel::stats() {
  const auto guard = locked();
  channel_stats all = counted();
  all.writes += wakes_.load(std::memory_order_relaxed);
  if (store_) {
    if (const auto range = session().range()) all.send_queue_messages = range->end - range->start;
    const auto& out = session().output();
    all.send_queue_bytes = out.tail() - out.seen();
  }
  const auto waits = carrier_ ? carrier_->waiting() : session_carrier::backlog{};
  if (waits.messages != 0) tell_receiver();
  all.receive_queue_messages = received().messages() + waits.messages;
  all.receive_queue_bytes = received().byte_count() + waits.payload;
  return all;
}

}  // namespace ferry::detail
