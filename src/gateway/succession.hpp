#pragma once
/// A gateway that takes the place of another one of the same user on this host, with its listening sockets, so that at
/// no moment nobody listens. Source: docs/gateway.md.
///
///     successor                          predecessor
///     connects                    -->
///                                 <--    '1'; each listening socket; the pid file; the socket that this went over; '.'
///     listens on them, then 'r'   -->
///                                 <--    takes nobody new any more, leaves files alone: 'd'; then ends in order
///
/// Each is one byte, with a descriptor where it says so. Until 'r' the predecessor goes on as if nothing had been
/// asked; a successor whose predecessor dies goes on with what it has got.

#include <ferry/context.hpp>
#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "net/listening_sockets.hpp"
#include "os/unique_fd.hpp"

namespace ferry::gateway {

/// Who runs in our place until we are ready.
class predecessor {
 public:
  /// Asks whoever listens at a path for what it has; blocks, at most for `within`.
  /// @return nothing: nobody listens there | auth: it is another user's | protocol: it is no gateway, or of another
  /// version | timeout | as of connecting to a Unix socket
  [[nodiscard]] static result<std::optional<predecessor>> meet(const std::string& path, duration within);

  std::vector<net::passed_socket> sockets;
  os::unique_fd pid_file;  ///< locked; none: it has none, or died before it gave it
  os::unique_fd door;      ///< where it was met, listening; the same
  bool died = false;       ///< before it had given all

  /// We listen. `done` is called from the event loop, once it takes nobody new any more, or has died.
  void tell_ready(context& where, std::function<void()> done);

 private:
  os::unique_fd to_;
};

/// At the predecessor: where a successor is waited for. Runs on the context's thread.
class succession {
 public:
  struct settings {
    std::string path;                              ///< of a Unix socket, for this user alone
    os::unique_fd door{};                          ///< that listens there already
    int pid_file = -1;                             ///< locked, to be given on; -1: none
    duration patience = std::chrono::seconds(30);  ///< with one successor, until it is ready
  };
  /// @param sockets  that are given on @param over  a successor is ready, of that process id: let go of the pid file
  /// and take nobody new from now on. Called once, from the event loop
  /// @return as of unix_listener::open
  [[nodiscard]] static result<succession> open(context& where, settings with,
                                               std::shared_ptr<net::listening_sockets> sockets,
                                               std::function<void(int pid)> over);
  succession(succession&&) noexcept = default;
  succession& operator=(succession&&) = delete;
  /// Nobody can take over any more.
  ~succession();

 private:
  class parts;
  explicit succession(std::shared_ptr<parts> made) : parts_(std::move(made)) {}
  std::shared_ptr<parts> parts_;
};

}  // namespace ferry::gateway
