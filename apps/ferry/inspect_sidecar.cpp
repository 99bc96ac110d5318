#include "apps/ferry/inspect_sidecar.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/json.hpp>
#include <chrono>
#include <filesystem>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/figures.hpp"
#include "apps/ferry/inspect_report.hpp"
#include "apps/ferry/tally.hpp"
#include "base/endian.hpp"
#include "base/utf8.hpp"
#include "bench/table.hpp"
#include "os/bus_guard.hpp"
#include "os/mapping.hpp"
#include "os/pipe_lock.hpp"
#include "os/private_files.hpp"
#include "ring/shared_bodies.hpp"
#include "ring/sidecar_ring.hpp"
#include "session/pipe_lease.hpp"
#include "sidecar/body_finder.hpp"
#include "sidecar/entity_file.hpp"
#include "sidecar/message_forms.hpp"
#include "sidecar/settings.hpp"

namespace ferry::app {
namespace {

using bench::alignment;
using bench::text_table;

constexpr std::size_t k_most_shown = 16;                  // messages
constexpr int k_attempts = 8;                             // at a ring that is being read
constexpr std::uint64_t k_latest_ms = 9'223'372'036'854;  // that can be shown; since 1970

// The beginning of a file, as much as there is.
template <std::size_t Size>
std::string_view beginning_of(int fd, std::array<char, Size>& into) {
  const auto got = ::pread(fd, into.data(), into.size(), 0);
  return {into.data(), got < 0 ? 0 : static_cast<std::size_t>(got)};
}

// A ring ------------------------------------------------------------------------------------------

struct seen_message {
  std::uint64_t time_ms = 0;
  std::uint64_t bytes = 0;  // of its body
  std::uint32_t from = 0;
  std::string to;
  std::string id;
  std::string trouble;  // why its heads cannot be understood; then only `time_ms` means something
};

struct seen_ring {
  std::uint32_t queue_bytes = 0, head = 0, tail = 0;
  std::uint64_t messages = 0, bytes = 0;  // unread; bytes of the ring
  std::vector<seen_message> oldest;
  std::optional<error> damage;
};

std::string text_of(const service_destination& to) {
  struct {
    std::string operator()(std::monostate) const { return "nobody"; }
    std::string operator()(const to_entity& one) const { return std::to_string(one.entity); }
    std::string operator()(const to_any& one) const { return "any of service " + std::to_string(one.service); }
    std::string operator()(const to_all& one) const { return "all of service " + std::to_string(one.service); }
    std::string operator()(const to_entities& all) const { return counted(all.entities.size(), "receiver"); }
    std::string operator()(const to_other_instance&) const { return "the other instance"; }
  } const text;
  return std::visit(text, to);
}

seen_message look_at_message(sidecar::message_reader& reader, const ring::sidecar_record& record) {
  seen_message seen;
  seen.time_ms = record.time_ms;
  const auto taken =
      reader.take({service_rings::compatible, record.body, record.head_bytes, record.time_ms, record.there});
  const auto route = taken ? reader.route() : taken.error();
  const auto package = route ? reader.package() : route.error();
  if (!package) {
    seen.trouble = package.error().text();
    return seen;
  }
  seen.bytes = reader.body().size();
  seen.from = route->from;
  seen.to = text_of(route->to);
  seen.id = printable(package->message_id.empty() ? route->message_id : package->message_id);
  return seen;
}

// Takes everything out of a copy of the ring, as a reader would.
void walk(seen_ring& into, ring::sidecar_ring_consumer& ring) {
  sidecar::message_reader reader;
  into.bytes = ring.unread_bytes();
  for (;;) {
    const auto record = ring.front(0);
    if (!record) {
      into.damage = record.error();
      return;
    }
    if (!*record) return;
    into.messages += 1;
    if (into.oldest.size() < k_most_shown) into.oldest.push_back(look_at_message(reader, *record));
    ring.pop();
  }
}

result<std::uint32_t> word_at(int fd, ::off_t offset) {
  std::array<std::byte, 4> word{};
  const auto got = ::pread(fd, word.data(), word.size(), offset);
  if (got != static_cast<::ssize_t>(word.size())) return error(errc::truncated, "the file was cut off");
  return load_le<std::uint32_t>(word.data());
}

// What lies behind the reader's position is not overwritten before that moves on: if it has not, all of it was right.
result<seen_ring> look_at_ring(int fd, std::size_t size) {
  if (size < ring::k_sidecar_control_bytes) return error(errc::corrupt, "a ring file of only " + counted(size, "byte"));
  for (int attempt = 0; attempt < k_attempts; ++attempt) {
    const auto copy = os::mapping::private_copy(fd, size);
    if (!copy) return copy.error();
    const os::bus_guard guard(copy->span());
    const auto memory = ring::sidecar_ring_memory::open(copy->span());
    if (!memory) return memory.error();
    seen_ring seen;
    seen.queue_bytes = memory->queue_bytes();
    seen.head = memory->head().load(std::memory_order_relaxed);
    memory->head().store(seen.head, std::memory_order_relaxed);  // both positions stand still from here on
    seen.tail = memory->tail().load(std::memory_order_acquire);  // pairs with: sidecar_ring_producer::publish
    auto in = ring::sidecar_ring_consumer::attach(*memory);
    if (!in) return in.error();
    walk(seen, *in);
    if (guard.torn()) return error(errc::truncated, "the file was cut off");
    const auto head = word_at(fd, 8);
    if (!head) return head.error();
    if (*head == seen.head) return seen;
  }
  return error(errc::busy, "it was read on at each of " + std::to_string(k_attempts) +
                               " attempts to count what lies in it: try again, or look at its reader's figures");
}

std::string ring_text(const std::string& path, const seen_ring& seen, const memory_search& by) {
  text_table table({"", ""}, {alignment::left, alignment::left});
  table.add({"queue", size_text(seen.queue_bytes)});
  table.add({"mapped by", mapped_text(by)});
  table.add({"written up to", std::to_string(seen.tail)});
  table.add({"read up to", std::to_string(seen.head)});
  if (seen.damage) table.add({"damaged", "who reads it will say: " + seen.damage->text()});
  table.add(
      {seen.damage ? "before that" : "unread",
       counted(seen.messages, "message") + (seen.damage ? "" : ", " + counted(seen.bytes, "byte") + " of the queue")});
  std::string text = path + ": a compatible ring of a sidecar\n" + table.text();
  if (seen.oldest.empty()) return text;
  text_table messages({"sent", "from", "to", "message", "bytes"},
                      {alignment::left, alignment::right, alignment::left, alignment::left, alignment::right});
  for (const auto& one : seen.oldest) {
    const auto sent = utc(std::min(one.time_ms, k_latest_ms) * 1'000'000);
    if (one.trouble.empty())
      messages.add({sent, std::to_string(one.from), one.to, one.id, std::to_string(one.bytes)});
    else
      messages.add({sent, "", "cannot be understood", one.trouble, ""});
  }
  text += messages.text();
  if (seen.messages > seen.oldest.size())
    text += "and " + std::to_string(seen.messages - seen.oldest.size()) + " more\n";
  return text;
}

boost::json::object ring_json(const std::string& path, const seen_ring& seen, const memory_search& by) {
  boost::json::array messages;
  for (const auto& one : seen.oldest) {
    boost::json::object message{{"sent_ms", one.time_ms}};
    if (one.trouble.empty()) {
      message["from"] = one.from;
      message["to"] = one.to;
      message["message"] = one.id;
      message["bytes"] = one.bytes;
    } else {
      message["error"] = one.trouble;
    }
    messages.push_back(std::move(message));
  }
  return {{"name", path},
          {"kind", "sidecar_ring"},
          {"queue_bytes", seen.queue_bytes},
          {"tail", seen.tail},
          {"head", seen.head},
          {"mapped_by", mapped_json(by)},
          {"damage", seen.damage ? boost::json::value(seen.damage->text()) : boost::json::value(nullptr)},
          {"unread_messages", seen.messages},
          {"unread_bytes", seen.bytes},
          {"messages", std::move(messages)}};
}

int show_ring(const std::string& path, int fd, std::size_t size, bool json) {
  const auto seen = look_at_ring(fd, size);
  if (!seen && (seen.error() == errc::corrupt || seen.error() == errc::truncated))
    return complain(error(seen.error().reason(),
                          path + ": " + seen.error().text() +
                              "; the sidecar makes it anew when no service holds the lock of its pipe: stop the "
                              "service, then start the sidecar again"));
  if (!seen) return complain(seen.error().in(path));
  const auto by = find_file(fd, path);
  const int printed =
      print(json ? boost::json::serialize(ring_json(path, *seen, by)) + "\n" : ring_text(path, *seen, by));
  return seen->damage ? k_failed : printed;
}

// The lock of a pipe ------------------------------------------------------------------------------

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Only the clocks of one machine are compared.
std::string expiry_text(std::int64_t expiry) {
  const auto left = expiry - unix_seconds();
  const auto seconds = static_cast<std::uint64_t>(expiry);
  const std::string when = utc(std::min(seconds, k_latest_ms / 1000) * 1'000'000'000);
  return when + (left >= 0 ? ", in " + std::to_string(left) + " s" : ", " + std::to_string(-left) + " s ago");
}

int show_lock(const std::string& path, std::string_view content, bool json) {
  const auto lease = session::parse_lease(content);
  const auto holder = os::pipe_lock::holder(path);
  const bool is_wrong = !lease && !content.empty();
  if (json) {
    boost::json::object object{{"name", path}, {"kind", "sidecar_lock"}};
    object["held_by"] = holder != 0 ? boost::json::value(holder) : boost::json::value(nullptr);
    object["version"] = lease ? boost::json::value(lease->version) : boost::json::value(nullptr);
    object["expires"] = lease ? boost::json::value(lease->expiry) : boost::json::value(nullptr);
    object["damage"] = is_wrong ? boost::json::value("the content is no lease") : boost::json::value(nullptr);
    const int printed = print(boost::json::serialize(object) + "\n");
    return is_wrong ? k_failed : printed;
  }
  text_table table({"", ""}, {alignment::left, alignment::left});
  table.add({"lock", holder != 0 ? "held by process " + std::to_string(holder)
                                 : "free, unless a process of another pid namespace holds it"});
  if (lease) {
    table.add({"version", std::to_string(lease->version)});
    table.add({"lease", "ends " + expiry_text(lease->expiry)});
  } else {
    table.add({"lease", is_wrong ? "none: the content is not VERSION EXPIRY, and whoever takes the pipe writes it anew"
                                 : "none was written yet"});
  }
  const int printed = print(path + ": the lock of a pipe of a sidecar\n" + table.text());
  return is_wrong ? k_failed : printed;
}

// Bodies that several get -------------------------------------------------------------------------

int show_bodies(const std::string& path, int fd, std::size_t size, bool json) {
  const auto by = find_file(fd, path);  // before we have it mapped ourselves
  const auto file =
      size == 0 ? result<os::private_file>(error(errc::corrupt, "no bytes")) : os::private_file::of(fd, size, false);
  const auto said = file ? ring::read_bodies_header(file->span()) : file.error();
  if (!said && said.error() == errc::corrupt)
    return complain(error(errc::corrupt, path + ": " + said.error().text() +
                                             "; the sidecar makes it anew when it writes there, or when a service of "
                                             "this directory registers: nothing is to be done"));
  if (!said) return complain(said.error().in(path));
  if (json) {
    const boost::json::object object{{"name", path},
                                     {"kind", "sidecar_bodies"},
                                     {"service", said->service},
                                     {"generation", hex(said->generation)},
                                     {"size", said->parts_bytes},
                                     {"mapped_by", mapped_json(by)}};
    return print(boost::json::serialize(object) + "\n");
  }
  text_table table({"", ""}, {alignment::left, alignment::left});
  table.add({"service", std::to_string(said->service)});
  table.add({"generation", hex(said->generation)});
  table.add({"size", size_text(said->parts_bytes)});
  table.add({"mapped by", mapped_text(by)});
  return print(path + ": bodies that several of a service get from a sidecar\n" + table.text());
}

// ------------------------------------------------------------------------------------------------

int say_what_is_in(const std::string& directory) {
  std::string names;
  std::error_code failed;
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator at(directory, failed), end; !failed && at != end; at.increment(failed))
    if (std::error_code unknown; at->is_regular_file(unknown) && at->path().filename() != sidecar::k_entity_file)
      files.push_back(at->path().filename());
  std::sort(files.begin(), files.end());
  for (const auto& one : files) names += (names.empty() ? "" : ", ") + printable(one);
  return complain(error(errc::bad_address, directory +
                                               " is a directory of an entity of a sidecar: name one of its "
                                               "files" +
                                               (names.empty() ? "" : ": " + names)));
}

bool is_named(const std::string& path, std::initializer_list<std::string_view> names) {
  const std::string_view file = std::string_view(path).substr(path.rfind('/') + 1);
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return file.starts_with(name) && file.substr(name.size()).find_first_not_of("0123456789") == file.npos;
  });
}

}  // namespace

