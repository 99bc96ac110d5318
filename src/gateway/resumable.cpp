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

#include "base/late_look.hpp"
#include "gateway/resumable_stream.hpp"
#include "net/guests.hpp"
#include "os/random.hpp"
#include "session/resume_token.hpp"
#include "session/snet_handshake.hpp"

namespace ferry::gateway {
namespace {

namespace asio = boost::asio;
using session::snet_stream;

// The streams of one acceptor.
struct home final : resumable_owner, std::enable_shared_from_this<home> {
  home(context& where_, const resume_settings& with_, std::shared_ptr<resume_counts> counted_)
      : where(where_), with(with_), counted(std::move(counted_)), timer(where_.io()) {}

  void lost(resumable_stream& who) override;
  void found(resumable_stream& who) noexcept override;
  void left(resumable_stream& who) noexcept override;
  void arm();
  void wait_until(time_point when);
  void look(time_point due);
  [[nodiscard]] std::uint64_t free_id() const noexcept {
    for (;;)
      if (const auto id = os::random_u64(); id != 0 && !all.contains(id)) return id;
  }

  context& where;
  const resume_settings with;
  const std::shared_ptr<resume_counts> counted;
  std::unordered_map<std::uint64_t, resumable_stream*> all;
  std::list<resumable_stream*> waiting;  // whoever has waited longest first
  std::uint64_t arrivals = 0;            // connections
  late_look late;
  asio::steady_timer timer;
};

void home::lost(resumable_stream& who) {
  ++counted->broken;
  who.since = std::chrono::steady_clock::now();
  who.place = waiting.insert(waiting.end(), &who);
  who.listed = true;
  if (waiting.size() == 1) arm();
}
void home::found(resumable_stream& who) noexcept {
  if (std::exchange(who.listed, false)) waiting.erase(who.place);
}
void home::left(resumable_stream& who) noexcept {
  found(who);
  if (const auto at = all.find(who.core().id()); at != all.end() && at->second == &who) all.erase(at);
}
void home::arm() {
  if (!waiting.empty()) wait_until(waiting.front()->since + with.wait);
}
void home::wait_until(time_point when) {
  timer.expires_at(when);
  timer.async_wait([weak = weak_from_this(), when](const error_code& failed) {
    if (failed) return;
    if (const auto self = weak.lock()) self->look(when);
  });
}
void home::look(time_point due) {
  const auto now = std::chrono::steady_clock::now();
  if (const auto later = late.put_off(due, now)) return wait_until(*later);
  const auto over = now - with.wait;
  while (!waiting.empty() && waiting.front()->since <= over) {
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
      : home_(std::move(at)),
        on_(std::make_shared<resumable_connection>(std::move(arrived))),
        who_(on_->below->peer().text()),
        order_(++home_->arrivals) {
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
      const auto made = std::make_shared<resumable_stream>(home_->where, home_, std::move(fresh));
      home_->all.emplace(made->core().id(), made.get());
      made->core().grow_from(home_->where.buffers(), {home_->counted, &home_->counted->histories});
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
    // Whoever comes for it over a newer connection has given this one up.
    if (known_ != nullptr && known_->newest != order_) return nullptr;
    // Who showed a certificate has to show it again.
    const auto tls = on_->below->peer().tls;
    if (at->second->certificate() != (tls ? tls->certificate_sha256 : std::string())) return nullptr;
    return &at->second->core();
  }
  void come_again(snet_stream& which) override {
    const auto at = home_->all.find(which.id());
    if (at == home_->all.end()) return;
    known_ = at->second->shared_from_this();
    known_->newest = std::max(known_->newest, order_);
    known_->lose();
  }

  std::shared_ptr<home> home_;
  std::shared_ptr<resumable_connection> on_;  // null once handed on
  std::string who_;
  std::uint64_t order_;
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
  auto at = std::make_shared<home>(where, with, std::move(counted));
  return net::accept_guests(where, std::move(from), url, with.handshake_timeout,
                            std::make_shared<resuming_house>(std::move(at)));
}

}  // namespace ferry::gateway
