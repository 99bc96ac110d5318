// ferry session: the files of persistent sessions, looked at and mended.
#include <ferry/session_files.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/inspect_maps.hpp"
#include "apps/ferry/session_report.hpp"
#include "os/mapping.hpp"

namespace ferry::app {
namespace {

struct session_flags {
  std::string dir;
  std::optional<std::string> as, peer;
  std::optional<session_format> kind;
  bool json = false;
  bool yes = false;
  std::uint64_t messages = 0;
  std::optional<session_counts> remote;
};

// Where a name of tcpshm's has a '_', its file does not say where the other one begins: what is asked for does.
bool is_asked_for_of_tcpshm(const session_key& key, const session_flags& flags) {
  const std::string both = key.as + "_" + key.peer;
  const std::string begin = flags.as.value_or("") + "_", end = "_" + flags.peer.value_or("");
  if (flags.as && flags.peer) return both == *flags.as + end;
  return (!flags.as || both.starts_with(begin)) && (!flags.peer || both.ends_with(end));
}

bool is_of_kind(const session_report& one, const session_flags& flags) {
  return !flags.kind || one.key.format == *flags.kind;
}

bool is_asked_for(const session_report& one, const session_flags& flags) {
  if (!is_of_kind(one, flags)) return false;
  if (one.key.format == session_format::tcpshm) return is_asked_for_of_tcpshm(one.key, flags);
  return (!flags.as || one.key.as == *flags.as) && (!flags.peer || one.key.peer == *flags.peer);
}

std::vector<session_report> sessions_of(const session_flags& flags) {
  std::vector<session_report> all = list_sessions(flags.dir);
  std::vector<session_report> found;
  for (const auto& one : all)
    if (is_asked_for(one, flags)) found.push_back(one);
  if (!found.empty() || !flags.peer) return found;
  // Nobody has files under this name, but somebody may have met it.
  for (const auto& one : all)
    if (is_of_kind(one, flags) && (!flags.as || one.key.as == *flags.as) && one.peer == *flags.peer)
      found.push_back(one);
  return found;
}

std::string names_of(const std::vector<session_report>& all) {
  std::string text;
  for (const auto& one : all) text += (text.empty() ? "" : ", ") + name_of(one);
  return text;
}

error nothing_found(const session_flags& flags) {
  const auto all = list_sessions(flags.dir);
  const std::string where = flags.dir.empty() ? "here (which directory: --dir)" : "in " + flags.dir;
  if (all.empty()) return {errc::not_found, "there is no session " + where};
  std::vector<std::string_view> own, peers;
  for (const auto& one : all) {
    own.push_back(one.key.as);
    peers.push_back(one.peer);
  }
  const bool own_known = !flags.as || std::find(own.begin(), own.end(), *flags.as) != own.end();
  const std::string wanted = own_known ? "with " + shown(flags.peer.value_or(""), 64) : "of " + shown(*flags.as, 64);
  return {errc::not_found, "there is no session " + wanted + " " + where +
                               did_you_mean(own_known ? flags.peer.value_or("") : *flags.as, own_known ? peers : own) +
                               " There are: " + names_of(all)};
}

// The one that is meant, if that is clear.
result<session_report> one_session(const session_flags& flags) {
  auto found = sessions_of(flags);
  if (found.empty()) return nothing_found(flags);
  if (found.size() > 1)
    return error(errc::misuse, "which one is meant: " + names_of(found) + "? Say so with --as, --peer and --kind");
  session_report one = std::move(found.front());
  if (one.key.format == session_format::tcpshm && flags.as && flags.peer) {
    one.key.as = *flags.as;
    one.key.peer = one.peer = *flags.peer;
  }
  return one;
}

int list(const session_flags& flags) {
  const auto found = sessions_of(flags);
  if (flags.json) {
    boost::json::array all;
    for (const auto& one : found) all.push_back(to_json(one));
    return print(boost::json::serialize(all) + "\n");
  }
  if (found.empty()) return complain(nothing_found(flags));
  return print(list_text(found));
}

int show(const session_flags& flags) {
  const auto one = one_session(flags);
  if (!one) return complain(one.error());
  const int printed = print(flags.json ? boost::json::serialize(to_json(*one)) + "\n" : show_text(*one));
  return one->damage.empty() ? printed : k_failed;
}

// Mending ------------------------------------------------------------------------------------------

enum class answer { yes, no, nobody_to_ask };

answer ask(const std::string& question) {
  if (::isatty(STDIN_FILENO) == 0) return answer::nobody_to_ask;
  const std::string line = question + " Go on? [y/N] ";
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return answer::nobody_to_ask;
  std::string said;
  std::getline(std::cin, said);
  return said == "y" || said == "yes" ? answer::yes : answer::no;
}

using mend = std::function<mending_report(const session_key&, mending)>;

// Programs of tcpshm lock nothing, but have the file mapped.
result<void> require_unused(const session_report& one) {
  if (one.key.format != session_format::tcpshm || one.in_use) return {};
  const std::string path = main_file(one.key);
  const auto fd = os::open_file(path, false);
  if (!fd) return fd.error();
  for (const auto& memory : find_file(fd->get(), path).found)
    for (const auto& view : memory.views)
      return error(errc::busy, path + " is in use by process " + std::to_string(view.pid) + " (" + view.program +
                                   "): end it first");
  return {};
}

int mend_one(const session_flags& flags, const std::string& verb, const mend& act) {
  const auto one = one_session(flags);
  if (!one) return complain(one.error());
  if (const auto unused = require_unused(*one); !unused) return complain(unused.error());
  const std::string what = verb + " " + name_of(*one) + ": ";
  if (!flags.yes) {
    const std::string costs = costs_text(act(one->key, mending::preview));
    switch (ask("ferry: " + what + costs + ".")) {
      case answer::yes: break;
      case answer::no: say("nothing was changed"); return k_failed;
      case answer::nobody_to_ask: say(what + costs + ". Nothing was changed: say --yes"); return k_usage;
    }
  }
  const auto done = act(one->key, mending::apply);
  say(what + costs_text(done) + ". It goes on with message " + std::to_string(done.counts.consumed) +
      " of the other side, and has " + std::to_string(done.counts.acknowledged) + " .. " +
      std::to_string(done.counts.sent) + " of its own");
  return k_ok;
}

// Commands -----------------------------------------------------------------------------------------

constexpr const char* k_examples = R"(  ferry session list                              all of the default directory
  ferry session show --as alice --peer bob        everything about one
  ferry session skip 1 --as alice --peer bob      a message that ends the application each time
  ferry session accept-remote --as alice          make it fit what the other side told
  ferry session reset --as alice --peer bob --yes

DIR is $STATE_DIRECTORY, else $XDG_STATE_HOME/ferry, else ~/.local/state/ferry.
Exit status: 0 done; 1 not found, damaged, in use, or you said no; 2 wrong command line.)";

std::shared_ptr<session_flags> add_flags(command_line command) {
  auto flags = std::make_shared<session_flags>();
  command.add_option("--dir", flags->dir, "Where the files lie");
  const auto name = [&](const char* flag, std::optional<std::string>& into, const char* help) {
    command.add_option(
        flag, [&into](const std::string& text) { into = text; }, help);
  };
  name("--as", flags->as, "Of the side with this name");
  name("--peer", flags->peer, "With this peer; '' for one that was not told whom to expect");
  command.add_option(
      "--kind",
      [into = flags.get()](const std::string& text) {
        static const std::vector<std::string_view> words{"ferry", "tcpshm"};
        into->kind = choose("--kind", text, words) == 0 ? session_format::ferry : session_format::tcpshm;
      },
      "Only files of this kind: ferry, or tcpshm (.ptcp)");
  return flags;
}

session_counts parse_counts(const std::string& text) {
  std::array<std::uint64_t, 3> numbers{};
  std::size_t begin = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t end = i + 1 < numbers.size() ? text.find(',', begin) : text.size();
    const auto number =
        end == text.npos ? std::nullopt : parse_whole(option_unit::count, text.substr(begin, end - begin));
    if (!number)
      refuse_usage("--remote " + shown(text, 64) +
                   ": must be three numbers of the other side, CONSUMED,ACKNOWLEDGED,SENT");
    numbers[i] = *number;
    begin = end + 1;
  }
  return {numbers[0], numbers[1], numbers[2]};
}

