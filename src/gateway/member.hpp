#pragma once
/// One physical connection at a gateway: a client, a server, or somebody who has still to prove to be one.

#include <ferry/buffer_pool.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "codec/gateway_packet.hpp"
#include "gateway/resumable.hpp"
#include "gateway/send_queue.hpp"
#include "gateway/settings.hpp"
#include "session/virtual_connections.hpp"

namespace ferry::gateway {

class member;

/// What a member asks of the gateway that it belongs to.
class member_owner {
 public:
  /// A server said who it is, and has proved that it may. @return false: there is no room for it
  virtual bool arrived(member& who, std::uint32_t id) = 0;
  /// A whole packet came from it.
  virtual void heard(member& who) = 0;
  /// A packet came. @return protocol: a breach of it | null: not for anybody else | whom it is for
  virtual result<session::gateway_member*> sort(member& from, const codec::gateway::packet& what) = 0;
  /// A command came, whose turn it is. @return true: `from` must wait, and it was not taken
  virtual bool must_wait(member& from, bytes command) = 0;
  /// That many whole packets of one virtual connection or several, for one member. @return false: `from` must wait, and
  /// nothing was taken
  virtual bool forward(member& from, session::gateway_member& to, bytes packets, std::size_t count) = 0;
  /// Is over. Ended later, from the event loop: who calls this may go on.
  virtual void doom(member& who, error why) = 0;
  /// Half of its queue is free again, and somebody waits for that.
  virtual void drained(member& who) = 0;
  /// Something was written to its stream, or could not be. @param batches  that begin with this: 0 or 1
  virtual void wrote(std::size_t batches) noexcept = 0;
  /// Has something to send that may wait until what came at once has been read.
  virtual void flush_later(member& who) = 0;
  [[nodiscard]] virtual const settings& with() const noexcept = 0;
  /// What a server's login, of login_size() bytes at least, has come to.
  [[nodiscard]] virtual result<login_outcome> check(bytes login, const codec::gateway::challenge& asked) = 0;
  [[nodiscard]] virtual buffer_pool& buffers() noexcept = 0;
  /// The pool has nothing for `asking`. @return true: somebody else, who does not read, is over, and has given back
  /// what waited for it
  [[nodiscard]] virtual bool make_room(const member& asking) = 0;
  /// For what does not fit into a member's own buffer; good until the call returns that it is used in.
  [[nodiscard]] virtual mutable_bytes large_buffer() noexcept = 0;

 protected:
  ~member_owner() = default;
};

/// How long something lasted, each time and in all.
class lasting {
 public:
  /// Without effect while it lasts.
  void begin() noexcept {
    if (began_ == time_point{}) began_ = std::chrono::steady_clock::now();
  }
  void end() noexcept {
    if (began_ != time_point{}) before_ += std::chrono::steady_clock::now() - std::exchange(began_, time_point{});
  }
  [[nodiscard]] duration total(time_point now) const noexcept {
    return before_ + (began_ == time_point{} ? duration::zero() : now - began_);
  }

 private:
  duration before_{};
  time_point began_{};
};

///   client   up --> doomed
///   server   proving --login--> up --> doomed
/// A member that is doomed reads and sends nothing more.
class member final : public session::gateway_member, public stream_events, public std::enable_shared_from_this<member> {
 public:
  enum class state : std::uint8_t { proving, up, doomed };

  /// @param asked  of a server: the challenge that is sent first
  member(member_owner& owner, std::shared_ptr<stream> carrier, const side_settings& with);
  void start_client();
  void start_server(const codec::gateway::challenge& asked);
  /// Nothing more is read or sent.
  void doom() noexcept { state_ = state::doomed; }
  [[nodiscard]] bool is_doomed() const noexcept { return state_ == state::doomed; }
  [[nodiscard]] bool is_up() const noexcept { return state_ == state::up; }
  /// Lets go of the connection.
  void close() noexcept { carrier_->close(); }
  /// Tells the peer that nothing follows; what waits is sent as far as that goes at once.
  void end();

