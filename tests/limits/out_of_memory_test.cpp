// Memory that runs out, at every allocation in turn, while a peer is heard: what fails is its connection. The process
// and the other connections go on, and so do those who accept.
#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "net/accept_loop.hpp"
#include "net/timers.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"
#include "testing/tls_by_hand.hpp"
#include "testing/watchdog.hpp"
#include "testing/websocket_by_hand.hpp"
#include "tests/limits/counting_new.hpp"

namespace ferry::test {
namespace {

constexpr const char* k_request =
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What a client sends behind its upgrade; `ends`: and then the end of its stream.
struct said {
  const char* name;
  std::string wire;
  bool ends = false;
};
std::string frame(int first, std::string_view payload) { return websocket_frame(first, payload, plays::client); }
std::string many(const std::string& one, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += one;
  return all;
}
std::vector<said> everything() {
  return {{"a Close", frame(0x88, close_payload(1000, "that is all"))},
          {"reserved bits", frame(0xf1, "x")},
          {"no UTF-8", frame(0x81, "\xff")},
          {"a ping", frame(0x89, "are you there")},
          {"a flood of pings", many(frame(0x89, "x"), 1200)},
          {"a message", frame(0x81, "hello")},
          {"a message in fragments", frame(0x01, std::string(3000, 'a')) + frame(0x80, std::string(3000, 'b'))},
          {"half a frame", frame(0x82, std::string(3000, 'a')).substr(0, 1000)},
          {"half a frame and the end", frame(0x82, std::string(3000, 'a')).substr(0, 1000), true},
          {"nothing but the end", "", true}};
}

class out_of_memory : public ::testing::Test {
 protected:
  void begin(const std::string& url, const options& with = {}) {
    auto made = listener::open(where, url, with);
    ASSERT_TRUE(made) << made.error().text();
    listening = *made;
    listening.on_channel([this](channel arrived) {
      // No handler keeps its own channel: one that memory has failed at its end might keep its handlers.
      all.push_back(arrived);
      arrived.on_message([this, at = all.size() - 1](const message_view& m) { (void)all[at].try_send(m.payload); });
      come += 1;
      newest = arrived;
    });
    options trusting;
    if (!with.tls_certificate.empty()) trusting.tls_ca = with.tls_certificate + ".ca";
    healthy = channel::open(where, listening.url(), trusting).value();
    healthy.on_message([this](const message_view&) { ++echoes; });
    expect_echo("at first");
  }
  [[nodiscard]] std::uint16_t port() const {
    const std::string at = listening.url();
    return static_cast<std::uint16_t>(std::stoi(at.substr(at.find("127.0.0.1:") + 10)));
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }
  void expect_echo(const std::string& when) {
    const auto before = echoes;
    ASSERT_TRUE(healthy.try_send("still here"));
    ASSERT_TRUE(turn([&] { return echoes > before; }, "an echo to who is not concerned, " + when));
  }
  /// Turns while memory runs out. @return whether it did
  [[nodiscard]] bool turn_without(std::uint64_t allowed) {
    const memory_runs_out now(allowed);
    for (int i = 0; i < 10; ++i) {
      try {
        if (io.stopped()) io.restart();
        io.poll();
      } catch (const std::bad_alloc&) {  // which leaves the event loop, as anything that a handler throws
      }
    }
    return now.refused() != 0;
  }
  /// A client that says `one` when it is in.
  template <class Client>
  [[nodiscard]] bool survives(Client& client, const said& one, std::uint64_t allowed) {
    const auto before = come;
    client.send(k_request);
    EXPECT_TRUE(turn([&] { return come > before; }, "a client"));
    run_ready(io);
    if (!one.wire.empty()) client.send(one.wire);
    if (one.ends) client.hang_up();
    const bool ran_out = turn_without(allowed);
    client.hang_up();
    newest.cut();
    newest = {};
    expect_echo(std::string(one.name) + " after " + std::to_string(allowed) + " allocations");
    return ran_out;
  }

