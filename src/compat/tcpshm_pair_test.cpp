// A client and a server of ours: what both transports have in common, files that are damaged, places that change.
#include "testing/tcpshm_pair.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <thread>

namespace ferry::test {
namespace {

struct way {
  tcpshm::protocol speaks;
  bool shm;
};

class tcpshm_over : public ::testing::TestWithParam<way> {
 protected:
  [[nodiscard]] bool shm() const { return GetParam().shm; }
  [[nodiscard]] tcpshm::options options(tcpshm::options with = {}) const {
    with.speaks = GetParam().speaks;
    return with;
  }
  [[nodiscard]] std::string mode() const { return shm() ? " shm" : " tcp"; }
  void expect_echo(tcpshm_pair& on, std::size_t messages) {
    on.server->echoes = true;
    const auto before = on.client->messages.size();
    for (std::size_t i = 0; i < messages; ++i) ASSERT_FALSE(on.client->say(std::to_string(i), 7));
    ASSERT_TRUE(on.until([&] { return on.client->messages.size() == before + messages; }, "the echoes"));
    for (std::size_t i = 0; i < messages; ++i) EXPECT_EQ(on.client->messages[before + i], "7 " + std::to_string(i));
  }
  void part(tcpshm_pair& on) {
    on.client->get_connection().close();
    const auto left = "disconnected " + on.client_name + ": the peer has closed the connection";
    ASSERT_TRUE(on.until([&] { return on.server->notes.back() == left; }, "the end"));
    EXPECT_EQ(on.client->notes.back(), "disconnected: closed by this side");
  }
  /// The file of what the server sends to the client.
  [[nodiscard]] std::string server_file(const tcpshm_pair& on) const {
    return shm() ? on.rings.path(false) : on.server_files.file(on.server_name + "_" + on.client_name + ".ptcp");
  }
};

std::string name_of(const ::testing::TestParamInfo<way>& which) {
  return std::string(which.param.speaks == tcpshm::protocol::ferry ? "ferry_over_" : "tcpshm_over_") +
         (which.param.shm ? "shared_memory" : "tcp");
}

INSTANTIATE_TEST_SUITE_P(, tcpshm_over,
                         ::testing::Values(way{tcpshm::protocol::tcpshm, false}, way{tcpshm::protocol::tcpshm, true},
                                           way{tcpshm::protocol::ferry, false}, way{tcpshm::protocol::ferry, true}),
                         name_of);

/// What is of tcpshm's bytes and files alone.
class tcpshm_bytes_over : public tcpshm_over {};
INSTANTIATE_TEST_SUITE_P(, tcpshm_bytes_over,
                         ::testing::Values(way{tcpshm::protocol::tcpshm, false}, way{tcpshm::protocol::tcpshm, true}),
                         name_of);

TEST_P(tcpshm_over, messages_go_both_ways_after_a_login_that_both_are_told_of) {
  tcpshm_pair on(options(), options());
  ASSERT_TRUE(on.log_in(shm()));
  EXPECT_EQ(on.client->notes, told{"success: " + on.server_name});
  EXPECT_EQ(on.server->notes, (told{"new: " + on.client_name + mode(), "logon: " + on.client_name}));
  EXPECT_EQ(on.member().uses_shm(), shm());
  EXPECT_EQ(on.client->get_connection().remote_name(), on.server_name);
  EXPECT_EQ(on.client->get_connection().local_name(), on.client_name);
  expect_echo(on, 100);
}

TEST_P(tcpshm_over, a_blocking_connect_gives_up_at_its_deadline_and_one_after_it_is_as_any_other) {
  tcpshm_pair on(options(), options());
  on.client->now = on.now;
  EXPECT_FALSE(on.client->connect(shm(), "127.0.0.1", on.server->port(), {}, std::chrono::milliseconds(20)))
      << "nobody polls the server";
  ASSERT_EQ(on.client->notes.size(), 1u);
  EXPECT_TRUE(on.client->notes[0].starts_with("system error " + std::to_string(ETIMEDOUT))) << on.client->notes[0];
  EXPECT_FALSE(on.client->connecting());
  std::atomic<bool> done{false};
  std::thread polls([&] {
    while (!done) on.server->poll(on.now);
  });
  bool logged_in = false;
  const auto end = std::chrono::steady_clock::now() + k_patience;  // the one that gave up may still be here
  while (!logged_in && std::chrono::steady_clock::now() < end)
    logged_in = on.client->connect(shm(), "127.0.0.1", on.server->port());
  done = true;
  polls.join();
  ASSERT_TRUE(logged_in);
  expect_echo(on, 3);
}

TEST_P(tcpshm_over, what_is_pushed_while_the_peer_is_away_comes_after_the_next_login) {
  tcpshm_pair on(options(), options());
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 1);
  auto& member = on.member();
  member.user_data = std::string("mine");
  part(on);
  EXPECT_FALSE(on.client->say("from the client"));
  EXPECT_FALSE(on.server->say(on.client_name, "from the server"));
  on.poll();
  on.server->echoes = false;
  ASSERT_TRUE(on.log_in(shm()));
  ASSERT_TRUE(on.until([&] { return on.client->messages.size() == 2 && on.server->messages.size() == 2; }, "both"));
  EXPECT_EQ(on.client->messages[1], "1 from the server");
  EXPECT_EQ(on.server->messages[1], "1 from the client");
  EXPECT_EQ(&on.member(), &member) << "the reference is the same";
  EXPECT_EQ(std::any_cast<std::string>(member.user_data), "mine");
  EXPECT_EQ(member.discarded(), 0u);
}

TEST_P(tcpshm_over, both_sides_go_on_where_they_were_when_both_have_died) {
  tcpshm_pair on(options(), options());
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 5);
  const auto client_at = on.client->get_connection().where();
  on.server->pops = false;
  ASSERT_FALSE(on.client->say("not popped"));
  ASSERT_TRUE(on.until([&] { return on.server->messages.back() == "1 not popped"; }, "a message"));
  on.make_server();
  on.make_client();
  ASSERT_TRUE(on.log_in(shm()));
  EXPECT_EQ(on.client->get_connection().where().popped, client_at.popped);
  ASSERT_TRUE(on.until([&] { return !on.server->messages.empty(); }, "the message again"));
  EXPECT_EQ(on.server->messages, told{"1 not popped"});
  expect_echo(on, 5);
}

