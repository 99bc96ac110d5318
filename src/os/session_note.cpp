#include "os/session_note.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <span>

#include "os/mapping.hpp"
#include "os/unique_fd.hpp"
#include "session/checksum.hpp"

namespace ferry::os {
namespace {

constexpr std::uint64_t k_magic = 0x4d53'4d59'5252'4546;  // "FERRYMSM"
constexpr std::uint32_t k_version = 1;

/// As it lies in the file; little endian.
struct note_file {
  std::uint64_t magic = k_magic;
  std::uint32_t version = k_version;
  std::uint32_t reserved = 0;
  std::uint64_t session = 0;
  std::uint64_t noted_at = 0;
  session::session_range local, remote;  // ack, start, end of each
  std::uint64_t checksum = 0;            // of everything before it
};
static_assert(sizeof(note_file) == 88 && offsetof(note_file, version) == 8 && offsetof(note_file, session) == 16 &&
              offsetof(note_file, noted_at) == 24 && offsetof(note_file, local) == 32 &&
              offsetof(note_file, remote) == 56 && offsetof(note_file, checksum) == 80);
static_assert(sizeof(session::session_range) == 24 && offsetof(session::session_range, start) == 8 &&
              offsetof(session::session_range, end) == 16);

std::uint64_t sum_of(const note_file& note) noexcept {
  session::checksum sum;
  sum.add(std::as_bytes(std::span(&note, 1)).first(offsetof(note_file, checksum)));
  return sum.value();
}

}  // namespace

std::string note_aside(const std::string& path) { return path + ".new"; }

result<void> write_note(const std::string& path, const mismatch_note& note) {
  note_file file;
  file.session = note.session;
  file.noted_at = note.noted_at;
  file.local = note.numbers.local;
  file.remote = note.numbers.remote;
  file.checksum = sum_of(file);
  const std::string aside = note_aside(path);
  ::unlink(aside.c_str());  // of somebody who died here
  const auto fd = create_file(aside, sizeof file);
  if (!fd) return fd.error();
  if (::pwrite(fd->get(), &file, sizeof file, 0) == static_cast<ssize_t>(sizeof file) &&
      ::rename(aside.c_str(), path.c_str()) == 0)
    return {};
  const int why = errno;
  ::unlink(aside.c_str());
  return error::from_errno(why, "write " + path);
}

void note_mismatch(const std::string& path, std::uint64_t session, const session::mismatch& numbers) noexcept {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count();
  (void)write_note(path, {session, static_cast<std::uint64_t>(now), numbers});
}

void remove_note(const std::string& path) noexcept {
  ::unlink(note_aside(path).c_str());
  ::unlink(path.c_str());
}

result<mismatch_note> read_note(const std::string& path) {
  const auto fd = open_file(path, false);
  if (!fd) return fd.error();
  std::array<std::byte, sizeof(note_file) + 1> raw;
  const ssize_t size = ::pread(fd->get(), raw.data(), raw.size(), 0);
  if (size < 0) return error::from_errno(errno, "read " + path);
  const auto wrong = [&](errc code, const std::string& what) {
    return error(code, path + " is not a note of numbers that do not fit together: " + what);
  };
  if (size < static_cast<ssize_t>(sizeof(note_file)))
    return wrong(errc::truncated, "it has " + std::to_string(size) + " bytes");
  note_file file;
  std::memcpy(&file, raw.data(), sizeof file);
  if (file.magic != k_magic) return wrong(errc::corrupt, "it does not start with FERRYMSM");
  if (file.version != k_version)
    return wrong(errc::unsupported, "version " + std::to_string(file.version) + ", this program knows version " +
                                        std::to_string(k_version));
  if (size != static_cast<ssize_t>(sizeof file) || file.checksum != sum_of(file))
    return wrong(errc::corrupt, "its size or its checksum is wrong");
  return mismatch_note{file.session, file.noted_at, {file.local, file.remote}};
}

}  // namespace ferry::os
