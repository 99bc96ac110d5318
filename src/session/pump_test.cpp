// What goes over a stream: two sides on machines of their own, connections that break, and acknowledgements that lie.
#include "session/pump.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "session/login.hpp"
#include "session/sequence.hpp"
#include "testing/simulated_disk.hpp"

namespace ferry::test {
namespace {

using session::durability;

struct pumped_ring {
  std::vector<std::uint64_t> words = std::vector<std::uint64_t>(k_world_ring / 8);
  ring_line line;
  ring_producer producer;

  explicit pumped_ring(std::uint64_t first = 0) {
    line.sequence = first;
    producer = ring_producer(data(), line, 0, first);
  }
  [[nodiscard]] std::span<std::byte> data() { return std::as_writable_bytes(std::span(words)); }
  void push(std::size_t records) {
    for (std::size_t i = 0; i < records; ++i) ASSERT_TRUE(producer.try_push(as_bytes("0123456789")));
  }
};
void send(session::pump& p, std::size_t records) {
  for (std::size_t i = 0; i < records; ++i) {
    ASSERT_TRUE(p.front());
    p.pop();
  }
}

TEST(session_pump, counts_an_acknowledgement_exactly_when_it_is_of_what_was_sent) {
  pumped_ring ring((std::uint64_t{1} << 32) - 3);
  const std::uint64_t first = ring.producer.sequence();
  session::pump p;
  ASSERT_TRUE(p.start(ring.data(), ring.line, first));
  ring.push(10);
  send(p, 6);
  EXPECT_EQ(p.sent(), first + 6);
  for (const std::uint64_t n : {first + 7, first + 10, first + 11, ~std::uint64_t{0}}) {
    const auto lie = p.on_acknowledgement(n);
    EXPECT_EQ(lie.error().reason(), errc::protocol);
    EXPECT_NE(lie.error().text().find(std::to_string(first + 6)), std::string::npos) << lie.error().text();
    EXPECT_EQ(p.acknowledged(), first);
  }
  EXPECT_TRUE(p.on_acknowledgement(first + 4));
  EXPECT_EQ(p.acknowledged(), first + 4);
  EXPECT_EQ(ring.line.position, 4 * 24u) << "room for others";
  EXPECT_EQ(ring.line.sequence, first + 4);
  for (const std::uint64_t older : {std::uint64_t{0}, first, first + 3, first + 4}) {
    EXPECT_TRUE(p.on_acknowledgement(older));
    EXPECT_EQ(p.acknowledged(), first + 4) << "an older one is ignored";
  }
  EXPECT_TRUE(p.on_acknowledgement(first + 6));
  EXPECT_EQ(p.acknowledged(), first + 6);
  EXPECT_TRUE(p.front());
}

TEST(session_pump, begins_at_login_with_the_first_record_that_the_peer_does_not_have) {
  pumped_ring ring;
  ring.push(10);
  session::pump p;
  ASSERT_TRUE(p.start(ring.data(), ring.line, 0));
  send(p, 9);
  ASSERT_TRUE(p.on_acknowledgement(2));
  session::pump again;
  ASSERT_TRUE(again.start(ring.data(), ring.line, 5));
  EXPECT_EQ(again.sent(), 5u);
  EXPECT_EQ(again.acknowledged(), 5u);
  EXPECT_EQ(ring.line.position, 5 * 24u);
  send(again, 5);
  EXPECT_FALSE(again.front());
  EXPECT_FALSE(again.start(ring.data(), ring.line, 4)) << "that one is gone";
  EXPECT_FALSE(again.start(ring.data(), ring.line, 11)) << "that one was never there";
}

/// A client and a server on machines of their own, and a connection between them that carries records and
/// acknowledgements, until it breaks.
class two_machines {
 public:
  two_machines(durability how, std::uint64_t seed) : how_(how), random_(seed) {
    for (int who = 0; who < 2; ++who) machines_[static_cast<std::size_t>(who)] = std::make_unique<machine>(who, how);
  }
  ~two_machines() { recorded_stores::before = nullptr; }
  two_machines(const two_machines&) = delete;
  two_machines& operator=(const two_machines&) = delete;

