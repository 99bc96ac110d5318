#include "bench/limits.hpp"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "bench/child.hpp"
#include "bench/sockets.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {

namespace {

constexpr std::size_t k_sizes[] = {64, 1 << 10, 10 << 10, 100 << 10};
constexpr std::size_t k_buffers[] = {256 << 10, 1 << 20};
constexpr std::size_t k_connections[] = {1, 100};
constexpr std::size_t k_in_flight[] = {1, 16};
constexpr std::size_t k_relays[][3] = {{1, 1, 1}, {10, 4, 16}, {100, 1, 4}};  // clients, virtual connections, window

/// One run of one measurement, which adds its samples to the figures that it was made for.
struct step {
  std::string name;
  std::function<result<void>(std::chrono::nanoseconds)> run;
};

/// Fills the lists of what can be measured and returns a step for each entry; the steps refer to `into`.
class planner {
 public:
  planner(limits& into, placement pin) : into_(into), pin_(pin) {}

  std::vector<step> all() {
    cache_line();
    copying();
    for (const auto kind : {stream_kind::unix_socket, stream_kind::tcp}) {
      auto& stream = kind == stream_kind::tcp ? into_.tcp : into_.unix_socket;
      pingpong(kind, "pingpong_blocking", wait_mode::blocking, stream.blocking_p50_ns, stream.blocking_p99_ns);
      pingpong(kind, "pingpong_spinning", wait_mode::spinning, stream.spinning_p50_ns, stream.spinning_p99_ns);
      oneway(kind, stream);
      echo(kind, stream);
      relay(kind, stream);
    }
    return std::move(steps_);
  }

 private:
  void cache_line() {
    steps_.push_back({"cache_line", [&into = into_, pin = pin_](auto duration) -> result<void> {
                        const auto run = measure_cache_line(duration, pin);
                        if (!run) return run.error();
                        into.cache_line_p50_ns.samples.push_back(run->p50_ns);
                        into.cache_line_mean_ns.samples.push_back(run->mean_ns);
                        return {};
                      }});
  }

  void copying() {
    steps_.push_back({"memcpy", [&into = into_, pin = pin_](auto duration) -> result<void> {
                        const auto run = measure_memcpy(duration, pin);
                        if (!run) return run.error();
                        into.memcpy_hot.samples.push_back(run->hot_bytes_per_second);
                        into.memcpy_walking.samples.push_back(run->walking_bytes_per_second);
                        return {};
                      }});
  }

  void pingpong(stream_kind kind, const char* name, wait_mode mode, figure& p50, figure& p99) {
    add(kind, name, [kind, mode, &p50, &p99, pin = pin_](auto duration) -> result<void> {
      const auto run = measure_pingpong(kind, mode, pin, duration);
      if (!run) return run.error();
      p50.samples.push_back(run->p50_ns);
      p99.samples.push_back(run->p99_ns);
      return {};
    });
  }

  void oneway(stream_kind kind, stream_limits& stream) {
    for (const auto size : k_sizes) {
      stream.raw_oneway.push_back({size, k_buffers[0], {}});
      for (const auto buffer : k_buffers) stream.pipeline_oneway.push_back({size, buffer, {}});
    }
    for (auto& entry : stream.raw_oneway) oneway(kind, "raw_oneway", entry, measure_raw);
    for (auto& entry : stream.pipeline_oneway) oneway(kind, "pipeline_oneway", entry, measure_pipeline);
  }

  void oneway(stream_kind kind, const char* name, oneway_limit& entry, decltype(measure_raw)* measure) {
    add(kind, name + dotted(entry.size) + dotted(entry.buffer),
        [kind, measure, &entry, pin = pin_](auto duration) -> result<void> {
          const auto run = measure(kind, entry.size, entry.buffer, duration, pin);
          if (!run) return run.error();
          entry.messages_per_second.samples.push_back(run->messages_per_second());
          return {};
        });
  }

  void echo(stream_kind kind, stream_limits& stream) {
    for (const auto connections : k_connections)
      for (const auto in_flight : k_in_flight) stream.echo.push_back({connections, in_flight, {}});
    for (auto& entry : stream.echo)
      add(kind, "echo" + dotted(entry.connections) + dotted(entry.in_flight),
          [kind, &entry, pin = pin_](auto duration) -> result<void> {
            const auto run = measure_echo(kind, {64, entry.connections, entry.in_flight, duration, {}}, pin);
            if (!run) return run.error();
            entry.messages_per_second.samples.push_back(static_cast<double>(run->messages) / run->seconds);
            return {};
          });
  }

