// A side of a session dies before any of its stores. What it leaves is looked at store by store: both sides go on from
// there, and every request is booked and answered exactly once. With a disk, whose power lasts, too.
#include <gtest/gtest.h>

#include <functional>

#include "testing/session_world.hpp"

namespace ferry::test {
namespace {

using stepped_side = session_side<recorded_stores>;
constexpr auto k_process = session::durability::process;
constexpr auto k_disk = session::durability::disk;

/// What a kill would leave, before each store of `work` and after the last one.
std::vector<std::vector<std::uint64_t>> states_of(session_memory& memory, const std::function<void()>& work) {
  std::vector<std::vector<std::uint64_t>> states;
  recorded_stores::before = [&](const void*) { states.push_back(memory.copy()); };
  try {
    work();
  } catch (...) {
    recorded_stores::before = nullptr;
    throw;
  }
  recorded_stores::before = nullptr;
  states.push_back(memory.copy());
  return states;
}

/// Who counts.
enum class kept : std::uint8_t { in_states, by_session };

struct pair_of_sides {
  session_memory memory;
  std::optional<std::uint64_t> first;
  session::durability how;
  std::array<stepped_side, 2> sides;

  /// @param number  of the first message of both
  explicit pair_of_sides(std::uint64_t number = 0, kept counters = kept::in_states,
                         session::durability how_durable = k_process)
      : first(counters == kept::by_session ? std::optional(number) : std::nullopt),
        how(how_durable),
        sides{stepped_side(memory, 0, how, first), stepped_side(memory, 1, how, first)} {
    for (auto& side : sides) {
      side.recover();
      EXPECT_TRUE(side.s->reset({42, number, number}));
      sync_all(*side.s);
      side.recover();
    }
    for (auto& side : sides) side.attach();
  }
  /// One of the things that a side does; which is up to `random`. With a disk what was committed waits for it now and
  /// then, and then goes there together with what comes next.
  void step(int who, std::uint64_t random) {
    act(sides[static_cast<std::size_t>(who)], random);
    if (random / 64 % 4 != 0) sync_all(*sides[static_cast<std::size_t>(who)].s);
  }

 private:
  static void act(stepped_side& side, std::uint64_t random) {
    switch (random % 16) {
      case 0: side.commit_nothing(); break;
      case 1: side.s->publish_position(); break;
      case 2: side.work(1 + random / 16 % 3, ~std::uint64_t{0}, true); break;
      case 3:
        // A process that is started anew, although nothing went wrong.
        side.recover();
        side.attach();
        break;
      case 4: side.work(30, ~std::uint64_t{0}); break;
      default: side.work(1 + random / 16 % 4, ~std::uint64_t{0}); break;
    }
  }
};

/// That the interesting cases were among what was tried.
struct tried {
  std::size_t kills = 0, without_outputs = 0, several_outputs = 0, pads_first = 0, full = 0, prepared = 0;
};

/// What a kill between two steps leaves.
counters found_after(const stepped_side& side, session::durability how) {
  return how == k_disk ? side.survives() : side.counted;
}

void kill_everywhere(pair_of_sides& world, std::uint64_t seed, tried& seen) {
  session_memory after;
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    const int who = static_cast<int>(random() % 2);
    auto& side = world.sides[static_cast<std::size_t>(who)];
    const counters before = found_after(side, world.how);
    const auto what = random();
    const auto states = states_of(world.memory, [&] { world.step(who, what); });
    const counters then = found_after(side, world.how);
    for (std::size_t i = 0; i < states.size(); ++i) {
      after.assign(states[i]);
      session_side<ring::direct_stores> reborn(after, who, world.how, world.first);
      reborn.recover();
      demand(reborn.counted == before || reborn.counted == then,
             "half a transaction before store " + std::to_string(i) + " of " + std::to_string(states.size()));
      after.assign(states[i]);
      finish_everything(after, world.how, world.first);
    }
    const auto last = session::read_newest(world.memory.file(who))->last;
    seen.kills += states.size();
    seen.without_outputs += last.out_word == 0;
    seen.several_outputs += then.out > before.out + 1;
    seen.pads_first += last.out_word == ring_word::k_pad_word;
    seen.full += side.refused;
    seen.prepared += side.prepared;
    side.refused = side.prepared = 0;
  }
}

tried kill_everywhere_of(session::durability how) {
  tried seen;
  // The numbers of records wrap at 2^29 in their words.
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1000}, (std::uint64_t{1} << 29) - 20,
                                    (std::uint64_t{1} << 30) + 7, (std::uint64_t{1} << 32) - 20})
    for (const kept counters : {kept::in_states, kept::by_session}) {
      pair_of_sides world(first, counters, how);
      try {
        kill_everywhere(world, first + 4, seen);
      } catch (const std::exception& e) {
        ADD_FAILURE() << "from number " << first << ", after " << seen.kills << " kills: " << e.what();
        return seen;
      }
    }
  EXPECT_GT(seen.kills, 10'000u);
  EXPECT_GT(seen.without_outputs, 50u);
  EXPECT_GT(seen.several_outputs, 50u);
  EXPECT_GT(seen.pads_first, 5u);
  EXPECT_GT(seen.full, 5u);
  return seen;
}

