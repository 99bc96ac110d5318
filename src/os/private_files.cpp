#include "os/private_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <set>
#include <utility>

namespace ferry::os {
namespace {

constexpr mode_t k_directory_mode = 0700;

error of_another(const std::string& path, std::uint32_t uid, std::uint32_t wanted) {
  return {errc::auth, path + " belongs to user " + std::to_string(uid) + ", not to " + std::to_string(wanted) +
                          ": remove it, or say who owns it"};
}

result<void> make_parents(const std::string& path) {
  for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    const auto part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0755) == 0 || errno == EEXIST) continue;
    // On a read-only file system the parents that are there do not say EEXIST.
    struct stat there {};
    const int why = errno;
    if (::stat(part.c_str(), &there) != 0) return error::from_errno(why, "make the directory " + part);
  }
  return {};
}

// What is open belongs to `owner` from now on.
result<void> hand_over(int fd, std::uint32_t owner, const std::string& path) {
  if (owner == own_uid() || ::fchown(fd, owner, static_cast<gid_t>(-1)) == 0) return {};
  return error::from_errno(errno, "give " + path + " to user " + std::to_string(owner));
}

}  // namespace

std::uint32_t own_uid() noexcept { return ::geteuid(); }

// The list as the kernel takes it: version 2, then tag, permissions and user of each entry in this order (acl(5)).
result<void> let_in(int fd, const file_users& who, const std::string& path) {
  if (who.others.empty()) return {};
  struct entry {
    std::uint16_t tag, permissions;
    std::uint32_t user;
  };
  constexpr std::uint16_t k_owner = 1, k_user = 2, k_group = 4, k_mask = 16, k_anybody = 32;
  constexpr std::uint32_t k_nobody = UINT32_MAX;
  struct stat about {};
  if (::fstat(fd, &about) != 0) return error::from_errno(errno, "look at " + path);
  const std::uint16_t all = S_ISDIR(about.st_mode) ? 7 : 6;
  std::set<std::uint32_t> users(who.others.begin(), who.others.end());
  std::vector<std::uint32_t> list{2};
  const auto add = [&](const entry& one) {
    list.push_back(std::uint32_t{one.permissions} << 16 | one.tag);
    list.push_back(one.user);
  };
  add({k_owner, all, k_nobody});
  for (const auto user : users) add({k_user, all, user});
  add({k_group, 0, k_nobody});
  add({k_mask, all, k_nobody});
  add({k_anybody, 0, k_nobody});
  if (::fsetxattr(fd, "system.posix_acl_access", list.data(), list.size() * sizeof list[0], 0) == 0) return {};
  if (errno == EOPNOTSUPP)
    return error(errc::unsupported,
                 path +
                     " lies in a file system without access lists, which other users than its "
                     "owner need (allow-uids)",
                 EOPNOTSUPP);
  return error::from_errno(errno, "let other users use " + path);
}

result<void> make_private_file(const std::string& path, const file_users& who) {
  const unique_fd at(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!at) return error::from_errno(errno, "make " + path);
  struct stat about {};
  if (::fstat(at.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::bad_address, path + " is not a file");
  if (about.st_uid == own_uid())
    if (auto given = hand_over(at.get(), who.owner, path); !given) return given;
  return let_in(at.get(), who, path);
}

result<unique_fd> open_shared_file(const std::string& path, bool writable) {
  unique_fd fd(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return error::from_errno(errno, "open " + path);
  struct stat about {};
  struct stat around {};
  const auto directory = path.substr(0, path.rfind('/'));
  if (::fstat(fd.get(), &about) != 0 || ::stat(directory.c_str(), &around) != 0)
    return error::from_errno(errno, "look at " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::bad_address, path + " is not a file");
  const bool is_trusted = about.st_uid == own_uid() || about.st_uid == 0 || about.st_uid == around.st_uid;
  if (!is_trusted && own_uid() != 0)
    return error(errc::auth, path + " belongs to user " + std::to_string(about.st_uid) + ", its directory to user " +
                                 std::to_string(around.st_uid));
  return fd;
}

result<void> make_private_directory(const std::string& path, const file_users& who) {
  const auto owner = who.owner;
  if (auto made = make_parents(path); !made) return made;
  if (::mkdir(path.c_str(), k_directory_mode) != 0 && errno != EEXIST)
    return error::from_errno(errno, "make the directory " + path);
  const unique_fd at(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!at) return error::from_errno(errno, "open the directory " + path);
  struct stat about {};
  if (::fstat(at.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (about.st_uid != owner && about.st_uid != 0 && about.st_uid != own_uid())
    return of_another(path, about.st_uid, owner);
  if ((about.st_mode & 07777) != k_directory_mode && ::fchmod(at.get(), k_directory_mode) != 0)
    return error::from_errno(errno, "close " + path + " to other users");
  if (about.st_uid != owner)
    if (auto given = hand_over(at.get(), owner, path); !given) return given;
  return let_in(at.get(), who, path);
}

result<private_file> private_file::of(int fd, std::size_t size, bool writable) {
  auto mapped = mapping::of(fd, size, writable);
  if (!mapped) return mapped.error();
  private_file made{std::move(*mapped), nullptr, {}};
  made.guard = std::make_unique<bus_guard>(made.at.span());
  const auto id = id_of(fd);
  if (!id) return error::from_errno(errno, "look at a shared file");
  made.id = *id;
  return made;
}

result<private_file> map_private_file(const std::string& path, std::size_t size, const file_users& who) {
  const auto fd = open_file(path, true);
  if (!fd) return fd.error();
  struct stat about {};
  if (::fstat(fd->get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (about.st_uid != who.owner && about.st_uid != 0) return of_another(path, about.st_uid, who.owner);
  if (const auto shared = let_in(fd->get(), who, path); !shared) return shared.error();
  if (static_cast<std::size_t>(about.st_size) != size)
    return error(errc::corrupt, path + " has " + std::to_string(about.st_size) + " bytes, the configuration says " +
                                    std::to_string(size));
  return private_file::of(fd->get(), size);
}

result<private_file> replace_private_file(const std::string& path, std::size_t size, const file_users& who,
                                          const std::function<void(std::span<std::byte>)>& begin) {
  const auto unnamed = path + ".new";
  (void)::unlink(unnamed.c_str());  // of one who died here
  const auto fd = create_file(unnamed, size);
  if (!fd) return fd.error();
  auto made = private_file::of(fd->get(), size);
  auto given = hand_over(fd->get(), who.owner, unnamed);
  if (given) given = let_in(fd->get(), who, unnamed);
  if (!made || !given) {
    (void)::unlink(unnamed.c_str());
    return made ? given.error() : made.error();
  }
  begin(made->span());
  if (made->guard->torn()) {
    (void)::unlink(unnamed.c_str());
    return error(errc::corrupt, unnamed + " was cut off while it was made");
  }
  if (::rename(unnamed.c_str(), path.c_str()) != 0) {
    const int why = errno;
    (void)::unlink(unnamed.c_str());
    return error::from_errno(why, "put " + path + " in place");
  }
  return made;
}

}  // namespace ferry::os
