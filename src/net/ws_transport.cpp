#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <utility>

#include "net/posted_attempt.hpp"
#include "net/transports.hpp"
#include "net/ws_acceptor.hpp"
#include "net/ws_settings.hpp"

namespace ferry::net {
namespace {

using codec::websocket_role;

/// Where the stream below is reached.
endpoint below_of(const endpoint& at) {
  endpoint below = at;
  below.query.clear();
  if (at.scheme == "ws+ipc") {
    below.scheme = "ipc";
    return below;
  }
  below.scheme = at.scheme.starts_with("wss") ? "tls" : "tcp";
  if (at.scheme == "ws" || at.scheme == "wss") below.path.clear();
  return below;
}

ws_home home_in(context& where) {
  return {boost::asio::use_service<socket_poll>(where.io()), where.shared_buffers(), where.residents()};
}

/// TLS asks for the protocol that follows.
options below_with(const endpoint& at, const options& with) {
  options changed = with;
  if (at.scheme == "wss" && changed.tls_alpn.empty()) changed.tls_alpn = "http/1.1";
  return changed;
}

// Connects below, then shakes hands.
class ws_attempt final : public connect_attempt {
 public:
  ws_attempt(context& where, stream_transport& below, const endpoint& to, const options& with, ws_start start,
             stream_transport::connect_handler done)
      : where_(where),
        to_(to),
        rules_(std::make_shared<const ws_rules>(
            ws_rules_of(home_in(where), with, websocket_role::client, start == ws_start::raw))),
        start_(start),
        done_(std::move(done)) {
    if (start == ws_start::upgrade) wishes_ = ws_client_wishes_of(to, with);
    connecting_ =
        below.connect(where, below_of(to), below_with(to, with), [this](result<std::shared_ptr<stream>> made) {
          made ? shake(std::move(*made)) : std::exchange(done_, nullptr)(made.error());
        });
  }
  ~ws_attempt() override {
    if (shaking_) shaking_->close();
  }
  // Of TLS below, or of HTTP: whichever comes first.
  void on_handshake(std::function<void()> began) override {
    if (connecting_) connecting_->on_handshake(began);
    handshake_began_ = std::move(began);
  }

 private:
  void shake(std::shared_ptr<stream> connected) {
    shaking_ = std::make_shared<ws_stream>(std::move(connected), rules_);
    if (start_ == ws_start::raw) {
      shaking_->start_raw();
      const auto made = std::exchange(shaking_, nullptr);
      return std::exchange(done_, nullptr)(std::shared_ptr<stream>(made));  // destroys this attempt
    }
    shaking_->async_handshake(ws_client_handshake(std::move(wishes_)),
                              [this](const result<void>& outcome) { finish(outcome); });
    if (const auto began = std::exchange(handshake_began_, nullptr)) began();
  }

  void finish(const result<void>& outcome) {
    const auto made = std::exchange(shaking_, nullptr);
    const auto done = std::exchange(done_, nullptr);  // which destroys this attempt
    if (outcome) {
      where_.totals().ws_handshakes.add(1);
      return done(std::shared_ptr<stream>(made));
    }
    where_.totals().ws_handshake_failures.add(1);
    made->close();
    done(outcome.error().in("WebSocket with " + to_.text()));
  }

  context& where_;
  endpoint to_;
  std::shared_ptr<const ws_rules> rules_;
  ws_start start_;
  ws_client_wishes wishes_;
  stream_transport::connect_handler done_;
  std::function<void()> handshake_began_;
  std::unique_ptr<connect_attempt> connecting_;
  std::shared_ptr<ws_stream> shaking_;
};

class ws_transport final : public stream_transport {
 public:
  ws_transport(std::shared_ptr<stream_transport> below, ws_start start) : below_(std::move(below)), start_(start) {}

  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context& where, const endpoint& at,
                                                         const options& with) override {
    auto from = below_->listen(where, below_of(at), below_with(at, with));
    if (!from) return from.error();
    const bool raw = start_ == ws_start::raw;
    ws_acceptor_settings all;
    all.url = url_of(at, (*from)->local_url());
    all.rules = std::make_shared<const ws_rules>(ws_rules_of(home_in(where), with, websocket_role::server, raw));
    if (!raw) all.taken = std::make_shared<const ws_server_rules>(ws_server_rules_of(at, with));
    all.handshake_timeout = with.connect_timeout;
    return accept_ws(where, std::move(*from), std::move(all));
  }

  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to, const options& with,
                                                         connect_handler done) override {
    return std::make_unique<ws_attempt>(where, *below_, to, with, start_, std::move(done));
  }

  [[nodiscard]] stream_shape shape() const noexcept override { return stream_shape::messages; }

 private:
  /// Its own, at the address that the stream below was bound to.
  [[nodiscard]] std::string url_of(const endpoint& at, const std::string& below) const {
    if (at.scheme == "ws+ipc") return at.text();
    const std::string bound = at.scheme + below.substr(below.find(':'));
    return start_ == ws_start::raw ? bound : bound + ws_target(at);
  }

  std::shared_ptr<stream_transport> below_;
  ws_start start_;
};

}  // namespace

std::shared_ptr<stream_transport> make_ws_transport(std::shared_ptr<stream_transport> below, ws_start start) {
  return std::make_shared<ws_transport>(std::move(below), start);
}

}  // namespace ferry::net
