#include <ferry/systemd.hpp>

#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "net/transports.hpp"
#include "os/listen_fds.hpp"
#include "os/socket.hpp"

namespace ferry::systemd {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before the first thread, says the contract
  return value == nullptr ? "" : value;
}

// systemd separates several directories by colons.
std::string first_directory(const char* name) {
  const std::string all = variable(name);
  return all.substr(0, all.find(':'));
}

// @return none: systemd gave none
result<os::unique_fd> inherited_socket() {
  auto given = os::take_listen_fds();
  if (!given) return given.error();
  if (given->empty()) return os::unique_fd();
  if (given->size() != 1)
    return error(errc::misuse, "LISTEN_FDS is " + std::to_string(given->size()) + ": exactly 1 socket is wanted");
  auto& fd = given->front().fd;
  if (::sd_is_socket_unix(fd.get(), SOCK_STREAM, 1, nullptr, 0) <= 0)
    return error(errc::misuse, "descriptor " + std::to_string(fd.get()) +
                                   ", given by LISTEN_FDS, is not a listening Unix stream socket");
  return std::move(fd);
}

}  // namespace

service::service()
    : notifies_(!variable("NOTIFY_SOCKET").empty()),
      runtime_directory_(first_directory("RUNTIME_DIRECTORY")),
      state_directory_(first_directory("STATE_DIRECTORY")) {}

result<std::shared_ptr<service>> service::from_environment() {
  auto inherited = inherited_socket();
  if (!inherited) return inherited.error();
  const std::shared_ptr<service> made(new service());
  made->listening_fd_ = inherited->release();
  return made;
}

service::~service() {
  if (listening_fd_ >= 0) ::close(listening_fd_);
}

std::string service::socket_path(const std::string& path) const {
  if (has_listener()) {
    const auto bound = os::local_address(listening_fd_);
    return bound ? bound->text() : path;
  }
  if (runtime_directory_.empty() || path.empty() || path.starts_with('@')) return path;
  if (path.starts_with(runtime_directory_ + "/")) return path;
  return runtime_directory_ + "/" + std::filesystem::path(path).filename().string();
}

result<std::unique_ptr<acceptor>> service::take_listener(context& where, const options& with) {
  if (listening_fd_ < 0) return std::unique_ptr<acceptor>();
  return net::adopt_unix_acceptor(where, std::exchange(listening_fd_, -1), with);
}

// What systemd does not hear it cannot answer, and the service goes on: failures are left alone.
void service::ready() { (void)::sd_notify(0, "READY=1"); }
void service::stopping() { (void)::sd_notify(0, "STOPPING=1"); }
void service::status(const std::string& text) { (void)::sd_notify(0, ("STATUS=" + text).c_str()); }

}  // namespace ferry::systemd
