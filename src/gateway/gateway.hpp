#pragma once
/// The gateway: clients and servers that reach each other through virtual connections. Source: docs/gateway.md.

#include <ferry/context.hpp>
#include <ferry/error.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "gateway/settings.hpp"
#include "session/virtual_connections.hpp"

namespace ferry::gateway {

struct counts {
  std::uint64_t clients = 0;           ///< there now
  std::uint64_t servers = 0;           ///< there now
  std::uint64_t arriving = 0;          ///< servers that have not proved themselves yet
  std::uint64_t clients_accepted = 0;  ///< ever, as what follows
  std::uint64_t servers_accepted = 0;
  std::uint64_t turned_away = 0;  ///< above a limit
  std::uint64_t wrong_proofs = 0;
  std::uint64_t breaches = 0;   ///< members closed because they broke the protocol
  std::uint64_t idle = 0;       ///< members closed because nothing came
  std::uint64_t slow = 0;       ///< members closed because they did not read
  std::uint64_t forwarded = 0;  ///< packets handed on
  std::uint64_t forwarded_bytes = 0;
  std::uint64_t held_back = 0;  ///< times that a client had to wait for a server
  std::size_t connections = 0;  ///< virtual ones, now
  session::virtual_connection_counts dials;
};

/// Runs on the context's io_context, on one thread. Both must outlive it.
class service {
 public:
  /// Listens for both. @return as of stream_transport::listen | unsupported: the URL's transport is none of bytes
  [[nodiscard]] static result<service> open(context& where, const settings& with);
  service(service&&) noexcept;
  service& operator=(service&&) noexcept;
  /// Closes everything at once.
  ~service();

  /// "tcp://0.0.0.0:40123", with the ports that were bound.
  [[nodiscard]] std::string client_url() const;
  [[nodiscard]] std::string server_url() const;
  [[nodiscard]] counts stats() const;

  /// Takes nobody new and refuses dials; when the last virtual connection has ended, or after `within`, tells both ends
  /// of those that are left, closes all and calls `done`, from the event loop.
  void stop(duration within, std::function<void()> done);

 private:
  class parts;
  explicit service(std::shared_ptr<parts> made);
  std::shared_ptr<parts> parts_;
};

}  // namespace ferry::gateway
