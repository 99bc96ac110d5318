// What comes from outside and is wrong: each ends one connection with a clear text, is counted, and disturbs nobody
// else.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/unique_fd.hpp"
#include "testing/splitter.hpp"
#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

constexpr setting k_plain{"ipc", framing_kind::varint, senders_kind::one};

/// A listener with a well-behaved connection, and raw sockets beside it.
struct bad_input : ::testing::Test, any_transport {
  bad_input() : any_transport(k_plain) {}

  void start(const options& with) {
    listening = listen(with);
    listening.on_channel([this](channel arrived) {
      arrived.on_message([this](const message_view& m) { got.emplace_back(m.text()); });
      arrived.on_down([this](const down_info& info) { downs.push_back(info); });
      servers.push_back(std::move(arrived));
    });
    good = open(connect_url(listening), settings());
    ASSERT_TRUE(turn([&] { return servers.size() == 1; }, "the well-behaved peer"));
  }
  [[nodiscard]] os::unique_fd raw() const {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    dir.file("socket").copy(at.sun_path, sizeof at.sun_path - 1);
    os::unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    return fd;
  }
  static void put(const os::unique_fd& to, bytes wire) {
    EXPECT_EQ(::send(to.get(), wire.data(), wire.size(), MSG_NOSIGNAL), static_cast<ssize_t>(wire.size()));
  }
  /// The well-behaved peer still gets its message through.
  void expect_undisturbed() {
    got.clear();
    ASSERT_TRUE(good.try_send("undisturbed"));
    ASSERT_TRUE(turn([&] { return !got.empty(); }, "the message of the well-behaved peer"));
    EXPECT_EQ(got, std::vector<std::string>{"undisturbed"});
    EXPECT_EQ(good.state(), channel_state::up);
  }
  void expect_ended(const os::unique_fd& peer, errc reason, std::initializer_list<const char*> in_text) {
    ASSERT_TRUE(turn([&] { return downs.size() == 1; }, "the end of the bad connection"));
    EXPECT_EQ(downs[0].reason, reason) << downs[0].reason.text();
    for (const char* part : in_text)
      EXPECT_NE(downs[0].reason.text().find(part), std::string::npos)
          << part << " is not in: " << downs[0].reason.text();
    const auto ended = [&] {
      char byte = 0;
      const ssize_t n = ::recv(peer.get(), &byte, 1, 0);
      return n == 0 || (n < 0 && errno != EAGAIN);
    };
    ASSERT_TRUE(turn(ended, "the peer to notice"));
    EXPECT_EQ(where.totals().protocol_errors.value(), 1u);
    expect_undisturbed();
  }

  std::vector<channel> servers;
  std::vector<std::string> got;
  std::vector<down_info> downs;
  channel good;
};

TEST_F(bad_input, oversized_length_is_refused_before_anything_is_reserved) {
  options with = settings();
  with.max_message = 1000;
  start(with);
  const auto before = where.buffers().stats();
  const auto bad = raw();
  put(bad, make_bytes({0xff, 0xff, 0xff, 0x7f}));  // 268435455
  expect_ended(bad, errc::message_too_large, {"268435455", "1000"});
  EXPECT_LE(where.buffers().stats().bytes_lent, before.bytes_lent + (512u << 10));
}

TEST_F(bad_input, length_that_does_not_fit_into_64_bits_is_refused) {
  start(settings());
  const auto bad = raw();
  put(bad, make_bytes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}));
  expect_ended(bad, errc::varint_overflow, {"64"});
}

TEST_F(bad_input, message_cut_short_is_told_with_what_had_come) {
  start(settings());
  const auto bad = raw();
  put(bad, make_bytes({10, 'a', 'b', 'c'}));
  ::shutdown(bad.get(), SHUT_WR);
  expect_ended(bad, errc::truncated, {"4 bytes"});
}

TEST_F(bad_input, length_cut_short_is_told) {
  start(settings());
  const auto bad = raw();
  put(bad, make_bytes({0x80}));
  ::shutdown(bad.get(), SHUT_WR);
  expect_ended(bad, errc::truncated, {"1 byte"});
}

TEST_F(bad_input, garbage_ends_its_connection_alone) {
  options with = settings();
  with.max_message = 100;
  start(with);
  const auto bad = raw();
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(200, '\xfe');
  put(bad, as_bytes(request));
  ASSERT_TRUE(turn([&] { return downs.size() == 1; }, "the end of the bad connection"));
  EXPECT_EQ(downs[0].reason.code(), condition::protocol_violation) << downs[0].reason.text();
  expect_undisturbed();
}

