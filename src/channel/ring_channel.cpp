// What a ring channel does with records: take, deliver, queue, put.
#include "channel/ring_channel.hpp"

#include <algorithm>

#include "channel/describe.hpp"

namespace ferry::detail {
namespace {

constexpr std::size_t k_records_per_look = 256;   // of one ring before the next one
constexpr std::size_t k_records_per_turn = 4096;  // then other channels of the io_context have their turn
constexpr int k_looks_per_turn = 1024;
constexpr std::size_t k_bulk_records = 32;                   // so many at once are part of a long flow,
constexpr auto k_bulk_spin = std::chrono::microseconds(15);  // and it costs less to look again than to be woken
constexpr auto k_spin_turn = std::chrono::microseconds(50);
constexpr int k_looks_per_clock = 64;

// The index of the calling thread, for choosing its lane.
std::size_t thread_number() noexcept {
  static std::atomic<std::size_t> last{0};
  thread_local const std::size_t mine = last.fetch_add(1, std::memory_order_relaxed);
  return mine;
}

error peer_died() { return {errc::reset, "the peer died, or cut the connection"}; }

error peer_left() { return {errc::reset, "the peer went away before it had read everything"}; }

message_kind kind_of(ring_record record) noexcept {
  return has(record.marks, ring_marks::text) ? message_kind::text : message_kind::binary;
}

constexpr std::size_t piece_bytes(std::size_t ring_bytes) noexcept { return ring_bytes / 8 - 8; }

// Whether all pieces of a message find room now: with their words, the tag, what padding may cost and the next word.
bool takes_whole(ring_producer& ring, std::size_t size) noexcept {
  const std::size_t pieces = size / (piece_bytes(ring.ring_bytes()) - sizeof(ring_tag)) + 1;
  return ring.used() + size + pieces * 16 + ring.ring_bytes() / 8 + 16 <= ring.ring_bytes();
}

}  // namespace

// Receiving ---------------------------------------------------------------------------------------

void ring_channel::resume_reading() {
  if (link_ && !aborted_ && !pump_posted_ && receiving()) pump();
}

void ring_channel::pump_later() {
  if (std::exchange(pump_posted_, true)) return;
  boost::asio::post(where_.io(), [self = self_as<ring_channel>()] {
    self->pump_posted_ = false;
    if (self->link_ && !self->aborted_) self->pump();
  });
}

void ring_channel::pump() {
  if (!receiving()) {
    // It has said that nothing follows; whether it takes anything is still to be learned.
    if (peer_gone_) lost(peer_has_everything() ? error(errc::end_of_stream) : peer_left());
    return;
  }
  const auto keep = shared_from_this();
  const auto received_before = stats_.messages_received;
  batch_begins();
  std::optional<error> wrong;
  std::size_t total = 0;
  bool more = false;
  for (int look = 0; look < k_looks_per_turn; ++look) {
    const std::size_t got = take_records(wrong);
    if (wrong || !link_ || aborted_ || !wants_messages()) break;
    total += got;
    more = got != 0 || spin();
    if (!more || total >= k_records_per_turn) break;
  }
  batch_ends();
  where_.totals().messages_received.add(stats_.messages_received - received_before);
  if (state() == channel_state::closed || !link_ || aborted_) return;
  if (total != 0) deadlines_.on_read(now());
  if (wrong) return read_failed(*wrong);
  count_traffic();
  arm_timer();
  if (!wants_messages()) return rest();  // the peer learns what room there is
  if (more || spin_until_) return pump_later();
  if (const auto end = look_for_end(); !end) return read_failed(end.error());
  rest();
}

std::size_t ring_channel::take_records(std::optional<error>& wrong) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < link_->in.size(); ++i) {
    total += take_records_of(next_ring_, wrong);
    next_ring_ = next_ring_ + 1 == link_->in.size() ? 0 : next_ring_ + 1;
    if (wrong || aborted_ || !wants_messages()) break;
  }
  if (total >= k_bulk_records) bulk_ = true;
  if (total != 0) spin_until_.reset();
  return total;
}

