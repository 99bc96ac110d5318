#pragma once
/// The place of a `ferry gateway` on its host: its pid file, listening sockets that it was given, and who takes over
/// from whom.

#include <ferry/context.hpp>
#include <ferry/error.hpp>

#include <functional>
#include <memory>
#include <optional>

#include "apps/ferry/pid_file.hpp"
#include "gateway/parameters.hpp"
#include "gateway/succession.hpp"
#include "net/listening_sockets.hpp"

namespace ferry::app {

class gateway_place {
 public:
  /// Before anything listens, and before the first thread: the sockets of LISTEN_FDS, or, if `take_over`, those of the
  /// gateway that runs under this name; the pid file.
  /// @return busy: another one runs under this name | misuse | bad_option: there is no name to take over | as of
  /// predecessor::meet
  [[nodiscard]] static result<std::unique_ptr<gateway_place>> take(context& where, const gateway::configuration& with,
                                                                   bool take_over);

  /// All listen: whoever was here before is told so, and another one may take over from now on. `over` is called when
  /// one has. @return bad_option: a socket of LISTEN_FDS is at none of the addresses
  [[nodiscard]] result<void> settle(std::function<void()> over);
  /// From now on nobody can take over.
  void close() noexcept { succession_.reset(); }

 private:
  gateway_place(context& where, const gateway::configuration& with);
  [[nodiscard]] result<void> take_sockets();
  [[nodiscard]] result<void> meet_predecessor();
  [[nodiscard]] result<void> take_pid_file();
  void wait_for_successor(std::function<void()> over);
  void claim();

  context& where_;
  std::string prefix_;    // of its files; empty: it has no name
  std::string pid_path_;  // empty: there is none
  bool is_named_;         // by whoever started it
  std::shared_ptr<net::listening_sockets> sockets_ = std::make_shared<net::listening_sockets>();
  std::optional<gateway::predecessor> before_;
  std::optional<pid_file> only_one_;
  std::optional<gateway::succession> succession_;
};

}  // namespace ferry::app
