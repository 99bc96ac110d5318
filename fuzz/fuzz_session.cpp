// Input: one byte for what it is. Even: a login or an answer, as it comes from a peer. Odd: what somebody did to the
// files of a session, the ring of its peer and the positions in both, and what is done then. Whatever that was, nothing
// outside is touched, everything comes to an end, and what is accepted keeps its own rules.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz/checks.hpp"
#include "fuzz/input.hpp"
#include "session/login.hpp"
#include "session/persistent_session.hpp"

namespace {

using namespace ferry;
using ferry::fuzz::input;
using ferry::fuzz::require;
using namespace ferry::session;

constexpr std::uint64_t k_ring = 4096;

/// A part of memory of its own, so that a sanitizer sees every step outside.
struct part {
  explicit part(std::size_t size) : words(new std::uint64_t[size / 8]{}), bytes_used(size) {}
  [[nodiscard]] std::span<std::byte> all() { return {reinterpret_cast<std::byte*>(words.get()), bytes_used}; }
  std::unique_ptr<std::uint64_t[]> words;
  std::size_t bytes_used;
};

struct world {
  part file{sizeof(session_file)}, ring{k_ring}, peer_ring{k_ring};
  std::unique_ptr<ring_line> line{new ring_line}, peer_line{new ring_line};
  std::unique_ptr<persistent_session> s;

  [[nodiscard]] ring_parts parts() { return {ring.all(), line.get()}; }

  /// Some transactions, of which the peer has consumed a few.
  explicit world(unsigned transactions) {
    format_file(file.all(), {"alice", "bob", k_ring, 77, 5}, 12);
    ring_producer peer(peer_ring.all(), *peer_line);
    ring_consumer consumer(ring.all(), *line);
    require(open(durability::process));
    for (unsigned i = 0; i < transactions; ++i) {
      const std::vector<std::byte> body(i * 37 % 300, static_cast<std::byte>(i));
      require(peer.try_push(body));
      if (s->front()) s->pop();
      require(s->send({body, message_kind::binary, static_cast<std::uint16_t>(i % 2)}));
      s->set_state(body);
      s->commit();
      for (; i % 3 == 0 && consumer.front();) consumer.pop();
      require(!consumer.corrupt() && !s->corrupt());
    }
  }
  bool open(durability how) {
    s.reset();
    if (const auto who = read_identity(file.all()); !who) {
      require(!who.error().text().empty());
      return false;
    }
    auto made = persistent_session::recover(file.all(), parts(), how);
    if (!made) {
      require(made.error() == errc::corrupt && !made.error().text().empty());
      return false;
    }
    s = std::move(*made);
    require(s->state().size() <= k_max_state && s->session() != 0);
    if (const auto attached = s->attach_input(peer_ring.all(), *peer_line); !attached)
      require(!attached.error().text().empty() && !s->input().attached());
    return true;
  }
  /// Whoever damages a slot may know how to make its checksum right again.
  void mend_checksum(std::uint64_t generation) {
    auto& slot = reinterpret_cast<session_file*>(file.all().data())->slot_of(generation);
    const commit_record c{slot.generation, slot.session,      slot.in_sequence, slot.out_start, slot.out_word,
                          slot.out_end,    slot.out_sequence, slot.out_acked,   slot.epoch};
    const auto state = std::min<std::uint64_t>(slot.state_bytes, k_max_state);
    slot.checksum = slot_sum(c, kept_sum(c.session, c.epoch, bytes(slot.state).first(state)));
    slot.settled = checked_number::encode(slot.generation & (~std::uint64_t{0} >> 8));
  }
  void sync() {
    for (int i = 0; !s->next_sync().empty(); ++i) {
      s->synced();
      require(i < 10);
    }
  }
  /// No ring has more records than it has words.
  void read(std::size_t limit) {
    for (std::size_t i = 0; i < limit; ++i) {
      const auto record = s->front();
      if (!record) return;
      const auto m = message_of(record);
      require(m ? m->payload.size() <= record.size : !m.error().text().empty());
      s->pop();
      require(i <= 2 * k_ring / 8);
    }
  }
};

void step(world& w, input& in) {
  const auto what = in.byte();
  switch (what % 12) {
    case 0: {
      auto& target = what < 85 ? w.file : what < 170 ? w.ring : w.peer_ring;
      target.all()[in.number(2) % target.bytes_used] = static_cast<std::byte>(in.byte());
      break;
    }
    case 1: {
      auto& target = what < 85 ? w.file : what < 170 ? w.ring : w.peer_ring;
      target.words[in.number(2) % (target.bytes_used / 8)] = in.number(8);
      break;
    }
    case 2: (what < 128 ? w.line : w.peer_line)->position = in.number(in.byte() % 9); break;
    case 3: (what < 128 ? w.line : w.peer_line)->sequence = in.number(in.byte() % 9); break;
    case 4: w.mend_checksum(what / 12u); break;
    case 5: (void)w.open(what < 128 ? durability::process : durability::disk); break;
    default: break;
  }
  if (!w.s) return;
  switch (what % 12) {
    case 6: (void)w.s->send({as_bytes("a body"), message_kind::text, in.byte()}); break;
    case 7: w.s->commit(); break;
    case 8: w.s->abort(); break;
    case 9: w.read(in.byte()); break;
    case 10:
      if (const auto range = w.s->range()) require(range->start <= range->end);
      break;
    case 11:
      w.sync();
      if (what > 240) {
        const std::uint64_t session = in.number(8) | 1;
        (void)w.s->reset({session, in.number(1), in.number(1), (what & 1) != 0});
      }
      break;
    default: break;
  }
}

void try_login(bytes in) {
  for (const bool answer : {false, true}) {
    const auto read = decode_login(in, answer);
    if (!read) {
      require(!read.error().text().empty());
      continue;
    }
    require(read->text.size() <= 63 && read->data.size() <= k_login_data_bytes);
    for (const char c : read->text) require(c >= ' ' && c <= '~');
    require(check_name(read->own_name, "").has_value() && read->range.start <= read->range.end);
    const auto again = decode_login(encode(*read), answer);
    require(again && again->range == read->range && again->own_name == read->own_name &&
            again->peer_name == read->peer_name && again->session == read->session && again->text == read->text &&
            again->data == read->data);
    const local_side self{"bob", "", 7, 3, {5, 4, 9}};
    if (answer) {
      const login sent{login_outcome::none, 7, 3, self.range, "bob", "alice", {}};
      const auto d = decide_answer(self, sent, *read);
      require((d.action == login_action::resume || d.action == login_action::restart) !=
              (d.action == login_action::stop));
      require(d.action != login_action::resume || !compare(self.range, read->range));
    } else {
      const auto d = decide_login(self, *read);
      require(d.action != login_action::resume || (read->session == 7 && !compare(self.range, read->range)));
      require(decode_login(encode(d.answer), true).has_value());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  input in(data, size);
  const auto kind = in.byte();
  if (kind % 2 == 0) {
    try_login({reinterpret_cast<const std::byte*>(data) + 1, size - 1});
    return 0;
  }
  world w(kind / 2 % 8);
  while (in.more()) step(w, in);
  return 0;
}
