#include "sidecar/parameters.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "session/service_routes.hpp"

namespace ferry::sidecar {
namespace {

using process_row = parameter_row<configuration>;
using entity_row = parameter_row<entity_settings>;

// "15s"; a number alone is that many of `unit`, as the original has it.
bool time_in(std::string_view text, duration unit, duration& into) {
  std::uint64_t count = 0;
  if (!read_whole(option_unit::count, text, 0, static_cast<std::uint64_t>(k_longest_wait / unit), count))
    return read_span_of_time(text, into);
  into = unit * static_cast<std::int64_t>(count);
  return true;
}
template <duration settings::*member>
bool milliseconds(configuration& c, std::string_view text) {
  return time_in(text, std::chrono::milliseconds(1), c.process.*member) && c.process.*member > duration::zero();
}

// The name of a file in the directory.
template <std::string entity_settings::*member>
bool file_name(entity_settings& e, std::string_view text) {
  e.*member = text;
  return !text.empty() && text.size() <= 200 && text != "." && text != ".." &&
         text.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}
template <std::uint32_t entity_settings::*member>
bool number(entity_settings& e, std::string_view text) {
  return read_whole(option_unit::count, text, e.*member, 0);
}
template <std::uint64_t entity_settings::*member>
bool queue(entity_settings& e, std::string_view text) {
  return read_whole(option_unit::size, text, e.*member, k_least_queue_bytes, k_most_queue_bytes);
}
template <std::string configuration::*member>
bool any_text(configuration& c, std::string_view text) {
  c.*member = text;
  return true;
}
template <bool settings::*member>
bool flag(configuration& c, std::string_view text) {
  return read_switch(text, c.process.*member);
}
// What the original's services need and a sidecar does not; taken, so that one file does for both.
template <class T>
bool for_services(T&, std::string_view text) {
  std::uint64_t any = 0;
  return read_whole(option_unit::count, text, any, 0);
}

constexpr const char* k_time = "a duration (15s), or a number of milliseconds";
constexpr const char* k_file = "the name of a file, without '/'";
constexpr const char* k_queue = "a size of 4K to 4G (8M)";
constexpr const char* k_number = "a whole number, 0 to 4294967295";
constexpr const char* k_flag = "true or false";
constexpr const char* k_count = "a whole number";

const entity_row k_entity_rows[] = {
    {{"name", "", "", "Number of the service that the entity is of"}, k_number, number<&entity_settings::service>},
    {{"id", "", "", "Number of the entity"}, k_number, number<&entity_settings::entity>},
    {{"dir", "ShmDirPath", "", "The directory of its files; is made"},
     "an absolute path",
     [](entity_settings& e, std::string_view v) {
       e.directory = v;
       return v.starts_with('/');
     }},
    {{"pipes", "ShmpipeCnt", "1", "How many instances of it there can be at a time"},
     "1 to 16",
     [](entity_settings& e, std::string_view v) {
       return read_whole(option_unit::count, v, e.pipes, 1, session::service_routes::k_most_pipes);
     }},
    {{"socket-name", "UnixSocketName", "sidecar.sock", "Its control socket"},
     k_file,
     file_name<&entity_settings::socket_name>},
    {{"receive-file", "ShmRecvDataFileName", "recv.shm", "The ring that the service reads"},
     k_file,
     file_name<&entity_settings::receive_name>},
    {{"send-file", "ShmSendDataFileName", "send.shm", "The ring that the service writes"},
     k_file,
     file_name<&entity_settings::send_name>},
    {{"lock-file", "LockFileName", "client.lock", "The lock of a pipe"},
     k_file,
     file_name<&entity_settings::lock_name>},
    {{"receive-bytes", "ShmRecvQueueSize", "8M", "Size of the ring that the service reads"},
     k_queue,
     queue<&entity_settings::receive_bytes>},
    {{"send-bytes", "ShmSendQueueSize", "8M", "Size of the ring that the service writes"},
     k_queue,
     queue<&entity_settings::send_bytes>},
    {{"native", "", "true", "Whether instances that ask for native rings get them"},
     k_flag,
     [](entity_settings& e, std::string_view v) { return read_switch(v, e.native); }},
    {{"owner", "", "", "User number that the files belong to; another one than the sidecar's own needs root"},
     k_number,
     number<&entity_settings::owner>},
    {{"allow-uids", "", "", "User numbers that may register besides the owner and root"},
     "user numbers with commas between",
     [](entity_settings& e, std::string_view v) {
       auto read = parse_uids(v);
       if (read) e.allowed_uids = std::move(*read);
       return read.has_value();
     }},
    {{"tag", "Tag", "", "Tag of instances that bring none of the kind areaN themselves"},
     "areaN, with a number, or another text",
     [](entity_settings& e, std::string_view v) {
       e.tag = v;
       return v.size() <= 256;
     }},
};

const process_row k_rows[] = {
    {{"heartbeat-timeout", "UnixSockHBTimeoutMS", "15s", "Without a heartbeat for so long an instance is gone"},
     k_time,
     milliseconds<&settings::heartbeat_timeout>},
    {{"registration-timeout", "UnixSockRegistTimeoutMS", "3s", "From the connection to the registration"},
     k_time,
     milliseconds<&settings::registration_timeout>},
    {{"message-age", "MeshCltValidMsgSecs", "6s", "Older messages are dropped and counted; 0: none is too old"},
     "a duration (6s), or a number of seconds",
     [](configuration& c, std::string_view v) { return time_in(v, std::chrono::seconds(1), c.process.message_age); }},
    {{"retry", "UnixSockRetryMS", "", "For services; not used here"}, k_count, for_services<configuration>},
    {{"heartbeats", "UnixSockHBFreq", "", "For services; not used here"}, k_count, for_services<configuration>},
    {{"least-heartbeat", "MinUnixHB", "", "For services; not used here"}, k_count, for_services<configuration>},
    {{"when-full", "", "hold", "The receiver's ring is full: hold the sender, or drop the message"},
     "hold or drop",
     [](configuration& c, std::string_view v) {
       c.process.when_full = v == "drop" ? full_ring::drop : full_ring::hold;
       return v == "hold" || v == "drop";
     }},
    {{"hold", "", "5s", "Longest wait of a message for room, or for a receiver that holds its pipe and is not there"},
     k_time,
     milliseconds<&settings::hold>},
    {{"poll-interval", "", "1ms", "Longest sleep between two looks at the rings"},
     k_time,
     milliseconds<&settings::poll_interval>},
    {{"spin", "", "50us", "How long it looks without sleep after the last message"},
     k_time,
     [](configuration& c, std::string_view v) { return time_in(v, std::chrono::milliseconds(1), c.process.spin); }},
    {{"shared-bytes", "", "16M", "Size of the file in which bodies for several of a service lie once; 0: none"},
     "0, or a size of 64K to 1G (16M)",
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::size, v, c.process.shared_bytes, 0, k_most_shared_bytes) &&
              (c.process.shared_bytes == 0 || c.process.shared_bytes >= k_least_shared_bytes);
     }},
    {{"check-source", "", "true", "Drop messages that say they come from another entity than their ring"},
     k_flag,
     flag<&settings::check_source>},
    {{"return-undeliverable", "", "false", "What reaches nobody comes back to its sender with a return code"},
     k_flag,
     flag<&settings::return_undeliverable>},
    {{"undeliverable-code", "", "-1", "That return code"},
     "a whole number, -2147483648 to 2147483647",
     [](configuration& c, std::string_view v) {
       const bool minus = v.starts_with('-');
       std::uint64_t read = 0;
       if (!read_whole(option_unit::count, v.substr(minus ? 1 : 0), 0, minus ? 1ull << 31 : INT32_MAX, read))
         return false;
       const auto value = static_cast<std::int64_t>(read);
       c.process.undeliverable_code = static_cast<std::int32_t>(minus ? -value : value);
       return true;
     }},
    {{"admin-addr", "", "", "Where operators ask for /metrics, /healthz and /services; :PORT is on 127.0.0.1"},
     "HOST:PORT, :PORT or a URL (tcp://127.0.0.1:9091, ipc:///run/sidecar-admin.sock)",
     [](configuration& c, std::string_view v) {
       c.admin_url.clear();
       return v.empty() || read_address(v, c.admin_url, "127.0.0.1");
     }},
    {{"pid-file", "", "", "Where its process id goes"}, "a path", any_text<&configuration::pid_file>},
    {{"log-file", "", "", "Where the log goes instead of standard error; opened again on SIGHUP"},
     "a path",
     any_text<&configuration::log_file>},
    {{"stop-within", "", "2s", "After SIGTERM or Ctrl-C: how long what lies in the rings is still read"},
     k_time,
     [](configuration& c, std::string_view v) { return time_in(v, std::chrono::milliseconds(1), c.stop_within); }},
    {{"insecure", "", "false", "Operators may come from other hosts"},
     k_flag,
     [](configuration& c, std::string_view v) { return read_switch(v, c.insecure); }},
};

