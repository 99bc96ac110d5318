#include "apps/ferry/gateway_place.hpp"

#include <string>
#include <utility>

#include "apps/ferry/app.hpp"
#include "apps/ferry/gateway_commands.hpp"
#include "os/listen_fds.hpp"

namespace ferry::app {
namespace {

constexpr auto k_patience = std::chrono::seconds(10);

std::string joined(const std::vector<std::string>& words) {
  std::string made;
  for (const auto& one : words) made += (made.empty() ? "" : ", ") + one;
  return made;
}

}  // namespace

gateway_place::gateway_place(context& where, const gateway::configuration& with)
    : where_(where),
      prefix_(operator_prefix(with)),
      pid_path_(with.pid_file.empty() && !prefix_.empty() ? prefix_ + ".pid" : with.pid_file),
      is_named_(with.name || !with.pid_file.empty()) {
  net::listening_sockets::use(where.io(), sockets_);
}

result<std::unique_ptr<gateway_place>> gateway_place::take(context& where, const gateway::configuration& with,
                                                           bool take_over) {
  std::unique_ptr<gateway_place> made(new gateway_place(where, with));
  if (const auto taken = made->take_sockets(); !taken) return taken.error();
  if (take_over)
    if (const auto met = made->meet_predecessor(); !met) return met.error().in("take-over");
  if (const auto alone = made->take_pid_file(); !alone) return alone.error();
  return made;
}

result<void> gateway_place::take_sockets() {
  auto given = os::take_listen_fds();
  if (!given) return given.error();
  for (auto& one : *given) {
    // By other names (systemd's default is that of the unit) they are anybody's.
    const bool known = one.name == "client" || one.name == "server";
    if (const auto added = sockets_->add({std::move(one.fd), known ? one.name : ""}); !added)
      return added.error().in("LISTEN_FDS");
  }
  return {};
}

result<void> gateway_place::meet_predecessor() {
  if (prefix_.empty()) return error(errc::bad_option, "needs the name of the gateway whose place it takes (--name)");
  auto met = gateway::predecessor::meet(prefix_ + ".sock", k_patience);
  if (!met) return met.error();
  before_ = std::move(*met);
  if (!before_) {
    say("nobody is there to take over from");
    return {};
  }
  if (before_->died) say("who was to be taken over from has ended before it had given all");
  for (auto& one : before_->sockets)
    if (const auto added = sockets_->add(std::move(one)); !added) return added.error();
  return {};
}

result<void> gateway_place::take_pid_file() {
  if (pid_path_.empty()) return {};
  auto made = before_ && before_->pid_file ? pid_file::adopt(std::move(before_->pid_file), pid_path_)
                                           : pid_file::take(pid_path_);
  if (!made && !is_named_)
    return error(made.error().reason(), made.error().text() + "; --name NAME gives it another, --name '' none",
                 made.error().system_errno());
  if (!made) return made.error();
  only_one_.emplace(std::move(*made));
  return {};
}

result<void> gateway_place::settle(std::function<void()> over) {
  const auto rest = sockets_->drop_rest();
  if (!rest.empty() && !before_)
    return error(errc::bad_option,
                 "LISTEN_FDS: " + joined(rest) + " was given, and is none of client-addr, server-addr and admin-addr");
  if (!rest.empty()) say("from now on nobody listens at " + joined(rest));
  if (!prefix_.empty()) wait_for_successor(std::move(over));
  if (before_) before_->tell_ready(where_, [this] { claim(); });
  return {};
}

void gateway_place::wait_for_successor(std::function<void()> over) {
  gateway::succession::settings how{.path = prefix_ + ".sock"};
  if (before_) how.door = std::move(before_->door);
  if (only_one_) how.pid_file = only_one_->fd();
  auto made = gateway::succession::open(where_, std::move(how), sockets_, [this, over = std::move(over)](int pid) {
    say("process " + std::to_string(pid) + " has taken over");
    if (only_one_) only_one_->give_away();
    over();
  });
  if (made)
    succession_.emplace(std::move(*made));
  else
    say("warning: nobody will be able to take over from this gateway: " + made.error().text());
}

void gateway_place::claim() {
  if (!only_one_) return say("has taken over");
  const auto who = only_one_->holder();
  if (const auto written = only_one_->claim(); !written) say("warning: " + written.error().text());
  say("has taken over from process " + who);
}

}  // namespace ferry::app