  void relay(stream_kind kind, stream_limits& stream) {
    for (const auto& [clients, virtual_connections, window] : k_relays)
      stream.relay.push_back({clients, virtual_connections, window, {}, {}});
    for (auto& entry : stream.relay)
      add(kind,
          "relay." + std::to_string(entry.clients) + "x" + std::to_string(entry.virtual_connections) + "x" +
              std::to_string(entry.window),
          [kind, &entry, pin = pin_](auto duration) -> result<void> {
            const auto run =
                measure_relay(kind, entry.clients, entry.virtual_connections * entry.window, duration, pin);
            if (!run) return run.error();
            const auto echoes = static_cast<double>(run->echoes);
            entry.cpu_ns_per_echo.samples.push_back(run->cpu_seconds * 1e9 / echoes);
            entry.echoes_per_second.samples.push_back(echoes / run->seconds);
            return {};
          });
  }

  template <class Run>
  void add(stream_kind kind, const std::string& name, Run run) {
    steps_.push_back({std::string(to_string(kind)) + "." + name, std::move(run)});
  }
  static std::string dotted(std::size_t number) { return "." + std::to_string(number); }

  limits& into_;
  placement pin_;
  std::vector<step> steps_;
};

result<void> keep_only(std::vector<step>& steps, const std::vector<std::string>& prefixes) {
  if (prefixes.empty()) return {};
  const auto names = limit_names();
  const auto begins = [](const step& one, const std::string& prefix) { return one.name.starts_with(prefix); };
  const auto meant = [&](const step& one, const std::string& prefix) {
    const bool whole = std::any_of(names.begin(), names.end(), [&](const auto& name) { return name == prefix; });
    return whole ? one.name == prefix : begins(one, prefix);
  };
  for (const auto& prefix : prefixes)
    if (std::none_of(steps.begin(), steps.end(), [&](const step& one) { return begins(one, prefix); }))
      return error(errc::misuse, "no measurement's name begins with '" + prefix + "'; the first ones are " +
                                     steps[0].name + ", " + steps[1].name + ", " + steps[2].name);
  std::erase_if(steps, [&](const step& one) {
    return std::none_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) { return meant(one, prefix); });
  });
  return {};
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name"))
      if (const auto at = line.find(": "); at != std::string::npos) return line.substr(at + 2);
  return "unknown";
}

}  // namespace

machine this_machine() {
  machine host;
  host.cpu = cpu_name();
  utsname system{};
  if (::uname(&system) == 0) host.kernel = system.release;
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) host.cores = CPU_COUNT(&set);
  if (double load = 0; ::getloadavg(&load, 1) == 1) host.load_average = load;
  return host;
}

double figure::median() const { return bench::median(samples); }
double figure::min() const { return empty() ? 0 : *std::min_element(samples.begin(), samples.end()); }
double figure::max() const { return empty() ? 0 : *std::max_element(samples.begin(), samples.end()); }

limits_options limits_options::quick() {
  limits_options options;
  options.duration = std::chrono::milliseconds(50);
  options.runs = 1;
  return options;
}

std::vector<std::string> limit_names() {
  limits scratch;
  std::vector<std::string> names;
  for (auto& one : planner(scratch, {}).all()) names.push_back(std::move(one.name));
  return names;
}

result<limits> measure_limits(const limits_options& options) {
  if (auto outcome = in_range("the number of runs", static_cast<std::size_t>(std::max(options.runs, 0)), 1, 100);
      !outcome)
    return outcome.error();
  limits measured;
  auto steps = planner(measured, options.pin).all();
  if (auto outcome = keep_only(steps, options.only); !outcome) return outcome.error();

  measured.host = this_machine();
  measured.asked = options.pin;
  measured.runs = options.runs;
  if (const auto cores = two_cores(); options.pin || cores) measured.two = options.pin ? *options.pin : *cores;

  const auto begun = now_ns();
  const int total = options.runs * static_cast<int>(steps.size());
  int done = 0;
  for (int round = 0; round < options.runs; ++round) {
    for (const auto& one : steps) {
      if (options.progress) options.progress(one.name, done, total);
      if (auto outcome = one.run(options.duration / options.runs); !outcome)
        measured.failures.push_back({one.name, outcome.error().text()});
      ++done;
    }
  }
  if (options.progress) options.progress("", total, total);
  measured.seconds = static_cast<double>(now_ns() - begun) / 1e9;
  return measured;
}

}  // namespace ferry::bench
