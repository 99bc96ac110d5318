#pragma once
/// A channel over a connection of the poll API, which somebody polls on the context's thread. What both ends have in
/// common; see tcpshm_connecting.cpp and tcpshm_listening.cpp.
///
/// The connection's queue is the channel's: what is sent lies in it until the peer has acknowledged it. A message that
/// came is popped before a handler has it, as the original's page says; it is handed out once, or, if the process dies
/// meanwhile, not at all.

#include <ferry/compat/tcpshm.hpp>

#include <vector>

#include "channel/link_channel.hpp"
#include "compat/tcpshm_turns.hpp"

namespace ferry::compat::tcpshm {

/// What the poll API is told of a channel's options.
struct carried_options {
  options with;
  std::string directory;
  std::string name;
  std::string host;
  std::uint16_t port = 0;
  bool shm = false;
  turns::pace pace;
  std::shared_ptr<const ferry::options> channel;  ///< as the channels have it: its limits are the queue's
};
/// @return bad_option | unsupported | bad_address
[[nodiscard]] result<carried_options> carried(const endpoint& where, const std::shared_ptr<const ferry::options>& with);
/// What one side says of itself in its login, `size` bytes of it.
[[nodiscard]] std::vector<std::byte> login_data(const ferry::options& with, std::size_t size);

class carrier : public detail::link_channel {
 public:
  carrier(context& where, std::string url, const carried_options& how, bool connects);

  [[nodiscard]] result<void> try_send(const message_view& m) override;
  [[nodiscard]] channel_stats stats() override;

  // Whoever polls.

  /// The connection has a message. Nothing happens where nobody takes it: it comes again.
  void offer(const message& m);
  /// After each poll. @return whether messages were taken since the one before
  [[nodiscard]] bool after_poll();
  /// Afterwards connected(), accepted() or came_back() is called.
  void came_up(peer_info who);
  void went_down(const std::string& reason, int system_errno);
  [[nodiscard]] bool is_up() const noexcept { return up_; }
  /// For good: while it is only ending, what waits for its peer still goes out.
  [[nodiscard]] bool gone() const noexcept { return state() == channel_state::closed; }

 protected:
  /// Where everything goes and comes from; outlives this, or is null.
  void use(connection* conn) noexcept { conn_ = conn; }
  [[nodiscard]] connection* at() const noexcept { return conn_; }
  virtual void poke() = 0;
  /// Ends the connection.
  virtual void hang_up() noexcept = 0;

  // channel_impl
  void resume_reading() override { poke(); }
  void pull_one() override;
  [[nodiscard]] bool could_pull() const override { return takes_from_peer() && conn_->front() != nullptr; }
  [[nodiscard]] std::size_t unsent_bytes() const noexcept override;
  [[nodiscard]] std::uint64_t queued_bytes() const noexcept override { return pushed_; }

  // link_channel
  [[nodiscard]] bool attached() const noexcept override { return up_; }
  [[nodiscard]] peer_info current_peer() const override { return who_; }
  [[nodiscard]] std::optional<peer_info> begin_connection() override { return who_; }
  void begin_flow() override { poke(); }
  void abort_connection() noexcept override;
  [[nodiscard]] remains end_connection() override;
  [[nodiscard]] result<void> end_sending() override;
  void post_flush() override;
  [[nodiscard]] bytes first_frame() const noexcept override { return {}; }
  void drop_first_frame() noexcept override {}
  ferry::taken drop_queue() noexcept override;
  void read_what_is_left() override {}
  [[nodiscard]] bool take_was_full() override;
  [[nodiscard]] const rare<error>& write_error() const noexcept override { return no_error_; }
  [[nodiscard]] bool write_blocked() const noexcept override { return false; }
  [[nodiscard]] std::size_t pending_bytes() const noexcept override { return 0; }

 private:
  [[nodiscard]] bool takes_from_peer() const noexcept {
    return up_ && !aborted_ && !refuses_peer_ && conn_ != nullptr && receiving();
  }
  [[nodiscard]] std::uint64_t unsent_messages() const noexcept;
  /// Whether something was pushed or acknowledged since this was last asked.
  [[nodiscard]] bool moved_on() noexcept;
  [[nodiscard]] bool is_silent(const message& m) const noexcept { return m.body.empty() && !options_->deliver_empty; }
  void hand_over(const message& m);

  connection* conn_ = nullptr;
  const std::uint16_t plain_type_;
  const std::size_t queue_bytes_;
  peer_info who_;
  bool up_ = false;
  bool aborted_ = false;
  bool refuses_peer_ = false;  // it has sent what it must not, which is about to be told
  bool was_full_ = false;
  bool flush_posted_ = false;
  std::uint64_t pushed_ = 0;     // bytes, as the queue counts them
  std::uint64_t discarded_ = 0;  // messages, where the two sides began anew
  std::uint64_t taken_ = 0;      // messages since after_poll()
  struct progress_seen {
    std::uint64_t pushed = 0, unacknowledged = 0;
    friend bool operator==(const progress_seen&, const progress_seen&) = default;
  };
  progress_seen seen_;
  std::vector<std::byte> copy_;
  const rare<error> no_error_;
};

}  // namespace ferry::compat::tcpshm
