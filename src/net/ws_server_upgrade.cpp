#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <exception>

#include "codec/deflate_offer.hpp"
#include "net/http_head.hpp"
#include "net/http_text.hpp"
#include "net/ws_upgrade.hpp"

namespace ferry::net {
namespace {

constexpr std::size_t k_reason_shown = 300;  // bytes of a check's words in an error

errc code_of(int status) noexcept {
  switch (status) {
    case 401:
    case 403: return errc::auth;
    case 404: return errc::not_found;
    case 408: return errc::timeout;
    case 503: return errc::busy;
    default: return errc::protocol;
  }
}

std::string phrase(int status) {
  const auto text =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(static_cast<unsigned>(status)));
  return text.starts_with('<') ? "Refused" : std::string(text);
}

// 16 bytes as base64: 24 characters, the last two of them padding.
bool is_key(std::string_view key) noexcept {
  return key.size() == 24 && key.ends_with("==") && std::all_of(key.begin(), key.end() - 2, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '+' || c == '/';
         });
}

bool path_fits(std::string_view rule, std::string_view path) noexcept {
  if (rule.empty() || rule == path) return true;
  return rule.ends_with("/*") && path.starts_with(rule.substr(0, rule.size() - 1));
}

void take_request(http_head& from, http_request& into) {
  into.method = std::move(from.method);
  into.target = std::move(from.target);
  into.fields = std::move(from.fields);
  const auto mark = into.target.find('?');
  into.path = into.target.substr(0, mark);
  if (mark != std::string::npos) into.query = into.target.substr(mark + 1);
  const std::string offered = joined(into.fields, "Sec-WebSocket-Protocol");  // outlives what is seen of it
  for (const auto one : list_of(offered)) into.subprotocols.emplace_back(one);
}

}  // namespace

std::optional<http_request> read_upgrade_request(std::string_view head, std::string address) {
  http_head read;
  std::string wrong;
  if (!parse_request_head(head, read, wrong)) return std::nullopt;
  http_request request;
  request.address = std::move(address);
  take_request(read, request);
  return request;
}

ws_server_upgrade::ws_server_upgrade(const ws_server_rules& rules, std::string address) : rules_(rules) {
  request_.address = std::move(address);
}

upgrade_progress ws_server_upgrade::feed(bytes in) {
  upgrade_progress done;
  switch (gather_head(head_, in, rules_.max_head, done.consumed)) {
    case head_outcome::need_more: return done;
    case head_outcome::too_large:
      (void)refuse_with(431, "the request is larger than " + std::to_string(rules_.max_head) + " bytes (ws_max_head)");
      break;
    case head_outcome::no_http:
      (void)refuse_with(400, head_.empty() && !in.empty() && in.front() == std::byte{0x16}
                                 ? "TLS came to a port that speaks plain WebSocket: use ws:// or a wss:// listener"
                                 : "what came is no HTTP request");
      break;
    case head_outcome::whole:
      if (judge() == upgrade_outcome::accepted) {
        done.what = upgrade_outcome::accepted;
        return done;
      }
      break;
  }
  return {upgrade_outcome::refused, in.size()};
}

void ws_server_upgrade::refuse(int status, const std::string& why) { (void)refuse_with(status, why); }

bool ws_server_upgrade::refuse_with(int status, const std::string& why, const http_fields& fields) {
  fault_ = error(code_of(status), "refused with " + std::to_string(status) + " " + phrase(status) + ": " +
                                      one_line(why, k_reason_shown));
  const std::string body = why + "\n";
  answer_ = "HTTP/1.1 " + std::to_string(status) + " " + phrase(status) + "\r\n";
  add_field(answer_, "Connection", "close");
  add_field(answer_, "Content-Type", "text/plain; charset=utf-8");
  add_field(answer_, "Content-Length", std::to_string(body.size()));
  for (const auto& [name, value] : fields)
    if (is_field(name, value) && !same_name(name, "Connection") && !same_name(name, "Content-Type") &&
        !same_name(name, "Content-Length") && !same_name(name, "Transfer-Encoding"))
      add_field(answer_, name, value);
  answer_.append("\r\n");
  if (request_.method != "HEAD") answer_.append(body);
  return false;
}

bool ws_server_upgrade::parse() {
  http_head head;
  std::string wrong;
  if (!parse_request_head(head_, head, wrong)) return refuse_with(400, "not a well-formed HTTP request: " + wrong);
  take_request(head, request_);
  if (request_.fields.size() > rules_.max_fields)
    return refuse_with(
        431, std::to_string(request_.fields.size()) + " headers are more than " + std::to_string(rules_.max_fields));
  if (head.version != 11) return refuse_with(400, "a WebSocket begins with HTTP/1.1, not with another version");
  return true;
}

