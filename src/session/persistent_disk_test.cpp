// The machine loses its power at any store and any sync, on a disk that keeps what was synced and any part of the rest:
// what was durable is there, and every request is booked and answered exactly once.
#include <gtest/gtest.h>

#include <cerrno>
#include <optional>

#include "testing/simulated_disk.hpp"

namespace ferry::test {
namespace {

constexpr auto k_disk = session::durability::disk;
constexpr auto k_ever = ~std::uint64_t{0};

/// Two sides whose files lie on one disk; each has a sync under way, or not.
class machine {
 public:
  explicit machine(std::uint64_t seed) : random_(seed) {
    recorded_stores::before = [this](const void* to) {
      if (probing_ && random_() % 16 == 0) probe();
      disk_.storing(to);
    };
    start();
  }
  ~machine() { recorded_stores::before = nullptr; }
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;

  void step() {
    const int who = static_cast<int>(random_() % 2);
    stepped& side = sides_[static_cast<std::size_t>(who)];
    for (std::size_t i = 0; i < 2; ++i) must_[i] = sides_[i].survives();
    probing_ = true;
    const auto random = random_();
    switch (random % 16) {
      case 0: side.commit_nothing(); break;
      case 1: side.work(2, k_ever, true); break;
      case 2: side.s->publish_position(); break;
      case 3:
      case 4:
      case 5:
      case 6:
      case 7: side.work(1 + random / 16 % 6, k_ever); break;
      default: sync(who); break;
    }
    probing_ = false;
    // Between two steps too, where nothing or everything made it.
    if (random_() % 8 == 0) probe();
    demand(failed_.empty(), failed_);
  }
  void lose_power() {
    for (std::size_t i = 0; i < 2; ++i) must_[i] = sides_[i].survives();
    disk_.restart_with(disk_.after_power_loss(random_, share()));
    start();
    for (std::size_t i = 0; i < 2; ++i) demand(at_least(sides_[i].counted, must_[i]), "something durable is gone");
    losses_ += 1;
  }
  /// One process dies between two steps and comes back; what it had stored is in memory, and it syncs that first.
  void kill(int who) {
    syncs_[static_cast<std::size_t>(who)].reset();
    disk_.restart_with(memory_.copy());
    for (auto& one : syncs_) one.reset();
    start_one(who);
  }
  void finish() {
    recorded_stores::before = nullptr;
    finish_everything(memory_, k_disk);
  }
  [[nodiscard]] std::size_t losses() const noexcept { return losses_; }
  [[nodiscard]] const counters& client() const noexcept { return sides_[0].counted; }
  [[nodiscard]] std::size_t merged() const noexcept { return merged_; }

 private:
  using stepped = session_side<recorded_stores>;

  [[nodiscard]] static bool at_least(const counters& a, const counters& b) { return a.in >= b.in && a.out >= b.out; }
  [[nodiscard]] unsigned share() {
    constexpr unsigned k_shares[] = {0, 5, 50, 95, 100};
    return k_shares[random_() % 5];
  }
  void start() {
    for (int who = 0; who < 2; ++who) {
      syncs_[static_cast<std::size_t>(who)].reset();
      sides_[static_cast<std::size_t>(who)].recover();
    }
    for (auto& side : sides_) side.attach();
  }
  void start_one(int who) {
    auto& side = sides_[static_cast<std::size_t>(who)];
    side.recover();
    side.attach();
  }
  /// Syncs take their time: one step begins them, a later one ends them.
  void sync(int who) {
    auto& one = syncs_[static_cast<std::size_t>(who)];
    auto& side = sides_[static_cast<std::size_t>(who)];
    if (one) {
      disk_.end(*one);
      one.reset();
      const auto before = side.s->durable();
      side.s->synced();
      if (side.s->durable() > before + 1) merged_ += 1;
      side.forget_old();
      return;
    }
    const bytes what = side.s->next_sync();
    if (!what.empty()) one = disk_.begin(what);
  }
  /// As if the power were lost now; what happens here goes on.
  void probe() {
    session_memory after;
    const auto found = disk_.after_power_loss(random_, share());
    try {
      for (int who = 0; who < 2; ++who) {
        after.assign(found);
        session_side<ring::direct_stores> reborn(after, who, k_disk);
        reborn.recover();
        demand(at_least(reborn.counted, must_[static_cast<std::size_t>(who)]), "something durable is gone");
      }
      after.assign(found);
      finish_everything(after, k_disk);
    } catch (const std::exception& e) {
      if (failed_.empty()) failed_ = e.what();  // thrown later: the stores lie in functions that may not throw
    }
    losses_ += 1;
  }

