#include "gateway/peer_resume.hpp"

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <algorithm>
#include <array>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "channel/describe.hpp"
#include "gateway/resumable_stream.hpp"
#include "os/random.hpp"
#include "session/resume_token.hpp"
#include "session/snet_handshake.hpp"

namespace ferry::gateway {
namespace {

using outcome = result<std::shared_ptr<stream>>;

// The client's half of a handshake, of either kind.
class handshake {
 public:
  virtual ~handshake() = default;
  [[nodiscard]] virtual codec::snet::message begin() const = 0;
  [[nodiscard]] virtual result<session::snet_step> on_bytes(bytes in) = 0;
  [[nodiscard]] virtual std::unique_ptr<session::snet_stream> take() = 0;
  [[nodiscard]] virtual const session::snet_stream::replay& replay() const = 0;
};

template <class Machine>
class handshake_by final : public handshake {
 public:
  template <class... Arguments>
  explicit handshake_by(Arguments&&... with) : machine_(std::forward<Arguments>(with)...) {}
  [[nodiscard]] codec::snet::message begin() const override { return machine_.begin(); }
  [[nodiscard]] result<session::snet_step> on_bytes(bytes in) override { return machine_.on_bytes(in); }
  [[nodiscard]] std::unique_ptr<session::snet_stream> take() override { return machine_.take(); }
  [[nodiscard]] const session::snet_stream::replay& replay() const override { return machine_.replay(); }

 private:
  Machine machine_;
};

/// Makes the connections of one stream, one after another.
///
///     dialling --reached--> shaking --done--> idle --the stream lost its connection--> waiting --delay--> dialling
///     dialling, shaking --failed; the first time--> over        --failed; later--> waiting
///     any --stop()--> over
class redialer final : public resumable_owner, private stream_events, public std::enable_shared_from_this<redialer> {
 public:
  redialer(context& where, const endpoint& to, const options& with, std::shared_ptr<stream_transport> below,
           const resume_settings& how, std::shared_ptr<std::uint64_t> resumed)
      : where_(where),
        to_(to),
        with_(with),
        below_(std::move(below)),
        how_(how),
        resumed_(std::move(resumed)),
        backoff_(detail::backoff_of(with)),
        step_(where.io()),
        limit_(where.io()) {
    if (how_.kind == resume_kind::token) with_.tls_min = tls_version_kind::tls_1_3;
  }
  ~redialer() override { stop(); }

  /// The first connection. `done` is called once, unless forsake() comes before.
  void begin(stream_transport::connect_handler done) {
    done_ = std::move(done);
    dial();
  }
  void on_handshake(std::function<void()> began) { began_ = std::move(began); }
  /// Nobody waits for the first connection any more.
  void forsake() noexcept {
    if (!done_) return;
    const auto dropped = std::exchange(done_, nullptr);
    stop();
  }
  bool renew() noexcept {
    const auto kept = whom_.lock();
    return kept && kept->renew();
  }

 private:
  enum class state : std::uint8_t { idle, dialling, shaking, waiting, over };
  void enter(state next) noexcept { state_ = next; }

  void dial() {
    enter(state::dialling);
    if (!done_) due_in(how_.handshake_timeout);  // of the first one the deadline is the caller's
    attempt_ = below_->connect(where_, to_, with_, [weak = weak_from_this()](outcome came) {
      if (const auto self = weak.lock(); self && self->state_ == state::dialling) self->reached(std::move(came));
    });
  }

  void reached(outcome came) {
    if (!came) return failed(came.error());
    const auto tls = (*came)->peer().tls;
    if (how_.kind == resume_kind::token && (!tls || tls->version != "TLSv1.3")) {
      (*came)->close();
      return failed(error(errc::unsupported, "a token that resumes streams is told over TLS 1.3 alone"));
    }
    enter(state::shaking);
    if (began_) began_();
    shaking_ = std::make_shared<resumable_connection>(std::move(*came));
    shaking_->user = this;
    shaking_->begin();
    machine_ = machine();
    have_ = 0;
    if (!machine_ || !say(machine_->begin())) return failed(error(errc::network, "the handshake could not be sent"));
    ask();
  }

  [[nodiscard]] std::unique_ptr<handshake> machine() {
    const bool token = how_.kind == resume_kind::token;
    const auto kept = whom_.lock();
    if (!kept && !done_) return nullptr;
    if (kept && token) return std::make_unique<handshake_by<session::token_connecting>>(how_.stream, kept->core());
    if (kept) return std::make_unique<handshake_by<session::snet_connecting>>(how_.stream, kept->core());
    if (token) return std::make_unique<handshake_by<session::token_connecting>>(how_.stream);
    return std::make_unique<handshake_by<session::snet_connecting>>(how_.stream, os::random_u64());
  }

  void ask() { shaking_->below->async_read(std::span(room_).subspan(have_)); }

  // A few bytes, the first ones of a connection: a kernel that takes less takes none.
  bool say(const codec::snet::message& what) {
    if (what.size == 0) return true;
    const bytes all[] = {what.view()};
    const auto sent = shaking_->below->try_write(all);
    return sent && *sent == what.size;
  }

  void on_read(result<std::size_t> got) override {
    const auto self = shared_from_this();
    if (!got) return failed(got.error());
    have_ += *got;
    const auto step = machine_->on_bytes(bytes(room_).first(have_));
    if (!step) return refused(step.error());
    if (step->consumed == 0) return ask();
    if (!say(step->send)) return failed(error(errc::network, "the handshake could not be answered"));
    finish(bytes(room_).subspan(step->consumed, have_ - step->consumed));
  }
  void on_writable() override {}

