#include "gateway/resumable.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "net/guests.hpp"
#include "os/random.hpp"
#include "session/resume_token.hpp"
#include "session/snet_handshake.hpp"

namespace ferry::gateway {
namespace {

namespace asio = boost::asio;
using session::snet_stream;

constexpr std::size_t k_at_once = 16 * 1024;  // bytes that one write takes

// One connection, and whoever has it: first its handshake, then the stream that it belongs to.
class connection final : private stream_events, public std::enable_shared_from_this<connection> {
 public:
  explicit connection(std::shared_ptr<stream> below_) : below(std::move(below_)) {}
  void begin() { below->attach(*this, shared_from_this()); }
  void close() noexcept {
    user = nullptr;
    below->close();
  }

  const std::shared_ptr<stream> below;
  stream_events* user = nullptr;

 private:
  void on_read(result<std::size_t> outcome) override {
    const auto kept = shared_from_this();
    if (user != nullptr) user->on_read(std::move(outcome));
  }
  void on_writable() override {
    const auto kept = shared_from_this();
    if (user != nullptr) user->on_writable();
  }
};

class resumable_stream;

// The streams of one acceptor.
struct home final : std::enable_shared_from_this<home> {
  home(asio::io_context& io_, const resume_settings& with_, std::shared_ptr<resume_counts> counted_)
      : io(io_), with(with_), counted(std::move(counted_)), timer(io_) {}

  void lost(resumable_stream& who);
  void found(resumable_stream& who) noexcept;
  void remove(resumable_stream& who) noexcept;
  void arm();
  void look();
  [[nodiscard]] std::uint64_t free_id() const noexcept {
    for (;;)
      if (const auto id = os::random_u64(); id != 0 && !all.contains(id)) return id;
  }

