#include "apps/ferry/demo_text.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/endian.hpp"
#include "os/unique_fd.hpp"

namespace ferry::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* k_places[] = {"/usr/share/common-licenses", "/usr/include", "/usr/share/doc", "/usr/share/perl",
                                    "/etc"};
constexpr std::size_t k_largest_file = 4u << 20;
constexpr std::size_t k_seen = 64u << 10;  // bytes that must look like text
constexpr std::size_t k_longest_line = 64u << 10;

using file = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

/// The content of a regular file of `size` bytes that is text, with a newline at its end; else nothing.
std::string text_of(const fs::path& path, std::uintmax_t size) {
  const file from(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!from) return {};
  std::string content(std::min<std::uintmax_t>(size, k_largest_file), '\0');
  content.resize(std::fread(content.data(), 1, content.size(), from.get()));
  const auto seen = std::string_view(content).substr(0, k_seen);
  if (seen.find('\0') != seen.npos || seen.substr(0, k_longest_line).find('\n') == seen.npos) return {};
  if (content.back() != '\n') content += '\n';
  return content;
}

error cannot_write(const std::string& what) {
  auto why = error::from_errno(errno, what);
  if (why.system_errno() != ENOSPC) return why;
  return {why.reason(), why.text() + ": choose a smaller --size, or with TMPDIR a directory with more room", ENOSPC};
}

/// Appends texts until `size` is reached. @return bytes appended, or the error of writing
result<std::uint64_t> append_texts(std::FILE* to, std::uint64_t size) {
  std::uint64_t written = 0;
  for (const char* place : k_places) {
    std::error_code failed;
    fs::recursive_directory_iterator at(place, fs::directory_options::skip_permission_denied, failed);
    for (; !failed && at != fs::recursive_directory_iterator() && written < size; at.increment(failed)) {
      std::error_code unknown;
      if (!at->is_regular_file(unknown) || unknown) continue;
      const auto text = text_of(at->path(), at->file_size(unknown));
      if (std::fwrite(text.data(), 1, text.size(), to) != text.size()) return cannot_write("write the text");
      written += text.size();
    }
  }
  return written;
}

/// Appends the file's first bytes, whole lines, to the file, until it has `size` bytes.
result<void> repeat_text(std::FILE* to, std::uint64_t have, std::uint64_t size) {
  std::string block(std::min<std::uint64_t>(have, 1u << 20), '\0');
  std::rewind(to);
  if (std::fread(block.data(), 1, block.size(), to) != block.size()) return error::from_errno(errno, "read the text");
  block.resize(block.rfind('\n') + 1);
  std::fseek(to, 0, SEEK_END);
  for (; have < size; have += block.size())
    if (std::fwrite(block.data(), 1, block.size(), to) != block.size()) return cannot_write("write the text");
  return {};
}

}  // namespace

result<void> make_demo_text(const std::string& path, std::uint64_t size) {
  file to(std::fopen(path.c_str(), "w+be"), &std::fclose);
  if (!to) return cannot_write("write " + path);
  const auto written = append_texts(to.get(), size);
  if (!written) return written.error();
  if (*written == 0)
    return error(errc::not_found, "no text found below /usr/share or /usr/include: give one with --file");
  if (auto repeated = repeat_text(to.get(), *written, size); !repeated) return repeated;
  if (std::fclose(to.release()) != 0) return cannot_write("write " + path);
  return {};
}

void demo_checksum::mix(std::uint64_t word) noexcept {
  value_ = (value_ ^ word) * 0xff51afd7ed558ccd;
  value_ ^= value_ >> 32;
}

void demo_checksum::add(bytes message) noexcept {
  mix(message.size());
  const std::byte* at = message.data();
  auto left = message.size();
  for (; left >= 8; left -= 8, at += 8) mix(load_le<std::uint64_t>(at));
  std::byte tail[8]{};
  if (left != 0) std::memcpy(tail, at, left);
  if (left != 0) mix(load_le<std::uint64_t>(tail));
}

result<demo_text> demo_text::open(const std::string& path, std::uint64_t max_line) {
  const os::unique_fd from(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) return error::from_errno(errno, "read " + path);
  struct stat about {};
  if (::fstat(from.get(), &about) != 0) return error::from_errno(errno, "read " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::misuse, path + ": is not a regular file");
  const auto size = static_cast<std::size_t>(about.st_size);
  if (size == 0) return error(errc::misuse, path + ": has no line");
  void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, from.get(), 0);
  if (mapped == MAP_FAILED) return error::from_errno(errno, "map " + path);
  demo_text made({static_cast<const char*>(mapped), size});

  demo_checksum sum;
  for (cursor at(made); !at.at_end(); ++made.lines_) {
    const auto line = at.line();
    if (line.size() > max_line)
      return error(errc::misuse, path + ": line " + std::to_string(made.lines_ + 1) + " has " +
                                     std::to_string(line.size()) + " bytes, and a message may have " +
                                     std::to_string(max_line));
    sum.add(as_bytes(line));
    made.longest_ = std::max<std::uint64_t>(made.longest_, line.size());
    at.advance(line);
  }
  made.checksum_ = sum.value();
  return made;
}

demo_text::demo_text(demo_text&& other) noexcept
    : text_(std::exchange(other.text_, {})),
      lines_(other.lines_),
      longest_(other.longest_),
      checksum_(other.checksum_) {}

demo_text::~demo_text() {
  if (!text_.empty()) ::munmap(const_cast<char*>(text_.data()), text_.size());
}

}  // namespace ferry::app
