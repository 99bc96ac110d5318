// Sockets on many threads: any thread may call, and one that waits does not keep the others from going on.
#include <ferry/socket.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "testing/sanitizers.hpp"
#include "testing/socket_world.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

class sockets_on_threads : public ::testing::TestWithParam<socket_transport>, public socket_world {
 protected:
  sockets_on_threads() : socket_world(GetParam()) {}
};
INSTANTIATE_TEST_SUITE_P(every, sockets_on_threads, ::testing::ValuesIn(k_transports),
                         [](const auto& one) { return name_of(one.param); });

constexpr int k_messages = k_checks_threads || k_checks_addresses ? 50 : 300;

void echo(socket_world& world, socket_id id) {
  for (;;) {
    const auto got = world.receive(id);
    if (got == "(end)") return;
    if (world.send(id, got) != std::to_string(got.size())) return ADD_FAILURE() << got;
  }
}

void ask(socket_world& world, socket_id id, const std::string& name) {
  for (int i = 0; i < k_messages; ++i) {
    const std::string text = name + std::to_string(i);
    ASSERT_EQ(world.send(id, text), std::to_string(text.size()));
    ASSERT_EQ(world.receive(id), text);
  }
}

/// Each client has a thread, and so has the other end of each.
void run_pairs(socket_world& world, int pairs) {
  std::vector<std::thread> running;
  for (int i = 0; i < pairs; ++i) {
    ASSERT_NO_FATAL_FAILURE(world.join());
    running.emplace_back([&world, id = world.server] {
      echo(world, id);
      EXPECT_TRUE(world.api.close(id));
    });
    running.emplace_back([&world, id = world.client, i] {
      ask(world, id, "client " + std::to_string(i) + ": ");
      EXPECT_TRUE(world.api.close(id));
    });
  }
  for (auto& one : running) one.join();
}

TEST_P(sockets_on_threads, go_on_while_others_wait) { run_pairs(*this, 3); }

TEST_P(sockets_on_threads, go_on_with_a_thread_of_their_own) {
  ASSERT_TRUE(api.run_in_background());
  EXPECT_EQ(name_of_error(api.run_in_background()), "EALREADY");
  run_pairs(*this, 3);
}

TEST_P(sockets_on_threads, answer_a_wait_that_another_thread_ends_by_closing) {
  ASSERT_NO_FATAL_FAILURE(join());
  std::atomic<int> waiting{0};
  std::vector<std::string> outcomes(2);
  std::vector<std::thread> all;
  for (auto& outcome : outcomes)
    all.emplace_back([&] {
      ++waiting;
      outcome = receive(server);
    });
  while (waiting != 2) std::this_thread::yield();
  set(server, "closePolicy", "hard");
  EXPECT_TRUE(api.close(server));
  for (auto& one : all) one.join();
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome, "EBADF");
}

TEST_P(sockets_on_threads, accept_on_several_threads_each_connection_once) {
  ASSERT_NO_FATAL_FAILURE(listen());
  std::mutex lock;
  std::vector<socket_id> got;
  std::vector<std::thread> all;
  for (int i = 0; i < 3; ++i)
    all.emplace_back([&] {
      const auto one = api.accept(listening);
      ASSERT_TRUE(one) << one.error().text();
      const std::lock_guard guard(lock);
      got.push_back(*one);
    });
  for (int i = 0; i < 3; ++i) {
    const auto one = made();
    const auto connected = api.connect(one, where());
    EXPECT_TRUE(connected) << connected.error().text();
  }
  for (auto& one : all) one.join();
  std::sort(got.begin(), got.end());
  EXPECT_EQ(std::unique(got.begin(), got.end()), got.end());
  for (const auto& one : api.list()) set(one.id, "closePolicy", "hard");
}

class sockets_with_three_numbers : public ::testing::TestWithParam<socket_transport>, public socket_world {
 protected:
  sockets_with_three_numbers() : socket_world(GetParam(), {.max_sockets = 3}) {}
  /// A number is free again: the connection that was not accepted is there.
  void accept_once_there_is_a_number(socket_id filler) {
    EXPECT_TRUE(api.close(filler));
    const auto accepted = api.accept(listening);
    ASSERT_TRUE(accepted) << accepted.error().text();
    EXPECT_EQ(send(client, "kept"), "4");
    EXPECT_EQ(receive(*accepted), "kept");
    for (const auto& one : api.list()) set(one.id, "closePolicy", "hard");
  }
};
INSTANTIATE_TEST_SUITE_P(every, sockets_with_three_numbers, ::testing::ValuesIn(k_transports),
                         [](const auto& one) { return name_of(one.param); });

TEST_P(sockets_with_three_numbers, say_emfile_at_once_to_accept_and_keep_the_connection) {
  ASSERT_NO_FATAL_FAILURE(listen({{"receiveTimeout", "30s"}}));
  client = made();
  const auto filler = made();
  EXPECT_EQ(name_of_error(api.accept(listening)), "EMFILE") << "nobody is there, and none could be taken";
  EXPECT_EQ(name_of_error(api.socket(over)), "EMFILE");
  ASSERT_TRUE(api.connect(client, where()));
  EXPECT_EQ(poll(listening, socket_events::k_in), socket_events::k_in);
  EXPECT_EQ(name_of_error(api.accept(listening)), "EMFILE");
  accept_once_there_is_a_number(filler);
}

TEST_P(sockets_with_three_numbers, say_emfile_to_an_accept_that_waits_while_another_takes_the_last_one) {
  ASSERT_NO_FATAL_FAILURE(listen({{"receiveTimeout", "30s"}}));
  client = made();
  std::promise<void> begun;
  auto waiting = std::async(std::launch::async, [&] {
    begun.set_value();
    return name_of_error(api.accept(listening));
  });
  begun.get_future().wait();
  const auto filler = made();
  ASSERT_TRUE(api.connect(client, where()));
  EXPECT_EQ(waiting.get(), "EMFILE");
  accept_once_there_is_a_number(filler);
}

