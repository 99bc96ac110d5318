#include "os/fd_passing.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <string>

namespace ferry::os {
namespace {

class fd_passing : public ::testing::Test {
 protected:
  fd_passing() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    here.reset(ends[0]);
    there.reset(ends[1]);
  }
  static std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }
  unique_fd here, there;
  std::array<std::byte, 64> buffer{};
};

TEST_F(fd_passing, brings_a_copy_of_the_descriptor_with_the_bytes) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const unique_fd out(pipe[1]);
  unique_fd in(pipe[0]);
  ASSERT_TRUE(send_with_fd(here.get(), as_bytes(std::string_view("hello")), in.get()));
  in.reset();
  const auto got = receive_with_fd(there.get(), buffer);
  ASSERT_TRUE(got);
  EXPECT_EQ(as_text(bytes(buffer).first(got->size)), "hello");
  ASSERT_TRUE(got->fd);
  EXPECT_NE(::fcntl(got->fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(::write(out.get(), "x", 1), 1);
  char one = 0;
  EXPECT_EQ(::read(got->fd.get(), &one, 1), 1);
  EXPECT_EQ(one, 'x');
}

TEST_F(fd_passing, brings_bytes_alone) {
  ASSERT_TRUE(send_with_fd(here.get(), as_bytes(std::string_view("hello")), -1));
  const auto got = receive_with_fd(there.get(), buffer);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->size, 5u);
  EXPECT_FALSE(got->fd);
}

TEST_F(fd_passing, closes_what_comes_besides_the_first_descriptor) {
  const std::size_t before = open_descriptors();
  std::array<int, 6> many{};
  many.fill(STDIN_FILENO);
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof many)> control{};
  char byte = 'x';
  iovec part{&byte, 1};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof many);
  std::memcpy(CMSG_DATA(rights), many.data(), sizeof many);
  ASSERT_EQ(::sendmsg(here.get(), &header, 0), 1);
  {
    const auto got = receive_with_fd(there.get(), buffer);
    ASSERT_TRUE(got);
    EXPECT_TRUE(got->fd);
    EXPECT_EQ(open_descriptors(), before + 1);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(fd_passing, tells_nothing_there_from_the_end) {
  EXPECT_EQ(receive_with_fd(there.get(), buffer).error(), errc::would_block);
  here.reset();
  EXPECT_EQ(receive_with_fd(there.get(), buffer).error(), errc::end_of_stream);
  EXPECT_FALSE(send_with_fd(there.get(), as_bytes(std::string_view("x")), -1));
}

}  // namespace
}  // namespace ferry::os
