#pragma once
/// The parts of basic_persistent_session that no message passes through.

#include <algorithm>
#include <string>

#include "session/persistent_session.hpp"

namespace ferry::session {

template <class Stores>
basic_persistent_session<Stores>::basic_persistent_session(session_file& file, const ring_parts& out,
                                                           const committed& found, durability how)
    : file_(&file),
      out_(out.data, *out.line, found.last.out_end, found.last.out_sequence, found.last.out_acked,
           how == durability::disk ? ring::room_by::grant : ring::room_by::position),
      last_(found.last),
      in_committed_{0, found.last.in_sequence},
      in_settled_{0, found.last.in_sequence},
      kept_{found.last.session, found.last.epoch, {found.state.begin(), found.state.end()}, 0, 0},
      how_(how) {
  in_.go_back(in_committed_);
  kept_changed();
  out_.look();
}

template <class Stores>
auto basic_persistent_session<Stores>::recover(std::span<std::byte> file, const ring_parts& out, durability how)
    -> result<std::unique_ptr<basic_persistent_session>> {
  const auto newest = read_newest(file);
  if (!newest) return newest.error();
  const commit_record& c = newest->last;
  const auto torn = [&](const std::string& what) {
    return error(errc::corrupt, "the outgoing ring does not match transaction " + std::to_string(c.generation) + ": " +
                                    what + "; restore both files of the session from a backup, or reset it");
  };
  const std::uint64_t position = out.line->position.load(std::memory_order_acquire);
  if (position > c.out_end || (position & 7) != 0)
    return torn("the peer's position " + std::to_string(position) + " is behind its end, " + std::to_string(c.out_end));
  // The line may have reached the disk later than the slot; then it is older.
  const std::uint64_t first = std::max(position, c.out_acked);
  if (c.out_end - first > out.data.size()) return torn("more lies in it than it can hold");
  const auto word_at = [&](std::uint64_t at) -> std::uint64_t& {
    return *reinterpret_cast<std::uint64_t*>(out.data.data() + (at & (out.data.size() - 1)));
  };
  std::uint64_t& withheld = word_at(c.out_start);
  // Where the peer has gone on it was there, and its place may be another record's by now.
  const bool maybe_missing = c.out_word != 0 && first <= c.out_start;
  const std::uint64_t there = std::atomic_ref(withheld).load(std::memory_order_relaxed);
  if (maybe_missing && there != c.out_word) {
    if (there != 0) return torn("another record begins at " + std::to_string(c.out_start));
    Stores::word(withheld, c.out_word, std::memory_order_release);  // pairs with: ring_consumer::front
  }
  const auto found = ring::scan_from(out.data, first, c.out_sequence);
  if (!found || found->ended || found->tail != c.out_end || found->sequence != c.out_sequence)
    return torn("its records do not end at " + std::to_string(c.out_end));
  if (const auto damaged = first_damaged(out.data, first, found->sequence - found->records))
    return torn("record " + std::to_string(*damaged) + " does not have its checksum");
  // A peer at work has stored the same, or newer; a loss of power, or of this process in a reset, leaves older numbers.
  const std::uint64_t number = found->sequence - found->records;
  const std::uint64_t told = out.line->sequence.load(std::memory_order_relaxed);
  if (first != position || told < number || (found->records == 0 && told != number))
    Stores::word(out.line->sequence, number, std::memory_order_relaxed);
  if (first != position) Stores::word(out.line->position, first, std::memory_order_release);
  std::unique_ptr<basic_persistent_session> made(
      new basic_persistent_session(*reinterpret_cast<session_file*>(file.data()), out, *newest, how));
  made->settle();
  return made;
}

template <class Stores>
result<void> basic_persistent_session<Stores>::attach_input(std::span<const std::byte> data, ring_line& line) {
  if (in_.sequence() != in_settled_.sequence)
    return error(errc::misuse,
                 "the input cannot change while a transaction that consumed messages is open or waits for the disk: "
                 "commit or abort, and sync");
  if (const auto attached = in_.attach(data, line, in_committed_.sequence); !attached) return attached.error();
  // A group on its way to the disk has consumed nothing either, so that its place in the input is the same.
  in_committed_ = in_settled_ = sealed_.in = in_.mark();
  return {};
}

template <class Stores>
void basic_persistent_session<Stores>::detach_input() noexcept {
  abort();
  in_.detach();
}

template <class Stores>
std::uint64_t basic_persistent_session<Stores>::commit_unprepared(const message_view& m) noexcept {
  reserved_type_ = m.type;
  const std::size_t head = head_bytes(m.type);
  if (how_ == durability::disk || out_.staged() || out_.behind_pad()) [[unlikely]] {
    Stores::copy(reserved_ + head, m.payload);
    stage(m.payload.size(), m.kind);
    return commit();
  }
  if (state_open_) [[unlikely]]
    take_state();
  const ring::ring_batch closed = out_.alone(head + m.payload.size(), marks_for(m.kind));
  go_on(last_, closed, in_.sequence());
  write_fields(last_, kept_);
  put_small(closed, m.payload);
  write_generation(last_.generation);
  out_.reveal(closed);
  in_committed_ = in_.mark();
  const auto number = settle_next();
  prepare();
  return number;
}

template <class Stores>
void basic_persistent_session<Stores>::take_state() noexcept {
  std::swap(kept_.state, open_state_);
  state_open_ = false;
  kept_changed();
}

template <class Stores>
void basic_persistent_session<Stores>::kept_changed() noexcept {
  kept_.sum = kept_sum(kept_.session, kept_.epoch, kept_.state);
  kept_.version += 1;
  prepared_ = false;
}

template <class Stores>
void basic_persistent_session<Stores>::write_kept(std::uint64_t generation, const kept_part& kept) noexcept {
  commit_slot& slot = file_->slot_of(generation);
  put(slot.session, kept.session);
  put(slot.epoch, kept.epoch);
  put(slot.state_bytes, kept.state.size());
  Stores::copy(slot.state.data(), kept.state);
  slot_versions_[generation & 1] = kept.version;
}

template <class Stores>
bool basic_persistent_session<Stores>::group_waits() noexcept {
  return commits_ != durable_ || (wants_room_ && out_.look() > last_.out_acked);
}

template <class Stores>
bytes basic_persistent_session<Stores>::next_sync() noexcept {
  if (how_ != durability::disk) return {};
  switch (disk_) {
    case disk_state::idle:
      if (!group_waits()) return {};
      seal();
      enter(disk_state::records);
      return out_.data();
    case disk_state::records: return out_.data();
    case disk_state::slot: return std::as_bytes(std::span(&file_->slots[sealed_.record.generation & 1], 1));
    case disk_state::failed: break;
  }
  return {};
}

template <class Stores>
void basic_persistent_session<Stores>::synced() noexcept {
  switch (disk_) {
    case disk_state::idle:
    case disk_state::failed: return;
    case disk_state::records:
      write_slot(sealed_.record, sealed_.kept);
      enter(disk_state::slot);
      return;
    case disk_state::slot:
      finish();
      enter(disk_state::idle);
      return;
  }
}

template <class Stores>
void basic_persistent_session<Stores>::seal() noexcept {
  // Without outputs the group ends where the one before it did, whatever the open transaction has staged since.
  if (waiting_.empty()) waiting_ = {last_.out_end, 0, last_.out_end, last_.out_sequence};
  out_.look();
  sealed_.record = last_;
  go_on(sealed_.record, waiting_, in_committed_.sequence);
  sealed_.out = waiting_;
  sealed_.in = in_committed_;
  if (sealed_.kept.version != kept_.version) sealed_.kept = kept_;
  sealed_.number = commits_;
  sealed_.restarts = false;
  waiting_ = {};
  wants_room_ = false;
}

template <class Stores>
void basic_persistent_session<Stores>::finish() noexcept {
  last_ = sealed_.record;
  if (sealed_.restarts) restart_output();
  if (!sealed_.out.empty()) out_.reveal(sealed_.out);
  Stores::word(file_->slot_of(last_.generation).settled, checked_number::encode(last_.generation),
               std::memory_order_release);
  out_.grant(last_.out_acked);
  in_settled_ = sealed_.in;
  durable_ = sealed_.number;
  in_.publish_in_shares(in_settled_);
}

template <class Stores>
result<session_range> basic_persistent_session<Stores>::range() {
  const auto found = ring::scan_from(out_.data(), out_.look(), last_.out_sequence);
  if (out_.corrupt() || !found || found->sequence != last_.out_sequence)
    return error(errc::corrupt, "the peer published an impossible position in our ring, or our records are damaged");
  return session_range{in_settled_.sequence, found->sequence - found->records, found->sequence};
}

template <class Stores>
result<std::uint64_t> basic_persistent_session<Stores>::reset(const fresh_start& at) {
  if (open() || !rests())
    return error(
        errc::misuse,
        "a session cannot be reset while a transaction is open or waits for the disk: commit or abort, and sync");
  in_.detach();
  if (!at.keeps_state) {
    open_state_.clear();
    take_state();
  }
  in_committed_ = {0, at.in_sequence};
  in_.go_back(in_committed_);
  commits_ += 1;
  commit_record next = last_;
  next.generation += 1;
  kept_.session = at.session;
  kept_changed();
  next.in_sequence = at.in_sequence;
  next.out_sequence = at.out_sequence;
  next.out_word = 0;
  next.out_start = next.out_acked = next.out_end;
  if (how_ == durability::process) {
    last_ = next;
    write_slot(last_, kept_);
    restart_output();
    settle();
    return commits_;
  }
  sealed_.record = next;
  sealed_.out = {};
  sealed_.in = in_committed_;
  sealed_.kept = kept_;
  sealed_.number = commits_;
  sealed_.restarts = true;
  out_.shut();  // what is staged now would have the numbers of before
  enter(disk_state::records);
  return commits_;
}

/// The peer is not there, so its position is ours to store.
template <class Stores>
void basic_persistent_session<Stores>::restart_output() noexcept {
  Stores::word(out_.line().sequence, last_.out_sequence, std::memory_order_relaxed);
  Stores::word(out_.line().position, last_.out_end, std::memory_order_release);
  out_.restart(last_.out_sequence);
}

}  // namespace ferry::session
