// One side of a session, as who uses it sees it.
#include "session/persistent_session.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "session/login.hpp"
#include "testing/session_world.hpp"

namespace ferry::test {
namespace {

using session::persistent_session;
constexpr auto k_process = session::durability::process;

std::string text_of(const ring_record& record) {
  if (!record) return "none";
  const auto m = session::message_of(record);
  return m ? std::string(m->text()) : m.error().text();
}

struct both {
  session_memory memory;
  std::unique_ptr<persistent_session> alice = open(0), bob = open(1);

  both() {
    EXPECT_TRUE(alice->attach_input(memory.ring(1), memory.line(1)));
    EXPECT_TRUE(bob->attach_input(memory.ring(0), memory.line(0)));
  }
  [[nodiscard]] std::unique_ptr<persistent_session> open(int who) {
    return persistent_session::recover(memory.file(who), memory.parts(who), k_process).value();
  }
  void bob_starts_anew() {
    bob = open(1);
    EXPECT_TRUE(bob->attach_input(memory.ring(0), memory.line(0)));
  }
  static bool send(persistent_session& s, const std::string& text) {
    return s.send({as_bytes(text), message_kind::text, 0});
  }
};

TEST(persistent_session, shows_what_a_transaction_sends_at_its_commit_and_all_of_it) {
  both two;
  ASSERT_TRUE(both::send(*two.alice, "one"));
  ASSERT_TRUE(both::send(*two.alice, "two"));
  EXPECT_FALSE(two.bob->front());
  EXPECT_TRUE(two.alice->open());
  const auto number = two.alice->commit();
  EXPECT_EQ(two.alice->durable(), number);
  EXPECT_FALSE(two.alice->open());
  EXPECT_EQ(text_of(two.bob->front()), "one");
  two.bob->pop();
  EXPECT_EQ(text_of(two.bob->front()), "two");
}

TEST(persistent_session, sends_a_message_of_each_small_size_with_its_commit_as_recovery_wants_it) {
  for (const std::uint16_t type : {std::uint16_t{0}, std::uint16_t{9}}) {
    both two;
    // Each size twice: what is prepared is a message like the last one.
    for (std::size_t n = 0; n <= 2 * persistent_session::k_small + 1; ++n) {
      const std::size_t size = n / 2;
      std::string text(size, '\0');
      for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(size + 7 * i);
      const message_view m{as_bytes(text), message_kind::text, type};
      if (!two.alice->prepared(type)) {
        ASSERT_NE(two.alice->reserve(size, type), nullptr) << size;
      }
      (void)two.alice->commit_with(m);
      EXPECT_TRUE(persistent_session::recover(two.memory.file(0), two.memory.parts(0), k_process)) << size;
      const auto got = session::message_of(two.bob->front());
      ASSERT_TRUE(got) << size;
      EXPECT_EQ(got->type, type);
      EXPECT_EQ(as_text(got->payload), text);
      two.bob->pop();
      // As one that answers, so that its next message finds everything prepared.
      ASSERT_TRUE(two.bob->send({as_bytes(text), message_kind::text, 0}));
      (void)two.bob->commit();
      ASSERT_TRUE(two.alice->front());
      two.alice->pop();
    }
  }
}

/// The lines of alice's ring that `work` stores into, in their order; several stores in a row into one are one.
std::vector<std::size_t> lines_written(session_memory& memory, const std::function<void()>& work) {
  std::vector<std::size_t> lines;
  const auto* const ring = memory.ring(0).data();
  recorded_stores::before = [&](const void* to) {
    const auto* const at = static_cast<const std::byte*>(to);
    if (at < ring || at >= ring + memory.ring(0).size()) return;
    const auto line = static_cast<std::size_t>(at - ring) / 64;
    if (lines.empty() || lines.back() != line) lines.push_back(line);
  };
  work();
  recorded_stores::before = nullptr;
  return lines;
}

TEST(persistent_session, writes_each_line_of_a_small_message_in_one_go_and_that_with_its_word_last) {
  session_memory memory;
  const auto alice =
      session::basic_persistent_session<recorded_stores>::recover(memory.file(0), memory.parts(0), k_process).value();
  ring_consumer bob(memory.ring(0), memory.line(0));
  for (const std::uint16_t type : {std::uint16_t{0}, std::uint16_t{9}})
    for (std::size_t size = 0; size <= persistent_session::k_small; ++size) {
      const std::string text(size, 'x');
      if (size % 5 == 0 || !alice->prepared(type)) {
        ASSERT_NE(alice->reserve(size, type), nullptr) << size;
      }
      const bool pad = alice->output().behind_pad();
      const auto word_at = static_cast<std::size_t>(alice->output().tail()) % k_world_ring;
      const auto lines = lines_written(memory, [&] {
        (void)alice->commit_with({as_bytes(text), message_kind::text, type});
      });
      ASSERT_FALSE(lines.empty());
      EXPECT_EQ(lines.back(), word_at / 64) << size;
      EXPECT_TRUE(pad || std::set(lines.begin(), lines.end()).size() == lines.size()) << size;
      while (bob.front()) bob.pop();
      bob.publish_position();
    }
}

TEST(persistent_session, that_answers_as_before_writes_of_its_transaction_only_the_number_before_the_answer) {
  session_memory memory;
  using recorded_session = session::basic_persistent_session<recorded_stores>;
  const auto alice = recorded_session::recover(memory.file(0), memory.parts(0), k_process).value();
  both two;
  ASSERT_TRUE(alice->attach_input(two.memory.ring(1), two.memory.line(1)));
  const auto answer = [&](const std::string& text) {
    EXPECT_TRUE(both::send(*two.bob, "question"));
    (void)two.bob->commit();
    EXPECT_TRUE(alice->front());
    alice->pop();
    if (!alice->prepared()) {
      EXPECT_NE(alice->reserve(text.size()), nullptr);
    }
    const auto* const word = memory.ring(0).data() + alice->output().tail() % k_world_ring;
    const auto file = memory.file(0);
    std::size_t stores = 0, before = 0;
    recorded_stores::before = [&](const void* to) {
      const auto* const at = static_cast<const std::byte*>(to);
      stores += at >= file.data() && at < file.data() + file.size();
      if (at == word) before = stores;
    };
    (void)alice->commit_with({as_bytes(text), message_kind::binary, 0});
    recorded_stores::before = nullptr;
    return before;
  };
  // Both slots get what few transactions change first.
  for (int i = 0; i < 3; ++i) (void)answer("as long as the others");
  EXPECT_EQ(answer("as long as the others"), 1u);
  EXPECT_EQ(answer("of another size"), 4u) << "the word, the end, the checksum, the number";
  EXPECT_EQ(answer("of another size"), 1u);
}

TEST(persistent_session, carries_kind_type_and_empty_messages) {
  both two;
  ASSERT_TRUE(two.alice->send({{}, message_kind::binary, 0}));
  ASSERT_TRUE(two.alice->send({{}, message_kind::text, 65535}));
  ASSERT_TRUE(two.alice->send({as_bytes("x"), message_kind::binary, 1}));
  two.alice->commit();
  for (const auto& expected : {message_view{{}, message_kind::binary, 0}, message_view{{}, message_kind::text, 65535},
                               message_view{as_bytes("x"), message_kind::binary, 1}}) {
    const auto m = session::message_of(two.bob->front());
    ASSERT_TRUE(m) << m.error().text();
    EXPECT_EQ(m->kind, expected.kind);
    EXPECT_EQ(m->type, expected.type);
    EXPECT_EQ(as_text(m->payload), as_text(expected.payload));
    two.bob->pop();
  }
}

TEST(persistent_session, that_gives_a_transaction_up_has_done_nothing) {
  both two;
  ASSERT_TRUE(both::send(*two.alice, "question"));
  two.alice->commit();
  two.bob->set_state(as_bytes("before"));
  two.bob->commit();
  EXPECT_EQ(text_of(two.bob->front()), "question");
  two.bob->pop();
  ASSERT_TRUE(both::send(*two.bob, "answer"));
  two.bob->set_state(as_bytes("after"));
  two.bob->abort();
  EXPECT_FALSE(two.bob->open());
  EXPECT_EQ(as_text(two.bob->state()), "before");
  EXPECT_EQ(text_of(two.bob->front()), "question");
  two.bob->commit();
  EXPECT_FALSE(two.alice->front());
}

TEST(persistent_session, hands_back_its_state_and_its_inputs_when_it_starts_anew) {
  both two;
  for (const char* text : {"one", "two", "three"}) ASSERT_TRUE(both::send(*two.alice, text));
  two.alice->commit();
  EXPECT_EQ(text_of(two.bob->front()), "one");
  two.bob->pop();
  two.bob->set_state(as_bytes("saw one"));
  two.bob->commit();
  EXPECT_EQ(text_of(two.bob->front()), "two");
  two.bob->pop();
  two.bob->set_state(as_bytes("saw two"));
  two.bob_starts_anew();
  EXPECT_EQ(as_text(two.bob->state()), "saw one");
  EXPECT_EQ(text_of(two.bob->front()), "two") << "its transaction was not committed";
}

TEST(persistent_session, keeps_4_kib_of_state_and_none) {
  both two;
  for (const std::size_t size : {session::k_max_state, std::size_t{0}, std::size_t{1}, std::size_t{17}}) {
    const std::vector<std::byte> state(size, std::byte{9});
    two.bob->set_state(state);
    two.bob->commit();
    two.bob->commit();
    two.bob_starts_anew();
    EXPECT_TRUE(std::equal(state.begin(), state.end(), two.bob->state().begin(), two.bob->state().end())) << size;
  }
}

TEST(persistent_session, consumes_before_it_sends_where_each_is_a_transaction_of_its_own) {
  both two;
  ASSERT_TRUE(both::send(*two.alice, "question"));
  two.alice->commit();
  EXPECT_EQ(text_of(two.bob->front()), "question");
  two.bob->pop();
  two.bob->commit();
  two.bob_starts_anew();
  EXPECT_FALSE(two.bob->front()) << "killed between the two, it has lost an answer and repeats none";
  ASSERT_TRUE(both::send(*two.bob, "answer"));
  two.bob->commit();
  EXPECT_EQ(text_of(two.alice->front()), "answer");
}

TEST(persistent_session, is_full_until_the_peer_has_committed_what_it_consumed) {
  both two;
  std::size_t sent = 0;
  const std::string large(two.alice->max_payload(), 'x');
  while (both::send(*two.alice, large)) {
    two.alice->commit();
    sent += 1;
  }
  EXPECT_EQ(sent, 3u);
  for (std::size_t i = 0; i < sent; ++i) {
    ASSERT_TRUE(two.bob->front());
    two.bob->pop();
  }
  EXPECT_FALSE(two.bob->front());
  two.bob->publish_position();
  EXPECT_FALSE(both::send(*two.alice, large)) << "not committed";
  two.bob->commit();
  EXPECT_FALSE(two.bob->front());
  EXPECT_TRUE(both::send(*two.alice, large));
}

TEST(persistent_session, refuses_a_transaction_that_is_larger_than_the_ring_and_can_give_it_up) {
  both two;
  const std::string large(two.alice->max_payload(), 'x');
  int staged = 0;
  while (both::send(*two.alice, large)) ++staged;
  EXPECT_GE(staged, 3);
  two.alice->abort();
  ASSERT_TRUE(both::send(*two.alice, "small"));
  two.alice->commit();
  EXPECT_EQ(text_of(two.bob->front()), "small");
}

TEST(persistent_session, tells_its_range_and_what_it_acknowledges) {
  both two;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(both::send(*two.alice, std::string(static_cast<std::size_t>(i) * 100, 'x')));
    two.alice->commit();
  }
  EXPECT_EQ(*two.alice->range(), (session::session_range{0, 0, 5}));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(two.bob->front());
    two.bob->pop();
  }
  EXPECT_EQ(two.bob->range()->ack, 0u) << "not committed";
  two.bob->commit();
  two.bob->publish_position();
  EXPECT_EQ(two.bob->acknowledged(), 3u);
  EXPECT_EQ(*two.bob->range(), (session::session_range{3, 0, 0}));
  EXPECT_EQ(*two.alice->range(), (session::session_range{0, 3, 5}));
}

