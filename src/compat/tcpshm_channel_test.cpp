// Channels with compat=tcpshm, at both ends, and with the poll API at one of them, whose bytes are the original's.
#include <ferry/channel.hpp>
#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>

#include "testing/tcpshm_pair.hpp"

namespace ferry::test {
namespace {

class tcpshm_channel : public ::testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] bool is_shm() const { return std::string_view(GetParam()) == "shm"; }
  [[nodiscard]] options settings(const std::string& as) const {
    options o;
    o.session = session_kind::persistent;
    o.compat = compat_kind::tcpshm;
    o.as = as;
    o.dir = dir_.path();
    o.reconnect = true;
    o.reconnect_base = o.reconnect_max = std::chrono::milliseconds(1);
    o.heartbeat = std::chrono::minutes(1);
    if (change_) change_(o);
    return o;
  }
  void listen() {
    listening_ = listener::open(where_, std::string(GetParam()) + "://127.0.0.1:0", settings(server_name_)).value();
    listening_.on_channel([this](channel one) {
      server_ = std::move(one);
      arrived_ = server_.peer();
      arrivals_ += 1;
      server_.on_message([this](const message_view& m) {
        received_.push_back(std::to_string(m.type) + " " + std::string(m.text()));
        if (echoes_) echo(m.text(), m.type);
      });
      server_.on_drain([this] {
        const auto late = std::exchange(late_, {});
        server_.resume();
        for (const auto& [text, type] : late) echo(text, type);
      });
    });
    listening_.on_error([this](const error& why) { errors_.push_back(why.text()); });
  }
  void echo(std::string_view text, std::uint16_t type) {
    const auto sent = server_.try_send(as_bytes(text), message_kind::binary, type);
    if (sent) return;
    ASSERT_EQ(sent.error(), errc::full) << sent.error().text();
    late_.emplace_back(text, type);
    server_.pause();
  }
  void connect() {
    client_ = channel::open(where_, listening_.url(), settings(client_name_)).value();
    client_.on_message(
        [this](const message_view& m) { answers_.push_back(std::to_string(m.type) + " " + std::string(m.text())); });
  }
  void join() {
    listen();
    connect();
    ASSERT_TRUE(turn([&] { return server_ && client_.state() == channel_state::up; }, "both ends"));
  }
  [[nodiscard]] ::testing::AssertionResult client_comes_again() {
    return turn(
        [&] {
          auto again = channel::open(where_, listening_.url(), settings(client_name_));
          if (again) client_ = *again;
          return again.has_value();
        },
        "the files of the one that was cut");
  }
  [[nodiscard]] std::uint16_t port() const {
    const std::string url = listening_.url();
    return static_cast<std::uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));
  }
  /// As the poll API has it.
  [[nodiscard]] static tcpshm::options polled() {
    tcpshm::options o;
    o.connection_timeout = o.heartbeat_interval = o.new_connection_timeout = 1'000'000;
    return o;
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io_, std::move(done), awaited, std::chrono::seconds(60));
  }

  const std::string client_name_ = unique_name("c");
  const std::string server_name_ = unique_name("s");
  const clean_rings rings_{client_name_, server_name_};
  temp_dir dir_;
  boost::asio::io_context io_;
  context where_{io_};
  std::function<void(options&)> change_;
  bool echoes_ = false;
  std::vector<std::pair<std::string, std::uint16_t>> late_;  // there was no room for it
  int arrivals_ = 0;
  std::vector<std::string> received_, answers_, errors_;
  listener listening_;
  channel client_, server_;
  peer_info arrived_;  // the server's, when it was handed out
};

