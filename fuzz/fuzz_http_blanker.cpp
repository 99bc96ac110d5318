// Input: pieces of a conversation: a byte with side and length, then so many bytes. Whatever comes, lengths stay, only
// 'x' is written, and where the cuts are makes no difference.
#include <array>
#include <vector>

#include "codec/http_blanker.hpp"
#include "fuzz/checks.hpp"
#include "fuzz/input.hpp"

using namespace ferry;
using namespace ferry::codec;
using ferry::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  http_blanker pieces, singles;
  while (in.more()) {
    const auto what = in.byte();
    const auto from = (what & 128) != 0 ? flow_side::server : flow_side::client;
    std::vector<std::byte> piece;
    for (int i = 0; i < (what & 127) && in.more(); ++i) piece.push_back(std::byte{in.byte()});
    const auto before = piece;
    auto single = piece;
    const auto http = pieces.blank(from, piece);
    require(http <= piece.size());
    for (auto& byte : single) singles.blank(from, {&byte, 1});
    require(single == piece && singles.over() == pieces.over());
    for (std::size_t i = 0; i < piece.size(); ++i)
      require(piece[i] == before[i] || (piece[i] == std::byte{'x'} && i < http));
  }
  return 0;
}
