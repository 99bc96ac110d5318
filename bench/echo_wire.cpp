// What the load of an echo says, laid out before anything is timed.
#include <algorithm>

#include "bench/echo_parts.hpp"
#include "bench/sockets.hpp"
#include "codec/websocket_frame.hpp"

namespace ferry::bench {
namespace {

constexpr std::size_t k_most_in_flight = k_echo_buffer / 2;  // bytes on one connection, without framing

/// A different key for each message; nobody is to be protected from guessing them here.
codec::websocket_mask_key key_of(std::size_t i) {
  const auto digit = [i](std::size_t factor) { return static_cast<std::byte>((i * factor + 1) & 0xff); };
  return {digit(31), digit(87), digit(151), digit(211)};
}

void put_frame(std::vector<std::byte>& to, std::span<const std::byte> payload, const codec::websocket_header& header) {
  const auto at = to.size();
  to.resize(at + codec::k_max_websocket_header);
  to.resize(at + codec::encode_websocket_header(to.data() + at, header));
  to.insert(to.end(), payload.begin(), payload.end());
}

}  // namespace

echo_stream::echo_stream(std::vector<std::byte> bytes, std::size_t window)
    : bytes_(std::move(bytes)), period_(bytes_.size()) {
  while (bytes_.size() < period_ + window) bytes_.push_back(bytes_[bytes_.size() - period_]);
}

std::size_t echo_stream::message_size() const noexcept { return period_ / k_echo_period; }

std::vector<std::byte> echo_payload(std::size_t i, std::size_t size) {
  std::vector<std::byte> payload(size);
  for (std::size_t at = 0; at < size; ++at) payload[at] = static_cast<std::byte>((i * 37 + at) & 0xff);
  return payload;
}

echo_wire make_echo_wire(std::size_t size, std::size_t in_flight, const echo_framer& question,
                         const echo_framer& answer) {
  std::vector<std::byte> questions;
  std::vector<std::byte> answers;
  for (std::size_t i = 0; i < k_echo_period; ++i) {
    const auto payload = echo_payload(i, size);
    question(questions, payload);
    answer(answers, payload);
  }
  const auto window = [in_flight](const auto& stream) { return in_flight * (stream.size() / k_echo_period); };
  const auto asked = window(questions);
  const auto answered = window(answers);
  return {{std::move(questions), asked}, {std::move(answers), answered}};
}

echo_wire unframed_echo(std::size_t size, std::size_t in_flight) {
  const auto verbatim = [](std::vector<std::byte>& to, std::span<const std::byte> payload) {
    to.insert(to.end(), payload.begin(), payload.end());
  };
  return make_echo_wire(size, in_flight, verbatim, verbatim);
}

echo_wire websocket_echo(std::size_t size, std::size_t in_flight) {
  std::size_t number = 0;
  const auto masked = [&number](std::vector<std::byte>& to, std::span<const std::byte> payload) {
    const auto key = key_of(number++);
    codec::websocket_header header;
    header.length = payload.size();
    header.mask = key;
    put_frame(to, payload, header);
    codec::apply_websocket_mask(mutable_bytes(to).last(payload.size()), key);
  };
  const auto plain = [](std::vector<std::byte>& to, std::span<const std::byte> payload) {
    codec::websocket_header header;
    header.length = payload.size();
    put_frame(to, payload, header);
  };
  return make_echo_wire(size, in_flight, masked, plain);
}

result<void> check_echo_plan(const echo_plan& plan) {
  if (auto outcome = in_range("the size of a message", plan.size, 1, 4096); !outcome) return outcome.error();
  if (auto outcome = in_range("the number of connections", plan.connections, 1, 1000); !outcome) return outcome.error();
  if (auto outcome = in_range("the messages in flight", plan.in_flight, 1, 256); !outcome) return outcome.error();
  return in_range("the bytes in flight on a connection", plan.in_flight * plan.size, 1, k_most_in_flight);
}

}  // namespace ferry::bench
