#include <ferry/session_files.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "os/session_store.hpp"
#include "testing/failure_of.hpp"
#include "testing/temp_dir.hpp"

namespace ferry {
namespace {

class session_files : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<os::session_store> open(const std::string& peer = "bob") const {
    os::session_store::settings small;
    small.ring_bytes = 4096;
    auto opened = os::session_store::open(dir.path(), {"alice", peer}, small);
    if (!opened) ADD_FAILURE() << opened.error().text();
    return std::move(opened).value();
  }
  // A session with these numbers, and a state.
  void make(const session_counts& counts) const {
    const auto store = open();
    auto& s = store->session();
    ASSERT_TRUE(s.reset({77, counts.consumed, counts.acknowledged, false}));
    for (auto i = counts.acknowledged; i < counts.sent; ++i)
      ASSERT_TRUE(s.send({as_bytes(std::to_string(i)), message_kind::text, 0}));
    s.set_state(as_bytes("state"));
    s.commit();
  }
  [[nodiscard]] static session_counts counts_of(const session::session_range& r) { return {r.ack, r.start, r.end}; }
  [[nodiscard]] session_report show() const { return show_session(key); }

  test::temp_dir dir;
  const session_key key{dir.path(), "alice", "bob"};
};

TEST_F(session_files, are_listed_and_shown_with_what_they_say) {
  EXPECT_TRUE(list_sessions(dir.file("none")).empty());
  make({5, 2, 4});
  const auto other = open("");
  ASSERT_TRUE(other->name_peer("carol"));
  other->note_mismatch({{1, 2, 3}, {4, 5, 6}}, 9);
  const auto all = list_sessions(dir.path());
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].key.peer, "");
  EXPECT_EQ(all[0].peer, "carol");
  EXPECT_TRUE(all[0].in_use);
  ASSERT_TRUE(all[0].mismatch);
  EXPECT_EQ(all[0].mismatch->remote, (session_counts{4, 5, 6}));
  EXPECT_EQ(all[0].mismatch->session, 9u);
  const auto one = show();
  EXPECT_EQ(one.key.as, "alice");
  EXPECT_EQ(one.peer, "bob");
  EXPECT_FALSE(one.in_use);
  EXPECT_EQ(one.counts, (session_counts{5, 2, 4}));
  EXPECT_EQ(one.session, 77u);
  EXPECT_EQ(one.state_bytes, 5u);
  EXPECT_GT(one.unacknowledged_bytes, 0u);
  EXPECT_EQ(one.damage, "");
  EXPECT_LE(one.created_at, std::chrono::system_clock::now());
  EXPECT_EQ(test::failure_of([&] { (void)show_session({dir.path(), "alice", "nobody"}); })->reason(), errc::not_found);
  EXPECT_EQ(test::failure_of([&] { (void)show_session({dir.path(), "a/b", ""}); })->reason(), errc::bad_option);
}

TEST_F(session_files, are_mended_by_nobody_while_a_process_has_them) {
  make({5, 2, 4});
  const auto store = open();
  const auto before = show();
  for (const auto& how : {mending::preview, mending::apply}) {
    EXPECT_EQ(test::failure_of([&] { reset_session(key, how); })->reason(), errc::busy);
    EXPECT_EQ(test::failure_of([&] { skip_messages(key, 1, how); })->reason(), errc::busy);
    EXPECT_EQ(test::failure_of([&] { accept_remote(key, {0, 0, 0}, how); })->reason(), errc::busy);
  }
  EXPECT_EQ(show().transaction, before.transaction);
}

