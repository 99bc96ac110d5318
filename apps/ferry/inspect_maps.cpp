#include "apps/ferry/inspect_maps.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "os/unique_fd.hpp"

namespace ferry::app {
namespace {

namespace fs = std::filesystem;

// The text before `until`, which is taken off with it.
std::string_view take(std::string_view& from, char until) {
  const auto at = std::min(from.find(until), from.size());
  const auto taken = from.substr(0, at);
  from.remove_prefix(std::min(at + 1, from.size()));
  return taken;
}

template <class T>
bool parse(std::string_view text, int base, T& value) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return failed == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

void look_at_process(const fs::path& process, pid_t pid, const std::function<bool(const mapped_part&)>& wanted,
                     memory_search& into) {
  const os::unique_fd maps(::open((process / "maps").c_str(), O_RDONLY | O_CLOEXEC));
  if (!maps) {
    if (errno == EACCES || errno == EPERM) into.hidden.push_back(pid);
    return;
  }
  std::string text;
  char block[65536];
  for (ssize_t n = 0; (n = ::read(maps.get(), block, sizeof block)) > 0;)
    text.append(block, static_cast<std::size_t>(n));
  std::string program;
  char state = '?';
  const auto view_of = [&] {
    if (program.empty()) {
      program = text_of(process / "comm");
      program = program.substr(0, program.find('\n'));
      const std::string stat = text_of(process / "stat");
      const auto after = stat.rfind(") ");
      if (after != stat.npos && after + 2 < stat.size()) state = stat[after + 2];
    }
    return memory_view{pid, program, state, false, {}};
  };
  mapped_part last;
  for (std::string_view rest = text; !rest.empty();) {
    const auto part = parse_maps_line(take(rest, '\n'));
    if (!part || !wanted(*part)) continue;
    auto memory = std::find_if(into.found.begin(), into.found.end(), [&](const mapped_memory& one) {
      return one.inode == part->inode && one.device == part->device;
    });
    if (memory == into.found.end()) memory = into.found.insert(memory, mapped_memory{part->device, part->inode, 0, {}});
    memory->size = std::max(memory->size, part->offset + (part->end - part->begin));
    const bool goes_on = !memory->views.empty() && memory->views.back().pid == pid && last.inode == part->inode &&
                         last.end == part->begin && part->offset == last.offset + (last.end - last.begin);
    if (!goes_on) memory->views.push_back(view_of());
    auto& view = memory->views.back();
    view.produces |= part->offset == 0 && part->writable;
    view.parts.push_back(*part);
    last = *part;
  }
}

result<void> read_whole(int fd, std::uint64_t at, mutable_bytes into, const std::string& what) {
  while (!into.empty()) {
    const ssize_t n = ::pread(fd, into.data(), into.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error::from_errno(errno, "read " + what);
    if (n == 0) return error(errc::truncated, what + " ends where more was expected");
    at += static_cast<std::uint64_t>(n);
    into = into.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

error not_allowed(pid_t pid, const std::string& proc) {
  std::string text =
      "the memory of process " + std::to_string(pid) + " may not be read: run as the same user or as root";
  const std::string scope = text_of(fs::path(proc) / "sys/kernel/yama/ptrace_scope");
  if (!scope.empty() && scope.front() != '0')
    text += std::string(" (kernel.yama.ptrace_scope is ") + scope.front() + ", so only root may)";
  return {errc::permission, text};
}

result<void> read_view(const memory_view& view, std::uint64_t offset, mutable_bytes into, const std::string& proc) {
  const os::unique_fd memory(::open((proc + "/" + std::to_string(view.pid) + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  if (!memory && (errno == EACCES || errno == EPERM)) return not_allowed(view.pid, proc);
  if (!memory) return error::from_errno(errno, "look at process " + std::to_string(view.pid));
  for (const auto& part : view.parts) {
    const std::uint64_t size = part.end - part.begin;
    if (into.empty() || offset < part.offset || offset >= part.offset + size) continue;
    const auto now =
        into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), part.offset + size - offset)));
    auto read = read_whole(memory.get(), part.begin + (offset - part.offset), now,
                           "the memory of process " + std::to_string(view.pid));
    if (!read) return read;
    offset += now.size();
    into = into.subspan(now.size());
  }
  if (!into.empty()) return error(errc::truncated, "process " + std::to_string(view.pid) + " maps only a part");
  return {};
}

}  // namespace

std::optional<mapped_part> parse_maps_line(std::string_view line) {
  mapped_part part;
  if (!parse(take(line, '-'), 16, part.begin) || !parse(take(line, ' '), 16, part.end) || part.end < part.begin)
    return std::nullopt;
  const auto rights = take(line, ' ');
  if (rights.size() != 4 || !parse(take(line, ' '), 16, part.offset)) return std::nullopt;
  part.writable = rights[1] == 'w';
  part.device = take(line, ' ');
  if (!parse(take(line, ' '), 10, part.inode) || part.inode == 0) return std::nullopt;
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  part.path = line;
  return part;
}

bool mapped_memory::has_producer() const noexcept {
  return std::any_of(views.begin(), views.end(), [](const memory_view& one) { return one.produces; });
}

memory_search find_memory(const std::function<bool(const mapped_part&)>& wanted, const std::string& proc) {
  memory_search search;
  std::error_code ended;
  for (fs::directory_iterator at(proc, ended), end; !ended && at != end; at.increment(ended)) {
    pid_t pid = 0;
    if (parse(at->path().filename().native(), 10, pid)) look_at_process(at->path(), pid, wanted, search);
  }
  std::sort(search.found.begin(), search.found.end(),
            [](const mapped_memory& a, const mapped_memory& b) { return a.inode < b.inode; });
  return search;
}

memory_search find_file(int fd, const std::string& path) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) return {};
  char device[32];
  const int length = std::snprintf(device, sizeof device, "%02x:%02x", major(about.st_dev), minor(about.st_dev));
  const std::string_view here(device, static_cast<std::size_t>(length));
  std::error_code unused;
  const std::string real = std::filesystem::canonical(path, unused);
  return find_memory([&](const mapped_part& part) {
    return part.inode == about.st_ino && (part.device == here || part.path == real);
  });
}

memory_reader reader_of(const mapped_memory& memory, const std::string& proc) {
  return [&memory, proc](std::uint64_t offset, mutable_bytes into) -> result<void> {
    result<void> read = error(errc::not_found, "nobody maps it any more");
    for (const auto& view : memory.views) {
      auto tried = read_view(view, offset, into, proc);
      if (tried) return tried;
      // That we may not says more than that somebody has just gone.
      if (read.error() != errc::permission) read = tried;
    }
    return read;
  };
}

memory_reader reader_of_file(int fd, const std::string& path) {
  return [fd, path](std::uint64_t offset, mutable_bytes into) { return read_whole(fd, offset, into, path); };
}

}  // namespace ferry::app
