#include "sidecar/service_hub.hpp"

#include <boost/asio/post.hpp>
#include <fstream>
#include <utility>

#include "os/random.hpp"
#include "sidecar/entity_file.hpp"
#include "sidecar/service_stream.hpp"

namespace ferry::sidecar {
namespace {

constexpr const char* k_stream_messages = "ferry.stream";
constexpr auto k_retry = std::chrono::milliseconds(1);  // of what found no room

}  // namespace

service_hub::service_hub(context& where, std::string directory)
    : where_(where), directory_(std::move(directory)), last_number_(os::random_u64() >> 1), retry_(where.io()) {}

result<void> service_hub::start() {
  std::ifstream file(directory_ + "/" + k_entity_file);
  service_options with;
  if (!(file >> with.number >> with.entity >> with.pipes))
    return error(errc::not_found, directory_ + " is no directory that a sidecar has made for an entity");
  std::string name;
  std::getline(file, name);
  for (auto* one : {&with.socket_name, &with.receive_name, &with.send_name, &with.lock_name})
    if (std::getline(file, name)) *one = name;
  with.directory = directory_;
  with.message_validity = {};
  entity_ = with.entity;
  auto made = service::make(where_, with);
  if (!made) return made.error();
  carrier_ = *made;
  const auto weak = weak_from_this();
  carrier_.on_message([weak](const service_message& what) {
    if (const auto self = weak.lock()) self->heard(what);
  });
  carrier_.on_registered([weak](const service_registration&) {
    const auto self = weak.lock();
    if (!self) return;
    for (auto& [number, one] : self->attempts_) self->ask(number, one);
  });
  carrier_.on_attempt_failed([weak](const error& why) {
    if (const auto self = weak.lock()) self->fail_attempts(why);
  });
  carrier_.on_failed([weak](const error& why) {
    if (const auto self = weak.lock()) self->fail_all(why);
  });
  return carrier_.start();
}

result<void> service_hub::tell(const stream_note& note, bytes body) {
  service_package package;
  package.message_id = k_stream_messages;
  package.server_sequence = static_cast<std::uint32_t>(note.what);
  package.client_sequence = note.count;
  package.from_actor = note.ours;
  package.to_actor = note.theirs;
  return carrier_.send({.to = to_entity{note.entity}}, package, body);
}

// What waits goes first.
result<void> service_hub::tell_surely(const stream_note& note) {
  if (waiting_.empty()) {
    const auto told = tell(note);
    if (told || told.error() != errc::full) return {};
  }
  if (waiting_.size() >= k_most_waiting)
    return error(errc::full, std::to_string(k_most_waiting) + " notes of streams wait for room in the ring, the limit");
  waiting_.push_back(note);
  if (waiting_.size() == 1) retry_later();
  return {};
}

// To somebody who has no stream here; who gets none finds it out by himself.
void service_hub::answer(const stream_note& note) {
  if (waiting_.size() < k_most_answers) (void)tell_surely(note);
}

void service_hub::retry_later() {
  retry_.expires_after(k_retry);
  retry_.async_wait([kept = shared_from_this()](const error_code& failed) {
    if (failed) return;
    auto& waiting = kept->waiting_;
    for (; !waiting.empty(); waiting.pop_front()) {
      const auto told = kept->tell(waiting.front());
      if (!told && told.error() == errc::full) return kept->retry_later();
    }
  });
}

void service_hub::connect(std::uint32_t to, const std::shared_ptr<connect_handler>& done) {
  const auto number = ++last_number_;
  auto& one = attempts_[number];
  one = {to, done};
  if (carrier_.state() == service_state::registered) ask(number, one);
}

void service_hub::ask(std::uint64_t number, attempt& one) {
  if (std::exchange(one.asked, true)) return;
  one.asked = tell_surely({stream_step::open, one.to, number, 0, 0}).has_value();
}

void service_hub::forget(const std::shared_ptr<connect_handler>& done) noexcept {
  std::erase_if(attempts_, [&](const auto& one) { return one.second.done == done; });
}

void service_hub::end_attempt(std::uint64_t number, result<std::shared_ptr<stream>> outcome) {
  const auto found = attempts_.find(number);
  if (found == attempts_.end()) return;
  const auto done = found->second.done;
  if (!outcome)
    outcome = outcome.error().in("connect to sidecar://" + directory_ + "?to=" + std::to_string(found->second.to));
  attempts_.erase(found);
  if (auto report = std::exchange(*done, nullptr)) report(std::move(outcome));
}

void service_hub::fail_attempts(const error& why) {
  const auto kept = shared_from_this();
  while (!attempts_.empty()) end_attempt(attempts_.begin()->first, why);
}

void service_hub::fail_all(const error& why) {
  const auto kept = shared_from_this();
  fail_attempts(why);
  for (const auto& [number, weak] : std::exchange(streams_, {}))
    if (const auto one = weak.lock()) one->lost(why);
}

result<void> service_hub::listen(stream_arrivals& at) {
  if (arrivals_ != nullptr)
    return error(errc::address_in_use, "somebody listens on sidecar://" + directory_ + " already");
  arrivals_ = &at;
  return {};
}

std::shared_ptr<service_stream> service_hub::add(std::uint32_t entity, std::uint64_t ours, std::uint64_t theirs) {
  auto made = std::make_shared<service_stream>(shared_from_this(), entity, ours, theirs);
  streams_[ours] = made;
  return made;
}

void service_hub::asked(const stream_note& note) {
  // A sidecar that was killed brings the message in its hand again when it comes again.
  const auto [last, is_new] = last_asked_.try_emplace(note.entity, note.theirs);
  if (!is_new && std::exchange(last->second, note.theirs) == note.theirs) return;
  const auto ours = ++last_number_;
  auto made = add(note.entity, ours, note.theirs);
  if (arrivals_ != nullptr && arrivals_->arrived(made)) {
    if (const auto told = tell_surely({stream_step::accept, note.entity, ours, note.theirs, 0}); !told)
      made->lost(told.error());
    return;
  }
  answer({stream_step::refuse, note.entity, 0, note.theirs, 0});
  made->lost(error(errc::refused, "nobody listens"));
}

// The sidecar found nobody, and gives back what we sent.
void service_hub::came_back(const stream_note& ours) {
  const error why(errc::refused, "the sidecar reaches nobody of that entity");
  if (const auto one = attempts_.find(ours.ours); one != attempts_.end()) {
    if (one->second.to == ours.entity) end_attempt(ours.ours, why);
    return;
  }
  if (const auto one = find(ours)) one->lost(error(errc::reset, "the sidecar reaches the other end no more"));
}

// Null: none of which all of that is true.
std::shared_ptr<service_stream> service_hub::find(const stream_note& note) const {
  const auto found = streams_.find(note.ours);
  auto one = found == streams_.end() ? nullptr : found->second.lock();
  return one && one->is_between(note.entity, note.theirs) ? one : nullptr;
}

void service_hub::heard(const service_message& what) {
  const auto kept = shared_from_this();
  const auto& package = what.package;
  if (package.message_id != k_stream_messages) return;
  const auto step = static_cast<stream_step>(package.server_sequence);
  // It is our own message, so its numbers are the other way round.
  if (package.return_code != 0)
    return came_back({step, what.route.from, package.from_actor, package.to_actor, package.client_sequence});
  const stream_note note{step, what.route.from, package.to_actor, package.from_actor, package.client_sequence};
  switch (note.what) {
    case stream_step::open: return asked(note);
    case stream_step::accept: {
      const auto one = attempts_.find(note.ours);
      if (one != attempts_.end() && one->second.to == note.entity)
        return end_attempt(note.ours, std::shared_ptr<stream>(add(note.entity, note.ours, note.theirs)));
      return answer({stream_step::gone, note.entity, note.ours, note.theirs, 0});  // it was given up
    }
    case stream_step::refuse: {
      const auto one = attempts_.find(note.ours);
      if (one == attempts_.end() || one->second.to != note.entity) return;
      return end_attempt(note.ours, error(errc::refused, "nobody listens at entity " + std::to_string(note.entity)));
    }
    case stream_step::data:
    case stream_step::credit:
    case stream_step::end:
    case stream_step::gone:
    case stream_step::broken: {
      if (const auto one = find(note)) return one->heard(note, what.body);
      if (note.what == stream_step::data || note.what == stream_step::end)
        answer({stream_step::broken, note.entity, note.ours, note.theirs, 0});
      return;
    }
  }
}

}  // namespace ferry::sidecar
