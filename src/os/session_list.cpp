#include "os/session_list.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "os/bus_guard.hpp"
#include "os/mapping.hpp"
#include "os/owner_lock.hpp"

namespace ferry::os {
namespace {

constexpr std::size_t k_file_bytes = sizeof(session::session_file);
constexpr int k_attempts = 32;  // at a slot that is being written

// Both files, open to be read.
struct opened {
  std::string file_path, ring_path;
  unique_fd file, ring;
  std::size_t file_size = 0, ring_size = 0;
};

result<unique_fd> open_sized(const std::string& path, std::size_t& size) {
  auto fd = open_file(path, false);
  if (!fd) return fd;
  const auto there = file_size(fd->get(), path);
  if (!there) return there.error();
  size = *there;
  return fd;
}

result<opened> open_both(const session_paths& at) {
  opened both{at.file(), at.ring(), {}, {}, 0, 0};
  auto ring = open_sized(both.ring_path, both.ring_size);
  auto file = open_sized(both.file_path, both.file_size);
  // Its maker died, and the next one to open it moves it to its place.
  if (!file && file.error() == errc::not_found && ring) file = open_sized(at.new_file(), both.file_size);
  if (!file && file.error() == errc::not_found && ring)
    return error(errc::corrupt, both.ring_path + " is there and " + both.file_path + " is not");
  if (!ring && ring.error() == errc::not_found && file)
    return error(errc::corrupt, both.file_path + " is there and " + both.ring_path + " is not");
  if (!file) return file.error();
  if (!ring) return ring.error();
  both.file = std::move(*file);
  both.ring = std::move(*ring);
  return both;
}

result<std::vector<std::byte>> copy_of(const opened& both) {
  std::vector<std::byte> copy(std::min(both.file_size, k_file_bytes + 1));
  const ssize_t got = ::pread(both.file.get(), copy.data(), copy.size(), 0);
  if (got < 0) return error::from_errno(errno, "read " + both.file_path);
  copy.resize(static_cast<std::size_t>(got));
  return copy;
}

void take(session_summary& into, const session::file_identity& who) {
  into.peer_name = who.peer_name;
  into.ring_bytes = who.ring_bytes;
  into.created_at = who.created_at;
}

void take(session_summary& into, const session::committed& newest) {
  into.session = newest.last.session;
  into.epoch = newest.last.epoch;
  into.transaction = newest.last.generation;
  into.range.ack = newest.last.in_sequence;
  into.range.end = newest.last.out_sequence;
  into.state_bytes = newest.state.size();
}

// Nobody is at work: recovers a copy, as the next one will who opens it.
result<void> recover_copy(session_summary& into, const opened& both) {
  const auto raw = copy_of(both);
  if (!raw) return raw.error();
  const auto who = read_owner(*raw, into.names, both.file_path);
  if (!who) return who.error();
  take(into, *who);
  const auto sizes = read_ring_sizes(both.ring.get(), both.ring_size, both.ring_path);
  if (!sizes) return sizes.error();
  auto file = mapping::private_copy(both.file.get(), k_file_bytes);
  if (!file) return file.error();
  auto ring = mapping::private_copy(both.ring.get(), sizes->total());
  if (!ring) return ring.error();
  const bus_guard file_guard(file->span()), ring_guard(ring->span());
  const auto newest = session::read_newest(file->span());
  if (!newest) return newest.error().in(both.file_path);
  take(into, *newest);
  const auto out = session::outgoing_ring(ring->span(), *who);
  if (!out) return out.error().in(both.ring_path);
  auto recovered = session::persistent_session::recover(file->span(), *out, session::durability::process);
  if (!recovered) return recovered.error().in(both.ring_path);
  const auto range = (*recovered)->range();
  if (!range) return range.error().in(both.ring_path);
  into.range = *range;
  into.unacknowledged_bytes = (*recovered)->output().tail() - (*recovered)->output().seen();
  return {};
}

// Somebody is at work: numbers as they lie there, as walking over records that change would find damage.
result<void> look_over_shoulder(session_summary& into, const opened& both) {
  const auto sizes = read_ring_sizes(both.ring.get(), both.ring_size, both.ring_path);
  if (!sizes) return sizes.error();
  error why;
  for (int attempt = 0; attempt < k_attempts; ++attempt) {
    // The peer's position before the slot, so that it is not ahead of the end.
    std::array<std::uint64_t, 2> line{};
    const auto line_at = sizes->shared_offset() + offsetof(ring::shared_page, rings);
    if (::pread(both.ring.get(), line.data(), sizeof line, static_cast<off_t>(line_at)) !=
        static_cast<ssize_t>(sizeof line))
      return error::from_errno(errno, "read " + both.ring_path);
    const auto raw = copy_of(both);
    if (!raw) return raw.error();
    const auto who = read_owner(*raw, into.names, both.file_path);
    if (!who) return who.error();
    take(into, *who);
    const auto newest = session::read_newest(*raw);
    if (!newest) {
      why = newest.error().in(both.file_path);
      continue;
    }
    take(into, *newest);
    const std::uint64_t first = std::max(line[0], newest->last.out_acked);
    into.range.start = std::min(line[1], into.range.end);
    into.unacknowledged_bytes = newest->last.out_end - std::min(first, newest->last.out_end);
    return {};
  }
  return why;
}

result<void> look(session_summary& into, const opened& both) {
  const auto used = [&] { return owner_lock::held(both.ring.get(), k_writer_byte); };
  into.bytes = both.file_size + both.ring_size;
  into.in_use = used();
  if (!into.in_use) {
    auto seen = recover_copy(into, both);
    // Somebody may have come meanwhile.
    if (seen || !used()) return seen;
    into.in_use = true;
  }
  return look_over_shoulder(into, both);
}

}  // namespace

result<session_summary> look_at_session(const std::string& dir, const session_names& names) {
  if (const auto checked = check_names(names); !checked) return checked.error();
  const session_paths at(dir, names);
  session_summary summary;
  summary.names = names;
  const auto both = open_both(at);
  if (!both && both.error() == errc::not_found)
    return error(errc::not_found, "no session of " + names.own + " with " +
                                      (names.peer.empty() ? "whomever it meets" : names.peer) + " in " + dir);
  if (!both && both.error() != errc::corrupt) return both.error();
  if (!both)
    summary.damage = both.error();
  else if (const auto seen = look(summary, *both); !seen)
    summary.damage = seen.error();
  if (auto note = read_note(at.mismatch()); note) summary.mismatch = *note;
  return summary;
}

result<std::vector<session_summary>> list_sessions(const std::string& dir) {
  const auto names = sessions_in(dir);
  if (!names) return names.error();
  std::vector<session_summary> all;
  for (const auto& one : *names) {
    auto summary = look_at_session(dir, one);
    if (!summary && summary.error() == errc::not_found) continue;  // removed meanwhile
    if (!summary) {
      all.emplace_back().names = one;
      all.back().damage = summary.error();
      continue;
    }
    all.push_back(std::move(*summary));
  }
  return all;
}

}  // namespace ferry::os
