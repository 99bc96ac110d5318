#include "compat/tcpshm_turns.hpp"

#include <boost/asio/post.hpp>

namespace ferry::compat::tcpshm {
namespace asio = boost::asio;

result<void> turns::start(int descriptor, work poll) {
  if (auto watched = news_.start(descriptor); !watched) return watched;
  poll_ = std::make_shared<const work>(std::move(poll));
  wait_for_news();
  wait_for_tick();
  return {};
}

void turns::stop() noexcept {
  const auto last = std::exchange(poll_, nullptr);  // what it holds may let go of us
  news_.stop();
  timer_.cancel();
}

void turns::poke() {
  if (!poll_ || std::exchange(posted_, true)) return;
  asio::post(io_, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->posted_ = false;
    self->run();
  });
}

void turns::run() {
  if (!poll_) return;
  const auto keep = shared_from_this();
  // Also if a handler throws: the event loop may go on.
  struct again {
    turns& of;
    ~again() {
      of.wait_for_news();
      of.wait_for_tick();
    }
  } const afterwards{*this};
  const auto poll = poll_;
  const bool moved = (*poll)(now());
  if (moved) moved_ = clock::now();
  if (moved || (with_.spin.count() != 0 && clock::now() - moved_ < with_.spin)) poke();
}

void turns::wait_for_news() {
  if (!poll_ || std::exchange(watching_, true)) return;
  news_.async_readable([weak = weak_from_this()](const boost::system::error_code& failed) {
    const auto self = weak.lock();
    if (!self) return;
    self->watching_ = false;
    if (!failed) self->run();
  });
}

void turns::wait_for_tick() {
  if (!poll_ || std::exchange(ticking_, true)) return;
  timer_.expires_after(with_.tick);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& failed) {
    const auto self = weak.lock();
    if (!self) return;
    self->ticking_ = false;
    if (!failed) self->run();
  });
}

}  // namespace ferry::compat::tcpshm
