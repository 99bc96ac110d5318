#pragma once
/// `ferry demo --browser`: a page that talks to a service in C++, through a gateway.

#include <ferry/error.hpp>

#include <string>

namespace ferry::app {

/// Until it is killed: a gateway in a process of its own, for WebSockets on a free port of 127.0.0.1 and for services
/// in shared memory; in another one the service, and the page over HTTP on another free port. Prints where the page is
/// once all of it is there, then what is said. Only that page may open the WebSocket.
/// @param directory  an empty one, for the socket of the shared memory @return why one of them ended
[[nodiscard]] error run_browser_demo(const std::string& directory);

}  // namespace ferry::app
