#include "codec/http_blanker.hpp"

#include <algorithm>

namespace ferry::codec {
namespace {

char small(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::size_t http_blanker::blank(flow_side from, mutable_bytes data) noexcept {
  if (over_) return 0;
  auto& d = directions_[index_of(from)];
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (!step(d, data[i], from == flow_side::server)) continue;
    over_ = true;
    return i + 1;
  }
  return data.size();
}

bool http_blanker::step(direction& d, std::byte& b, bool answers) const noexcept {
  const char c = std::to_integer<char>(b);
  if (c == '\n') return end_line(d, answers);
  if (c != '\r') d.empty = false;
  if (c == '?' && d.first && !answers && (d.at == state::name || d.at == state::kept)) {
    d.at = state::query;
    return false;
  }
  switch (d.at) {
    case state::line:
      if (c == '\r') return false;
      if (c == ' ' || c == '\t') {
        d.at = d.before;
        return false;
      }
      d.length = d.blank_end = 0;
      d.at = state::name;
      [[fallthrough]];
    case state::name:
      if (c == ':' && !(d.first && answers)) {
        d.at = is_wanted(d) ? state::blanked : state::kept;
        return false;
      }
      if (d.length < d.name.size()) d.name[d.length] = small(c);
      if (d.length <= d.name.size()) d.length += 1;
      d.blank_end = c == ' ' || c == '\t' ? static_cast<std::uint8_t>(d.blank_end + 1) : std::uint8_t{0};
      if (d.length > d.name.size() && !d.first) d.at = state::kept;
      return false;
    case state::kept: return false;
    case state::blanked:
      if (c != '\r' && c != ' ' && c != '\t') b = std::byte{'x'};
      return false;
    case state::query:
      if (c == ' ')
        d.at = state::kept;
      else if (c != '\r' && c != '=' && c != '&')
        b = std::byte{'x'};
      return false;
  }
  __builtin_unreachable();
}

// The first line of an answer is kept as a name: "http/1.1 101 ...".
bool http_blanker::end_line(direction& d, bool answers) const noexcept {
  const std::string_view begin(d.name.data(), std::min<std::size_t>(d.length, d.name.size()));
  if (d.empty) {
    const bool done = d.switches && !d.first;
    d.first = true;
    d.switches = false;
    d.before = state::kept;
    d.at = state::line;
    return done;
  }
  if (d.first && answers && d.at == state::name)
    d.switches = begin.starts_with("http/1.") && begin.size() >= 12 && begin.substr(8, 4) == " 101" &&
                 (begin.size() == 12 || begin[12] == ' ' || begin[12] == '\r');
  d.before = d.at == state::blanked ? state::blanked : state::kept;
  d.first = false;
  d.empty = true;
  d.at = state::line;
  return false;
}

bool http_blanker::is_wanted(const direction& d) const noexcept {
  if (d.length > d.name.size()) return false;
  const std::string_view name(d.name.data(), static_cast<std::size_t>(d.length - d.blank_end));
  return std::find(fields_.begin(), fields_.end(), name) != fields_.end();
}

}  // namespace ferry::codec