std::optional<int> inspect_sidecar(const std::string& path, bool json) {
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown)) {
    if (!std::filesystem::exists(path + "/" + sidecar::k_entity_file, unknown)) return std::nullopt;
    return say_what_is_in(path);
  }
  const auto file = os::open_file(path, false);
  const auto size = file ? os::file_size(file->get(), path) : file.error();
  if (!size) return std::nullopt;  // whoever comes next says why
  std::array<char, session::k_max_lease_text + 1> first{};
  const auto begins = beginning_of(file->get(), first);
  const sidecar::entity_settings names;
  // By their usual names, or by what is in them.
  if (is_named(path, {names.lock_name}) || session::parse_lease(begins)) return show_lock(path, begins, json);
  const auto begins_with = [&](std::uint64_t magic) {
    return begins.size() >= 8 && load_le<std::uint64_t>(reinterpret_cast<const std::byte*>(begins.data())) == magic;
  };
  if (begins_with(ring::k_bodies_magic) || is_named(path, {sidecar::k_bodies_file}))
    return show_bodies(path, file->get(), *size, json);
  const bool says_ring =
      begins.size() >= 4 &&
      load_le<std::uint32_t>(reinterpret_cast<const std::byte*>(begins.data())) == ring::k_sidecar_control_bytes;
  if (!says_ring && !is_named(path, {names.receive_name, names.send_name})) return std::nullopt;
  return show_ring(path, file->get(), *size, json);
}

}  // namespace ferry::app
