#include "tests/model/ring_model.hpp"

#include "tests/model/steps.hpp"

namespace ferry::model {

void ring_model::steps::perform(std::uint8_t thread) {
  const window& mine = own(thread);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    if (!mine.may_perform(i)) continue;
    const operation one = mine[i];
    state s = from_;
    s.windows[thread].remove(i);
    if (one.what == kind::store || one.what == kind::store_release) {
      s.memory[one.where] = one.low;
      add(s, {thread, deed::store, one.where, one.low});
      continue;
    }
    if (one.what == kind::exchange) {
      if (from_.memory[one.where] != one.low) continue;
      s.memory[one.where] = one.high;
      add(s, {thread, deed::exchange, one.where, one.low});
      continue;
    }
    const operation* const newest = mine.newest(one.where, i);
    const value now = newest != nullptr ? newest->low : from_.memory[one.where];
    if (one.what == kind::check && now != one.low) s.failed = failure::torn;
    if (one.what == kind::foreseen && (now < one.low || now > one.high)) continue;
    add(s, {thread, deed::load, one.where, now});
  }
}

ring_model::ring_model(const scenario& what, variant which) : scenario_(what), variant_(which) {
  producer walk;
  for (; walk.message < what.records.size(); ++walk.message) {
    const plan one = next_record(walk);
    if (one.need > 0 && (wishes_.empty() || wishes_.back() != one.need)) wishes_.push_back(one.need);
    walk.tail = one.next;
  }
}

state ring_model::start() const noexcept {
  state s;
  s.writer.slices = scenario_.slices;
  s.reader.slices = scenario_.slices;
  if (!scenario_.header) {
    s.writer.step = producer_step::look;
    s.reader.step = consumer_step::front;
  }
  return s;
}

void ring_model::successors(const state& from, std::vector<next_state>& to) const {
  to.clear();
  steps one(*this, from, to);
  one.perform(k_producer);
  one.perform(k_consumer);
  one.produce();
  one.consume();
}

failure ring_model::judge(const state& s, bool stuck) const noexcept {
  if (s.failed == failure::window_full) return s.failed;
  if (s.windows[k_producer].foresees() || s.windows[k_consumer].foresees()) return failure::none;
  if (s.failed != failure::none || !stuck) return s.failed;
  if (s.writer.step == producer_step::done && s.reader.step == consumer_step::done) return failure::none;
  const bool record_there = s.reader.step == consumer_step::asleep && s.memory[slot(s.reader.at)] != k_nothing;
  const bool room_there = s.writer.step == producer_step::asleep && s.memory[k_position] >= next_record(s.writer).need;
  return record_there || room_there ? failure::lost_wake_up : failure::deadlock;
}

ring_model::plan ring_model::next_record(const producer& p) const noexcept {
  const std::uint8_t size = scenario_.records[p.message];
  const bool fits = slot(p.tail) + size <= scenario_.slots;
  const std::uint8_t at = fits ? p.tail : end_of_lap(p.tail);
  const auto next = static_cast<std::uint8_t>(at + size);
  const int need = next + (variant_ == variant::no_spare_word ? 0 : 1) - scenario_.slots;
  return {at, next, static_cast<std::uint8_t>(need < 0 ? 0 : need)};
}

std::uint8_t ring_model::end_of_lap(std::uint8_t position) const noexcept {
  return static_cast<std::uint8_t>(position - slot(position) + scenario_.slots);
}

value ring_model::due_word(const consumer& c) const noexcept {
  if (c.message == scenario_.records.size()) return k_end;
  return slot(c.at) + scenario_.records[c.message] <= scenario_.slots ? record_word(c.message) : k_pad;
}

std::string ring_model::name_of(place where) const {
  switch (where) {
    case k_position: return "position";
    case k_wake_at: return "wake_at";
    case k_room: return "room";
    case k_sleep: return "sleep";
    case k_fields: return "fields";
    case k_magic: return "magic";
    default: return "slot " + std::to_string(where);
  }
}

std::string ring_model::name_of(place where, value what) const {
  if (where >= k_max_slots || what == k_nothing) return std::to_string(what);
  if (what == k_pad) return "pad";
  if (what == k_end) return "end";
  if (what < body_part(0, 0)) return "word of record " + std::to_string(what - record_word(0));
  return "body of record " + std::to_string((what - body_part(0, 0)) / 4);
}

std::string ring_model::describe(const event& e) const {
  const std::string who = e.thread == k_producer ? "producer: " : "                                        consumer: ";
  const auto pair = [&](std::string_view between) {
    return who + name_of(e.where) + std::string(between) + name_of(e.where, e.seen);
  };
  switch (e.what) {
    case deed::issue: return {};
    case deed::store: return pair(" = ");
    case deed::load: return pair(" is ");
    case deed::exchange: return pair(" exchanged, was ");
    case deed::membarrier: return who + "membarrier";
    case deed::fence: return who + "fence";
    case deed::sleep: return who + "sleeps";
    case deed::not_slept: return pair(": does not sleep, it is ");
    case deed::time_limit: return who + "time limit";
    case deed::wake: return who + "wakes the other";
    case deed::wake_nobody: return who + "wakes nobody";
  }
  return {};
}

}  // namespace ferry::model
