#include "gateway/pages.hpp"

#include <ferry/metrics.hpp>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

namespace ferry::gateway {
namespace {

using samples = std::vector<metric_sample>;
using labels = std::vector<std::pair<std::string, std::string>>;

void count(samples& all, std::string name, std::uint64_t value, std::string help, labels of = {}) {
  metric_sample one;
  one.id = {"ferry_gateway_" + std::move(name) + "_total", std::move(of), std::move(help)};
  one.count = value;
  all.push_back(std::move(one));
}
void level(samples& all, std::string name, std::uint64_t value, std::string help, labels of = {}) {
  metric_sample one;
  one.id = {"ferry_gateway_" + std::move(name), std::move(of), std::move(help)};
  one.kind = metric_kind::gauge;
  one.level = static_cast<std::int64_t>(value);
  all.push_back(std::move(one));
}

void add_pool(samples& all, const buffer_pool& of) {
  const auto now = of.stats();
  const std::string acquired = "Buffers that were acquired.";
  count(all, "buffers", now.hits, acquired, {{"from", "reuse"}});
  count(all, "buffers", now.misses, acquired, {{"from", "new"}});
  count(all, "buffers", now.exact, acquired, {{"from", "exact"}});
  count(all, "buffers_refused", now.refused, "Buffers that were not acquired: the limit, or no memory.");
  level(all, "buffer_bytes", now.bytes_lent, "Bytes of buffers.", {{"state", "lent"}});
  level(all, "buffer_bytes", now.bytes_kept, "Bytes of buffers.", {{"state", "kept"}});
}

samples samples_of(const service& of) {
  const auto now = of.stats();
  const auto waiting = of.waiting();
  samples all;
  const std::string there = "Members that are there.";
  level(all, "members", now.clients, there, {{"role", "client"}});
  level(all, "members", now.servers, there, {{"role", "server"}});
  level(all, "arriving", now.arriving, "Servers that have not logged in yet.");
  level(all, "virtual_connections", now.connections, "Virtual connections that are open.");
  level(all, "waiting_packets", waiting.first, "Packets that wait to be sent.");
  level(all, "waiting_bytes", waiting.second, "Bytes that wait to be sent.");
  const std::string ever = "Members that ever came.";
  count(all, "accepted", now.clients_accepted, ever, {{"role", "client"}});
  count(all, "accepted", now.servers_accepted, ever, {{"role", "server"}});
  count(all, "turned_away", now.turned_away, "Connections closed as they came, above a limit.");
  const std::string ended = "Members closed by the gateway.";
  count(all, "closed", now.wrong_proofs, ended, {{"reason", "wrong_proof"}});
  count(all, "closed", now.breaches, ended, {{"reason", "breach"}});
  count(all, "closed", now.idle, ended, {{"reason", "idle"}});
  count(all, "closed", now.slow, ended, {{"reason", "slow"}});
  const std::string refused = "Dials that were refused.";
  count(all, "refused", now.dials.refused_unknown, refused, {{"reason", "unknown"}});
  count(all, "refused", now.dials.refused_limit, refused, {{"reason", "limit"}});
  count(all, "refused", now.dials.refused_stopping, refused, {{"reason", "stopping"}});
  count(all, "dialled", now.dials.dialled, "Virtual connections that were made.");
  const labels by_clients{{"direction", "from_clients"}}, by_servers{{"direction", "from_servers"}};
  count(all, "packets", now.forwarded - now.forwarded_from_servers, "Packets handed on.", by_clients);
  count(all, "packets", now.forwarded_from_servers, "Packets handed on.", by_servers);
  count(all, "bytes", now.forwarded_bytes - now.forwarded_bytes_from_servers, "Bytes of packets handed on.",
        by_clients);
  count(all, "bytes", now.forwarded_bytes_from_servers, "Bytes of packets handed on.", by_servers);
  count(all, "unknown_packets", now.dials.unknown_packets, "Packets for virtual connections that are gone.");
  count(all, "batches", now.batches, "What was sent to a member together: all that came for it at once.");
  count(all, "writes", now.writes, "Writes that sent batches, one for each where there was room.");
  count(all, "held_back", now.held_back, "Times that a client had to wait for a server.");
  count(all, "resumable_streams", now.resumable.made, "Resumable streams that were made.");
  count(all, "resumable_broken", now.resumable.broken, "Connections of resumable streams that were lost.");
  count(all, "resumable_resumed", now.resumable.resumed, "Resumable streams that went on.");
  count(all, "resumable_refused", now.resumable.refused, "Handshakes of resumable streams that failed.");
  count(all, "resumable_given_up", now.resumable.given_up, "Resumable streams that nobody came again for.");
  level(all, "history_bytes", now.resumable.histories.taken,
        "Bytes that histories of resumable streams have grown by.");
  count(all, "history_refused", now.resumable.histories.refused,
        "Writes for which a history could not grow: its limit with others, or no memory.");
  return all;
}

std::string quoted(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string made = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      made += '\\';
      made += c;
    } else if (code < 0x20 || code >= 0x7f) {
      made += "\\u00";
      made += digits[code >> 4];
      made += digits[code & 15];
    } else {
      made += c;
    }
  }
  return made + '"';
}

