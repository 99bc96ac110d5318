#include "apps/ferry/replay_view.hpp"

namespace ferry::app {

void unmasker::enter_payload() noexcept {
  turn_ = 0;
  at_ = left_ == 0 ? state::first : state::payload;
}

void unmasker::pass(mutable_bytes data) noexcept {
  for (auto& b : data) {
    switch (at_) {
      case state::first: at_ = state::second; break;
      case state::second: {
        masked_ = (b & std::byte{0x80}) != std::byte{0};
        const auto length = std::to_integer<std::uint8_t>(b & std::byte{0x7f});
        left_ = length < 126 ? length : 0;
        missing_ = length < 126 ? 0 : length == 126 ? 2 : 8;
        if (missing_ != 0) {
          at_ = state::length;
        } else if (masked_) {
          missing_ = 4;
          at_ = state::key;
        } else {
          enter_payload();
        }
        break;
      }
      case state::length:
        left_ = left_ << 8 | std::to_integer<std::uint64_t>(b);
        if (--missing_ != 0) break;
        if (masked_) {
          missing_ = 4;
          at_ = state::key;
        } else {
          enter_payload();
        }
        break;
      case state::key:
        key_[4u - missing_] = b;
        b = std::byte{0};
        if (--missing_ == 0) enter_payload();
        break;
      case state::payload:
        if (masked_) b ^= key_[turn_++ % 4];
        if (--left_ == 0) at_ = state::first;
        break;
    }
  }
}

replay_view::replay_view(protocol spoken) noexcept
    : http_(spoken == protocol::http_then_websocket), frames_(spoken != protocol::plain), blanker_(k_other_each_time) {}

void replay_view::pass(codec::flow_side from, mutable_bytes data) noexcept {
  if (http_) {
    data = data.subspan(blanker_.blank(from, data));
    http_ = !blanker_.over();
  }
  if (frames_) unmaskers_[codec::index_of(from)].pass(data);
}

}  // namespace ferry::app