  void finish(bytes early) {
    enter(state::idle);
    step_.cancel();
    backoff_.on_up(std::chrono::steady_clock::now());
    if (const auto kept = whom_.lock()) {
      ++*resumed_;
      where_.log(log_level::info, "gateway", [this] { return to_.text() + ": goes on with another connection"; });
      return kept->adopt(std::exchange(shaking_, nullptr), early, machine_->replay());
    }
    const auto made = std::make_shared<resumable_stream>(where_, shared_from_this(), machine_->take());
    whom_ = made;
    made->adopt(std::exchange(shaking_, nullptr), early, {});
    std::exchange(done_, nullptr)(std::shared_ptr<stream>(made));
  }

  void failed(const error& why) {
    if (shaking_) std::exchange(shaking_, nullptr)->close();
    if (!done_) return wait_for_the_next(why);
    enter(state::over);
    std::exchange(done_, nullptr)(why);
  }
  // The other end does not go on.
  void refused(const error& why) {
    if (done_) return failed(why);
    std::exchange(shaking_, nullptr)->close();
    if (const auto kept = whom_.lock()) kept->give_up(why);
  }

  void wait_for_the_next(const error& why) {
    const auto delay = backoff_.next(os::random_unit());
    enter(state::waiting);
    if (delay) return due_in(*delay);
    if (const auto kept = whom_.lock()) kept->give_up(why);
  }

  // The delay is over, or the time of an attempt.
  void due_in(duration time) {
    step_.expires_after(std::clamp<duration>(time, duration::zero(), k_longest_wait));
    step_.async_wait([weak = weak_from_this()](const error_code& cancelled) {
      if (cancelled) return;
      if (const auto self = weak.lock()) self->due();
    });
  }
  void due() {
    switch (state_) {
      case state::waiting: return dial();
      case state::dialling:
      case state::shaking:
        attempt_.reset();
        return failed(error(errc::timeout, "no connection, or no handshake, in time"));
      case state::idle:
      case state::over: return;
    }
  }

  // resumable_owner

  void lost(resumable_stream&) override {
    const auto now = std::chrono::steady_clock::now();
    backoff_.on_down(now, true);
    const bool at_once = backoff_.attempts() == 0;
    const auto delay = backoff_.next(os::random_unit());
    enter(state::waiting);
    due_in(at_once || !delay ? duration::zero() : *delay);
    limit_.expires_after(std::min(how_.wait, k_longest_wait));
    limit_.async_wait([weak = weak_from_this()](const error_code& cancelled) {
      if (cancelled) return;
      const auto self = weak.lock();
      const auto kept = self ? self->whom_.lock() : nullptr;
      if (kept && kept->is_waiting())
        kept->give_up(error(errc::timeout, "its connection broke, and there was no other one within the time to wait"));
    });
  }
  void found(resumable_stream&) noexcept override { limit_.cancel(); }
  void left(resumable_stream&) noexcept override { stop(); }
  void hurry(resumable_stream&) noexcept override {
    if (state_ == state::waiting) due_in({});
  }

  void stop() noexcept {
    enter(state::over);
    step_.cancel();
    limit_.cancel();
    attempt_.reset();
    if (shaking_) std::exchange(shaking_, nullptr)->close();
  }

  context& where_;
  const endpoint to_;
  options with_;
  const std::shared_ptr<stream_transport> below_;
  const resume_settings how_;
  const std::shared_ptr<std::uint64_t> resumed_;  // counts
  session::backoff backoff_;
  boost::asio::steady_timer step_, limit_;
  std::unique_ptr<connect_attempt> attempt_;
  std::shared_ptr<resumable_connection> shaking_;
  std::unique_ptr<handshake> machine_;
  std::array<std::byte, 64> room_{};
  std::size_t have_ = 0;
  std::weak_ptr<resumable_stream> whom_;  // null: the first connection is under way
  stream_transport::connect_handler done_;
  std::function<void()> began_;
  state state_ = state::idle;
};

class resuming_streams final : public resuming_transport {
 public:
  resuming_streams(std::shared_ptr<stream_transport> below, const resume_settings& with)
      : below_(std::move(below)), how_(with) {}

  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context&, const endpoint&, const options&) override {
    return errc::unsupported;
  }
  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to, const options& with,
                                                         connect_handler done) override {
    auto made = std::make_unique<attempt>();
    made->by = std::make_shared<redialer>(where, to, with, below_, how_, resumed_);
    last_ = made->by;
    made->by->begin(std::move(done));
    return made;
  }
  bool renew() noexcept override {
    const auto kept = last_.lock();
    return kept && kept->renew();
  }
  [[nodiscard]] std::uint64_t resumed() const noexcept override { return *resumed_; }

 private:
  struct attempt final : connect_attempt {
    std::shared_ptr<redialer> by;
    ~attempt() override { by->forsake(); }
    void on_handshake(std::function<void()> began) override { by->on_handshake(std::move(began)); }
  };

  const std::shared_ptr<stream_transport> below_;
  const resume_settings how_;
  const std::shared_ptr<std::uint64_t> resumed_ = std::make_shared<std::uint64_t>(0);
  std::weak_ptr<redialer> last_;
};

}  // namespace

std::shared_ptr<resuming_transport> resuming_over(std::shared_ptr<stream_transport> below,
                                                  const resume_settings& with) {
  return std::make_shared<resuming_streams>(std::move(below), with);
}

}  // namespace ferry::gateway