std::string milliseconds(duration of) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(of).count());
}

std::string connections_of(const service& of) {
  const auto stats = of.stats();
  std::string made = "{\"clients\":" + std::to_string(stats.clients) + ",\"servers\":" + std::to_string(stats.servers) +
                     ",\"virtual_connections\":" + std::to_string(stats.connections) + ",\"members\":[";
  const char* before = "\n";
  for (const auto& one : of.members(k_most_shown)) {
    made += before;
    made += std::string("{\"role\":\"") + (one.role == session::gateway_role::client ? "client" : "server") +
            "\",\"id\":" + std::to_string(one.id) + ",\"address\":" + quoted(one.address) +
            ",\"virtual_connections\":" + std::to_string(one.connections) +
            ",\"waiting_packets\":" + std::to_string(one.waiting_packets) +
            ",\"waiting_bytes\":" + std::to_string(one.waiting_bytes) +
            ",\"silent_milliseconds\":" + milliseconds(one.silent) +
            ",\"blocked_milliseconds\":" + milliseconds(one.blocked) +
            ",\"held_milliseconds\":" + milliseconds(one.held) +
            ",\"between_connections\":" + (one.is_without_one ? "true" : "false") + '}';
    before = ",\n";
  }
  return made + "]}\n";
}

std::string metrics_of(const service& of) {
  auto all = of.metrics();
  for (auto& one : samples_of(of)) all.push_back(std::move(one));
  add_pool(all, of.buffers());
  std::stable_sort(all.begin(), all.end(), [](const metric_sample& a, const metric_sample& b) {
    return std::tie(a.id.name, a.id.labels) < std::tie(b.id.name, b.id.labels);
  });
  return prometheus_text(all) + latency_text(of.forward_latency());
}

}  // namespace

std::string latency_text(const std::vector<latency_buckets>& by_thread) {
  const std::string name = "ferry_gateway_forward_nanoseconds";
  auto made = "# HELP " + name + " Time from the first packet of a turn until all that came in it was sent.\n# TYPE " +
              name + " histogram\n";
  for (std::size_t thread = 0; thread < by_thread.size(); ++thread) {
    const auto& one = by_thread[thread];
    const auto label = by_thread.size() == 1 ? std::string() : "thread=\"" + std::to_string(thread) + '"';
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i < one.counts().size(); ++i) {
      so_far += one.counts()[i];
      const auto top = i < latency_buckets::k_tops.size() ? std::to_string(latency_buckets::k_tops[i]) : "+Inf";
      made += name + "_bucket{" + label + (label.empty() ? "" : ",") + "le=\"" + top + "\"} " + std::to_string(so_far) +
              '\n';
    }
    const auto labels = label.empty() ? "" : "{" + label + "}";
    made += name + "_sum" + labels + " " + std::to_string(one.sum()) + "\n" + name + "_count" + labels + " " +
            std::to_string(so_far) + "\n";
  }
  return made;
}

net::http_page page_of(std::string_view path, const service& of) {
  if (path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_of(of)};
  if (path == "/connections") return {200, "application/json", connections_of(of)};
  if (path == "/healthz") return {of.is_stopping() ? 503 : 200, {}, of.is_stopping() ? "stopping\n" : "ok\n"};
  return {404, {}, "there are /metrics, /healthz and /connections\n"};
}

}  // namespace ferry::gateway
