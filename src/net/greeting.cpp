#include "net/greeting.hpp"

#include <ferry/url.hpp>

#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <cerrno>

#include "net/ring_link.hpp"
#include "net/watch.hpp"
#include "os/fd_passing.hpp"
#include "os/socket.hpp"
#include "os/unix_listener.hpp"

namespace ferry::net {
namespace {

namespace asio = boost::asio;

error said_nothing() {
  return {errc::reset,
          "the peer closed the connection without a login: it went away, or has no session=persistent there"};
}

}  // namespace

// A stream ----------------------------------------------------------------------------------------

std::shared_ptr<stream_line> stream_line::open(std::shared_ptr<stream> connected) {
  auto made = std::make_shared<stream_line>(std::move(connected));
  made->stream_->attach(*made, made);
  return made;
}

void stream_line::on_read(result<std::size_t> outcome) {
  const auto self = shared_from_this();
  const auto keep = owner_.lock();
  if (to_ != nullptr && keep) to_->on_read(std::move(outcome));
}

void stream_line::on_writable() {
  const auto self = shared_from_this();
  const auto keep = owner_.lock();
  if (to_ != nullptr && keep) to_->on_writable();
}

stream_greeting::stream_greeting(std::shared_ptr<stream> connected) : line_(stream_line::open(std::move(connected))) {
  line_->lead_to(this, alive_);
}

stream_greeting::~stream_greeting() {
  if (line_) line_->close();
}

result<void> stream_greeting::say(bytes text, int) {
  const auto n = line_->at().try_write(std::span(&text, 1));
  if (!n && n.error() != errc::would_block) return n.error();
  if (!n || *n != text.size()) return error(errc::busy, "the connection does not even take a login");
  return {};
}

void stream_greeting::async_hear(std::function<void(result<heard_login>)> then) {
  then_ = std::move(then);
  have_ = 0;
  read_on();
}

void stream_greeting::read_on() { line_->at().async_read(mutable_bytes(heard_.text).subspan(have_)); }

void stream_greeting::on_read(result<std::size_t> outcome) {
  // A process that is killed ends TLS without close_notify.
  if (!outcome && (outcome.error() == errc::end_of_stream || outcome.error() == errc::truncated))
    return finish(said_nothing());
  if (!outcome) return finish(outcome.error());
  have_ += *outcome;
  if (have_ != heard_.text.size()) return read_on();
  finish(std::move(heard_));
}

void stream_greeting::finish(result<heard_login> outcome) { std::exchange(then_, nullptr)(std::move(outcome)); }

// A socket beside memory --------------------------------------------------------------------------

struct memory_greeting::state : std::enable_shared_from_this<state> {
  state(asio::io_context& io, os::unique_fd socket_, peer_info peer_)
      : socket(std::move(socket_)), peer(std::move(peer_)), readable(io) {}

  void wait() {
    readable.async_readable([self = shared_from_this()](const boost::system::error_code& failed) {
      if (failed || !self->then) return;
      self->hear();
    });
  }
  void hear() {
    auto got = os::receive_with_fd(socket.get(), mutable_bytes(heard.text).subspan(have));
    if (!got) {
      if (got.error() == errc::would_block) return wait();
      return finish(got.error() == errc::end_of_stream ? said_nothing() : got.error());
    }
    have += got->size;
    if (got->fd && !heard.ring) heard.ring = std::move(got->fd);
    if (have != heard.text.size()) return wait();
    finish(std::move(heard));
  }
  void finish(result<heard_login> outcome) {
    readable.stop();
    std::exchange(then, nullptr)(std::move(outcome));
  }

  os::unique_fd socket;
  peer_info peer;
  heard_login heard{};
  std::size_t have = 0;
  std::function<void(result<heard_login>)> then;  // empty: nobody waits
  watch readable;
};

memory_greeting::memory_greeting(asio::io_context& io, os::unique_fd socket, peer_info peer)
    : state_(std::make_shared<state>(io, std::move(socket), std::move(peer))) {}

memory_greeting::~memory_greeting() {
  state_->then = nullptr;
  state_->readable.stop();
  state_->socket.reset();
}

result<void> memory_greeting::say(bytes text, int ring_fd) {
  const auto sent = os::send_with_fd(state_->socket.get(), text, ring_fd);
  if (!sent) return sent.error().in("say who we are");
  return {};
}

void memory_greeting::async_hear(std::function<void(result<heard_login>)> then) {
  state_->then = std::move(then);
  state_->have = 0;
  if (const auto watched = state_->readable.start(state_->socket.get()); !watched) {
    asio::post(state_->readable.executor(), [state = state_, why = watched.error()] {
      if (state->then) state->finish(why);
    });
    return;
  }
  state_->wait();
}

peer_info memory_greeting::peer() const { return state_->peer; }

os::unique_fd memory_greeting::take() noexcept { return std::move(state_->socket); }

// Where they arrive -------------------------------------------------------------------------------

namespace {

class stream_source final : public greeting_source {
 public:
  explicit stream_source(std::unique_ptr<acceptor> from) : from_(std::move(from)) {}
  [[nodiscard]] result<std::unique_ptr<greeting>> try_accept() override {
    auto arrived = from_->try_accept();
    if (!arrived) return arrived.error();
    return std::unique_ptr<greeting>(std::make_unique<stream_greeting>(std::move(*arrived)));
  }
  void async_wait(std::function<void()> ready) override { from_->async_wait(std::move(ready)); }
  result<void> refuse_new() override { return from_->refuse_new(); }
  void close() noexcept override { from_->close(); }
  [[nodiscard]] std::string local_url() const override { return from_->local_url(); }

