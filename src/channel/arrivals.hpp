#pragma once
/// What arrives at a listener, whatever carries it.

#include <ferry/listener.hpp>

#include <functional>
#include <memory>
#include <string>

#include "channel/channel_impl.hpp"

namespace ferry::detail {

/// Somebody who has connected and is not a channel yet.
class arrival {
 public:
  virtual ~arrival() = default;
  [[nodiscard]] virtual peer_info peer() const = 0;
  /// Ends the connection.
  virtual void refuse() noexcept = 0;
  /// A channel for it, on which nothing happens before start(); once.
  [[nodiscard]] virtual std::shared_ptr<channel_impl> make(context& where, const shared_url& url,
                                                           std::shared_ptr<const options> with) = 0;
  /// The channel's handlers are set. `slot` is let go of when it ends.
  virtual void start(std::shared_ptr<void> slot) = 0;
};

/// Contracts as in ferry::acceptor.
class arrivals {
 public:
  virtual ~arrivals() = default;
  [[nodiscard]] virtual result<std::unique_ptr<arrival>> try_accept() = 0;
  virtual void async_wait(std::function<void()> ready) = 0;
  virtual result<void> refuse_new() = 0;
  virtual void close() noexcept = 0;
  [[nodiscard]] virtual std::string local_url() const = 0;
};

/// Those of a stream transport.
[[nodiscard]] std::unique_ptr<arrivals> stream_arrivals(std::unique_ptr<acceptor> from, stream_shape shape);

}  // namespace ferry::detail
