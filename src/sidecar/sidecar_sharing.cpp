// The files in which bodies lie once that several entities of one service get.
#include <algorithm>
#include <utility>

#include "codec/sidecar_notices.hpp"
#include "sidecar/sidecar_parts.hpp"

namespace ferry::sidecar {
namespace {

constexpr const char* k_component = "sidecar";

}  // namespace

bool daemon::parts::is_of(const sharing& which, const entity_settings& what) {
  return which.service == what.service && which.who == users_of(what);
}

daemon::parts::sharing& daemon::parts::sharing_of(const entity_settings& what) {
  const auto found =
      std::find_if(sharings_.begin(), sharings_.end(), [&](const sharing& one) { return is_of(one, what); });
  return found != sharings_.end() ? *found : sharings_.emplace_back(sharing{what.service, users_of(what), nullptr});
}

// What its rings refer to must not be written over.
void daemon::parts::share_what_is_there(const door& of) {
  if (with_.shared_bytes == 0 || !of.what.native) return;
  auto& one = sharing_of(of.what);
  if (!one.bodies) {
    auto there = shared_bodies::go_on(of.what.directory, one.service, with_.shared_bytes, one.who);
    if (!there) return;
    one.bodies = std::move(*there);
  }
  if (!one.bodies->is_shown_in(of.what.directory)) return;
  for (std::uint32_t i = 0; i < of.what.pipes; ++i) forward_.at({of.slot, i}).share(one.bodies);
}

// An entity that has no other one of its service gets nothing that others get too.
void daemon::parts::share_with(session::service_address at, std::uint32_t asked) {
  if ((asked & codec::sidecar::k_shared_bodies) == 0) return;
  const auto& what = settings_of(at.slot);
  auto& one = sharing_of(what);
  auto& files = forward_.at(at);
  const auto is_of_it = [&](const auto& of) { return is_of(one, of->what); };
  if (with_.shared_bytes == 0 || !what.native || std::count_if(doors_.begin(), doors_.end(), is_of_it) < 2)
    return files.share(nullptr);
  const auto shown = show(one, what);
  if (!shown)
    where_.log(log_level::warn, k_component,
               [&] { return text(at) + ": each of its messages is copied: " + shown.error().text(); });
  files.share(shown ? one.bodies : nullptr);
}

// Made, if there is none; made anew, where its first name has gone.
result<void> daemon::parts::show(sharing& which, const entity_settings& to) {
  if (!which.bodies || which.bodies->is_torn()) return renew(which, to);
  auto shown = which.bodies->show_in(to.directory);
  return shown || shown.error() != errc::not_found ? shown : renew(which, to);
}

// Those who had the one before have this one at once.
result<void> daemon::parts::renew(sharing& which, const entity_settings& first) {
  auto made = shared_bodies::make(first.directory, which.service, with_.shared_bytes, which.who);
  const auto before = std::exchange(which.bodies, made ? std::move(*made) : nullptr);
  for (const auto& of : doors_) {
    if (!before || !is_of(which, of->what)) continue;
    const bool is_shown = which.bodies && which.bodies->show_in(of->what.directory);
    for (std::uint32_t i = 0; i < of->what.pipes; ++i)
      if (auto& files = forward_.at({of->slot, i}); files.is_in(*before))
        files.share(is_shown ? which.bodies : nullptr);
  }
  return made ? result<void>() : made.error();
}

// Somebody may have cut it off.
void daemon::parts::look_after(sharing& which) {
  if (!which.bodies || !which.bodies->is_torn()) return;
  const auto of = std::find_if(doors_.begin(), doors_.end(), [&](const auto& one) { return is_of(which, one->what); });
  const auto renewed = renew(which, (*of)->what);
  where_.log(log_level::warn, k_component, [&] {
    return "the file of bodies for several of service " + std::to_string(which.service) + " was cut off, and " +
           (renewed ? "made anew" : "cannot be made anew: " + renewed.error().text());
  });
}

}  // namespace ferry::sidecar
