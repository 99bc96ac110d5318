#include "apps/ferry/append_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "os/session_directory.hpp"

namespace ferry::app {
namespace {

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

result<append_file> append_file::open(const std::string& path) {
  constexpr int k_how = O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  os::unique_fd fd(::open(path.c_str(), k_how | O_EXCL, 0666));
  const bool made = static_cast<bool>(fd);
  if (!fd && errno == EEXIST) fd.reset(::open(path.c_str(), k_how, 0666));
  if (!fd) return error::from_errno(errno, "open " + path);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::bad_address, path + " is no regular file");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return error::from_errno(errno, "lock " + path);
    return error(errc::busy, "another process appends to " + path);
  }
  // Its name must survive too, before anything in it is promised to.
  if (const auto named = os::sync_directory(folder_of(path)); !named) return named.error();
  return append_file(std::move(fd), path, made);
}

void append_file::forget() noexcept {
  if (made_) ::unlink(path_.c_str());
}

result<void> append_file::must_be_empty() const {
  struct stat about {};
  if (::fstat(fd_.get(), &about) != 0) return error::from_errno(errno, "look at " + path_);
  if (about.st_size == 0) return {};
  return error(errc::corrupt, path_ + " has " + std::to_string(about.st_size) +
                                  " bytes that this session has not written; name a new file, or move this one away");
}

result<void> append_file::resume(std::optional<file_position> kept, std::uint64_t session) {
  if (kept && kept->session != session) kept.reset();
  auto fits = kept ? check_position(fd_.get(), *kept, path_) : must_be_empty();
  if (!fits) return fits;
  committed_ = kept.value_or(file_position{position_of::receiver, session, 0, 0});
  if (!kept) {
    const auto tail = tail_before(fd_.get(), 0, path_);
    if (!tail) return tail.error();
    committed_.tail = *tail;
  }
  end_ = committed_.offset;
  if (::ftruncate(fd_.get(), static_cast<off_t>(end_)) != 0) return error::from_errno(errno, "cut off " + path_);
  return {};
}

result<void> append_file::write(bytes what) {
  while (!what.empty()) {
    const auto n = ::pwrite(fd_.get(), what.data(), what.size(), static_cast<off_t>(end_));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const error why = error::from_errno(errno, "write to " + path_);
      roll_back();
      return why;
    }
    what = what.subspan(static_cast<std::size_t>(n));
    end_ += static_cast<std::uint64_t>(n);
  }
  return {};
}

result<void> append_file::sync() {
  if (::fdatasync(fd_.get()) == 0) return {};
  const error why = error::from_errno(errno, "sync " + path_);
  roll_back();
  return why;
}

result<file_position> append_file::written() const {
  const auto tail = tail_before(fd_.get(), end_, path_);
  if (!tail) return tail.error();
  return file_position{position_of::receiver, committed_.session, end_, *tail};
}

void append_file::roll_back() noexcept {
  end_ = committed_.offset;
  // Where this fails, the next resume() does it.
  static_cast<void>(::ftruncate(fd_.get(), static_cast<off_t>(end_)) != 0);
}

}  // namespace ferry::app