std::size_t ring_channel::take_records_of(std::size_t ring, std::optional<error>& wrong) {
  ring_consumer& from = link_->in[ring];
  const auto span_now = [&] { return assemblies_[ring].total == 0 ? view_span_ : 0; };
  std::size_t span = span_now();
  std::size_t taken = 0;
  while (taken < k_records_per_look) {
    const ring_record record = from.front();
    if (!record) {
      link_->tell_writer(from);
      if (from.corrupt())
        wrong = error(errc::corrupt, "the peer's ring is corrupt at position " + std::to_string(from.position()));
      break;
    }
    // Most records are a whole message, handed out where it lies.
    if (record.size - view_least_ < span && !has(record.marks, ring_marks::more | ring_marks::tagged) && undisturbed())
        [[likely]] {
      deliver_undisturbed({record.body(), kind_of(record), 0});
      count_received(record.size);
    } else {
      const auto done = take_record(ring, record);
      if (!done) wrong = done.error();
      if (!done || !*done) break;
      span = span_now();
    }
    if (from.pop()) [[unlikely]]
      link_->tell_writer(from);
    taken += 1;
    if (!undisturbed() && (aborted_ || !wants_messages())) [[unlikely]]
      break;
  }
  return taken;
}

result<bool> ring_channel::take_record(std::size_t ring, ring_record record) {
  bytes body = record.body();
  if (options_->copy && !body.empty()) {
    if (!copy_ || copy_.capacity() < body.size()) copy_ = where_.buffers().acquire(body.size());
    if (!copy_) return error(errc::no_memory, "no buffer for a copy of " + std::to_string(body.size()) + " bytes");
    std::memcpy(copy_.data(), body.data(), body.size());
    body = {copy_.data(), body.size()};
  }
  assembly& message = assemblies_[ring];
  if (has(record.marks, ring_marks::more | ring_marks::tagged) || message.total != 0) [[unlikely]]
    return take_piece(message, record, body);
  if (body.size() > options_->max_message) return describe_too_large(body.size(), *options_);
  return hand_over({body, kind_of(record), 0});
}

// A record that is not a whole message by itself, or has a type.
result<bool> ring_channel::take_piece(assembly& message, ring_record record, bytes body) {
  const auto kind = kind_of(record);
  const bool more = has(record.marks, ring_marks::more);
  if (message.total == 0) {
    if (!has(record.marks, ring_marks::tagged)) return error(errc::protocol, "a message in pieces without a tag");
    ring_tag tag;
    std::memcpy(&tag, body.data(), sizeof tag);
    body = body.subspan(sizeof tag);
    if (tag.reserved != 0 || (more ? body.size() >= tag.remaining : body.size() != tag.remaining))
      return error(errc::protocol, "a tag that tells of " + std::to_string(tag.remaining) + " bytes, in a record of " +
                                       std::to_string(body.size()));
    if (tag.remaining > options_->max_message) return describe_too_large(tag.remaining, *options_);
    if (!more) return hand_over({body, kind, tag.type});
    message.tag = tag;
    message.total = tag.remaining;
  } else if (!message.whole) {
    if (has(record.marks, ring_marks::tagged) || body.size() > message.total - message.have ||
        more != (body.size() < message.total - message.have))
      return error(errc::protocol, "a piece of " + std::to_string(body.size()) + " bytes where " +
                                       std::to_string(message.total - message.have) + " were missing");
  }
  if (!message.whole) {
    if (const auto room = make_room(message, body.size()); !room) return room.error();
    std::memcpy(message.buffer.data() + message.have, body.data(), body.size());
    message.have += body.size();
    message.whole = !more;
  }
  if (!message.whole) return true;
  if (!hand_over({{message.buffer.data(), message.have}, kind, message.tag.type})) return false;
  if (!assemblies_.empty()) message = {};
  return true;
}

// What was announced is not believed: the buffer grows with what has come.
result<void> ring_channel::make_room(assembly& message, std::size_t more) {
  const std::size_t needed = message.have + more;
  if (message.buffer && message.buffer.capacity() >= needed) return {};
  pooled_buffer larger = where_.buffers().acquire(std::min(message.total, std::max(needed, 4 * message.have)));
  if (!larger) return error(errc::no_memory, "no buffer for a message of " + std::to_string(message.total) + " bytes");
  if (message.have != 0) std::memcpy(larger.data(), message.buffer.data(), message.have);
  message.buffer = std::move(larger);
  return {};
}

