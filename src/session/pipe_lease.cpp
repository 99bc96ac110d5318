#include "session/pipe_lease.hpp"

#include <charconv>

namespace ferry::session {

std::string to_text(const pipe_lease& lease) {
  return std::to_string(lease.version) + ' ' + std::to_string(lease.expiry);
}

std::optional<pipe_lease> parse_lease(std::string_view content) noexcept {
  if (content.size() > k_max_lease_text) return std::nullopt;
  while (!content.empty() && (content.back() == '\n' || content.back() == ' ')) content.remove_suffix(1);
  pipe_lease made;
  const char* const end = content.data() + content.size();
  const auto version = std::from_chars(content.data(), end, made.version);
  if (version.ec != std::errc() || version.ptr == end || *version.ptr != ' ') return std::nullopt;
  const auto expiry = std::from_chars(version.ptr + 1, end, made.expiry);
  if (expiry.ec != std::errc() || expiry.ptr != end || made.expiry < 0) return std::nullopt;
  return made;
}

std::optional<std::size_t> choose_pipe(std::span<const free_pipe> found, std::uint64_t version) noexcept {
  std::optional<std::size_t> own;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto& left = found[i].left;
    if (left && left->version == version && (!own || left->expiry > found[*own].left->expiry)) own = i;
  }
  if (own) return own;
  return found.empty() ? std::nullopt : std::optional(found.size() - 1);
}

lease_action lease_keeper::on_time(time_point now) const noexcept {
  return state_ == state::held && now >= renew_at_ ? lease_action::renew : lease_action::none;
}

lease_action lease_keeper::on_renewed(bool written, time_point now) noexcept {
  renew_at_ = now + k_lease_renewal;
  switch (state_) {
    case state::held: return written ? lease_action::none : enter(state::unsure, lease_action::relock);
    case state::relocked:
      return written ? enter(state::held, lease_action::none) : enter(state::lost, lease_action::lost);
    case state::unsure:
    case state::lost: return lease_action::none;
  }
  __builtin_unreachable();  // state_ is assigned in enter() only
}

lease_action lease_keeper::on_relocked(bool locked) noexcept {
  if (state_ != state::unsure) return lease_action::none;
  return locked ? enter(state::relocked, lease_action::renew) : enter(state::lost, lease_action::lost);
}

std::optional<time_point> lease_keeper::next() const noexcept {
  return state_ == state::held ? std::optional(renew_at_) : std::nullopt;
}

}  // namespace ferry::session
