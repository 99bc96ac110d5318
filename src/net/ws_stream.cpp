#include "net/ws_stream.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>
#include <utility>

#include "base/endian.hpp"
#include "codec/parts_framing.hpp"
#include "net/ws_close.hpp"
#include "net/ws_upgrade.hpp"
#include "os/coarse_time.hpp"
#include "os/prefetch.hpp"

namespace ferry::net {
namespace asio = boost::asio;
using codec::closing_action;
using codec::websocket_event_kind;
using codec::websocket_opcode;

constexpr std::size_t k_handshake_room = 4096;

ws_stream::ws_stream(std::shared_ptr<stream> below, std::shared_ptr<const ws_rules> rules)
    : below_(std::move(below)),
      bare_below_(dynamic_cast<bare_wait*>(below_.get())),
      rules_(std::move(rules)),
      decoder_(pool(), rules_->decoder),
      output_({rules_->mask, rules_->fragment_above, {}}),
      closing_(rules_->role, rules_->close_timeout),
      heartbeat_(rules_->heartbeat) {}

ws_stream::~ws_stream() {
  end();
  cancel_timer(io());
}

std::shared_ptr<detail::resident> ws_stream::keep() noexcept {
  const auto self = weak_from_this().lock();
  return self ? std::shared_ptr<detail::resident>(self, static_cast<detail::resident*>(this)) : nullptr;
}

peer_info ws_stream::peer() const {
  auto who = below_->peer();
  if (!terms_) return who;
  auto info = std::make_shared<websocket_info>();
  auto terms = terms_.read();
  info->subprotocol = std::move(terms.subprotocol);
  info->compressed = terms.compressed;
  if (!terms.request.empty()) info->request = read_upgrade_request(terms.request, who.address);
  who.websocket = std::move(info);
  return who;
}

// Handshake ---------------------------------------------------------------------------------------

void ws_stream::async_handshake(std::unique_ptr<ws_handshake> machine, handshake_handler done) {
  shaking_ = std::make_unique<shaking_part>(shaking_part{std::move(machine), std::move(done)});
  below_->attach(*this, shared_from_this());
  asio::post(io(), [self = shared_from_this()] {
    if (self->state_ == state::shaking) self->begin_shaking();
  });
}

void ws_stream::begin_shaking() {
  const std::string first = shaking_->machine->begin();
  if (!first.empty())
    if (const auto out = write_below(as_bytes(first)); !out) return handshake_over(out.error());
  shake();
}

void ws_stream::shake() {
  if (!inbox_.empty()) {
    auto step = shaking_->machine->feed(inbox_.content());
    inbox_.drop(step.consumed);
    if (!step.answer.empty())
      if (const auto out = write_below(as_bytes(step.answer)); !out && !step.failed) return handshake_over(out.error());
    if (step.failed) return handshake_over(*step.failed);
    if (step.agreed) {
      open(std::move(*step.agreed));
      return handshake_over({});
    }
  }
  if (below_fault_ && *below_fault_ == errc::end_of_stream)
    if (const auto step = shaking_->machine->ended(); step.failed) return handshake_over(*step.failed);
  if (below_fault_)
    return handshake_over(*below_fault_ == errc::end_of_stream
                              ? error(errc::reset, "the peer ended inside the WebSocket handshake")
                              : *below_fault_);
  wait_for_frames();
}

void ws_stream::handshake_over(result<void> outcome) {
  const auto part = std::move(shaking_);
  if (!outcome) {
    read_fault_ = outcome.error();
    if (!write_fault_) {  // what we answered is to arrive
      (void)closing_.fail(0, now());
      act(closing_action::end_stream);
    }
    write_fault_ = outcome.error();
  }
  if (part && part->done) part->done(std::move(outcome));
}

void ws_stream::refuse(int status, const std::string& why) {
  if (!shaking_) return;
  const std::string answer = shaking_->machine->refuse(status, why);
  (void)write_below(as_bytes(answer));
  shaking_->done = nullptr;
  handshake_over(error(errc::timeout, why));
}

void ws_stream::start_raw() {
  below_->attach(*this, shared_from_this());
  open({});
}

void ws_stream::open(ws_agreed agreed) {
  const bool handshaken = shaking_ != nullptr;
  if (agreed.deflate) {
    const bool client = rules_->role == codec::websocket_role::client;
    const auto ours = client ? of_client(*agreed.deflate) : of_server(*agreed.deflate);
    const auto theirs = client ? of_server(*agreed.deflate) : of_client(*agreed.deflate);
    decoder_ = codec::websocket_decoder(pool(), rules_->decoder, theirs);
    output_ = ws_output({rules_->mask, rules_->fragment_above, ours});
  }
  if (handshaken) terms_ = kept_ws_terms(agreed.terms);
  state_ = state::open;
  came_ = inbox_.size();
  heartbeat_.on_up(now());
  arm_timer();
}

// Reading -----------------------------------------------------------------------------------------

void ws_stream::attach(stream_events& events, std::shared_ptr<void> owner) {
  events_ = &events;
  owner_ = std::move(owner);
}

inline void ws_stream::took_in(std::size_t n, std::size_t room) noexcept {
  below_full_ = n == room;
  inbox_.filled(n);
  came_ += n;
  heartbeat_.on_received(os::coarse_now());
}

// Inline, as what comes around it, for what os::receive() says of returns.
/// @return false: nothing came
[[gnu::always_inline]] inline bool ws_stream::read_below() noexcept {
  if ((waits_below_ && !waits_bare_) || below_fault_) return false;
  const auto room = inbox_.room({pool(), poll().buffers()}, wanted_, rules_->batch_bytes);
  if (room.empty()) return no_room(), true;
  const auto n = below_->try_read(room);
  if (!n && n.error() == errc::would_block) return false;
  if (!n) {
    below_ended(n.error());
    return true;
  }
  took_in(*n, room.size());
  return true;
}

result<std::size_t> ws_stream::try_read(mutable_bytes into) noexcept { return decode(into, true); }

// As much of as many messages as are there and find room; of the stream below, one read unless that filled its room.
result<std::size_t> ws_stream::decode(mutable_bytes into, bool from_below) noexcept {
  std::size_t got = 0;
  const auto when = now();
  while (got < into.size()) {
    if (holds_output()) {
      got += copy_out(into.subspan(got));
    } else if (read_fault_) {
      break;
    } else if (!take_event(when, got != 0)) {
      if (decoder_.fault() != codec::websocket_fault::none || !from_below || !read_below()) break;
      from_below = below_full_;
    }
  }
  (void)flush_replies();
  if (got != 0) return got;
  if (read_fault_) return *read_fault_;
  return errc::would_block;
}

/// A fault waits for the next call, which finds it again, if messages came before it: what is answered to them goes out
/// before the Close.
/// @return false: nothing more without more bytes, or in this call
bool ws_stream::take_event(time_point when, bool handed_on) noexcept {
  const auto event = decoder_.next(inbox_.content(), when);
  if (!event) {
    if (handed_on) return false;
    fail(event.error());
    return true;
  }
  inbox_.drop(event->consumed);
  switch (event->what) {
    case websocket_event_kind::need_more: wanted_ = event->wanted; return false;
    case websocket_event_kind::message:
    case websocket_event_kind::piece: take_message(*event); break;
    case websocket_event_kind::ping: say(websocket_opcode::pong, event->message.payload); break;
    case websocket_event_kind::pong: take_pong(event->message.payload, when); break;
    case websocket_event_kind::close: take_close(event->close_code, event->message.text()); break;
  }
  return true;
}

void ws_stream::take_message(const codec::websocket_event& event) noexcept {
  message_view m = event.message;
  if (event.what == websocket_event_kind::piece) {
    m.first = event.first;
    m.more = !event.last;
  }
  hold_message(m);
}

void ws_stream::hold_message(const message_view& m) noexcept {
  handed_ = m;
  typed_left_ = codec::parts_framing::k_max_header;
}

/// @return false: none without more bytes, or in this call
bool ws_stream::next_message(message_view& m, time_point when, bool handed_on) noexcept {
  while (!holds_output()) {
    if (read_fault_) return false;
    if (const auto n = decoder_.next_whole(inbox_.content(), m); n != 0) {
      inbox_.drop(n);
      return true;
    }
    if (!take_event(when, handed_on)) return false;
  }
  typed_left_ = 0;
  m = std::exchange(handed_, {});
  return true;
}

std::size_t ws_stream::copy_out(mutable_bytes into) noexcept {
  std::size_t got = 0;
  if (typed_left_ != 0) {                                              // so the payload is whole
    std::array<std::byte, codec::parts_framing::k_max_header> header;  // NOLINT: filled in the next line
    (void)codec::parts_framing::encode_header(header.data(), handed_);
    got = std::min<std::size_t>(typed_left_, into.size());
    std::memcpy(into.data(), header.data() + (header.size() - typed_left_), got);
    typed_left_ = static_cast<std::uint8_t>(typed_left_ - got);
  }
  const std::size_t n = std::min(handed_.payload.size(), into.size() - got);
  if (n != 0) std::memcpy(into.data() + got, handed_.payload.data(), n);
  handed_.payload = handed_.payload.subspan(n);
  return got + n;
}

result<void> ws_stream::take(message_taker& to) {
  if (nothing_to_take()) return {};
  const auto when = heartbeat_.last_sign();  // then it came
  bool any = false;
  message_view m;
  kept_answer alone;  // NOLINT: filled as far as it is used
  const struct back {
    kept_answer*& place;
    kept_answer* const before;
    ~back() { place = before; }
  } outer{answer_, std::exchange(answer_, &alone)};
  while (state_ == state::open && next_message(m, when, any)) {
    if (!to.take(m)) {
      hold_message(m);
      break;
    }
    any = true;
    if (!nothing_to_take()) continue;
    wanted_ = 0;
    break;
  }
  if (alone.size != 0) {
    bytes frame = bytes(alone.frame).first(std::exchange(alone.size, 0));
    const auto n = below_->try_write(std::span(&frame, 1));
    if (!n || *n != frame.size())
      if (auto kept = hold_what_is_left(frame, n); !kept) return kept;
  }
  if (replies_wait()) (void)flush_replies();
  if (read_fault_ && !any && !holds_output()) return *read_fault_;
  return {};
}

result<std::size_t> ws_stream::fill() {
  if (!read_fault_ && decoder_.fault() != codec::websocket_fault::none) (void)take_event(now(), false);
  if (read_fault_) return *read_fault_;
  if (came_ == 0 || below_full_) (void)read_below();
  if (const auto n = std::exchange(came_, 0); n != 0) return n;
  if (read_fault_) return *read_fault_;
  return errc::would_block;
}

void ws_stream::take_pong(bytes payload, time_point when) noexcept {
  if (payload.size() == sizeof question_ && load_le<std::uint64_t>(payload.data()) == question_ && question_ != 0)
    return heartbeat_.on_answer(now());
  heartbeat_.on_received(when);
}

void ws_stream::take_close(std::uint16_t code, std::string_view reason) noexcept {
  try {
    notes().peers = close_note{code, std::string(reason)};
    read_fault_ = peer_closed(*notes().peers);
  } catch (const std::bad_alloc&) {
    read_fault_ = errc::no_memory;
  }
  // Unless ours is out already, it follows what our caller still wants to say: shutdown_write(), close().
  if (!closing_.may_send()) act(closing_.on_close(code, now()));
}

void ws_stream::fail(const error& why) noexcept {
  read_fault_ = why;
  note_reason(to_string(decoder_.fault()));
  act(closing_.fail(close_code_for(decoder_.fault()), now()));
}

// The peer did nothing wrong, and hears that.
void ws_stream::no_room() noexcept {
  read_fault_ = described(errc::no_memory, [] { return std::string("no buffer for a WebSocket frame"); });
  if (state_ != state::open) return;
  const auto fault = codec::websocket_fault::no_memory;
  note_reason(to_string(fault));
  act(closing_.fail(close_code_for(fault), now()));
}

void ws_stream::below_ended(const error& why) noexcept {
  below_fault_ = why;
  if (read_fault_) return;
  if (why != errc::end_of_stream)
    read_fault_ = why;
  else if (!decoder_.between_messages() || !inbox_.empty())
    read_fault_ = described(errc::truncated, [] { return std::string("the peer ended inside a WebSocket message"); });
  else
    read_fault_ = described(
        errc::reset, [] { return std::string("the peer ended the stream without closing the WebSocket (1006)"); });
}

void ws_stream::async_read(mutable_bytes into) {
  // What is here already will not wake us.
  auto n = decode(into, false);
  if (n || n.error() != errc::would_block) return tell_later(std::move(n));
  into_ = into;
  wait_for_frames();
}

bool ws_stream::async_wait_readable(bare_reader& whom) {
  reader_ = &whom;
  // What is here already will not wake us.
  if (!inbox_.empty() || !decoder_.between_messages()) decode_one();
  if (holds_output() || read_fault_) {
    tell_readable_later();
    return true;
  }
  readable_wanted_ = true;
  if (waits_below_) return true;
  if (bare_below_ == nullptr) return wait_for_frames(), true;
  settle();
  waits_below_ = waits_bare_ = true;
  if (bare_below_->async_wait_readable(*this)) return true;
  waits_below_ = waits_bare_ = false;
  wait_for_frames();
  return true;
}

// What comes before the next message is dealt with.
void ws_stream::decode_one() noexcept {
  const auto when = now();
  while (!holds_output() && !read_fault_ && take_event(when, false)) {
  }
  (void)flush_replies();
}

void ws_stream::settle() noexcept {
  if (state_ == state::open && decoder_.between_messages()) decoder_.settle();
  inbox_.settle({pool(), poll().buffers()});
  forget_unsent();
}

void ws_stream::wait_for_frames() {
  if (waits_below_) return;
  settle();
  const auto room = inbox_.room({pool(), poll().buffers()}, wanted_, state_ == state::shaking ? k_handshake_room : 0);
  if (room.empty()) {
    no_room();
    if (shaking_) return handshake_over(*read_fault_);
    if (!into_.empty() || std::exchange(readable_wanted_, false)) tell_later(*read_fault_);
    return;
  }
  waits_below_ = true;
  room_size_ = room.size();
  below_->async_read(room);
}

// What comes now is of no interest, but that it was read.
void ws_stream::linger() {
  inbox_.clear();
  wait_for_frames();
}

// The stream below keeps us meanwhile.
void ws_stream::on_read(result<std::size_t> outcome) {
  waits_below_ = false;
  waits_bare_ = false;
  if (state_ == state::lingering) return outcome ? linger() : end();
  outcome ? took_in(*outcome, room_size_) : below_ended(outcome.error());
  if (state_ == state::shaking) {
    if (shaking_) shake();
  } else if (state_ == state::open && !into_.empty()) {
    auto n = decode(into_, below_full_);
    if (!n && n.error() == errc::would_block) return wait_for_frames();
    into_ = {};
    tell_read(std::move(n));
  } else if (std::exchange(readable_wanted_, false)) {
    tell_readable();
  }
}

void ws_stream::on_readable() {
  waits_below_ = waits_bare_ = false;
  if (state_ == state::lingering) return linger();
  if (std::exchange(readable_wanted_, false)) tell_readable();
}

// A channel.
void ws_stream::expect() const noexcept {
  constexpr std::size_t k_owner_bytes = 768;
  os::prefetch<k_owner_bytes>(owner_.get());
}

void ws_stream::tell_later(result<std::size_t> outcome) {
  asio::post(io(), [self = shared_from_this(), outcome = std::move(outcome)] { self->tell_read(outcome); });
}

void ws_stream::tell_read(result<std::size_t> outcome) {
  if (events_ == nullptr) return;
  const auto keep = owner_;
  events_->on_read(std::move(outcome));
}

void ws_stream::tell_readable_later() {
  asio::post(io(), [self = shared_from_this()] { self->tell_readable(); });
}

void ws_stream::tell_readable() {
  if (events_ == nullptr) return;
  if (poll().keep(owner_)) return reader_->on_readable();
  const auto keep = owner_;
  reader_->on_readable();
}

std::size_t ws_stream::unread() const noexcept {
  return state_ == state::open ? handed_.payload.size() + inbox_.size() + below_->unread() : 0;
}

// Life --------------------------------------------------------------------------------------------

bool ws_stream::ask_for_life() noexcept {
  if (state_ != state::open || !closing_.may_send() || !rules_->ask_when_idle) return false;
  if (heartbeat_.asking()) return true;
  if (!heartbeat_.ask_now(now())) return false;
  ask();
  return true;
}

stream_health ws_stream::health() const noexcept { return {heartbeat_.round_trip(), heartbeat_.misses()}; }

// Behind our Close nothing is sent; any sign of the peer counts then, and without one it is lost in the same time.
void ws_stream::ask() noexcept {
  if (closing_.may_send()) {
    std::array<std::byte, sizeof question_> payload;  // NOLINT: filled in the next line
    store_le(payload.data(), ++question_);
    say(websocket_opcode::ping, payload);
    (void)flush_replies();
    forget_unsent();
  }
  wrote_ = false;
  arm_timer();
}

void ws_stream::arm_timer() noexcept {
  const auto next = state_ == state::lingering ? closing_.next() : heartbeat_.next();
  if (!next) return;
  try {
    set_timer(io(), *next);
  } catch (const std::exception&) {
    end();
  }
}

error ws_stream::silent() const {
  const std::string times = std::to_string(heartbeat_.misses());
  return {errc::timeout, closing_.may_send()
                             ? "the peer answered none of the last " + times + " WebSocket pings (ping_misses)"
                             : "the peer sent nothing behind our Close for " + times + " x ping_timeout (ping_misses)"};
}

void ws_stream::on_time() {
  const auto keep = shared_from_this();
  const auto when = now();
  if (state_ == state::lingering) {
    if (closing_.on_timer(when) == closing_action::hang_up) return end();
  } else if (state_ == state::open) {
    // Whoever does not read cannot blame the peer for its silence. Nor can who has not asked yet: the ping waits for
    // the end of a long frame, and the peer takes that.
    if (!waits_below_ || (replies_wait() && std::exchange(wrote_, false))) heartbeat_.on_received(when);
    switch (heartbeat_.on_timer(when)) {
      case session::heartbeat_action::none: break;
      case session::heartbeat_action::ask: return ask();
      case session::heartbeat_action::dead:
        read_fault_ = write_fault_ = silent();
        if (!std::exchange(into_, {}).empty() || std::exchange(readable_wanted_, false)) tell_read(*read_fault_);
        return;
    }
  }
  arm_timer();
}

}  // namespace ferry::net
