// The ways to receive.
#include <poll.h>
#include <unistd.h>

#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

bool readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

TEST_P(transport, serves_several_waiting_receives_in_their_order) {
  join();
  std::vector<std::string> got;
  for (int i = 0; i < 4; ++i)
    server.async_receive([&, i](error_code failed, const message& m) {
      EXPECT_FALSE(failed);
      got.push_back(std::to_string(i) + std::string(m.text()));
    });
  for (const char* text : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(client.try_send(text));
  ASSERT_TRUE(turn([&] { return got.size() == 4 && server.stats().receive_queue_messages == 1; }, "four messages"));
  EXPECT_EQ(got, (std::vector<std::string>{"0a", "1b", "2c", "3d"}));
  EXPECT_EQ(server.try_receive()->text(), "e");
}

TEST_P(transport, gives_queued_messages_to_try_receive_and_then_would_block) {
  join();
  EXPECT_EQ(server.try_receive().error(), errc::would_block);
  ASSERT_TRUE(client.try_send("a"));
  ASSERT_TRUE(client.try_send("b"));
  ASSERT_TRUE(turn([&] { return server.stats().receive_queue_messages == 2; }, "two messages"));
  EXPECT_EQ(server.try_receive()->text(), "a");
  EXPECT_EQ(server.try_receive()->text(), "b");
  EXPECT_EQ(server.try_receive().error(), errc::would_block);
  EXPECT_EQ(server.stats().receive_queue_bytes, 0u);
}

TEST_P(transport, gives_what_arrived_before_the_end_and_then_why_it_ended) {
  join();
  ASSERT_TRUE(client.try_send("last words"));
  client.async_close([](error_code, const close_report&) {});
  ASSERT_TRUE(turn([&] { return server.state() == channel_state::closed; }, "the end"));
  EXPECT_EQ(server.try_receive()->text(), "last words");
  EXPECT_EQ(server.try_receive().error(), errc::end_of_stream);
  error_code why;
  server.async_receive([&](error_code failed, const message&) { why = failed; });
  ASSERT_TRUE(turn([&] { return bool(why); }, "the end, asynchronously"));
  EXPECT_EQ(why, errc::end_of_stream);
}

TEST_P(transport, can_answer_the_last_message_of_a_peer_that_has_ended_its_direction) {
  join();
  int asked = 0;
  bool over = false;
  std::function<void(error_code, message)> answer = [&](error_code failed, message m) {
    if (failed) {
      over = true;
      EXPECT_EQ(failed, errc::end_of_stream);
      return;
    }
    ++asked;
    EXPECT_TRUE(server.try_send(m.payload()));
    server.async_receive(answer);
  };
  server.async_receive(answer);
  int answered = 0;
  client.on_message([&](const message_view&) { ++answered; });
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.try_send("question"));
  client.half_close();
  ASSERT_TRUE(turn([&] { return over && client.state() == channel_state::closed; }, "both ends"));
  EXPECT_EQ(asked, 100);
  EXPECT_EQ(answered, 100);
}

TEST_P(transport, raises_its_readiness_descriptor_until_try_receive_has_found_nothing) {
  join();
  const int fd = server.readiness_fd();
  ASSERT_GE(fd, 0);
  EXPECT_FALSE(readable(fd));
  ASSERT_TRUE(client.try_send("a"));
  ASSERT_TRUE(client.try_send("b"));
  ASSERT_TRUE(turn([&] { return server.stats().receive_queue_messages == 2; }, "two messages"));
  EXPECT_TRUE(readable(fd));
  EXPECT_TRUE(server.try_receive());
  EXPECT_TRUE(readable(fd));
  EXPECT_TRUE(server.try_receive());
  EXPECT_EQ(server.try_receive().error(), errc::would_block);
  EXPECT_FALSE(readable(fd));
  EXPECT_EQ(server.readiness_fd(), fd);
  ASSERT_TRUE(client.try_send("c"));
  ASSERT_TRUE(turn([&] { return readable(fd); }, "readiness"));
  EXPECT_EQ(server.try_receive()->text(), "c");
  EXPECT_EQ(server.try_receive().error(), errc::would_block);
  client.cut();
  ASSERT_TRUE(turn([&] { return readable(fd); }, "the end"));
}

