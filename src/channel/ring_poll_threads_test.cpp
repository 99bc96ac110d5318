#include <ferry/ring.hpp>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>

#include "os/barrier.hpp"
#include "testing/temp_dir.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

class ring_poll : public ::testing::Test {
 protected:
  [[nodiscard]] options settings() const {
    options with;
    with.runtime_dir = dir.path();
    return with;
  }
  /// Both ends; the connecting one waits for its welcome in a thread of its own.
  void connect(const options& with) {
    auto at = ring_listener::open("shm://a", with);
    std::thread other([&] { client.emplace(ring_connection::connect("shm://a", with)); });
    server = at.accept(10s);
    other.join();
    ASSERT_TRUE(server && client);
  }
  void connect() { connect(settings()); }

  static std::string text_of(const ring_record& record) { return std::string(as_text(record.body())); }

  test::temp_dir dir;
  std::optional<ring_connection> client, server;
};

TEST_F(ring_poll, carries_records_both_ways_in_order) {
  connect();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(client->try_push(as_bytes(std::to_string(i))));
    ASSERT_TRUE(server->try_push(as_bytes(std::to_string(1000 + i))));
  }
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(text_of(server->front()), std::to_string(i));
    server->pop();
    ASSERT_EQ(text_of(client->front()), std::to_string(1000 + i));
    client->pop();
  }
  EXPECT_FALSE(server->front());
  EXPECT_EQ(server->state(), ring_state::open);
}

TEST_F(ring_poll, writes_a_record_in_place_and_reads_it_aligned) {
  connect();
  std::byte* const at = client->reserve(64);
  ASSERT_NE(at, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(at) % 8, 0u);
  EXPECT_FALSE(server->front());
  std::memcpy(at, "in place", 8);
  client->publish(8, ring_marks::text);
  const auto record = server->front();
  EXPECT_EQ(text_of(record), "in place");
  EXPECT_TRUE(has(record.marks, ring_marks::text));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(record.data) % 8, 0u);
}

TEST_F(ring_poll, says_that_there_is_no_room_and_goes_on_when_there_is) {
  options with = settings();
  with.ring_bytes = 4096;
  connect(with);
  const std::string body(500, 'x');
  std::size_t pushed = 0;
  while (client->try_push(as_bytes(body))) ++pushed;
  EXPECT_GE(pushed, 6u);
  EXPECT_FALSE(client->wait_for_room(1ms));
  std::thread reader([&] {
    for (std::size_t i = 0; i < pushed; ++i) {
      EXPECT_TRUE(server->wait(10s));
      EXPECT_EQ(text_of(server->front()), body);
      server->pop();
    }
  });
  EXPECT_TRUE(client->wait_for_room(10s));
  EXPECT_TRUE(client->try_push(as_bytes(body)));
  reader.join();
}

TEST_F(ring_poll, refuses_a_record_of_more_than_a_quarter_of_the_ring) {
  options with = settings();
  with.ring_bytes = 4096;
  connect(with);
  EXPECT_EQ(client->max_body(), 4096u / 4 + 16);
  EXPECT_NE(client->reserve(client->max_body()), nullptr);
}

TEST_F(ring_poll, ends_each_direction_by_itself_and_both_when_an_end_is_destroyed) {
  connect();
  ASSERT_TRUE(client->try_push(as_bytes(std::string("last"))));
  client->end();
  EXPECT_TRUE(server->wait(10s));
  EXPECT_EQ(server->state(), ring_state::open);
  EXPECT_EQ(text_of(server->front()), "last");
  server->pop();
  EXPECT_TRUE(server->wait(10s));
  EXPECT_FALSE(server->front());
  EXPECT_EQ(server->state(), ring_state::ended);
  ASSERT_TRUE(server->try_push(as_bytes(std::string("answer"))));
  server.reset();
  EXPECT_TRUE(client->wait(10s));
  EXPECT_EQ(text_of(client->front()), "answer");
  client->pop();
  EXPECT_FALSE(client->front());
  EXPECT_TRUE(client->wait(10s));
  EXPECT_EQ(client->state(), ring_state::ended);
  EXPECT_FALSE(client->alive());
}

