#include "channel/option_value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>
#include <span>

namespace ferry {
namespace {

constexpr auto k_largest = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t k_no_uid = 0xffffffff;  // (uid_t)-1 means "no user" to the system

struct unit_name {
  std::string_view name;  // in small letters
  std::uint64_t factor;
};

// The names that format_whole() prefers stand first, the largest factor first.
constexpr std::array k_sizes{unit_name{"gib", 1ull << 30},  unit_name{"mib", 1ull << 20},
                             unit_name{"kib", 1ull << 10},  unit_name{"b", 1},
                             unit_name{"k", 1'000},         unit_name{"kb", 1'000},
                             unit_name{"m", 1'000'000},     unit_name{"mb", 1'000'000},
                             unit_name{"g", 1'000'000'000}, unit_name{"gb", 1'000'000'000}};
constexpr std::array k_counts{unit_name{"k", 1'000}, unit_name{"m", 1'000'000}, unit_name{"g", 1'000'000'000}};
constexpr std::array k_durations{
    unit_name{"h", 3'600'000'000'000}, unit_name{"m", 60'000'000'000}, unit_name{"s", 1'000'000'000},
    unit_name{"ms", 1'000'000},        unit_name{"us", 1'000},         unit_name{"ns", 1}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Digits alone; a number that does not fit becomes the largest one.
std::uint64_t saturated(std::string_view digits, int base = 10) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  return read.ec == std::errc::result_out_of_range ? k_largest : value;
}

/// 0.DIGITS * factor, when that is whole.
std::optional<std::uint64_t> whole_part_of(std::string_view digits, std::uint64_t factor) {
  while (!digits.empty() && digits.back() == '0') digits.remove_suffix(1);
  if (digits.size() > 18) return {};  // 10^18 is the last power of ten below 2^63
  std::uint64_t power = 1;
  for (std::size_t i = 0; i < digits.size(); ++i) power *= 10;
  const auto common = std::gcd(power, factor);
  const auto fraction = digits.empty() ? 0 : saturated(digits);
  if (fraction % (power / common) != 0) return {};
  return fraction / (power / common) * (factor / common);
}

std::optional<std::uint64_t> parse_scaled(std::string_view text, std::span<const unit_name> units, bool unit_needed) {
  const auto whole = text.substr(0, text.find_first_not_of("0123456789"));
  text.remove_prefix(whole.size());
  std::string_view fraction;
  if (!whole.empty() && text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = text.substr(0, text.find_first_not_of("0123456789"));
    text.remove_prefix(fraction.size());
    if (fraction.empty()) return {};
  }
  if (whole.empty()) return {};
  const auto value = saturated(whole);
  std::uint64_t factor = 1;
  if (!text.empty()) {
    const auto name = lower_case(text);
    const auto unit = std::find_if(units.begin(), units.end(), [&](const unit_name& u) { return u.name == name; });
    if (unit == units.end()) return {};
    factor = unit->factor;
  } else if (unit_needed && (value != 0 || fraction.find_first_not_of('0') != std::string_view::npos)) {
    return {};
  }
  const auto rest = whole_part_of(fraction, factor);
  if (!rest) return {};
  if (value > (k_largest - *rest) / factor) return k_largest;
  return value * factor + *rest;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<std::uint64_t> parse_whole(option_unit unit, std::string_view text) {
  if (unit == option_unit::size) return parse_scaled(text, k_sizes, false);
  if (unit == option_unit::duration) return parse_scaled(text, k_durations, true);
  if (unit == option_unit::count) return parse_scaled(text, k_counts, false);
  if (text.empty() || text.find_first_not_of("01234567") != std::string_view::npos) return {};
  return saturated(text, 8);
}

std::string format_whole(option_unit unit, std::uint64_t value) {
  if (value == 0 || unit == option_unit::count) return std::to_string(value);
  if (unit == option_unit::mode) {
    std::array<char, 24> digits{'0'};
    return {digits.data(), std::to_chars(digits.data() + 1, digits.data() + digits.size(), value, 8).ptr};
  }
  const std::span<const unit_name> units =
      unit == option_unit::size ? std::span<const unit_name>(k_sizes) : std::span<const unit_name>(k_durations);
  const auto best = std::find_if(units.begin(), units.end(), [&](const unit_name& u) { return value % u.factor == 0; });
  const auto number = std::to_string(value / best->factor);
  if (unit == option_unit::duration) return number + std::string(best->name);
  return best->factor == 1 ? number : number + static_cast<char>(best->name[0] - 'a' + 'A') + "iB";
}

std::optional<double> parse_number(std::string_view text) {
  const bool percent = text.ends_with('%');
  if (percent) text.remove_suffix(1);
  if (text.empty() || !is_digit(text.front())) return {};
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return {};
  return percent ? value / 100 : value;
}

std::string format_number(double value) {
  std::array<char, 32> digits{};
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

std::optional<bool> parse_flag(std::string_view text) {
  const auto word = lower_case(text);
  if (word == "on" || word == "true" || word == "yes" || word == "1") return true;
  if (word == "off" || word == "false" || word == "no" || word == "0") return false;
  return {};
}

std::string_view format_flag(bool value) { return value ? "on" : "off"; }

std::optional<std::vector<std::uint32_t>> parse_uids(std::string_view text) {
  std::vector<std::uint32_t> uids;
  while (!text.empty()) {
    const auto digits = text.substr(0, text.find_first_not_of("0123456789"));
    const auto uid = digits.empty() ? k_largest : saturated(digits);
    if (uid >= k_no_uid || uids.size() == k_max_uids) return {};
    uids.push_back(static_cast<std::uint32_t>(uid));
    text.remove_prefix(digits.size());
    if (text.empty()) break;
    if (text.front() != ',' || text.size() == 1) return {};
    text.remove_prefix(1);
  }
  return uids;
}

std::string format_uids(const std::vector<std::uint32_t>& uids) {
  std::string out;
  for (const auto uid : uids) {
    if (!out.empty()) out += ',';
    out += std::to_string(uid);
  }
  return out;
}

}  // namespace ferry
