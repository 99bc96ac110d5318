#pragma once
/// What operators and a daemon tell each other in files.

#include <ferry/error.hpp>

#include <string>

namespace ferry::os {

/// A file of a report, for its owner alone (mode 0600), in place of one with that path; a symbolic link is not
/// followed.
/// @return why it cannot be written
[[nodiscard]] result<void> write_report(const std::string& path, const std::string& text);

/// What is asked of this process in a file: of a regular one of at most 64 KiB that belongs to this process's user or
/// to root, and that not everybody can write. @return auth: it is another one | not_found ...: why it cannot be read
[[nodiscard]] result<std::string> read_request(const std::string& path);

/// A file of options or keys, of at most 1 MiB, whosever it is; it may be a pipe.
/// @return why it cannot be read | bad_option: it is larger
[[nodiscard]] result<std::string> read_options(const std::string& path);

}  // namespace ferry::os
