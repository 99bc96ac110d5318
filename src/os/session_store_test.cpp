// The files of one side of a session: made once, locked, found again, and refused when they are damaged.
#include "os/session_store.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "os/session_note.hpp"
#include "testing/small_disk.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::os {
namespace {

namespace fs = std::filesystem;
using session::durability;

const session_names k_names{"alice", "bob"};

class session_files : public ::testing::Test {
 protected:
  session_files() { small.ring_bytes = 4096; }
  [[nodiscard]] result<std::unique_ptr<session_store>> try_open(const session_names& names = k_names) {
    return session_store::open(dir.path(), names, small);
  }
  [[nodiscard]] std::unique_ptr<session_store> open(const session_names& names = k_names) {
    auto opened = try_open(names);
    if (!opened) ADD_FAILURE() << opened.error().text();
    return std::move(opened).value();
  }
  [[nodiscard]] error refusal(const session_names& names = k_names) {
    auto opened = try_open(names);
    return opened ? error() : opened.error();
  }
  // Sends one message and keeps a state that says how many there were.
  static void send_one(session_store& store, const std::string& text) {
    ASSERT_TRUE(store.session().send({as_bytes(text), message_kind::text, 0}));
    store.session().set_state(as_bytes(text));
    store.session().commit();
    ASSERT_TRUE(session::sync_all(store.session(), store.disk()));
  }
  [[nodiscard]] std::set<std::string> names_there() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(dir.path())) found.insert(entry.path().filename());
    return found;
  }
  test::temp_dir dir;
  session_store::settings small;
  const std::string file = dir.file("alice~bob.session");
  const std::string ring = dir.file("alice~bob.ring");
};

TEST_F(session_files, are_made_in_full_for_their_owner_alone_and_nothing_else_is_left) {
  const auto store = open();
  EXPECT_EQ(names_there(), (std::set<std::string>{"alice~bob.session", "alice~bob.ring"}));
  for (const auto& path : {file, ring}) {
    struct stat about {};
    ASSERT_EQ(::stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600u);
    EXPECT_GE(about.st_blocks * 512, about.st_size) << path;
  }
  EXPECT_EQ(fs::file_size(file), 20480u);
  EXPECT_EQ(store->ring_memory().size(), fs::file_size(ring));
  EXPECT_EQ(store->who().own_name, "alice");
  EXPECT_EQ(store->who().peer_name, "bob");
  EXPECT_EQ(store->who().ring_bytes, 4096u);
  EXPECT_EQ(store->session().range().value(), (session::session_range{0, 0, 0}));
  EXPECT_NE(store->session().session(), 0u);
}

TEST_F(session_files, keep_what_was_committed_over_many_lives) {
  std::uint64_t number = 0;
  small.ring_bytes = 8192;
  for (const auto how : {durability::process, durability::disk, durability::process}) {
    small.durable = how;
    for (int i = 0; i < 5; ++i, ++number) {
      const auto store = open();
      small.ring_bytes = 4096;  // of those that are made; this one is there
      EXPECT_EQ(store->session().range().value(), (session::session_range{0, 0, number}));
      EXPECT_EQ(as_text(store->session().state()), number == 0 ? "" : "message " + std::to_string(number - 1));
      EXPECT_EQ(store->who().ring_bytes, 8192u);
      send_one(*store, "message " + std::to_string(number));
    }
  }
}

TEST_F(session_files, are_had_by_one_object_at_a_time_in_this_process_too) {
  {
    const auto store = open();
    const error second = refusal();
    EXPECT_EQ(second, errc::busy);
    EXPECT_NE(second.text().find(ring), std::string::npos) << second.text();
    EXPECT_EQ(test::in_child([&] { return refusal() == errc::busy ? 0 : 1; }), 0);
    EXPECT_EQ(session_store::remove(dir.path(), k_names).error(), errc::busy);
    EXPECT_TRUE(open({"alice", "carol"}));
  }
  EXPECT_TRUE(open());
}

