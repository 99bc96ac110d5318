#include "gateway/shard.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>

#include "base/seldom.hpp"
#include "codec/gateway_leave.hpp"
#include "gateway/reconfigure.hpp"
#include "os/random.hpp"

namespace ferry::gateway {
namespace {

namespace asio = boost::asio;
using session::gateway_role;

constexpr std::size_t k_large_buffer = 256 * 1024;
constexpr duration k_stuck = std::chrono::seconds(1);  // who takes nothing for so long does not read

session::virtual_connection_limits limits_of(const settings& with) {
  return {with.client_max_conn, most_connections(with), with.max_members};
}

std::vector<server_key> keys_of(const settings& with) {
  return with.server_keys.empty() ? std::vector<server_key>{{with.server_key, {}}} : with.server_keys;
}

// Who looks for more has its core for itself, so there must be one for those who send it.
bool leaves_a_core(const settings& with) { return with.threads < ::sysconf(_SC_NPROCESSORS_ONLN); }

std::size_t large_size_of(const settings& with) {
  return std::max(k_large_buffer, 2 * std::max(with.clients.buffer_size, with.servers.buffer_size));
}

}  // namespace

shard::shard(context& where, const settings& with, std::shared_ptr<commons> shared, std::size_t index)
    : where_(where),
      settings_(with),
      keys_(keys_of(with)),
      shared_(std::move(shared)),
      index_(index),
      may_look_(leaves_a_core(with)),
      table_(limits_of(with), numbering(with), with.threads > 1 ? this : nullptr),
      large_(new std::byte[large_size_of(with)]),
      large_size_(large_size_of(with)),
      proving_{with.login_timeout, {}},
      clients_{with.clients.idle_timeout, {}},
      servers_{with.servers.idle_timeout, {}},
      doors_(where, *this),
      watch_(where.io()) {}

result<void> shard::listen(const shard* first) {
  const doors* const beside = first == nullptr ? nullptr : &first->doors_;
  if (auto done = doors_.open(gateway_role::client, settings_.clients, settings_, beside); !done) return done;
  return doors_.open(gateway_role::server, settings_.servers, settings_, beside);
}

void shard::close() noexcept {
  closed_ = true;
  doors_.close();
  watch_.cancel();
  for (auto& [who, kept] : members_) {
    kept->doom();
    kept->close();
  }
  for (auto* in : {&proving_, &clients_, &servers_}) in->all.clear();
  held_.clear();
  members_.clear();
  finished_ = nullptr;
}

void shard::stop(time_point at, std::function<void()> done, leaving how) {
  finished_ = std::move(done);
  doors_.close();
  table_.stop_dials();
  stop_at_ = at;
  leave_one_by_one_ = how == leaving::one_by_one;
  if (leave_one_by_one_)
    for (const auto& [who, kept] : members_)
      if (who->connections() == 0) let_leave(*who);
  look_whether_stopped(std::chrono::steady_clock::now());
  watch_until(at);
}

void shard::look_soon() {
  asio::post(where_.io(), [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && self->stop_at_)
      self->look_whether_stopped(std::chrono::steady_clock::now());
  });
}

counts shard::stats() const {
  counts made = counts_;
  made.clients = clients_.all.size();
  made.servers = servers_.all.size();
  made.arriving = proving_.all.size();
  made.connections = table_.dialled_here();
  made.dials = table_.counts();
  made.resumable = doors_.resumed();
  return made;
}

void shard::add_members(std::vector<member_view>& made, std::size_t most) const {
  const auto now = std::chrono::steady_clock::now();
  for (const auto* in : {&servers_, &clients_})
    for (const member* const one : in->all) {
      if (made.size() >= most) return;
      made.push_back({one->role(), one->id(), one->address(), one->connections(), one->waiting_packets(),
                      one->waiting_bytes(), now - one->last_heard, one->blocked.total(now), one->held.total(now),
                      one->is_between_connections()});
    }
}

std::pair<std::uint64_t, std::uint64_t> shard::waiting() const {
  std::pair<std::uint64_t, std::uint64_t> sum;
  for (const auto& [who, kept] : members_) {
    sum.first += who->waiting_packets();
    sum.second += who->waiting_bytes();
  }
  return sum;
}

