// Sends numbers to tcpshm_echo_server and counts the answers. What was on its way when either of them was killed comes
// after the next login.
//
//   tcpshm_echo_client DIRECTORY NAME PORT tcp|shm COUNT [ferry]
//
// With `ferry` over Ferry's persistent sessions, as the server.
#include <ferry/compat/tcpshm.hpp>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace tcpshm = ferry::compat::tcpshm;

namespace {

constexpr std::uint16_t k_number = 1;  // our only type of message

std::int64_t seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class echo_client : public tcpshm::client {
 public:
  using client::client;
  std::uint64_t answers = 0;

  bool send(std::uint64_t number) {
    tcpshm::message_header* const to = get_connection().alloc(sizeof number);
    if (to == nullptr) return false;  // full: the server has not kept up
    to->msg_type = k_number;
    *to->body_as<std::uint64_t>() = number;
    return !get_connection().push();
  }

 protected:
  void on_system_error(const std::string& what, int) override { std::cerr << what << '\n'; }
  void on_login_reject(const tcpshm::login_answer& answer) override { std::cerr << answer.error_text << '\n'; }
  std::int64_t on_login_success(const tcpshm::login_answer&) override { return seconds(); }
  void on_seq_number_mismatch(const tcpshm::sequence_mismatch&) override { std::cerr << "other numbers\n"; }
  void on_server_msg(const tcpshm::message&) override {
    answers += 1;
    get_connection().pop();
  }
  void on_disconnected(const std::string& why, int) override { std::cerr << why << '\n'; }
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 6 && argc != 7)
    return std::cerr << "usage: tcpshm_echo_client DIRECTORY NAME PORT tcp|shm COUNT [ferry]\n", 2;
  const bool use_shm = std::string_view(argv[4]) == "shm";
  const std::uint64_t count = std::stoull(argv[5]);
  auto with = tcpshm::options::seed_defaults();
  if (argc == 7) with.speaks = tcpshm::protocol::ferry;
  echo_client client(argv[1], argv[2], with);
  if (!client.connect(use_shm, "127.0.0.1", static_cast<std::uint16_t>(std::stoi(argv[3])))) return 1;
  for (std::uint64_t sent = 0; client.answers < count && !client.get_connection().is_closed();) {
    if (sent < count && client.send(sent)) sent += 1;
    client.poll_tcp(seconds());
    if (use_shm) client.poll_shm();
    std::this_thread::yield();
  }
  std::cout << client.answers << " answers\n";
  return client.answers == count ? 0 : 1;
} catch (const std::logic_error&) {  // what stoi() says would help nobody
  return std::cerr << "PORT and COUNT must be numbers\n", 2;
} catch (const std::exception& why) {
  std::cerr << why.what() << '\n';
  return 1;
}
