#pragma once
/// What the measurements of bench_ring.hpp have in common: two processes with a connection of the poll API and one of
/// channels between them.

#include <ferry/channel.hpp>
#include <ferry/context.hpp>
#include <ferry/listener.hpp>
#include <ferry/ring.hpp>

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "apps/ferry/bench_ring.hpp"
#include "base/endian.hpp"
#include "bench/child.hpp"
#include "bench/in_step.hpp"

namespace ferry::app {

inline constexpr std::size_t k_max_rounds = 1000;

/// What the two processes share; `ring` and `other` are as in ring_comparison.
struct ring_board {
  bench::meeting_place steps;
  alignas(128) std::atomic<std::uint64_t> wrong{0};  // bits in which something differed
  alignas(128) std::int64_t ended{0};                // when the last message of a train had arrived
  std::array<double, k_max_rounds> ring{};
  std::array<double, k_max_rounds> other{};
};

/// What is sent lies ready in memory, as with a caller's payload: making it is no part of the figure. Message n says
/// n modulo 64 eight times.
class prepared_messages {
 public:
  static constexpr std::size_t k_size = 64;
  explicit prepared_messages(std::uint64_t what = 0) {
    for (std::uint64_t n = 0; n < k_numbers; ++n) all_[n].fill(word(n, what));
  }
  [[nodiscard]] bytes operator[](std::uint64_t n) const noexcept {
    return std::as_bytes(std::span(all_[n % k_numbers]));
  }
  /// 0 if this is message n.
  [[nodiscard]] static std::uint64_t difference(bytes body, std::uint64_t n, std::uint64_t what = 0) noexcept {
    if (body.size() != k_size) return 1;
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < k_size; i += 8) all |= load_le<std::uint64_t>(body.data() + i) ^ word(n, what);
    return all;
  }

 private:
  static constexpr std::uint64_t k_numbers = 64;
  static std::uint64_t word(std::uint64_t n, std::uint64_t what) noexcept { return n % k_numbers + what; }
  std::array<std::array<std::uint64_t, k_size / 8>, k_numbers> all_;
};

inline constexpr std::uint64_t k_answer = 1000;  ///< makes answers differ from questions
inline constexpr std::uint64_t k_train = 1000;   ///< round trips
inline constexpr int k_trains = 51;              ///< in a round

/// One end over the poll API.
class poll_end {
 public:
  /// @param accepting whether this end listens
  poll_end(const std::string& url, const options& with, bool accepting)
      : link_(accepting ? accepted(url, with) : connected(url, with)) {}

  [[nodiscard]] ring_connection& link() noexcept { return link_; }

 private:
  static ring_connection accepted(const std::string& url, const options& with);
  static ring_connection connected(const std::string& url, const options& with);
  ring_connection link_;
};

/// One end over a channel, with the event loop that it needs.
class channel_end {
 public:
  channel_end(const std::string& url, const options& with, bool accepting);

  [[nodiscard]] channel& link() noexcept { return link_; }
  [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }
  /// Turns the loop until a handler has called done(). @throws failure when the channel has ended
  void run();
  void done() noexcept { done_ = true; }

 private:
  void accept(const std::string& url, const options& with);
  void connect(const std::string& url, const options& with);

  boost::asio::io_context io_{1};
  context channels_{io_};
  std::optional<listener> arrivals_;
  channel link_;
  bool done_ = false;
};

/// Runs both sides, each in a process of its own, pinned; what they throw fails the measurement.
/// @param url of this measurement alone: the sides add a word of their own
using ring_side = std::function<void(bench::child& me, const std::string& url, ring_board& board)>;
[[nodiscard]] result<void> run_ring_sides(const ring_plan& plan, const bench::core_pair& cores, const ring_side& first,
                                          const ring_side& second, ring_board& board);
/// The same for comparisons, on the plan's cores or the first two.
[[nodiscard]] result<bench::ring_comparison> compare_ring_sides(const ring_plan& plan, const ring_side& first,
                                                                const ring_side& second);

}  // namespace ferry::app
