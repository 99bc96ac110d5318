#include "gateway/peer_login.hpp"

#include <ferry/context.hpp>
#include <ferry/url.hpp>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/endian.hpp"
#include "codec/gateway_packet.hpp"
#include "net/stream_above.hpp"
#include "os/random.hpp"

namespace ferry::gateway {
namespace {

namespace wire = codec::gateway;
using outcome = result<std::shared_ptr<stream>>;

/// Says the login, then hands everything through.
///   asked --the challenge is whole--> answering --all is written; md5--> open;                 any --close()--> closed
///                                     answering --all is written; hmac--> proving --the gateway's proof--> open
class login_stream final : public net::stream_above {
 public:
  explicit login_stream(std::shared_ptr<stream> carrier) : stream_above(std::move(carrier)) {}
  ~login_stream() override { close(); }

  /// Once, before anything else; `done` is called once, never from inside this call, and not after close().
  void async_login(server_identity who, std::function<void(result<void>)> done) {
    who_ = std::move(who);
    login_ = who_.login();
    done_ = std::move(done);
    attach_below();
    below().async_read(mutable_bytes(challenge_));
  }

  void close() noexcept override {
    const auto dropped = std::exchange(done_, nullptr);
    state_ = state::closed;
    stream_above::close();
  }

 private:
  enum class state : std::uint8_t { asked, answering, proving, open, closed };

  void on_read(result<std::size_t> got) override {
    const auto self = shared_from_this();
    switch (state_) {
      case state::asked: return take(std::move(got));
      case state::proving: return take_proof(std::move(got));
      case state::open: return stream_above::on_read(std::move(got));
      case state::answering:
      case state::closed: return;
    }
  }

  void on_writable() override {
    const auto self = shared_from_this();
    if (state_ == state::answering) return answer();
    stream_above::on_writable();
  }

  void take(result<std::size_t> got) {
    if (!got && got.error() == errc::end_of_stream)
      return over(error(errc::truncated,
                        "the gateway ended the connection before it had asked for the key; is this "
                        "where it expects servers?"));
    if (!got) return over(got.error());
    have_ += *got;
    if (have_ < challenge_.size()) return below().async_read(mutable_bytes(challenge_).subspan(have_));
    answer_ = login_.answer(challenge_, fresh_random());
    have_ = 0;
    state_ = state::answering;
    answer();
  }

  void answer() {
    const bytes rest[] = {answer_};
    const auto took = below().try_write(rest);
    if (!took && took.error() != errc::would_block) return over(took.error());
    if (took) answer_ = answer_.subspan(*took);
    if (!answer_.empty()) return below().async_wait_writable();
    if (login_.is_proving()) {
      state_ = state::proving;
      return below().async_read(mutable_bytes(proof_));
    }
    state_ = state::open;
    over({});
  }

  void take_proof(result<std::size_t> got) {
    if (!got) {
      const auto& why = got.error();
      // TLS says truncated of a peer that cuts.
      const bool cut = why == errc::end_of_stream || why == errc::reset || why == errc::truncated;
      return over(cut ? who_.wrong_key(why) : why);
    }
    have_ += *got;
    // Whoever says something else may say less, so its length is looked at first.
    const auto length = have_ < wire::k_length_bytes ? 0 : load_le<std::uint32_t>(proof_.data());
    if (have_ >= wire::k_length_bytes && length != session::server_login::k_proof_bytes)
      return over(error(errc::protocol, "the gateway answers a login by HMAC with a packet of length " +
                                            std::to_string(length) + "; does it know this way of logging in?"));
    if (have_ < proof_.size()) return below().async_read(mutable_bytes(proof_).subspan(have_));
    const auto right = login_.on_proof(bytes(proof_).subspan(wire::k_length_bytes));
    if (right) state_ = state::open;
    over(right);
  }

  void over(const result<void>& how) {
    if (const auto done = std::exchange(done_, nullptr)) done(how);
  }

