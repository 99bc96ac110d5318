#pragma once
/// What is behind a connection: its queue or its rings, its end of the TCP connection, and who owns them when.
///
///     offline --CTL: begin_join--> joining --polling thread--> joined --CTL: go_live--> live --CTL: end--> offline
///                                                              joined --CTL: end--> offline
///     offline --CTL: begin_move--> moving --polling thread--> moved --CTL: begin_join--> joining
///
/// The queue and the rings belong to the polling thread in every state, so that messages may be pushed at any time. The
/// TCP end belongs to the polling thread while live over TCP, else to the CTL thread. What one of them leaves for the
/// other one is handed over by the state, or by over_: stored with release, loaded with acquire.

#include <ferry/compat/tcpshm.hpp>

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "compat/tcpshm_files.hpp"
#include "compat/tcpshm_settings.hpp"
#include "compat/tcpshm_tcp_end.hpp"
#include "ring/tcpshm_ring.hpp"
#include "session/tcpshm_queue.hpp"

namespace ferry::compat::tcpshm {

using sequence_range = codec::tcpshm::range;

struct join_request {
  bool begins = false;     ///< a new session: what is queued goes
  bool as_client = false;  ///< the server empties the rings
  sequence_range remote;   ///< the peer's numbers
};

struct join_outcome {
  enum class kind : std::uint8_t { good, file_error, mismatch };
  kind how = kind::good;
  error why;                    ///< file_error
  sequence_mismatch numbers{};  ///< mismatch
  sequence_range local;
};

class link {
 public:
  enum class state : std::uint8_t { offline, moving, moved, joining, joined, live };

  link(const settings& how, std::string remote_name);

  // The polling thread.
  // ------------------------------------------------------------------------------------------------------------------

  [[nodiscard]] message_header* alloc(std::size_t size) noexcept;
  [[nodiscard]] std::error_code push() noexcept;
  [[nodiscard]] const message* front();
  void pop() noexcept;
  void close();
  [[nodiscard]] bool is_closed() const noexcept {
    return state_.load(std::memory_order_acquire) != state::live || over_.load(std::memory_order_acquire);
  }
  /// Sends what waits.
  void flush();
  [[nodiscard]] connection::progress where() const noexcept;
  [[nodiscard]] std::uint64_t discarded() const noexcept { return discarded_; }

  /// One round over TCP. @param deliver  called with each message until one is not popped
  template <class Deliver>
  void poll_tcp(std::int64_t now, Deliver&& deliver) {
    if (!take_turn()) return;
    tcp_.tick(now);
    flush();
    receive();
    deliver_all(deliver);
    if (is_closed()) return;
    tend_queue();
    if (tcp_.over()) give_up(*tcp_.over());
  }
  template <class Deliver>
  void poll_shm(Deliver&& deliver) {
    if (take_turn()) deliver_all(deliver);
  }

  // The CTL thread.
  // ------------------------------------------------------------------------------------------------------------------

  [[nodiscard]] state where_in_life() const noexcept { return state_.load(std::memory_order_acquire); }
  [[nodiscard]] const std::string& remote_name() const noexcept { return remote_name_; }
  [[nodiscard]] const settings& how() const noexcept { return *how_; }
  [[nodiscard]] bool uses_shm() const noexcept { return uses_shm_.load(std::memory_order_relaxed); }

  void begin_move() noexcept { enter(state::moving); }
  /// While offline or moved.
  void begin_join(bool use_shm, const join_request& request) noexcept;
  /// Once joined.
  [[nodiscard]] const join_outcome& outcome() const noexcept { return outcome_; }
  /// Once joined, well.
  void go_live(os::unique_fd fd, std::int64_t now);
  /// Live in shared memory: heartbeats over TCP.
  void tend(std::int64_t now);
  /// Why a live connection is over, if it is.
  [[nodiscard]] std::optional<ending> over() const;
  void end() noexcept;

  // Where both threads are one: clients.
  // ------------------------------------------------------------------------------------------------------------------

  /// Another server; its files are others.
  void rename(std::string remote_name);
  /// Opens the queue. @return what to say in a login
  [[nodiscard]] result<sequence_range> prepare();
  /// What the polling thread does with joining.
  void join();
  /// Gives all files back.
  void release() noexcept;

 private:
  struct rings {
    held_file out_file, in_file;
    ring::tcpshm_ring_memory out_memory, in_memory;
    ring::tcpshm_ring_producer out;
    ring::tcpshm_ring_consumer in;
  };
  struct queue {
    held_file file;
    session::tcpshm_queue at;
  };

  void enter(state next) noexcept { state_.store(next, std::memory_order_release); }
  /// @return whether to work on a live connection
  [[nodiscard]] bool take_turn();
  template <class Deliver>
  void deliver_all(Deliver&& deliver) {
    // A peer that goes on writing does not keep the others waiting.
    for (int i = 0; i < k_batch; ++i) {
      const message* const m = front();
      if (m == nullptr) return;
      deliver(*m);
      if (front_) return;  // it was not popped, and comes again
    }
  }
  static constexpr int k_batch = 256;

  void give_up(const ending& why);
  void receive();
  void tend_queue();
  [[nodiscard]] const message* front_of_ring();
  [[nodiscard]] const message* front_of_queue();
  [[nodiscard]] result<void> open_queue(bool begins);
  [[nodiscard]] result<void> open_rings();
  [[nodiscard]] result<void> begin_rings(bool as_client);
  [[nodiscard]] join_outcome join_queue();
  [[nodiscard]] join_outcome join_rings();

  const settings* how_;
  std::string remote_name_;
  std::atomic<bool> uses_shm_{false};
  std::atomic<state> state_{state::offline};
  join_request request_;
  join_outcome outcome_;
  tcp_end tcp_;

  // The polling thread's.
  std::optional<queue> queue_;
  std::optional<rings> rings_;
  message_header* writing_ = nullptr;  // what alloc() gave
  std::optional<message> front_;
  std::size_t unacknowledged_ = 0;  // bytes that were consumed since something was sent
  std::uint64_t discarded_ = 0;
  ending why_;                     // of over_
  std::atomic<bool> over_{false};  // the polling thread will not touch the TCP end again
};

}  // namespace ferry::compat::tcpshm
