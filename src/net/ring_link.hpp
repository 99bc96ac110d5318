#pragma once
/// A connection through shared memory: two directions of rings and the Unix socket beside them, and the steps that
/// lead there. Whoever waits, blocking or in an event loop, waits for the socket and calls on_readable().

#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "os/bell.hpp"
#include "os/mapping.hpp"
#include "os/unique_fd.hpp"
#include "ring/ring_hello.hpp"

namespace ferry::net {

/// One end of a connection, for one thread (each producer for one of its own). The peer may write anything into the
/// memory at any time.
struct ring_link {
  os::unique_fd socket;
  peer_info peer;
  os::mapping out_memory;          // ours: we publish records in it
  os::mapping in_memory;           // the peer's
  std::vector<ring_producer> out;  // one for each ring
  std::vector<ring_consumer> in;
  ring::geometry in_sizes;
  os::bell peer_reads;                  // rung when a record was published
  os::bell we_wait;                     // for room
  os::bell we_read;                     // for a record
  os::bell peer_waits;                  // rung when room was made for a producer that waits for it
  std::atomic<std::uint64_t> wakes{0};  // bytes written to the socket

  /// After publishing. One load while the peer is awake.
  void tell_reader() noexcept {
    if (peer_reads.ring()) [[unlikely]]
      wake_through_socket();
  }
  /// After `one`, of `in`, may have published its position.
  void tell_writer(ring_consumer& one) noexcept {
    if (one.published_lately()) tell_writer_slowly(one);
  }
  void tell_writer_slowly(ring_consumer& one) noexcept;
  void wake_through_socket() noexcept;
  /// Takes the bytes that woke us, or a part of them if there are very many. @return false: the peer is gone, or has
  /// closed its end
  [[nodiscard]] bool take_wakes() noexcept;
  /// Whether a record, an end or something corrupt waits in any ring.
  [[nodiscard]] bool something() const noexcept {
    for (const auto& one : in)
      if (one.something() && !one.ended() && !one.corrupt()) return true;
    return false;
  }
  /// Whether more than `records` records, or something corrupt, lie in ring `i` of `in`.
  [[nodiscard]] bool holds_more_than(std::size_t i, std::uint64_t records) const noexcept;
  /// For loops that look until there is something, after each look in vain.
  void pause() noexcept { in.size() == 1 ? in.front().pause() : ring_pause(); }
};

/// The path of the socket that an endpoint's name stands for.
/// @return bad_address (empty, with '/', too long) | what os::runtime_directory says
[[nodiscard]] result<std::string> ring_socket_path(const std::string& name, const options& with, bool create);

/// Our outgoing memory, fresh. @return no_memory | bad_option
struct outgoing_memory {
  os::unique_fd fd;
  os::mapping at;
  ring::geometry sizes;
  std::uint64_t epoch = 0;
};

/// The connecting end's part of the handshake.
class ring_connecting {
 public:
  /// Connects and says hello. @return refused | not_found | busy | no_memory | permission ...
  [[nodiscard]] static result<ring_connecting> start(const std::string& name, const options& with);
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  /// The socket is readable. @return would_block (wait on) | the listener's refusal | protocol | unsupported | ...
  [[nodiscard]] result<std::unique_ptr<ring_link>> on_readable();

 private:
  os::unique_fd socket_;
  peer_info peer_;
  outgoing_memory out_;
};

/// The listening end's part.
class ring_accepting {
 public:
  ring_accepting(os::unique_fd socket, peer_info peer, std::string name, const options& with)
      : socket_(std::move(socket)), peer_(std::move(peer)), name_(std::move(name)), with_(&with) {}
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  [[nodiscard]] const peer_info& peer() const noexcept { return peer_; }
  /// As for ring_connecting; the peer is told of an error.
  [[nodiscard]] result<std::unique_ptr<ring_link>> on_readable();

 private:
  [[nodiscard]] result<std::unique_ptr<ring_link>> welcome();
  os::unique_fd socket_;
  peer_info peer_;
  std::string name_;
  const options* with_;  // the listener's, which outlives us
};

}  // namespace ferry::net
