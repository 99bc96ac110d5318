#include "os/tcpshm_list.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>

#include "os/mapping.hpp"

namespace ferry::os::tcpshm {
namespace {

constexpr int k_attempts = 32;  // at a queue that is being used
constexpr std::string_view k_ending = ".ptcp";
constexpr std::size_t k_indices_bytes = 20;

struct indices {
  std::uint32_t write = 0, read = 0, send = 0, sequence = 0, ack = 0;
  friend bool operator==(const indices&, const indices&) = default;
};
static_assert(sizeof(indices) == k_indices_bytes);

struct freed {
  void operator()(std::byte* at) const noexcept { std::free(at); }
};

// Memory of a whole queue, of which only that is touched which is read.
class queue_copy {
 public:
  explicit queue_copy(std::size_t queue_bytes)
      : size_(queue_bytes),
        at_(static_cast<std::byte*>(std::calloc(1, session::tcpshm_queue_file_bytes(queue_bytes)))) {}
  explicit operator bool() const noexcept { return at_ != nullptr; }
  [[nodiscard]] std::span<std::byte> all() const noexcept {
    return {at_.get(), session::tcpshm_queue_file_bytes(size_)};
  }

  // Another process may write to the file meanwhile: what is looked at is what was read, once.
  [[nodiscard]] result<indices> read_indices(int fd, const std::string& path) const {
    const auto got = read(fd, size_, k_indices_bytes, path);
    if (!got) return got.error();
    indices found;
    std::memcpy(&found, all().data() + size_, sizeof found);
    return found;
  }
  [[nodiscard]] result<void> read(int fd, std::size_t offset, std::size_t size, const std::string& path) const {
    for (std::size_t got = 0; got < size;) {
      const ssize_t n = ::pread(fd, all().data() + offset + got, size - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return error::from_errno(errno, "read " + path);
      if (n == 0) return error(errc::truncated, path + " was cut off");
      got += static_cast<std::size_t>(n);
    }
    return {};
  }

 private:
  std::size_t size_;
  std::unique_ptr<std::byte, freed> at_;
};

// The order of bytes in which its messages are whole.
result<session::tcpshm_queue> recover(std::span<std::byte> memory, std::size_t queue_bytes, std::endian& order) {
  order = std::endian::little;
  auto little = session::tcpshm_queue::recover(memory, queue_bytes, order);
  if (little) return little;
  auto big = session::tcpshm_queue::recover(memory, queue_bytes, std::endian::big);
  if (!big) return little;
  order = std::endian::big;
  return big;
}

void take(queue_summary& into, const session::tcpshm_queue& found) {
  into.range = found.range();
  into.unacknowledged_bytes = found.unacknowledged_bytes();
  into.oldest.clear();
  found.for_each([&](std::uint32_t number, const codec::tcpshm::header& h) {
    if (into.oldest.size() < k_most_shown) into.oldest.push_back({number, h});
  });
}

result<std::size_t> queue_bytes_of(std::size_t file_bytes, const std::string& path) {
  if (const auto found = session::tcpshm_queue_bytes(file_bytes); found != 0) return found;
  return error(file_bytes < k_indices_bytes + 8 ? errc::truncated : errc::corrupt,
               path + " has " + std::to_string(file_bytes) + " bytes, and no queue has a file of that size");
}

result<void> look(queue_summary& into, int fd, const std::string& path) {
  const auto size = file_size(fd, path);
  if (!size) return size.error();
  into.bytes = *size;
  const auto queue_bytes = queue_bytes_of(*size, path);
  if (!queue_bytes) return queue_bytes.error();
  into.queue_bytes = *queue_bytes;
  const queue_copy copy(*queue_bytes);
  if (!copy) return error(errc::no_memory, "no memory for a copy of " + path);
  error why;
  for (int attempt = 0; attempt < k_attempts; ++attempt) {
    const auto before = copy.read_indices(fd, path);
    if (!before) return before.error();
    const bool possible = before->read <= before->write && before->write <= *queue_bytes / 8;
    if (possible)
      if (const auto got =
              copy.read(fd, std::size_t{before->read} * 8, std::size_t{before->write - before->read} * 8, path);
          !got)
        return got.error();
    const auto after = copy.read_indices(fd, path);
    if (!after) return after.error();
    if (*before != *after) {
      why = error(errc::busy, path + " changed at every attempt to read it");
      continue;
    }
    const auto found = recover(copy.all(), *queue_bytes, into.order);
    if (found) return take(into, *found), result<void>();
    why = found.error().in(path + " is damaged");
    if (!into.in_use) break;
  }
  return why;
}

struct close_directory {
  void operator()(DIR* open) const noexcept { ::closedir(open); }
};

}  // namespace

std::optional<session_names> names_of_queue(const std::string& dir, std::string_view file) {
  if (!file.ends_with(k_ending)) return std::nullopt;
  const std::string_view stem = file.substr(0, file.size() - k_ending.size());
  std::optional<session_names> first;
  for (auto at = stem.find('_'); at != stem.npos; at = stem.find('_', at + 1)) {
    session_names names{std::string(stem.substr(0, at)), std::string(stem.substr(at + 1))};
    if (names.peer.empty() || !check_names(names)) continue;
    if (const auto met = peek_last_server(dir, names.own); met && *met == names.peer) return names;
    if (!first) first = std::move(names);
  }
  return first;
}

result<queue_summary> look_at_queue(const std::string& dir, const session_names& names) {
  if (const auto checked = check_names(names); !checked) return checked.error();
  const std::string path = queue_path(dir, names.own, names.peer);
  const auto fd = open_file(path, false);
  if (!fd && fd.error() == errc::not_found)
    return error(errc::not_found, "no queue of tcpshm's of " + names.own + " with " +
                                      (names.peer.empty() ? "nobody" : names.peer) + " in " + dir);
  if (!fd) return fd.error();
  queue_summary summary;
  summary.names = names;
  summary.in_use = owner_lock::held(fd->get(), k_writer_byte);
  if (const auto seen = look(summary, fd->get(), path); !seen) summary.damage = seen.error();
  if (auto note = read_note(note_path(path)); note) summary.mismatch = *note;
  return summary;
}

result<std::vector<queue_summary>> list_queues(const std::string& dir) {
  const std::unique_ptr<DIR, close_directory> open(::opendir(dir.c_str()));
  if (open == nullptr && errno == ENOENT) return std::vector<queue_summary>();
  if (open == nullptr) return error::from_errno(errno, "look into the directory " + dir);
  std::vector<std::string> files;
  while (const dirent* const entry = ::readdir(open.get()))
    if (std::string_view(entry->d_name).ends_with(k_ending)) files.emplace_back(entry->d_name);
  std::sort(files.begin(), files.end());
  std::vector<queue_summary> all;
  for (const auto& file : files) {
    const auto names = names_of_queue(dir, file);
    if (!names) continue;
    auto summary = look_at_queue(dir, *names);
    if (!summary && summary.error() == errc::not_found) continue;  // removed meanwhile
    if (!summary) {
      all.emplace_back().names = *names;
      all.back().damage = summary.error();
      continue;
    }
    all.push_back(std::move(*summary));
  }
  return all;
}

result<std::unique_ptr<held_queue>> hold_queue(const std::string& dir, const session_names& names) {
  // Opening would make one.
  const auto seen = look_at_queue(dir, names);
  if (!seen) return seen.error();
  const std::string path = queue_path(dir, names.own, names.peer);
  const auto queue_bytes = queue_bytes_of(seen->bytes, path);
  if (!queue_bytes) return queue_bytes.error();
  if (seen->damage && *seen->damage != errc::busy) return *seen->damage;
  const auto file_bytes = session::tcpshm_queue_file_bytes(*queue_bytes);
  auto file = held_file::open(path, file_bytes, seen->bytes - file_bytes, k_writer_byte);
  if (!file) return file.error();
  // With the order that a copy had: the other one would take messages for padding.
  auto found = session::tcpshm_queue::recover(file->memory(), *queue_bytes, seen->order);
  if (!found) return found.error().in(path + " is damaged");
  return std::make_unique<held_queue>(held_queue{path, std::move(*file), std::move(*found)});
}

result<void> remove_queue(const std::string& dir, const session_names& names) {
  const std::string path = queue_path(dir, names.own, names.peer);
  const auto lock = owner_lock::acquire(path, k_writer_byte);
  if (!lock) return lock.error();
  if (!lock->still_at(path)) return error(errc::busy, path + " is made anew by another process");
  if (::unlink(path.c_str()) != 0) return error::from_errno(errno, "remove " + path);
  return {};
}

}  // namespace ferry::os::tcpshm
