#include "sidecar/sidecar_parts.hpp"

#include <ferry/url.hpp>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>
#include <utility>

#include "os/coarse_time.hpp"
#include "os/file_id.hpp"
#include "os/pipe_lock.hpp"
#include "os/private_files.hpp"
#include "sidecar/entity_file.hpp"

namespace ferry::sidecar {
namespace {

using session::service_address;
using session::service_routes;

constexpr int k_looks_a_turn = 64;                             // in vain, some microseconds
constexpr int k_most_pauses = 32;                              // from one to the next, some 500 ns
constexpr int k_idle_turns = 16;                               // in vain, then the event loop has its turn
constexpr int k_turns_a_reading = 64;                          // of the clock
constexpr auto k_look = std::chrono::microseconds(100);        // then it has its turn, too: others may be waiting
constexpr auto k_held_sleep = std::chrono::microseconds(100);  // between two tries of messages that wait
constexpr auto k_pipes_are_looked_after_every = std::chrono::seconds(1);
constexpr auto k_missing_is_tried_every = std::chrono::seconds(5);
constexpr auto k_sockets_are_looked_after_every = std::chrono::seconds(2);
constexpr const char* k_component = "sidecar";

time_point now_of() { return std::chrono::steady_clock::now(); }

session::service_registry_limits limits_of(const settings& with) {
  session::service_registry_limits made;
  made.registration_timeout = with.registration_timeout;
  made.heartbeat_timeout = with.heartbeat_timeout;
  return made;
}

// For those who know nothing but the directory.
result<void> tell_what_it_is(const entity_settings& of) {
  auto text = std::to_string(of.service) + " " + std::to_string(of.entity) + " " + std::to_string(of.pipes) + "\n";
  for (const auto* name : {&of.socket_name, &of.receive_name, &of.send_name, &of.lock_name}) text += *name + "\n";
  const auto made =
      os::replace_private_file(of.directory + "/" + k_entity_file, text.size(), users_of(of),
                               [&](std::span<std::byte> to) { std::memcpy(to.data(), text.data(), text.size()); });
  return made ? result<void>() : made.error();
}

bool names_a_zone(const std::vector<std::string>& tags) {
  return std::any_of(tags.begin(), tags.end(), [](const std::string& one) { return one.starts_with("area"); });
}

}  // namespace

daemon::parts::parts(context& where, const settings& with)
    : where_(where),
      with_(with),
      registry_(limits_of(with)),
      forward_(registry_.routes(), with_, *this),
      look_timer_(where.io()),
      link_timer_(where.io()),
      stop_timer_(where.io()) {}

result<void> daemon::parts::open() {
  for (const auto& one : with_.entities) {
    const auto opened = open_entity(one);
    if (opened) continue;
    const auto why = opened.error().in("entity " + std::to_string(one.entity));
    missing_.push_back({one, why, now_of()});
  }
  // What is wrong with one entity must not keep the others away; with all of them, somebody has to look at it.
  const bool goes_on = missing_.empty() || !doors_.empty();
  for (const auto& one : missing_)
    where_.log(log_level::error, k_component, [&] { return one.why.text() + (goes_on ? "; it is tried again" : ""); });
  if (!goes_on) return missing_.front().why;
  watch_links();
  return {};
}

result<void> daemon::parts::open_entity(const entity_settings& what) {
  if (auto made = os::make_private_directory(what.directory, users_of(what)); !made) return made;
  // First, so that nobody else works with these files.
  auto at = listen(what);
  if (!at) return at.error();
  ring::sidecar_ring_limits limits;
  limits.valid_ms =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(with_.message_age).count());
  std::vector<std::unique_ptr<pipe>> pipes;
  for (std::uint32_t i = 0; i < what.pipes; ++i) {
    auto made = pipe::open(what, i, limits);
    if (!made) return made.error();
    if ((*made)->where() == pipe::state::damaged)
      where_.log(log_level::warn, k_component, [&] { return (*made)->damage() + "; and a service has it"; });
    pipes.push_back(std::move(*made));
  }
  if (auto told = tell_what_it_is(what); !told) return told;
  const auto slot = registry_.add_entity({what.entity, what.service, what.pipes});
  if (!slot) return slot.error();
  forward_.add(*slot, std::move(pipes));
  const auto& made = doors_.emplace_back(std::make_shared<door>(*this));
  made->what = what;
  made->slot = *slot;
  made->socket = std::move(at->socket);
  share_what_is_there(*made);
  made->loop.start(std::move(at->at));
  watch_links_by(now_of() + k_sockets_are_looked_after_every);
  return {};
}

