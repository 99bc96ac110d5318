// Members over streams that outlive their connections.
#include "gateway/resumable.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "gateway/gateway.hpp"
#include "gateway/pages.hpp"
#include "session/snet_handshake.hpp"
#include "testing/gateway_by_hand.hpp"
#include "testing/kept_log.hpp"

namespace ferry::gateway {
namespace {

using codec::gateway::command;
using codec::snet::form;
using test::packet;
using test::port_of;
using test::raw_tcp;
using test::run_until;
using test::wire;
using peer = test::gateway_peer;

// A client of a resumable stream, whose connection the test cuts.
class resuming_client {
 public:
  resuming_client(boost::asio::io_context& io, std::uint16_t port, const session::snet_options& with)
      : io_(io), port_(port), with_(with) {}

  // @param late  said on the old connection once the gateway has told what it received
  // @return what the handshake has come to
  error connect(std::string_view late = {}) {
    if (socket_) old_.emplace(std::move(*socket_));  // the gateway does not see an end of it
    socket_.emplace(port_);
    auto machine = core_ ? session::snet_connecting(with_, *core_) : session::snet_connecting(with_, 0x1234567);
    socket_->send(as_text(machine.begin().view()));
    error wrong;
    bool done = false;
    EXPECT_TRUE(run_until(
        io_,
        [&] {
          const auto& came = socket_->received();
          const auto step = machine.on_bytes(as_bytes(came));
          if (!step) wrong = step.error();
          if (!step || socket_->ended()) {
            if (step && step->consumed == 0) wrong = errc::end_of_stream;
            if (!step || step->consumed == 0) return true;
          }
          done = step->done;
          if (done) {
            (void)socket_->take(step->consumed);
            if (old_ && !late.empty()) {
              (void)old_->try_send(late);
              test::run_ready(io_);
            }
            if (step->send.size != 0) socket_->send(as_text(step->send.view()));
          }
          return done;
        },
        "the handshake"));
    if (!done) return wrong;
    if (!core_)
      core_ = machine.take();
    else
      for (const bytes part : {machine.replay().first, machine.replay().second}) socket_->send(as_text(part));
    return {};
  }
  void cut() {
    socket_.reset();
    old_.reset();
  }
  void send(std::string_view plain) {
    std::string on_wire(plain);
    core_->write(as_bytes(plain), std::as_writable_bytes(std::span(on_wire)));
    if (socket_) socket_->send(on_wire);
  }
  // What has come so far, of which nothing was taken; at most so many bytes more.
  std::string& received(std::size_t most = std::string::npos) {
    if (!socket_) return plain_;
    (void)socket_->received();
    auto came = socket_->take(most);
    core_->receive(std::as_writable_bytes(std::span(came)));
    return plain_ += came;
  }
  [[nodiscard]] std::string next(std::size_t size) {
    EXPECT_TRUE(run_until(
        io_, [&] { return received().size() >= size; }, "bytes"));
    auto made = plain_.substr(0, size);
    plain_.erase(0, size);
    return made;
  }
  void expect_ping() {
    send(wire(command::ping()));
    EXPECT_EQ(next(9), wire(command::ping()));
  }
  [[nodiscard]] bool is_cut() { return !socket_ || socket_->ended(); }
  session::snet_stream& core() { return *core_; }

