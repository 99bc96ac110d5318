#pragma once
/// Other programs, started by a test and always ended with it.

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace ferry::test {

/// What a child gets besides its arguments.
struct child_options {
  std::vector<std::string> environment;  ///< "NAME=value", replacing or added to this process's environment
  std::vector<int> descriptors;          ///< become 3, 4, ... in the child; stay open here
  bool listen_pid = false;               ///< sets LISTEN_PID to the child's own pid, as systemd does
};

/// One child process with pipes at its standard input, output and error. The destructor kills and reaps it; it also
/// dies with the thread that started it. Waits end after `limit` at the latest. One thread uses an object at a time.
class child {
 public:
  using duration = std::chrono::milliseconds;
  static constexpr duration k_limit{60'000};

  /// Starts argv[0] (looked up in PATH if it has no slash). Throws std::system_error if pipes or fork fail; a program
  /// that cannot be started ends with status 127.
  explicit child(std::vector<std::string> argv, const child_options& options = {}) { start(argv, options); }
  ~child() {
    if (!status_) {
      kill(SIGKILL);
      static_cast<void>(wait());
    }
    for (int* fd : {&in_, &out_.fd, &error_.fd, &pidfd_}) close_fd(*fd);
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Writes all of `text` to its standard input; false if it does not read any more. Waits while the pipe is full.
  bool write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(in_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }
  void close_input() { close_fd(in_); }

  /// The next line of its standard output or error, without the newline; nothing at the end or after `limit`.
  [[nodiscard]] std::optional<std::string> read_line(duration limit = k_limit) { return line_of(out_, limit); }
  [[nodiscard]] std::optional<std::string> read_error_line(duration limit = k_limit) { return line_of(error_, limit); }

  /// Reads both outputs to their ends, or until `limit`. Afterwards output() and error_output() hold what was not
  /// taken as lines.
  void read_all(duration limit = k_limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while ((out_.fd >= 0 || error_.fd >= 0) && fill(end)) {
    }
  }
  [[nodiscard]] const std::string& output() const noexcept { return out_.text; }
  [[nodiscard]] const std::string& error_output() const noexcept { return error_.text; }

  /// False if it has ended and was reaped.
  bool kill(int signal) noexcept { return !status_ && ::kill(pid_, signal) == 0; }

  /// Its exit status, or 128 + the signal that ended it; nothing if it still runs after `limit`. Does not read its
  /// outputs: a child that has more to say than a pipe holds needs read_all() first.
  [[nodiscard]] std::optional<int> wait(duration limit = k_limit) {
    if (status_) return status_;
    pollfd ended{pidfd_, POLLIN, 0};
    const auto end = std::chrono::steady_clock::now() + limit;
    int ready = 0;
    while ((ready = ::poll(&ended, 1, left(end))) < 0 && errno == EINTR) {
    }
    // What is dead can stay invisible to its parent for a moment: a child that is killed while LeakSanitizer traces it
    // belongs to its tracer until that has gone too.
    int raw = 0;
    pid_t reaped = -1;
    while ((reaped = ::waitpid(pid_, &raw, ready > 0 ? 0 : WNOHANG)) < 0 && errno == EINTR) {
    }
    if (reaped != pid_) return std::nullopt;
    status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
    return status_;
  }

  /// Closes its input, reads everything, waits: the whole life of a short program.
  [[nodiscard]] std::optional<int> finish(duration limit = k_limit) {
    close_input();
    read_all(limit);
    return wait(limit);
  }

 private:
  using deadline = std::chrono::steady_clock::time_point;
  struct source {
    int fd = -1;
    std::string text;
  };

  [[noreturn]] static void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }
  static void close_fd(int& fd) noexcept {
    if (fd >= 0) ::close(std::exchange(fd, -1));
  }
  static int left(deadline end) noexcept {
    const auto rest = std::chrono::ceil<duration>(end - std::chrono::steady_clock::now());
    return static_cast<int>(std::max(rest, duration::zero()).count());
  }

  static std::vector<std::string> merged_environment(const child_options& options) {
    std::vector<std::string> merged = options.environment;
    if (options.listen_pid) merged.push_back("LISTEN_PID=" + std::string(12, '\0'));
    const auto replaced = [&merged](std::string_view old) {
      const std::string_view name = old.substr(0, old.find('=') + 1);
      return std::any_of(merged.begin(), merged.end(), [name](const auto& entry) { return entry.starts_with(name); });
    };
    std::vector<std::string> kept;
    for (char** entry = environ; *entry != nullptr; ++entry)
      if (!replaced(*entry)) kept.emplace_back(*entry);
    merged.insert(merged.end(), kept.begin(), kept.end());
    return merged;
  }

  static std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> made;
    for (auto& text : texts) made.push_back(text.data());
    made.push_back(nullptr);
    return made;
  }

  void start(std::vector<std::string>& argv, const child_options& options) {
    // A child that has gone shows as EPIPE of write(), not as the end of the test program.
    std::signal(SIGPIPE, SIG_IGN);
    int input[2];
    int output[2];
    int error[2];
    if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(error, O_CLOEXEC) != 0)
      fail("pipe2");
    auto environment = merged_environment(options);
    auto arguments = pointers(argv);
    auto variables = pointers(environment);
    char* listen_pid = nullptr;
    for (auto& variable : environment)
      if (options.listen_pid && variable.starts_with("LISTEN_PID=")) listen_pid = variable.data() + 11;
    pid_ = ::fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) {
      become(arguments.data(), variables.data(), listen_pid, {input[0], output[1], error[1]}, options.descriptors);
    }
    in_ = input[1];
    out_.fd = output[0];
    error_.fd = error[0];
    for (int fd : {input[0], output[1], error[1]}) ::close(fd);
    pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (pidfd_ < 0) fail("pidfd_open");
  }

  /// The child's side of fork(): allocates nothing and takes no lock, other threads may have held one.
  [[noreturn]] static void become(char** argv, char** environment, char* listen_pid, const int (&standard)[3],
                                  const std::vector<int>& descriptors) noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::signal(SIGPIPE, SIG_DFL);
    if (listen_pid != nullptr) std::to_chars(listen_pid, listen_pid + 12, ::getpid());
    // Out of the way first, so that no target number is still a source.
    constexpr int k_away = 200;
    int wanted = 0;
    for (const int fd : standard) ::dup2(fd, k_away + wanted++);
    for (const int fd : descriptors) ::dup2(fd, k_away + wanted++);
    for (int number = 0; number < wanted; ++number) {
      ::dup2(k_away + number, number);
      ::close(k_away + number);
    }
    ::execvpe(argv[0], argv, environment);
    ::_exit(127);
  }

  /// Waits for bytes of either output; false when `end` has passed. Both are read, so that neither pipe stays full.
  bool fill(deadline end) {
    pollfd waiting[2] = {{out_.fd, POLLIN, 0}, {error_.fd, POLLIN, 0}};
    const int ready = ::poll(waiting, 2, left(end));
    if (ready < 0 && errno == EINTR) return true;
    if (ready <= 0) return false;
    if (waiting[0].revents != 0) read_some(out_);
    if (waiting[1].revents != 0) read_some(error_);
    return true;
  }

  static void read_some(source& from) {
    char buffer[65536];
    const ssize_t size = ::read(from.fd, buffer, sizeof buffer);
    if (size > 0) from.text.append(buffer, static_cast<std::size_t>(size));
    if (size == 0 || (size < 0 && errno != EINTR)) close_fd(from.fd);
  }

  std::optional<std::string> line_of(source& from, duration limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    std::size_t newline = 0;
    while ((newline = from.text.find('\n')) == std::string::npos)
      if (from.fd < 0 || !fill(end)) return std::nullopt;
    std::string line = from.text.substr(0, newline);
    from.text.erase(0, newline + 1);
    return line;
  }

  pid_t pid_ = -1;
  int in_ = -1;
  int pidfd_ = -1;
  source out_;
  source error_;
  std::optional<int> status_;
};

}  // namespace ferry::test
