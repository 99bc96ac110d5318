#include "apps/ferry/progress.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "apps/ferry/app.hpp"
#include "os/unique_fd.hpp"

namespace {

using ferry::app::progress;
using ferry::os::unique_fd;
using namespace std::chrono_literals;

/// Standard error is `fd` as long as this lives.
class standard_error_is {
 public:
  explicit standard_error_is(int fd) : before_(::dup(STDERR_FILENO)) { ::dup2(fd, STDERR_FILENO); }
  ~standard_error_is() { ::dup2(before_.get(), STDERR_FILENO); }
  standard_error_is(const standard_error_is&) = delete;
  standard_error_is& operator=(const standard_error_is&) = delete;

 private:
  unique_fd before_;
};

struct terminal {
  terminal() : master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0) return;
    slave.reset(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  }
  /// What was written to it, as far as it can be read without waiting.
  [[nodiscard]] std::string shown() const {
    std::string text;
    char buffer[4096];
    pollfd ready{master.get(), POLLIN, 0};
    while (::poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0) {
      text.append(buffer, static_cast<std::size_t>(::read(master.get(), buffer, sizeof buffer)));
    }
    return text;
  }
  unique_fd master;
  unique_fd slave;
};

TEST(progress, draws_a_bar_on_a_terminal_and_wipes_it) {
  const terminal screen;
  if (!screen.slave) GTEST_SKIP() << "this system gives no pseudo-terminal (is devpts mounted?)";
  const standard_error_is redirected(screen.slave.get());
  {
    progress bar("sending", 200'000'000, "B", 0ms);
    bar.update(50'000'000);
    const auto drawn = screen.shown();
    EXPECT_TRUE(drawn.starts_with("\r\033[Ksending [######..................] 25 %  50.0 MB of 200.0 MB  ")) << drawn;
  }
  EXPECT_EQ(screen.shown(), "\r\033[K");
}

TEST(progress, counts_where_the_end_is_not_known) {
  const terminal screen;
  if (!screen.slave) GTEST_SKIP() << "this system gives no pseudo-terminal (is devpts mounted?)";
  const standard_error_is redirected(screen.slave.get());
  progress bar("asking", 0, "messages", 0ms);
  bar.update(17);
  EXPECT_TRUE(screen.shown().starts_with("\r\033[Kasking 17 messages  "));
}

TEST(progress, gives_way_to_lines) {
  const terminal screen;
  if (!screen.slave) GTEST_SKIP() << "this system gives no pseudo-terminal (is devpts mounted?)";
  const standard_error_is redirected(screen.slave.get());
  progress bar("sending", 10, "messages", 0ms);
  bar.update(1);
  static_cast<void>(screen.shown());
  ferry::app::say("hello");
  EXPECT_EQ(screen.shown(), "\r\033[Kferry: hello\r\n");
}

TEST(progress, writes_nothing_to_a_pipe) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const unique_fd reader(ends[0]);
  const unique_fd writer(ends[1]);
  const standard_error_is redirected(writer.get());
  {
    progress bar("sending", 10, "messages", 0ms);
    bar.update(5);
  }
  char one = 0;
  EXPECT_EQ(::read(reader.get(), &one, 1), -1);
}

}  // namespace
