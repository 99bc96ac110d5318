// From URLs and streams to clients and servers of a gateway.
#include <ferry/url.hpp>

#include <boost/asio/dispatch.hpp>

#include "channel/printed_url.hpp"
#include "gateway/peer_channel.hpp"
#include "gateway/peer_parts.hpp"
#include "gateway/peer_resume.hpp"
#include "net/event_loop.hpp"

namespace ferry {
namespace {

using parts = std::shared_ptr<detail::gateway_parts>;

result<void> check(const gateway_options& with) {
  const auto bad = [](const std::string& text) { return error(errc::bad_option, text); };
  const auto none = gateway_options::duration::zero();
  if (with.max_packet < 4) return bad("max_packet: 4 bytes are the least, those of a virtual connection's number");
  if (with.ping_interval < none || with.ping_timeout < none || with.dial_timeout < none)
    return bad("ping_interval, ping_timeout, dial_timeout: a time below 0");
  if (with.gateway_idle_time > none && with.ping_interval >= with.gateway_idle_time)
    return bad("ping_interval must be shorter than gateway_idle_time, after which the gateway closes who says nothing");
  if (with.gateway_idle_time > none && with.ping_interval == none)
    return bad(
        "ping_interval is 0, so the gateway would close this connection after gateway_idle_time; set that to 0 "
        "if the gateway has none");
  if (with.ping_timeout > none && with.ping_interval == none)
    return bad("ping_timeout without ping_interval: there is no ping that could be answered too late");
  if ((with.ping_timeout > none) != static_cast<bool>(with.on_ping_timeout))
    return bad("ping_timeout and on_ping_timeout go together: set both, or neither");
  if (with.resume.history_bytes == 0 || with.resume.wait < none || with.resume.handshake_timeout <= none)
    return bad("resume: a history of 1 byte at least, and times above 0");
  if (with.link.session != session_kind::none) return bad("session: a gateway keeps none; leave it out");
  if (with.link.senders != senders_kind::one) return bad("senders=many: a gateway's peer is for one thread");
  if (with.link.framing != framing_kind::automatic && with.link.framing != framing_kind::u32)
    return bad("framing: a gateway's packets have their own; leave it out");
  if (const auto problem = check_options(with.link)) return bad(problem->text);
  return {};
}

// When the last handle goes, all is closed; what the event loop still holds then ends by itself.
parts started(context& where, detail::gateway_route to, const gateway_options& with) {
  const auto made = std::make_shared<detail::gateway_parts>(where, std::move(to), with);
  made->connect();
  return {made.get(), [made](detail::gateway_parts*) { made->close(); }};
}

gateway::resume_settings resume_settings_of(const gateway_resume_options& with) {
  gateway::resume_settings made;
  made.kind = with.kind == gateway_resume::token ? gateway::resume_kind::token : gateway::resume_kind::snet;
  made.stream.form = with.kind == gateway_resume::snet_older ? codec::snet::form::older : codec::snet::form::newer;
  made.stream.encrypt = with.encrypt;
  made.stream.history_bytes = with.history_bytes;
  made.stream.history_limit = with.history_limit;
  made.handshake_timeout = with.handshake_timeout;
  made.wait = with.wait;
  return made;
}

// Streams that outlive their connections, where that is asked for and can be.
result<void> make_resumable(context& where, detail::gateway_route& to, const gateway_resume_options& with) {
  if (with.kind == gateway_resume::off) return {};
  const bool streams = to.transport && to.transport->shape() == stream_shape::plain;
  if (!streams || (with.kind == gateway_resume::token && to.where.scheme != "tls"))
    return error(errc::bad_option,
                 "resume: " + to.where.scheme +
                     (streams ? " hides no token; use tls" : " has no streams that could be resumed"));
  if (with.kind != gateway_resume::token)
    where.log(log_level::warn, "gateway",
              [&] { return to.url + ": streams resumed as snet does protect nothing; a token over tls is better"; });
  const auto made = gateway::resuming_over(std::move(to.transport), resume_settings_of(with));
  to.transport = made;
  to.resumes = made;
  return {};
}

result<parts> opened(context& where, std::string_view url, const gateway_options& asked,
                     std::optional<gateway::server_identity> server) {
  auto with = asked;
  const auto at = parse_url(url, with.link, where.schemes());
  if (!at) return at.error();
  if (const auto fine = check(with); !fine) return fine.error();
  if (const auto ready = net::make_ready(where.io()); !ready) return ready.error();
  detail::gateway_route to{
      printed_url(at->text(), with.link), *at, where.transport(at->scheme), true, std::move(server), {}};
  if (const auto fine = make_resumable(where, to, with.resume); !fine) return fine.error();
  return started(where, std::move(to), with);
}

result<parts> on_stream(context& where, std::shared_ptr<stream> connected, const gateway_options& with,
                        std::optional<gateway::server_identity> server) {
  if (const auto fine = check(with); !fine) return fine.error();
  if (const auto ready = net::make_ready(where.io()); !ready) return ready.error();
  const auto url = "stream:" + connected->peer().text();
  const auto resumes = std::dynamic_pointer_cast<gateway::resuming>(connected);
  return started(where, {url, {}, gateway::once(std::move(connected)), false, std::move(server), resumes}, with);
}

gateway::server_identity identity(std::uint32_t id, std::string_view key, const gateway_options& with) {
  using way = session::server_login::way;
  return {id, std::string(key), with.login == gateway_login::hmac ? way::hmac : way::md5};
}

}  // namespace

std::shared_ptr<stream_transport> resumable_streams(std::shared_ptr<stream_transport> below,
                                                    const gateway_resume_options& with) {
  return gateway::resuming_over(std::move(below), resume_settings_of(with));
}

std::optional<gateway_address> gateway_address_of(const channel& one) noexcept {
  const auto* const impl = one.shared_impl().get();
  if (impl == nullptr) return std::nullopt;
  const auto* const found =
      dynamic_cast<const detail::virtual_channel*>(static_cast<const detail::channel_impl*>(impl));
  if (found == nullptr) return std::nullopt;
  return found->address();
}

void gateway_peer::start_dial(detail::gateway_parts& of, std::uint32_t remote, detail::accept_completion done) {
  of.dial(remote, std::move(done));
}
void gateway_peer::start_accept(detail::gateway_parts& of, detail::accept_completion done) {
  of.accept(std::move(done));
}
void gateway_peer::start_wait_up(detail::gateway_parts& of, detail::send_completion done) {
  of.wait_up(std::move(done));
}
void gateway_peer::start_close(const std::shared_ptr<detail::gateway_parts>& of, detail::send_completion done) {
  of->async_close(std::move(done));
}
void gateway_peer::on_channel(std::function<void(channel)> handler) { parts_->on_channel(std::move(handler)); }
void gateway_peer::on_up(std::function<void(const peer_info&)> handler) { parts_->on_up(std::move(handler)); }
void gateway_peer::on_down(std::function<void(const down_info&)> handler) { parts_->on_down(std::move(handler)); }
void gateway_peer::on_connect_failure(std::function<void(const error&)> handler) {
  parts_->on_connect_failure(std::move(handler));
}
void gateway_peer::close() { parts_->close(); }
channel_state gateway_peer::state() const { return parts_->state(); }
gateway_stats gateway_peer::stats() const { return parts_->stats(); }
const std::string& gateway_peer::url() const { return parts_->url(); }
error gateway_peer::last_error() const { return parts_->last_error(); }
boost::asio::io_context::executor_type gateway_peer::executor() const { return parts_->where().io().get_executor(); }

result<gateway_client> gateway_client::open(context& where, std::string_view url, const gateway_options& with) {
  auto made = opened(where, url, with, std::nullopt);
  if (!made) return made.error();
  return gateway_client(std::move(*made));
}

result<gateway_client> gateway_client::on(context& where, std::shared_ptr<stream> connected,
                                          const gateway_options& with) {
  auto made = on_stream(where, std::move(connected), with, std::nullopt);
  if (!made) return made.error();
  return gateway_client(std::move(*made));
}

result<gateway_server> gateway_server::open(context& where, std::string_view url, std::uint32_t id,
                                            std::string_view key, const gateway_options& with) {
  auto made = opened(where, url, with, identity(id, key, with));
  if (!made) return made.error();
  return gateway_server(std::move(*made));
}

result<gateway_server> gateway_server::on(context& where, std::shared_ptr<stream> connected, std::uint32_t id,
                                          std::string_view key, const gateway_options& with) {
  auto made = on_stream(where, std::move(connected), with, identity(id, key, with));
  if (!made) return made.error();
  return gateway_server(std::move(*made));
}

}  // namespace ferry