TEST_P(tcpshm_over, a_clock_that_jumps_costs_at_most_the_connection) {
  tcpshm_pair on(options(), options());
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 3);
  const auto closed = [&] { return on.client->get_connection().is_closed() && on.member().is_closed(); };
  for (const auto jump : std::initializer_list<std::int64_t>{-1'000'000'000'000, 2'000'000'000'000, -11, 11}) {
    on.server->echoes = false;
    const auto heard = on.server->messages.size();
    ASSERT_FALSE(on.client->say("under way"));
    on.now += jump;
    for (int i = 0; i < 10; ++i) on.poll();
    if (on.client->get_connection().is_closed() || on.member().is_closed()) {
      ASSERT_TRUE(on.until(closed, "both to notice"));
      ASSERT_TRUE(on.log_in(shm()));
    }
    ASSERT_TRUE(on.until([&] { return on.server->messages.size() > heard; }, "what was under way"));
    EXPECT_EQ(on.server->messages.size(), heard + 1) << "once";
    expect_echo(on, 3);
  }
}

TEST_P(tcpshm_over, a_message_of_every_size_comes_whole) {
  tcpshm::options with;
  with.shm_queue_bytes = 1u << 17;
  tcpshm_pair on(options(with), options(with));
  ASSERT_TRUE(on.log_in(shm()));
  std::size_t count = 0;
  for (std::size_t size = 0; size <= 65'527; size = size < 300 ? size + 1 : size * 2) {
    const auto text = std::string().append(std::min<std::size_t>(size, 65'527), 'x');
    ASSERT_FALSE(on.client->say(text));
    count += 1;
    ASSERT_TRUE(on.until([&] { return on.server->messages.size() == count; }, "it"));
    ASSERT_EQ(on.server->messages.back(), "1 " + text);
  }
  ASSERT_FALSE(on.client->say(std::string().append(65'527, 'y'), 65'535));
  ASSERT_TRUE(on.until([&] { return on.server->messages.size() == count + 1; }, "the largest"));
  EXPECT_EQ(on.server->messages.back().size(), 65'527u + 6);
}

TEST_P(tcpshm_bytes_over, a_full_queue_takes_no_more_until_the_peer_has_consumed) {
  const auto with = tcpshm::options::seed_defaults();
  tcpshm_pair on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  on.server->pops = false;
  std::size_t pushed = 0;
  while (!on.client->say("sixteen bytes...")) pushed += 1;
  EXPECT_EQ(pushed, shm() ? 32u : 83u);
  on.server->pops = true;
  ASSERT_TRUE(on.until(
      [&] {
        on.now += 3;  // the heartbeats acknowledge
        return !on.client->say("one more");
      },
      "room"));
}

TEST_P(tcpshm_bytes_over, refused_user_data_and_texts_reach_the_other_side) {
  tcpshm::options with;
  with.login_data_bytes = 8;
  with.answer_data_bytes = 2;
  tcpshm_pair on(with, with);
  on.server->answer_data = "ok";
  ASSERT_TRUE(on.log_in(shm(), as_bytes("password")));
  EXPECT_EQ(as_text(on.server->login_data), "password");
  EXPECT_EQ(as_text(on.client->answer_data), "ok");
  part(on);
  on.server->group = -7;
  on.server->refusal = "not you";
  EXPECT_FALSE(on.log_in(shm()));
  EXPECT_EQ(on.client->notes.back(), "rejected: not you");
}

TEST_P(tcpshm_bytes_over, who_met_a_server_of_the_wrong_name_has_lost_nothing_for_the_right_one) {
  tcpshm_pair on;
  on.client_options.peer = on.server_name;
  on.make_client();
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 1);
  part(on);
  on.server->echoes = false;
  ASSERT_FALSE(on.client->say("queued"));
  ASSERT_FALSE(on.server->say(on.client_name, "queued there"));

  const auto wrong_name = unique_name("w");
  const clean_rings wrong_rings(on.client_name, wrong_name);
  const temp_dir wrong_files;
  noting_server wrong(wrong_files.path().string(), wrong_name, {});
  ASSERT_TRUE(wrong.start("127.0.0.1", 0));
  for (const bool died : {false, true}) {
    if (died) on.make_client();
    ASSERT_TRUE(on.client->start_connect(shm(), "127.0.0.1", wrong.port()));
    ASSERT_TRUE(poll_until(
        [&] {
          wrong.poll(on.now);
          on.client->poll_tcp(on.now);
          on.client->poll_shm();
        },
        [&] { return !on.client->connecting(); }, "an answer"));
    EXPECT_EQ(on.client->notes.back(), "rejected: expected '" + on.server_name + "', found '" + wrong_name + "'");
    EXPECT_TRUE(on.client->get_connection().is_closed());
  }

  on.client->messages.clear();
  ASSERT_TRUE(on.log_in(shm()));
  ASSERT_TRUE(on.until([&] { return on.server->messages.size() == 2 && !on.client->messages.empty(); }, "both"));
  EXPECT_EQ(on.server->messages, (told{"7 0", "1 queued"}));
  EXPECT_EQ(on.client->messages, told{"1 queued there"});
  EXPECT_EQ(on.client->get_connection().discarded() + on.member().discarded(), 0u);
}

TEST_P(tcpshm_bytes_over, a_client_of_the_wrong_name_is_refused_before_anything_is_made_for_it) {
  tcpshm::options picky;
  picky.peer = "somebody";
  tcpshm_pair on({}, picky);
  EXPECT_FALSE(on.log_in(shm()));
  EXPECT_EQ(on.client->notes.back(), "rejected: expected 'somebody'");
  EXPECT_EQ(on.server->notes, told{});
  EXPECT_FALSE(std::filesystem::exists(server_file(on)));
}

TEST_P(tcpshm_bytes_over, messages_go_on_beyond_number_and_index_32_bits) {
  const auto with = tcpshm::options::seed_defaults();
  tcpshm_pair on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 1);
  // Both sides stop, and their files say that they have come far.
  on.server.reset();
  on.client.reset();
  const std::uint32_t far = 0xffff'ffe0;
  const auto set = [](const std::string& path, std::size_t offset, std::uint32_t value) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
  };
  if (shm()) {
    for (const bool from : {true, false})
      for (const std::size_t offset : {2048, 2052, 2176}) set(on.rings.path(from), offset, far);
  } else {
    const auto client_file = on.client_files.file(on.client_name + "_" + on.server_name + ".ptcp");
    for (const auto& path : {client_file, server_file(on)}) {
      for (const std::size_t offset : {2000, 2004, 2008}) set(path, offset, 0);
      set(path, 2012, far);
      set(path, 2016, far);
    }
  }
  on.make_server();
  on.make_client();
  ASSERT_TRUE(on.log_in(shm()));
  EXPECT_EQ(on.client->get_connection().where(), (tcpshm::connection::progress{far, far}));
  for (int round = 0; round < 10; ++round) {
    expect_echo(on, 10);
    if (round % 3 != 0) continue;
    part(on);
    ASSERT_TRUE(on.log_in(shm()));
  }
  EXPECT_EQ(on.client->get_connection().where(), (tcpshm::connection::progress{far + 100, far + 100}));
}

// Files ---------------------------------------------------------------------------------------------------------------

TEST_P(tcpshm_bytes_over, a_file_that_is_damaged_or_cut_off_is_an_error_and_is_left_as_it_is) {
  tcpshm_pair on;
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 3);
  part(on);
  ASSERT_FALSE(on.server->say(on.client_name, "queued"));
  on.server.reset();
  const auto path = server_file(on);
  const auto good_size = std::filesystem::file_size(path);
  const auto expect_file_error = [&] {
    on.make_server();
    EXPECT_FALSE(on.log_in(shm()));
    EXPECT_EQ(on.client->notes.back(), "rejected: File error");
    EXPECT_TRUE(on.server->notes.back().starts_with("file error of " + on.client_name + " 0: "))
        << on.server->notes.back();
    on.server.reset();
  };
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(1 << 20);  // write_idx
    file.write("\xff\xff\xff\x7f", 4);
  }
  expect_file_error();
  std::filesystem::resize_file(path, good_size - 8);
  expect_file_error();
  std::filesystem::resize_file(path, good_size + 8);
  expect_file_error();
  EXPECT_EQ(std::filesystem::file_size(path), good_size + 8);
}

