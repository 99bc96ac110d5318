#include "channel/wording.hpp"

#include <algorithm>
#include <vector>

namespace ferry {
namespace {

constexpr std::size_t k_longest_name = 64;

}  // namespace

std::string shown(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, max_bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  if (text.size() > max_bytes) out += "...";
  return out;
}

std::string joined(std::span<const std::string_view> names) {
  std::string out;
  for (const auto name : names) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> cost((a.size() + 1) * width);
  const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& { return cost[i * width + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i) at(i, 0) = i;
  for (std::size_t j = 0; j <= b.size(); ++j) at(0, j) = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
      }
    }
  }
  return at(a.size(), b.size());
}

std::string_view nearest(std::string_view wrong, std::span<const std::string_view> names) {
  if (wrong.empty() || wrong.size() > k_longest_name) return {};
  std::string_view best;
  auto best_distance = k_longest_name;
  for (const auto name : names) {
    if (name.empty()) continue;
    const auto distance = edit_distance(wrong, name);
    if (distance > std::max<std::size_t>(1, name.size() / 3)) continue;
    const bool better_start = name.front() == wrong.front() && !best.empty() && best.front() != wrong.front();
    if (distance < best_distance || (distance == best_distance && better_start)) {
      best = name;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view wrong, std::span<const std::string_view> names) {
  const auto name = nearest(wrong, names);
  return name.empty() ? std::string() : ", did you mean '" + std::string(name) + "'?";
}

std::string not_known(std::string_view kind, std::string_view word, std::string_view meant,
                      std::span<const std::string_view> names) {
  const std::string thing(kind);
  const auto near = did_you_mean(meant, names);
  return "unknown " + thing + " '" + shown(word, 64) + "'" + (near.empty() ? "." : near) + " Known " + thing +
         "s: " + joined(names);
}

}  // namespace ferry
