#pragma once
/// A client and a server of tcpshm that write down what they are told, for tests that poll both from one thread.

#include <ferry/compat/tcpshm.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {

namespace tcpshm = compat::tcpshm;

/// A name that no other test on this machine uses now: shared memory has no directories.
[[nodiscard]] inline std::string unique_name(const std::string& prefix) {
  static std::atomic<int> count{0};
  return prefix + std::to_string(::getpid()) + "x" + std::to_string(++count);
}

/// Removes the shared memory of two names, before and after.
class clean_rings {
 public:
  clean_rings(std::string a, std::string b) : a_(std::move(a)), b_(std::move(b)) { remove(); }
  ~clean_rings() { remove(); }
  clean_rings(const clean_rings&) = delete;
  clean_rings& operator=(const clean_rings&) = delete;
  [[nodiscard]] std::string path(bool from_a) const {
    return "/dev/shm/" + (from_a ? a_ + "_" + b_ : b_ + "_" + a_) + ".shm";
  }

 private:
  void remove() const {
    std::error_code ignored;
    std::filesystem::remove(path(true), ignored);
    std::filesystem::remove(path(false), ignored);
  }
  std::string a_, b_;
};

/// One line for each thing that was told.
using told = std::vector<std::string>;

[[nodiscard]] inline std::string text_of(const tcpshm::sequence_mismatch& n) {
  std::string made;
  for (const auto one :
       {n.local_ack_seq, n.local_seq_start, n.local_seq_end, n.remote_ack_seq, n.remote_seq_start, n.remote_seq_end})
    made += " " + std::to_string(one);
  return made;
}

class noting_client : public tcpshm::client {
 public:
  using client::client;
  told notes;
  told messages;
  bool pops = true;
  std::int64_t now = 0;
  int ended_by = 0;  // the errno of the last connection's end
  std::function<void(const tcpshm::message&)> on_message;
  std::function<void()> on_success;
  std::vector<std::byte> answer_data;

  [[nodiscard]] std::error_code say(std::string_view text, std::uint16_t type = 1, bool more = false) {
    return say_on(get_connection(), text, type, more);
  }
  static std::error_code say_on(tcpshm::connection& on, std::string_view text, std::uint16_t type, bool more) {
    tcpshm::message_header* const to = on.alloc(text.size());
    if (to == nullptr) return to_std(errc::full);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(to->body()) % 8, 0u);
    to->msg_type = type;
    if (!text.empty()) std::memcpy(to->body(), text.data(), text.size());
    return more ? on.push_more() : on.push();
  }

 protected:
  void on_system_error(const std::string& what, int system_errno) override {
    notes.push_back("system error " + std::to_string(system_errno) + ": " + what);
  }
  void on_login_reject(const tcpshm::login_answer& answer) override {
    notes.push_back("rejected: " + answer.error_text);
  }
  std::int64_t on_login_success(const tcpshm::login_answer& answer) override {
    notes.push_back("success: " + answer.server_name);
    answer_data = answer.user_data;
    if (on_success) on_success();
    return now;
  }
  void on_seq_number_mismatch(const tcpshm::sequence_mismatch& numbers) override {
    notes.push_back("mismatch:" + text_of(numbers));
  }
  void on_server_msg(const tcpshm::message& m) override {
    EXPECT_EQ(m.size, m.body.size() + 8);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(m.body.data()) % 8, 0u);
    messages.push_back(std::to_string(m.msg_type) + " " + std::string(as_text(m.body)));
    if (pops) get_connection().pop();
    if (on_message) on_message(m);
  }
  void on_disconnected(const std::string& reason, int system_errno) override {
    notes.push_back("disconnected: " + reason);
    ended_by = system_errno;
  }
};

class noting_server : public tcpshm::server {
 public:
  using server::server;
  told notes;
  told messages;
  bool pops = true;
  bool echoes = false;
  int group = 0;
  int ended_by = 0;  // as the client's
  std::string refusal;
  std::string answer_data;
  std::vector<std::byte> login_data;
  std::map<std::string, tcpshm::connection*> members;

  [[nodiscard]] tcpshm::connection& member(const std::string& name) { return *members.at(name); }
  [[nodiscard]] std::error_code say(const std::string& to, std::string_view text, std::uint16_t type = 1) {
    return noting_client::say_on(member(to), text, type, false);
  }
  void poll(std::int64_t now) {
    poll_ctl(now);
    for (std::size_t i = 0; i < 2; ++i) {
      poll_tcp(now, i);
      poll_shm(i);
    }
  }

