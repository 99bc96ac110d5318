#include "net/ws_close.hpp"

#include "base/utf8_validator.hpp"
#include "codec/websocket_frame.hpp"

namespace ferry::net {
namespace {

struct meaning {
  std::uint16_t code;
  const char* name;
  errc is;
};

// RFC 6455, section 7.4.1, and the registry of IANA.
constexpr meaning k_meanings[] = {
    {1000, "normal closure", errc::end_of_stream},
    {1001, "going away", errc::end_of_stream},
    {1002, "protocol error", errc::protocol},
    {1003, "unsupported data", errc::protocol},
    {1005, "without a code", errc::end_of_stream},
    {1007, "invalid data", errc::protocol},
    {1008, "policy violation", errc::protocol},
    {1009, "message too big", errc::message_too_large},
    {1010, "an extension is missing", errc::protocol},
    {1011, "internal error", errc::reset},
    {1012, "service restart", errc::reset},
    {1013, "try again later", errc::reset},
    {1014, "bad gateway", errc::reset},
};

}  // namespace

error peer_closed(const close_note& says) {
  errc is = says.code >= 3000 ? errc::end_of_stream : errc::reset;
  std::string text = "the peer closed the WebSocket: ";
  if (says.code != 1005) text += std::to_string(says.code);
  for (const auto& one : k_meanings) {
    if (one.code != says.code) continue;
    is = one.is;
    if (says.code != 1005) text += ' ';
    text += one.name;
  }
  if (!says.reason.empty()) text += ": ";
  for (const char c : says.reason) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return {is, std::move(text)};
}

result<void> check_close_note(std::uint16_t code, std::string_view reason) {
  if (!codec::may_be_sent(code))
    return error(errc::misuse, "close code " + std::to_string(code) + " may not be sent: use 1000 or 3000 .. 4999");
  if (reason.size() > codec::k_max_websocket_reason || !is_utf8(as_bytes(reason)))
    return error(errc::misuse, "the reason of a Close has at most 123 bytes of UTF-8");
  return {};
}

}  // namespace ferry::net
