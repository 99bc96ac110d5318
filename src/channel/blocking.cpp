#include <ferry/blocking.hpp>
#include <ferry/listener.hpp>

#include <deque>
#include <variant>

#include "channel/blocking_driver.hpp"

namespace ferry {
namespace blocking {
namespace detail {

constexpr std::size_t k_batch = 256;  // messages taken over from the runner's thread at once

struct channel_state {
  std::shared_ptr<driver> with;
  ferry::channel link;
  std::deque<message> batch;  // taken over and not yet received
  std::string last_error;
  bool half_closed = false;

  channel_state(std::shared_ptr<driver> with_, ferry::channel link_) : with(std::move(with_)), link(std::move(link_)) {}
  channel_state(const channel_state&) = delete;
  channel_state& operator=(const channel_state&) = delete;
  ~channel_state() {
    if (link) with->call([this] { std::exchange(link, {}).cut(); });
    with->turn();
  }
};

struct listener_state {
  std::shared_ptr<driver> with;
  ferry::listener arrivals;

  listener_state(std::shared_ptr<driver> with_, ferry::listener arrivals_)
      : with(std::move(with_)), arrivals(std::move(arrivals_)) {}
  listener_state(const listener_state&) = delete;
  listener_state& operator=(const listener_state&) = delete;
  ~listener_state() {
    with->call([this] { std::exchange(arrivals, {}).close(); });
    with->turn();
  }
};

namespace {

// The whole story of a failure: the channel's own text if it is about the same thing.
std::error_code report(channel_state& state, const error_code& failed) {
  if (!failed || failed == errc::would_block) return failed;
  // Both directions have ended in order; for whoever receives, that is the peer's end.
  if (failed == errc::closed && state.half_closed) return to_std(errc::end_of_stream);
  const auto code = static_cast<errc>(failed.value());
  error why;
  state.with->call([&] { why = state.link.last_error(); });
  state.last_error = why == code ? why.text() : to_string(code);
  return failed;
}

[[noreturn]] void throw_failure(const std::error_code& failed, const std::string& text) {
  throw failure(static_cast<errc>(failed.value()), 0, text);
}

// Before anything can have come: somebody will ask for it, and may want to answer whatever the peer does meanwhile.
void announce_receiver(ferry::channel& one) { (void)one.try_receive(); }

options for_driver(const options& with, const driver& how) {
  options all = with;
  if (how.threaded()) all.senders = senders_kind::many;  // try_send comes from the callers' threads
  return all;
}

}  // namespace
}  // namespace detail

using detail::await;
using detail::report;
using detail::throw_failure;

channel::channel() noexcept = default;
channel::channel(std::unique_ptr<detail::channel_state> state) noexcept : state_(std::move(state)) {}
channel::channel(channel&&) noexcept = default;
channel& channel::operator=(channel&&) noexcept = default;
channel::~channel() = default;

void channel::send(bytes payload, message_kind kind, std::uint16_t type, timeout limit) {
  std::error_code failed;
  send(payload, kind, type, limit, failed);
  if (failed) throw_failure(failed, state_->last_error);
}

void channel::send(bytes payload, message_kind kind, std::uint16_t type, timeout limit, std::error_code& failed) {
  failed.clear();
  const auto sent = state_->link.try_send(payload, kind, type);
  if (sent) return state_->with->turn();
  if (sent.error() != errc::full && sent.error() != errc::no_memory) {
    state_->last_error = sent.error().text();
    failed = sent.error().code();
    return;
  }
  const auto [code, none] = await<std::monostate>(*state_->with, limit, [&](auto done) {
    // One value more, as await() wants it; the cancellation slot stays with the handler.
    const auto slot = done.get_cancellation_slot();
    state_->link.async_send(
        payload, kind, type,
        boost::asio::bind_cancellation_slot(slot, [done](error_code e) mutable { done.get()(e, {}); }));
  });
  failed = report(*state_, code);
}

std::optional<message> channel::receive(timeout limit) {
  std::error_code failed;
  auto got = receive(limit, failed);
  if (failed && failed != errc::end_of_stream) throw_failure(failed, state_->last_error);
  return got;
}

std::optional<message> channel::receive(timeout limit, std::error_code& failed) {
  failed.clear();
  if (auto got = try_receive(failed); got || failed != errc::would_block) return got;
  auto [code, first] =
      await<message>(*state_->with, limit, [&](auto done) { state_->link.async_receive(std::move(done)); });
  failed = report(*state_, code);
  if (code) return std::nullopt;
  return std::move(first);
}

std::optional<message> channel::try_receive(std::error_code& failed) {
  failed.clear();
  if (state_->batch.empty()) {
    error why = errc::would_block;
    state_->with->turn();
    state_->with->call([&] {
      // Asking when nothing waits says that all was handled, which only the caller can know.
      do {
        auto one = state_->link.try_receive();
        if (!one) {
          why = one.error();
          break;
        }
        state_->batch.push_back(std::move(*one));
      } while (state_->batch.size() < detail::k_batch && state_->link.messages_waiting() != 0);
    });
    if (state_->batch.empty()) {
      failed = report(*state_, why.code());
      return std::nullopt;
    }
  }
  message first = std::move(state_->batch.front());
  state_->batch.pop_front();
  return first;
}

void channel::flush(timeout limit) {
  std::error_code failed;
  flush(limit, failed);
  if (failed) throw_failure(failed, state_->last_error);
}

void channel::flush(timeout limit, std::error_code& failed) {
  const auto [code, none] = await<std::monostate>(*state_->with, limit, [&](auto done) {
    const auto slot = done.get_cancellation_slot();
    state_->link.async_flush(
        boost::asio::bind_cancellation_slot(slot, [done](error_code e) mutable { done.get()(e, {}); }));
  });
  failed = report(*state_, code);
}

void channel::half_close() {
  state_->half_closed = true;
  state_->with->call([this] { state_->link.half_close(); });
  state_->with->turn();
}

close_result channel::close() {
  // Messages that nobody receives any more must not keep the peer's end from being seen.
  state_->with->call([this] { state_->link.on_message([](const message_view&) {}); });
  const auto [code, left] =
      await<close_report>(*state_->with, k_for_ever, [&](auto done) { state_->link.async_close(std::move(done)); });
  return {report(*state_, code), left.messages_unsent, left.messages_maybe_lost};
}

int channel::readiness_fd() {
  int fd = -1;
  state_->with->call([&] { fd = state_->link.readiness_fd(); });
  return fd;
}

std::string channel::peer() const {
  std::string text;
  state_->with->call([&] { text = state_->link.peer().text(); });
  return text;
}

std::string channel::last_error() const { return state_->last_error; }

listener::listener(std::unique_ptr<detail::listener_state> state) noexcept : state_(std::move(state)) {}
listener::listener(listener&&) noexcept = default;
listener& listener::operator=(listener&&) noexcept = default;
listener::~listener() = default;

channel listener::accept(timeout limit) {
  std::error_code failed;
  auto arrived = accept(limit, failed);
  if (failed) throw_failure(failed, url() + ": accept: " + to_string(static_cast<errc>(failed.value())));
  return arrived;
}

channel listener::accept(timeout limit, std::error_code& failed) {
  auto [code, arrived] = await<ferry::channel>(*state_->with, limit, [&](auto done) {
    const auto slot = done.get_cancellation_slot();
    state_->arrivals.async_accept(
        boost::asio::bind_cancellation_slot(slot, [done](error_code e, ferry::channel one) mutable {
          if (!e) detail::announce_receiver(one);
          done.get()(e, std::move(one));
        }));
  });
  failed = code;
  if (code) return {};
  return channel(std::make_unique<detail::channel_state>(state_->with, std::move(arrived)));
}

std::string listener::url() const {
  std::string text;
  state_->with->call([&] { text = state_->arrivals.url(); });
  return text;
}

}  // namespace blocking

blocking::listener listen(std::string_view url, const options& with, runner* on) {
  auto how = on != nullptr ? blocking::detail::drive_on(*on) : blocking::detail::drive_here();
  std::unique_ptr<blocking::detail::listener_state> state;
  how->call([&] {
    auto opened = listener::open(how->where(), url, blocking::detail::for_driver(with, *how));
    state = std::make_unique<blocking::detail::listener_state>(how, std::move(opened.value()));
  });
  return blocking::listener(std::move(state));
}

blocking::channel connect(std::string_view url, const options& with, runner* on) {
  auto how = on != nullptr ? blocking::detail::drive_on(*on) : blocking::detail::drive_here();
  std::unique_ptr<blocking::detail::channel_state> state;
  how->call([&] {
    auto opened = channel::open(how->where(), url, blocking::detail::for_driver(with, *how));
    state = std::make_unique<blocking::detail::channel_state>(how, std::move(opened.value()));
    blocking::detail::announce_receiver(state->link);
  });
  const auto [code, none] = blocking::detail::await<std::monostate>(*how, blocking::k_for_ever, [&](auto done) {
    state->link.async_wait_up([done](error_code e) mutable { done.get()(e, {}); });
  });
  if (!code) return blocking::channel(std::move(state));
  error why;
  how->call([&] { why = state->link.last_error(); });
  throw failure(why.reason(), why.system_errno(), why.text());
}

}  // namespace ferry
