#include "os/session_list.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "os/session_store.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::os {
namespace {

namespace fs = std::filesystem;

class session_list : public ::testing::Test {
 protected:
  session_list() { small.ring_bytes = 4096; }
  [[nodiscard]] std::unique_ptr<session_store> open(const session_names& names) const {
    return session_store::open(dir.path(), names, small).value();
  }
  static void send(session_store& store, int messages) {
    for (int i = 0; i < messages; ++i) {
      ASSERT_TRUE(store.session().send({as_bytes("12345678"), message_kind::text, 0}));
      store.session().set_state(as_bytes("state"));
      store.session().commit();
    }
  }
  [[nodiscard]] session_summary look(const session_names& names) const {
    return look_at_session(dir.path(), names).value();
  }
  [[nodiscard]] static std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  test::temp_dir dir;
  session_store::settings small;
};

TEST_F(session_list, tells_the_same_of_a_session_at_work_and_afterwards) {
  std::uint64_t number = 0;
  const auto check = [&](bool in_use) {
    const auto seen = look({"alice", "bob"});
    EXPECT_FALSE(seen.damage) << seen.damage->text();
    EXPECT_EQ(seen.in_use, in_use);
    EXPECT_EQ(seen.peer_name, "bob");
    EXPECT_EQ(seen.ring_bytes, 4096u);
    EXPECT_EQ(seen.bytes, 20480u + 8192u + 4096u);
    EXPECT_GT(seen.created_at, 0u);
    EXPECT_EQ(seen.session, number);
    EXPECT_EQ(seen.transaction, 4u);
    EXPECT_EQ(seen.range, (session::session_range{0, 0, 3}));
    EXPECT_EQ(seen.state_bytes, 5u);
    EXPECT_GE(seen.unacknowledged_bytes, 3u * 16);
    EXPECT_FALSE(seen.mismatch);
  };
  {
    const auto store = open({"alice", "bob"});
    number = store->session().session();
    send(*store, 3);
    check(true);
  }
  check(false);
}

TEST_F(session_list, counts_from_what_the_peer_has_consumed) {
  const auto store = open({"alice", "bob"});
  send(*store, 5);
  auto* const shared = reinterpret_cast<ring::shared_page*>(store->ring_memory().data() + 4096);
  const auto before = look({"alice", "bob"}).unacknowledged_bytes;
  ring::held_consumer<> peer;
  ASSERT_TRUE(peer.attach(store->ring_memory().subspan(8192), shared->rings[0], 0));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(peer.front());
    peer.pop();
  }
  peer.publish(peer.mark());
  EXPECT_EQ(look({"alice", "bob"}).range, (session::session_range{0, 2, 5}));
  EXPECT_EQ(look({"alice", "bob"}).unacknowledged_bytes, before / 5 * 3);
}

TEST_F(session_list, never_takes_a_session_at_work_for_a_damaged_one) {
  const auto store = open({"alice", "bob"});
  auto* const shared = reinterpret_cast<ring::shared_page*>(store->ring_memory().data() + 4096);
  std::atomic<bool> stop{false};
  std::thread at_work([&] {
    ring::held_consumer<> peer;
    ASSERT_TRUE(peer.attach(store->ring_memory().subspan(8192), shared->rings[0], 0));
    while (!stop) {
      send(*store, 1);
      if (!peer.front()) continue;
      peer.pop();
      peer.publish(peer.mark());
    }
  });
  session_summary before = look({"alice", "bob"});
  for (int i = 0; i < 2000; ++i) {
    const auto now = look({"alice", "bob"});
    EXPECT_FALSE(now.damage) << now.damage->text();
    EXPECT_TRUE(now.in_use);
    EXPECT_GE(now.transaction, before.transaction);
    EXPECT_GE(now.range.start, before.range.start);
    EXPECT_LE(now.range.start, now.range.end);
    EXPECT_LE(now.unacknowledged_bytes, 4096u);
    before = now;
    if (HasFailure()) break;
  }
  stop = true;
  at_work.join();
}

TEST_F(session_list, rolls_forward_on_a_copy_and_changes_no_byte) {
  const auto path = dir.file("alice~bob.ring");
  { send(*open({"alice", "bob"}), 3); }
  // As if its process had died before the last record appeared.
  const std::string whole = content(path);
  std::string cut = whole;
  const std::size_t last = 8192 + (look({"alice", "bob"}).unacknowledged_bytes / 3) * 2;
  cut.replace(last, 8, 8, '\0');
  ASSERT_NE(cut, whole);
  std::ofstream(path, std::ios::binary) << cut;
  EXPECT_EQ(look({"alice", "bob"}).range.end, 3u);
  EXPECT_FALSE(look({"alice", "bob"}).damage);
  EXPECT_EQ(content(path), cut);
  { EXPECT_EQ(open({"alice", "bob"})->session().range()->end, 3u); }
  EXPECT_EQ(content(path), whole);
}

TEST_F(session_list, names_all_sessions_in_order_damaged_ones_too) {
  { (void)open({"bob", "alice"}); }
  { (void)open({"alice", "dave"}); }
  const auto unknown = open({"alice", ""});
  ASSERT_TRUE(unknown->name_peer("carol"));
  unknown->note_mismatch({{1, 2, 3}, {4, 5, 6}});
  fs::resize_file(dir.file("alice~dave.session"), 100);
  std::ofstream(dir.file("eve~bob.ring")) << "x";
  const auto all = list_sessions(dir.path());
  ASSERT_TRUE(all) << all.error().text();
  ASSERT_EQ(all->size(), 4u);
  EXPECT_EQ((*all)[0].names, (session_names{"alice", ""}));
  EXPECT_EQ((*all)[0].peer_name, "carol");
  EXPECT_TRUE((*all)[0].in_use);
  ASSERT_TRUE((*all)[0].mismatch);
  EXPECT_EQ((*all)[0].mismatch->numbers.remote.end, 6u);
  ASSERT_TRUE((*all)[1].damage);
  EXPECT_EQ(*(*all)[1].damage, errc::truncated);
  EXPECT_FALSE((*all)[2].damage);
  ASSERT_TRUE((*all)[3].damage) << "it has no file but the ring";
  EXPECT_EQ(*(*all)[3].damage, errc::corrupt);
  EXPECT_EQ(look_at_session(dir.path(), {"alice", "nobody"}).error(), errc::not_found);
  EXPECT_TRUE(list_sessions(dir.file("none"))->empty());
}

}  // namespace
}  // namespace ferry::os
