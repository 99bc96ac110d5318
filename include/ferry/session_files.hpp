#pragma once
/// The files of persistent sessions: what they say, and mending a session that cannot go on. For operators, and for
/// programs that work in their place; `ferry session` does the same. Includes no Boost. Source: docs/sessions.md.
///
/// Looking disturbs nobody. Mending refuses while a process has the session; what it does is on disk when it returns,
/// and a death in between leaves the session as it was, or mended.
///
/// The queue files of connections that speak tcpshm's protocol (`compat=tcpshm`, or <ferry/compat/tcpshm.hpp>) are
/// looked at and mended by the same functions. They have no more than 32-bit numbers and messages, and programs of
/// tcpshm itself do not lock them: whether one of those is at work cannot be seen here. Source: docs/compat-tcpshm.md.

#include <ferry/errc.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// Whose files they are.
enum class session_format : std::uint8_t {
  ferry,   ///< AS~PEER.session and .ring
  tcpshm,  ///< AS_PEER.ptcp, and AS.lastserver of a client
};

/// Which session: the names are those of its files.
struct session_key {
  std::string dir;   ///< empty: $STATE_DIRECTORY, else $XDG_STATE_HOME/ferry, else $HOME/.local/state/ferry
  std::string as;    ///< own name
  std::string peer;  ///< empty: of a connecting end that was not told whom to expect. tcpshm's have one
  session_format format = session_format::ferry;
};

/// Messages are numbered from 0, each direction by itself.
struct session_counts {
  std::uint64_t consumed = 0;      ///< number of the next message to receive
  std::uint64_t acknowledged = 0;  ///< number of the first sent message that the peer has not consumed
  std::uint64_t sent = 0;          ///< number of the next message to send
  friend bool operator==(const session_counts&, const session_counts&) = default;
};

/// Both sides as they met last, and did not fit together.
struct session_mismatch {
  session_counts local;
  session_counts remote;
  std::uint64_t session = 0;  ///< that the peer spoke of
  std::chrono::system_clock::time_point noted_at;
};

/// What the files of one session say. Those of tcpshm have no session, epoch, transaction, state and created_at.
struct session_report {
  session_key key;
  std::string peer;                        ///< whom it is with; empty: nobody was met yet
  bool in_use = false;                     ///< a process has it; then the numbers may be a moment old
  std::uint64_t session = 0;               ///< random; of both sides the same once they have met
  std::uint64_t epoch = 0;                 ///< of the newest login
  std::uint64_t transaction = 0;           ///< number of the newest one
  session_counts counts;                   ///< sent - acknowledged messages wait for the peer
  std::uint64_t unacknowledged_bytes = 0;  ///< of the ring, that those messages take
  std::uint64_t ring_bytes = 0;            ///< of tcpshm's: of the queue
  std::uint64_t file_bytes = 0;            ///< of all files
  std::uint64_t state_bytes = 0;           ///< of the application
  std::chrono::system_clock::time_point created_at;
  std::optional<session_mismatch> mismatch;
  std::string damage;  ///< why it cannot be opened, empty if it can; then numbers may be missing
};

/// All sessions of a directory, in the order of their names, then those of tcpshm; none if there is no such directory.
/// Of a file A_B_C.ptcp A is taken for `as`, unless a file .lastserver tells more.
/// @param dir  as session_key::dir @throws failure: permission | bad_address ...
[[nodiscard]] std::vector<session_report> list_sessions(const std::string& dir = {});
/// @throws failure: not_found | bad_option (a name) | permission ...
[[nodiscard]] session_report show_session(const session_key& which);

/// Whether mending happens, or is only told.
enum class mending : std::uint8_t { preview, apply };

/// What mending costs.
struct mending_report {
  std::uint64_t discarded = 0;         ///< own messages that the peer never gets
  std::uint64_t skipped = 0;           ///< messages of the peer that count as consumed, and are never received
  std::uint64_t repeated = 0;          ///< messages of the peer that come once more
  std::uint64_t lost_state_bytes = 0;  ///< of the application's state
  bool damaged = false;                ///< the files could not be read: what is lost is not known
  session_counts counts;               ///< afterwards
};

// Each of these throws failure: busy (a process has the session; the text names the file) | not_found | bad_option |
// permission | unsupported (files of another release) | corrupt, truncated (damaged: reset_session() goes on then) ...

/// Begins another session with the same names: nothing sent, nothing consumed, no state. A listening end takes up what
/// its connecting end begins; one that is reset alone does not fit any more. Damaged files are removed, and made anew
/// when the session is opened. Of a client of tcpshm the name of the server that it met last is removed too, so that
/// both begin anew, in shared memory as well.
mending_report reset_session(const session_key& which, mending how = mending::apply);

inline constexpr std::uint64_t k_max_skip = std::uint64_t{1} << 28;

/// The next messages of the peer count as consumed: for one that ends the application each time it is received. Sent
/// messages and state stay. How many the peer has sent is not known here: after skipping more than that the two sides
/// do not fit together, until accept_remote().
/// @param messages  1 .. k_max_skip
mending_report skip_messages(const session_key& which, std::uint64_t messages, mending how = mending::apply);

/// Makes this side fit the numbers that the peer told at the login that did not fit: receives what the peer still has,
/// goes on with the number that it wants. Own messages are discarded only if that number is not among them. State
/// stays. @throws failure: also misuse (no such login was noted: tell the numbers)
mending_report accept_remote(const session_key& which, mending how = mending::apply);
/// The same for numbers that are known from elsewhere, as from show_session() at the other side.
/// @throws failure: also bad_option (acknowledged > sent; of tcpshm's: more than 32 bits, which come round)
mending_report accept_remote(const session_key& which, const session_counts& remote, mending how = mending::apply);

}  // namespace ferry
