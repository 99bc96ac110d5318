#include "sidecar/service_pipe.hpp"

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "codec/sidecar_notices.hpp"
#include "session/pipe_lease.hpp"

namespace ferry::sidecar {
namespace {

constexpr int k_more_picks = 25;
constexpr auto k_between_picks = std::chrono::milliseconds(2);

std::string ring_path(const service_options& of, const std::string& name, std::uint32_t pipe) {
  return of.directory + "/" + name + (pipe == 0 ? std::string() : std::to_string(pipe));
}

ring::sidecar_ring_limits limits_of(const service_options& with) {
  return {.valid_ms = static_cast<std::uint64_t>(with.message_validity.count())};
}

result<os::private_file> open_compatible(const std::string& path) {
  const auto file = os::open_shared_file(path);
  if (!file) return file.error();
  const auto size = os::file_size(file->get(), path);
  if (!size) return size.error();
  // A file that grows while it is made is not there yet.
  if (*size < ring::k_sidecar_control_bytes) return error(errc::not_found, path + " is not whole yet");
  auto mapped = os::private_file::of(file->get(), *size);
  if (!mapped) return mapped.error().in(path);
  return mapped;
}

}  // namespace

std::string lock_path(const service_options& of, std::uint32_t pipe) {
  return of.directory + "/" + of.lock_name + std::to_string(pipe);
}

result<service_pipe> service_pipe::pick(const service_options& with, std::uint64_t version) {
  auto picked = try_to_pick(with, version);
  for (int i = 0; i < k_more_picks && !picked && picked.error() == errc::busy; ++i) {
    std::this_thread::sleep_for(k_between_picks);
    picked = try_to_pick(with, version);
  }
  return picked;
}

result<service_pipe> service_pipe::try_to_pick(const service_options& with, std::uint64_t version) {
  std::vector<os::pipe_lock> locks;
  std::vector<session::free_pipe> found;
  error last(errc::busy);
  for (std::uint32_t i = 0; i < with.pipes; ++i) {
    auto lock = os::pipe_lock::try_acquire(lock_path(with, i));
    if (!lock) {
      last = lock.error();
      continue;
    }
    const auto content = lock->read(session::k_max_lease_text);
    found.push_back({i, content ? session::parse_lease(*content) : std::nullopt});
    locks.push_back(std::move(*lock));
  }
  const auto chosen = session::choose_pipe(found, version);
  if (!chosen) return last.in("none of " + std::to_string(with.pipes) + " pipes in " + with.directory + " is free");
  return service_pipe(std::move(locks[*chosen]), found[*chosen].index, version, with.directory);
}

result<bool> service_pipe::map(const service_options& with) {
  auto receive = open_compatible(ring_path(with, with.receive_name, index_));
  if (!receive && receive.error() == errc::not_found) return false;
  if (!receive) return receive.error();
  auto send = open_compatible(ring_path(with, with.send_name, index_));
  if (!send && send.error() == errc::not_found) return false;
  if (!send) return send.error();
  auto reader = compatible_reader::attach(std::move(*receive), limits_of(with));
  if (!reader) return reader.error().in(ring_path(with, with.receive_name, index_));
  auto writer = compatible_writer::attach(std::move(*send));
  if (!writer) return writer.error().in(ring_path(with, with.send_name, index_));
  compatible_in_ = std::move(*reader);
  compatible_out_ = std::move(*writer);
  in_ = next_in_ = compatible_in_.get();
  out_ = compatible_out_.get();
  return true;
}

// The sidecar has made the files, or goes on with those that we have open.
result<std::uint64_t> service_pipe::use_native(bool fenced, const service_options& with) {
  std::uint64_t left = 0;
  auto receive = native_ring::open(ring_path(with, with.receive_name, index_), false);
  if (!receive) return receive.error();
  auto send = native_ring::open(ring_path(with, with.send_name, index_), true);
  if (!send) return send.error();
  if (native_in_ && native_in_->epoch() == receive->epoch) {
    native_in_->set_fenced(fenced);
  } else {
    auto reader = native_reader::attach(std::move(*receive), limits_of(with), fenced);
    if (!reader) return reader.error();
    if (native_in_) left += native_in_->unread_bytes();
    if (in_ == native_in_.get()) in_ = reader->get();
    native_in_ = std::move(*reader);
  }
  if (native_out_ && native_out_->epoch() == send->epoch) {
    native_out_->set_fenced(fenced);
  } else {
    auto writer = native_writer::attach(std::move(*send), fenced);
    if (!writer) return writer.error();
    if (native_out_) left += native_out_->unread_bytes();
    native_out_ = std::move(*writer);
  }
  next_in_ = native_in_.get();
  out_ = native_out_.get();
  return left;
}

result<std::uint64_t> service_pipe::use(std::uint32_t agreed, const service_options& with) {
  using namespace codec::sidecar;
  if ((agreed & k_shared_bodies) != 0)
    if (const auto opened = bodies_.open(); !opened) return opened.error();
  if ((agreed & k_native_rings) != 0) return use_native((agreed & k_ring_barriers) == 0, with);
  const std::uint64_t left = writes() == service_rings::native ? native_out_->unread_bytes() : 0;
  next_in_ = compatible_in_.get();
  out_ = compatible_out_.get();
  return left;
}

ring::sidecar_ring_stats service_pipe::read_stats() const noexcept {
  ring::sidecar_ring_stats all;
  if (compatible_in_) all += compatible_in_->stats();
  if (native_in_) all += native_in_->stats();
  return all;
}
std::uint32_t service_pipe::unread_bytes() const noexcept {
  return (compatible_in_ ? compatible_in_->unread_bytes() : 0) + (native_in_ ? native_in_->unread_bytes() : 0);
}
std::uint32_t service_pipe::unread_by_sidecar() const noexcept {
  return (compatible_out_ ? compatible_out_->unread_bytes() : 0) + (native_out_ ? native_out_->unread_bytes() : 0);
}
bool service_pipe::torn() const noexcept {
  const auto is_torn = [](const auto& one) { return one && one->torn(); };
  return is_torn(compatible_in_) || is_torn(compatible_out_) || is_torn(native_in_) || is_torn(native_out_);
}

result<void> service_pipe::renew(std::int64_t now_s) const {
  return lock_.write(to_text(session::pipe_lease{version_, now_s + session::k_lease_seconds}));
}

result<void> service_pipe::relock(const service_options& with) {
  if (lock_.still_there()) return {};
  auto again = os::pipe_lock::try_acquire(lock_.path());
  if (!again) return again.error();
  const auto path = ring_path(with, with.receive_name, index_);
  if (compatible_in_ && !compatible_in_->is_at(path))
    return error(errc::closed, path + " is another file now: the pipe was taken from us");
  lock_ = std::move(*again);
  return {};
}

}  // namespace ferry::sidecar
