#include "apps/ferry/inspect_report.hpp"

#include <boost/json.hpp>

#include "apps/ferry/figures.hpp"
#include "apps/ferry/tally.hpp"
#include "bench/table.hpp"

namespace ferry::app {
namespace {

using bench::alignment;
using bench::text_table;

std::string state_word(char state) {
  switch (state) {
    case 'R':
    case 'S':
    case 'D':
    case 'I': return "running";
    case 'T':
    case 't': return "stopped";
    case 'Z':
    case 'X': return "dead";
    default: return std::string("in state ") + state;
  }
}

std::string consumer_word(std::uint32_t sleeps) {
  switch (sleeps) {
    case 0: return "awake";
    case 1: return "asleep on a futex";
    case 2: return "asleep in an event loop";
    default: return "its bell is damaged (" + std::to_string(sleeps) + ")";
  }
}

std::string producer_word(std::uint32_t sleeps) {
  switch (sleeps) {
    case 0: return "not waiting for room";
    case 1: return "waiting for room on a futex";
    case 2: return "waiting for room in an event loop";
    default: return "its bell is damaged (" + std::to_string(sleeps) + ")";
  }
}

// "4711 ferry (running), 4712 ferry (stopped)"
std::string who(const mapped_memory& memory, bool produces) {
  std::string text;
  for (const auto& one : memory.views) {
    if (one.produces != produces) continue;
    text +=
        (text.empty() ? "" : ", ") + std::to_string(one.pid) + " " + one.program + " (" + state_word(one.state) + ")";
  }
  return text;
}

// What cannot be counted is not shown as a number.
std::string unread_or(const ring_report& ring, std::uint64_t ring_contents::*what) {
  if (ring.unread) return std::to_string((*ring.unread).*what);
  return ring.busy ? "busy" : "damaged";
}

std::string rings_text(const memory_report& report) {
  text_table table({"ring", "written", "read", "unread", "bytes", "ended", "waits for"},
                   {alignment::right, alignment::right, alignment::right, alignment::right, alignment::right,
                    alignment::left, alignment::right});
  for (std::size_t i = 0; i < report.rings.size(); ++i) {
    const auto& ring = report.rings[i];
    table.add({std::to_string(i), unread_or(ring, &ring_contents::tail), std::to_string(ring.position),
               unread_or(ring, &ring_contents::records), unread_or(ring, &ring_contents::body_bytes),
               ring.unread ? (ring.unread->ended ? "yes" : "no") : "?",
               ring.wake_at == 0 ? "-" : std::to_string(ring.wake_at)});
  }
  return table.text();
}

void add_report(text_table& table, const memory_report& report, const mapped_memory& memory) {
  const auto& header = report.header;
  const auto& sizes = report.sizes;
  table.add({"name", header.name});
  table.add({"header", "version " + std::to_string(report.version) + ", epoch " + hex(header.epoch) + ", created " +
                           utc(header.created_at) + " by process " + std::to_string(header.pid) + " of user " +
                           std::to_string(header.uid)});
  table.add({"memory", size_text(memory.size) + ": " + counted(sizes.rings, "ring") + " of " +
                           size_text(sizes.ring_bytes) + ", pages of " + size_text(sizes.page_bytes) + ", inode " +
                           std::to_string(memory.inode)});
}

std::optional<bool> producer_lives(const direction& one) {
  if (one.memory.has_producer() || one.writer_lives) return one.memory.has_producer() || *one.writer_lives;
  return one.hidden == 0 ? std::optional(false) : std::nullopt;
}

// Somebody whom nobody seems to be: a process that we may not look at may have it mapped.
std::string unseen(const direction& one, const std::optional<bool>& lives, const std::string& what_for) {
  if (lives && *lives) return "alive: it holds the lock of the file, and may not be looked at";
  if (lives || one.hidden == 0) return "gone: no process has it mapped for " + what_for;
  return "unknown: none that we may look at, and " + std::to_string(one.hidden) + " we may not";
}

std::string text_of(const direction& one) {
  text_table table({"", ""}, {alignment::left, alignment::left});
  if (one.report) add_report(table, *one.report, one.memory);
  std::string producers = who(one.memory, true);
  std::string consumers = who(one.memory, false);
  if (producers.empty())
    producers = unseen(one, one.writer_lives, "writing");
  else if (one.report)
    producers += ", " + producer_word(one.report->producer_sleeps);
  if (consumers.empty())
    consumers = unseen(one, one.reader_lives, "reading");
  else if (one.report)
    consumers += ", " + consumer_word(one.report->consumer_sleeps);
  table.add({"producer", producers});
  table.add({"consumer", consumers});
  if (!one.report) return table.text() + "cannot be read: " + one.report.error().text() + "\n";
  return table.text() + rings_text(*one.report);
}

boost::json::object json_of(const ring_report& ring) {
  boost::json::object object{{"position", ring.position}, {"sequence", ring.sequence}, {"wake_at", ring.wake_at}};
  object["state"] = ring.unread ? (ring.unread->ended ? "ended" : "open") : ring.busy ? "busy" : "damaged";
  if (!ring.unread) return object;
  object["tail"] = ring.unread->tail;
  object["unread_records"] = ring.unread->records;
  object["unread_bytes"] = ring.unread->body_bytes;
  return object;
}

boost::json::object json_of(const direction& one) {
  boost::json::object object{{"inode", one.memory.inode}, {"size", one.memory.size}};
  const auto lives = producer_lives(one);
  object["producer_alive"] = lives ? boost::json::value(*lives) : boost::json::value(nullptr);
  boost::json::array views;
  for (const auto& view : one.memory.views)
    views.push_back(boost::json::object{{"pid", view.pid},
                                        {"program", view.program},
                                        {"state", state_word(view.state)},
                                        {"role", view.produces ? "producer" : "consumer"}});
  object["mapped_by"] = std::move(views);
  if (!one.report) {
    object["error"] = one.report.error().text();
    return object;
  }
  const auto& report = *one.report;
  object["name"] = report.header.name;
  object["version"] = report.version;
  object["epoch"] = hex(report.header.epoch);
  object["created_at"] = report.header.created_at;
  object["producer_pid"] = report.header.pid;
  object["producer_uid"] = report.header.uid;
  object["ring_bytes"] = report.sizes.ring_bytes;
  object["page_bytes"] = report.sizes.page_bytes;
  object["producer"] = producer_word(report.producer_sleeps);
  object["consumer"] = consumer_word(report.consumer_sleeps);
  boost::json::array rings;
  for (const auto& ring : report.rings) rings.push_back(json_of(ring));
  object["rings"] = std::move(rings);
  return object;
}

}  // namespace

std::string mapped_text(const memory_search& by) {
  std::string text;
  for (const auto& memory : by.found)
    for (const auto& view : memory.views)
      text += (text.empty() ? "" : ", ") + std::to_string(view.pid) + " " + view.program;
  if (text.empty()) text = "nobody";
  if (!by.hidden.empty()) text += "; " + counted(by.hidden.size(), "process") + " may not be looked at";
  return text;
}

boost::json::array mapped_json(const memory_search& by) {
  boost::json::array all;
  for (const auto& memory : by.found)
    for (const auto& view : memory.views)
      all.push_back(boost::json::object{{"pid", view.pid}, {"program", view.program}});
  return all;
}

std::string to_text(const std::string& name, const std::vector<direction>& all) {
  std::string text;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i != 0) text += "\n";
    text +=
        name + ", direction " + std::to_string(i + 1) + " of " + std::to_string(all.size()) + "\n" + text_of(all[i]);
  }
  return text;
}

boost::json::object to_json(const std::string& name, const std::vector<direction>& all) {
  boost::json::array directions;
  for (const auto& one : all) directions.push_back(json_of(one));
  return {{"name", name}, {"directions", std::move(directions)}};
}

std::string messages_text(const memory_report& of_session) {
  const auto& ring = of_session.rings.front();
  if (ring.oldest.empty()) return "";
  text_table table({"message", "kind", "type", "bytes"},
                   {alignment::right, alignment::left, alignment::right, alignment::right});
  for (const auto& one : ring.oldest)
    table.add({std::to_string(one.number), one.text ? "text" : "binary", std::to_string(one.type),
               std::to_string(one.bytes)});
  const std::uint64_t more = ring.unread->records - ring.oldest.size();
  return table.text() + (more != 0 ? "and " + std::to_string(more) + " more\n" : "");
}

boost::json::array messages_json(const memory_report& of_session) {
  boost::json::array all;
  for (const auto& one : of_session.rings.front().oldest)
    all.push_back(boost::json::object{
        {"number", one.number}, {"kind", one.text ? "text" : "binary"}, {"type", one.type}, {"bytes", one.bytes}});
  return all;
}

}  // namespace ferry::app
