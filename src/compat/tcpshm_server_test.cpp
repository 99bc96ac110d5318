// The server and the people who log in at it: those whom it takes, those whom it refuses, and those who lie.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/endian.hpp"
#include "codec/tcpshm_messages.hpp"
#include "os/unique_fd.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/tcpshm_pair.hpp"

namespace ferry::test {
namespace {

namespace wire = codec::tcpshm;

std::string text(const std::vector<std::byte>& of) { return std::string(as_text(of)); }

class tcpshm_server : public ::testing::Test {
 protected:
  void start(const tcpshm::options& with = {}) {
    options = with;
    server = std::make_unique<noting_server>(files.path().string(), "srv", with);
    ASSERT_TRUE(server->start("127.0.0.1", 0));
  }
  [[nodiscard]] wire::wire_format format() const {
    return {options.name_size, options.login_data_bytes, options.answer_data_bytes, options.data_alignment,
            options.to_little_endian ? std::endian::little : std::endian::big};
  }
  static std::string login(const std::string& name, const std::string& last = "", const wire::range& numbers = {}) {
    return text(wire::encode(wire::login{numbers, {}, false, name, last}, wire::wire_format{}));
  }
  static std::string message(std::uint16_t size, std::uint16_t type, std::uint32_t ack, std::size_t sent_bytes) {
    std::string made(sent_bytes, 'm');
    wire::store_header(reinterpret_cast<std::byte*>(made.data()), {size, type, ack}, std::endian::little);
    return made;
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult until(Predicate done, std::string_view awaited) {
    return poll_until([this] { server->poll(now); }, std::move(done), awaited);
  }
  wire::login_answer answer_to(raw_tcp& from) {
    const auto size = wire::answer_bytes(format());
    EXPECT_TRUE(until([&] { return from.received().size() >= size || from.ended(); }, "an answer"));
    const auto bytes = from.take(size);
    const auto read = wire::decode_answer(as_bytes(bytes), format());
    EXPECT_TRUE(read) << bytes.size() << " bytes";
    return read ? *read : wire::login_answer{};
  }
  wire::login_answer log_in(raw_tcp& from, const std::string& name, const std::string& last = "",
                            const wire::range& numbers = {}) {
    from.send(login(name, last, numbers));
    return answer_to(from);
  }
  // Logged in, then said `bytes`: why the server ends it.
  std::string end_after(const std::string& name, const std::string& bytes) {
    raw_tcp client(server->port());
    EXPECT_EQ(log_in(client, name).status, wire::login_status::accepted);
    const auto before = server->notes.size();
    client.send(bytes);
    EXPECT_TRUE(until([&] { return server->notes.size() > before; }, "the end"));
    EXPECT_TRUE(client.ended());
    return server->notes.back().substr(("disconnected " + name + ": ").size());
  }

  temp_dir files;
  tcpshm::options options;
  std::int64_t now = 100;
  std::unique_ptr<noting_server> server;
};

TEST_F(tcpshm_server, tells_its_owner_who_comes_and_hands_user_data_both_ways) {
  tcpshm::options with;
  with.login_data_bytes = 12;
  with.answer_data_bytes = 4;
  with.data_alignment = 4;
  start(with);
  server->answer_data = "word";
  raw_tcp client(server->port());
  const std::string secret = "user:secret!";
  const auto data = as_bytes(secret);
  client.send(text(wire::encode(wire::login{{}, {data.begin(), data.end()}, false, "cli", ""}, format())));
  const auto answer = answer_to(client);
  EXPECT_EQ(answer.status, wire::login_status::accepted);
  EXPECT_EQ(text(answer.user_data), "word");
  EXPECT_EQ(answer.server_name, "srv");
  EXPECT_EQ(text(server->login_data), secret);
  EXPECT_EQ(server->notes, (told{"new: cli tcp", "logon: cli"}));
}

TEST_F(tcpshm_server, takes_heartbeats_from_between_messages_that_wait_wherever_what_comes_is_cut) {
  start();
  const std::string beat = message(8, 0, 0, 8);
  const auto said = [](char body) {
    auto made = message(9, 1, 0, 16);
    made[8] = body;
    return made;
  };
  const std::string all = beat + said('a') + beat + beat + said('b') + said('c') + beat + said('d') + beat + beat;
  for (std::size_t cut = 1; cut < all.size(); cut += 9) {
    raw_tcp client(server->port());
    ASSERT_EQ(log_in(client, "cli" + std::to_string(cut)).status, wire::login_status::accepted);
    server->pops = false;
    server->messages.clear();
    client.send(all.substr(0, cut));
    for (int i = 0; i < 3; ++i) server->poll(now);
    client.send(all.substr(cut));
    ASSERT_TRUE(until([&] { return !server->messages.empty(); }, "the first message"));
    server->pops = true;
    server->messages.clear();
    ASSERT_TRUE(until([&] { return server->messages.size() == 4; }, "all messages"));
    EXPECT_EQ(server->messages, (told{"1 a", "1 b", "1 c", "1 d"})) << cut;
  }
}

TEST_F(tcpshm_server, hears_both_families_where_it_listens_everywhere) {
  for (const char* everywhere : {"", "*"}) {
    noting_server at(files.path().string(), "srv", {});
    ASSERT_TRUE(at.start(everywhere, 0));
    raw_tcp over_ipv4(at.port());
    const os::unique_fd client(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_addr = in6addr_loopback;
    to.sin6_port = htons(at.port());
    const int made = ::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
    if (made != 0 && errno != ECONNREFUSED) GTEST_SKIP() << "no IPv6 here";
    EXPECT_EQ(made, 0);
  }
}

TEST_F(tcpshm_server, refuses_with_the_text_of_its_owner_and_closes) {
  start();
  server->group = -1;
  server->refusal = "wrong password";
  for (const char* wanted : {"wrong password", "Rejected"}) {
    raw_tcp client(server->port());
    const auto answer = log_in(client, "cli");
    EXPECT_EQ(answer.status, wire::login_status::refused);
    EXPECT_EQ(answer.error_text, wanted);
    ASSERT_TRUE(until([&] { return client.ended(); }, "the end"));
    server->refusal.clear();
  }
  server->group = 1;
  raw_tcp client(server->port());
  EXPECT_EQ(log_in(client, "cli").error_text, "Invalid group");
  EXPECT_TRUE(std::filesystem::is_empty(files.path())) << "nothing is made for those who are refused";
}

TEST_F(tcpshm_server, refuses_names_that_could_lead_elsewhere_and_makes_no_file) {
  start();
  for (const char* name : {"", "../evil", "/etc/x", ".hidden", "a b", "a\nb"}) {
    raw_tcp client(server->port());
    const auto answer = log_in(client, name);
    EXPECT_EQ(answer.status, wire::login_status::refused) << name;
    EXPECT_EQ(answer.error_text, "Invalid client name") << name;
  }
  EXPECT_EQ(server->notes, told{});
  EXPECT_TRUE(std::filesystem::is_empty(files.path()));
}

TEST_F(tcpshm_server, refuses_a_name_that_is_here_already_and_keeps_the_first) {
  start();
  raw_tcp first(server->port());
  EXPECT_EQ(log_in(first, "cli").status, wire::login_status::accepted);
  raw_tcp second(server->port());
  const auto answer = log_in(second, "cli");
  EXPECT_EQ(answer.status, wire::login_status::refused);
  EXPECT_EQ(answer.error_text, "Already loggned on");
  first.send(message(12, 5, 0, 16));
  ASSERT_TRUE(until([&] { return server->messages.size() == 1; }, "a message of the first"));
}

TEST_F(tcpshm_server, closes_a_connection_that_says_what_is_no_login) {
  start();
  const std::string garbage[] = {message(52, 2, 0, 56), message(0, 1, 0, 56), message(65535, 1, 0, 56)};
  for (const auto& one : garbage) {
    raw_tcp client(server->port());
    client.send(one);
    ASSERT_TRUE(until([&] { return client.ended(); }, "the end"));
    EXPECT_EQ(client.received(), "");
  }
  EXPECT_EQ(server->notes, told{});
}

TEST_F(tcpshm_server, closes_who_does_not_log_in_and_lets_the_next_ones_wait_until_then) {
  tcpshm::options with;
  with.max_new_connections = 2;
  start(with);
  raw_tcp silent(server->port());
  raw_tcp half(server->port());
  half.send(login("half").substr(0, 20));
  raw_tcp third(server->port());
  third.send(login("third"));
  for (int i = 0; i < 50; ++i) server->poll(now);
  EXPECT_EQ(third.received(), "") << "two are here already";
  now += with.new_connection_timeout - 1;
  server->poll(now);
  EXPECT_FALSE(silent.ended());
  now += 1;
  ASSERT_TRUE(until([&] { return silent.ended() && half.ended(); }, "their end"));
  EXPECT_EQ(answer_to(third).status, wire::login_status::accepted);
}

TEST_F(tcpshm_server, has_room_in_a_group_again_when_somebody_leaves) {
  tcpshm::options with;
  with.max_tcp_conns_per_group = 2;
  start(with);
  raw_tcp one(server->port()), two(server->port()), three(server->port());
  EXPECT_EQ(log_in(one, "one").status, wire::login_status::accepted);
  EXPECT_EQ(log_in(two, "two").status, wire::login_status::accepted);
  EXPECT_EQ(log_in(three, "three").error_text, "Max client cnt exceeded");
  one.close();
  ASSERT_TRUE(until([&] { return server->member("one").is_closed(); }, "the end"));
  raw_tcp again(server->port());
  EXPECT_EQ(log_in(again, "three").status, wire::login_status::accepted);
  EXPECT_EQ(server->member("one").remote_name(), "one") << "its reference is still its own";
}

TEST_F(tcpshm_server, counts_who_is_in_a_group_in_shared_memory_by_itself) {
  tcpshm::options with;
  with.max_shm_conns_per_group = 2;
  with.max_shm_groups = 2;
  with.max_tcp_conns_per_group = 1;
  start(with);
  const std::string names[] = {unique_name("a"), unique_name("b"), unique_name("c")};
  std::vector<std::unique_ptr<clean_rings>> rings;
  for (const auto& name : names) rings.push_back(std::make_unique<clean_rings>(name, "srv"));
  std::vector<std::unique_ptr<raw_tcp>> clients;
  const auto log_in_shm = [&](const std::string& name) {
    clients.push_back(std::make_unique<raw_tcp>(server->port()));
    clients.back()->send(text(wire::encode(wire::login{{}, {}, true, name, ""}, format())));
    return answer_to(*clients.back());
  };
  EXPECT_EQ(log_in_shm(names[0]).status, wire::login_status::accepted);
  EXPECT_EQ(log_in_shm(names[1]).status, wire::login_status::accepted);
  EXPECT_EQ(log_in_shm(names[2]).error_text, "Max client cnt exceeded");
  raw_tcp over_tcp(server->port());
  EXPECT_EQ(log_in(over_tcp, "tcp").status, wire::login_status::accepted) << "which has groups of its own";
  server->group = 1;
  EXPECT_EQ(log_in_shm(names[2]).status, wire::login_status::accepted) << "the other group has room";
  server->group = 0;
  clients[0]->close();
  ASSERT_TRUE(until([&] { return server->member(names[0]).is_closed(); }, "the end"));
  EXPECT_EQ(log_in_shm(names[0]).status, wire::login_status::accepted) << "there is room again";
}

TEST_F(tcpshm_server, meets_no_more_names_than_it_was_allowed) {
  tcpshm::options with;
  with.max_known = 1;
  start(with);
  {
    raw_tcp one(server->port());
    EXPECT_EQ(log_in(one, "one").status, wire::login_status::accepted);
  }
  ASSERT_TRUE(until([&] { return server->member("one").is_closed(); }, "the end"));
  raw_tcp two(server->port());
  EXPECT_EQ(log_in(two, "two").error_text, "Max client cnt exceeded");
  raw_tcp again(server->port());
  EXPECT_EQ(log_in(again, "one", "srv").status, wire::login_status::accepted);
}

TEST_F(tcpshm_server, reports_numbers_that_do_not_fit_and_changes_nothing) {
  start();
  {
    raw_tcp client(server->port());
    EXPECT_EQ(log_in(client, "cli").status, wire::login_status::accepted);
    client.send(message(9, 1, 0, 16));
    ASSERT_TRUE(until([&] { return server->messages.size() == 1; }, "a message"));
    ASSERT_FALSE(server->say("cli", "kept"));
  }
  ASSERT_TRUE(until([&] { return server->member("cli").is_closed(); }, "the end"));
  const wire::range lies[] = {{2, 0, 1}, {0xffff'ffff, 0, 1}, {0, 2, 9}, {0, 0, 0}};
  for (const auto& lie : lies) {
    raw_tcp client(server->port());
    const auto answer = log_in(client, "cli", "srv", lie);
    EXPECT_EQ(answer.status, wire::login_status::mismatch);
    EXPECT_EQ(answer.numbers, (wire::range{1, 0, 1}));
    EXPECT_EQ(server->notes.back(), "mismatch of cli: 1 0 1 " + std::to_string(lie.ack) + " " +
                                        std::to_string(lie.start) + " " + std::to_string(lie.end));
    ASSERT_TRUE(until([&] { return client.ended(); }, "the end"));
  }
  raw_tcp client(server->port());
  EXPECT_EQ(log_in(client, "cli", "srv", {0, 0, 1}).status, wire::login_status::accepted);
  ASSERT_TRUE(until([&] { return client.received().size() == 16; }, "what was queued"));
}

TEST_F(tcpshm_server, ends_only_the_connection_of_a_peer_that_breaks_the_rules) {
  tcpshm::options with;
  with.tcp_recv_initial = 64;
  with.tcp_recv_max = 1024;
  start(with);
  raw_tcp good(server->port());
  EXPECT_EQ(log_in(good, "good").status, wire::login_status::accepted);
  EXPECT_EQ(end_after("a", message(0, 1, 0, 8)), "a message of size 0 and type 1 came");
  EXPECT_EQ(end_after("b", message(7, 1, 0, 8)), "a message of size 7 and type 1 came");
  EXPECT_EQ(end_after("c", message(65535, 1, 0, 8)), "a message of 65535 bytes came; tcp_recv_max is 1024");
  EXPECT_EQ(end_after("d", message(16, 0, 0, 16)), "a message of size 16 and type 0 came");
  EXPECT_EQ(end_after("e", message(9, 1, 1, 16)), "the peer acknowledges up to number 1, which was never sent");
  EXPECT_EQ(end_after("f", message(8, 0, 0x7fff'ffff, 8)),
            "the peer acknowledges up to number 2147483647, which was never sent");
  EXPECT_EQ(server->messages, told{});
  good.send(message(8, 0, 0xffff'ffff, 8) + message(9, 3, 0x9000'0000, 16));  // older: ignored
  ASSERT_TRUE(until([&] { return server->messages.size() == 1; }, "a message"));
  EXPECT_EQ(server->messages[0], "3 m");
}

TEST_F(tcpshm_server, reads_messages_that_come_in_pieces_of_any_size) {
  start();
  raw_tcp client(server->port());
  EXPECT_EQ(log_in(client, "cli").status, wire::login_status::accepted);
  std::string all;
  for (std::uint16_t size = 8; size < 60; ++size) all += message(size, 1, 0, wire::padded(size)) + message(8, 0, 0, 8);
  for (std::size_t step = 1; !all.empty(); step = step % 13 + 1) {
    client.send(all.substr(0, step));
    all.erase(0, step);
    server->poll(now);
  }
  ASSERT_TRUE(until([&] { return server->messages.size() == 52; }, "all"));
  for (std::size_t i = 0; i < 52; ++i) EXPECT_EQ(server->messages[i], "1 " + std::string().append(i, 'm'));
}

TEST_F(tcpshm_server, beats_when_it_has_said_nothing_and_closes_who_says_nothing) {
  start();
  raw_tcp client(server->port());
  EXPECT_EQ(log_in(client, "cli").status, wire::login_status::accepted);
  client.send(message(9, 1, 0, 16));
  ASSERT_TRUE(until([&] { return server->messages.size() == 1; }, "a message"));
  now += options.heartbeat_interval - 1;
  server->poll(now);
  EXPECT_EQ(client.received(), "");
  now += 1;
  ASSERT_TRUE(until([&] { return client.received().size() == 8; }, "a heartbeat"));
  EXPECT_EQ(client.take(8), message(8, 0, 1, 8)) << "which acknowledges";
  now += options.connection_timeout - options.heartbeat_interval - 1;
  server->poll(now);
  EXPECT_FALSE(server->member("cli").is_closed());
  now += 1;
  ASSERT_TRUE(until([&] { return server->notes.back() != "logon: cli"; }, "the end"));
  EXPECT_EQ(server->notes.back(), "disconnected cli: timeout: nothing came for 10");
}

TEST_F(tcpshm_server, lets_the_kernel_gather_what_it_sends_if_told_so) {
  for (const bool at_once : {true, false}) {
    tcpshm::options with;
    with.no_delay = at_once;
    start(with);
    raw_tcp client(server->port());
    EXPECT_EQ(log_in(client, "cli").status, wire::login_status::accepted);
    EXPECT_EQ(no_delay_towards(client.port()), at_once);
    server.reset();
  }
}

TEST_F(tcpshm_server, acknowledges_early_when_much_was_consumed_and_nothing_is_said) {
  tcpshm::options with;
  with.acknowledge_bytes = 100;
  start(with);
  raw_tcp client(server->port());
  EXPECT_EQ(log_in(client, "cli").status, wire::login_status::accepted);
  client.send(message(96, 1, 0, 96));
  ASSERT_TRUE(until([&] { return server->messages.size() == 1; }, "a message"));
  EXPECT_EQ(client.received(), "");
  client.send(message(8, 1, 0, 8));
  ASSERT_TRUE(until([&] { return client.received().size() == 8; }, "a heartbeat"));
  EXPECT_EQ(client.take(8), message(8, 0, 2, 8));
}

TEST_F(tcpshm_server, gives_a_message_again_until_it_is_popped_and_counts_acknowledgements_behind_it) {
  start();
  raw_tcp client(server->port());
  EXPECT_EQ(log_in(client, "cli").status, wire::login_status::accepted);
  ASSERT_FALSE(server->say("cli", "to be acknowledged"));
  ASSERT_TRUE(until([&] { return client.received().size() == 32; }, "it"));
  server->pops = false;
  client.send(message(9, 1, 0, 16));
  ASSERT_TRUE(until([&] { return server->messages.size() == 3; }, "the same three times"));
  EXPECT_EQ(server->messages, (told{"1 m", "1 m", "1 m"}));
  EXPECT_EQ(server->member("cli").where().popped, 0u);
  client.send(message(8, 0, 1, 8));
  for (int i = 0; i < 50; ++i) server->poll(now);
  client.close();
  ASSERT_TRUE(until([&] { return server->member("cli").is_closed(); }, "the end, although the message lies there"));
  raw_tcp again(server->port());
  EXPECT_EQ(log_in(again, "cli", "srv", {1, 0, 1}).numbers, (wire::range{0, 1, 1}));
}

TEST_F(tcpshm_server, delivers_what_a_client_had_sent_before_it_went) {
  start();
  raw_tcp client(server->port());
  client.send(login("cli"));
  std::string all;
  for (int i = 0; i < 1000; ++i) all += message(9, 1, 0, 16);
  client.send(all);
  client.close();
  ASSERT_TRUE(until([&] { return server->notes.size() == 3; }, "the end"));
  EXPECT_EQ(server->messages.size(), 1000u);
}

TEST_F(tcpshm_server, tells_the_errno_of_a_connection_that_was_reset) {
  start();
  raw_tcp client(server->port());
  EXPECT_EQ(log_in(client, "cli").status, wire::login_status::accepted);
  client.reset();
  ASSERT_TRUE(until([&] { return server->notes.size() == 3; }, "the end"));
  EXPECT_TRUE(server->notes.back().starts_with("disconnected cli: ")) << server->notes.back();
  EXPECT_EQ(server->ended_by, ECONNRESET);
}

TEST_F(tcpshm_server, sends_every_byte_to_a_client_that_reads_late) {
  tcpshm::options with;
  with.tcp_queue_bytes = 8u << 20;
  start(with);
  raw_tcp client(server->port());
  EXPECT_EQ(log_in(client, "cli").status, wire::login_status::accepted);
  std::string wanted;
  for (std::size_t i = 0; wanted.size() < (7u << 20); ++i) {
    const auto body = std::string().append(i * 997 % 65'528, static_cast<char>('a' + i % 26));
    ASSERT_FALSE(server->say("cli", body, 9));
    auto one = message(static_cast<std::uint16_t>(body.size() + 8), 9, 0, 8) + body;
    one.resize(wire::padded(one.size()));
    wanted += one;
  }
  ASSERT_TRUE(until([&] { return client.received().size() >= wanted.size(); }, "all"));
  EXPECT_TRUE(client.take(wanted.size()) == wanted);
}

TEST_F(tcpshm_server, begins_anew_for_a_client_that_knows_no_server_and_counts_what_that_discards) {
  start();
  {
    raw_tcp client(server->port());
    EXPECT_EQ(log_in(client, "cli").status, wire::login_status::accepted);
    for (int i = 0; i < 3; ++i) ASSERT_FALSE(server->say("cli", "x"));
    client.send(message(9, 1, 0, 16));
    ASSERT_TRUE(until([&] { return server->messages.size() == 1; }, "a message"));
  }
  ASSERT_TRUE(until([&] { return server->member("cli").is_closed(); }, "the end"));
  raw_tcp client(server->port());
  const auto answer = log_in(client, "cli", "other", {5, 6, 7});
  EXPECT_EQ(answer.status, wire::login_status::accepted);
  EXPECT_EQ(answer.numbers, wire::range{});
  EXPECT_EQ(server->member("cli").discarded(), 3u);
  EXPECT_EQ(server->member("cli").where(), (tcpshm::connection::progress{0, 0}));
}

TEST_F(tcpshm_server, that_cannot_listen_says_why) {
  start();
  noting_server second(files.path().string(), "other", {});
  EXPECT_FALSE(second.start("127.0.0.1", server->port()));
  ASSERT_EQ(second.notes.size(), 1u);
  EXPECT_TRUE(second.notes[0].starts_with("system error " + std::to_string(EADDRINUSE))) << second.notes[0];
  EXPECT_FALSE(second.start("no such host.invalid", 1));
}

TEST_F(tcpshm_server, starts_again_after_it_was_stopped) {
  start();
  {
    raw_tcp client(server->port());
    EXPECT_EQ(log_in(client, "cli").status, wire::login_status::accepted);
    ASSERT_FALSE(server->say("cli", "kept"));
    ASSERT_TRUE(until([&] { return client.received().size() == 16; }, "it"));
    server->stop();
    EXPECT_TRUE(client.ended());
  }
  ASSERT_TRUE(server->start("127.0.0.1", 0));
  raw_tcp client(server->port());
  EXPECT_EQ(log_in(client, "cli", "srv").numbers, (wire::range{0, 0, 1}));
}

TEST(tcpshm_options, that_cannot_be_are_refused_with_the_limit) {
  const auto refused = [](auto change) {
    tcpshm::options with;
    change(with);
    try {
      const noting_server never("unused", "srv", with);
      return std::string("taken");
    } catch (const failure& why) {
      EXPECT_EQ(why.reason(), errc::bad_option);
      return std::string(why.what());
    }
  };
  EXPECT_EQ(refused([](auto&) {}), "taken");
  EXPECT_EQ(refused([](auto& o) { o.shm_queue_bytes = 3000; }),
            "shm_queue_bytes is 3000, but must be a power of two, 128 .. 2^30");
  EXPECT_NE(refused([](auto& o) { o.tcp_queue_bytes = 2001; }), "taken");
  EXPECT_NE(refused([](auto& o) { o.tcp_recv_max = 8; }), "taken");
  EXPECT_NE(refused([](auto& o) { o.name_size = 1; }), "taken");
  EXPECT_NE(refused([](auto& o) { o.login_data_bytes = 0; }), "taken");
  EXPECT_NE(refused([](auto& o) { o.data_alignment = 3; }), "taken");
  EXPECT_NE(refused([](auto& o) { o.durable = tcpshm::durability::disk; }).find("speaks must be protocol::ferry"),
            std::string::npos);
  EXPECT_THROW(noting_server("unused", "sixteen.letters.", {}), failure);
  EXPECT_THROW(noting_client("unused", "a/b", {}), failure);
  EXPECT_THROW(noting_client("", "a", {}), failure);
  EXPECT_EQ(tcpshm::options::seed_defaults().tcp_queue_bytes, 2000u);
}

}  // namespace
}  // namespace ferry::test
