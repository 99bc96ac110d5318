#pragma once
/// Messages that have arrived and that nobody has asked for yet.

#include <ferry/message.hpp>
#include <ferry/options.hpp>

#include <boost/circular_buffer.hpp>
#include <cstddef>

#include "channel/water_marks.hpp"
#include "os/readiness.hpp"

namespace ferry::detail {

class receive_queue {
 public:
  explicit receive_queue(const options& with) noexcept
      : high_bytes_(with.receive_queue_bytes),
        low_bytes_(low_mark(with.receive_queue_bytes, with.receive_queue_low_bytes)),
        max_messages_(with.receive_queue_messages) {}

  [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }
  [[nodiscard]] std::size_t messages() const noexcept { return queue_.size(); }
  [[nodiscard]] std::size_t byte_count() const noexcept { return bytes_; }
  /// At a limit: nothing more should be read from the peer. A queue that is empty takes one message of any size.
  [[nodiscard]] bool full() const noexcept {
    return !queue_.empty() && (bytes_ >= high_bytes_ || (max_messages_ != 0 && queue_.size() >= max_messages_));
  }
  /// Far enough below the limits to read on.
  [[nodiscard]] bool drained() const noexcept {
    return bytes_ <= low_bytes_ && (max_messages_ == 0 || queue_.size() <= max_messages_ / 2);
  }

  void push(message m) {
    if (queue_.full()) queue_.set_capacity(std::max<std::size_t>(16, 2 * queue_.capacity()));
    bytes_ += m.size();
    queue_.push_back(std::move(m));
    if (ready_) ready_->raise();
  }
  [[nodiscard]] message pop() {
    message m = std::move(queue_.front());
    queue_.pop_front();
    bytes_ -= m.size();
    return m;
  }

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
  boost::circular_buffer<message> queue_;
  std::size_t bytes_ = 0;
  std::size_t high_bytes_, low_bytes_, max_messages_;
  std::unique_ptr<os::readiness> ready_;
};

}  // namespace ferry::detail
