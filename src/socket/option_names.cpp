#include "socket/option_names.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "channel/option_value.hpp"

namespace ferry::sockets {
namespace {

using o = socket_option;
using enum option_unit;

constexpr std::array k_rows{
    option_row{o::nonblocking, "nonBlocking", "nonblocking", flag},
    option_row{o::receive_timeout, "receiveTimeout", "receive_timeout", duration},
    option_row{o::send_timeout, "sendTimeout", "send_timeout", duration},
    option_row{o::receive_mode, "fragmentationPolicy", "receive_mode", choice, "message, stream"},
    option_row{o::close_policy, "closePolicy", "close_policy", choice, "graceful, hard"},
    option_row{o::state, "state", "state", choice,
               "INIT, BOUND, LISTENING, CONNECTING, HANDSHAKING, OPEN, CLOSING, CLOSED, RECONNECTING"},
    option_row{o::error, "error", "error", count},
    option_row{o::system_errno, "systemErrno", "system_errno", count},
    option_row{o::transport, "transport", "transport", choice,
               "none, ipc, tcp, tls, shm, inproc, ws, wss, ws+raw, wss+raw, ws+ipc"},
    option_row{o::ping_interval, "pingInterval", "ping_interval", duration},
    option_row{o::ping_timeout, "pingTimeout", "ping_timeout", duration},
    option_row{o::ping_misses, "pingMisses", "ping_misses", count},
    option_row{o::idle_policy, "idlePolicy", "idle_policy", choice, "disconnect, ping"},
    option_row{o::connect_timeout, "connectTimeout", "connect_timeout", duration},
    option_row{o::write_timeout, "writeTimeout", "write_timeout", duration},
    option_row{o::read_idle, "readIdle", "read_idle_timeout", duration},
    option_row{o::write_idle, "writeIdle", "write_idle_timeout", duration},
    option_row{o::overall_idle, "overallIdle", "idle_timeout", duration},
    option_row{o::close_timeout, "closeTimeout", "close_timeout", duration},
    option_row{o::high_water_mark, "highWaterMark", "send_queue_bytes", size},
    option_row{o::low_water_mark, "lowWaterMark", "send_queue_low_bytes", size},
    option_row{o::receive_high_water_mark, "receiveHighWaterMark", "receive_queue_bytes", size},
    option_row{o::receive_low_water_mark, "receiveLowWaterMark", "receive_queue_low_bytes", size},
    option_row{o::max_frame, "maxFrameSize", "max_frame", size},
    option_row{o::max_message, "maxMessageSize", "max_message", size},
    option_row{o::tls_verify, "rejectUnauthorized", "tls_verify", choice, "automatic, yes, no, optional"},
    option_row{o::tls_ca, "ca", "tls_ca", text},
    option_row{o::tls_certificate, "cert", "tls_certificate", text},
    option_row{o::tls_key, "key", "tls_key", text},
    option_row{o::tls_server_name, "servername", "tls_server_name", text},
    option_row{o::tls_alpn, "ALPNProtocols", "tls_alpn", text},
    option_row{o::tls_pin, "pin", "tls_pin", text},
    option_row{o::reconnect, "reconnect", "reconnect", flag},
    option_row{o::reconnect_base, "reconnectBase", "reconnect_base", duration},
    option_row{o::reconnect_factor, "reconnectFactor", "reconnect_factor", number},
    option_row{o::reconnect_jitter, "reconnectJitter", "reconnect_jitter", number},
    option_row{o::reconnect_max, "maxDelay", "reconnect_max", duration},
    option_row{o::reconnect_attempts, "maxAttempts", "reconnect_attempts", count},
    option_row{o::no_delay, "noDelay", "no_delay", flag},
    option_row{o::keep_alive, "keepAlive", "keep_alive", flag},
    option_row{o::keep_alive_idle, "keepAliveIdle", "keep_alive_idle", duration},
    option_row{o::keep_alive_interval, "keepAliveInterval", "keep_alive_interval", duration},
    option_row{o::keep_alive_count, "keepAliveCount", "keep_alive_count", count},
    option_row{o::send_buffer, "sendBuffer", "socket_send_buffer", size},
    option_row{o::receive_buffer, "receiveBuffer", "socket_receive_buffer", size},
    option_row{o::backlog, "backlog", "backlog", count},
    option_row{o::max_connections, "maxConnections", "max_connections", count},
};

constexpr std::int64_t k_nanoseconds_per_millisecond = 1'000'000;

/// Without what people write differently: "pingInterval", "ping-interval" and "ping_interval" are one name.
std::string bare(std::string_view name) {
  auto small = lower_case(name);
  std::erase_if(small, [](char c) { return c == '-' || c == '_'; });
  return small;
}

/// The words of a choice, one after the other.
template <class F>
void for_each_word(std::string_view words, F f) {
  while (!words.empty()) {
    const auto comma = std::min(words.find(", "), words.size());
    f(words.substr(0, comma));
    words.remove_prefix(std::min(words.size(), comma + 2));
  }
}

error no_number(const option_row& row, std::string_view why) {
  return {errc::bad_option, std::string(row.name) + ": " + std::string(why), EINVAL};
}

}  // namespace

std::span<const option_row> option_rows() noexcept { return k_rows; }

const option_row* find_option(socket_option number) noexcept {
  const auto* found = std::find_if(k_rows.begin(), k_rows.end(), [&](const auto& row) { return row.number == number; });
  return found == k_rows.end() ? nullptr : found;
}

const option_row* find_option(std::string_view name) noexcept {
  constexpr std::size_t longest = 64;
  if (name.size() > longest) return nullptr;
  const auto wanted = bare(name);
  const auto* found = std::find_if(k_rows.begin(), k_rows.end(), [&](const auto& row) {
    return bare(row.name) == wanted || bare(row.spelling) == wanted;
  });
  return found == k_rows.end() ? nullptr : found;
}

result<std::string> number_as_text(const option_row& row, std::int64_t number) {
  if (number < 0) return no_number(row, std::to_string(number) + " is negative");
  switch (row.unit) {
    case size:
    case count:
    case option_unit::number: return std::to_string(number);
    case duration: return std::to_string(number) + "ms";
    case flag: return std::string(format_flag(number != 0));
    case mode: return format_whole(mode, static_cast<std::uint64_t>(number));
    case choice: break;
    case text:
    case uids: return error(errc::bad_option, std::string(row.name) + ": is a text, not a number", EINVAL);
  }
  std::string found;
  for_each_word(row.words, [&](std::string_view word) {
    if (number-- == 0) found = word;
  });
  if (found.empty()) return no_number(row, "must be the place of one of " + std::string(row.words));
  return found;
}

result<std::int64_t> text_as_number(const option_row& row, std::string_view text) {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  const auto whole = [&](option_unit unit) { return std::min(parse_whole(unit, text).value_or(0), most); };
  switch (row.unit) {
    case size: return static_cast<std::int64_t>(whole(size));
    case count: return static_cast<std::int64_t>(whole(count));
    case mode: return static_cast<std::int64_t>(whole(mode));
    case flag: return parse_flag(text).value_or(false) ? 1 : 0;
    case duration: {
      const auto nanoseconds = static_cast<std::int64_t>(whole(duration));
      return nanoseconds / k_nanoseconds_per_millisecond + (nanoseconds % k_nanoseconds_per_millisecond != 0 ? 1 : 0);
    }
    case option_unit::number:
    case option_unit::text:
    case uids: return no_number(row, "has no whole number: ask for its text");
    case choice: break;
  }
  std::int64_t at = -1;
  std::int64_t next = 0;
  for_each_word(row.words, [&](std::string_view word) {
    if (word == text) at = next;
    ++next;
  });
  if (at < 0) return no_number(row, "'" + std::string(text) + "' has no number");
  return at;
}

}  // namespace ferry::sockets
