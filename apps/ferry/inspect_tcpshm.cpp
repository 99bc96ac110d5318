#include "apps/ferry/inspect_tcpshm.hpp"

#include <ferry/session_files.hpp>

#include <boost/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/figures.hpp"
#include "apps/ferry/inspect_report.hpp"
#include "apps/ferry/session_report.hpp"
#include "apps/ferry/tally.hpp"
#include "bench/table.hpp"
#include "os/bus_guard.hpp"
#include "os/mapping.hpp"
#include "os/owner_lock.hpp"
#include "os/tcpshm_list.hpp"
#include "ring/tcpshm_ring.hpp"

namespace ferry::app {
namespace {

using bench::alignment;
using bench::text_table;

constexpr std::uint64_t k_most_shown = os::tcpshm::k_most_shown;

std::string rest_text(std::uint64_t all) {
  return all > k_most_shown ? "and " + std::to_string(all - k_most_shown) + " more\n" : "";
}

memory_search who_maps(const std::string& path) {
  const auto fd = os::open_file(path, false);
  return fd ? find_file(fd->get(), path) : memory_search{};
}

// A queue -----------------------------------------------------------------------------------------

std::string messages_text(const os::tcpshm::queue_summary& seen) {
  if (seen.oldest.empty()) return "";
  text_table table({"message", "type", "bytes", "acknowledges"},
                   {alignment::right, alignment::right, alignment::right, alignment::right});
  for (const auto& one : seen.oldest)
    table.add({std::to_string(one.number), std::to_string(one.header.type),
               std::to_string(one.header.size - codec::tcpshm::k_header_bytes), std::to_string(one.header.ack)});
  const std::string order = seen.order == std::endian::big ? "messages are big endian\n" : "";
  return order + table.text() + rest_text(seen.range.end - seen.range.start);
}

boost::json::array messages_json(const os::tcpshm::queue_summary& seen) {
  boost::json::array all;
  for (const auto& one : seen.oldest)
    all.push_back(boost::json::object{{"number", one.number},
                                      {"type", one.header.type},
                                      {"bytes", one.header.size - codec::tcpshm::k_header_bytes},
                                      {"acknowledges", one.header.ack}});
  return all;
}

int show_queue(const std::string& path, const std::string& dir, const os::session_names& names, bool json) {
  const auto seen = os::tcpshm::look_at_queue(dir, names);
  if (!seen) return complain(seen.error());
  const auto report = show_session({dir, names.own, names.peer, session_format::tcpshm});
  const auto mapped = who_maps(path);
  const boost::json::object object{
      {"name", path},
      {"session", to_json(report)},
      {"big_endian", seen->order == std::endian::big},
      {"mapped_by", mapped_json(mapped)},
      {"messages", messages_json(*seen)},
  };
  const int printed =
      print(json ? boost::json::serialize(object) + "\n"
                 : show_text(report) + "mapped by " + mapped_text(mapped) + "\n" + messages_text(*seen));
  return report.damage.empty() ? printed : k_failed;
}

// Shared memory -----------------------------------------------------------------------------------

struct ring_seen {
  std::uint64_t ring_bytes = 0;
  std::uint32_t written = 0, read = 0;  // blocks
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;                                      // of their bodies
  std::vector<std::pair<std::uint16_t, std::uint32_t>> oldest;  // type, and bytes of the body
  std::optional<error> damage;
};

// Both sides may be at work: what was walked over counts if the reader has not come nearer meanwhile.
void walk(ring_seen& into, const ring::tcpshm_ring_memory& ring) {
  constexpr int k_attempts = 8;
  for (int attempt = 0; attempt < k_attempts; ++attempt) {
    const auto ring_bytes = into.ring_bytes;
    into = {};
    into.ring_bytes = ring_bytes;
    into.read = ring.read_index().load(std::memory_order_acquire);
    into.written = ring.write_index().load(std::memory_order_acquire);
    if (into.written - into.read > ring.blocks())
      into.damage =
          error(errc::corrupt, "a ring of " + std::to_string(ring.blocks()) + " blocks cannot have write_idx " +
                                   std::to_string(into.written) + " and read_idx " + std::to_string(into.read));
    for (std::uint32_t at = into.read; !into.damage && at != into.written;) {
      const auto record = ring::tcpshm_record_at(ring, at, into.written);
      if (!record) {
        into.damage =
            error(errc::corrupt, "what lies in block " + std::to_string(at & (ring.blocks() - 1)) + " is no message");
        break;
      }
      at = record->next_index;
      if (!*record) continue;
      const std::uint32_t body = record->size - static_cast<std::uint32_t>(codec::tcpshm::k_header_bytes);
      if (into.oldest.size() < k_most_shown) into.oldest.emplace_back(record->type, body);
      into.messages += 1;
      into.bytes += body;
    }
    if (ring.read_index().load(std::memory_order_acquire) == into.read) return;
  }
  into.damage = error(errc::busy, "it was read at each of 8 attempts to count what lies in it");
}

result<ring_seen> look_at_ring(int fd, const std::string& path) {
  const auto size = os::file_size(fd, path);
  if (!size) return size.error();
  constexpr std::size_t k_behind = 256;
  const std::size_t ring_bytes = *size < k_behind ? 0 : *size - k_behind;
  if (!std::has_single_bit(ring_bytes) || ring_bytes < 128 || ring_bytes > (1u << 30))
    return error(errc::corrupt, path + " has " + std::to_string(*size) +
                                    " bytes; a ring of tcpshm has a power of two, 128 .. 2^30, and 256 more");
  const auto map = os::mapping::private_copy(fd, *size);
  if (!map) return map.error();
  const os::bus_guard guard(map->span());
  ring_seen seen;
  seen.ring_bytes = ring_bytes;
  walk(seen, ring::tcpshm_ring_memory(map->span(), ring_bytes));
  if (guard.torn()) return error(errc::truncated, path + " was cut off");
  return seen;
}

std::string ring_text(const ring_seen& seen, const std::string& mapped, bool writer, bool reader) {
  text_table table({"", ""}, {alignment::left, alignment::left});
  const auto held = [](bool lives) { return std::string(lives ? "a process of ferry's has it" : "not known"); };
  table.add({"memory", size_text(seen.ring_bytes) + ", in blocks of 64 bytes"});
  table.add({"producer", held(writer)});
  table.add({"consumer", held(reader)});
  table.add({"mapped by", mapped});
  table.add({"written", "block " + std::to_string(seen.written)});
  table.add({"read", "block " + std::to_string(seen.read)});
  if (seen.damage)
    table.add({"damaged", seen.damage->text()});
  else
    table.add({"unread", counted(seen.messages, "message") + ", " + counted(seen.bytes, "byte") + " in their bodies"});
  if (seen.damage || seen.oldest.empty()) return table.text();
  text_table messages({"type", "bytes"}, {alignment::right, alignment::right});
  for (const auto& [type, bytes] : seen.oldest) messages.add({std::to_string(type), std::to_string(bytes)});
  return table.text() + messages.text() + rest_text(seen.messages);
}

boost::json::object ring_json(const ring_seen& seen) {
  boost::json::object object{
      {"ring_bytes", seen.ring_bytes}, {"written_blocks", seen.written}, {"read_blocks", seen.read}};
  object["damage"] = seen.damage ? boost::json::value(seen.damage->text()) : boost::json::value(nullptr);
  if (seen.damage) return object;
  object["unread_messages"] = seen.messages;
  object["unread_bytes"] = seen.bytes;
  boost::json::array all;
  for (const auto& [type, bytes] : seen.oldest) all.push_back(boost::json::object{{"type", type}, {"bytes", bytes}});
  object["messages"] = std::move(all);
  return object;
}

int show_ring(const std::string& path, const os::session_names& names, bool json) {
  const auto fd = os::open_file(path, false);
  if (!fd) return complain(fd.error());
  const auto seen = look_at_ring(fd->get(), path);
  if (!seen) return complain(seen.error());
  const auto mapped = find_file(fd->get(), path);
  const bool writer = os::owner_lock::held(fd->get(), os::k_writer_byte);
  const bool reader = os::owner_lock::held(fd->get(), os::k_reader_byte);
  auto object = ring_json(*seen);
  object["name"] = path;
  object["from"] = names.own;
  object["to"] = names.peer;
  object["producer_holds_it"] = writer;
  object["consumer_holds_it"] = reader;
  object["mapped_by"] = mapped_json(mapped);
  const int printed = print(json ? boost::json::serialize(object) + "\n"
                                 : names.own + " to " + names.peer + " (tcpshm)\n" +
                                       ring_text(*seen, mapped_text(mapped), writer, reader));
  return seen->damage ? k_failed : printed;
}

}  // namespace

std::optional<int> inspect_tcpshm(const std::string& path, bool json) {
  const auto slash = path.rfind('/');
  const std::string dir = slash == 0 ? "/" : path.substr(0, slash);
  const std::string file = path.substr(slash + 1);
  if (const auto names = os::tcpshm::names_of_queue(dir, file)) return show_queue(path, dir, *names, json);
  constexpr std::string_view k_ring = ".shm";
  if (!std::string_view(file).ends_with(k_ring)) return std::nullopt;
  // The two names are divided as those of a queue.
  const auto names = os::tcpshm::names_of_queue(dir, file.substr(0, file.size() - k_ring.size()) + ".ptcp");
  if (!names) return std::nullopt;
  return show_ring(path, *names, json);
}

}  // namespace ferry::app
