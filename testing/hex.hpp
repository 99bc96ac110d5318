#pragma once
/// Bytes as hexadecimal digits, and what was recorded of a conversation.

#include <ferry/bytes.hpp>

#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::test {

/// Two digits a byte; anything else throws.
[[nodiscard]] inline std::vector<std::byte> from_hex(std::string_view hex) {
  std::vector<std::byte> made;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    made.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return made;
}
[[nodiscard]] inline std::string to_hex(bytes data) {
  std::string made;
  for (const auto one : data) {
    made += "0123456789abcdef"[std::to_integer<unsigned>(one) >> 4];
    made += "0123456789abcdef"[std::to_integer<unsigned>(one) & 15];
  }
  return made;
}

/// One line of a recorded conversation.
struct recorded_line {
  std::string connection;  ///< as it is written there: a name in quotes, or a number
  std::string direction;   ///< "C>S", "G>S", ...
  std::string what;        ///< for people
  std::vector<std::byte> data;
};

/// The lines of a file of tests/interop/data that carry bytes. @param path  of the file
[[nodiscard]] inline std::vector<recorded_line> recorded_conversation(const std::string& path) {
  const auto field = [](const std::string& line, std::string_view name) {
    const std::string key = "\"" + std::string(name) + "\": ";
    auto begin = line.find(key);
    if (begin == std::string::npos) return std::string();
    begin += key.size();
    const bool quoted = line[begin] == '"';
    begin += quoted ? 1 : 0;
    return line.substr(begin, line.find_first_of(quoted ? "\"" : ",}", begin) - begin);
  };
  std::ifstream from(path);
  std::vector<recorded_line> made;
  for (std::string line; std::getline(from, line);)
    if (line.find("\"hex\"") != std::string::npos)
      made.push_back({field(line, "conn"), field(line, "dir"), field(line, "what"), from_hex(field(line, "hex"))});
  return made;
}

}  // namespace ferry::test
