// Sessions that go from one event loop to another one, each on a thread of its own.
#include <ferry/listener.hpp>
#include <ferry/session.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <string>
#include <thread>
#include <utility>

#include "testing/meeting_places.hpp"
#include "testing/session_options.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

/// A listener with an event loop and a thread.
class answering_loop {
 public:
  answering_loop(const context& shares, const std::string& url, const options& with) : where_(io_, shares) {
    listening_ = listener::open(where_, url, with).value();
    listening_.on_channel([this](channel one) {
      arrivals += 1;
      bob_ = std::move(one);
      bob_.on_message([this](const message_view& m) { (void)bob_.try_send(std::string(m.text()) + " here"); });
      bob_.on_connect_failure([this](const error& why) { moved += why == errc::reset; });
      bob_.on_down([this](const down_info& down) { moved += !down.will_reconnect; });
    });
    thread_ = std::thread([this] { io_.run(); });
  }
  ~answering_loop() {
    boost::asio::post(io_, [this] {
      bob_ = {};
      listening_ = {};
      work_.reset();
    });
    thread_.join();
  }
  answering_loop(const answering_loop&) = delete;
  answering_loop& operator=(const answering_loop&) = delete;

  std::atomic<int> arrivals{0}, moved{0};

 private:
  boost::asio::io_context io_;
  context where_;
  listener listening_;
  channel bob_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ = boost::asio::make_work_guard(io_);
  std::thread thread_;
};

class sessions_on_two_threads : public ::testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] options settings(const char* as) const {
    options o = session_options(as, dir_);
    places_.equip(o);
    return o;
  }
  /// Alice asks at that endpoint, once whoever had her files has given them back.
  [[nodiscard]] std::string ask(const std::string& name, std::string_view question) {
    std::string answer;
    alice_ = {};
    EXPECT_TRUE(run_until(
        io_,
        [&] {
          auto opened = channel::open(where_, places_.url(name), settings("alice"));
          if (opened) alice_ = *opened;
          return opened.has_value();
        },
        "alice's files"));
    alice_.on_message([&answer](const message_view& m) { answer = m.text(); });
    EXPECT_TRUE(alice_.try_send(question));
    EXPECT_TRUE(run_until(
        io_, [&] { return !answer.empty(); }, "an answer"));
    alice_.on_message([](const message_view&) {});
    return answer;
  }

  temp_dir dir_;
  meeting_places places_{GetParam(), dir_};
  boost::asio::io_context io_;
  context where_{io_};
  channel alice_;
};

TEST_P(sessions_on_two_threads, move_to_where_the_peer_comes_back_and_lose_nothing) {
  constexpr int k_moves = 20;
  answering_loop first(where_, places_.url("first"), settings("bob"));
  answering_loop second(where_, places_.url("second"), settings("bob"));
  for (int i = 0; i < k_moves; ++i) {
    const std::string question = "question " + std::to_string(i);
    EXPECT_EQ(ask(i % 2 == 0 ? "first" : "second", question), question + " here");
  }
  // Who has lost a session is told by its own thread; and where both sides share memory, the one before may have
  // answered while the last one was still being welcomed.
  const auto all_told = [&] {
    return first.moved >= k_moves / 2 && second.moved >= k_moves / 2 - 1 && second.arrivals >= k_moves / 2;
  };
  EXPECT_TRUE(run_until(io_, all_told, "the word of every move"));
  EXPECT_EQ(first.arrivals, k_moves / 2);
  EXPECT_EQ(second.arrivals, k_moves / 2);
  EXPECT_EQ(first.moved, k_moves / 2);
  EXPECT_EQ(second.moved, k_moves / 2 - 1);
}

INSTANTIATE_TEST_SUITE_P(over, sessions_on_two_threads, ::testing::Values("shm", "ipc", "tcp", "tls"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ferry::test