void daemon::parts::close_entity(const std::shared_ptr<door>& which) {
  which->loop.close();
  registry_.remove_entity(which->slot, *this);
  std::erase_if(bells_, [&](const auto& one) { return one->where.slot == which->slot; });
  forward_.remove(which->slot);
  std::erase(doors_, which);
  std::erase_if(sharings_, [&](const sharing& one) {
    return std::none_of(doors_.begin(), doors_.end(), [&](const auto& of) { return is_of(one, of->what); });
  });
}

const entity_settings& daemon::parts::settings_of(std::uint32_t slot) const {
  return (*std::find_if(doors_.begin(), doors_.end(), [&](const auto& one) { return one->slot == slot; }))->what;
}

std::string daemon::parts::text(service_address at) const {
  const auto& of = registry_.routes().entity(at.slot);
  return "entity " + std::to_string(of.entity) + (at.pipe < of.pipes ? ", pipe " + std::to_string(at.pipe) : "");
}

// ---- control connections

result<void> daemon::parts::heard(control_link& from, const codec::sidecar::notice& what) {
  const auto* asked = std::get_if<codec::sidecar::registration>(&what);
  if (asked != nullptr) from.ask_for(asked->rings);
  const auto* other = std::get_if<codec::sidecar::other_notice>(&what);
  if (other != nullptr && from.where() == session::service_link::state::registered &&
      other->id == static_cast<std::int32_t>(codec::sidecar::control_id::event_fd_notice))
    forward_.switched(from.address());
  const auto& tag = settings_of(from.address().slot).tag;
  if (asked == nullptr || tag.empty() || names_a_zone(asked->tags))
    return registry_.on_notice(from, what, now_of(), *this);
  auto tagged = *asked;
  tagged.tags.push_back(tag);
  return registry_.on_notice(from, tagged, now_of(), *this);
}

void daemon::parts::forget(const control_link& which) noexcept {
  links_.remove_if([&](const auto& one) { return one.get() == &which; });
}

void daemon::parts::over(control_link& which, const error& why) {
  const bool is_orderly = which.where() == session::service_link::state::left;
  where_.log(is_orderly ? log_level::info : log_level::warn, k_component,
             [&] { return text(which.address()) + ": its control connection ended: " + why.text(); });
  registry_.remove(which, *this);
  forget(which);
}

void daemon::parts::tell(session::service_link& to, const codec::sidecar::notice& what) {
  auto& link = static_cast<control_link&>(to);
  const auto* answer = std::get_if<codec::sidecar::registration_answer>(&what);
  if (answer == nullptr || answer->code != 0) return link.tell(what);
  auto with_rings = *answer;
  with_rings.rings = forward_.at(link.address()).rings();
  link.tell(with_rings);
}

void daemon::parts::end(session::service_link& which, const error& why) {
  auto& one = static_cast<control_link&>(which);
  where_.log(log_level::warn, k_component, [&] { return text(one.address()) + ": " + why.text(); });
  one.end();
  // Its own function may be running.
  const auto kept = one.shared_from_this();
  forget(one);
  boost::asio::post(where_.io(), [kept] {});
}

std::string daemon::parts::unusable(service_address at, std::int64_t process) {
  auto& files = forward_.at(at);
  const auto name = "pipe " + std::to_string(at.pipe);
  if (!is_usable(at)) return name + " is damaged (" + files.damage() + "); it is made anew when its lock is free";
  if (!files.is_held()) return "nobody holds the lock of " + name;
  const auto holder = os::pipe_lock::holder(files.lock_path());
  if (holder != 0 && process != 0 && holder != process)
    return "process " + std::to_string(holder) + " holds the lock of " + name;
  return {};
}