bool ws_server_upgrade::is_upgrade() {
  const auto& fields = request_.fields;
  const auto is_there = [&fields](std::string_view name) {
    return std::count_if(fields.begin(), fields.end(), [name](const auto& f) { return same_name(f.first, name); });
  };
  if (request_.method != "GET")
    return refuse_with(405, "the method must be GET, as this is a WebSocket", {{"Allow", "GET"}});
  if (is_there("Host") != 1) return refuse_with(400, "exactly one header Host is needed");
  if (!request_.target.starts_with('/')) return refuse_with(400, "the target must begin with '/'");
  // A body would be taken for frames by one and for a request by another.
  const auto length = request_.header("Content-Length");
  if (is_there("Transfer-Encoding") != 0 || is_there("Content-Length") > 1 || (!length.empty() && length != "0"))
    return refuse_with(400, "the request has a body");
  const http_fields how{{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
  if (!list_has(joined(fields, "Upgrade"), "websocket") || !list_has(joined(fields, "Connection"), "Upgrade"))
    return refuse_with(
        426, "this is a WebSocket: the headers 'Upgrade: websocket' and 'Connection: Upgrade' are needed", how);
  if (is_there("Sec-WebSocket-Version") != 1 || request_.header("Sec-WebSocket-Version") != "13")
    return refuse_with(426, "only version 13 of the WebSocket protocol is spoken here", how);
  if (is_there("Sec-WebSocket-Key") != 1 || !is_key(request_.header("Sec-WebSocket-Key")))
    return refuse_with(400, "Sec-WebSocket-Key must be 16 bytes in base64, once");
  key_ = request_.header("Sec-WebSocket-Key");
  return true;
}

bool ws_server_upgrade::is_allowed() {
  if (!path_fits(rules_.path, request_.path))
    return refuse_with(404, "there is no WebSocket at " + one_line(request_.path, 200));
  const auto origin = request_.header("Origin");
  if (!origin.empty() && !rules_.origins.empty() &&
      std::none_of(rules_.origins.begin(), rules_.origins.end(),
                   [origin](const std::string& one) { return one == "*" || same_name(one, origin); }))
    return refuse_with(403, "the origin " + one_line(origin, 200) + " is not among those allowed (ws_origins)");
  return true;
}

upgrade_outcome ws_server_upgrade::judge() {
  if (!parse() || !is_upgrade() || !is_allowed()) return upgrade_outcome::refused;
  const auto& offered = request_.subprotocols;
  const auto is_offered = [&offered](const std::string& one) {
    return std::find(offered.begin(), offered.end(), one) != offered.end();
  };
  http_verdict verdict;
  if (rules_.check) {
    const auto threw = [this](const char* what) {
      refuse_with(500, "the request could not be checked");
      fault_ = fault_.in("the check of requests threw: " + one_line(what, k_reason_shown));
      return upgrade_outcome::refused;
    };
    try {
      verdict = rules_.check(request_);
    } catch (const std::exception& thrown) {
      return threw(thrown.what());
    } catch (...) {
      return threw("something that is no std::exception");
    }
  }
  if (verdict.status != 101) {
    const bool sane = verdict.status >= 400 && verdict.status <= 599;
    refuse_with(sane ? verdict.status : 500, verdict.reason.empty() ? "the request is refused" : verdict.reason,
                verdict.fields);
    return upgrade_outcome::refused;
  }
  const auto ours = std::find_if(rules_.subprotocols.begin(), rules_.subprotocols.end(), is_offered);
  if (!verdict.subprotocol.empty() && is_offered(verdict.subprotocol))
    subprotocol_ = verdict.subprotocol;
  else if (ours != rules_.subprotocols.end())
    subprotocol_ = *ours;
  accept(verdict.fields);
  return upgrade_outcome::accepted;
}

void ws_server_upgrade::accept(const http_fields& fields) {
  answer_ = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  add_field(answer_, "Sec-WebSocket-Accept", accept_value(key_));
  if (!subprotocol_.empty()) add_field(answer_, "Sec-WebSocket-Protocol", subprotocol_);
  if (rules_.deflate) {
    if (const auto taken =
            codec::accept_deflate(joined(request_.fields, "Sec-WebSocket-Extensions"), *rules_.deflate)) {
      deflate_ = taken->agreed;
      add_field(answer_, "Sec-WebSocket-Extensions", taken->answer);
    }
  }
  for (const auto& [name, value] : fields)
    if (is_field(name, value) && !same_name(name, "Upgrade") && !same_name(name, "Connection") &&
        !same_name(name.substr(0, 14), "Sec-WebSocket-"))
      add_field(answer_, name, value);
  answer_.append("\r\n");
}

}  // namespace ferry::net
