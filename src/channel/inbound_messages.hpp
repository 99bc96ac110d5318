#pragma once
/// In the place of `inbound`, where a stream finds the messages itself and keeps what has come.

#include <cstddef>

#include "net/message_source.hpp"

namespace ferry {

class inbound_messages {
 public:
  /// What is read from now on; null: a stream of bytes, that cannot be read.
  void attach(net::message_source* from) noexcept { from_ = from; }

  /// As of net::message_source.
  [[nodiscard, gnu::always_inline]] result<std::size_t> fill() { return from_ == nullptr ? none() : from_->fill(); }
  /// Hands every message to `deliver(const message_view&) -> bool`; false: this one was not taken, it comes again.
  template <class Deliver>
  result<void> take(Deliver deliver) {
    struct taker final : net::message_taker {
      explicit taker(Deliver& whom) : to(whom) {}
      [[nodiscard]] bool take(const message_view& m) override { return to(m); }
      Deliver& to;
    };
    taker each(deliver);
    return from_ != nullptr ? from_->take(each) : result<void>();
  }

  /// Whether take() has nothing to hand on.
  [[nodiscard]] bool empty() const noexcept { return from_ == nullptr || from_->empty(); }
  /// As of net::message_source.
  [[nodiscard]] std::size_t keep_answer(const message_view& m) noexcept {
    return from_ == nullptr ? 0 : from_->keep_answer(m);
  }
  /// Bytes that were taken from the stream and not delivered.
  [[nodiscard]] static std::size_t pending() noexcept { return 0; }
  void filled(std::size_t) noexcept {}
  void settle() noexcept {}
  void clear() noexcept { from_ = nullptr; }

 private:
  [[nodiscard]] static result<std::size_t> none() {
    return error(errc::unsupported, "a stream of messages that hands none on");
  }

  net::message_source* from_ = nullptr;
};

}  // namespace ferry
