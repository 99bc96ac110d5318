#pragma once
/// A directory of the demo's own, which goes whatever happens.

#include <ferry/error.hpp>

#include <functional>
#include <string>

namespace ferry::app {

/// Makes a directory under $TMPDIR (else /tmp) with mode 0700, runs `body` in a child process, and removes the
/// directory. The first SIGINT, SIGTERM or SIGHUP ends the child and all that it has started. All of them are reaped
/// before this returns. One thread; the process should have no other children.
/// @return what the body returned, or 128 + the signal that ended it or this | the error of making directory or child
[[nodiscard]] result<int> in_own_directory(const std::function<int(const std::string& directory)>& body);

}  // namespace ferry::app
