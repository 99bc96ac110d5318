#include "apps/ferry/file_messages.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace ferry::app {

result<file_messages> file_messages::open(const std::string& path, split_rule rule, std::size_t max_message) {
  os::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return error::from_errno(errno, "open " + path);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::bad_address, path + " is no regular file");
  return file_messages(std::move(fd), path, rule, max_message);
}

std::uint64_t file_messages::size() const noexcept {
  struct stat about {};
  return ::fstat(fd_.get(), &about) == 0 ? static_cast<std::uint64_t>(about.st_size) : 0;
}

result<void> file_messages::resume(std::optional<file_position> kept, std::uint64_t session) {
  if (kept && kept->session != session) kept.reset();
  if (kept)
    if (auto fits = check_position(fd_.get(), *kept, path_); !fits) return fits;
  session_ = session;
  offset_ = read_ = kept ? kept->offset : 0;
  next_.reset();
  cutter_ = cutter(rule_, max_message_);
  return {};
}

result<std::optional<message_view>> file_messages::next() {
  while (!next_) {
    // What lies in the cutter ends where was read to; nothing left is no message, not even with split_rule whole.
    if (offset_ == read_ && offset_ == size()) return std::optional<message_view>();
    const auto cut = cutter_.next();
    if (!cut) return cut.error() == errc::message_too_large ? too_large() : cut.error();
    if (*cut) {
      const bool whole_line = cutter_.skipped() != 0;
      next_ = message_view{**cut, whole_line ? message_kind::text : message_kind::binary, 0};
      next_bytes_ = (*cut)->size() + cutter_.skipped();
      break;
    }
    if (cutter_.done()) return std::optional<message_view>();
    if (const auto read = read_some(); !read) return read.error();
  }
  return next_;
}

void file_messages::taken() noexcept {
  if (next_) offset_ += next_bytes_;
  next_.reset();
}

result<void> file_messages::read_some() {
  const auto room = cutter_.room();
  for (;;) {
    const auto n = ::pread(fd_.get(), room.data(), room.size(), static_cast<off_t>(read_));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error::from_errno(errno, "read " + path_);
    if (n == 0) cutter_.finish();
    cutter_.filled(static_cast<std::size_t>(n));
    read_ += static_cast<std::uint64_t>(n);
    return {};
  }
}

result<file_position> file_messages::position() const {
  const auto tail = tail_before(fd_.get(), offset_, path_);
  if (!tail) return tail.error();
  return file_position{position_of::sender, session_, offset_, *tail};
}

error file_messages::too_large() const {
  return {errc::message_too_large,
          path_ + ": what begins at byte " + std::to_string(offset_) + " is longer than a message of this session (" +
              std::to_string(max_message_) +
              " bytes: max_message, and less than a quarter of ring_bytes); cut it with --split BYTES, or begin a new "
              "session with a larger ring_bytes on both sides"};
}

}  // namespace ferry::app
