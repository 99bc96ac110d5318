#include "net/capture_file.hpp"

#include <ferry/options.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "codec/pcap_reader.hpp"

namespace ferry::net {
namespace {

result<void> write_at(int fd, bytes what, std::uint64_t at, const std::string& path) {
  while (!what.empty()) {
    const auto n = ::pwrite(fd, what.data(), what.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error::from_errno(errno, "write to " + path);
    what = what.subspan(static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
  }
  return {};
}

// Where whole packets end in a file that is there.
result<std::uint64_t> whole_part(int fd, const std::string& path) {
  codec::pcap_extent extent;
  std::vector<std::byte> window(1u << 20);
  for (;;) {
    const auto n = ::pread(fd, window.data(), window.size(), static_cast<off_t>(extent.whole));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error::from_errno(errno, "read " + path);
    const auto before = extent.whole;
    const auto looked = codec::extend(extent, bytes(window).first(static_cast<std::size_t>(n)));
    if (!looked) return looked.error().in("capture " + path);
    if (extent.whole == before) return before;
  }
}

}  // namespace

result<std::shared_ptr<capture_file>> capture_file::open(const std::string& path, std::uint64_t max_bytes) {
  constexpr int k_flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
  os::unique_fd fd(::open(path.c_str(), k_flags, 0600));
  if (!fd) return error::from_errno(errno, "capture to " + path);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::bad_address, "capture: " + path + " is no regular file");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return error::from_errno(errno, "lock " + path);
    return error(errc::busy, "another process captures to " + path);
  }
  if ((about.st_mode & 077) != 0 && ::fchmod(fd.get(), 0600) != 0)
    return error::from_errno(errno, "keep " + path + " from others");
  auto size = whole_part(fd.get(), path);
  if (!size) return size.error();
  // A file of a few bytes that are no whole header may be anybody's.
  if (*size == 0 && about.st_size != 0)
    return error(errc::corrupt, "capture " + path + ": there is something else than a capture of Ferry's in it");
  if (*size == 0) {
    const auto header = codec::pcap_file_header();
    if (const auto written = write_at(fd.get(), header, 0, path); !written) {
      static_cast<void>(::ftruncate(fd.get(), 0) == 0);  // a part of a header would be somebody else's file next time
      return written.error();
    }
    size = header.size();
  } else if (::ftruncate(fd.get(), static_cast<off_t>(*size)) != 0) {
    return error::from_errno(errno, "cut off " + path);
  }
  return std::shared_ptr<capture_file>(new capture_file(std::move(fd), path, *size, max_bytes));
}

void capture_file::write_batch(context& where) {
  if (batch_.empty()) return;
  if (batch_.size() > max_bytes_ || size_ > max_bytes_ - batch_.size())
    return finish(where, "capture_max of " + std::to_string(max_bytes_) + " bytes is reached");
  if (const auto written = write_at(fd_.get(), batch_, size_, path_); !written)
    return finish(where, written.error().text());
  size_ += batch_.size();
  where.totals().capture_bytes.add(batch_.size());
}

void capture_file::finish(context& where, std::string_view why) {
  over_ = true;
  // What was written of the last batch is no whole packet.
  static_cast<void>(::ftruncate(fd_.get(), static_cast<off_t>(size_)) == 0);
  batch_ = {};
  where.totals().captures_cut_short.add(1);
  where.log(log_level::warn, "capture", [&] {
    return "the capture to " + path_ + " ends here, after " + std::to_string(size_) +
           " bytes, and the channels go on: " + std::string(why);
  });
}

result<std::shared_ptr<capture_file>> capture_files::find(const options& with) {
  const std::lock_guard guard(lock_);
  if (const auto known = open_.find(with.capture); known != open_.end()) return known->second;
  if (open_.size() >= k_most)
    return error(errc::busy, "capture to " + with.capture + ": " + std::to_string(k_most) + " captures are open");
  auto made = capture_file::open(with.capture, with.capture_max);
  if (made) open_.emplace(with.capture, *made);
  return made;
}

}  // namespace ferry::net