TEST_F(session_files, are_not_made_by_mending_a_session_that_is_not_there) {
  EXPECT_EQ(test::failure_of([&] { reset_session(key); })->reason(), errc::not_found);
  EXPECT_EQ(test::failure_of([&] { skip_messages(key, 1); })->reason(), errc::not_found);
  EXPECT_EQ(test::failure_of([&] { accept_remote(key); })->reason(), errc::not_found);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST_F(session_files, reset_begins_another_session_and_says_what_is_gone) {
  make({5, 2, 4});
  for (const auto& how : {mending::preview, mending::apply}) {
    const auto told = reset_session(key, how);
    EXPECT_EQ(told.discarded, 2u);
    EXPECT_EQ(told.lost_state_bytes, 5u);
    EXPECT_FALSE(told.damaged);
    EXPECT_EQ(told.counts, session_counts{});
    if (how == mending::preview) {
      EXPECT_EQ(show().counts, (session_counts{5, 2, 4}));
    }
  }
  EXPECT_EQ(show().counts, session_counts{});
  EXPECT_EQ(show().state_bytes, 0u);
  EXPECT_NE(show().session, 77u);
  EXPECT_EQ(show().peer, "bob");
}

TEST_F(session_files, reset_removes_what_is_damaged_and_not_what_another_release_made) {
  make({5, 2, 4});
  std::fstream(dir.file("alice~bob.session")).seekp(8).put('\x07');
  EXPECT_EQ(test::failure_of([&] { reset_session(key); })->reason(), errc::unsupported);
  std::filesystem::resize_file(dir.file("alice~bob.session"), 100);
  EXPECT_NE(show().damage, "");
  EXPECT_EQ(test::failure_of([&] { skip_messages(key, 1); })->reason(), errc::truncated);
  EXPECT_TRUE(reset_session(key, mending::preview).damaged);
  EXPECT_NE(show().damage, "");
  EXPECT_TRUE(reset_session(key).damaged);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  EXPECT_EQ(open()->session().range()->end, 0u);
}

TEST_F(session_files, skip_consumes_messages_and_keeps_everything_else) {
  make({5, 2, 4});
  EXPECT_EQ(skip_messages(key, 3, mending::preview).skipped, 3u);
  EXPECT_EQ(show().counts, (session_counts{5, 2, 4}));
  EXPECT_EQ(skip_messages(key, 3).counts, (session_counts{8, 2, 4}));
  EXPECT_EQ(show().counts, (session_counts{8, 2, 4}));
  EXPECT_EQ(show().session, 77u);
  EXPECT_EQ(show().state_bytes, 5u);
  for (const std::uint64_t n : {std::uint64_t{0}, k_max_skip + 1})
    EXPECT_EQ(test::failure_of([&] { skip_messages(key, n); })->reason(), errc::bad_option) << n;
}

TEST_F(session_files, skip_hands_out_the_message_behind_those_that_were_skipped) {
  make({0, 0, 0});
  skip_messages(key, 2);
  alignas(8) std::byte records[4096]{};
  ring_line line;
  ring_producer peer(records, line);
  for (const char* text : {"first", "second", "third"})
    ASSERT_TRUE(peer.try_push(as_bytes(std::string_view(text)), ring_marks::none));
  const auto store = open();
  ASSERT_TRUE(store->session().attach_input(records, line));
  EXPECT_EQ(as_text(store->session().front().body()), "third");
}

TEST_F(session_files, accept_remote_fits_whatever_the_other_side_has_and_gives_up_no_more_than_it_must) {
  for (const session_counts& ours : {session_counts{0, 0, 0}, {2, 0, 2}, {3, 2, 2}, {1, 1, 3}})
    for (std::uint64_t wants = 0; wants < 5; ++wants)
      for (std::uint64_t start = 0; start < 4; ++start)
        for (std::uint64_t end = start; end < 4; ++end) {
          make(ours);
          const session_counts remote{wants, start, end};
          const auto planned = accept_remote(key, remote, mending::preview);
          ASSERT_EQ(show().counts, ours);
          const auto told = accept_remote(key, remote);
          const auto now = show();
          ASSERT_EQ(now.counts, told.counts);
          ASSERT_EQ(planned.counts, told.counts);
          ASSERT_FALSE(session::compare({now.counts.consumed, now.counts.acknowledged, now.counts.sent},
                                        {remote.consumed, remote.acknowledged, remote.sent}));
          ASSERT_EQ(now.session, 77u);
          ASSERT_EQ(now.state_bytes, 5u);
          const bool wanted_is_there = ours.acknowledged <= wants && wants <= ours.sent;
          ASSERT_EQ(told.discarded, wanted_is_there ? 0 : ours.sent - ours.acknowledged);
          ASSERT_EQ(now.counts.consumed + told.repeated, ours.consumed + told.skipped);
          ASSERT_TRUE(told.skipped == 0 || told.repeated == 0);
        }
}

TEST_F(session_files, accept_remote_takes_the_numbers_that_were_noted_once) {
  make({5, 2, 4});
  EXPECT_EQ(test::failure_of([&] { accept_remote(key); })->reason(), errc::misuse);
  { open()->note_mismatch({{5, 2, 4}, {9, 6, 7}}); }
  EXPECT_EQ(accept_remote(key).counts, (session_counts{6, 9, 9}));
  EXPECT_FALSE(show().mismatch);
  EXPECT_EQ(test::failure_of([&] { accept_remote(key); })->reason(), errc::misuse);
  EXPECT_EQ(test::failure_of([&] { accept_remote(key, {0, 2, 1}); })->reason(), errc::bad_option);
}

TEST_F(session_files, accept_remote_takes_up_the_session_of_a_peer_that_has_another_one) {
  make({5, 2, 4});
  { open()->note_mismatch({{0, 0, 0}, {9, 6, 7}}, 123); }
  const auto told = accept_remote(key);
  EXPECT_EQ(told.counts, (session_counts{6, 9, 9}));
  EXPECT_EQ(told.discarded, 2u);
  EXPECT_EQ(show().session, 123u);
  EXPECT_EQ(show().epoch, 0u) << "so that the next login is newer";
  EXPECT_EQ(show().state_bytes, 5u);
}

}  // namespace
}  // namespace ferry