  std::mt19937_64 random_;
  session_memory memory_;
  simulated_disk disk_{memory_};
  std::array<stepped, 2> sides_{stepped(memory_, 0, k_disk), stepped(memory_, 1, k_disk)};
  std::array<std::optional<simulated_disk::sync_begun>, 2> syncs_;
  std::array<counters, 2> must_;
  bool probing_ = false;
  std::string failed_;
  std::size_t losses_ = 0;
  std::size_t merged_ = 0;
};

TEST(durable_session, keeps_what_was_durable_and_repeats_nothing_whenever_power_is_lost) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    machine one(seed);
    std::mt19937_64 random(seed + 100);
    try {
      for (int i = 0; i < 3'000; ++i) {
        one.step();
        if (random() % 64 == 0) one.lose_power();
        if (random() % 64 == 0) one.kill(static_cast<int>(random() % 2));
      }
      EXPECT_GT(one.losses(), 1'000u);
      EXPECT_GT(one.client().in, 100u);
      EXPECT_GT(one.merged(), 50u) << "transactions that wait go together";
      one.finish();
    } catch (const std::exception& e) {
      FAIL() << "seed " << seed << ", after " << one.losses() << " losses: " << e.what();
    }
  }
}

/// One side alone, with a ring and a disk that the test works by hand.
struct alone {
  session_memory memory;
  std::unique_ptr<session::persistent_session> s =
      session::persistent_session::recover(memory.file(0), memory.parts(0), k_disk).value();
  ring_consumer peer{memory.ring(0), memory.line(0)};

  [[nodiscard]] std::uint64_t send(std::size_t size) {
    const std::vector<std::byte> body(size, std::byte{1});
    EXPECT_TRUE(s->send({body, message_kind::binary, 0}));
    return s->commit();
  }
  void sync() { sync_all(*s); }
};

TEST(durable_session, shows_nothing_and_acknowledges_nothing_before_both_syncs) {
  alone one;
  EXPECT_TRUE(one.s->next_sync().empty()) << "nothing waits";
  const auto number = one.send(8);
  EXPECT_FALSE(one.peer.front());
  const bytes first = one.s->next_sync();
  EXPECT_EQ(first.data(), one.memory.ring(0).data()) << "the records come first";
  EXPECT_EQ(one.s->next_sync().data(), first.data()) << "the same until it is done";
  const auto& file = *reinterpret_cast<const session::session_file*>(one.memory.file(0).data());
  EXPECT_EQ(file.slots[0].slot.generation, 0u) << "no slot is written before that";
  one.s->synced();
  EXPECT_EQ(file.slots[0].slot.generation, 2u);
  EXPECT_FALSE(one.peer.front());
  EXPECT_LT(one.s->durable(), number);
  EXPECT_EQ(static_cast<const void*>(one.s->next_sync().data()), &file.slots[0]);
  one.s->synced();
  EXPECT_EQ(one.s->durable(), number);
  EXPECT_TRUE(one.peer.front());
  EXPECT_TRUE(one.s->next_sync().empty());
}

TEST(durable_session, writes_no_slot_while_the_other_one_is_not_on_disk_and_merges_what_waits) {
  alone one;
  (void)one.send(8);
  (void)one.s->next_sync();
  std::uint64_t last = 0;
  for (int i = 0; i < 5; ++i) last = one.send(8);
  one.s->synced();
  const auto& file = *reinterpret_cast<const session::session_file*>(one.memory.file(0).data());
  for (int i = 0; i < 5; ++i) last = one.send(8);
  EXPECT_EQ(file.slots[1].slot.generation, 1u);
  one.s->synced();
  EXPECT_EQ(one.s->durable(), 1u);
  EXPECT_TRUE(one.peer.front());
  one.peer.pop();
  EXPECT_FALSE(one.peer.front()) << "those that came later wait";
  (void)one.s->next_sync();
  one.s->synced();
  EXPECT_EQ(file.slots[1].slot.generation, 3u);
  one.s->synced();
  EXPECT_EQ(one.s->durable(), last) << "ten transactions, two syncs";
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(one.peer.front());
    one.peer.pop();
  }
}

TEST(durable_session, leaves_what_is_open_out_of_the_group_that_goes_to_disk_meanwhile) {
  for (const bool gives_up : {false, true}) {
    alone one;
    one.s->set_state(as_bytes("committed"));
    (void)one.send(8);
    ASSERT_TRUE(one.s->send({as_bytes("open"), message_kind::text, 0}));
    ASSERT_TRUE(one.s->send({as_bytes("open too"), message_kind::text, 0}));
    one.s->set_state(as_bytes("open"));
    one.sync();
    EXPECT_EQ(as_text(session::read_newest(one.memory.file(0))->state), "committed");
    ASSERT_TRUE(one.peer.front());
    one.peer.pop();
    EXPECT_FALSE(one.peer.front());
    {
      session_memory after;
      after.assign(one.memory.copy());
      EXPECT_TRUE(session::persistent_session::recover(after.file(0), after.parts(0), k_disk));
    }
    if (gives_up) {
      one.s->abort();
      ASSERT_TRUE(one.s->send({as_bytes("another"), message_kind::text, 0}));
    }
    one.s->commit();
    one.sync();
    const auto record = one.peer.front();
    ASSERT_TRUE(record);
    EXPECT_EQ(as_text(session::message_of(record)->payload), gives_up ? "another" : "open");
    EXPECT_EQ(as_text(one.s->state()), gives_up ? "committed" : "open");
  }
}

