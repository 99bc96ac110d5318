// Peers of persistent sessions that lie: their connection ends with an error that says why, and nobody else notices.
#include <ferry/session.hpp>
#include <ferry/session_files.hpp>

#include <sys/mman.h>
#include <sys/stat.h>

#include <map>

#include "raw_ring_peer.hpp"
#include "raw_session_peer.hpp"
#include "session_crash.hpp"
#include "session_lies.hpp"

namespace ferry::test {
namespace {

using codec::session_frame_kind;
using session::login_outcome;

/// A listening end with two clients that behave, one for each transport, and whoever else comes.
class hostile_session : public session_crash {
 protected:
  hostile_session() {
    for (const auto* scheme : {"ipc", "shm"}) {
      auto& at = listening.emplace_back(listener::open(where, url(scheme, "server"), settings()).value());
      at.on_channel([this](channel one) { arrived(std::move(one)); });
      at.on_error([this](const error& why) { errors.push_back(why); });
    }
    for (const auto* scheme : {"ipc", "shm"}) {
      channel one = channel::open(where, url(scheme, "client", "", std::string("good.") + scheme), settings()).value();
      one.on_message([this](const message_view&) { answers += 1; });
      good.push_back(std::move(one));
    }
    expect_the_good_go_on();
  }
  void arrived(channel one) {
    const auto name = persistent_session::of(one)->info().peer_name;
    one.on_down([this, name](const down_info& info) { downs[name].push_back(info.reason); });
    one.on_message([this, name, one = one.shared_impl().get()](const message_view& m) {
      received[name].push_back(std::string(m.text()));
      (void)came.at(name).try_send(m.text());
    });
    came.insert_or_assign(name, std::move(one));
  }
  /// Any, also on their way to their places.
  [[nodiscard]] bool has_files(const std::string& name) const {
    for (const auto& one : std::filesystem::directory_iterator(dir.path() / "server"))
      if (one.path().filename().string().starts_with("server~" + name + ".")) return true;
    return false;
  }
  void expect_the_good_go_on() {
    const std::size_t wanted = answers + good.size();
    for (auto& one : good) ASSERT_TRUE(one.try_send("are you there?"));
    ASSERT_TRUE(turn([&] { return answers == wanted; }, "answers to the others"));
    EXPECT_TRUE(downs["good.ipc"].empty() && downs["good.shm"].empty());
  }
  [[nodiscard]] raw_session_peer ipc() const { return raw_session_peer(dir.file("meeting.sock")); }
  [[nodiscard]] raw_session_peer shm() const { return raw_session_peer(dir.file("meeting.shm")); }
  /// Logs in and is taken up.
  void log_in(raw_session_peer& one, const session::login& as, login_outcome outcome = login_outcome::begun) {
    one.say(login_text(as));
    ASSERT_TRUE(turn([&] { return one.heard(); }, "an answer"));
    ASSERT_TRUE(one.answer());
    ASSERT_EQ(one.answer()->outcome, outcome) << one.answer()->text;
  }
  [[nodiscard]] ::testing::AssertionResult refused(std::size_t before) {
    return turn([&] { return errors.size() > before; }, "an error of the listener");
  }
  [[nodiscard]] ::testing::AssertionResult down(const std::string& name, std::size_t times = 1) {
    return turn([&] { return downs[name].size() >= times; }, "the end of " + name);
  }

  std::vector<listener> listening;
  std::vector<channel> good;
  std::size_t answers = 0;
  std::map<std::string, channel> came;
  std::map<std::string, std::vector<error>> downs;
  std::map<std::string, std::vector<std::string>> received;
  std::vector<error> errors;
};

using login_of_a_liar = hostile_session;

TEST_F(login_of_a_liar, that_is_cut_anywhere_is_an_error_and_leaves_no_session) {
  const std::string whole = login_text(first_login("mallory"));
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const std::size_t before = errors.size();
    auto one = ipc();
    one.say(whole.substr(0, cut));
    one.close();
    ASSERT_TRUE(refused(before)) << "cut at " << cut;
    EXPECT_EQ(errors.back(), errc::protocol) << errors.back().text();
  }
  EXPECT_EQ(os::count_sessions(dir.file("server"), "server"), 2u);
  expect_the_good_go_on();
}

TEST_F(login_of_a_liar, with_any_bit_changed_is_answered_or_refused_and_nothing_hangs) {
  const std::string whole = login_text(first_login("mallory"));
  std::size_t taken = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ (1 << at % 8));
    auto one = ipc();
    one.say(changed);
    ASSERT_TRUE(turn([&] { return one.heard(); }, "an answer or the end")) << "byte " << at;
    taken += one.answer() && one.answer()->outcome <= login_outcome::begun;
    one.close();
    run_ready(io);
  }
  EXPECT_GT(taken, 0u);
  EXPECT_GT(errors.size(), 50u);
  expect_the_good_go_on();
}

