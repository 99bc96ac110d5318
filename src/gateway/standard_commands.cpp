#include "gateway/standard_commands.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "gateway/pages.hpp"
#include "os/operator_files.hpp"
#include "os/process_view.hpp"
#include "os/thread_stacks.hpp"

namespace ferry::gateway {
namespace {

constexpr std::size_t k_most_in_log = 1000;  // members that one answer lists

std::string line_of(const member_view& one) {
  const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(one.silent).count();
  return std::string(one.role == session::gateway_role::client ? "client " : "server ") + std::to_string(one.id) + " " +
         one.address + ": " + std::to_string(one.connections) + " virtual connections, " +
         std::to_string(one.waiting_packets) + " packets (" + std::to_string(one.waiting_bytes) +
         " bytes) wait, silent for " + std::to_string(silent) + " ms" +
         (one.is_without_one ? ", its stream waits for another connection" : "") + "\n";
}

std::string head_of(const service& of) {
  const auto now = of.stats();
  return std::to_string(now.clients) + " clients, " + std::to_string(now.servers) + " servers, " +
         std::to_string(now.arriving) + " arriving, " + std::to_string(now.connections) + " virtual connections" +
         (of.is_stopping() ? "; stopping" : "") + "\n";
}

std::string connections_in_log(const service& of) {
  auto text = head_of(of);
  const auto all = of.members(k_most_in_log);
  for (const auto& one : all) text += line_of(one);
  const auto now = of.stats();
  if (const auto there = now.clients + now.servers; there > all.size())
    text += "and " + std::to_string(there - all.size()) + " more; lookup goroutine writes all of them to a file\n";
  return text;
}

std::string line_of(const os::thread_view& one) {
  return "thread " + std::to_string(one.id) + " " + one.name + ": " + one.state +
         (one.waits_in.empty() ? "" : " in " + one.waits_in) + ", " + std::to_string(one.user_ms) + " ms user, " +
         std::to_string(one.kernel_ms) + " ms kernel\n";
}

std::string threads_text() {
  std::string text;
  for (const auto& one : os::threads_of_process()) text += line_of(one);
  return text;
}

std::string connections_and_stacks(const service& of) {
  auto text = head_of(of);
  for (const auto& one : of.members(std::numeric_limits<std::size_t>::max())) text += line_of(one);
  const auto stacks = os::stacks_of_threads();
  for (const auto& one : os::threads_of_process()) {
    text += line_of(one);
    for (const auto& stack : stacks)
      if (stack.id == one.id)
        for (const auto& frame : stack.frames) text += "    " + frame + "\n";
  }
  return text;
}

std::string in_ms(duration what) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(what).count()) + " ms";
}

// Queues by how long they waited for their peers, then by what is in them; and how long packets were under way.
std::string block_text(const service& of) {
  const auto now = of.stats();
  const auto [packets, bytes] = of.waiting();
  std::string text = std::to_string(packets) + " packets (" + std::to_string(bytes) + " bytes) wait; held back " +
                     std::to_string(now.held_back) + " times, closed as too slow " + std::to_string(now.slow) + "\n";
  auto all = of.members(std::numeric_limits<std::size_t>::max());
  std::erase_if(all, [](const member_view& one) {
    return one.waiting_bytes == 0 && one.blocked == duration::zero() && one.held == duration::zero();
  });
  std::stable_sort(all.begin(), all.end(), [](const member_view& a, const member_view& b) {
    return std::pair(a.blocked + a.held, a.waiting_bytes) > std::pair(b.blocked + b.held, b.waiting_bytes);
  });
  for (const auto& one : all) {
    auto line = line_of(one);
    line.pop_back();
    text += line + "; its queue waited for it for " + in_ms(one.blocked) + ", it waited for others for " +
            in_ms(one.held) + "\n";
  }
  return text + latency_text(of.forward_latency());
}

std::string memory_text(const service& of) {
  const auto pool = of.buffers().stats();
  const auto all = os::view_of_allocator();
  return "pool: " + std::to_string(pool.bytes_lent) + " bytes lent, " + std::to_string(pool.bytes_kept) + " kept; " +
         std::to_string(pool.hits) + " buffers used again, " + std::to_string(pool.misses) + " made, " +
         std::to_string(pool.exact) + " above the largest size, " + std::to_string(pool.refused) + " refused\n" +
         "allocator: " + std::to_string(all.in_use) + " bytes in use of " + std::to_string(all.from_system) + " (" +
         std::to_string(all.mapped) + " mapped one by one); the process takes " + std::to_string(all.resident) + "\n";
}

// What pprof reads, where there is that; else what there is.
std::string heap_text(const service& of) {
  auto profile = os::heap_profile();
  if (!profile.empty()) return profile;
  return memory_text(of) +
         "who allocated it: not known, for gperftools' heap profiler does not run (LD_PRELOAD=libtcmalloc.so.4 "
         "HEAPPROFILE=PATH)\n" +
         os::allocator_details();
}

}  // namespace

result<std::string> report_path(const std::string& prefix, std::string_view kind) {
  if (prefix.empty()) return error(errc::misuse, "a file is needed, and with an empty --name there is none");
  return prefix + "." + std::string(kind) + ".prof";
}

void add_standard_commands(command_table& to, const service& of, std::string prefix) {
  const auto report = [&to, prefix = std::move(prefix)](const std::string& kind, const char* help,
                                                        std::function<std::string()> text) {
    to.add({"lookup " + kind, "", help,
            [prefix, kind, text = std::move(text)](command_table::words) -> result<std::string> {
              const auto path = report_path(prefix, kind);
              if (!path) return path.error();
              if (const auto done = os::write_report(*path, text()); !done) return done.error();
              return *path + " is written";
            }});
  };
  report("heap", "Who allocated what is in use, or what the pool and the allocator hold",
         [&of] { return heap_text(of); });
  report("threadcreate", "Threads of this process", threads_text);
  report("goroutine", "All connections, and the stacks of all threads", [&of] { return connections_and_stacks(of); });
  report("block", "What waits, for whom and how long, and how long packets took", [&of] { return block_text(of); });
  to.add({"lookup gc", "", "What the pool and the allocator hold, in the log",
          [&of](command_table::words) -> result<std::string> { return memory_text(of); }});
  to.add({"connections", "", "Who is there, in the log",
          [&of](command_table::words) -> result<std::string> { return connections_in_log(of); }});
}

}  // namespace ferry::gateway
