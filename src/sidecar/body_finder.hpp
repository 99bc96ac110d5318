#pragma once
/// Where a reader of native rings finds bodies that lie in the file which all instances of its service share.
/// Source: docs/sidecar.md.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "os/private_files.hpp"
#include "ring/shared_bodies.hpp"

namespace ferry::sidecar {

/// The file's name in the directory of each entity.
inline constexpr const char* k_bodies_file = "bodies.shm";

/// One thread uses it.
class body_finder {
 public:
  /// @param directory  of the entity
  explicit body_finder(const std::string& directory) : path_(directory + "/" + k_bodies_file) {}

  /// Maps the file, if none is mapped. @return not_found | auth | corrupt | no_memory ...
  [[nodiscard]] result<void> open();
  /// @param reference  to a body, of another generation perhaps, whose file is mapped then @return the body, valid
  /// until the next call | corrupt: it cannot lie there, or another one does by now, or the file was cut off; counted
  [[nodiscard]] result<bytes> find(bytes reference);
  /// What find() gave last is still there: whoever has read it asks. Else that is counted.
  [[nodiscard]] bool is_still_there() noexcept { return found_.generation == 0 || is_found_still(); }
  /// Bodies that were not found, or not there any more.
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

 private:
  /// @return null data: it does not lie in the mapped file (any more)
  [[nodiscard]] bytes body_at(const ring::body_reference& which) const noexcept;
  [[nodiscard]] result<bytes> look_for(const ring::body_reference& which);
  [[nodiscard]] bool is_found_still() noexcept;

  std::string path_;
  std::optional<os::private_file> file_;
  std::uint64_t generation_ = 0;  // of file_
  ring::body_reference found_;    // last; generation 0: none
  std::uint64_t lost_ = 0;
};

}  // namespace ferry::sidecar
