#include "apps/ferry/output.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "apps/ferry/input.hpp"
#include "os/unique_fd.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace {

using ferry::app::input;
using ferry::app::output;
using ferry::os::unique_fd;
using ferry::test::run_ready;
using ferry::test::run_until;

struct pipe_ends {
  pipe_ends() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
  /// What can be read without waiting.
  [[nodiscard]] std::string drain() const {
    std::string text(1 << 20, '\0');
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    const auto n = ::read(reader.get(), text.data(), text.size());
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }
  unique_fd reader;
  unique_fd writer;
};

TEST(output, writes_what_was_put_in_when_the_event_loop_has_had_its_turn) {
  boost::asio::io_context io;
  const pipe_ends pipe;
  output out(io, pipe.writer.get());
  out.write("one");
  out.put('\n');
  EXPECT_EQ(pipe.drain(), "");
  run_ready(io);
  EXPECT_EQ(pipe.drain(), "one\n");
}

TEST(output, becomes_full_while_nobody_reads_and_tells_when_it_has_room_again) {
  boost::asio::io_context io;
  const pipe_ends pipe;
  output out(io, pipe.writer.get());
  bool room = false;
  out.on_room([&] { room = true; });
  const std::string line(1000, 'x');
  std::size_t written = 0;
  for (; !out.full(); written += line.size()) {
    out.write(line);
    run_ready(io);
    ASSERT_LT(written, 2u << 20) << "it never becomes full";
  }
  room = false;
  run_ready(io);
  EXPECT_FALSE(room);
  std::size_t read = 0;
  ASSERT_TRUE(run_until(
      io, [&] { return read += pipe.drain().size(), read == written; }, "everything"));
  EXPECT_TRUE(room);
  EXPECT_FALSE(out.full());
}

TEST(output, leaves_the_flags_of_its_descriptor_alone) {
  boost::asio::io_context io;
  const pipe_ends pipe;
  const int flags = ::fcntl(pipe.writer.get(), F_GETFL);
  output out(io, pipe.writer.get());
  out.write("x");
  run_ready(io);
  EXPECT_EQ(::fcntl(pipe.writer.get(), F_GETFL), flags);
}

TEST(output, appends_to_a_file_where_the_file_is_appended_to) {
  const ferry::test::temp_dir directory;
  const auto path = directory.file("log");
  for (const auto* text : {"one\n", "two\n"}) {
    boost::asio::io_context io;
    const unique_fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    output out(io, file.get());
    out.write(text);
    run_ready(io);
  }
  const unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char content[16];
  EXPECT_EQ(std::string(content, static_cast<std::size_t>(::read(file.get(), content, sizeof content))), "one\ntwo\n");
}

TEST(output, tells_once_that_its_reader_has_gone) {
  std::signal(SIGPIPE, SIG_IGN);
  boost::asio::io_context io;
  pipe_ends pipe;
  output out(io, pipe.writer.get());
  std::vector<ferry::error> told;
  out.on_error([&](const ferry::error& why) { told.push_back(why); });
  pipe.reader.reset();
  out.write("x");
  EXPECT_TRUE(told.empty()) << "told inside the call";
  run_ready(io);
  out.write("y");
  run_ready(io);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].system_errno(), EPIPE);
  EXPECT_TRUE(out.failed());
}

TEST(output, is_flushed_when_the_last_byte_is_out) {
  boost::asio::io_context io;
  const pipe_ends pipe;
  output out(io, pipe.writer.get());
  out.write(std::string(1 << 20, 'x'));
  bool flushed = false;
  out.on_flushed([&] { flushed = true; });
  run_ready(io);
  EXPECT_FALSE(flushed) << "a pipe does not hold so much";
  std::size_t read = 0;
  ASSERT_TRUE(run_until(
      io, [&] { return read += pipe.drain().size(), flushed; }, "the flush"));
  EXPECT_EQ(read + pipe.drain().size(), std::size_t{1} << 20);
}

TEST(input, waits_for_a_pipe_and_leaves_its_flags_alone) {
  boost::asio::io_context io;
  const pipe_ends pipe;
  const int before = ::dup(STDIN_FILENO);
  ::dup2(pipe.reader.get(), STDIN_FILENO);
  const int flags = ::fcntl(STDIN_FILENO, F_GETFL);
  auto in = input::open(io, "-");
  ASSERT_TRUE(in) << in.error().text();
  std::byte buffer[16];
  EXPECT_EQ((*in)->try_read(buffer).error(), ferry::errc::would_block);
  bool ready = false;
  (*in)->async_wait([&] { ready = true; });
  run_ready(io);
  EXPECT_FALSE(ready);
  ASSERT_EQ(::write(pipe.writer.get(), "hi", 2), 2);
  ASSERT_TRUE(run_until(
      io, [&] { return ready; }, "the pipe"));
  EXPECT_EQ((*in)->try_read(buffer).value(), 2u);
  EXPECT_EQ(::fcntl(STDIN_FILENO, F_GETFL), flags);
  ::dup2(before, STDIN_FILENO);
  ::close(before);
}

TEST(input, says_what_it_cannot_open) {
  boost::asio::io_context io;
  const ferry::test::temp_dir directory;
  const auto missing = input::open(io, directory.file("none"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().text(), "open " + directory.file("none") + ": No such file or directory");
  const auto folder = input::open(io, directory.path().string());
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().text(), directory.path().string() + " is a directory; name a file");
}

}  // namespace
