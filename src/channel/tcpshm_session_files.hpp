#pragma once
/// What <ferry/session_files.hpp> does with the queue files of tcpshm's protocol. All of these throw failure, as it
/// says there. Source: docs/compat-tcpshm.md.

#include <ferry/session_files.hpp>

#include <string>
#include <vector>

#include "os/session_note.hpp"

namespace ferry::detail {

[[nodiscard]] session_mismatch mismatch_of(const os::mismatch_note& note);

void list_tcpshm(const std::string& dir, std::vector<session_report>& into);
[[nodiscard]] session_report show_tcpshm(const std::string& dir, const session_key& which);
mending_report reset_tcpshm(const std::string& dir, const session_key& which, mending how);
mending_report skip_tcpshm(const std::string& dir, const session_key& which, std::uint64_t messages, mending how);
mending_report accept_remote_of_tcpshm(const std::string& dir, const session_key& which, const session_counts& remote,
                                       mending how);

}  // namespace ferry::detail
