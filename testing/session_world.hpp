#pragma once
/// Two sides of a persistent session that put each other to the test: a client sends numbered requests, a server books
/// and answers each of them, and both keep their counters as the state of their transactions, or leave counting to the
/// session's own numbers. Whoever sees a gap, a repetition, a torn message or a counter that does not fit, throws.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "session/persistent_session.ipp"
#include "session/storage.hpp"
#include "testing/recorded_stores.hpp"

namespace ferry::test {

inline constexpr std::size_t k_world_ring = 4096;

inline void demand(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// All that two sides leave behind: for each its private file, the line and the records of its outgoing ring.
class session_memory {
 public:
  explicit session_memory(std::byte fresh = std::byte{0xee}) : own_(words_needed()), words_(own_) { lay_out(fresh); }
  /// In memory of somebody else's, all zero: words_needed() words.
  explicit session_memory(std::span<std::uint64_t> where) : words_(where) { lay_out(std::byte{0xee}); }
  session_memory(const session_memory&) = delete;
  session_memory& operator=(const session_memory&) = delete;
  [[nodiscard]] static constexpr std::size_t words_needed() noexcept { return 2 * k_side_bytes / 8; }

  [[nodiscard]] std::span<std::byte> file(int who) { return part(who, 0, sizeof(session::session_file)); }
  [[nodiscard]] ring_line& line(int who) {
    return *reinterpret_cast<ring_line*>(part(who, sizeof(session::session_file), sizeof(ring_line)).data());
  }
  [[nodiscard]] std::span<std::byte> ring(int who) {
    return part(who, sizeof(session::session_file) + sizeof(ring_line), k_world_ring);
  }
  [[nodiscard]] session::ring_parts parts(int who) { return {ring(who), &line(who)}; }

  [[nodiscard]] std::vector<std::uint64_t> copy() const { return {words_.begin(), words_.end()}; }
  [[nodiscard]] std::uint64_t word(std::size_t index) const { return words_[index]; }
  void assign(const std::vector<std::uint64_t>& words) { std::copy(words.begin(), words.end(), words_.begin()); }
  [[nodiscard]] std::size_t index_of(const void* at) const {
    return static_cast<std::size_t>(static_cast<const std::byte*>(at) -
                                    reinterpret_cast<const std::byte*>(words_.data())) /
           8;
  }
  [[nodiscard]] bool holds(const void* at) const {
    const auto* const first = reinterpret_cast<const std::byte*>(words_.data());
    return at >= first && at < first + 2 * k_side_bytes;
  }

 private:
  static constexpr std::size_t k_side_bytes = sizeof(session::session_file) + sizeof(ring_line) + k_world_ring;
  [[nodiscard]] std::span<std::byte> part(int who, std::size_t at, std::size_t size) {
    auto* const first = reinterpret_cast<std::byte*>(words_.data()) + static_cast<std::size_t>(who) * k_side_bytes;
    return {first + at, size};
  }
  void lay_out(std::byte fresh) {
    for (int who = 0; who < 2; ++who) {
      session::format_file(file(who),
                           {who == 0 ? "client" : "server", who == 0 ? "server" : "client", k_world_ring, 7, 8}, 42);
      new (&line(who)) ring_line{};
      // Fresh memory is 0 where the first record goes; what lies elsewhere must not matter.
      std::fill(ring(who).begin() + 8, ring(who).end(), fresh);
    }
  }

  std::vector<std::uint64_t> own_;
  std::span<std::uint64_t> words_;
};

/// What both sides have counted.
struct counters {
  std::uint64_t out = 0;  ///< client: requests sent; server: answers sent
  std::uint64_t in = 0;   ///< client: answers received; server: requests booked
  friend bool operator==(const counters&, const counters&) = default;
};

inline std::uint64_t mixed(std::uint64_t x) noexcept {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccd;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53;
  return x ^ (x >> 33);
}
/// The n-th message of a side: many small ones, some empty, some of the largest size.
inline std::vector<std::byte> body_of(int who, std::uint64_t n) {
  const std::uint64_t h = mixed(n * 2 + static_cast<std::uint64_t>(who));
  const std::size_t largest = ring_geometry::max_body(k_world_ring) - 16;  // tag and checksum
  const std::size_t size = h % 8 == 0 ? 0 : h % 8 == 1 ? largest - h / 8 % 3 : h / 8 % 200;
  std::vector<std::byte> made(size);
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::byte>((h >> (i % 8 * 8)) + i);
  return made;
}
inline std::uint16_t type_of(std::uint64_t n) noexcept {
  return static_cast<std::uint16_t>(n / 3 % 3 == 0 ? n % 1000 + 1 : 0);
}

template <class Stores>
class session_side {
 public:
  using session_type = session::basic_persistent_session<Stores>;

  /// @param first  the number of both sides' first message, if they keep no state
  session_side(session_memory& memory, int who, session::durability how, std::optional<std::uint64_t> first = {})
      : memory_(&memory), who_(who), how_(how), first_(first) {}

  /// As a process that starts.
  void recover() {
    auto made = session_type::recover(memory_->file(who_), memory_->parts(who_), how_);
    demand(made.has_value(), made ? "" : "recover: " + made.error().text());
    s = std::move(*made);
    held_.reset();
    counted = read_state();
    durable_counted_ = {{0, counted}};
  }
  /// To the other side's ring, where it lies.
  void attach() {
    const auto attached = s->attach_input(memory_->ring(1 - who_), memory_->line(1 - who_));
    demand(attached.has_value(), attached ? "" : "attach: " + attached.error().text());
  }

  /// One transaction: what is there, up to `batch` of each. @param give_up  abort it in the end
  /// @return whether it did anything
  bool work(std::uint64_t batch, std::uint64_t may_send, bool give_up = false) {
    counters now = counted;
    bool did = false;
    for (std::uint64_t i = 0; i < batch; ++i) {
      const auto record = s->front();
      if (!record) break;
      check(record, now.in);
      if (who_ == 1) {
        if (!send(now.out)) break;
        now.out += 1;
      }
      s->pop();
      now.in += 1;
      did = true;
    }
    for (std::uint64_t i = 0; who_ == 0 && i < batch && now.out < may_send; ++i) {
      if (!send(now.out)) break;
      now.out += 1;
      did = true;
    }
    demand(!s->corrupt(), "corrupt");
    if (give_up) {
      s->abort();
      held_.reset();
      return false;
    }
    if (!did) return false;
    keep(now);
    return true;
  }
  /// A transaction of nothing but its state, or of nothing at all.
  void commit_nothing() { keep(counted); }

  /// What must have survived, whatever happens now.
  [[nodiscard]] counters survives() const {
    counters last;
    for (const auto& [number, value] : durable_counted_)
      if (number <= s->durable()) last = value;
    return last;
  }
  void forget_old() {
    while (durable_counted_.size() > 1 && durable_counted_[1].first <= s->durable())
      durable_counted_.erase(durable_counted_.begin());
  }

  std::unique_ptr<session_type> s;
  counters counted;
  std::size_t refused = 0;   ///< outputs that found no room
  std::size_t prepared = 0;  ///< outputs for which everything was ready

 private:
  struct held {
    std::vector<std::byte> body;
    message_kind kind;
    std::uint16_t type;
  };
  std::optional<held> held_;
  bool send(std::uint64_t n) {
    const auto body = body_of(who_, n);
    const auto kind = n % 2 == 0 ? message_kind::binary : message_kind::text;
    // The first one waits for the commit, unless another one follows.
    const bool ready = s->prepared(type_of(n)) && body.size() <= session_type::k_small;
    prepared += ready;
    if (!held_ && n % 4 != 0 && !s->output().staged() && (ready || s->reserve(body.size(), type_of(n)) != nullptr)) {
      held_ = held{body, kind, type_of(n)};
      return true;
    }
    bool sent = let_go();
    sent = sent && s->send({body, kind, type_of(n)});
    refused += !sent;
    return sent;
  }
  bool let_go() {
    if (!held_) return true;
    const held first = *std::exchange(held_, std::nullopt);
    demand(s->send({first.body, first.kind, first.type}), "no room where reserve() has found some");
    return true;
  }
  void check(const ring_record& record, std::uint64_t n) const {
    const auto m = session::message_of(record);
    demand(m.has_value(), m ? "" : m.error().text());
    const auto expected = body_of(1 - who_, n);
    demand(m->payload.size() == expected.size() && std::equal(expected.begin(), expected.end(), m->payload.begin()) &&
               m->type == type_of(n) && m->kind == (n % 2 == 0 ? message_kind::binary : message_kind::text),
           "message " + std::to_string(n) + " is torn, or another one");
  }
  void keep(const counters& now) {
    // The state is longer now and then, its last bytes say how long.
    std::vector<std::byte> state(sizeof now + (now.out % 5 == 0 ? now.in % 60 : 0));
    std::memcpy(state.data(), &now, sizeof now);
    for (std::size_t i = sizeof now; i < state.size(); ++i) state[i] = static_cast<std::byte>(state.size() + i);
    if (!first_) s->set_state(state);
    counted = now;
    const auto first = std::exchange(held_, std::nullopt);
    const auto number = first ? s->commit_with({first->body, first->kind, first->type}) : s->commit();
    durable_counted_.emplace_back(number, now);
    forget_old();
  }
  [[nodiscard]] counters read_state() const {
    const bytes state = s->state();
    counters found;
    if (first_) {
      const auto range = s->range();
      demand(range.has_value(), "no range");
      return {range->end - *first_, range->ack - *first_};
    }
    if (state.empty()) return found;
    demand(state.size() >= sizeof found, "half a state");
    std::memcpy(&found, state.data(), sizeof found);
    demand(state.size() == sizeof found + (found.out % 5 == 0 ? found.in % 60 : 0), "a state of another length");
    for (std::size_t i = sizeof found; i < state.size(); ++i)
      demand(state[i] == static_cast<std::byte>(state.size() + i), "a torn state");
    return found;
  }

  session_memory* memory_;
  int who_;
  session::durability how_;
  std::optional<std::uint64_t> first_;
  std::vector<std::pair<std::uint64_t, counters>> durable_counted_;  // by number of the transaction
};

/// A disk that does everything at once.
class perfect_disk final : public session::storage {
 public:
  [[nodiscard]] result<void> sync(bytes) override { return {}; }
};
/// Whatever waits for the disk is on it.
template <class Session>
void sync_all(Session& s) {
  perfect_disk disk;
  demand(session::sync_all(s, disk).has_value(), "a perfect disk fails");
}

/// Both recover from what lies there, and go on until everything was answered.
inline void finish_everything(session_memory& memory, session::durability how,
                              std::optional<std::uint64_t> first = {}) {
  session_side<ring::direct_stores> client(memory, 0, how, first);
  session_side<ring::direct_stores> server(memory, 1, how, first);
  client.recover();
  server.recover();
  client.attach();
  server.attach();
  const std::uint64_t goal = client.counted.out + 20;
  for (int idle = 0; idle < 3; ++idle) {
    if (client.work(3, goal)) idle = 0;
    sync_all(*client.s);
    if (server.work(3, 0)) idle = 0;
    sync_all(*server.s);
  }
  demand(client.counted.out == goal && client.counted.in == goal && server.counted.in == goal &&
             server.counted.out == goal,
         "it ends with " + std::to_string(client.counted.out) + " requests, " + std::to_string(server.counted.in) +
             " booked, " + std::to_string(client.counted.in) + " answers");
}

}  // namespace ferry::test
