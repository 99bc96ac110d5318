// Every callback on its promised thread: a thread for logins, one for each group, two for a client in shared memory;
// connections are closed and come back, in other groups too, while messages are pushed.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "testing/tcpshm_pair.hpp"

namespace ferry::test {
namespace {

constexpr std::size_t k_groups = 2;

tcpshm::options with_groups(tcpshm::protocol speaks, const temp_dir& runtime) {
  tcpshm::options with;
  with.speaks = speaks;
  with.runtime_dir = runtime.path().string();
  with.max_tcp_groups = with.max_shm_groups = k_groups;
  with.connection_timeout = 1'000'000'000;
  return with;
}

class counting_server : public tcpshm::server {
 public:
  using server::server;
  void run() {
    threads_.emplace_back([this] {
      ctl_ = std::this_thread::get_id();
      while (!done_) {
        poll_ctl(1);
        std::this_thread::yield();
      }
    });
    for (std::size_t i = 0; i < k_groups; ++i) {
      threads_.emplace_back([this, i] {
        while (!done_) {
          poll_tcp(1, i);
          std::this_thread::yield();
        }
      });
      threads_.emplace_back([this, i] {
        while (!done_) {
          poll_shm(i);
          std::this_thread::yield();
        }
      });
    }
  }
  void finish() {
    done_ = true;
    for (auto& one : threads_) one.join();
  }
  std::atomic<std::uint64_t> wrong{0};

 protected:
  void on_system_error(const std::string&, int) override { wrong += 1; }
  int on_new_connection(const tcpshm::login_request&, tcpshm::login_answer&) override {
    check_ctl();
    return static_cast<int>(logins_++ / 2 % k_groups);
  }
  void on_client_file_error(tcpshm::connection&, const std::string&, int) override { wrong += 1; }
  void on_seq_number_mismatch(tcpshm::connection&, const tcpshm::sequence_mismatch&) override { wrong += 1; }
  void on_client_logon(const std::string&, tcpshm::connection&) override { check_ctl(); }
  void on_client_disconnected(tcpshm::connection&, const std::string&, int) override { check_ctl(); }
  void on_client_msg(tcpshm::connection& conn, const tcpshm::message& m) override {
    wrong += std::this_thread::get_id() == ctl_.load();
    const std::string text(as_text(m.body));
    conn.pop();
    wrong += static_cast<bool>(noting_client::say_on(conn, text, 1, false));
  }

 private:
  void check_ctl() { wrong += std::this_thread::get_id() != ctl_.load(); }
  std::atomic<bool> done_{false};
  std::atomic<std::thread::id> ctl_;
  int logins_ = 0;
  std::vector<std::thread> threads_;
};

class counting_client : public tcpshm::client {
 public:
  using client::client;
  // `next` and `got` are the polling thread's.
  void send_some() {
    if (next - got.load() > 8 || get_connection().is_closed()) return;
    if (!noting_client::say_on(get_connection(), std::to_string(next), 1, false)) next += 1;
  }
  std::uint64_t next = 0;
  std::atomic<std::uint64_t> got{0};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> ended{0};

 protected:
  void on_system_error(const std::string&, int) override { wrong += 1; }
  void on_login_reject(const tcpshm::login_answer& answer) override {
    wrong += answer.error_text != "Already loggned on";
  }
  std::int64_t on_login_success(const tcpshm::login_answer&) override { return 1; }
  void on_seq_number_mismatch(const tcpshm::sequence_mismatch&) override { wrong += 1; }
  void on_server_msg(const tcpshm::message& m) override {
    wrong += as_text(m.body) != std::to_string(got);
    get_connection().pop();
    got += 1;
  }
  void on_disconnected(const std::string&, int) override { ended += 1; }
};

void run(bool shm, tcpshm::protocol speaks) {
  temp_dir server_files, client_files, runtime;
  const auto with = with_groups(speaks, runtime);
  const std::string client_name = unique_name("c"), server_name = unique_name("s");
  const clean_rings rings(client_name, server_name);
  counting_server server(server_files.path().string(), server_name, with);
  ASSERT_TRUE(server.start("127.0.0.1", 0));
  server.run();
  counting_client client(client_files.path().string(), client_name, with);
  constexpr std::uint64_t k_lives = 12;
  std::atomic<bool> done{false};
  // The polling thread closes now and then; in shared memory it is another one than the one that logs in.
  std::uint64_t closed = 0;
  const auto work = [&] {
    client.send_some();
    if (client.got < (closed + 1) * 50 || closed == k_lives || client.get_connection().is_closed()) return;
    client.get_connection().close();
    closed += 1;
  };
  std::thread polls_shm;
  if (shm) {
    polls_shm = std::thread([&] {
      while (!done) {
        client.poll_shm();
        work();
        std::this_thread::yield();
      }
    });
  }
  const auto all_came = poll_until(
      [&] {
        if (client.get_connection().is_closed() && !client.connecting())
          (void)client.start_connect(shm, "127.0.0.1", server.port());
        client.poll_tcp(1);
        if (!shm) work();
        std::this_thread::yield();
      },
      [&] { return client.ended >= k_lives && client.got >= (k_lives + 1) * 50; }, "all echoes");
  done = true;
  if (shm) polls_shm.join();
  server.finish();
  EXPECT_TRUE(all_came) << client.got << " echoes, " << client.ended << " ends";
  EXPECT_EQ(client.wrong, 0u);
  EXPECT_EQ(server.wrong, 0u);
}

TEST(tcpshm_threads, over_tcp_messages_and_callbacks_keep_their_order_and_their_thread) {
  run(false, tcpshm::protocol::tcpshm);
}
TEST(tcpshm_threads, in_shared_memory_messages_and_callbacks_keep_their_order_and_their_thread) {
  run(true, tcpshm::protocol::tcpshm);
}
TEST(tcpshm_threads, of_sessions_over_tcp_messages_and_callbacks_keep_their_order_and_their_thread) {
  run(false, tcpshm::protocol::ferry);
}
TEST(tcpshm_threads, of_sessions_in_shared_memory_messages_and_callbacks_keep_their_order_and_their_thread) {
  run(true, tcpshm::protocol::ferry);
}

}  // namespace
}  // namespace ferry::test
