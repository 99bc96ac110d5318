#pragma once
/// Where the files of persistent sessions lie, what they are called, and whose they are. Source: docs/sessions.md.

#include <ferry/error.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ring/ring_layout.hpp"
#include "session/session_file.hpp"

namespace ferry::os {

/// The directory: `configured` if not empty, else $STATE_DIRECTORY (the first of several), else $XDG_STATE_HOME/ferry,
/// else $HOME/.local/state/ferry.
/// @param create  make it and its parents, for this user alone, if it does not exist
/// @return not_found | bad_address (no directory, or none of the variables is set) | permission
[[nodiscard]] result<std::string> session_directory(const std::string& configured, bool create);

/// Whose session it is. The names of its files begin with OWN~PEER.
struct session_names {
  std::string own;
  std::string peer;  ///< empty: of a connecting end that was not told whom to expect

  friend bool operator==(const session_names&, const session_names&) = default;
};

/// The paths of one session's files.
struct session_paths {
  session_paths(const std::string& dir, const session_names& names)
      : directory(dir), base(dir + "/" + names.own + "~" + names.peer) {}
  [[nodiscard]] std::string file() const { return base + ".session"; }
  [[nodiscard]] std::string ring() const { return base + ".ring"; }
  [[nodiscard]] std::string new_file() const { return base + ".session.new"; }
  [[nodiscard]] std::string new_ring() const { return base + ".ring.new"; }
  /// Room for another file(), of a session whose peer is not known when it is made.
  [[nodiscard]] std::string spare() const { return base + ".session.spare"; }
  [[nodiscard]] std::string mismatch() const { return base + ".mismatch"; }
  [[nodiscard]] std::string lock() const { return base + ".lock"; }

  std::string directory;
  std::string base;
};

/// @return bad_option: one of them cannot be a name
[[nodiscard]] result<void> check_names(const session_names& names);

/// Of "alice~bob.session" or "alice~bob.ring" alice and bob. @return nothing: no session has a file of this name
[[nodiscard]] std::optional<session_names> names_of_file(std::string_view file);

/// Whose file this is. @param memory  of all of the file @param path  for the text of errors
/// @return corrupt (damaged, or of another session) | truncated | unsupported
[[nodiscard]] result<session::file_identity> read_owner(bytes memory, const session_names& names,
                                                        const std::string& path);
/// The sizes in the header of a ring's file. @param size  of the file @param path  for the text of errors
/// @return corrupt | truncated | unsupported (another version, or pages that cannot be mapped here) | network (errno)
[[nodiscard]] result<ring::geometry> read_ring_sizes(int fd, std::size_t size, const std::string& path);

/// The sessions of which there is a file, in the order of their names; none if there is no such directory.
/// @return permission | bad_address ...
[[nodiscard]] result<std::vector<session_names>> sessions_in(const std::string& dir);

/// Whether there is a file of this session; one of the two is damage that whoever opens it reports.
[[nodiscard]] bool session_exists(const std::string& dir, const session_names& names) noexcept;

/// How many sessions of `own` there are: for max_sessions. 0 if the directory cannot be read.
[[nodiscard]] std::size_t count_sessions(const std::string& dir, const std::string& own);

/// Brings the names of a directory's files to the disk.
[[nodiscard]] result<void> sync_directory(const std::string& path);

}  // namespace ferry::os
