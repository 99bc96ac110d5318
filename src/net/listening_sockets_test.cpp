#include "net/listening_sockets.hpp"

#include <ferry/context.hpp>
#include <ferry/stream.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "net/transports.hpp"
#include "testing/raw_unix.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::net {
namespace {

class sockets_that_were_given : public ::testing::Test {
 protected:
  sockets_that_were_given() { listening_sockets::use(io, all); }
  result<std::unique_ptr<acceptor>> listen(const endpoint& at) {
    return where.transport(at.scheme)->listen(where, at, {});
  }
  static passed_socket copy_of(int fd, std::string whose = {}, bool owns_file = false) {
    return {os::unique_fd(::dup(fd)), std::move(whose), owns_file};
  }
  static endpoint at_port(std::uint16_t port) { return {"tcp", "127.0.0.1", port, {}, {}}; }

  boost::asio::io_context io;
  context where{io};
  const std::shared_ptr<listening_sockets> all = std::make_shared<listening_sockets>();
  test::temp_dir files;
};

TEST_F(sockets_that_were_given, are_taken_by_who_listens_at_their_address_and_known_for_the_next_one) {
  const test::raw_tcp_listener one, other;
  ASSERT_TRUE(all->add(copy_of(one.fd())));
  ASSERT_TRUE(all->add(copy_of(other.fd())));
  EXPECT_TRUE(all->has(at_port(other.port())));
  const auto made = listen(at_port(other.port()));
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_FALSE(all->has(at_port(other.port())));
  const test::raw_tcp somebody(other.port());
  EXPECT_TRUE((*made)->try_accept());
  const auto fresh = listen({"tcp", "127.0.0.2", 0, {}, {}});
  ASSERT_TRUE(fresh);
  EXPECT_EQ(all->copies()->size(), 2u) << "the one that was taken, and the one that was made";
  EXPECT_EQ(all->drop_rest(), std::vector<std::string>{"127.0.0.1:" + std::to_string(one.port())});
}

TEST_F(sockets_that_were_given, with_any_port_are_only_for_whom_they_are_named) {
  const test::raw_tcp_listener one, other;
  ASSERT_TRUE(all->add(copy_of(one.fd(), "server")));
  ASSERT_TRUE(all->add(copy_of(other.fd(), "client")));
  all->now_for("client");
  const auto made = listen(at_port(0));
  ASSERT_TRUE(made);
  EXPECT_EQ((*made)->local_url(), "tcp://127.0.0.1:" + std::to_string(other.port()));
}

TEST_F(sockets_that_were_given, serve_more_threads_than_there_are_but_nobody_else) {
  const test::raw_tcp_listener one;
  ASSERT_TRUE(all->add(copy_of(one.fd())));
  all->now_for("client");
  const auto first = listen(at_port(one.port())), second = listen(at_port(one.port()));
  ASSERT_TRUE(first && second);
  EXPECT_EQ((*first)->local_url(), (*second)->local_url());
  EXPECT_EQ(all->copies()->size(), 1u) << "they are one socket";
  all->now_for("server");
  EXPECT_EQ(listen(at_port(one.port())).error(), errc::address_in_use);
}

TEST_F(sockets_that_were_given, of_the_file_system_keep_their_file_until_the_last_one_that_owns_it) {
  const auto path = files.file("s");
  {
    const auto made = listen({"ipc", {}, 0, path, {}});
    ASSERT_TRUE(made);
    auto handed_on = all->copies();
    ASSERT_TRUE(handed_on && handed_on->size() == 1);
    all->keep_files();
    (*made)->close();
    EXPECT_TRUE(std::filesystem::exists(path));
    ASSERT_TRUE(all->add(std::move(handed_on->front())));
    const auto next = listen({"ipc", {}, 0, path, {}});
    ASSERT_TRUE(next) << next.error().text();
    const auto somebody = test::raw_unix::connect(path);
    EXPECT_TRUE((*next)->try_accept());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(sockets_that_were_given, must_listen) {
  const os::unique_fd deaf(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(all->add(copy_of(deaf.get())).error(), errc::misuse);
  EXPECT_EQ(all->add(copy_of(STDERR_FILENO)).error(), errc::misuse);
  EXPECT_EQ(all->add({}).error(), errc::misuse);
}

}  // namespace
}  // namespace ferry::net
