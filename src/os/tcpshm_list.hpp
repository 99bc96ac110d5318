#pragma once
/// What the queue files of tcpshm's protocol say, read without disturbing a process that is at work with them, whose
/// they are, and opening one to mend it. Source: docs/compat-tcpshm.md.
///
/// The layout says neither the size of the queue nor the order of bytes in its messages: the first one follows from the
/// file's size, the second one is that in which the messages are whole, little endian if both are.

#include <ferry/error.hpp>

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/session_directory.hpp"
#include "os/session_note.hpp"
#include "os/tcpshm_files.hpp"
#include "session/tcpshm_queue.hpp"

namespace ferry::os::tcpshm {

struct waiting_message {
  std::uint32_t number = 0;
  codec::tcpshm::header header;
};

struct queue_summary {
  session_names names;      ///< as own_PEER.ptcp has them
  bool in_use = false;      ///< a process of ours has it; the original's cannot be seen
  std::uint64_t bytes = 0;  ///< of the file
  std::uint64_t queue_bytes = 0;
  std::endian order = std::endian::little;
  codec::tcpshm::range range;  ///< end - start messages are not acknowledged
  std::uint64_t unacknowledged_bytes = 0;
  std::vector<waiting_message> oldest;  ///< of those, k_most_shown at most
  std::optional<mismatch_note> mismatch;
  std::optional<error> damage;  ///< why it cannot be opened; then numbers may be missing
};
inline constexpr std::size_t k_most_shown = 16;

/// Of "alice_bob.ptcp" alice and bob. Names may have a '_': the first one divides, unless `dir` has a file
/// NAME.lastserver of another beginning, with the rest in it. @return nothing: no queue has a file of this name
[[nodiscard]] std::optional<session_names> names_of_queue(const std::string& dir, std::string_view file);

/// Of one queue. @return not_found: there is no such file | permission ...: cannot be looked at. A damaged one is no
/// error
[[nodiscard]] result<queue_summary> look_at_queue(const std::string& dir, const session_names& names);
/// Of all, in the order of their names; none if there is no such directory. @return permission ...
[[nodiscard]] result<std::vector<queue_summary>> list_queues(const std::string& dir);

/// A queue that is held to be mended.
struct held_queue {
  std::string path;
  held_file file;
  session::tcpshm_queue at;
};
/// @return busy: a process of ours has it | not_found | corrupt, truncated (damaged) | permission ...
[[nodiscard]] result<std::unique_ptr<held_queue>> hold_queue(const std::string& dir, const session_names& names);
/// The file of a damaged one: whoever opens it next makes it anew. @return busy | permission ...
[[nodiscard]] result<void> remove_queue(const std::string& dir, const session_names& names);

}  // namespace ferry::os::tcpshm
