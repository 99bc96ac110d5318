#pragma once
/// A file descriptor that travels with bytes over a Unix socket (unix(7), SCM_RIGHTS).

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstddef>

#include "os/unique_fd.hpp"

namespace ferry::os {

/// Sends all of `text`, which must fit into the socket's buffer, with a copy of descriptor `passed`; -1: without one.
/// Never blocks. @return would_block (nothing was sent) | reset ...
[[nodiscard]] result<void> send_with_fd(int socket, bytes text, int passed) noexcept;

struct received_with_fd {
  std::size_t size = 0;  ///< at least 1
  unique_fd fd;          ///< none if none came along; of several only the first is kept
};
/// Never blocks. @return would_block | end_of_stream | reset | busy: no descriptor was left for the one that came ...
[[nodiscard]] result<received_with_fd> receive_with_fd(int socket, mutable_bytes into) noexcept;

}  // namespace ferry::os
