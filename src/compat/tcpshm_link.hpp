#pragma once
/// What is behind a connection, whatever protocol it speaks: its files and memory, its end of the socket, and who owns
/// them when.
///
///     offline --CTL: begin_join--> joining --polling thread--> joined --CTL: go_live--> live --CTL: end--> offline
///                                                              joined --CTL: end--> offline
///     offline --CTL: begin_move--> moving --polling thread--> moved --CTL: begin_join--> joining
///     offline --CTL: begin_prepare--> preparing --polling thread--> prepared --CTL: begin_join--> joining
///                                                                   prepared --CTL: end--> offline
///
/// Files and rings belong to the polling thread in every state, so that messages may be pushed at any time. What moves
/// bytes over TCP belongs to the polling thread while live over TCP, else to the CTL thread; the socket beside shared
/// memory to the CTL thread. What one of them leaves for the other one is handed over by the state, or by over_: stored
/// with release, loaded with acquire.

#include <ferry/compat/tcpshm.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "compat/tcpshm_settings.hpp"
#include "os/unique_fd.hpp"
#include "ring/tcpshm_ring.hpp"
#include "session/login.hpp"

namespace ferry::compat::tcpshm {

using sequence_range = codec::tcpshm::range;

/// Why a connection is over.
struct ending {
  std::string reason;
  int system_errno = 0;
};

/// What the other side has said.
struct join_request {
  bool as_client = false;
  // Of protocol::tcpshm.
  bool begins = false;    ///< a new session: what is queued goes
  sequence_range remote;  ///< the peer's numbers
  // Of protocol::ferry.
  session::login said;
  os::unique_fd ring;  ///< the peer's; in shared memory
};

struct join_outcome {
  enum class kind : std::uint8_t {
    good,
    file_error,  ///< `why`
    mismatch,    ///< `numbers`
    refused,     ///< `why`; of a server: `login` tells the peer
    again,       ///< a client that has begun a new session, and is to log in once more
  };
  kind how = kind::good;
  error why;
  sequence_mismatch numbers{};
  sequence_range local;  ///< of protocol::tcpshm
  session::login login;  ///< of protocol::ferry: what to say
};

class link {
 public:
  enum class state : std::uint8_t { offline, moving, moved, preparing, prepared, joining, joined, live };

  explicit link(const settings& how, std::string remote_name) : how_(&how), remote_name_(std::move(remote_name)) {}
  link(const link&) = delete;
  link& operator=(const link&) = delete;
  virtual ~link() = default;
  /// As the settings say. @param remote_name  empty: not known yet
  [[nodiscard]] static std::unique_ptr<link> make(const settings& how, std::string remote_name);

  // The polling thread.
  // ------------------------------------------------------------------------------------------------------------------

  [[nodiscard]] virtual message_header* alloc(std::size_t size) noexcept = 0;
  /// @param more  nothing is sent yet
  [[nodiscard]] virtual std::error_code push(bool more) noexcept = 0;
  [[nodiscard]] virtual const message* front() = 0;
  virtual void pop() noexcept = 0;
  [[nodiscard]] virtual connection::progress where() const noexcept = 0;
  /// Bytes of what was pushed, as they lie in the queue or the ring, that the peer is not known to have consumed.
  [[nodiscard]] virtual std::size_t unacknowledged() const noexcept = 0;
  /// Messages, and bytes of their bodies.
  using backlog = ring::tcpshm_backlog;
  // For channels, which speak protocol::tcpshm alone; nothing elsewhere. Counted when asked, message by message where
  // the wire has no numbers.

  /// Messages that were pushed, and that the peer is not known to have consumed.
  [[nodiscard]] virtual std::uint64_t unacknowledged_messages() const noexcept { return 0; }
  /// Bytes that were pushed since the object was made, as they lie in the queue or the ring.
  [[nodiscard]] virtual std::uint64_t pushed_bytes() const noexcept { return 0; }
  /// What has come and was not popped; of a live connection.
  [[nodiscard]] virtual backlog waiting() const noexcept { return {}; }
  [[nodiscard]] std::uint64_t discarded() const noexcept { return discarded_; }
  /// Of those, what was discarded since this was last asked.
  [[nodiscard]] std::uint64_t newly_discarded() noexcept {
    return discarded_ - std::exchange(discarded_told_, discarded_);
  }
  void close();
  [[nodiscard]] bool is_closed() const noexcept {
    return state_.load(std::memory_order_acquire) != state::live || over_.load(std::memory_order_acquire);
  }

  /// One round over TCP. @param deliver  called with each message until one is not popped
  template <class Deliver>
  void poll_tcp(std::int64_t now, Deliver&& deliver) {
    if (!take_turn()) return;
    begin_turn(now);
    deliver_all(deliver);
    if (!is_closed()) end_turn();
  }
  template <class Deliver>
  void poll_shm(Deliver&& deliver) {
    if (!take_turn()) return;
    begin_look();
    deliver_all(deliver);
    if (!is_closed()) end_look();
  }

