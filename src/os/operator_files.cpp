#include "os/operator_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "os/unique_fd.hpp"

namespace ferry::os {
namespace {

// All of it, or one byte more than `most`.
result<std::string> read_up_to(int file, std::size_t most, const std::string& path) {
  std::string text(most + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto got = ::read(file, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error::from_errno(errno, "read " + path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

}  // namespace

result<void> write_report(const std::string& path, const std::string& text) {
  // A new file with that name, so that nobody who has the old one open, or could write it, has a part in this one.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return error::from_errno(errno, "remove the old " + path);
  const unique_fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return error::from_errno(errno, "open " + path);
  for (std::size_t done = 0; done < text.size();) {
    const auto written = ::write(file.get(), text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return error::from_errno(errno, "write " + path);
    done += static_cast<std::size_t>(written);
  }
  return {};
}

result<std::string> read_request(const std::string& path) {
  constexpr std::size_t most = 64 * 1024;
  const unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return error::from_errno(errno, "open " + path);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::auth, path + " is not a regular file");
  if ((about.st_uid != ::geteuid() && about.st_uid != 0) || (about.st_mode & S_IWOTH) != 0)
    return error(errc::auth, path + " belongs to somebody else, or everybody can write it");
  auto text = read_up_to(file.get(), most, path);
  if (text && text->size() > most) return error(errc::auth, path + " is larger than 64 KiB");
  return text;
}

result<std::string> read_options(const std::string& path) {
  constexpr std::size_t most = 1 << 20;
  const unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return error::from_errno(errno, "open " + path);
  auto text = read_up_to(file.get(), most, path);
  if (text && text->size() > most)
    return error(errc::bad_option, path + ": larger than 1 MiB, which no file of options is");
  return text;
}

}  // namespace ferry::os
