#include "sidecar/native_plane.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <utility>

#include "os/private_files.hpp"
#include "os/random.hpp"
#include "ring/held_consumer.hpp"

namespace ferry::sidecar {
namespace {

ring::geometry sizes_for(std::uint64_t queue_bytes) {
  return {std::min<std::uint64_t>(std::bit_ceil(queue_bytes), ring_geometry::k_max_bytes), 1, os::page_bytes(false)};
}

void begin(std::span<std::byte> memory, const ring::geometry& sizes, const std::string& name) {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  ring::format(memory, sizes,
               {name.substr(name.rfind('/') + 1), os::random_u64() | 1,
                static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count()),
                static_cast<std::uint32_t>(::getpid()), os::own_uid()});
}

std::uint32_t clamped(std::uint64_t size) noexcept {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(size, UINT32_MAX));
}

struct ring_found {
  std::uint64_t position = 0;  // of the reader
  ring_contents there;
};
// What lies in a ring from where its reader is. The position is read once: what was checked is what is used.
std::optional<ring_found> scan(const native_ring& of) noexcept {
  const auto& line = of.shared().rings[0];
  const auto position = line.position.load(std::memory_order_acquire);
  const auto there = ring::scan_from(of.records(), position, line.sequence.load(std::memory_order_relaxed));
  return there ? std::optional(ring_found{position, *there}) : std::nullopt;
}

// Its header and its records are looked at once; from then on only what was checked here is used.
result<native_ring> checked(os::private_file file, const std::string& path) {
  native_ring made;
  made.at = std::move(file.at);
  made.guard = std::move(file.guard);
  made.id = file.id;
  const auto sizes = ring::read_header(made.at.span(), made.at.size());
  if (!sizes) return sizes.error().in(path);
  if (sizes->rings != 1 || sizes->page_bytes != os::page_bytes(false) || sizes->total() != made.at.size())
    return error(errc::corrupt, path + " is no native ring of a sidecar");
  made.sizes = *sizes;
  made.epoch = ring::describe(made.at.span()).epoch;
  if (!scan(made)) return error(errc::corrupt, path + ": records that cannot be");
  return made;
}

result<native_ring> go_on(const std::string& path, const ring::geometry& sizes, const os::file_users& who) {
  auto mapped = os::map_private_file(path, sizes.total(), who);
  if (!mapped) return mapped.error();
  auto made = checked(std::move(*mapped), path);
  if (made && !(made->sizes == sizes)) return error(errc::corrupt, path + " is of another size");
  return made;
}

}  // namespace

result<native_ring> native_ring::make(const std::string& like, std::uint64_t queue_bytes, const os::file_users& who) {
  const auto path = like + k_native_suffix;
  const auto sizes = sizes_for(queue_bytes);
  auto wake = os::wake_pipe::make(like + k_bell_suffix, who);
  if (!wake) return wake.error();
  auto made = go_on(path, sizes, who);
  if (!made) {
    auto fresh = os::replace_private_file(path, sizes.total(), who,
                                          [&](std::span<std::byte> memory) { begin(memory, sizes, path); });
    if (!fresh) return fresh.error();
    made = checked(std::move(*fresh), path);
  }
  if (made) made->wake = std::move(*wake);
  return made;
}

result<native_ring> native_ring::open(const std::string& like, bool writes) {
  const auto path = like + k_native_suffix;
  const auto file = os::open_shared_file(path);
  if (!file) return file.error();
  const auto size = os::file_size(file->get(), path);
  if (!size) return size.error();
  const std::size_t page = os::page_bytes(false);
  if (*size < 2 * page + ring_geometry::k_min_bytes)
    return error(errc::corrupt, path + " has only " + std::to_string(*size) + " bytes");
  auto mapped = os::private_file::of(file->get(), *size, writes);
  if (!mapped) return mapped.error().in(path);
  if (!writes)
    if (const auto writable = mapped->at.make_writable(file->get(), page, page); !writable)
      return writable.error().in(path);
  auto made = checked(std::move(*mapped), path);
  if (!made) return made;
  auto wake = os::wake_pipe::open(like + k_bell_suffix);
  if (!wake) return wake.error();
  made->wake = std::move(*wake);
  return made;
}

void native_ring::remove(const std::string& like) noexcept {
  (void)::unlink((like + k_native_suffix).c_str());
  (void)::unlink((like + k_bell_suffix).c_str());
}