TEST(persistent_session, keeps_the_number_of_its_session_and_of_its_newest_login) {
  both two;
  two.bob->identify(1234, 5);
  two.bob->commit();
  two.bob_starts_anew();
  EXPECT_EQ(two.bob->session(), 1234u);
  EXPECT_EQ(two.bob->epoch(), 5u);
}

TEST(persistent_session, begins_another_session_in_the_same_files) {
  both two;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(both::send(*two.alice, "old"));
  two.alice->set_state(as_bytes("old"));
  EXPECT_EQ(two.alice->reset({77}).error().reason(), errc::misuse) << "a transaction is open";
  two.alice->commit();
  ASSERT_TRUE(two.alice->reset({77}));
  ASSERT_TRUE(two.bob->reset({77}));
  EXPECT_EQ(*two.alice->range(), session::session_range{});
  EXPECT_TRUE(two.alice->state().empty());
  EXPECT_EQ(two.alice->session(), 77u);
  ASSERT_TRUE(two.bob->attach_input(two.memory.ring(0), two.memory.line(0)));
  EXPECT_FALSE(two.bob->front());
  ASSERT_TRUE(both::send(*two.alice, "new"));
  two.alice->commit();
  EXPECT_EQ(text_of(two.bob->front()), "new");
}

TEST(persistent_session, is_mended_with_the_numbers_that_its_peer_told) {
  both two;
  ASSERT_TRUE(both::send(*two.alice, "lost"));
  two.alice->set_state(as_bytes("kept"));
  two.alice->commit();
  const session::session_range told{70, 30, 33};
  EXPECT_TRUE(compare(*two.alice->range(), told));
  ASSERT_TRUE(two.alice->reset({two.alice->session(), told.start, told.ack, true}));
  EXPECT_EQ(*two.alice->range(), (session::session_range{30, 70, 70}));
  EXPECT_FALSE(compare(*two.alice->range(), told));
  EXPECT_EQ(as_text(two.alice->state()), "kept");
  ASSERT_TRUE(both::send(*two.alice, "on it goes"));
  two.alice->commit();
  two.alice = two.open(0);
  EXPECT_EQ(*two.alice->range(), (session::session_range{30, 70, 71}));
  ASSERT_TRUE(two.bob->reset({42, 70, 30}));
  ASSERT_TRUE(two.bob->attach_input(two.memory.ring(0), two.memory.line(0)));
  EXPECT_EQ(text_of(two.bob->front()), "on it goes");
}

