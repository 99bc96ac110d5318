// Every callback on its promised thread: a thread for logins, one for each group, two for a client in shared memory;
// connections are closed and come back, in other groups too, while messages are pushed; logins are refused, and fail.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <any>
#include <array>
#include <atomic>
#include <fstream>
#include <map>
#include <thread>

#include "testing/raw_tcp.hpp"
#include "testing/tcp_by_hand.hpp"
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

enum class callback : std::uint8_t {
  system_error,
  new_connection,
  login_reject,
  login_success,
  file_error,
  mismatch,
  logon,
  message,
  disconnected
};
constexpr std::size_t k_callbacks = 9;

/// How often each callback came, and how often from another thread than the promised one.
class callback_book {
 public:
  void came(callback which, std::thread::id promised) {
    const auto at = static_cast<std::size_t>(which);
    came_[at] += 1;
    strange_[at] += std::this_thread::get_id() != promised;
  }
  [[nodiscard]] std::uint64_t of(callback which) const { return came_[static_cast<std::size_t>(which)]; }
  void expect_no_strangers() const {
    for (std::size_t i = 0; i < k_callbacks; ++i) EXPECT_EQ(strange_[i], 0u) << "callback " << i << " of " << came_[i];
  }

 private:
  std::array<std::atomic<std::uint64_t>, k_callbacks> came_{}, strange_{};
};

class counting_server : public tcpshm::server {
 public:
  using server::server;
  void run() {
    for (std::size_t i = 0; i < k_groups; ++i) {
      tcp_[i] = poll_with([this, i] { poll_tcp(1, i); });
      shm_[i] = poll_with([this, i] { poll_shm(i); });
    }
    // The last one, so that it knows the others.
    (void)poll_with([this] {
      ctl_ = std::this_thread::get_id();
      poll_ctl(1);
    });
  }
  void finish() {
    done_ = true;
    for (auto& one : threads_) one.join();
  }
  callback_book book;
  std::atomic<std::uint64_t> wrong{0};

 protected:
  void on_system_error(const std::string&, int) override { came(callback::system_error); }
  int on_new_connection(const tcpshm::login_request& login, tcpshm::login_answer&) override {
    came(callback::new_connection);
    const auto number = logins_++;
    if (number % 5 == 4) return -1;
    const auto group = number / 2 % k_groups;
    places_[login.client_name] = login.use_shm ? shm_[group] : tcp_[group];
    return static_cast<int>(group);
  }
  void on_client_file_error(tcpshm::connection&, const std::string&, int) override { came(callback::file_error); }
  void on_seq_number_mismatch(tcpshm::connection&, const tcpshm::sequence_mismatch&) override {
    came(callback::mismatch);
  }
  void on_client_logon(const std::string&, tcpshm::connection& conn) override {
    came(callback::logon);
    conn.user_data = places_.at(conn.remote_name());
  }
  void on_client_disconnected(tcpshm::connection&, const std::string&, int) override { came(callback::disconnected); }
  void on_client_msg(tcpshm::connection& conn, const tcpshm::message& m) override {
    book.came(callback::message, std::any_cast<std::thread::id>(conn.user_data));
    const std::string text(as_text(m.body));
    conn.pop();
    wrong += static_cast<bool>(noting_client::say_on(conn, text, 1, false));
  }

 private:
  void came(callback which) { book.came(which, ctl_); }
  template <class Poll>
  std::thread::id poll_with(Poll poll) {
    threads_.emplace_back([this, poll] {
      while (!done_) {
        poll();
        std::this_thread::yield();
      }
    });
    return threads_.back().get_id();
  }

  std::atomic<bool> done_{false};
  std::atomic<std::thread::id> ctl_;
  std::array<std::thread::id, k_groups> tcp_, shm_;
  // The CTL thread's.
  std::size_t logins_ = 0;
  std::map<std::string, std::thread::id> places_;
  std::vector<std::thread> threads_;
};