 protected:
  void on_system_error(const std::string& what, int system_errno) override {
    notes.push_back("system error " + std::to_string(system_errno) + ": " + what);
  }
  int on_new_connection(const tcpshm::login_request& login, tcpshm::login_answer& answer) override {
    notes.push_back("new: " + login.client_name + (login.use_shm ? " shm" : " tcp"));
    expect_address(login.address);
    login_data = login.user_data;
    answer.error_text = refusal;
    if (answer.user_data.size() < answer_data.size()) answer.user_data.resize(answer_data.size());
    if (!answer_data.empty()) std::memcpy(answer.user_data.data(), answer_data.data(), answer_data.size());
    return group;
  }
  void on_client_file_error(tcpshm::connection& conn, const std::string& reason, int system_errno) override {
    notes.push_back("file error of " + conn.remote_name() + " " + std::to_string(system_errno) + ": " + reason);
  }
  void on_seq_number_mismatch(tcpshm::connection& conn, const tcpshm::sequence_mismatch& numbers) override {
    notes.push_back("mismatch of " + conn.remote_name() + ":" + text_of(numbers));
  }
  void on_client_logon(const std::string& address, tcpshm::connection& conn) override {
    expect_address(address);
    notes.push_back("logon: " + conn.remote_name());
    members[conn.remote_name()] = &conn;
  }
  void on_client_disconnected(tcpshm::connection& conn, const std::string& reason, int system_errno) override {
    notes.push_back("disconnected " + conn.remote_name() + ": " + reason);
    ended_by = system_errno;
  }
  void on_client_msg(tcpshm::connection& conn, const tcpshm::message& m) override {
    const std::string text(as_text(m.body));
    if (echoes && conn.alloc(text.size()) == nullptr) return;  // no room for the answer: the message waits
    messages.push_back(std::to_string(m.msg_type) + " " + text);
    if (!pops) return;
    const auto type = m.msg_type;
    conn.pop();
    if (!echoes) return;
    EXPECT_FALSE(noting_client::say_on(conn, text, type, false));
  }

 private:
  static void expect_address(const std::string& address) {
    EXPECT_TRUE(address.starts_with("127.0.0.1:") || address.starts_with("pid ")) << address;
  }
};

/// Polls until done() is true, under a limit that only a hang can reach.
template <class Poll, class Predicate>
[[nodiscard]] ::testing::AssertionResult poll_until(Poll poll, Predicate done, std::string_view awaited) {
  const auto end = std::chrono::steady_clock::now() + k_patience;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return gave_up(awaited, k_patience);
    poll();
  }
  return ::testing::AssertionSuccess();
}

/// Both, in directories of their own, with a `now` that the test sets.
struct tcpshm_pair {
  explicit tcpshm_pair(const tcpshm::options& client_with = {}, const tcpshm::options& server_with = {})
      : client_options(client_with), server_options(server_with) {
    client_options.runtime_dir = server_options.runtime_dir = runtime.path().string();
    make_server();
    make_client();
  }
  void make_server() {
    server.reset();  // the files are locked while it lives
    server = std::make_unique<noting_server>(server_files.path().string(), server_name, server_options);
    ASSERT_TRUE(server->start("127.0.0.1", 0)) << server->notes.back();
  }
  void make_client() {
    client.reset();
    client = std::make_unique<noting_client>(client_files.path().string(), client_name, client_options);
  }
  void poll() {
    server->poll(now);
    client->now = now;
    client->poll_tcp(now);
    client->poll_shm();
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult until(Predicate done, std::string_view awaited) {
    return poll_until([this] { poll(); }, std::move(done), awaited);
  }
  /// @return whether the client is logged in
  [[nodiscard]] bool log_in(bool use_shm, bytes data = {}) {
    if (!client->start_connect(use_shm, "127.0.0.1", server->port(), data)) return false;
    EXPECT_TRUE(until([this] { return !client->connecting(); }, "an answer to the login"));
    return !client->get_connection().is_closed();
  }
  [[nodiscard]] tcpshm::connection& member() { return server->member(client_name); }

  temp_dir client_files, server_files, runtime;
  const std::string client_name = unique_name("c");
  const std::string server_name = unique_name("s");
  clean_rings rings{client_name, server_name};
  tcpshm::options client_options, server_options;
  std::int64_t now = 100;
  std::unique_ptr<noting_server> server;
  std::unique_ptr<noting_client> client;
};

}  // namespace ferry::test
