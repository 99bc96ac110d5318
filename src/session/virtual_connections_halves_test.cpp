// Several tables of one gateway, joined by queues that somebody empties at some time: events by chance, every message
// says between whom it goes, and reaches no other.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "session/virtual_connections.hpp"

namespace ferry::session {
namespace {

using codec::gateway::command;
using codec::gateway::command_type;
using codec::gateway::encode;
using codec::gateway::packet_decoder;

struct world;

// What one table says to another.
struct note {
  enum class kind { dial, close, packet } what;
  gateway_role of = gateway_role::client;  // whom it comes from
  std::uint32_t number = 0, from = 0, remote = 0;
  int said_by = 0;
};

struct member : gateway_member {
  int name = 0;
  std::map<std::uint32_t, int> open;  // numbers that it knows, and the virtual connection that each of them is
};

struct remote : gateway_member {
  std::size_t table = 0;
};

struct table final : gateway_commands, gateway_directory {
  table(world& of_, std::size_t index_, std::size_t tables);
  void tell(gateway_member& to, const command& what) override;
  void dial_through(gateway_member& to, std::uint32_t number, std::uint32_t from, std::uint32_t id) override;
  bool takes_dial(gateway_member& to) override;
  std::uint32_t add_client(gateway_member& who) override;
  void add_server(gateway_member& who, std::uint32_t id) override;
  void remove(gateway_member& who) noexcept override;
  dialled dial(gateway_role role, std::uint32_t id) override;
  void release(std::uint32_t number) override;
  bool is_of_others(std::uint32_t number) const override;
  void hear(std::size_t from, const note& what);
  void say(member& who, const command& what) {
    const auto wire = encode(what);
    EXPECT_TRUE(rules.on_packet(who, *packet_decoder(64).next(wire.view()), *this));
  }

  world& of;
  std::size_t index;
  virtual_connections rules;
  std::deque<std::array<remote, 2>> others;
};

struct world {
  explicit world(std::size_t count, std::uint32_t numbers_) : numbers(numbers_) {
    for (std::size_t i = 0; i < count; ++i) tables.push_back(std::make_unique<table>(*this, i, count));
    queues.resize(count, std::vector<std::deque<note>>(count));
  }
  struct number_in_use {
    std::set<std::size_t> tables;
    std::size_t left = 0;
  };
  std::uint32_t numbers;  // so few that they are given again at once
  std::vector<std::unique_ptr<table>> tables;
  std::vector<std::vector<std::deque<note>>> queues;  // from, to
  std::map<std::pair<gateway_role, std::uint32_t>, std::pair<std::size_t, gateway_member*>> where;
  std::map<std::uint32_t, number_in_use> in_use;
  std::map<int, std::unique_ptr<member>> members;
  std::map<int, std::size_t> table_of;
  // Virtual connections by the order of their making.
  std::map<int, std::set<int>> between;  // who was told of it
  std::map<std::uint32_t, int> now;      // number: the last one that was made with it
  int dials = 0, delivered = 0, dropped = 0, reused = 0, asked = 0;
  std::uint32_t last_number = 0, last_client = 0;
  bool stopping = false;
};

table::table(world& of_, std::size_t index_, std::size_t tables)
    : of(of_), index(index_), rules({.max_per_client = 4}, {}, this) {
  for (std::size_t i = 0; i < tables; ++i) {
    auto& both = others.emplace_back();
    for (const auto role : {gateway_role::client, gateway_role::server}) {
      auto& one = both[role == gateway_role::client ? 0 : 1];
      one.table = i;
      rules.add_remote(one, role);
    }
  }
}
void table::tell(gateway_member& to, const command& what) {
  if (to.is_remote()) {
    ASSERT_EQ(what.type, command_type::close);
    const auto from = to.role() == gateway_role::client ? gateway_role::server : gateway_role::client;
    of.queues[index][static_cast<remote&>(to).table].push_back({note::kind::close, from, what.connection});
    return;
  }
  auto& who = static_cast<member&>(to);
  switch (what.type) {
    case command_type::accept:
    case command_type::connect:
      EXPECT_FALSE(who.open.contains(what.connection)) << "a number that it still has";
      who.open[what.connection] = of.now.at(what.connection);
      of.between[of.now.at(what.connection)].insert(who.name);
      EXPECT_LE(of.between.at(of.now.at(what.connection)).size(), 2u);
      break;
    case command_type::close: who.open.erase(what.connection); break;
    default: break;
  }
}
void table::dial_through(gateway_member& to, std::uint32_t number, std::uint32_t from, std::uint32_t id) {
  const auto role = to.role() == gateway_role::client ? gateway_role::server : gateway_role::client;
  of.queues[index][static_cast<remote&>(to).table].push_back({note::kind::dial, role, number, from, id});
}
bool table::takes_dial(gateway_member& to) {
  EXPECT_FALSE(to.is_remote());
  return ++of.asked % 10 != 0;  // some have no room
}
std::uint32_t table::add_client(gateway_member& who) {
  of.where[{gateway_role::client, ++of.last_client}] = {index, &who};
  return of.last_client;
}
void table::add_server(gateway_member& who, std::uint32_t id) { of.where[{gateway_role::server, id}] = {index, &who}; }
void table::remove(gateway_member& who) noexcept {
  const auto at = of.where.find({who.role(), who.id()});
  if (at != of.where.end() && at->second.second == &who) of.where.erase(at);
}
gateway_directory::dialled table::dial(gateway_role role, std::uint32_t id) {
  if (of.stopping) return {answer::stopping};
  const auto at = of.where.find({role, id});
  if (at == of.where.end()) return {answer::unknown};
  if (of.in_use.size() >= of.numbers) return {answer::limit};
  do of.last_number = of.last_number % of.numbers + 1;
  while (of.in_use.contains(of.last_number));
  auto& one = of.in_use[of.last_number];
  one.tables = {index, at->second.first};
  one.left = one.tables.size();
  if (of.now.contains(of.last_number)) ++of.reused;
  of.now[of.last_number] = ++of.dials;
  return {
      answer::found, of.last_number,
      at->second.first == index ? at->second.second : &others[at->second.first][role == gateway_role::client ? 0 : 1]};
}
void table::release(std::uint32_t number) {
  ASSERT_TRUE(of.in_use.contains(number)) << number;
  if (--of.in_use[number].left == 0) of.in_use.erase(number);
}
bool table::is_of_others(std::uint32_t number) const {
  const auto at = of.in_use.find(number);
  return at != of.in_use.end() && !at->second.tables.contains(index);
}
void table::hear(std::size_t from, const note& what) {
  auto& through = others[from][what.of == gateway_role::client ? 0 : 1];
  switch (what.what) {
    case note::kind::dial: return rules.connect(through, what.number, what.from, what.remote, *this);
    case note::kind::close: return rules.close_half(through, what.number, *this);
    case note::kind::packet:
      auto* const to = rules.other_end(through, what.number);
      if (to == nullptr) {
        ++of.dropped;
        return;
      }
      auto& who = static_cast<member&>(*to);
      ++of.delivered;
      ASSERT_TRUE(who.open.contains(what.number));
      EXPECT_TRUE(of.between.at(who.open.at(what.number)).contains(what.said_by)) << "a message of others";
      EXPECT_NE(who.name, what.said_by);
  }
}

class by_chance {
 public:
  by_chance(std::uint64_t seed, std::size_t tables, std::uint32_t numbers) : all(tables, numbers), random(seed) {}
  void turn() {
    switch (pick(12)) {
      case 0: return come();
      case 1: return pick(6) == 0 ? go() : void();
      case 2:
      case 3: return dial();
      case 4: return close();
      case 5:
      case 6:
      case 7: return send();
      default: return carry();
    }
  }
  void end() {
    while (!all.members.empty()) go();
    for (bool any = true; any;) {
      any = false;
      for (auto& from : all.queues)
        for (auto& queue : from) any = any || !queue.empty();
      carry();
    }
  }
  world all;

