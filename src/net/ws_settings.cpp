#include "net/ws_settings.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "os/random.hpp"

namespace ferry::net {
namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t') || text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

std::vector<std::string> listed(std::string_view text) {
  std::vector<std::string> all;
  while (!text.empty()) {
    const auto one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    if (const auto name = trimmed(one); !name.empty()) all.emplace_back(name);
  }
  return all;
}

http_fields header_lines(std::string_view text) {
  http_fields all;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto colon = line.find(':');
    if (colon != std::string_view::npos)
      all.emplace_back(trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  }
  return all;
}

std::optional<codec::deflate_parameters> deflate_of(const options& with) {
  if (!with.ws_compression) return std::nullopt;
  const int bits = static_cast<int>(with.ws_window_bits);
  return codec::deflate_parameters{bits, bits, !with.ws_context_takeover, !with.ws_context_takeover};
}

/// The resource that a URL of a Unix socket names in its query.
std::string resource_of(const endpoint& of) {
  for (const auto& [key, value] : of.query)
    if (key == "path" && !value.empty()) return value.front() == '/' ? value : "/" + value;
  return "/";
}

bool is_unix(const endpoint& of) { return of.scheme == "ws+ipc"; }

class server_handshake final : public ws_handshake {
 public:
  server_handshake(std::shared_ptr<const ws_server_rules> rules, std::string address)
      : rules_(std::move(rules)), upgrade_(*rules_, std::move(address)) {}

  [[nodiscard]] std::string begin() override { return {}; }
  [[nodiscard]] step feed(bytes in) override {
    const auto progress = upgrade_.feed(in);
    step done;
    done.consumed = progress.consumed;
    if (progress.what == upgrade_outcome::need_more) return done;
    done.answer = upgrade_.answer();
    if (progress.what == upgrade_outcome::refused) {
      done.failed = upgrade_.fault();
      return done;
    }
    done.agreed = ws_agreed{upgrade_.deflate(),
                            {upgrade_.subprotocol(), upgrade_.deflate().has_value(), std::string(upgrade_.head())}};
    return done;
  }
  [[nodiscard]] std::string refuse(int status, const std::string& why) override {
    upgrade_.refuse(status, why);
    return upgrade_.answer();
  }

 private:
  std::shared_ptr<const ws_server_rules> rules_;
  ws_server_upgrade upgrade_;
};

class client_handshake final : public ws_handshake {
 public:
  client_handshake(ws_client_wishes wishes, const std::array<std::byte, 16>& nonce)
      : upgrade_(std::move(wishes), nonce) {}

  [[nodiscard]] std::string begin() override { return upgrade_.request(); }
  [[nodiscard]] step feed(bytes in) override {
    const auto progress = upgrade_.feed(in);
    return over(progress.what, progress.consumed);
  }
  [[nodiscard]] step ended() override { return over(upgrade_.end(), 0); }

 private:
  [[nodiscard]] step over(upgrade_outcome what, std::size_t consumed) {
    step done;
    done.consumed = consumed;
    if (what == upgrade_outcome::refused) done.failed = upgrade_.fault();
    if (what != upgrade_outcome::accepted) return done;
    done.agreed = ws_agreed{upgrade_.deflate(), {upgrade_.subprotocol(), upgrade_.deflate().has_value(), {}}};
    return done;
  }

  ws_client_upgrade upgrade_;
};

}  // namespace

ws_rules ws_rules_of(ws_home home, const options& with, codec::websocket_role role, bool raw) {
  const bool client = role == codec::websocket_role::client;
  ws_rules rules{std::move(home)};
  rules.role = role;
  rules.mask = client;
  rules.decoder.mask = client ? codec::websocket_mask_rule::forbidden : codec::websocket_mask_rule::required;
  if (raw && with.ws_mask != ws_mask_kind::automatic) {
    rules.mask = with.ws_mask == ws_mask_kind::on;
    rules.decoder.mask = codec::websocket_mask_rule::either;
  }
  rules.decoder.delivery = with.ws_delivery == ws_delivery_kind::pieces ? codec::websocket_delivery::pieces
                                                                        : codec::websocket_delivery::whole;
  rules.decoder.max_message = with.max_message;
  // Compressed, a message may be larger than it is; without a limit for frames that of messages knows by how much.
  rules.decoder.max_frame = with.max_frame == 0 ? std::numeric_limits<std::size_t>::max() : with.max_frame;
  rules.fragment_above = with.ws_fragment_above;
  rules.batch_bytes = with.batch_bytes;
  rules.heartbeat = {with.ping_interval, with.ping_misses,
                     with.ping_timeout.count() == 0 ? with.ping_interval : with.ping_timeout};
  rules.ask_when_idle = with.idle_policy == idle_policy_kind::ping;
  rules.close_timeout = with.close_timeout;
  return rules;
}

std::string ws_target(const endpoint& of) {
  if (is_unix(of)) return resource_of(of);
  const std::string text = of.text();
  const auto slash = text.find('/', of.scheme.size() + 3);
  return slash == std::string::npos ? "/" : text.substr(slash);
}

ws_server_rules ws_server_rules_of(const endpoint& at, const options& with) {
  ws_server_rules rules;
  const std::string target = ws_target(at);
  rules.path = target.substr(0, target.find('?'));
  if (rules.path == "/") rules.path.clear();
  rules.origins = listed(with.ws_origins);
  rules.subprotocols = listed(with.ws_subprotocols);
  rules.max_head = with.ws_max_head;
  rules.deflate = deflate_of(with);
  rules.check = with.ws_check;
  return rules;
}

ws_client_wishes ws_client_wishes_of(const endpoint& to, const options& with) {
  ws_client_wishes wishes;
  const std::uint16_t usual = to.scheme == "wss" ? 443 : 80;
  const std::string host = to.host.substr(0, to.host.find('%'));  // a zone means nothing elsewhere
  wishes.host = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (wishes.host.empty() || wishes.host == "*") wishes.host = "localhost";
  if (!is_unix(to) && to.port != usual) wishes.host += ":" + std::to_string(to.port);
  wishes.target = ws_target(to);
  wishes.origin = with.ws_origin;
  wishes.subprotocols = listed(with.ws_subprotocols);
  wishes.fields = header_lines(with.ws_headers);
  wishes.deflate = deflate_of(with);
  wishes.max_head = with.ws_max_head;
  return wishes;
}

std::unique_ptr<ws_handshake> ws_server_handshake(std::shared_ptr<const ws_server_rules> rules, std::string address) {
  return std::make_unique<server_handshake>(std::move(rules), std::move(address));
}

std::unique_ptr<ws_handshake> ws_client_handshake(ws_client_wishes wishes) {
  std::array<std::byte, 16> nonce{};
  for (std::size_t at = 0; at < nonce.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t bits = os::random_u64();
    std::memcpy(nonce.data() + at, &bits, sizeof bits);
  }
  return std::make_unique<client_handshake>(std::move(wishes), nonce);
}

}  // namespace ferry::net
