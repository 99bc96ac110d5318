// inproc://NAME: two ends in one process, on one io_context or on two. The bytes lie in two pipes in memory; everything
// above (framing, queues, events) is what the sockets have too.
#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "net/posted_attempt.hpp"
#include "net/transports.hpp"

namespace ferry::net {
namespace {

namespace asio = boost::asio;
using work_guard = asio::executor_work_guard<asio::io_context::executor_type>;

constexpr std::size_t k_pipe_bytes = 256u << 10;

/// Somebody who waits on another io_context (or the same): called there once. Holds that io_context's run() open.
class waiter {
 public:
  /// `wake(who)` is called; a plain function, so that waiting for a message allocates nothing.
  void set(asio::io_context& io, std::shared_ptr<void> who, void (*wake)(void*)) {
    work_.emplace(io.get_executor());
    who_ = std::move(who);
    wake_ = wake;
  }
  /// Wakes, if anybody waits. The pipe's lock is held.
  void notify() {
    if (!who_) return;
    asio::post(work_->get_executor(), [who = std::exchange(who_, nullptr), wake = wake_] { wake(who.get()); });
    work_.reset();
  }
  void forget() {
    who_.reset();
    work_.reset();
  }

 private:
  std::optional<work_guard> work_;
  std::shared_ptr<void> who_;
  void (*wake_)(void*) = nullptr;
};

/// One direction. Every member is guarded by `lock`.
struct pipe {
  explicit pipe(std::shared_ptr<buffer_pool> buffers) : pool(std::move(buffers)) {}
  std::mutex lock;
  std::shared_ptr<buffer_pool> pool;
  pooled_buffer data;     // k_pipe_bytes while anything lies in the pipe, none while it is empty
  std::size_t begin = 0;  // offset of the first unread byte
  std::size_t size = 0;   // unread bytes
  bool writer_ended = false;
  bool reader_gone = false;
  bool broken = false;  // the writer was cut: what is unread is still read, then a reset
  waiter reader, writer;

  std::size_t read(mutable_bytes into) {
    std::size_t done = 0;
    while (done < into.size() && size != 0) {
      const std::size_t part = std::min({into.size() - done, size, k_pipe_bytes - begin});
      std::memcpy(into.data() + done, data.data() + begin, part);
      begin = (begin + part) % k_pipe_bytes;
      size -= part;
      done += part;
    }
    if (size == 0) data.reset();
    return done;
  }
  std::size_t write(bytes from) {
    if (!data) {
      data = pool->acquire(k_pipe_bytes);
      begin = 0;
      if (!data) return 0;
    }
    std::size_t done = 0;
    while (done < from.size() && size != k_pipe_bytes) {
      const std::size_t end = (begin + size) % k_pipe_bytes;
      const std::size_t part = std::min({from.size() - done, k_pipe_bytes - size, k_pipe_bytes - end});
      std::memcpy(data.data() + end, from.data() + done, part);
      size += part;
      done += part;
    }
    return done;
  }
};

class inproc_stream final : public stream, public std::enable_shared_from_this<inproc_stream> {
 public:
  inproc_stream(asio::io_context& io, std::shared_ptr<pipe> in, std::shared_ptr<pipe> out, std::string name)
      : io_(io), in_(std::move(in)), out_(std::move(out)), name_(std::move(name)) {}
  ~inproc_stream() override { close(); }

  void attach(stream_events& events, std::shared_ptr<void> owner) override {
    events_ = &events;
    owner_ = std::move(owner);
  }

  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override {
    const std::lock_guard guard(in_->lock);
    if (const std::size_t n = in_->read(into); n != 0) {
      if (in_->size <= k_pipe_bytes / 2) in_->writer.notify();
      return n;
    }
    if (in_->broken) return errc::reset;
    if (in_->writer_ended) return errc::end_of_stream;
    return errc::would_block;
  }

  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override {
    const std::lock_guard guard(out_->lock);
    if (out_->reader_gone || out_->writer_ended) return errc::reset;
    std::size_t done = 0;
    for (const bytes part : from) done += out_->write(part);
    if (done == 0) {
      if (!out_->data) return error(errc::no_memory, "inproc: no buffer for the pipe");
      return errc::would_block;
    }
    out_->reader.notify();
    return done;
  }

  void async_read(mutable_bytes into) override {
    reading_into_ = into;
    wait_on(
        *in_, in_->reader, [](const pipe& p) { return p.size != 0 || p.writer_ended || p.broken; },
        [](void* self) { static_cast<inproc_stream*>(self)->readable(); });
  }

  void async_wait_writable() override {
    wait_on(
        *out_, out_->writer, [](const pipe& p) { return p.size <= k_pipe_bytes / 2 || p.reader_gone; },
        [](void* self) { static_cast<inproc_stream*>(self)->writable(); });
  }

  result<void> shutdown_write() override {
    const std::lock_guard guard(out_->lock);
    out_->writer_ended = true;
    out_->reader.notify();
    return {};
  }

  void close() noexcept override {
    events_ = nullptr;
    {
      const std::lock_guard guard(out_->lock);
      // As with a Unix socket: leaving input unread, or never having ended in order, is a reset for the other side.
      out_->writer_ended = true;
      out_->writer.forget();
      out_->reader.notify();
    }
    {
      const std::lock_guard guard(in_->lock);
      in_->reader_gone = true;
      in_->reader.forget();
      in_->writer.notify();
      if (in_->size == 0) return owner_.reset();
    }
    const std::lock_guard guard(out_->lock);
    out_->broken = true;
    out_->reader.notify();
    owner_.reset();
  }

