#include "session/login.hpp"

#include <algorithm>
#include <cstring>

#include "session/session_file.hpp"

namespace ferry::session {
namespace {

constexpr std::uint64_t k_magic = 0x4e47'4c59'5252'4546;  // "FERRYLGN"
constexpr std::uint32_t k_version = 1;
constexpr std::size_t k_text_bytes = k_login_data_bytes;
constexpr std::uint32_t k_flag_barriers = 1;

/// As it travels; little endian.
struct wire_login {
  std::uint64_t magic = k_magic;
  std::uint32_t version = k_version;
  std::uint32_t outcome = 0;
  std::uint64_t session = 0;
  std::uint64_t epoch = 0;
  std::uint64_t ack = 0;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint32_t flags = 0;
  std::uint32_t max_message = 0;
  name_field own_name{};
  name_field peer_name{};
  // Of a refusal a text. Otherwise the application's data, of which older releases sent nothing and read nothing.
  std::array<char, k_text_bytes> text{};
  std::uint8_t data_bytes = 0;
};
static_assert(sizeof(wire_login) == k_login_bytes && offsetof(wire_login, outcome) == 12 &&
              offsetof(wire_login, session) == 16 && offsetof(wire_login, ack) == 32 &&
              offsetof(wire_login, flags) == 56 && offsetof(wire_login, max_message) == 60 &&
              offsetof(wire_login, own_name) == 64 && offsetof(wire_login, peer_name) == 128 &&
              offsetof(wire_login, text) == 192 && offsetof(wire_login, data_bytes) == 255);
static_assert(std::endian::native == std::endian::little);

error not_ours(const std::string& what) { return {errc::protocol, "the peer does not speak of sessions: " + what}; }

std::string quoted(const std::string& name) { return "'" + name + "'"; }

/// Of a name in a message: nothing if no side can have it.
std::optional<std::string> name_in(const name_field& field, bool may_be_empty) {
  std::string name = to_name(field);
  if (name.empty() ? may_be_empty : check_name(name, "").has_value()) return name;
  return std::nullopt;
}

std::string printable(const std::array<char, k_text_bytes>& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\0') break;
    out += c >= ' ' && c <= '~' ? c : '?';
  }
  return out;
}

std::string shown(const session_range& r) {
  return "acknowledges " + std::to_string(r.ack) + " and has " + std::to_string(r.start) + " .. " +
         std::to_string(r.end);
}

bool at_its_beginning(const session_range& r) noexcept { return r.ack == 0 && r.start == 0; }

}  // namespace

std::array<std::byte, k_login_bytes> encode(const login& l) noexcept {
  wire_login w;
  w.outcome = static_cast<std::uint32_t>(l.outcome);
  w.session = l.session;
  w.epoch = l.epoch;
  w.ack = l.range.ack;
  w.start = l.range.start;
  w.end = l.range.end;
  w.flags = l.barriers ? k_flag_barriers : 0;
  w.max_message = l.max_message;
  w.own_name = to_field(l.own_name);
  w.peer_name = to_field(l.peer_name);
  const std::string& said = goes_on(l.outcome) ? l.data : l.text;
  const std::size_t size = std::min(said.size(), k_text_bytes);
  std::copy_n(said.begin(), size, w.text.begin());
  if (goes_on(l.outcome)) w.data_bytes = static_cast<std::uint8_t>(size);
  std::array<std::byte, k_login_bytes> out{};
  std::memcpy(out.data(), &w, sizeof w);
  return out;
}

result<login> decode_login(bytes in, bool answer) {
  wire_login w;
  if (in.size() != sizeof w)
    return not_ours("it sent " + std::to_string(in.size()) + " bytes instead of " + std::to_string(sizeof w));
  std::memcpy(&w, in.data(), sizeof w);
  if (w.magic != k_magic) return not_ours("its first bytes are not FERRYLGN");
  if (w.version != k_version)
    return error(errc::unsupported, "the peer speaks version " + std::to_string(w.version) +
                                        " of sessions, this program version " + std::to_string(k_version) +
                                        ": use the same release on both sides");
  const bool known = answer ? w.outcome >= static_cast<std::uint32_t>(login_outcome::resumed) &&
                                  w.outcome <= static_cast<std::uint32_t>(login_outcome::refused)
                            : w.outcome == static_cast<std::uint32_t>(login_outcome::none);
  if (!known) return not_ours("outcome " + std::to_string(w.outcome) + (answer ? " in an answer" : " in a login"));
  const auto own_name = name_in(w.own_name, false);
  const auto peer_name = name_in(w.peer_name, !answer);
  if (!own_name || !peer_name) return not_ours("a name that no side of a session can have");
  if (w.session == 0 || w.start > w.end)
    return not_ours("session " + std::to_string(w.session) + ", records " + std::to_string(w.start) + " .. " +
                    std::to_string(w.end));
  const auto outcome = static_cast<login_outcome>(w.outcome);
  const bool has_data = goes_on(outcome);
  if (has_data && w.data_bytes > k_login_data_bytes)
    return not_ours("login data of " + std::to_string(w.data_bytes) + " bytes; at most " +
                    std::to_string(k_login_data_bytes));
  return login{outcome,
               w.session,
               w.epoch,
               {w.ack, w.start, w.end},
               *own_name,
               *peer_name,
               has_data ? std::string() : printable(w.text),
               (w.flags & k_flag_barriers) != 0,
               w.max_message,
               has_data ? std::string(w.text.data(), w.data_bytes) : std::string()};
}