  /// While moving: gives the files back. From then on another thread polls, and this one must not.
  void leave() noexcept {
    release();
    enter(state::moved);
  }

  // The CTL thread.
  // ------------------------------------------------------------------------------------------------------------------

  [[nodiscard]] state where_in_life() const noexcept { return state_.load(std::memory_order_acquire); }
  [[nodiscard]] const std::string& remote_name() const noexcept { return remote_name_; }
  [[nodiscard]] const settings& how() const noexcept { return *how_; }
  [[nodiscard]] bool uses_shm() const noexcept { return uses_shm_.load(std::memory_order_relaxed); }

  void begin_move() noexcept { enter(state::moving); }
  /// While offline.
  void begin_prepare(bool use_shm) noexcept {
    uses_shm_.store(use_shm, std::memory_order_relaxed);
    enter(state::preparing);
  }
  /// While offline, moved or prepared.
  void begin_join(bool use_shm, join_request request) noexcept {
    uses_shm_.store(use_shm, std::memory_order_relaxed);
    request_ = std::move(request);
    enter(state::joining);
  }
  /// Once joined or prepared.
  [[nodiscard]] const join_outcome& outcome() const noexcept { return outcome_; }
  /// What goes to the peer beside a login, once joined or prepared; -1: nothing.
  [[nodiscard]] virtual int shared_fd() const noexcept { return -1; }
  /// Once joined, well.
  void go_live(os::unique_fd fd, std::int64_t now) {
    open(std::move(fd), now);
    enter(state::live);
  }
  /// Live in shared memory: what comes and goes over the socket beside it.
  virtual void tend(std::int64_t now) = 0;
  /// Live: the same client has logged in again, so that this connection ends with the next poll of its group.
  void displace() noexcept { displaced_.store(true, std::memory_order_relaxed); }
  /// Why a live connection is over, if it is.
  [[nodiscard]] std::optional<ending> over() const {
    if (over_.load(std::memory_order_acquire)) return why_;  // pairs with: give_up
    return uses_shm() ? over_beside() : std::nullopt;
  }
  void end() noexcept {
    shut();
    enter(state::offline);
  }

  // Where both threads are one: clients.
  // ------------------------------------------------------------------------------------------------------------------

  /// What the polling thread does with preparing, and with joining.
  void prepare() {
    outcome_ = prepare_login();
    enter(state::prepared);
  }
  void join() {
    over_.store(false, std::memory_order_relaxed);
    displaced_.store(false, std::memory_order_relaxed);
    outcome_ = join_now();
    enter(state::joined);
  }
  /// Gives all files back.
  virtual void release() noexcept = 0;

 protected:
  // The polling thread's.
  void give_up(const ending& why);
  virtual void begin_turn(std::int64_t now) = 0;
  virtual void end_turn() = 0;
  virtual void begin_look() {}
  virtual void end_look() {}
  /// After a callback that was given a message. @return whether it was popped
  [[nodiscard]] virtual bool delivered() = 0;
  /// A callback has thrown: where there are transactions, it has done nothing, and its message comes again.
  virtual void undo() noexcept {}
  /// Offline: nothing of the last connection is needed any more.
  virtual void rest() noexcept = 0;
  [[nodiscard]] virtual join_outcome prepare_login() = 0;
  [[nodiscard]] virtual join_outcome join_now() = 0;

  // The CTL thread's.
  virtual void open(os::unique_fd fd, std::int64_t now) = 0;
  virtual void shut() noexcept = 0;
  [[nodiscard]] virtual std::optional<ending> over_beside() const = 0;

  const settings* how_;
  std::string remote_name_;
  join_request request_;
  std::uint64_t discarded_ = 0;  // the polling thread's
  std::uint64_t discarded_told_ = 0;

 private:
  void enter(state next) noexcept { state_.store(next, std::memory_order_release); }
  /// @return whether to work on a live connection
  [[nodiscard]] bool take_turn();
  template <class Deliver>
  void deliver_all(Deliver&& deliver) {
    // A peer that goes on writing does not keep the others waiting.
    for (int i = 0; i < k_batch; ++i) {
      const message* const m = front();
      if (m == nullptr) return;
      try {
        deliver(*m);
      } catch (...) {
        undo();
        throw;
      }
      if (!delivered()) return;  // it comes again
    }
  }
  static constexpr int k_batch = 256;

  std::atomic<bool> uses_shm_{false};
  std::atomic<state> state_{state::offline};
  join_outcome outcome_;
  ending why_;                     // of over_
  std::atomic<bool> over_{false};  // the polling thread will not touch the socket again
  std::atomic<bool> displaced_{false};
};

}  // namespace ferry::compat::tcpshm