void shard::change(const settings& with) {
  auto next = with;
  (void)keep_until_next_start(next, settings_);
  settings_ = std::move(next);
  keys_ = keys_of(settings_);
  shared_->set_limits(settings_);
  table_.set_limits(limits_of(settings_));
  proving_.limit = settings_.login_timeout;
  clients_.limit = settings_.clients.idle_timeout;
  servers_.limit = settings_.servers.idle_timeout;
  watch_until(std::chrono::steady_clock::now());
}

// member_owner

bool shard::arrived(member& who, std::uint32_t id) {
  auto* const before = static_cast<member*>(table_.find(gateway_role::server, id));
  if (const auto added = table_.add_server(who, id); !added) {
    ++counts_.turned_away;
    doom(who, added.error());
    return false;
  }
  shared_->logged_in();
  ++counts_.servers_accepted;
  servers_.all.splice(servers_.all.end(), proving_.all, who.place);
  who.home = &servers_.all;
  note_watch(servers_, who);
  dials_go_to_another(before, id);
  log(log_level::info, [&] { return "server " + std::to_string(id) + " is there"; });
  return true;
}

void shard::heard(member& who) {
  who.last_heard = later_ ? turn_began_ : std::chrono::steady_clock::now();
  who.home->splice(who.home->end(), *who.home, who.place);
}

result<login_outcome> shard::check(bytes login, const codec::gateway::challenge& asked) {
  return check_login(login, asked, keys_, settings_.login);
}

result<session::gateway_member*> shard::sort(member& from, const codec::gateway::packet& what) {
  const auto& side = from.role() == gateway_role::client ? settings_.clients : settings_.servers;
  if (side.resume.kind == resume_kind::token && codec::gateway::is_leave(what)) {
    let_leave(from);
    return nullptr;
  }
  talking_ = &from;
  auto whom = table_.on_packet(from, what, *this);
  talking_ = nullptr;
  return whom;
}

bool shard::forward(member& from, session::gateway_member& to, bytes packets, std::size_t count) {
  if (to.is_remote()) return hand_over(from, static_cast<remote_members&>(to), packets, count);
  auto& who = static_cast<member&>(to);
  if (who.is_doomed()) return true;
  if (!who.send(packets, count)) {
    if (settings_.when_full == overflow::pause && from.role() == gateway_role::client) {
      ++counts_.held_back;
      wait_in(who.held_back, from);
      return false;
    }
    too_slow(who);
    return true;
  }
  count_forwarded(from.role(), count, packets.size());
  return true;
}

void shard::count_forwarded(gateway_role from, std::size_t packets, std::size_t bytes_of_them) noexcept {
  counts_.forwarded += packets;
  counts_.forwarded_bytes += bytes_of_them;
  if (from != gateway_role::server) return;
  counts_.forwarded_from_servers += packets;
  counts_.forwarded_bytes_from_servers += bytes_of_them;
}

void shard::wait_in(std::vector<member*>& where, member& who) {
  who.waits_in = &where;
  who.held.begin();
  where.push_back(&who);
}

void shard::all_go_on(std::vector<member*>& waiting) {
  for (member* const one : std::exchange(waiting, {})) one->go_on();
  // Whoever is the first to wait again has used up the room: the next time it comes last.
  if (!waiting.empty()) std::rotate(waiting.begin(), waiting.begin() + 1, waiting.end());
}

void shard::doom(member& who, error why) {
  if (who.is_doomed()) return;
  if (why == errc::auth) {
    ++counts_.wrong_proofs;
    shared_->failed(who.counted_as, std::chrono::steady_clock::now());
  }
  if (why.code() == condition::protocol_violation) ++counts_.breaches;
  log(why == errc::end_of_stream || why == errc::reset ? log_level::debug : log_level::warn,
      [&] { return who.text() + " is closed: " + why.text(); });
  who.doom();
  doomed_.push_back(&who);
  run_later();
}

// Who does not read pays for the memory that waits for it, not whoever happens to need some next.
bool shard::make_room(const member& asking) {
  const auto now = std::chrono::steady_clock::now();
  member* most = nullptr;
  for (const auto& [who, kept] : members_)
    if (!who->is_doomed() && who->stuck(now) >= k_stuck && who->memory() > (most == nullptr ? 0 : most->memory()))
      most = who;
  if (most == nullptr || most == &asking) return false;
  ++counts_.slow;
  doom(*most, error(errc::no_memory, "it does not read, and the memory that waits for it is needed"));
  most->drop_queue();
  return true;
}

