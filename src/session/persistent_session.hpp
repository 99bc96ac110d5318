#pragma once
/// One side of a persistent session over memory: it consumes inputs, sends outputs and keeps a little state of the
/// application, in transactions of which after a crash either everything happened or nothing. Dry: it maps nothing,
/// and asks for what must reach the disk. Source: docs/sessions.md.
///
///     stage     output records: body, then word; the first one's word is withheld
///     (1)       the word behind them = 0
///     (2)       the older commit slot, its generation last (release): this is the commit
///     (3)       the withheld word (release): all outputs appear at once
///     (4)       the position in the input may be published, lazily, never past the newest commit
///
/// With durability::disk a transaction waits for the disk between its commit() and (3), and those that wait together
/// go together.

#include <ferry/message.hpp>

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ring/held_consumer.hpp"
#include "ring/ring_stager.hpp"
#include "session/session_file.hpp"

namespace ferry::session {

/// What a committed transaction survives.
enum class durability : std::uint8_t {
  process,  ///< the death of both processes, at any instruction
  disk,     ///< the death of the machine too
};

/// What one side says about itself when both meet.
struct session_range {
  std::uint64_t ack = 0;    ///< number of the next input: everything before it was consumed for good
  std::uint64_t start = 0;  ///< number of the first output that the peer has not acknowledged
  std::uint64_t end = 0;    ///< number of the next output
  friend bool operator==(const session_range&, const session_range&) = default;
};

/// Where a session goes on whose own records are given up.
struct fresh_start {
  std::uint64_t session = 0;       ///< random, not 0; the same number if it is only mended
  std::uint64_t in_sequence = 0;   ///< number of the next input
  std::uint64_t out_sequence = 0;  ///< number of the next output
  bool keeps_state = false;
};

/// A record's body is the tag, if the message has a type; a checksum, for whoever recovers the ring; and the payload.
/// Whoever reads it while its producer is there need not compute it.

/// What a record of a session holds. @return protocol: the record has a mark or a tag that a session never sends
[[nodiscard]] result<message_view> message_of(const ring_record& record);

/// The first record behind `position` that does not have its checksum, as its number; none: all have.
/// @param data  of which scan_from() has checked the words @param sequence  of the record at `position`
[[nodiscard]] std::optional<std::uint64_t> first_damaged(std::span<const std::byte> data, std::uint64_t position,
                                                         std::uint64_t sequence);

/// The checksum of a record. @param word  its word @param tag  0: none
[[nodiscard]] inline std::uint64_t record_sum(std::uint64_t word, std::uint64_t tag, bytes payload) noexcept {
  checksum sum;
  sum.add(word, tag);
  sum.add(payload);
  return sum.value();
}

/// Does not move. Thread safety: one thread at a time. The memory outlives it.
template <class Stores = ring::direct_stores>
class basic_persistent_session {
 public:
  /// Goes on where the files say; with files that were just laid out, at the beginning. Rolls forward what a crash
  /// interrupted between (2) and (3). With durability::disk the caller has synced both files before, as what a dead
  /// process left to the system may not have reached the disk yet.
  /// @param file  of which read_identity() took the header @param out  outgoing_ring(); the peer may be reading
  /// @return corrupt: file and ring are damaged, or do not belong together
  [[nodiscard]] static result<std::unique_ptr<basic_persistent_session>> recover(std::span<std::byte> file,
                                                                                 const ring_parts& out, durability how);
  basic_persistent_session(const basic_persistent_session&) = delete;
  basic_persistent_session& operator=(const basic_persistent_session&) = delete;
  ~basic_persistent_session() = default;

  // The input
  // ------------------------------------------------------------------------------------------------------------------

  /// Reads from this ring from now on: the peer's, mapped, or one that is filled from a stream. What was consumed
  /// already is skipped. After the login: the peer has recovered its ring, and both ranges fit.
  /// @param data, line  outlive the attachment
  /// @return corrupt (the records are damaged, or the next one is not among them) | misuse (inputs were consumed by a
  /// transaction that is open, or not durable yet)
  [[nodiscard]] result<void> attach_input(std::span<const std::byte> data, ring_line& line);
  /// Gives up the open transaction. Until the next attach_input() there are no inputs.
  void detach_input() noexcept;

