#include "net/ring_acceptor.hpp"

#include <ferry/url.hpp>

#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <cerrno>

#include "net/handler_place.hpp"
#include "net/listening_sockets.hpp"
#include "os/socket.hpp"

namespace ferry::net {
namespace {

namespace asio = boost::asio;
using handler = std::function<void(result<std::unique_ptr<ring_link>>)>;

constexpr std::size_t k_most_guests = 64;  // who have connected and not said hello yet
constexpr auto k_patience = std::chrono::seconds(5);

class ring_attempt final : public connect_attempt {
 public:
  ring_attempt(asio::io_context& io, std::string name, std::shared_ptr<const options> with, handler done)
      : state_(std::make_shared<state>(io, std::move(name), std::move(with), std::move(done))) {
    // Never from inside connect(): the caller has not got its handle yet.
    asio::post(io, [state = state_] { state->start(); });
  }
  ~ring_attempt() override {
    state_->done = nullptr;
    state_->readable.stop();
  }

 private:
  struct state : std::enable_shared_from_this<state> {
    state(asio::io_context& io, std::string name_, std::shared_ptr<const options> with_, handler done_)
        : name(std::move(name_)), with(std::move(with_)), done(std::move(done_)), readable(io) {}

    void start() {
      if (!done) return;
      auto started = ring_connecting::start(name, *with);
      if (!started) return finish(started.error());
      step = std::move(*started);
      if (const auto watched = readable.start(step->fd()); !watched) return finish(watched.error());
      wait();
    }
    void wait() {
      readable.async_readable([self = shared_from_this()](const boost::system::error_code& failed) {
        if (!self->done || failed) return;
        auto made = self->step->on_readable();
        if (!made && made.error() == errc::would_block) return self->wait();
        self->finish(std::move(made));
      });
    }
    void finish(result<std::unique_ptr<ring_link>> outcome) {
      readable.stop();
      std::exchange(done, nullptr)(std::move(outcome));
    }

    std::string name;
    std::shared_ptr<const options> with;
    handler done;  // empty once called or cancelled
    std::optional<ring_connecting> step;
    watch readable;  // after `step`: stops before the descriptor closes
  };
  std::shared_ptr<state> state_;
};

}  // namespace

std::unique_ptr<connect_attempt> connect_ring(asio::io_context& io, std::string name,
                                              std::shared_ptr<const options> with, handler done) {
  return std::make_unique<ring_attempt>(io, std::move(name), std::move(with), std::move(done));
}

/// Somebody who has connected and not said hello.
struct ring_acceptor::guest {
  guest(asio::io_context& io, ring_accepting step_) : step(std::move(step_)), readable(io), patience(io) {}
  ring_accepting step;
  watch readable;
  asio::steady_timer patience;
};

struct ring_acceptor::state : std::enable_shared_from_this<state> {
  state(asio::io_context& io_, std::shared_ptr<os::unix_listener> at, std::string name_,
        std::shared_ptr<const options> with_)
      : io(io_), listening(std::move(at)), name(std::move(name_)), with(std::move(with_)), arrivals(io_) {}

  void wait_for_arrivals() {
    if (closed || waiting || !ready || guests.size() >= k_most_guests) return;
    arrivals.async_readable([self = shared_from_this()](const boost::system::error_code& failed) {
      self->waiting = false;
      if (failed || self->closed) return;
      const rest others{*self};
      self->let_in();
    });
    waiting = true;
  }

  // Whatever letting somebody in throws, the next ones are waited for; without memory for that, who waits for us asks
  // again.
  struct rest {
    state& of;
    ~rest() {
      try {
        of.wait_for_arrivals();
      } catch (const std::exception&) {
        of.tell();
      }
    }
  };

  // Everybody who waits in the kernel, as far as there is room.
  void let_in() {
    while (guests.size() < k_most_guests) {
      auto got = os::accept(listening->get());
      if (!got) {
        if (got.error() != errc::would_block) arrived(got.error());
        return;
      }
      auto who = os::identify_peer(got->fd.get(), got->peer);
      if (!os::is_allowed(who, *with)) {
        arrived(os::describe_not_allowed(who));
        continue;
      }
      auto step = ring_accepting(std::move(got->fd), std::move(who), name, *with);
      const auto one = guests.emplace_back(std::make_shared<guest>(io, std::move(step)));
      if (const auto watched = one->readable.start(one->step.fd()); !watched) {
        leave(one, watched.error());
        continue;
      }
      const auto patience = with->connect_timeout.count() != 0 ? with->connect_timeout : options::duration(k_patience);
      one->patience.expires_after(patience);
      one->patience.async_wait([self = shared_from_this(), weak = std::weak_ptr(one)](const auto& cancelled) {
        if (const auto still = cancelled ? nullptr : weak.lock())
          self->leave(still, error(errc::timeout, "it said nothing within connect_timeout"));
      });
      listen_to(one);
    }
  }

