#include "gateway/standard_commands.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "testing/gateway_by_hand.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::gateway {
namespace {

class standard_commands : public test::gateway_service {
 protected:
  void begin() {
    open();
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
    std::string_view rest = much;
    ASSERT_TRUE(test::run_until(
        io,
        [&] {
          if (const auto n = s.socket().try_send(rest); n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
          return rest.empty();
        },
        "room"));
    EXPECT_TRUE(s.is_well());
  }
  const auto written = look_up("block");
  EXPECT_TRUE(has(written, "bytes) wait; held back 0 times")) << written;
  EXPECT_TRUE(has(written, "\nclient 1 ")) << written;
  EXPECT_FALSE(has(written, "\nserver 7 ")) << "nothing waits for it: " << written;
  EXPECT_TRUE(has(written, "ferry_gateway_forward_nanoseconds_count ")) << written;
}

TEST_F(standard_commands, that_need_a_file_say_so_where_there_is_no_name) {
  open();
  add_standard_commands(table, *it, "");
  EXPECT_TRUE(has(ask("lookup heap"), "--name")) << ask("lookup heap");
  EXPECT_TRUE(has(ask("connections"), "0 clients"));
}

}  // namespace
}  // namespace ferry::gateway
