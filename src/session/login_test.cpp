// Who may go on with whom, and where; peers that lie.
#include "session/login.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace ferry::session {
namespace {

local_side side(std::string own, std::string peer, std::uint64_t session, std::uint64_t epoch, session_range range) {
  return {std::move(own), std::move(peer), session, epoch, range};
}
login login_of(const local_side& from, std::string knows = {}) {
  return {login_outcome::none, from.session, from.epoch, from.range, from.own_name, std::move(knows), {}};
}

// What both decide, the listening end first.
struct outcome {
  login_decision listening, connecting;
};
outcome meet(const local_side& connecting, const local_side& listening, const std::string& knows = {}) {
  const login sent = login_of(connecting, knows);
  const auto arrived = decode_login(encode(sent), false);
  EXPECT_TRUE(arrived) << arrived.error().text();
  auto first = decide_login(listening, *arrived);
  const auto answer = decode_login(encode(first.answer), true);
  EXPECT_TRUE(answer) << answer.error().text();
  return {first, decide_answer(connecting, sent, *answer)};
}

TEST(session_login, goes_on_where_both_were) {
  const auto met = meet(side("alice", "", 7, 3, {10, 5, 9}), side("bob", "", 7, 2, {7, 8, 12}), "bob");
  EXPECT_EQ(met.listening.action, login_action::resume);
  EXPECT_EQ(met.connecting.action, login_action::resume);
  EXPECT_EQ(met.listening.answer.outcome, login_outcome::resumed);
  EXPECT_EQ(met.listening.discarded, 0u);
}

TEST(session_login, fits_exactly_when_each_acknowledgement_lies_in_the_others_range) {
  int fits = 0;
  for (std::uint64_t a = 0; a < 5; ++a)
    for (std::uint64_t b = 0; b < 5; ++b) {
      const session_range local{a, 1, 3}, remote{b, 2, 4};
      const bool fit = b >= 1 && b <= 3 && a >= 2 && a <= 4;
      EXPECT_EQ(compare(local, remote).has_value(), !fit) << a << " " << b;
      fits += fit;
      const auto met = meet(side("alice", "", 7, 3, remote), side("bob", "", 7, 2, local), "bob");
      EXPECT_EQ(met.listening.action == login_action::resume, fit);
      EXPECT_EQ(met.connecting.action == login_action::resume, fit);
      if (fit) continue;
      ASSERT_TRUE(met.listening.numbers && met.connecting.numbers);
      EXPECT_EQ(met.listening.numbers->local, local);
      EXPECT_EQ(met.listening.numbers->remote, remote);
      EXPECT_EQ(met.connecting.numbers->local, remote);
      EXPECT_EQ(met.connecting.numbers->remote, local);
      EXPECT_EQ(met.connecting.why.reason(), errc::corrupt);
    }
  EXPECT_EQ(fits, 9);
}

TEST(session_login, reports_all_six_numbers_of_a_mismatch) {
  const std::string text = mismatch{{11, 12, 13}, {14, 15, 16}}.text();
  for (const char* number : {"11", "12", "13", "14", "15", "16"}) EXPECT_NE(text.find(number), std::string::npos);
  EXPECT_NE(text.find("reset the session"), std::string::npos) << "and what to do";
}

TEST(session_login, takes_up_a_new_session_and_keeps_what_both_have_queued_before) {
  const auto met = meet(side("alice", "bob", 7, 1, {0, 0, 4}), side("bob", "alice", 8, 0, {0, 0, 2}));
  EXPECT_EQ(met.listening.action, login_action::adopt);
  EXPECT_EQ(met.listening.discarded, 0u);
  EXPECT_EQ(met.listening.answer.range.end, 2u);
  EXPECT_EQ(met.connecting.action, login_action::resume);
}

TEST(session_login, discards_an_old_session_for_a_new_one_and_says_how_much) {
  const auto met = meet(side("alice", "", 7, 1, {0, 0, 4}), side("bob", "", 8, 5, {30, 17, 20}));
  EXPECT_EQ(met.listening.action, login_action::begin);
  EXPECT_EQ(met.listening.discarded, 3u);
  EXPECT_EQ(met.listening.answer.range, session_range{});
  EXPECT_EQ(met.listening.answer.outcome, login_outcome::begun);
  EXPECT_EQ(met.connecting.action, login_action::resume);
}

TEST(session_login, never_takes_up_half_a_session_whose_other_half_is_lost) {
  for (const session_range range : {session_range{1, 0, 4}, session_range{0, 2, 4}, session_range{9, 9, 9}}) {
    const auto met = meet(side("alice", "", 7, 4, range), side("bob", "", 8, 0, {0, 0, 0}), "bob");
    EXPECT_EQ(met.listening.action, login_action::stop);
    EXPECT_EQ(met.connecting.action, login_action::stop);
    EXPECT_TRUE(met.connecting.numbers);
    EXPECT_EQ(met.connecting.why.reason(), errc::corrupt);
  }
}

TEST(session_login, starts_over_when_the_listening_end_has_another_name) {
  const auto met = meet(side("alice", "", 7, 4, {5, 3, 9}), side("carol", "", 8, 0, {}), "bob");
  EXPECT_EQ(met.listening.action, login_action::stop);
  EXPECT_EQ(met.connecting.action, login_action::restart);
  EXPECT_EQ(met.connecting.discarded, 6u);
  EXPECT_NE(met.connecting.why.text().find("'bob'"), std::string::npos);
  EXPECT_NE(met.connecting.why.text().find("'carol'"), std::string::npos);
  const auto again = meet(side("alice", "", 9, 5, {}), side("carol", "", 8, 0, {}));
  EXPECT_EQ(again.connecting.action, login_action::resume);
}

TEST(session_login, refuses_names_that_are_not_expected_on_either_side) {
  const auto wrong_server = meet(side("alice", "bob", 7, 4, {}), side("carol", "", 8, 0, {}));
  EXPECT_EQ(wrong_server.connecting.action, login_action::stop);
  EXPECT_EQ(wrong_server.connecting.why.reason(), errc::auth);
  const auto other_server = meet(side("alice", "bob", 7, 4, {5, 3, 9}), side("carol", "", 8, 0, {}), "bob");
  EXPECT_EQ(other_server.connecting.action, login_action::stop) << "nothing is discarded where the name is given";
  const auto wrong_client = meet(side("mallory", "", 7, 4, {}), side("bob", "alice", 7, 3, {}));
  EXPECT_EQ(wrong_client.listening.action, login_action::stop);
  EXPECT_EQ(wrong_client.listening.why.reason(), errc::auth);
  EXPECT_EQ(wrong_client.connecting.why.reason(), errc::auth);
  EXPECT_NE(wrong_client.connecting.why.text().find("expected 'alice', not 'mallory'"), std::string::npos);
}

TEST(session_login, ignores_a_login_that_is_older_than_one_that_was_taken) {
  for (const std::uint64_t epoch : {0u, 3u, 4u}) {
    const auto met = meet(side("alice", "", 7, epoch, {}), side("bob", "", 7, 4, {}));
    EXPECT_EQ(met.listening.action, login_action::stop);
    EXPECT_EQ(met.listening.answer.outcome, login_outcome::stale);
    EXPECT_EQ(met.connecting.action, login_action::stop);
  }
  EXPECT_EQ(meet(side("alice", "", 7, 5, {}), side("bob", "", 7, 4, {})).listening.action, login_action::resume);
}

TEST(session_login, of_an_old_copy_is_told_that_the_numbers_do_not_fit_rather_than_that_it_is_old) {
  const auto met = meet(side("alice", "", 7, 2, {5, 3, 4}), side("bob", "", 7, 4, {9, 6, 7}));
  EXPECT_EQ(met.listening.answer.outcome, login_outcome::stale) << "which a login that was delayed is too";
  EXPECT_FALSE(met.listening.numbers);
  EXPECT_EQ(met.connecting.action, login_action::stop);
  EXPECT_EQ(met.connecting.why, errc::corrupt);
  ASSERT_TRUE(met.connecting.numbers);
  EXPECT_EQ(met.connecting.numbers->local, (session_range{5, 3, 4}));
  EXPECT_EQ(met.connecting.numbers->remote, (session_range{9, 6, 7}));
  const auto fits = meet(side("alice", "", 7, 2, {6, 3, 9}), side("bob", "", 7, 4, {9, 6, 7}));
  EXPECT_FALSE(fits.connecting.numbers);
  EXPECT_EQ(fits.connecting.why, errc::auth) << "the next login is newer";
}

TEST(session_login, believes_no_answer_that_belongs_to_another_login) {
  const local_side self = side("alice", "", 7, 4, {5, 3, 9});
  const login sent = login_of(self, "bob");
  const login good{login_outcome::resumed, 7, 4, {3, 5, 5}, "bob", "alice", {}};
  ASSERT_EQ(decide_answer(self, sent, good).action, login_action::resume);
  const auto refused = [&](auto change) {
    login lie = good;
    change(lie);
    const auto d = decide_answer(self, sent, lie);
    return d.action == login_action::stop && d.why == errc::protocol;
  };
  EXPECT_TRUE(refused([](login& l) { l.session = 8; }));
  EXPECT_TRUE(refused([](login& l) { l.epoch = 5; }));
  EXPECT_TRUE(refused([](login& l) { l.peer_name = "eve"; }));
  EXPECT_TRUE(refused([](login& l) { l.own_name = "eve"; }));
  EXPECT_TRUE(refused([](login& l) { l.outcome = login_outcome::begun; })) << "we have a history";
  EXPECT_TRUE(refused([](login& l) { l.outcome = login_outcome::other_name; })) << "it has the name that we know";
  EXPECT_TRUE(refused([](login& l) { l.outcome = login_outcome::none; }));
}

TEST(session_login, acknowledging_what_was_never_sent_is_a_mismatch) {
  const auto met = meet(side("alice", "", 7, 4, {0, 0, 2}), side("bob", "", 7, 3, {3, 0, 0}));
  EXPECT_EQ(met.listening.action, login_action::stop);
  EXPECT_EQ(met.listening.answer.outcome, login_outcome::mismatch);
}

TEST(session_login, messages_are_these_bytes) {
  const login l{login_outcome::none, 0x1122334455667788, 2, {3, 4, 5}, "alice", "bob", {}};
  const auto wire = encode(l);
  EXPECT_EQ(std::memcmp(wire.data(), "FERRYLGN\1\0\0\0\0\0\0\0\x88\x77\x66\x55\x44\x33\x22\x11\2\0\0\0\0\0\0\0", 32),
            0);
  EXPECT_EQ(wire[32], std::byte{3});
  EXPECT_EQ(wire[40], std::byte{4});
  EXPECT_EQ(wire[48], std::byte{5});
  EXPECT_EQ(std::memcmp(wire.data() + 64, "alice\0", 6), 0);
  EXPECT_EQ(std::memcmp(wire.data() + 128, "bob\0", 4), 0);
  for (std::size_t i = 131; i < wire.size(); ++i) EXPECT_EQ(wire[i], std::byte{0});
}

TEST(session_login, say_how_large_a_message_may_be_where_others_have_said_nothing) {
  login l{login_outcome::none, 7, 2, {3, 4, 5}, "alice", "bob", {}, true, 0x01020304};
  const auto wire = encode(l);
  EXPECT_EQ(std::memcmp(wire.data() + 56, "\1\0\0\0\4\3\2\1", 8), 0);
  EXPECT_EQ(decode_login(wire, false)->max_message, 0x01020304u);
  EXPECT_TRUE(decode_login(wire, false)->barriers);
  l.max_message = 0;
  EXPECT_EQ(decode_login(encode(l), false)->max_message, 0u);
}

login with_data(login_outcome outcome, std::string data) {
  login l{outcome, 7, 2, {3, 4, 5}, "alice", "bob", {}, true, 100};
  l.data = std::move(data);
  return l;
}
constexpr std::array k_that_go_on{login_outcome::none, login_outcome::resumed, login_outcome::begun};
constexpr std::array k_refusals{login_outcome::mismatch, login_outcome::other_name, login_outcome::stale,
                                login_outcome::refused};
bool is_answer(login_outcome outcome) { return outcome != login_outcome::none; }

TEST(session_login, carry_data_of_every_size_and_any_bytes_in_a_login_and_in_an_answer_that_lets_in) {
  for (const auto outcome : k_that_go_on) {
    std::string data;
    for (std::size_t size = 0; size <= k_login_data_bytes; ++size) {
      const auto wire = encode(with_data(outcome, data));
      EXPECT_EQ(std::memcmp(wire.data() + 192, data.data(), size), 0);
      for (std::size_t at = 192 + size; at < 255; ++at) EXPECT_EQ(wire[at], std::byte{0}) << at;
      EXPECT_EQ(wire[255], static_cast<std::byte>(size));
      const auto read = decode_login(wire, is_answer(outcome));
      ASSERT_TRUE(read) << read.error().text();
      EXPECT_EQ(read->data, data);
      EXPECT_EQ(read->text, "");
      EXPECT_EQ(encode(*read), wire);
      data.push_back(static_cast<char>(size * 37));  // a zero first, no sign in the middle
    }
  }
}

TEST(session_login, say_without_data_what_older_releases_say_byte_for_byte) {
  // As a release before there were data sends it, and as it reads ours: the names, then nothing.
  for (const auto outcome : k_that_go_on) {
    const auto wire = encode(with_data(outcome, ""));
    for (std::size_t at = 192; at < wire.size(); ++at) EXPECT_EQ(wire[at], std::byte{0}) << at;
    EXPECT_EQ(decode_login(wire, is_answer(outcome))->data, "");
    const auto with = encode(with_data(outcome, std::string(k_login_data_bytes, 'x')));
    EXPECT_EQ(std::memcmp(wire.data(), with.data(), 192), 0) << "what it reads is where it was";
  }
}

TEST(session_login, refusals_have_their_text_and_no_data) {
  for (const auto outcome : k_refusals) {
    auto l = with_data(outcome, "secret");
    l.text = std::string(63, 't');
    auto wire = encode(l);
    EXPECT_EQ(wire[255], std::byte{0});
    EXPECT_EQ(decode_login(wire, true)->text, l.text);
    EXPECT_EQ(decode_login(wire, true)->data, "");
    wire[255] = std::byte{7};
    EXPECT_EQ(decode_login(wire, true)->data, "") << "a refusal's last byte is not read";
  }
}

TEST(session_login, data_of_more_bytes_than_there_can_be_are_refused) {
  for (const auto outcome : k_that_go_on) {
    auto wire = encode(with_data(outcome, "data"));
    for (unsigned size = 0; size < 256; ++size) {
      wire[255] = static_cast<std::byte>(size);
      const auto read = decode_login(wire, is_answer(outcome));
      ASSERT_EQ(read.has_value(), size <= k_login_data_bytes) << size;
      if (read) {
        EXPECT_EQ(read->data.size(), size);
      } else {
        EXPECT_EQ(read.error(), errc::protocol);
        EXPECT_NE(read.error().text().find("login data of " + std::to_string(size) + " bytes; at most 63"),
                  std::string::npos);
      }
    }
    for (std::size_t size = 0; size < wire.size(); ++size)
      EXPECT_FALSE(decode_login(bytes(wire).first(size), is_answer(outcome))) << size;
    EXPECT_EQ(encode(with_data(outcome, std::string(100, 'x')))[255], std::byte{63}) << "and none say so";
  }
}

TEST(session_login, answers_say_nothing_that_the_login_said) {
  login from = login_of(side("alice", "", 7, 3, {10, 5, 9}), "bob");
  from.data = "of alice";
  EXPECT_EQ(decide_login(side("bob", "", 7, 2, {7, 8, 12}), from).answer.data, "");
}

TEST(session_login, messages_that_cannot_be_are_refused) {
  const login l{login_outcome::none, 7, 2, {3, 4, 5}, "alice", "bob", {}};
  const auto good = encode(l);
  ASSERT_TRUE(decode_login(good, false));
  EXPECT_FALSE(decode_login(good, true)) << "a login is no answer";
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(decode_login(bytes(good).first(size), false).error().reason(), errc::protocol);
  const auto with = [&](std::size_t at, unsigned value) {
    auto bad = good;
    bad[at] = static_cast<std::byte>(value);
    const auto read = decode_login(bad, false);
    return read ? errc{} : read.error().reason();
  };
  EXPECT_EQ(with(0, 'f'), errc::protocol);
  EXPECT_EQ(with(8, 2), errc::unsupported);
  EXPECT_EQ(with(12, 7), errc::protocol) << "outcome";
  EXPECT_EQ(with(16, 0), errc::protocol) << "no session";
  EXPECT_EQ(with(40, 6), errc::protocol) << "it starts behind its end";
  EXPECT_EQ(with(64, '/'), errc::protocol) << "a name";
  EXPECT_EQ(with(64, 0), errc::protocol) << "no name";
  EXPECT_EQ(with(129, '\n'), errc::protocol);
  EXPECT_EQ(with(32, 9), errc{}) << "numbers are for the decision";
}

TEST(session_login, text_from_a_peer_brings_no_control_characters) {
  login l{login_outcome::refused, 7, 2, {}, "bob", "alice", "no\x1b[31m\n"};
  EXPECT_EQ(decode_login(encode(l), true)->text, "no?[31m?");
  l.text = std::string(100, 'x');
  EXPECT_EQ(decode_login(encode(l), true)->text.size(), 63u);
}

TEST(session_login, text_that_does_not_end_is_read_up_to_the_last_byte_that_may_be_one) {
  auto wire = encode({login_outcome::refused, 7, 2, {}, "bob", "alice", {}});
  for (std::size_t at = 192; at < wire.size(); ++at) wire[at] = std::byte{'x'};
  const auto read = decode_login(wire, true);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->text, std::string(63, 'x'));
  EXPECT_EQ(decode_login(encode(*read), true)->text, read->text);
}

}  // namespace
}  // namespace ferry::session
