#pragma once
/// One step of one thread, in all the ways in which it can go.

#include <vector>

#include "tests/model/ring_model.hpp"

namespace ferry::model {

inline constexpr place k_position = k_max_slots;
inline constexpr place k_wake_at = k_max_slots + 1;
inline constexpr place k_room = k_max_slots + 2;
inline constexpr place k_sleep = k_max_slots + 3;
inline constexpr place k_fields = k_max_slots + 4;
inline constexpr place k_magic = k_max_slots + 5;

/// What a slot holds. Every body differs from every other and from every word.
inline constexpr value k_nothing = 0;
inline constexpr value k_pad = 1;
inline constexpr value k_end = 2;
constexpr value record_word(unsigned message) noexcept { return static_cast<value>(0x10 + message); }
constexpr value body_part(unsigned message, unsigned part) noexcept {
  return static_cast<value>(0x20 + 4 * message + part);
}

inline constexpr std::uint8_t k_producer = 0;
inline constexpr std::uint8_t k_consumer = 1;

class ring_model::steps {
 public:
  steps(const ring_model& model, const state& from, std::vector<next_state>& to) noexcept
      : model_(model), from_(from), to_(to) {}

  /// What waits in a thread's window.
  void perform(std::uint8_t thread);
  /// The next operation of each program.
  void produce();
  void consume();

 private:
  struct range {
    value low;
    value high;
  };

  [[nodiscard]] bool is(variant v) const noexcept { return model_.variant_ == v; }
  [[nodiscard]] const window& own(std::uint8_t thread) const noexcept { return from_.windows[thread]; }
  void add(const state& s, event e) { to_.push_back({s, e}); }

  template <typename Then>
  void issue(std::uint8_t thread, operation what, Then then) {
    state s = from_;
    if (own(thread).full()) {
      s.failed = failure::window_full;
      add(s, {thread, deed::issue, what.where, what.low});
      return;
    }
    s.windows[thread].push(what);
    then(s);
    add(s, {thread, deed::issue, what.where, what.low});
  }
  template <typename Then>
  void store(std::uint8_t thread, place where, unsigned what, bool release, Then then) {
    issue(thread, {release ? kind::store_release : kind::store, where, static_cast<value>(what), 0}, then);
  }
  /// A load on whose value the program goes on. @param later  what it may be foreseen to give, if it is relaxed
  template <typename Then>
  void load(std::uint8_t thread, place where, const std::vector<range>& later, Then then) {
    const window& mine = own(thread);
    if (mine.may_load(where, mine.size())) {
      const operation* const newest = mine.newest(where, mine.size());
      const value now = newest != nullptr ? newest->low : from_.memory[where];
      state s = from_;
      then(s, now);
      add(s, {thread, deed::load, where, now});
    }
    for (const range r : later)
      issue(thread, {kind::foreseen, where, r.low, r.high}, [&](state& s) { then(s, r.low); });
  }
  /// Everything that the thread has issued is performed, and with membarrier what the other one has issued.
  template <typename Then>
  void fence(std::uint8_t thread, bool everywhere, Then then) {
    if (!own(thread).empty() || (everywhere && !own(thread ^ 1).empty())) return;
    state s = from_;
    then(s);
    add(s, {thread, everywhere ? deed::membarrier : deed::fence, 0, 0});
  }
  /// Only the thread's own step, nothing that memory notices.
  template <typename Then>
  void alone(std::uint8_t thread, deed what, Then then) {
    state s = from_;
    then(s);
    add(s, {thread, what, 0, 0});
  }
  /// A relaxed read-modify-write. @param reads  what it may be foreseen to read
  template <typename Then>
  void exchange(std::uint8_t thread, place where, value stored, const std::vector<value>& reads, Then then) {
    const window& mine = own(thread);
    if (mine.newest(where, mine.size()) == nullptr) {
      state s = from_;
      s.memory[where] = stored;
      then(s, from_.memory[where]);
      add(s, {thread, deed::exchange, where, from_.memory[where]});
    }
    for (const value was : reads) issue(thread, {kind::exchange, where, was, stored}, [&](state& s) { then(s, was); });
  }
  /// A read-modify-write that acquires and releases. @param change  of the value
  template <typename Change>
  void exchange_ordered(std::uint8_t thread, place where, Change change) {
    if (!own(thread).empty()) return;
    state s = from_;
    change(s, s.memory[where]);
    add(s, {thread, deed::exchange, where, from_.memory[where]});
  }
  /// A system call: full barrier of its thread.
  template <typename Asleep, typename Awake>
  void futex_wait(std::uint8_t thread, place where, Asleep asleep, Awake awake) {
    if (!own(thread).empty()) return;
    state s = from_;
    const bool sleeps = s.memory[where] == 1;
    if (sleeps) {
      asleep(s);
    } else {
      awake(s);
    }
    add(s, {thread, sleeps ? deed::sleep : deed::not_slept, where, s.memory[where]});
  }

  // producer
  void next_message(producer& p) const noexcept;
  void start_record(producer& p) const noexcept;
  void go_on_or_look(producer& p) const noexcept;
  void wait_for_room();
  void publish_record();
  void ring_bell();
  // consumer
  void read_word(state& s, value word) const noexcept;
  void popped(consumer& c) const noexcept;
  void publish_position(consumer& c, consumer_step then) const noexcept;
  void tell_position();
  void clear_wish();
  void fall_asleep();

  const ring_model& model_;
  const state& from_;
  std::vector<next_state>& to_;
};

}  // namespace ferry::model