TEST(sockets_in_background, progress_without_calls_on_a_thread_with_a_name) {
  socket_world near(socket_transport::tcp);
  event up;
  near.api.on_state([&](socket_id, socket_state, socket_state to) {
    if (to == socket_state::open) up.set();
  });
  ASSERT_TRUE(near.api.run_in_background());
  ASSERT_NO_FATAL_FAILURE(near.listen());
  near.client = near.made();
  near.set(near.client, "nonblocking", "on");
  (void)near.api.connect(near.client, near.where());
  EXPECT_TRUE(up.wait("the connection, which nobody has waited for"));
  bool named = false;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    named = named || name == "ferry-sockets";
  }
  EXPECT_TRUE(named);
}

TEST(sockets_in_background, may_be_called_from_what_they_tell) {
  socket_world near(socket_transport::ipc);
  event done;
  near.api.on_state([&](socket_id id, socket_state, socket_state to) {
    if (id != near.client || to != socket_state::open) return;
    EXPECT_EQ(near.send(id, "from inside"), "11");
    done.set();
  });
  ASSERT_NO_FATAL_FAILURE(near.listen());
  near.client = near.made();
  ASSERT_TRUE(near.api.run_in_background());
  ASSERT_TRUE(near.api.connect(near.client, near.where()));
  EXPECT_TRUE(done.wait("what is told"));
  const auto server = near.api.accept(near.listening);
  ASSERT_TRUE(server);
  EXPECT_EQ(near.receive(*server), "from inside");
}

/// Lines from any thread.
class shared_log final : public log_sink {
 public:
  void write(log_level, std::string_view component, std::string_view text) noexcept override {
    const std::lock_guard guard(lock_);
    lines_.push_back(std::string(component) + ": " + std::string(text));
  }
  [[nodiscard]] std::vector<std::string> lines() {
    const std::lock_guard guard(lock_);
    return lines_;
  }

 private:
  std::mutex lock_;
  std::vector<std::string> lines_;
};

TEST(sockets_that_tell, go_on_when_a_handler_throws_with_a_thread_of_their_own_and_without) {
  for (const bool background : {false, true}) {
    std::mutex lock;
    std::vector<std::string> told;
    shared_log log;
    socket_world near(socket_transport::tcp, {.log = &log});
    near.api.on_state([&](socket_id id, socket_state, socket_state to) {
      const std::lock_guard guard(lock);
      told.push_back(std::to_string(id) + " " + to_string(to));
      throw std::runtime_error("not mine");
    });
    if (background) {
      ASSERT_TRUE(near.api.run_in_background());
    }
    ASSERT_NO_FATAL_FAILURE(near.listen());
    std::thread accepting([&] {
      const auto one = near.api.accept(near.listening);
      EXPECT_TRUE(one);
      near.server = one ? *one : 0;
    });
    near.client = near.made();
    EXPECT_TRUE(near.api.connect(near.client, near.where()));
    accepting.join();
    EXPECT_EQ(near.send(near.client, "on"), "2");
    EXPECT_EQ(near.receive(near.server), "on");
    const auto is_told = [&](const std::string& what) {
      const std::lock_guard guard(lock);
      return std::find(told.begin(), told.end(), what) != told.end();
    };
    const auto end = std::chrono::steady_clock::now() + k_patience;
    for (const auto one : {near.listening, near.client, near.server}) {
      const auto what = std::to_string(one) + (one == near.listening ? " LISTENING" : " OPEN");
      while (!is_told(what) && std::chrono::steady_clock::now() < end) std::this_thread::yield();
      EXPECT_TRUE(is_told(what)) << what;
    }
    // It is told first, and thrown then.
    while (near.api.stats().state_handler_throws < 3 && std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
    const auto lines = log.lines();
    const auto listens =
        "sockets: socket " + std::to_string(near.listening) + ": the handler of on_state threw at LISTENING: not mine";
    EXPECT_EQ(std::count(lines.begin(), lines.end(), listens), 1);
    EXPECT_GE(near.api.stats().state_handler_throws, 3u);
    for (const auto& one : near.api.list()) near.set(one.id, "closePolicy", "hard");
  }
}

TEST(sockets_without_a_thread, do_not_progress_between_calls) {
  socket_world far(socket_transport::ipc);
  ASSERT_NO_FATAL_FAILURE(far.listen());
  bool told = false;
  far.api.on_state([&](socket_id, socket_state, socket_state to) { told = told || to == socket_state::open; });
  far.client = far.made();
  // Another manager, so that no call of this one helps.
  socket_manager near;
  const auto client = near.socket(socket_transport::ipc);
  ASSERT_TRUE(near.connect(*client, far.where())) << "the kernel lets it in";
  EXPECT_FALSE(told);
  EXPECT_EQ(far.poll(far.listening, socket_events::k_in), socket_events::k_in);
}

TEST(sockets_after_fork, belong_to_the_parent) {
  socket_world near(socket_transport::tcp);
  ASSERT_NO_FATAL_FAILURE(near.join());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool refused = near.send(near.client, "x") == "EBADF" && near.state(near.client) == "EBADF" &&
                         near.api.list().empty() && near.api.close_all() == 0;
    ::_exit(refused ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(near.send(near.client, "still"), "5");
  EXPECT_EQ(near.receive(near.server), "still");
  for (const auto& one : near.api.list()) near.set(one.id, "closePolicy", "hard");
}

}  // namespace
}  // namespace ferry::test
