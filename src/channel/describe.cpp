#include "channel/describe.hpp"

#include <algorithm>
#include <string>

namespace ferry::detail {

session::backoff backoff_of(const options& with) {
  return session::backoff({.base = std::min(with.reconnect_base, with.reconnect_max),
                           .factor = with.reconnect_factor,
                           .jitter = with.reconnect_jitter,
                           .max_delay = with.reconnect_max,
                           .max_attempts = with.reconnect_attempts});
}

session::deadline_limits limits_of(const options& with) {
  return {.connect = with.connect_timeout,
          .write = with.write_timeout,
          .read_idle = with.read_idle_timeout,
          .write_idle = with.write_idle_timeout,
          .idle = with.idle_timeout,
          // To deadlines 0 means for ever; here it means at once.
          .close = std::max<options::duration>(with.close_timeout, std::chrono::nanoseconds(1)),
          .away = with.session_wait};
}

error describe_deadline(session::deadline which, const options& with, std::size_t waiting_bytes) {
  const auto waiting = std::to_string(waiting_bytes) + " bytes wait to be sent";
  switch (which) {
    case session::deadline::connect:
      return {errc::timeout, "no answer within " + get_option(with, "connect_timeout") + " (connect_timeout)"};
    case session::deadline::write:
      return {errc::timeout,
              "the peer took not a byte for " + get_option(with, "write_timeout") + " (write_timeout); " + waiting};
    case session::deadline::close:
      return {errc::timeout,
              "not closed in order within " + get_option(with, "close_timeout") + " (close_timeout); " + waiting};
    case session::deadline::away:
      return {errc::timeout, "the peer did not come back within " + get_option(with, "session_wait") +
                                 " (session_wait); what was sent stays in the session's files for it"};
    case session::deadline::read_idle:
      return {errc::idle, "nothing received for " + get_option(with, "read_idle_timeout") + " (read_idle_timeout)"};
    case session::deadline::write_idle:
      return {errc::idle, "nothing sent for " + get_option(with, "write_idle_timeout") + " (write_idle_timeout)"};
    case session::deadline::idle:
      return {errc::idle, "nothing received or sent for " + get_option(with, "idle_timeout") + " (idle_timeout)"};
  }
  return errc::timeout;
}

error describe_too_large(std::size_t size, const options& with) {
  return {errc::message_too_large, "message of " + std::to_string(size) + " bytes is larger than max_message (" +
                                       std::to_string(with.max_message) + ")"};
}

error describe_no_type(std::uint16_t type, const char* framing) {
  if (framing == std::string_view("parts"))
    return {errc::unsupported,
            "message type " + std::to_string(type) + " cannot travel: WebSocket carries none; use 0"};
  return {errc::unsupported, "message type " + std::to_string(type) + " cannot travel: the " + framing +
                                 " framing carries none; use framing=typed on both sides, or type 0"};
}

}  // namespace ferry::detail
