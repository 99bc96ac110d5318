// tcpshm's shape over persistent sessions: who meets whom, numbers that do not fit, and channels on the other end.
#include <ferry/listener.hpp>
#include <ferry/session.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "codec/session_frame.hpp"
#include "session/login.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/tcpshm_sessions.hpp"

namespace ferry::test {
namespace {

namespace fs = std::filesystem;

class tcpshm_session_meeting : public tcpshm_sessions {};

INSTANTIATE_TEST_SUITE_P(, tcpshm_session_meeting, ::testing::Values(false, true), name_of_shape);

// Meeting -------------------------------------------------------------------------------------------------------------

TEST_P(tcpshm_session_meeting, numbers_that_do_not_fit_are_told_with_all_six_on_both_sides) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "a");
  on.client.reset();
  const snapshot old(on.client_files);
  on.make_client();
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "b");
  on.client.reset();
  old.restore();
  on.make_client();
  // Twice, as its old copy says a login that was there before.
  for (int i = 0; i < 3 && !on.server->notes.back().starts_with("mismatch"); ++i) EXPECT_FALSE(on.log_in(shm()));
  // When the starts moved is the affair of who acknowledged when.
  EXPECT_THAT(on.server->notes.back(),
              ::testing::MatchesRegex("mismatch of " + on.client_name + ": 2 [12] 2 1 [01] 1"));
  EXPECT_THAT(on.client->notes.back(), ::testing::MatchesRegex("mismatch: 1 [01] 1 2 [12] 2"));
  EXPECT_TRUE(fs::exists(on.client_files.file(on.client_name + "~.mismatch"))) << "for accept-remote";
}

TEST_P(tcpshm_session_meeting, a_client_that_has_lost_its_files_begins_anew_and_the_server_counts_what_that_discards) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "a");
  for (int i = 0; i < 100; ++i) on.poll();  // it is acknowledged
  on.client.reset();
  ASSERT_TRUE(poll_until([&] { on.server->poll(on.now); }, [&] { return on.member().is_closed(); }, "the end"));
  ASSERT_FALSE(on.server->say(on.client_name, "lost"));
  for (const auto& one : fs::directory_iterator(on.client_files.path())) fs::remove(one);
  on.make_client();
  ASSERT_TRUE(on.log_in(shm()));
  EXPECT_EQ(on.member().discarded(), 1u);
  EXPECT_EQ(on.member().where(), (tcpshm::connection::progress{0, 0}));
  expect_echo(on, "b");
}

TEST_P(tcpshm_session_meeting, another_server_begins_a_new_session_and_the_client_counts_what_that_discards) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "a");
  ASSERT_TRUE(on.part());
  ASSERT_FALSE(on.client->say("for the first server"));
  temp_dir files;
  noting_server other(files.path().string(), "other", on.server_options);
  ASSERT_TRUE(other.start("127.0.0.1", 0));
  ASSERT_TRUE(on.client->start_connect(shm(), "127.0.0.1", other.port()));
  ASSERT_TRUE(poll_until(
      [&] {
        other.poll(1);
        on.client->poll_tcp(1);
        on.client->poll_shm();
      },
      [&] { return !on.client->connecting(); }, "an answer"));
  EXPECT_EQ(on.client->notes.back(), "success: other");
  EXPECT_EQ(on.client->get_connection().remote_name(), "other");
  EXPECT_EQ(on.client->get_connection().discarded(), 1u);
}

TEST_P(tcpshm_session_meeting,
       a_client_that_comes_back_takes_the_place_of_its_connection_that_the_server_holds_for_alive) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "before");
  // The same client on a machine whose network was cut: its files go on, and nobody has told the server.
  const temp_dir elsewhere;
  fs::copy(on.client_files.path(), elsewhere.path(), fs::copy_options::recursive);
  noting_client again(elsewhere.path().string(), on.client_name, on.client_options);
  on.server->notes.clear();
  ASSERT_TRUE(again.start_connect(shm(), "127.0.0.1", on.server->port()));
  const auto until = [&](auto done, const char* awaited) {
    return poll_until(
        [&] {
          on.server->poll(on.now);
          again.now = on.now;
          again.poll_tcp(on.now);
          again.poll_shm();
        },
        done, awaited);
  };
  ASSERT_TRUE(until([&] { return !again.connecting(); }, "an answer to the login"));
  EXPECT_EQ(again.notes, told{"success: " + on.server_name});
  EXPECT_EQ(on.server->notes,
            (told{"new: " + on.client_name + (shm() ? " shm" : " tcp"),
                  "disconnected " + on.client_name + ": the client has logged in again", "logon: " + on.client_name}));
  ASSERT_FALSE(again.say("after"));
  ASSERT_TRUE(until([&] { return !again.messages.empty(); }, "an echo"));
  EXPECT_EQ(again.messages, told{"1 after"});
  EXPECT_EQ(on.member().where(), (tcpshm::connection::progress{2, 2}));
  ASSERT_TRUE(on.until([&] { return on.client->get_connection().is_closed(); }, "the end of the first"));
}

