#pragma once
/// The pipe of a service: its lock, and its rings, mapped: a compatible one each way, and a native one each way once
/// the sidecar has agreed on them. Source: docs/sidecar.md.

#include <ferry/error.hpp>
#include <ferry/sidecar.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "os/pipe_lock.hpp"
#include "sidecar/body_finder.hpp"
#include "sidecar/compatible_plane.hpp"
#include "sidecar/native_plane.hpp"

namespace ferry::sidecar {

[[nodiscard]] std::string lock_path(const service_options& of, std::uint32_t pipe);

class service_pipe {
 public:
  /// Locks a pipe: the one that this version held last, else the last that is free.
  /// Others who pick one hold the locks of all for a moment: where none is free it is asked again, for 50 ms.
  /// @return busy: none is free | what the locking of all of them failed with
  [[nodiscard]] static result<service_pipe> pick(const service_options& with, std::uint64_t version);

  /// Maps the compatible rings that the sidecar has made. @return false: they are not there yet | corrupt | permission
  /// | auth ...
  [[nodiscard]] result<bool> map(const service_options& with);
  /// Writes when the lease ends. @param now_s  since 1970
  [[nodiscard]] result<void> renew(std::int64_t now_s) const;
  /// Locks the file at the same path again, if it is another one now. @return busy: another holder lives | closed: its
  /// rings are other files now, too, as somebody has taken the pipe from us | ...
  [[nodiscard]] result<void> relock(const service_options& with);

  /// What the sidecar's answer says of rings: out() is another one from now on, and in() when go_on_to_next() says so.
  /// @return bytes that the sidecar will not take, and the service not read: of rings that are used no more
  [[nodiscard]] result<std::uint64_t> use(std::uint32_t agreed, const service_options& with);
  /// in() has given no message. @return whether it has to be asked again: there are more behind those that were too
  /// old, or it is another ring now
  bool go_on_to_next() noexcept { return in_->skips() || std::exchange(in_, next_in_) != next_in_; }

  [[nodiscard]] plane_reader& in() const noexcept { return *in_; }
  /// in(), if it is native; else null.
  [[nodiscard]] native_reader* native_in() const noexcept {
    return in_ == native_in_.get() ? native_in_.get() : nullptr;
  }
  /// Finds what in() refers to.
  [[nodiscard]] body_finder& bodies() noexcept { return bodies_; }
  [[nodiscard]] const body_finder& bodies() const noexcept { return bodies_; }
  [[nodiscard]] plane_writer& out() const noexcept { return *out_; }
  /// out(), if it is native; else null.
  [[nodiscard]] native_writer* native_out() const noexcept {
    return out_ == native_out_.get() ? native_out_.get() : nullptr;
  }
  [[nodiscard]] service_rings writes() const noexcept {
    return native_out() != nullptr ? service_rings::native : service_rings::compatible;
  }
  /// Of all its rings.
  [[nodiscard]] ring::sidecar_ring_stats read_stats() const noexcept;
  [[nodiscard]] std::uint32_t unread_bytes() const noexcept;
  [[nodiscard]] std::uint32_t unread_by_sidecar() const noexcept;

  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  /// A file has become shorter under us: what is in it means nothing.
  [[nodiscard]] bool torn() const noexcept;

 private:
  service_pipe(os::pipe_lock lock, std::uint32_t index, std::uint64_t version, const std::string& directory)
      : lock_(std::move(lock)), index_(index), version_(version), bodies_(directory) {}
  [[nodiscard]] static result<service_pipe> try_to_pick(const service_options& with, std::uint64_t version);
  [[nodiscard]] result<std::uint64_t> use_native(bool fenced, const service_options& with);

  os::pipe_lock lock_;
  std::uint32_t index_;
  std::uint64_t version_;
  body_finder bodies_;
  std::unique_ptr<compatible_reader> compatible_in_;  // null: not mapped yet
  std::unique_ptr<compatible_writer> compatible_out_;
  std::unique_ptr<native_reader> native_in_;  // null: never agreed on
  std::unique_ptr<native_writer> native_out_;
  plane_reader* in_ = nullptr;
  plane_reader* next_in_ = nullptr;
  plane_writer* out_ = nullptr;
};

}  // namespace ferry::sidecar