bool ring_channel::hand_over(const message_view& m) {
  if (m.payload.empty() && !options_->deliver_empty) return true;
  if (!deliver(m)) return false;
  count_received(m.payload.size());
  return true;
}

// Looks again and again for a while instead of going to sleep, in turns, so that others have theirs.
bool ring_channel::spin() {
  const auto window = std::max(options_->spin, bulk_ ? k_bulk_spin : options::duration{0});
  if (window.count() == 0) return false;
  // Most answers come before the clock needs to be read.
  if (look_for_a_while()) return true;
  const auto begin = now();
  if (!spin_until_) spin_until_ = begin + window;
  for (auto at = begin; at < *spin_until_ && at < begin + k_spin_turn; at = now())
    if (look_for_a_while()) return true;
  if (now() >= *spin_until_) {
    spin_until_.reset();
    bulk_ = false;
  }
  return false;
}

bool ring_channel::look_for_a_while() noexcept {
  for (int i = 0; i < k_looks_per_clock; ++i) {
    if (link_->something()) return true;
    link_->pause();
  }
  return false;
}

// Nothing is left to be taken.
result<void> ring_channel::look_for_end() {
  bool ended = true;
  for (const auto& one : link_->in) ended = ended && one.ended();
  if (ended) return errc::end_of_stream;
  // What it had published before it went was taken after that was known.
  if (peer_gone_) return peer_died();
  return {};
}

std::size_t ring_channel::pending_bytes() const noexcept {
  std::size_t pending = 0;
  for (const auto& one : assemblies_) pending += one.have;
  return pending;
}

void ring_channel::read_what_is_left() {
  batch_begins();
  std::optional<error> wrong;
  while (link_ && !aborted_ && wants_messages())
    if (take_records(wrong) == 0 || wrong) break;
  batch_ends();
}

// Sending -----------------------------------------------------------------------------------------

ring_channel::lane& ring_channel::my_lane() noexcept {
  return lanes_.size() == 1 ? *lanes_.front() : *lanes_[thread_number() % lanes_.size()];
}

void straight_way::open(net::ring_link& link, ring_producer& ring, std::size_t most, taken& count) noexcept {
  end_ = most + 1;
  ring_ = &ring;
  count_ = &count;
  reader_sleeps_ = &link.peer_reads.word();
  link_ = &link;
}

void straight_way::wake_reader() noexcept { link_->tell_reader(); }

result<void> ring_channel::try_send(const message_view& m) {
  lane& mine = my_lane();
  if (!many_) return send_through(mine, m);
  const std::lock_guard guard(mine.lock);
  return send_through(mine, m);
}

result<void> ring_channel::send_through(lane& mine, const message_view& m) {
  if (refuses_.load(std::memory_order_relaxed)) return errc::closed;
  if (m.payload.size() > options_->max_message) return describe_too_large(m.payload.size(), *options_);
  if (mine.ring == nullptr || !mine.queue.empty()) return queue_in(mine, m);
  if (m.payload.size() + sizeof(ring_tag) <= mine.ring->max_body()) [[likely]] {
    if (!put(mine, m)) {
      mine.was_full = true;
      post_flush();
      return errc::full;
    }
  } else {
    if (!takes_whole(*mine.ring, m.payload.size())) return queue_in(mine, m);
    (void)put_pieces(mine, m, 0);
  }
  mine.queue.on_this_connection_directly().count(m.payload.size() + 8);
  if (many_) return {};
  if (!in_batch_) post_flush();
  // Until this batch or turn is over; unless the reader sleeps without a barrier, and is to be told of every message.
  if (!peer_gone_ && !link_->peer_reads.fenced())
    straight.open(*link_, *mine.ring, std::min(options_->max_message, mine.ring->max_body() - sizeof(ring_tag)),
                  mine.queue.on_this_connection_directly());
  return {};
}

