// Input: a capture file. Whatever is in it, the reader finds views of it, each byte of a direction once, or says in one
// line why not; and where a file of ours ends is never behind its bytes.
#include <functional>

#include "codec/pcap_reader.hpp"
#include "fuzz/checks.hpp"

using namespace ferry;
using namespace ferry::codec;
using ferry::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bytes file(reinterpret_cast<const std::byte*>(data), size);
  pcap_extent extent;
  if (const auto whole = extend(extent, file); !whole) require(fuzz::is_one_line(whole.error().text()));
  require(extent.whole <= size);
  const auto content = read_capture(file, {.max_flows = 64});
  if (!content) {
    require(fuzz::is_one_line(content.error().text()));
    return 0;
  }
  require(content->flows.size() <= 64);
  std::size_t all = 0;
  for (const auto& flow : content->flows) {
    std::array<std::uint64_t, 2> sides{};
    for (const auto& piece : flow.pieces) {
      require(!piece.data.empty());
      require(!std::less<>{}(piece.data.data(), file.data()) &&
              !std::less<>{}(file.data() + size, piece.data.data() + piece.data.size()));
      sides[index_of(piece.from)] += piece.data.size();
      all += piece.data.size();
    }
    require(sides == flow.bytes_of);
  }
  require(all <= size);
  return 0;
}
