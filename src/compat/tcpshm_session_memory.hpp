#pragma once
/// The memory of both sides' rings that carries a session: each reads the other one's where it lies. One thread at a
/// time uses it. Source: docs/sessions.md.

#include "os/bell.hpp"
#include "os/peer_ring.hpp"
#include "os/session_store.hpp"
#include "os/unique_fd.hpp"

namespace ferry::compat::tcpshm {

/// What the bytes on the socket beside the memory say.
inline constexpr std::byte k_wakes{0};
inline constexpr std::byte k_ends{1};

class session_memory {
 public:
  /// After the logins: the session's input is the peer's ring from now on. @param ring  came with the peer's login
  /// @param peer_has_barriers  as the peer's login says; `store` outlives this
  [[nodiscard]] static result<std::unique_ptr<session_memory>> attach(os::session_store& store,
                                                                      const os::unique_fd& ring,
                                                                      bool peer_has_barriers);
  /// @param socket  for waking the peer
  void open(os::unique_fd socket) noexcept { socket_ = std::move(socket); }

  /// After outputs have become visible.
  void tell_reader() noexcept {
    if (peer_reads_.ring()) [[unlikely]]
      say(k_wakes);
  }
  /// After a position may have been published.
  void tell_writer(session::persistent_session& s) noexcept {
    if (s.input().published_lately()) [[unlikely]]
      tell_writer_slowly(s);
  }
  void say(std::byte what) noexcept;
  /// Somebody has cut the peer's ring off.
  [[nodiscard]] bool torn() const noexcept { return peer_.guard->torn(); }

 private:
  session_memory(os::session_store& store, os::peer_ring peer, bool fenced) noexcept;
  void tell_writer_slowly(session::persistent_session& s) noexcept;

  os::peer_ring peer_;
  os::bell peer_reads_;  // rung when records became visible
  os::bell we_wait_;     // for room; whoever polls never sleeps
  os::bell we_read_;     // for a record; the same
  os::bell peer_waits_;  // rung when room was made for a producer that waits for it
  os::unique_fd socket_;
};

}  // namespace ferry::compat::tcpshm
