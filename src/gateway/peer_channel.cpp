#include "gateway/peer_channel.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "channel/describe.hpp"
#include "codec/gateway_packet.hpp"

namespace ferry::detail {
namespace asio = boost::asio;

virtual_channel::virtual_channel(std::shared_ptr<gateway_parts> parts, std::shared_ptr<const options> with,
                                 gateway_address who, bool to_server)
    : channel_impl(parts->where(), parts->url() + "#" + std::to_string(who.remote), std::move(with), {}),
      parts_(std::move(parts)),
      who_(std::move(who)),
      to_server_(to_server) {
  enter(channel_state::up);
  counts_.connections = 1;
}

virtual_channel::~virtual_channel() { parts_->forget(*this); }

// Receiving ---------------------------------------------------------------------------------------

bool virtual_channel::take(const message_view& m) {
  const auto keep = shared_from_this();
  delivering_begins();
  const bool taken = deliver(m);
  delivering_ends();
  if (!taken) return false;
  counts_.messages_received += 1;
  counts_.bytes_received += m.payload.size() + codec::gateway::k_header_bytes;
  where_.totals().messages_received.add(1);
  return true;
}

void virtual_channel::resume_reading() {
  const auto keep = shared_from_this();
  parts_->resume(*this);
  look_whether_over();
}

void virtual_channel::end(const error& why, bool by_other_end) {
  if (finished_ || ending_) return;
  const auto keep = shared_from_this();
  const bool ours = std::exchange(refuses_, true);  // we have closed it already
  ending_ = why;
  if (ours) return finish(why);
  if (state() == channel_state::up) enter(channel_state::closing);
  if (by_other_end) (void)report_peer_end();
  if (finished_) return;
  if (messages_waiting() == 0 && !parts_->holds_for(*this)) return finish(why);
  tell_receiver();
}

void virtual_channel::look_whether_over() {
  if (ending_ && !finished_ && messages_waiting() == 0 && !parts_->holds_for(*this)) finish_later(*ending_);
}

// Sending -----------------------------------------------------------------------------------------

result<void> virtual_channel::try_send(const message_view& m) {
  if (refuses_) return errc::closed;
  if (m.type != 0) return describe_no_type(m.type, "gateway");
  if (!m.whole()) return errc::unsupported;
  const auto sent = parts_->send(*this, m.payload);
  if (!sent) {
    was_full_ = was_full_ || sent.error() == errc::full;
    return sent;
  }
  last_ = parts_->position();
  counts_.messages_sent += 1;
  counts_.bytes_sent += m.payload.size() + codec::gateway::k_header_bytes;
  return {};
}

std::size_t virtual_channel::unsent() const {
  const auto taken = parts_->taken();
  return last_ > taken ? static_cast<std::size_t>(last_ - taken) : 0;
}

// Asked by whoever waits until all is taken, and so has to be told when it is.
std::size_t virtual_channel::unsent_bytes() const noexcept {
  if (finished_) return 0;
  const auto left = unsent();
  if (left != 0) parts_->tell_progress(const_cast<virtual_channel&>(*this));
  return left;
}

void virtual_channel::drained() {
  if (finished_) return;
  const auto keep = shared_from_this();
  report_progress(std::exchange(was_full_, false) && !refuses_);
}

void virtual_channel::progressed() {
  if (finished_) return;
  const auto keep = shared_from_this();
  report_progress(false);
  if (refuses_ && !ending_ && !finished_ && unsent_bytes() == 0) finish(errc::closed);
}

// Life --------------------------------------------------------------------------------------------

void virtual_channel::half_close() {
  if (refuses_ || state() == channel_state::closed) return;
  refuses_ = true;
  enter(channel_state::closing);
  parts_->close_connection(*this);
  last_ = parts_->position();
  if (unsent_bytes() == 0) finish_later(errc::closed);
}

void virtual_channel::closing_begins(std::optional<options::duration> within) {
  deadline_ = std::make_unique<asio::steady_timer>(io());
  deadline_->expires_after(std::min<options::duration>(within.value_or(settings().close_timeout), k_longest_wait));
  deadline_->async_wait([weak = weak_from_this()](const error_code& failed) {
    const auto alive = std::static_pointer_cast<virtual_channel>(weak.lock());
    if (!failed && alive && !alive->finished_)
      alive->fail(error(errc::timeout,
                        "close_timeout: the gateway has not taken everything, or not everything that "
                        "was received was taken"));
  });
}

void virtual_channel::fail(const error& why) {
  if (finished_) return;
  const auto keep = shared_from_this();
  if (!refuses_) parts_->close_connection(*this);
  refuses_ = true;
  finish(why);
}

void virtual_channel::cut(const error& reason) {
  if (state() == channel_state::closed) return;
  if (!refuses_) parts_->close_connection(*this);
  refuses_ = true;
  enter(channel_state::closed);
  finish_later(ending_.value_or(reason));
}

void virtual_channel::finish_later(const error& why) {
  if (std::exchange(finished_, true)) return;
  parts_->forget(*this);
  asio::post(io(), [kept = self(), why] {
    kept->finished_ = false;
    kept->finish(why);
  });
}

void virtual_channel::finish(const error& why) {
  if (std::exchange(finished_, true)) return;
  parts_->forget(*this);
  if (deadline_) deadline_->cancel();
  down_info info{why};
  info.messages_maybe_lost = counts_.messages_maybe_lost = counts_.messages_sent;
  info.bytes_maybe_lost = counts_.bytes_sent;
  report_down(info);
  ended({why, 0, 0, info.messages_maybe_lost});
}

void virtual_channel::let_go() noexcept {
  refuses_ = finished_ = true;
  if (deadline_) deadline_->cancel();
  parts_->forget(*this);
}

channel_stats virtual_channel::stats() {
  channel_stats all = counts_;
  all.send_queue_bytes = finished_ ? 0 : unsent();
  all.receive_queue_messages = received().messages();
  all.receive_queue_bytes = received().byte_count();
  return all;
}

peer_info virtual_channel::current_peer() const {
  peer_info who;
  who.address = who_.address;
  if (who_.address.empty())
    who.address = (to_server_ ? "server " : "client ") + std::to_string(who_.remote);
  else
    who.through = parts_->url();
  return who;
}

}  // namespace ferry::detail
