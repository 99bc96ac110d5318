#pragma once
/// Several threads that send over one persistent session, and who receives that. Sending is a step of its own there, so
/// that a thread that is killed knows to one message what was taken. The books say it for each life of the client.

#include <ferry/channel.hpp>
#include <ferry/session.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "session_side.hpp"

namespace ferry::test {

struct spray_book {
  static constexpr std::size_t k_threads = 3;
  static constexpr std::size_t k_lives = 8192;
  struct life {
    std::uint64_t begins_at;                                     ///< number of the session's first message of this life
    std::array<std::atomic<std::uint64_t>, k_threads> messages;  ///< that were taken; that were received
  };
  std::atomic<std::uint64_t> lives;  ///< the first one is 1
  std::atomic<std::uint64_t> stop;
  std::atomic<std::uint64_t> sent;      ///< in all, when the last life ended
  std::atomic<std::uint64_t> received;  ///< in all
  std::array<life, k_lives> of;
};

/// Which message it is; followed by bytes that follow from that.
struct spray_number {
  std::uint64_t life = 0;
  std::uint64_t thread = 0;
  std::uint64_t index = 0;
};
inline void make_spray(const spray_number& which, std::string& made) {
  make_session_message(numbered_kind::request, which.life * 7919 + which.thread * 104729 + which.index, 6000, made);
  made.resize(std::max(made.size(), sizeof which));
  std::memcpy(made.data(), &which, sizeof which);
}

/// Sends from its threads until the book says stop; receives how many messages have come, in order.
class sprayer {
 public:
  sprayer(channel to, spray_book& book)
      : to_(std::move(to)), session_(must(persistent_session::of(to_), "session")), book_(book) {
    const std::uint64_t life = book.lives + 1;
    book.of.at(life).begins_at = session_.info().sent;
    book.lives = life;
    to_.on_message([this](const message_view& m) { told(m); });
    to_.on_drain([this] {
      drained_ += 1;
      drained_.notify_all();
    });
    for (std::size_t i = 0; i < spray_book::k_threads; ++i)
      threads_.emplace_back([this, life, i] {
        send_all(life, i);
        ended_ += 1;
      });
  }
  ~sprayer() {
    for (auto& one : threads_) one.join();
  }
  sprayer(const sprayer&) = delete;
  sprayer& operator=(const sprayer&) = delete;

  [[nodiscard]] channel& of() noexcept { return to_; }
  /// After the book has said stop.
  [[nodiscard]] bool all_answered() {
    const auto info = session_.info();
    book_.sent = info.sent;
    return ended_ == threads_.size() && info.acknowledged == info.sent && count() == info.sent;
  }

 private:
  void send_all(std::uint64_t life, std::size_t thread) {
    std::string text;
    auto& taken = book_.of[life].messages[thread];
    while (book_.stop == 0) {
      make_spray({life, thread, taken}, text);
      const auto drained = drained_.load();
      const auto sent = to_.try_send(as_bytes(text));
      if (sent)
        taken += 1;
      else if (sent.error() == errc::full)
        drained_.wait(drained);
      else
        std::terminate();
    }
  }
  [[nodiscard]] std::uint64_t count() const {
    std::uint64_t count = 0;
    if (const bytes state = session_.state(); !state.empty()) std::memcpy(&count, state.data(), sizeof count);
    return count;
  }
  void told(const message_view& m) {
    const std::uint64_t next = count() + 1;
    const auto text = std::string_view(reinterpret_cast<const char*>(&next), sizeof next);
    if (m.text() != text) give_up("answer " + std::to_string(next) + " is missing or doubled");
    must(session_.set_state(as_bytes(text)), "state");
  }

  channel to_;
  persistent_session session_;
  spray_book& book_;
  std::atomic<std::uint32_t> drained_{0};
  std::atomic<std::size_t> ended_{0};
  std::vector<std::thread> threads_;
};

/// Receives what they send, and answers each message with how many have come.
class collector {
 public:
  collector(channel from, spray_book& book)
      : from_(std::move(from)), session_(must(persistent_session::of(from_), "session")), book_(book) {
    from_.on_message([this](const message_view& m) { take(m); });
  }
  collector(const collector&) = delete;
  collector& operator=(const collector&) = delete;

 private:
  struct counts {
    std::uint64_t received = 0;
    std::uint64_t life = 0;
    std::array<std::uint64_t, spray_book::k_threads> next{};
  };
  void take(const message_view& m) {
    counts now;
    if (const bytes state = session_.state(); !state.empty()) std::memcpy(&now, state.data(), sizeof now);
    spray_number which;
    if (m.payload.size() < sizeof which) give_up("a message of another kind");
    std::memcpy(&which, m.payload.data(), sizeof which);
    if (which.life < now.life || which.life >= spray_book::k_lives || which.thread >= now.next.size())
      give_up("a message of an earlier life");
    if (which.life != now.life) now = {now.received, which.life, {}};
    make_spray(which, text_);
    if (which.index != now.next[which.thread] || m.text() != text_) give_up("a message is missing, doubled or torn");
    now.received += 1;
    now.next[which.thread] += 1;
    const auto count = std::string_view(reinterpret_cast<const char*>(&now.received), sizeof now.received);
    if (const auto sent = from_.try_send(as_bytes(count)); !sent) {
      if (sent.error() != errc::full) give_up("answer: " + sent.error().text());
      return must(session_.give_back(), "give back");
    }
    book_.of[which.life].messages[which.thread] = now.next[which.thread];
    book_.received = now.received;
    must(session_.set_state(as_bytes(std::string_view(reinterpret_cast<const char*>(&now), sizeof now))), "state");
  }

  channel from_;
  persistent_session session_;
  spray_book& book_;
  std::string text_;
};

}  // namespace ferry::test