  asio::io_context& io;
  const resume_settings with;
  const std::shared_ptr<resume_counts> counted;
  std::unordered_map<std::uint64_t, resumable_stream*> all;
  std::list<resumable_stream*> waiting;  // whoever has waited longest first
  asio::steady_timer timer;
};

class resumable_stream final : public stream,
                               public resumable,
                               private stream_events,
                               public std::enable_shared_from_this<resumable_stream> {
 public:
  resumable_stream(std::shared_ptr<home> at, std::unique_ptr<snet_stream> core)
      : home_(std::move(at)), core_(std::move(core)) {
    home_->all.emplace(core_->id(), this);
  }
  ~resumable_stream() override { leave(); }

  [[nodiscard]] snet_stream& core() noexcept { return *core_; }
  [[nodiscard]] bool is_waiting() const noexcept override { return on_ == nullptr && !fault_; }
  [[nodiscard]] const std::string& certificate() const noexcept { return certificate_; }

  // A connection for it: the first, or another one. @param early  bytes of the stream that came with the handshake
  void adopt(std::shared_ptr<connection> on, bytes early, const snet_stream::replay& lacking) {
    if (on_) std::exchange(on_, nullptr)->close();
    on_ = std::move(on);
    on_->user = this;
    peer_ = on_->below->peer();
    if (peer_.tls) certificate_ = peer_.tls->certificate_sha256;
    early_.assign(early.begin(), early.end());
    owed_.assign(lacking.first.begin(), lacking.first.end());
    owed_.insert(owed_.end(), lacking.second.begin(), lacking.second.end());
    owed_begin_ = 0;
    home_->found(*this);
    if (into_) read_on();
    if (push() && writable_wanted_) tell_later();
  }

  // The connection is over, the stream is not.
  void lose() noexcept {
    if (!on_) return;
    std::exchange(on_, nullptr)->close();
    early_.clear();
    owed_.clear();
    owed_begin_ = 0;
    ++home_->counted->broken;
    home_->lost(*this);
  }

  void give_up(error why) {
    lose();
    home_->remove(*this);
    fault_ = std::move(why);
    if (into_ || writable_wanted_) tell_later();
  }

  // stream

  void attach(stream_events& events, std::shared_ptr<void> owner) override {
    events_ = &events;
    owner_ = std::move(owner);
  }
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override {
    if (!early_.empty()) return take_early(into);
    if (fault_) return *fault_;
    if (!on_) return errc::would_block;
    const auto came = on_->below->try_read(into);
    if (came) core_->receive(into.first(*came));
    if (came || came.error() == errc::would_block) return came;
    lose();
    return errc::would_block;
  }
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override {
    if (fault_) return *fault_;
    if (!push()) return errc::would_block;
    std::size_t taken = 0;
    for (bytes one : from) {
      while (!one.empty()) {
        const auto part = one.first(std::min(one.size(), k_at_once));
        owed_.resize(part.size());  // empty until here
        core_->write(part, owed_);
        taken += part.size();
        one = one.subspan(part.size());
        if (!push()) return taken;  // what is left of it is owed, or in the history
      }
    }
    return taken;
  }
  void async_read(mutable_bytes into) override {
    into_ = into;
    if (!early_.empty() || fault_)
      tell_later();
    else if (on_)
      read_on();
  }
  void async_wait_writable() override {
    writable_wanted_ = true;
    if (fault_ || (on_ && owed_.empty())) tell_later();
  }
  result<void> shutdown_write() override {
    ending_ = true;
    push();
    return {};
  }
  void close() noexcept override {
    const auto kept = std::exchange(owner_, nullptr);
    events_ = nullptr;
    into_.reset();
    leave();
  }
  [[nodiscard]] peer_info peer() const override { return peer_; }
  [[nodiscard]] std::string local_address() const override { return on_ ? on_->below->local_address() : std::string(); }

 private:
  friend struct home;

  void leave() noexcept {
    if (on_) std::exchange(on_, nullptr)->close();
    if (core_) home_->remove(*this);
  }
  void read_on() {
    if (early_.empty())
      on_->below->async_read(*into_);
    else
      tell_later();
  }
  std::size_t take_early(mutable_bytes into) noexcept {
    const auto size = std::min(into.size(), early_.size());
    std::memcpy(into.data(), early_.data(), size);
    early_.erase(early_.begin(), early_.begin() + static_cast<std::ptrdiff_t>(size));
    core_->receive(into.first(size));
    return size;
  }
  // @return true: all that was owed is on its way, and there is a connection
  bool push() noexcept {
    while (on_ && owed_begin_ < owed_.size()) {
      const bytes rest[] = {bytes(owed_).subspan(owed_begin_)};
      const auto sent = on_->below->try_write(rest);
      if (sent) {
        owed_begin_ += *sent;
      } else if (sent.error() == errc::would_block) {
        if (!std::exchange(waits_below_, true)) on_->below->async_wait_writable();
        return false;
      } else {
        lose();
      }
    }
    if (!on_) return false;
    owed_.clear();
    owed_begin_ = 0;
    if (ending_) (void)on_->below->shutdown_write();
    return true;
  }
  // From the event loop, never from inside of a call.
  void tell_later() {
    if (std::exchange(told_, true)) return;
    asio::post(home_->io, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->told_ = false;
      self->tell();
    });
  }
  void tell() {
    if (events_ != nullptr && into_ && !early_.empty())
      events_->on_read(take_early(*std::exchange(into_, std::nullopt)));
    else if (events_ != nullptr && into_ && fault_)
      fail_read();
    if (events_ != nullptr && writable_wanted_ && (fault_ || (on_ && owed_.empty()))) {
      writable_wanted_ = false;
      events_->on_writable();
    }
  }
  void fail_read() {
    into_.reset();
    events_->on_read(*fault_);
  }

  // stream_events of the connection

  void on_read(result<std::size_t> outcome) override {
    const auto kept = shared_from_this();
    if (!outcome) return lose();
    const auto into = std::exchange(into_, std::nullopt);
    core_->receive(into->first(*outcome));
    if (events_ != nullptr) events_->on_read(outcome);
  }
  void on_writable() override {
    const auto kept = shared_from_this();
    waits_below_ = false;
    if (push() && writable_wanted_ && events_ != nullptr) {
      writable_wanted_ = false;
      events_->on_writable();
    }
  }