// Whoever comes next opens the files that are there now.
bool daemon::parts::is_usable(service_address at) {
  auto& files = forward_.at(at);
  if (files.where() != pipe::state::damaged) {
    const auto why = files.disturbance();
    if (why.empty()) return true;
    forward_.give_up(at, why);
  }
  return registry_.on_pipe(at) == nullptr && files.mend();
}

void daemon::parts::attached(service_address at) {
  const auto* link = static_cast<const control_link*>(registry_.on_pipe(at));
  share_with(at, link->asked_for());
  forward_.begin(at, link->asked_for());
  const auto& files = forward_.at(at);
  if (!files.trouble().empty())
    where_.log(log_level::warn, k_component, [&] { return text(at) + ": its native rings: " + files.trouble(); });
  if (files.rings() != 0) watch_bell(at);
  where_.log(log_level::info, k_component, [&] { return text(at) + ": registered"; });
  look_soon();
}

void daemon::parts::detached(service_address at) {
  where_.log(log_level::info, k_component, [&] { return text(at) + ": gone"; });
  forward_.drain(at);
  look_soon();
}

// ---- the rings

void daemon::parts::damaged(service_address at) {
  damaged_.push_back(at);
  where_.log(log_level::warn, k_component,
             [&] { return text(at) + ": its pipe is damaged: " + forward_.at(at).damage(); });
  watch_links_by(now_of() + k_pipes_are_looked_after_every);
  look_soon();  // its instance is told
}
void daemon::parts::drained(service_address at) {
  watch_links_by(now_of() + k_pipes_are_looked_after_every);  // somebody may hold it still
  where_.log(log_level::debug, k_component, [&] { return text(at) + ": all that it wrote has been read"; });
}

void daemon::parts::dropped(service_address from, const std::string& why) {
  if (const auto others = dropped_line_.tell(now_of()))
    where_.log(log_level::warn, k_component, [&] { return text(from) + ": dropped: " + why + and_more(*others); });
}

// Whoever has registered there comes again, and is told why it cannot.
void daemon::parts::end_damaged() {
  for (const auto at : std::exchange(damaged_, {})) {
    const auto found = std::find_if(links_.begin(), links_.end(), [&](const auto& one) {
      return one->where() == session::service_link::state::registered && one->address() == at;
    });
    if (found == links_.end() || forward_.at(at).where() != pipe::state::damaged) continue;
    const auto which = *found;
    registry_.remove(*which, *this);
    end(*which, error(errc::corrupt, "its pipe is damaged: " + forward_.at(at).damage()));
  }
}

void daemon::parts::watch_bell(service_address where) {
  // One that was replaced is rung by nobody any more.
  const auto path = forward_.at(where).bell_path();
  std::erase_if(bells_, [&](const auto& one) { return one->where == where && !os::is_at(one->rung.fd(), path); });
  const auto is_there = [&](const auto& one) { return one->where == where; };
  if (std::any_of(bells_.begin(), bells_.end(), is_there)) return;
  const auto made = std::make_shared<bell>(where_.io());
  made->where = where;
  auto rung = os::wake_pipe::open(path);
  if (rung) made->rung = std::move(*rung);
  const auto watched = rung ? made->at.start(made->rung.fd()) : result<void>(rung.error());
  if (!watched) {
    where_.log(log_level::error, k_component, [&] { return text(where) + ": its bell: " + watched.error().text(); });
    return;
  }
  bells_.push_back(made);
  wait(made);
}

void daemon::parts::wait(const std::shared_ptr<bell>& which) {
  which->at.async_readable([this, weak = std::weak_ptr(which)](const error_code& failed) {
    const auto one = weak.lock();
    if (failed || !one) return;
    one->rung.take();
    forward_.wake(one->where);
    look_soon();
    wait(one);
  });
}

void daemon::parts::look_soon() {
  if (closed_ || looks_) {
    look_timer_.cancel();  // it looks at once
    return;
  }
  looks_ = true;
  boost::asio::post(where_.io(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->look();
  });
}

