#pragma once
/// The rules of the native ring, its doorbell and its waiting for room as two small programs over a weak memory. What
/// the programs do is what include/ferry/detail/ring_core.hpp does, step by step; a slot stands for 8 bytes.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/model/weak_memory.hpp"

namespace ferry::model {

/// One change to the rules; the first ones must hold too.
enum class variant : std::uint8_t {
  as_built,
  fenced,        ///< where membarrier is refused: both sides meet in a read-modify-write of the bell's word
  wake_at_left,  ///< the producer leaves wake_at as it is when it goes on
  wake_at_kept,  ///< the consumer leaves wake_at to the producer
  room_left,     ///< the producer leaves room set when it goes on
  both_left,
  end_relaxed,  ///< the word that says that nothing follows is stored relaxed
  // Each of these must be found wrong.
  word_relaxed,
  look_relaxed,
  no_zero,
  position_relaxed,
  position_look_relaxed,
  no_spare_word,
  pad_first,
  pad_relaxed,
  position_not_published,
  bell_plain,
  bell_fence_of_sleeper,
  bell_no_second_look,
  bell_not_cleared,
  room_plain,
  room_fence_of_sleeper,
  room_no_second_look,
  room_not_cleared,
  wake_at_plain_store,
  fenced_sleeper_relaxed,
  fenced_ringer_plain,
  magic_relaxed,
  magic_look_relaxed,
};

/// What is sent, and through how small a ring.
struct scenario {
  std::string_view name;
  std::uint8_t slots;                 ///< of the ring, at most k_max_slots
  std::vector<std::uint8_t> records;  ///< slots that each takes, its word included; at most 4
  std::uint8_t publish_every;         ///< the consumer tells its position after that many slots
  std::uint8_t slices;                ///< how often each wait may end by its time limit
  bool header;                        ///< the consumer waits for the magic and reads the fields first
};

inline constexpr std::uint8_t k_max_slots = 8;
inline constexpr std::uint8_t k_places = k_max_slots + 6;

enum class failure : std::uint8_t { none, torn, bad_word, bad_position, lost_wake_up, deadlock, endless, window_full };

/// Where the producer is. `look` to `forget` are the wait for room.
enum class producer_step : std::uint8_t {
  fields,
  magic,
  look,
  want,
  ask,
  barrier,
  look_again,
  wait,
  asleep,
  stop_asking,
  forget,
  body,
  zero,
  word,
  pad,
  end,
  order,
  bell,
  clear,
  wake,
  done,
};
/// Where the consumer is. `tell` to `wake` is the publication of its position, `sleep` to `awake` the doorbell.
enum class consumer_step : std::uint8_t {
  magic,
  fields,
  front,
  body,
  tell,
  order,
  wanted,
  clear,
  order_again,
  bell,
  take,
  wake,
  sleep,
  barrier,
  look_again,
  wait,
  asleep,
  awake,
  done,
};

struct producer {
  producer_step step = producer_step::fields;
  std::uint8_t message = 0;
  std::uint8_t tail = 0;
  std::uint8_t seen = 0;
  std::uint8_t part = 0;
  std::uint8_t slices = 0;
};

struct consumer {
  consumer_step step = consumer_step::magic;
  consumer_step then = consumer_step::front;  // after the publication
  std::uint8_t message = 0;
  std::uint8_t at = 0;
  std::uint8_t published = 0;
  std::uint8_t part = 0;
  std::uint8_t wanted = 0;  // what was read from wake_at
  std::uint8_t slices = 0;
};

/// All there is. Bytes without gaps, so that it is compared and hashed as bytes.
struct state {
  std::array<value, k_places> memory{};
  std::array<window, 2> windows{};
  producer writer;
  consumer reader;
  failure failed = failure::none;
};

enum class deed : std::uint8_t {
  issue,
  store,
  load,
  exchange,
  membarrier,
  fence,
  sleep,
  not_slept,
  time_limit,
  wake,
  wake_nobody,
};

/// What happened between two states, for the trace.
struct event {
  std::uint8_t thread = 0;  ///< 0: the producer, 1: the consumer
  deed what = deed::issue;
  place where = 0;
  value seen = 0;
};

struct next_state {
  state to;
  event by;
};

class ring_model {
 public:
  ring_model(const scenario& what, variant which);

  [[nodiscard]] state start() const noexcept;
  /// Everything that can happen next.
  void successors(const state& from, std::vector<next_state>& to) const;
  /// What is wrong with a state. Nothing counts while something is foreseen that has not come true.
  /// @param stuck whether it has no successor
  [[nodiscard]] failure judge(const state& s, bool stuck) const noexcept;
  /// The event as a line for people; empty if nobody else can see it.
  [[nodiscard]] std::string describe(const event& e) const;

 private:
  struct plan {
    std::uint8_t at;    // where the record goes
    std::uint8_t next;  // where the one after it goes
    std::uint8_t need;  // everything before it, less the ring, must have been given back
  };
  class steps;

  [[nodiscard]] bool fenced() const noexcept {
    return variant_ == variant::fenced || variant_ == variant::fenced_sleeper_relaxed ||
           variant_ == variant::fenced_ringer_plain;
  }
  [[nodiscard]] plan next_record(const producer& p) const noexcept;
  [[nodiscard]] std::uint8_t end_of_lap(std::uint8_t position) const noexcept;
  [[nodiscard]] value due_word(const consumer& c) const noexcept;
  [[nodiscard]] place slot(std::uint8_t position) const noexcept { return position % scenario_.slots; }
  [[nodiscard]] std::string name_of(place where) const;
  [[nodiscard]] std::string name_of(place where, value what) const;

  const scenario& scenario_;
  variant variant_;
  std::vector<value> wishes_;  // all that wake_at can hold, but for 0
};

struct outcome {
  failure found = failure::none;
  std::size_t states = 0;
  std::vector<std::string> trace;  ///< what led to the failure, on the shortest way
};

/// Visits every state that can be reached, shortest way first, and stops at the first failure.
[[nodiscard]] outcome explore(const scenario& what, variant which);

[[nodiscard]] std::string_view text_of(failure what) noexcept;

}  // namespace ferry::model
