#include "gateway/server_keys.hpp"

#include <algorithm>
#include <charconv>

#include "base/constant_time.hpp"

namespace ferry::gateway {
namespace {

using codec::gateway::k_login_bytes;

bool read_number(std::string_view text, std::uint32_t& into) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), into);
  return failed == std::errc() && end == text.data() + text.size();
}

// "1,7,10-20" or "*".
bool read_ids(std::string_view text, std::vector<std::pair<std::uint32_t, std::uint32_t>>& into) {
  if (text == "*") return true;
  while (!text.empty()) {
    const auto comma = std::min(text.size(), text.find(','));
    const auto one = text.substr(0, comma);
    const auto dash = one.find('-');
    std::uint32_t from = 0, to = 0;
    if (!read_number(one.substr(0, dash), from)) return false;
    to = from;
    if (dash != std::string_view::npos && (!read_number(one.substr(dash + 1), to) || to < from)) return false;
    into.emplace_back(from, to);
    text.remove_prefix(std::min(text.size(), comma + 1));
  }
  return !into.empty();
}

bool is_good_for(const server_key& key, std::uint32_t id) {
  return key.ids.empty() ||
         std::any_of(key.ids.begin(), key.ids.end(), [id](const auto& r) { return r.first <= id && id <= r.second; });
}

}  // namespace

result<std::vector<server_key>> parse_server_keys(std::string_view text, const std::string& name) {
  std::vector<server_key> made;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.size(), text.find('\n'));
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos || line[begin] == '#') continue;
    line.remove_prefix(begin);
    const auto blank = line.find_first_of(" \t");
    const auto secret = blank == std::string_view::npos ? blank : line.find_first_not_of(" \t", blank);
    server_key one;
    if (secret == std::string_view::npos || !read_ids(line.substr(0, blank), one.ids))
      return error(errc::bad_option, name + ":" + std::to_string(number) +
                                         ": a line must be IDS, blanks and a key; IDS are * or 1,7,10-20");
    one.secret = std::string(line.substr(secret));
    made.push_back(std::move(one));
  }
  if (made.empty()) return error(errc::bad_option, name + ": has no key");
  return made;
}

std::size_t login_size(bytes in) noexcept {
  return codec::gateway::is_hmac_login(in) ? codec::gateway::k_hmac_login_bytes : k_login_bytes;
}

result<login_outcome> check_login(bytes in, const codec::gateway::challenge& asked, const std::vector<server_key>& keys,
                                  login_kind taken) {
  login_outcome made;
  const bool hmac = codec::gateway::is_hmac_login(in);
  made.consumed = login_size(in);
  codec::gateway::server_login plain;
  if (hmac) {
    made.said = codec::gateway::decode_hmac_login(in);
    made.server = made.said.server;
  } else {
    plain = codec::gateway::decode_server_login(in);
    made.server = plain.server;
    if (taken == login_kind::hmac)
      return error(errc::auth, "a proof by MD5, as server " + std::to_string(made.server) + "; server-auth is hmac");
  }
  bool known = false;
  for (const auto& key : keys) {  // all of them, so that the time does not tell which one it was
    const bool right = hmac ? equal_in_constant_time(made.said.proven,
                                                     codec::gateway::prove_hmac("server", asked, made.said, key.secret))
                            : equal_in_constant_time(plain.proven, codec::gateway::prove(asked, key.secret));
    known = known || right;
    if (right && made.by == nullptr && is_good_for(key, made.server)) made.by = &key;
  }
  if (made.by != nullptr) return made;
  const auto whom = std::to_string(made.server);
  return error(errc::auth,
               known ? "its key is not good for server " + whom : "a wrong proof of the key, as server " + whom);
}

}  // namespace ferry::gateway
