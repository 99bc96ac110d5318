#include <ferry/channel.hpp>

#include "channel/channel_impl.hpp"

namespace ferry {

const char* to_string(channel_state state) noexcept {
  switch (state) {
    case channel_state::connecting: return "connecting";
    case channel_state::up: return "up";
    case channel_state::waiting: return "waiting";
    case channel_state::closing: return "closing";
    case channel_state::closed: return "closed";
  }
  return "?";
}

result<void> channel::try_send(bytes payload, message_kind kind, std::uint16_t type) {
  return impl_->try_send({payload, kind, type});
}
void channel::on_message(std::function<void(const message_view&)> handler) { impl_->on_message(std::move(handler)); }
result<message> channel::try_receive() { return impl_->try_receive(); }
std::size_t channel::messages_waiting() const { return impl_->messages_waiting(); }
void channel::pause() { impl_->pause(); }
void channel::resume() { impl_->resume(); }
void channel::on_up(std::function<void(const peer_info&)> handler) { impl_->on_up(std::move(handler)); }
void channel::on_down(std::function<void(const down_info&)> handler) { impl_->on_down(std::move(handler)); }
void channel::on_drain(std::function<void()> handler) { impl_->on_drain(std::move(handler)); }
void channel::on_poisoned(std::function<void(bytes)> handler) { impl_->on_poisoned(std::move(handler)); }
void channel::on_peer_end(std::function<void()> handler) { impl_->on_peer_end(std::move(handler)); }
void channel::on_connect_failure(std::function<void(const error&)> handler) {
  impl_->on_connect_failure(std::move(handler));
}
void channel::connect() { impl_->connect(); }
result<void> channel::end_receiving() { return impl_->end_receiving(); }
void channel::half_close() { impl_->half_close(); }
void channel::cut() { impl_->cut(errc::closed); }
channel_state channel::state() const { return impl_->state(); }
channel_stats channel::stats() const { return impl_->stats(); }
peer_info channel::peer() const { return impl_->peer(); }
error channel::last_error() const { return impl_->last_error(); }
transport_traits channel::traits() const { return impl_->traits(); }
const options& channel::settings() const { return impl_->settings(); }
const std::string& channel::url() const { return impl_->url(); }
std::any& channel::user_data() { return impl_->user_data(); }
int channel::readiness_fd() { return impl_->readiness_fd(); }
boost::asio::io_context::executor_type channel::executor() const { return impl_->io().get_executor(); }

void channel::start_send(detail::channel_impl& impl, message_view what, detail::send_completion done) {
  impl.start_send(what, std::move(done));
}
void channel::start_flush(detail::channel_impl& impl, detail::send_completion done) {
  impl.start_flush(std::move(done));
}
void channel::start_receive(detail::channel_impl& impl, detail::receive_completion done) {
  impl.start_receive(std::move(done));
}
void channel::start_wait_up(detail::channel_impl& impl, detail::send_completion done) {
  impl.start_wait_up(std::move(done));
}
void channel::start_close(detail::channel_impl& impl, detail::close_completion done,
                          std::optional<options::duration> within) {
  impl.start_close(std::move(done), within);
}

}  // namespace ferry
