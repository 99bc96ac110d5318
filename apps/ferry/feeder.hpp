#pragma once
/// Sends what a source offers, as fast as the channel takes it.

#include <ferry/channel.hpp>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "apps/ferry/source.hpp"

namespace ferry::app {

/// Waits for room in the channel's queue, for the source, and for the pace; holds one message at most. Takes over the
/// channel's drain event. One thread uses it.
class feeder : public std::enable_shared_from_this<feeder> {
 public:
  struct rules {
    std::uint64_t per_second = 0;                      ///< messages at most; 0: as many as go
    std::function<bool()> gate;                        ///< false: not now; poke() asks again. Empty: always
    std::function<void(const message_view&)> on_sent;  ///< the channel has taken this message
    std::function<void(const error&)>
        on_end;  ///< once: errc{} the source has ended and all is in the channel, else why not
  };

  feeder(channel to, std::unique_ptr<source> from, rules with);

  void start();
  /// Looks whether something can be sent now; the event loop does it.
  void poke();
  /// No more: nothing is called after this.
  void stop();

  [[nodiscard]] std::uint64_t messages() const noexcept { return messages_; }
  [[nodiscard]] const source& from() const noexcept { return *from_; }

 private:
  using clock = std::chrono::steady_clock;

  void turn();
  /// @return true: go on; false: something was started that calls turn() again, or the end was told
  [[nodiscard]] bool step();
  [[nodiscard]] bool fetch();
  [[nodiscard]] bool too_early();
  void end(const error& why);

  channel to_;
  std::unique_ptr<source> from_;
  rules rules_;
  boost::asio::steady_timer pace_;
  clock::time_point begin_;
  std::optional<message_view> current_;
  std::uint64_t messages_ = 0;
  std::size_t turn_bytes_ = 0;
  bool posted_ = false;
  bool waiting_for_source_ = false;
  bool stopped_ = false;
};

}  // namespace ferry::app