TEST_P(transport, raises_its_readiness_descriptor_for_what_lies_behind_empty_messages_that_it_skips) {
  options skips = settings();
  skips.deliver_empty = false;
  join(settings(), skips);
  const int fd = server.readiness_fd();
  for (const char* text : {"", "", "x", "", "y"}) ASSERT_TRUE(client.try_send(text));
  std::string got;
  ASSERT_TRUE(turn(
      [&] {
        if (!readable(fd)) return false;
        for (auto m = server.try_receive(); m; m = server.try_receive()) got += m->text();
        return got == "xy";
      },
      "what is not empty"));
}

TEST_P(transport, has_a_readable_descriptor_at_once_when_a_message_waits_and_none_with_a_handler) {
  join();
  ASSERT_TRUE(client.try_send("a"));
  ASSERT_TRUE(turn([&] { return server.stats().receive_queue_messages == 1; }, "the message"));
  EXPECT_TRUE(readable(server.readiness_fd()));
  life at_client;
  at_client.receive(client);
  EXPECT_EQ(client.readiness_fd(), -1);
}

TEST_P(transport, gives_a_new_handler_what_was_queued_first) {
  join();
  for (const char* text : {"a", "b"}) ASSERT_TRUE(client.try_send(text));
  ASSERT_TRUE(turn([&] { return server.stats().receive_queue_messages == 2; }, "two messages"));
  life at_server;
  at_server.receive(server);
  EXPECT_TRUE(at_server.messages.empty()) << "a handler was called from inside on_message";
  ASSERT_TRUE(client.try_send("c"));
  ASSERT_TRUE(turn([&] { return at_server.messages.size() == 3; }, "three messages"));
  EXPECT_EQ(at_server.messages, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_P(transport, takes_a_new_handler_from_inside_the_old_one_for_all_that_follows) {
  for (const bool queued_before : {false, true}) {
    auto both = connect();
    std::vector<std::string> got;
    for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(both.client.try_send(text));
    if (queued_before) {
      ASSERT_TRUE(turn([&] { return both.server.stats().receive_queue_messages == 3; }, "three messages"));
    }
    both.server.on_message(
        [&, server = &both.server, mark = std::string("captured by the first handler ")](const message_view& m) {
          server->on_message([&](const message_view& next) { got.push_back("second " + std::string(next.text())); });
          got.push_back(mark + std::string(m.text()));  // the handler still lives
        });
    ASSERT_TRUE(
        turn([&] { return got.size() == 3; }, "three messages, queued before: " + std::to_string(queued_before)));
    EXPECT_EQ(got, (std::vector<std::string>{"captured by the first handler a", "second b", "second c"}));
  }
}

TEST_P(transport, goes_back_to_queueing_when_the_handler_is_taken_away) {
  join();
  int handled = 0;
  server.on_message([&](const message_view&) {
    ++handled;
    server.on_message(nullptr);
  });
  for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(client.try_send(text));
  ASSERT_TRUE(turn([&] { return server.stats().receive_queue_messages == 2; }, "two queued messages"));
  EXPECT_EQ(handled, 1);
  EXPECT_EQ(server.try_receive()->text(), "b");
}

TEST_P(transport, keeps_anything_of_the_callers) {
  join();
  EXPECT_FALSE(client.user_data().has_value());
  client.user_data() = std::string("mine");
  const channel copy = client;
  EXPECT_EQ(std::any_cast<std::string>(channel(copy).user_data()), "mine");
  EXPECT_FALSE(server.user_data().has_value());
}

TEST_P(transport, knows_its_peer) {
  join();
  EXPECT_EQ(server.url(), listening.url());
  if (with_.is("ipc") || with_.is("abstract") || with_.is("wsipc") || is_ring()) {
    ASSERT_TRUE(server.peer().process);
    EXPECT_EQ(server.peer().process->pid, ::getpid());
    EXPECT_EQ(server.peer().process->uid, ::getuid());
  } else {
    EXPECT_FALSE(server.peer().process);
    EXPECT_NE(client.peer().text(), "unnamed peer");
  }
}

}  // namespace
}  // namespace ferry::test
