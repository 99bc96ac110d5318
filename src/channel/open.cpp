// From a URL to a channel or a listener.
#include <ferry/listener.hpp>
#include <ferry/url.hpp>

#include <boost/asio/dispatch.hpp>

#include "channel/listener_impl.hpp"
#include "channel/stream_channel.hpp"

namespace ferry {
namespace {

struct target {
  endpoint where;
  std::shared_ptr<stream_transport> transport;
  std::shared_ptr<const options> with;
};

result<target> look_up(context& in, std::string_view url, const options& with) {
  auto all = std::make_shared<options>(with);
  const auto schemes = in.schemes();
  auto parsed = parse_url(url, *all, schemes);
  if (!parsed) return parsed.error();
  if (const auto problem = check_options(*all)) return error(errc::bad_option, problem->text);
  auto transport = in.transport(parsed->scheme);
  return target{std::move(*parsed), std::move(transport), std::move(all)};
}

}  // namespace

namespace detail {

// When the last handle goes, the channel is cut; what the event loop still holds then ends by itself.
channel hold(const std::shared_ptr<channel_impl>& impl) {
  return channel(std::shared_ptr<channel_impl>(impl.get(), [impl](channel_impl*) {
    if (impl->settings().senders == senders_kind::one) return impl->cut(errc::closed);
    // The last copy may go on any thread.
    boost::asio::dispatch(impl->where().io(), [impl] { impl->cut(errc::closed); });
  }));
}

}  // namespace detail

result<channel> channel::open(context& where, std::string_view url, const options& with) {
  auto to = look_up(where, url, with);
  if (!to) return to.error();
  std::string text = to->where.text();
  auto there = std::make_unique<detail::destination>(detail::destination{std::move(to->transport), std::move(to->where)});
  return detail::hold(detail::make_connecting(where, std::move(text), std::move(to->with), std::move(there)));
}

result<listener> listener::open(context& where, std::string_view url, const options& with) {
  auto at = look_up(where, url, with);
  if (!at) return at.error();
  auto arrivals = at->transport->listen(where, at->where, *at->with);
  if (!arrivals) return arrivals.error();
  return listener(detail::hold(std::make_shared<detail::listener_impl>(where, std::move(*arrivals), std::move(at->with), at->transport->local())));
}

listener listener::on(context& where, std::unique_ptr<acceptor> arrivals, const options& with) {
  return listener(detail::hold(std::make_shared<detail::listener_impl>(where, std::move(arrivals), std::make_shared<options>(with), false)));
}

}  // namespace ferry
