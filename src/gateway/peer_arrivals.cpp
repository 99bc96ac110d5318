// Virtual connections as they come, and those who dial us.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "channel/link_channel.hpp"
#include "gateway/peer_channel.hpp"
#include "gateway/peer_parts.hpp"

namespace ferry::detail {
namespace asio = boost::asio;

namespace {

// The client's address as the gateway tells it behind the arguments of Connect, where other gateways may have anything.
std::string address_in(bytes more) {
  constexpr std::size_t k_longest = 64;
  const auto text = as_text(more);
  const bool one =
      text.size() <= k_longest && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
  return one ? std::string(text) : std::string();
}

}  // namespace

std::shared_ptr<virtual_channel> gateway_parts::add(const session::gateway_event& event) {
  gateway_address who{event.connection, event.remote, {}};
  if (route_.server && event.what == session::gateway_event::type::connected) who.address = address_in(event.message);
  auto made = std::make_shared<virtual_channel>(shared_from_this(), virtual_options_, std::move(who), !route_.server);
  channels_[event.connection] = made.get();
  return made;
}

void gateway_parts::arrive(const session::gateway_event& event) {
  if (arrived_.size() >= with_.max_arriving) {
    stats_.turned_away += 1;
    (void)peer_.close(event.connection, now(), *this);
    return;
  }
  stats_.accepted += 1;
  arrived_.push_back(hold(add(event)));
  serve_arrivals();
}

void gateway_parts::serve_arrivals() {
  const auto keep = shared_from_this();
  while (!arrived_.empty() && (channel_handler_ || !accepts_.empty())) {
    auto first = std::move(arrived_.front());
    arrived_.pop_front();
    if (!accepts_.empty())
      accepts_.pop()({}, std::move(first));
    else
      channel_handler_(where_.io(), std::move(first));
  }
}

void gateway_parts::on_channel(std::function<void(channel)> handler) {
  channel_handler_ = std::move(handler);
  asio::post(where_.io(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->serve_arrivals();
  });
}

void gateway_parts::accept(accept_completion done) {
  if (!arrived_.empty()) {
    auto first = std::move(arrived_.front());
    arrived_.pop_front();
    return done({}, std::move(first));
  }
  if (state_ == channel_state::closed) return done(errc::closed, {});
  accepts_.add(shared_from_this(), &gateway_parts::accepts_, where_.io(), std::move(done), {},
               [](accept_completion& one) { one(errc::cancelled, {}); });
}

}  // namespace ferry::detail
