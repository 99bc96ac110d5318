#pragma once
/// Numbered messages of mixed sizes whose every byte follows from the number, and who sends and receives them: what was
/// torn, lost, doubled or put out of order shows.

#include <ferry/channel.hpp>

#include <array>
#include <atomic>
#include <boost/asio/post.hpp>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace ferry::test {

/// For rings of 64 KiB: most are small, one in 16 is larger than a quarter of the ring, one in 64 than all of it.
inline constexpr std::size_t k_numbered_ring = 64u << 10;

[[nodiscard]] inline std::size_t numbered_size(std::uint64_t number) {
  const std::uint64_t mixed = (number + 1) * 0x9e37'79b9'7f4a'7c15u;
  if (number % 64 == 63) return k_numbered_ring + mixed % (2 * k_numbered_ring);
  if (number % 16 == 15) return k_numbered_ring / 4 + mixed % (k_numbered_ring / 4);
  if (number % 4 == 3) return 8 + mixed % 4000;
  return 8 + mixed % 200;
}

/// The bytes of message `number` into `made`: the number, then what follows from it.
inline void make_numbered(std::uint64_t number, std::string& made) {
  made.resize(numbered_size(number));
  std::uint64_t word = number;
  for (std::size_t at = 0; at < made.size(); at += sizeof word) {
    std::memcpy(made.data() + at, &word, std::min(sizeof word, made.size() - at));
    word = word * 6364136223846793005u + 1442695040888963407u;
  }
}

/// The same as one record that fits into a small ring.
inline void make_numbered_record(std::uint64_t number, std::string& made) {
  make_numbered(number, made);
  made.resize(std::min<std::size_t>(made.size(), 6000));
}

/// Messages first, first + 1, ... next - 1, as one connection brought them.
struct span_of_numbers {
  std::atomic<std::uint64_t> first{0};
  std::atomic<std::uint64_t> next{0};  ///< equal to first: none
};

/// What a receiver has seen; in memory that outlives it if it is killed.
struct receiver_log {
  static constexpr std::size_t k_most = 64;
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> wrong{0};  ///< messages that are torn, doubled or out of order
  std::array<span_of_numbers, k_most> spans;

  [[nodiscard]] std::uint64_t received() const {
    std::uint64_t all = 0;
    for (const auto& one : spans) all += one.next - one.first;
    return all;
  }
};

/// Checks records that follow one another, from any number on.
class record_checker {
 public:
  record_checker(span_of_numbers& seen, std::atomic<std::uint64_t>& wrong) : seen_(&seen), wrong_(&wrong) {}
  void operator()(bytes record) {
    std::uint64_t number = 0;
    std::memcpy(&number, record.data(), std::min(sizeof number, record.size()));
    make_numbered_record(number, expected_);
    if (as_text(record) != expected_) *wrong_ += 1;
    if (!std::exchange(begun_, true)) {
      seen_->next = number;
      seen_->first = number;
    }
    if (number != seen_->next) *wrong_ += 1;
    seen_->next = number + 1;
  }

 private:
  span_of_numbers* seen_;
  std::atomic<std::uint64_t>* wrong_;
  std::string expected_;
  bool begun_ = false;
};

/// Checks what comes over each connection. Outlives the channels that it watches.
class numbered_receiver {
 public:
  explicit numbered_receiver(receiver_log& log) : log_(&log) {}
  void watch(channel& one) {
    auto& seen = log_->spans[log_->connections++ % receiver_log::k_most];
    one.on_message([this, &seen, expected = std::string(), begun = false](const message_view& m) mutable {
      std::uint64_t number = 0;
      std::memcpy(&number, m.payload.data(), std::min(sizeof number, m.payload.size()));
      if (!std::exchange(begun, true)) {
        seen.first = number;
        seen.next = number;
      }
      make_numbered(number, expected);
      if (number != seen.next || m.text() != expected) log_->wrong += 1;
      seen.next = number + 1;
    });
  }

 private:
  receiver_log* log_;
};

/// Sends first, first + 1, ... as fast as they are taken, up to `end`, a handful in each turn of the event loop.
class numbered_sender {
 public:
  numbered_sender(channel to, std::uint64_t first, std::uint64_t end)
      : state_(std::make_shared<state>(std::move(to), first, end)) {
    state_->to.on_drain([weak = std::weak_ptr(state_)] {
      if (const auto self = weak.lock()) feed(self);
    });
    feed(state_);
  }
  ~numbered_sender() { state_->end = 0; }
  numbered_sender(const numbered_sender&) = delete;
  numbered_sender& operator=(const numbered_sender&) = delete;

  /// The number after the last one that the channel took.
  [[nodiscard]] std::uint64_t next() const { return state_->next; }
  [[nodiscard]] bool full() const { return state_->full; }
  void stop() { state_->end = 0; }

 private:
  struct state {
    state(channel to_, std::uint64_t first, std::uint64_t end_) : to(std::move(to_)), next(first), end(end_) {}
    channel to;
    std::uint64_t next;
    std::uint64_t end;
    std::string message;
    bool full = false;
    bool posted = false;
  };
  static void feed(const std::shared_ptr<state>& self) {
    self->full = false;
    for (int i = 0; i < 32 && self->next < self->end; ++i) {
      make_numbered(self->next, self->message);
      if (const auto taken = self->to.try_send(as_bytes(self->message)); !taken) {
        self->full = taken.error() == errc::full;
        return;
      }
      self->next += 1;
    }
    if (self->next >= self->end || std::exchange(self->posted, true)) return;
    boost::asio::post(self->to.executor(), [weak = std::weak_ptr(self)] {
      const auto again = weak.lock();
      if (!again) return;
      again->posted = false;
      feed(again);
    });
  }
  std::shared_ptr<state> state_;
};

}  // namespace ferry::test