TEST_F(session_files, stay_locked_when_one_of_them_is_replaced) {
  const session_names unknown{"alice", ""};
  const auto store = open(unknown);
  ASSERT_TRUE(store->name_peer("bob"));
  EXPECT_EQ(refusal(unknown), errc::busy);
}

TEST_F(session_files, belong_to_nobody_once_their_owner_was_killed) {
  int told[2];
  ASSERT_EQ(::pipe2(told, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto store = open();
    send_one(*store, "from the dead");
    (void)!::write(told[1], "y", 1);
    for (;;) ::pause();
  }
  char ready = 0;
  ASSERT_EQ(::read(told[0], &ready, 1), 1);
  EXPECT_EQ(refusal(), errc::busy);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(told[0]);
  ::close(told[1]);
  EXPECT_EQ(as_text(open()->session().state()), "from the dead");
}

TEST_F(session_files, are_made_once_by_many_who_come_at_the_same_time_and_removed_by_some) {
  // Each opens them, or removes them, as soon as nobody else has them.
  const auto visit = [&](bool removes) {
    ::alarm(60);
    for (int times = 0; times < 20;) {
      const auto done = removes ? session_store::remove(dir.path(), k_names) : result<void>();
      auto opened = removes ? result<std::unique_ptr<session_store>>(nullptr) : try_open();
      if (!done || !opened) {
        // It was removed between its making and our opening it.
        const error why = done ? opened.error() : done.error();
        if (why != errc::busy && why != errc::not_found) return 1;
        continue;
      }
      if (!removes) send_one(**opened, "x");
      ++times;
    }
    return 0;
  };
  for (const int removing : {0, 2}) {
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
      children.push_back(::fork());
      if (children.back() == 0) ::_exit(visit(i < removing));
    }
    for (const pid_t child : children) {
      int status = -1;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
    if (removing == 0) {
      EXPECT_EQ(open()->session().range()->end, 6u * 20);
    }
  }
}

TEST_F(session_files, get_the_name_of_a_peer_that_was_not_known_and_keep_everything_else) {
  const session_names unknown{"alice", ""};
  std::uint64_t number = 0;
  {
    const auto store = open(unknown);
    EXPECT_EQ(store->who().peer_name, "");
    send_one(*store, "first");
    number = store->session().session();
    ASSERT_TRUE(store->name_peer("bob"));
    EXPECT_EQ(store->who().peer_name, "bob");
    send_one(*store, "second");
    ASSERT_TRUE(store->name_peer("bob"));
    ASSERT_TRUE(store->name_peer("carol"));
    EXPECT_EQ(store->name_peer("a/b").error(), errc::bad_option);
    store->session().set_state(as_bytes("open"));
    EXPECT_EQ(store->name_peer("dave").error(), errc::misuse);
  }
  const auto store = open(unknown);
  EXPECT_EQ(store->who().peer_name, "carol");
  EXPECT_EQ(store->session().session(), number);
  EXPECT_EQ(as_text(store->session().state()), "second");
  EXPECT_EQ(store->session().range().value(), (session::session_range{0, 0, 2}));
  EXPECT_EQ(open()->name_peer("carol").error(), errc::misuse) << "its files are bob's";
}

TEST_F(session_files, name_a_peer_durably_committed_or_not_yet_synced) {
  small.durable = durability::disk;
  const session_names unknown{"alice", ""};
  {
    const auto store = open(unknown);
    ASSERT_TRUE(store->session().send({as_bytes("x"), message_kind::text, 0}));
    store->session().commit();
    ASSERT_TRUE(store->name_peer("bob"));
    EXPECT_EQ(store->session().range()->end, 1u);
  }
  EXPECT_EQ(open(unknown)->session().range()->end, 1u);
}

TEST_F(session_files, are_refused_under_names_that_cannot_be_and_in_places_that_are_not) {
  EXPECT_EQ(refusal({"a/b", "bob"}), errc::bad_option);
  EXPECT_EQ(refusal({"", "bob"}), errc::bad_option);
  EXPECT_EQ(refusal({"alice", "../x"}), errc::bad_option);
  EXPECT_EQ(refusal({"alice", "b~c"}), errc::bad_option);
  small.ring_bytes = 5000;
  EXPECT_EQ(refusal(), errc::bad_option);
  const auto missing = session_store::open(dir.file("none"), k_names, small);
  EXPECT_EQ(missing.error(), errc::not_found);
  EXPECT_NE(missing.error().text().find(dir.file("none")), std::string::npos);
  EXPECT_TRUE(names_there().empty());
}

TEST_F(session_files, are_refused_where_the_system_forbids_it) {
  ASSERT_EQ(::chmod(dir.path().c_str(), 0500), 0);
  EXPECT_EQ(test::in_child([&] {
              constexpr uid_t k_nobody = 65534;  // root may do anything
              if (::geteuid() == 0 && ::setresuid(k_nobody, k_nobody, k_nobody) != 0) return 1;
              return refusal() == errc::permission ? 0 : 2;
            }),
            0);
  ASSERT_EQ(::chmod(dir.path().c_str(), 0700), 0);
}

TEST_F(session_files, are_not_followed_through_links) {
  (void)open({"eve", "bob"});
  fs::create_symlink(dir.file("eve~bob.ring"), ring);
  EXPECT_FALSE(try_open());
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(session_files, are_refused_when_one_is_missing_and_left_alone) {
  { send_one(*open(), "x"); }
  fs::rename(file, dir.file("kept"));
  EXPECT_EQ(refusal(), errc::corrupt);
  EXPECT_NE(refusal().text().find("restore both"), std::string::npos);
  fs::rename(dir.file("kept"), file);
  fs::rename(ring, dir.file("kept"));
  EXPECT_EQ(refusal(), errc::corrupt);
  EXPECT_FALSE(fs::exists(ring));
  fs::rename(dir.file("kept"), ring);
  EXPECT_EQ(open()->session().range()->end, 1u);
}

TEST_F(session_files, of_two_sessions_are_not_mixed) {
  { send_one(*open(), "x"); }
  { send_one(*open({"alice", "carol"}), "y"); }
  fs::copy_file(dir.file("alice~carol.ring"), ring, fs::copy_options::overwrite_existing);
  EXPECT_EQ(refusal(), errc::corrupt) << "another ring";
  fs::copy_file(dir.file("alice~carol.session"), file, fs::copy_options::overwrite_existing);
  EXPECT_EQ(refusal(), errc::corrupt) << "both, under another name";
  EXPECT_NE(refusal().text().find("carol"), std::string::npos) << refusal().text();
}

TEST_F(session_files, of_a_version_from_the_future_are_refused_with_what_to_do) {
  for (const auto& path : {file, ring}) {
    { (void)open(); }
    std::fstream(path).seekp(8).put('\x7f');
    EXPECT_EQ(refusal(), errc::unsupported) << path;
    EXPECT_NE(refusal().text().find("use the"), std::string::npos) << refusal().text();
    EXPECT_NE(refusal().text().find(path), std::string::npos) << refusal().text();
    ASSERT_TRUE(session_store::remove(dir.path(), k_names));
  }
}

TEST_F(session_files, are_removed_whatever_they_hold) {
  { (void)open({"alice", ""}); }
  { (void)open(); }
  std::ofstream(file) << "damaged";
  std::ofstream(dir.file("alice~bob.ring.new")) << "left";
  ASSERT_TRUE(session_store::remove(dir.path(), k_names));
  ASSERT_TRUE(session_store::remove(dir.path(), k_names)) << "nothing there is fine";
  EXPECT_EQ(names_there(), (std::set<std::string>{"alice~.session", "alice~.session.spare", "alice~.ring"}));
  EXPECT_EQ(open()->session().range()->end, 0u);
}

TEST_F(session_files, that_were_cut_off_are_refused_at_every_length) {
  small.ring_bytes = 4096;
  { send_one(*open(), "x"); }
  for (const auto& path : {file, ring}) {
    const auto whole = fs::file_size(path);
    fs::copy_file(path, dir.file("kept"));
    for (std::uintmax_t size = 0; size < whole; size += size < 300 || size > whole - 10 ? 1 : 97) {
      fs::resize_file(path, size);
      const error why = refusal();
      ASSERT_TRUE(why == errc::truncated || (size == 0 && why == errc::corrupt)) << path << " " << size << why.text();
      fs::copy_file(dir.file("kept"), path, fs::copy_options::overwrite_existing);
    }
    fs::remove(dir.file("kept"));
  }
  fs::resize_file(file, 20481);
  EXPECT_EQ(refusal(), errc::corrupt);
}

TEST_F(session_files, that_are_cut_off_at_work_say_so_and_read_as_zeros) {
  for (const auto& path : {file, ring}) {
    const auto store = open();
    EXPECT_FALSE(store->torn());
    fs::resize_file(path, 0);
    // A page that is there no more.
    (void)*const_cast<volatile std::byte*>(store->ring_memory().data() + 8192);
    (void)store->session().send({as_bytes("x"), message_kind::text, 0});
    store->session().commit();
    EXPECT_TRUE(store->torn()) << path;
    EXPECT_EQ(store->disk().sync(store->ring_memory()).error(), errc::corrupt);
    ASSERT_FALSE(session_store::remove(dir.path(), k_names)) << "in use";
    fs::remove(file);
    fs::remove(ring);
  }
}

TEST_F(session_files, need_no_room_on_the_disk_after_they_were_made) {
  const session_names unknown{"alice", ""};
  { (void)open(unknown); }
  // No file may have more than a few bytes from here on: what would have to grow could not.
  EXPECT_EQ(test::in_child([&] {
              ::signal(SIGXFSZ, SIG_IGN);
              const rlimit none{16, 16};
              ::setrlimit(RLIMIT_FSIZE, &none);
              auto store = try_open(unknown);
              if (!store) return 1;
              std::string large(900, 'x');
              if (!(*store)->session().send({as_bytes(large), message_kind::text, 0})) return 2;
              (*store)->session().commit();
              if (!(*store)->name_peer("bob")) return 3;
              (*store)->note_mismatch({});
              return (*store)->session().range()->end == 1 ? 0 : 4;
            }),
            0);
  EXPECT_EQ(open(unknown)->who().peer_name, "bob");
}

TEST_F(session_files, leave_nothing_behind_when_there_is_no_room_for_them) {
  for (const rlim_t room : {rlim_t{100}, rlim_t{11'000}}) {
    EXPECT_EQ(test::in_child([&] {
                ::signal(SIGXFSZ, SIG_IGN);
                const rlimit little{room, room};
                ::setrlimit(RLIMIT_FSIZE, &little);
                const error why = refusal();
                return why == errc::no_memory && why.text().find("bytes") != std::string::npos ? 0 : 1;
              }),
              0);
    EXPECT_TRUE(names_there().empty());
  }
}

TEST_F(session_files, work_on_a_full_disk_once_they_are_made_for_an_unknown_peer_too) {
  const session_names unknown{"alice", ""};
  small.durable = durability::disk;
  const int status = test::in_child([&] {
    if (!test::mount_small_disk(dir.path(), "size=64k")) return test::k_no_namespaces;
    { (void)open(unknown); }
    test::fill_disk(dir.file("rest"));
    if (refusal() != errc::no_memory) return 1;
    for (const char* name : {"bob", "carol"}) {
      auto store = try_open(unknown);
      if (!store) return 2;
      send_one(**store, std::string("for ").append(name).append(600, 'x'));
      if (!(*store)->name_peer(name)) return 3;
      (*store)->note_mismatch({});
    }
    const auto store = try_open(unknown);
    return store && (*store)->who().peer_name == "carol" && (*store)->session().range()->end == 2 ? 0 : 4;
  });
  if (status == test::k_no_namespaces)
    GTEST_SKIP() << "this machine does not allow namespaces (user, mount) to this user";
  EXPECT_EQ(status, 0);
}

TEST_F(session_files, say_how_much_room_is_wanted_where_and_leave_none_taken) {
  const int status = test::in_child([&] {
    if (!test::mount_small_disk(dir.path(), "size=56k")) return test::k_no_namespaces;
    for (const std::size_t ring_bytes : {std::size_t{64} << 10, std::size_t{1} << 20}) {
      small.ring_bytes = ring_bytes;
      const error why = refusal();
      if (why != errc::no_memory || why.text().find(std::to_string(ring_bytes + 8192)) == std::string::npos) return 1;
      if (why.text().find(ring) == std::string::npos || !names_there().empty()) return 2;
    }
    small.ring_bytes = 32 << 10;  // room for the ring, none for the other one
    if (refusal() != errc::no_memory || !names_there().empty()) return 3;
    small.ring_bytes = 16 << 10;
    return try_open() ? 0 : 4;
  });
  if (status == test::k_no_namespaces)
    GTEST_SKIP() << "this machine does not allow namespaces (user, mount) to this user";
  EXPECT_EQ(status, 0);
}

TEST_F(session_files, keep_numbers_that_do_not_fit_until_a_login_fits) {
  const auto store = open();
  const session::mismatch numbers{{1, 2, 3}, {4, 5, 6}};
  const std::string note = dir.file("alice~bob.mismatch");
  EXPECT_EQ(read_note(note).error(), errc::not_found);
  store->note_mismatch({});
  store->note_mismatch(numbers, 77);
  const auto read = read_note(note);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->numbers.local, numbers.local);
  EXPECT_EQ(read->numbers.remote, numbers.remote);
  EXPECT_EQ(read->session, 77u);
  store->forget_mismatch();
  EXPECT_EQ(read_note(note).error(), errc::not_found);
  store->forget_mismatch();
}

TEST_F(session_files, note_is_refused_with_any_bit_flipped_and_at_every_length) {
  open()->note_mismatch({{1, 2, 3}, {4, 5, 6}});
  const std::string note = dir.file("alice~bob.mismatch");
  std::ifstream in(note, std::ios::binary);
  std::string raw((std::istreambuf_iterator<char>(in)), {});
  ASSERT_EQ(raw.size(), 88u);
  const auto put = [&](const std::string& text) { std::ofstream(note, std::ios::binary) << text; };
  for (std::size_t size = 0; size < raw.size(); ++size) {
    put(raw.substr(0, size));
    ASSERT_EQ(read_note(note).error(), errc::truncated) << size;
  }
  for (std::size_t bit = 0; bit < raw.size() * 8; ++bit) {
    raw[bit / 8] = static_cast<char>(raw[bit / 8] ^ (1 << bit % 8));
    put(raw);
    ASSERT_FALSE(read_note(note)) << bit;
    raw[bit / 8] = static_cast<char>(raw[bit / 8] ^ (1 << bit % 8));
  }
  put(raw + "x");
  EXPECT_EQ(read_note(note).error(), errc::corrupt);
}

TEST_F(session_files, take_two_descriptors_a_session) {
  const auto count = [] { return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()); };
  std::vector<std::unique_ptr<session_store>> stores;
  const auto before = count();
  constexpr int k_sessions = 100;
  for (int i = 0; i < k_sessions; ++i) stores.push_back(open({"alice", std::to_string(i)}));
  EXPECT_EQ(count() - before, 2 * k_sessions);
  EXPECT_EQ(count_sessions(dir.path(), "alice"), 100u);
  EXPECT_EQ(count_sessions(dir.path(), "ali"), 0u);
  stores.clear();
  EXPECT_EQ(count(), before);
}

}  // namespace
}  // namespace ferry::os