  server_identity who_;
  session::server_login login_;
  std::function<void(result<void>)> done_;
  wire::challenge challenge_{};
  bytes answer_;  // what of it is not written yet
  std::array<std::byte, wire::k_length_bytes + session::server_login::k_proof_bytes> proof_{};
  std::size_t have_ = 0;
  state state_ = state::asked;
};

class login_transport final : public stream_transport {
 public:
  login_transport(std::shared_ptr<stream_transport> below, server_identity who)
      : below_(std::move(below)), who_(std::move(who)) {}

  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context&, const endpoint&, const options&) override {
    return errc::unsupported;
  }
  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to, const options& with,
                                                         connect_handler done) override {
    auto made = std::make_unique<attempt>();
    made->shared->done = std::move(done);
    made->below = below_->connect(where, to, with, [weak = std::weak_ptr(made->shared), who = who_](outcome came) {
      const auto kept = weak.lock();
      if (!kept) return;
      if (!came) return kept->tell(came.error());
      kept->began();
      kept->talks = std::make_shared<login_stream>(std::move(*came));
      kept->talks->async_login(who, [weak](const result<void>& how) {
        if (const auto still = weak.lock()) still->said(how);
      });
    });
    return made;
  }
  [[nodiscard]] stream_shape shape() const noexcept override { return below_->shape(); }

 private:
  struct progress {
    connect_handler done;
    std::function<void()> began = [] {};
    std::shared_ptr<login_stream> talks;

    void tell(outcome what) { std::exchange(done, nullptr)(std::move(what)); }
    void said(const result<void>& how) {
      auto made = std::exchange(talks, nullptr);
      if (how) return tell(std::shared_ptr<stream>(std::move(made)));
      made->close();
      tell(how.error());
    }
  };
  struct attempt final : connect_attempt {
    std::shared_ptr<progress> shared = std::make_shared<progress>();
    std::unique_ptr<connect_attempt> below;
    ~attempt() override {
      below.reset();
      if (shared->talks) shared->talks->close();
    }
    void on_handshake(std::function<void()> began) override { shared->began = std::move(began); }
  };

  std::shared_ptr<stream_transport> below_;
  server_identity who_;
};

class once_transport final : public stream_transport {
 public:
  explicit once_transport(std::shared_ptr<stream> connected) : held_(std::move(connected)) {}
  ~once_transport() override {
    if (held_) held_->close();
  }

  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context&, const endpoint&, const options&) override {
    return errc::unsupported;
  }
  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint&, const options&,
                                                         connect_handler done) override {
    auto made = std::make_unique<attempt>();
    made->held = std::make_shared<parts>(parts{std::exchange(held_, nullptr), std::move(done)});
    boost::asio::post(where.io(), [weak = std::weak_ptr(made->held)] {
      const auto kept = weak.lock();
      if (!kept) return;
      const auto told = std::move(kept->done);
      if (kept->connected)
        told(std::move(kept->connected));
      else
        told(error(errc::closed, "the stream that was handed in has ended"));
    });
    return made;
  }

 private:
  struct parts {
    std::shared_ptr<stream> connected;
    connect_handler done;
  };
  struct attempt final : connect_attempt {
    std::shared_ptr<parts> held;
    ~attempt() override {
      if (held && held->connected) held->connected->close();
    }
  };
  std::shared_ptr<stream> held_;
};

}  // namespace

session::server_login::random_bytes fresh_random() noexcept {
  session::server_login::random_bytes made{};
  for (std::size_t at = 0; at < made.size(); at += sizeof(std::uint64_t)) store_le(made.data() + at, os::random_u64());
  return made;
}

error server_identity::wrong_key(const error& why) const {
  return {errc::auth, "the gateway ended the connection right after the login as server " + std::to_string(id) +
                          ", as it does when the key is wrong: " + why.text()};
}

std::shared_ptr<stream_transport> logged_in(std::shared_ptr<stream_transport> below, server_identity who) {
  return std::make_shared<login_transport>(std::move(below), std::move(who));
}

std::shared_ptr<stream_transport> once(std::shared_ptr<stream> connected) {
  return std::make_shared<once_transport>(std::move(connected));
}

}  // namespace ferry::gateway
