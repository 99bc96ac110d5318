// What a user of shm:// gets wrong, or lacks: a clear error that names it and says what to do.
#include <sys/stat.h>

#include "crash_test.hpp"

namespace ferry::test {
namespace {

// Sanitizers map memory without end, and Clang's cannot look at an object without a descriptor.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool k_sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
constexpr bool k_sanitized = true;
#else
constexpr bool k_sanitized = false;
#endif
#else
constexpr bool k_sanitized = false;
#endif

constexpr uid_t k_somebody = 61'234;  // a user that nothing belongs to

class bad_input : public crash {
 protected:
  struct outcome {
    int status = -1;  // an errc; 0: it could
    std::string text;
  };
  [[nodiscard]] outcome attempt(const std::string& limit, const std::string& value, const std::string& what,
                                const std::string& url, uid_t user = 0) const {
    const auto one = start_peer({"try", std::to_string(user), limit, value, what, url});
    outcome got;
    got.status = one->finish().value_or(-1);
    got.text = one->output() + one->error_output();
    return got;
  }
  static void expect(const outcome& got, errc why, const std::vector<std::string>& texts) {
    EXPECT_EQ(got.status, static_cast<int>(why)) << got.text;
    for (const auto& text : texts) EXPECT_NE(got.text.find(text), std::string::npos) << got.text;
  }
  // How opening a listener and a channel fails.
  void expect_both(const std::string& url, const options& with, errc why, const std::string& text) {
    const auto at = listener::open(where, url, with);
    ASSERT_FALSE(at) << url;
    EXPECT_EQ(at.error(), why) << at.error().text();
    EXPECT_NE(at.error().text().find(text), std::string::npos) << at.error().text();
    const auto to = channel::open(where, url, with);
    std::optional<error> failed;
    if (!to) {
      failed = to.error();
    } else {
      ASSERT_TRUE(turn([&] { return to->state() == channel_state::closed; }, "the end"));
      failed = to->last_error();
    }
    EXPECT_EQ(*failed, why) << failed->text();
    EXPECT_NE(failed->text().find(text), std::string::npos) << failed->text();
  }
};

TEST_F(bad_input, a_ring_of_an_impossible_size_is_told_which_sizes_would_do) {
  for (const char* const size : {"3000", "2048", "0", "65535", "2GiB", "100KiB"})
    expect_both(std::string("shm://meeting?ring_bytes=") + size, settings(), errc::bad_option, "4KiB .. 1GiB");
  options with = settings();
  with.ring_bytes = 12345;
  expect_both("shm://meeting", with, errc::bad_option, "ring_bytes");
}

TEST_F(bad_input, a_name_that_is_none_is_told_what_a_name_is) {
  for (const char* const url : {"shm://a/b", "shm://../meeting", "shm://.hidden", "shm:///etc/passwd"}) {
    expect_both(url, settings(), errc::bad_url, "without '/'");
  }
  expect_both("shm://" + std::string(200, 'x'), settings(), errc::bad_address, "");
  EXPECT_EQ(files(), std::set<std::string>{});
}

TEST_F(bad_input, a_runtime_directory_that_is_none_is_named_with_its_option) {
  options with = settings();
  with.runtime_dir = dir.file("missing/directory");
  expect_both("shm://meeting", with, errc::not_found, "(option runtime_dir)");
  with.runtime_dir = dir.file("file");
  std::ofstream(with.runtime_dir) << "not a directory";
  expect_both("shm://meeting", with, errc::bad_address, "is not a directory");
}

TEST_F(bad_input, a_file_in_the_place_of_the_socket_is_left_alone) {
  std::ofstream(dir.file("meeting.shm")) << "somebody's";
  const auto at = listener::open(where, "shm://meeting", settings());
  ASSERT_FALSE(at);
  EXPECT_EQ(at.error(), errc::bad_address);
  EXPECT_NE(at.error().text().find("choose another path or remove it"), std::string::npos) << at.error().text();
  EXPECT_EQ(files(), std::set<std::string>{"meeting.shm"});
}

TEST_F(bad_input, nobody_listening_is_refused_or_not_found) {
  expect(attempt("none", "0", "connect", peer_url()), errc::not_found, {"meeting.shm"});
  {
    const auto at = start_peer({"host", peer_url()});
    ASSERT_TRUE(ready(*at));
    kill_and_reap(*at);
  }
  expect(attempt("none", "0", "connect", peer_url()), errc::refused, {"meeting.shm"});
}

TEST_F(bad_input, of_a_user_without_permission_names_the_path) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  std::filesystem::permissions(dir.path(), std::filesystem::perms::others_exec, std::filesystem::perm_options::add);
  options with = settings();
  with.socket_mode = 0600;
  const listener at = listen(with);
  expect(attempt("none", "0", "connect", peer_url(), k_somebody), errc::permission, {dir.file("meeting.shm")});
  expect(attempt("none", "0", "listen", peer_url(), k_somebody), errc::permission, {dir.path().string()});
  std::filesystem::permissions(dir.path(), std::filesystem::perms::owner_all);
  expect(attempt("none", "0", "connect", peer_url(), k_somebody), errc::permission, {dir.path().string()});
}

TEST_F(bad_input, a_user_who_is_not_allowed_is_sent_away_and_named_to_the_listener) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  std::filesystem::permissions(dir.path(), std::filesystem::perms::others_exec, std::filesystem::perm_options::add);
  options with = settings();
  with.socket_mode = 0666;
  with.allow_uids = {0};
  listener at = listen(with);
  std::vector<error> errors;
  at.on_error([&](const error& why) { errors.push_back(why); });
  at.on_channel([](const channel&) {});
  const auto guest = start_peer({"try", std::to_string(k_somebody), "none", "0", "connect", peer_url()});
  ASSERT_TRUE(turn([&] { return !errors.empty(); }, "somebody who is not allowed"));
  EXPECT_EQ(errors[0], errc::auth) << errors[0].text();
  EXPECT_NE(errors[0].text().find(std::to_string(k_somebody)), std::string::npos) << errors[0].text();
  EXPECT_EQ(guest->finish(), static_cast<int>(errc::reset)) << guest->output();
}

