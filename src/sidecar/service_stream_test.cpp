// Channels between services through the sidecar, over real files and sockets.
#include <ferry/channel.hpp>
#include <ferry/listener.hpp>
#include <ferry/sidecar.hpp>
#include <ferry/sidecar_transport.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "sidecar/service_hub.hpp"
#include "sidecar/sidecar.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

class service_stream : public ::testing::Test {
 protected:
  service_stream() {
    add_sidecar_transport(where);
    for (const std::uint32_t entity : {101u, 102u, 201u}) with.entities.push_back(test::small_entity(dir, entity));
    with.message_age = {};
    with.return_undeliverable = true;
    open_sidecar();
  }
  void open_sidecar() {
    auto made = sidecar::daemon::open(where, with);
    if (!made) throw failure(made.error().reason(), 0, made.error().text());
    beside.emplace(std::move(*made));
  }
  [[nodiscard]] std::string url(std::uint32_t from, const std::string& rest = "") const {
    return "sidecar://" + dir.file(std::to_string(from)) + rest;
  }
  [[nodiscard]] static options settings() {
    options made;
    made.reconnect_base = made.reconnect_max = 5ms;
    return made;
  }
  void listen() {
    listening = listener::open(where, url(201), settings()).value();
    listening.async_accept([this](error_code, channel arrived) { server = std::move(arrived); });
  }
  void join() {
    listen();
    client = channel::open(where, url(101, "?to=201"), settings()).value();
    ASSERT_TRUE(until([&] { return server && client.state() == channel_state::up; }, "both ends"));
  }
  // To who is at entity 201; what comes and how often it goes down is noted.
  void connect() {
    client = channel::open(where, url(101, "?to=201"), settings()).value();
    client.on_message([this](const message_view& m) { heard.emplace_back(m.text()); });
    client.on_down([this](const down_info&) { ++losses; });
    ASSERT_TRUE(until([&] { return client.state() == channel_state::up; }, "the connection"));
  }
  template <class Done>
  [[nodiscard]] ::testing::AssertionResult until(Done done, std::string_view awaited) {
    return test::run_until(io, done, awaited);
  }

  test::temp_dir dir;
  boost::asio::io_context io;
  context where{io};
  sidecar::settings with;
  std::optional<sidecar::daemon> beside;
  std::vector<std::string> heard;
  int losses = 0;
  listener listening;
  channel client, server;
};

