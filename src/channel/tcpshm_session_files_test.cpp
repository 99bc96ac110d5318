// Queue files of tcpshm's protocol, mended through <ferry/session_files.hpp>.
#include <ferry/session_files.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "os/tcpshm_list.hpp"
#include "testing/failure_of.hpp"
#include "testing/temp_dir.hpp"

namespace ferry {
namespace {

constexpr std::size_t k_queue = 1024;
constexpr std::size_t k_file = session::tcpshm_queue_file_bytes(k_queue);

class tcpshm_files : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return os::tcpshm::queue_path(dir.path(), "alice", "bob"); }
  [[nodiscard]] os::tcpshm::held_file hold() const {
    auto file = os::tcpshm::held_file::open(path(), k_file, 4, os::k_writer_byte);
    if (!file) throw std::runtime_error(file.error().text());
    return std::move(*file);
  }
  // Each message acknowledges what was consumed when it was pushed: all of it.
  void make(const session_counts& counts) const {
    const auto file = hold();
    auto q = session::tcpshm_queue::begin(file.memory(), k_queue, std::endian::little);
    q.give_up(static_cast<std::uint32_t>(counts.acknowledged));
    q.want(static_cast<std::uint32_t>(counts.consumed));
    while (q.range().end != static_cast<std::uint32_t>(counts.sent)) {
      ASSERT_NE(q.alloc(12), nullptr);
      q.push(1);
    }
  }
  void note(const session_counts& remote) const {
    os::note_mismatch(os::tcpshm::note_path(path()), 0,
                      {{0, 0, 0}, {remote.consumed, remote.acknowledged, remote.sent}});
  }
  [[nodiscard]] session_report show() const { return show_session(key); }

  test::temp_dir dir;
  const session_key key{dir.path(), "alice", "bob", session_format::tcpshm};
};

TEST_F(tcpshm_files, are_listed_and_shown_with_what_they_say) {
  make({5, 2, 4});
  note({4, 5, 6});
  const auto all = list_sessions(dir.path());
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].key.format, session_format::tcpshm);
  EXPECT_EQ(all[0].key.as, "alice");
  EXPECT_EQ(all[0].peer, "bob");
  EXPECT_EQ(all[0].counts, (session_counts{5, 2, 4}));
  EXPECT_EQ(all[0].unacknowledged_bytes, 32u);
  EXPECT_EQ(all[0].ring_bytes, k_queue);
  EXPECT_EQ(all[0].file_bytes, k_file);
  EXPECT_FALSE(all[0].in_use);
  EXPECT_EQ(all[0].damage, "");
  EXPECT_EQ(show().mismatch.value().remote, (session_counts{4, 5, 6}));
  const auto file = hold();
  EXPECT_TRUE(show().in_use);
  EXPECT_EQ(test::failure_of([&] {
              (void)show_session({dir.path(), "alice", "bob"});
            })->reason(),
            errc::not_found)
      << "a session of ours has other files";
}

TEST_F(tcpshm_files, are_mended_by_nobody_while_a_process_has_them) {
  make({5, 2, 4});
  const auto file = hold();
  for (const auto& how : {mending::preview, mending::apply}) {
    EXPECT_EQ(test::failure_of([&] { reset_session(key, how); })->reason(), errc::busy);
    EXPECT_EQ(test::failure_of([&] { skip_messages(key, 1, how); })->reason(), errc::busy);
    EXPECT_EQ(test::failure_of([&] { accept_remote(key, {0, 0, 0}, how); })->reason(), errc::busy);
  }
  EXPECT_EQ(show().counts, (session_counts{5, 2, 4}));
}