TEST_F(bad_input, a_directory_that_somebody_else_made_in_our_name_is_not_used) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  const std::string path = "/tmp/ferry-" + std::to_string(k_somebody);
  if (::mkdir(path.c_str(), 0777) != 0) GTEST_SKIP() << path << " exists";
  const child_options nowhere{{"RUNTIME_DIRECTORY=", "XDG_RUNTIME_DIR="}, {}};
  child one({FERRY_CRASH_PEER, "try", std::to_string(k_somebody), "none", "0", "listen", "shm://meeting"}, nowhere);
  const auto status = one.finish();
  std::filesystem::remove_all(path);
  EXPECT_EQ(status, static_cast<int>(errc::auth)) << one.output();
  EXPECT_NE(one.output().find("choose another one with runtime_dir"), std::string::npos) << one.output();
}

TEST_F(bad_input, too_little_memory_is_an_error_when_connecting_and_says_what_to_do) {
  const auto at = start_peer({"host", peer_url()});
  ASSERT_TRUE(ready(*at));
  const std::string large = "shm://meeting?ring_bytes=64MiB";
  // Beyond this limit the kernel would end the process.
  expect(attempt("file", "1048576", "connect", large), errc::no_memory, {"ulimit -f", "smaller ring_bytes"});
  if (k_sanitized) GTEST_SKIP() << "the sanitizer itself needs more than the limits below";
  expect(attempt("files", "0", "connect", large), errc::busy, {"Too many open files"});
  expect(attempt("files", "1", "connect", large), errc::busy, {"Too many open files"});
  expect(attempt("memory", "33554432", "connect", large), errc::no_memory, {"67117056", "smaller ring_bytes"});
}

TEST_F(bad_input, a_listener_without_memory_refuses_with_the_reason_and_lives) {
  const auto at = start_peer({"try", "0", "file", "16384", "host", peer_url()});
  ASSERT_TRUE(ready(*at));
  for (int times = 0; times < 3; ++times) {
    const channel to = open(settings());
    ASSERT_TRUE(turn([&] { return to.state() == channel_state::closed; }, "a refusal"));
    EXPECT_EQ(to.last_error(), errc::no_memory) << to.last_error().text();
    EXPECT_NE(to.last_error().text().find("the listener refused: no room for 73728 bytes"), std::string::npos)
        << to.last_error().text();
  }
}

TEST_F(bad_input, a_listener_without_descriptors_serves_again_when_it_has_some) {
  if (k_sanitized) GTEST_SKIP() << "the sanitizer itself needs descriptors";
  // One for the arriving connection, and none for its memory.
  const auto at = start_peer({"try", "0", "files", "9", "host", peer_url()});
  ASSERT_TRUE(ready(*at));
  std::vector<channel> kept;
  std::size_t refused = 0;
  for (int i = 0; i < 12; ++i) {
    options with = settings();
    with.connect_timeout = std::chrono::milliseconds(100);
    kept.push_back(open(with));
    const channel& one = kept.back();
    ASSERT_TRUE(turn([&] { return one.state() == channel_state::up || one.state() == channel_state::closed; }, "it"));
    refused += one.state() == channel_state::closed;
  }
  EXPECT_GT(refused, 0u);
  EXPECT_LT(refused, 12u);
  kept.clear();
  const channel again = open(reconnecting());
  ASSERT_TRUE(turn([&] { return again.state() == channel_state::up; }, "a descriptor that is free again"));
}

}  // namespace
}  // namespace ferry::test