TEST_F(service_stream, carries_messages_of_every_size_both_ways_in_order) {
  join();
  EXPECT_EQ(client.peer().address, "entity 201");
  EXPECT_EQ(server.peer().address, "entity 101");
  server.on_message([&](const message_view& got) { ASSERT_TRUE(server.try_send(got.payload)); });
  std::vector<std::string> answers, asked;
  client.on_message([&](const message_view& got) { answers.emplace_back(got.text()); });
  for (const std::size_t size : {0u, 1u, 1000u, 70'000u, 300'000u, 900'000u, 5u}) {
    asked.emplace_back(size, static_cast<char>('a' + asked.size()));
    ASSERT_TRUE(client.try_send(as_bytes(asked.back())));
    ASSERT_TRUE(until([&] { return answers.size() == asked.size(); }, "the answer"));
  }
  EXPECT_EQ(answers, asked);
}

TEST_F(service_stream, finds_files_of_whatever_names_the_sidecar_gave_them) {
  beside.reset();
  auto& other = with.entities[2];
  other.directory = dir.file("other");
  other.socket_name = "a socket";
  other.receive_name = "in";
  other.send_name = "out";
  other.lock_name = "lock";
  open_sidecar();
  listening = listener::open(where, "sidecar://" + other.directory, settings()).value();
  listening.async_accept([this](error_code, channel arrived) { server = std::move(arrived); });
  client = channel::open(where, url(101, "?to=201"), settings()).value();
  ASSERT_TRUE(until([&] { return server && client.state() == channel_state::up; }, "both ends"));
}

TEST_F(service_stream, is_refused_where_nobody_listens_and_comes_when_somebody_does) {
  auto with_attempts = settings();
  with_attempts.reconnect = true;
  client = channel::open(where, url(101, "?to=201"), with_attempts).value();
  std::string why;
  client.on_connect_failure([&](const error& failed) { why = failed.text(); });
  ASSERT_TRUE(until([&] { return client.stats().failed_attempts >= 3; }, "three failed attempts"));
  EXPECT_NE(why.find("reaches nobody"), std::string::npos) << why;
  listen();
  ASSERT_TRUE(until([&] { return server && client.state() == channel_state::up; }, "the connection"));
}

TEST_F(service_stream, needs_the_number_of_an_entity_and_a_directory_of_a_sidecar) {
  const auto failure_of = [&](const std::string& text) {
    auto made = channel::open(where, text, settings());
    if (!made) return made.error().text();
    EXPECT_TRUE(until([&] { return made->state() == channel_state::closed; }, "a failure"));
    return made->last_error().text();
  };
  EXPECT_NE(failure_of(url(101)).find("sidecar://DIR?to=ENTITY"), std::string::npos);
  EXPECT_NE(failure_of(url(101, "?to=x")).find("sidecar://DIR?to=ENTITY"), std::string::npos);
  EXPECT_NE(failure_of(url(101, "?to=201&to=101")).find("sidecar://DIR?to=ENTITY"), std::string::npos);
  const auto at = listener::open(where, url(201, "?to=101"), settings());
  ASSERT_FALSE(at);
  EXPECT_EQ(at.error(), errc::bad_address);
  EXPECT_NE(failure_of("sidecar:///nowhere?to=1").find("no directory that a sidecar has made"), std::string::npos);
}

TEST_F(service_stream, ends_in_order_when_its_other_end_closes) {
  join();
  std::vector<std::string> got;
  std::optional<error> ended;
  server.on_message([&](const message_view& m) { got.emplace_back(m.text()); });
  server.on_down([&](const down_info& info) { ended = info.reason; });
  ASSERT_TRUE(client.try_send(as_bytes(std::string("the last one"))));
  client.async_close([](error_code, const close_report&) {});
  ASSERT_TRUE(until([&] { return ended.has_value(); }, "the end"));
  EXPECT_EQ(got, std::vector<std::string>{"the last one"});
}

TEST_F(service_stream, sends_nothing_that_fits_only_where_the_receivers_ring_happens_to_stand) {
  beside.reset();
  with.entities.push_back(test::small_entity(dir, 103));
  for (auto& one : with.entities) one.native = false;
  open_sidecar();
  std::vector<channel> servers;
  std::vector<std::size_t> got;
  listening = listener::open(where, url(201), settings()).value();
  listening.on_channel([&](channel arrived) {
    arrived.on_message([&](const message_view& m) { got.push_back(m.payload.size()); });
    servers.push_back(std::move(arrived));
  });
  // Into the middle of the ring that 201 reads; the one that 101 writes stands at its start still.
  auto other = channel::open(where, url(103, "?to=201"), settings()).value();
  ASSERT_TRUE(other.try_send(std::string(30'000, 'a')));
  ASSERT_TRUE(until([&] { return got.size() == 1; }, "the first message"));
  client = channel::open(where, url(101, "?to=201"), settings()).value();
  int downs = 0;
  client.on_down([&](const down_info&) { ++downs; });
  ASSERT_TRUE(client.try_send(std::string(60'000, 'b')));
  ASSERT_TRUE(until([&] { return got.size() == 2 || downs != 0; }, "the second message"));
  EXPECT_EQ(got, (std::vector<std::size_t>{30'000, 60'000}));
  EXPECT_EQ(downs, 0);
}

TEST_F(service_stream, goes_on_when_the_sidecar_comes_again) {
  join();
  int downs = 0;
  client.on_down([&](const down_info&) { ++downs; });
  std::vector<std::string> got;
  server.on_message([&](const message_view& m) { got.emplace_back(m.text()); });
  beside.reset();
  ASSERT_TRUE(client.try_send(as_bytes(std::string("while it was gone"))));
  open_sidecar();
  ASSERT_TRUE(until([&] { return got.size() == 1; }, "the message"));
  EXPECT_EQ(downs, 0);
}

// The other end by hand, in the words of the page.
struct by_hand {
  by_hand(context& where, const test::temp_dir& dir, std::uint32_t entity) {
    service_options options;
    options.number = entity / 100;
    options.entity = entity;
    options.directory = dir.file(std::to_string(entity));
    self = service::make(where, options).value();
    EXPECT_TRUE(self.start());
  }
  /// Takes the stream that it is asked for, as number 77.
  void accept() {
    self.on_message([this](const service_message& got) {
      if (got.package.server_sequence == static_cast<std::uint32_t>(sidecar::stream_step::data)) {
        came += got.body.size();
        if (got.body.empty()) questions.push_back(got.package.client_sequence);
      }
      if (got.package.server_sequence == static_cast<std::uint32_t>(sidecar::stream_step::credit))
        credits.push_back(got.package.client_sequence);
      if (got.package.server_sequence != static_cast<std::uint32_t>(sidecar::stream_step::open)) return;
      theirs = got.package.from_actor;
      say(sidecar::stream_step::accept, 0, {});
    });
  }
  void say(sidecar::stream_step step, std::uint32_t count, std::string_view body, std::uint64_t ours = 77) {
    service_package package;
    package.message_id = "ferry.stream";
    package.server_sequence = static_cast<std::uint32_t>(step);
    package.client_sequence = count;
    package.from_actor = ours;
    package.to_actor = theirs;
    EXPECT_TRUE(self.send({.to = to_entity{101}}, package, as_bytes(body)));
  }
  service self;
  std::uint64_t theirs = 0;                       // the number of the stream at entity 101
  std::size_t came = 0;                           // bytes of the stream
  std::vector<std::uint32_t> questions, credits;  // the counts that they said
};

TEST_F(service_stream, breaks_where_a_part_of_it_was_lost) {
  by_hand other(where, dir, 201);
  other.accept();
  client = channel::open(where, url(101, "?to=201"), settings()).value();
  std::vector<std::string> got;
  std::string why;
  client.on_message([&](const message_view& m) { got.emplace_back(m.text()); });
  client.on_down([&](const down_info& info) { why = info.reason.text(); });
  ASSERT_TRUE(until([&] { return client.state() == channel_state::up; }, "the connection"));
  other.say(sidecar::stream_step::data, 0, "\x03one");
  other.say(sidecar::stream_step::data, 2, "\x05three");
  ASSERT_TRUE(until([&] { return !why.empty(); }, "the end"));
  EXPECT_EQ(got, std::vector<std::string>{"one"});
  EXPECT_NE(why.find("was lost on its way"), std::string::npos) << why;
}

TEST_F(service_stream, breaks_where_what_was_lost_was_the_last) {
  by_hand other(where, dir, 201);
  other.accept();
  for (const auto step : {sidecar::stream_step::data, sidecar::stream_step::end, sidecar::stream_step::gone}) {
    ASSERT_NO_FATAL_FAILURE(connect());
    std::string why;
    client.on_down([&](const down_info& info) { why = info.reason.text(); });
    other.say(step, 1, {});  // the first message has not come
    ASSERT_TRUE(until([&] { return !why.empty(); }, "the end"));
    EXPECT_NE(why.find("was lost on its way"), std::string::npos) << why;
  }
}

TEST_F(service_stream, asks_whether_its_last_message_has_arrived) {
  by_hand other(where, dir, 201);
  other.accept();
  ASSERT_NO_FATAL_FAILURE(connect());
  ASSERT_TRUE(client.try_send(std::string("one")));
  ASSERT_TRUE(client.try_send(std::string("two")));
  ASSERT_TRUE(until([&] { return !other.questions.empty(); }, "a question"));
  EXPECT_EQ(other.came, 8u);
  EXPECT_TRUE(other.questions.front() == 1 || other.questions.front() == 2) << other.questions.front();

  // And is asked; the question is not counted.
  other.say(sidecar::stream_step::data, 0, "\x03one");
  for (int i = 0; i < 2; ++i) other.say(sidecar::stream_step::data, 1, {});
  other.say(sidecar::stream_step::data, 1, "\x03two");
  ASSERT_TRUE(until([&] { return heard.size() == 2 && other.credits.size() == 2; }, "the answers"));
  EXPECT_EQ(other.credits, (std::vector<std::uint32_t>{4, 4}));
  EXPECT_EQ(losses, 0);
}

TEST_F(service_stream, asks_again_for_a_credit_that_was_lost) {
  by_hand other(where, dir, 201);
  other.accept();
  ASSERT_NO_FATAL_FAILURE(connect());
  constexpr std::size_t k_window = 256u << 10;
  const std::string body(1000, 'b');
  while (client.try_send(body)) {
  }
  ASSERT_TRUE(until([&] { return other.came == k_window; }, "all that may be sent at first"));
  ASSERT_TRUE(until([&] { return other.questions.size() == 4; }, "more questions than after other messages"));
  other.say(sidecar::stream_step::credit, k_window, {});
  EXPECT_TRUE(until([&] { return other.came > k_window; }, "what follows"));
}

TEST_F(service_stream, takes_once_what_a_killed_sidecar_brings_twice) {
  by_hand other(where, dir, 201);
  other.accept();
  ASSERT_NO_FATAL_FAILURE(connect());
  for (const auto count : {0u, 0u}) other.say(sidecar::stream_step::data, count, "\x03one");
  for (const auto count : {1u, 0u, 1u, 2u}) other.say(sidecar::stream_step::data, count, "\x03two");
  ASSERT_TRUE(until([&] { return heard.size() == 3; }, "the messages"));
  EXPECT_EQ(heard, (std::vector<std::string>{"one", "two", "two"}));

  // What may follow is told as a sum.
  constexpr std::size_t k_window = 256u << 10;
  const std::string body(1000, 'b');
  while (client.try_send(body)) {
  }
  ASSERT_TRUE(until([&] { return other.came == k_window; }, "all that may be sent at first"));
  for (int i = 0; i < 2; ++i) other.say(sidecar::stream_step::credit, 100, {});
  other.say(sidecar::stream_step::credit, 150, {});
  other.say(sidecar::stream_step::credit, 100, {});
  other.say(sidecar::stream_step::credit, k_window + 151, {});  // more than was sent
  other.say(sidecar::stream_step::data, 3, "\x04last");
  ASSERT_TRUE(until([&] { return heard.size() == 4 && other.came >= k_window + 150; }, "the rest"));
  test::run_ready(io);
  EXPECT_EQ(other.came, k_window + 150);
  EXPECT_EQ(losses, 0);
}

TEST_F(service_stream, is_made_once_where_a_killed_sidecar_brings_the_question_twice) {
  std::vector<channel> arrived;
  listening = listener::open(where, url(101), settings()).value();
  listening.on_channel([&](channel one) { arrived.push_back(std::move(one)); });
  by_hand other(where, dir, 201);
  std::vector<std::uint64_t> accepted;
  other.self.on_message([&](const service_message& got) {
    if (got.package.server_sequence == static_cast<std::uint32_t>(sidecar::stream_step::accept))
      accepted.push_back(got.package.from_actor);
  });
  ASSERT_TRUE(until([&] { return other.self.state() == service_state::registered; }, "the other end"));
  for (int i = 0; i < 2; ++i) other.say(sidecar::stream_step::open, 0, {});
  other.say(sidecar::stream_step::open, 0, {}, 78);
  ASSERT_TRUE(until([&] { return arrived.size() == 2 && accepted.size() == 2; }, "two channels"));
  test::run_ready(io);
  EXPECT_EQ(arrived.size(), 2u);
}

TEST_F(service_stream, listens_to_nobody_but_the_stream_at_its_other_end) {
  by_hand other(where, dir, 201), stranger(where, dir, 102);
  other.accept();
  ASSERT_NO_FATAL_FAILURE(connect());
  ASSERT_TRUE(until([&] { return stranger.self.state() == service_state::registered; }, "the stranger"));
  // It knows both numbers. An undeliverable message comes back with the numbers as they were sent.
  stranger.theirs = other.theirs;
  for (const auto step : {sidecar::stream_step::data, sidecar::stream_step::end, sidecar::stream_step::gone,
                          sidecar::stream_step::broken})
    stranger.say(step, 0, "\x05wrong");
  service_package back;
  back.message_id = "ferry.stream";
  back.return_code = -1;
  back.from_actor = other.theirs;
  back.to_actor = 77;
  EXPECT_TRUE(stranger.self.send({.to = to_entity{101}}, back, {}));
  back.message_id = "of no stream";
  EXPECT_TRUE(stranger.self.send({.to = to_entity{101}}, back, {}));
  EXPECT_TRUE(until([&] { return beside->stats().data.forwarded >= 8; }, "what the stranger says"));
  // An earlier life of the entity at the other end, which has other numbers.
  other.say(sidecar::stream_step::data, 0, "\x05older", 76);
  other.say(sidecar::stream_step::broken, 0, {}, 76);
  other.say(sidecar::stream_step::data, 0, "\x03one");
  ASSERT_TRUE(until([&] { return !heard.empty(); }, "the message"));
  EXPECT_EQ(heard, std::vector<std::string>{"one"});
  EXPECT_EQ(losses, 0);
}

TEST_F(service_stream, lets_no_more_notes_wait_for_room_than_it_may) {
  const auto hub = std::make_shared<sidecar::service_hub>(where, dir.file("101"));
  ASSERT_TRUE(hub->start());
  const sidecar::stream_note note{sidecar::stream_step::credit, 201, 1, 2, 3};
  ASSERT_TRUE(until([&] { return hub->tell(note).has_value(); }, "the rings"));
  beside.reset();
  while (hub->tell(note)) {
  }
  for (std::size_t i = 0; i < sidecar::service_hub::k_most_waiting; ++i) ASSERT_TRUE(hub->tell_surely(note)) << i;
  const auto last = hub->tell_surely(note);
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error(), errc::full);
  open_sidecar();
  EXPECT_TRUE(until([&] { return hub->tell_surely(note).has_value(); }, "room"));
}

}  // namespace
}  // namespace ferry
