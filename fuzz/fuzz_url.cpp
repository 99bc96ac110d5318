// Any text as a URL: no crash, a refusal changes no option, and what is taken apart prints and parses to the same
// parts.
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

const std::vector<std::string> k_schemes{"inproc", "ipc", "shm", "tcp", "ws", "wss", "mine"};

void require(bool holds) {
  if (!holds) std::abort();
}

std::string written(const ferry::options& all) {
  std::string text;
  for (const auto& option : ferry::option_table()) text += ferry::get_option(all, option.name) + '\n';
  return text;
}

bool has_control_character(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ') return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view url(reinterpret_cast<const char*>(data), size);
  ferry::options first;
  const auto parsed = ferry::parse_url(url, first, k_schemes);
  if (!parsed) {
    const auto text = parsed.error().text();
    require(!text.empty() && !has_control_character(text));
    require(written(first) == written({}));
    return 0;
  }
  const auto text = parsed->text();
  require(!has_control_character(text));
  ferry::options second;
  const auto again = ferry::parse_url(text, second, k_schemes);
  if (text.size() > 65'536) return 0;  // percent-encoding has made it longer than a URL may be
  require(again.has_value());
  require(again->scheme == parsed->scheme && again->host == parsed->host && again->port == parsed->port);
  require(again->path == parsed->path && again->text() == text);
  require(written(second) == written({}));
  return 0;
}
