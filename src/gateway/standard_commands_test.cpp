#include "gateway/standard_commands.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "testing/gateway_by_hand.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::gateway {
namespace {

class standard_commands : public test::gateway_service {
 protected:
  void begin(const settings& with = {}) {
    open(with);
    add_standard_commands(table, *it, place.file("g"));
  }
  std::string ask(const std::string& line) {
    const auto answer = table.run(line);
    return answer ? *answer : answer.error().text();
  }
  // What the report of that kind says.
  std::string look_up(const std::string& kind) {
    const auto path = place.file("g." + kind + ".prof");
    EXPECT_EQ(ask("lookup " + kind), path + " is written");
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

  // All of it, while the gateway, which is on this thread, takes it.
  void push(test::gateway_peer& from, std::string_view rest) {
    ASSERT_TRUE(test::run_until(
        io,
        [&] {
          if (const auto n = from.socket().try_send(rest); n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
          return rest.empty();
        },
        "room"));
  }
  void let_pass(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    ASSERT_TRUE(test::run_until(
        io, [&] { return std::chrono::steady_clock::now() > end; }, "time"));
  }

  test::temp_dir place;
  command_table table;
};

TEST_F(standard_commands, show_who_is_there_in_the_log_and_in_a_file) {
  begin();
  auto& s = server(7);
  auto& c = client();
  dial(c, s, 7);
  const auto said = ask("connections");
  EXPECT_TRUE(said.starts_with("1 clients, 1 servers, 0 arriving, 1 virtual connections\nserver 7 127.0.0.1:")) << said;
  EXPECT_TRUE(has(said, "\nclient 1 127.0.0.1:")) << said;
  EXPECT_TRUE(has(said, ": 1 virtual connections, 0 packets (0 bytes) wait, silent for ")) << said;
  const auto written = look_up("goroutine");
  EXPECT_TRUE(has(written, "\nclient 1 127.0.0.1:")) << written;
  EXPECT_TRUE(has(written, "\nthread ")) << "threads too: " << written;
  EXPECT_TRUE(has(written, "\n    test_gateway+0x")) << "and where they are: " << written;
}

TEST_F(standard_commands, show_threads_and_memory) {
  begin();
  EXPECT_TRUE(look_up("threadcreate").starts_with("thread "));
  EXPECT_TRUE(ask("lookup gc").starts_with("pool: ")) << ask("lookup gc");
  const auto heap = look_up("heap");
  EXPECT_TRUE(has(heap, "\nallocator: ")) << heap;
}

TEST_F(standard_commands, show_whose_queue_is_full) {
  begin();
  auto& s = server(7);
  auto& c = client();
  const auto number = dial(c, s, 7);
  // More than the sockets hold, to a client that does not read.
  const auto much = test::packet(number, std::string(256 * 1024, 'x'));
  for (int i = 0; i < 1000 && it->waiting().second == 0; ++i) {
    push(s, much);
    EXPECT_TRUE(s.is_well());
  }
  const auto written = look_up("block");
  EXPECT_TRUE(has(written, "bytes) wait; held back 0 times")) << written;
  EXPECT_TRUE(has(written, "\nclient 1 ")) << written;
  EXPECT_FALSE(has(written, "\nserver 7 ")) << "nothing waits for it: " << written;
  EXPECT_TRUE(has(written, "ferry_gateway_forward_nanoseconds_count ")) << written;
  EXPECT_TRUE(has(written, "; its queue waited for it for ")) << written;
}

// The part of a report that is behind `before`, as a number.
double number_behind(const std::string& text, const std::string& before) {
  const auto at = text.find(before);
  return at == std::string::npos ? -1 : std::stod(text.substr(at + before.size()));
}

TEST_F(standard_commands, show_how_long_queues_have_waited_also_when_they_wait_no_more) {
  begin();
  auto& s = server(7);
  auto& c = client();
  const auto number = dial(c, s, 7);
  const auto much = test::packet(number, std::string(256 * 1024, 'x'));
  std::size_t sent = 0;
  for (; sent < 1000 && it->waiting().second == 0; ++sent) {
    push(s, much);
    EXPECT_TRUE(s.is_well());
  }
  let_pass(std::chrono::milliseconds(20));
  EXPECT_GE(it->members(10).back().blocked, std::chrono::milliseconds(20)) << "it lasts";
  for (std::size_t i = 0; i < sent; ++i) EXPECT_EQ(c.next(), much);
  ASSERT_TRUE(test::run_until(
      io, [&] { return it->waiting().second == 0; }, "nothing waits"));
  const auto in_all = it->members(10).back().blocked;
  EXPECT_GE(in_all, std::chrono::milliseconds(20));
  EXPECT_TRUE(c.is_well());
  EXPECT_EQ(it->members(10).back().blocked, in_all) << "it is over";
  const auto written = look_up("block");
  EXPECT_TRUE(has(written, "\nclient 1 ")) << "nothing waits for it now: " << written;
  EXPECT_GE(number_behind(written, "its queue waited for it for "), 20) << written;
}

TEST_F(standard_commands, show_how_long_a_client_waited_for_others) {
  settings with{.when_full = overflow::pause};
  with.servers.send_queue_bytes = 1 << 20;
  begin(with);
  auto& s = server(7);
  auto& c = client();
  const auto number = dial(c, s, 7);
  const auto much = test::packet(number, std::string(256 * 1024, 'x'));
  std::size_t sent = 0;
  std::string_view rest = much;
  // Until the server's queue is full.
  ASSERT_TRUE(test::run_until(
      io,
      [&] {
        if (const auto n = c.socket().try_send(rest); n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
        if (rest.empty()) {
          rest = much;
          ++sent;
        }
        return it->stats().held_back != 0;
      },
      "it is held back"));
  let_pass(std::chrono::milliseconds(20));
  EXPECT_GE(it->members(10).back().held, std::chrono::milliseconds(20));
  for (std::size_t i = 0; i < sent; ++i) EXPECT_EQ(s.next(), much);
  const auto written = look_up("block");
  const auto of_client = written.substr(std::min(written.size(), written.find("\nclient 1 ")));
  EXPECT_GE(number_behind(of_client, "it waited for others for "), 20) << written;
  EXPECT_GE(it->members(10).back().held, std::chrono::milliseconds(20)) << "also when it does no more";
}

TEST_F(standard_commands, know_how_long_packets_were_under_way) {
  begin();
  auto& s = server(7);
  auto& c = client();
  const auto number = dial(c, s, 7);
  EXPECT_EQ(it->forward_latency().front().count(), 0u);
  for (int i = 0; i < 3; ++i) {
    c.send(test::packet(number, "x"));
    EXPECT_EQ(s.next(), test::packet(number, "x"));
  }
  EXPECT_EQ(it->forward_latency().front().count(), 3u);
  EXPECT_GT(it->forward_latency().front().sum(), 0u);
  EXPECT_TRUE(has(look_up("block"), "ferry_gateway_forward_nanoseconds_bucket{le=\"+Inf\"} 3\n"));
}

TEST_F(standard_commands, count_one_write_for_what_came_for_a_member_at_once) {
  begin();
  auto& s = server(7);
  auto& c = client();
  const auto number = dial(c, s, 7);
  std::string many;
  for (int i = 0; i < 100; ++i) many += test::packet(number, std::to_string(i));
  EXPECT_TRUE(c.is_well());
  const auto before = it->stats();
  c.send(many);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(s.next(), test::packet(number, std::to_string(i)));
  const auto now = it->stats();
  EXPECT_EQ(now.forwarded - before.forwarded, 100u);
  EXPECT_EQ(now.writes - before.writes, now.batches - before.batches);
  EXPECT_LE(now.writes - before.writes, 3u) << "what one read brought";
}

TEST_F(standard_commands, that_need_a_file_say_so_where_there_is_no_name) {
  open();
  add_standard_commands(table, *it, "");
  EXPECT_TRUE(has(ask("lookup heap"), "--name")) << ask("lookup heap");
  EXPECT_TRUE(has(ask("connections"), "0 clients"));
}

}  // namespace
}  // namespace ferry::gateway