void add_looking(command_line session, const std::string& name, const std::string& summary, const std::string& examples,
                 int (*act)(const session_flags&), int& exit_code) {
  const command_line command = session.add_command(name, summary, examples);
  const auto flags = add_flags(command);
  command.add_flag("--json", flags->json, name == "list" ? "An array" : "One object");
  command.callback([flags, act, &exit_code] { exit_code = act(*flags); });
}

std::pair<command_line, std::shared_ptr<session_flags>> add_mending(command_line session, const std::string& name,
                                                                    const std::string& summary,
                                                                    const std::string& examples) {
  const command_line command = session.add_command(name, summary, examples);
  const auto flags = add_flags(command);
  command.add_flag("--yes", flags->yes, "Do not ask");
  return {command, flags};
}

void add_reset(command_line session, int& exit_code) {
  auto [command, flags] =
      add_mending(session, "reset", "Begin another session with the same names, also where files are damaged",
                  "  ferry session reset --as alice --peer bob\n  ferry session reset --dir ./state --as alice --yes");
  command.callback([flags = flags, &exit_code] {
    exit_code = mend_one(*flags, "reset", [](const auto& key, mending how) { return reset_session(key, how); });
  });
}

void add_skip(command_line session, int& exit_code) {
  auto [command, flags] = add_mending(session, "skip", "The next N messages of the other side count as consumed",
                                      "  ferry session skip 1 --as alice --peer bob");
  add_whole(command, "N", flags->messages, option_unit::count, 1, "So many", k_max_skip).required().type_name("");
  command.callback([flags = flags, &exit_code] {
    exit_code = mend_one(*flags, "skip " + std::to_string(flags->messages),
                         [&](const auto& key, mending how) { return skip_messages(key, flags->messages, how); });
  });
}

