#pragma once
/// How two sides of a persistent session find out whether they can go on, and where. Messages in bytes, and the
/// decision of each side; whatever carries them. Source: docs/sessions.md.
///
///     connecting end                      listening end
///         | --- login: names, session, epoch, range ---> |  decide()
///         | <-- answer: outcome, the same of its own --- |
///     decide()
///
/// Then each side sends, from the first record that the other one has not consumed.

#include <ferry/error.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "session/persistent_session.hpp"

namespace ferry::session {

inline constexpr std::size_t k_login_bytes = 256;
inline constexpr std::size_t k_login_data_bytes = 63;  ///< the most that `login::data` has

enum class login_outcome : std::uint32_t {
  none = 0,        ///< in a login
  resumed = 1,     ///< both go on where they were
  begun = 2,       ///< a new session for the listening end
  mismatch = 3,    ///< a range does not contain what the other side acknowledges
  other_name = 4,  ///< the listening end is not the one whose session the connecting end has
  stale = 5,       ///< a newer login of the same session came before this one
  refused = 6,     ///< for a reason that the text tells
};

/// What either side says.
struct login {
  login_outcome outcome = login_outcome::none;
  std::uint64_t session = 0;  ///< chosen by the connecting end when it began
  std::uint64_t epoch = 0;    ///< another one, larger, for each login of a session; an answer repeats it
  session_range range;
  std::string own_name;
  std::string
      peer_name;  ///< login: the listening end whose session this is, empty if none yet; answer: of the connecting end
  std::string text;               ///< of a refusal: at most 63 printable characters
  bool barriers = false;          ///< over shared memory: membarrier works there, so that its bells need no fence
  std::uint32_t max_message = 0;  ///< bytes of the largest message that this side takes; 0: it does not say
  std::string data{};             ///< the application's, any k_login_data_bytes at most; a refusal has its text instead
};

/// A login, or an answer that lets in: no refusal.
[[nodiscard]] constexpr bool goes_on(login_outcome outcome) noexcept { return outcome <= login_outcome::begun; }

/// Text and data are cut where they are too long.
[[nodiscard]] std::array<std::byte, k_login_bytes> encode(const login& l) noexcept;
/// @param in  k_login_bytes bytes @param answer  which of the two is expected
/// @return protocol (not such a message) | unsupported (another version)
[[nodiscard]] result<login> decode_login(bytes in, bool answer);

/// Six numbers that do not fit together, of this side and of the peer.
struct mismatch {
  session_range local;
  session_range remote;
  [[nodiscard]] std::string text() const;
};
/// Whether each side's acknowledgement lies within the other one's range. @return the numbers if not
[[nodiscard]] std::optional<mismatch> compare(const session_range& local, const session_range& remote) noexcept;

/// What this side knows.
struct local_side {
  std::string own_name;
  std::string peer_name;      ///< expected of the other side: anything else is refused; empty: anybody
  std::uint64_t session = 0;  ///< 0: none yet
  std::uint64_t epoch = 0;    ///< of the newest login of this session
  session_range range;
};

enum class login_action : std::uint8_t {
  resume,   ///< go on: the peer's acknowledgement counts, and sending begins there
  adopt,    ///< listening end: the first login; take over its session, with what is queued; then go on
  begin,    ///< listening end: reset to the login's session, which discards `discarded` records; then go on
  restart,  ///< connecting end: the listening end has another name. Reset to a new session, log in again
  stop,     ///< close; `why` and, for other ranges, `numbers` say why
};

struct login_decision {
  login_action action = login_action::stop;
  std::uint64_t discarded = 0;  ///< begin, restart: own records that nobody has acknowledged
  std::optional<mismatch> numbers;
  error why;
  login answer;  ///< for the listening end to send, whatever the action
};

/// The listening end's. `peer_name` of `self` is the login's own name, if its session is known.
[[nodiscard]] login_decision decide_login(const local_side& self, const login& from);
/// The connecting end's. @param sent  what it said
[[nodiscard]] login_decision decide_answer(const local_side& self, const login& sent, const login& answer);

}  // namespace ferry::session
