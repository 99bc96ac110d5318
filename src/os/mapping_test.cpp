#include "os/mapping.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "testing/temp_dir.hpp"

namespace ferry::os {
namespace {

constexpr std::size_t k_size = 64u << 10;

TEST(create_memory, is_zero_and_there_to_the_last_byte_and_keeps_its_size) {
  const auto fd = create_memory("ferry:test", k_size, false);
  ASSERT_TRUE(fd) << fd.error().text();
  struct stat about {};
  ASSERT_EQ(::fstat(fd->get(), &about), 0);
  EXPECT_EQ(static_cast<std::size_t>(about.st_size), k_size);
  EXPECT_GE(static_cast<std::size_t>(about.st_blocks) * 512, k_size);
  EXPECT_NE(::ftruncate(fd->get(), 0), 0);
  EXPECT_NE(::ftruncate(fd->get(), 2 * k_size), 0);
  const auto at = mapping::of(fd->get(), k_size, true);
  ASSERT_TRUE(at);
  for (const std::byte b : at->span()) ASSERT_EQ(b, std::byte{0});
}

TEST(mapping, is_read_only_but_for_the_page_that_is_made_writable) {
  const auto fd = create_memory("ferry:test", k_size, false);
  auto ours = mapping::of(fd->get(), k_size, true);
  auto theirs = mapping::of(fd->get(), k_size, false);
  ASSERT_TRUE(ours && theirs);
  const std::size_t page = page_bytes(false);
  ASSERT_TRUE(theirs->make_writable(fd->get(), page, page));
  theirs->data()[page] = std::byte{7};
  EXPECT_EQ(ours->data()[page], std::byte{7});
  ours->data()[0] = std::byte{8};
  EXPECT_EQ(theirs->data()[0], std::byte{8});
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);  // sanitizers catch it
    *const_cast<volatile std::byte*>(theirs->data()) = std::byte{9};
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) << status;
}

TEST(check_foreign_memory, takes_sealed_memory_alone) {
  const auto sealed = create_memory("ferry:test", k_size, false);
  ASSERT_EQ(check_foreign_memory(sealed->get()).value(), k_size);
  const unique_fd open(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(open.get(), static_cast<off_t>(k_size)), 0);
  EXPECT_EQ(check_foreign_memory(open.get()).error(), errc::corrupt);
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const unique_fd from(pipe[0]), to(pipe[1]);
  EXPECT_EQ(check_foreign_memory(from.get()).error(), errc::corrupt);
}

TEST(create_memory, says_what_to_do_when_there_is_no_room) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto fd = create_memory("ferry:test", k_size, false);
    ::_exit(!fd && fd.error() == errc::no_memory && fd.error().text().find("ring_bytes") != std::string::npos ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(create_file, makes_a_private_file_once) {
  const test::temp_dir dir;
  const auto path = dir.file("ring");
  const auto fd = create_file(path, k_size);
  ASSERT_TRUE(fd) << fd.error().text();
  struct stat about {};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(file_size(fd->get(), path).value(), k_size);
  EXPECT_EQ(create_file(path, k_size).error().system_errno(), EEXIST);
}

TEST(open_file, refuses_what_is_no_file_and_what_a_link_leads_to) {
  const test::temp_dir dir;
  EXPECT_EQ(open_file(dir.file("none"), false).error(), errc::not_found);
  EXPECT_EQ(open_file(dir.path(), false).error(), errc::bad_address);
  ASSERT_TRUE(create_file(dir.file("ring"), k_size));
  EXPECT_TRUE(open_file(dir.file("ring"), true));
  ASSERT_EQ(::symlink(dir.file("ring").c_str(), dir.file("link").c_str()), 0);
  EXPECT_FALSE(open_file(dir.file("link"), false));
}

}  // namespace
}  // namespace ferry::os
