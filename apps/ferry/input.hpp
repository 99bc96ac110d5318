#pragma once
/// Bytes that come from a file, a pipe or a terminal.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "os/unique_fd.hpp"

namespace ferry::app {

/// One source of bytes. Standard input keeps its flags: what is shared with a shell or another process is not made
/// non-blocking. One thread uses it.
class input {
 public:
  /// @param path a file, or "-" for standard input
  /// @return the error of opening it; a directory is errc::bad_address
  [[nodiscard]] static result<std::unique_ptr<input>> open(boost::asio::io_context& io, const std::string& path);
  ~input();
  input(const input&) = delete;
  input& operator=(const input&) = delete;

  /// @return bytes read (at least 1) | errc::would_block | errc::end_of_stream | the error of read()
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept;
  /// Calls `ready` from the event loop when try_read has something to say, unless the object goes first. After
  /// errc::would_block only; one at a time.
  void async_wait(std::function<void()> ready);

  /// Bytes in all, where that is known before reading: a regular file read from its start.
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept { return size_; }
  /// "standard input", or the path; for error texts.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  input(boost::asio::io_context& io, std::string name) : name_(std::move(name)), waiter_(io) {}
  [[nodiscard]] result<void> prepare(int fd);

  std::string name_;
  std::optional<std::uint64_t> size_;
  os::unique_fd own_;  // what is not read through waiter_: regular files, which are always ready
  boost::asio::posix::stream_descriptor waiter_;
  std::shared_ptr<void> alive_ = std::make_shared<int>();
};

/// A description of its own, that does not block, of the pipe or terminal behind `fd`; nothing for everything else,
/// and where /proc does not give one. @param access O_RDONLY or O_WRONLY
[[nodiscard]] os::unique_fd reopen_nonblocking(int fd, int access) noexcept;

}  // namespace ferry::app