void shard::flush_later(member& who) {
  if (who.flush_noted) return;
  who.flush_noted = true;
  to_flush_.push_back(&who);
  run_later();
}

// gateway_commands

void shard::tell(session::gateway_member& to, const codec::gateway::command& what) {
  using codec::gateway::command_type;
  if (what.type == command_type::close && !held_.empty()) let_go(what.connection);
  if (to.is_remote()) return note(to, {.what = batch::kind::close, .number = what.connection});
  auto& who = static_cast<member&>(to);
  if (what.type == command_type::close && !who.held_far.empty())
    std::erase_if(who.held_far, [&](const auto& one) { return one.second == what.connection; });
  std::string address;
  // Only a client that dials makes the gateway tell a server Connect.
  if (settings_.connect_address && what.type == command_type::connect && who.role() == gateway_role::server)
    address = far_address_ ? std::string(*far_address_) : talking_->address().substr(0, member::k_most_more);
  // What others make a server hear is no fault of its own, and has an end: while it has no room, dials to it wait.
  const bool by_others = who.role() == gateway_role::server && talking_ != &who;
  if (!who.send(what, as_bytes(address), by_others)) too_slow(who);
  if (leave_one_by_one_ && (what.type == command_type::close || what.type == command_type::refuse))
    may_leave_.push_back(&who);
}

void shard::too_slow(member& who) {
  if (who.is_doomed()) return;
  ++counts_.slow;
  doom(who, error(errc::full, "it does not read, and its send queue is full"));
}

// Those who arrive.

void shard::not_come(const std::string& url, const error& why, std::uint64_t others) {
  log(log_level::warn,
      [&] { return (why.text().starts_with(url) ? why.text() : url + ": " + why.text()) + and_more(others); });
}

// Counts somebody who comes, until commons::gone().
bool shard::may_come(gateway_role role, const std::string& address) {
  const auto may = shared_->came(role, address, std::chrono::steady_clock::now());
  if (may) return true;
  ++counts_.turned_away;
  log(log_level::debug, [&] { return "turned away: " + may.error().text(); });
  return false;
}

void shard::welcome(gateway_role role, std::shared_ptr<stream> carrier) {
  const bool client = role == gateway_role::client;
  auto from = address_of(carrier->peer().address);
  const bool counted = client && !settings_.check.command.empty();  // at the gate
  if (!counted && !may_come(role, from)) return carrier->close();
  auto made = std::make_shared<member>(*this, std::move(carrier), client ? settings_.clients : settings_.servers);
  made->counted_as = std::move(from);
  auto& in = client ? clients_ : proving_;
  if (client && !table_.add_client(*made)) {
    ++counts_.turned_away;
    shared_->gone(role, made->counted_as, false);
    return made->close();
  }
  made->place = in.all.insert(in.all.end(), made.get());
  made->home = &in.all;
  members_.emplace(made.get(), made);
  note_watch(in, *made);
  if (client) {
    ++counts_.clients_accepted;
    return made->start_client();
  }
  codec::gateway::challenge asked{};
  const auto bits = os::random_u64();
  std::memcpy(asked.data(), &bits, sizeof bits);
  made->start_server(asked);
}

void shard::run_later() {
  if (later_) return;
  later_ = true;
  turn_began_ = std::chrono::steady_clock::now();
  if (awake_) spin_.came();
  asio::post(where_.io(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->run_now();
  });
}

void shard::run_now() {
  later_ = false;
  if (closed_) return;
  while (!to_flush_.empty() || !doomed_.empty() || !to_go_on_.empty()) {
    const auto ended = std::exchange(doomed_, {});
    for (member* const one : ended) end(*one);
    for (member* const one : std::exchange(to_go_on_, {}))
      if (one->waits_in == nullptr) one->go_on();
    flushing_.swap(to_flush_);
    for (member* const one : flushing_) {
      if (one == nullptr) continue;
      one->flush_noted = false;
      ++counts_.batches;
      one->flush();
    }
    flushing_.clear();
    for (member* const one : std::exchange(may_leave_, {}))
      if (one->connections() == 0) let_leave(*one);
  }
  for (const auto& one : neighbours_)
    if (one) publish(*one);
  const auto now = std::chrono::steady_clock::now();
  if (counts_.forwarded != forwarded_before_) {
    forwarded_before_ = counts_.forwarded;
    forward_latency_.record(static_cast<std::uint64_t>((now - turn_began_).count()));
  }
  later_ = false;
  if (may_look_ && settings_.spin > duration::zero()) {
    busy_until_ = now;
    if (!awake_ && (awake_ = spin_.look(now))) stay_awake();
  }
  if (stop_at_) look_whether_stopped(now);
}

