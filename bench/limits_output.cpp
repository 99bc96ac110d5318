#include <array>
#include <boost/json.hpp>
#include <cstdio>

#include "bench/limits.hpp"
#include "bench/table.hpp"

namespace ferry::bench {

namespace {

namespace json = boost::json;

/// KEY, and beside it KEY_min and KEY_max if there was more than one run.
void put(json::object& into, const std::string& key, const figure& value, double factor = 1) {
  if (value.empty()) return;
  into[key] = value.median() * factor;
  if (value.samples.size() == 1) return;
  into[key + "_min"] = value.min() * factor;
  into[key + "_max"] = value.max() * factor;
}

json::value cores_of(const placement& cores) {
  if (!cores) return nullptr;
  return json::array{cores->first, cores->second};
}

json::array oneway(const std::vector<oneway_limit>& entries) {
  json::array list;
  for (const auto& entry : entries) {
    if (entry.messages_per_second.empty()) continue;
    json::object one{{"size", entry.size}, {"buffer", entry.buffer}};
    put(one, "messages_per_second", entry.messages_per_second);
    put(one, "bytes_per_second", entry.messages_per_second, static_cast<double>(entry.size));
    list.push_back(std::move(one));
  }
  return list;
}

json::array echo(const std::vector<echo_limit>& entries) {
  json::array list;
  for (const auto& entry : entries) {
    if (entry.messages_per_second.empty()) continue;
    json::object one{{"connections", entry.connections}, {"in_flight", entry.in_flight}};
    put(one, "messages_per_second", entry.messages_per_second);
    list.push_back(std::move(one));
  }
  return list;
}

json::array relay(const std::vector<relay_limit>& entries) {
  json::array list;
  for (const auto& entry : entries) {
    if (entry.cpu_ns_per_echo.empty()) continue;
    json::object one{{"clients", entry.clients}, {"virtual", entry.virtual_connections}, {"window", entry.window}};
    put(one, "cpu_ns_per_echo", entry.cpu_ns_per_echo);
    put(one, "messages_per_second", entry.echoes_per_second);
    list.push_back(std::move(one));
  }
  return list;
}

json::object stream(const stream_limits& measured) {
  json::object one;
  json::object blocking;
  put(blocking, "p50", measured.blocking_p50_ns);
  put(blocking, "p99", measured.blocking_p99_ns);
  if (!blocking.empty()) one["pingpong_blocking_ns"] = std::move(blocking);
  put(one, "pingpong_spinning_ns", measured.spinning_p50_ns);
  put(one, "pingpong_spinning_p99_ns", measured.spinning_p99_ns);
  const std::array<std::pair<const char*, json::array>, 4> lists{{{"raw_oneway", oneway(measured.raw_oneway)},
                                                                  {"pipeline_oneway", oneway(measured.pipeline_oneway)},
                                                                  {"echo", echo(measured.echo)},
                                                                  {"relay", relay(measured.relay)}}};
  for (const auto& [key, list] : lists)
    if (!list.empty()) one[key] = list;
  return one;
}

/// Of the sizes that are measured: powers of two times a whole number.
std::string bytes_text(std::size_t size) {
  if (size < 1024) return std::to_string(size) + " B";
  if (size < 1024 * 1024) return std::to_string(size / 1024) + " KiB";
  return std::to_string(size / (1024 * 1024)) + " MiB";
}

/// Adds name, median, spread and a note as one row; nothing if it was not measured.
void row(text_table& table, const std::string& name, const figure& value, std::string (*format)(double),
         std::string note = {}) {
  if (value.empty()) return;
  const auto spread = value.samples.size() == 1 ? "one run" : format(value.min()) + " .. " + format(value.max());
  table.add({name, format(value.median()), spread, std::move(note)});
}

void rows(text_table& table, const std::string& kind, const stream_limits& measured) {
  row(table, kind + " ping-pong, blocking, p50", measured.blocking_p50_ns, nanoseconds_text);
  row(table, kind + " ping-pong, blocking, p99", measured.blocking_p99_ns, nanoseconds_text);
  row(table, kind + " ping-pong, spinning, p50", measured.spinning_p50_ns, nanoseconds_text);
  row(table, kind + " ping-pong, spinning, p99", measured.spinning_p99_ns, nanoseconds_text);
  for (const auto* list : {&measured.raw_oneway, &measured.pipeline_oneway})
    for (const auto& entry : *list)
      row(table,
          kind + (list == &measured.raw_oneway ? " raw, " : " pipeline, ") + bytes_text(entry.size) + ", buffer " +
              bytes_text(entry.buffer),
          entry.messages_per_second, rate_text,
          bytes_rate_text(entry.messages_per_second.median() * static_cast<double>(entry.size)));
  for (const auto& entry : measured.echo)
    row(table,
        kind + " echo, " + std::to_string(entry.connections) + " x " + std::to_string(entry.in_flight) + " in flight",
        entry.messages_per_second, rate_text);
  for (const auto& entry : measured.relay)
    row(table,
        kind + " relay, " + std::to_string(entry.clients) + " x " + std::to_string(entry.virtual_connections) + " x " +
            std::to_string(entry.window) + ", CPU per echo",
        entry.cpu_ns_per_echo, nanoseconds_text, rate_text(entry.echoes_per_second.median()));
}

std::string where(const placement& cores) {
  if (!cores) return "unpinned";
  return "cores " + std::to_string(cores->first) + ", " + std::to_string(cores->second);
}

}  // namespace

json::object to_json(const limits& measured) {
  json::object all;
  all["machine"] = json::object{{"cpu", measured.host.cpu},
                                {"kernel", measured.host.kernel},
                                {"cores", measured.host.cores},
                                {"load_average", measured.host.load_average}};
  all["placement"] = json::object{{"asked", cores_of(measured.asked)}, {"always_pinned", cores_of(measured.two)}};
  all["runs"] = measured.runs;
  all["seconds"] = measured.seconds;
  json::object line;
  put(line, "p50", measured.cache_line_p50_ns);
  put(line, "mean", measured.cache_line_mean_ns);
  if (!line.empty()) all["cache_line_rtt_ns"] = std::move(line);
  put(all, "memcpy_bytes_per_second", measured.memcpy_hot);
  put(all, "memcpy_walking_bytes_per_second", measured.memcpy_walking);
  for (const auto& [key, one] : {std::pair("unix", &measured.unix_socket), std::pair("tcp", &measured.tcp)})
    if (auto found = stream(*one); !found.empty()) all[key] = std::move(found);
  if (measured.failures.empty()) return all;
  json::array failures;
  for (const auto& one : measured.failures)
    failures.push_back(json::object{{"measurement", one.name}, {"error", one.text}});
  all["failures"] = std::move(failures);
  return all;
}

std::string to_table(const limits& measured) {
  std::string text = measured.host.cpu + ", " + std::to_string(measured.host.cores) + " cores, Linux " +
                     measured.host.kernel + "; load average before: " + fixed(measured.host.load_average, 2) + "\n" +
                     std::to_string(measured.runs) + " runs; cache line, spinning and echo: " + where(measured.two) +
                     "; the rest: " + where(measured.asked) + "\n\n";
  text_table table({"limit", "median", "spread", ""},
                   {alignment::left, alignment::right, alignment::right, alignment::right});
  row(table, "cache line, to and fro, p50", measured.cache_line_p50_ns, nanoseconds_text);
  row(table, "memcpy, hot", measured.memcpy_hot, bytes_rate_text);
  row(table, "memcpy, walking", measured.memcpy_walking, bytes_rate_text);
  rows(table, "unix", measured.unix_socket);
  rows(table, "tcp", measured.tcp);
  text += table.text();
  for (const auto& one : measured.failures) text += "failed: " + one.name + ": " + one.text + "\n";
  return text;
}

}  // namespace ferry::bench
