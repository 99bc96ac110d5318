// shm:// between containers: two processes that share nothing but one directory. Each has user, mount, pid, network and
// IPC namespaces of its own, and another file system mounted over /tmp and /dev/shm; the directory is bound into both.
#include <ferry/ring.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>

#include "os/barrier.hpp"
#include "os/unique_fd.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

constexpr int k_forbidden = 77;  // exit status: this machine does not let us make namespaces
constexpr auto k_limit = 60s;
constexpr const char* k_shared = "/mnt/shared";

bool write_text(const char* path, const std::string& text) {
  const os::unique_fd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// From here on: namespaces of its own, in which it is root, and `directory` at k_shared. @return false: not allowed
bool enter_namespaces(const std::string& directory) {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC) != 0) return false;
  write_text("/proc/self/setgroups", "deny");
  return write_text("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1") &&
         write_text("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1") &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("none", "/mnt", "tmpfs", 0, nullptr) == 0 && ::mkdir(k_shared, 0700) == 0 &&
         ::mount(directory.c_str(), k_shared, nullptr, MS_BIND, nullptr) == 0 &&
         ::mount("none", "/tmp", "tmpfs", 0, nullptr) == 0 && ::mount("none", "/dev/shm", "tmpfs", 0, "size=4096") == 0;
}

// As a container's seccomp profile may do it.
bool forbid_membarrier() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog all{static_cast<unsigned short>(std::size(rules)), rules};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0;
}

/// One process in a container. The body's text is its error; empty: all went well.
class container {
 public:
  using body = std::function<std::string()>;
  container(const std::string& directory, const body& run) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    said_ = os::unique_fd(ends[0]);
    outer_ = ::fork();
    if (outer_ == 0) live(directory, run, ends[1]);
    ::close(ends[1]);
  }
  ~container() {
    if (outer_ > 0) ::kill(outer_, SIGKILL);
    static_cast<void>(finish());
  }
  container(const container&) = delete;
  container& operator=(const container&) = delete;

  struct end {
    int status = -1;
    std::string text;
  };
  /// Waits for its end; the process itself sees to it that there is one.
  [[nodiscard]] end finish() {
    end of;
    char block[512];
    for (ssize_t n = 0; (n = ::read(said_.get(), block, sizeof block)) > 0;)
      of.text.append(block, static_cast<std::size_t>(n));
    int raw = 0;
    if (outer_ > 0 && ::waitpid(std::exchange(outer_, -1), &raw, 0) > 0)
      of.status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
    return of;
  }

 private:
  [[noreturn]] static void live(const std::string& directory, const body& run, int report) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!enter_namespaces(directory)) ::_exit(k_forbidden);
    // The first child is the first process of the new pid namespace.
    const pid_t inner = ::fork();
    if (inner == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::alarm(static_cast<unsigned>(std::chrono::seconds(k_limit).count()));
      std::string text;
      try {
        text = ::getpid() == 1 ? run() : "this is not a pid namespace of its own";
      } catch (const std::exception& wrong) {
        text = wrong.what();
      }
      ::_exit(!text.empty() && ::write(report, text.data(), text.size()) >= 0 ? 1 : text.empty() ? 0 : 2);
    }
    int raw = 0;
    if (inner < 0 || ::waitpid(inner, &raw, 0) != inner) ::_exit(k_forbidden);
    ::_exit(WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw));
  }

  os::unique_fd said_;
  pid_t outer_ = -1;
};

constexpr std::uint64_t k_messages = 20'000;
const std::string k_url = std::string("shm://meeting?ring_bytes=64KiB&runtime_dir=") + k_shared;

std::string send_numbers(ring_connection& to) {
  for (std::uint64_t i = 0; i < k_messages; ++i)
    while (!to.try_push(std::as_bytes(std::span(&i, 1))))
      if (!to.wait_for_room(k_limit)) return "no room for message " + std::to_string(i);
  return "";
}

