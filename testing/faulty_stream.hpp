#pragma once
/// A stream transport in memory that splits reads and writes at any byte and breaks at the n-th operation. One thread.
///   auto faults = std::make_shared<fault_plan>();
///   where.register_transport("faulty", std::make_shared<faulty_transport>(faults));   // faulty://NAME

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>
#include <ferry/url.hpp>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/posted_attempt.hpp"

namespace ferry::test {

/// What goes wrong, and when. May be changed at any time; holds for every stream of the transport.
struct fault_plan {
  /// The n-th operation from now on breaks its connection, for both ends: a connect, an accept, a read, a write, an end
  /// of the sending direction, a wait for bytes or for room. 0: none.
  std::uint64_t fail_at = 0;
  errc reason = errc::reset;
  bool lose_in_flight = true;  ///< what was written and not read when it breaks never arrives; else it is still read
  std::size_t most_per_read = SIZE_MAX;   ///< bytes that one read gives at most
  std::size_t most_per_write = SIZE_MAX;  ///< bytes that one write takes at most
  std::size_t capacity = 64u << 10;       ///< bytes that one direction holds

  std::uint64_t operations = 0;  ///< counted since the plan was made
  std::uint64_t failures = 0;    ///< connections broken since then
  std::string failed_operation;  ///< the last one that failed: "read", "write", ...

  /// Counts one operation. @return whether it is the one that fails
  bool fails(const char* operation) {
    if (++operations != fail_at) return false;
    ++failures;
    failed_operation = operation;
    return true;
  }
};

namespace detail {

/// One direction of a connection.
struct faulty_pipe {
  std::vector<std::byte> bytes;
  bool ended = false;  // by its writer, in order
  bool reader_gone = false;
  std::optional<error> broken;           // what both ends read and write from now on
  std::function<void()> reader, writer;  // who waits
};

class faulty_stream final : public stream, public std::enable_shared_from_this<faulty_stream> {
 public:
  faulty_stream(boost::asio::io_context& io, std::shared_ptr<fault_plan> plan, std::shared_ptr<faulty_pipe> in,
                std::shared_ptr<faulty_pipe> out, std::string name)
      : io_(io), plan_(std::move(plan)), in_(std::move(in)), out_(std::move(out)), name_(std::move(name)) {}
  ~faulty_stream() override { close(); }

  void attach(stream_events& events, std::shared_ptr<void> owner) override {
    events_ = &events;
    owner_ = std::move(owner);
  }

  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override {
    if (plan_->fails("read")) break_connection();
    return read(into);
  }

  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override {
    if (plan_->fails("write")) break_connection();
    if (out_->broken) return *out_->broken;
    if (out_->reader_gone || out_->ended) return errc::reset;
    std::size_t room = std::min(plan_->most_per_write, plan_->capacity - std::min(plan_->capacity, out_->bytes.size()));
    std::size_t taken = 0;
    for (const bytes part : from) {
      const bytes fits = part.first(std::min(part.size(), room));
      out_->bytes.insert(out_->bytes.end(), fits.begin(), fits.end());
      room -= fits.size();
      taken += fits.size();
    }
    if (taken == 0) return errc::would_block;
    wake(out_->reader);
    return taken;
  }

  void async_read(mutable_bytes into) override {
    if (plan_->fails("wait for bytes")) break_connection();
    in_->reader = [self = weak_from_this(), into] {
      const auto alive = self.lock();
      if (!alive || alive->events_ == nullptr) return;
      const auto keep = alive->owner_;
      auto outcome = alive->read(into);
      if (!outcome && outcome.error() == errc::would_block) return alive->async_read(into);
      alive->events_->on_read(std::move(outcome));
    };
    if (!in_->bytes.empty() || in_->ended || in_->broken) wake(in_->reader);
  }

  void async_wait_writable() override {
    if (plan_->fails("wait for room")) break_connection();
    out_->writer = [self = weak_from_this()] {
      const auto alive = self.lock();
      if (!alive || alive->events_ == nullptr) return;
      const auto keep = alive->owner_;
      alive->events_->on_writable();
    };
    if (out_->bytes.size() < plan_->capacity || out_->reader_gone || out_->broken) wake(out_->writer);
  }

  result<void> shutdown_write() override {
    if (plan_->fails("end of sending")) break_connection();
    if (out_->broken) return *out_->broken;
    out_->ended = true;
    wake(out_->reader);
    return {};
  }

  void close() noexcept override {
    events_ = nullptr;
    in_->reader = nullptr;
    out_->writer = nullptr;
    in_->reader_gone = true;
    // As with a socket: who leaves input unread has not ended in order.
    if (!in_->bytes.empty() && !out_->broken) out_->broken = errc::reset;
    out_->ended = true;
    wake(out_->reader);
    wake(in_->writer);
    owner_.reset();
  }

