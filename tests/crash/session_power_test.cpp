// Power is lost while a side of a session works, begins anew or is mended, before each of its stores and around each of
// its syncs: what is found is what was before, or what is to be, and nothing that was said to be safe is gone.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "rounds.hpp"
#include "testing/simulated_disk.hpp"

namespace ferry::test {
namespace {

constexpr auto k_disk = session::durability::disk;
constexpr auto k_ever = ~std::uint64_t{0};

using stepped_side = session_side<recorded_stores>;

/// What one side has kept of its session.
struct kept {
  std::uint64_t session = 0, epoch = 0, consumed = 0, sent = 0;
  std::string state;
  friend bool operator==(const kept&, const kept&) = default;
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const kept& k, std::ostream* out) {
  *out << "session " << k.session << ", epoch " << k.epoch << ", consumed " << k.consumed << ", sent " << k.sent << ", "
       << k.state.size() << " bytes of state";
}

/// As a process that starts; what it finds is good enough to go on with.
kept found_in(session_memory& memory, int who) {
  auto recovered = session::persistent_session::recover(memory.file(who), memory.parts(who), k_disk);
  demand(recovered.has_value(), recovered ? "" : recovered.error().text());
  auto& s = **recovered;
  const auto range = s.range();
  demand(range.has_value(), range ? "" : range.error().text());
  const kept found{s.session(), s.epoch(), range->ack, range->end, std::string(as_text(s.state()))};
  if (!s.send({as_bytes("on it goes"), message_kind::text, 0})) return found;  // the ring is full
  s.commit();
  sync_all(s);
  demand(s.range()->end == range->end + 1, "it does not go on");
  return found;
}

/// What a side does, after both have worked for a while.
struct act {
  const char* name;
  void (*run)(stepped_side&, session::storage&);
  bool fits = true;  ///< with the other side, afterwards
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const act& a, std::ostream* out) { *out << a.name; }

void to_disk(stepped_side& side, session::storage& disk) {
  demand(session::sync_all(*side.s, disk).has_value(), "the disk fails");
}
void reset_to(stepped_side& side, session::storage& disk, const session::fresh_start& at) {
  side.s->detach_input();
  demand(side.s->reset(at).has_value(), "no reset");
  to_disk(side, disk);
}

const act k_acts[] = {
    {"a_transaction",
     [](stepped_side& side, session::storage& disk) {
       side.work(2, k_ever);
       to_disk(side, disk);
     }},
    {"a_group",
     [](stepped_side& side, session::storage& disk) {
       for (int i = 0; i < 3; ++i) side.work(1, k_ever);
       to_disk(side, disk);
     }},
    {"nothing_but_state",
     [](stepped_side& side, session::storage& disk) {
       side.commit_nothing();
       to_disk(side, disk);
     }},
    {"a_transaction_given_up",
     [](stepped_side& side, session::storage& disk) {
       side.work(3, k_ever, true);
       to_disk(side, disk);
     }},
    {"a_recovery",
     [](stepped_side& side, session::storage& disk) {
       side.recover();
       side.attach();
       side.s->publish_position();
       to_disk(side, disk);
     }},
    {"a_login",
     [](stepped_side& side, session::storage& disk) {
       side.s->identify(side.s->session(), side.s->epoch() + 1);
       side.commit_nothing();
       to_disk(side, disk);
     }},
    {"another_session", [](stepped_side& side, session::storage& disk) { reset_to(side, disk, {99}); }, false},
    {"the_numbers_of_the_peer",
     [](stepped_side& side, session::storage& disk) {
       reset_to(side, disk, {side.s->session(), 1000, 2000, true});
     },
     false},
    {"a_message_skipped",
     [](stepped_side& side, session::storage& disk) {
       side.s->detach_input();
       side.s->input().go_back({0, side.s->acknowledged() + 1});
       side.s->commit();
       to_disk(side, disk);
     },
     false},
};

/// Two sides on one disk.
class powered {
 public:
  explicit powered(std::uint64_t seed) : random_(seed) {
    watched([&] {
      for (auto& side : sides_) side.recover();
      for (auto& side : sides_) side.attach();
      for (auto warm_up = random_() % 40; warm_up > 0; --warm_up) {
        auto& side = sides_[random_() % 2];
        side.work(1 + random_() % 4, k_ever);
        to_disk(side, disk_);
      }
    });
  }
  ~powered() { recorded_stores::before = nullptr; }
  powered(const powered&) = delete;
  powered& operator=(const powered&) = delete;

  void run(const act& what, int who) {
    watched([&] { what.run(sides_[static_cast<std::size_t>(who)], disk_); });
  }
  [[nodiscard]] kept now(int who) const {
    session_memory copy;
    copy.assign(memory_.copy());
    return found_in(copy, who);
  }
  /// @param then  what it comes to @return how often power was lost
  std::uint64_t lose_power_during(const act& what, int who, const kept& then) {
    const kept before = now(who);
    const auto lose = [&] { look_after_losses(what, who, {before, then}); };
    disk_.at_sync = lose;
    watched([&] { what.run(sides_[static_cast<std::size_t>(who)], disk_); }, lose);
    disk_.at_sync = nullptr;
    look_after_losses(what, who, {then});
    demand(failed_.empty(), failed_);
    return losses_;
  }

 private:
  void watched(const std::function<void()>& work, const std::function<void()>& also = {}) {
    recorded_stores::before = [this, &also](const void* to) {
      if (also) also();
      disk_.storing(to);
    };
    work();
    recorded_stores::before = nullptr;
  }
  void look_after_losses(const act& what, int who, const std::vector<kept>& good) {
    disk_.each_loss(random_, 3, [&](const std::vector<std::uint64_t>& words) {
      losses_ += 1;
      try {
        after_.assign(words);
        const kept found = found_in(after_, who);
        demand(std::find(good.begin(), good.end(), found) != good.end(),
               ::testing::PrintToString(found) + " instead of " + ::testing::PrintToString(good));
        if (!what.fits) return;
        after_.assign(words);
        finish_everything(after_, k_disk);
      } catch (const std::exception& e) {
        if (failed_.empty()) failed_ = e.what();  // thrown later: the stores lie in functions that may not throw
      }
    });
  }

  std::mt19937_64 random_;
  session_memory memory_;
  simulated_disk disk_{memory_};
  std::array<stepped_side, 2> sides_{stepped_side(memory_, 0, k_disk), stepped_side(memory_, 1, k_disk)};
  session_memory after_;
  std::uint64_t losses_ = 0;
  std::string failed_;
};

class session_without_power : public ::testing::TestWithParam<act> {};

TEST_P(session_without_power, is_as_before_or_as_it_is_to_be_wherever_it_is_lost) {
  std::uint64_t losses = 0;
  for (std::uint64_t round = 0; round < rounds(2); ++round) {
    try {
      const int who = static_cast<int>(round % 2);
      powered twin(round + 1);
      twin.run(GetParam(), who);
      powered world(round + 1);
      losses += world.lose_power_during(GetParam(), who, twin.now(who));
    } catch (const std::exception& e) {
      FAIL() << "round " << round << ": " << e.what();
    }
  }
  EXPECT_GT(losses, 50u);
  RecordProperty("losses", std::to_string(losses));
}

INSTANTIATE_TEST_SUITE_P(, session_without_power, ::testing::ValuesIn(k_acts),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ferry::test
