// The client, at servers that are there, are not, or lie.
#include <gtest/gtest.h>

#include <thread>

#include "codec/tcpshm_messages.hpp"
#include "testing/raw_tcp.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/tcpshm_pair.hpp"

namespace ferry::test {
namespace {

namespace wire = codec::tcpshm;
using namespace std::chrono_literals;

class tcpshm_client : public ::testing::Test {
 protected:
  tcpshm_client() { client.now = now; }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult until(Predicate done, std::string_view awaited) {
    return poll_until([this] { client.poll_tcp(now); }, std::move(done), awaited);
  }
  /// The login has come, and is taken.
  wire::login login_at(raw_tcp& server) {
    EXPECT_TRUE(until([&] { return server.received().size() == 56; }, "a login"));
    const auto bytes = server.take(56);
    const auto read = wire::decode_login(as_bytes(bytes), {});
    EXPECT_TRUE(read);
    return read ? *read : wire::login{};
  }
  static void answer(raw_tcp& from, const wire::login_answer& what) { from.send(as_text(wire::encode(what, {}))); }
  static wire::login_answer good(const std::string& name = "srv", const wire::range& numbers = {}) {
    wire::login_answer made;
    made.server_name = name;
    made.numbers = numbers;
    return made;
  }
  [[nodiscard]] raw_tcp connect() {
    EXPECT_TRUE(client.start_connect(false, "127.0.0.1", at.port()));
    return at.accept();
  }
  [[nodiscard]] raw_tcp log_in() {
    raw_tcp server = connect();
    (void)login_at(server);
    answer(server, good());
    EXPECT_TRUE(until([&] { return !client.connecting(); }, "the login"));
    EXPECT_EQ(client.notes.back(), "success: srv");
    return server;
  }

