// A session carried by the memory of both sides' rings: each reads the other one's where it lies.
#include <boost/asio/post.hpp>

#include "channel/describe.hpp"
#include "channel/session_channel.hpp"
#include "channel/sleep_round.hpp"
#include "net/watch.hpp"
#include "os/barrier.hpp"
#include "os/bell.hpp"
#include "os/peer_ring.hpp"
#include "os/socket.hpp"

namespace ferry::detail {
namespace {

namespace asio = boost::asio;

constexpr int k_looks_per_turn = 1024;
constexpr std::size_t k_messages_per_turn = 4096;  // then other channels of the io_context have their turn
constexpr auto k_spin_turn = std::chrono::microseconds(50);
constexpr int k_looks_per_clock = 64;
constexpr int k_most_reads = 16;  // of bytes that wake, in a row

// What the bytes on the socket say.
constexpr std::byte k_wake{0};
constexpr std::byte k_end{1};

error peer_died() { return {errc::reset, "the peer died, or cut the connection"}; }

class session_memory final : public session_carrier,
                             public sleeper,
                             public std::enable_shared_from_this<session_memory> {
 public:
  session_memory(session_channel& of, os::unique_fd socket, os::peer_ring peer, bool fenced)
      : of_(of), socket_(std::move(socket)), peer_(std::move(peer)), readable_(of.where().io()) {
    auto& ours = *reinterpret_cast<ring::shared_page*>(of.store().ring_memory().data() + os::page_bytes(false));
    auto& theirs = peer_.shared();
    peer_reads_ = os::bell(ours.records, fenced);
    we_wait_ = os::bell(ours.room, fenced);
    we_read_ = os::bell(theirs.records, fenced);
    peer_waits_ = os::bell(theirs.room, fenced);
  }
  ~session_memory() override { close(); }

  [[nodiscard]] result<void> attach(std::uint64_t) override {
    // Whoever was here before may have died in its sleep.
    we_read_.awake();
    we_wait_.awake();
    of_.session().output().line().wake_at.store(0, std::memory_order_relaxed);
    auto& line = peer_.shared().rings[0];
    auto attached = of_.session().attach_input(peer_.records(), line);
    if (attached && peer_.guard->torn()) return torn();
    return attached;
  }
  void begin() override {
    if (closed_) return;  // cut where it arrived
    if (const auto watched = readable_.start(socket_.get()); !watched) return of_.failed(watched.error());
    watch_socket();
    outputs();
    post_turn();
  }

  [[nodiscard]] std::optional<message_view> next(std::optional<error>& wrong) override {
    auto& s = of_.session();
    const ring_record record = s.front();
    if (!record) {
      if (s.input().corrupt()) wrong = error(errc::corrupt, "the peer's ring is corrupt");
      if (peer_.guard->torn()) wrong = torn();
      tell_writer();
      return {};
    }
    const auto m = session::message_of(record);
    if (!m) return wrong = m.error(), std::nullopt;
    if (m->payload.size() > of_.settings().max_message)
      return wrong = describe_too_large(m->payload.size(), of_.settings()), std::nullopt;
    return *m;
  }
  [[nodiscard]] bool look_a_little() noexcept override {
    return of_.settings().spin.count() != 0 && look_for_a_while();
  }
  void advance() noexcept override { of_.session().pop(); }
  void committed() noexcept override { tell_writer(); }
  void rewind() noexcept override {}

  void outputs() noexcept override {
    if (peer_reads_.ring()) [[unlikely]]
      say(k_wake);
  }
  void wants_room() noexcept override { post_turn(); }
  void settled() noexcept override {
    if (of_.settings().durable == durable_kind::disk) post_turn();
  }
  void read_on() override { post_turn(); }
  [[nodiscard]] result<void> end() override {
    say(k_end);
    return {};
  }
  [[nodiscard]] bool write_blocked() const noexcept override { return false; }
  [[nodiscard]] std::size_t pending() const noexcept override { return 0; }
  [[nodiscard]] backlog waiting() const override {
    const auto at = of_.session().input().mark();
    const auto all = ring::scan_from(peer_.records(), at.position, at.sequence);
    return all ? backlog{static_cast<std::size_t>(all->records), static_cast<std::size_t>(all->tail - at.position)}
               : backlog{};
  }
  void close() noexcept override {
    if (std::exchange(closed_, true)) return;
    readable_.stop();
    socket_.reset();
  }

  // sleeper
  [[nodiscard]] bool announce_sleep() override {
    if (closed_ || !of_.is_open()) return false;
    {
      const auto guard = of_.locked();
      of_.session().publish_position();
      tell_writer();
    }
    we_read_.announce(ring::sleeping::on_socket);
    if (const std::uint64_t wanted = of_.wanted_position(); wanted != 0) {
      of_.session().output().line().wake_at.store(wanted, std::memory_order_relaxed);
      we_wait_.announce(ring::sleeping::on_socket);
    }
    return !we_read_.fenced();
  }
  void look_once_more() override {
    joined_ = false;
    if (closed_ || !of_.is_open()) return;
    const bool waits = of_.session().input().something();
    if (waits && !of_.takes_inputs()) {
      // What came since the turn ended rang for nobody: who waits for it without a handler is told here, or never.
      we_read_.awake();
      of_.inputs_wait();
      if (closed_ || !of_.is_open()) return;
    }
    const bool wanted = waits && of_.takes_inputs();
    const std::uint64_t position = of_.wanted_position();
    if (wanted || (position != 0 && of_.session().output().line().position.load() >= position)) {
      we_read_.awake();
      post_turn();
    }
  }

 private:
  [[nodiscard]] static time_point now() { return std::chrono::steady_clock::now(); }
  [[nodiscard]] static error torn() { return {errc::corrupt, "the peer's ring was cut off under its reader"}; }
  void say(std::byte what) noexcept {
    const bytes one(&what, 1);
    (void)os::send(socket_.get(), std::span(&one, 1));  // full: it has enough to wake up for; broken: reading tells
    of_.count_wake();
  }
  void tell_writer() noexcept {
    auto& input = of_.session().input();
    if (!input.published_lately()) return;
    peer_waits_.order();
    if (input.take_producer_waits() && peer_waits_.ring()) say(k_wake);
  }

  void watch_socket() {
    readable_.async_readable([owner = of_.weak_from_this(), self = weak_from_this()](const auto& failed) {
      const auto keep = owner.lock();
      const auto alive = self.lock();
      if (!failed && keep && alive && !alive->closed_) alive->on_socket();
    });
  }
  void on_socket() {
    const auto self = shared_from_this();
    peer_gone_ = !take_wakes();
    if (!peer_gone_) watch_socket();
    we_read_.awake();
    turn();
  }
  // What is left shows again: a peer that never stops must not keep us here.
  [[nodiscard]] bool take_wakes() {
    std::array<std::byte, 256> said;  // NOLINT: only what was received is looked at
    for (int i = 0; i < k_most_reads; ++i) {
      const auto n = os::receive(socket_.get(), said);
      if (!n) return n.error() == errc::would_block;
      of_.count_wait();
      for (std::size_t at = 0; at < *n; ++at) peer_ended_ = peer_ended_ || said[at] == k_end;
      if (*n < said.size()) return true;
    }
    return true;
  }

  void post_turn() noexcept {
    if (turn_posted_.exchange(true)) return;
    asio::post(of_.where().io(), [owner = of_.weak_from_this(), self = shared_from_this()] {
      const auto keep = owner.lock();
      self->turn_posted_ = false;
      if (keep && !self->closed_) self->turn();
    });
  }

  void turn() {
    const auto keep = of_.shared_from_this();
    const auto self = shared_from_this();
    std::optional<error> wrong;
    bool more = false;
    std::size_t total = 0;
    for (int look = 0; look < k_looks_per_turn; ++look) {
      const std::size_t got = of_.take_inputs(wrong);
      if (wrong || closed_ || (got == 0 && !of_.takes_inputs())) break;
      total += got;
      if (got != 0) spin_until_.reset();
      more = got != 0 || spin();
      if (!more || total >= k_messages_per_turn) break;
    }
    if (closed_) return;
    if (total != 0) of_.heard_something();
    if (!wrong && peer_.guard->torn()) wrong = torn();
    if (wrong) return of_.failed(*wrong);
    of_.progressed();
    if (closed_ || !of_.is_open()) return;
    // It lies in our file, so no other connection would do better.
    if (ours_is_corrupt())
      return of_.cut(error(errc::corrupt, "the peer published an impossible position in our ring"));
    if (of_.store().torn()) return of_.cut(error(errc::corrupt, "our ring was cut off while it was in use"));
    finish_turn(more);
  }

  [[nodiscard]] bool ours_is_corrupt() {
    const auto guard = of_.locked();
    return of_.session().output().corrupt();
  }

  void finish_turn(bool more) {
    const bool waits = of_.session().input().something();
    if (waits && of_.takes_inputs()) more = true;
    if (!waits && peer_ended_ && of_.receives()) of_.failed(errc::end_of_stream);
    if (closed_) return;
    // What it left in its ring is taken first, where somebody takes it; later it would come again.
    if (peer_gone_ && !more) return of_.failed(of_.sending_has_ended() ? error(errc::end_of_stream) : peer_died());
    if (waits && !of_.takes_inputs()) of_.inputs_wait();
    if (more || spin_until_) return post_turn();
    if (!std::exchange(joined_, true))
      sleep_round::of(of_.where().io()).join({shared_from_this(), static_cast<sleeper*>(this)});
  }

  // With `spin`, looks again and again for a while instead of going to sleep, in turns, so that others have theirs.
  [[nodiscard]] bool spin() {
    const auto window = of_.settings().spin;
    if (window.count() == 0) return false;
    if (look_for_a_while()) return true;
    const auto begin = now();
    if (!spin_until_) spin_until_ = begin + window;
    for (auto at = begin; at < *spin_until_ && at < begin + k_spin_turn; at = now())
      if (look_for_a_while()) return true;
    if (now() >= *spin_until_) spin_until_.reset();
    return false;
  }

  [[nodiscard]] bool look_for_a_while() noexcept {
    auto& input = of_.session().input();
    for (int i = 0; i < k_looks_per_clock; ++i) {
      if (input.something()) return true;
      input.pause();
    }
    return false;
  }

  session_channel& of_;
  os::unique_fd socket_;
  os::peer_ring peer_;
  net::watch readable_;
  os::bell peer_reads_;  // rung when records became visible
  os::bell we_wait_;     // for room, or until all was consumed
  os::bell we_read_;     // for a record
  os::bell peer_waits_;  // rung when room was made for a producer that waits for it
  bool closed_ = false;
  bool peer_ended_ = false;
  bool peer_gone_ = false;
  bool joined_ = false;  // the next sleep_round
  std::optional<time_point> spin_until_;
  std::atomic<bool> turn_posted_{false};
};

}  // namespace

result<std::shared_ptr<session_carrier>> carry_by_memory(session_channel& session, net::greeting& connection,
                                                         os::unique_fd peer_ring, bool peer_has_barriers) {
  auto peer = os::map_peer_ring(peer_ring);
  if (!peer) return peer.error();
  auto socket = static_cast<net::memory_greeting&>(connection).take();
  const bool fenced = !os::barriers_work() || !peer_has_barriers;
  return std::shared_ptr<session_carrier>(
      std::make_shared<session_memory>(session, std::move(socket), std::move(*peer), fenced));
}

}  // namespace ferry::detail
