#include "compat/tcpshm_session_memory.hpp"

#include "os/barrier.hpp"
#include "os/socket.hpp"

namespace ferry::compat::tcpshm {

result<std::unique_ptr<session_memory>> session_memory::attach(os::session_store& store, const os::unique_fd& ring,
                                                               bool peer_has_barriers) {
  auto peer = os::map_peer_ring(ring);
  if (!peer) return peer.error();
  const bool fenced = !os::barriers_work() || !peer_has_barriers;
  std::unique_ptr<session_memory> made(new session_memory(store, std::move(*peer), fenced));
  // Whoever was here before may have died in its sleep.
  made->we_read_.awake();
  made->we_wait_.awake();
  store.session().output().line().wake_at.store(0, std::memory_order_relaxed);
  auto attached = store.session().attach_input(made->peer_.records(), made->peer_.shared().rings[0]);
  if (attached && made->torn()) attached = error(errc::corrupt, "the peer's ring was cut off under its reader");
  if (attached) return made;
  store.session().detach_input();
  return attached.error();
}

session_memory::session_memory(os::session_store& store, os::peer_ring peer, bool fenced) noexcept
    : peer_(std::move(peer)) {
  auto& ours = *reinterpret_cast<ring::shared_page*>(store.ring_memory().data() + os::page_bytes(false));
  auto& theirs = peer_.shared();
  peer_reads_ = os::bell(ours.records, fenced);
  we_wait_ = os::bell(ours.room, fenced);
  we_read_ = os::bell(theirs.records, fenced);
  peer_waits_ = os::bell(theirs.room, fenced);
}

void session_memory::tell_writer_slowly(session::persistent_session& s) noexcept {
  peer_waits_.order();
  if (s.input().take_producer_waits() && peer_waits_.ring()) say(k_wakes);
}

void session_memory::say(std::byte what) noexcept {
  const bytes one(&what, 1);
  (void)os::send(socket_.get(), std::span(&one, 1));  // full: it has enough to wake up for; broken: reading tells
}

}  // namespace ferry::compat::tcpshm
