#include "gateway/reconfigure.hpp"

#include <string_view>
#include <tuple>
#include <utility>

namespace ferry::gateway {
namespace {

using names = std::vector<std::string>;

template <class Value>
void keep(Value& next, const Value& now, std::string_view name, names& differed) {
  if (next == now) return;
  differed.emplace_back(name);
  next = now;
}

// The pool's sizes; all of them have names that begin so.
void keep_pool(configuration& next, const configuration& now, names& differed) {
  const auto shape = [](const configuration& of) {
    const auto& m = of.memory;
    return std::tuple(of.pool_kind, of.slab_bytes, m.min_buffer, m.max_buffer, m.growth, m.max_bytes);
  };
  if (shape(next) != shape(now)) differed.emplace_back("mem-pool-...");
  next.pool_kind = now.pool_kind;
  next.slab_bytes = now.slab_bytes;
  next.memory = now.memory;
}

}  // namespace

names keep_until_next_start(settings& next, const settings& now) {
  names differed;
  for (const auto side : {&settings::clients, &settings::servers}) {
    const std::string of = side == &settings::clients ? "client-" : "server-";
    auto& one = next.*side;
    const auto& old = now.*side;
    keep(one.url, old.url, of + "addr", differed);
    keep(one.options, old.options, of + "options", differed);
    keep(one.buffer_size, old.buffer_size, of + "buffer-size", differed);
    keep(one.resume, old.resume, of + "snet-...", differed);
  }
  keep(next.max_packet, now.max_packet, "max-packet", differed);
  keep(next.check, now.check, "client-check-...", differed);
  keep(next.history_memory, now.history_memory, "snet-memory", differed);
  keep(next.threads, now.threads, "threads", differed);
  keep(next.reuse_port, now.reuse_port, "reuse-port", differed);
  keep(next.unpredictable_numbers, now.unpredictable_numbers, "unpredictable-numbers", differed);
  return differed;
}

result<names> reconfigure(service& running, configuration& holds, const configuration& next) {
  auto with = next;
  auto differed = keep_until_next_start(with.service, holds.service);
  keep(with.admin_url, holds.admin_url, "admin-addr", differed);
  keep(with.name, holds.name, "name", differed);
  keep(with.pid_file, holds.pid_file, "pid-file", differed);
  keep(with.log_file, holds.log_file, "log-file", differed);
  keep_pool(with, holds, differed);
  if (const auto good = check(with); !good) return good.error();
  running.change(with.service);
  holds = std::move(with);
  return differed;
}

}  // namespace ferry::gateway
