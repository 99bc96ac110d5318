// Every byte that passes through a gateway on several threads says whose it is and where it belongs: servers vanish,
// clients come and go, streams are cut, numbers are given again, and no byte reaches another virtual connection.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "testing/gateway_by_hand.hpp"
#include "testing/gateway_by_thread.hpp"
#include "testing/sanitizers.hpp"

namespace ferry::gateway {
namespace {

using codec::gateway::command;
using codec::gateway::command_type;
using test::blocking_peer;
using test::packet;
using test::port_of;

constexpr std::uint32_t k_servers = 4;
constexpr std::uint32_t k_last_number = 150;  // far fewer than dials, also where these are few
constexpr int k_rounds = test::k_checks_addresses || test::k_checks_threads ? 150 : 1000;

// What one direction of a virtual connection carries: first the identity itself, 8 bytes, then bytes that nobody else
// has there.
class tagged_bytes {
 public:
  tagged_bytes() = default;
  tagged_bytes(std::uint64_t identity, bool up) noexcept : identity_(identity), up_(up) {}

  [[nodiscard]] std::string next(std::size_t size) {
    std::string made(size, '\0');
    for (auto& one : made) one = at(offset_++);
    return made;
  }
  // @return the first byte that is another one's, or npos
  [[nodiscard]] std::size_t check(std::string_view came) {
    for (std::size_t i = 0; i < came.size(); ++i)
      if (came[i] != at(offset_++)) return i;
    return std::string_view::npos;
  }
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

 private:
  [[nodiscard]] char at(std::uint64_t offset) noexcept {
    if (offset / 8 != known_) {
      known_ = offset / 8;
      std::uint64_t mix = identity_ + (known_ * 2 + (up_ ? 1 : 0)) * 0x9e3779b97f4a7c15u;
      mix = (mix ^ mix >> 30) * 0xbf58476d1ce4e5b9u;
      mix = (mix ^ mix >> 27) * 0x94d049bb133111ebu;
      word_ = known_ == 0 ? identity_ : mix ^ mix >> 31;
    }
    return static_cast<char>(word_ >> 8 * (offset % 8));
  }
  std::uint64_t identity_ = 0, offset_ = 0, word_ = 0, known_ = UINT64_MAX;
  bool up_ = false;
};

struct both_ways {
  tagged_bytes up, down;
};

struct counts {
  std::atomic<std::uint64_t> checked{0};  // bytes
  std::atomic<int> dialled{0}, vanished{0}, cuts{0};
  std::atomic<bool> ends{false};  // the gateway is being closed
};

// Answers each message with as many bytes of its own, now and then closes, vanishes after `life` messages and comes
// again; 0: never.
class tagging_server {
 public:
  tagging_server(std::uint32_t id, int life, counts& all) : id_(id), life_(life), all_(all), chance_(id) {}

  void run(std::uint16_t port) {
    for (;;) {
      blocking_peer me(port);
      if (!me.login(id_)) return lost("in its login");
      open_.clear();
      int heard = 0;
      while (life_ == 0 || heard < life_) {
        const auto came = me.next();
        if (!came) return lost("by the gateway");
        if (came->said ? !on_command(*came->said) : !on_message(me, *came)) return;
        if (!came->said) ++heard;
      }
      ++all_.vanished;
    }
  }