TEST_P(tcpshm_bytes_over, a_file_whose_maker_died_amid_it_is_made_whole) {
  tcpshm_pair on;
  { std::ofstream begun(server_file(on) + ".new", std::ios::binary); }
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 3);
}

TEST_P(tcpshm_bytes_over, no_two_processes_have_one_file) {
  tcpshm_pair on;
  ASSERT_TRUE(on.log_in(shm()));
  part(on);
  // The same name in the same directory: as another process would.
  noting_server second(on.server_files.path().string(), on.server_name, {});
  ASSERT_TRUE(second.start("127.0.0.1", 0));
  ASSERT_TRUE(on.client->start_connect(shm(), "127.0.0.1", second.port()));
  ASSERT_TRUE(poll_until(
      [&] {
        second.poll(1);
        on.client->poll_tcp(1);
        on.client->poll_shm();
      },
      [&] { return !on.client->connecting(); }, "an answer"));
  EXPECT_EQ(on.client->notes.back(), "rejected: File error");
  EXPECT_NE(second.notes.back().find("is in use by another process"), std::string::npos) << second.notes.back();
}

TEST_P(tcpshm_bytes_over, a_disk_without_room_is_an_error_with_its_errno) {
  tcpshm_pair on;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit less = before;
  less.rlim_cur = 100'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &less), 0);
  EXPECT_FALSE(on.log_in(shm()));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_TRUE(on.server->notes.back().starts_with("file error of " + on.client_name + " " + std::to_string(EFBIG)))
      << on.server->notes.back();
  EXPECT_TRUE(on.log_in(shm())) << "there is room again";
}