  temp_dir files;
  raw_tcp_listener at;
  noting_client client{files.file("made"), "cli", {}};
  std::int64_t now = 5;
};

TEST_F(tcpshm_client, tells_the_errno_when_nobody_listens) {
  const reserved_port nobodys;
  EXPECT_FALSE(client.connect(false, "127.0.0.1", nobodys.number()));
  ASSERT_EQ(client.notes.size(), 1u);
  EXPECT_TRUE(client.notes[0].starts_with("system error " + std::to_string(ECONNREFUSED))) << client.notes[0];
  EXPECT_FALSE(client.connecting());
  EXPECT_EQ(client.get_connection().alloc(8), nullptr) << "there is no queue before the first login";
}

TEST_F(tcpshm_client, gives_up_a_blocking_connect_at_its_deadline) {
  EXPECT_FALSE(client.connect(false, "127.0.0.1", at.port(), {}, 20ms));
  ASSERT_EQ(client.notes.size(), 1u);
  EXPECT_TRUE(client.notes[0].starts_with("system error " + std::to_string(ETIMEDOUT))) << client.notes[0];
}

TEST_F(tcpshm_client, gives_up_an_asynchronous_connect_after_the_connection_timeout) {
  raw_tcp server = connect();
  (void)login_at(server);
  now += 9;
  client.poll_tcp(now);
  EXPECT_TRUE(client.connecting());
  now += 1;
  client.poll_tcp(now);
  EXPECT_FALSE(client.connecting());
  EXPECT_TRUE(client.notes.at(0).starts_with("system error " + std::to_string(ETIMEDOUT))) << client.notes[0];
  EXPECT_TRUE(server.ended());
}

TEST_F(tcpshm_client, connects_to_the_first_address_that_answers_of_those_that_its_owner_has_found) {
  EXPECT_FALSE(client.connect_to(std::array<std::string, 1>{"127.0.0.1"}, at.port())) << "nothing was begun";
  ASSERT_TRUE(client.begin_connect(false));
  client.poll_tcp(now);
  EXPECT_TRUE(client.connecting());
  ASSERT_TRUE(client.connect_to(std::array<std::string, 2>{"127.0.0.2", "127.0.0.1"}, at.port()));
  os::unique_fd came;
  ASSERT_TRUE(until([&] { return static_cast<bool>(came = at.try_accept()); }, "a connection"));
  raw_tcp server(std::move(came));
  (void)login_at(server);
  answer(server, good());
  ASSERT_TRUE(until([&] { return !client.connecting(); }, "the login"));
  EXPECT_EQ(client.notes, (told{"system error 22: no begin_connect() waits for addresses", "success: srv"}));
}

TEST_F(tcpshm_client, takes_no_name_for_an_address_and_waits_for_addresses_no_longer_than_for_a_login) {
  for (const auto& wrong : {std::vector<std::string>{"127.0.0.1", "localhost"}, std::vector<std::string>{}}) {
    ASSERT_TRUE(client.begin_connect(false));
    EXPECT_FALSE(client.connect_to(wrong, at.port()));
    EXPECT_TRUE(client.notes.back().starts_with("system error 22: ")) << client.notes.back();
    EXPECT_FALSE(client.connecting());
  }
  ASSERT_TRUE(client.begin_connect(false));
  client.poll_tcp(now);
  client.poll_tcp(now + 9);
  EXPECT_TRUE(client.connecting());
  client.poll_tcp(now + 10);
  EXPECT_FALSE(client.connecting());
  EXPECT_EQ(client.notes.back(),
            "system error " + std::to_string(ETIMEDOUT) + ": no addresses within the connection timeout");
}

TEST_F(tcpshm_client, blocks_until_it_is_logged_in_at_a_server_that_another_thread_polls) {
  temp_dir other;
  noting_server server(other.path().string(), "srv", {});
  ASSERT_TRUE(server.start("127.0.0.1", 0));
  std::atomic<bool> done{false};
  std::thread polls([&] {
    while (!done) server.poll(1);
  });
  EXPECT_TRUE(client.connect(false, "localhost", server.port()));
  EXPECT_FALSE(client.connect(false, "127.0.0.1", server.port()));
  done = true;
  polls.join();
  EXPECT_EQ(client.notes, (told{"success: srv", "system error 106: this client is connected already"}));
  EXPECT_FALSE(client.get_connection().is_closed());
}

TEST_F(tcpshm_client, may_disconnect_as_it_is_told_of_its_login_and_log_in_again) {
  for (const bool leaves : {true, false}) {
    client.on_success = [&] {
      if (leaves) client.disconnect();
    };
    raw_tcp server = connect();
    (void)login_at(server);
    answer(server, good());
    ASSERT_TRUE(until([&] { return !client.connecting(); }, "the login"));
    EXPECT_EQ(client.get_connection().is_closed(), leaves);
    EXPECT_EQ(server.ended(), leaves);
  }
  EXPECT_EQ(client.notes, (told{"success: srv", "success: srv"})) << "nobody is told what he has done himself";
}

TEST_F(tcpshm_client, takes_an_answer_in_pieces_and_the_messages_behind_it) {
  raw_tcp server = connect();
  (void)login_at(server);
  std::string all(as_text(wire::encode(good(), {})));
  all += std::string("\x0b\0\x05\0\0\0\0\0abc\0\0\0\0\0", 16);
  for (const char one : all) {
    server.send({&one, 1});
    client.poll_tcp(now);
  }
  ASSERT_TRUE(until([&] { return !client.messages.empty(); }, "a message"));
  EXPECT_EQ(client.messages, told{"5 abc"});
}

TEST_F(tcpshm_client, tells_why_it_was_rejected) {
  raw_tcp server = connect();
  (void)login_at(server);
  auto refusal = good();
  refusal.status = wire::login_status::refused;
  refusal.error_text = "go away";
  answer(server, refusal);
  ASSERT_TRUE(until([&] { return !client.connecting(); }, "the answer"));
  EXPECT_EQ(client.notes, told{"rejected: go away"});
  EXPECT_FALSE(std::filesystem::exists(files.file("made/cli.lastserver")));
}

TEST_F(tcpshm_client, reports_numbers_that_do_not_fit_whichever_side_finds_out) {
  { raw_tcp server = log_in(); }
  ASSERT_TRUE(until([&] { return client.get_connection().is_closed() && client.notes.size() == 2; }, "the end"));
  ASSERT_FALSE(client.say("queued"));
  {
    raw_tcp server = connect();
    EXPECT_EQ(login_at(server).numbers, (wire::range{0, 0, 1}));
    auto refusal = good("srv", {9, 8, 7});
    refusal.status = wire::login_status::mismatch;
    answer(server, refusal);
    ASSERT_TRUE(until([&] { return !client.connecting(); }, "the answer"));
    EXPECT_EQ(client.notes.back(), "mismatch: 0 0 1 9 8 7");
  }
  raw_tcp server = connect();
  (void)login_at(server);
  answer(server, good("srv", {2, 0, 0}));
  ASSERT_TRUE(until([&] { return !client.connecting(); }, "the answer"));
  EXPECT_EQ(client.notes.back(), "mismatch: 0 0 1 2 0 0");
  EXPECT_TRUE(client.get_connection().is_closed());
}

TEST_F(tcpshm_client, takes_no_answer_that_is_none) {
  const auto whole = wire::encode(good(), {});
  for (const std::size_t at_byte : {0u, 2u, 17u}) {
    raw_tcp server = connect();
    (void)login_at(server);
    std::string text(as_text(whole));
    text[at_byte] = 9;
    server.send(text);
    ASSERT_TRUE(until([&] { return !client.connecting(); }, "the end"));
    EXPECT_TRUE(client.notes.back().starts_with("system error 0: ")) << client.notes.back();
  }
  for (const char* name : {"", "../x", "a/b"}) {
    raw_tcp server = connect();
    (void)login_at(server);
    answer(server, good(name));
    ASSERT_TRUE(until([&] { return !client.connecting(); }, "the end"));
    EXPECT_TRUE(client.notes.back().starts_with("system error 0: the server's name")) << client.notes.back();
  }
  raw_tcp server = connect();
  (void)login_at(server);
  server.close();
  ASSERT_TRUE(until([&] { return !client.connecting(); }, "the end"));
  EXPECT_TRUE(client.notes.back().starts_with("system error 0: waiting for the answer")) << client.notes.back();
}

TEST_F(tcpshm_client, remembers_its_server_and_what_it_had_queued_across_its_own_death) {
  {
    raw_tcp server = log_in();
    ASSERT_FALSE(client.say("first"));
    ASSERT_TRUE(until([&] { return server.received().size() == 16; }, "a message"));
    client.stop();
  }
  noting_client again(files.file("made"), "cli", {});
  ASSERT_TRUE(again.start_connect(false, "127.0.0.1", at.port()));
  raw_tcp server = at.accept();
  ASSERT_TRUE(poll_until([&] { again.poll_tcp(1); }, [&] { return server.received().size() == 56; }, "a login"));
  const auto bytes = server.take(56);
  const auto login = wire::decode_login(as_bytes(bytes), {});
  ASSERT_TRUE(login);
  EXPECT_EQ(login->last_server_name, "srv");
  EXPECT_EQ(login->numbers, (wire::range{0, 0, 1}));
  // Another server: another queue, and the old one stays.
  answer(server, good("other"));
  ASSERT_TRUE(poll_until([&] { again.poll_tcp(1); }, [&] { return !again.connecting(); }, "the login"));
  EXPECT_EQ(again.notes, told{"success: other"});
  EXPECT_EQ(again.get_connection().remote_name(), "other");
  EXPECT_EQ(again.get_connection().where().pushed, 0u);
  EXPECT_TRUE(std::filesystem::exists(files.file("made/cli_srv.ptcp")));
  EXPECT_TRUE(std::filesystem::exists(files.file("made/cli_other.ptcp")));
}

TEST_F(tcpshm_client, says_when_the_server_has_gone) {
  { raw_tcp server = log_in(); }
  ASSERT_TRUE(until([&] { return client.notes.size() == 2; }, "the end"));
  EXPECT_EQ(client.notes[1], "disconnected: the peer has closed the connection");
  EXPECT_TRUE(client.get_connection().is_closed());
  EXPECT_EQ(client.get_connection().front(), nullptr);
}

TEST_F(tcpshm_client, lets_the_kernel_gather_what_it_sends_if_told_so) {
  for (const bool at_once : {true, false}) {
    tcpshm::options with;
    with.no_delay = at_once;
    noting_client one(files.file(at_once ? "at once" : "gathered"), "cli", with);
    ASSERT_TRUE(one.start_connect(false, "127.0.0.1", at.port()));
    const raw_tcp server = at.accept();
    EXPECT_EQ(no_delay_towards(at.port()), at_once);
  }
}

TEST_F(tcpshm_client, tells_the_errno_of_a_connection_that_was_reset) {
  raw_tcp server = log_in();
  server.reset();
  ASSERT_TRUE(until([&] { return client.notes.size() == 2; }, "the end"));
  EXPECT_TRUE(client.notes[1].starts_with("disconnected: ")) << client.notes[1];
  EXPECT_EQ(client.ended_by, ECONNRESET);
}

TEST_F(tcpshm_client, beats_and_waits_by_the_time_that_its_owner_gave_at_the_login) {
  client.now = 1'000'000;
  raw_tcp server = log_in();
  now = 1'000'002;
  client.poll_tcp(now);
  EXPECT_EQ(server.received(), "") << "so long after the polls of before, a heartbeat would be due, and the end";
  EXPECT_FALSE(client.get_connection().is_closed());
  now = 1'000'003;
  ASSERT_TRUE(until([&] { return server.received().size() == 8; }, "the first heartbeat"));
  now = 1'000'009;
  client.poll_tcp(now);
  EXPECT_FALSE(client.get_connection().is_closed());
  now = 1'000'010;
  client.poll_tcp(now);
  EXPECT_EQ(client.notes.back(), "disconnected: timeout: nothing came for 10");
}

TEST_F(tcpshm_client, refuses_messages_without_type_without_room_and_too_large) {
  raw_tcp server = log_in();
  auto& conn = client.get_connection();
  EXPECT_EQ(conn.push(), errc::misuse) << "nothing was allocated";
  ASSERT_NE(conn.alloc(8), nullptr);
  EXPECT_EQ(conn.push(), errc::misuse) << "no type";
  EXPECT_EQ(conn.push_more(), errc::misuse);
  EXPECT_EQ(conn.alloc(65'528), nullptr);
  tcpshm::message_header* const largest = conn.alloc(65'527);
  ASSERT_NE(largest, nullptr);
  EXPECT_EQ(largest->size, 65'535);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(largest->body()) % 8, 0u);
  EXPECT_EQ(conn.push(), errc::misuse) << "the old type is not taken over";
  largest->msg_type = 1;
  std::memset(largest->body(), 'x', 65'527);
  EXPECT_FALSE(conn.push());
  EXPECT_EQ(conn.push(), errc::misuse) << "it was pushed already";
  ASSERT_TRUE(until([&] { return server.received().size() == 65'536; }, "it"));
}

TEST_F(tcpshm_client, sends_several_messages_with_the_last_push) {
  raw_tcp server = log_in();
  for (int i = 0; i < 3; ++i) ASSERT_FALSE(client.say("more", 1, true));
  EXPECT_EQ(server.received(), "");
  ASSERT_FALSE(client.say("last"));
  ASSERT_TRUE(until([&] { return server.received().size() == 64; }, "all four"));
}

TEST_F(tcpshm_client, makes_its_directory_and_files_for_its_owner_alone) {
  raw_tcp server = log_in();
  const auto rights = [](const std::string& path) { return std::filesystem::status(path).permissions(); };
  using std::filesystem::perms;
  EXPECT_EQ(rights(files.file("made")), perms::owner_all);
  for (const char* name : {"made/cli_srv.ptcp", "made/cli.lastserver"})
    EXPECT_EQ(rights(files.file(name)), perms::owner_read | perms::owner_write) << name;
  EXPECT_EQ(std::filesystem::file_size(files.file("made/cli.lastserver")), 16u);
  EXPECT_EQ(std::filesystem::file_size(files.file("made/cli_srv.ptcp")), (1u << 20) + 20);
}

TEST_F(tcpshm_client, takes_no_login_data_that_is_too_long) {
  EXPECT_FALSE(client.start_connect(false, "127.0.0.1", at.port(), as_bytes("ab")));
  EXPECT_TRUE(client.notes.at(0).starts_with("system error 22: login user data of 2 bytes")) << client.notes[0];
}

}  // namespace
}  // namespace ferry::test