  temp_dir dir;
  boost::asio::io_context io;
  context where{io};
  listener listening;
  channel healthy, newest;
  std::vector<channel> all;  // that arrived
  std::size_t come = 0, echoes = 0;
};

/// raw_tcp, with the same words as raw_tls.
struct plain_client : raw_tcp {
  using raw_tcp::raw_tcp;
  void hang_up() { close(); }
};

TEST_F(out_of_memory, ends_a_websocket_and_nothing_else) {
  ASSERT_NO_FATAL_FAILURE(begin("ws://127.0.0.1:0/"));
  for (const auto& one : everything()) {
    bool ran_out = true;
    for (std::uint64_t allowed = 0; ran_out; ++allowed) {
      ASSERT_LT(allowed, 500u);
      plain_client client(port());
      ran_out = survives(client, one, allowed);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(out_of_memory, ends_a_websocket_over_tls_and_nothing_else) {
  tls_authority().issue(dir.file("host.pem"), {});
  options with;
  with.tls_certificate = dir.file("host.pem");
  ASSERT_NO_FATAL_FAILURE(begin("wss://127.0.0.1:0/", with));
  for (const auto& one : {said{"a Close", frame(0x88, close_payload(1000, "that is all"))},
                          said{"reserved bits", frame(0xf1, "x")}, said{"nothing but the end", "", true}}) {
    bool ran_out = true;
    for (std::uint64_t allowed = 0; ran_out; ++allowed) {
      ASSERT_LT(allowed, 500u);
      raw_tls client(port());
      ASSERT_TRUE(turn([&] { return client.shaken(); }, "the handshake"));
      ran_out = survives(client, one, allowed);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(out_of_memory, ends_a_handshake_and_nothing_else) {
  ASSERT_NO_FATAL_FAILURE(begin("ws://127.0.0.1:0/"));
  for (const std::string& asked : {std::string(k_request), std::string("GET / HTTP/1.1\r\n\r\n"),
                                   std::string("\x16\x03\x01"), std::string(9000, 'x')}) {
    bool ran_out = true;
    for (std::uint64_t allowed = 0; ran_out; ++allowed) {
      ASSERT_LT(allowed, 500u);
      plain_client client(port());
      client.send(asked);
      ran_out = turn_without(allowed);
      client.hang_up();
      expect_echo(asked.substr(0, 20) + " after " + std::to_string(allowed) + " allocations");
      plain_client next(port());
      const auto before = come;
      next.send(k_request);
      ASSERT_TRUE(turn([&] { return come > before; }, "the next one, after " + std::to_string(allowed)));
    }
  }
}

/// Where somebody arrives, or cannot, when a test says so. To wait there takes memory.
struct played_acceptor final : acceptor {
  struct play {
    result<std::shared_ptr<stream>> next = errc::would_block;
    std::size_t asked = 0;
    std::unique_ptr<std::function<void()>> ready;
    void tell() { (*std::exchange(ready, nullptr))(); }
  };
  explicit played_acceptor(play& with_) : with(with_) {}
  result<std::shared_ptr<stream>> try_accept() override {
    ++with.asked;
    return std::exchange(with.next, errc::would_block);
  }
  void async_wait(std::function<void()> ready) override {
    with.ready = std::make_unique<std::function<void()>>(std::move(ready));
  }
  void close() noexcept override { with.ready = nullptr; }
  [[nodiscard]] std::string local_url() const override { return "played://"; }
  play& with;
};

/// @param begin  has somebody accept at the place that it is given; what it returns keeps that
template <class Begin>
void expect_that_it_hears_again(const Begin& begin) {
  for (const errc next : {errc::busy, errc::would_block, errc::auth}) {
    bool ran_out = true;
    for (std::uint64_t allowed = 0; ran_out; ++allowed) {
      SCOPED_TRACE(to_string(next));
      SCOPED_TRACE(allowed);
      ASSERT_LT(allowed, 100u);
      boost::asio::io_context io;
      played_acceptor::play at;
      const auto kept = begin(io, std::make_unique<played_acceptor>(at));
      at.next = next;
      {
        const memory_runs_out now(allowed);
        try {
          at.tell();
        } catch (const std::bad_alloc&) {  // which leaves the event loop
        }
        ran_out = now.refused() != 0;
      }
      ASSERT_TRUE(run_until(
          io, [&] { return at.ready != nullptr; }, "it waits again"));
      const auto asked = at.asked;
      at.tell();
      ASSERT_GT(at.asked, asked);
    }
  }
}

TEST(no_memory_to_wait_for_arrivals, leaves_a_listener_that_hears_a_while_later) {
  struct both {
    explicit both(boost::asio::io_context& io) : where(io) {}
    context where;
    listener at;
  };
  expect_that_it_hears_again([](boost::asio::io_context& io, std::unique_ptr<acceptor> from) {
    auto made = std::make_unique<both>(io);
    made->at = listener::on(made->where, std::move(from));
    made->at.on_channel([](const channel&) {});
    return made;
  });
}

TEST(no_memory_to_wait_for_arrivals, leaves_doors_that_hear_a_while_later) {
  expect_that_it_hears_again([](boost::asio::io_context& io, std::unique_ptr<acceptor> from) {
    auto made = std::make_unique<net::accept_loop>(
        io, net::accept_loop::handlers{[](const std::shared_ptr<stream>&) {},
                                       [](const error& why) { (void)why.in("told").text(); }});
    made->start(std::move(from));
    return made;
  });
}

struct kept_timer final : net::timers::kept_entry {
  kept_timer(boost::asio::io_context& io, int& calls_) : kept_entry(io), calls(calls_) {}
  void on_time() override { ++calls; }
  int& calls;
};
struct other_timer final : net::timers::entry {
  explicit other_timer(boost::asio::io_context& io_) : io(io_) {}
  ~other_timer() override { cancel_timer(io); }
  other_timer(const other_timer&) = delete;
  other_timer& operator=(const other_timer&) = delete;
  void on_time() override {}
  boost::asio::io_context& io;
};

TEST(timers_that_keep_their_places, are_set_without_memory_however_many_others_are) {
  const auto far = std::chrono::steady_clock::now() + std::chrono::hours(1);
  for (std::size_t others = 0; others < 70; ++others) {
    boost::asio::io_context io;
    int calls = 0;
    kept_timer first(io, calls);
    std::vector<std::unique_ptr<other_timer>> all;
    kept_timer second(io, calls);
    for (std::size_t i = 0; i < others; ++i) {
      all.push_back(std::make_unique<other_timer>(io));
      all.back()->set_timer(io, far);
    }
    {
      kept_timer gone(io, calls);
      gone.set_timer(far);
    }
    kept_timer third(io, calls);
    {
      const memory_runs_out now(0);
      for (auto* one : {&first, &second, &third}) {
        one->set_timer(far);
        one->cancel_timer();
        one->set_timer({});
      }
      for (int i = 0; i < 10; ++i) io.poll();
      EXPECT_EQ(now.refused(), 0u);
    }
    ASSERT_EQ(calls, 3) << others << " others";
  }
}

TEST(no_memory_to_let_somebody_in, leaves_a_listener_that_lets_in_the_next_one) {
  const temp_dir dir;
  options with;
  with.runtime_dir = dir.path();
  for (const auto& url : {"ipc://" + dir.file("s"), std::string("shm://s")}) {
    SCOPED_TRACE(url);
    boost::asio::io_context io;
    context where(io);
    listener listening = listener::open(where, url, with).value();
    std::vector<channel> come;
    listening.on_channel([&](channel one) { come.push_back(std::move(one)); });
    const auto client = [&, &at = url] { return channel::open(where, at, with).value(); };
    bool ran_out = true;
    for (std::uint64_t allowed = 0; ran_out; ++allowed) {
      ASSERT_LT(allowed, 1000u);
      channel lost = client();
      {
        const memory_runs_out now(allowed);
        for (int i = 0; i < 20; ++i) {
          try {
            io.poll();
          } catch (const std::bad_alloc&) {  // which leaves the event loop
          }
        }
        ran_out = now.refused() != 0;
      }
      lost.cut();
      come.clear();
      channel next = client();
      ASSERT_TRUE(run_until(
          io, [&] { return next.state() == channel_state::up && !come.empty(); }, "the next one"))
          << allowed;
      next.cut();
    }
  }
}

}  // namespace
}  // namespace ferry::test
