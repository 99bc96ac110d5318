#include "tests/model/steps.hpp"

namespace ferry::model {

// ring_consumer::front, as it goes on with the word.
void ring_model::steps::read_word(state& s, value word) const noexcept {
  using enum consumer_step;
  consumer& c = s.reader;
  const std::size_t count = model_.scenario_.records.size();
  if (word == k_nothing) {
    if (is(variant::position_not_published)) {
      c.step = sleep;
    } else {
      publish_position(c, sleep);
    }
  } else if (word == k_end && c.message == count) {
    publish_position(c, done);
  } else if (word == k_pad && model_.slot(c.at) != 0) {
    c.at = model_.end_of_lap(c.at);
    c.step = front;
  } else if (c.message < count && word == record_word(c.message)) {
    c.part = 1;
    c.step = body;
    if (model_.scenario_.records[c.message] == 1) popped(c);
  } else {
    s.failed = failure::bad_word;
    c.step = done;
  }
}

void ring_model::steps::popped(consumer& c) const noexcept {
  c.at = static_cast<std::uint8_t>(c.at + model_.scenario_.records[c.message]);
  c.message += 1;
  c.step = consumer_step::front;
  if (c.at - c.published >= model_.scenario_.publish_every) publish_position(c, consumer_step::front);
}

void ring_model::steps::publish_position(consumer& c, consumer_step then) const noexcept {
  c.then = then;
  c.step = c.published == c.at ? then : consumer_step::tell;
}

void ring_model::steps::consume() {
  using enum consumer_step;
  const consumer& now = from_.reader;
  switch (now.step) {
    case magic: {
      // Before the magic there is no ring: whoever reads 0 tries again later.
      std::vector<range> foreseen;
      if (is(variant::magic_look_relaxed)) foreseen.push_back({1, 1});
      if (from_.memory[k_magic] == 1 || !foreseen.empty())
        load(k_consumer, k_magic, foreseen, [](state& s, value there) { s.reader.step = there == 1 ? fields : magic; });
      break;
    }
    case fields: issue(k_consumer, {kind::check, k_fields, 1, 0}, [](state& s) { s.reader.step = front; }); break;
    case front: {
      std::vector<range> foreseen;
      const value due = model_.due_word(now);
      if (is(variant::look_relaxed)) foreseen.push_back({due, due});
      load(k_consumer, model_.slot(now.at), foreseen, [this](state& s, value word) { read_word(s, word); });
      break;
    }
    case body:
      issue(
          k_consumer,
          {kind::check, model_.slot(static_cast<std::uint8_t>(now.at + now.part)), body_part(now.message, now.part), 0},
          [this](state& s) {
            s.reader.part += 1;
            if (s.reader.part == model_.scenario_.records[s.reader.message]) popped(s.reader);
          });
      break;
    case tell:
    case order:
    case wanted:
    case clear:
    case order_again:
    case bell:
    case consumer_step::take:
    case wake: tell_position(); break;
    case sleep:
    case barrier:
    case look_again:
    case wait:
    case asleep:
    case awake: fall_asleep(); break;
    case done: break;
  }
}

// ring_consumer::publish_position and take_producer_waits, and the wake-up that follows.
void ring_model::steps::tell_position() {
  using enum consumer_step;
  const consumer& now = from_.reader;
  const bool ringer_orders = model_.fenced() && !is(variant::fenced_ringer_plain);
  switch (now.step) {
    case tell:
      store(k_consumer, k_position, now.at, !is(variant::position_relaxed), [ringer_orders](state& s) {
        s.reader.published = s.reader.at;
        s.reader.step = ringer_orders ? order : wanted;
      });
      break;
    case order: exchange_ordered(k_consumer, k_room, [](state& s, value&) { s.reader.step = wanted; }); break;
    case wanted: {
      std::vector<range> foreseen{{0, 0}, {static_cast<value>(now.published + 1), 0xff}};
      for (const value wish : model_.wishes_)
        if (wish <= now.published) foreseen.push_back({wish, wish});
      load(k_consumer, k_wake_at, foreseen, [this](state& s, value at) {
        consumer& c = s.reader;
        if (at == 0 || at > c.published) {
          c.step = c.then;
        } else if (is(variant::wake_at_kept)) {
          c.step = model_.fenced() ? order_again : bell;
        } else {
          c.wanted = at;
          c.step = clear;
        }
      });
      break;
    }
    case clear: clear_wish(); break;
    case order_again: exchange_ordered(k_consumer, k_room, [](state& s, value&) { s.reader.step = bell; }); break;
    case bell:
      load(k_consumer, k_room, {{0, 0}}, [this](state& s, value waits) {
        s.reader.step = waits == 0 ? s.reader.then : is(variant::room_not_cleared) ? wake : consumer_step::take;
      });
      break;
    case consumer_step::take:
      exchange(k_consumer, k_room, 0, {},
               [](state& s, value waits) { s.reader.step = waits == 0 ? s.reader.then : wake; });
      break;
    case wake: {
      if (!own(k_consumer).empty()) return;
      const bool sleeper = from_.writer.step == producer_step::asleep;
      alone(k_consumer, sleeper ? deed::wake : deed::wake_nobody, [sleeper](state& s) {
        if (sleeper) s.writer.step = producer_step::stop_asking;
        s.reader.step = s.reader.then;
      });
      break;
    }
    default: break;
  }
}

// The compare-exchange of take_producer_waits.
void ring_model::steps::clear_wish() {
  using enum consumer_step;
  const value wish = from_.reader.wanted;
  const consumer_step cleared = model_.fenced() && !is(variant::fenced_ringer_plain) ? order_again : bell;
  if (is(variant::wake_at_plain_store)) {
    store(k_consumer, k_wake_at, 0, false, [cleared](state& s) {
      s.reader.wanted = 0;
      s.reader.step = cleared;
    });
    return;
  }
  const window& mine = own(k_consumer);
  const auto then = [&](consumer_step next) {
    return [next](state& s, value) {
      s.reader.wanted = 0;
      s.reader.step = next;
    };
  };
  const bool reachable = mine.newest(k_wake_at, mine.size()) == nullptr;
  if (reachable && from_.memory[k_wake_at] != wish) {
    load(k_consumer, k_wake_at, {}, then(from_.reader.then));
  } else if (reachable) {
    exchange(k_consumer, k_wake_at, 0, {}, then(cleared));
  }
  issue(k_consumer, {kind::exchange, k_wake_at, wish, 0}, [&](state& s) { then(cleared)(s, 0); });
  for (const value other : model_.wishes_)
    if (other != wish && other <= from_.reader.published)
      issue(k_consumer, {kind::foreseen, k_wake_at, other, other}, [&](state& s) { then(from_.reader.then)(s, 0); });
}

void ring_model::steps::fall_asleep() {
  using enum consumer_step;
  const consumer& now = from_.reader;
  const auto to = [](consumer_step next) { return [next](state& s) { s.reader.step = next; }; };
  switch (now.step) {
    case sleep:
      if (model_.fenced() && !is(variant::fenced_sleeper_relaxed)) {
        exchange_ordered(k_consumer, k_sleep, [](state& s, value& sleeps) {
          sleeps = 1;
          s.reader.step = look_again;
        });
      } else {
        store(k_consumer, k_sleep, 1, false, to(model_.fenced() || is(variant::bell_plain) ? look_again : barrier));
      }
      break;
    case barrier:
      steps::fence(k_consumer, !is(variant::bell_fence_of_sleeper),
                   to(is(variant::bell_no_second_look) ? wait : look_again));
      break;
    case look_again:
      load(k_consumer, model_.slot(now.at), {},
           [](state& s, value word) { s.reader.step = word == k_nothing ? wait : awake; });
      break;
    case wait: futex_wait(k_consumer, k_sleep, to(asleep), to(awake)); break;
    case asleep:
      if (now.slices > 0)
        alone(k_consumer, deed::time_limit, [](state& s) {
          s.reader.slices -= 1;
          s.reader.step = awake;
        });
      break;
    case awake: store(k_consumer, k_sleep, 0, false, to(front)); break;
    default: break;
  }
}

}  // namespace ferry::model
