#pragma once
/// The numbers of two sides that did not fit together, in a small file beside those of the session. Source:
/// docs/sessions.md.

#include <ferry/error.hpp>

#include <cstdint>
#include <string>

#include "session/login.hpp"

namespace ferry::os {

struct mismatch_note {
  std::uint64_t session = 0;   ///< that the peer spoke of
  std::uint64_t noted_at = 0;  ///< nanoseconds since 1970
  session::mismatch numbers;
};

/// Replaces the file as a whole. @return no_memory | permission ...
[[nodiscard]] result<void> write_note(const std::string& path, const mismatch_note& note);
/// The same, noted now. What cannot be written is not kept. @param session  that the peer spoke of
void note_mismatch(const std::string& path, std::uint64_t session, const session::mismatch& numbers) noexcept;
/// Where a note is written before it takes its place; who died meanwhile has left it there.
[[nodiscard]] std::string note_aside(const std::string& path);
/// Both files.
void remove_note(const std::string& path) noexcept;
/// @return not_found | corrupt, truncated, unsupported (damaged, of another version) ...
[[nodiscard]] result<mismatch_note> read_note(const std::string& path);

}  // namespace ferry::os