result<void> ring_channel::queue_in(lane& mine, const message_view& m) {
  const std::size_t waiting = mine.queue.byte_count();
  // A queue that is empty takes one message of any size.
  const bool full = waiting != 0 && waiting + m.payload.size() > options_->send_queue_bytes;
  const bool many = options_->send_queue_messages != 0 && mine.queue.messages() >= options_->send_queue_messages;
  if (full || many) {
    mine.was_full = true;
    post_flush();
    return errc::full;
  }
  if (!mine.queue.append(m)) return errc::no_memory;
  if (!many_) straight.shut();
  if (mine.ring != nullptr && waiting == 0) flush(mine);
  post_flush();
  return {};
}

bool ring_channel::put(lane& mine, const message_view& m) noexcept {
  const std::size_t size = m.payload.size();
  const auto text = m.kind == message_kind::text ? ring_marks::text : ring_marks::none;
  if (m.type == 0) [[likely]] {
    if (!mine.ring->try_push(m.payload, text)) return false;
  } else {
    std::byte* const at = mine.ring->reserve(size + sizeof(ring_tag));
    if (at == nullptr) return false;
    const ring_tag tag{m.type, 0, static_cast<std::uint32_t>(size)};
    std::memcpy(at, &tag, sizeof tag);
    if (size != 0) std::memcpy(at + sizeof tag, m.payload.data(), size);
    mine.ring->publish(size + sizeof tag, text | ring_marks::tagged);
  }
  link_->tell_reader();
  return true;
}

std::size_t ring_channel::put_pieces(lane& mine, const message_view& m, std::size_t done) noexcept {
  const auto text = m.kind == message_kind::text ? ring_marks::text : ring_marks::none;
  const std::size_t most = piece_bytes(mine.ring->ring_bytes());
  while (done < m.payload.size()) {
    const std::size_t tag_size = done == 0 ? sizeof(ring_tag) : 0;
    const std::size_t part = std::min(m.payload.size() - done, most - tag_size);
    std::byte* const at = mine.ring->reserve(tag_size + part);
    if (at == nullptr) break;
    const ring_tag tag{m.type, 0, static_cast<std::uint32_t>(m.payload.size())};
    if (done == 0) std::memcpy(at, &tag, sizeof tag);
    std::memcpy(at + tag_size, m.payload.data() + done, part);
    const bool last = done + part == m.payload.size();
    mine.ring->publish(tag_size + part, text | (done == 0 ? ring_marks::tagged : ring_marks::none) |
                                            (last ? ring_marks::none : ring_marks::more));
    done += part;
    link_->tell_reader();
  }
  return done;
}

// What is queued goes into the ring as far as there is room.
void ring_channel::flush(lane& one) {
  std::array<bytes, 1> first;
  for (; one.ring != nullptr && !one.queue.empty(); one.queue.settle()) {
    (void)one.queue.gather(first);
    // Our own frame: it is whole, and its header as we wrote it.
    message_view m;
    std::size_t header = 0;
    std::size_t done = 0;
    if (one.rest == 0) {
      const auto frame = codec::typed_framing(codec::typed_framing::k_max_payload).next(first[0]);
      m = frame->message;
      header = frame->header;
      if (m.payload.size() + sizeof(ring_tag) <= one.ring->max_body()) {
        if (!put(one, m)) return;
        one.queue.consume(frame->consumed);
        continue;
      }
    } else {
      const bytes whole = one.queue.first_frame_whole();
      m = codec::typed_framing(codec::typed_framing::k_max_payload).next(whole)->message;
      done = m.payload.size() - one.rest;
    }
    const std::size_t now_done = put_pieces(one, m, done);
    if (now_done == done) return;
    one.rest = m.payload.size() - now_done;
    one.queue.consume((done == 0 ? header : 0) + now_done - done);
    if (one.rest != 0) return;
  }
}

void ring_channel::post_flush() {
  if (flush_posted_.load(std::memory_order_relaxed) || flush_posted_.exchange(true)) return;
  boost::asio::post(where_.io(), [self = self_as<ring_channel>()] { self->flush_turn(); });
}

