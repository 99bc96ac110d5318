#pragma once
/// What `ferry inspect` has found, for people and for programs.

#include <ferry/error.hpp>

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/ferry/inspect_maps.hpp"
#include "apps/ferry/inspect_ring.hpp"

namespace ferry::app {

/// The memory of one direction, who has it mapped, and what it says or why it cannot be read.
struct direction {
  mapped_memory memory;
  result<memory_report> report = error();
  std::size_t hidden = 0;  ///< processes whose mappings we may not see: one of them may have it, too
  /// Of a file: whether the two sides hold their locks. Of an endpoint's memory: not known.
  std::optional<bool> writer_lives, reader_lives;
};

/// Who has a file mapped: "4711 ferry, 4712 python3", "nobody"; and how many may not be looked at.
[[nodiscard]] std::string mapped_text(const memory_search& by);
/// [{pid, program}]
[[nodiscard]] boost::json::array mapped_json(const memory_search& by);

/// Lines of text: a table of each direction, and one of its rings. @param name  what was asked for
[[nodiscard]] std::string to_text(const std::string& name, const std::vector<direction>& all);
/// {name, directions: [{inode, size, producer_alive, mapped_by, ...}]}; docs/program.md explains the keys
[[nodiscard]] boost::json::object to_json(const std::string& name, const std::vector<direction>& all);

/// The oldest messages that wait in a session's ring, in lines; nothing where none does.
[[nodiscard]] std::string messages_text(const memory_report& of_session);
[[nodiscard]] boost::json::array messages_json(const memory_report& of_session);

}  // namespace ferry::app