 private:
  std::unique_ptr<acceptor> from_;
};

class memory_source final : public greeting_source {
 public:
  memory_source(asio::io_context& io, os::unix_listener at, std::string name, std::shared_ptr<const options> with)
      : io_(io), listening_(std::move(at)), name_(std::move(name)), with_(std::move(with)), arrivals_(io) {}
  ~memory_source() override { close(); }
  [[nodiscard]] result<void> start() { return arrivals_.start(listening_.get()); }

  [[nodiscard]] result<std::unique_ptr<greeting>> try_accept() override {
    if (closed_) return errc::closed;
    auto got = os::accept(listening_.get());
    if (!got) return got.error();
    auto who = os::identify_peer(got->fd.get(), got->peer);
    if (!os::is_allowed(who, *with_)) return os::describe_not_allowed(who);
    return std::unique_ptr<greeting>(std::make_unique<memory_greeting>(io_, std::move(got->fd), std::move(who)));
  }
  void async_wait(std::function<void()> ready) override {
    if (closed_) return;
    arrivals_.async_readable([alive = std::weak_ptr(alive_), ready = std::move(ready)](const auto& failed) {
      if (!failed && alive.lock()) ready();
    });
  }
  result<void> refuse_new() override {
    if (closed_) return errc::closed;
    if (::shutdown(listening_.get(), SHUT_RD) != 0) return error::from_errno(errno, "stop listening on " + local_url());
    return {};
  }
  void close() noexcept override {
    if (std::exchange(closed_, true)) return;
    alive_.reset();
    arrivals_.stop();
    listening_.close();
  }
  [[nodiscard]] std::string local_url() const override { return endpoint{"shm", {}, 0, name_, {}}.text(); }

 private:
  asio::io_context& io_;
  os::unix_listener listening_;
  std::string name_;
  std::shared_ptr<const options> with_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  watch arrivals_;
  bool closed_ = false;
};

result<std::unique_ptr<greeting>> connect_memory(asio::io_context& io, const std::string& name, const options& with) {
  const auto path = ring_socket_path(name, with, false);
  if (!path) return path.error();
  const auto address = os::unix_address(*path);
  auto socket = os::open_stream_socket(AF_UNIX, with);
  if (!socket) return socket.error();
  // A Unix socket connects at once, or not at all.
  if (const auto connected = os::start_connect(socket->get(), *address); !connected) return connected.error();
  auto who = os::identify_peer(socket->get(), *address);
  return std::unique_ptr<greeting>(std::make_unique<memory_greeting>(io, std::move(*socket), std::move(who)));
}

class memory_attempt final : public connect_attempt {
 public:
  explicit memory_attempt(std::shared_ptr<bool> wanted) : wanted_(std::move(wanted)) {}
  ~memory_attempt() override { *wanted_ = false; }

 private:
  std::shared_ptr<bool> wanted_;
};

}  // namespace

std::unique_ptr<greeting_source> stream_greetings(std::unique_ptr<acceptor> from) {
  return std::make_unique<stream_source>(std::move(from));
}

result<std::unique_ptr<greeting_source>> memory_greetings(asio::io_context& io, const std::string& name,
                                                          std::shared_ptr<const options> with) {
  const auto path = ring_socket_path(name, *with, true);
  if (!path) return path.error();
  auto at = os::unix_listener::open(*path, *with);
  if (!at) return at.error();
  auto made = std::make_unique<memory_source>(io, std::move(*at), name, std::move(with));
  if (const auto watched = made->start(); !watched) return watched.error();
  return std::unique_ptr<greeting_source>(std::move(made));
}

std::unique_ptr<connect_attempt> greet_memory(asio::io_context& io, std::string name,
                                              std::shared_ptr<const options> with,
                                              std::function<void(result<std::unique_ptr<greeting>>)> done) {
  auto wanted = std::make_shared<bool>(true);
  asio::post(io, [&io, name = std::move(name), with = std::move(with), done = std::move(done), wanted] {
    if (*wanted) done(connect_memory(io, name, *with));
  });
  return std::make_unique<memory_attempt>(std::move(wanted));
}

}  // namespace ferry::net