void ring_channel::flush_turn() {
  const auto keep = shared_from_this();
  if (flush_without_connection() || !link_ || aborted_) {
    flush_posted_ = false;
    return;
  }
  bool took = false;
  write_blocked_ = false;
  for (auto& one : lanes_) {
    const auto guard = locked(*one);
    const auto before = one->queue.byte_count();
    flush(*one);
    took = took || one->queue.byte_count() != before;
    // After our end the peer may go in order; it is for reading to tell.
    if (peer_gone_ && (!sending_ends() || waits(*one))) write_error_ = peer_died();
    if (one->ring != nullptr && one->ring->corrupt())
      write_error_ = error(errc::corrupt, "the peer published an impossible position in our ring");
    write_blocked_ = write_blocked_ || (waits(*one) && !has_room(*one));
  }
  if (write_blocked_ && !write_error_) {
    deadlines_.on_write_pending(now());
    if (took) deadlines_.on_write_progress(now());
  }
  count_traffic();
  after_write();
  flush_posted_ = false;  // not before: whoever finds no room meanwhile is seen to here
  straight.shut();        // the next message brings the next turn about
  if (!link_ || aborted_) return;
  for (auto& one : lanes_) {
    const auto guard = locked(*one);
    if (!waits(*one)) continue;
    // Filled since it was looked at, by the drain handler for example: that is seen to before anybody rests.
    has_room(*one) || !write_blocked_ ? post_flush() : rest();
  }
}

bool ring_channel::has_room(lane& one) noexcept {
  return one.ring != nullptr && (one.ring->corrupt() || one.ring->used() <= one.ring->ring_bytes() / 2);
}

bool ring_channel::take_was_full() {
  bool any = false;
  for (auto& one : lanes_) {
    const auto guard = locked(*one);
    if (one->was_full && (one->ring == nullptr || has_room(*one))) {
      one->was_full = false;
      any = true;
    }
  }
  return any;
}

bool ring_channel::peer_has_everything() noexcept {
  return std::all_of(lanes_.begin(), lanes_.end(), [this](const auto& one) {
    const auto guard = locked(*one);
    return one->queue.empty() && (one->ring == nullptr || one->ring->used() == 0);
  });
}

bool ring_channel::peer_takes_slowly() noexcept {
  std::uint64_t positions = 0;
  for (auto& one : lanes_) {
    const auto guard = locked(*one);
    if (one->ring != nullptr) positions += one->ring->tail() - one->ring->used();
  }
  return std::exchange(positions_seen_, positions) != positions;
}

std::size_t ring_channel::unsent_bytes() const noexcept {
  std::size_t waiting = 0;
  for (const auto& one : lanes_) {
    const auto guard = locked(*one);
    waiting += one->queue.byte_count();
  }
  return waiting;
}

std::uint64_t ring_channel::queued_bytes() const noexcept {
  std::uint64_t all = taken_bytes_;
  for (const auto& one : lanes_) {
    const auto guard = locked(*one);
    all += one->queue.on_this_connection_at_least().bytes + one->queue.byte_count();
  }
  return all;
}

// Brings the context's totals up to date; not for every message.
void ring_channel::count_traffic() noexcept {
  std::uint64_t sent = 0;
  for (const auto& one : lanes_) {
    const auto guard = locked(*one);
    sent += one->queue.on_this_connection_at_least().bytes;
  }
  if (sent == bytes_counted_) return;
  where_.totals().bytes_sent.add(sent - std::exchange(bytes_counted_, sent));
  deadlines_.on_write_progress(now());
}

channel_stats ring_channel::stats() {
  channel_stats all = counted();
  all.bytes_sent = taken_bytes_;
  for (auto& one : lanes_) {
    const auto guard = locked(*one);
    const taken took = one->queue.on_this_connection();
    all.messages_sent += took.messages;
    all.bytes_sent += took.bytes;
    all.send_queue_messages += one->queue.messages();
    all.send_queue_bytes += one->queue.byte_count();
  }
  if (link_) all.writes += link_->wakes.load(std::memory_order_relaxed);
  all.receive_queue_messages = received().messages();
  all.receive_queue_bytes = received().byte_count();
  return all;
}

}  // namespace ferry::detail
