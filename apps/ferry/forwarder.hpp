#pragma once
/// Hands messages on into a channel, one at a time more than it has room for.

#include <ferry/channel.hpp>

#include <functional>
#include <memory>
#include <utility>

namespace ferry::app {

/// Where the messages come from, pause as long as blocked() is true. One thread uses it.
class forwarder : public std::enable_shared_from_this<forwarder> {
 public:
  /// @param room  called from the event loop when blocked() has become false again
  forwarder(channel to, buffer_pool& pool, std::function<void()> room)
      : to_(std::move(to)), pool_(pool), room_(std::move(room)) {}

  /// Sends, or keeps a copy until there is room. Not while blocked(). The type is left out where `to` carries none.
  /// @return nothing | closed | message_too_large | no_memory
  [[nodiscard]] result<void> forward(const message_view& m) {
    const std::uint16_t type = to_.traits().carries_type ? m.type : std::uint16_t{0};
    auto sent = to_.try_send(m.payload, m.kind, type);
    if (sent) {
      messages_ += 1;
      return sent;
    }
    if (sent.error() != errc::full) return sent;
    auto kept = std::make_shared<message>(message::copy_of({m.payload, m.kind, type}, pool_));
    if (!kept->ok()) return errc::no_memory;
    blocked_ = true;
    to_.async_send(kept->payload(), kept->kind(), kept->type(), [self = shared_from_this(), kept](error_code failed) {
      self->blocked_ = false;
      if (!failed) self->messages_ += 1;
      if (!failed && self->room_) self->room_();
    });
    return {};
  }
  [[nodiscard]] bool blocked() const noexcept { return blocked_; }
  /// How many messages the channel has taken.
  [[nodiscard]] std::uint64_t messages() const noexcept { return messages_; }
  /// `room` is not called any more.
  void stop() { room_ = nullptr; }

 private:
  channel to_;
  buffer_pool& pool_;
  std::function<void()> room_;
  std::uint64_t messages_ = 0;
  bool blocked_ = false;
};

}  // namespace ferry::app
