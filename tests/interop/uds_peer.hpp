#pragma once
/// uds_peer.py as a child process, and the content on which it and the tests agree.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "testing/child.hpp"

namespace ferry::test {

/// Starts the peer with these arguments.
[[nodiscard]] inline std::vector<std::string> uds_peer(std::vector<std::string> arguments) {
  std::vector<std::string> all{"python3", FERRY_SOURCE_DIR "/tests/interop/uds_peer.py"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

/// Message `number` of `size` bytes.
[[nodiscard]] inline std::string peer_payload(std::size_t number, std::size_t size) {
  std::string made = std::to_string(number) + ":";
  made.resize(std::min(made.size(), size));
  for (std::size_t i = 0; made.size() < size; ++i) made.push_back("0123456789abcdef"[i % 16]);
  return made;
}

}  // namespace ferry::test
