// The connecting end of a channel with compat=tcpshm.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "channel/tcpshm_channel.hpp"
#include "compat/tcpshm_carrier.hpp"
#include "os/socket.hpp"

namespace ferry::compat::tcpshm {
namespace asio = boost::asio;

namespace {

std::string text_of(const sequence_mismatch& n) {
  const auto text = [](std::uint64_t one) { return std::to_string(one); };
  return "the numbers of both sides do not fit together: ours ack " + text(n.local_ack_seq) + ", " +
         text(n.local_seq_start) + " .. " + text(n.local_seq_end) + ", theirs ack " + text(n.remote_ack_seq) + ", " +
         text(n.remote_seq_start) + " .. " + text(n.remote_seq_end) +
         "; mend one side (ferry session accept-remote), or remove its files";
}

class connecting_end final : public carrier {
 public:
  connecting_end(context& where, std::string url, carried_options how)
      : carrier(where, std::move(url), how, true),
        how_(std::move(how)),
        turns_(std::make_shared<turns>(where.io(), how_.pace)),
        talk_(*this, how_) {
    use(&talk_.get_connection());
  }
  ~connecting_end() override { turns_->stop(); }

 private:
  class talker final : public client {
   public:
    talker(connecting_end& of, const carried_options& how) : client(how.directory, how.name, how.with), of_(of) {}

   private:
    void on_system_error(const std::string& what, int system_errno) override {
      of_.failure_ = system_errno != 0 ? error(error::from_errno(system_errno, what).reason(), what, system_errno)
                                       : error(errc::protocol, what);
    }
    void on_login_reject(const login_answer& answer) override {
      const std::string why = answer.error_text.empty() ? "it did not say why" : answer.error_text;
      const std::string& expected = of_.how_.with.peer;
      const bool it_did = expected.empty() || expected == answer.server_name;
      of_.failure_ = error(errc::auth, (it_did ? "the peer refused: " : "") + why);
    }
    std::int64_t on_login_success(const login_answer& answer) override {
      of_.answer_ = answer;
      return turns::now();
    }
    void on_seq_number_mismatch(const sequence_mismatch& numbers) override {
      of_.failure_ = error(errc::corrupt, text_of(numbers));
    }
    void on_server_msg(const message& m) override { of_.offer(m); }
    void on_disconnected(const std::string& reason, int system_errno) override {
      of_.over_ = ending_of{reason, system_errno};
    }
    connecting_end& of_;
  };
  struct ending_of {
    std::string reason;
    int system_errno;
  };

  // carrier
  void poke() override { turns_->poke(); }
  void hang_up() noexcept override { talk_.disconnect(); }

  // link_channel
  void drop_rest() noexcept override { turns_->stop(); }
  void complete_rest() override {
    turns_->stop();
    talk_.stop();  // whoever opens the next channel of this name needs the files
  }
  void begin_attempt() override {
    attempting_ = true;
    if (!turns_->started()) {
      const int descriptor = talk_.descriptor();
      const auto started = descriptor < 0 ? result<void>(error(errc::busy, "no descriptors are left"))
                                          : turns_->start(descriptor, [weak = weak_from_this()](std::int64_t now) {
                                              const auto self = std::static_pointer_cast<connecting_end>(weak.lock());
                                              return self && self->poll(now);
                                            });
      if (!started) {
        asio::post(where_.io(), [self = self_as<connecting_end>(), why = started.error()] {
          if (std::exchange(self->attempting_, false)) self->attempt_failed(why);
        });
        return;
      }
    }
    if (talk_.begin_connect(how_.shm, login_data(*options_, how_.with.login_data_bytes))) find_host();
    poke();
  }
  // Looks it up where blocking is allowed, if it can block.
  void find_host() {
    if (os::is_literal(how_.host) || !where_.blocking_executor()) return found(os::resolve(how_.host, 0, false));
    lookup_ += 1;
    // The io_context must not run dry while another executor looks the name up.
    asio::post(where_.blocking_executor(), [weak = std::weak_ptr(self_as<connecting_end>()), &io = where_.io(),
                                            host = how_.host, which = lookup_,
                                            work = asio::make_work_guard(where_.io())]() mutable {
      auto addresses = os::resolve(host, 0, false);
      asio::post(io,
                 [weak = std::move(weak), which, addresses = std::move(addresses), work = std::move(work)]() mutable {
                   const auto self = weak.lock();
                   if (!self || !self->attempting_ || which != self->lookup_) return;
                   self->found(std::move(addresses));
                   self->poke();
                 });
    });
  }
  void found(result<std::vector<os::socket_address>> addresses) {
    if (!addresses) {
      failure_ = addresses.error();
      return talk_.disconnect();
    }
    std::vector<std::string> digits;
    for (const auto& one : *addresses) digits.push_back(one.host());
    (void)talk_.connect_to(digits, how_.port);
  }
  void end_attempt() noexcept override {
    if (!std::exchange(attempting_, false)) return;
    talk_.disconnect();
    forget();
  }
  [[nodiscard]] bool attempting() const noexcept override { return attempting_; }

  void forget() noexcept {
    failure_.reset();
    answer_.reset();
    over_.reset();
  }
  [[nodiscard]] bool poll(std::int64_t now) {
    talk_.poll_tcp(now);
    if (how_.shm) talk_.poll_shm();
    bool moved = talk_.take_heard();
    if (failure_ || answer_ || over_) {
      moved = true;
      tell();
    }
    return after_poll() || moved;
  }
  // What the poll has told.
  void tell() {
    const auto failure = std::exchange(failure_, {});
    const auto answer = std::exchange(answer_, {});
    const auto over = std::exchange(over_, {});
    if (failure && std::exchange(attempting_, false)) return attempt_failed(failure->in("log in to " + url()));
    if (answer && std::exchange(attempting_, false)) {
      peer_info who;
      who.address = where_text_;
      who.login_data.assign(reinterpret_cast<const char*>(answer->user_data.data()), answer->user_data.size());
      came_up(std::move(who));
      connected();
    }
    if (over) went_down(over->reason, over->system_errno);
  }

  const carried_options how_;
  const std::string where_text_ = how_.host + ":" + std::to_string(how_.port);
  const std::shared_ptr<turns> turns_;
  talker talk_;
  bool attempting_ = false;
  std::uint64_t lookup_ = 0;  // number of the newest one; what an older one finds comes too late
  // What was told since the last turn.
  std::optional<error> failure_;
  std::optional<login_answer> answer_;
  std::optional<ending_of> over_;
};

}  // namespace
}  // namespace ferry::compat::tcpshm

namespace ferry::detail {

result<std::shared_ptr<channel_impl>> make_tcpshm_connecting(context& where, std::string url,
                                                             const std::shared_ptr<const options>& with,
                                                             const endpoint& to) {
  auto how = compat::tcpshm::carried(to, with);
  if (!how) return how.error();
  how->with.peer = with->peer;
  return std::shared_ptr<channel_impl>(
      std::make_shared<compat::tcpshm::connecting_end>(where, std::move(url), std::move(*how)));
}

}  // namespace ferry::detail
