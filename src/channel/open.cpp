// From a URL to a channel or a listener.
#include <ferry/listener.hpp>
#include <ferry/url.hpp>

#include <array>
#include <boost/asio/dispatch.hpp>

#include "channel/fail.hpp"
#include "channel/listener_impl.hpp"
#include "channel/printed_url.hpp"
#include "channel/ring_channel.hpp"
#include "channel/session_channel.hpp"
#include "channel/stream_channel.hpp"
#include "channel/tcpshm_channel.hpp"
#include "net/capture_stream.hpp"
#include "net/event_loop.hpp"
#include "os/session_directory.hpp"

namespace ferry {
namespace {

/// Records travel through memory there, not bytes through a stream.
bool is_ring(const endpoint& where) { return where.scheme == "shm"; }

bool is_tcpshm(const options& with) { return with.compat == compat_kind::tcpshm; }

/// tcpshm's programs meet at a port in shared memory too.
result<void> find_host_and_port(endpoint& where) {
  if (!is_ring(where)) return {};
  options none;
  const std::array<std::string, 1> tcp{"tcp"};
  auto parsed = parse_url("tcp://" + where.path, none, tcp);
  if (!parsed) return error(errc::bad_url, "shm://" + where.path + ": with compat=tcpshm, write shm://HOST:PORT");
  where.host = std::move(parsed->host);
  where.port = parsed->port;
  return {};
}

struct target {
  endpoint where;
  std::shared_ptr<stream_transport> transport;  // null where is_ring()
  std::shared_ptr<const options> with;
};

result<target> look_up(context& in, endpoint where, std::shared_ptr<const options> with) {
  if (const auto problem = check_options(*with)) return error(errc::bad_option, problem->text);
  auto transport = in.transport(where.scheme);
  if (!transport && !is_ring(where))
    return error(errc::unknown_scheme, "no transport has the scheme '" + where.scheme + "'");
  if (const auto ready = net::make_ready(in.io()); !ready) return ready.error();
  if (is_tcpshm(*with)) {
    if (const auto found = find_host_and_port(where); !found) return found.error();
    return target{std::move(where), std::move(transport), std::move(with)};
  }
  if (!with->capture.empty() && is_ring(where))
    return error(errc::unsupported,
                 "shm: what lies in shared memory goes through no stream that could be captured; use another "
                 "transport");
  const auto shape = transport ? transport->shape() : stream_shape::plain;
  if (with->session == session_kind::persistent && shape != stream_shape::plain)
    return error(errc::unsupported, where.scheme +
                                        ": session=persistent needs a carrier of bytes that outlives a process: "
                                        "use shm, ipc, tcp or tls");
  if (shape == stream_shape::messages && with->framing != framing_kind::automatic)
    return error(errc::bad_option, "framing=" + get_option(*with, "framing") + ": " + where.scheme +
                                       " has frames of its own, those of WebSocket: leave the option out");
  return target{std::move(where), std::move(transport), std::move(with)};
}

result<target> look_up(context& in, std::string_view url, const options& with) {
  auto all = std::make_shared<options>(with);
  auto parsed = parse_url(url, *all, in.schemes());
  if (!parsed) return parsed.error();
  return look_up(in, std::move(*parsed), std::move(all));
}

result<channel> prepared(context& where, target to) {
  std::string text = printed_url(to.where.text(), *to.with);
  if (is_tcpshm(*to.with)) {
    auto made = detail::make_tcpshm_connecting(where, std::move(text), to.with, to.where);
    if (!made) return made.error();
    return detail::hold(*made);
  }
  if (to.with->session == session_kind::persistent) {
    auto there = std::make_unique<detail::session_destination>();
    if (is_ring(to.where))
      there->memory = to.where.path;
    else
      there->stream =
          std::make_unique<detail::destination>(detail::destination{std::move(to.transport), std::move(to.where)});
    auto made = detail::make_session_connecting(where, std::move(text), to.with, std::move(there));
    if (!made) return made.error();
    return detail::hold(*made);
  }
  if (is_ring(to.where))
    return detail::hold(detail::make_ring_connecting(where, std::move(text), std::move(to.with), to.where.path));
  auto there = std::make_unique<detail::destination>(detail::destination{std::move(to.transport), std::move(to.where)});
  return detail::hold(detail::make_connecting(where, std::move(text), std::move(to.with), std::move(there)));
}

result<std::unique_ptr<detail::arrivals>> arrivals_at(context& where, const target& at) {
  if (is_tcpshm(*at.with)) return detail::tcpshm_arrivals(where, at.where, at.with);
  const bool persistent = at.with->session == session_kind::persistent;
  if (persistent)
    if (const auto dir = os::session_directory(at.with->dir, true); !dir) return dir.error();
  if (is_ring(at.where) && !persistent) return detail::ring_arrivals(where, at.where.path, at.with);
  if (is_ring(at.where)) {
    auto from = net::memory_greetings(where.io(), at.where.path, at.with);
    if (!from) return from.error();
    return detail::session_arrivals(where, std::move(*from), at.with);
  }
  auto from = at.transport->listen(where, at.where, *at.with);
  if (!from) return from.error();
  if (persistent) return detail::session_arrivals(where, net::stream_greetings(std::move(*from)), at.with);
  return detail::stream_arrivals(std::move(*from), at.transport->shape());
}

result<listener> opened(context& where, target at) {
  auto from = arrivals_at(where, at);
  if (!from) return from.error();
  return listener(detail::hold(std::make_shared<detail::listener_impl>(where, std::move(*from), std::move(at.with))));
}

}  // namespace

namespace detail {

// When the last handle goes, the channel is cut; what the event loop still holds then ends by itself.
channel hold(const std::shared_ptr<channel_impl>& impl) {
  return channel(std::shared_ptr<channel_impl>(impl.get(), [impl](channel_impl*) {
    if (impl->settings().senders == senders_kind::one) return impl->cut(errc::closed);
    // The last copy may go on any thread.
    boost::asio::dispatch(impl->io(), [impl] { impl->cut(errc::closed); });
  }));
}

}  // namespace detail

result<channel> channel::open(context& where, std::string_view url, const options& with) {
  auto to = look_up(where, url, with);
  if (!to) return to.error();
  auto made = prepared(where, std::move(*to));
  if (made) made->connect();
  return made;
}

result<channel> channel::prepare(context& where, const endpoint& to, const options& with) {
  auto there = look_up(where, to, std::make_shared<options>(with));
  if (!there) return there.error();
  return prepared(where, std::move(*there));
}

result<listener> listener::open(context& where, std::string_view url, const options& with) {
  auto at = look_up(where, url, with);
  if (!at) return at.error();
  return opened(where, std::move(*at));
}

result<listener> listener::open(context& where, const endpoint& at, const options& with) {
  auto there = look_up(where, at, std::make_shared<options>(with));
  if (!there) return there.error();
  return opened(where, std::move(*there));
}

listener listener::on(context& where, std::unique_ptr<acceptor> arrivals, const options& with) {
  or_fail(net::make_ready(where.io()));
  auto captured = or_fail(net::make_captured(where, std::move(arrivals), *where.captures(), with));
  return listener(detail::hold(std::make_shared<detail::listener_impl>(
      where, detail::stream_arrivals(std::move(captured), stream_shape::plain), std::make_shared<options>(with))));
}

}  // namespace ferry