/// Its CTL thread is the one that makes it.
class counting_client : public tcpshm::client {
 public:
  using client::client;
  // `next` and `got` are the polling thread's.
  void send_some() {
    if (next == limit || next - got.load() > 8 || get_connection().is_closed()) return;
    if (!noting_client::say_on(get_connection(), std::to_string(next), 1, false)) next += 1;
  }
  /// Polls until done() is true; `work` is the polling thread's, which in shared memory is another one.
  template <class Work, class Done>
  [[nodiscard]] ::testing::AssertionResult drive(bool shm, std::uint16_t port, Work work, Done done) {
    std::atomic<bool> over{false};
    std::thread polls_shm;
    if (shm) {
      polls_shm = std::thread([&] {
        polling_ = std::this_thread::get_id();
        while (!over) {
          poll_shm();
          work();
          std::this_thread::yield();
        }
      });
    }
    auto outcome = poll_until(
        [&] {
          if (get_connection().is_closed() && !connecting()) (void)start_connect(shm, "127.0.0.1", port);
          poll_tcp(1);
          if (!shm) work();
          std::this_thread::yield();
        },
        done, "a client's work");
    over = true;
    if (shm) polls_shm.join();
    return outcome;
  }
  /// Some echoes, then the end of the connection.
  [[nodiscard]] ::testing::AssertionResult visit(bool shm, std::uint16_t port) {
    limit = 3;
    bool closed = false;  // the polling thread's
    return drive(
        shm, port,
        [&] {
          send_some();
          if (got == limit && !std::exchange(closed, true)) get_connection().close();
        },
        [&] { return ended == 1; });
  }

  callback_book book;
  std::uint64_t next = 0;
  std::uint64_t limit = ~std::uint64_t{0};
  std::atomic<std::uint64_t> got{0};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> ended{0};

 protected:
  void on_system_error(const std::string&, int) override { came(callback::system_error); }
  void on_login_reject(const tcpshm::login_answer&) override { came(callback::login_reject); }
  std::int64_t on_login_success(const tcpshm::login_answer&) override {
    came(callback::login_success);
    return 1;
  }
  void on_seq_number_mismatch(const tcpshm::sequence_mismatch&) override { came(callback::mismatch); }
  void on_server_msg(const tcpshm::message& m) override {
    book.came(callback::message, polling_);
    wrong += as_text(m.body) != std::to_string(got);
    get_connection().pop();
    got += 1;
  }
  void on_disconnected(const std::string&, int) override {
    came(callback::disconnected);
    ended += 1;
  }

 private:
  void came(callback which) { book.came(which, ctl_); }
  const std::thread::id ctl_ = std::this_thread::get_id();
  std::atomic<std::thread::id> polling_{ctl_};
};

struct way {
  const char* name;
  tcpshm::protocol speaks;
  bool shm;
  // NOLINTNEXTLINE(readability-identifier-naming): as GoogleTest calls it
  friend void PrintTo(const way& one, std::ostream* to) { *to << one.name; }
};

class tcpshm_threads : public ::testing::TestWithParam<way> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(server_.start("127.0.0.1", 0));
    server_.run();
  }
  void TearDown() override {
    server_.finish();
    server_.book.expect_no_strangers();
    EXPECT_EQ(server_.wrong, 0u);
  }
  [[nodiscard]] bool shm() const { return GetParam().shm; }
  [[nodiscard]] bool speaks_ferry() const { return GetParam().speaks == tcpshm::protocol::ferry; }
  void expect_all_well(const counting_client& of) const {
    of.book.expect_no_strangers();
    EXPECT_EQ(of.wrong, 0u);
  }
  /// The server's file of what it sends to the client.
  [[nodiscard]] std::string server_file() const {
    if (speaks_ferry()) return server_files_.file(server_name_ + "~" + client_name_ + ".session");
    return shm() ? rings_.path(false) : server_files_.file(server_name_ + "_" + client_name_ + ".ptcp");
  }
  template <class Done>
  [[nodiscard]] ::testing::AssertionResult until(Done done, std::string_view awaited) {
    return poll_until([] { std::this_thread::yield(); }, std::move(done), awaited);
  }

  temp_dir server_files_, client_files_, runtime_;
  const std::string client_name_ = unique_name("c"), server_name_ = unique_name("s");
  const clean_rings rings_{client_name_, server_name_};
  const tcpshm::options with_ = with_groups(GetParam().speaks, runtime_);
  counting_server server_{server_files_.path().string(), server_name_, with_};
};