TEST(persistent_session, refuses_a_ring_that_does_not_match_its_file) {
  const auto refused = [](auto change) {
    both two;
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(both::send(*two.alice, "12345678"));
    two.alice->commit();
    change(two.memory);
    const auto found = persistent_session::recover(two.memory.file(0), two.memory.parts(0), k_process);
    if (found) return false;
    EXPECT_EQ(found.error().reason(), errc::corrupt);
    EXPECT_NE(found.error().text().find("transaction 2"), std::string::npos) << found.error().text();
    EXPECT_NE(found.error().text().find("or reset it"), std::string::npos);
    return true;
  };
  const auto word = [](session_memory& m, std::size_t at) -> std::uint64_t& {
    return *reinterpret_cast<std::uint64_t*>(m.ring(0).data() + at);
  };
  EXPECT_FALSE(refused([](session_memory&) {}));
  EXPECT_FALSE(refused([&](session_memory& m) { word(m, 0) = 0; })) << "rolled forward";
  EXPECT_TRUE(refused([&](session_memory& m) { word(m, 0) = 1; }));
  EXPECT_TRUE(refused([&](session_memory& m) { word(m, 24) = 0; })) << "a record is missing";
  EXPECT_TRUE(refused([&](session_memory& m) { word(m, 24) += std::uint64_t{1} << 32; })) << "another number";
  EXPECT_TRUE(refused([&](session_memory& m) { word(m, 24) ^= ring_word::k_text; })) << "another kind";
  EXPECT_TRUE(refused([&](session_memory& m) { word(m, 40) ^= 1; })) << "another payload";
  EXPECT_TRUE(refused([&](session_memory& m) { word(m, 24) += 8; })) << "another size";
  EXPECT_TRUE(refused([&](session_memory& m) { word(m, 96) = word(m, 72) + (std::uint64_t{1} << 32); })) << "one more";
  EXPECT_TRUE(refused([&](session_memory& m) { word(m, 96) = ring_word::k_end_word; }));
  EXPECT_TRUE(refused([](session_memory& m) { m.line(0).position = 104; }));
  EXPECT_TRUE(refused([](session_memory& m) { m.line(0).position = 4; }));
  EXPECT_TRUE(refused([](session_memory& m) { m.line(0).position = 8; })) << "in the middle of a record";
}

