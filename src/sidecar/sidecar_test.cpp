// The sidecar with services by hand: what they see in their rings and on their control sockets.
#include "sidecar/sidecar.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include "testing/sidecar_world.hpp"

namespace ferry::sidecar {
namespace {

using namespace std::chrono_literals;
using codec::sidecar::change_pipe;
using codec::sidecar::change_pipe_answer;
using codec::sidecar::heartbeat;
using codec::sidecar::registration_answer;
using codec::sidecar::service_health;
using session::unroutable;
using test::service_by_hand;

using sidecar_test = test::sidecar_world;

mode_t mode_of(const std::string& path) {
  struct stat about {};
  return ::lstat(path.c_str(), &about) == 0 ? about.st_mode & 07777 : 0;
}
ino_t inode_of(const std::string& path) {
  struct stat about {};
  return ::lstat(path.c_str(), &about) == 0 ? about.st_ino : 0;
}

TEST_F(sidecar_test, makes_the_directory_the_rings_and_the_socket_of_each_entity_for_its_user_alone) {
  open();
  const auto of = with.entities[0].directory;
  EXPECT_EQ(mode_of(of), 0700u);
  for (const char* name : {"/recv.shm", "/recv.shm1", "/send.shm", "/send.shm1"}) {
    EXPECT_EQ(mode_of(of + name), 0600u) << name;
    struct stat about {};
    ASSERT_EQ(::stat((of + name).c_str(), &about), 0);
    EXPECT_EQ(about.st_size, (64 << 10) + 1024);
  }
  EXPECT_NE(mode_of(of + "/sidecar.sock"), 0u);
}

TEST_F(sidecar_test, carries_messages_both_ways_in_order) {
  open();
  auto a = service(0), b = service(2);
  EXPECT_EQ(a.enter().code, 0);
  EXPECT_EQ(b.enter().is_main, 1);
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(a.send(to_entity{201}, std::string(static_cast<std::size_t>(i), 'x') + std::to_string(i)));
    const auto got = b.receive();
    ASSERT_EQ(got.body, std::string(static_cast<std::size_t>(i), 'x') + std::to_string(i));
    ASSERT_EQ(got.from, 101u);
    ASSERT_TRUE(b.send(to_entity{101}, std::to_string(i)));
    ASSERT_EQ(a.receive().body, std::to_string(i));
  }
  EXPECT_EQ(it->stats().data.forwarded, 600u);
  EXPECT_EQ(view(0).counts.received, 300u);
  EXPECT_EQ(view(0).counts.delivered, 300u);
}

TEST_F(sidecar_test, holds_a_sender_whose_receiver_does_not_read_and_loses_nothing) {
  open();
  auto a = service(0), b = service(2);
  a.enter(), b.enter();
  int sent = 0, received = 0;
  const std::string filling(1000, 'f');
  while (it->stats().data.forwarded == 0 || view(0).counts.held == 0) {
    while (a.send(to_entity{201}, std::to_string(sent) + filling)) ++sent;
    ASSERT_TRUE(comes([] { return true; }, ""));
    io.poll();
  }
  EXPECT_GT(sent, 60) << "both rings were filled";
  while (received < sent) ASSERT_EQ(b.receive().body, std::to_string(received++) + filling);
  EXPECT_EQ(view(2).counts.full, 0u);
}

TEST_F(sidecar_test, drops_with_a_count_what_finds_no_room_if_that_is_the_policy) {
  with.when_full = full_ring::drop;
  open();
  auto a = service(0), b = service(2);
  a.enter(), b.enter();
  std::uint64_t sent = 0;
  while (view(2).counts.full == 0) {
    while (a.send(to_entity{201}, std::string(1000, 'f'))) ++sent;
    ASSERT_TRUE(comes([&] { return view(0).unread_from == 0; }, "the ring being empty"));
  }
  EXPECT_EQ(view(2).counts.full + view(2).counts.delivered, sent);
}

TEST_F(sidecar_test, waits_no_longer_than_it_may_for_room_and_then_not_again) {
  with.hold = 20ms;
  open();
  auto a = service(0), b = service(2), c = service(1);
  a.enter(), b.enter(), c.enter();
  for (int i = 0; view(2).counts.full < 3; ++i) {
    (void)a.send(to_entity{201}, std::string(1000, 'f'));
    io.poll();
    ASSERT_LT(i, 100'000'000);
  }
  ASSERT_TRUE(comes([&] { return a.send(to_entity{102}, "past it"); }, "room"));
  EXPECT_EQ(c.receive().body, "past it");
}

TEST_F(sidecar_test, counts_what_reaches_nobody_and_gives_it_back_if_asked_to) {
  with.return_undeliverable = true;
  with.undeliverable_code = -7;
  open();
  auto a = service(0);
  a.enter();
  ASSERT_TRUE(a.send(to_entity{999}, "lost"));
  const auto back = a.receive();
  EXPECT_EQ(back.from, 999u);
  EXPECT_EQ(back.return_code, -7);
  EXPECT_EQ(back.id, "test");
  EXPECT_EQ(back.body, "");
  EXPECT_EQ(undeliverable(unroutable::unknown_entity), 1u);
  ASSERT_TRUE(a.send(to_entity{201}, "nobody is there"));
  EXPECT_EQ(a.receive().from, 201u);
  EXPECT_EQ(it->stats().data.returned, 2u);
}

TEST_F(sidecar_test, reaches_all_of_a_service_and_some_entities_and_anybody) {
  open();
  auto a = service(0), b = service(1), c = service(2);
  a.enter(), b.enter(), c.enter();
  ASSERT_TRUE(c.send(to_all{1}, "all"));
  EXPECT_EQ(a.receive().body, "all");
  EXPECT_EQ(b.receive().body, "all");
  const std::vector<std::int32_t> some{101, 201};
  ASSERT_TRUE(b.send(to_entities{some}, "some"));
  EXPECT_EQ(a.receive().body, "some");
  EXPECT_EQ(c.receive().body, "some");
  ASSERT_TRUE(a.send(to_any{2, 77}, "any"));
  EXPECT_EQ(c.receive().body, "any");
}

TEST_F(sidecar_test, drops_what_says_a_wrong_source_or_is_no_message_and_goes_on) {
  open();
  auto a = service(0), b = service(2);
  a.enter(), b.enter();
  service_route forged;
  forged.from = 102;
  forged.to = to_entity{201};
  ASSERT_TRUE(a.send(forged, "forged"));
  auto* room = a.out.reserve(30);
  ASSERT_NE(room, nullptr);
  std::memset(room, 0xff, 30);
  a.out.publish(30, 20, test::milliseconds_since_1970());
  ASSERT_TRUE(a.send(to_entity{201}, "good"));
  EXPECT_EQ(b.receive().body, "good");
  EXPECT_EQ(view(0).counts.malformed, 2u);
}

TEST_F(sidecar_test, survives_every_kind_of_nonsense_in_the_memory_that_it_shares) {
  open();
  auto c = service(1);
  EXPECT_EQ(c.enter().code, 0);
  const auto is_well = [&] {
    if (!c.send(to_entity{102}, "to itself")) return ::testing::AssertionFailure() << "no room";
    return comes([&] { return c.take().has_value(); }, "its own message");
  };
  // The writer's and the reader's positions; kind and length of a message.
  for (const std::size_t offset : {12, 8, 1024 + 20, 1024 + 22}) {
    SCOPED_TRACE(offset);
    {
      auto a = service(0);
      EXPECT_EQ(a.enter().code, 0);
      (void)a.send(to_entity{102}, "overwritten");
      std::memset(a.sent_memory().data() + offset, 0xee, 4);
      ASSERT_TRUE(is_well());
      while (c.in.front(test::milliseconds_since_1970())->there) (void)c.take();
    }
    ASSERT_TRUE(comes([&] { return view(0).where == pipe::state::idle; }, "a pipe that can be used again"));
  }
}

TEST_F(sidecar_test, gives_up_a_pipe_whose_reader_says_what_cannot_be) {
  open();
  auto b = service(2), c = service(1);
  b.enter(), c.enter();
  std::memset(b.received_memory().data() + 8, 0xee, 4);
  const auto is_damaged = [&] {
    (void)c.send(to_entity{201}, std::string(1000, 'f'));  // until nobody can believe its position any more
    return view(2).where == pipe::state::damaged;
  };
  ASSERT_TRUE(comes(is_damaged, "the damage"));
  ASSERT_TRUE(comes([&] { return b.has_ended(); }, "the end of its control connection"));
  ASSERT_TRUE(comes([&] { return c.send(to_entity{102}, "to itself"); }, "room"));
  EXPECT_EQ(c.receive().body, "to itself");
}

TEST_F(sidecar_test, makes_the_files_of_a_damaged_pipe_anew_when_its_lock_is_free) {
  open();
  auto a = service(0);
  const auto path = with.entities[0].directory + "/send.shm";
  {
    auto torn = service(0);
    torn.enter();
    ASSERT_EQ(::truncate(path.c_str(), 0), 0);
    ASSERT_TRUE(comes([&] { return view(0).where == pipe::state::damaged; }, "the damage"));
  }
  ASSERT_TRUE(comes([&] { return view(0).where == pipe::state::idle; }, "the new files"));
  EXPECT_EQ(a.enter().code, 0);
}

TEST_F(sidecar_test, lets_a_process_register_only_on_a_pipe_whose_lock_it_holds) {
  open();
  auto a = service(0);
  a.map();
  a.connect();
  a.tell(a.said());
  const auto answer = a.hear<registration_answer>();
  ASSERT_TRUE(answer);
  EXPECT_NE(answer->code, 0);
  EXPECT_EQ(answer->reason, "nobody holds the lock of pipe 0");
  a.lock();
  a.tell(a.said());
  EXPECT_EQ(a.hear<registration_answer>()->code, 0);
}

TEST_F(sidecar_test, ends_control_connections_that_break_the_protocol_or_say_nothing) {
  with.registration_timeout = 50ms;
  open();
  const auto ends = [&](std::string_view bytes_said) {
    auto one = service(0);
    one.connect();
    if (one.control.send(bytes_said) != 0) return ::testing::AssertionFailure() << "it could not be said";
    return comes([&] { return one.has_ended(); }, "its end");
  };
  using std::string_view_literals::operator""sv;
  EXPECT_TRUE(ends("")) << "says nothing";
  EXPECT_TRUE(ends("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_TRUE(ends("\xcb\0\0\0\0\0\0\x40\x10\0\0\x40\0\0\0\0"sv)) << "a message of a gigabyte";
  EXPECT_TRUE(ends("\xcb\0\0\0\3\0\0\0\x13\0\0\0\0\0\0\0\xff\xff\xff"sv)) << "no protobuf";
  auto flood = service(1);
  EXPECT_EQ(flood.enter().code, 0);
  for (int i = 0; i < 2000 && !flood.has_ended(); ++i) {
    std::vector<std::byte> wire;
    ASSERT_TRUE(wire::append(wire, flood.beat()));
    (void)flood.control.send(as_text(wire));
    if (i % 50 == 0) io.poll();
  }
  EXPECT_TRUE(comes([&] { return flood.has_ended(); }, "the end of who floods it"));
  EXPECT_GE(it->stats().control.breaches, 1u);
}

TEST_F(sidecar_test, knows_at_once_that_a_service_is_gone_and_still_delivers_what_it_had_written) {
  open();
  auto b = service(2);
  b.enter();
  {
    auto a = service(0);
    a.enter();
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(a.send(to_entity{201}, std::to_string(i)));
    a.control.close();
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(b.receive().body, std::to_string(i));
  ASSERT_TRUE(comes([&] { return view(0).where == pipe::state::idle; }, "it being gone"));
  ASSERT_TRUE(b.send(to_entity{101}, "too late"));
  ASSERT_TRUE(comes([&] { return undeliverable(unroutable::absent) == 1; }, "the count"));
  EXPECT_EQ(it->stats().control.lost, 1u);
}

TEST_F(sidecar_test, goes_on_with_the_rings_when_it_was_killed_and_loses_nothing_that_lies_in_them) {
  open();
  auto a = service(0), b = service(2);
  a.enter(), b.enter();
  const auto inode = inode_of(with.entities[0].directory + "/send.shm");
  it.reset();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(a.send(to_entity{201}, std::to_string(i)));
  open();
  EXPECT_EQ(inode_of(with.entities[0].directory + "/send.shm"), inode);
  // The receiver comes later than the sender: what is for it waits, as it holds its pipe.
  a.connect();
  a.tell(a.said());
  EXPECT_EQ(a.hear<registration_answer>()->code, 0);
  ASSERT_TRUE(comes([&] { return view(0).counts.held != 0; }, "a message that waits"));
  b.connect();
  b.tell(b.said());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(b.receive().body, std::to_string(i));
  EXPECT_EQ(undeliverable(unroutable::absent), 0u);
}

TEST_F(sidecar_test, switches_the_pipe_of_an_entity_between_two_messages) {
  open();
  auto old = service(2), fresh = service(2, 1), a = service(0);
  a.enter();
  EXPECT_EQ(old.enter().is_main, 1);
  fresh.said().stateful = true;
  const auto answer = fresh.enter();
  EXPECT_EQ(answer.is_main, 0);
  EXPECT_EQ(answer.must_migrate, 1);
  ASSERT_TRUE(a.send(to_entity{201}, "before"));
  EXPECT_EQ(old.receive().body, "before");
  fresh.tell(change_pipe{1});
  EXPECT_EQ(fresh.hear<change_pipe_answer>()->result, 0);
  ASSERT_TRUE(a.send(to_entity{201}, "after"));
  EXPECT_EQ(fresh.receive().body, "after");
  ASSERT_TRUE(old.send(to_other_instance{0}, "not mine"));
  EXPECT_EQ(fresh.receive().body, "not mine");
  old.tell(old.farewell());
  ASSERT_TRUE(comes([&] { return view(2, 0).where == pipe::state::idle; }, "the old one being gone"));
  EXPECT_TRUE(view(2, 1).is_main);
}

TEST_F(sidecar_test, takes_entities_in_and_out_while_it_runs) {
  open();
  auto a = service(0), b = service(2);
  a.enter(), b.enter();
  auto other = with;
  other.entities.erase(other.entities.begin() + 2);
  entity_settings more = with.entities[0];
  more.entity = 103;
  more.directory = dir.file("103");
  other.entities.push_back(more);
  EXPECT_TRUE(it->change(other).empty());
  ASSERT_TRUE(comes([&] { return b.has_ended(); }, "the end of the one that is taken out"));
  service_by_hand c(io, more);
  EXPECT_EQ(c.enter().code, 0);
  ASSERT_TRUE(a.send(to_entity{103}, "to the new one"));
  EXPECT_EQ(c.receive().body, "to the new one");
  other.entities[0].pipes = 4;
  EXPECT_EQ(it->change(other), std::vector<std::string>{"entity 101"});
}

TEST_F(sidecar_test, reads_what_lies_in_the_rings_before_it_stops) {
  open();
  auto a = service(0), b = service(2);
  a.enter(), b.enter();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(a.send(to_entity{201}, std::to_string(i)));
  bool stopped = false;
  it->stop(60s, [&] { stopped = true; });
  ASSERT_TRUE(comes([&] { return stopped; }, "the end"));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(b.take()->body, std::to_string(i));
  EXPECT_TRUE(a.has_ended());
}

TEST_F(sidecar_test, stops_in_time_when_a_receiver_does_not_read) {
  open();
  auto a = service(0), b = service(2);
  a.enter(), b.enter();
  while (view(0).counts.held == 0) {
    while (a.send(to_entity{201}, std::string(1000, 'f'))) {
    }
    io.poll();
  }
  bool stopped = false;
  it->stop(10ms, [&] { stopped = true; });
  ASSERT_TRUE(comes([&] { return stopped; }, "the end"));
}

TEST_F(sidecar_test, takes_a_directory_that_another_sidecar_has_from_nobody) {
  open();
  boost::asio::io_context other_io{1};
  context elsewhere{other_io};
  const auto second = daemon::open(elsewhere, with);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), errc::address_in_use);
}

}  // namespace
}  // namespace ferry::sidecar