  std::shared_ptr<home> home_;
  std::unique_ptr<snet_stream> core_;
  std::shared_ptr<connection> on_;  // null: it waits for one, or is broken
  peer_info peer_;
  std::string certificate_;       // of the client, by its fingerprint
  std::vector<std::byte> early_;  // came with the handshake, not received yet
  std::vector<std::byte> owed_;   // written, not taken by the connection yet
  std::size_t owed_begin_ = 0;
  std::optional<mutable_bytes> into_;  // of the read that was asked for
  std::optional<error> fault_;
  bool waits_below_ = false;  // for room in the connection
  bool writable_wanted_ = false;
  bool ending_ = false;
  bool told_ = false;  // tell() is about to be called
  bool listed_ = false;
  std::list<resumable_stream*>::iterator place_;  // among those who wait, if `listed_`
  time_point since_{};
  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
};

void home::lost(resumable_stream& who) {
  who.waits_below_ = false;
  who.since_ = std::chrono::steady_clock::now();
  who.place_ = waiting.insert(waiting.end(), &who);
  who.listed_ = true;
  if (waiting.size() == 1) arm();
}
void home::found(resumable_stream& who) noexcept {
  if (std::exchange(who.listed_, false)) waiting.erase(who.place_);
}
void home::remove(resumable_stream& who) noexcept {
  found(who);
  if (const auto at = all.find(who.core_->id()); at != all.end() && at->second == &who) all.erase(at);
}
void home::arm() {
  if (waiting.empty()) return;
  timer.expires_at(waiting.front()->since_ + with.wait);
  timer.async_wait([weak = weak_from_this()](const error_code& failed) {
    if (failed) return;
    if (const auto self = weak.lock()) self->look();
  });
}
void home::look() {
  const auto over = std::chrono::steady_clock::now() - with.wait;
  while (!waiting.empty() && waiting.front()->since_ <= over) {
    ++counted->given_up;
    waiting.front()->give_up(error(errc::timeout, "its connection broke, and it did not come again in time"));
  }
  arm();
}

// A handshake of either kind.
class handshake {
 public:
  virtual ~handshake() = default;
  virtual result<session::snet_step> on_bytes(bytes in) = 0;
  [[nodiscard]] virtual codec::snet::message farewell() const = 0;
  [[nodiscard]] virtual std::unique_ptr<snet_stream> take() = 0;
  [[nodiscard]] virtual std::uint64_t id() const = 0;
  [[nodiscard]] virtual const snet_stream::replay& replay() const = 0;
  [[nodiscard]] virtual bool is_over() const = 0;
};

template <class Machine>
class handshake_by final : public handshake {
 public:
  template <class... Arguments>
  explicit handshake_by(Arguments&&... with) : machine_(std::forward<Arguments>(with)...) {}
  result<session::snet_step> on_bytes(bytes in) override { return machine_.on_bytes(in); }
  [[nodiscard]] codec::snet::message farewell() const override { return machine_.farewell(); }
  [[nodiscard]] std::unique_ptr<snet_stream> take() override { return machine_.take(); }
  [[nodiscard]] std::uint64_t id() const override { return machine_.id(); }
  [[nodiscard]] const snet_stream::replay& replay() const override { return machine_.replay(); }
  [[nodiscard]] bool is_over() const override {
    if constexpr (requires { machine_.is_over(); }) return machine_.is_over();
    return false;
  }

 private:
  Machine machine_;
};

class resuming_guest final : public net::guest, private stream_events, public session::snet_streams {
 public:
  resuming_guest(std::shared_ptr<home> at, std::shared_ptr<stream> arrived)
      : home_(std::move(at)), on_(std::make_shared<connection>(std::move(arrived))), who_(on_->below->peer().text()) {
    const auto& with = home_->with;
    const auto id = home_->free_id();
    if (with.kind == resume_kind::token) {
      session::resume_token fresh{id, {}};
      const auto bits = os::random_u64();
      std::memcpy(fresh.key.data(), &bits, sizeof bits);
      machine_ = std::make_unique<handshake_by<session::token_accepting>>(with.stream, fresh, *this);
    } else {
      const session::snet_accepting::chance numbers{os::random_u64(), id, os::random_u64() | 1};
      machine_ = std::make_unique<handshake_by<session::snet_accepting>>(with.stream, numbers, *this);
    }
  }
  ~resuming_guest() override {
    if (on_) on_->close();
  }

  void shake(shaken done) override {
    done_ = std::move(done);
    on_->user = this;
    on_->begin();
    ask();
  }
  [[nodiscard]] std::string who() const override { return who_; }

 private:
  void ask() { on_->below->async_read(std::span(room_).subspan(have_)); }

