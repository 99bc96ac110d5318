#pragma once
/// One stream between two entities. Source: docs/sidecar.md.

#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "session/arrival_probe.hpp"
#include "sidecar/service_hub.hpp"

namespace ferry::sidecar {

class service_stream final : public stream, public std::enable_shared_from_this<service_stream> {
 public:
  static constexpr std::uint32_t k_window = 256u << 10;  ///< bytes under way, each way
  static constexpr std::size_t k_most = 64u << 10;       ///< bytes of one message; fewer where the ring is small

  service_stream(std::shared_ptr<service_hub> hub, std::uint32_t entity, std::uint64_t ours, std::uint64_t theirs);
  ~service_stream() override { close(); }
  service_stream(const service_stream&) = delete;
  service_stream& operator=(const service_stream&) = delete;

  void attach(stream_events& events, std::shared_ptr<void> owner) override;
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override;
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override;
  void async_read(mutable_bytes into) override;
  void async_wait_writable() override;
  result<void> shutdown_write() override;
  [[nodiscard]] std::size_t unread() const noexcept override { return in_.size() - in_begin_; }
  void close() noexcept override;
  [[nodiscard]] peer_info peer() const override;
  [[nodiscard]] std::string local_address() const override;

  // What the hub was told.
  [[nodiscard]] bool is_between(std::uint32_t entity, std::uint64_t theirs) const noexcept {
    return entity == entity_ && theirs == theirs_;
  }
  void heard(const stream_note& what, bytes body);
  void lost(const error& why);

 private:
  /// Of one direction.
  enum class way : std::uint8_t { open, ended, broken };
  [[nodiscard]] stream_note note(stream_step what, std::uint32_t count = 0) const noexcept;
  [[nodiscard]] result<std::size_t> write_some(bytes from);
  void heard_data(const stream_note& note, bytes body);
  /// @return whether data messages were lost that went before this one; then it is broken
  [[nodiscard]] bool is_gap(const stream_note& note);
  void give_credit();
  void answer_probe();
  void watch_arrival();
  void arm_probe();
  void ask();
  void break_off(const error& why);
  void readable();
  void writable();

  std::shared_ptr<service_hub> hub_;  // null: closed
  std::uint32_t entity_, own_entity_;
  std::uint64_t ours_, theirs_;
  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;

  way reads_ = way::open;
  error broken_;
  std::vector<std::byte> in_;  // at most k_window
  std::size_t in_begin_ = 0;
  std::uint32_t taken_ = 0;     // bytes that were read, modulo 2^32 as what follows
  std::uint32_t granted_ = 0;   // of these, as the last credit said
  std::uint32_t received_ = 0;  // data messages
  bool wants_read_ = false;
  mutable_bytes into_;

  way writes_ = way::open;
  std::uint32_t credit_ = k_window;
  std::uint32_t read_there_ = 0;  // bytes, as the last credit said
  std::uint32_t sent_ = 0;        // data messages
  std::size_t most_;              // bytes of one message
  bool wants_write_ = false;
  boost::asio::steady_timer retry_;  // where the ring had no room
  session::arrival_probe probe_;     // of what was sent last
  boost::asio::steady_timer probe_timer_;
  bool is_armed_ = false;
};

}  // namespace ferry::sidecar
