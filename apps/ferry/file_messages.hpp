#pragma once
/// The messages of a file from a position on: `send --continue`.

#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <cstdint>
#include <optional>
#include <string>

#include "apps/ferry/cutter.hpp"
#include "apps/ferry/file_position.hpp"
#include "os/unique_fd.hpp"

namespace ferry::app {

/// A line that ends with a newline is a text message without it. Everything else (a last line without a newline, a
/// whole file, a chunk) is a binary message that holds all of its bytes: so the bytes can be put together again. One
/// thread uses it.
class file_messages {
 public:
  /// @return bad_address: no regular file | the error of opening it
  [[nodiscard]] static result<file_messages> open(const std::string& path, split_rule rule, std::size_t max_message);

  /// Goes on behind what was sent. @param kept  the state of the session; nothing: begins at the start of the file, as
  /// also when the state is of another session
  /// @return corrupt: this is not the file any more; see check_position()
  [[nodiscard]] result<void> resume(std::optional<file_position> kept, std::uint64_t session);

  /// The next message, the same one until taken(); valid until then. Nothing: the end of the file as it is now.
  /// @return message_too_large, with the place, the limit and what to do | the error of reading
  [[nodiscard]] result<std::optional<message_view>> next();
  void taken() noexcept;

  /// Behind everything taken. @return end_of_stream: the file has become shorter | the error of reading
  [[nodiscard]] result<file_position> position() const;
  [[nodiscard]] std::uint64_t session() const noexcept { return session_; }
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  /// Of the file now; 0 where that cannot be told.
  [[nodiscard]] std::uint64_t size() const noexcept;
  [[nodiscard]] const std::string& name() const noexcept { return path_; }

 private:
  file_messages(os::unique_fd fd, std::string path, split_rule rule, std::size_t max_message)
      : fd_(std::move(fd)),
        path_(std::move(path)),
        rule_(rule),
        max_message_(max_message),
        cutter_(rule, max_message) {}
  [[nodiscard]] result<void> read_some();
  [[nodiscard]] error too_large() const;

  os::unique_fd fd_;
  std::string path_;
  split_rule rule_;
  std::size_t max_message_;
  cutter cutter_;
  std::uint64_t session_ = 0;
  std::uint64_t offset_ = 0;  // of the next message
  std::uint64_t read_ = 0;    // of the next byte for the cutter
  std::optional<message_view> next_;
  std::size_t next_bytes_ = 0;  // that it takes in the file
};

}  // namespace ferry::app
