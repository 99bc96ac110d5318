#pragma once
/// The built program as a child process, for the tests of its commands.

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "testing/child.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::app::test {

using arguments = std::vector<std::string>;

/// The words of a call of the program.
[[nodiscard]] inline arguments ferry_call(const arguments& words) {
  arguments call{FERRY_PROGRAM_PATH};
  call.insert(call.end(), words.begin(), words.end());
  return call;
}

/// The same with its standard output redirected; still one process.
[[nodiscard]] inline arguments ferry_call_to(const std::string& path, const arguments& words) {
  arguments call{"/bin/sh", "-c", "target=$1; shift; exec \"$@\" > \"$target\"", "sh", path};
  const auto inner = ferry_call(words);
  call.insert(call.end(), inner.begin(), inner.end());
  return call;
}

struct outcome {
  int status = -1;  ///< -1: it did not end
  std::string out;
  std::string err;
};

/// Runs the program to its end.
[[nodiscard]] inline outcome run_ferry(const arguments& words, const std::string& input = "",
                                       const ferry::test::child_options& with = {}) {
  ferry::test::child program(ferry_call(words), with);
  program.write(input);
  const auto status = program.finish();
  return {status.value_or(-1), program.output(), program.error_output()};
}

/// `ferry listen` or `ferry bridge --listen`, from when it listens.
class listening_program {
 public:
  /// @param call  from ferry_call or ferry_call_to
  explicit listening_program(const arguments& call) : child_(call) {
    const std::string prefix = "ferry: listening on ";
    const auto line = child_.read_error_line();
    EXPECT_TRUE(line && line->starts_with(prefix)) << (line ? *line : "nothing");
    if (line) url_ = line->substr(std::min(line->size(), prefix.size()));
  }
  [[nodiscard]] const std::string& url() const noexcept { return url_; }
  [[nodiscard]] ferry::test::child& process() noexcept { return child_; }
  /// Ctrl-C, then its end.
  [[nodiscard]] outcome stop() {
    child_.kill(SIGINT);
    const auto status = child_.finish();
    return {status.value_or(-1), child_.output(), child_.error_output()};
  }

 private:
  ferry::test::child child_;
  std::string url_;
};

[[nodiscard]] inline std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

/// Lines of many lengths, none and very long ones among them, each with its number; without a newline at the end.
[[nodiscard]] inline std::string numbered_lines(std::size_t bytes) {
  std::string text;
  std::uint64_t state = 1;
  for (std::size_t number = 0; text.size() < bytes; ++number) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto dice = state >> 40;
    if (number != 0) text += '\n';
    if (dice % 16 == 0) continue;
    text += std::to_string(number) + ' ';
    text.append(dice % 5000 == 1 ? 300'000 : dice % 90, static_cast<char>('a' + number % 26));
  }
  return text;
}

[[nodiscard]] inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find('\n', begin);
    lines.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
    begin = end == std::string::npos ? text.size() : end + 1;
  }
  return lines;
}

}  // namespace ferry::app::test
