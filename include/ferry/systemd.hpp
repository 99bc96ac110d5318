#pragma once
/// Running under systemd: the socket that it made for this process, and telling it how the process does. Needs
/// libsystemd (the component ferry::systemd). Source: sd_listen_fds(3), sd_notify(3), systemd.exec(5).

#include <ferry/error.hpp>
#include <ferry/service_manager.hpp>

#include <memory>
#include <string>

namespace ferry::systemd {

/// systemd's side of this process, read once from the environment. Without systemd every member does nothing, so a
/// program may use it always. The socket file belongs to systemd and is never removed.
class service final : public service_manager {
 public:
  /// Takes the descriptor that LISTEN_FDS announces, and unsets LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES. Call it
  /// before the first thread is started: the environment is not safe to change later.
  /// @return misuse: LISTEN_FDS is not 1, LISTEN_PID is set and is not this process, or descriptor 3 is no listening
  /// Unix stream socket. The variables are unset in these cases too.
  [[nodiscard]] static result<std::shared_ptr<service>> from_environment();
  ~service() override;  ///< closes the socket if nobody took it
  service(const service&) = delete;
  service& operator=(const service&) = delete;

  /// Where the inherited socket lies, if there is one. Else in the runtime directory, if there is that: "/tmp/a.sock"
  /// becomes "/run/app/a.sock". An abstract name, and a path that lies there already, stay as they are.
  [[nodiscard]] std::string socket_path(const std::string& path) const override;
  [[nodiscard]] result<std::unique_ptr<acceptor>> take_listener(context& where, const options& with) override;
  void ready() override;     ///< READY=1
  void stopping() override;  ///< STOPPING=1
  /// STATUS=text: what `systemctl status` shows. @param text  one line
  void status(const std::string& text);

  /// systemd is to be told how this process does.
  [[nodiscard]] bool notifies() const noexcept { return notifies_; }
  /// A socket is there that nobody has taken yet.
  [[nodiscard]] bool has_listener() const noexcept { return listening_fd_ >= 0; }
  /// The first of RUNTIME_DIRECTORY and of STATE_DIRECTORY; empty: none.
  [[nodiscard]] const std::string& runtime_directory() const noexcept { return runtime_directory_; }
  [[nodiscard]] const std::string& state_directory() const noexcept { return state_directory_; }

 private:
  service();
  int listening_fd_ = -1;
  bool notifies_ = false;
  std::string runtime_directory_;
  std::string state_directory_;
};

}  // namespace ferry::systemd
