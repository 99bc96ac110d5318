#include "net/accept_loop.hpp"

#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace ferry::net {

struct accept_loop::state : std::enable_shared_from_this<state> {
  state(boost::asio::io_context& io, handlers told_) : told(std::move(told_)), pause(io) {}

  void wait() {
    at->async_wait([weak = weak_from_this(), which = at.get()] {
      if (const auto self = weak.lock(); self && self->at.get() == which) self->accept_some();
    });
  }

  void accept_some() {
    for (int i = 0; i < k_most_per_turn && at; ++i) {
      auto came = at->try_accept();
      if (came) {
        told.came(std::move(*came));
        continue;
      }
      if (came.error() == errc::would_block) break;
      told.failed(came.error());
      if (came.error() != errc::busy) continue;
      pause.expires_after(k_pause);
      return pause.async_wait([weak = weak_from_this(), which = at.get()](const error_code& failed) {
        if (failed || which == nullptr) return;
        if (const auto self = weak.lock(); self && self->at.get() == which) self->accept_some();
      });
    }
    if (at) wait();
  }

  void close() noexcept {
    pause.cancel();
    if (at) std::exchange(at, nullptr)->close();
  }

  const handlers told;
  std::unique_ptr<acceptor> at;  // null: closed
  boost::asio::steady_timer pause;
};

accept_loop::accept_loop(boost::asio::io_context& io, handlers told)
    : state_(std::make_shared<state>(io, std::move(told))) {}
accept_loop::~accept_loop() {
  if (state_) state_->close();
}

void accept_loop::start(std::unique_ptr<acceptor> at) {
  if (is_open()) state_->accept_some();
  state_->close();
  state_->at = std::move(at);
  state_->wait();
}
void accept_loop::close() noexcept { state_->close(); }
bool accept_loop::is_open() const noexcept { return state_->at != nullptr; }
std::string accept_loop::local_url() const { return state_->at->local_url(); }

}  // namespace ferry::net