void daemon::parts::look() {
  if (closed_) return;
  auto last = forwarder::outcome::idle;
  const auto begin = now_of();
  auto now = begin;
  auto now_ms = os::coarse_unix_milliseconds();
  int idle = 0;
  for (int i = 1;; ++i) {
    const bool reads_clock = i % k_turns_a_reading == 0;
    if (reads_clock) {
      now = now_of();
      if (now - begin >= k_look) break;
      now_ms = os::coarse_unix_milliseconds();
    }
    // A whole turn costs as much as an answer takes to come: it waits until nothing more comes the short way.
    const int passed = reads_clock ? 0 : forward_.short_turn(now_ms);
    last = passed != 0 ? forwarder::outcome::busy : forward_.turn(now, now_ms);
    if (last == forwarder::outcome::busy)
      busy_at_ = now, idle = 0;
    else if (++idle == k_idle_turns || last == forwarder::outcome::held || now - busy_at_ >= with_.spin ||
             !forward_.has_pipes() || stopped_)
      break;
    if (passed > 1)
      pauses_ = std::min(2 * pauses_, k_most_pauses);
    else if (passed == 0)
      pauses_ = std::max(pauses_ / 2, 1);
    // A look costs a tenth of a turn.
    for (int looks = 0; looks < k_looks_a_turn && !forward_.something(); looks += pauses_)
      for (int pause = 0; pause < pauses_; ++pause) ring_pause();
  }
  end_damaged();
  look_again(last, now);
}

void daemon::parts::look_again(forwarder::outcome last, time_point now) {
  looks_ = false;
  if (stopped_ && last == forwarder::outcome::idle) return finish();
  if (!forward_.has_pipes()) return;
  if (last == forwarder::outcome::busy || (last == forwarder::outcome::idle && now - busy_at_ < with_.spin))
    return look_soon();
  looks_ = true;
  // A queue that was just busy is looked at soon; one that rests, as seldom as it may be.
  const auto quiet = std::max<duration>((now - busy_at_) / 8, k_held_sleep);
  look_timer_.expires_after(last == forwarder::outcome::held ? duration(k_held_sleep)
                                                             : std::min<duration>(quiet, with_.poll_interval));
  look_timer_.async_wait([weak = weak_from_this()](const error_code&) {
    if (const auto self = weak.lock()) self->look();
  });
}

// Little is due while nobody is silent for too long, no pipe is damaged and no entity is missing.
void daemon::parts::watch_links() {
  if (closed_) return;
  const auto now = now_of();
  watch_links_by(registry_.tick(now, *this));
  if (const auto next = looked_after_ + k_pipes_are_looked_after_every; now < next) return watch_links_by(next);
  looked_after_ = now;
  for (const auto& of : doors_)
    for (std::uint32_t i = 0; i < of->what.pipes; ++i) look_after({of->slot, i}, now);
  for (const auto& of : doors_) look_after(of);
  for (auto& one : sharings_) look_after(one);
  if (!doors_.empty()) watch_links_by(now + k_sockets_are_looked_after_every);
  try_missing(now);
}

void daemon::parts::look_after(service_address at, time_point now) {
  auto& files = forward_.at(at);
  if (registry_.on_pipe(at) != nullptr) {
    if (files.where() == pipe::state::damaged) watch_links_by(now + k_pipes_are_looked_after_every);
    return;
  }
  if (files.has_lapsed(now, with_.lease)) {
    forward_.give_up(at, "whoever holds its lock has stopped to renew its lease");
    files.evict();
  }
  if (!is_usable(at))
    watch_links_by(now + k_pipes_are_looked_after_every);
  else if (files.is_watched())
    watch_links_by(now + with_.lease / 2);
}

// The earliest time that anybody asks for counts: what one service does puts nothing off for the others.
void daemon::parts::watch_links_by(time_point when) {
  if (closed_ || (watches_ && link_timer_.expiry() <= when)) return;
  watches_ = true;
  link_timer_.expires_at(when);
  link_timer_.async_wait([weak = weak_from_this()](const error_code& failed) {
    if (failed) return;
    const auto self = weak.lock();
    if (!self) return;
    self->watches_ = false;
    self->watch_links();
  });
}

