#pragma once
/// Memory that processes share: anonymous and sealed in size, or a named file; and how it is mapped.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "os/unique_fd.hpp"

namespace ferry::os {

/// Owns a range of mapped pages.
class mapping {
 public:
  mapping() noexcept = default;
  mapping(mapping&& other) noexcept : at_(std::exchange(other.at_, {})) {}
  mapping& operator=(mapping&& other) noexcept {
    std::swap(at_, other.at_);
    return *this;
  }
  ~mapping();

  [[nodiscard]] std::span<std::byte> span() const noexcept { return at_; }
  [[nodiscard]] std::byte* data() const noexcept { return at_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return at_.size(); }
  explicit operator bool() const noexcept { return !at_.empty(); }

  /// Maps the first `size` bytes of a file, shared. @return no_memory | permission ...
  [[nodiscard]] static result<mapping> of(int fd, std::size_t size, bool writable, bool prefault = false);
  /// Maps the first `size` bytes of a file to write to, of which nothing reaches the file. What others write to it
  /// shows up in pages that were not written to here. @param fd  readable @return as of()
  [[nodiscard]] static result<mapping> private_copy(int fd, std::size_t size);
  /// Makes a part of a read-only mapping of the same file writable. @param offset, size  multiples of the page size
  [[nodiscard]] result<void> make_writable(int fd, std::size_t offset, std::size_t size);

 private:
  explicit mapping(std::span<std::byte> at) noexcept : at_(at) {}
  std::span<std::byte> at_;
};

/// Bytes of one page, as `mapping` needs them aligned: the system's, or 2 MiB for huge pages.
[[nodiscard]] std::uint32_t page_bytes(bool huge) noexcept;

/// Anonymous memory of `size` bytes, all zero, that is there to the last byte and can neither grow nor shrink.
/// @param name  shows in /proc/PID/maps; for people
/// @param huge  of huge pages; `size` is rounded up to whole ones
/// @return no_memory, with what to do
[[nodiscard]] result<unique_fd> create_memory(const std::string& name, std::size_t size, bool huge);

/// Whether memory that came from somebody else can be mapped without a later surprise. @return its size in bytes |
/// corrupt: it is not sealed memory, so its owner could cut it off under the reader | network: cannot be looked at
[[nodiscard]] result<std::size_t> check_foreign_memory(int fd);

/// A file of `size` bytes in its final place, which must not exist yet, readable by its owner alone.
/// @return address_in_use (it exists) | no_memory (no space, with how much is wanted) | permission | not_found ...
[[nodiscard]] result<unique_fd> create_file(const std::string& path, std::size_t size);
/// Makes a file of no bytes `size` bytes long, all zero, and takes the memory now. A death leaves it as it was, or of
/// this length, where the file system can reserve room behind a file's end. @param path  for people
/// @return no_memory | permission ...
[[nodiscard]] result<void> allocate_file(int fd, std::size_t size, const std::string& path);
/// An existing file, for mapping. @param writable  else it is only looked at
/// @return not_found | permission | bad_address (no file) | auth: it belongs to another user, who is not root either
[[nodiscard]] result<unique_fd> open_file(const std::string& path, bool writable);
[[nodiscard]] result<std::size_t> file_size(int fd, const std::string& path);

}  // namespace ferry::os
