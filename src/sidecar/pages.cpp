#include "sidecar/pages.hpp"

#include <ferry/metrics.hpp>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace ferry::sidecar {
namespace {

using samples = std::vector<metric_sample>;
using labels = std::vector<std::pair<std::string, std::string>>;

void count(samples& all, std::string name, std::uint64_t value, std::string help, labels of = {}) {
  metric_sample one;
  one.id = {"ferry_sidecar_" + std::move(name) + "_total", std::move(of), std::move(help)};
  one.count = value;
  all.push_back(std::move(one));
}
void level(samples& all, std::string name, std::uint64_t value, std::string help, labels of = {}) {
  metric_sample one;
  one.id = {"ferry_sidecar_" + std::move(name), std::move(of), std::move(help)};
  one.kind = metric_kind::gauge;
  one.level = static_cast<std::int64_t>(value);
  all.push_back(std::move(one));
}

void add_pipe(samples& all, const pipe_view& of) {
  const labels where{{"entity", std::to_string(of.entity)}, {"pipe", std::to_string(of.pipe)}};
  const auto to = [&](const char* name, const char* value) {
    auto made = where;
    made.emplace_back(name, value);
    return made;
  };
  level(all, "registered", of.where == pipe::state::read ? 1 : 0, "Whether an instance is there.", where);
  level(all, "damaged", of.where == pipe::state::damaged ? 1 : 0, "Whether the files of a pipe cannot be used.", where);
  level(all, "main", of.is_main ? 1 : 0, "Whether it gets what is for its entity.", where);
  const std::string messages = "Messages that an instance wrote (from) and got (to).";
  count(all, "messages", of.counts.received, messages, to("direction", "from"));
  count(all, "messages", of.counts.delivered, messages, to("direction", "to"));
  const std::string bytes = "Bytes of messages that an instance wrote (from) and got (to).";
  count(all, "bytes", of.counts.received_bytes, bytes, to("direction", "from"));
  count(all, "bytes", of.counts.delivered_bytes, bytes, to("direction", "to"));
  count(all, "held", of.counts.held, "Times that a message had to wait for room, or for its receiver.", where);
  count(all, "full", of.counts.full, "Messages dropped, as the ring of their receiver was full.", where);
  count(all, "malformed", of.counts.malformed, "Messages dropped, as they cannot be.", where);
  count(all, "expired", of.from.expired, "Messages dropped, as they were too old.", where);
  count(all, "delay_milliseconds", of.from.delay_sum_ms, "From written to read here, together.", where);
  level(all, "delay_max_milliseconds", of.from.delay_max_ms, "From written to read here, the longest.", where);
  const std::string unread = "Bytes in a ring that were not read.";
  level(all, "ring_unread_bytes", of.unread_from, unread, to("direction", "from"));
  level(all, "ring_unread_bytes", of.unread_to, unread, to("direction", "to"));
  const std::string size = "Bytes of a ring.";
  level(all, "ring_bytes", of.size_from, size, to("direction", "from"));
  level(all, "ring_bytes", of.size_to, size, to("direction", "to"));
}

samples samples_of(const daemon& of) {
  const auto now = of.stats();
  samples all;
  level(all, "entities", of.entities(), "Entities that are there.");
  level(all, "entities_missing", now.missing,
        "Entities in the configuration that could not be made, and are tried again.");
  count(all, "registrations", now.control.registered, "Registrations that were taken.");
  count(all, "registrations_refused", now.control.refused, "Registrations that were refused.");
  const std::string ended = "Instances and control connections that ended.";
  count(all, "ended", now.control.unregistered, ended, {{"why", "unregistered"}});
  count(all, "ended", now.control.lost, ended, {{"why", "lost"}});
  count(all, "ended", now.control.timed_out, ended, {{"why", "silent"}});
  count(all, "ended", now.control.breaches, ended, {{"why", "breach"}});
  count(all, "turned_away", now.turned_away, "Connections of users that may not, or above a limit.");
  count(all, "switches", now.control.switches, "Times that the pipe of an entity was changed.");
  count(all, "forwarded", now.data.forwarded, "Messages that were handed on, each copy counted.");
  count(all, "shared_bodies", now.data.shared, "Bodies for several of a service that were written once.");
  count(all, "shared_copies", now.data.references, "Messages handed on that refer to one of these.");
  const std::string returned = "Undeliverable messages for their senders.";
  count(all, "returned", now.data.returned, returned, {{"outcome", "returned"}});
  count(all, "returned", now.data.not_returned, returned, {{"outcome", "no room"}});
  for (std::size_t i = 0; i < now.data.undeliverable.size(); ++i)
    count(all, "undeliverable", now.data.undeliverable[i], "Messages that reach nobody.",
          {{"why", to_string(static_cast<session::unroutable>(i))}});
  for (const auto& one : of.pipes()) add_pipe(all, one);
  std::stable_sort(all.begin(), all.end(), [](const metric_sample& a, const metric_sample& b) {
    return std::tie(a.id.name, a.id.labels) < std::tie(b.id.name, b.id.labels);
  });
  return all;
}

std::string field(const char* name, std::uint64_t value) {
  return std::string(",\"") + name + "\":" + std::to_string(value);
}

std::string instance_of(const pipe_view& one) {
  const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(one.silent).count();
  return ",\"main\":" + std::string(one.is_main ? "true" : "false") + ",\"health\":\"" + one.health + "\"" +
         field("zone", one.zone) + field("set_version", one.set_version) + field("weight", one.weight) +
         ",\"process\":" + std::to_string(one.process) + ",\"version\":" + std::to_string(one.version) +
         ",\"silent_milliseconds\":" + std::to_string(silent);
}

std::string services_of(const daemon& of) {
  std::string made = "{\"pipes\":[";
  const char* before = "\n";
  for (const auto& one : of.pipes()) {
    made += before;
    made += "{\"service\":" + std::to_string(one.service) + field("entity", one.entity) + field("pipe", one.pipe) +
            ",\"state\":\"" + to_string(one.where) + "\",\"locked\":" + (one.is_held ? "true" : "false");
    if (!one.health.empty()) made += instance_of(one);
    made += field("unread_to", one.unread_to) + field("unread_from", one.unread_from) +
            field("received", one.counts.received) + field("delivered", one.counts.delivered) + "}";
    before = ",\n";
  }
  return made + "]}\n";
}

}  // namespace

net::http_page page_of(std::string_view path, const daemon& of) {
  if (path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", prometheus_text(samples_of(of))};
  if (path == "/services") return {200, "application/json", services_of(of)};
  if (path == "/healthz") return {of.is_stopping() ? 503 : 200, {}, of.is_stopping() ? "stopping\n" : "ok\n"};
  return {404, {}, "there are /metrics, /healthz and /services\n"};
}

}  // namespace ferry::sidecar
