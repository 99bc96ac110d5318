#pragma once
/// Files that processes of one user share, and of some others if that is wanted, in a directory where nobody else gets
/// in: made whole before they have their name.

#include <ferry/error.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "os/bus_guard.hpp"
#include "os/file_id.hpp"
#include "os/mapping.hpp"
#include "os/unique_fd.hpp"

namespace ferry::os {

/// Of this process.
[[nodiscard]] std::uint32_t own_uid() noexcept;

/// Who may use private files. Others than the owner may read and write them as the owner may, which the file system
/// must have access lists for (acl(5)); then a mode shows 0770 or 0660 for 0700 or 0600, and still no group gets in.
struct file_users {
  file_users(std::uint32_t its_owner, std::vector<std::uint32_t> and_others = {})  // NOLINT: one user is some users
      : owner(its_owner), others(std::move(and_others)) {}
  std::uint32_t owner;
  std::vector<std::uint32_t> others;
  friend bool operator==(const file_users&, const file_users&) = default;
};

/// Makes a directory, and its parents, where nobody but its users get in (mode 0700). One that is there must be the
/// owner's or root's already, and is closed to others. @param who  another owner than this process's: needs root
/// @return auth: it belongs to somebody else | bad_address: it is none, or a link | unsupported: no access lists |
/// permission ...
[[nodiscard]] result<void> make_private_directory(const std::string& path, const file_users& who);
/// Makes an empty file, unless it is there, that all its users can open. @return as make_private_directory()
[[nodiscard]] result<void> make_private_file(const std::string& path, const file_users& who);
/// Lets others than the owner use what is open. @param path  for people @return unsupported | permission ...
[[nodiscard]] result<void> let_in(int fd, const file_users& who, const std::string& path);
/// At the other end: a file that is there. @param writable  else it is only read @return auth: it is neither ours, nor
/// root's, nor of whoever the directory belongs to | not_found | bad_address | permission ...
[[nodiscard]] result<unique_fd> open_shared_file(const std::string& path, bool writable = true);

/// A shared file, mapped. Whoever shares it may cut it off at any time: it is guarded before it is touched.
struct private_file {
  mapping at;
  std::unique_ptr<bus_guard> guard;
  file_id id;

  [[nodiscard]] std::span<std::byte> span() const noexcept { return at.span(); }
  [[nodiscard]] static result<private_file> of(int fd, std::size_t size, bool writable = true);
};

/// A file that is there, to be shared. @return not_found | auth: another user's, who is not root | corrupt: its size,
/// with both | bad_address: no file ...
[[nodiscard]] result<private_file> map_private_file(const std::string& path, std::size_t size, const file_users& who);
/// A new file in place of what has that name, its memory taken now; whoever has the old one open keeps that.
/// @param begin  fills it before it has its name @return corrupt: somebody has cut it off meanwhile ...
[[nodiscard]] result<private_file> replace_private_file(const std::string& path, std::size_t size,
                                                        const file_users& who,
                                                        const std::function<void(std::span<std::byte>)>& begin);

}  // namespace ferry::os