  /// The oldest input that the open transaction has not consumed, or none. Valid until commit().
  [[nodiscard]] ring_record front() noexcept {
    // Who waits looks here most of the time, and notices a record the sooner the shorter that takes.
    const ring_record record = in_.something() ? in_.front() : ring_record{};
    if (!record) [[unlikely]]
      in_.publish(in_settled_);
    return record;
  }
  /// The open transaction consumes the input that front() gave.
  void pop() noexcept { in_.pop(); }
  /// The open transaction consumes an input that came over a stream; where no ring is attached.
  void pop_elsewhere() noexcept { in_.pop_elsewhere(); }
  /// Lets the peer reuse all room that a commit allows; before sleeping.
  void publish_position() noexcept { in_.publish(in_settled_); }
  /// For bells and waiting loops.
  [[nodiscard]] ring::held_consumer<Stores>& input() noexcept { return in_; }

  // The outputs
  // ------------------------------------------------------------------------------------------------------------------

  /// The largest payload of a message, in bytes.
  [[nodiscard]] std::size_t max_payload() const noexcept { return out_.max_body() - head_bytes(1); }
  /// Room for the payload of an output of the open transaction, 8-byte aligned; reserving again gives it up.
  /// @param size  0 .. max_payload()
  /// @return null: no room now, or none for a transaction as large as this one, or corrupt()
  [[nodiscard]] std::byte* reserve(std::size_t size, std::uint16_t type = 0) noexcept {
    prepared_ = false;
    reserved_type_ = type;
    reserved_ = out_.reserve(head_bytes(type) + size);
    if (reserved_ == nullptr) [[unlikely]] {
      wants_room_ = true;
      return nullptr;
    }
    return reserved_ + head_bytes(type);
  }
  /// The reserved payload joins the open transaction. @param size  as it was reserved
  void stage(std::size_t size, message_kind kind = message_kind::binary) noexcept {
    const std::size_t head = head_bytes(reserved_type_);
    const ring_marks marks = marks_for(kind);
    const std::uint64_t tag = tag_for(size);
    put(reserved_ + head - 8, record_sum(out_.next_word(head + size, marks), tag, {reserved_ + head, size}));
    if (tag != 0) put(reserved_, tag);
    out_.stage(head + size, marks);
  }
  /// reserve, copy, stage. @param m  at most max_payload() bytes @return false: as reserve()
  [[nodiscard]] bool send(const message_view& m) noexcept {
    std::byte* const to = reserve(m.payload.size(), m.type);
    if (to == nullptr) return false;
    Stores::copy(to, m.payload);
    stage(m.payload.size(), m.kind);
    return true;
  }
  /// Where the message would end if it came behind everything before `from`, the ring's tail at first; for transactions
  /// whose messages lie elsewhere until they are committed.
  [[nodiscard]] std::uint64_t end_behind(std::uint64_t from, const message_view& m) const noexcept {
    return out_.end_behind(from, head_bytes(m.type) + m.payload.size());
  }
  /// Whether send() has room for messages up to that end.
  [[nodiscard]] bool has_room_up_to(std::uint64_t end) noexcept {
    const bool fits = out_.has_room_up_to(end);
    wants_room_ = wants_room_ || !fits;
    return fits;
  }

  // Transactions
  // ------------------------------------------------------------------------------------------------------------------