  void on_read(result<std::size_t> outcome) override {
    if (!outcome) return fail(outcome.error());
    have_ += *outcome;
    for (;;) {
      const auto step = machine_->on_bytes(bytes(room_).first(have_));
      if (!step) return refuse(step.error());
      have_ -= step->consumed;
      std::memmove(room_.data(), room_.data() + step->consumed, have_);
      if (!say(step->send)) return fail(error(errc::network, "the handshake could not be answered"));
      if (step->done) return finish();
      if (step->consumed == 0) return ask();
    }
  }
  void on_writable() override {}

  // A few bytes, the first ones of a connection: a kernel that takes less takes none.
  bool say(const codec::snet::message& what) {
    if (what.size == 0) return true;
    const bytes all[] = {what.view()};
    const auto sent = on_->below->try_write(all);
    return sent && *sent == what.size;
  }
  void refuse(const error& why) {
    ++home_->counted->refused;
    (void)say(machine_->farewell());
    (void)on_->below->shutdown_write();
    if (known_ != nullptr && why != errc::auth) known_->give_up(why);  // it knew the key, and cannot go on
    fail(why);
  }
  void fail(const error& why) { std::exchange(done_, nullptr)(why); }

  void finish() {
    const bytes early = bytes(room_).first(have_);
    auto done = std::exchange(done_, nullptr);
    if (auto fresh = machine_->take()) {
      ++home_->counted->made;
      const auto made = std::make_shared<resumable_stream>(home_, std::move(fresh));
      made->adopt(std::exchange(on_, nullptr), early, {});
      return done(std::shared_ptr<stream>(made));
    }
    const auto at = home_->all.find(machine_->id());
    if (at == home_->all.end()) return done(error(errc::auth, "the resumable stream ended meanwhile"));
    const auto kept = at->second->shared_from_this();
    if (machine_->is_over()) {
      (void)on_->below->shutdown_write();
      kept->give_up(errc::end_of_stream);
    } else {
      ++home_->counted->resumed;
      kept->adopt(std::exchange(on_, nullptr), early, machine_->replay());
    }
    done(std::shared_ptr<stream>());
  }

  // session::snet_streams

  snet_stream* find(std::uint64_t id) override {
    const auto at = home_->all.find(id);
    if (at == home_->all.end()) return nullptr;
    // Who showed a certificate has to show it again.
    const auto tls = on_->below->peer().tls;
    if (at->second->certificate() != (tls ? tls->certificate_sha256 : std::string())) return nullptr;
    return &at->second->core();
  }
  void come_again(snet_stream& which) override {
    const auto at = home_->all.find(which.id());
    if (at == home_->all.end()) return;
    known_ = at->second->shared_from_this();
    known_->lose();
  }

  std::shared_ptr<home> home_;
  std::shared_ptr<connection> on_;  // null once handed on
  std::string who_;
  std::unique_ptr<handshake> machine_;
  std::shared_ptr<resumable_stream> known_;  // somebody who knows its key comes for it
  std::array<std::byte, 64> room_{};
  std::size_t have_ = 0;
  shaken done_;
};

class resuming_house final : public net::guest_house {
 public:
  explicit resuming_house(std::shared_ptr<home> at) : home_(std::move(at)) {}
  ~resuming_house() override { home_->timer.cancel(); }
  [[nodiscard]] result<std::unique_ptr<net::guest>> welcome(std::shared_ptr<stream> arrived) override {
    return std::unique_ptr<net::guest>(std::make_unique<resuming_guest>(home_, std::move(arrived)));
  }
  [[nodiscard]] std::string name() const override { return "handshake of a resumable stream"; }

 private:
  std::shared_ptr<home> home_;
};

}  // namespace

std::unique_ptr<acceptor> accept_resumable(context& where, std::unique_ptr<acceptor> from, const resume_settings& with,
                                           std::shared_ptr<resume_counts> counted) {
  if (with.kind == resume_kind::off) return from;
  if (!counted) counted = std::make_shared<resume_counts>();
  const auto url = from->local_url();
  auto at = std::make_shared<home>(where.io(), with, std::move(counted));
  return net::accept_guests(where, std::move(from), url, with.handshake_timeout,
                            std::make_shared<resuming_house>(std::move(at)));
}

}  // namespace ferry::gateway
