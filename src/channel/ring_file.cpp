// Rings in named files.
#include <ferry/error.hpp>
#include <ferry/ring_file.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "channel/fail.hpp"
#include "os/bell.hpp"
#include "os/bus_guard.hpp"
#include "os/file_lock.hpp"
#include "os/mapping.hpp"
#include "os/owner_lock.hpp"
#include "os/random.hpp"
#include "ring/held_consumer.hpp"
#include "ring/ring_layout.hpp"

namespace ferry {
namespace {

using duration = std::chrono::nanoseconds;
using clock = std::chrono::steady_clock;

constexpr auto k_slice = std::chrono::milliseconds(100);

// A file in pages, mapped; its owners do not say hello to each other, so whoever rings pays for the order.
struct opened {
  os::owner_lock lock;
  os::unique_fd fd;
  ring::geometry sizes;
  os::mapping at;
  std::unique_ptr<os::bus_guard> guard;

  [[nodiscard]] ring::shared_page& shared() const {
    return *reinterpret_cast<ring::shared_page*>(at.data() + sizes.shared_offset());
  }
  [[nodiscard]] std::span<std::byte> data() const { return at.span().subspan(sizes.data_offset(), sizes.ring_bytes); }
};

result<opened> open_ring(const std::string& path, unsigned byte) {
  auto fd = os::open_file(path, true);
  if (!fd) return fd.error();
  auto lock = os::owner_lock::acquire(path, byte);
  if (!lock) return lock.error();
  const auto size = os::file_size(fd->get(), path);
  if (!size) return size.error();
  if (*size < sizeof(ring::ring_header))
    return error(errc::truncated, "it has only " + std::to_string(*size) + " bytes");
  auto first = os::mapping::of(fd->get(), sizeof(ring::ring_header), false);
  if (!first) return first.error();
  const auto sizes = ring::read_header(first->span(), *size);
  if (!sizes) return sizes.error();
  if (sizes->rings != 1) return error(errc::corrupt, "a file has one ring, this has " + std::to_string(sizes->rings));
  if (sizes->page_bytes % os::page_bytes(false) != 0)
    return error(errc::unsupported, "made on a machine with pages of " + std::to_string(sizes->page_bytes) + " bytes");
  auto at = os::mapping::of(fd->get(), sizes->total(), byte == os::k_writer_byte);
  if (!at) return at.error();
  if (byte == os::k_reader_byte)
    if (const auto made = at->make_writable(fd->get(), sizes->shared_offset(), sizes->page_bytes); !made)
      return made.error();
  auto guard = std::make_unique<os::bus_guard>(at->span());
  return opened{std::move(*lock), std::move(*fd), *sizes, std::move(*at), std::move(guard)};
}

// Made aside and moved to its place when it is whole: nobody ever sees half a file.
result<void> make_file(const std::string& path, std::uint64_t ring_bytes) {
  const ring::geometry sizes{ring_bytes, 1, os::page_bytes(false)};
  if (const auto checked = ring::check(sizes); !checked) return checked.error();
  const std::string aside = path + ".new";
  ::unlink(aside.c_str());  // of a writer that died here; we hold the lock
  const auto fd = os::create_file(aside, sizes.total());
  if (!fd) return fd.error();
  const auto at = os::mapping::of(fd->get(), sizes.total(), true);
  if (!at) return at.error();
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  const std::string name = path.substr(path.rfind('/') + 1);
  ring::format(
      at->span(), sizes,
      {name, os::random_u64() | 1, static_cast<std::uint64_t>(std::chrono::duration_cast<duration>(since_1970).count()),
       static_cast<std::uint32_t>(::getpid()), ::geteuid()});
  if (::rename(aside.c_str(), path.c_str()) != 0) return error::from_errno(errno, "move " + aside + " to " + path);
  return {};
}

// Sleeps until `there`, in slices, because a file that is cut off rings no bell.
template <class There>
bool sleep_until(os::bell& bell, duration within, There there) {
  const auto until = deadline_after(within);
  for (;;) {
    bell.announce(ring::sleeping::on_futex);
    if (there()) return true;
    const auto left = until - clock::now();
    if (left <= duration::zero()) return false;
    bell.wait(std::min<duration>(left, k_slice));
  }
}

}  // namespace

struct ring_writer::parts {
  parts(opened file_, const ring_contents& found)
      : file(std::move(file_)),
        out(file.data(), file.shared().rings[0], found.tail, found.sequence),
        reader(file.shared().records, true),
        room(file.shared().room, true) {}
  opened file;
  ring_producer out;
  os::bell reader, room;
};

ring_writer::ring_writer(std::unique_ptr<parts> made) noexcept : parts_(std::move(made)), out_(&parts_->out) {}
ring_writer::ring_writer(ring_writer&&) noexcept = default;
ring_writer& ring_writer::operator=(ring_writer&&) noexcept = default;
ring_writer::~ring_writer() = default;

ring_writer ring_writer::open(const std::string& path, const options& with) {
  if (const auto problem = check_options(with)) throw failure(errc::bad_option, 0, problem->text);
  const auto making = or_fail(os::file_lock::acquire(path + ".lock"));
  auto file = open_ring(path, os::k_writer_byte);
  if (!file && file.error() == errc::not_found) {
    or_fail(make_file(path, with.ring_bytes));
    file = open_ring(path, os::k_writer_byte);
  }
  if (!file) fail(file.error().in(path));
  const auto found = ring_scan(file->data(), file->shared().rings[0]);
  if (!found)
    fail(error(errc::corrupt, path + ": its records are damaged; look at it with 'ferry inspect', or remove it"));
  return ring_writer(std::make_unique<parts>(std::move(*file), *found));
}

void ring_writer::tell_reader() noexcept { (void)parts_->reader.ring(); }

bool ring_writer::wait_for_room(duration within) {
  const std::uint64_t half = out_->ring_bytes() / 2;
  const auto there = [&] { return out_->used() <= half || damaged(); };
  if (!there()) {
    out_->line().wake_at.store(out_->tail() - half, std::memory_order_relaxed);
    if (!sleep_until(parts_->room, within, there)) return false;
  }
  return !damaged();
}

bool ring_writer::reader_lives() const noexcept {
  return os::owner_lock::held(parts_->file.fd.get(), os::k_reader_byte);
}
bool ring_writer::damaged() const noexcept { return out_->corrupt() || parts_->file.guard->torn(); }

struct ring_reader::parts {
  parts(opened file_, std::uint64_t position, std::uint64_t sequence)
      : file(std::move(file_)),
        in(file.data(), file.shared().rings[0], position, sequence),
        records(file.shared().records, true),
        writer(file.shared().room, true) {}
  opened file;
  ring_consumer in;
  os::bell records, writer;
};

ring_reader::ring_reader(std::unique_ptr<parts> made) noexcept : parts_(std::move(made)), in_(&parts_->in) {}
ring_reader::ring_reader(ring_reader&&) noexcept = default;
ring_reader& ring_reader::operator=(ring_reader&&) noexcept = default;
ring_reader::~ring_reader() = default;

ring_reader ring_reader::open(const std::string& path) {
  auto file = open_ring(path, os::k_reader_byte);
  if (!file) fail(file.error().in(path));
  const ring_line& line = file->shared().rings[0];
  // Read once: only we move it, but whoever can write to the file may do so, too.
  const auto position = line.position.load(std::memory_order_acquire);
  const auto found = ring::scan_from(file->data(), position, line.sequence.load(std::memory_order_relaxed));
  if (!found)
    fail(error(errc::corrupt, path + ": its records are damaged; look at it with 'ferry inspect', or remove it"));
  return ring_reader(std::make_unique<parts>(std::move(*file), position, found->sequence - found->records));
}

void ring_reader::tell_writer() noexcept {
  parts_->writer.order();
  if (in_->take_producer_waits()) (void)parts_->writer.ring();
}

bool ring_reader::wait(duration within) {
  give_back();
  const auto there = [&] { return in_->something() || damaged(); };
  if (there()) return true;
  const bool woken = sleep_until(parts_->records, within, there);
  parts_->records.awake();
  return woken;
}

bool ring_reader::writer_lives() const noexcept {
  return os::owner_lock::held(parts_->file.fd.get(), os::k_writer_byte);
}
bool ring_reader::damaged() const noexcept { return in_->corrupt() || parts_->file.guard->torn(); }

}  // namespace ferry
