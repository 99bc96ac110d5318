#pragma once
/// What `ferry session` and `ferry inspect` have found out about sessions, for people and for programs.

#include <ferry/session_files.hpp>

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::app {

/// "alice with bob", "alice with whomever it meets", "alice with bob (tcpshm)"
[[nodiscard]] std::string name_of(const session_report& one);
/// Of its files, as in --kind and in tables.
[[nodiscard]] std::string_view kind_of(const session_key& key);
/// The file that a process which is at work has mapped.
[[nodiscard]] std::string main_file(const session_key& key);

/// One line for each, then why those cannot go on that cannot.
[[nodiscard]] std::string list_text(const std::vector<session_report>& all);
/// Everything about one, in lines.
[[nodiscard]] std::string show_text(const session_report& one);
/// docs/program.md explains the keys.
[[nodiscard]] boost::json::object to_json(const session_report& one);

/// "2 unacknowledged messages are discarded, 5 bytes of state are discarded"; "nothing is lost"
[[nodiscard]] std::string costs_text(const mending_report& costs);

}  // namespace ferry::app
