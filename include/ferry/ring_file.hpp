#pragma once
/// A ring in a named file, one way: one process writes records, another one reads them, and neither needs the other to
/// be there. What was published survives the death of both, at any instruction; it does not survive the machine's.
/// A reader that comes back reads again what it had not given back to the writer, so records come at least once.
/// Includes no Boost.

#include <ferry/detail/ring_core.hpp>
#include <ferry/errc.hpp>
#include <ferry/options.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace ferry {

/// The writing end. Movable. Thread safety: one thread at a time.
class ring_writer {
 public:
  using duration = std::chrono::nanoseconds;

  /// Opens the file, or makes it with a ring of options.ring_bytes; one that exists keeps its size. The whole file is
  /// reserved at once.
  /// @throws failure: busy (another writer lives) | corrupt, truncated, unsupported (the file is damaged, cut off, of
  /// another version) | auth (another user's) | no_memory (no space) | permission | not_found | bad_option ...
  [[nodiscard]] static ring_writer open(const std::string& path, const options& with = {});
  ring_writer(ring_writer&&) noexcept;
  ring_writer& operator=(ring_writer&&) noexcept;
  ~ring_writer();

  /// As for ring_connection.
  [[nodiscard]] std::size_t max_body() const noexcept { return out_->max_body(); }
  [[nodiscard]] std::byte* reserve(std::size_t size) noexcept { return out_->reserve(size); }
  void publish(std::size_t size, ring_marks marks = ring_marks::none) noexcept {
    out_->publish(size, marks);
    tell_reader();
  }
  [[nodiscard]] bool try_push(bytes body, ring_marks marks = ring_marks::none) noexcept {
    if (!out_->try_push(body, marks)) return false;
    tell_reader();
    return true;
  }
  /// Sleeps until half of the ring is free. @return false: not within this time, or never (damaged)
  [[nodiscard]] bool wait_for_room(duration within);
  /// Records that the reader has not given back.
  [[nodiscard]] std::uint64_t unread_bytes() noexcept { return out_->used(); }
  [[nodiscard]] bool reader_lives() const noexcept;
  /// Somebody cut the file off, or the reader published an impossible position: nothing more can be written.
  [[nodiscard]] bool damaged() const noexcept;

 private:
  struct parts;
  explicit ring_writer(std::unique_ptr<parts> made) noexcept;
  void tell_reader() noexcept;
  std::unique_ptr<parts> parts_;
  ring_producer* out_ = nullptr;
};

/// The reading end. Movable. Thread safety: one thread at a time.
class ring_reader {
 public:
  using duration = std::chrono::nanoseconds;

  /// Opens a file that a writer has made. @throws failure: busy (another reader lives) | not_found | as ring_writer
  [[nodiscard]] static ring_reader open(const std::string& path);
  ring_reader(ring_reader&&) noexcept;
  ring_reader& operator=(ring_reader&&) noexcept;
  ~ring_reader();

  /// The oldest record, or none; its bytes are valid until pop().
  [[nodiscard]] ring_record front() noexcept {
    const ring_record record = in_->front();
    if (in_->published_lately()) tell_writer();
    return record;
  }
  void pop() noexcept {
    in_->pop();
    if (in_->published_lately()) tell_writer();
  }
  /// Gives back what was read, so that a reader that comes after us does not read it again.
  void give_back() noexcept {
    in_->publish_position();
    if (in_->published_lately()) tell_writer();
  }
  /// Sleeps until a record is there, or the file is damaged. @return false: nothing within this time
  [[nodiscard]] bool wait(duration within);
  [[nodiscard]] bool writer_lives() const noexcept;
  [[nodiscard]] bool damaged() const noexcept;

 private:
  struct parts;
  explicit ring_reader(std::unique_ptr<parts> made) noexcept;
  void tell_writer() noexcept;
  std::unique_ptr<parts> parts_;
  ring_consumer* in_ = nullptr;
};

}  // namespace ferry
