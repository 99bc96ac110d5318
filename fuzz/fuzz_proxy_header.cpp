// Input: one byte for the size of the pieces, then what a balancer may have sent. In whatever pieces it comes, the
// outcome is the same; reading what is wanted never goes beyond the header; and what is understood can be written and
// is read as the same again.
#include <algorithm>
#include <optional>

#include "codec/proxy_header.hpp"
#include "fuzz/checks.hpp"

namespace {

using namespace ferry;
using namespace ferry::codec;
using ferry::fuzz::require;

struct outcome {
  bool failed = false, whole = false;
  std::size_t consumed = 0;
  proxy_header header;
};

outcome read(bytes wire, std::size_t piece) {
  proxy_header_decoder decoder;
  outcome seen;
  while (seen.consumed < wire.size() && !seen.whole) {
    const auto part =
        wire.subspan(seen.consumed, std::min(piece == 0 ? decoder.wanted() : piece, wire.size() - seen.consumed));
    const auto got = decoder.feed(part);
    if (!got) {
      require(got.error() == errc::protocol || got.error() == errc::corrupt);
      require(fuzz::is_one_line(got.error().text()));
      seen.failed = true;
      return seen;
    }
    require(got->whole || got->consumed == part.size());
    require(piece != 0 || got->consumed == part.size());
    seen.consumed += got->consumed;
    seen.whole = got->whole;
    require(seen.whole == (decoder.wanted() == 0));
  }
  require(seen.consumed <= proxy_header_decoder::k_most_v2);
  seen.header = decoder.header();
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const bytes wire(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  const auto whole = read(wire, std::max<std::size_t>(wire.size(), 1));
  for (const std::size_t piece : {std::size_t{data[0]} + 1, std::size_t{0}}) {
    const auto again = read(wire, piece);
    require(again.failed == whole.failed && again.whole == whole.whole);
    if (!whole.failed) require(again.consumed == whole.consumed && again.header == whole.header);
  }
  if (!whole.whole) return 0;
  const auto& header = whole.header;
  require(read(encode_proxy_v2(header).value(), 1).header == header);
  if (header.family != proxied_family::unix_socket) require(read(encode_proxy_v1(header).value(), 1).header == header);
  return 0;
}
