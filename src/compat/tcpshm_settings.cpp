#include "compat/tcpshm_settings.hpp"

#include <bit>

#include "os/mapping.hpp"
#include "ring/ring_layout.hpp"
#include "session/session_file.hpp"

namespace ferry::compat::tcpshm {
namespace {

constexpr std::size_t k_largest = 1u << 30;

result<void> require(bool good, const char* name, std::size_t value, const char* wanted) {
  if (good) return {};
  return error(errc::bad_option, std::string(name) + " is " + std::to_string(value) + ", but must be " + wanted);
}

bool within(std::size_t low, std::size_t value, std::size_t high) noexcept { return low <= value && value <= high; }

result<void> check_sessions(const options& o) {
  const ring::geometry sizes{o.ring_bytes, 1, os::page_bytes(false)};
  if (const auto good = ring::check(sizes); !good) return good.error();
  return require(within(1, o.max_message, k_largest / 4), "max_message", o.max_message, "1 .. 2^28");
}

result<void> check(const options& o) {
  const auto alignment = o.data_alignment;
  const auto queue = o.tcp_queue_bytes;
  const auto first = o.tcp_recv_initial;
  const result<void> checks[] = {
      require(within(2, o.name_size, session::k_name_bytes), "name_size", o.name_size, "2 .. 64"),
      require(within(128, o.shm_queue_bytes, k_largest) && std::has_single_bit(o.shm_queue_bytes), "shm_queue_bytes",
              o.shm_queue_bytes, "a power of two, 128 .. 2^30"),
      require(within(k_queue_step, queue, k_largest) && queue % k_queue_step == 0, "tcp_queue_bytes", queue,
              "a multiple of 8 (on ARM64 of 16), at most 2^30"),
      require(within(8, first, k_largest) && first % 8 == 0, "tcp_recv_initial", first, "a multiple of 8, 8 .. 2^30"),
      require(within(first, o.tcp_recv_max, k_largest) && o.tcp_recv_max % 8 == 0, "tcp_recv_max", o.tcp_recv_max,
              "a multiple of 8, tcp_recv_initial .. 2^30"),
      require(within(1, o.login_data_bytes, 1024), "login_data_bytes", o.login_data_bytes, "1 .. 1024"),
      require(within(1, o.answer_data_bytes, 1024), "answer_data_bytes", o.answer_data_bytes, "1 .. 1024"),
      require(within(1, alignment, 8) && std::has_single_bit(alignment), "data_alignment", alignment, "1, 2, 4 or 8"),
      require(o.login_data_bytes % alignment == 0, "login_data_bytes", o.login_data_bytes,
              "a multiple of its alignment"),
      require(o.answer_data_bytes % alignment == 0, "answer_data_bytes", o.answer_data_bytes,
              "a multiple of its alignment"),
      require(within(1, o.max_new_connections, 65536), "max_new_connections", o.max_new_connections, "1 .. 65536"),
      require(within(1, o.max_known, 1u << 20), "max_known", o.max_known, "1 .. 2^20"),
      require(o.max_shm_groups <= 1024, "max_shm_groups", o.max_shm_groups, "at most 1024"),
      require(o.max_tcp_groups <= 1024, "max_tcp_groups", o.max_tcp_groups, "at most 1024"),
  };
  for (const auto& one : checks)
    if (!one) return one.error();
  if (!o.peer.empty())
    if (const auto good = session::check_name(o.peer, "peer"); !good) return good.error();
  if (o.speaks == protocol::ferry) return check_sessions(o);
  if (o.durable == durability::process) return {};
  return error(errc::bad_option,
               "durable is durability::disk, but files of protocol::tcpshm do not survive a loss of "
               "power: speaks must be protocol::ferry");
}

}  // namespace

options options::seed_defaults() {
  options small;
  small.shm_queue_bytes = 2048;
  small.tcp_queue_bytes = 2000;
  small.tcp_recv_initial = 2000;
  small.tcp_recv_max = 8000;
  small.acknowledge_bytes = 0;
  small.max_new_connections = 5;
  small.max_shm_conns_per_group = 4;
  small.max_tcp_conns_per_group = 4;
  return small;
}

result<void> check_name(std::string_view name, const options& with) {
  if (const auto good = session::check_name(name, "name"); !good) return good.error();
  if (with.speaks == protocol::ferry || name.size() < with.name_size) return {};
  return error(errc::bad_option, "the name '" + std::string(name) + "' has more than name_size - 1 = " +
                                     std::to_string(with.name_size - 1) + " characters");
}

result<settings> check(std::string directory, std::string name, const options& with) {
  if (const auto good = check(with); !good) return good.error();
  if (const auto good = check_name(name, with); !good) return good.error();
  if (directory.empty()) return error(errc::bad_address, "no directory for queue files was given");
  const auto order = with.to_little_endian ? std::endian::little : std::endian::big;
  return settings{with,
                  {with.name_size, with.login_data_bytes, with.answer_data_bytes, with.data_alignment, order},
                  std::move(directory),
                  std::move(name),
                  with.speaks == protocol::ferry ? std::make_shared<buffer_pool>() : nullptr,
                  std::make_shared<wake_set>()};
}

}  // namespace ferry::compat::tcpshm
