// How a stream channel comes by a stream, and what it keeps when that goes.
#pragma once

#include <array>

#include "channel/stream_channel.hpp"
#include "codec/websocket_frame.hpp"
#include "net/lingers.hpp"
#include "net/socket_poll.hpp"
#include "net/ws_close.hpp"

namespace ferry::detail {

template <codec::framing F>
[[nodiscard]] auto inbound_for(buffer_pool& pool, const options& with) {
  if constexpr (codec::carries_parts<F>) {
    return inbound_messages();
  } else {
    return inbound<F>(pool, with.max_message, with.batch_bytes);
  }
}

template <codec::framing F>
stream_channel<F>::stream_channel(context& where, shared_url url, std::shared_ptr<const options> with,
                                  std::unique_ptr<destination> to)
    : link_channel(where, std::move(url), std::move(with),
                   {F::k_carries_kind, F::k_carries_type, codec::carries_parts<F>}, to != nullptr),
      to_(std::move(to)),
      inbound_(inbound_for<F>(where.buffers(), *options_)),
      outbox_(where.buffers(), options_->batch_bytes,
              &boost::asio::use_service<net::socket_poll>(where.io()).buffers()),
      staging_(options_->senders == senders_kind::many
                   ? std::make_unique<staging>(where.buffers(), options_->batch_bytes)
                   : nullptr) {}

template <codec::framing F>
stream_channel<F>::~stream_channel() {
  attempt_.reset();
  if (stream_) stream_->close();
}

template <codec::framing F>
void stream_channel<F>::begin_attempt() {
  attempt_ = to_->transport->connect(where_, to_->where, *options_, [this](result<std::shared_ptr<stream>> outcome) {
    const auto keep = this->shared_from_this();
    attempt_.reset();
    if (!outcome) return attempt_failed(outcome.error());
    stream_ = std::move(*outcome);
    connected();
  });
  attempt_->on_handshake([this] { this->report_attempt(attempt_step::handshake); });
}

template <codec::framing F>
void stream_channel<F>::start(std::shared_ptr<stream> connected, std::shared_ptr<void> slot) {
  if (state() == channel_state::closed) return connected->close();
  stream_ = std::move(connected);
  net::keep_place(*stream_, slot);
  accepted(std::move(slot));
}

template <codec::framing F>
std::optional<peer_info> stream_channel<F>::begin_connection() {
  bare_ = dynamic_cast<net::bare_wait*>(stream_.get());
  stream_->attach(*this, this->shared_from_this());
  write_blocked_ = false;
  write_error_.reset();
  inbound_.clear();
  if constexpr (codec::carries_parts<F>) inbound_.attach(dynamic_cast<net::message_source*>(stream_.get()));
  if (our_note_) (void)stream_->set_close_note(our_note_->code, our_note_->reason);
  return std::nullopt;
}

template <codec::framing F>
void stream_channel<F>::abort_connection() noexcept {
  if (!stream_) return;
  unread_at_cut_ = stream_->unread();
  say_given_up();
  stream_->close();
}

// What was read and not delivered is no longer the kernel's to tell of by a reset. The header of a message of one byte,
// and then the end, says so: docs/wire.md. A WebSocket that has the peer's Close already answers it by "going away";
// without one it says so, or what it was told to, by itself.
template <codec::framing F>
void stream_channel<F>::say_given_up() noexcept {
  if constexpr (codec::carries_parts<F>) {
    if (stream_->unread() == 0 || !stream_->peer_close_note()) return;
    (void)stream_->set_close_note(codec::websocket_close_code::going_away, {});
  } else {
    std::size_t unread = inbound_.pending();
    if (in_batch_ && unread != 0)  // the first message is being delivered
      if (const auto first = inbound_.at(0)) unread -= first->consumed;
    if (unread == 0 || sending_ended() || write_error_ || outbox_.inside_a_frame()) return;
    const std::byte one{};
    std::array<std::byte, F::k_max_header> header;  // NOLINT: filled by encode_header
    const bytes mark = bytes(header).first(F::encode_header(header.data(), {bytes(&one, 1)}));
    (void)stream_->try_write(std::span(&mark, 1));
  }
}

template <codec::framing F>
bool stream_channel<F>::peer_gave_up() const noexcept {
  if constexpr (codec::carries_parts<F>) {
    // Who has read our Close answers it by the same code; one of its own was sent before.
    const auto says = stream_ ? stream_->peer_close_note() : std::nullopt;
    if (!says || says->code == codec::websocket_close_code::none || says->code == codec::websocket_close_code::normal)
      return false;
    return says->code != (our_note_ ? our_note_->code : codec::websocket_close_code::normal);
  } else {
    const auto last = inbound_.at(0);
    return last && last->total == last->header + 1 && inbound_.pending() == last->header;
  }
}

template <codec::framing F>
link_channel::remains stream_channel<F>::end_connection() {
  remains left;
  left.unread_bytes = inbound_.pending() + unread_at_cut_ + stream_->unread();
  left.wanted_to_write = write_blocked_ || write_error_;
  const auto says = stream_->peer_close_note();
  peers_note_ = says ? std::make_unique<close_note>(*says) : nullptr;
  (void)this->peer();  // it can still say
  bare_ = nullptr;
  // Who breaks the rules of a framing may be of another kind than ours, and hears nothing.
  if constexpr (codec::carries_parts<F>) say_given_up();
  std::exchange(stream_, nullptr)->close();
  read_armed_ = write_blocked_ = false;
  if (codec::carries_parts<F> || !in_batch_) inbound_.clear();
  left.took = outbox_.rewind(left.cut_inside);
  if (const auto orphans = drop_orphans(); orphans != 0) {
    left.took.messages += orphans;
    left.cut_inside = false;
  }
  publish_outbox();
  return left;
}

template <codec::framing F>
void stream_channel<F>::drop_first_frame() noexcept {
  outbox_.drop_first_frame();
  (void)drop_orphans();
  publish_outbox();
}

template <codec::framing F>
std::uint64_t stream_channel<F>::drop_orphans() noexcept {
  std::uint64_t dropped = 0;
  if constexpr (codec::carries_parts<F>) {
    for (; !outbox_.empty() && !F::read_header(outbox_.first_frame().data()).first; ++dropped) {
      taken_bytes_ += outbox_.first_frame().size();
      outbox_.drop_first_frame();
    }
    if (outbox_.empty()) parts_.lose();
  }
  return dropped;
}

template <codec::framing F>
result<void> stream_channel<F>::set_close_note(std::uint16_t code, std::string_view reason) {
  if (!codec::carries_parts<F>) return errc::unsupported;
  if (auto fits = net::check_close_note(code, reason); !fits) return fits;
  if (stream_) (void)stream_->set_close_note(code, reason);
  our_note_ = std::make_unique<close_note>(close_note{code, std::string(reason)});
  return {};
}

template <codec::framing F>
std::optional<close_note> stream_channel<F>::peer_close_note() const {
  if (stream_) return stream_->peer_close_note();
  return peers_note_ ? std::optional(*peers_note_) : std::nullopt;
}

template <codec::framing F>
taken stream_channel<F>::drop_queue() noexcept {
  collect_staged();
  const taken dropped{outbox_.messages(), outbox_.byte_count()};
  outbox_.clear();
  return dropped;
}

}  // namespace ferry::detail
