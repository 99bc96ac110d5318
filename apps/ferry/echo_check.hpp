#pragma once
/// Whether what comes back is what was sent, in order.

#include <ferry/message.hpp>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace ferry::app {

/// Keeps copies of what was sent and has not come back: at most 65536 messages or 16 MiB, and one message more.
class echo_check {
 public:
  explicit echo_check(buffer_pool& pool) : pool_(pool) {}

  /// False: wait for echoes before the next message is sent.
  [[nodiscard]] bool has_room() const noexcept { return sent_.size() < k_messages && bytes_ < k_bytes; }
  void sent(const message_view& m);
  /// @return nothing, or what is wrong with this echo
  [[nodiscard]] std::optional<std::string> received(const message_view& m);
  /// The connection is gone: only the last `queued` messages will still be sent, and come back.
  void forget_all_but(std::uint64_t queued);

  [[nodiscard]] std::uint64_t outstanding() const noexcept { return sent_.size(); }
  [[nodiscard]] std::uint64_t equal() const noexcept { return equal_; }
  [[nodiscard]] std::uint64_t forgotten() const noexcept { return forgotten_; }

 private:
  static constexpr std::size_t k_messages = 65536;
  static constexpr std::size_t k_bytes = 16u << 20;

  void pop();

  buffer_pool& pool_;
  std::deque<message> sent_;
  std::size_t bytes_ = 0;
  std::uint64_t equal_ = 0;
  std::uint64_t forgotten_ = 0;
};

}  // namespace ferry::app