TEST(persistent_session, is_corrupt_when_its_peer_rewrites_what_it_shares) {
  both two;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(both::send(*two.alice, "12345678"));
  two.alice->commit();
  auto& words = *reinterpret_cast<std::array<std::uint64_t, k_world_ring / 8>*>(two.memory.ring(0).data());
  words[0] = ring_word::k_present | 5000;
  EXPECT_FALSE(two.bob->front());
  EXPECT_TRUE(two.bob->corrupt());
  two.memory.line(0).position = 1 << 20;
  while (both::send(*two.alice, std::string(1000, 'x'))) {
  }
  EXPECT_TRUE(two.alice->corrupt());
  EXPECT_EQ(two.alice->range().error().reason(), errc::corrupt);
}

TEST(persistent_session, takes_no_records_that_a_session_never_sends) {
  alignas(8) std::byte body[24]{};
  const auto read = [&](ring_marks marks, ring_tag tag, std::uint32_t size = 24) {
    std::memcpy(body, &tag, sizeof tag);
    return session::message_of({body, size, marks});
  };
  EXPECT_TRUE(read(ring_marks::tagged, {1, 0, 8}));
  EXPECT_EQ(read(ring_marks::more, {}).error().reason(), errc::protocol);
  EXPECT_EQ(read(ring_marks::tagged, {1, 1, 8}).error().reason(), errc::protocol);
  EXPECT_EQ(read(ring_marks::tagged, {1, 0, 9}).error().reason(), errc::protocol);
  EXPECT_EQ(read(ring_marks::tagged, {0, 0, 8}).error().reason(), errc::protocol);
  EXPECT_EQ(read(ring_marks::tagged, {1, 0, 0}, 15).error().reason(), errc::protocol);
  EXPECT_EQ(read(ring_marks::none, {}, 7).error().reason(), errc::protocol);
  EXPECT_TRUE(read(ring_marks::none, {}, 8)->payload.empty());
}

}  // namespace
}  // namespace ferry::test