 private:
  struct taken {
    both_ways flow;
    bool is_new = true, closing = false;
  };
  void lost(const char* where) const { EXPECT_TRUE(all_.ends) << "server " << id_ << " was closed " << where; }
  bool on_command(const command& said) {
    if (said.type == command_type::connect) open_[said.connection] = {};
    if (said.type == command_type::close) open_.erase(said.connection);
    return true;
  }
  // @return false: the test has failed, or the gateway is gone
  bool on_message(blocking_peer& me, const test::arrived& came) {
    const auto found = open_.find(came.connection);
    EXPECT_TRUE(found != open_.end()) << "server " << id_ << ": bytes of " << came.connection << ", which is not open";
    if (found == open_.end()) return false;
    auto& mine = found->second;
    if (std::exchange(mine.is_new, false)) {
      const auto identity = load_le<std::uint64_t>(as_bytes(came.message).data());
      EXPECT_EQ(static_cast<std::uint32_t>(identity), came.connection) << "the beginning of another one's";
      EXPECT_TRUE(seen_.insert(identity).second) << "its beginning came twice";
      mine.flow = {{identity, true}, {identity, false}};
    }
    const auto wrong = mine.flow.up.check(came.message);
    EXPECT_EQ(wrong, std::string_view::npos) << "server " << id_ << ", " << came.connection << ": a byte of others";
    if (wrong != std::string_view::npos) return false;
    all_.checked += came.message.size();
    if (mine.closing) return true;
    if (!me.send(packet(came.connection, mine.flow.down.next(came.message.size())))) return false;
    if (chance_() % 50 != 0) return true;
    mine.closing = true;
    return me.say(command::close(came.connection));
  }

  const std::uint32_t id_;
  const int life_;
  counts& all_;
  std::minstd_rand chance_;
  std::map<std::uint32_t, taken> open_;
  std::set<std::uint64_t> seen_;
};

// Has a few virtual connections at a time, sends through any of them, and closes them with bytes under way.
class tagging_client {
 public:
  tagging_client(std::uint32_t index, counts& all) : index_(index), all_(all), chance_(4711 + index) {}

  // @return false: the test has failed
  [[nodiscard]] bool talk(blocking_peer& me, int rounds) {
    open_.clear();
    for (int round = 0; round < rounds; ++round) {
      if (open_.size() < 3 && !dial(me)) return false;
      if (open_.empty()) continue;
      auto at = std::next(open_.begin(), static_cast<std::ptrdiff_t>(chance_() % open_.size()));
      if (at->second.closing) {
        if (!hear(me)) return false;
        continue;
      }
      if (!send_some(me, at->first, at->second)) return lost();
      if (chance_() % 4 == 0) {
        at->second.closing = true;
        if (!me.say(command::close(at->first))) return lost();
      } else if (chance_() % 2 == 0 && !hear_all_of(me, at->first)) {
        return false;
      }
    }
    return true;
  }
  // In order: all are closed, and have heard so.
  [[nodiscard]] bool end(blocking_peer& me) {
    for (auto& [number, one] : open_)
      if (!std::exchange(one.closing, true) && !me.say(command::close(number))) return lost();
    while (!open_.empty())
      if (!hear(me)) return false;
    return true;
  }

