#include "apps/ferry/raw_url.hpp"

#include <array>
#include <string_view>

namespace ferry::app {
namespace {

struct known_scheme {
  std::string_view name, below;
  std::uint16_t port;  // that goes without saying; 0: none does
  bool upgrades;
};
constexpr std::array k_schemes{
    known_scheme{"ws", "tcp", 80, true},      known_scheme{"wss", "tls", 443, true},
    known_scheme{"ws+raw", "tcp", 80, false}, known_scheme{"wss+raw", "tls", 443, false},
    known_scheme{"ws+ipc", "ipc", 0, true},
};

// "[::1]:80" and "host:80" have one.
bool has_port(std::string_view authority) {
  const auto colon = authority.rfind(':');
  return colon != authority.npos && authority.find(']', colon) == authority.npos;
}

}  // namespace

result<raw_url> raw_url_of(const std::string& url) {
  const auto colon = url.find("://");
  if (colon == url.npos) return error(errc::bad_url, "'" + url + "' is no URL: it has no '://'");
  const std::string_view scheme = std::string_view(url).substr(0, colon);
  if (scheme == "shm") return error(errc::unsupported, "shm: no stream carries what lies in shared memory");
  raw_url made;
  made.url = url;
  for (const auto& known : k_schemes) {
    if (scheme != known.name) continue;
    made.frames = true;
    made.upgrades = known.upgrades;
    std::string_view rest = std::string_view(url).substr(colon + 3);
    if (known.port == 0) {
      const auto query = rest.find("?path=");
      made.path = query == rest.npos ? "/" : std::string(rest.substr(query + 6));
      made.host = "localhost";
      made.url = std::string(known.below) + "://" + std::string(rest.substr(0, rest.find('?')));
      return made;
    }
    const auto end = rest.find_first_of("/?");
    const std::string_view authority = rest.substr(0, end);
    if (end != rest.npos) made.path = rest.substr(end);
    if (!made.path.starts_with('/')) made.path.insert(0, 1, '/');
    made.host = authority;
    made.url = std::string(known.below) + "://" + std::string(authority);
    if (!has_port(authority)) made.url += ":" + std::to_string(known.port);
    return made;
  }
  return made;
}

}  // namespace ferry::app