constexpr way k_tcp{"tcp", tcpshm::protocol::tcpshm, false};
constexpr way k_shared_memory{"shared_memory", tcpshm::protocol::tcpshm, true};
constexpr way k_tcp_of_sessions{"tcp_of_sessions", tcpshm::protocol::ferry, false};
constexpr way k_shared_memory_of_sessions{"shared_memory_of_sessions", tcpshm::protocol::ferry, true};

INSTANTIATE_TEST_SUITE_P(over, tcpshm_threads,
                         ::testing::Values(k_tcp, k_shared_memory, k_tcp_of_sessions, k_shared_memory_of_sessions),
                         [](const auto& one) { return std::string(one.param.name); });

/// tcpshm's rings have no numbers.
class tcpshm_threads_with_numbers : public tcpshm_threads {};
INSTANTIATE_TEST_SUITE_P(over, tcpshm_threads_with_numbers,
                         ::testing::Values(k_tcp, k_tcp_of_sessions, k_shared_memory_of_sessions),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_P(tcpshm_threads, have_messages_in_order_and_each_its_callbacks_while_connections_close_and_come_back) {
  counting_client client(client_files_.path().string(), client_name_, with_);
  constexpr std::uint64_t k_lives = 12;
  std::uint64_t closed = 0;  // the polling thread's
  const auto work = [&] {
    client.send_some();
    if (client.got < (closed + 1) * 50 || closed == k_lives || client.get_connection().is_closed()) return;
    client.get_connection().close();
    closed += 1;
  };
  EXPECT_TRUE(client.drive(shm(), server_.port(), work,
                           [&] { return client.ended >= k_lives && client.got >= (k_lives + 1) * 50; }))
      << client.got << " echoes, " << client.ended << " ends";
  expect_all_well(client);
  for (const auto one : {callback::login_reject, callback::login_success, callback::message, callback::disconnected})
    EXPECT_GT(client.book.of(one), 0u) << "callback " << static_cast<int>(one);
  for (const auto one : {callback::new_connection, callback::logon, callback::message, callback::disconnected})
    EXPECT_GT(server_.book.of(one), 0u) << "callback " << static_cast<int>(one);
  EXPECT_EQ(client.book.of(callback::system_error) + server_.book.of(callback::system_error), 0u);
}

TEST_P(tcpshm_threads_with_numbers, are_told_when_those_do_not_fit) {
  const std::string files = client_files_.file("now"), old = client_files_.file("old");
  for (const bool copies : {true, false}) {
    counting_client client(files, client_name_, with_);
    ASSERT_TRUE(client.visit(shm(), server_.port()));
    expect_all_well(client);
    client.stop();
    if (copies) std::filesystem::copy(files, old);
  }
  counting_client client(old, client_name_, with_);
  client.limit = 0;
  EXPECT_TRUE(client.drive(
      shm(), server_.port(), [] {},
      [&] { return client.book.of(callback::mismatch) != 0 && server_.book.of(callback::mismatch) != 0; }));
  expect_all_well(client);
}

TEST_P(tcpshm_threads, are_told_of_a_file_that_is_none) {
  std::ofstream(server_file()) << "none";
  counting_client client(client_files_.path().string(), client_name_, with_);
  client.limit = 0;
  EXPECT_TRUE(client.drive(
      shm(), server_.port(), [] {},
      [&] { return client.book.of(callback::login_reject) != 0 && server_.book.of(callback::file_error) != 0; }));
  expect_all_well(client);
}

TEST_P(tcpshm_threads, are_told_what_the_system_refuses) {
  const reserved_port nobodys;
  counting_client client(client_files_.path().string(), client_name_, with_);
  EXPECT_TRUE(client.drive(
      shm(), nobodys.number(), [] {}, [&] { return client.book.of(callback::system_error) >= 3; }));
  expect_all_well(client);
  // No descriptor is left for who comes.
  const os::unique_fd visitor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit less = before;
  less.rlim_cur = 3;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &less), 0);
  const sockaddr_in to = raw_tcp::loopback(server_.port());
  EXPECT_EQ(::connect(visitor.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  EXPECT_TRUE(until([&] { return server_.book.of(callback::system_error) != 0; }, "the server's complaint"));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace ferry::test
