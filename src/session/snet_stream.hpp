#pragma once
/// A stream of bytes that outlives its connections, of the compatible kind: what either end keeps of it. Counts what
/// was written and received, keeps the last bytes written, and says which of them a peer that comes again has not got.
/// Source: docs/gateway.md. The handshakes are in snet_handshake.hpp.

#include <ferry/buffer_pool.hpp>
#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/time.hpp"
#include "codec/snet_messages.hpp"

namespace ferry::session {

enum class snet_end : std::uint8_t { client, server };

struct snet_options {
  codec::snet::form form = codec::snet::form::newer;
  bool encrypt = false;                  ///< with RC4; both ends need the same
  std::size_t history_bytes = 1 << 15;   ///< of what was written last, for sending again; 1 at least
  std::size_t history_limit = 8u << 20;  ///< to which that grows with what is under way, from a pool; less: it does not
  friend bool operator==(const snet_options&, const snet_options&) = default;
};

/// Room for what the histories of several streams grow by, together. One thread.
struct history_room {
  std::uint64_t most = UINT64_MAX;  ///< bytes
  std::uint64_t taken = 0;
  std::uint64_t refused = 0;  ///< writes for which a history could not grow: there was no room, or the pool had no more
};

class snet_stream {
 public:
  snet_stream(const snet_options& options, std::uint64_t id, const codec::snet::shared_key& key, snet_end end);
  ~snet_stream() { charge(0); }
  snet_stream(const snet_stream&) = delete;
  snet_stream& operator=(const snet_stream&) = delete;

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] const codec::snet::shared_key& key() const noexcept { return key_; }
  [[nodiscard]] const codec::snet::counts& counts() const noexcept { return counts_; }

  /// Lets the history grow from there: neither kind of stream acknowledges anything before it is resumed, so whatever
  /// the peer has not surely received is kept, up to history_limit; above it, or where the pool has no more, the oldest
  /// bytes go. Before it has grown. @param pool  must outlive all writing @param room  null: without a limit of all
  void grow_from(buffer_pool& pool, std::shared_ptr<history_room> room = nullptr) noexcept {
    pool_ = &pool;
    room_ = std::move(room);
  }
  [[nodiscard]] bool has_grown() const noexcept { return static_cast<bool>(grown_); }
  [[nodiscard]] std::size_t history_capacity() const noexcept { return capacity_; }

  /// Bytes for the peer, in order. What of them goes over a connection that then breaks is sent again from the history:
  /// more in flight at that moment than it holds is the end of the stream, so who writes should wait while there is no
  /// connection. @param wire  as long as `plain` at least, and may be the same bytes: what is to be sent
  void write(bytes plain, mutable_bytes wire);
  /// Bytes from the peer; deciphered in place. Counted as received, whether somebody reads them or not.
  void receive(mutable_bytes wire) noexcept;

  /// What a peer that comes again has not received: the end of what was written, in two parts, to be sent as it is.
  struct replay {
    bytes first, second;
  };
  /// @param peer  what it says of itself @return protocol: the counts cannot be, with the numbers | truncated: it lacks
  /// more than the history holds, with both numbers. After an error the stream is dead.
  [[nodiscard]] result<replay> resume(const codec::snet::counts& peer) const;
  /// Whether the peer says what it would have said earlier: less than it has received and sent by now. An opening that
  /// somebody says again does.
  [[nodiscard]] bool is_outdated(const codec::snet::counts& peer) const noexcept {
    return peer.received <= counts_.written && (peer.written < counts_.received || peer.received < told_);
  }
  /// The last bytes written. @param size  what the history holds, at most
  [[nodiscard]] replay last(std::size_t size) const noexcept;

  /// Of the last bytes written the peer lacks so many, and all others it has: it has said so.
  void settle(std::size_t lacking) noexcept;
  /// Something came from the peer while all that was written had gone out. What had gone out k_settled before that has
  /// arrived, for the connection lives; a history that has grown gives back what it needs no more.
  void heard();
  /// k_step has passed in which this thread could hear the peer. Time in which it stood still is none: what is heard
  /// then may have come at its beginning.
  void passed() noexcept { ran_ += k_step; }
  static constexpr duration k_settled = std::chrono::seconds(10);
  static constexpr duration k_step = std::chrono::seconds(1);

 private:
  struct mark {
    std::uint64_t written;
    duration at;
  };
  [[nodiscard]] const std::byte* data() const noexcept { return grown_ ? grown_.data() : history_.data(); }
  [[nodiscard]] std::size_t held() const noexcept { return static_cast<std::size_t>(counts_.written - oldest_); }
  void make_room(std::size_t size);
  [[nodiscard]] pooled_buffer larger(std::uint64_t wanted);
  void charge(std::size_t grown) noexcept;
  void move_to(pooled_buffer grown, std::size_t capacity);
  void copy_in(std::uint64_t at, bytes what) noexcept;

  std::uint64_t id_;
  codec::snet::shared_key key_;
  bool encrypt_;
  codec::snet::rc4 outgoing_, incoming_;
  codec::snet::counts counts_;
  std::size_t least_, limit_;       // bytes of the history
  std::size_t capacity_;            // of the ring that it is: byte n of the stream lies at n modulo this
  std::vector<std::byte> history_;  // where it lies as long as `least_` is enough; grows with what is written
  pooled_buffer grown_;             // where else
  buffer_pool* pool_ = nullptr;
  std::shared_ptr<history_room> room_;
  std::size_t charged_ = 0;    // of that
  std::uint64_t oldest_ = 0;   // that it holds
  std::uint64_t settled_ = 0;  // the peer has received what is before this
  std::uint64_t told_ = 0;     // and has said so of this
  std::optional<mark> mark_;   // of a history that has grown
  duration ran_{};             // by steps
};

}  // namespace ferry::session
