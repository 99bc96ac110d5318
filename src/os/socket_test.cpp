#include "os/socket.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace ferry::os {
namespace {

int get_int(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

std::array<unique_fd, 2> pair() {
  std::array<int, 2> fds{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0);
  return {unique_fd(fds[0]), unique_fd(fds[1])};
}

TEST(unix_address, takes_paths_and_abstract_names_up_to_107_bytes) {
  EXPECT_EQ(unix_address("/run/a.sock")->text(), "/run/a.sock");
  EXPECT_EQ(unix_address("@name")->text(), "@name");
  EXPECT_TRUE(unix_address("/" + std::string(106, 'a')));
  EXPECT_EQ(unix_address("@" + std::string(106, 'a'))->text(), "@" + std::string(106, 'a'));
  for (const std::string& bad : {"/" + std::string(107, 'a'), "@" + std::string(107, 'a'), std::string(),
                                 std::string("@"), std::string("/a\0b", 4)})
    EXPECT_EQ(unix_address(bad).error(), errc::bad_address) << bad;
  EXPECT_NE(unix_address(std::string(108, 'a')).error().text().find("108 bytes is longer than the 107"),
            std::string::npos);
}

TEST(resolve, knows_literals_without_asking_and_names_what_it_does_not_find) {
  for (const char* literal : {"127.0.0.1", "::1", "fe80::1%lo", "*", ""}) EXPECT_TRUE(is_literal(literal)) << literal;
  for (const char* name : {"localhost", "a.b", "1.2.3"}) EXPECT_FALSE(is_literal(name)) << name;
  EXPECT_EQ(resolve("127.0.0.1", 80, false)->front().text(), "127.0.0.1:80");
  EXPECT_EQ(resolve("::1", 80, false)->front().text(), "[::1]:80");
  EXPECT_FALSE(resolve("*", 80, true)->empty());
  const auto none = resolve("no-such-host.invalid", 80, false);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error(), errc::not_found);
  EXPECT_NE(none.error().text().find("no-such-host.invalid"), std::string::npos);
}

TEST(socket_address, has_a_host_that_is_found_again_without_asking) {
  for (const char* host : {"127.0.0.1", "::1", "fe80::1%lo"}) {
    const auto found = resolve(host, 80, false);
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(found->front().host(), host);
  }
  EXPECT_EQ(unix_address("/tmp/a")->host(), "");
}

TEST(resolve, knows_localhost_even_where_no_file_names_it) {
  const auto here = resolve("localhost", 80, false);
  ASSERT_TRUE(here) << here.error().text();
  for (const auto& one : *here) EXPECT_TRUE(one.text() == "[::1]:80" || one.text().starts_with("127.")) << one.text();
}

TEST(stream_socket, has_the_options_that_were_asked_for) {
  options with;
  with.socket_send_buffer = 40'000;
  with.socket_receive_buffer = 50'000;
  with.keep_alive_idle = std::chrono::seconds(11);
  with.keep_alive_interval = std::chrono::seconds(12);
  with.keep_alive_count = 13;
  const auto fd = open_stream_socket(AF_INET, with);
  ASSERT_TRUE(fd);
  tune_connected(fd->get(), AF_INET, with);
  EXPECT_EQ(get_int(fd->get(), SOL_SOCKET, SO_SNDBUF), 80'000);  // Linux doubles what is asked for
  EXPECT_EQ(get_int(fd->get(), SOL_SOCKET, SO_RCVBUF), 100'000);
  EXPECT_EQ(get_int(fd->get(), IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(get_int(fd->get(), SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(get_int(fd->get(), IPPROTO_TCP, TCP_KEEPIDLE), 11);
  EXPECT_EQ(get_int(fd->get(), IPPROTO_TCP, TCP_KEEPINTVL), 12);
  EXPECT_EQ(get_int(fd->get(), IPPROTO_TCP, TCP_KEEPCNT), 13);
  with.no_delay = with.keep_alive = false;
  const auto plain = open_stream_socket(AF_INET, with);
  tune_connected(plain->get(), AF_INET, with);
  EXPECT_EQ(get_int(plain->get(), IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_EQ(get_int(plain->get(), SOL_SOCKET, SO_KEEPALIVE), 0);
}

TEST(stream_socket, tells_would_block_bytes_and_the_end_apart) {
  auto [one, other] = pair();
  std::array<std::byte, 8> into;
  EXPECT_EQ(receive(one.get(), into).error(), errc::would_block);
  const std::array<bytes, 3> parts{as_bytes("ab"), as_bytes(""), as_bytes("c")};
  EXPECT_EQ(*send(other.get(), parts), 3u);
  EXPECT_EQ(*receive(one.get(), into), 3u);
  EXPECT_EQ(as_text(bytes(into).first(3)), "abc");
  other.reset();
  EXPECT_EQ(receive(one.get(), into).error(), errc::end_of_stream);
  const auto broken = send(one.get(), parts);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error(), errc::reset);
  EXPECT_EQ(broken.error().system_errno(), EPIPE);
}

TEST(stream_socket, takes_part_of_what_is_too_much) {
  auto [one, other] = pair();
  const std::string much(8u << 20, 'x');
  const std::array<bytes, 1> parts{as_bytes(much)};
  const auto first = send(one.get(), parts);
  ASSERT_TRUE(first);
  EXPECT_LT(*first, much.size());
  EXPECT_EQ(send(one.get(), parts).error(), errc::would_block);
  EXPECT_GT(unread(other.get()), 0u);
}

TEST(peer, of_a_unix_socket_is_this_process) {
  auto [one, other] = pair();
  socket_address unnamed;
  unnamed.storage.ss_family = AF_UNIX;
  unnamed.size = sizeof(sa_family_t);
  const peer_info who = identify_peer(one.get(), unnamed);
  ASSERT_TRUE(who.process);
  EXPECT_EQ(who.process->pid, ::getpid());
  EXPECT_EQ(who.process->uid, ::getuid());
  EXPECT_EQ(who.text(), "pid " + std::to_string(::getpid()) + " uid " + std::to_string(::getuid()));
}

}  // namespace
}  // namespace ferry::os