TEST_F(ring_poll, wakes_a_sleeper_with_each_record_and_loses_no_wake_up) {
  connect();
  constexpr int k_count = 2000;
  std::thread reader([&] {
    for (int i = 0; i < k_count; ++i) {
      EXPECT_TRUE(server->wait(10s));
      EXPECT_EQ(text_of(server->front()), std::to_string(i));
      server->pop();
      EXPECT_TRUE(server->try_push({}));
    }
  });
  for (int i = 0; i < k_count; ++i) {
    ASSERT_TRUE(client->try_push(as_bytes(std::to_string(i))));
    ASSERT_TRUE(client->wait(10s));
    ASSERT_TRUE(client->front());
    client->pop();
  }
  reader.join();
}

// A container may forbid membarrier: then whoever publishes pays for the order. The same tests run again, in a process
// that cannot have it.
TEST(ring_poll_without_membarrier, loses_no_wake_up_either) {
  if (std::getenv("FERRY_TEST_NO_MEMBARRIER") != nullptr) {
    EXPECT_FALSE(os::barriers_work());
    return;
  }
  const pid_t child = ::fork();
  if (child == 0) {
    std::array<sock_filter, 4> rules{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog program{static_cast<unsigned short>(rules.size()), rules.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
      ::_exit(77);
    ::setenv("FERRY_TEST_NO_MEMBARRIER", "1", 1);
    ::execl("/proc/self/exe", "test", "--gtest_filter=ring_poll*", "--gtest_brief=1", nullptr);
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "no seccomp filters on this machine";
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(ring_poll, reports_what_is_wrong_with_a_url_or_an_option) {
  const auto reason = [&](const std::string& url) {
    try {
      (void)ring_connection::connect(url, settings());
    } catch (const failure& why) {
      return why.reason();
    }
    return errc{};
  };
  EXPECT_EQ(reason("shm://nobody"), errc::not_found);
  EXPECT_EQ(reason("shm://a/b"), errc::bad_url);
  EXPECT_EQ(reason("shm://.a"), errc::bad_url);
  EXPECT_EQ(reason("ipc:///a"), errc::unknown_scheme);
  EXPECT_EQ(reason("shm://a?ring_bytes=5000"), errc::bad_option);
  EXPECT_EQ(reason("shm://a?ring_bytes=2048"), errc::bad_option);
}

TEST_F(ring_poll, gives_up_connecting_to_a_listener_that_does_not_answer) {
  const auto at = ring_listener::open("shm://a", settings());
  options with = settings();
  with.connect_timeout = 20ms;
  try {
    (void)ring_connection::connect("shm://a", with);
    FAIL() << "connected to nobody";
  } catch (const failure& why) {
    EXPECT_EQ(why.reason(), errc::timeout);
    EXPECT_NE(std::string(why.what()).find("20ms (connect_timeout)"), std::string::npos) << why.what();
    EXPECT_NE(std::string(why.what()).find(at.url()), std::string::npos) << why.what();
  }
}

TEST_F(ring_poll, lets_only_one_listen_and_the_next_one_take_over) {
  {
    const auto at = ring_listener::open("shm://a", settings());
    EXPECT_THROW((void)ring_listener::open("shm://a", settings()), failure);
  }
  EXPECT_NO_THROW((void)ring_listener::open("shm://a", settings()));
}

TEST_F(ring_poll, prints_a_url_that_connects_whoever_copies_it) {
  auto at = ring_listener::open("shm://100%25", settings());
  EXPECT_EQ(at.url(), "shm://100%25?runtime_dir=" + dir.path().string());
  std::thread other([&] { client.emplace(ring_connection::connect(at.url())); });
  EXPECT_TRUE(at.accept(10s));
  other.join();
}

}  // namespace
}  // namespace ferry