void daemon::parts::try_missing(time_point now) {
  for (auto& one : std::exchange(missing_, {})) {
    if (now - one.tried >= k_missing_is_tried_every) {
      const auto opened = open_entity(one.what);
      if (opened) {
        where_.log(log_level::info, k_component,
                   [&] { return "entity " + std::to_string(one.what.entity) + " is there now"; });
        continue;
      }
      one.why = opened.error();
      one.tried = now;
    }
    watch_links_by(one.tried + k_missing_is_tried_every);
    missing_.push_back(std::move(one));
  }
}

// ---- as a whole

void daemon::parts::close() noexcept {
  closed_ = true;
  for (const auto& one : doors_) one->loop.close();
  for (const auto& one : std::exchange(links_, {})) one->end();
  bells_.clear();
  look_timer_.cancel();
  link_timer_.cancel();
  stop_timer_.cancel();
}

void daemon::parts::finish() {
  const auto done = std::exchange(stopped_, nullptr);
  close();
  if (done) boost::asio::post(where_.io(), done);
}

void daemon::parts::stop(duration within, std::function<void()> done) {
  if (closed_ || stopped_) return;
  stopped_ = std::move(done);
  for (const auto& one : doors_) one->loop.close();
  stop_timer_.expires_after(std::min(within, k_longest_wait));
  stop_timer_.async_wait([weak = weak_from_this()](const error_code& failed) {
    if (failed) return;
    if (const auto self = weak.lock(); self && self->stopped_) self->finish();
  });
  forward_.wake_all();
  look_soon();
}

std::vector<std::string> daemon::parts::change(const settings& with) {
  std::vector<std::string> left;
  if (with.message_age != with_.message_age) left.emplace_back("message-age");
  const auto of = [](const std::vector<entity_settings>& all, std::uint32_t entity) {
    return std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.entity == entity; });
  };
  for (const auto& one : std::vector(doors_)) {
    const auto now = of(with.entities, one->what.entity);
    if (now == with.entities.end())
      close_entity(one);
    else if (*now != one->what)
      left.push_back("entity " + std::to_string(now->entity));
  }
  with_ = with;
  missing_.clear();
  registry_.set_limits(limits_of(with));
  for (const auto& one : with.entities) {
    if (registry_.routes().find(one.entity) != service_routes::k_most_entities) continue;
    const auto opened = open_entity(one);
    if (opened) continue;
    left.push_back("entity " + std::to_string(one.entity) + " (" + opened.error().text() + ")");
    missing_.push_back({one, opened.error(), now_of()});
  }
  watch_links();
  return left;
}

daemon_counts daemon::parts::stats() const {
  return {registry_.counts(), forward_.counts(), turned_away_, missing_.size()};
}

pipe_view daemon::parts::view(const door& of, std::uint32_t index, time_point now) const {
  const service_address at{of.slot, index};
  const auto& files = forward_.at(at);
  pipe_view made;
  made.service = of.what.service;
  made.entity = of.what.entity;
  made.pipe = index;
  made.where = files.where();
  made.is_held = files.is_held();
  made.size_to = of.what.receive_bytes;
  made.size_from = of.what.send_bytes;
  made.counts = files.counts;
  made.from = files.read_stats();
  if (made.where != pipe::state::damaged) {
    made.unread_to = files.unread_to_service();
    made.unread_from = files.unread_from_service();
  }
  const auto* instance = registry_.routes().instance(at);
  const auto* link = registry_.on_pipe(at);
  if (instance == nullptr || link == nullptr) return made;
  made.is_main = registry_.routes().is_main(at);
  made.health = to_string(instance->health);
  made.zone = instance->zone;
  made.set_version = instance->set_version;
  made.weight = instance->weight.effective();
  made.process = link->process();
  made.version = link->version();
  made.silent = now - link->heard();
  return made;
}

std::vector<pipe_view> daemon::parts::pipes() const {
  std::vector<pipe_view> all;
  if (closed_) return all;  // the registry knows connections that are gone
  for (const auto& of : doors_)
    for (std::uint32_t i = 0; i < of->what.pipes; ++i) all.push_back(view(*of, i, now_of()));
  return all;
}

}  // namespace ferry::sidecar