  [[nodiscard]] peer_info peer() const override { return {"inproc://" + name_, std::nullopt}; }

 private:
  void readable() {
    if (events_ == nullptr) return;
    const auto keep = owner_;
    auto outcome = try_read(reading_into_);
    if (!outcome && outcome.error() == errc::would_block) return async_read(reading_into_);
    events_->on_read(std::move(outcome));
  }
  void writable() {
    if (events_ == nullptr) return;
    const auto keep = owner_;
    events_->on_writable();
  }

  template <class Ready>
  void wait_on(pipe& which, waiter& who, Ready ready, void (*wake)(void*)) {
    const std::lock_guard guard(which.lock);
    if (ready(which)) return asio::post(io_, [self = shared_from_this(), wake] { wake(self.get()); });
    who.set(io_, shared_from_this(), wake);
  }

  asio::io_context& io_;
  std::shared_ptr<pipe> in_, out_;
  std::string name_;
  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
  mutable_bytes reading_into_;
};

struct connection {
  std::shared_ptr<pipe> to_listener, to_connector;
};

/// A name on which somebody listens.
struct meeting_point {
  std::mutex lock;
  std::deque<connection> arrived;
  std::size_t backlog = 0;
  bool closed = false;
  waiter acceptor;
};

struct name_table {
  std::mutex lock;
  std::map<std::string, std::weak_ptr<meeting_point>, std::less<>> names;
};

class inproc_acceptor final : public acceptor {
 public:
  inproc_acceptor(asio::io_context& io, std::shared_ptr<meeting_point> point, std::string name)
      : io_(io), point_(std::move(point)), name_(std::move(name)) {}
  ~inproc_acceptor() override { close(); }

  [[nodiscard]] result<std::shared_ptr<stream>> try_accept() override {
    const std::lock_guard guard(point_->lock);
    if (point_->closed) return errc::closed;
    if (point_->arrived.empty()) return errc::would_block;
    auto [in, out] = std::move(point_->arrived.front());
    point_->arrived.pop_front();
    return std::shared_ptr<stream>(std::make_shared<inproc_stream>(io_, std::move(in), std::move(out), name_));
  }

  void async_wait(std::function<void()> ready) override {
    const std::lock_guard guard(point_->lock);
    if (point_->closed) return;
    if (!point_->arrived.empty()) return asio::post(io_, std::move(ready));
    point_->acceptor.set(io_, std::make_shared<std::function<void()>>(std::move(ready)),
                         [](void* call) { (*static_cast<std::function<void()>*>(call))(); });
  }

  void close() noexcept override {
    std::deque<connection> unwanted;
    {
      const std::lock_guard guard(point_->lock);
      point_->closed = true;
      point_->acceptor.forget();
      unwanted.swap(point_->arrived);
    }
    for (auto& [in, out] : unwanted) inproc_stream(io_, std::move(in), std::move(out), name_).close();
  }

  [[nodiscard]] std::string local_url() const override { return endpoint{"inproc", {}, 0, name_, {}}.text(); }

 private:
  asio::io_context& io_;
  std::shared_ptr<meeting_point> point_;
  std::string name_;
};

class inproc_transport final : public stream_transport {
 public:
  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context& where, const endpoint& at,
                                                         const options& with) override {
    const std::lock_guard guard(table_.lock);
    auto& slot = table_.names[at.path];
    if (const auto there = slot.lock()) {
      const std::lock_guard point_guard(there->lock);
      if (!there->closed) return error(errc::address_in_use, "somebody listens on inproc://" + at.path + " already");
    }
    auto point = std::make_shared<meeting_point>();
    point->backlog = with.backlog;
    slot = point;
    return std::unique_ptr<acceptor>(std::make_unique<inproc_acceptor>(where.io(), std::move(point), at.path));
  }

  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to, const options&,
                                                         connect_handler done) override {
    return std::make_unique<posted_attempt>(where.io(), meet(where.io(), where.shared_buffers(), to.path),
                                            std::move(done));
  }

  [[nodiscard]] stream_shape shape() const noexcept override { return stream_shape::local; }

 private:
  [[nodiscard]] result<std::shared_ptr<stream>> meet(asio::io_context& io, const std::shared_ptr<buffer_pool>& buffers,
                                                     const std::string& name) {
    std::shared_ptr<meeting_point> point;
    {
      const std::lock_guard guard(table_.lock);
      if (const auto found = table_.names.find(name); found != table_.names.end()) {
        point = found->second.lock();
        if (!point) table_.names.erase(found);
      }
    }
    const auto nobody = error(errc::refused, "connect to inproc://" + name + ": nobody in this process listens there");
    if (!point) return nobody;
    const std::lock_guard guard(point->lock);
    if (point->closed) return nobody;
    if (point->arrived.size() >= point->backlog)
      return error(errc::busy, "connect to inproc://" + name + ": the listener's backlog of " +
                                   std::to_string(point->backlog) + " is full");
    connection made{std::make_shared<pipe>(buffers), std::make_shared<pipe>(buffers)};
    point->arrived.push_back(made);
    point->acceptor.notify();
    return std::shared_ptr<stream>(std::make_shared<inproc_stream>(io, made.to_connector, made.to_listener, name));
  }

  name_table table_;
};

}  // namespace

std::shared_ptr<stream_transport> make_inproc_transport() { return std::make_shared<inproc_transport>(); }

}  // namespace ferry::net
