#pragma once
/// Native rings in files as a data plane: records in place, a doorbell in shared memory, and a named pipe beside it
/// that wakes whoever sleeps in an event loop. Source: docs/sidecar.md.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "codec/native_message.hpp"
#include "os/bell.hpp"
#include "os/private_files.hpp"
#include "os/wake_pipe.hpp"
#include "ring/message_ring.hpp"
#include "ring/ring_layout.hpp"
#include "sidecar/data_plane.hpp"

namespace ferry::sidecar {

/// The files of a native ring have the name of the compatible one and these behind it.
inline constexpr const char* k_native_suffix = ".ring";
inline constexpr const char* k_bell_suffix = ".bell";

/// A ring file, mapped, and its bell.
struct native_ring {
  os::mapping at;
  std::unique_ptr<os::bus_guard> guard;
  os::file_id id;
  ring::geometry sizes;
  std::uint64_t epoch = 0;
  os::wake_pipe wake;

  /// At the sidecar: goes on with a file that fits, or makes another one in its place. @param like  the path of the
  /// compatible ring @param queue_bytes  of that; the ring is the next power of two, 1 GiB at most
  [[nodiscard]] static result<native_ring> make(const std::string& like, std::uint64_t queue_bytes,
                                                const os::file_users& who);
  /// At the service. @param writes  else all but the page that both write is mapped for reading only
  [[nodiscard]] static result<native_ring> open(const std::string& like, bool writes);
  /// What is in the file cannot be: nobody goes on with it. Those who have it open keep it.
  static void remove(const std::string& like) noexcept;

  /// Whether both are still the files that whoever opens them now gets. @param like  as of make()
  [[nodiscard]] bool is_in_place(const std::string& like) const noexcept {
    return os::id_at(like + k_native_suffix) == id && os::is_at(wake.fd(), like + k_bell_suffix);
  }

  [[nodiscard]] ring::shared_page& shared() const noexcept {
    return *reinterpret_cast<ring::shared_page*>(at.data() + sizes.shared_offset());
  }
  [[nodiscard]] std::span<std::byte> records() const noexcept {
    return at.span().subspan(sizes.ring_offset(0), sizes.ring_bytes);
  }
};

class native_reader final : public plane_reader {
 public:
  /// Goes on where the file says. @param fenced  as for os::bell; both sides agree @return corrupt
  [[nodiscard]] static result<std::unique_ptr<native_reader>> attach(native_ring file,
                                                                     const ring::sidecar_ring_limits& limits,
                                                                     bool fenced);
  [[nodiscard]] result<ring_message> front(std::uint64_t now_ms) override;
  void pop() noexcept override {
    front_ = {};
    in_.pop();
  }
  /// The oldest message where it lies, if it is in one record, its head can be and it is not too old; front() has not
  /// given it. Else none, and front() says what there is.
  [[nodiscard]] ring_message short_front(std::uint64_t now_ms) noexcept {
    if (front_) return {};
    see_peak(now_ms);
    const auto whole = in_.front_of_one();
    if (whole.data() == nullptr) return {};
    const auto measured = codec::sidecar::measure_native(whole);
    if (measured.head_bytes == 0 || expired(measured.time_ms, now_ms)) return {};
    return {service_rings::native, whole, measured.head_bytes, measured.time_ms, true};
  }
  /// What short_front() gave is taken, and counted as what front() gives; pop() follows. @param time_ms  of it
  void take_short(std::uint64_t time_ms, std::uint64_t now_ms) noexcept {
    stats_.messages += 1;
    stats_.count_delay(time_ms, now_ms);
  }
  [[nodiscard]] bool skips() const noexcept override { return skips_; }
  [[nodiscard]] bool corrupt() const noexcept override { return in_.corrupt(); }
  [[nodiscard]] const ring::sidecar_ring_stats& stats() const noexcept override { return stats_; }
  [[nodiscard]] std::uint32_t unread_bytes() const noexcept override;
  [[nodiscard]] std::uint32_t queue_bytes() const noexcept override;
  [[nodiscard]] std::uint32_t take_peak() noexcept override {
    return std::max(unread_bytes(), std::exchange(peak_, 0));
  }
  [[nodiscard]] bool torn() const noexcept override { return file_.guard->torn(); }
  [[nodiscard]] int wake_fd() const noexcept override { return file_.wake.fd(); }
  [[nodiscard]] bool announce_sleep() noexcept override;
  [[nodiscard]] bool something() const noexcept override { return in_.something(); }
  void awake() noexcept override;
  [[nodiscard]] std::uint64_t epoch() const noexcept { return file_.epoch; }
  /// Whether somebody who comes anew finds this file, and in it what we know ourselves. @param like  as of native_ring
  [[nodiscard]] bool sound(const std::string& like) noexcept;
  /// As for os::bell; whoever is at the other end may be another one by now.
  void set_fenced(bool fenced) noexcept { bell_ = os::bell(file_.shared().records, fenced); }