constexpr std::span<const process_row> k_process = k_rows;
constexpr std::span<const entity_row> k_entity = k_entity_rows;

bool is_of_entity(std::string_view name) {
  return std::any_of(k_entity.begin(), k_entity.end(), [&](const entity_row& one) { return one.shown.name == name; });
}

bool is_local(std::string_view url) {
  if (url.starts_with("ipc:")) return true;
  for (const std::string_view host : {"://127.0.0.1:", "://localhost:", "://[::1]:"})
    if (url.find(host) != std::string_view::npos) return true;
  return false;
}

// Names that would make two files one.
result<void> check_names(const entity_settings& of) {
  std::set<std::string> seen;
  std::vector<std::string> all{of.socket_name, of.socket_name + ".lock"};
  for (std::uint32_t pipe = 0; pipe < of.pipes; ++pipe) {
    const auto number = pipe == 0 ? std::string() : std::to_string(pipe);
    all.insert(all.end(), {of.receive_name + number, of.send_name + number, of.lock_name + std::to_string(pipe)});
  }
  for (const auto& one : all)
    if (!seen.insert(one).second)
      return error(errc::bad_option, "entity " + std::to_string(of.entity) + ": two of its files would be called '" +
                                         one + "'; give each kind another name");
  return {};
}

}  // namespace