  void step() {
    const int who = static_cast<int>(random_() % 2);
    if (!up_) login();
    machine& m = at(who);
    m.watched([&] {
      switch (random_() % 8) {
        case 0:
        case 1: m.side.work(1 + random_() % 4, ~std::uint64_t{0}, random_() % 8 == 0); break;
        case 2:
        case 3: send(who); break;
        case 4:
        case 5: receive(who); break;
        case 6: acknowledge(who); break;
        case 7: sync(m); break;
      }
    });
  }
  void break_connection() {
    for (auto& m : machines_) {
      m->wire.clear();
      m->acks.clear();
    }
    up_ = false;
  }
  /// In the middle of a transaction, before any of its stores.
  void kill(int who) {
    machine& m = at(who);
    std::vector<std::vector<std::uint64_t>> states;
    const auto must = m.side.survives();
    recorded_stores::before = [&](const void* to) {
      if (how_ == durability::process)
        states.push_back(m.memory.copy());
      else
        states.push_back(m.disk.after_power_loss(random_, static_cast<unsigned>(random_() % 3 * 50)));
      m.disk.storing(to);
    };
    m.side.work(3, ~std::uint64_t{0});
    recorded_stores::before = nullptr;
    if (states.empty()) return;
    m.disk.restart_with(states[random_() % states.size()]);
    m.sync.reset();
    break_connection();
    m.watched([&] { m.side.recover(); });
    demand(m.side.counted.in >= must.in && m.side.counted.out >= must.out, "something that had to survive is gone");
    kills_ += 1;
  }
  void finish() {
    for (int quiet = 0; quiet < 50; ++quiet) {
      if (!up_) login();
      for (int who = 0; who < 2; ++who) {
        machine& m = at(who);
        m.watched([&] {
          if (m.side.work(3, 0)) quiet = 0;
        });
        while (send(who)) quiet = 0;
        sync(m);
        while (receive(who)) {
        }
        acknowledge(who);
      }
    }
    const counters client = at(0).side.counted, server = at(1).side.counted;
    demand(client.out == server.in && server.out == server.in && client.in == server.out, "it does not come out even");
    for (int who = 0; who < 2; ++who)
      demand(at(who).side.s->range()->start == at(who).side.s->range()->end, "something is not acknowledged");
  }
  [[nodiscard]] const counters& client() { return at(0).side.counted; }
  [[nodiscard]] std::size_t kills() const noexcept { return kills_; }
  [[nodiscard]] std::size_t resent() const noexcept { return resent_; }

 private:
  using copied = std::pair<std::vector<std::byte>, ring_marks>;
  struct machine {
    machine(int who_, durability how) : who(who_), disk(memory), side(memory, who_, how) {
      watched([&] { side.recover(); });
    }
    template <class Work>
    void watched(Work work) {
      const auto outer = std::exchange(recorded_stores::before, [this](const void* to) { disk.storing(to); });
      work();
      recorded_stores::before = outer;
    }
    int who;
    session_memory memory;
    simulated_disk disk;
    session_side<recorded_stores> side;
    std::optional<simulated_disk::sync_begun> sync;
    std::unique_ptr<session::basic_pump<recorded_stores>> out;
    std::unique_ptr<pumped_ring> inbox;
    std::deque<copied> wire;         // on its way to this one
    std::deque<std::uint64_t> acks;  // the same
    std::uint64_t ever_sent = 0;
  };
  [[nodiscard]] machine& at(int who) { return *machines_[static_cast<std::size_t>(who)]; }

