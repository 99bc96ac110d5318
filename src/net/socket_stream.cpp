#include "net/socket_stream.hpp"

#include <boost/asio/post.hpp>
#include <cerrno>

#include "os/prefetch.hpp"

namespace ferry::net {
namespace asio = boost::asio;

// As long as a descriptor is watched, every arrival and every buffer the peer frees is noted in the event loop's list,
// which is work for both ends even while nobody sleeps. Who found bytes this often without waiting gains by doing
// without.
constexpr int k_reads_to_unwatch = 64;

result<std::shared_ptr<stream>> socket_stream::make(asio::io_context& io, os::unique_fd fd, peer_info peer) {
  auto made = std::make_shared<socket_stream>(io, std::move(fd), std::move(peer));
  if (const auto watched = made->watch(); !watched) return watched.error();
  return std::shared_ptr<stream>(std::move(made));
}

result<void> socket_stream::watch() {
  reads_since_watched_ = 0;
  if (watched_) return {};
  auto added = poll_.add(fd_.get(), *this);
  if (!added) return added;
  watched_ = true;
  may_read_ = hung_ = false;  // what is there is told
  return {};
}

void socket_stream::unwatch() noexcept {
  if (reading_ != reading::none) end_wait(false);
  if (writing_) end_wait(true);
  if (std::exchange(watched_, false)) poll_.remove(fd_.get(), *this);
}

void socket_stream::end_wait(bool writing) noexcept {
  if (writing)
    writing_ = false;
  else
    reading_ = reading::none;
  poll_.end_wait();
}

void socket_stream::attach(stream_events& events, std::shared_ptr<void> owner) {
  events_ = &events;
  owner_ = std::move(owner);
}

// A WebSocket, or a channel.
void socket_stream::expect(bool next) const noexcept {
  constexpr std::size_t k_owner_bytes = 768;
  if (!next) return os::prefetch<k_owner_bytes>(owner_.get());
  if (reading_ == reading::readiness && events_ != nullptr) reader_->expect();
}

// Fewer bytes than there was room for are all there were, and more are told; but the peer's end behind them is not told
// again.
result<std::size_t> socket_stream::try_read(mutable_bytes into) noexcept {
  auto n = os::receive(fd_.get(), into);
  may_read_ = n ? *n == into.size() || hung_ : n.error() != errc::would_block;
  const bool waits = reading_ != reading::none || writing_;
  if (n && watched_ && !waits && ++reads_since_watched_ == k_reads_to_unwatch) unwatch();
  return n;
}

result<std::size_t> socket_stream::try_write(std::span<const bytes> from) noexcept {
  if (unwatchable_) return *unwatchable_;
  return os::send(fd_.get(), from);
}

void socket_stream::async_read(mutable_bytes into) {
  into_ = into;
  wait_to_read(reading::bytes);
}

bool socket_stream::async_wait_readable(bare_reader& whom) {
  reader_ = &whom;
  wait_to_read(reading::readiness);
  return true;
}

void socket_stream::wait_to_read(reading what) {
  if (const auto watched = watch(); !watched) {
    asio::post(poll_.executor(), [self = shared_from_this(), why = watched.error()] { self->tell_read(why); });
    return;
  }
  poll_.begin_wait();
  reading_ = what;
  if (may_read_) asio::post(poll_.executor(), [self = shared_from_this()] { self->read_if_there(); });
}

void socket_stream::on_ready(std::uint32_t what) {
  constexpr std::uint32_t k_over = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((what & k_over) != 0) hung_ = true;
  if ((what & (EPOLLIN | k_over)) != 0) may_read_ = true;
  if (!writing_) return read_if_there();  // which may be the last that is heard of us
  const auto self = shared_from_this();
  read_if_there();
  if (writing_ && (what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    end_wait(true);
    tell_writable();
  }
}

void socket_stream::read_if_there() {
  if (!may_read_ || reading_ == reading::none) return;
  if (reading_ == reading::readiness) {
    end_wait(false);
    return tell_readable();
  }
  auto outcome = try_read(into_);
  if (!outcome && outcome.error() == errc::would_block) return;
  end_wait(false);
  tell_read(std::move(outcome));
}

void socket_stream::tell_readable() {
  if (events_ == nullptr) return;
  if (poll_.keep(owner_)) return reader_->on_readable();
  const auto keep = owner_;
  reader_->on_readable();
}

void socket_stream::tell_read(result<std::size_t> outcome) {
  if (events_ == nullptr) return;
  const auto keep = owner_;
  events_->on_read(std::move(outcome));
}

void socket_stream::async_wait_writable() {
  auto watched = watch();
  if (watched) watched = poll_.watch_room(fd_.get(), *this);
  if (!watched) {
    unwatchable_ = watched.error();
    asio::post(poll_.executor(), [self = shared_from_this()] { self->tell_writable(); });
    return;
  }
  poll_.begin_wait();
  writing_ = true;
}

void socket_stream::tell_writable() {
  if (events_ == nullptr) return;
  const auto keep = owner_;
  events_->on_writable();  // an error shows in the write that follows
}

result<void> socket_stream::shutdown_write() {
  if (::shutdown(fd_.get(), SHUT_WR) != 0) return error::from_errno(errno, "end the sending direction");
  return {};
}

result<void> socket_stream::shutdown_read() {
  if (::shutdown(fd_.get(), SHUT_RD) != 0) return error::from_errno(errno, "end the receiving direction");
  return {};
}

std::string socket_stream::local_address() const {
  const auto here = os::local_address(fd_.get());
  return here && here->size > sizeof(sa_family_t) ? here->text() : std::string();
}

std::size_t socket_stream::unread() const noexcept { return os::unread(fd_.get()); }

void socket_stream::close() noexcept {
  events_ = nullptr;
  unwatch();
  fd_.reset();
  owner_.reset();
}

namespace {

class socket_attempt final : public connect_attempt {
 public:
  socket_attempt(asio::io_context& io, std::vector<os::socket_address> addresses, const options& with,
                 stream_transport::connect_handler done)
      : state_(std::make_shared<state>(io, std::move(addresses), with, std::move(done))) {
    // Never from inside connect(): the caller has not got its handle yet.
    asio::post(io, [state = state_] { state->try_next(); });
  }
  ~socket_attempt() override { state_->cancel(); }

 private:
  struct state : std::enable_shared_from_this<state> {
    state(asio::io_context& io_, std::vector<os::socket_address> addresses_, const options& with_,
          stream_transport::connect_handler done_)
        : io(io_), addresses(std::move(addresses_)), with(with_), done(std::move(done_)), socket(io_) {}

    void try_next() {
      if (!done) return;
      const os::socket_address& to = addresses[next];
      const auto started = start(to);
      if (!started) return failed(started.error());
      if (*started) return connected();
      socket.async_wait(asio_socket::wait_write, [self = shared_from_this()](const boost::system::error_code&) {
        if (!self->done) return;
        const auto outcome = os::connect_result(self->socket.native_handle(), self->addresses[self->next]);
        outcome ? self->connected() : self->failed(outcome.error());
      });
    }

    result<bool> start(const os::socket_address& to) {
      auto fd = os::open_stream_socket(to.family(), with);
      if (!fd) return fd.error();
      auto started = os::start_connect(fd->get(), to);
      if (!started) return started;
      boost::system::error_code refused;
      socket.assign(asio::generic::stream_protocol(to.family(), 0), fd->get(), refused);
      if (refused) return error::from_errno(refused.value(), "watch a socket");
      (void)fd->release();
      return started;
    }

    void failed(const error& why) {
      boost::system::error_code ignored;
      socket.close(ignored);
      if (++next < addresses.size()) return try_next();
      std::exchange(done, nullptr)(why);
    }

    void connected() {
      const int family = addresses[next].family();
      boost::system::error_code refused;
      // The descriptor moves to a stream of its own; release() would also detach it, but wants no pending operation.
      os::unique_fd fd(socket.release(refused));
      if (refused) return failed(error::from_errno(refused.value(), "watch a socket"));
      os::tune_connected(fd.get(), family, with);
      auto who = os::identify_peer(fd.get(), addresses[next]);
      std::exchange(done, nullptr)(socket_stream::make(io, std::move(fd), std::move(who)));
    }

    void cancel() {
      done = nullptr;
      boost::system::error_code ignored;
      socket.close(ignored);
    }

    asio::io_context& io;
    std::vector<os::socket_address> addresses;
    std::size_t next = 0;
    options with;
    stream_transport::connect_handler done;  // empty once called or cancelled
    asio_socket socket;
  };
  std::shared_ptr<state> state_;
};

class socket_acceptor final : public acceptor {
 public:
  socket_acceptor(asio::io_context& io, int family, const options& with, std::string local_url,
                  std::function<void()> release, bool shared)
      : io_(io),
        socket_(std::make_shared<asio_socket>(io)),
        family_(family),
        shared_(shared),
        with_(with),
        local_url_(std::move(local_url)),
        release_(std::move(release)) {}
  ~socket_acceptor() override { close(); }

  result<void> watch(int listening_fd) {
    boost::system::error_code refused;
    socket_->assign(asio::generic::stream_protocol(family_, 0), listening_fd, refused);
    if (refused) return error::from_errno(refused.value(), "watch a listening socket");
    return {};
  }

  [[nodiscard]] result<std::shared_ptr<stream>> try_accept() override {
    if (!release_) return errc::closed;
    auto got = os::accept(socket_->native_handle());
    if (!got) return got.error();
    auto who = os::identify_peer(got->fd.get(), got->peer);
    if (family_ == AF_UNIX && !os::is_allowed(who, with_)) return os::describe_not_allowed(who);
    os::tune_connected(got->fd.get(), family_, with_);
    return socket_stream::make(io_, std::move(got->fd), std::move(who));
  }

  void async_wait(std::function<void()> ready) override {
    socket_->async_wait(asio_socket::wait_read,
                        [socket = socket_, ready = std::move(ready)](const boost::system::error_code& failed) {
                          if (!failed) ready();
                        });
  }

  // A Unix listener that has been shut down still gives away whoever waits; one on TCP drops them.
  result<void> refuse_new() override {
    if (!release_ || family_ != AF_UNIX || shared_) return errc::unsupported;
    if (::shutdown(socket_->native_handle(), SHUT_RD) != 0)
      return error::from_errno(errno, "stop listening on " + local_url_);
    return {};
  }

  void close() noexcept override {
    if (!release_) return;
    boost::system::error_code ignored;
    socket_->cancel(ignored);
    (void)socket_->release(ignored);  // its owner closes it
    std::exchange(release_, nullptr)();
  }

  [[nodiscard]] std::string local_url() const override { return local_url_; }

 private:
  asio::io_context& io_;
  std::shared_ptr<asio_socket> socket_;
  int family_;
  bool shared_;
  options with_;
  std::string local_url_;
  std::function<void()> release_;
};

}  // namespace

std::unique_ptr<connect_attempt> connect_socket(asio::io_context& io, std::vector<os::socket_address> addresses,
                                                const options& with, stream_transport::connect_handler done) {
  return std::make_unique<socket_attempt>(io, std::move(addresses), with, std::move(done));
}

result<std::unique_ptr<acceptor>> accept_on(asio::io_context& io, int listening_fd, int family, const options& with,
                                            std::string local_url, std::function<void()> release, bool shared) {
  auto made = std::make_unique<socket_acceptor>(io, family, with, std::move(local_url), std::move(release), shared);
  if (const auto watched = made->watch(listening_fd); !watched) return watched.error();
  return std::unique_ptr<acceptor>(std::move(made));
}

}  // namespace ferry::net
