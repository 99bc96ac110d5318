// What a message and a connection may cost: heap allocations, system calls, memory, descriptors.
#include <ferry/blocking.hpp>
#include <ferry/runner.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "tests/conformance/transport.hpp"
#include "tests/limits/counting_new.hpp"

namespace ferry::test {
namespace {

class limits : public transport {
 protected:
  /// Moves `count` messages of `size` bytes from one end to the other. @return allocations meanwhile
  std::uint64_t stream_handled(ends& over, std::size_t count, const std::string& text) {
    const auto before = count_allocations().allocations;
    const std::size_t goal = received_ + count;
    std::size_t sent = 0;
    EXPECT_TRUE(turn(
        [&] {
          while (sent < count && over.client.try_send(as_bytes(text))) ++sent;
          return received_ == goal;
        },
        "the messages"));
    return count_allocations().allocations - before;
  }
  void receive_next(channel& at) {
    at.async_receive([this, &at](error_code failed, const message& m) {
      if (failed) return;
      received_ += m.ok() ? 1 : 0;
      receive_next(at);
    });
  }
  std::size_t received_ = 0;
};

TEST_P(limits, no_heap_allocation_per_message_up_to_4_kib_with_a_handler) {
  auto both = connect();
  both.server.on_message([&](const message_view&) { ++received_; });
  for (const std::size_t size : {0u, 64u, 1000u, 4096u}) {
    const std::string text = pattern(1, size);
    stream_handled(both, 5000, text);  // until every buffer that is needed has been made once
    EXPECT_LE(stream_handled(both, 5000, text), 10u) << "5000 messages of " << size << " bytes";
  }
}

TEST_P(limits, no_heap_allocation_per_message_up_to_4_kib_with_async_receive) {
  auto both = connect();
  receive_next(both.server);
  for (const std::size_t size : {0u, 64u, 1000u, 4096u}) {
    const std::string text = pattern(1, size);
    stream_handled(both, 5000, text);
    EXPECT_LE(stream_handled(both, 5000, text), 10u) << "5000 messages of " << size << " bytes";
  }
}

TEST_P(limits, no_heap_allocation_per_round_trip) {
  auto both = connect();
  both.server.on_message([&](const message_view& m) { (void)both.server.try_send(m.payload); });
  const std::string text = pattern(1, 64);
  std::size_t answers = 0;
  both.client.on_message([&](const message_view&) {
    ++answers;
    (void)both.client.try_send(as_bytes(text));
  });
  ASSERT_TRUE(both.client.try_send(as_bytes(text)));
  ASSERT_TRUE(turn([&] { return answers >= 1000; }, "the first round trips"));
  const auto before = count_allocations().allocations;
  const std::size_t from = answers;
  ASSERT_TRUE(turn([&] { return answers >= from + 2000; }, "more round trips"));
  EXPECT_LE(count_allocations().allocations - before, 10u);
}

TEST_P(limits, fewer_than_one_system_call_per_20_messages_of_64_bytes_when_streaming) {
  auto both = connect();
  both.server.on_message([&](const message_view&) { ++received_; });
  constexpr std::size_t k_count = 100'000;
  stream_handled(both, k_count, pattern(1, 64));
  const double calls = static_cast<double>(both.client.stats().writes + both.server.stats().reads) / k_count;
  EXPECT_LT(calls, 0.05);
  EXPECT_EQ(both.client.stats().bytes_sent, both.server.stats().bytes_received);
}

TEST_P(limits, idle_connection_keeps_no_buffer_after_data_has_flowed) {
  auto both = connect();
  both.server.on_message([&](const message_view&) { ++received_; });
  stream_handled(both, 2000, pattern(1, 4096));
  ASSERT_TRUE(turn([&] { return both.client.stats().send_queue_bytes == 0; }, "everything to be sent"));
  run_ready(io);
  EXPECT_LE(where.buffers().stats().bytes_lent, 2u * 512);
}

constexpr setting k_limits[] = {
    {"inproc", framing_kind::automatic, senders_kind::one},
    {"ipc", framing_kind::varint, senders_kind::one},
    {"ipc", framing_kind::varint, senders_kind::many},
    {"tcp4", framing_kind::varint, senders_kind::one},
};
INSTANTIATE_TEST_SUITE_P(every, limits, ::testing::ValuesIn(k_limits),
                         [](const auto& one) { return name_of(one.param); });

/// Another process that makes connections and says nothing. It ends with the pipe to it.
class silent_crowd {
 public:
  explicit silent_crowd(const sockaddr_un& at) {
    std::array<int, 2> ask{}, answer{};
    if (::pipe(ask.data()) != 0 || ::pipe(answer.data()) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ask[1]);
      ::close(answer[0]);
      join(at, ask[0], answer[1]);
    }
    ::close(ask[0]);
    ::close(answer[1]);
    ask_ = ask[1];
    answer_ = answer[0];
  }
  ~silent_crowd() {
    ::close(ask_);
    ::close(answer_);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  void grow(int by) const { EXPECT_EQ(::write(ask_, &by, sizeof by), static_cast<ssize_t>(sizeof by)); }

 private:
  // Only system calls: this is the child of a fork.
  [[noreturn]] static void join(const sockaddr_un& at, int ask, int answer) {
    int by = 0;
    while (::read(ask, &by, sizeof by) == sizeof by)
      for (; by > 0; --by) {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        if (fd < 0) ::_exit(1);
        while (::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
          if (errno != EINTR && errno != EAGAIN) ::_exit(2);
      }
    ::close(answer);
    ::_exit(0);
  }
  pid_t pid_ = -1;
  int ask_ = -1, answer_ = -1;
};

struct many_connections : ::testing::Test, any_transport {
  many_connections() : any_transport({"ipc", framing_kind::varint, senders_kind::one}) {}
  void SetUp() override {
    rlimit files{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < 9500) GTEST_SKIP() << "only " << files.rlim_max << " descriptors on this machine";
    address.sun_family = AF_UNIX;
    dir.file("socket").copy(address.sun_path, sizeof address.sun_path - 1);
  }
  sockaddr_un address{};
};

TEST_F(many_connections, cost_less_than_8_kib_each_and_are_refused_above_the_limit_while_others_go_on) {
  options with = settings();
  with.max_connections = 9001;
  std::vector<channel> servers;
  servers.reserve(10'000);
  std::size_t received = 0;
  listening = listen(with);
  listening.on_channel([&](channel arrived) {
    arrived.on_message([&](const message_view&) { ++received; });
    servers.push_back(std::move(arrived));
  });
  channel good = open(connect_url(listening), settings());
  ASSERT_TRUE(turn([&] { return servers.size() == 1; }, "a peer that speaks"));
  const silent_crowd crowd(address);
  crowd.grow(1000);
  ASSERT_TRUE(turn([&] { return servers.size() == 1001; }, "1000 silent peers"));
  run_ready(io);
  const auto with_1000 = count_allocations().live_bytes;
  crowd.grow(8000);
  ASSERT_TRUE(turn([&] { return servers.size() == 9001; }, "9000 silent peers"));
  run_ready(io);
  const std::size_t each = (count_allocations().live_bytes - with_1000) / 8000;
  RecordProperty("bytes_per_connection", static_cast<int>(each));
  EXPECT_LT(each, 8192u);
  EXPECT_LT(where.buffers().stats().bytes_lent, 1024u * 9000);

  crowd.grow(100);
  ASSERT_TRUE(turn([&] { return listening.stats().refused == 100; }, "100 refusals"));
  EXPECT_EQ(listening.stats().open, 9001u);
  ASSERT_TRUE(good.try_send("still here"));
  EXPECT_TRUE(turn([&] { return received == 1; }, "the one that speaks"));
}

std::vector<int> take_all_descriptors() {
  std::vector<int> hoard;
  for (int fd = 0; (fd = ::dup(0)) >= 0;) hoard.push_back(fd);
  return hoard;
}

// Runs in a process of its own, which may lose all its descriptors. @return 0 if all went well
int runs_out_of_descriptors(const std::string& path) {
  any_transport in({"ipc", framing_kind::varint, senders_kind::one});
  std::vector<channel> servers;
  std::vector<error> errors;
  std::size_t received = 0;
  in.listening = *listener::open(in.where, "ipc://" + path, in.settings());
  in.listening.on_error([&](const error& why) { errors.push_back(why); });
  in.listening.on_channel([&](channel arrived) {
    arrived.on_message([&](const message_view&) { ++received; });
    servers.push_back(std::move(arrived));
  });
  channel good = in.open("ipc://" + path, in.settings());
  if (!in.turn([&] { return servers.size() == 1; }, "a peer")) return 1;

  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  path.copy(at.sun_path, sizeof at.sun_path - 1);
  const int late = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto hoard = take_all_descriptors();
  if (::connect(late, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return 3;
  if (!in.turn([&] { return !errors.empty(); }, "the failure to accept")) return 4;
  if (errors[0] != errc::busy || errors[0].text().find("accepting pauses") == std::string::npos) return 5;
  if (errors[0].text().find("ulimit -n") == std::string::npos) return 11;
  if (in.listening.stats().errors == 0 || in.where.totals().accept_errors.value() == 0) return 6;
  // Who has a connection keeps it.
  if (!good.try_send("x") || !in.turn([&] { return received == 1; }, "a message meanwhile")) return 7;
  if (servers.size() != 1) return 8;
  for (const int fd : hoard) ::close(fd);
  if (!in.turn([&] { return servers.size() == 2; }, "the one who waited")) return 9;
  if (!good.try_send("y") || !in.turn([&] { return received == 2; }, "a message afterwards")) return 10;
  return 0;
}

// As above: everything that begins an event loop.
int finds_no_descriptor_for_an_event_loop(const std::string& path) {
  const std::string url = "ipc://" + path;
  const auto is_clear = [](const error& why) {
    return why == errc::busy && why.system_errno() == EMFILE && why.text().find("ulimit -n") != std::string::npos;
  };
  boost::asio::io_context io;
  context where(io);
  const auto hoard = take_all_descriptors();
  if (const auto made = channel::open(where, url); made || !is_clear(made.error())) return 1;
  if (const auto made = channel::prepare(where, {"tcp", "127.0.0.1", 1, {}, {}}); made || !is_clear(made.error()))
    return 2;
  if (const auto made = listener::open(where, url); made || !is_clear(made.error())) return 3;
  const auto throws_it = [&](const auto& call) {
    try {
      call();
    } catch (const failure& why) {
      return is_clear({why.reason(), why.what(), why.system_errno()});
    }
    return false;
  };
  if (!throws_it([&] { (void)listener::on(where, nullptr); })) return 4;
  if (!throws_it([] { const runner thread; })) return 5;
  if (!throws_it([&] { (void)ferry::connect(url); })) return 6;
  for (const int fd : hoard) ::close(fd);
  return listener::open(where, url) && channel::open(where, url) ? 0 : 7;
}

// `body` returns 0, or the step that went wrong; it may use 64 descriptors.
void expect_success_with_few_descriptors(int (*body)(const std::string& path)) {
#if defined(__clang__)
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "Clang's check of virtual calls opens pipes itself, and takes their absence for a broken object";
#endif
#endif
  const temp_dir dir;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit few{64, 64};
    ::setrlimit(RLIMIT_NOFILE, &few);
    ::_exit(body(dir.file("s")));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "the step that went wrong";
}

TEST(descriptors, that_run_out_pause_accepting_and_leave_the_connected_alone) {
  expect_success_with_few_descriptors(runs_out_of_descriptors);
}

TEST(descriptors, that_run_out_before_an_event_loop_has_begun_are_an_error_that_says_what_to_do) {
  expect_success_with_few_descriptors(finds_no_descriptor_for_an_event_loop);
}

}  // namespace
}  // namespace ferry::test
