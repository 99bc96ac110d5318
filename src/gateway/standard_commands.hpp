#pragma once
/// The commands that every gateway has: who is there, what waits, threads and memory. Source: docs/gateway.md.

#include <string>

#include "gateway/command_table.hpp"
#include "gateway/gateway.hpp"

namespace ferry::gateway {

/// "connections" and "lookup heap", "... threadcreate", "... goroutine", "... block", "... gc": the names that the
/// original has, of what there is here instead. The gateway must outlive the table.
/// @param prefix  of the files that reports go to: "/run/fastway" for "/run/fastway.heap.prof"; empty: those that need
/// a file say so
void add_standard_commands(command_table& to, const service& of, std::string prefix);

/// The path of the report `kind` ("heap"). @return misuse: `prefix` is empty
[[nodiscard]] result<std::string> report_path(const std::string& prefix, std::string_view kind);

}  // namespace ferry::gateway
