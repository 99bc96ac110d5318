#pragma once
/// A disk that becomes full, for a child process of a test; needs namespaces, which not every machine allows.

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "os/unique_fd.hpp"

namespace ferry::test {

inline constexpr int k_no_namespaces = 77;  ///< exit status of a child that could not mount anything

/// From here on this process, which has one thread, sees an empty disk over `directory`. @param size  "size=64k"
/// @return false: not allowed
[[nodiscard]] inline bool mount_small_disk(const std::string& directory, const char* size) {
  const auto put = [](const char* file, const std::string& text) {
    const os::unique_fd fd(::open(file, O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  const auto uid = std::to_string(::geteuid());
  const auto gid = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  (void)put("/proc/self/setgroups", "deny");
  return put("/proc/self/uid_map", "0 " + uid + " 1") && put("/proc/self/gid_map", "0 " + gid + " 1") &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("none", directory.c_str(), "tmpfs", 0, size) == 0;
}

/// Takes all the room that there is, with one file. Throws std::system_error where the disk does not become full.
inline void fill_disk(const std::string& file) {
  const os::unique_fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const std::string page(4096, 'x');
  while (::write(fd.get(), page.data(), page.size()) > 0) {
  }
  if (errno != ENOSPC) throw std::system_error(errno, std::generic_category(), "fill the disk");
}

/// Runs `what` in a child of its own. @return what it returned, 0 to 127; 128 and the signal that killed it
template <class What>
[[nodiscard]] int in_child(What what) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(what());
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace ferry::test
