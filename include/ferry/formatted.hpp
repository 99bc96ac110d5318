#pragma once
/// Values instead of bytes on a channel: a format of the caller's says how a value lies in a message. For virtual
/// connections of a gateway as for every other channel.

#include <ferry/channel.hpp>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace ferry {

/// How values of one type lie in messages. Both functions are called on the context's thread, from inside of the calls
/// below or by the event loop, and may not use the channel that they are for.
template <class Value>
struct message_format {
  /// Appends the message of `value` to `into`, which is empty. @return why it cannot be one: any error
  std::function<result<void>(const Value& value, std::vector<std::byte>& into)> encode;
  /// @param message  whole, from a peer that is not to be believed; valid during the call
  /// @return its value | why it is none, protocol as a rule
  std::function<result<Value>(bytes message)> decode;
};

/// A channel of which one type of value is sent and received. A handle as the channel is, which is still there for all
/// the rest. A message that the format refuses is told in its turn, and the channel goes on: whether it should be
/// closed is for the caller to say. Thread safety: the context's thread only.
template <class Value>
class formatted_channel {
 public:
  formatted_channel() noexcept = default;
  /// @param on  a channel; what is sent and received on it beside this object is not this object's
  /// @param with  both functions are set
  formatted_channel(channel on, message_format<Value> with)
      : channel_(std::move(on)), format_(std::make_shared<const message_format<Value>>(std::move(with))) {}

  explicit operator bool() const noexcept { return static_cast<bool>(channel_); }
  [[nodiscard]] channel& base() noexcept { return channel_; }
  [[nodiscard]] const channel& base() const noexcept { return channel_; }

  /// @return what `encode` refuses it with | as channel::try_send
  [[nodiscard]] result<void> try_send(const Value& value) {
    room_.clear();
    if (auto made = format_->encode(value, room_); !made) return made;
    return channel_.try_send(bytes(room_));
  }

  /// As try_send, but waits for room; `value` is encoded at once and need not stay. Completes with (error_code);
  /// cancellable while it waits.
  template <class Token>
  auto async_send(const Value& value, Token&& token) {
    const auto made = std::make_shared<std::vector<std::byte>>();
    const auto fine = format_->encode(value, *made);
    return boost::asio::async_initiate<Token, void(error_code)>(
        [on = channel_, made, fine](auto handler) {
          const auto slot = boost::asio::get_associated_cancellation_slot(handler);
          detail::send_completion done(on.executor(), std::move(handler));
          if (!fine) return done(fine.error().code());
          auto to = on;
          to.async_send(bytes(*made),
                        boost::asio::bind_cancellation_slot(
                            slot, [made, done = std::move(done)](error_code failed) mutable { done(failed); }));
        },
        token);
  }

  /// The value of the oldest message that waits. @return what `decode` refuses it with | as channel::try_receive
  [[nodiscard]] result<Value> try_receive() {
    const auto came = channel_.try_receive();
    if (!came) return came.error();
    return format_->decode(came->payload());
  }

  /// Completes with (error_code, Value): the code of what `decode` refuses the message with | as
  /// channel::async_receive. Without a value it is Value{}. Cancellable.
  template <class Token>
  auto async_receive(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, Value)>(
        [on = channel_, format = format_](auto handler) {
          const auto slot = boost::asio::get_associated_cancellation_slot(handler);
          detail::completion<error_code, Value> done(on.executor(), std::move(handler));
          auto from = on;
          from.async_receive(boost::asio::bind_cancellation_slot(
              slot, [format, done = std::move(done)](error_code failed, const message& came) mutable {
                if (failed) return done(failed, Value{});
                auto value = format->decode(came.payload());
                if (!value) return done(value.error().code(), Value{});
                done({}, std::move(*value));
              }));
        },
        token);
  }

  /// As channel::on_message, with values; a message that `decode` refuses comes as its error.
  void on_value(std::function<void(result<Value>)> handler) {
    if (!handler) return channel_.on_message(nullptr);
    channel_.on_message([format = format_, handler = std::move(handler)](const message_view& m) {
      handler(format->decode(m.payload));
    });
  }

 private:
  channel channel_;
  std::shared_ptr<const message_format<Value>> format_;
  std::vector<std::byte> room_;  // of the last value sent
};

}  // namespace ferry
