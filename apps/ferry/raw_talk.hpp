#pragma once
/// A connection below channels and messages, spoken step by step.

#include <ferry/context.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ferry::app {

/// One connection at a time of a program that does nothing else meanwhile: each call turns the event loop until it is
/// done, or for `patience`.
class raw_talk final : private stream_events {
 public:
  raw_talk(context& where, std::chrono::nanoseconds patience) : where_(where), patience_(patience) {}
  ~raw_talk();
  raw_talk(const raw_talk&) = delete;
  raw_talk& operator=(const raw_talk&) = delete;

  /// @param url  of a stream: tcp, tls, ipc, inproc
  [[nodiscard]] result<void> connect(const std::string& url, const options& with);
  /// Writes the pieces between the cuts one by one. What the peer does not take because it has ended is left out.
  /// @return timeout: it takes nothing for so long
  [[nodiscard]] result<void> write(bytes what, std::span<const std::size_t> cuts = {});
  void end_sending();
  /// Until `done` is true, which is asked after whatever came, or the peer has ended. @return false: it took too long
  [[nodiscard]] bool wait(const std::function<bool()>& done);
  /// What came and was not taken by consume(). At most 1 MiB is kept; what is more is dropped from the front.
  [[nodiscard]] bytes received() const noexcept { return received_; }
  void consume(std::size_t n);
  /// How the peer ended, if it has: end_of_stream in order.
  [[nodiscard]] const std::optional<error>& ended() const noexcept { return ended_; }

 private:
  static constexpr std::size_t k_most_kept = 1u << 20;
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override { writable_ = true; }
  [[nodiscard]] bool turn(const std::function<bool()>& done);

  context& where_;
  std::chrono::nanoseconds patience_;
  std::shared_ptr<stream> stream_;
  std::unique_ptr<connect_attempt> attempt_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(64u << 10);
  std::vector<std::byte> received_;
  std::optional<error> ended_;
  bool writable_ = true;
};

}  // namespace ferry::app