TEST(tcpshm_session_over_tcp, only_a_newer_login_of_the_same_session_takes_the_place_of_a_live_one) {
  tcpshm_pair on(over_sessions(), over_sessions());
  const auto log_in = [&](raw_tcp& peer, std::uint64_t session, std::uint64_t epoch) {
    session::login said;
    said.session = session;
    said.epoch = epoch;
    said.own_name = "cli";
    peer.send(as_text(session::encode(said)));
    EXPECT_TRUE(on.until([&] { return peer.received().size() == session::k_login_bytes; }, "an answer"));
    return session::decode_login(as_bytes(peer.take(session::k_login_bytes)), true).value();
  };
  raw_tcp first(on.server->port());
  ASSERT_EQ(log_in(first, 7, 5).outcome, session::login_outcome::begun);
  for (const auto& [session, epoch] : {std::pair{7, 5}, {7, 4}, {8, 9}}) {
    raw_tcp other(on.server->port());
    const auto answer = log_in(other, static_cast<std::uint64_t>(session), static_cast<std::uint64_t>(epoch));
    EXPECT_EQ(answer.outcome, session::login_outcome::refused) << session << " " << epoch;
    EXPECT_EQ(answer.text, "Already loggned on");
  }
  EXPECT_FALSE(on.server->member("cli").is_closed());
  // One whose owner has no place for it leaves the first one alone, too.
  on.server->group = -1;
  raw_tcp refused(on.server->port());
  EXPECT_EQ(log_in(refused, 7, 6).text, "Rejected");
  EXPECT_FALSE(on.server->member("cli").is_closed());
  on.server->group = 0;
  raw_tcp second(on.server->port());
  EXPECT_EQ(log_in(second, 7, 6).outcome, session::login_outcome::resumed);
  ASSERT_TRUE(on.until([&] { return first.ended(); }, "the end of the first"));
}

TEST(tcpshm_session_over_tcp, a_newer_login_waits_no_longer_than_others_for_a_group_that_nobody_polls) {
  tcpshm_pair on(over_sessions(), over_sessions());
  const auto login = [](std::uint64_t epoch) {
    session::login said;
    said.session = 7;
    said.epoch = epoch;
    said.own_name = "cli";
    const auto made = session::encode(said);
    return std::string(as_text(made));
  };
  raw_tcp first(on.server->port());
  first.send(login(1));
  ASSERT_TRUE(on.until([&] { return first.received().size() == session::k_login_bytes; }, "an answer"));
  raw_tcp second(on.server->port()), third(on.server->port());
  const auto poll_until_told = [&](const auto& done) {
    return poll_until([&] { on.server->poll_ctl(on.now); }, done, "the server");
  };
  const auto told_before = on.server->notes.size();
  second.send(login(2));
  ASSERT_TRUE(poll_until_told([&] { return on.server->notes.size() > told_before; }));
  third.send(login(3));
  ASSERT_TRUE(poll_until_told([&] { return on.server->notes.size() > told_before + 1; }));
  ASSERT_TRUE(poll_until_told([&] { return second.ended(); })) << "there is a newer one";
  on.now += on.server_options.new_connection_timeout;
  ASSERT_TRUE(poll_until_told([&] { return third.ended(); }));
  EXPECT_FALSE(first.ended());
}

TEST_P(tcpshm_session_meeting, only_the_expected_name_is_let_in_by_either_side) {
  tcpshm::options picky;
  picky.peer = "somebody";
  {
    sessions on({}, picky);
    EXPECT_FALSE(on.log_in(shm()));
    EXPECT_EQ(on.client->notes.back(), "rejected: expected 'somebody'");
    EXPECT_EQ(on.server->notes, told{});
  }
  sessions on(picky, {});
  EXPECT_FALSE(on.log_in(shm()));
  EXPECT_EQ(on.client->notes.back(), "rejected: this is '" + on.server_name + "', not 'somebody'");
}

TEST_P(tcpshm_session_meeting, a_text_of_refusal_reaches_the_client_and_no_more_user_data_than_a_login_has_room_for) {
  sessions on;
  on.server->group = -1;
  on.server->refusal = "not you, and not today, as everybody else is here already";
  EXPECT_FALSE(on.log_in(shm()));
  EXPECT_EQ(on.client->notes.back(), "rejected: " + on.server->refusal);
  EXPECT_FALSE(on.client->start_connect(shm(), "127.0.0.1", on.server->port(), as_bytes(std::string(64, 'x'))));
  EXPECT_EQ(on.client->notes.back(), "system error 22: login user data of 64 bytes; protocol::ferry has at most 63");
}

