// Where services arrive.
#include <ferry/url.hpp>

#include <utility>

#include "net/socket_stream.hpp"
#include "os/private_files.hpp"
#include "sidecar/sidecar_parts.hpp"

namespace ferry::sidecar {
namespace {

constexpr const char* k_component = "sidecar";

}  // namespace

result<daemon::parts::listening> daemon::parts::listen(const entity_settings& what) {
  options with;
  with.allow_uids = what.allowed_uids;
  with.allow_uids.insert(with.allow_uids.end(), {owner_of(what), 0});
  with.socket_mode = 0666;  // the directory keeps others out, and each user is looked at
  const endpoint at{"ipc", {}, 0, what.directory + "/" + what.socket_name, {}};
  // The directory is the services': nothing in it is waited for.
  auto opened = os::unix_listener::open(at.path, with, os::unix_listener::lock_of::anybody);
  if (!opened) return opened.error();
  const auto owner = std::make_shared<os::unix_listener>(std::move(*opened));
  auto made = net::accept_on(where_.io(), owner->get(), AF_UNIX, with, at.text(), [owner] { owner->close(); });
  if (!made) return made.error();
  return listening{std::move(*made), owner};
}

void daemon::parts::came(door& which, std::shared_ptr<stream> carrier) {
  const auto who = carrier->peer();
  const auto made = std::make_shared<control_link>(*this, where_.io(), std::move(carrier));
  made->start();
  const auto process = who.process ? who.process->pid : 0;
  if (const auto added = registry_.add(*made, which.slot, process, std::chrono::steady_clock::now()); !added) {
    turned_away(which, added.error());
    return made->close();
  }
  links_.push_back(made);
  watch_links_by(std::chrono::steady_clock::now() + with_.registration_timeout);  // the next thing that may be late
}

// Anybody who gets to the socket can bring it about.
void daemon::parts::turned_away(door& from, const error& why) {
  ++turned_away_;
  const auto others = from.turned_away_line.tell(std::chrono::steady_clock::now());
  if (!others) return;
  where_.log(log_level::warn, k_component,
             [&] { return "entity " + std::to_string(from.what.entity) + ": " + why.text() + and_more(*others); });
}

// A socket whose file somebody removed, or replaced, is found by nobody.
void daemon::parts::look_after(const std::shared_ptr<door>& which) {
  if (!which->loop.is_open() || which->socket->has_file()) return;
  const auto name = "entity " + std::to_string(which->what.entity) + ": its socket was removed";
  auto made = listen(which->what);
  if (!made) {
    const auto why = made.error().text();
    if (std::exchange(which->fault, why) != why)
      where_.log(log_level::error, k_component, [&] { return name + ", and cannot be made again: " + why; });
    return;
  }
  which->fault.clear();
  which->loop.start(std::move(made->at));  // whoever had connected before comes first
  which->socket = std::move(made->socket);
  where_.log(log_level::warn, k_component, [&] { return name + ", and is made again"; });
}

}  // namespace ferry::sidecar