 private:
  static constexpr std::uint64_t k_peak_is_seen_every_ms = 8;  // as all records are walked through for it
  [[nodiscard]] bool expired(std::uint64_t time_ms, std::uint64_t now_ms) const noexcept {
    return limits_.valid_ms != 0 && now_ms > time_ms && now_ms - time_ms > limits_.valid_ms;
  }
  void see_peak(std::uint64_t now_ms) noexcept {
    if (now_ms - seen_at_ms_ < k_peak_is_seen_every_ms) [[likely]]
      return;
    seen_at_ms_ = now_ms;
    peak_ = std::max(peak_, unread_bytes());
  }

  native_ring file_;
  ring::message_ring_consumer in_;
  os::bell bell_;
  ring::sidecar_ring_limits limits_;
  ring::sidecar_ring_stats stats_;
  ring_message front_;
  bool skips_ = false;
  std::uint64_t seen_at_ms_ = 0;  // when what is unread was looked at last
  std::uint32_t peak_ = 0;
};

class native_writer final : public plane_writer {
 public:
  [[nodiscard]] static result<std::unique_ptr<native_writer>> attach(native_ring file, bool fenced);
  [[nodiscard]] bool write(std::span<const bytes> parts, std::size_t head_bytes,
                           std::uint64_t time_ms) noexcept override;
  /// Room for a message in one record, to be written in place, 8-byte aligned; nothing can be seen before publish().
  /// @return null: it needs several, or there is no room now: write() tells
  [[nodiscard]] std::byte* reserve(std::size_t size) noexcept { return out_.reserve(size); }
  /// The message that reserve() gave room for can be seen; wakes whoever sleeps.
  void publish() noexcept {
    out_.publish();
    ring_bell();
  }
  [[nodiscard]] bool corrupt() const noexcept override { return out_.corrupt(); }
  [[nodiscard]] std::size_t max_message() const noexcept override { return out_.max_message(); }
  [[nodiscard]] std::uint32_t unread_bytes() noexcept override;
  [[nodiscard]] std::uint32_t queue_bytes() const noexcept override;
  [[nodiscard]] std::uint32_t take_peak() noexcept override;
  [[nodiscard]] bool torn() const noexcept override { return file_.guard->torn(); }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return file_.epoch; }
  /// Whether somebody who comes anew finds this file, and in it what we know ourselves. @param like  as of native_ring
  [[nodiscard]] bool sound(const std::string& like) noexcept;
  /// As for os::bell; whoever is at the other end may be another one by now.
  void set_fenced(bool fenced) noexcept { bell_ = os::bell(file_.shared().records, fenced); }
  /// Behind what was written, and behind what the reader has said that it has read.
  [[nodiscard]] std::uint64_t written_to() const noexcept { return out_.tail(); }
  [[nodiscard]] std::uint64_t read_to() noexcept { return out_.tail() - out_.unread_bytes(); }
  /// What lies in the ring and was not read: the bytes of each record, as long as they can be followed.
  void each_unread(const std::function<void(bytes)>& tell) const;

 private:
  static constexpr std::size_t k_peak_is_seen_to = 64;  // this part of the ring
  void see_peak() noexcept;
  void ring_bell() noexcept {
    // The reader's position costs a cache line.
    if (out_.tail() - seen_at_ >= out_.ring_bytes() / k_peak_is_seen_to) [[unlikely]]
      see_peak();
    if (bell_.ring()) [[unlikely]]
      file_.wake.ring();
  }

  native_ring file_;
  ring::message_ring_producer out_;
  os::bell bell_;
  std::uint64_t seen_at_ = 0;  // the tail when what is unread was looked at last
  std::uint32_t peak_ = 0;
};

}  // namespace ferry::sidecar
