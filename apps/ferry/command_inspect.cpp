// ferry inspect: what lies in the rings of a shm:// endpoint, or in a file with a ring.
#include <ferry/url.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/inspect_report.hpp"
#include "apps/ferry/inspect_sidecar.hpp"
#include "apps/ferry/inspect_tcpshm.hpp"
#include "apps/ferry/session_report.hpp"
#include "apps/ferry/tally.hpp"
#include "net/ring_link.hpp"
#include "os/mapping.hpp"
#include "os/owner_lock.hpp"
#include "os/session_directory.hpp"

namespace ferry::app {
namespace {

struct inspect_flags {
  std::string target;
  bool json = false;
};

// @param of  whose ring it is, if it is a session's
int show(const std::string& name, const std::vector<direction>& all, bool json,
         const std::optional<session_report>& of = {}) {
  auto object = to_json(name, all);
  if (of) object["session"] = to_json(*of);
  const std::string first = of ? show_text(*of) + (all.empty() ? "" : "\n") : "";
  std::string last;
  if (of && !all.empty() && all.front().report) {
    object["messages"] = messages_json(*all.front().report);
    last = messages_text(*all.front().report);
  }
  const int printed = print(json ? boost::json::serialize(object) + "\n" : first + to_text(name, all) + last);
  const bool readable = std::all_of(all.begin(), all.end(), [](const direction& one) {
    return one.report && std::all_of(one.report->rings.begin(), one.report->rings.end(),
                                     [](const ring_report& ring) { return ring.unread || ring.busy; });
  });
  return readable && (!of || of->damage.empty()) ? printed : k_failed;
}

// A file -------------------------------------------------------------------------------------------

error of_file(const error& why, const std::string& path) {
  if (why == errc::permission) return {why.reason(), why.text() + ": run as its owner or as root", why.system_errno()};
  if (why == errc::corrupt || why == errc::truncated || why == errc::unsupported) return why.in(path);
  return why;
}

int inspect_ring_file(const std::string& path, bool json, const std::optional<session_report>& of) {
  const auto fd = os::open_file(path, false);
  if (!fd) return complain(of_file(fd.error(), path));
  const auto size = os::file_size(fd->get(), path);
  if (!size) return complain(size.error());
  auto report = inspect_memory(reader_of_file(fd->get(), path), *size);
  if (!report) return complain(of_file(report.error(), path));
  auto mapped = find_file(fd->get(), path);
  direction one;
  if (!mapped.found.empty()) one.memory = std::move(mapped.found.front());
  one.hidden = mapped.hidden.size();
  one.writer_lives = os::owner_lock::held(fd->get(), os::k_writer_byte);
  one.reader_lives = os::owner_lock::held(fd->get(), os::k_reader_byte);
  one.memory.size = *size;
  struct stat about {};
  if (::fstat(fd->get(), &about) == 0) one.memory.inode = about.st_ino;
  one.report = std::move(report);
  return show(path, {one}, json, of);
}

// Nothing where the name is of no session's file.
std::optional<session_report> session_of(const std::string& path) {
  const auto slash = path.rfind('/');
  std::string file = path.substr(slash + 1);
  for (const std::string_view beside : {".mismatch", ".session.spare", ".lock"})
    if (file.ends_with(beside)) file.replace(file.size() - beside.size(), beside.size(), ".session");
  const auto names = os::names_of_file(file);
  if (!names) return std::nullopt;
  const std::string dir = slash == 0 ? "/" : path.substr(0, slash);
  // A ring that is no session's may have such a name too.
  if (!std::filesystem::exists(os::session_paths(dir, *names).file())) return std::nullopt;
  return show_session({dir, names->own, names->peer});
}

int inspect_file(const std::string& path, bool json) {
  if (const auto shown = inspect_tcpshm(path, json)) return *shown;
  if (const auto shown = inspect_sidecar(path, json)) return *shown;
  const auto of = session_of(path);
  if (!of) return inspect_ring_file(path, json, of);
  const std::string ring = os::session_paths(of->key.dir, {of->key.as, of->key.peer}).ring();
  // A ring that cannot be read is part of why the session cannot.
  if (!of->damage.empty()) return show(path, {}, json, of);
  return inspect_ring_file(ring, json, of);
}

// An endpoint --------------------------------------------------------------------------------------

// Whether a socket is listened on, from proc's table: connecting would disturb whoever listens.
bool is_listened_on(const std::string& path) {
  constexpr unsigned long k_accepts = 0x10000;  // __SO_ACCEPTCON, net/unix/af_unix.c
  std::ifstream table("/proc/net/unix");
  for (std::string line; std::getline(table, line);) {
    const auto at = line.rfind(' ');
    if (at == line.npos || line.substr(at + 1) != path) continue;
    std::istringstream words(line);
    std::string number, references, protocol, flags;
    words >> number >> references >> protocol >> flags;
    if ((std::strtoul(flags.c_str(), nullptr, 16) & k_accepts) != 0) return true;
  }
  return false;
}

std::string hidden_text(const memory_search& search) {
  if (search.hidden.empty()) return "";
  const auto n = search.hidden.size();
  return "; " + std::to_string(n) + (n == 1 ? " process" : " processes") + " may not be looked at" +
         (::geteuid() == 0 ? " (CAP_SYS_PTRACE)" : ": run as root");
}

int say_nothing_found(const std::string& name, const options& with, const memory_search& search) {
  const std::string file =
      std::filesystem::is_regular_file(name) ? "; the file of that name is ./" + name + ": a path has a '/'" : "";
  const auto path = net::ring_socket_path(name, with, false);
  if (!path) return complain(path.error().in("no process has a ring of shm://" + name + hidden_text(search) + file));
  struct stat about {};
  const std::string there = ::lstat(path->c_str(), &about) != 0 ? "there is no socket " + *path +
                                                                      ": start the listener, or say where with "
                                                                      "'shm://" +
                                                                      name + "?runtime_dir=DIR'"
                            : is_listened_on(*path) ? "somebody listens at " + *path + ", and nobody is connected"
                                                    : "the socket " + *path +
                                                          " is there, and nobody in this network namespace "
                                                          "listens on it: the next listener replaces it";
  return complain(
      error(errc::not_found, "no process has a ring of shm://" + name + hidden_text(search) + "; " + there + file));
}

int inspect_endpoint(const std::string& name, const options& with, bool json) {
  // Whoever has both ends has the memory mapped twice, and a consumer in three parts.
  const std::string wanted = "/memfd:ferry:" + name + " (deleted)";
  auto search = find_memory([&](const mapped_part& part) { return part.path == wanted; });
  if (search.found.empty()) return say_nothing_found(name, with, search);
  std::vector<direction> all;
  for (auto& memory : search.found) {
    auto report = inspect_memory(reader_of(memory), memory.size);
    // Gone while we looked: nobody has it any more.
    if (!report && report.error() != errc::permission && find_memory([&](const mapped_part& part) {
                                                           return part.path == wanted && part.inode == memory.inode;
                                                         }).found.empty())
      continue;
    all.push_back({std::move(memory), std::move(report), search.hidden.size(), {}, {}});
  }
  if (all.empty()) return say_nothing_found(name, with, search);
  return show("shm://" + name, all, json);
}

int inspect(const inspect_flags& flags) {
  if (flags.target.find("://") == std::string::npos) {
    if (flags.target.find('/') != std::string::npos) return inspect_file(flags.target, flags.json);
    const options defaults;
    if (const auto named = net::ring_socket_path(flags.target, defaults, false);
        !named && named.error() == errc::bad_address)
      return complain(named.error());
    return inspect_endpoint(flags.target, defaults, flags.json);
  }
  static const std::array<std::string, 1> known{"shm"};
  options with;
  const auto where = parse_url(flags.target, with, known);
  if (!where) return complain(where.error());
  return inspect_endpoint(where->path, with, flags.json);
}

constexpr const char* k_examples = R"(  ferry inspect news                             all connections of shm://news
  ferry inspect 'shm://news?runtime_dir=/run/a'  where the listener's socket lies, if there is no connection
  ferry inspect ./news.ring                      a file with a ring; a path has a '/'
  ferry inspect ./alice~bob.session              the files of a session, under any of their names
  ferry inspect ./alice_bob.ptcp                 a queue file of tcpshm; /dev/shm/alice_bob.shm: its shared memory
  ferry inspect /run/ferry/101/recv.shm          a ring of a sidecar; recv.shm.ring: a native one; client.lock0: a pipe
  ferry inspect news --json | jq '.directions[].rings'

It only reads, through /proc, and needs no help of the processes that share the rings, which may be stopped.
Exit status: 0 shown; 1 nothing is there, or it is damaged or may not be read; 2 wrong command line.)";

}  // namespace

void add_inspect(command_line app, int& exit_code) {
  const auto flags = std::make_shared<inspect_flags>();
  const command_line command =
      app.add_command("inspect", "Look into the rings of a shm:// endpoint or file, disturbing nobody", k_examples);
  command.add_option("TARGET", flags->target, "NAME, shm://NAME, or the path of a FILE").required().type_name("");
  command.add_flag("--json", flags->json, "One object");
  command.callback([flags, &exit_code] { exit_code = inspect(*flags); });
}

}  // namespace ferry::app
