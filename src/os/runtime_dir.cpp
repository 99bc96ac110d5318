#include "os/runtime_dir.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace ferry::os {
namespace {

std::string from_environment(const char* name) {
  const char* const value = ::secure_getenv(name);
  const std::string text = value == nullptr ? "" : value;
  return text.substr(0, text.find(':'));
}

result<void> make(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return error::from_errno(errno, "make the runtime directory " + path + " (option runtime_dir)");
}

result<void> require_directory(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0)
    return error::from_errno(errno, "the runtime directory " + path + " (option runtime_dir)");
  if (!S_ISDIR(about.st_mode)) return error(errc::bad_address, "the runtime directory " + path + " is not a directory");
  return {};
}

// Anybody can make a directory under /tmp before us, and read along.
result<void> require_private(const std::string& path) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0)
    return error::from_errno(errno, "the runtime directory " + path + " (option runtime_dir)");
  if (!S_ISDIR(about.st_mode) || about.st_uid != ::geteuid() || (about.st_mode & 022) != 0)
    return error(errc::auth, path + " is not a directory of user " + std::to_string(::geteuid()) +
                                 " that nobody else can write to: choose another one with runtime_dir");
  return {};
}

}  // namespace

result<std::string> runtime_directory(const std::string& chosen, bool create) {
  std::string path = chosen;
  mode_t mode = 0700;
  bool exposed = false;
  if (path.empty()) path = from_environment("RUNTIME_DIRECTORY");
  if (path.empty() && !from_environment("XDG_RUNTIME_DIR").empty())
    path = from_environment("XDG_RUNTIME_DIR") + "/ferry";
  if (path.empty() && ::geteuid() == 0) {
    path = "/run/ferry";
    mode = 0755;  // who may connect, the sockets in it say
  }
  if (path.empty()) {
    path = "/tmp/ferry-" + std::to_string(::geteuid());
    exposed = true;
  }
  if (create)
    if (const auto made = make(path, mode); !made) return made.error();
  if (const auto checked = exposed ? require_private(path) : require_directory(path); !checked) return checked.error();
  return path;
}

}  // namespace ferry::os
