#pragma once
/// Which file it is, whatever names it has: a file that somebody put in the place of another one has another identity,
/// for as long as the old one is still open or mapped somewhere.

#include <sys/stat.h>

#include <optional>
#include <string>

namespace ferry::os {

struct file_id {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const file_id&, const file_id&) = default;
};

/// @return nothing: it cannot be asked
[[nodiscard]] inline std::optional<file_id> id_of(int fd) noexcept {
  struct stat about {};
  if (::fstat(fd, &about) != 0) return std::nullopt;
  return file_id{about.st_dev, about.st_ino};
}
/// Of a link, the link itself. @return nothing: there is none
[[nodiscard]] inline std::optional<file_id> id_at(const std::string& path) noexcept {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0) return std::nullopt;
  return file_id{about.st_dev, about.st_ino};
}
/// Whether the path still leads to what is open.
[[nodiscard]] inline bool is_at(int fd, const std::string& path) noexcept {
  const auto ours = id_of(fd);
  return ours && ours == id_at(path);
}

}  // namespace ferry::os