TEST(durable_session, reuses_no_room_before_a_durable_slot_knows_that_it_is_free) {
  alone one;
  std::size_t sent = 0;
  while (one.s->reserve(1000) != nullptr) {
    (void)one.send(1000);
    sent += 1;
    one.sync();
  }
  EXPECT_EQ(sent, 4u);
  EXPECT_TRUE(one.s->next_sync().empty()) << "the peer has freed nothing";
  while (one.peer.front()) one.peer.pop();
  EXPECT_EQ(one.s->reserve(1000), nullptr);
  EXPECT_FALSE(one.s->next_sync().empty()) << "a slot that knows it is asked for, without a transaction";
  one.sync();
  EXPECT_NE(one.s->reserve(1000), nullptr);
}

/// A disk that fails at its n-th sync.
class failing_disk final : public session::storage {
 public:
  explicit failing_disk(int good) : good_(good) {}
  [[nodiscard]] result<void> sync(bytes) override {
    if (good_-- > 0) return {};
    return error::from_errno(EIO, "sync");
  }

 private:
  int good_;
};

TEST(durable_session, is_of_no_more_use_when_a_sync_failed) {
  for (const int good : {0, 1}) {
    alone one;
    const auto number = one.send(8);
    failing_disk disk(good);
    const auto synced = session::sync_all(*one.s, disk);
    EXPECT_EQ(synced.error().system_errno(), EIO);
    one.s->synced();
    EXPECT_TRUE(one.s->next_sync().empty());
    EXPECT_LT(one.s->durable(), number);
    EXPECT_FALSE(one.peer.front());
  }
}

TEST(durable_session, changes_its_input_only_when_all_that_it_consumed_is_durable) {
  alone one;
  ring_producer peer(one.memory.ring(1), one.memory.line(1));
  ASSERT_TRUE(peer.try_push(std::array<std::byte, 8>{}));
  const auto attach = [&] { return one.s->attach_input(one.memory.ring(1), one.memory.line(1)); };
  (void)one.send(8);
  ASSERT_FALSE(one.s->next_sync().empty());
  EXPECT_TRUE(attach()) << "what waits for the disk has consumed nothing";
  ASSERT_TRUE(one.s->front());
  one.s->pop();
  EXPECT_EQ(attach().error().reason(), errc::misuse);
  one.s->commit();
  EXPECT_EQ(attach().error().reason(), errc::misuse);
  one.sync();
  EXPECT_TRUE(attach());
  EXPECT_FALSE(one.s->front());
  EXPECT_EQ(one.memory.line(1).position, peer.tail());
}

TEST(durable_session, resets_through_the_disk) {
  alone one;
  (void)one.send(8);
  EXPECT_EQ(one.s->reset({9}).error().reason(), errc::misuse);
  one.sync();
  const auto number = one.s->reset({9});
  ASSERT_TRUE(number);
  EXPECT_LT(one.s->durable(), *number);
  one.sync();
  EXPECT_EQ(one.s->durable(), *number);
  EXPECT_EQ(*one.s->range(), session::session_range{});
  (void)one.send(8);
  one.sync();
  ring_consumer peer(one.memory.ring(0), one.memory.line(0), one.memory.line(0).position, 0);
  EXPECT_TRUE(peer.front());
}

TEST(durable_session, takes_no_output_while_a_reset_is_on_its_way_to_the_disk) {
  alone one;
  (void)one.send(8);
  one.sync();
  EXPECT_TRUE(one.s->rests());
  ASSERT_TRUE(one.s->reset({9}));
  for (int syncs = 0; syncs < 2; ++syncs) {
    EXPECT_TRUE(one.s->restarts());
    EXPECT_FALSE(one.s->rests());
    EXPECT_FALSE(one.s->send({{}, message_kind::binary, 0})) << "it would have a number of the session before";
    EXPECT_FALSE(one.s->has_room_up_to(one.s->output().tail() + 8));
    one.s->set_state(as_bytes("state"));
    (void)one.s->commit();
    EXPECT_FALSE(one.s->next_sync().empty());
    one.s->synced();
  }
  EXPECT_FALSE(one.s->restarts());
  (void)one.send(8);
  one.sync();
  EXPECT_EQ(*one.s->range(), (session::session_range{0, 0, 1}));
  EXPECT_EQ(as_text(one.s->state()), "state");
  EXPECT_TRUE(session::persistent_session::recover(one.memory.file(0), one.memory.parts(0), k_disk));
}

}  // namespace
}  // namespace ferry::test