result<std::unique_ptr<native_reader>> native_reader::attach(native_ring file, const ring::sidecar_ring_limits& limits,
                                                             bool fenced) {
  const auto found = scan(file);
  if (!found) return error(errc::corrupt, "a native ring whose records cannot be");
  auto made = std::make_unique<native_reader>();
  made->in_ = {file.records(), file.shared().rings[0], found->position, found->there.sequence - found->there.records};
  made->bell_ = os::bell(file.shared().records, fenced);
  made->bell_.awake();
  made->limits_ = limits;
  made->file_ = std::move(file);
  return made;
}

bool native_reader::sound(const std::string& like) noexcept {
  if (in_.corrupt() || torn() || !file_.is_in_place(like)) return false;
  in_.publish_position();  // where nothing is, a pad was passed that nobody was told of
  const auto found = scan(file_);
  return found && found->position == in_.position() && found->there.sequence - found->there.records == in_.sequence();
}

result<ring_message> native_reader::front(std::uint64_t now_ms) {
  if (front_) return front_;
  skips_ = false;
  see_peak(now_ms);
  for (std::uint32_t skipped = 0;;) {
    const auto whole = in_.front();
    if (in_.corrupt()) {
      stats_.faults += 1;
      return error(errc::corrupt, "the records of a native ring cannot be");
    }
    if (const auto torn = in_.take_torn(); torn != 0) {
      stats_.faults += 1;
      return error(errc::corrupt, std::to_string(torn) + " records in a native ring that are no whole message");
    }
    if (whole.data() == nullptr) return ring_message{};
    const auto measured = codec::sidecar::measure_native(whole);
    if (measured.head_bytes != 0 && expired(measured.time_ms, now_ms)) {
      if (skipped++ == limits_.max_skipped) {
        skips_ = true;
        return ring_message{};
      }
      stats_.expired += 1;
      in_.pop();
      continue;
    }
    stats_.messages += 1;
    if (measured.head_bytes != 0) stats_.count_delay(measured.time_ms, now_ms);
    return front_ = {service_rings::native, whole, measured.head_bytes, measured.time_ms, true};
  }
}

std::uint32_t native_reader::unread_bytes() const noexcept { return clamped(in_.unread_bytes()); }
std::uint32_t native_reader::queue_bytes() const noexcept { return clamped(file_.sizes.ring_bytes); }

bool native_reader::announce_sleep() noexcept {
  bell_.announce(ring::sleeping::on_socket);
  return !bell_.fenced();
}

void native_reader::awake() noexcept {
  bell_.awake();
  file_.wake.take();
}

result<std::unique_ptr<native_writer>> native_writer::attach(native_ring file, bool fenced) {
  const auto found = scan(file);
  if (!found || found->there.ended) return error(errc::corrupt, "a native ring whose records cannot be");
  auto made = std::make_unique<native_writer>();
  made->out_ = ring::message_ring_producer(
      ring_producer(file.records(), file.shared().rings[0], found->there.tail, found->there.sequence));
  made->bell_ = os::bell(file.shared().records, fenced);
  made->file_ = std::move(file);
  return made;
}

bool native_writer::sound(const std::string& like) noexcept {
  if (out_.corrupt() || torn() || !file_.is_in_place(like)) return false;
  const auto found = scan(file_);
  return found && found->there.tail == out_.tail() && found->there.sequence == out_.sequence();
}

bool native_writer::write(std::span<const bytes> parts, std::size_t /*head_bytes*/,
                          std::uint64_t /*time_ms*/) noexcept {
  if (!out_.write(parts)) {
    see_peak();
    return false;
  }
  ring_bell();
  return true;
}

void native_writer::each_unread(const std::function<void(bytes)>& tell) const {
  const auto found = scan(file_);
  if (!found) return;
  ring_line nobodys;
  ring_consumer walker(file_.records(), nobodys, found->position, found->there.sequence - found->there.records);
  for (auto left = found->there.records; left != 0 && walker.front(); --left, walker.pop()) tell(walker.front().body());
}

void native_writer::see_peak() noexcept {
  seen_at_ = out_.tail();
  peak_ = std::max(peak_, unread_bytes());
}

std::uint32_t native_writer::unread_bytes() noexcept { return clamped(out_.unread_bytes()); }
std::uint32_t native_writer::queue_bytes() const noexcept { return clamped(file_.sizes.ring_bytes); }
std::uint32_t native_writer::take_peak() noexcept { return std::max(unread_bytes(), std::exchange(peak_, 0)); }

}  // namespace ferry::sidecar
