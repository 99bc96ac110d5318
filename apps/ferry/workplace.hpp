#pragma once
/// Work that leaves nothing behind, however it ends: no process, and no file in a directory of its own.

#include <ferry/error.hpp>

#include <functional>
#include <string>

namespace ferry::app {

/// Runs `body` in a child process. The first SIGINT, SIGTERM or SIGHUP ends the child and all that it has started. All
/// of them are reaped before this returns. One thread; the process should have no other children.
/// @return what the body returned, or 128 + the signal that ended it or this | the error of making the child
[[nodiscard]] result<int> in_child(const std::function<int()>& body);

/// The same in a directory under $TMPDIR (else /tmp) with mode 0700, which is made before and removed afterwards.
/// @return as in_child | the error of making the directory
[[nodiscard]] result<int> in_own_directory(const std::function<int(const std::string& directory)>& body);

/// The exit status; says what went wrong, or that a signal ended it.
[[nodiscard]] int told_of(const result<int>& outcome) noexcept;

}  // namespace ferry::app
