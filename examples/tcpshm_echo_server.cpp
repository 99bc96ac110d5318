// Answers every message of every client that logs in, and goes on where it was when it is killed and started again.
//
//   tcpshm_echo_server DIRECTORY NAME PORT [ferry]      0: any; it says which
//
// With `ferry` over Ferry's persistent sessions: then any channel with session=persistent may be the client.
#include <ferry/compat/tcpshm.hpp>

#include <chrono>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <thread>

namespace tcpshm = ferry::compat::tcpshm;

namespace {

std::int64_t seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class echo_server : public tcpshm::server {
 public:
  using server::server;

 protected:
  void on_system_error(const std::string& what, int) override { std::cerr << what << '\n'; }
  int on_new_connection(const tcpshm::login_request& login, tcpshm::login_answer&) override {
    std::cerr << login.client_name << " from " << login.address << '\n';
    return 0;  // the group; -1 refuses
  }
  void on_client_file_error(tcpshm::connection&, const std::string& why, int) override { std::cerr << why << '\n'; }
  void on_seq_number_mismatch(tcpshm::connection& conn, const tcpshm::sequence_mismatch&) override {
    std::cerr << conn.remote_name() << " has other numbers\n";
  }
  void on_client_logon(const std::string&, tcpshm::connection& conn) override {
    std::cerr << conn.remote_name() << " is here\n";
  }
  void on_client_disconnected(tcpshm::connection& conn, const std::string& why, int) override {
    std::cerr << conn.remote_name() << ": " << why << '\n';
  }

  void on_client_msg(tcpshm::connection& conn, const tcpshm::message& m) override {
    tcpshm::message_header* const answer = conn.alloc(m.body.size());
    if (answer == nullptr) return;  // no room: the message comes again with the next poll
    answer->msg_type = m.msg_type;
    if (!m.body.empty()) std::memcpy(answer->body(), m.body.data(), m.body.size());
    conn.pop();  // first: who dies in between answers once, or not at all, but never twice
    if (const auto failed = conn.push()) std::cerr << failed.message() << '\n';
  }
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4 && argc != 5) return std::cerr << "usage: tcpshm_echo_server DIRECTORY NAME PORT [ferry]\n", 2;
  auto with = tcpshm::options::seed_defaults();
  if (argc == 5) with.speaks = tcpshm::protocol::ferry;
  echo_server server(argv[1], argv[2], with);
  if (!server.start("127.0.0.1", static_cast<std::uint16_t>(std::stoi(argv[3])))) return 1;
  std::cout << "listening on " << server.port() << std::endl;
  for (;; std::this_thread::yield()) {  // one thread for all; each of the three may have its own
    server.poll_ctl(seconds());
    server.poll_tcp(seconds());
    server.poll_shm();
  }
} catch (const std::logic_error&) {  // what stoi() says would help nobody
  return std::cerr << "PORT must be a number\n", 2;
} catch (const std::exception& why) {
  std::cerr << why.what() << '\n';
  return 1;
}