TEST_P(tcpshm_bytes_over, a_file_that_is_cut_off_while_it_is_used_ends_its_connection_alone) {
  tcpshm_pair on;
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 1);
  std::filesystem::resize_file(server_file(on), 0);
  on.server->echoes = false;
  (void)on.server->say(on.client_name, "into nothing");
  ASSERT_TRUE(on.until(
      [&] {
        (void)on.client->say("look");
        return on.server->notes.back().starts_with("disconnected");
      },
      "the end"));
}

TEST_P(tcpshm_over, a_client_may_come_back_to_another_group_and_over_the_other_transport) {
  tcpshm::options with;
  with.max_tcp_groups = with.max_shm_groups = 2;
  tcpshm_pair on(options(with), options(with));
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 2);
  part(on);
  on.server->group = 1;
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 2);
  part(on);
  ASSERT_TRUE(on.log_in(!shm()));
  EXPECT_EQ(on.member().uses_shm(), !shm());
  expect_echo(on, 2);
  part(on);
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, 2);
}

TEST(tcpshm_in_shared_memory, the_connection_beats_over_tcp_and_ends_when_the_peer_is_silent) {
  tcpshm_pair on;
  ASSERT_TRUE(on.log_in(true));
  for (int i = 0; i < 20; ++i) {
    on.now += 3;
    for (int k = 0; k < 20; ++k) on.poll();
  }
  EXPECT_FALSE(on.client->get_connection().is_closed());
  on.now += 10;
  on.server->poll(on.now);
  EXPECT_EQ(on.server->notes.back(), "disconnected " + on.client_name + ": timeout: nothing came for 10");
}

