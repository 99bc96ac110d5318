#include "apps/ferry/replay_upgrade.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "apps/ferry/replay_view.hpp"
#include "net/http_text.hpp"

namespace ferry::app {
namespace {

constexpr std::string_view k_end = "\r\n\r\n";

/// The beginning of what one side said, up to the end of the first head; empty: there is none.
std::string head_of(const codec::captured_flow& flow, codec::flow_side side) {
  std::string all;
  for (const auto& piece : flow.pieces) {
    if (piece.from != side) continue;
    all += as_text(piece.data);
    if (const auto end = all.find(k_end); end != all.npos) return all.substr(0, end + k_end.size());
    if (all.size() > replay_upgrade::k_most_head) break;
  }
  return {};
}

struct span {
  std::size_t begin = 0, size = 0;
};

/// Where the value of a field lies in a head.
std::optional<span> value_in(std::string_view head, std::string_view name) {
  for (std::size_t line = head.find("\r\n"); line != head.npos && line + 2 < head.size();) {
    const auto begin = line + 2;
    const auto end = std::min(head.find("\r\n", begin), head.size());
    const auto colon = head.substr(begin, end - begin).find(':');
    line = end;
    if (colon == head.npos || !net::same_name(head.substr(begin, colon), name)) continue;
    const auto value = std::min(head.find_first_not_of(" \t", begin + colon + 1), end);
    return span{value, end - value};
  }
  return std::nullopt;
}

std::string_view value_of(std::string_view head, std::string_view name) {
  const auto at = value_in(head, name);
  return at ? head.substr(at->begin, at->size) : std::string_view();
}

}  // namespace

replay_upgrade::replay_upgrade(const codec::captured_flow& flow)
    : recorded_(head_of(flow, codec::flow_side::client)), reads_(!recorded_.empty()) {
  const std::string answer = head_of(flow, codec::flow_side::server);
  if (!answer.starts_with("HTTP/1.1 101")) return;
  if (const auto at = value_in(answer, "sec-websocket-accept")) accept_ = {at->begin, at->size, {}};
  if (const auto at = value_in(answer, "sec-websocket-protocol")) protocol_ = {at->begin, at->size, {}};
}

std::vector<std::byte> replay_upgrade::read(bytes live) {
  if (!reads_) return {live.begin(), live.end()};
  live_ += as_text(live);
  const auto end = live_.find(k_end);
  if (end == live_.npos && live_.size() <= k_most_head) return {};
  reads_ = false;
  std::string seen = std::move(live_);
  if (end != seen.npos) {
    std::string head = seen.substr(0, end + k_end.size());
    std::string accept = net::accept_value(value_of(head, "sec-websocket-key"));
    if (accept.size() == accept_.size) accept_.live = std::move(accept);
    for (const auto offer : net::list_of(value_of(head, "sec-websocket-protocol")))
      if (offer.size() == protocol_.size && protocol_.live.empty()) protocol_.live = offer;
    const auto take_recorded = [&](std::string_view name) {
      const auto here = value_in(head, name);
      const auto there = value_in(recorded_, name);
      if (here && there) head.replace(here->begin, here->size, recorded_, there->begin, there->size);
    };
    take_recorded("host");
    for (const auto name : k_other_each_time) take_recorded(name);
    seen.replace(0, end + k_end.size(), head);
  }
  const auto all = as_bytes(seen);
  return {all.begin(), all.end()};
}

bool replay_upgrade::is_ready(std::uint64_t offset, std::size_t size) const noexcept {
  const auto apart = [&](const place& one) {
    return one.size == 0 || offset >= one.begin + one.size || offset + size <= one.begin;
  };
  return !reads_ || (apart(accept_) && apart(protocol_));
}

void replay_upgrade::answer(std::uint64_t offset, mutable_bytes data) const noexcept {
  for (const place* one : {&accept_, &protocol_})
    for (std::size_t i = 0; i < one->live.size(); ++i) {
      const std::uint64_t at = one->begin + i;
      if (at >= offset && at - offset < data.size())
        data[static_cast<std::size_t>(at - offset)] = static_cast<std::byte>(one->live[i]);
    }
}

}  // namespace ferry::app