INSTANTIATE_TEST_SUITE_P(, tcpshm_channel, ::testing::Values("tcp", "shm"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(tcpshm_channel, knows_its_peer_when_it_is_handed_out) {
  change_ = [](options& o) {
    o.tcpshm_login_data_bytes = 8;
    o.login_data = "who I am";
  };
  join();
  EXPECT_TRUE(arrived_.address.starts_with("127.0.0.1:")) << arrived_.address;
  EXPECT_EQ(arrived_.login_data, "who I am");
}

TEST_P(tcpshm_channel, carries_messages_of_all_sizes_and_types_both_ways_and_in_order) {
  echoes_ = true;
  join();
  std::vector<std::string> wanted;
  const auto send = [&](const std::string& text, std::uint16_t type) {
    ASSERT_TRUE(turn([&] { return client_.try_send(as_bytes(text), message_kind::binary, type).has_value(); }, "room"));
    wanted.push_back(std::to_string(type) + " " + text);
  };
  send("", 0);
  send("plain", 0);
  send("typed", 4711);
  for (std::size_t i = 0; i < 300; ++i) send(std::string(i * 211 % 65'000, static_cast<char>('a' + i % 26)), 0);
  send(std::string(65'527, 'l'), 1);
  ASSERT_TRUE(turn([&] { return answers_.size() == wanted.size(); }, "all answers"));
  EXPECT_EQ(received_, wanted);
  EXPECT_EQ(answers_, wanted);
  EXPECT_EQ(client_.try_send(as_bytes(std::string(65'528, 'x'))).error(), errc::message_too_large);
  EXPECT_EQ(client_.try_send(as_bytes("x"), message_kind::binary, 65'535).error(), errc::unsupported);
}

TEST_P(tcpshm_channel, sends_again_what_was_not_acknowledged_when_one_end_was_cut_and_nothing_twice) {
  join();
  ASSERT_TRUE(client_.try_send("1"));
  ASSERT_TRUE(turn([&] { return received_.size() == 1; }, "a message"));
  server_.pause();
  ASSERT_TRUE(client_.try_send("2"));
  run_ready(io_);
  client_.cut();
  client_ = {};
  ASSERT_TRUE(turn([&] { return server_.state() == channel_state::waiting; }, "the news"));
  ASSERT_TRUE(server_.try_send("while you were away"));
  ASSERT_TRUE(client_comes_again());
  client_.on_message([this](const message_view& m) { answers_.emplace_back(m.text()); });
  server_.resume();
  ASSERT_TRUE(turn([&] { return received_.size() == 2 && answers_.size() == 1; }, "what was queued"));
  ASSERT_TRUE(client_.try_send("3"));
  ASSERT_TRUE(turn([&] { return received_.size() == 3; }, "one more"));
  EXPECT_EQ(received_, (std::vector<std::string>{"0 1", "0 2", "0 3"}));
  EXPECT_EQ(arrivals_, 1) << "it is the same channel";
}

TEST_P(tcpshm_channel, that_met_a_server_of_the_wrong_name_has_lost_nothing_for_the_right_one) {
  change_ = [this](options& o) {
    if (o.as == client_name_) o.peer = server_name_;
  };
  join();
  ASSERT_TRUE(client_.try_send("1"));
  ASSERT_TRUE(turn([&] { return received_.size() == 1; }, "a message"));
  server_.pause();
  ASSERT_TRUE(client_.try_send("2"));
  client_.cut();
  client_ = {};
  ASSERT_TRUE(turn([&] { return server_.state() == channel_state::waiting; }, "the news"));

  const auto wrong_name = unique_name("w");
  const clean_rings wrong_rings(client_name_, wrong_name);
  const listener wrong =
      listener::open(where_, std::string(GetParam()) + "://127.0.0.1:0", settings(wrong_name)).value();
  std::optional<error> why;
  client_ = channel::open(where_, wrong.url(), settings(client_name_)).value();
  client_.on_connect_failure([&](const error& told) { why = told; });
  ASSERT_TRUE(turn([&] { return why && *why == errc::auth; }, "the refusal, once the files are free"));
  EXPECT_NE(why->text().find("expected '" + server_name_ + "', found '" + wrong_name + "'"), std::string::npos)
      << why->text();
  client_.cut();
  client_ = {};

  ASSERT_TRUE(client_comes_again());
  ASSERT_TRUE(turn([&] { return client_.state() == channel_state::up; }, "the login"));
  server_.resume();
  ASSERT_TRUE(turn([&] { return received_.size() == 2; }, "what was queued"));
  ASSERT_TRUE(client_.try_send("3"));
  ASSERT_TRUE(turn([&] { return received_.size() == 3; }, "one more"));
  EXPECT_EQ(received_, (std::vector<std::string>{"0 1", "0 2", "0 3"}));
}

TEST_P(tcpshm_channel, ends_clean_once_the_peer_has_everything) {
  join();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client_.try_send("x"));
  std::optional<close_report> report;
  client_.async_close([&](error_code, const close_report& told) { report = told; });
  ASSERT_TRUE(turn([&] { return report.has_value(); }, "the end"));
  EXPECT_TRUE(report->clean()) << report->reason.text();
  EXPECT_EQ(received_.size(), 100u);
}

TEST_P(tcpshm_channel, tells_full_and_then_that_there_is_room) {
  change_ = [](options& o) { o.tcpshm_queue_bytes = 8192; };
  join();
  server_.pause();
  std::size_t sent = 0, drained = 0;
  client_.on_drain([&] { drained += 1; });
  const std::string text(500, 'x');
  while (client_.try_send(text)) sent += 1;
  EXPECT_GT(sent, 8u);
  run_ready(io_);
  EXPECT_EQ(drained, 0u);
  server_.resume();
  ASSERT_TRUE(turn([&] { return drained == 1 && received_.size() == sent; }, "room"));
}

TEST_P(tcpshm_channel, rests_while_senders_wait_for_room_that_the_peer_does_not_give) {
  change_ = [](options& o) { o.tcpshm_queue_bytes = 8192; };
  join();
  server_.pause();
  std::size_t sent = 0;
  bool taken = false;
  const std::string text(500, 'x');
  while (client_.try_send(text)) sent += 1;
  client_.async_send(as_bytes(text), [&](error_code failed) { taken = !failed; });
  constexpr std::size_t k_never_rests = 10'000;
  std::size_t turns = 0;
  while (turns < k_never_rests && io_.poll_one() != 0) turns += 1;
  EXPECT_LT(turns, k_never_rests) << "it looks for room again and again";
  EXPECT_FALSE(taken);
  server_.resume();
  ASSERT_TRUE(turn([&] { return taken && received_.size() == sent + 1; }, "room"));
}

TEST_P(tcpshm_channel, closes_when_a_peer_that_was_away_has_come_back_for_what_waited) {
  change_ = [](options& o) { o.close_timeout = std::chrono::minutes(1); };
  join();
  client_.cut();
  client_ = {};
  ASSERT_TRUE(turn([&] { return server_.state() == channel_state::waiting; }, "the news"));
  ASSERT_TRUE(server_.try_send("last words"));
  std::optional<close_report> report;
  server_.async_close([&](error_code, const close_report& told) { report = told; });
  run_ready(io_);
  EXPECT_FALSE(report);
  ASSERT_TRUE(client_comes_again());
  client_.on_message([this](const message_view& m) { answers_.emplace_back(m.text()); });
  ASSERT_TRUE(turn([&] { return report.has_value(); }, "the end"));
  EXPECT_TRUE(report->clean()) << report->reason.text();
  EXPECT_EQ(answers_, std::vector<std::string>{"last words"});
  EXPECT_EQ(arrivals_, 1) << "the same channel, until it has ended";
}

TEST_P(tcpshm_channel, gives_its_files_back_when_it_has_ended_though_somebody_keeps_a_handle) {
  join();
  std::optional<close_report> report;
  client_.async_close([&](error_code, const close_report& told) { report = told; });
  ASSERT_TRUE(turn([&] { return report.has_value(); }, "the end"));
  const channel kept = client_;
  connect();
  ASSERT_TRUE(turn([&] { return client_.state() == channel_state::up; }, "the next one"));
  EXPECT_EQ(client_.stats().failed_attempts, 0u);
}

TEST_P(tcpshm_channel, counts_what_is_discarded_where_a_client_that_has_lost_its_files_begins_anew) {
  join();
  ASSERT_TRUE(client_.try_send("known"));
  ASSERT_TRUE(turn([&] { return received_.size() == 1; }, "a message"));
  client_.cut();
  client_ = {};
  ASSERT_TRUE(turn([&] { return server_.state() == channel_state::waiting; }, "the news"));
  for (const char* text : {"never comes", "nor does this"}) ASSERT_TRUE(server_.try_send(text));
  EXPECT_EQ(server_.stats().messages_maybe_lost, 0u);
  for (const auto* file : {".lastserver", "_"}) {
    const auto name = dir_.file(client_name_ + file);
    std::filesystem::remove(*file == '_' ? name + server_name_ + ".ptcp" : name);
  }
  ASSERT_TRUE(client_comes_again());
  ASSERT_TRUE(turn([&] { return server_.state() == channel_state::up; }, "the second login"));
  EXPECT_EQ(server_.stats().messages_maybe_lost, 2u);
  EXPECT_EQ(where_.totals().messages_maybe_lost.value(), 2u);
}

TEST_P(tcpshm_channel, looks_a_name_up_where_blocking_is_allowed_and_what_is_sent_meanwhile_arrives) {
  join();
  client_.cut();
  client_ = {};
  ASSERT_TRUE(turn([&] { return server_.state() == channel_state::waiting; }, "the news"));
  boost::asio::io_context names;
  context elsewhere{io_, {.blocking_executor = names.get_executor()}};
  const auto open = [&](const std::string& host) {
    const std::string url = std::string(GetParam()) + "://" + host + ":" + std::to_string(port());
    return turn(
        [&] {
          auto made = channel::open(elsewhere, url, settings(client_name_));
          if (made) client_ = *made;
          return made.has_value();
        },
        "the files");
  };
  const auto look_up = [&] {
    names.restart();
    return names.poll() != 0;
  };
  ASSERT_TRUE(open("localhost"));
  // One that is given up before its name is found.
  client_.cut();
  ASSERT_TRUE(turn(look_up, "the lookup of a channel that has gone"));
  client_ = {};
  run_ready(io_);
  ASSERT_TRUE(open("localhost"));
  run_ready(io_);
  EXPECT_EQ(client_.state(), channel_state::connecting);
  if (!is_shm()) {
    EXPECT_TRUE(client_.try_send("before its name is found"));
  }
  ASSERT_TRUE(look_up());
  ASSERT_TRUE(turn([&] { return client_.state() == channel_state::up; }, "the login"));
  if (!is_shm()) {
    ASSERT_TRUE(turn([&] { return !received_.empty(); }, "the message"));
  }
  client_.cut();
  client_ = {};
  run_ready(io_);

  change_ = [](options& o) { o.reconnect = false; };
  ASSERT_TRUE(open("no-such-host.invalid"));
  ASSERT_TRUE(turn([&] { return look_up() || client_.state() == channel_state::closed; }, "another lookup"));
  ASSERT_TRUE(turn([&] { return client_.state() == channel_state::closed; }, "that there is none"));
  EXPECT_EQ(client_.last_error(), errc::not_found) << client_.last_error().text();
}

TEST_P(tcpshm_channel, takes_up_what_a_program_with_the_originals_sizes_has_left) {
  change_ = [this](options& o) { o.tcpshm_queue_bytes = is_shm() ? 2048 : 2000; };
  listen();
  {
    auto with = tcpshm::options::seed_defaults();
    with.connection_timeout = with.heartbeat_interval = 1'000'000;
    noting_client polls(dir_.path(), client_name_, with);
    ASSERT_TRUE(polls.start_connect(is_shm(), "127.0.0.1", port()));
    const auto poll = [&] {
      polls.poll_tcp(++polls.now);
      if (is_shm()) polls.poll_shm();
      return server_ && !polls.notes.empty();
    };
    ASSERT_TRUE(turn(poll, "the login"));
    EXPECT_EQ(polls.notes.front(), "success: " + server_name_);
    server_.pause();
    EXPECT_FALSE(polls.say("left"));
  }
  ASSERT_TRUE(turn([&] { return server_.state() == channel_state::waiting; }, "the news"));
  server_.resume();
  connect();
  ASSERT_TRUE(turn([&] { return client_.state() == channel_state::up; }, "the channel in its place"));
  ASSERT_TRUE(client_.try_send("added"));
  ASSERT_TRUE(turn([&] { return received_.size() == 2; }, "both"));
  EXPECT_EQ(received_, (std::vector<std::string>{"1 left", "0 added"}));
}

TEST_P(tcpshm_channel, keeps_64_failed_logins_for_a_listener_that_does_not_ask) {
  const std::string damaged = is_shm() ? rings_.path(false) : dir_.file(server_name_ + "_" + client_name_ + ".ptcp");
  std::ofstream(damaged) << "no queue";
  listening_ = listener::open(where_, std::string(GetParam()) + "://127.0.0.1:0", settings(server_name_)).value();
  connect();
  ASSERT_TRUE(turn([&] { return client_.stats().failed_attempts >= 70; }, "logins that fail"));
  client_.cut();
  run_ready(io_);
  listening_.on_error([this](const error& why) { errors_.push_back(why.text()); });
  listening_.on_channel([](const channel&) { ADD_FAILURE() << "there is none"; });
  ASSERT_TRUE(turn([&] { return errors_.size() >= 64; }, "what was kept"));
  run_ready(io_);
  EXPECT_EQ(errors_.size(), 64u);
}

TEST_P(tcpshm_channel, is_full_before_its_first_login_and_then_tells_of_room) {
  listen();
  connect();
  EXPECT_EQ(client_.try_send("too early").error(), errc::full);
  bool drained = false;
  client_.on_drain([&] { drained = client_.try_send("now").has_value(); });
  ASSERT_TRUE(turn([&] { return received_.size() == 1; }, "a message"));
  EXPECT_TRUE(drained);
  EXPECT_EQ(received_.front(), "0 now");
}

TEST_P(tcpshm_channel, ends_for_a_message_above_its_limit_and_says_so) {
  change_ = [this](options& o) {
    if (o.as != client_name_) return;
    o.max_message = 1000;
    o.reconnect = false;
  };
  join();
  std::vector<error> downs;
  client_.on_down([&](const down_info& info) { downs.push_back(info.reason); });
  ASSERT_TRUE(server_.try_send(std::string(1000, 'f')));
  ASSERT_TRUE(server_.try_send(std::string(1001, 'l')));
  ASSERT_TRUE(turn([&] { return client_.state() == channel_state::closed; }, "the end"));
  EXPECT_EQ(answers_.size(), 1u);
  ASSERT_EQ(downs.size(), 1u);
  EXPECT_EQ(downs[0], errc::message_too_large) << downs[0].text();
  EXPECT_NE(downs[0].text().find("1001"), std::string::npos) << downs[0].text();
  EXPECT_EQ(where_.totals().protocol_errors.value(), 1u);
}

TEST_P(tcpshm_channel, counts_what_waits_at_both_ends_and_says_how_much_is_left_when_it_is_cut) {
  change_ = [](options& o) { o.reconnect = false; };
  join();
  server_.pause();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client_.try_send("12345"));
  ASSERT_TRUE(turn([&] { return server_.stats().receive_queue_messages == 5; }, "what is not taken"));
  EXPECT_EQ(server_.stats().receive_queue_bytes, 25u);
  EXPECT_EQ(client_.stats().send_queue_messages, 5u);
  std::vector<error> downs;
  client_.on_down([&](const down_info& info) { downs.push_back(info.reason); });
  client_.cut();
  std::optional<close_report> report;
  client_.async_close([&](error_code, const close_report& told) { report = told; });
  ASSERT_TRUE(turn([&] { return report && downs.size() == 1; }, "the end"));
  EXPECT_EQ(downs[0], errc::closed) << downs[0].text();
  EXPECT_EQ(report->messages_unsent, 5u);
  EXPECT_GE(report->bytes_unsent, 25u);
}

TEST_P(tcpshm_channel, says_what_it_is_in_its_login_and_in_its_answer) {
  change_ = [this](options& o) {
    o.tcpshm_login_data_bytes = 8;
    o.tcpshm_answer_data_bytes = 4;
    o.login_data = o.as == client_name_ ? "trader" : "v2";
  };
  join();
  EXPECT_EQ(server_.peer().login_data, std::string("trader\0\0", 8));
  EXPECT_EQ(client_.peer().login_data, std::string("v2\0\0", 4));
}

TEST_P(tcpshm_channel, logs_in_with_long_names_and_data_aligned_to_8_and_big_endian) {
  const std::string client = unique_name("the-client-"), server = unique_name("the-server-");
  const clean_rings rings(client, server);
  change_ = [&](options& o) {
    const bool is_client = o.as == client_name_;
    o.as = is_client ? client : server;
    o.peer = is_client ? server : client;
    o.tcpshm_name_size = 24;
    o.tcpshm_login_data_bytes = 16;
    o.tcpshm_answer_data_bytes = 8;
    o.tcpshm_data_alignment = 8;
    o.tcpshm_big_endian = true;
    o.login_data = is_client ? "sixteen letters." : "eight...";
  };
  echoes_ = true;
  join();
  EXPECT_EQ(server_.peer().login_data, "sixteen letters.");
  EXPECT_EQ(client_.peer().login_data, "eight...");
  ASSERT_TRUE(client_.try_send(as_bytes("text"), message_kind::binary, 0x1234));
  ASSERT_TRUE(turn([&] { return answers_.size() == 1; }, "the echo"));
  EXPECT_EQ(answers_.front(), std::to_string(0x1234) + " text");
  client_.cut();
  client_ = {};
  ASSERT_TRUE(client_comes_again());
  ASSERT_TRUE(turn([&] { return client_.state() == channel_state::up; }, "the second login"));
  ASSERT_TRUE(client_.try_send(as_bytes("again"), message_kind::binary, 0x4321));
  ASSERT_TRUE(turn([&] { return received_.size() == 2; }, "what comes after another login"));
  EXPECT_EQ(received_.back(), std::to_string(0x4321) + " again");
  EXPECT_EQ(arrivals_, 1);
  change_ = [](options& o) { o.tcpshm_data_alignment = 8; };
  EXPECT_NE(channel::open(where_, listening_.url(), settings("other")).error().text().find("alignment"),
            std::string::npos)
      << "user data of one byte is not a multiple of 8";
}

TEST_P(tcpshm_channel, answers_a_client_of_the_poll_api) {
  echoes_ = true;
  listen();
  auto with = polled();
  noting_client polls(dir_.file("polls"), client_name_, with);
  ASSERT_TRUE(polls.start_connect(is_shm(), "127.0.0.1", port()));
  const auto poll = [&](auto done) {
    return turn(
        [&] {
          polls.poll_tcp(++polls.now);
          if (is_shm()) polls.poll_shm();
          return done();
        },
        "the poll API");
  };
  ASSERT_TRUE(poll([&] { return !polls.notes.empty(); }));
  EXPECT_EQ(polls.notes.front(), "success: " + server_name_);
  EXPECT_FALSE(polls.say("one", 7));
  EXPECT_FALSE(polls.say("plain", 65'535));
  ASSERT_TRUE(poll([&] { return polls.messages.size() == 2; }));
  EXPECT_EQ(polls.messages, (told{"7 one", "65535 plain"}));
  EXPECT_EQ(received_, (std::vector<std::string>{"7 one", "0 plain"}));
}

TEST_P(tcpshm_channel, talks_to_a_server_of_the_poll_api) {
  noting_server polls(dir_.file("polls"), server_name_, polled());
  polls.echoes = true;
  ASSERT_TRUE(polls.start("127.0.0.1", 0));
  std::int64_t now = 0;
  const auto poll = [&](auto done) {
    return turn(
        [&] {
          polls.poll_ctl(++now);
          polls.poll_tcp(now);
          polls.poll_shm();
          return done();
        },
        "the poll API");
  };
  client_ = channel::open(where_, std::string(GetParam()) + "://127.0.0.1:" + std::to_string(polls.port()),
                          settings(client_name_))
                .value();
  client_.on_message([this](const message_view& m) { answers_.emplace_back(m.text()); });
  ASSERT_TRUE(poll([&] { return client_.state() == channel_state::up; }));
  ASSERT_TRUE(client_.try_send("hello"));
  ASSERT_TRUE(poll([&] { return answers_.size() == 1; }));
  EXPECT_EQ(answers_.front(), "hello");
}

TEST_P(tcpshm_channel, says_what_does_not_go_together_with_it) {
  const auto refusal = [&](auto change) {
    auto with = settings("me");
    change(with);
    const auto made = listener::open(where_, std::string(GetParam()) + "://127.0.0.1:0", with);
    return made ? std::string() : made.error().text();
  };
  EXPECT_NE(refusal([](options& o) { o.session = session_kind::none; }).find("session=persistent"), std::string::npos);
  EXPECT_NE(refusal([](options& o) { o.durable = durable_kind::disk; }).find("durable=disk"), std::string::npos);
  EXPECT_NE(refusal([](options& o) { o.senders = senders_kind::many; }).find("senders=many"), std::string::npos);
  EXPECT_NE(refusal([](options& o) { o.framing = framing_kind::u32; }).find("framing"), std::string::npos);
  EXPECT_NE(refusal([](options& o) { o.as = "a-name-of-17-chars"; }).find("name_size"), std::string::npos);
  if (is_shm()) {
    EXPECT_NE(refusal([](options& o) { o.tcpshm_queue_bytes = 2000; }).find("power of two"), std::string::npos);
  } else {
    EXPECT_NE(refusal([](options& o) { o.tcpshm_queue_bytes = 2004; }).find("multiple of"), std::string::npos);
  }
  EXPECT_EQ(listener::open(where_, "ipc://" + dir_.file("s"), settings("me")).error(), errc::unsupported);
  EXPECT_NE(listener::open(where_, "shm://orders", settings("me")).error().text().find("shm://HOST:PORT"),
            std::string::npos);
}

}  // namespace
}  // namespace ferry::test
