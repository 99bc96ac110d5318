// From a channel's options to those of the poll API.
#include <algorithm>
#include <bit>
#include <cstring>

#include "compat/tcpshm_carrier.hpp"
#include "compat/tcpshm_settings.hpp"
#include "os/session_directory.hpp"

namespace ferry::compat::tcpshm {
namespace {

constexpr std::size_t k_largest_body = 65535 - sizeof(message_header);
constexpr auto k_shortest_tick = std::chrono::milliseconds(1);
constexpr auto k_longest_tick = std::chrono::milliseconds(1000);
constexpr std::int64_t k_never = std::int64_t{1} << 60;

error does_not_go(const char* what, const std::string& why) {
  return {errc::bad_option, "compat=tcpshm with " + std::string(what) + ": " + why};
}

std::int64_t milliseconds(ferry::options::duration time) {
  return std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

// As the original's: a ring's blocks are found with a mask, a queue is as many blocks as there are.
result<void> check_queue(std::size_t size, bool shm) {
  if (shm ? std::has_single_bit(size) : size % k_queue_step == 0) return {};
  return error(errc::bad_option, "tcpshm_queue_bytes=" + std::to_string(size) + ": must be " +
                                     (shm ? std::string("a power of two over shm")
                                          : "a multiple of " + std::to_string(k_queue_step) + " over tcp") +
                                     ", 128 .. 1GiB");
}

result<void> check(const endpoint& where, const ferry::options& with) {
  if (where.scheme != "tcp" && where.scheme != "shm")
    return error(errc::unsupported, where.scheme + ": compat=tcpshm is spoken over tcp and shm");
  if (with.session != session_kind::persistent)
    return error(errc::bad_option, "compat=tcpshm: is a persistent session: write session=persistent too");
  if (with.durable != durable_kind::process)
    return does_not_go("durable=disk", "files of the original do not survive a loss of power");
  if (with.senders != senders_kind::one) return does_not_go("senders=many", "one thread at a time may send");
  if (with.framing != framing_kind::automatic)
    return does_not_go("framing", "messages have the original's headers: leave the option out");
  if (!with.capture.empty()) return error(errc::unsupported, "compat=tcpshm: what is said cannot be captured");
  return check_queue(with.tcpshm_queue_bytes, where.scheme == "shm");
}

// What every message of this size finds room for, if half of the queue is free.
std::size_t largest_body(std::size_t queue) {
  const std::size_t half = queue / 2;
  return std::min(k_largest_body, half > 64 ? half - 64 : std::size_t{1});
}

options poll_options(const ferry::options& with, bool shm) {
  options made;
  made.name_size = with.tcpshm_name_size;
  (shm ? made.shm_queue_bytes : made.tcp_queue_bytes) = with.tcpshm_queue_bytes;
  made.to_little_endian = !with.tcpshm_big_endian;
  made.no_delay = with.no_delay;
  made.login_data_bytes = with.tcpshm_login_data_bytes;
  made.answer_data_bytes = with.tcpshm_answer_data_bytes;
  made.data_alignment = with.tcpshm_data_alignment;
  made.acknowledge_bytes = 1;  // whoever closes, or flushes, waits for it
  const bool beats = with.heartbeat.count() != 0;
  made.connection_timeout = beats ? milliseconds(with.heartbeat) : k_never;
  made.heartbeat_interval = beats ? milliseconds(with.heartbeat / 3) : k_never;
  made.new_connection_timeout = with.connect_timeout.count() != 0 ? milliseconds(with.connect_timeout) : k_never;
  made.max_known = with.max_sessions;
  made.max_tcp_conns_per_group = made.max_shm_conns_per_group = with.max_sessions;
  return made;
}

}  // namespace

result<carried_options> carried(const endpoint& where, const std::shared_ptr<const ferry::options>& with) {
  if (const auto fits = check(where, *with); !fits) return fits.error();
  carried_options made;
  made.shm = where.scheme == "shm";
  made.host = where.host == "*" ? std::string() : where.host;
  made.port = where.port;
  auto directory = os::session_directory(with->dir, true);
  if (!directory) return directory.error();
  made.directory = std::move(*directory);
  made.name = with->as;
  made.with = poll_options(*with, made.shm);
  if (made.shm)
    made.with.max_tcp_groups = 0;
  else
    made.with.max_shm_groups = 0;
  if (const auto good = check(made.directory, made.name, made.with); !good) return good.error().in("compat=tcpshm");
  const auto beat = std::chrono::duration_cast<turns::clock::duration>(with->heartbeat / 10);
  made.pace.tick = beat.count() == 0 ? turns::clock::duration(k_longest_tick)
                                     : std::clamp<turns::clock::duration>(beat, k_shortest_tick, k_longest_tick);
  if (made.shm) made.pace = {k_shortest_tick, with->spin};  // the original's programs ring no bell
  auto channel = std::make_shared<ferry::options>(*with);
  channel->max_message = std::min(with->max_message, largest_body(with->tcpshm_queue_bytes));
  channel->send_queue_bytes = with->tcpshm_queue_bytes;
  channel->send_queue_low_bytes = with->tcpshm_queue_bytes / 2;
  made.channel = std::move(channel);
  return made;
}

std::vector<std::byte> login_data(const ferry::options& with, std::size_t size) {
  std::vector<std::byte> made(size);
  std::memcpy(made.data(), with.login_data.data(), std::min(size, with.login_data.size()));
  return made;
}

}  // namespace ferry::compat::tcpshm
