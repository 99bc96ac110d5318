#include "apps/ferry/session_report.hpp"

#include <boost/json.hpp>
#include <string_view>

#include "apps/ferry/figures.hpp"
#include "apps/ferry/tally.hpp"
#include "bench/table.hpp"

namespace ferry::app {
namespace {

using bench::alignment;
using bench::text_table;

std::uint64_t nanoseconds(std::chrono::system_clock::time_point when) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count());
}

std::uint64_t waiting(const session_report& one) { return one.counts.sent - one.counts.acknowledged; }

std::string_view state_word(const session_report& one) {
  if (!one.damage.empty()) return "damaged";
  if (one.in_use) return "in use";
  return one.mismatch ? "does not fit" : "free";
}

std::string side_text(const session_counts& side) {
  return "wants " + std::to_string(side.consumed) + ", has " + std::to_string(side.acknowledged) + " .. " +
         std::to_string(side.sent);
}

std::string mismatch_text(const session_mismatch& found) {
  return "at " + utc(nanoseconds(found.noted_at)) + " this side: " + side_text(found.local) +
         "; the other one: " + side_text(found.remote);
}

boost::json::object json_of(const session_counts& counts) {
  return {{"consumed", counts.consumed}, {"acknowledged", counts.acknowledged}, {"sent", counts.sent}};
}

// "2 messages are", "1 message of the other side is"
std::string are(std::uint64_t n, const std::string& thing, const std::string& of = "") {
  return counted(n, thing) + of + (n == 1 ? " is" : " are");
}

void add_numbers(text_table& table, const session_report& one) {
  table.add({"state", one.in_use ? "in use by a process" : "no process has it"});
  table.add({"consumed", "everything before message " + std::to_string(one.counts.consumed)});
  table.add({"sent", "everything before message " + std::to_string(one.counts.sent) + "; acknowledged before " +
                         std::to_string(one.counts.acknowledged)});
  table.add({"waiting", counted(waiting(one), "message") + ", " + std::to_string(one.unacknowledged_bytes) +
                            " bytes of " + size_text(one.ring_bytes)});
  if (one.key.format == session_format::ferry)
    table.add({"kept", counted(one.state_bytes, "byte") + " of the application's state"});
  if (one.mismatch) table.add({"mismatch", mismatch_text(*one.mismatch)});
  if (!one.damage.empty()) table.add({"damaged", one.damage});
}

}  // namespace

std::string name_of(const session_report& one) {
  const bool foreign = one.key.format == session_format::tcpshm;
  return one.key.as + " with " + (one.peer.empty() ? "whomever it meets" : one.peer) + (foreign ? " (tcpshm)" : "");
}

std::string_view kind_of(const session_key& key) {
  switch (key.format) {
    case session_format::ferry: return "ferry";
    case session_format::tcpshm: return "tcpshm";
  }
  return "";
}

std::string main_file(const session_key& key) {
  const std::string dir = key.dir + "/" + key.as;
  return key.format == session_format::tcpshm ? dir + "_" + key.peer + ".ptcp" : dir + "~" + key.peer + ".ring";
}

std::string list_text(const std::vector<session_report>& all) {
  constexpr auto k_left = alignment::left, k_right = alignment::right;
  text_table table({"as", "peer", "kind", "consumed", "acknowledged", "sent", "waiting", "bytes", "ring", "state"},
                   {k_left, k_left, k_left, k_right, k_right, k_right, k_right, k_right, k_right, k_left});
  std::string reasons;
  for (const auto& one : all) {
    table.add({one.key.as, one.peer.empty() ? "-" : one.peer, std::string(kind_of(one.key)),
               std::to_string(one.counts.consumed), std::to_string(one.counts.acknowledged),
               std::to_string(one.counts.sent), std::to_string(waiting(one)), std::to_string(one.unacknowledged_bytes),
               size_text(one.ring_bytes), std::string(state_word(one))});
    if (!one.damage.empty()) reasons += name_of(one) + ": " + one.damage + "\n";
    if (one.mismatch) reasons += name_of(one) + " does not fit: " + mismatch_text(*one.mismatch) + "\n";
  }
  return table.text() + reasons;
}

std::string show_text(const session_report& one) {
  text_table table({"", ""}, {alignment::left, alignment::left});
  if (one.key.format == session_format::tcpshm) {
    table.add({"file", main_file(one.key) + ": " + size_text(one.file_bytes)});
    add_numbers(table, one);
    return name_of(one) + "\n" + table.text();
  }
  table.add({"session", hex(one.session) + ", login " + std::to_string(one.epoch) + ", transaction " +
                            std::to_string(one.transaction)});
  table.add({"created", utc(nanoseconds(one.created_at))});
  table.add({"files",
             one.key.dir + "/" + one.key.as + "~" + one.key.peer + ".session and .ring: " + size_text(one.file_bytes)});
  add_numbers(table, one);
  return name_of(one) + "\n" + table.text();
}

boost::json::object to_json(const session_report& one) {
  boost::json::object object{{"kind", kind_of(one.key)},
                             {"as", one.key.as},
                             {"expected_peer", one.key.peer},
                             {"peer", one.peer},
                             {"dir", one.key.dir},
                             {"in_use", one.in_use},
                             {"session", hex(one.session)},
                             {"epoch", one.epoch},
                             {"transaction", one.transaction},
                             {"created_at", nanoseconds(one.created_at)}};
  for (const auto& [name, value] : json_of(one.counts)) object[name] = value;
  object["waiting"] = waiting(one);
  object["unacknowledged_bytes"] = one.unacknowledged_bytes;
  object["ring_bytes"] = one.ring_bytes;
  object["file_bytes"] = one.file_bytes;
  object["state_bytes"] = one.state_bytes;
  object["damage"] = one.damage.empty() ? boost::json::value(nullptr) : boost::json::value(one.damage);
  object["mismatch"] = nullptr;
  if (one.mismatch)
    object["mismatch"] = boost::json::object{{"noted_at", nanoseconds(one.mismatch->noted_at)},
                                             {"session", hex(one.mismatch->session)},
                                             {"local", json_of(one.mismatch->local)},
                                             {"remote", json_of(one.mismatch->remote)}};
  return object;
}

std::string costs_text(const mending_report& costs) {
  std::string text;
  const auto add = [&](const std::string& cost) { text += (text.empty() ? "" : ", ") + cost; };
  if (costs.damaged) add("the files are damaged, and removed with whatever they hold");
  if (costs.discarded != 0) add(are(costs.discarded, "unacknowledged message") + " discarded");
  if (costs.lost_state_bytes != 0) add(are(costs.lost_state_bytes, "byte", " of state") + " discarded");
  if (costs.skipped != 0) add(are(costs.skipped, "message", " of the other side") + " skipped");
  if (costs.repeated != 0) add(counted(costs.repeated, "message") + " of the other side may come again");
  return text.empty() ? "nothing is lost" : text;
}

}  // namespace ferry::app
