#pragma once
/// What SIGHUP does to a daemon.

#include <ferry/error.hpp>

#include <string>
#include <vector>

#include "apps/ferry/app.hpp"
#include "apps/ferry/log_file.hpp"

namespace ferry::app {

/// Opens the log anew, reads the configuration again, and says what came of it.
/// @param log  null: there is no file @param read  gives a result<> of a configuration
/// @param change  takes that configuration, and gives the names of what holds with the next start only, or why nothing
/// of it can hold
template <class Read, class Change>
void reload(log_file* log, Read read, Change change) {
  if (log != nullptr)
    if (const auto done = log->reopen(); !done)
      say("warning: the log goes on in the file it was in: " + done.error().text());
  const auto stays = [](const error& why) { say("the configuration stays as it was: " + why.text()); };
  const auto with = read();
  if (!with) return stays(with.error());
  const result<std::vector<std::string>> names = change(*with);
  if (!names) return stays(names.error());
  std::string left;
  for (const auto& name : *names) left += (left.empty() ? "" : ", ") + name;
  say("the configuration was read again" + (left.empty() ? "" : "; with the next start only: " + left));
}

}  // namespace ferry::app
