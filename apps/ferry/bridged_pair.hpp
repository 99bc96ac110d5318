#pragma once
/// Two channels of which each gets what the other one receives.

#include <ferry/channel.hpp>

#include <functional>
#include <memory>

#include "apps/ferry/forwarder.hpp"
#include "apps/ferry/tally.hpp"

namespace ferry::app {

/// The end of one direction is handed on like a message, after all messages. A side that is lost for good ends the
/// other one in order. One thread uses it.
class bridged_pair : public std::enable_shared_from_this<bridged_pair> {
 public:
  /// @param counts  first to second counts as received, second to first as sent; lives as long as the pair
  /// @param over  called once, from the event loop: both sides are gone; true if both ended in order
  bridged_pair(context& where, channel first, channel second, tally& counts, std::function<void(bool)> over);

  void start();
  /// Ends both sides in order, each within its close_timeout.
  void close();

 private:
  struct side {
    channel link;
    std::shared_ptr<forwarder> into;  // into this link, from the other one
    bool refused = false;             // a message that came for it, which was said
    bool gone = false;
  };

  void join(side& from, side& to, bool outward);
  void forward(side& from, side& to, bool outward, const message_view& m);
  void down(side& which, side& other, const down_info& why);
  void watch_for_the_end(side& which, side& other);
  void lost(side& which, side& other, const error& why);
  void close(side& which);
  void gone(side& which);

  context& where_;
  side first_;
  side second_;
  tally& tally_;
  std::function<void(bool)> over_;
  bool well_ = true;
};

}  // namespace ferry::app
