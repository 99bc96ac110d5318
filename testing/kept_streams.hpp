#pragma once
/// Resumable streams as somebody keeps them: by their IDs, and which of them have come again.

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "session/snet_handshake.hpp"

namespace ferry::test {

struct kept_streams final : session::snet_streams {
  session::snet_stream* find(std::uint64_t id) override {
    const auto found = all.find(id);
    return found == all.end() ? nullptr : found->second.get();
  }
  void come_again(session::snet_stream& stream) override { cut.push_back(stream.id()); }
  std::map<std::uint64_t, std::unique_ptr<session::snet_stream>> all;
  std::vector<std::uint64_t> cut;
};

}  // namespace ferry::test
