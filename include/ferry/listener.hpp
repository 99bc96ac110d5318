#pragma once
/// Listeners: where channels arrive.

#include <ferry/channel.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ferry {

struct listener_stats {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  ///< above max_connections, or not allowed
  std::uint64_t errors = 0;   ///< failed attempts to accept, fd exhaustion among them
  std::uint64_t open = 0;     ///< channels that live now
};

namespace detail {
class listener_impl;
using accept_completion = completion<error_code, channel>;
}  // namespace detail

/// A handle; copies refer to the same listener. When the last copy goes it stops listening; its channels live on.
/// Thread safety: the context's thread only.
class listener {
 public:
  listener() noexcept = default;
  explicit listener(std::shared_ptr<detail::listener_impl> impl) noexcept : impl_(std::move(impl)) {}

  /// Listens already when it returns. Options in the URL come on top of `with`; the channels that arrive have them too.
  /// @return bad_url | unknown_scheme | unknown_option | bad_option | address_in_use | bad_address | permission | ...
  [[nodiscard]] static result<listener> open(context& where, std::string_view url, const options& with = {});
  /// The same for a URL taken apart.
  [[nodiscard]] static result<listener> open(context& where, const endpoint& at, const options& with = {});
  /// Listens on an acceptor that somebody else made: an inherited descriptor, a scheme of one's own.
  /// Throws failure if no descriptor is left for the event loop.
  [[nodiscard]] static listener on(context& where, std::unique_ptr<acceptor> arrivals, const options& with = {});

  explicit operator bool() const noexcept { return impl_ != nullptr; }

  /// Every channel that arrives, from now on. Set its handlers inside the call: nothing is read before it returns.
  /// A channel of which no copy is kept is cut. What it throws leaves the event loop, and the listener goes on.
  void on_channel(std::function<void(channel)> handler);
  /// Completes with (error_code, channel). Connections wait in the kernel while nobody accepts. Cancellable.
  template <class Token>
  auto async_accept(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, channel)>(
        [self = impl_, ex = executor()](auto handler) {
          start_accept(*self, detail::accept_completion(ex, std::move(handler)));
        },
        token);
  }
  /// Failures of single connections: refused, not allowed, no descriptors left.
  void on_error(std::function<void(const error&)> handler);

  /// Stops listening; waiting accepts complete with errc::closed. Channels live on.
  void close();
  /// close(), but whoever has connected already, and waits in the kernel, still arrives first, during the call. Only
  /// for Unix sockets that no other process listens on too, and with on_channel set; else the same as close().
  void drain();
  /// The URL to connect to, with the port that was bound, and with the option that the other end must have too if it
  /// is not the default: runtime_dir of shm, framing of streams.
  [[nodiscard]] std::string url() const;
  [[nodiscard]] listener_stats stats() const;
  [[nodiscard]] boost::asio::io_context::executor_type executor() const;

 private:
  static void start_accept(detail::listener_impl& impl, detail::accept_completion done);
  std::shared_ptr<detail::listener_impl> impl_;
};

}  // namespace ferry
