// The table against a slow one that says the rules in the plainest words, over long runs of events by chance.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "session/virtual_connections.hpp"

namespace ferry::session {
namespace {

using codec::gateway::command;
using codec::gateway::command_type;

struct told {
  int who;
  command what;
  friend bool operator==(const told&, const told&) = default;
  friend bool operator<(const told& a, const told& b) {
    return std::tie(a.who, a.what.type, a.what.connection, a.what.remote) <
           std::tie(b.who, b.what.type, b.what.connection, b.what.remote);
  }
};

// What an event brings about: commands, whom the packet goes to (-1: nobody), or a breach of the protocol.
struct outcome {
  std::vector<told> commands;
  int to = -1;
  bool breach = false;
  friend bool operator==(const outcome&, const outcome&) = default;
};

struct slow_table {
  struct member {
    bool client = false;
    std::uint32_t id = 0;
    bool leaving = false;
  };
  struct connection {
    int client, server;
  };
  std::uint32_t max_per_client = 3, max_connections = 12;
  std::map<int, member> members;
  std::map<std::uint32_t, int> server_ids;
  std::map<std::uint32_t, connection> connections;
  std::uint32_t last_number = 0, last_client = 0;

  std::uint32_t connections_of(int who) const {
    return static_cast<std::uint32_t>(std::count_if(connections.begin(), connections.end(), [&](const auto& one) {
      return one.second.client == who || one.second.server == who;
    }));
  }
  void add(int who, bool client, std::uint32_t id) {
    members[who] = {client, client ? ++last_client : id};
    if (!client) server_ids[id] = who;
  }
  int find(bool client, std::uint32_t id) const {
    if (!client) return server_ids.contains(id) ? server_ids.at(id) : -1;
    for (const auto& [who, one] : members)
      if (one.client && !one.leaving && one.id == id) return who;
    return -1;
  }
  void leave(int who) {
    members[who].leaving = true;
    if (!members[who].client && find(false, members[who].id) == who) server_ids.erase(members[who].id);
  }
  outcome remove(int who) {
    leave(who);
    outcome made;
    for (auto at = connections.begin(); at != connections.end();) {
      const auto [client, server] = at->second;
      if (client != who && server != who) {
        ++at;
        continue;
      }
      made.commands.push_back({client == who ? server : client, command::close(at->first)});
      at = connections.erase(at);
    }
    members.erase(who);
    return made;
  }
  outcome dial(int who, std::uint32_t remote) {
    const auto& from = members[who];
    const int to = from.leaving ? -1 : find(!from.client, remote);
    if (to < 0 || connections.size() >= max_connections || (from.client && connections_of(who) >= max_per_client))
      return {{{who, command::refuse(remote)}}};
    const auto number = ++last_number;
    connections[number] = from.client ? connection{who, to} : connection{to, who};
    const told accept{who, command::accept(number, remote)}, connect{to, command::connect(number, from.id)};
    return from.client ? outcome{{accept, connect}} : outcome{{connect, accept}};
  }
  outcome packet(int who, std::uint32_t number) {
    const auto at = connections.find(number);
    if (at == connections.end()) return {{{who, command::close(number)}}};
    if (at->second.client == who) return {{}, at->second.server};
    if (at->second.server == who) return {{}, at->second.client};
    return {{}, -1, true};
  }
  outcome close(int who, std::uint32_t number) {
    const auto at = connections.find(number);
    if (at == connections.end()) return {};
    const auto [client, server] = at->second;
    if (client != who && server != who) return {{}, -1, true};
    connections.erase(at);
    return {{{who, command::close(number)}, {client == who ? server : client, command::close(number)}}};
  }
};

struct member final : gateway_member {
  int name = 0;
};

class both final : gateway_commands {
 public:
  explicit both(unsigned seed) : chance_(seed), table_({3, 12, 1000}) {}

  void step() {
    switch (below(16)) {
      case 0:
      case 1: return add();
      case 2: return end();
      case 3:
        if (members_.empty()) return;
        slow_.leave(any());
        table_.leave(*members_.at(chosen_));
        return;
      case 4:
      case 5:
      case 6:
      case 7: return dial();
      case 8:
      case 9: return close();
      default: return packet();
    }
  }
  [[nodiscard]] std::size_t open() const { return slow_.connections.size(); }

 private:
  void tell(gateway_member& to, const command& what) override {
    said_.commands.push_back({static_cast<member&>(to).name, what});
  }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(chance_() % n); }
  int any() {
    auto at = members_.begin();
    std::advance(at, below(static_cast<std::uint32_t>(members_.size())));
    return chosen_ = at->first;
  }
  std::uint32_t any_number() { return slow_.last_number < 30 ? below(33) : slow_.last_number - below(40) + 2; }

  void add() {
    if (members_.size() > 12) return;
    const bool client = below(2) == 0;
    const auto id = below(3);
    auto made = std::make_unique<member>();
    made->name = ++last_name_;
    slow_.add(made->name, client, id);
    ASSERT_TRUE(client ? table_.add_client(*made) : table_.add_server(*made, id));
    EXPECT_EQ(made->id(), slow_.members[made->name].id);
    members_.emplace(made->name, std::move(made));
  }
  void end() {
    if (members_.empty()) return;
    auto wanted = slow_.remove(any());
    said_ = {};
    table_.remove(*members_.at(chosen_), *this);
    std::sort(said_.commands.begin(), said_.commands.end());  // of many ends in no order
    std::sort(wanted.commands.begin(), wanted.commands.end());
    EXPECT_EQ(said_, wanted);
    members_.erase(chosen_);
  }
  void hear(const command& what, const outcome& wanted) {
    const auto wire = encode(what);
    hear(*codec::gateway::packet_decoder(64).next(wire.view()), wanted);
  }
  void hear(const codec::gateway::packet& what, const outcome& wanted) {
    said_ = {};
    const auto to = table_.on_packet(*members_.at(chosen_), what, *this);
    said_.breach = !to;
    if (to && *to != nullptr) said_.to = static_cast<member*>(*to)->name;
    EXPECT_EQ(said_, wanted);
    EXPECT_EQ(table_.size(), slow_.connections.size());
    EXPECT_EQ(members_.at(chosen_)->connections(), slow_.connections_of(chosen_));
  }
  void dial() {
    if (members_.empty()) return;
    const auto remote = slow_.members[any()].client ? below(4) : slow_.last_client - below(8);
    hear(command::dial(remote), slow_.dial(chosen_, remote));
  }
  void close() {
    if (members_.empty()) return;
    const auto number = any_number();
    hear(command::close(number), slow_.close(any(), number));
  }
  void packet() {
    if (members_.empty()) return;
    const auto number = std::max(1u, any_number());
    hear({8, 8, number, {}}, slow_.packet(any(), number));
  }

  std::mt19937 chance_;
  slow_table slow_;
  virtual_connections table_;
  std::map<int, std::unique_ptr<member>> members_;
  outcome said_;
  int last_name_ = 0;
  int chosen_ = 0;
};

TEST(virtual_connections, do_what_the_slow_table_does_in_long_runs_by_chance) {
  std::size_t most = 0;
  for (unsigned seed = 1; seed <= 50 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    both run(seed);
    for (int i = 0; i < 4000 && !::testing::Test::HasFailure(); ++i) {
      run.step();
      most = std::max(most, run.open());
    }
  }
  EXPECT_EQ(most, 12u);  // the limit was reached
}

}  // namespace
}  // namespace ferry::session