TEST_F(tcpshm_files, are_not_made_by_mending_what_is_not_there) {
  EXPECT_EQ(test::failure_of([&] { reset_session(key); })->reason(), errc::not_found);
  EXPECT_EQ(test::failure_of([&] { skip_messages(key, 1); })->reason(), errc::not_found);
  EXPECT_EQ(test::failure_of([&] { accept_remote(key); })->reason(), errc::not_found);
  EXPECT_EQ(test::failure_of([&] {
              (void)show_session({dir.path(), "a/b", "c", session_format::tcpshm});
            })->reason(),
            errc::bad_option);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST_F(tcpshm_files, skip_consumes_messages_and_keeps_everything_else) {
  make({5, 2, 4});
  EXPECT_EQ(skip_messages(key, 3, mending::preview).skipped, 3u);
  EXPECT_EQ(show().counts, (session_counts{5, 2, 4}));
  EXPECT_EQ(skip_messages(key, 3).counts, (session_counts{8, 2, 4}));
  EXPECT_EQ(show().counts, (session_counts{8, 2, 4}));
  make({0xffff'ffff, 2, 4});
  EXPECT_EQ(skip_messages(key, 3).counts, (session_counts{2, 2, 4})) << "numbers come round";
}

TEST_F(tcpshm_files, reset_begins_anew_and_forgets_the_server_that_was_met) {
  make({5, 2, 4});
  note({4, 5, 6});
  ASSERT_TRUE(os::tcpshm::save_last_server(dir.path(), "alice", "bob", 16));
  for (const auto& how : {mending::preview, mending::apply}) {
    const auto told = reset_session(key, how);
    EXPECT_EQ(told.discarded, 2u);
    EXPECT_FALSE(told.damaged);
    EXPECT_EQ(told.counts, session_counts{});
    if (how == mending::preview) {
      EXPECT_EQ(show().counts, (session_counts{5, 2, 4}));
      EXPECT_EQ(*os::tcpshm::peek_last_server(dir.path(), "alice"), "bob");
    }
  }
  EXPECT_EQ(show().counts, session_counts{});
  EXPECT_FALSE(show().mismatch);
  EXPECT_FALSE(std::filesystem::exists(dir.file("alice.lastserver")));
  ASSERT_TRUE(os::tcpshm::save_last_server(dir.path(), "alice", "carol", 16));
  (void)reset_session(key);
  EXPECT_TRUE(std::filesystem::exists(dir.file("alice.lastserver"))) << "another session's";
}

TEST_F(tcpshm_files, reset_removes_what_is_damaged_and_who_opens_it_makes_it_anew) {
  make({5, 2, 4});
  std::fstream(path(), std::ios::in | std::ios::out | std::ios::binary).seekp(k_queue + 3).put('\x07');
  EXPECT_NE(show().damage, "");
  EXPECT_EQ(test::failure_of([&] { skip_messages(key, 1); })->reason(), errc::corrupt);
  EXPECT_EQ(test::failure_of([&] { accept_remote(key, {0, 0, 0}); })->reason(), errc::corrupt);
  EXPECT_TRUE(reset_session(key, mending::preview).damaged);
  EXPECT_NE(show().damage, "");
  EXPECT_TRUE(reset_session(key).damaged);
  EXPECT_EQ(test::failure_of([&] { (void)show(); })->reason(), errc::not_found);
  EXPECT_EQ(test::failure_of([&] { reset_session(key); })->reason(), errc::not_found) << "again";
  make({1, 0, 2});
  EXPECT_EQ(show().counts, (session_counts{1, 0, 2}));
}

TEST_F(tcpshm_files, of_no_bytes_are_damaged_like_any_that_were_cut_off) {
  make({5, 2, 4});
  std::filesystem::resize_file(path(), 0);
  EXPECT_NE(show().damage.find("0 bytes"), std::string::npos) << show().damage;
  EXPECT_EQ(os::tcpshm::held_file::open(path(), k_file, 4, os::k_writer_byte).error(), errc::truncated);
  EXPECT_EQ(std::filesystem::file_size(path()), 0u) << "it is left as it is";
  EXPECT_EQ(test::failure_of([&] { skip_messages(key, 1); })->reason(), errc::truncated);
  EXPECT_TRUE(reset_session(key).damaged);
  make({0, 0, 0});
  EXPECT_EQ(show().damage, "");
}

TEST_F(tcpshm_files, are_made_beside_their_place_where_somebody_may_have_died) {
  const std::string beside = path() + ".new";
  std::ofstream(beside) << std::string(2 * k_file, 'x');
  {
    const auto maker = os::owner_lock::acquire(beside, 2);
    ASSERT_TRUE(maker);
    EXPECT_EQ(os::tcpshm::held_file::open(path(), k_file, 4, os::k_writer_byte).error(), errc::busy);
    EXPECT_FALSE(std::filesystem::exists(path()));
  }
  const auto file = hold();
  EXPECT_EQ(std::filesystem::file_size(path()), k_file);
  EXPECT_EQ(as_text(file.memory()), std::string(k_file, '\0'));
  EXPECT_FALSE(std::filesystem::exists(beside));
}

TEST_F(tcpshm_files, accept_remote_fits_whatever_the_other_side_has_and_gives_up_no_more_than_it_must) {
  const auto fits = [](const session_counts& a, const session_counts& b, std::uint32_t base) {
    const auto number = [&](std::uint64_t n) { return static_cast<std::uint32_t>(n) + base; };
    return session::within(number(a.acknowledged), number(b.consumed), number(a.sent)) &&
           session::within(number(b.acknowledged), number(a.consumed), number(b.sent));
  };
  // From the beginning, and where 32 bits come round.
  for (const std::uint32_t base : {0u, 0xffff'fffeu})
    for (const session_counts& from : {session_counts{0, 0, 0}, {2, 0, 2}, {3, 2, 2}, {1, 1, 3}})
      for (std::uint32_t wants = 0; wants < 5; ++wants)
        for (std::uint32_t start = 0; start < 4; ++start)
          for (std::uint32_t end = start; end < 4; ++end) {
            const auto at = [&](std::uint64_t n) { return std::uint64_t{static_cast<std::uint32_t>(n) + base}; };
            const session_counts ours{at(from.consumed), at(from.acknowledged), at(from.sent)};
            const session_counts remote{at(wants), at(start), at(end)};
            make(ours);
            const auto planned = accept_remote(key, remote, mending::preview);
            ASSERT_EQ(show().counts, ours);
            const auto told = accept_remote(key, remote);
            const auto now = show();
            ASSERT_EQ(now.damage, "");
            ASSERT_EQ(now.counts, told.counts);
            ASSERT_EQ(planned.counts, told.counts);
            ASSERT_TRUE(fits(now.counts, remote, 0));
            const bool wanted_is_there = from.acknowledged <= wants && wants <= from.sent;
            ASSERT_EQ(told.discarded, wanted_is_there ? 0 : from.sent - from.acknowledged);
            ASSERT_EQ(static_cast<std::uint32_t>(now.counts.consumed + told.repeated),
                      static_cast<std::uint32_t>(ours.consumed + told.skipped));
            ASSERT_TRUE(told.skipped == 0 || told.repeated == 0);
          }
}

TEST_F(tcpshm_files, accept_remote_takes_the_numbers_that_were_noted_once) {
  make({5, 2, 4});
  EXPECT_EQ(test::failure_of([&] { accept_remote(key); })->reason(), errc::misuse);
  note({9, 6, 7});
  EXPECT_EQ(accept_remote(key).counts, (session_counts{6, 9, 9}));
  EXPECT_FALSE(show().mismatch);
  EXPECT_EQ(test::failure_of([&] { accept_remote(key); })->reason(), errc::misuse);
  for (const session_counts& none : {session_counts{0, 2, 1}, {std::uint64_t{1} << 32, 0, 0}, {0, 0, 1u << 31}})
    EXPECT_EQ(test::failure_of([&] { accept_remote(key, none); })->reason(), errc::bad_option);
}

}  // namespace
}  // namespace ferry
