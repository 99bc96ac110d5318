#include "sidecar/pipe.hpp"

#include <unistd.h>

#include <cstring>
#include <utility>

#include "codec/native_message.hpp"
#include "codec/sidecar_notices.hpp"
#include "os/barrier.hpp"
#include "os/pipe_lock.hpp"
#include "os/private_files.hpp"
#include "session/pipe_lease.hpp"

namespace ferry::sidecar {
namespace {

// recv.shm, recv.shm1, recv.shm2
std::string ring_path(const entity_settings& of, const std::string& name, std::uint32_t index) {
  return of.directory + "/" + name + (index == 0 ? std::string() : std::to_string(index));
}

}  // namespace

std::uint32_t owner_of(const entity_settings& of) noexcept { return of.owner == k_own_uid ? os::own_uid() : of.owner; }

os::file_users users_of(const entity_settings& of) { return {owner_of(of), of.allowed_uids}; }

const char* to_string(pipe::state what) noexcept {
  switch (what) {
    case pipe::state::idle: return "idle";
    case pipe::state::read: return "registered";
    case pipe::state::draining: return "draining";
    case pipe::state::damaged: return "damaged";
  }
  return "?";
}

pipe::pipe(const entity_settings& of, std::uint32_t index, const ring::sidecar_ring_limits& limits)
    : may_be_native_(of.native),
      limits_(limits),
      users_(users_of(of)),
      lock_path_(of.directory + "/" + of.lock_name + std::to_string(index)),
      bodies_left_(of.directory) {
  receive_.path = ring_path(of, of.receive_name, index);
  receive_.bytes = of.receive_bytes;
  send_.path = ring_path(of, of.send_name, index);
  send_.bytes = of.send_bytes;
}

pipe::~pipe() { share(nullptr); }

bool pipe::is_held() const {
  const auto held = os::pipe_lock::held(lock_path_);
  return held && *held;
}
bool pipe::has_lapsed(time_point now, duration patience) {
  auto content = os::pipe_lock::content_of(lock_path_, session::k_max_lease_text);
  if (!content || !is_held()) {
    unrenewed_.reset();
    return false;
  }
  if (!unrenewed_ || unrenewed_->content != *content) unrenewed_ = {std::move(*content), now};
  return now - unrenewed_->since >= patience;
}
void pipe::evict() noexcept {
  (void)::unlink(lock_path_.c_str());
  unrenewed_.reset();
}
bool pipe::torn() const noexcept {
  const auto is_torn = [](const auto& one) { return one && one->torn(); };
  return is_torn(to_service_) || is_torn(from_service_) || is_torn(native_to_service_) || is_torn(native_from_service_);
}

result<void> pipe::attach(os::private_file receive, os::private_file send) {
  auto out = compatible_writer::attach(std::move(receive));
  if (!out) return out.error().in(receive_.path);
  auto in = compatible_reader::attach(std::move(send), limits_);
  if (!in) return in.error().in(send_.path);
  to_service_ = std::move(*out);
  from_service_ = std::move(*in);
  return {};
}

result<void> pipe::go_on() {
  auto receive = os::map_private_file(receive_.path, ring::k_sidecar_control_bytes + receive_.bytes, users_);
  if (!receive) return receive.error();
  auto send = os::map_private_file(send_.path, ring::k_sidecar_control_bytes + send_.bytes, users_);
  if (!send) return send.error();
  return attach(std::move(*receive), std::move(*send));
}

result<void> pipe::make_anew() {
  const auto make = [&](const one_ring& one) {
    return os::replace_private_file(one.path, ring::k_sidecar_control_bytes + one.bytes, users_,
                                    ring::sidecar_ring_memory::format);
  };
  auto receive = make(receive_);
  if (!receive) return receive.error();
  auto send = make(send_);
  if (!send) return send.error();
  return attach(std::move(*receive), std::move(*send));
}

// Whoever has them open keeps them, and nobody reads what is written there.
void pipe::remove_native() noexcept {
  left_ = nullptr;
  native_to_service_ = nullptr;
  native_from_service_ = nullptr;
  if (bodies_) bodies_->store().forget(references_);
  native_ring::remove(receive_.path);
  native_ring::remove(send_.path);
}

result<void> pipe::make_native() {
  if (native_to_service_ && native_to_service_->sound(receive_.path) && native_from_service_->sound(send_.path))
    return {};
  if (native_to_service_) {
    remove_native();
    trouble_ = "what lay in them could not be, and they were made anew";
  }
  auto receive = native_ring::make(receive_.path, receive_.bytes, users_);
  if (!receive) return receive.error();
  auto send = native_ring::make(send_.path, send_.bytes, users_);
  if (!send) return send.error();
  auto out = native_writer::attach(std::move(*receive), true);
  if (!out) return out.error().in(receive_.path);
  auto in = native_reader::attach(std::move(*send), limits_, true);
  if (!in) return in.error().in(send_.path);
  native_to_service_ = std::move(*out);
  native_from_service_ = std::move(*in);
  return {};
}

// Too old ones are the next reader's to skip.
void pipe::find_left() {
  if (!native_to_service_ || native_to_service_->unread_bytes() == 0) return;
  auto file = native_ring::open(receive_.path, true);
  auto made = file ? native_reader::attach(std::move(*file), {}, true) : file.error();
  if (made)
    left_ = std::move(*made);
  else
    trouble_ = made.error().text();
}

std::uint64_t pipe::references::read_to() noexcept {
  return of_.native_to_service_ ? of_.native_to_service_->read_to() : UINT64_MAX;
}

void pipe::share(std::shared_ptr<shared_bodies> with) {
  if (bodies_ == with) return;
  if (bodies_) bodies_->store().remove(references_);
  bodies_ = std::move(with);
  is_sharing_ = is_sharing_ && bodies_;
  if (!bodies_) return;
  auto& store = bodies_->store();
  store.add(references_);
  if (!native_to_service_) return;
  native_to_service_->each_unread([&](bytes whole) {
    const auto head = codec::sidecar::measure_native(whole).head_bytes;
    if (head != 0 && codec::sidecar::says_elsewhere(whole) && whole.size() == head + ring::k_body_reference_bytes)
      store.refers(references_, ring::load_body_reference(whole.data() + head), native_to_service_->written_to());
  });
}

bool pipe::write_shared(bytes head, bytes body) noexcept {
  auto& out = *native_to_service_;
  std::byte* const room = out.reserve(head.size() + ring::k_body_reference_bytes);
  if (room == nullptr) return false;
  const auto& placed = bodies_->place(body);
  if (!placed || !bodies_->store().may_refer(references_)) return false;
  std::memcpy(room, head.data(), head.size());
  codec::sidecar::say_elsewhere(room);
  store(room + head.size(), *placed);
  out.publish();
  bodies_->store().refers(references_, out.written_to());
  return true;
}

std::uint32_t pipe::begin(std::uint32_t asked) {
  using namespace codec::sidecar;
  agreed_ = 0;
  is_sharing_ = false;
  left_ = nullptr;
  trouble_.clear();
  // Whoever does not know references gets what an earlier instance has left in the compatible ring, translated.
  if (bodies_ && (asked & (k_shared_bodies | k_native_in_use)) == 0 && bodies_->store().is_referred_to_by(references_))
    asked &= ~k_native_rings;
  if (may_be_native_ && (asked & k_native_rings) != 0) {
    if (const auto made = make_native(); !made) {
      trouble_ = made.error().text();
    } else {
      const bool by_barrier = (asked & k_ring_barriers) != 0 && os::barriers_work();
      is_sharing_ = bodies_ && (asked & k_shared_bodies) != 0;
      agreed_ = k_native_rings | (by_barrier ? k_ring_barriers : 0) | (is_sharing_ ? k_shared_bodies : 0);
      native_to_service_->set_fenced(!by_barrier);
      native_from_service_->set_fenced(!by_barrier);
    }
  }
  // Whoever asks for native ones and does not get them still has those that it had.
  if (agreed_ == 0 && (asked & k_native_rings) == 0) find_left();
  switched_ = agreed_ != 0 && (asked & k_native_in_use) != 0;
  // What an earlier instance wrote to both is older in the compatible ring.
  const bool is_between = state_ == state::draining && reading_ == reading::compatible && from_service_->unread_bytes();
  const bool is_left = !switched_ && !is_between && native_from_service_ && native_from_service_->something();
  reading_ = is_left ? reading::leftover : reading::compatible;
  return agreed_;
}

bool pipe::go_on_to_next() noexcept {
  if (from_service().skips()) return true;
  switch (reading_) {
    case reading::leftover: reading_ = reading::compatible; return true;
    case reading::compatible:
      if (agreed_ == 0) {  // what an earlier instance wrote natively, behind what it wrote before
        if (!native_from_service_ || !native_from_service_->something()) return false;
        reading_ = reading::leftover;
        return true;
      }
      if (!switched_ && state_ != state::draining) return false;
      reading_ = reading::native;
      return true;
    case reading::native: return false;
  }
  __builtin_unreachable();  // all values are there
}

service_rings pipe::writes() const noexcept { return agreed_ != 0 ? service_rings::native : service_rings::compatible; }
plane_writer& pipe::to_service() noexcept {
  if (agreed_ != 0) return *native_to_service_;
  return *to_service_;
}
plane_reader& pipe::from_service() noexcept {
  if (reading_ != reading::compatible) return *native_from_service_;
  return *from_service_;
}

ring::sidecar_ring_stats pipe::read_stats() const noexcept {
  ring::sidecar_ring_stats all;
  if (from_service_) all += from_service_->stats();
  if (native_from_service_) all += native_from_service_->stats();
  return all;
}
std::uint32_t pipe::unread_to_service() const noexcept {
  return (to_service_ ? to_service_->unread_bytes() : 0) +
         (native_to_service_ ? native_to_service_->unread_bytes() : 0);
}
std::uint32_t pipe::unread_from_service() const noexcept {
  return (from_service_ ? from_service_->unread_bytes() : 0) +
         (native_from_service_ ? native_from_service_->unread_bytes() : 0);
}

result<std::unique_ptr<pipe>> pipe::open(const entity_settings& of, std::uint32_t index,
                                         const ring::sidecar_ring_limits& limits) {
  std::unique_ptr<pipe> made(new pipe(of, index, limits));
  if (const auto shared = made->share_lock(); !shared) return shared.error();
  const auto there = made->go_on();
  // Native ones that are there already: an instance may have left something in them.
  if (there && of.native && ::access((made->send_.path + k_native_suffix).c_str(), F_OK) == 0)
    if (const auto native = made->make_native(); !native) made->trouble_ = native.error().text();
  if (there) return made;
  // Whoever waits for files that are missing may have the lock already.
  const bool may_be_used = there.error() != errc::not_found;
  const auto kept = may_be_used ? made->keep_others_away() : std::optional<os::pipe_lock>();
  if (!kept) {
    made->damage_ = there.error().text();
    made->state_ = state::damaged;
    return made;
  }
  if (auto fresh = made->make_anew(); !fresh) return fresh.error();
  return made;
}

std::string pipe::disturbance() const {
  if (state_ == state::damaged) return damage_;
  if (!to_service_->sound(receive_.path))
    return receive_.path + " was replaced or removed, or somebody has written our position into it";
  if (!from_service_->sound(send_.path))
    return send_.path + " was replaced or removed, or somebody has written our position into it";
  return {};
}

// Whoever comes first would make it for himself alone.
result<void> pipe::share_lock() const {
  return users_.others.empty() ? result<void>() : os::make_private_file(lock_path_, users_);
}

// Else somebody could take the lock, and open files that are about to be replaced.
result<std::optional<os::pipe_lock>> pipe::keep_others_away() const {
  if (auto shared = os::make_private_file(lock_path_, users_); !shared) return std::optional<os::pipe_lock>();
  auto lock = os::pipe_lock::try_acquire(lock_path_);
  if (lock) return std::optional(std::move(*lock));
  if (lock.error() == errc::busy) return lock.error();
  return std::optional<os::pipe_lock>();
}

bool pipe::mend() {
  if (state_ != state::damaged) return true;
  const auto kept = keep_others_away();
  if (!kept) return false;
  remove_native();
  agreed_ = 0;
  is_sharing_ = false;
  reading_ = reading::compatible;
  const auto made = make_anew();
  if (!made) {
    damage_ = made.error().text();
    return false;
  }
  damage_.clear();
  state_ = state::idle;
  return true;
}

}  // namespace ferry::sidecar