  void login() {
    for (int who = 0; who < 2; ++who) {
      machine& m = at(who);
      m.side.s->detach_input();
      m.sync.reset();
      // Nobody logs in twice with the same epoch, whatever happens meanwhile.
      if (who == 0) m.side.s->identify(42, m.side.s->epoch() + 1);
      settle(m);
    }
    const auto local = [&](int who) {
      auto& s = *at(who).side.s;
      return session::local_side{who == 0 ? "client" : "server", "", s.session(), s.epoch(), s.range().value()};
    };
    const auto client = local(0), server = local(1);
    const session::login sent{
        session::login_outcome::none, client.session, client.epoch, client.range, "client", "", {}};
    const auto first = decide_login(server, session::decode_login(encode(sent), false).value());
    const auto answer = session::decode_login(encode(first.answer), true).value();
    const auto second = decide_answer(client, sent, answer);
    demand(first.action == session::login_action::resume, first.why.text());
    demand(second.action == session::login_action::resume, second.why.text());
    at(1).side.s->identify(42, client.epoch);
    settle(at(1));
    for (int who = 0; who < 2; ++who) {
      machine& m = at(who);
      const auto peer_ack = who == 0 ? server.range.ack : client.range.ack;
      m.watched([&] {
        m.out = std::make_unique<session::basic_pump<recorded_stores>>();
        const auto started = m.out->start(m.memory.ring(who), m.memory.line(who), peer_ack);
        demand(started.has_value(), started ? "" : started.error().text());
        m.inbox = std::make_unique<pumped_ring>(m.side.s->acknowledged());
        const auto attached = m.side.s->attach_input(m.inbox->data(), m.inbox->line);
        demand(attached.has_value(), attached ? "" : attached.error().text());
      });
    }
    up_ = true;
  }
  void settle(machine& m) {
    m.watched([&] {
      m.side.commit_nothing();
      demand(session::sync_all(*m.side.s, m.disk).has_value(), "the disk fails");
      m.side.forget_old();
    });
  }
  bool send(int who) {
    machine& m = at(who);
    const auto record = m.out->front();
    demand(!m.out->corrupt(), "the outgoing ring is corrupt");
    if (!record) return false;
    if (m.out->sent() < m.ever_sent) resent_ += 1;
    at(1 - who).wire.emplace_back(std::vector<std::byte>(record.body().begin(), record.body().end()), record.marks);
    m.out->pop();
    m.ever_sent = std::max(m.ever_sent, m.out->sent());
    return true;
  }
  bool receive(int who) {
    machine& m = at(who);
    bool did = false;
    if (!m.wire.empty() && m.inbox->producer.try_push(m.wire.front().first, m.wire.front().second)) {
      m.wire.pop_front();
      did = true;
    }
    if (!m.acks.empty()) {
      m.watched([&] {
        const auto counted = m.out->on_acknowledgement(m.acks.front());
        demand(counted.has_value(), counted ? "" : counted.error().text());
      });
      m.acks.pop_front();
      did = true;
    }
    return did;
  }
  void acknowledge(int who) { at(1 - who).acks.push_back(at(who).side.s->acknowledged()); }
  void sync(machine& m) {
    m.watched([&] {
      if (m.sync) {
        m.disk.end(*m.sync);
        m.sync.reset();
        m.side.s->synced();
        m.side.forget_old();
      } else if (const bytes what = m.side.s->next_sync(); !what.empty()) {
        m.sync = m.disk.begin(what);
      }
    });
  }

  durability how_;
  std::mt19937_64 random_;
  std::array<std::unique_ptr<machine>, 2> machines_;
  bool up_ = false;
  std::size_t kills_ = 0;
  std::size_t resent_ = 0;
};

void run_two_machines(durability how, std::uint64_t seed) {
  two_machines both(how, seed);
  std::mt19937_64 random(seed + 9);
  try {
    for (int i = 0; i < 40'000; ++i) {
      both.step();
      if (random() % 500 == 0) both.break_connection();
      if (random() % 50 == 0) both.kill(static_cast<int>(random() % 2));
    }
    both.finish();
  } catch (const std::exception& e) {
    FAIL() << "seed " << seed << ", after " << both.kills() << " kills: " << e.what();
  }
  EXPECT_GT(both.client().in, 500u);
  EXPECT_GT(both.kills(), 100u);
  EXPECT_GT(both.resent(), 100u);
}

TEST(session_over_a_stream, loses_and_repeats_nothing_when_connections_break_and_processes_die) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) run_two_machines(durability::process, seed);
}

TEST(session_over_a_stream, loses_and_repeats_nothing_when_connections_break_and_machines_lose_their_power) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) run_two_machines(durability::disk, seed);
}

}  // namespace
}  // namespace ferry::test