void add_accept_remote(command_line session, int& exit_code) {
  auto [command, flags] =
      add_mending(session, "accept-remote", "Make this side fit what the other one told when they did not fit",
                  "  ferry session accept-remote --as alice --peer bob\n"
                  "  ferry session accept-remote --as alice --peer bob --remote 120,80,95");
  command.add_option(
      "--remote", [into = flags](const std::string& text) { into->remote = parse_counts(text); },
      "CONSUMED,ACKNOWLEDGED,SENT of the other side, instead of what it told");
  command.callback([flags = flags, &exit_code] {
    exit_code = mend_one(*flags, "accept-remote", [&](const auto& key, mending how) {
      return flags->remote ? accept_remote(key, *flags->remote, how) : accept_remote(key, how);
    });
  });
}

}  // namespace

void add_session(command_line app, int& exit_code) {
  const command_line session =
      app.add_command("session", "Look at the files of persistent sessions, and mend them", k_examples);
  session.need_command();
  add_looking(session, "list", "All sessions, one in a line",
              "  ferry session list\n  ferry session list --dir ./state --json | jq '.[].waiting'", list, exit_code);
  add_looking(session, "show", "Everything about one session",
              "  ferry session show --as alice --peer bob\n  ferry session show --dir ./state --json", show, exit_code);
  add_reset(session, exit_code);
  add_skip(session, exit_code);
  add_accept_remote(session, exit_code);
}

}  // namespace ferry::app
