#pragma once
/// One service on its control socket, at the sidecar's end. Source: docs/sidecar.md.

#include <ferry/error.hpp>
#include <ferry/stream.hpp>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codec/sidecar_control.hpp"
#include "codec/sidecar_notices.hpp"
#include "session/service_registry.hpp"

namespace ferry::sidecar {

class control_link;

class control_link_owner {
 public:
  /// A whole message came. @return protocol: it is over
  [[nodiscard]] virtual result<void> heard(control_link& from, const codec::sidecar::notice& what) = 0;
  /// It ended, or broke the protocol. Called once, from the event loop; it is closed.
  virtual void over(control_link& which, const error& why) = 0;

 protected:
  ~control_link_owner() = default;
};

class control_link final : public session::service_link,
                           public stream_events,
                           public std::enable_shared_from_this<control_link> {
 public:
  static constexpr std::size_t k_most_message = 64u << 10;     ///< of a service; no notice is as long
  static constexpr std::size_t k_most_waiting = 64u << 10;     ///< bytes for who does not read; then it is over
  static constexpr auto k_patience = std::chrono::seconds(3);  ///< for the rest of a message, and for room

  control_link(control_link_owner& owner, boost::asio::io_context& io, std::shared_ptr<stream> carrier);
  void start();
  /// Never calls the owner.
  void tell(const codec::sidecar::notice& what);
  /// Nothing is called any more.
  void close() noexcept;
  /// What waits is written as far as that goes at once.
  void end() noexcept;

  /// At the sidecar: the rings that the last registration asked for.
  void ask_for(std::uint32_t rings) noexcept { asked_for_ = rings; }
  [[nodiscard]] std::uint32_t asked_for() const noexcept { return asked_for_; }
  [[nodiscard]] peer_info peer() const { return carrier_->peer(); }

 private:
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override;
  result<void> take();
  void write();
  void fail(const error& why);
  void fail_later(const error& why);
  void limit();

  control_link_owner* owner_;  // null: over
  std::shared_ptr<stream> carrier_;
  codec::sidecar::control_decoder decoder_{k_most_message};
  std::array<std::byte, 4096> room_{};
  std::vector<std::byte> in_, out_;
  boost::asio::steady_timer patience_;
  std::uint32_t asked_for_ = 0;
  bool is_limited_ = false, waits_ = false;
};

}  // namespace ferry::sidecar