TEST_P(tcpshm_session_meeting, files_that_are_damaged_or_in_use_are_an_error_on_the_side_that_has_them) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "a");
  noting_server second(on.server_files.path().string(), on.server_name, on.server_options);
  ASSERT_TRUE(second.start("127.0.0.1", 0));
  ASSERT_TRUE(on.part());
  const auto try_second = [&] {
    ASSERT_TRUE(on.client->start_connect(shm(), "127.0.0.1", second.port()));
    ASSERT_TRUE(poll_until(
        [&] {
          second.poll(1);
          on.client->poll_tcp(1);
          on.client->poll_shm();
        },
        [&] { return !on.client->connecting(); }, "an answer"));
    EXPECT_EQ(on.client->notes.back(), "rejected: File error");
  };
  try_second();
  EXPECT_NE(second.notes.back().find("is in use"), std::string::npos) << second.notes.back();
  on.server.reset();
  fs::resize_file(on.server_files.file(on.server_name + "~" + on.client_name + ".session"), 100);
  try_second();
  EXPECT_TRUE(second.notes.back().starts_with("file error of " + on.client_name)) << second.notes.back();
}

TEST(tcpshm_session_over_tcp, a_peer_that_lies_ends_its_connection_alone) {
  tcpshm_pair on(over_sessions(), over_sessions());
  ASSERT_TRUE(on.log_in(false));
  using kind = codec::session_frame_kind;
  const auto frame = [](kind what, std::uint64_t ack, std::size_t length = 0) {
    std::string made(16, '\0');
    codec::session_framing::encode_header(reinterpret_cast<std::byte*>(made.data()), what, ack, length, 0);
    return made;
  };
  const auto end_after = [&](const std::string& name, const std::string& what) {
    raw_tcp liar(on.server->port());
    session::login said;
    said.session = 7;
    said.epoch = 1;
    said.own_name = name;
    liar.send(as_text(session::encode(said)));
    EXPECT_TRUE(on.until([&] { return liar.received().size() == session::k_login_bytes; }, "an answer"));
    const auto answer = liar.take(session::k_login_bytes);
    EXPECT_EQ(session::decode_login(as_bytes(answer), true)->outcome, session::login_outcome::begun);
    const auto before = on.server->notes.size();
    liar.send(what);
    EXPECT_TRUE(on.until([&] { return on.server->notes.size() > before; }, "the end"));
    return on.server->notes.back().substr(("disconnected " + name + ": ").size());
  };
  EXPECT_EQ(end_after("a", frame(kind::acknowledgement, 1)),
            "the peer acknowledges up to number 1, and only those before 0 were sent");
  EXPECT_NE(end_after("b", frame(kind::binary, 0, 1u << 30)).find("1073741824"), std::string::npos);
  EXPECT_NE(end_after("c", frame(static_cast<kind>(9), 0)), "");
  EXPECT_EQ(end_after("d", frame(kind::end, 0) + frame(kind::binary, 0)), "the peer sent messages after its end");
  EXPECT_FALSE(on.client->get_connection().is_closed());
  raw_tcp garbage(on.server->port());
  garbage.send(std::string().append(session::k_login_bytes, 'x'));
  ASSERT_TRUE(on.until([&] { return garbage.ended(); }, "the end"));
}

TEST(tcpshm_session_over_tcp, a_silent_peer_is_asked_and_then_given_up) {
  tcpshm_pair on(over_sessions(), over_sessions());
  ASSERT_TRUE(on.log_in(false));
  for (int i = 0; i < 20; ++i) {
    on.now += 3;
    for (int k = 0; k < 20; ++k) on.poll();
  }
  EXPECT_FALSE(on.client->get_connection().is_closed());
  on.now += 10;
  on.server->poll(on.now);
  on.server->poll(on.now);
  EXPECT_EQ(on.server->notes.back(), "disconnected " + on.client_name + ": timeout: nothing came for 10");
}

// Channels on the other end -------------------------------------------------------------------------------------------

class tcpshm_session_and_channel : public tcpshm_sessions {
 protected:
  [[nodiscard]] options channel_options(const std::string& as) const {
    options o;
    o.session = session_kind::persistent;
    o.as = as;
    o.dir = channel_files_.path();
    o.runtime_dir = runtime_.path();
    o.reconnect = true;
    o.reconnect_base = o.reconnect_max = std::chrono::milliseconds(1);
    return o;
  }
  [[nodiscard]] tcpshm::options shape_options() const {
    auto with = over_sessions();
    with.runtime_dir = runtime_.path().string();
    with.connection_timeout = 1'000'000'000;
    return with;
  }
  void turn() {
    if (io_.stopped()) io_.restart();
    io_.poll();
  }

  temp_dir channel_files_, shape_files_, runtime_;
  boost::asio::io_context io_;
  context where_{io_};
};

