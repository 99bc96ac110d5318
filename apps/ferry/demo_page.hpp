#pragma once
/// The page of `ferry demo --browser`.

#include <string>

namespace ferry::app {

/// HTML with all that it needs inside: a client of a gateway in forty lines, which dials service 1 at `websocket`
/// ("ws://127.0.0.1:40123/"), lets 20 messages come back, says how long they took, and then is for talking. What is
/// said to the service is `echo TEXT`, which comes back to who said it, or anything else, which comes to everybody.
[[nodiscard]] std::string demo_page(const std::string& websocket);

}  // namespace ferry::app
