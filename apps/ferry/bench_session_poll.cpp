// Sessions that are polled against rings that are polled, in the same two processes.
#include <ferry/compat/tcpshm.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <vector>

#include "apps/ferry/bench_ring_ends.hpp"
#include "bench/statistics.hpp"

namespace ferry::app {
namespace {

namespace tcpshm = compat::tcpshm;

[[noreturn]] void fail_with(const std::string& what, int system_errno) {
  throw failure(errc::network, system_errno, what);
}

tcpshm::options over_sessions(const std::string& url, const options& with) {
  tcpshm::options made;
  made.speaks = tcpshm::protocol::ferry;
  made.ring_bytes = with.ring_bytes;
  made.runtime_dir = with.runtime_dir;
  made.shm_endpoint = url.substr(url.rfind('/') + 1) + "-session";
  made.connection_timeout = 1'000'000;
  return made;
}

/// Each connection has a session of its own, in which nothing is left of an earlier one.
std::string files_of(const std::string& url, const options& with, const char* side) {
  const std::string all = with.dir + url.substr(url.rfind('/'));
  std::filesystem::create_directories(all);
  return all + "/" + side;
}

class asking_session : public tcpshm::client {
 public:
  asking_session(const std::string& url, const options& with)
      : client(files_of(url, with, "asking"), "asking", over_sessions(url, with)) {
    // The other side may not listen yet.
    const auto until = bench::now_ns() + std::chrono::nanoseconds(std::chrono::seconds(10)).count();
    while (!connect(true, {}, 0))
      if (bench::now_ns() > until) fail_with("no session: " + last_, 0);
  }
  [[nodiscard]] tcpshm::connection& link() noexcept { return get_connection(); }

 protected:
  void on_system_error(const std::string& what, int) override { last_ = what; }
  void on_login_reject(const tcpshm::login_answer& answer) override { last_ = answer.error_text; }
  std::int64_t on_login_success(const tcpshm::login_answer&) override { return 0; }
  void on_seq_number_mismatch(const tcpshm::sequence_mismatch&) override { last_ = "numbers do not fit"; }
  void on_server_msg(const tcpshm::message&) override {}
  void on_disconnected(const std::string& reason, int system_errno) override { fail_with(reason, system_errno); }

 private:
  std::string last_;
};

class answering_session : public tcpshm::server {
 public:
  answering_session(const std::string& url, const options& with)
      : server(files_of(url, with, "answering"), "answering", over_sessions(url, with)) {
    if (!start("127.0.0.1", 0)) fail_with("cannot listen", 0);
    while (link_ == nullptr || link_->is_closed()) {
      poll_ctl(0);
      poll_shm();
    }
  }
  [[nodiscard]] tcpshm::connection& link() noexcept { return *link_; }

 protected:
  void on_system_error(const std::string& what, int system_errno) override { fail_with(what, system_errno); }
  int on_new_connection(const tcpshm::login_request&, tcpshm::login_answer&) override { return 0; }
  void on_client_file_error(tcpshm::connection&, const std::string& what, int system_errno) override {
    fail_with(what, system_errno);
  }
  void on_seq_number_mismatch(tcpshm::connection&, const tcpshm::sequence_mismatch&) override {
    fail_with("numbers do not fit", 0);
  }
  void on_client_logon(const std::string&, tcpshm::connection& one) override { link_ = &one; }
  void on_client_disconnected(tcpshm::connection&, const std::string&, int) override {}
  void on_client_msg(tcpshm::connection&, const tcpshm::message&) override {}

 private:
  tcpshm::connection* link_ = nullptr;
};

[[noreturn]] void gone() { throw failure(errc::reset, 0, "the other side is gone"); }

void send(ring_connection& link, bytes m) {
  if (!link.try_push(m)) gone();  // with one message under way there is room
}
/// @return bits that differ
std::uint64_t receive(ring_connection& link, std::uint64_t n, std::uint64_t what = 0) {
  ring_record record;
  while (!(record = link.front())) link.pause();
  const auto wrong = prepared_messages::difference(record.body(), n, what);
  link.pop();
  return wrong;
}

void send(tcpshm::connection& link, bytes m) {
  tcpshm::message_header* const to = link.alloc(m.size());
  if (to == nullptr) gone();
  to->msg_type = 1;
  std::memcpy(to->body(), m.data(), m.size());
  if (link.push()) gone();
}
std::uint64_t receive(tcpshm::connection& link, std::uint64_t n, std::uint64_t what = 0) {
  // A look takes a while itself: a pause after each is too much.
  constexpr int k_looks_per_pause = 3;
  const tcpshm::message* found = nullptr;
  for (int looks = 1; (found = link.front()) == nullptr; ++looks)
    if (looks % k_looks_per_pause == 0) ring_pause();
  const auto wrong = prepared_messages::difference(found->body, n, what);
  link.pop();
  return wrong;
}

template <class Session>
class both_ways {
 public:
  both_ways(const std::string& url, const ring_plan& plan, ring_board& board, bool asks)
      : plan_(plan),
        board_(board),
        plain_(url + "-poll", plan.with, !asks),
        session_(url, plan.with),
        side_(board.steps, asks) {}

  void ask() {
    for (int round = 0; round < plan_.rounds; ++round) {
      std::vector<double> plain, session;
      for (int i = 0; i < k_trains; ++i) {
        plain.push_back(asked(plain_.link()));
        session.push_back(asked(session_.link()));
      }
      board_.other[static_cast<std::size_t>(round)] = bench::median(plain);
      board_.ring[static_cast<std::size_t>(round)] = bench::median(session);
    }
    finish();
  }
  void answer() {
    for (int i = 0; i < plan_.rounds * k_trains; ++i) {
      answered(plain_.link());
      answered(session_.link());
    }
    finish();
  }

 private:
  template <class Link>
  double asked(Link& link) {
    side_.meet();
    const auto began = bench::now_ns();
    for (std::uint64_t i = 0; i < k_train; ++i) {
      send(link, questions_[i]);
      wrong_ |= receive(link, i, k_answer);
    }
    return static_cast<double>(bench::now_ns() - began) / k_train;
  }
  template <class Link>
  void answered(Link& link) {
    side_.meet();
    for (std::uint64_t i = 0; i < k_train; ++i) {
      wrong_ |= receive(link, i);
      send(link, answers_[i]);
    }
  }
  void finish() {
    board_.wrong |= wrong_;
    side_.meet();
  }

  const ring_plan& plan_;
  ring_board& board_;
  poll_end plain_;
  Session session_;
  bench::partner side_;
  const prepared_messages questions_, answers_{k_answer};
  std::uint64_t wrong_ = 0;
};

}  // namespace

result<bench::ring_comparison> measure_session_poll_round_trip(const ring_plan& plan) {
  return compare_ring_sides(
      plan,
      [&plan](bench::child& me, const std::string& url, ring_board& board) {
        both_ways<asking_session> one(url, plan, board, true);
        me.rendezvous();
        one.ask();
      },
      [&plan](bench::child& me, const std::string& url, ring_board& board) {
        both_ways<answering_session> one(url, plan, board, false);
        me.rendezvous();
        one.answer();
      });
}

}  // namespace ferry::app
