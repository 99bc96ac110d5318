#pragma once
/// Clients that come in only if a program of the operator's says so. Source: docs/gateway.md.

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <memory>
#include <string>

#include "base/time.hpp"

namespace ferry::gateway {

struct client_check_settings {
  std::string command;  ///< program and arguments with blanks between, which no shell sees; empty: everybody comes in
  duration timeout = std::chrono::seconds(5);  ///< then the program is killed, and the client turned away
  std::uint32_t at_once = 16;                  ///< programs; above: whoever arrives waits

  friend bool operator==(const client_check_settings&, const client_check_settings&) = default;
};

inline constexpr std::size_t k_most_token = 4096;  ///< bytes; a longer one is turned away unasked

/// The token that a client shows when it asks for a WebSocket: that of "Authorization: Bearer TOKEN", else of the
/// cookie "token", else of "token=TOKEN" in the query (with %XX decoded). Empty: it shows none.
[[nodiscard]] std::string token_of(const http_request& request);

/// Who is counted before anybody asks about it.
class client_gate {
 public:
  /// @return false: it may not even be asked about; it is closed
  virtual bool enter(const stream& who) = 0;
  /// Somebody who has entered was turned away.
  virtual void leave(const stream& who) = 0;

 protected:
  ~client_gate() = default;
};

/// Where those wait whom nobody has asked about yet.
enum class waiting_at : std::uint8_t {
  socket,  ///< in front of the gateway: nobody else is taken from there meanwhile
  gate,    ///< behind it, as they have been taken already: they are counted, and `from` limits how many there are
};

/// Gives those streams of `from` for which the command ends with status 0: the token, if there is one, and a line end
/// are on its standard input, FERRY_CLIENT_ADDRESS and FERRY_CLIENT_PATH (of a WebSocket) in its environment. Others
/// are closed, and are errors (auth) of try_accept; who does not get through the gate is closed in silence. Runs on the
/// context's io_context; keeps no answer.
[[nodiscard]] std::unique_ptr<acceptor> check_clients(context& where, std::unique_ptr<acceptor> from,
                                                      client_check_settings with, client_gate& gate, waiting_at at);

}  // namespace ferry::gateway
