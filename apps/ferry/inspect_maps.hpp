#pragma once
/// Who has which memory mapped, from /proc/PID/maps, and what is in it, through /proc/PID/mem: nobody is stopped,
/// asked or written to for it. Source: proc(5).

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::app {

/// One line of /proc/PID/maps that has a file.
struct mapped_part {
  std::uint64_t begin = 0, end = 0;  ///< addresses in the process
  std::uint64_t offset = 0;          ///< of `begin` in the file
  bool writable = false;
  std::string device;  ///< "00:01"
  std::uint64_t inode = 0;
  std::string path;  ///< "/memfd:ferry:news (deleted)"
};
/// @param line  without its newline. @return nothing where no file is mapped
[[nodiscard]] std::optional<mapped_part> parse_maps_line(std::string_view line);

/// One mapping of a memory: in a process that has both ends there are two of them.
struct memory_view {
  pid_t pid = 0;
  std::string program;             ///< its name, as in `ps`
  char state = '?';                ///< 'R', 'S', 'T' (stopped) ... of proc(5)
  bool produces = false;           ///< may write the first page: it made the memory
  std::vector<mapped_part> parts;  ///< one behind the other
};
struct mapped_memory {
  std::string device;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;  ///< as far as it is mapped
  std::vector<memory_view> views;

  [[nodiscard]] bool has_producer() const noexcept;
};

struct memory_search {
  std::vector<mapped_memory> found;  ///< by inode
  std::vector<pid_t> hidden;         ///< processes of others, whose mappings we may not see
};
/// Looks at all processes that there are. @param proc  "/proc"
[[nodiscard]] memory_search find_memory(const std::function<bool(const mapped_part&)>& wanted,
                                        const std::string& proc = "/proc");

/// Who has a file mapped; it is the same in every mount namespace, but for its name. @param path  of it, as it is here
[[nodiscard]] memory_search find_file(int fd, const std::string& path);

/// Reads a piece of memory. @return truncated: there is none | permission, with what to do | ...
using memory_reader = std::function<result<void>(std::uint64_t offset, mutable_bytes into)>;

/// Through whichever view lets us; the memory must outlive it.
[[nodiscard]] memory_reader reader_of(const mapped_memory& memory, const std::string& proc = "/proc");
[[nodiscard]] memory_reader reader_of_file(int fd, const std::string& path);

}  // namespace ferry::app