TEST(tcpshm_in_shared_memory, the_client_waits_by_the_time_that_its_owner_gave_at_the_login) {
  tcpshm_pair on;
  ASSERT_TRUE(on.client->start_connect(true, "127.0.0.1", on.server->port()));
  on.client->now = 1'000'000;
  ASSERT_TRUE(poll_until(
      [&] {
        on.server->poll(on.now);
        on.client->poll_tcp(on.now);
        on.client->poll_shm();
      },
      [&] { return !on.client->connecting(); }, "the login"));
  on.client->poll_tcp(1'000'009);
  EXPECT_FALSE(on.client->get_connection().is_closed());
  on.client->poll_tcp(1'000'010);
  EXPECT_EQ(on.client->notes.back(), "disconnected: timeout: nothing came for 10");
}

TEST(tcpshm_in_shared_memory, a_peer_that_damages_the_ring_loses_its_connection) {
  tcpshm_pair on;
  ASSERT_TRUE(on.log_in(true));
  std::fstream(on.rings.path(true), std::ios::in | std::ios::out | std::ios::binary)
      .seekp(1 << 20)
      .write("\xff\xff\xff\x7f", 4);
  ASSERT_TRUE(on.until([&] { return on.server->notes.size() == 3; }, "the end"));
  EXPECT_EQ(on.server->notes[2], "disconnected " + on.client_name + ": the peer has damaged the shared memory");
}

TEST(tcpshm_over_tcp, headers_are_big_endian_if_both_want_it) {
  tcpshm::options with;
  with.to_little_endian = false;
  tcpshm_pair on(with, with);
  ASSERT_TRUE(on.log_in(false));
  on.server->echoes = true;
  ASSERT_FALSE(on.client->say("text", 0x1234));
  ASSERT_TRUE(on.until([&] { return on.client->messages.size() == 1; }, "an echo"));
  EXPECT_EQ(on.client->messages[0], std::to_string(0x1234) + " text");
}

}  // namespace
}  // namespace ferry::test
