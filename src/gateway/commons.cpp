#include "gateway/commons.hpp"

#include <algorithm>

#include "os/random.hpp"

namespace ferry::gateway {

using session::gateway_directory;
using session::gateway_role;

session::gateway_numbering numbering(const settings& with) {
  session::gateway_numbering made;
  made.first_client = with.first_client;
  made.first_connection = with.first_connection;
  made.last_connection = with.last_connection;
  if (with.unpredictable_numbers)
    for (auto& part : made.secret) part = static_cast<std::uint32_t>(os::random_u64()) | 1;
  return made;
}

std::uint32_t most_connections(const settings& with) {
  return std::min(with.max_connections, with.unpredictable_numbers ? 1u << 31 : with.last_connection / 2 + 1);
}

commons::commons(const settings& with) : last_client_(with.first_client - 1), numbers_(numbering(with)) {
  set_limits(with);
}

void commons::set_limits(const settings& with) {
  const std::lock_guard guard(lock_);
  max_members_ = with.max_members;
  max_arriving_ = with.max_arriving;
  max_connections_ = most_connections(with);
  client_book_.set_limits(with.clients.per_address);
  server_book_.set_limits(with.servers.per_address);
}

result<void> commons::came(gateway_role role, const std::string& address, time_point now) {
  const std::lock_guard guard(lock_);
  if (members_ >= max_members_)
    return error(errc::busy, "there are " + std::to_string(max_members_) + " clients and servers, the limit");
  const bool arriving = role == gateway_role::server;
  if (arriving && arriving_ >= max_arriving_)
    return error(errc::busy, std::to_string(max_arriving_) + " servers have not logged in yet, the limit");
  if (auto may = book(role).came(address, now); !may) return may;
  ++members_;
  if (arriving) ++arriving_;
  return {};
}

void commons::logged_in() {
  const std::lock_guard guard(lock_);
  --arriving_;
}

void commons::gone(gateway_role role, const std::string& address, bool was_arriving) {
  const std::lock_guard guard(lock_);
  book(role).gone(address);
  --members_;
  if (was_arriving) --arriving_;
}

void commons::failed(const std::string& address, time_point now) {
  const std::lock_guard guard(lock_);
  server_book_.failed(address, now);
}

std::uint32_t commons::add_client(const place& where) {
  const std::lock_guard guard(lock_);
  do ++last_client_;
  while (last_client_ == 0 || clients_.contains(last_client_));
  clients_.emplace(last_client_, where);
  return last_client_;
}

void commons::add_server(const place& where, std::uint32_t id) {
  const std::lock_guard guard(lock_);
  servers_.insert_or_assign(id, where);
}

void commons::remove(const session::gateway_member& who) noexcept {
  const std::lock_guard guard(lock_);
  auto& all = of(who.role());
  if (const auto found = all.find(who.id()); found != all.end() && found->second.who == &who) all.erase(found);
}

commons::place commons::find(gateway_role role, std::uint32_t id) const {
  const std::lock_guard guard(lock_);
  const auto& all = role == gateway_role::client ? clients_ : servers_;
  const auto found = all.find(id);
  return found == all.end() ? place{} : found->second;
}

commons::dialled commons::dial(std::size_t from, gateway_role role, std::uint32_t id) {
  using answer = gateway_directory::answer;
  const std::lock_guard guard(lock_);
  if (stopping_) return {answer::stopping, 0, {}};
  const auto& all = of(role);
  const auto found = all.find(id);
  if (found == all.end()) return {};
  if (in_use_.size() >= max_connections_) return {answer::limit, 0, {}};
  const auto given = numbers_.next([this](std::uint32_t one) { return in_use_.contains(one); });
  const auto to = found->second;
  in_use_.emplace(given, taken{{static_cast<std::uint16_t>(from), static_cast<std::uint16_t>(to.thread)},
                               static_cast<std::uint8_t>(from == to.thread ? 1 : 2)});
  return {answer::found, given, to};
}

void commons::release(std::uint32_t number) {
  std::function<void()> emptied;
  {
    const std::lock_guard guard(lock_);
    const auto found = in_use_.find(number);
    if (found == in_use_.end() || --found->second.left != 0) return;
    in_use_.erase(found);
    numbers_.given_back(number);
    if (stopping_ && in_use_.empty()) emptied = emptied_;
  }
  if (emptied) emptied();
}

bool commons::is_of_others(std::size_t thread, std::uint32_t number) const {
  const std::lock_guard guard(lock_);
  const auto found = in_use_.find(number);
  return found != in_use_.end() && found->second.threads[0] != thread && found->second.threads[1] != thread;
}

void commons::stop_dials(std::function<void()> emptied) {
  const std::lock_guard guard(lock_);
  stopping_ = true;
  emptied_ = std::move(emptied);
}

bool commons::has_connections() const {
  const std::lock_guard guard(lock_);
  return !in_use_.empty();
}

}  // namespace ferry::gateway
