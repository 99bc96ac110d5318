#pragma once
/// A file that grows by whole transactions: `listen --append`.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <string>

#include "apps/ferry/file_position.hpp"
#include "os/unique_fd.hpp"

namespace ferry::app {

/// What is written lies behind the position until it is committed; what a crash left there is cut off. One thread uses
/// it.
class append_file {
 public:
  /// Makes the file if there is none, and locks it: no other append_file, of any process, may have it.
  /// @return busy | bad_address: no regular file | the error of opening it
  [[nodiscard]] static result<append_file> open(const std::string& path);
  /// Nothing will be written: removes the file if open() has made it.
  void forget() noexcept;

  /// Goes on in a session. @param kept  its state; nothing: it has not begun, or another one has written
  /// @return corrupt: the file is not what that state says, or has content though nothing was written | the error of
  /// cutting off what was not committed
  [[nodiscard]] result<void> resume(std::optional<file_position> kept, std::uint64_t session);
  /// Behind what was written before. @return the error of writing (a full disk): what came through of it is cut off
  [[nodiscard]] result<void> write(bytes what);
  /// Everything written, and how long the file is, to the disk.
  [[nodiscard]] result<void> sync();
  /// The position behind what was written, for the transaction. @return the error of reading
  [[nodiscard]] result<file_position> written() const;
  void committed(const file_position& at) noexcept { committed_ = at; }
  [[nodiscard]] const file_position& position() const noexcept { return committed_; }
  /// Cuts off what was written and not committed; as far as it can be.
  void roll_back() noexcept;

 private:
  append_file(os::unique_fd fd, std::string path, bool made)
      : fd_(std::move(fd)), path_(std::move(path)), made_(made) {}
  [[nodiscard]] result<void> must_be_empty() const;

  os::unique_fd fd_;
  std::string path_;
  bool made_;
  file_position committed_{position_of::receiver, 0, 0, 0};
  std::uint64_t end_ = 0;
};

}  // namespace ferry::app