 private:
  std::size_t pick(std::size_t of) { return std::uniform_int_distribution<std::size_t>(0, of - 1)(random); }
  member& somebody() {
    return *std::next(all.members.begin(), static_cast<std::ptrdiff_t>(pick(all.members.size())))->second;
  }
  table& home(const member& who) { return *all.tables[all.table_of.at(who.name)]; }

  void come() {
    if (all.members.size() >= 12) return;
    auto made = std::make_unique<member>();
    made->name = ++names;
    const auto at = pick(all.tables.size());
    if (pick(2) == 0)
      EXPECT_TRUE(all.tables[at]->rules.add_client(*made));
    else
      EXPECT_TRUE(all.tables[at]->rules.add_server(*made, static_cast<std::uint32_t>(pick(4))));
    all.table_of[made->name] = at;
    all.members.emplace(names, std::move(made));
  }
  void go() {
    if (all.members.empty()) return;
    auto& who = somebody();
    auto& at = home(who);
    at.rules.remove(who, at);
    all.members.erase(who.name);
  }
  void dial() {
    if (all.members.empty()) return;
    auto& who = somebody();
    const auto other = who.role() == gateway_role::client ? gateway_role::server : gateway_role::client;
    const auto to = static_cast<std::uint32_t>(other == gateway_role::server ? pick(4) : pick(all.last_client + 1));
    home(who).say(who, command::dial(to));
  }
  void close() {
    if (all.members.empty()) return;
    auto& who = somebody();
    if (who.open.empty()) return;
    home(who).say(who, command::close(who.open.begin()->first));
  }
  void send() {
    if (all.members.empty()) return;
    auto& who = somebody();
    if (who.open.empty()) return;
    const auto [number, which] = *std::next(who.open.begin(), static_cast<std::ptrdiff_t>(pick(who.open.size())));
    auto& at = home(who);
    const auto to = at.rules.on_packet(who, {8, 8, number, {}}, at);
    ASSERT_TRUE(to) << to.error().text();
    if (*to == nullptr) return;
    if ((*to)->is_remote()) {
      all.queues[at.index][static_cast<remote&>(**to).table].push_back(
          {note::kind::packet, who.role(), number, 0, 0, who.name});
      return;
    }
    ++all.delivered;
    EXPECT_TRUE(all.between.at(which).contains(static_cast<member&>(**to).name));
  }
  void carry() {
    const auto from = pick(all.queues.size()), to = pick(all.queues.size());
    auto& queue = all.queues[from][to];
    for (auto count = std::min(queue.size(), 1 + pick(4)); count != 0; --count) {
      const auto first = queue.front();
      queue.pop_front();
      all.tables[to]->hear(from, first);
    }
  }

  std::mt19937_64 random;
  int names = 0;
};

TEST(virtual_connections_of_several_tables, never_reach_others_whatever_crosses_and_give_every_number_back) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    by_chance run(seed, 2 + seed % 3, 5);
    for (int i = 0; i < 5000; ++i) {
      run.turn();
      ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << ", event " << i;
    }
    EXPECT_GT(run.all.delivered, 50);
    EXPECT_GT(run.all.dropped, 0);
    EXPECT_GT(run.all.reused, 50);
    run.end();
    EXPECT_TRUE(run.all.in_use.empty()) << "seed " << seed;
    for (const auto& one : run.all.tables) {
      EXPECT_EQ(one->rules.size(), 0u);
      EXPECT_EQ(one->rules.dialled_here(), 0u);
    }
  }
}

}  // namespace
}  // namespace ferry::session
