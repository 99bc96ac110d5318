// The same deaths, seen by somebody who polls rings without an event loop, or sleeps on a futex.
#include <ferry/ring.hpp>

#include <thread>

#include "crash_test.hpp"

namespace ferry::test {
namespace {

class polling : public crash {
 protected:
  polling() : at(ring_listener::open("shm://meeting", settings())) {}
  [[nodiscard]] ring_connection accept() {
    auto made = at.accept(k_patience);
    if (!made) throw std::runtime_error("nobody came");
    return std::move(*made);
  }
  ring_listener at;
};

// Puts the numbered messages of one connection together, and counts those that are not what they should be.
struct reader {
  std::uint64_t first;
  std::uint64_t next = first;
  std::uint64_t wrong = 0;
  std::string message;
  std::string expected;

  void take(const ring_record& record) {
    std::string_view body = as_text(record.body());
    if (has(record.marks, ring_marks::tagged)) body.remove_prefix(sizeof(ring_tag));
    message.append(body);
    if (has(record.marks, ring_marks::more)) return;
    make_numbered(next, expected);
    wrong += message != expected;
    next += 1;
    message.clear();
  }
};

TEST_F(polling, a_killed_sender_leaves_a_whole_prefix_and_is_known_to_be_gone) {
  std::optional<footprint> before;
  std::uint64_t messages = 0;
  const std::uint64_t kills = rounds(20);
  for (std::uint64_t round = 0; round < kills; ++round) {
    if (round == 3) before = footprint::now();
    const auto sender = start_peer({"send", peer_url(), "0", "0"});
    ring_connection from = accept();
    reader all{0};
    const auto enough = std::uniform_int_distribution<std::uint64_t>(0, 3000)(random);
    std::uint64_t records = 0;
    while (from.state() == ring_state::open) {
      ASSERT_TRUE(from.wait(k_patience));
      while (const auto record = from.front()) {
        all.take(record);
        from.pop();
        if (records++ == enough) sender->kill(SIGKILL);
      }
    }
    EXPECT_EQ(from.state(), ring_state::gone);
    EXPECT_FALSE(from.alive());
    ASSERT_EQ(all.wrong, 0u);
    messages += all.next;
  }
  EXPECT_GT(messages, kills);
  expect_nothing_left(*before);
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("messages", std::to_string(messages));
}

TEST_F(polling, a_sleeper_is_woken_by_the_death_of_whom_it_waits_for) {
  for (int times = 0; times < 5; ++times) {
    const auto peer = start_peer({"sit", peer_url()});
    ring_connection from = accept();
    ASSERT_TRUE(peer->read_line());
    EXPECT_EQ(from.state(), ring_state::open);
    std::thread killer([&] { peer->kill(SIGKILL); });
    EXPECT_TRUE(from.wait(k_patience));
    killer.join();
    EXPECT_EQ(from.state(), ring_state::gone);
  }
}

TEST_F(polling, a_sleeper_who_waits_for_room_is_told_that_there_will_be_none) {
  const auto peer = start_peer({"sit", peer_url()});
  ring_connection to = accept();
  ASSERT_TRUE(peer->read_line());
  peer->kill(SIGSTOP);
  const std::string record(1000, 'x');
  // It may have read some before it stood still.
  while (to.try_push(as_bytes(record)) || to.wait_for_room(std::chrono::milliseconds(1))) {
  }
  EXPECT_EQ(to.state(), ring_state::open);
  kill_and_reap(*peer);
  EXPECT_FALSE(to.wait_for_room(k_patience));
  EXPECT_EQ(to.state(), ring_state::gone);
}

}  // namespace
}  // namespace ferry::test
