// How a stream channel comes by a stream, and what it keeps when that goes.
#pragma once

#include "channel/stream_channel.hpp"

namespace ferry::detail {

template <codec::framing F>
stream_channel<F>::stream_channel(context& where, std::string url, std::shared_ptr<const options> with,
                                  std::unique_ptr<destination> to)
    : link_channel(where, std::move(url), std::move(with), {F::k_carries_kind, F::k_carries_type}, to != nullptr),
      to_(std::move(to)),
      inbound_(where.buffers(), options_->max_message, options_->batch_bytes),
      outbox_(where.buffers(), options_->batch_bytes),
      staging_(where.buffers(), options_->batch_bytes) {}

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
}

template <codec::framing F>
void stream_channel<F>::start(std::shared_ptr<stream> connected, std::shared_ptr<void> slot) {
  if (state() == channel_state::closed) return connected->close();
  stream_ = std::move(connected);
  accepted(std::move(slot));
}

template <codec::framing F>
peer_info stream_channel<F>::begin_connection() {
  stream_->attach(*this, this->shared_from_this());
  write_blocked_ = false;
  write_error_.reset();
  inbound_.clear();
  return stream_->peer();
}

template <codec::framing F>
void stream_channel<F>::abort_connection() noexcept {
  if (!stream_) return;
  unread_at_cut_ = stream_->unread();
  stream_->close();
}

template <codec::framing F>
link_channel::remains stream_channel<F>::end_connection() {
  remains left;
  left.unread_bytes = inbound_.pending() + unread_at_cut_ + stream_->unread();
  left.wanted_to_write = write_blocked_ || write_error_;
  std::exchange(stream_, nullptr)->close();
  read_armed_ = write_blocked_ = false;
  if (!in_batch_) inbound_.clear();
  left.took = outbox_.rewind(left.cut_inside);
  publish_outbox();
  return left;
}

template <codec::framing F>
void stream_channel<F>::drop_first_frame() noexcept {
  outbox_.drop_first_frame();
  publish_outbox();
}

template <codec::framing F>
taken stream_channel<F>::drop_queue() noexcept {
  collect_staged();
  const taken dropped{outbox_.messages(), outbox_.byte_count()};
  outbox_.clear();
  return dropped;
}

}  // namespace ferry::detail
