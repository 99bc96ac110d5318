#pragma once
/// A stream that outlives its connections, at either end of it: what it has written and received, and the connection
/// that it has at the time. Who finds the next connection is its owner's business. Source: docs/gateway.md.
///
///     waiting --adopt--> connected --the connection breaks, lose--> waiting      any --give_up--> broken

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "gateway/resumable.hpp"
#include "session/snet_stream.hpp"

namespace ferry::gateway {

/// One connection, and whoever has it: first its handshake, then the stream that it belongs to.
class resumable_connection final : private stream_events, public std::enable_shared_from_this<resumable_connection> {
 public:
  explicit resumable_connection(std::shared_ptr<stream> below_) : below(std::move(below_)) {}
  void begin() { below->attach(*this, shared_from_this()); }
  void close() noexcept {
    user = nullptr;
    below->close();
  }

  const std::shared_ptr<stream> below;
  stream_events* user = nullptr;

 private:
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override;
};

class resumable_stream;

/// Who keeps such streams; told from inside of their calls, so it may only note what it is told, or post.
class resumable_owner {
 public:
  virtual ~resumable_owner() = default;
  /// It has no connection any more, and wants another one.
  virtual void lost(resumable_stream& who) = 0;
  /// It has one.
  virtual void found(resumable_stream& who) noexcept = 0;
  /// It wants none any more.
  virtual void left(resumable_stream& who) noexcept = 0;
  /// It waits for a connection, and should not do so any longer than it must.
  virtual void hurry(resumable_stream& who) noexcept { (void)who; }
};

class resumable_stream final : public stream,
                               public resumable,
                               private stream_events,
                               public std::enable_shared_from_this<resumable_stream> {
 public:
  resumable_stream(context& where, std::shared_ptr<resumable_owner> owner, std::unique_ptr<session::snet_stream> core)
      : io_(where.io()), home_(std::move(owner)), core_(std::move(core)), step_(io_) {
    core_->grow_from(where.buffers());
  }
  ~resumable_stream() override { leave(); }

  [[nodiscard]] session::snet_stream& core() noexcept { return *core_; }
  [[nodiscard]] bool is_waiting() const noexcept override { return on_ == nullptr && !fault_; }
  bool renew() noexcept override;
  [[nodiscard]] std::uint64_t resumed() const noexcept override { return adopted_ == 0 ? 0 : adopted_ - 1; }
  /// Of the peer, by its fingerprint; empty: it showed none.
  [[nodiscard]] const std::string& certificate() const noexcept { return certificate_; }

  /// A connection for it: the first, or another one. @param early  bytes of the stream that came with the handshake
  /// @param lacking  what the peer has not got
  void adopt(std::shared_ptr<resumable_connection> on, bytes early, const session::snet_stream::replay& lacking);
  /// The connection is over, the stream is not.
  void lose() noexcept;
  /// It breaks, with this.
  void give_up(error why);

  // stream
  void attach(stream_events& events, std::shared_ptr<void> owner) override;
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override;
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override;
  void async_read(mutable_bytes into) override;
  void async_wait_writable() override;
  result<void> shutdown_write() override;
  void close() noexcept override;
  [[nodiscard]] peer_info peer() const override { return peer_; }
  [[nodiscard]] std::string local_address() const override { return on_ ? on_->below->local_address() : std::string(); }

  // The owner's notes.
  bool listed = false;
  std::list<resumable_stream*>::iterator place;  // among those who wait, if `listed`
  time_point since{};
  std::uint64_t newest = 0;  // of the connections that came for it

 private:
  void leave() noexcept;
  void ended(const error& why);
  void read_on();
  std::size_t take_early(mutable_bytes into) noexcept;
  void received(mutable_bytes what) noexcept;
  void step_later();
  [[nodiscard]] bool push() noexcept;
  [[nodiscard]] bool push_again() noexcept;
  [[nodiscard]] bool push_one(bytes what, std::size_t& sent) noexcept;
  [[nodiscard]] bool owes() const noexcept { return again_ != 0 || !owed_.empty(); }
  void owe_nothing() noexcept;
  void end_unless_read() noexcept;
  void tell_later();
  void tell();
  void fail_read();

  // Of the connection.
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override;

  boost::asio::io_context& io_;
  std::shared_ptr<resumable_owner> home_;
  std::unique_ptr<session::snet_stream> core_;
  std::shared_ptr<resumable_connection> on_;  // null: it waits for one, or is broken
  peer_info peer_;
  std::string certificate_;
  std::vector<std::byte> early_;  // came with the handshake, not received yet
  std::size_t again_ = 0;         // of the last bytes of the history, which go over this connection first
  std::vector<std::byte> owed_;   // written, not taken by the connection yet
  std::size_t owed_begin_ = 0;
  std::optional<mutable_bytes> into_;  // of the read that was asked for
  std::optional<error> fault_;
  bool waits_below_ = false;  // for room in the connection
  bool ends_ = false;         // the connection takes nothing any more
  bool writable_wanted_ = false;
  bool ending_ = false;
  bool told_ = false;  // tell() is about to be called
  bool left_ = false;
  std::uint64_t adopted_ = 0;  // connections
  boost::asio::steady_timer step_;
  bool steps_ = false;  // the timer runs
  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
};

}  // namespace ferry::gateway
