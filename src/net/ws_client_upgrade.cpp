#include <algorithm>
#include <charconv>

#include "codec/deflate_offer.hpp"
#include "net/http_head.hpp"
#include "net/http_text.hpp"
#include "net/ws_upgrade.hpp"

namespace ferry::net {
namespace {

constexpr int k_most_interim = 8;          // answers 100 .. 199 in front of the last one
constexpr std::size_t k_body_shown = 200;  // bytes of a refusal's body

errc code_of(int status) noexcept {
  switch (status) {
    case 401:
    case 403:
    case 407: return errc::auth;
    case 404:
    case 410: return errc::not_found;
    case 408: return errc::timeout;
    case 429:
    case 503: return errc::busy;
    case 426: return errc::unsupported;
    default: return status >= 300 && status < 400 ? errc::unsupported : errc::refused;
  }
}

bool is_ours(std::string_view name) noexcept {
  return same_name(name, "Host") || same_name(name, "Upgrade") || same_name(name, "Connection") ||
         same_name(name, "Content-Length") || same_name(name, "Transfer-Encoding") ||
         same_name(name.substr(0, 14), "Sec-WebSocket-");
}

}  // namespace

ws_client_upgrade::ws_client_upgrade(ws_client_wishes wishes, const std::array<std::byte, 16>& nonce)
    : wishes_(std::move(wishes)), key_(base64_of(nonce.data(), nonce.size())) {
  // Nothing that was given may end its line and begin another one.
  std::erase_if(wishes_.target, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 127; });
  std::erase_if(wishes_.subprotocols, [](const std::string& one) { return !is_field(one, ""); });
  if (!is_field("Host", wishes_.host)) wishes_.host.clear();
  if (!is_field("Origin", wishes_.origin)) wishes_.origin.clear();
  request_ = "GET " + (wishes_.target.empty() ? "/" : wishes_.target) + " HTTP/1.1\r\n";
  add_field(request_, "Host", wishes_.host);
  request_.append("Upgrade: websocket\r\nConnection: Upgrade\r\n");
  add_field(request_, "Sec-WebSocket-Key", key_);
  add_field(request_, "Sec-WebSocket-Version", "13");
  if (!wishes_.origin.empty()) add_field(request_, "Origin", wishes_.origin);
  std::string offered;
  for (const auto& one : wishes_.subprotocols) offered.append(offered.empty() ? "" : ", ").append(one);
  if (!offered.empty()) add_field(request_, "Sec-WebSocket-Protocol", offered);
  if (wishes_.deflate) add_field(request_, "Sec-WebSocket-Extensions", codec::deflate_offer(*wishes_.deflate));
  if (find_field(wishes_.fields, "User-Agent").empty()) add_field(request_, "User-Agent", "ferry");
  for (const auto& [name, value] : wishes_.fields)
    if (is_field(name, value) && !is_ours(name)) add_field(request_, name, value);
  request_.append("\r\n");
}

upgrade_outcome ws_client_upgrade::fail(errc code, const std::string& why) {
  fault_ = error(code, why);
  return upgrade_outcome::refused;
}

upgrade_progress ws_client_upgrade::feed(bytes in) {
  upgrade_progress done;
  while (status_ == 0 && done.what == upgrade_outcome::need_more) {
    std::size_t taken = 0;
    const auto came = gather_head(head_, in.subspan(done.consumed), wishes_.max_head, taken);
    done.consumed += taken;
    switch (came) {
      case head_outcome::need_more: return done;
      case head_outcome::too_large:
        done.what = fail(errc::protocol, "the answer's head is larger than " + std::to_string(wishes_.max_head) +
                                             " bytes (ws_max_head)");
        break;
      case head_outcome::no_http: done.what = fail(errc::protocol, "what came is no HTTP answer"); break;
      case head_outcome::whole: done.what = judge(); break;
    }
    if (done.what == upgrade_outcome::accepted) return done;
  }
  const bytes rest = in.subspan(done.consumed);
  if (done.what == upgrade_outcome::need_more) {
    const bytes more = rest.first(std::min(rest.size(), body_wanted_ - body_.size()));
    body_.append(reinterpret_cast<const char*>(more.data()), more.size());
    if (body_.size() == body_wanted_) done.what = refuse();
  }
  done.consumed = in.size();
  return done;
}

