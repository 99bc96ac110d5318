#include "net/accept_loop.hpp"

#include <exception>
#include <utility>

#include "net/timers.hpp"

namespace ferry::net {

struct accept_loop::state final : timers::kept_entry, std::enable_shared_from_this<state> {
  state(boost::asio::io_context& io, handlers told_) : kept_entry(io), told(std::move(told_)) {}

  // Whatever taking them throws, the next ones are waited for.
  struct rest {
    state& of;
    ~rest() {
      if (of.at && !of.pauses) of.wait();
    }
  };

  void wait() noexcept {
    try {
      at->async_wait([weak = weak_from_this(), which = at.get()] {
        if (const auto self = weak.lock(); self && self->at.get() == which) self->accept_some();
      });
    } catch (const std::exception&) {
      pause();
    }
  }

  void accept_some() {
    const rest others{*this};
    for (int i = 0; i < k_most_per_turn && at; ++i) {
      auto came = at->try_accept();
      if (came) {
        told.came(std::move(*came));
        continue;
      }
      if (came.error() == errc::would_block) return;
      if (came.error() == errc::busy) pause();
      told.failed(came.error());
      if (pauses) return;
    }
  }

  void pause() noexcept {
    pauses = true;
    set_timer(std::chrono::steady_clock::now() + k_pause);
  }
  void on_time() override {
    const auto self = shared_from_this();
    pauses = false;
    accept_some();
  }

  void close() noexcept {
    cancel_timer();
    pauses = false;
    if (at) std::exchange(at, nullptr)->close();
  }

  const handlers told;
  std::unique_ptr<acceptor> at;  // null: closed
  bool pauses = false;
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
