#pragma once
/// Rings in shared memory without an event loop: records are written and read in place, by whoever polls. The other end
/// may be a channel on the same shm:// endpoint as well. Includes no Boost.
///
/// A message is one record. A channel sends one that is larger than max_body() in pieces (`more`), the first of which
/// is tagged with the size of the whole: see <ferry/detail/ring_core.hpp>.

#include <ferry/detail/ring_core.hpp>
#include <ferry/errc.hpp>
#include <ferry/options.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ferry {

/// What a connection has come to, as its receiving side sees it once no record is left.
enum class ring_state : std::uint8_t {
  open,     ///< more may come
  ended,    ///< the peer said that nothing follows, and everything was read
  gone,     ///< the peer's process died; what it had published was read
  corrupt,  ///< the peer's memory breaks the rules; nothing more is read from it
};

/// One end of a connection. Movable; destroying it ends it, and the peer still reads what was published.
/// Thread safety: one thread for the sending functions and one for the others.
class ring_connection {
 public:
  using duration = std::chrono::nanoseconds;

  /// Connects to a shm:// URL; options in it come on top of `with`. Waits for at most connect_timeout.
  /// @throws failure: bad_url | bad_option | refused | not_found | timeout | no_memory | protocol | ...
  [[nodiscard]] static ring_connection connect(std::string_view url, const options& with = {});

  ring_connection(ring_connection&&) noexcept;
  ring_connection& operator=(ring_connection&&) noexcept;
  ~ring_connection();

  // Sending
  // ------------------------------------------------------------------------------------------------------------

  /// The largest body of a record that we can send, in bytes: a quarter of ring_bytes and 16.
  [[nodiscard]] std::size_t max_body() const noexcept { return out_->max_body(); }
  /// Room for a record, 8-byte aligned, to be written in place; nothing is visible before publish(). Reserving again
  /// gives it up. No system call.
  /// @param size  0 .. max_body()
  /// @return null: no room now (wait_for_room), or the connection is of no more use (state)
  [[nodiscard]] std::byte* reserve(std::size_t size) noexcept { return out_->reserve(size); }
  /// Makes the reserved record visible and wakes the peer if it sleeps. @param size  at most what was reserved
  void publish(std::size_t size, ring_marks marks = ring_marks::none) noexcept {
    out_->publish(size, marks);
    after_publish();
  }
  /// reserve, copy and publish. @return false: as reserve()
  [[nodiscard]] bool try_push(bytes body, ring_marks marks = ring_marks::none) noexcept {
    if (!out_->try_push(body, marks)) return false;
    after_publish();
    return true;
  }
  /// Sleeps until half of the ring is free. @return false: not within this time, or never (state)
  [[nodiscard]] bool wait_for_room(duration within);
  /// Says that nothing follows. The other direction goes on.
  void end() noexcept;

  // Receiving
  // ----------------------------------------------------------------------------------------------------------

  /// The oldest record, or none. Its bytes lie in the peer's memory and are valid until pop(); a peer that is not
  /// trusted may change them meanwhile: copy them first.
  [[nodiscard]] ring_record front() noexcept {
    const ring_record record = in_->front();
    return record ? record : front_elsewhere();
  }
  /// Done with the record that front() gave.
  void pop() noexcept {
    if (in_->pop() || several_) [[unlikely]]
      after_pop();
  }
  /// For loops that look with front() until something is there, once after each look in vain: a reader that looks
  /// without a pause takes away line after line that is being written.
  void pause() noexcept { several_ ? ring_pause() : in_->pause(); }
  /// Looks for options.spin, then sleeps until something is there: a record, the end, or the peer's death, which is
  /// noticed within 100 ms. Falling asleep costs about 8 us. @return false: nothing within this time; true: front() has
  /// a record, or finds the end, and then state() tells
  [[nodiscard]] bool wait(duration within);

  // Life
  // ---------------------------------------------------------------------------------------------------------------

  [[nodiscard]] ring_state state() noexcept;
  /// Whether the peer's process still holds its end. A system call.
  [[nodiscard]] bool alive() noexcept;
  /// The connection's Unix socket, for poll or epoll: readable when the peer is gone. Owned by the connection.
  [[nodiscard]] int fd() const noexcept;

 private:
  friend class ring_listener;
  struct parts;
  explicit ring_connection(std::unique_ptr<parts> made) noexcept;
  [[nodiscard]] ring_record front_elsewhere() noexcept;
  void after_pop() noexcept;
  void after_publish() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the sleeper's barrier sees to the rest
    if (reader_sleeps_->load(std::memory_order_relaxed) != 0 || fenced_) [[unlikely]]
      tell_reader();
  }
  void tell_reader() noexcept;

  std::unique_ptr<parts> parts_;
  // What the fast paths need of them.
  ring_producer* out_ = nullptr;
  ring_consumer* in_ = nullptr;  // the ring that is read now, of several
  std::atomic<std::uint32_t>* reader_sleeps_ = nullptr;
  bool fenced_ = false;
  bool several_ = false;
};

/// Where connections arrive. Movable; connections live on without it.
/// Thread safety: one thread at a time.
class ring_listener {
 public:
  using duration = std::chrono::nanoseconds;

  /// Listens at a shm:// URL already when it returns.
  /// @throws failure: bad_url | bad_option | bad_address | address_in_use | permission | auth | ...
  [[nodiscard]] static ring_listener open(std::string_view url, const options& with = {});
  ring_listener(ring_listener&&) noexcept;
  ring_listener& operator=(ring_listener&&) noexcept;
  ~ring_listener();

  /// The next connection; nothing if none was made within this time. Who connects and breaks the protocol, or is not
  /// allowed, is turned away and told why.
  /// @throws failure: busy (no descriptors left) | no_memory ...
  [[nodiscard]] std::optional<ring_connection> accept(duration within = duration::max());
  [[nodiscard]] std::string url() const;

 private:
  struct parts;
  explicit ring_listener(std::unique_ptr<parts> made) noexcept;
  std::unique_ptr<parts> parts_;
};

}  // namespace ferry