  /// Its stream waits for another connection.
  [[nodiscard]] bool is_between_connections() const noexcept { return resumes_ != nullptr && resumes_->is_waiting(); }
  /// Whether it has gone on over another connection since this was asked last.
  [[nodiscard]] bool has_come_again() noexcept {
    const auto now = resumes_ == nullptr ? 0 : resumes_->resumed();
    return std::exchange(resumed_, now) != now;
  }
  /// It is not read: it waits for others.
  [[nodiscard]] bool is_held() const noexcept { return waits_in != nullptr || holds != 0; }
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string address() const { return carrier_->peer().address; }
  [[nodiscard]] std::size_t waiting_packets() const noexcept { return queue_.packets(); }
  [[nodiscard]] std::size_t waiting_bytes() const noexcept { return queue_.size(); }
  /// Bytes of the pool that what waits for it takes.
  [[nodiscard]] std::size_t memory() const noexcept { return queue_.taken(); }
  /// For how long its stream has taken nothing of that; 0: there was room.
  [[nodiscard]] duration stuck(time_point now) const noexcept {
    return waiting_writable_ ? now - took_ : duration::zero();
  }
  /// What waits for it is never sent: it is doomed.
  void drop_queue() noexcept { queue_.clear(); }

  /// For its end: now, or from flush() on. @return false: the queue is full, even after what could be sent was sent;
  /// nothing was taken
  /// @param above_limit  true: it is taken whatever the limit says, and leaves to commands what is theirs
  [[nodiscard]] bool send(bytes packets, std::size_t count, bool above_limit = false);
  /// A command of the gateway. @return false: as of send(); a few are taken above the limit
  /// @param more  bytes behind its arguments, at most k_most_more
  /// @param above_limit  true: it is taken whatever waits
  static constexpr std::size_t k_most_more = 64;
  [[nodiscard]] bool send(const codec::gateway::command& what, bytes more = {}, bool above_limit = false);
  /// Sends what waits. The rest follows when there is room.
  void flush();

  /// Who cannot be read until this one has sent some of what waits. Told to go on by the owner.
  std::vector<member*> held_back;
  /// The same of those on other threads: through whom, and for which virtual connection; 0: who would dial.
  std::vector<std::pair<session::gateway_member*, std::uint32_t>> held_far;
  std::vector<member*>* waits_in = nullptr;  ///< with whom this one waits
  std::size_t holds = 0;                     ///< members on other threads that it waits for
  lasting held;                              ///< that it is not read
  lasting blocked;                           ///< that its stream had no room for what waits
  /// Half of the queue is free again.
  [[nodiscard]] bool has_room() const noexcept;
  /// Goes on with what was read before it had to wait.
  void go_on();

  // The owner's notes.
  std::list<member*>* home = nullptr;  // those of its kind, whoever has been silent longest first
  std::list<member*>::iterator place;  // of this one in there
  time_point last_heard{};
  std::string counted_as;  // address_of() it
  bool flush_noted = false;

 private:
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override;
  void read();
  void wait_writable();
  template <class Take>
  [[nodiscard]] bool take_memory(const Take& take);
  [[nodiscard]] bool append(bytes packets, std::size_t count);
  void take(bytes data);
  /// Packets that follow each other and go to the same member.
  struct run {
    bytes data;
    std::size_t begin = 0;  ///< of the first one
    std::size_t at = 0;     ///< behind the last one
    std::size_t packets = 0;
    session::gateway_member* to = nullptr;  ///< null: not for a member
    std::uint32_t connection = 0;
  };
  /// @return bytes used up
  std::size_t take_packets(bytes data);
  [[nodiscard]] bool hand_on(run& what);
  [[nodiscard]] bool is_incomplete() const noexcept;
  std::size_t take_login(bytes data);
  void keep(bytes rest);
  [[nodiscard]] bool fits(std::size_t more, std::size_t packets) const noexcept;

  member_owner& owner_;
  std::shared_ptr<stream> carrier_;
  const resumable* resumes_;   // what carrier_ is besides; null: nothing
  std::uint64_t resumed_ = 0;  // times, when has_come_again() was asked
  const side_settings& side_;
  codec::gateway::packet_decoder decoder_;
  std::unique_ptr<std::byte[]> small_;  // side_.buffer_size
  pooled_buffer rest_;                  // of a packet that has not come as a whole, or that has to wait
  std::size_t rest_size_ = 0;
  send_queue queue_;
  std::size_t packets_above_ = 0, bytes_above_ = 0;  // taken above the limit since there was room
  codec::gateway::challenge asked_{};
  state state_ = state::up;
  time_point took_{};  // when its stream began to have no room, or took something since
  bool reading_ = false;
  bool waiting_writable_ = false;
};

}  // namespace ferry::gateway