  /// The state that belongs to the newest commit(); after recover() the one that survived.
  [[nodiscard]] bytes state() const noexcept { return kept_.state; }
  /// The open transaction replaces the state. @param to  at most k_max_state bytes; copied
  void set_state(bytes to) {
    assert(to.size() <= k_max_state);
    open_state_.assign(to.begin(), to.end());
    state_open_ = true;
  }
  /// Everything since the last commit() or abort() becomes one step. No system call, and no allocation.
  /// @return the number of this transaction; it survives from durable() >= this number on, which with
  /// durability::process is at once
  std::uint64_t commit() noexcept {
    const ring::ring_batch closed = out_.close();
    if (state_open_) [[unlikely]]
      take_state();
    if (how_ == durability::disk) [[unlikely]] {
      out_.join(waiting_, closed);
      in_committed_ = in_.mark();
      return ++commits_;
    }
    go_on(last_, closed, in_.sequence());
    write_slot(last_, kept_);
    if (!closed.empty()) out_.reveal(closed);
    in_committed_ = in_.mark();
    return settle_next();
  }
  /// send() and commit() in one, where nothing was sent since the last commit: the message is written as late as can
  /// be. One that is written early is a line that its reader, who looks again and again, takes away before the commit.
  /// @param m  for which the last reserve() found room, or one of k_small bytes where prepared(m.type)
  /// @return as commit()
  std::uint64_t commit_with(const message_view& m) noexcept {
    if (prepared(m.type) && in_.sequence() == next_.in_sequence && !state_open_) [[likely]] {
      reserved_type_ = m.type;
      return commit_prepared(m);
    }
    return commit_unprepared(m);
  }
  /// The last commit_with() has made everything ready for another one that consumes one input and sends a message of at
  /// most k_small bytes, with a type or without one as the last: for that no reserve() is needed.
  [[nodiscard]] bool prepared(std::uint16_t type = 0) const noexcept {
    return prepared_ && (type == 0) == (reserved_type_ == 0);
  }
  static constexpr std::size_t k_small = 512;
  /// What was sent since the last commit() becomes one step by itself; what was consumed meanwhile, and a new state,
  /// are left to the next commit(). For threads that only send. @return as commit()
  std::uint64_t commit_outputs() noexcept {
    const ring::ring_batch closed = out_.close();
    if (how_ == durability::disk) {
      out_.join(waiting_, closed);
      return ++commits_;
    }
    go_on(last_, closed, in_committed_.sequence);
    write_slot(last_, kept_);
    if (!closed.empty()) out_.reveal(closed);
    return settle_next();
  }
  /// Nothing since the last commit() has happened: its inputs come again, its outputs are gone.
  void abort() noexcept {
    out_.abandon();
    in_.go_back(in_committed_);
    state_open_ = false;
  }
  /// A transaction is open that has done something.
  [[nodiscard]] bool open() const noexcept {
    return out_.staged() || state_open_ || in_.sequence() != in_committed_.sequence;
  }

  // The disk
  // ------------------------------------------------------------------------------------------------------------------

  /// What must reach the disk now, with everything else that was stored into the same file; the same until synced() or
  /// sync_failed(). Nothing: no transaction waits, or durability::process. May be synced on another thread while
  /// transactions go on here.
  [[nodiscard]] bytes next_sync() noexcept;
  /// It has reached the disk. Ask again: a group of transactions takes two syncs.
  void synced() noexcept;
  /// It cannot be known what has: nothing becomes durable any more, and the session is of no more use.
  void sync_failed() noexcept { enter(disk_state::failed); }
  /// The number of the newest commit().
  [[nodiscard]] std::uint64_t newest() const noexcept { return commits_; }
  /// Transactions up to this number survive, are visible, and may be acknowledged.
  [[nodiscard]] std::uint64_t durable() const noexcept { return durable_; }

  // Meeting the peer
  // ------------------------------------------------------------------------------------------------------------------

  /// What to say in a login; walks over all unacknowledged outputs.
  /// @return corrupt: the peer published an impossible position
  [[nodiscard]] result<session_range> range();
  /// What may be acknowledged.
  [[nodiscard]] std::uint64_t acknowledged() const noexcept { return in_settled_.sequence; }
  [[nodiscard]] std::uint64_t session() const noexcept { return kept_.session; }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return kept_.epoch; }
  /// The next commit() keeps both. @param session  not 0
  void identify(std::uint64_t session, std::uint64_t epoch) noexcept {
    kept_.session = session;
    kept_.epoch = epoch;
    kept_changed();
  }
  /// Begins another session in the same files, or mends one whose sides do not fit together: then with the numbers that
  /// the peer told. What was not acknowledged is gone. With durability::disk it is so once durable() has the number;
  /// until then there is no room for outputs. The peer is not there.
  /// @return its number, as commit() | misuse: a transaction is open, or the session does not rest()
  [[nodiscard]] result<std::uint64_t> reset(const fresh_start& at);
  /// A reset() is on its way to the disk: range() is still that of the session before it.
  [[nodiscard]] bool restarts() const noexcept {
    return sealed_.restarts && (disk_ == disk_state::records || disk_ == disk_state::slot);
  }
  /// No transaction waits for the disk, and no sync is under way.
  [[nodiscard]] bool rests() const noexcept { return commits_ == durable_ && disk_ == disk_state::idle; }

  /// Somebody broke the rules of a ring, and this is of no more use.
  [[nodiscard]] bool corrupt() const noexcept { return out_.corrupt() || in_.corrupt(); }
  [[nodiscard]] const ring::ring_stager<Stores>& output() const noexcept { return out_; }
  /// The peer's position in our ring, as far as it can be believed.
  std::uint64_t look() noexcept { return out_.look(); }