std::span<const parameter> parameter_table() noexcept {
  static const auto all = shown_parameters(k_process);
  return all;
}
std::span<const parameter> entity_parameter_table() noexcept {
  static const auto all = shown_parameters(k_entity);
  return all;
}

std::string canonical_parameter_name(std::string_view name) {
  const auto of_entity = canonical_name(k_entity, name);
  return is_of_entity(of_entity) ? of_entity : canonical_name(k_process, name);
}

result<void> set_parameter(configuration& target, std::string_view name, std::string_view value) {
  const auto wanted = canonical_parameter_name(name);
  if (wanted == "name" || wanted == "id")
    return error(errc::bad_option, std::string(name) + " is of one entity; it stands in [[service]] or --service");
  if (is_of_entity(wanted)) return set_by_name(k_entity, target.defaults, name, value);
  std::vector<std::string_view> names;
  for (const auto& one : k_entity) names.push_back(one.shown.name);
  for (const auto& one : k_process) names.push_back(one.shown.name);
  if (std::find(names.begin(), names.end(), wanted) == names.end()) return unknown_parameter(name, wanted, names);
  return set_by_name(k_process, target, name, value);
}

result<void> set_parameter(entity_settings& target, std::string_view name, std::string_view value) {
  return set_by_name(k_entity, target, name, value);
}

result<entity_settings> parse_entity(const entity_settings& defaults, std::string_view text) {
  auto made = defaults;
  std::set<std::string> seen;
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const auto equals = word.find('=');
    if (equals == std::string_view::npos)
      return error(errc::bad_option,
                   "'" + shown(word, 64) + "' must be NAME=VALUE (name=7,id=101,dir=/run/ferry/101,pipes=2)");
    const auto name = word.substr(0, equals);
    if (const auto done = set_parameter(made, name, word.substr(equals + 1)); !done) return done.error();
    seen.insert(canonical_parameter_name(name));
  }
  for (const char* needed : {"name", "id"})
    if (!seen.contains(needed))
      return error(errc::bad_option, std::string(needed) + " is missing (name=7,id=101,dir=/run/ferry/101,pipes=2)");
  return made;
}

result<void> check(const configuration& all) {
  const auto& entities = all.process.entities;
  if (entities.empty())
    return error(errc::bad_option,
                 "there is no service; write --service name=7,id=101,dir=/run/ferry/101 or [[service]] in the file");
  std::set<std::uint32_t> numbers;
  std::map<std::string, std::uint32_t> directories;
  for (const auto& one : entities) {
    const auto entity = "entity " + std::to_string(one.entity);
    if (!numbers.insert(one.entity).second)
      return error(errc::bad_option, entity + " is there twice; each needs a number of its own");
    if (one.directory.empty()) return error(errc::bad_option, entity + ": dir is missing");
    const auto [other, is_new] = directories.emplace(one.directory, one.entity);
    if (!is_new)
      return error(errc::bad_option, entity + ": " + one.directory + " is the directory of entity " +
                                         std::to_string(other->second) + "; each needs one of its own");
    if (const auto good = check_names(one); !good) return good;
  }
  if (!all.insecure && !all.admin_url.empty() && !is_local(all.admin_url))
    return error(errc::bad_option,
                 "admin-addr " + all.admin_url +
                     ": anybody who reaches it sees who is there. Listen on 127.0.0.1 or say insecure");
  return {};
}

}  // namespace ferry::sidecar
