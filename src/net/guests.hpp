#pragma once
/// Connections that must shake hands before they are handed on: the part that every such acceptor needs. Limits, the
/// deadline, the queue of those that are done; what a handshake is, is the house's business.

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <functional>
#include <memory>
#include <string>

namespace ferry::net {

/// One connection whose handshake is under way; owned by the acceptor. Destroying it before the handshake is over
/// closes the connection.
class guest {
 public:
  using shaken = std::function<void(result<std::shared_ptr<stream>>)>;
  virtual ~guest() = default;
  /// Begins; called once. `done` is called once, never from inside this call, with the stream to hand on
  /// or why there is none; null: the guest was for somebody who is there already, and nothing is handed on. The guest
  /// is destroyed inside it, so it is the last thing that a guest does.
  virtual void shake(shaken done) = 0;
  /// It has taken too long, or has to leave for a newer one: may still say so to the peer, without waiting. It is
  /// destroyed next. @param why  timeout | busy
  virtual void leave(const error& why) { (void)why; }
  /// Who it is, for people.
  [[nodiscard]] virtual std::string who() const = 0;
};

/// Makes the guests of one acceptor, and is told what became of them.
class guest_house {
 public:
  virtual ~guest_house() = default;
  /// @return the connection as a guest | why it cannot be one, after having closed it
  [[nodiscard]] virtual result<std::unique_ptr<guest>> welcome(std::shared_ptr<stream> arrived) = 0;
  /// A handshake is over; for the metrics.
  virtual void shaken(const stream& made, options::duration took) { (void)made, (void)took; }
  /// A handshake has failed; for the metrics.
  virtual void failed(const error& why) { (void)why; }
  /// What it is called in errors: "TLS handshake".
  [[nodiscard]] virtual std::string name() const = 0;
};

inline constexpr std::size_t k_most_guests = 1024;

/// Guests shake hands while others are accepted: at most k_most_guests at a time, of which the oldest of the host that
/// has the most leaves for a new one, and each within `limit`. A failed one is an error of its own, its text beginning
/// with `url` and the peer.
/// @param from   where the connections arrive; closed with this acceptor
/// @param url    local_url() of the new acceptor
/// @param limit  connect_timeout; 0: none
[[nodiscard]] std::unique_ptr<acceptor> accept_guests(context& where, std::unique_ptr<acceptor> from, std::string url,
                                                      options::duration limit, std::shared_ptr<guest_house> house);

}  // namespace ferry::net