 private:
  ///     idle --something waits: next_sync()--> records --synced: (2)--> slot --synced: (3), (4)--> idle
  ///     any --sync_failed()--> failed
  enum class disk_state : std::uint8_t { idle, records, slot, failed };
  void enter(disk_state next) noexcept { disk_ = next; }

  /// What few transactions change.
  struct kept_part {
    std::uint64_t session = 0;
    std::uint64_t epoch = 0;
    std::vector<std::byte> state;
    std::uint64_t sum = 0;      // kept_sum()
    std::uint64_t version = 0;  // another one for each change: the slots may have an older one
  };
  /// Transactions on their way to the disk.
  struct group {
    commit_record record;
    ring::ring_batch out;
    ring::ring_mark in;
    kept_part kept;
    std::uint64_t number = 0;
    bool restarts = false;
  };

  basic_persistent_session(session_file& file, const ring_parts& out, const committed& found, durability how);

  /// `c` becomes the transaction after it.
  void go_on(commit_record& c, const ring::ring_batch& closed, std::uint64_t in_sequence) noexcept {
    c.generation += 1;
    c.in_sequence = in_sequence;
    c.out_start = closed.empty() ? closed.end : closed.start;
    c.out_word = closed.word;
    c.out_end = closed.end;
    c.out_sequence = closed.sequence;
    c.out_acked = out_.seen();
  }
  /// Bytes before the payload of a record.
  [[nodiscard]] static constexpr std::size_t head_bytes(std::uint16_t type) noexcept { return type == 0 ? 8 : 16; }
  static void put(std::byte* to, std::uint64_t value) noexcept {
    Stores::word(*reinterpret_cast<std::uint64_t*>(to), value, std::memory_order_relaxed);
  }
  static void put(std::uint64_t& to, std::uint64_t value) noexcept {
    Stores::word(to, value, std::memory_order_relaxed);
  }
  [[nodiscard]] ring_marks marks_for(message_kind kind) const noexcept {
    return (kind == message_kind::text ? ring_marks::text : ring_marks::none) |
           (reserved_type_ != 0 ? ring_marks::tagged : ring_marks::none);
  }
  /// What a record begins with: 0 where it has no type.
  [[nodiscard]] std::uint64_t tag_for(std::size_t payload) const noexcept {
    if (reserved_type_ == 0) return 0;
    return std::bit_cast<std::uint64_t>(ring_tag{reserved_type_, 0, static_cast<std::uint32_t>(payload)});
  }
  /// All of a small record but its word, from its end to its beginning. Its reader looks at the word again and again,
  /// and takes the line away whenever it can: that line is written last, and in one go. Word by word: a copy that loads
  /// what was stored in other sizes a moment ago waits for it.
  void put_small(const ring::ring_batch& closed, bytes payload) noexcept {
    // Read once: behind each store everything might have changed, for all that the compiler knows.
    std::byte* const record = reserved_;
    const std::uint64_t tag = tag_for(payload.size());
    std::byte* const to = record + head_bytes(reserved_type_);
    const std::uint64_t sum = record_sum(closed.word, tag, payload);
    out_.end_at(closed.end);
    std::size_t left = payload.size() & ~std::size_t{7};
    Stores::copy(to + left, payload.subspan(left));
    const auto last_word = [&] {
      left -= 8;
      put(to + left, load_le<std::uint64_t>(payload.data() + left));
    };
    if ((left & 8) != 0) last_word();
    while (left != 0) {
      last_word();
      last_word();
    }
    put(to - sizeof sum, sum);
    if (tag != 0) put(record, tag);
  }
  /// (2)
  void write_slot(const commit_record& c, const kept_part& kept) noexcept {
    write_fields(c, kept);
    write_generation(c.generation);
  }
  void write_generation(std::uint64_t generation) noexcept {
    // pairs with: read_newest, after a crash
    Stores::word(file_->slot_of(generation).generation, generation, std::memory_order_release);
  }
  void write_fields(const commit_record& c, const kept_part& kept) noexcept { write_outputs(c, begin_fields(c, kept)); }
  /// All but what says how much is sent. What the slot held before is older than what is settled in the other one.
  [[nodiscard]] checksum begin_fields(const commit_record& c, const kept_part& kept) noexcept {
    prepared_ = false;
    commit_slot& slot = file_->slot_of(c.generation);
    // Only this process stores here, so only the compiler could bring these stores before the last commit's.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (slot_versions_[c.generation & 1] != kept.version) [[unlikely]]
      write_kept(c.generation, kept);
    put(slot.in_sequence, c.in_sequence);
    put(slot.out_start, c.out_start);
    put(slot.out_acked, c.out_acked);
    put(slot.out_sequence, c.out_sequence);
    return slot_sum_begun(c, kept.sum);
  }
  void write_outputs(const commit_record& c, const checksum& begun) noexcept {
    commit_slot& slot = file_->slot_of(c.generation);
    put(slot.out_word, c.out_word);
    put(slot.out_end, c.out_end);
    put(slot.checksum, slot_sum_ended(begun, c.out_word, c.out_end));
  }
  /// What the next commit_with() is likely to write, but for its message, which may have the size of the last one.
  void prepare() noexcept {
    prepared_ = false;
    // Whoever has just changed its state is about to do so again; it would be written in vain.
    if (slot_versions_[(last_.generation + 1) & 1] != kept_.version) return;
    if (reserve(k_small, reserved_type_) == nullptr || out_.behind_pad()) return;
    next_ = last_;
    go_on(next_, out_.alike(last_.out_word), in_committed_.sequence + 1);
    next_sum_ = begin_fields(next_, kept_);
    write_outputs(next_, next_sum_);
    prepared_ = true;
  }
  std::uint64_t commit_unprepared(const message_view& m) noexcept;
  /// commit_with(), of which only what depends on the message is left before the peer sees it.
  std::uint64_t commit_prepared(const message_view& m) noexcept {
    const std::size_t head = head_bytes(m.type);
    const ring::ring_batch closed = out_.alone(head + m.payload.size(), marks_for(m.kind));
    if (closed.word != next_.out_word) {  // not as large as the last one, or of another kind
      next_.out_word = closed.word;
      next_.out_end = closed.end;
      write_outputs(next_, next_sum_);
    }
    put_small(closed, m.payload);
    write_generation(next_.generation);
    out_.reveal(closed);
    // From here on there is time: the peer reads what it has got.
    last_ = next_;
    in_committed_ = in_.mark();
    const auto number = settle_next();
    prepare();
    return number;
  }
  void write_kept(std::uint64_t generation, const kept_part& kept) noexcept;
  void kept_changed() noexcept;
  /// (4): one more commit, or the newest one again, is there for good.
  std::uint64_t settle_next() noexcept {
    commits_ += 1;
    settle();
    return commits_;
  }
  void settle() noexcept {
    // Release, so that it never comes before the generation.
    Stores::word(file_->slot_of(last_.generation).settled, checked_number::encode(last_.generation),
                 std::memory_order_release);
    in_settled_ = in_committed_;
    durable_ = commits_;
    in_.publish_in_shares(in_settled_);
  }
  void take_state() noexcept;
  [[nodiscard]] bool group_waits() noexcept;
  void seal() noexcept;
  void finish() noexcept;
  void restart_output() noexcept;

  session_file* file_;
  ring::ring_stager<Stores> out_;
  ring::held_consumer<Stores> in_;
  commit_record last_;            // the newest in a slot; with durability::disk, the newest on disk
  ring::ring_mark in_committed_;  // as of the newest commit()
  ring::ring_mark in_settled_;    // as of the newest durable one
  std::uint64_t commits_ = 0;
  std::uint64_t durable_ = 0;
  kept_part kept_;
  std::vector<std::byte> open_state_;
  std::byte* reserved_ = nullptr;
  std::uint16_t reserved_type_ = 0;
  std::array<std::uint64_t, 2> slot_versions_{~std::uint64_t{0},
                                              ~std::uint64_t{0}};  // of the kept parts that lie there
  bool state_open_ = false;
  bool prepared_ = false;  // next_ lies in its slot, but for its message
  commit_record next_;
  checksum next_sum_;
  bool wants_room_ = false;
  const durability how_;
  disk_state disk_ = disk_state::idle;
  ring::ring_batch waiting_;  // committed, not on its way yet
  group sealed_;              // on its way
};

using persistent_session = basic_persistent_session<>;
extern template class basic_persistent_session<ring::direct_stores>;

}  // namespace ferry::session
