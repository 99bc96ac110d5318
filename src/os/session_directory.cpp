#include "os/session_directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "os/mapping.hpp"
#include "os/unique_fd.hpp"

namespace ferry::os {
namespace {

std::string from_environment(const char* name) {
  const char* const value = ::secure_getenv(name);
  return value == nullptr ? "" : value;
}

std::string about(const std::string& path) { return "the directory of sessions " + path + " (option dir)"; }

result<void> make_with_parents(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      // On a read-only file system the parents that are there do not say EEXIST.
      struct stat there {};
      const int why = errno;
      if (::stat(part.c_str(), &there) != 0) return error::from_errno(why, "make " + about(path));
    }
    if (end == std::string::npos) return {};
  }
}

struct close_directory {
  void operator()(DIR* open) const noexcept { ::closedir(open); }
};

}  // namespace

result<std::string> session_directory(const std::string& configured, bool create) {
  std::string path = configured;
  if (path.empty()) {
    path = from_environment("STATE_DIRECTORY");
    path.resize(std::min(path.find(':'), path.size()));
  }
  if (path.empty() && !from_environment("XDG_STATE_HOME").empty()) path = from_environment("XDG_STATE_HOME") + "/ferry";
  if (path.empty() && !from_environment("HOME").empty()) path = from_environment("HOME") + "/.local/state/ferry";
  if (path.empty())
    return error(errc::bad_address,
                 "no place for the files of sessions: none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set; say "
                 "where with dir");
  if (create)
    if (const auto made = make_with_parents(path); !made) return made.error();
  struct stat there {};
  if (::stat(path.c_str(), &there) != 0) return error::from_errno(errno, about(path));
  if (!S_ISDIR(there.st_mode)) return error(errc::bad_address, about(path) + " is not a directory");
  return path;
}

result<void> check_names(const session_names& names) {
  if (auto own = session::check_name(names.own, "as"); !own) return own;
  return names.peer.empty() ? result<void>() : session::check_name(names.peer, "peer");
}

std::optional<session_names> names_of_file(std::string_view file) {
  const auto dot = file.rfind('.');
  if (dot == file.npos || (file.substr(dot) != ".session" && file.substr(dot) != ".ring")) return std::nullopt;
  const auto between = file.find('~');
  if (between >= dot) return std::nullopt;
  session_names names{std::string(file.substr(0, between)), std::string(file.substr(between + 1, dot - between - 1))};
  return check_names(names) ? std::optional(std::move(names)) : std::nullopt;
}

result<session::file_identity> read_owner(bytes memory, const session_names& names, const std::string& path) {
  auto who = session::read_identity(memory);
  if (!who) return who.error().in(path);
  if (who->own_name != names.own || (!names.peer.empty() && who->peer_name != names.peer))
    return error(errc::corrupt, path + " is the file of the session of " + who->own_name + " with " + who->peer_name +
                                    ": give both files of a session their own names back");
  return who;
}

result<ring::geometry> read_ring_sizes(int fd, std::size_t size, const std::string& path) {
  alignas(ring::ring_header) std::byte first[sizeof(ring::ring_header)]{};
  const ssize_t got = ::pread(fd, first, sizeof first, 0);
  if (got < 0) return error::from_errno(errno, "read " + path);
  auto sizes = ring::read_header(bytes(first).first(static_cast<std::size_t>(got)), size);
  if (!sizes) return sizes.error().in(path);
  if (sizes->page_bytes % page_bytes(false) != 0)
    return error(errc::unsupported,
                 path + ": made on a machine with pages of " + std::to_string(sizes->page_bytes) + " bytes");
  return sizes;
}

result<std::vector<session_names>> sessions_in(const std::string& dir) {
  const std::unique_ptr<DIR, close_directory> open(::opendir(dir.c_str()));
  if (open == nullptr && errno == ENOENT) return std::vector<session_names>();
  if (open == nullptr) return error::from_errno(errno, about(dir));
  std::vector<session_names> found;
  while (const dirent* const entry = ::readdir(open.get()))
    if (auto names = names_of_file(entry->d_name)) found.push_back(std::move(*names));
  // Each has two files.
  const auto less = [](const session_names& a, const session_names& b) {
    return a.own != b.own ? a.own < b.own : a.peer < b.peer;
  };
  std::sort(found.begin(), found.end(), less);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

bool session_exists(const std::string& dir, const session_names& names) noexcept {
  const session_paths paths(dir, names);
  return ::access(paths.ring().c_str(), F_OK) == 0 || ::access(paths.file().c_str(), F_OK) == 0;
}

std::size_t count_sessions(const std::string& dir, const std::string& own) {
  const auto found = sessions_in(dir);
  if (!found) return 0;
  return static_cast<std::size_t>(
      std::count_if(found->begin(), found->end(), [&](const session_names& one) { return one.own == own; }));
}

result<void> sync_directory(const std::string& path) {
  const unique_fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return error::from_errno(errno, "sync " + about(path));
  return {};
}

}  // namespace ferry::os
