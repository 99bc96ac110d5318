#pragma once
/// What operators can ask of a running gateway, one line a command. Who has a gateway in a program of his own adds his.

#include <ferry/error.hpp>
#include <ferry/gateway_service.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::gateway {

/// One thread uses it.
class command_table {
 public:
  using words = gateway_command::words;
  using command = gateway_command;

  /// In place of one that has the same name.
  void add(command one);
  /// Runs the command whose name `line` begins with, the longest one.
  /// @return what it answers | unknown_option: there is none; with the list | bad_option: arguments it does not have
  [[nodiscard]] result<std::string> run(std::string_view line) const;
  /// Runs every line of a file but empty ones and those that begin with '#'.
  /// @param tell  is called with one line of an answer after the other
  void run_all(std::string_view text, const std::function<void(const std::string&)>& tell) const;
  /// "connections, drain, log level LEVEL"
  [[nodiscard]] std::string list() const;

 private:
  std::vector<command> all_;  // by name
};

}  // namespace ferry::gateway