std::string expect_numbers(ring_connection& from) {
  for (std::uint64_t i = 0; i < k_messages; ++i) {
    while (!from.front())
      if (!from.wait(k_limit) || from.state() != ring_state::open)
        return "message " + std::to_string(i) + " is missing";
    std::uint64_t got = 0;
    const auto body = from.front().body();
    if (body.size() != sizeof got) return "a message of " + std::to_string(body.size()) + " bytes";
    std::memcpy(&got, body.data(), sizeof got);
    if (got != i) return std::to_string(got) + " instead of " + std::to_string(i);
    from.pop();
  }
  return "";
}

std::string expect_end(ring_connection& from) {
  while (!from.front() && from.state() == ring_state::open)
    if (!from.wait(k_limit)) return "the end is missing";
  return from.state() == ring_state::ended ? "" : "it ended in state " + std::to_string(static_cast<int>(from.state()));
}

/// Each end is both a producer and a consumer. @param listens  a byte goes there when it does
std::string serve(int listens) {
  auto at = ring_listener::open(k_url);
  if (::write(listens, "", 1) != 1) return "nobody waits for the listener";
  auto peer = at.accept(k_limit);
  if (!peer) return "nobody came";
  std::string wrong = expect_numbers(*peer);
  if (wrong.empty()) wrong = send_numbers(*peer);
  peer->end();
  return wrong.empty() ? expect_end(*peer) : wrong;
}

std::string use() {
  auto peer = ring_connection::connect(k_url);
  std::string wrong = send_numbers(peer);
  if (wrong.empty()) wrong = expect_numbers(peer);
  peer.end();
  return wrong.empty() ? expect_end(peer) : wrong;
}

// As a volume that is mounted read-only. What the mount is forbidden already has to stay so.
std::string use_read_only() {
  struct statvfs now {};
  if (::statvfs(k_shared, &now) != 0) return "statvfs";
  const unsigned long kept = now.f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME);
  if (::mount(nullptr, k_shared, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | kept, nullptr) != 0)
    return std::string("remount: ") + std::strerror(errno);
  const os::unique_fd made(::open((std::string(k_shared) + "/file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  return made ? "it is not read-only" : use();
}

std::string use_without_membarrier() {
  if (!forbid_membarrier()) return std::string("seccomp: ") + std::strerror(errno);
  return os::barriers_work() ? "membarrier works all the same" : use();
}

/// A container with a listener, from when it listens or has failed.
class server_container {
 public:
  explicit server_container(const std::string& directory) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    const os::unique_fd listens(ends[0]);
    os::unique_fd tell(ends[1]);
    at_.emplace(directory, [&] { return serve(tell.get()); });
    tell.reset();
    char unused = 0;
    static_cast<void>(::read(listens.get(), &unused, 1));
  }
  [[nodiscard]] container::end finish() { return at_->finish(); }

 private:
  std::optional<container> at_;
};

void exchange(const std::function<std::string()>& client_runs) {
  const temp_dir shared;
  server_container server(shared.path());
  container client(shared.path(), client_runs);
  const auto client_end = client.finish();
  const auto server_end = server.finish();
  if (server_end.status == k_forbidden || client_end.status == k_forbidden)
    GTEST_SKIP() << "this machine does not allow namespaces (user, mount, pid, network) to this user";
  EXPECT_EQ(client_end.status, 0) << client_end.text;
  EXPECT_EQ(server_end.status, 0) << server_end.text;
  EXPECT_TRUE(std::filesystem::is_empty(shared.path())) << "the listener removes its socket";
}

TEST(containers, exchange_messages_through_one_shared_directory) { exchange(use); }

TEST(containers, exchange_messages_though_one_of_them_forbids_membarrier) { exchange(use_without_membarrier); }

TEST(containers, exchange_messages_though_one_of_them_has_the_directory_read_only) { exchange(use_read_only); }

TEST(containers, do_not_meet_without_a_shared_directory) {
  const temp_dir one;
  const temp_dir other;
  server_container server(one.path());
  container client(other.path(), use);
  const auto end = client.finish();
  if (end.status == k_forbidden) GTEST_SKIP() << "this machine does not allow namespaces to this user";
  EXPECT_EQ(end.status, 1);
  EXPECT_NE(end.text.find("No such file or directory"), std::string::npos) << end.text;
}

}  // namespace
}  // namespace ferry::test
