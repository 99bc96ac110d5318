#pragma once
/// TLS over any stream: itself a stream, once its handshake is over.

#include <ferry/buffer_pool.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/allowance.hpp"
#include "base/kept_error.hpp"
#include "net/lingers.hpp"
#include "net/socket_poll.hpp"
#include "net/tls_context.hpp"

namespace ferry::net {

/// Records of one write go to the stream below together. What it does not take of them is held, and the last byte
/// counts as not taken until it is out. The end of a direction is close_notify, after which the other one goes on; the
/// stream below ends with both. An end without close_notify is errc::truncated. A peer that asks for new keys or
/// another handshake more than k_questions times at once, and then more than once in k_question_interval, is
/// errc::protocol.
///
///   shaking --handshake over--> open --close()--> lingering (close_notify is not out yet) --> closed
///      \_______________________________________________failed, close()______________________/^
class tls_stream final : public stream,
                         public lingers,
                         private stream_events,
                         public std::enable_shared_from_this<tls_stream> {
 public:
  using handshake_handler = std::function<void(result<void>)>;

  static constexpr std::uint32_t k_questions = 100;
  static constexpr duration k_question_interval = std::chrono::milliseconds(10);

  /// @param pool  lends room for the records of one write
  tls_stream(boost::asio::io_context& io, std::shared_ptr<buffer_pool> pool, std::shared_ptr<stream> below,
             std::unique_ptr<tls_link> link);
  ~tls_stream() override;

  /// Begins; once, before anything else. `done` is called once, never from inside this call, and not after close().
  /// On an error the peer has been told why, and nothing is left but close().
  void async_handshake(handshake_handler done);

  void attach(stream_events& events, std::shared_ptr<void> owner) override;
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override;
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override;
  void async_read(mutable_bytes into) override;
  void async_wait_writable() override;
  result<void> shutdown_write() override;
  [[nodiscard]] std::size_t unread() const noexcept override;
  void close() noexcept override;
  void keep_place(std::shared_ptr<void> place) override { place_ = std::move(place); }
  [[nodiscard]] peer_info peer() const override { return peer_; }
  [[nodiscard]] std::string local_address() const override { return below_->local_address(); }

 private:
  enum class state : std::uint8_t { shaking, open, lingering, closed };
  struct below_bio;  // how OpenSSL reads and writes
  friend struct below_bio;
  struct question;  // what OpenSSL deals with by itself
  friend struct question;

  // stream_events of the stream below
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override;

  void shake();
  void handshake_over(result<void> outcome);
  void wait_for_records();
  [[nodiscard]] result<std::size_t> decrypt(mutable_bytes into) noexcept;
  void tell_read(result<std::size_t> outcome);
  [[nodiscard]] error fault_of(int ssl_error) noexcept;
  [[nodiscard]] error write_fault(int ssl_error) noexcept;

  [[nodiscard]] result<std::size_t> read_below(mutable_bytes into) noexcept;
  [[nodiscard]] result<void> write_record(bytes record) noexcept;
  [[nodiscard]] result<void> write_batch() noexcept;
  [[nodiscard]] result<void> write_below(bytes records) noexcept;
  [[nodiscard]] result<void> write_held() noexcept;
  void wait_for_room();
  void end() noexcept;

  boost::asio::io_context& io_;
  socket_poll& poll_;
  std::shared_ptr<buffer_pool> pool_;
  std::shared_ptr<stream> below_;
  std::unique_ptr<tls_link> link_;
  state state_ = state::shaking;
  handshake_handler shaken_;
  peer_info peer_;

  // Reading
  static constexpr std::size_t k_stage = 1024;
  std::array<std::byte, k_stage> stage_;  // what woke us, until OpenSSL takes it
  std::size_t stage_begin_ = 0, stage_end_ = 0;
  bool below_is_dry_ = false;          // it gave less than was asked for, a moment ago
  bool waits_below_ = false;           // a read of the stream below is under way
  bool flooded_ = false;               // more questions came than are allowed
  kept_error below_ended_;             // why nothing more comes from below
  kept_error read_fault_;              // what every read says from now on
  std::optional<mutable_bytes> into_;  // of the read that was asked for
  allowance questions_;

  // Writing
  mutable_bytes batch_;          // room for records that are written together; empty: there is none
  std::size_t batch_used_ = 0;   // bytes of it
  std::vector<std::byte> held_;  // of records that the stream below has not taken whole
  std::size_t held_begin_ = 0;
  std::size_t owed_ = 0;  // bytes in them, 0 or 1, that the caller was not told of
  kept_error write_fault_;
  bool waits_for_room_ = false;  // a wait of the stream below is under way
  bool room_wanted_ = false;     // by the caller
  boost::asio::steady_timer linger_;
  std::shared_ptr<void> place_;

  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
};

}  // namespace ferry::net