TEST_F(bad_input, one_byte_at_a_time_is_slow_and_right) {
  start(settings());
  const auto slow = raw();
  const std::string text = pattern(1, 300);
  byte_string wire = make_bytes({0xac, 0x02});
  const auto payload = make_bytes(text);
  wire.insert(wire.end(), payload.begin(), payload.end());
  for (const std::byte& one : wire) {
    EXPECT_TRUE(got.empty());
    put(slow, {&one, 1});
    run_ready(io);
  }
  ASSERT_TRUE(turn([&] { return got.size() == 1; }, "the message"));
  EXPECT_EQ(got[0], text);
  EXPECT_TRUE(downs.empty());
  expect_undisturbed();
}

TEST_F(bad_input, headers_that_claim_much_reserve_little) {
  start(settings());
  std::vector<os::unique_fd> liars;
  for (int i = 0; i < 500; ++i) {
    liars.push_back(raw());
    put(liars.back(), make_bytes({0x80, 0x80, 0x80, 0x05, 'x'}));  // 10 MiB, of which one byte comes
    ASSERT_TRUE(turn([&] { return servers.size() == liars.size() + 1; }, "the connection"));
  }
  const auto seen = [&] { return servers.back().stats().bytes_received == 5; };
  ASSERT_TRUE(turn(seen, "the last header"));
  run_ready(io);
  EXPECT_LT(where.buffers().stats().bytes_lent, 500u * 1024);
  EXPECT_EQ(where.buffers().stats().refused, 0u);
  expect_undisturbed();
}

TEST_F(bad_input, peer_that_never_reads_is_cut_at_the_write_deadline_in_bounded_memory) {
  options with = settings();
  with.write_timeout = std::chrono::milliseconds(20);
  with.send_queue_bytes = 1u << 20;
  start(with);
  const auto deaf = raw();
  ASSERT_TRUE(turn([&] { return servers.size() == 2; }, "the connection"));
  const std::string text = pattern(1, 1000);
  bool was_full = false;
  ASSERT_TRUE(turn(
      [&] {
        while (servers[1].state() == channel_state::up) {
          const auto sent = servers[1].try_send(text);
          if (sent) continue;
          was_full = was_full || sent.error() == errc::full;
          break;
        }
        EXPECT_LE(servers[1].stats().send_queue_bytes, with.send_queue_bytes + 10);
        return !downs.empty();
      },
      "the write deadline"));
  EXPECT_TRUE(was_full);
  EXPECT_EQ(downs[0].reason, errc::timeout);
  EXPECT_NE(downs[0].reason.text().find("20ms (write_timeout)"), std::string::npos) << downs[0].reason.text();
  EXPECT_GT(downs[0].messages_maybe_lost, 0u);
  expect_undisturbed();
}

TEST_F(bad_input, peer_that_sends_and_never_reads_does_not_stop_the_others) {
  options with = settings();
  with.send_queue_bytes = 64u << 10;
  start(with);
  const auto rude = raw();
  ASSERT_TRUE(turn([&] { return servers.size() == 2; }, "the connection"));
  std::size_t refused = 0;
  servers[1].on_message([&](const message_view& m) {
    if (!servers[1].try_send(m.payload)) ++refused;
  });
  byte_string wire;
  for (int i = 0; i < 1000; ++i) {
    wire.push_back(std::byte{100});
    wire.insert(wire.end(), 100, std::byte{'r'});
  }
  ASSERT_TRUE(turn(
      [&] {
        (void)::send(rude.get(), wire.data(), wire.size() / 101 * 101, MSG_NOSIGNAL);
        EXPECT_LE(servers[1].stats().send_queue_bytes, with.send_queue_bytes + 200);
        return refused > 0;
      },
      "a full send queue"));
  expect_undisturbed();
}

TEST_F(bad_input, peer_of_a_user_that_is_not_allowed_is_refused_and_told_by_name) {
  options with = settings();
  with.allow_uids = {::getuid() + 1};
  listening = listen(with);
  int arrived = 0;
  std::vector<error> errors;
  listening.on_channel([&](const channel&) { ++arrived; });
  listening.on_error([&](const error& why) { errors.push_back(why); });
  channel client = open(connect_url(listening), settings());
  ASSERT_TRUE(turn([&] { return client.state() == channel_state::closed && !errors.empty(); }, "the refusal"));
  EXPECT_EQ(arrived, 0);
  EXPECT_EQ(errors[0], errc::auth);
  EXPECT_NE(errors[0].text().find("uid " + std::to_string(::getuid())), std::string::npos) << errors[0].text();
  EXPECT_NE(errors[0].text().find("allow_uids"), std::string::npos) << errors[0].text();
  EXPECT_EQ(listening.stats().refused, 1u);

  options allowed = settings();
  allowed.allow_uids = {::getuid() + 1, ::getuid()};
  listening = listener{};
  auto both = connect(settings(), allowed);
  channel& other = both.server;
  EXPECT_TRUE(other);
}

}  // namespace
}  // namespace ferry::test