TEST_F(login_of_a_liar, under_another_name_is_refused_and_told_so) {
  auto wrong = first_login("mallory");
  wrong.peer_name = "somebody.else";
  auto one = ipc();
  log_in(one, wrong, login_outcome::other_name);
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "server" / "server~mallory.session")) << "takes nobody's place";
  auto at = listener::open(where, url("ipc", "server") + "&peer=alice", settings());
  ASSERT_FALSE(at) << "somebody listens there";
  options expects = settings();
  listener strict = listener::open(where,
                                   "ipc://" + dir.file("strict.sock") +
                                       "?session=persistent&as=strict&peer=alice&dir=" + dir.file("server"),
                                   expects)
                        .value();
  strict.on_error([this](const error& why) { errors.push_back(why); });
  strict.on_channel([this](channel c) { arrived(std::move(c)); });
  raw_session_peer other(dir.file("strict.sock"));
  log_in(other, first_login("mallory"), login_outcome::refused);
  EXPECT_EQ(other.answer()->text, "expected 'alice', not 'mallory'");
  raw_session_peer expected(dir.file("strict.sock"));
  log_in(expected, first_login("alice"));
  expect_the_good_go_on();
}

TEST_F(login_of_a_liar, that_does_not_fit_under_a_new_name_is_refused_before_there_are_files) {
  auto login = first_login("mallory");
  const session::session_range impossible[] = {{1, 0, 0}, {~0ull, 0, 0}, {0, 1, 1}, {0, 2, 7}, {3, 3, 3}};
  for (const auto& range : impossible) {
    login.epoch += 1;
    login.range = range;
    auto liar = ipc();
    log_in(liar, login, login_outcome::mismatch);
    EXPECT_EQ(liar.answer()->range, session::session_range{});
    EXPECT_FALSE(has_files("mallory"));
  }
  EXPECT_EQ(os::count_sessions(dir.file("server"), "server"), 2u) << "takes nobody's place";
  ASSERT_TRUE(turn([&] { return errors.size() == std::size(impossible); }, "an error of each"));
  auto honest = ipc();
  log_in(honest, first_login("mallory"));
  EXPECT_TRUE(has_files("mallory"));
  expect_the_good_go_on();
}

