// Any text as a URL: no crash, a refusal changes no option, and what is taken apart prints and parses to the same
// parts.
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/checks.hpp"

namespace {

using ferry::fuzz::require;
using ferry::fuzz::written;

const std::vector<std::string> k_schemes{"inproc", "ipc", "shm", "tcp", "tls", "ws", "wss", "mine"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view url(reinterpret_cast<const char*>(data), size);
  ferry::options first;
  const auto parsed = ferry::parse_url(url, first, k_schemes);
  if (!parsed) {
    const auto text = parsed.error().text();
    require(!text.empty() && ferry::fuzz::is_one_line(text));
    require(written(first) == written({}));
    return 0;
  }
  const auto text = parsed->text();
  require(ferry::fuzz::is_one_line(text));
  ferry::options second;
  const auto again = ferry::parse_url(text, second, k_schemes);
  if (text.size() > 65'536) return 0;  // percent-encoding has made it longer than a URL may be
  require(again.has_value());
  require(again->scheme == parsed->scheme && again->host == parsed->host && again->port == parsed->port);
  require(again->path == parsed->path && again->text() == text);
  require(written(second) == written({}));
  return 0;
}
