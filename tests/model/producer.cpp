#include "tests/model/steps.hpp"

namespace ferry::model {

// ring_producer::reserve, with its first look at what it knows.
void ring_model::steps::next_message(producer& p) const noexcept {
  const std::size_t count = model_.scenario_.records.size();
  if (p.message < count) {
    go_on_or_look(p);
  } else {
    p.step = p.message == count ? producer_step::end : producer_step::done;
  }
}

void ring_model::steps::start_record(producer& p) const noexcept {
  p.part = 1;
  p.step = model_.scenario_.records[p.message] > 1 ? producer_step::body : producer_step::zero;
}

void ring_model::steps::go_on_or_look(producer& p) const noexcept {
  if (p.seen >= model_.next_record(p).need) {
    start_record(p);
  } else {
    p.step = producer_step::look;
  }
}

void ring_model::steps::produce() {
  using enum producer_step;
  switch (from_.writer.step) {
    case fields: store(k_producer, k_fields, 1, false, [](state& s) { s.writer.step = magic; }); break;
    case magic:
      store(k_producer, k_magic, 1, !is(variant::magic_relaxed), [this](state& s) { next_message(s.writer); });
      break;
    case look:
    case want:
    case ask:
    case barrier:
    case look_again:
    case wait:
    case asleep:
    case stop_asking:
    case forget: wait_for_room(); break;
    case body:
    case zero:
    case word:
    case pad:
    case end: publish_record(); break;
    case order:
    case bell:
    case clear:
    case wake: ring_bell(); break;
    case done: break;
  }
}

void ring_model::steps::wait_for_room() {
  using enum producer_step;
  const std::uint8_t need = model_.next_record(from_.writer).need;
  const auto see = [this, need](producer_step otherwise, producer_step enough) {
    return [this, need, otherwise, enough](state& s, value position) {
      producer& p = s.writer;
      if (position < p.seen || position > p.tail) {
        s.failed = failure::bad_position;
        p.step = done;
        return;
      }
      p.seen = position;
      p.step = position < need ? otherwise : enough;
      if (p.step == body) start_record(p);
    };
  };
  const auto to = [](producer_step next) { return [next](state& s) { s.writer.step = next; }; };
  std::vector<range> foreseen;
  switch (from_.writer.step) {
    case look:
      if (is(variant::position_look_relaxed))
        for (value v = need; v <= from_.writer.tail; ++v) foreseen.push_back({v, v});
      load(k_producer, k_position, foreseen, see(want, body));
      break;
    case want: store(k_producer, k_wake_at, need, false, to(ask)); break;
    case ask:
      if (model_.fenced() && !is(variant::fenced_sleeper_relaxed)) {
        exchange_ordered(k_producer, k_room, [](state& s, value& asked) {
          asked = 1;
          s.writer.step = look_again;
        });
      } else {
        store(k_producer, k_room, 1, false, to(model_.fenced() || is(variant::room_plain) ? look_again : barrier));
      }
      break;
    case barrier:
      steps::fence(k_producer, !is(variant::room_fence_of_sleeper),
                   to(is(variant::room_no_second_look) ? wait : look_again));
      break;
    case look_again: load(k_producer, k_position, {}, see(wait, stop_asking)); break;
    case wait: futex_wait(k_producer, k_room, to(asleep), to(stop_asking)); break;
    case asleep:
      if (from_.writer.slices > 0)
        alone(k_producer, deed::time_limit, [](state& s) {
          s.writer.slices -= 1;
          s.writer.step = stop_asking;
        });
      break;
    case stop_asking:
      if (is(variant::room_left)) {
        alone(k_producer, deed::issue, to(forget));
        break;
      }
      if (is(variant::both_left)) {
        alone(k_producer, deed::issue, [this](state& s) { go_on_or_look(s.writer); });
        break;
      }
      store(k_producer, k_room, 0, false, [this](state& s) {
        if (is(variant::wake_at_left)) {
          go_on_or_look(s.writer);
        } else {
          s.writer.step = forget;
        }
      });
      break;
    case forget: store(k_producer, k_wake_at, 0, false, [this](state& s) { go_on_or_look(s.writer); }); break;
    default: break;
  }
}

void ring_model::steps::publish_record() {
  using enum producer_step;
  const producer& now = from_.writer;
  const producer_step to_bell = model_.fenced() && !is(variant::fenced_ringer_plain) ? order : bell;
  const auto published = [this, to_bell](state& s) {
    s.writer.tail = model_.next_record(s.writer).next;
    s.writer.message += 1;
    s.writer.step = to_bell;
  };
  if (now.step == end) {
    store(k_producer, model_.slot(now.tail), k_end, !is(variant::end_relaxed), [to_bell](state& s) {
      s.writer.message += 1;
      s.writer.step = to_bell;
    });
    return;
  }
  const plan record = model_.next_record(now);
  const bool padded = record.at != now.tail;
  const bool pad_first = padded && is(variant::pad_first);
  const auto to = [](producer_step next) { return [next](state& s) { s.writer.step = next; }; };
  switch (now.step) {
    case body:
      store(k_producer, model_.slot(static_cast<std::uint8_t>(record.at + now.part)), body_part(now.message, now.part),
            false, [this](state& s) {
              s.writer.part += 1;
              if (s.writer.part == model_.scenario_.records[s.writer.message]) s.writer.step = zero;
            });
      break;
    case zero:
      if (is(variant::no_zero)) {
        alone(k_producer, deed::issue, to(pad_first ? pad : word));
      } else {
        store(k_producer, model_.slot(record.next), k_nothing, false, to(pad_first ? pad : word));
      }
      break;
    case word:
      if (padded && !pad_first) {
        store(k_producer, model_.slot(record.at), record_word(now.message), false, to(pad));
      } else {
        store(k_producer, model_.slot(record.at), record_word(now.message), !is(variant::word_relaxed), published);
      }
      break;
    case pad:
      if (pad_first) {
        store(k_producer, model_.slot(now.tail), k_pad, true, to(word));
      } else {
        store(k_producer, model_.slot(now.tail), k_pad, !is(variant::pad_relaxed), published);
      }
      break;
    default: break;
  }
}

void ring_model::steps::ring_bell() {
  using enum producer_step;
  switch (from_.writer.step) {
    case order: exchange_ordered(k_producer, k_sleep, [](state& s, value&) { s.writer.step = bell; }); break;
    case bell:
      // Of a load or exchange that leads to a system call nothing is foreseen: the call waits for it anyway.
      load(k_producer, k_sleep, {{0, 0}}, [this](state& s, value sleeps) {
        if (sleeps == 0) {
          next_message(s.writer);
        } else {
          s.writer.step = is(variant::bell_not_cleared) ? wake : clear;
        }
      });
      break;
    case clear:
      exchange(k_producer, k_sleep, 0, {}, [this](state& s, value slept) {
        if (slept == 0) {
          next_message(s.writer);
        } else {
          s.writer.step = wake;
        }
      });
      break;
    case wake: {
      if (!own(k_producer).empty()) return;
      const bool sleeper = from_.reader.step == consumer_step::asleep;
      alone(k_producer, sleeper ? deed::wake : deed::wake_nobody, [this, sleeper](state& s) {
        if (sleeper) s.reader.step = consumer_step::awake;
        next_message(s.writer);
      });
      break;
    }
    default: break;
  }
}

}  // namespace ferry::model
