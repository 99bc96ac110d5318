#include <ferry/session.hpp>

#include "channel/session_channel.hpp"

namespace ferry {

result<persistent_session> persistent_session::of(const channel& of) {
  if (!of) return error(errc::misuse, "an empty channel has no session");
  auto& whole = static_cast<detail::channel_impl&>(*of.shared_impl());
  auto made = std::dynamic_pointer_cast<detail::session_channel>(whole.shared_from_this());
  if (!made) return error(errc::misuse, of.url() + " has no persistent session: open it with session=persistent");
  return persistent_session(std::move(made));
}

result<transaction> persistent_session::begin() {
  if (const auto begun = of_->begin(); !begun) return begun.error();
  return transaction(of_);
}
result<void> persistent_session::set_state(bytes to) { return of_->set_state(to); }
result<void> persistent_session::give_back() { return of_->give_back(); }
bytes persistent_session::state() const { return of_->kept_state(); }
session_info persistent_session::info() const { return of_->info(); }
boost::asio::io_context::executor_type persistent_session::executor() const { return of_->io().get_executor(); }
void persistent_session::start_wait_message(detail::session_channel& of, detail::send_completion done) {
  of.start_wait_input(std::move(done));
}
void persistent_session::start_wait_durable(detail::session_channel& of, detail::send_completion done) {
  of.start_wait_durable(std::move(done));
}

result<message_view> transaction::receive() {
  if (!of_) return errc::misuse;
  return of_->receive();
}
result<void> transaction::send(bytes payload, message_kind kind, std::uint16_t type) {
  if (!of_) return errc::misuse;
  return of_->try_send({payload, kind, type});
}
result<void> transaction::set_state(bytes to) {
  if (!of_) return errc::misuse;
  return of_->set_state(to);
}
result<void> transaction::commit() {
  if (!of_) return errc::misuse;
  if (const auto done = of_->commit(); !done) return done.error();
  of_.reset();
  return {};
}
void transaction::abort() noexcept {
  if (const auto of = std::exchange(of_, nullptr)) of->abort();
}

}  // namespace ferry