  [[nodiscard]] peer_info peer() const override { return {"faulty://" + name_, std::nullopt}; }

 private:
  result<std::size_t> read(mutable_bytes into) noexcept {
    const std::size_t n = std::min({into.size(), in_->bytes.size(), plan_->most_per_read});
    if (n == 0) {
      if (in_->broken) return *in_->broken;
      if (in_->ended) return errc::end_of_stream;
      return errc::would_block;
    }
    std::memcpy(into.data(), in_->bytes.data(), n);
    in_->bytes.erase(in_->bytes.begin(), in_->bytes.begin() + static_cast<std::ptrdiff_t>(n));
    wake(in_->writer);
    return n;
  }

  void break_connection() {
    const error why(plan_->reason, "faulty stream: the " + plan_->failed_operation + " failed, operation " +
                                       std::to_string(plan_->operations));
    for (const auto& pipe : {in_, out_}) {
      pipe->broken = why;
      if (plan_->lose_in_flight) pipe->bytes.clear();
      wake(pipe->reader);
      wake(pipe->writer);
    }
  }

  void wake(std::function<void()>& who) {
    if (who) boost::asio::post(io_, std::exchange(who, nullptr));
  }

  boost::asio::io_context& io_;
  std::shared_ptr<fault_plan> plan_;
  std::shared_ptr<faulty_pipe> in_, out_;
  std::string name_;
  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
};

/// A name on which somebody listens.
struct faulty_point {
  std::deque<std::shared_ptr<stream>> arrived;
  std::function<void()> acceptor;
  bool closed = false;
};

class faulty_acceptor final : public acceptor {
 public:
  faulty_acceptor(boost::asio::io_context& io, std::shared_ptr<fault_plan> plan, std::shared_ptr<faulty_point> point,
                  std::string name)
      : io_(io), plan_(std::move(plan)), point_(std::move(point)), name_(std::move(name)) {}
  ~faulty_acceptor() override { close(); }

  [[nodiscard]] result<std::shared_ptr<stream>> try_accept() override {
    if (point_->arrived.empty()) return errc::would_block;
    auto next = std::move(point_->arrived.front());
    point_->arrived.pop_front();
    if (!plan_->fails("accept")) return next;
    next->close();
    return error(errc::network, "faulty stream: the accept failed, operation " + std::to_string(plan_->operations));
  }
  void async_wait(std::function<void()> ready) override {
    if (point_->closed) return;
    if (!point_->arrived.empty()) return boost::asio::post(io_, std::move(ready));
    point_->acceptor = std::move(ready);
  }
  void close() noexcept override {
    point_->closed = true;
    point_->acceptor = nullptr;
    for (const auto& one : std::exchange(point_->arrived, {})) one->close();
  }
  [[nodiscard]] std::string local_url() const override { return "faulty://" + name_; }

 private:
  boost::asio::io_context& io_;
  std::shared_ptr<fault_plan> plan_;
  std::shared_ptr<faulty_point> point_;
  std::string name_;
};

}  // namespace detail

class faulty_transport final : public stream_transport {
 public:
  explicit faulty_transport(std::shared_ptr<fault_plan> plan) : plan_(std::move(plan)) {}

  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context& where, const endpoint& at, const options&) override {
    auto& slot = points_[at.host + at.path];
    if (const auto there = slot.lock(); there && !there->closed)
      return error(errc::address_in_use, "somebody listens on faulty://" + at.host + at.path + " already");
    auto point = std::make_shared<detail::faulty_point>();
    slot = point;
    return std::unique_ptr<acceptor>(
        std::make_unique<detail::faulty_acceptor>(where.io(), plan_, std::move(point), at.host + at.path));
  }

  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to, const options&,
                                                         connect_handler done) override {
    return std::make_unique<net::posted_attempt>(where.io(), meet(where.io(), to.host + to.path), std::move(done));
  }

 private:
  result<std::shared_ptr<stream>> meet(boost::asio::io_context& io, const std::string& name) {
    if (plan_->fails("connect"))
      return error(plan_->reason, "faulty stream: the connect failed, operation " + std::to_string(plan_->operations));
    const auto point = points_[name].lock();
    if (!point || point->closed) return error(errc::refused, "connect to faulty://" + name + ": nobody listens there");
    const auto there = std::make_shared<detail::faulty_pipe>();
    const auto back = std::make_shared<detail::faulty_pipe>();
    point->arrived.push_back(std::make_shared<detail::faulty_stream>(io, plan_, there, back, name));
    if (point->acceptor) boost::asio::post(io, std::exchange(point->acceptor, nullptr));
    return std::shared_ptr<stream>(std::make_shared<detail::faulty_stream>(io, plan_, back, there, name));
  }

  std::shared_ptr<fault_plan> plan_;
  std::map<std::string, std::weak_ptr<detail::faulty_point>> points_;
};

}  // namespace ferry::test