 private:
  boost::asio::io_context& io_;
  std::uint16_t port_;
  session::snet_options with_;
  std::unique_ptr<session::snet_stream> core_;
  std::optional<raw_tcp> socket_, old_;
  std::string plain_;
};

class gateway_resumable : public test::gateway_service_on_threads {
 protected:
  void open_resumable(settings with = {}) {
    with.clients.resume.kind = resume_kind::snet;
    open(with);  // these clients are on the first thread, their servers anywhere
  }
  resuming_client client_of(const session::snet_options& with = {}) {
    return resuming_client(io, port_of(it->client_url()), with);
  }
  void expect_broken(std::uint64_t count) {
    EXPECT_TRUE(run_until(
        io, [&] { return it->stats().resumable.broken == count; }, "the gateway to see the cut"));
  }
};
INSTANTIATE_TEST_SUITE_P(on_threads, gateway_resumable, ::testing::Values(1u, 3u),
                         [](const auto& one) { return std::to_string(one.param); });

TEST_P(gateway_resumable, client_goes_on_where_it_was_after_many_cuts_in_either_form) {
  for (const auto as : {form::newer, form::older})
    for (const bool encrypt : {false, true}) {
      settings with;
      with.clients.resume.stream = {as, encrypt, 1u << 20};
      open_resumable(with);
      peer& s = server(7);
      auto c = client_of(with.clients.resume.stream);
      ASSERT_EQ(c.connect().reason(), errc{});
      c.send(wire(command::dial(7)));
      EXPECT_EQ(c.next(17), wire(command::accept(1, 7)));
      EXPECT_EQ(s.next_command(), command::connect(1, 1));
      std::minstd_rand chance(4711);
      std::string expected;
      for (int round = 0; round < 60; ++round) {
        const auto up = packet(1, std::string(chance() % 3000, static_cast<char>('a' + round % 26)));
        const auto down = packet(1, std::string(chance() % 3000, static_cast<char>('A' + round % 26)));
        c.send(up);
        s.send(down);
        expected += down;
        for (int turn = 0; turn < 2; ++turn) test::run_ready(io);
        (void)c.received(chance() % 2000);
        c.cut();
        ASSERT_TRUE(run_until(
            io, [&] { return c.connect().reason() == errc{}; }, "another connection"));
        EXPECT_EQ(s.next(), up) << round;
      }
      EXPECT_TRUE(c.next(expected.size()) == expected);
      EXPECT_GE(it->stats().resumable.resumed, 60u);
      EXPECT_EQ(it->stats().clients, 1u);
    }
}

TEST_P(gateway_resumable, client_that_is_away_is_sent_what_came_meanwhile_and_its_idle_time_waits) {
  open_resumable();
  peer& s = server(7);
  auto c = client_of();
  ASSERT_EQ(c.connect().reason(), errc{});
  c.send(wire(command::dial(7)));
  EXPECT_EQ(c.next(17), wire(command::accept(1, 7)));
  EXPECT_EQ(s.next_command(), command::connect(1, 1));
  c.cut();
  expect_broken(1);
  settings hasty = test::local();
  hasty.threads = GetParam();
  hasty.clients.idle_timeout = std::chrono::milliseconds(500);
  it->change(hasty);
  s.send(packet(1, "while you were away"));
  const auto later = std::chrono::steady_clock::now() + 2 * hasty.clients.idle_timeout;
  ASSERT_TRUE(run_until(
      io, [&] { return std::chrono::steady_clock::now() > later; }, "some time"));
  EXPECT_EQ(it->stats().idle, 0u);
  ASSERT_EQ(c.connect().reason(), errc{});
  EXPECT_EQ(c.next(27), packet(1, "while you were away"));
}

TEST_P(gateway_resumable, client_that_comes_again_may_be_silent_for_the_whole_idle_time) {
  constexpr auto k_idle = std::chrono::milliseconds(300);
  open_resumable();
  auto c = client_of();
  ASSERT_EQ(c.connect().reason(), errc{});
  const auto later = std::chrono::steady_clock::now() + k_idle;
  ASSERT_TRUE(run_until(
      io, [&] { return std::chrono::steady_clock::now() > later; }, "some time"));
  c.cut();
  const auto again = std::chrono::steady_clock::now();
  ASSERT_EQ(c.connect().reason(), errc{});
  settings hasty = test::local();
  hasty.threads = GetParam();
  hasty.clients.idle_timeout = k_idle;
  it->change(hasty);
  ASSERT_TRUE(run_until(
      io, [&] { return it->stats().idle == 1; }, "the end of its silence"));
  EXPECT_GE(std::chrono::steady_clock::now() - again, k_idle);
}

TEST_P(gateway_resumable, clients_that_are_all_cut_at_once_come_again_and_each_gets_what_is_its_own) {
  open_resumable();
  peer& s = server(7);
  std::deque<resuming_client> all;
  constexpr std::uint32_t k_clients = 30;
  for (std::uint32_t i = 1; i <= k_clients; ++i) {
    auto& c = all.emplace_back(client_of());
    ASSERT_EQ(c.connect().reason(), errc{});
    c.send(wire(command::dial(7)));
    EXPECT_EQ(c.next(17), wire(command::accept(i, 7)));
    EXPECT_EQ(s.next_command(), command::connect(i, i));
  }
  for (int round = 0; round < 2; ++round) {
    for (auto& c : all) c.cut();
    for (std::uint32_t i = 1; i <= k_clients; ++i) s.send(packet(i, "for " + std::to_string(i)));
    for (auto& c : all) ASSERT_EQ(c.connect().reason(), errc{});
    for (std::uint32_t i = 1; i <= k_clients; ++i) {
      const auto expected = packet(i, "for " + std::to_string(i));
      EXPECT_EQ(all[i - 1].next(expected.size()), expected);
      all[i - 1].send(packet(i, "from " + std::to_string(i)));
      EXPECT_EQ(s.next(), packet(i, "from " + std::to_string(i)));
    }
  }
  EXPECT_EQ(it->stats().clients, k_clients);
  EXPECT_EQ(it->stats().resumable.resumed, 2 * k_clients);
}

TEST_P(gateway_resumable, client_that_does_not_come_again_in_time_has_left) {
  settings with;
  with.clients.resume.wait = std::chrono::milliseconds(30);
  open_resumable(with);
  peer& s = server(7);
  auto c = client_of();
  ASSERT_EQ(c.connect().reason(), errc{});
  c.send(wire(command::dial(7)));
  EXPECT_EQ(c.next(17), wire(command::accept(1, 7)));
  EXPECT_EQ(s.next_command(), command::connect(1, 1));
  c.cut();
  EXPECT_EQ(s.next_command(), command::close(1));
  EXPECT_EQ(it->stats().resumable.given_up, 1u);
  EXPECT_EQ(c.connect(), errc::refused);
}

TEST_P(gateway_resumable, client_takes_over_from_its_own_half_open_connection) {
  open_resumable();
  auto c = client_of();
  ASSERT_EQ(c.connect().reason(), errc{});
  c.expect_ping();
  ASSERT_EQ(c.connect().reason(), errc{});
  c.expect_ping();
  ASSERT_EQ(c.connect(wire(command::ping())).reason(), errc{});  // from then on nothing is taken from the old one
  c.expect_ping();
  EXPECT_EQ(it->stats().clients, 1u);
}

TEST_P(gateway_resumable, client_whose_redial_is_heard_before_its_proof_over_the_connection_before_goes_on) {
  open_resumable();
  auto c = client_of();
  ASSERT_EQ(c.connect().reason(), errc{});
  c.expect_ping();
  const auto port = port_of(it->client_url());
  const auto answer_of = [&](raw_tcp& on) {
    EXPECT_TRUE(run_until(
        io, [&] { return on.received().size() >= codec::snet::answer_bytes(form::newer); }, "an answer"));
    return on.take(codec::snet::answer_bytes(form::newer));
  };
  raw_tcp first(port);
  session::snet_connecting before({}, c.core());
  first.send(as_text(before.begin().view()));
  const auto proof = before.on_bytes(as_bytes(answer_of(first)));
  ASSERT_TRUE(proof);
  c.cut();
  c.send(wire(command::ping()));  // over the first, behind the proof
  raw_tcp second(port);
  session::snet_connecting again({}, c.core());
  second.send(as_text(again.begin().view()));
  const auto next = again.on_bytes(as_bytes(answer_of(second)));
  ASSERT_TRUE(next);
  first.send(std::string(as_text(proof->send.view())) + wire(command::ping()));
  ASSERT_TRUE(run_until(
      io, [&] { return first.ended() || !first.received().empty(); }, "what becomes of the first"));
  EXPECT_TRUE(first.received().empty());
  second.send(std::string(as_text(next->send.view())) + std::string(as_text(again.replay().first)));
  ASSERT_TRUE(run_until(
      io, [&] { return second.ended() || second.received().size() >= 9; }, "the ping"));
  EXPECT_EQ(second.received(), wire(command::ping()));
  EXPECT_EQ(it->stats().clients, 1u);
}

TEST_P(gateway_resumable, stream_goes_on_where_somebody_says_again_how_it_was_resumed_before) {
  for (const auto as : {form::newer, form::older}) {
    settings with;
    with.clients.resume.stream.form = as;
    open_resumable(with);
    auto c = client_of(with.clients.resume.stream);
    ASSERT_EQ(c.connect().reason(), errc{});
    const auto recorded = encode_again(c.core().id(), c.core().counts(), c.core().key(), as);
    c.cut();
    ASSERT_TRUE(run_until(
        io, [&] { return c.connect().reason() == errc{}; }, "another connection"));
    c.expect_ping();
    const auto broken = it->stats().resumable.broken;
    raw_tcp thief(port_of(it->client_url()));
    thief.send(as_text(recorded.view()));
    EXPECT_TRUE(run_until(
        io, [&] { return thief.ended(); }, "the end"));
    EXPECT_EQ(thief.received(), as == form::newer ? std::string(24, '\0') : "");
    c.expect_ping();
    EXPECT_EQ(it->stats().resumable.broken, broken);
  }
}

TEST_P(gateway_resumable, stream_comes_back_to_its_client_where_somebody_says_again_how_it_was_resumed_last) {
  for (const auto as : {form::newer, form::older}) {
    settings with;
    with.clients.resume.stream.form = as;
    open_resumable(with);
    auto c = client_of(with.clients.resume.stream);
    ASSERT_EQ(c.connect().reason(), errc{});
    c.expect_ping();
    ASSERT_EQ(c.connect().reason(), errc{});
    const auto recorded = encode_again(c.core().id(), c.core().counts(), c.core().key(), as);
    raw_tcp thief(port_of(it->client_url()));
    thief.send(as_text(recorded.view()));
    // Nothing has been said since, so this may be the client.
    ASSERT_TRUE(run_until(
        io, [&] { return c.is_cut(); }, "the end of its connection"));
    ASSERT_EQ(c.connect().reason(), errc{});
    c.expect_ping();
    EXPECT_TRUE(run_until(
        io, [&] { return thief.ended(); }, "the end of the other one"));
    c.expect_ping();
    EXPECT_EQ(it->stats().clients, 1u);
  }
}

TEST_P(gateway_resumable, streams_are_not_given_to_who_has_not_their_key_or_forges_counts) {
  open_resumable();
  auto c = client_of();
  ASSERT_EQ(c.connect().reason(), errc{});
  c.expect_ping();
  const auto port = port_of(it->client_url());
  const auto answer_to = [&](const codec::snet::message& said) {
    raw_tcp thief(port);
    thief.send(as_text(said.view()));
    EXPECT_TRUE(run_until(
        io, [&] { return thief.ended(); }, "the end"));
    return thief.received();
  };
  auto stolen = c.core().key();
  stolen[0] ^= std::byte{1};
  const codec::snet::counts good{9, 9};
  EXPECT_EQ(answer_to(encode_again(c.core().id(), good, stolen, form::newer)), std::string(24, '\0'));
  EXPECT_EQ(answer_to(encode_again(c.core().id() + 1, good, c.core().key(), form::newer)), std::string(24, '\0'));
  c.expect_ping();  // has noticed nothing
  EXPECT_EQ(it->stats().resumable.broken, 0u);
  // With the right key, numbers that cannot be: that stream is dead, and no other.
  auto other = client_of();
  ASSERT_EQ(other.connect().reason(), errc{});
  other.expect_ping();
  EXPECT_EQ(answer_to(encode_again(c.core().id(), {1, 1000}, c.core().key(), form::newer)), std::string(24, '\0'));
  EXPECT_TRUE(run_until(
      io, [&] { return c.is_cut() && it->stats().clients == 1; }, "the end of the stream"));
  other.expect_ping();
}

TEST_P(gateway_resumable, client_that_lacks_more_than_the_history_holds_is_refused) {
  settings with;
  with.clients.resume.stream.history_bytes = with.clients.resume.stream.history_limit = 1000;
  open_resumable(with);
  peer& s = server(7);
  auto c = client_of(with.clients.resume.stream);
  ASSERT_EQ(c.connect().reason(), errc{});
  c.send(wire(command::dial(7)));
  EXPECT_EQ(c.next(17), wire(command::accept(1, 7)));
  EXPECT_EQ(s.next_command(), command::connect(1, 1));
  s.send(packet(1, std::string(5000, 'x')));
  ASSERT_TRUE(run_until(
      io, [&] { return it->stats().forwarded == 1; }, "the packet to be forwarded"));
  test::run_ready(io);
  c.cut();
  EXPECT_EQ(c.connect(), errc::refused);
  EXPECT_EQ(s.next_command(), command::close(1));
}

TEST_P(gateway_resumable, history_grows_no_further_than_all_of_them_may) {
  settings with;
  with.clients.resume.stream.history_bytes = 1000;
  with.history_memory = 50'000;
  open_resumable(with);
  peer& s = server(7);
  auto c = client_of(with.clients.resume.stream);
  ASSERT_EQ(c.connect().reason(), errc{});
  c.send(wire(command::dial(7)));
  EXPECT_EQ(c.next(17), wire(command::accept(1, 7)));
  EXPECT_EQ(s.next_command(), command::connect(1, 1));
  s.send(packet(1, std::string(5000, 'x')));
  ASSERT_TRUE(run_until(
      io, [&] { return it->stats().resumable.histories.taken != 0; }, "a history that grows"));
  EXPECT_EQ(it->stats().resumable.histories.refused, 0u);
  s.send(packet(1, std::string(100'000, 'x')));
  ASSERT_TRUE(run_until(
      io, [&] { return it->stats().resumable.histories.refused != 0; }, "the limit"));
  EXPECT_LE(it->stats().resumable.histories.taken, 50'000u);
  const auto shown = page_of("/metrics", *it).body;
  for (const char* name : {"ferry_gateway_history_bytes ", "ferry_gateway_history_refused_total "}) {
    EXPECT_NE(shown.find(std::string("\n") + name), shown.npos) << name;
    EXPECT_EQ(shown.find(name + std::string("0\n")), shown.npos) << name;
  }
  c.cut();
  EXPECT_EQ(c.connect(), errc::refused) << "it lacks more than is kept";
  EXPECT_EQ(s.next_command(), command::close(1));
  EXPECT_TRUE(run_until(
      io, [&] { return it->stats().resumable.histories.taken == 0; }, "what it took to be given back"));
}

TEST_P(gateway_resumable, handshakes_that_mean_nothing_or_last_too_long_end) {
  settings with;
  with.clients.resume.handshake_timeout = std::chrono::milliseconds(50);
  open_resumable(with);
  raw_tcp nonsense(port_of(it->client_url())), silent(port_of(it->client_url()));
  nonsense.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(run_until(
      io, [&] { return nonsense.ended() && silent.ended(); }, "both to end"));
  EXPECT_EQ(it->stats().clients_accepted, 0u);
}

using gateway_on_this_thread = test::gateway_service;

TEST_F(gateway_on_this_thread, tells_of_handshakes_that_mean_nothing_once_in_a_second_however_many_there_are) {
  test::kept_log log;
  context logged(io, {.log = &log});
  settings with;
  with.clients.resume.kind = resume_kind::snet;
  const auto made = service::open(logged, test::local(with));
  ASSERT_TRUE(made) << made.error().text();
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 30; ++i) {
    raw_tcp nonsense(port_of(made->client_url()));
    nonsense.send("GET / HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(run_until(
        io, [&] { return nonsense.ended(); }, "its end"));
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begun);
  EXPECT_GE(log.count("gateway: tcp://"), 1);
  EXPECT_LE(log.count("gateway: tcp://"), 1 + seconds.count());
}

TEST_F(gateway_on_this_thread, that_did_not_run_for_the_time_of_a_handshake_hears_what_came_meanwhile) {
  settings with;
  with.clients.resume.kind = resume_kind::snet;
  with.clients.resume.handshake_timeout = std::chrono::milliseconds(300);
  open(with);
  raw_tcp arriving(port_of(it->client_url()));
  test::run_ready(io);
  session::snet_connecting machine({}, 0x1234567);
  arriving.send(as_text(machine.begin().view()));
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1300);
  while (std::chrono::steady_clock::now() < end) continue;  // as if this process were stopped
  bool said = false;
  EXPECT_TRUE(run_until(
      io,
      [&] {
        if (arriving.received().size() >= codec::snet::answer_bytes(form::newer) && !std::exchange(said, true)) {
          const auto step = machine.on_bytes(as_bytes(arriving.received()));
          arriving.send(as_text(step->send.view()));
        }
        return arriving.ended() || it->stats().resumable.made == 1;
      },
      "the stream"));
  EXPECT_EQ(it->stats().resumable.made, 1u);
}

}  // namespace
}  // namespace ferry::gateway