 private:
  struct dialled {
    both_ways flow;
    bool closing = false;
  };
  [[nodiscard]] bool lost() const {
    ADD_FAILURE() << "client " << index_ << " was closed";
    return false;
  }
  [[nodiscard]] bool dial(blocking_peer& me) {
    if (!me.say(command::dial(1 + static_cast<std::uint32_t>(chance_() % k_servers)))) return lost();
    answered_.reset();
    while (!answered_)
      if (!hear(me)) return false;
    if (answered_->type == command_type::refuse) return true;
    const auto number = answered_->connection;
    const auto identity = std::uint64_t{index_ << 20 | ++dials_} << 32 | number;
    if (!open_.try_emplace(number, dialled{{{identity, true}, {identity, false}}}).second) {
      ADD_FAILURE() << "client " << index_ << " was given " << number << ", which it has";
      return false;
    }
    ++all_.dialled;
    return true;
  }
  [[nodiscard]] bool send_some(blocking_peer& me, std::uint32_t number, dialled& one) {
    std::string flight;
    for (auto messages = 1 + chance_() % 5; messages > 0; --messages)
      flight += packet(number, one.flow.up.next(8 + chance_() % (chance_() % 8 == 0 ? 20'000 : 200)));
    return me.send(flight);
  }
  [[nodiscard]] bool hear_all_of(blocking_peer& me, std::uint32_t number) {
    for (;;) {
      const auto at = open_.find(number);
      if (at == open_.end() || at->second.flow.down.offset() == at->second.flow.up.offset()) return true;
      if (!hear(me)) return false;
    }
  }
  // One packet.
  [[nodiscard]] bool hear(blocking_peer& me) {
    const auto came = me.next();
    if (!came) return lost();
    if (came->said) {
      if (came->said->type == command_type::close)
        open_.erase(came->said->connection);
      else
        answered_ = came->said;
      return true;
    }
    const auto at = open_.find(came->connection);
    const bool fine = at != open_.end() && at->second.flow.down.check(came->message) == std::string_view::npos;
    EXPECT_TRUE(fine) << "client " << index_ << ": bytes of others in " << came->connection;
    all_.checked += came->message.size();
    return fine;
  }

  const std::uint32_t index_;
  counts& all_;
  std::minstd_rand chance_;
  std::uint32_t dials_ = 0;
  std::map<std::uint32_t, dialled> open_;
  std::optional<command> answered_;
};

class gateway_bytes_threads : public test::gateway_service, public ::testing::WithParamInterface<resume_kind> {
 protected:
  void open() {
    settings with;
    with.threads = 3;
    with.last_connection = k_last_number;
    with.clients.idle_timeout = with.servers.idle_timeout = std::chrono::hours(1);  // machines may be slow
    with.login_timeout = with.clients.resume.handshake_timeout = std::chrono::hours(1);
    with.clients.resume.kind = GetParam();
    with.clients.resume.wait = std::chrono::hours(1);
    test::gateway_service::open(with);
  }
  // A client, whose connection is cut now and then where that is survived.
  void talk(std::uint32_t index, std::uint16_t port) {
    tagging_client client(index, all);
    const bool resumes = GetParam() == resume_kind::snet;
    std::minstd_rand chance(index);
    for (int times = 0; times < (resumes ? 1 : 10); ++times) {
      std::unique_ptr<test::blocking_line> line;
      test::cut_line* cut = nullptr;
      if (resumes) {
        auto made = std::make_unique<test::cut_line>(port, session::snet_options{.history_bytes = 4u << 20},
                                                     [&] { return 1 + chance() % 60'000; });
        cut = made.get();
        line = std::move(made);
      } else {
        line = std::make_unique<test::blocking_line>(port);
      }
      blocking_peer me(std::move(line));
      if (!client.talk(me, resumes ? k_rounds : k_rounds / 10)) return;
      if ((resumes || times % 2 == 0) && !client.end(me)) return;
      if (cut != nullptr) all.cuts += cut->cuts();
    }
  }

  counts all;
};
INSTANTIATE_TEST_SUITE_P(streams, gateway_bytes_threads, ::testing::Values(resume_kind::off, resume_kind::snet),
                         [](const auto& one) { return one.param == resume_kind::off ? "plain" : "cut"; });

TEST_P(gateway_bytes_threads, reach_their_own_virtual_connection_only_and_are_all_there_in_order) {
  open();
  const auto clients_at = port_of(it->client_url()), servers_at = port_of(it->server_url());
  std::vector<std::thread> serving, talking;
  for (std::uint32_t id = 1; id <= k_servers; ++id)
    serving.emplace_back([&, id] { tagging_server(id, id % 2 == 0 ? 97 : 0, all).run(servers_at); });
  std::atomic<int> rest{8};
  for (std::uint32_t i = 1; i <= 8; ++i)
    talking.emplace_back([&, i] {
      talk(i, clients_at);
      --rest;
    });
  EXPECT_TRUE(test::run_until(
      io, [&] { return rest == 0; }, "the talks", std::chrono::seconds(300)));
  const auto now = it->stats();
  all.ends = true;
  it.reset();  // which ends the servers
  for (auto* const some : {&talking, &serving})
    for (auto& one : *some) one.join();
  EXPECT_EQ(now.breaches, 0u);
  EXPECT_EQ(now.slow, 0u);
  EXPECT_GT(all.dialled, static_cast<int>(k_last_number)) << "no number was given twice";
  EXPECT_GT(all.checked, 1u << 20);
  EXPECT_GT(all.vanished, 2);
  EXPECT_EQ(all.cuts > 20, GetParam() == resume_kind::snet);
}

}  // namespace
}  // namespace ferry::gateway