TEST(persistent_session, loses_and_repeats_nothing_wherever_one_side_is_killed) {
  const auto seen = kill_everywhere_of(k_process);
  EXPECT_GT(seen.prepared, 50u);
  RecordProperty("kills", static_cast<int>(seen.kills));
}

TEST(durable_session, loses_and_repeats_nothing_wherever_one_side_is_killed_that_syncs) {
  const auto seen = kill_everywhere_of(k_disk);
  RecordProperty("kills", static_cast<int>(seen.kills));
}

struct keeping {
  const char* name;
  kept counters;
  session::durability how;
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const keeping& one, std::ostream* out) { *out << one.name; }

class kept_counters : public ::testing::TestWithParam<keeping> {};
INSTANTIATE_TEST_SUITE_P(, kept_counters,
                         ::testing::Values(keeping{"in_states", kept::in_states, k_process},
                                           keeping{"by_session", kept::by_session, k_process},
                                           keeping{"in_states_on_disk", kept::in_states, k_disk},
                                           keeping{"by_session_on_disk", kept::by_session, k_disk}),
                         [](const auto& of) { return of.param.name; });

TEST_P(kept_counters, go_on_with_a_peer_that_never_noticed_the_kills) {
  pair_of_sides world(0, GetParam().counters, GetParam().how);
  std::mt19937_64 random(5);
  try {
    for (int round = 0; round < 8'000; ++round) {
      const int who = static_cast<int>(random() % 2);
      const auto what = random();
      if (random() % 4 != 0) {
        world.step(who, what);
        continue;
      }
      auto states = states_of(world.memory, [&] { world.step(who, what); });
      // The killed one comes back, and may be killed while it does; the other one has seen nothing.
      for (bool again = true; again; again = random() % 4 == 0) {
        world.memory.assign(states[random() % states.size()]);
        auto& side = world.sides[static_cast<std::size_t>(who)];
        states = states_of(world.memory, [&] {
          side.recover();
          side.attach();
        });
      }
    }
    EXPECT_GT(world.sides[0].counted.in, 2'000u);
    finish_everything(world.memory, world.how, world.first);
  } catch (const std::exception& e) {
    FAIL() << e.what();
  }
}

TEST_P(kept_counters, survive_a_kill_at_every_store_of_a_recovery) {
  pair_of_sides world(0, GetParam().counters, GetParam().how);
  session_memory between, after;
  std::mt19937_64 random(6);
  for (int round = 0; round < 60; ++round) {
    const int who = static_cast<int>(random() % 2);
    const auto what = random();
    for (const auto& state : states_of(world.memory, [&] { world.step(who, what); })) {
      try {
        between.assign(state);
        stepped_side reborn(between, who, world.how, world.first);
        const auto states = states_of(between, [&] {
          reborn.recover();
          reborn.attach();
        });
        for (const auto& one : states) {
          after.assign(one);
          finish_everything(after, world.how, world.first);
        }
      } catch (const std::exception& e) {
        FAIL() << "round " << round << ": " << e.what();
      }
    }
  }
}

TEST(persistent_session, begins_anew_or_not_at_all_wherever_a_reset_is_killed) {
  for (const int inputs : {0, 3}) {
    pair_of_sides world;
    for (int i = 0; i < inputs; ++i) world.step(i % 2, 16 * 3 + 5);
    auto& side = world.sides[0];
    side.work(5, ~std::uint64_t{0});
    const auto before = side.counted;
    const auto number = side.s->session();
    const auto states = states_of(world.memory, [&] { ASSERT_TRUE(side.s->reset({99})); });
    ASSERT_GT(states.size(), 10u);
    for (const auto& state : states) {
      session_memory after;
      after.assign(state);
      auto found = session::persistent_session::recover(after.file(0), after.parts(0), k_process);
      ASSERT_TRUE(found) << found.error().text();
      const bool reset = (*found)->session() == 99;
      ASSERT_TRUE(reset || (*found)->session() == number);
      const auto range = (*found)->range();
      ASSERT_TRUE(range) << range.error().text();
      EXPECT_EQ(range->end, reset ? 0 : before.out);
      EXPECT_EQ(range->ack, reset ? 0 : before.in);
      EXPECT_EQ((*found)->state().empty(), reset);
      ASSERT_TRUE((*found)->send({as_bytes("on it goes"), message_kind::text, 0}));
      (*found)->commit();
      EXPECT_EQ((*found)->range()->end, range->end + 1);
    }
  }
}

}  // namespace
}  // namespace ferry::test