INSTANTIATE_TEST_SUITE_P(, tcpshm_session_and_channel, ::testing::Values(false, true), name_of_shape);

TEST_P(tcpshm_session_and_channel, a_server_answers_a_channel_that_comes_back_and_ends_in_order) {
  std::string url;
  std::optional<noting_server> server;
  const auto start = [&] {
    server.emplace(shape_files_.path().string(), "srv", shape_options());
    ASSERT_TRUE(server->start("127.0.0.1", 0));
    server->echoes = true;
    server->answer_data = "of the server";
    url = (shm() ? "shm://" : "tcp://127.0.0.1:") + std::to_string(server->port());
  };
  start();
  const auto until = [&](auto done, const char* awaited) {
    return poll_until(
        [&] {
          turn();
          server->poll(1);
        },
        done, awaited);
  };
  told answers;
  for (int life = 0; life < 3; ++life) {
    auto with = channel_options("cli");
    with.login_data = "of life " + std::to_string(life);
    auto link = channel::open(where_, url, with).value();
    link.on_message(
        [&](const message_view& m) { answers.push_back(std::to_string(m.type) + " " + std::string(m.text())); });
    const auto had = answers.size();
    ASSERT_TRUE(link.try_send(as_bytes("typed"), message_kind::binary, 9));
    ASSERT_TRUE(link.try_send("text"));
    ASSERT_TRUE(link.try_send(as_bytes(std::string().append(200'000, 'l'))));
    ASSERT_TRUE(until([&] { return answers.size() == had + 3; }, "the echoes"));
    EXPECT_EQ(link.peer().login_data, "of the server");
    EXPECT_EQ(as_text(server->login_data), with.login_data);
    EXPECT_EQ(answers[had], "9 typed");
    EXPECT_EQ(answers[had + 1], "0 text");
    EXPECT_EQ(answers[had + 2].size(), 200'002u);
    std::optional<error_code> closed;
    link.async_close([&](error_code how, const auto&...) { closed = how; });
    ASSERT_TRUE(
        until([&] { return closed.has_value() && server->notes.back().starts_with("disconnected"); }, "the end"));
    EXPECT_FALSE(*closed) << closed->message();
    EXPECT_EQ(server->notes.back(), "disconnected cli: the peer has closed the connection");
    if (life == 1) start();
  }
  EXPECT_EQ(server->member("cli").where(), (tcpshm::connection::progress{9, 9}));
}

TEST_P(tcpshm_session_and_channel, a_client_speaks_to_a_listener_whose_channel_sleeps_in_between) {
  auto listening = channel_options("srv");
  listening.login_data = "of the listener";
  auto at = listener::open(where_, shm() ? "shm://orders" : "tcp://127.0.0.1:0", listening).value();
  channel link;
  std::size_t taken = 0;
  at.on_channel([&](channel one) {
    link = std::move(one);
    link.on_message([&](const message_view& m) {
      taken += 1;
      ASSERT_TRUE(link.try_send(m.payload, m.kind, m.type));
    });
  });
  auto with = shape_options();
  with.shm_endpoint = "orders";
  const std::string url = at.url();
  const auto port = shm() ? 0 : std::stoi(url.substr(url.rfind(':') + 1));
  for (int life = 0; life < 3; ++life) {
    noting_client client(shape_files_.path().string(), "cli", with);
    const auto until = [&](auto done, const char* awaited) {
      return poll_until(
          [&] {
            turn();
            client.poll_tcp(1);
            client.poll_shm();
          },
          done, awaited);
    };
    const std::string data = "of life " + std::to_string(life);
    ASSERT_TRUE(client.start_connect(shm(), "127.0.0.1", static_cast<std::uint16_t>(port), as_bytes(data)));
    ASSERT_TRUE(until([&] { return !client.connecting(); }, "the login"));
    ASSERT_EQ(client.notes, told{"success: srv"});
    EXPECT_EQ(as_text(client.answer_data), "of the listener");
    EXPECT_EQ(link.peer().login_data, data);
    if (life > 0) {
      ASSERT_TRUE(
          until([&] { return client.messages == told{"5 committed as the files were given back"}; }, "an echo"));
      client.messages.clear();
    }
    for (int i = 0; i < 20; ++i) {
      for (int k = 0; k < 20; ++k) turn();  // it falls asleep
      ASSERT_FALSE(client.say(std::to_string(i), 5));
      ASSERT_TRUE(until([&] { return client.messages.size() == static_cast<std::size_t>(i) + 1; }, "an echo"));
      EXPECT_EQ(client.messages.back(), "5 " + std::to_string(i));
    }
    ASSERT_FALSE(client.say("committed as the files were given back", 5, true));
  }
  EXPECT_EQ(taken, 62u);
}

}  // namespace
}  // namespace ferry::test
