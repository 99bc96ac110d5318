#pragma once
/// What a WebSocket decoder says about a stream, as lines that can be compared: "text Hello", "binary ...", "ping x",
/// "pong x", "close 1000 bye", "fault 1002". What tests and fuzz targets listen with. Nothing else uses it.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "codec/websocket_decoder.hpp"

namespace ferry::codec {

using transcript = std::vector<std::string>;

/// Shows a decoder bytes as they come, and keeps what it leaves, in memory of exactly that size.
class websocket_listener {
 public:
  explicit websocket_listener(websocket_decoder& decoder) noexcept : decoder_(&decoder) {}

  /// @return false after a fault
  bool hear(bytes fresh, time_point now = {}) {
    std::vector<std::byte> shown;
    shown.reserve(left_.size() + fresh.size());
    shown.insert(shown.end(), left_.begin(), left_.end());
    shown.insert(shown.end(), fresh.begin(), fresh.end());
    mutable_bytes rest(shown);
    for (;;) {
      const auto event = decoder_->next(rest, now);
      if (!event) {
        lines_.push_back("fault " + std::to_string(close_code_for(decoder_->fault())));
        return false;
      }
      rest = rest.subspan(event->consumed);
      if (event->what == websocket_event_kind::need_more) break;
      note(*event);
    }
    left_.assign(rest.begin(), rest.end());
    return true;
  }

  [[nodiscard]] const transcript& lines() const noexcept { return lines_; }
  /// Events so far, a piece counted as one.
  [[nodiscard]] std::size_t events() const noexcept { return events_; }
  /// Bytes that the decoder has left.
  [[nodiscard]] std::size_t pending() const noexcept { return left_.size(); }

 private:
  void note(const websocket_event& event) {
    ++events_;
    const std::string payload(event.message.text());
    const char* const kind = event.message.kind == message_kind::text ? "text " : "binary ";
    switch (event.what) {
      case websocket_event_kind::need_more: break;
      case websocket_event_kind::message: lines_.push_back(kind + payload); break;
      case websocket_event_kind::piece:
        if (event.first == gathering_) lines_.emplace_back("a piece out of place");
        gathering_ = true;
        gathered_ += payload;
        if (!event.last) break;
        gathering_ = false;
        lines_.push_back(kind + std::exchange(gathered_, {}));
        break;
      case websocket_event_kind::ping: lines_.push_back("ping " + payload); break;
      case websocket_event_kind::pong: lines_.push_back("pong " + payload); break;
      case websocket_event_kind::close:
        lines_.push_back("close " + std::to_string(event.close_code) + " " + payload);
        break;
    }
  }

  websocket_decoder* decoder_;
  std::vector<std::byte> left_;
  transcript lines_;
  std::size_t events_ = 0;
  bool gathering_ = false;
  std::string gathered_;
};

/// The same, from the first byte to the last, `portion` bytes at a time.
[[nodiscard]] inline transcript hear_all(buffer_pool& pool, bytes wire, std::size_t portion,
                                         const websocket_decoder_options& options,
                                         std::optional<deflate_direction> inflate = {}) {
  websocket_decoder decoder(pool, options, inflate);
  websocket_listener listener(decoder);
  for (std::size_t at = 0; at < wire.size(); at += portion)
    if (!listener.hear(wire.subspan(at, std::min(portion, wire.size() - at)))) break;
  return listener.lines();
}

}  // namespace ferry::codec
