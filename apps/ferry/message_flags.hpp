#pragma once
/// Flags that say how bytes become messages and messages bytes.

#include <array>

#include "apps/ferry/cutter.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/message_writer.hpp"

namespace ferry::app {

/// --split HOW. @param target keeps its value, a text that split_rule::parse takes, when the flag is not given
inline flag add_split(command_line command, std::string& target, const std::string& help) {
  const auto read = [&target](const std::string& text) {
    constexpr std::array<std::string_view, 2> words{"lines", "whole"};
    if (!split_rule::parse(text)) {
      refuse_usage("--split " + shown(text, 64) + ": must be lines, whole or a size in bytes of at most 1GiB" +
                   did_you_mean(text, words));
    }
    target = text;
  };
  return command.add_option("--split", read, help).type_name("HOW");
}

/// --output FORMAT
inline void add_format(command_line command, message_format& target) {
  add_choice<message_format>(command, "--output", target,
                             {{"lines", message_format::lines},
                              {"raw", message_format::raw},
                              {"json", message_format::json},
                              {"none", message_format::none}},
                             "lines: each message and a newline (default); raw: the bytes alone;\n"
                             "json: an object per message; none: nothing")
      .type_name("FORMAT");
}

}  // namespace ferry::app
