#include "bench/table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>
#include <utility>

namespace ferry::bench {

namespace {

struct unit {
  double from;  ///< the least value written in this unit
  const char* name;
};

/// Three significant digits in the largest unit that leaves at least 1 before the point.
std::string in_unit(double value, std::span<const unit> largest_first) {
  auto chosen = largest_first.back();
  for (const auto& one : largest_first) {
    if (value < one.from) continue;
    chosen = one;
    break;
  }
  const double scaled = value / chosen.from;
  return fixed(scaled, scaled < 10 ? 2 : scaled < 100 ? 1 : 0) + " " + chosen.name;
}

}  // namespace

text_table::text_table(std::vector<std::string> titles, std::vector<alignment> columns) : columns_(std::move(columns)) {
  rows_.push_back(std::move(titles));
}

void text_table::add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string text_table::text() const {
  std::vector<std::size_t> widths(columns_.size(), 0);
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());

  std::string all;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (i != 0) line += "  ";
      const std::string gap(widths[i] - row[i].size(), ' ');
      line += columns_[i] == alignment::left ? row[i] + gap : gap + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    if (!line.empty()) all += line + "\n";
  }
  return all;
}

std::string fixed(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string nanoseconds_text(double nanoseconds) {
  static constexpr unit k_units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
  return in_unit(nanoseconds, k_units);
}

std::string rate_text(double per_second) {
  static constexpr unit k_units[] = {{1e6, "M/s"}, {1e3, "k/s"}, {1, "/s"}};
  return in_unit(per_second, k_units);
}

std::string bytes_rate_text(double bytes_per_second) {
  static constexpr unit k_units[] = {{1e9, "GB/s"}, {1e6, "MB/s"}, {1e3, "kB/s"}, {1, "B/s"}};
  return in_unit(bytes_per_second, k_units);
}

}  // namespace ferry::bench
