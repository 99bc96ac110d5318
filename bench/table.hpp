#pragma once
/// Tables of text whose columns line up, and figures in the units that people read.

#include <string>
#include <vector>

namespace ferry::bench {

enum class alignment { left, right };

/// Collects rows, then lays them out. Widths count bytes: ASCII only.
class text_table {
 public:
  /// @param titles one per column, all empty for no title line   @param columns as many as titles
  text_table(std::vector<std::string> titles, std::vector<alignment> columns);
  /// @param cells as many as columns
  void add(std::vector<std::string> cells);
  /// Lines with a newline each, two spaces between columns, none at the end of a line.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<alignment> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "12.30"
[[nodiscard]] std::string fixed(double value, int digits);
/// "112 ns", "2.58 us", "4.30 ms", "1.20 s"
[[nodiscard]] std::string nanoseconds_text(double nanoseconds);
/// "1.40 M/s", "230 k/s", "12 /s"
[[nodiscard]] std::string rate_text(double per_second);
/// "6.90 GB/s", "330 MB/s"
[[nodiscard]] std::string bytes_rate_text(double bytes_per_second);

}  // namespace ferry::bench
