#include "channel/parameter_table.hpp"

namespace ferry {

std::string parameter_name_of(std::string_view text) {
  auto made = lower_case(text);
  std::replace(made.begin(), made.end(), '_', '-');
  return made;
}

bool read_whole(option_unit unit, std::string_view text, std::uint64_t least, std::uint64_t most, std::uint64_t& into) {
  std::string exact(text);
  // The seed's sizes: 512K is 512 * 1024.
  if (unit == option_unit::size && !exact.empty() &&
      std::string_view("kKmMgG").find(exact.back()) != std::string_view::npos)
    exact += "iB";
  const auto value = parse_whole(unit, exact);
  if (!value || *value < least || *value > most) return false;
  into = *value;
  return true;
}

bool read_span_of_time(std::string_view text, duration& into) {
  constexpr std::uint64_t most = 1ull << 62;
  if (text == "0") {
    into = duration::zero();
    return true;
  }
  if (text.empty()) return false;
  std::uint64_t sum = 0;
  while (!text.empty()) {
    const auto unit = text.find_first_not_of("0123456789.");
    if (unit == 0 || unit == std::string_view::npos) return false;
    const auto next = std::min(text.size(), text.find_first_of("0123456789.", unit));
    const auto part = parse_whole(option_unit::duration, text.substr(0, next));
    if (!part || *part > most || sum > most - *part) return false;
    sum += *part;
    text.remove_prefix(next);
  }
  into = duration(sum);
  return true;
}

bool read_switch(std::string_view text, bool& into) {
  const auto value = parse_flag(text);
  if (value) into = *value;
  return value.has_value();
}

bool read_address(std::string_view text, std::string& into, std::string_view host) {
  if (text.find("://") != std::string_view::npos) {
    into = std::string(text);
    return true;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == text.size() ||
      text.find_first_not_of("0123456789", colon + 1) != std::string_view::npos)
    return false;
  into = "tcp://" + std::string(colon == 0 ? host : text.substr(0, colon)) + std::string(text.substr(colon));
  return true;
}

}  // namespace ferry
