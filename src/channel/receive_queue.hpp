#pragma once
/// Messages that have arrived and that nobody has asked for yet.

#include <ferry/message.hpp>
#include <ferry/options.hpp>

#include <boost/circular_buffer.hpp>
#include <cstddef>

#include "base/rare.hpp"
#include "channel/water_marks.hpp"
#include "os/readiness.hpp"

namespace ferry::detail {

class receive_queue {
 public:
  /// @param with  outlives the queue
  explicit receive_queue(const options& with) noexcept : with_(&with) {}
  explicit receive_queue(options&& with) = delete;

  [[nodiscard]] bool empty() const noexcept { return !held_ || held_->queue.empty(); }
  [[nodiscard]] std::size_t messages() const noexcept { return held_ ? held_->queue.size() : 0; }
  [[nodiscard]] std::size_t byte_count() const noexcept { return held_ ? held_->bytes : 0; }
  /// At a limit: nothing more should be read from the peer. A queue that is empty takes one message of any size.
  [[nodiscard]] bool full() const noexcept {
    const std::size_t most = with_->receive_queue_messages;
    return !empty() && (byte_count() >= with_->receive_queue_bytes || (most != 0 && messages() >= most) ||
                        held_->memory >= most_memory());
  }
  /// Far enough below the limits to read on.
  [[nodiscard]] bool drained() const noexcept {
    const std::size_t most = with_->receive_queue_messages;
    return byte_count() <= low_mark(with_->receive_queue_bytes, with_->receive_queue_low_bytes) &&
           (most == 0 || messages() <= most / 2) && (empty() || held_->memory <= most_memory() / 2);
  }

  /// @param lent  bytes of the buffer that the message is in
  void push(message m, std::size_t lent) {
    auto& [queue, bytes, memory] = held_.need();
    if (queue.full()) queue.set_capacity(std::max<std::size_t>(16, 2 * queue.capacity()));
    bytes += m.size();
    memory += sizeof(entry) + lent;
    queue.push_back({std::move(m), lent});
    if (ready_) ready_->raise();
  }
  [[nodiscard]] message pop() {
    auto& [queue, bytes, memory] = *held_;
    entry first = std::move(queue.front());
    queue.pop_front();
    bytes -= first.what.size();
    memory -= sizeof(entry) + first.lent;
    return std::move(first.what);
  }

  /// What messages may take beyond their bytes: small ones take a buffer each nevertheless.
  static constexpr std::size_t k_overhead = 1u << 20;

  /// @return the descriptor, or -1
  [[nodiscard]] int readiness_fd(bool ready_now) {
    if (!ready_) ready_ = os::readiness::make();
    if (!ready_) return -1;
    if (ready_now) ready_->raise();
    return ready_->fd();
  }
  /// The channel has ended, which is something to be received too.
  void raise() {
    if (ready_) ready_->raise();
  }
  /// Nothing was there to be received.
  void lower() {
    if (ready_) ready_->lower();
  }

 private:
  // Many channels hand every message on at once.
  struct entry {
    message what;
    std::size_t lent = 0;
  };
  struct held {
    boost::circular_buffer<entry> queue;
    std::size_t bytes = 0;
    std::size_t memory = 0;  // of the process, for them
  };
  [[nodiscard]] std::size_t most_memory() const noexcept { return with_->receive_queue_bytes + k_overhead; }

  const options* with_;
  rare<held> held_;
  std::unique_ptr<os::readiness> ready_;
};

}  // namespace ferry::detail