TEST_F(login_of_a_liar, that_does_not_fit_where_half_of_the_files_are_left_hears_of_the_damage) {
  auto login = first_login("mallory");
  auto one = ipc();
  log_in(one, login);
  ASSERT_TRUE(turn([&] { return came.contains("mallory"); }, "its channel"));
  came.at("mallory").cut();
  const auto path = dir.path() / "server" / "server~mallory.ring";
  ASSERT_TRUE(turn([&] { return !show_session({dir.file("server"), "server", "mallory"}).in_use; }, "its files"));
  ASSERT_TRUE(std::filesystem::remove(path));
  login.epoch += 1;
  login.range = {1, 1, 1};
  auto again = ipc();
  log_in(again, login, login_outcome::refused);
  EXPECT_TRUE(refused(0));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(login_of_a_liar, that_comes_twice_is_stale_and_with_a_larger_epoch_takes_over) {
  auto login = first_login("mallory");
  login.epoch = 7;
  auto first = ipc();
  log_in(first, login);
  for (const std::uint64_t epoch : {7u, 6u, 0u}) {
    auto again = login;
    again.epoch = epoch;
    auto late = ipc();
    log_in(late, again, login_outcome::stale);
    ASSERT_TRUE(turn([&] { return late.ended(); }, "its end"));
  }
  first.say(session_frame_text(session_frame_kind::text, 0, "the first one is still there"));
  ASSERT_TRUE(turn([&] { return received["mallory"].size() == 1; }, "a message of the first"));
  EXPECT_TRUE(downs["mallory"].empty());
  login.epoch = 8;
  login.range = {0, 1, 1};  // our answer to its message was not acknowledged
  auto second = ipc();
  log_in(second, login, login_outcome::resumed);
  ASSERT_TRUE(down("mallory"));
  ASSERT_TRUE(turn([&] { return first.ended(); }, "the end of the first"));
  second.say(session_frame_text(session_frame_kind::text, 0, "here I am"));
  ASSERT_TRUE(turn([&] { return received["mallory"].size() == 2; }, "a message of the second"));
  expect_the_good_go_on();
}

TEST_F(login_of_a_liar, whose_numbers_cannot_be_is_a_mismatch_and_changes_nothing) {
  auto login = first_login("mallory");
  auto one = ipc();
  log_in(one, login);
  one.say(session_frame_text(session_frame_kind::text, 0, "one"));
  ASSERT_TRUE(turn([&] { return received["mallory"].size() == 1; }, "a message"));
  one.close();
  ASSERT_TRUE(down("mallory"));
  const session::session_range impossible[] = {{2, 1, 1}, {~0ull, 1, 1}, {0, 0, 0}, {0, 2, 2}, {0, ~0ull, ~0ull}};
  for (const auto& range : impossible) {
    login.epoch += 1;
    login.range = range;
    auto liar = ipc();
    log_in(liar, login, login_outcome::mismatch);
    EXPECT_EQ(liar.answer()->range, (session::session_range{1, 0, 1}));
  }
  login.epoch += 1;
  login.range = {0, 1, 1};
  auto honest = ipc();
  log_in(honest, login, login_outcome::resumed);
  expect_the_good_go_on();
}

class stream_of_a_liar : public hostile_session, public ::testing::WithParamInterface<lie> {};

TEST_P(stream_of_a_liar, ends_with_an_error_that_says_why_and_the_others_go_on) {
  auto one = ipc();
  log_in(one, first_login("mallory"));
  one.say(GetParam().frames);
  ASSERT_TRUE(down("mallory"));
  EXPECT_EQ(downs["mallory"][0], GetParam().reason) << downs["mallory"][0].text();
  ASSERT_TRUE(turn([&] { return one.ended(); }, "the end of its connection"));
  expect_the_good_go_on();
  // It may come back and behave.
  auto login = first_login("mallory");
  login.epoch = 2;
  const std::uint64_t received_before = received["mallory"].size();
  login.range = {0, received_before, received_before};
  auto again = ipc();
  log_in(again, login, login_outcome::resumed);
  again.say(session_frame_text(session_frame_kind::text, 0, "sorry"));
  ASSERT_TRUE(turn([&] { return received["mallory"].size() == received_before + 1; }, "its message"));
}

INSTANTIATE_TEST_SUITE_P(that, stream_of_a_liar, all_lies(),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_F(hostile_session, is_not_harmed_by_an_old_acknowledgement_or_by_questions) {
  auto one = ipc();
  log_in(one, first_login("mallory"));
  one.say(session_frame_text(session_frame_kind::text, 0, "one"));
  one.say(session_frame_text(session_frame_kind::text, 0, "two"));
  ASSERT_TRUE(turn([&] { return one.frames().size() == 2 * (16 + 3); }, "two answers"));
  one.say(session_frame_text(session_frame_kind::acknowledgement, 2));
  one.say(session_frame_text(session_frame_kind::acknowledgement, 1));
  std::string questions;
  for (int i = 0; i < 1000; ++i) questions += session_frame_text(session_frame_kind::question, 0);
  one.say(questions);
  ASSERT_TRUE(turn([&] { return one.frames().size() > 2 * (16 + 3); }, "an answer to the questions"));
  one.say(session_frame_text(session_frame_kind::text, 0, "three"));
  ASSERT_TRUE(turn([&] { return received["mallory"].size() == 3; }, "a message"));
  EXPECT_TRUE(downs["mallory"].empty());
}

// Over shared memory ------------------------------------------------------------------------------

class memory_of_a_liar : public hostile_session {
 protected:
  // What comes along with a login that is fine.
  void expect_refused(int fd, const std::string& says) {
    const std::size_t before = errors.size();
    const std::string name = "mallory" + std::to_string(before);
    auto one = shm();
    one.say(first_login(name), fd);
    ASSERT_TRUE(refused(before));
    EXPECT_EQ(errors.back(), errc::protocol) << errors.back().text();  // of one visitor: the listener goes on
    EXPECT_NE(errors.back().text().find(says), std::string::npos) << errors.back().text();
    ASSERT_TRUE(turn([&] { return one.ended(); }, "the end of its connection"));
    EXPECT_FALSE(came.contains(name));
    EXPECT_FALSE(has_files(name));
  }
  /// A file of a ring as it should be, and all of it in reach.
  struct ring_file {
    explicit ring_file(const std::string& path) : fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
      if (::ftruncate(fd.get(), static_cast<off_t>(sizes.total())) != 0) throw std::runtime_error("no room");
      at = os::mapping::of(fd.get(), sizes.total(), true).value();
      ring::format(at.span(), sizes, {"mallory~server", 4711, 1, 1, 1});
    }
    ring::geometry sizes{65536, 1, 4096};
    os::unique_fd fd;
    os::mapping at;
    [[nodiscard]] ring::shared_page& shared() const {
      return *reinterpret_cast<ring::shared_page*>(at.data() + sizes.shared_offset());
    }
    [[nodiscard]] std::span<std::byte> records() const { return at.span().subspan(sizes.ring_offset(0)); }
  };
  void log_in_with(raw_session_peer& one, const ring_file& memory) {
    one.say(first_login("mallory"), memory.fd.get());
    ASSERT_TRUE(turn([&] { return one.heard() && came.contains("mallory"); }, "an answer"));
    ASSERT_EQ(one.answer()->outcome, login_outcome::begun);
  }
  /// @return the ring of ours that comes with the answer: its page of positions is the peer's to write
  [[nodiscard]] os::unique_fd log_in_for_our_ring(raw_session_peer& one, const ring_file& memory) {
    one.say(first_login("mallory"), memory.fd.get());
    std::array<std::byte, session::k_login_bytes> text{};
    os::unique_fd ours;
    EXPECT_TRUE(turn(
        [&] {
          auto got = os::receive_with_fd(one.socket().fd(), text);
          if (got && got->fd) ours = std::move(got->fd);
          return static_cast<bool>(ours) && came.contains("mallory");
        },
        "an answer with a ring"));
    return ours;
  }
  static void wake(const raw_session_peer& one) { one.say(std::string(1, '\0')); }
};

TEST_F(memory_of_a_liar, that_is_not_there_or_something_else_is_refused) {
  expect_refused(-1, "no memory along");
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const os::unique_fd reads(ends[0]);
  const os::unique_fd writes(ends[1]);
  expect_refused(reads.get(), "something else than a file");
  const os::unique_fd folder(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  expect_refused(folder.get(), "something else than a file");
  const os::unique_fd empty = os::create_memory("small", 4096, false).value();
  expect_refused(empty.get(), "has 4096 bytes");
  const os::unique_fd zeros = os::create_memory("zeros", 1u << 17, false).value();
  expect_refused(zeros.get(), "");
  const ring_file good_one(dir.file("readonly.ring"));
  const os::unique_fd read_only(::open(dir.file("readonly.ring").c_str(), O_RDONLY | O_CLOEXEC));
  expect_refused(read_only.get(), "the peer's ring: ");
  expect_the_good_go_on();
}

TEST_F(memory_of_a_liar, that_is_cut_off_while_it_is_mapped_ends_that_session_alone) {
  const ring_file memory(dir.file("liar.ring"));
  auto one = shm();
  log_in_with(one, memory);
  ASSERT_EQ(::ftruncate(memory.fd.get(), 0), 0);
  wake(one);
  ASSERT_TRUE(down("mallory"));
  EXPECT_EQ(downs["mallory"][0], errc::corrupt) << downs["mallory"][0].text();
  ASSERT_TRUE(turn([&] { return one.ended(); }, "the end of its connection"));
  expect_the_good_go_on();
}

TEST_F(memory_of_a_liar, that_is_cut_off_before_it_is_looked_at_is_refused) {
  const ring_file memory(dir.file("liar.ring"));
  ASSERT_EQ(::ftruncate(memory.fd.get(), 8192 + 4096), 0);
  expect_refused(memory.fd.get(), "");
  expect_the_good_go_on();
}

TEST_F(memory_of_a_liar, whose_records_cannot_be_ends_that_session_alone) {
  constexpr std::uint64_t k_present = ring_word::k_present;
  std::uint64_t name = 0;
  for (const std::uint64_t word :
       {~std::uint64_t{0}, k_present | 1, k_present | 0xffff'ffff, k_present | std::uint64_t{5} << 32 | 16,
        k_present | ring_word::k_pad | 0x7fff'ffff, k_present | ring_word::k_more | 16}) {
    const ring_file memory(dir.file("liar.ring" + std::to_string(++name)));
    auto login = first_login("mallory" + std::to_string(name));
    auto one = shm();
    one.say(login, memory.fd.get());
    ASSERT_TRUE(turn([&] { return one.heard() && came.contains(login.own_name); }, "an answer"));
    std::memcpy(memory.records().data(), &word, sizeof word);
    wake(one);
    ASSERT_TRUE(down(login.own_name)) << std::hex << word;
    const auto& why = downs[login.own_name][0];
    EXPECT_TRUE(why == errc::corrupt || why == errc::protocol) << why.text();
    EXPECT_TRUE(received[login.own_name].empty());
  }
  expect_the_good_go_on();
}

TEST_F(memory_of_a_liar, that_is_rewritten_while_it_is_mapped_harms_nobody_else) {
  const ring_file memory(dir.file("liar.ring"));
  auto one = shm();
  log_in_with(one, memory);
  std::uniform_int_distribution<int> any(0, 255);
  for (auto& byte : memory.at.span()) byte = static_cast<std::byte>(any(random));
  wake(one);
  ASSERT_TRUE(down("mallory"));
  expect_the_good_go_on();
}

TEST_F(memory_of_a_liar, who_says_it_consumed_what_was_never_sent_ends_its_session_alone) {
  const ring_file memory(dir.file("liar.ring"));
  auto one = shm();
  const auto ours = log_in_for_our_ring(one, memory);
  ASSERT_TRUE(ours);
  const ring::geometry sizes{65536, 1, 4096};
  const auto at = os::mapping::of(ours.get(), sizes.total(), true).value();
  auto& line = reinterpret_cast<ring::shared_page*>(at.data() + sizes.shared_offset())->rings[0];
  line.position.store(1u << 20, std::memory_order_release);
  (void)came.at("mallory").try_send("what for");
  wake(one);
  ASSERT_TRUE(down("mallory"));
  EXPECT_EQ(downs["mallory"][0], errc::corrupt) << downs["mallory"][0].text();
  expect_the_good_go_on();
  // What it has done to that session lasts, for itself.
  came.erase("mallory");
  auto login = first_login("mallory");
  login.epoch = 2;
  const ring_file another(dir.file("another.ring"));
  auto again = shm();
  again.say(login, another.fd.get());
  ASSERT_TRUE(turn([&] { return again.heard(); }, "an answer"));
  ASSERT_TRUE(again.answer());
  EXPECT_EQ(again.answer()->outcome, login_outcome::refused);
  expect_the_good_go_on();
}

TEST_F(memory_of_a_liar, who_cuts_off_what_it_maps_of_ours_ends_its_session_alone) {
  const ring_file memory(dir.file("liar.ring"));
  auto one = shm();
  const auto ours = log_in_for_our_ring(one, memory);
  ASSERT_TRUE(ours);
  ASSERT_EQ(::ftruncate(ours.get(), 0), 0);
  (void)came.at("mallory").try_send("what for");
  wake(one);
  ASSERT_TRUE(down("mallory"));
  const auto& why = downs["mallory"][0];
  EXPECT_TRUE(why == errc::corrupt || why == errc::truncated) << why.text();
  expect_the_good_go_on();
}

TEST_F(memory_of_a_liar, who_rewrites_what_it_maps_of_ours_harms_nobody_else) {
  const ring_file memory(dir.file("liar.ring"));
  auto one = shm();
  const auto ours = log_in_for_our_ring(one, memory);
  ASSERT_TRUE(ours);
  const auto at = os::mapping::of(ours.get(), memory.sizes.total(), true).value();
  std::uniform_int_distribution<int> any(0, 255);
  for (auto& byte : at.span()) byte = static_cast<std::byte>(any(random));
  (void)came.at("mallory").try_send("what for");
  wake(one);
  ASSERT_TRUE(down("mallory"));
  const auto& why = downs["mallory"][0];
  EXPECT_EQ(why, errc::corrupt) << why.text();
  expect_the_good_go_on();
  // Nothing of it is taken for a session any more.
  came.erase("mallory");
  run_ready(io);
  EXPECT_NE(show_session({dir.file("server"), "server", "mallory"}).damage, "");
  expect_the_good_go_on();
}

}  // namespace
}  // namespace ferry::test
