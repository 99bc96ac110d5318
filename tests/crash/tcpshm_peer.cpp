// One side of a numbered echo in tcpshm's shape, to be killed at any time and started again.
//
//   tcpshm_peer server DIR LOG NAME [ferry|disk]            answers every message; writes its port into the log
//   tcpshm_peer client DIR LOG NAME tcp|shm [ferry|disk]    sends numbers as fast as they are taken
//
// Over tcpshm's protocol, before either takes a message or sends one, it notes the number and how far its connection
// has come; so it knows, when it is started again, what it had done. With `ferry` it asks its connection alone, as to
// take a message and to answer it is one step there; with `disk` such steps wait for the disk, and a death may undo the
// last ones. LOG is a tcpshm_log.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "os/mapping.hpp"
#include "tests/crash/tcpshm_log.hpp"

namespace ferry::test {
namespace {

namespace tcpshm = compat::tcpshm;

std::int64_t milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct place {
  std::string directory, log, name;
  bool ferry = false;
  bool disk = false;
};

tcpshm::options small(const place& of, const tcpshm_log& log) {
  auto with = tcpshm::options::seed_defaults();
  if (of.ferry) with.speaks = tcpshm::protocol::ferry;
  if (of.disk) with.durable = tcpshm::durability::disk;
  with.ring_bytes = 4096;
  with.max_message = 512;
  with.runtime_dir = std::filesystem::path(of.log).parent_path().string();
  const auto patience = static_cast<std::int64_t>(log.patience != 0 ? log.patience.load() : 30'000);
  with.connection_timeout = patience;
  with.heartbeat_interval = 3;
  with.new_connection_timeout = patience;
  with.tcp_recv_initial = 512;
  return with;
}

// What both sides know of themselves.
class side {
 public:
  side(const place& of, tcpshm_log& log) : ferry_(of.ferry), disk_(of.disk), log_(&log) {}

 protected:
  void wrong(const std::string& what) const {
    if (log_->wrong.fetch_add(1) == 0) std::snprintf(log_->complaint, sizeof log_->complaint, "%s", what.c_str());
  }
  void check(const tcpshm::message& m, std::uint64_t wanted, const char* who) const {
    std::uint64_t number = ~std::uint64_t{0};
    if (m.body.size() >= 8) std::memcpy(&number, m.body.data(), 8);
    if (number != wanted || as_text(m.body) != tcpshm_body(wanted, log_->spread) || m.msg_type != tcpshm_type(wanted))
      wrong(std::string(who) + " got " + std::to_string(number) + " of " + std::to_string(m.body.size()) +
            " bytes, not " + std::to_string(wanted));
  }
  bool put(tcpshm::connection& to, std::uint64_t number) const {
    const std::string body = tcpshm_body(number, log_->spread);
    tcpshm::message_header* const at = to.alloc(body.size());
    if (at == nullptr) return false;
    at->msg_type = tcpshm_type(number);
    std::memcpy(at->body(), body.data(), body.size());
    return true;
  }
  const bool ferry_;
  const bool disk_;
  tcpshm_log* log_;
};

class echo_server : public tcpshm::server, private side {
 public:
  echo_server(const place& of, tcpshm_log& log) : server(of.directory, of.name, small(of, log)), side(of, log) {}
  [[noreturn]] void run() {
    if (!start("127.0.0.1", 0)) std::exit(1);
    log_->port = port();
    for (;; ::sched_yield()) {
      const auto now = milliseconds();
      poll_ctl(now);
      poll_tcp(now);
      poll_shm();
      if (owes_ && !owner_->is_closed()) pay();
    }
  }

 protected:
  void on_system_error(const std::string& what, int) override { wrong("server: " + what); }
  int on_new_connection(const tcpshm::login_request&, tcpshm::login_answer&) override { return 0; }
  void on_client_file_error(tcpshm::connection&, const std::string& reason, int) override { wrong(reason); }
  void on_seq_number_mismatch(tcpshm::connection&, const tcpshm::sequence_mismatch& n) override {
    if (log_->held_up != 0) {
      log_->stale += 1;
      return;
    }
    wrong("server: mismatch " + std::to_string(n.local_ack_seq) + " " + std::to_string(n.local_seq_start) + " " +
          std::to_string(n.local_seq_end) + ", " + std::to_string(n.remote_ack_seq) + " " +
          std::to_string(n.remote_seq_start) + " " + std::to_string(n.remote_seq_end));
  }
  void on_client_logon(const std::string&, tcpshm::connection& conn) override {
    if (std::exchange(known_, true)) return;
    owner_ = &conn;
    if (ferry_) {
      next_ = conn.where().popped;
      if (conn.where().pushed != next_)
        wrong("server: " + std::to_string(next_) + " taken, " + std::to_string(conn.where().pushed) + " answered");
      if (!disk_ && log_->served > next_) wrong("server: came back at " + std::to_string(next_));
    }
    if (ferry_ || log_->server.empty()) return;
    const auto last = log_->server.read();
    const auto now = conn.where();
    next_ = now.popped == last.popped ? last.number : last.number + 1;
    owes_ = now.popped != last.popped && now.pushed == last.pushed;
    owed_ = last.number;
  }
  void on_client_disconnected(tcpshm::connection&, const std::string& reason, int) override {
    if (reason.find("damaged") != std::string::npos) wrong("server: " + reason);
  }
  void on_client_msg(tcpshm::connection& conn, const tcpshm::message& m) override {
    if (owes_) return;
    check(m, next_, "server");
    if (!put(conn, next_)) return;  // no room for the answer: the message waits
    if (!ferry_) log_->server.write(next_, conn.where());
    conn.pop();
    if (conn.push()) wrong("server: refused");
    log_->served = ++next_;
  }

 private:
  // The answer to what was taken before the death.
  void pay() {
    if (!put(*owner_, owed_)) return;
    if (owner_->push()) wrong("server: refused");
    owes_ = false;
    log_->served = next_;
  }
  bool known_ = false;
  bool owes_ = false;
  std::uint64_t owed_ = 0;
  std::uint64_t next_ = 0;
  tcpshm::connection* owner_ = nullptr;
};

class echo_client : public tcpshm::client, private side {
 public:
  echo_client(const place& of, tcpshm_log& log) : client(of.directory, of.name, small(of, log)), side(of, log) {}
  [[noreturn]] void run(bool use_shm) {
    auto& conn = get_connection();
    for (;; ::sched_yield()) {
      const auto served = log_->port.load(), through = log_->through.load();
      const auto port = static_cast<std::uint16_t>(served != 0 && through != 0 ? through : served);
      if (conn.is_closed() && !connecting() && port != 0) (void)start_connect(use_shm, "127.0.0.1", port);
      poll_tcp(milliseconds());
      poll_shm();
      if (known_ && !conn.is_closed()) send_some(conn);
    }
  }

 protected:
  // The server is away, or was killed amid our login.
  void on_system_error(const std::string& what, int system_errno) override {
    if (log_->patience != 0 && system_errno == ETIMEDOUT) return;  // the network has swallowed it
    if (system_errno != ECONNREFUSED && system_errno != ECONNRESET && system_errno != EPIPE && system_errno != 0)
      wrong("client: " + what);
  }
  void on_login_reject(const tcpshm::login_answer& answer) override {
    // A server that has not noticed our death yet still has us.
    if (answer.error_text != "Already loggned on") wrong("client: rejected: " + answer.error_text);
  }
  std::int64_t on_login_success(const tcpshm::login_answer&) override {
    log_->logins += 1;
    if (!std::exchange(known_, true)) ferry_ ? ask_connection() : read_notes();
    return milliseconds();
  }
  void on_seq_number_mismatch(const tcpshm::sequence_mismatch& n) override {
    wrong("client: mismatch " + std::to_string(n.local_ack_seq) + " " + std::to_string(n.local_seq_start) + " " +
          std::to_string(n.local_seq_end) + ", " + std::to_string(n.remote_ack_seq) + " " +
          std::to_string(n.remote_seq_start) + " " + std::to_string(n.remote_seq_end));
  }
  void on_server_msg(const tcpshm::message& m) override {
    check(m, wanted_, "client");
    auto& conn = get_connection();
    if (!ferry_) log_->client_receives.write(wanted_, conn.where());
    conn.pop();
    log_->echoed = ++wanted_;
  }
  void on_disconnected(const std::string& reason, int) override {
    if (reason.find("damaged") != std::string::npos) wrong("client: " + reason);
  }

 private:
  void ask_connection() {
    next_ = get_connection().where().pushed;
    wanted_ = get_connection().where().popped;
    // The last one may have been counted here and not committed.
    if (!disk_ && log_->echoed > wanted_ + 1) wrong("client: came back at " + std::to_string(wanted_));
  }
  void read_notes() {
    const auto now = get_connection().where();
    const auto sent = log_->client_sends.read();
    if (!log_->client_sends.empty()) next_ = now.pushed == sent.pushed ? sent.number : sent.number + 1;
    const auto received = log_->client_receives.read();
    if (!log_->client_receives.empty()) wanted_ = now.popped == received.popped ? received.number : received.number + 1;
  }
  void send_some(tcpshm::connection& conn) {
    for (int i = 0; i < 8 && put(conn, next_); ++i) {
      if (!ferry_) log_->client_sends.write(next_, conn.where());
      if (i % 3 == 2 ? conn.push_more() : conn.push()) wrong("client: refused");
      next_ += 1;
    }
  }
  bool known_ = false;
  std::uint64_t next_ = 0;    // to send
  std::uint64_t wanted_ = 0;  // echo
};

int run(int count, char** argument) {
  const std::vector<std::string> all(argument, argument + count);
  const std::string role = count > 1 ? all[1] : "";
  const bool disk = all.back() == "disk";
  const bool ferry = disk || all.back() == "ferry";
  if (all.size() - ferry != (role == "server" ? 5u : 6u)) return 2;
  const place of{all[2], all[3], all[4], ferry, disk};
  const auto file = os::open_file(of.log, true);
  if (!file) return 1;
  const auto map = os::mapping::of(file->get(), k_tcpshm_log_bytes, true);
  if (!map) return 1;
  auto& log = *reinterpret_cast<tcpshm_log*>(map->data());
  if (role == "server") echo_server(of, log).run();
  if (role == "client") echo_client(of, log).run(all[5] == "shm");
  return 2;
}

}  // namespace
}  // namespace ferry::test

int main(int count, char** argument) { return ferry::test::run(count, argument); }