std::string mismatch::text() const {
  return "the two sides of the session do not fit together: this one " + shown(local) + ", the peer " + shown(remote) +
         "; one of them has lost its files, or has an old copy of them: restore them, let either side accept the other "
         "one's numbers (ferry session accept-remote), or reset the session";
}

std::optional<mismatch> compare(const session_range& local, const session_range& remote) noexcept {
  const bool fit =
      local.start <= remote.ack && remote.ack <= local.end && remote.start <= local.ack && local.ack <= remote.end;
  return fit ? std::nullopt : std::optional(mismatch{local, remote});
}

login_decision decide_login(const local_side& self, const login& from) {
  login_decision d;
  d.answer = {login_outcome::refused, from.session, from.epoch, self.range, self.own_name, from.own_name, {}, false};
  const auto stop = [&](login_outcome outcome, errc code, const std::string& text) {
    d.answer.outcome = outcome;
    d.answer.text = text;
    d.why = error(code, text);
    return d;
  };
  if (!self.peer_name.empty() && self.peer_name != from.own_name)
    return stop(login_outcome::refused, errc::auth,
                "expected " + quoted(self.peer_name) + ", not " + quoted(from.own_name));
  if (!from.peer_name.empty() && from.peer_name != self.own_name)
    return stop(login_outcome::other_name, errc::auth,
                "this is " + quoted(self.own_name) + ", not " + quoted(from.peer_name));
  const bool same = self.session == from.session;
  if (same && from.epoch <= self.epoch)
    return stop(login_outcome::stale, errc::auth,
                "login " + std::to_string(from.epoch) + " came after login " + std::to_string(self.epoch));
  // Another session, or none: only one that begins can be taken up, and who has met nobody keeps what is queued.
  const bool keeps = same || at_its_beginning(self.range);
  const session_range local = keeps ? self.range : session_range{};
  d.numbers = compare(local, from.range);
  if (!d.numbers && !same && !at_its_beginning(from.range)) d.numbers = mismatch{local, from.range};
  if (d.numbers) {
    d.answer.range = local;
    return stop(login_outcome::mismatch, errc::corrupt, d.numbers->text());
  }
  d.action = same ? login_action::resume : keeps ? login_action::adopt : login_action::begin;
  d.discarded = keeps ? 0 : self.range.end - self.range.start;
  d.answer.outcome = same ? login_outcome::resumed : login_outcome::begun;
  d.answer.range = local;
  return d;
}

login_decision decide_answer(const local_side& self, const login& sent, const login& answer) {
  login_decision d;
  const auto stop = [&](errc code, const std::string& text) {
    d.why = error(code, text);
    return d;
  };
  const auto lies = [&](const std::string& what) {
    return stop(errc::protocol, "the answer to our login makes no sense: " + what);
  };
  if (answer.session != sent.session || answer.epoch != sent.epoch || answer.peer_name != sent.own_name)
    return lies("it belongs to another one");
  if (!self.peer_name.empty() && answer.own_name != self.peer_name)
    return stop(errc::auth, "expected " + quoted(self.peer_name) + ", found " + quoted(answer.own_name));
  switch (answer.outcome) {
    case login_outcome::none: break;
    case login_outcome::resumed:
    case login_outcome::begun:
      if (!sent.peer_name.empty() && answer.own_name != sent.peer_name) return lies("it has another name");
      if (answer.outcome == login_outcome::begun && !at_its_beginning(sent.range))
        return lies("it began a session that has a history");
      // Over shared memory the peer may have consumed from our ring since it answered.
      d.numbers = compare({self.range.ack, sent.range.start, self.range.end}, answer.range);
      if (d.numbers) return stop(errc::corrupt, d.numbers->text());
      d.action = login_action::resume;
      return d;
    case login_outcome::mismatch:
      d.numbers = mismatch{self.range, answer.range};
      return stop(errc::corrupt, d.numbers->text());
    case login_outcome::other_name:
      if (sent.peer_name.empty() || answer.own_name == sent.peer_name) return lies("its name is the one we know");
      d.action = login_action::restart;
      d.discarded = self.range.end - self.range.start;
      d.why =
          error(errc::auth, "the session was with " + quoted(sent.peer_name) + ", this is " + quoted(answer.own_name));
      return d;
    case login_outcome::stale:
      // We know of no newer login of ours: these files are an old copy, and what the user needs to know is whether the
      // numbers fit. If they do, the next login has a newer number.
      d.numbers = compare({self.range.ack, sent.range.start, self.range.end}, answer.range);
      if (d.numbers) return stop(errc::corrupt, d.numbers->text());
      return stop(errc::auth, "a newer login of this session was there before ours");
    case login_outcome::refused:
      return stop(errc::auth, "the peer refused: " + (answer.text.empty() ? "it did not say why" : answer.text));
  }
  return lies("outcome " + std::to_string(static_cast<std::uint32_t>(answer.outcome)));
}

}  // namespace ferry::session