// While something is posted an event loop looks for what has come, and goes on.
void shard::stay_awake() {
  asio::post(where_.io(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->closed_) return;
    const auto now = std::chrono::steady_clock::now();
    const auto before = std::max(std::exchange(self->looked_, now), self->busy_until_);
    self->awake_ = self->spin_.look_on(before, now);
    if (!self->awake_) return;
    self->awake_ = now - self->busy_until_ < self->settings_.spin;
    if (self->awake_) return self->stay_awake();
    self->spin_.in_vain();
  });
}

void shard::end(member& who) {
  const auto found = members_.find(&who);
  if (found == members_.end()) return;
  const auto kept = std::move(found->second);  // until all that follows is done
  members_.erase(found);
  who.home->erase(who.place);
  shared_->gone(who.home == &clients_.all ? gateway_role::client : gateway_role::server, who.counted_as,
                who.home == &proving_.all);
  table_.remove(who, *this);
  std::replace(to_flush_.begin(), to_flush_.end(), &who, static_cast<member*>(nullptr));
  std::erase(may_leave_, &who);
  if (who.waits_in != nullptr) std::erase(*who.waits_in, &who);
  forget_holds(who);
  for (const auto& [through, number] : std::exchange(who.held_far, {}))
    if (number == 0) note(*through, {.what = batch::kind::has_room, .remote = who.id()});
  const auto waiting = std::exchange(who.held_back, {});
  who.close();
  for (member* const one : waiting) one->go_on();
}

void shard::let_leave(member& who) {
  if (who.is_doomed()) return;
  who.end();
  doom(who, errc::end_of_stream);
}

void shard::note_watch(watched& in, member& who) {
  who.last_heard = std::chrono::steady_clock::now();
  if (in.limit > duration::zero()) watch_until(who.last_heard + std::min(in.limit, k_longest_wait));
}

void shard::watch_until(time_point when) {
  if (watch_end_ && *watch_end_ <= when) return;
  watch_end_ = when;
  watch_.expires_at(when);
  watch_.async_wait([weak = weak_from_this()](const error_code& failed) {
    if (failed) return;
    if (const auto self = weak.lock()) self->look_at_time();
  });
}

void shard::look_at_time() {
  const auto due = std::exchange(watch_end_, std::nullopt).value_or(time_point{});
  if (closed_) return;  // the timer had run out before it was cancelled
  const auto now = std::chrono::steady_clock::now();
  if (const auto later = late_.put_off(due, now)) return watch_until(*later);
  for (auto* in : {&proving_, &clients_, &servers_}) {
    if (in->limit <= duration::zero()) continue;
    const auto limit = std::min(in->limit, k_longest_wait);
    std::vector<member*> excused;
    for (member* const one : in->all) {
      if (one->last_heard + limit > now) {
        watch_until(one->last_heard + limit);
        break;
      }
      if (one->is_doomed()) continue;
      // Who waits for a connection has a time of its own, and who has another one begins anew; who is held is not read.
      if (one->is_between_connections() || one->has_come_again() || one->is_held()) {
        excused.push_back(one);
        continue;
      }
      ++counts_.idle;
      doom(*one, in == &proving_ ? error(errc::timeout, "it did not log in in time")
                                 : error(errc::idle, "nothing came for the idle time"));
    }
    for (member* const one : excused) heard(*one);
    if (!excused.empty()) watch_until(now + limit);
  }
  if (!stop_at_) return;
  look_whether_stopped(now);
  if (finished_) watch_until(*stop_at_);
}

void shard::look_whether_stopped(time_point now) {
  if (!finished_ || (has_connections() && now < *stop_at_)) return;
  table_.close_all(*this);
  for (auto& [who, kept] : members_)
    if (!kept->is_doomed()) kept->end();
  asio::post(where_.io(), [weak = weak_from_this(), done = std::exchange(finished_, nullptr)] {
    const auto self = weak.lock();
    if (!self) return;
    self->close();
    done();
  });
}

}  // namespace ferry::gateway
