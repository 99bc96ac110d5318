#pragma once
/// The compatible ring files as a data plane. Source: docs/sidecar.md.

#include <memory>
#include <string>

#include "os/private_files.hpp"
#include "sidecar/data_plane.hpp"

namespace ferry::sidecar {

class compatible_reader final : public plane_reader {
 public:
  /// @return corrupt: its sizes or positions cannot be
  [[nodiscard]] static result<std::unique_ptr<compatible_reader>> attach(os::private_file file,
                                                                         const ring::sidecar_ring_limits& limits);
  [[nodiscard]] result<ring_message> front(std::uint64_t now_ms) override;
  void pop() noexcept override { in_.pop(); }
  [[nodiscard]] bool skips() const noexcept override { return in_.skips(); }
  [[nodiscard]] const ring::sidecar_ring_stats& stats() const noexcept override { return in_.stats(); }
  [[nodiscard]] std::uint32_t unread_bytes() const noexcept override { return in_.unread_bytes(); }
  [[nodiscard]] std::uint32_t queue_bytes() const noexcept override { return in_.queue_bytes(); }
  [[nodiscard]] std::uint32_t take_peak() noexcept override { return in_.take_peak(); }
  [[nodiscard]] bool torn() const noexcept override { return file_.guard->torn(); }
  /// Whether the file is still the one at its path.
  [[nodiscard]] bool is_at(const std::string& path) const noexcept { return os::id_at(path) == file_.id; }
  /// And its own position there is what it wrote.
  [[nodiscard]] bool sound(const std::string& path) const noexcept { return is_at(path) && in_.is_position_there(); }

 private:
  os::private_file file_;
  ring::sidecar_ring_consumer in_;
};

class compatible_writer final : public plane_writer {
 public:
  [[nodiscard]] static result<std::unique_ptr<compatible_writer>> attach(os::private_file file);
  [[nodiscard]] bool write(std::span<const bytes> parts, std::size_t head_bytes,
                           std::uint64_t time_ms) noexcept override;
  [[nodiscard]] bool corrupt() const noexcept override { return out_.corrupt(); }
  [[nodiscard]] std::size_t max_message() const noexcept override { return out_.max_body(); }
  [[nodiscard]] std::uint32_t unread_bytes() noexcept override { return out_.unread_bytes(); }
  [[nodiscard]] std::uint32_t queue_bytes() const noexcept override { return out_.queue_bytes(); }
  [[nodiscard]] std::uint32_t take_peak() noexcept override { return out_.take_peak(); }
  [[nodiscard]] bool torn() const noexcept override { return file_.guard->torn(); }
  /// As of the reader.
  [[nodiscard]] bool sound(const std::string& path) const noexcept {
    return os::id_at(path) == file_.id && out_.is_position_there();
  }

 private:
  os::private_file file_;
  ring::sidecar_ring_producer out_;
};

}  // namespace ferry::sidecar
