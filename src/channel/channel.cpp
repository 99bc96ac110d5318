#include <ferry/channel.hpp>

#include "channel/channel_impl.hpp"

namespace ferry {
namespace {

// Nothing else derives from it.
detail::channel_impl& whole(detail::channel_front& front) noexcept { return static_cast<detail::channel_impl&>(front); }

}  // namespace

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

result<void> channel::try_send_anyhow(const message_view& m) { return whole(*impl_).try_send(m); }
void channel::on_message(std::function<void(const message_view&)> handler) {
  whole(*impl_).on_message(std::move(handler));
}
result<message> channel::try_receive() { return whole(*impl_).try_receive(); }
std::size_t channel::messages_waiting() const { return whole(*impl_).messages_waiting(); }
void channel::pause() { whole(*impl_).pause(); }
void channel::resume() { whole(*impl_).resume(); }
void channel::on_up(std::function<void(const peer_info&)> handler) { whole(*impl_).on_up(std::move(handler)); }
void channel::on_down(std::function<void(const down_info&)> handler) { whole(*impl_).on_down(std::move(handler)); }
void channel::on_drain(std::function<void()> handler) { whole(*impl_).on_drain(std::move(handler)); }
void channel::on_poisoned(std::function<void(bytes)> handler) { whole(*impl_).on_poisoned(std::move(handler)); }
void channel::on_peer_end(std::function<void()> handler) { whole(*impl_).on_peer_end(std::move(handler)); }
void channel::on_connect_failure(std::function<void(const error&)> handler) {
  whole(*impl_).on_connect_failure(std::move(handler));
}
void channel::on_attempt(std::function<void(attempt_step)> handler) { whole(*impl_).on_attempt(std::move(handler)); }
void channel::connect() { whole(*impl_).connect(); }
result<void> channel::end_receiving() { return whole(*impl_).end_receiving(); }
void channel::half_close() { whole(*impl_).half_close(); }
void channel::cut() { whole(*impl_).cut(errc::closed); }
result<void> channel::set_close_note(std::uint16_t code, std::string_view reason) {
  return whole(*impl_).set_close_note(code, reason);
}
std::optional<close_note> channel::peer_close_note() const { return whole(*impl_).peer_close_note(); }
channel_state channel::state() const { return whole(*impl_).state(); }
channel_stats channel::stats() const { return whole(*impl_).stats(); }
peer_info channel::peer() const { return whole(*impl_).peer(); }
std::string channel::local_address() const { return whole(*impl_).local_address(); }
error channel::last_error() const { return whole(*impl_).last_error(); }
transport_traits channel::traits() const { return whole(*impl_).traits(); }
const options& channel::settings() const { return whole(*impl_).settings(); }
const std::string& channel::url() const { return whole(*impl_).url(); }
std::any& channel::user_data() { return whole(*impl_).user_data(); }
int channel::readiness_fd() { return whole(*impl_).readiness_fd(); }
boost::asio::io_context::executor_type channel::executor() const { return whole(*impl_).io().get_executor(); }

void channel::start_send(detail::channel_front& impl, message_view what, detail::send_completion done) {
  if (what.more && !whole(impl).traits().carries_parts) return done(errc::unsupported);
  whole(impl).start_send(what, std::move(done));
}
void channel::start_flush(detail::channel_front& impl, detail::send_completion done) {
  whole(impl).start_flush(std::move(done));
}
void channel::start_receive(detail::channel_front& impl, detail::receive_completion done) {
  whole(impl).start_receive(std::move(done));
}
void channel::start_wait_up(detail::channel_front& impl, detail::send_completion done) {
  whole(impl).start_wait_up(std::move(done));
}
void channel::start_close(detail::channel_front& impl, detail::close_completion done,
                          std::optional<options::duration> within) {
  whole(impl).start_close(std::move(done), within);
}

}  // namespace ferry
