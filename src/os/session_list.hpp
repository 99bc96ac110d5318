#pragma once
/// What the files of sessions say, read without disturbing a process that is at work with them. Source:
/// docs/sessions.md.

#include <ferry/error.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "os/session_directory.hpp"
#include "os/session_note.hpp"
#include "session/persistent_session.hpp"

namespace ferry::os {

struct session_summary {
  session_names names;      ///< of the files
  std::string peer_name;    ///< of whom it has met; empty: nobody yet
  bool in_use = false;      ///< a process has it; then the numbers are of different moments, start of the oldest
  std::uint64_t bytes = 0;  ///< of both files
  std::uint64_t ring_bytes = 0;
  std::uint64_t created_at = 0;            ///< nanoseconds since 1970
  std::uint64_t session = 0;               ///< the number that both sides have
  std::uint64_t epoch = 0;                 ///< of the newest login
  std::uint64_t transaction = 0;           ///< number of the newest one
  session::session_range range;            ///< end - start messages are not acknowledged
  std::uint64_t unacknowledged_bytes = 0;  ///< that they take in the ring
  std::uint64_t state_bytes = 0;
  std::optional<mismatch_note> mismatch;
  std::optional<error> damage;  ///< why it cannot be opened; then numbers may be missing
};

/// Of one session. @return bad_option: a name | not_found: there is no such session | permission ...: cannot be looked
/// at. A damaged one is no error
[[nodiscard]] result<session_summary> look_at_session(const std::string& dir, const session_names& names);

/// Of all, in the order of their names; none if there is no such directory. @return as sessions_in()
[[nodiscard]] result<std::vector<session_summary>> list_sessions(const std::string& dir);

}  // namespace ferry::os