  // The hello is mostly here already: who connects says it at once.
  void listen_to(const std::shared_ptr<guest>& one) {
    auto made = one->step.on_readable();
    if (made || made.error() != errc::would_block) return leave(one, std::move(made));
    one->readable.async_readable(
        [self = shared_from_this(), weak = std::weak_ptr(one)](const boost::system::error_code& failed) {
          if (const auto still = failed ? nullptr : weak.lock()) self->listen_to(still);
        });
  }

  void leave(std::shared_ptr<guest> one, result<std::unique_ptr<ring_link>> outcome) {
    if (std::erase(guests, one) == 0) return;
    if (!outcome && outcome.error() != errc::busy)
      outcome = outcome.error().in(url() + ": connection from " + one->step.peer().text());
    one.reset();
    arrived(std::move(outcome));
    wait_for_arrivals();
  }

  void arrived(result<std::unique_ptr<ring_link>> outcome) {
    done.push_back(std::move(outcome));
    tell();
  }

  void tell() {
    if (!ready || told) return;
    told = true;
    asio::post(io, telling.hold([self = shared_from_this()] {
      self->told = false;
      if (self->done.empty() && self->waiting) return;
      if (auto then = std::exchange(self->ready, nullptr)) then();
    }));
  }

  [[nodiscard]] std::string url() const { return endpoint{"shm", {}, 0, name, {}}.text(); }

  asio::io_context& io;
  const std::shared_ptr<os::unix_listener> listening;
  std::string name;
  std::shared_ptr<const options> with;
  watch arrivals;
  std::vector<std::shared_ptr<guest>> guests;
  std::deque<result<std::unique_ptr<ring_link>>> done;
  std::function<void()> ready;
  bool waiting = false;
  bool told = false;
  bool closed = false;
  handler_place telling;
};

result<std::unique_ptr<ring_acceptor>> ring_acceptor::open(asio::io_context& io, const std::string& name,
                                                           std::shared_ptr<const options> with) {
  const auto path = ring_socket_path(name, *with, true);
  if (!path) return path.error();
  auto at = listen_at_path(io, *path, *with);
  if (!at) return at.error();
  auto made = std::make_unique<ring_acceptor>(io, std::move(*at), name, std::move(with));
  if (const auto watched = made->state_->arrivals.start(made->state_->listening->get()); !watched)
    return watched.error();
  return made;
}

ring_acceptor::ring_acceptor(asio::io_context& io, std::shared_ptr<os::unix_listener> at, std::string name,
                             std::shared_ptr<const options> with)
    : state_(std::make_shared<state>(io, std::move(at), std::move(name), std::move(with))) {}

result<std::unique_ptr<ring_link>> ring_acceptor::try_accept() {
  if (state_->closed) return errc::closed;
  if (state_->done.empty()) return errc::would_block;
  auto one = std::move(state_->done.front());
  state_->done.pop_front();
  return one;
}

void ring_acceptor::async_wait(std::function<void()> ready) {
  state_->ready = std::move(ready);
  if (!state_->done.empty()) return state_->tell();
  state_->wait_for_arrivals();
}

std::string ring_acceptor::local_url() const { return state_->url(); }

result<void> ring_acceptor::refuse_new() {
  if (state_->closed) return errc::closed;
  if (::shutdown(state_->listening->get(), SHUT_RD) != 0)
    return error::from_errno(errno, "stop listening on " + local_url());
  state_->let_in();
  return {};
}

void ring_acceptor::close() noexcept {
  if (std::exchange(state_->closed, true)) return;
  state_->ready = nullptr;
  state_->arrivals.stop();
  state_->guests.clear();
  state_->done.clear();
  state_->listening->close();
}

}  // namespace ferry::net
