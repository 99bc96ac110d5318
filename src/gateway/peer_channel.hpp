#pragma once
/// A virtual connection as a channel.
///
///     up --half_close--> closing --all is taken--> closed
///     up --the other end closed it, the gateway is lost--> closing --all received is taken--> closed
///     any --cut--> closed

#include <ferry/gateway.hpp>

#include <boost/asio/steady_timer.hpp>

#include "channel/channel_impl.hpp"
#include "gateway/peer_parts.hpp"

namespace ferry::detail {

class virtual_channel final : public channel_impl {
 public:
  virtual_channel(std::shared_ptr<gateway_parts> parts, std::shared_ptr<const options> with, gateway_address who,
                  bool to_server);
  ~virtual_channel() override;

  [[nodiscard]] const gateway_address& address() const noexcept { return who_; }

  // What the peer tells. All from the event loop.

  /// @return false: not taken; offer it again when it resumes
  [[nodiscard]] bool take(const message_view& m);
  /// Nothing more comes. @param by_other_end  who closed it
  void end(const error& why, bool by_other_end);
  /// At once, without regard for what has come.
  void fail(const error& why);
  void drained();
  void progressed();
  /// Whether nothing can be sent any more.
  [[nodiscard]] bool is_over() const noexcept { return refuses_; }

  // channel_impl
  [[nodiscard]] result<void> try_send(const message_view& m) override;
  void half_close() override;
  result<void> end_receiving() override { return errc::unsupported; }
  void connect() override {}
  void cut(const error& reason) override;
  [[nodiscard]] channel_stats stats() override;

 private:
  void let_go() noexcept override;
  void closing_begins(std::optional<options::duration> within) override;
  void end_was_taken() override { look_whether_over(); }
  void resume_reading() override;
  [[nodiscard]] std::size_t unsent_bytes() const noexcept override;
  [[nodiscard]] std::uint64_t queued_bytes() const noexcept override { return last_; }
  [[nodiscard]] peer_info current_peer() const override;

  [[nodiscard]] std::size_t unsent() const;
  void look_whether_over();
  void finish_later(const error& why);
  void finish(const error& why);
  [[nodiscard]] std::shared_ptr<virtual_channel> self() {
    return std::static_pointer_cast<virtual_channel>(shared_from_this());
  }

  std::shared_ptr<gateway_parts> parts_;
  const gateway_address who_;
  const bool to_server_;
  bool refuses_ = false;         // no more messages
  bool finished_ = false;        // the report is out, or about to be
  bool was_full_ = false;        // try_send has returned full since the last drain event
  std::uint64_t last_ = 0;       // position behind what was sent last, the Close included
  std::optional<error> ending_;  // nothing more comes, for this reason
  std::unique_ptr<boost::asio::steady_timer> deadline_;
  channel_stats counts_;
};

}  // namespace ferry::detail
