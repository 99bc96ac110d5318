#pragma once
/// Listening sockets that outlive whoever listens: those that this process was given, by a service manager or by the
/// process whose place it takes, and those that it can give on.

#include <ferry/error.hpp>
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "os/socket.hpp"
#include "os/unique_fd.hpp"
#include "os/unix_listener.hpp"

namespace ferry::net {

/// A copy of a listening socket, for another process.
struct passed_socket {
  os::unique_fd fd;
  std::string whose;       ///< as now_for() named it
  bool owns_file = false;  ///< of a Unix socket: whoever has it last removes its file
};

/// Whoever listens on an io_context that uses this looks here first, and is known here from then on. Several threads
/// may share one, as long as one of them at a time listens, closes and calls members.
class listening_sockets {
 public:
  /// From now on `io` uses them.
  static void use(boost::asio::io_context& io, std::shared_ptr<listening_sockets> all);
  /// Null: it uses none.
  [[nodiscard]] static std::shared_ptr<listening_sockets> of(boost::asio::io_context& io);

  /// A socket that listens already; the first listener at its address takes it, with the options that it has.
  /// @return misuse: it is no stream socket that listens
  result<void> add(passed_socket given);

  /// Whose addresses are listened at next. One with any port takes only what has that name, or none.
  void now_for(std::string_view whose) { whose_ = whose; }
  /// Such a socket was given and is not taken. Where the port is any, it may be one of several.
  [[nodiscard]] bool has(const endpoint& at) const { return waiting_at(at) != 0; }
  /// How many were given for that address (of TCP) and are not taken. With any port: for that of the first one.
  [[nodiscard]] std::size_t waiting_at(const endpoint& at) const;

  // For transports.

  /// The first one that was given for the address and is not taken; if all are, a copy of one that the same name has
  /// taken: several threads may accept from one socket. Null: none was given.
  [[nodiscard]] std::shared_ptr<os::unique_fd> take(const endpoint& at);
  /// The same of a Unix socket, "/path" or "@name". Not copied.
  [[nodiscard]] std::shared_ptr<os::unix_listener> take(const std::string& path);
  /// Listens by itself.
  void note(const std::shared_ptr<os::unique_fd>& made);
  void note(const std::shared_ptr<os::unix_listener>& made);

  // For who gives them on.

  /// Of all that are listened on. @return busy: no descriptor is left
  [[nodiscard]] result<std::vector<passed_socket>> copies() const;
  /// Another process has them now: files are left alone from now on.
  void keep_files();
  /// Addresses of those that were given and nobody has taken; they are closed.
  std::vector<std::string> drop_rest();

 private:
  struct entry {
    os::socket_address at;
    std::string whose;
    bool given = false;
    bool owns_file = false;
    os::unique_fd waiting;  // given, and not taken
    std::weak_ptr<os::unique_fd> tcp{};
    std::weak_ptr<os::unix_listener> local{};
    [[nodiscard]] int fd() const;  // -1: nobody listens there any more
  };
  [[nodiscard]] bool fits(const entry& one, const os::socket_address& wanted) const;
  [[nodiscard]] const entry* first_at(const endpoint& at, bool waiting) const;

  std::vector<entry> all_;
  std::string whose_;
};

/// Listens at "/path" or "@name": on what was given, else anew. @return as of unix_listener::open
[[nodiscard]] result<std::shared_ptr<os::unix_listener>> listen_at_path(boost::asio::io_context& io,
                                                                        const std::string& path, const options& with);

}  // namespace ferry::net