upgrade_outcome ws_client_upgrade::end() {
  if (status_ != 0) return refuse();
  return fail(errc::truncated, head_.empty() ? "the server ended the connection without an answer to the upgrade"
                                             : "the server ended the connection inside its answer to the upgrade");
}

upgrade_outcome ws_client_upgrade::judge() {
  http_head head;
  std::string wrong;
  if (!parse_response_head(head_, head, wrong)) return fail(errc::protocol, "no well-formed HTTP answer: " + wrong);
  if (head.status < 200 && head.status != 101) {  // "Continue", early hints: the answer follows
    if (++interim_ > k_most_interim) return fail(errc::protocol, "one interim answer after the other, and no last one");
    head_.clear();
    return upgrade_outcome::need_more;
  }
  head_ = std::string();
  fields_ = std::move(head.fields);
  if (head.status == 101) {
    if (head.version != 11) return fail(errc::protocol, "the answer to the upgrade is not HTTP/1.1");
    return accept();
  }
  status_ = head.status;
  reason_ = std::move(head.reason);
  const auto length = find_field(fields_, "Content-Length");
  std::size_t size = k_body_shown;  // without a length it ends with the connection
  std::from_chars(length.data(), length.data() + length.size(), size);
  body_wanted_ = find_field(fields_, "Transfer-Encoding").empty() ? std::min(size, k_body_shown) : 0;
  return upgrade_outcome::need_more;
}

upgrade_outcome ws_client_upgrade::refuse() {
  std::string text = "the server answers " + std::to_string(status_) + " " + reason_;
  const auto words = body_.substr(0, std::min(body_.find_first_of("\r\n"), body_.size()));
  if (!words.empty() && !words.starts_with('<')) text += ": " + one_line(words, k_body_shown);
  if (const auto where = find_field(fields_, "Location"); !where.empty())
    text += "; it points to " + one_line(where, 200) + ", which is not followed: connect there if you trust it";
  return fail(code_of(status_), text);
}

upgrade_outcome ws_client_upgrade::accept() {
  if (!list_has(joined(fields_, "Upgrade"), "websocket") || !list_has(joined(fields_, "Connection"), "Upgrade"))
    return fail(errc::protocol, "the answer 101 lacks 'Upgrade: websocket' or 'Connection: Upgrade'");
  if (joined(fields_, "Sec-WebSocket-Accept") != accept_value(key_))
    return fail(errc::protocol, "Sec-WebSocket-Accept is not the answer to our key: a cache, or no WebSocket server");
  subprotocol_ = joined(fields_, "Sec-WebSocket-Protocol");
  const auto& asked = wishes_.subprotocols;
  if (!subprotocol_.empty() && std::find(asked.begin(), asked.end(), subprotocol_) == asked.end())
    return fail(errc::protocol,
                "the server chose the subprotocol '" + one_line(subprotocol_, 80) + "', which was not asked for");
  const auto extensions = joined(fields_, "Sec-WebSocket-Extensions");
  if (!wishes_.deflate) {
    if (extensions.empty()) return upgrade_outcome::accepted;
    return fail(errc::protocol, "the server chose extensions, and none was asked for: " + one_line(extensions, 80));
  }
  const auto agreed = codec::accepted_deflate(extensions, *wishes_.deflate);
  if (!agreed) return fail(errc::protocol, agreed.error().text());
  deflate_ = *agreed;
  return upgrade_outcome::accepted;
}

}  // namespace ferry::net
