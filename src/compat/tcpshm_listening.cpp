// The listening end of channels with compat=tcpshm: one server of the poll API, and a channel for each client's name.
#include <boost/asio/post.hpp>
#include <deque>
#include <unordered_map>

#include "channel/tcpshm_channel.hpp"
#include "compat/tcpshm_carrier.hpp"

namespace ferry::compat::tcpshm {
namespace asio = boost::asio;

namespace {

class host;

constexpr std::size_t k_most_untold = 64;  // then failed logins are not told of

class accepted_end final : public carrier {
 public:
  accepted_end(context& where, std::string url, std::shared_ptr<host> of, connection& conn);

  void start(std::shared_ptr<void> slot) {
    started_ = true;
    accepted(std::move(slot));
  }
  void come_back(peer_info who) {
    came_up(std::move(who));
    if (started_) came_back();
  }

 private:
  void poke() override;
  void hang_up() noexcept override { at()->close(), poke(); }
  void begin_attempt() override {}
  void end_attempt() noexcept override {}
  [[nodiscard]] bool attempting() const noexcept override { return false; }
  [[nodiscard]] bool outlives_connection() const noexcept override { return receiving(); }

  const std::shared_ptr<host> host_;
  bool started_ = false;
};

class host_arrival final : public detail::arrival {
 public:
  explicit host_arrival(std::shared_ptr<accepted_end> made, peer_info who)
      : made_(std::move(made)), who_(std::move(who)) {}
  [[nodiscard]] peer_info peer() const override { return who_; }
  void refuse() noexcept override { made_->cut(errc::busy); }
  [[nodiscard]] std::shared_ptr<detail::channel_impl> make(context&, const detail::shared_url&,
                                                           std::shared_ptr<const ferry::options>) override {
    return made_;
  }
  void start(std::shared_ptr<void> slot) override { made_->start(std::move(slot)); }

 private:
  std::shared_ptr<accepted_end> made_;
  peer_info who_;
};

/// Lives as long as the listener, or one of the channels.
class host final : public server, public std::enable_shared_from_this<host> {
 public:
  host(context& where, carried_options how)
      : server(how.directory, how.name, how.with),
        how_(std::move(how)),
        where_(where),
        turns_(std::make_shared<turns>(where.io(), how_.pace)) {}
  ~host() override { turns_->stop(); }

  [[nodiscard]] result<void> open() {
    const int news = descriptor();
    if (news < 0) return error(errc::busy, "no descriptors are left");
    if (!start(how_.host, how_.port)) return failure_;
    return turns_->start(news, [weak = weak_from_this()](std::int64_t now) {
      const auto self = weak.lock();
      return self && self->poll(now);
    });
  }
  [[nodiscard]] const carried_options& how() const noexcept { return how_; }
  [[nodiscard]] std::string url() const {
    const std::string name = how_.host.empty() ? "*" : how_.host;
    return (how_.shm ? "shm://" : "tcp://") + (name.find(':') == name.npos ? name : "[" + name + "]") + ":" +
           std::to_string(port());
  }
  void poke() { turns_->poke(); }

  // What the listener asks for.

  [[nodiscard]] result<std::unique_ptr<detail::arrival>> take() {
    if (closed_) return errc::closed;
    if (done_.empty()) return errc::would_block;
    auto one = std::move(done_.front());
    done_.pop_front();
    return one;
  }
  void when_ready(std::function<void()> ready) {
    ready_ = std::move(ready);
    tell();
  }
  void close() noexcept {
    if (std::exchange(closed_, true)) return;
    stop_listening();
    const auto ready = std::exchange(ready_, nullptr);
    const auto done = std::exchange(done_, {});
  }

 private:
  // server; what concerns a channel is told to it after the poll.
  void on_system_error(const std::string& what, int system_errno) override {
    failure_ = error(error::from_errno(system_errno, what).reason(), what, system_errno);
    if (turns_->started()) arrived(failure_);
  }
  int on_new_connection(const login_request& login, login_answer& answer) override {
    if (closed_) return answer.error_text = "The server is closing", -1;
    answer.user_data = login_data(*how_.channel, how_.with.answer_data_bytes);
    if (logins_.size() >= how_.with.max_known) logins_.clear();  // who never came
    logins_[login.client_name] = login.user_data;
    return 0;
  }
  void on_client_file_error(connection& conn, const std::string& reason, int) override { refused(conn, reason); }
  void on_seq_number_mismatch(connection& conn, const sequence_mismatch& n) override {
    refused(conn, "the numbers of both sides do not fit together: ours ack " + std::to_string(n.local_ack_seq) + ", " +
                      std::to_string(n.local_seq_start) + " .. " + std::to_string(n.local_seq_end) + ", theirs ack " +
                      std::to_string(n.remote_ack_seq) + ", " + std::to_string(n.remote_seq_start) + " .. " +
                      std::to_string(n.remote_seq_end));
  }
  void on_client_logon(const std::string& address, connection& conn) override {
    peer_info who;
    who.address = address;
    if (const auto said = logins_.extract(conn.remote_name()))
      who.login_data.assign(reinterpret_cast<const char*>(said.mapped().data()), said.mapped().size());
    told_.emplace_back([this, &conn, who = std::move(who)] { logged_on(conn, who); });
  }
  void on_client_disconnected(connection& conn, const std::string& reason, int system_errno) override {
    told_.emplace_back([this, &conn, reason, system_errno] {
      if (const auto one = find(conn)) one->went_down(reason, system_errno);
    });
  }
  void on_client_msg(connection& conn, const message& m) override {
    if (const auto one = find(conn)) one->offer(m);
  }

  [[nodiscard]] std::shared_ptr<accepted_end> find(const connection& conn) const {
    const auto found = channels_.find(&conn);
    return found == channels_.end() ? nullptr : found->second.lock();
  }
  void logged_on(connection& conn, const peer_info& who) {
    if (const auto one = find(conn); one && !one->gone()) return one->come_back(who);
    if (closed_) return conn.close();
    const auto made = std::make_shared<accepted_end>(where_, url(), shared_from_this(), conn);
    channels_[&conn] = made;
    made->come_back(who);
    arrived(std::unique_ptr<detail::arrival>(std::make_unique<host_arrival>(made, who)));
  }
  void refused(const connection& conn, const std::string& why) {
    arrived(error(errc::protocol, url() + ": login of '" + conn.remote_name() + "': " + why));
  }

  [[nodiscard]] bool poll(std::int64_t now) {
    const auto keep = shared_from_this();
    poll_ctl(now);
    how_.shm ? poll_shm() : poll_tcp(now);
    const auto told = std::exchange(told_, {});
    bool moved = take_heard() || !told.empty();
    for (const auto& one : told) one();
    for (const auto& [conn, weak] : channels_)
      if (auto one = weak.lock()) here_.push_back(std::move(one));
    for (const auto& one : here_) moved = one->after_poll() || moved;
    if (here_.size() != channels_.size())
      std::erase_if(channels_, [](const auto& one) { return one.second.expired(); });
    here_.clear();
    return moved;
  }

  void arrived(result<std::unique_ptr<detail::arrival>> outcome) {
    // Channels are as many as there are names. Of failures there is no end, and nobody may ask.
    if (!outcome && done_.size() >= k_most_untold) return;
    done_.push_back(std::move(outcome));
    tell();
  }
  void tell() {
    if (!ready_ || done_.empty() || std::exchange(telling_, true)) return;
    asio::post(where_.io(), [self = shared_from_this()] {
      self->telling_ = false;
      if (self->done_.empty()) return;
      if (const auto then = std::exchange(self->ready_, nullptr)) then();
    });
  }

  const carried_options how_;
  context& where_;
  const std::shared_ptr<turns> turns_;
  std::unordered_map<const connection*, std::weak_ptr<accepted_end>> channels_;
  std::unordered_map<std::string, std::vector<std::byte>> logins_;  // of those that were let in and are not here yet
  std::vector<std::function<void()>> told_;
  std::vector<std::shared_ptr<accepted_end>> here_;  // during a poll; kept for its capacity
  std::deque<result<std::unique_ptr<detail::arrival>>> done_;
  std::function<void()> ready_;
  error failure_;
  bool telling_ = false;
  bool closed_ = false;
};

accepted_end::accepted_end(context& where, std::string url, std::shared_ptr<host> of, connection& conn)
    : carrier(where, std::move(url), of->how(), false), host_(std::move(of)) {
  use(&conn);
}
void accepted_end::poke() { host_->poke(); }

class host_arrivals final : public detail::arrivals {
 public:
  explicit host_arrivals(std::shared_ptr<host> of) : of_(std::move(of)) {}
  ~host_arrivals() override { close(); }
  [[nodiscard]] result<std::unique_ptr<detail::arrival>> try_accept() override { return of_->take(); }
  void async_wait(std::function<void()> ready) override { of_->when_ready(std::move(ready)); }
  result<void> refuse_new() override { return of_->stop_listening(), result<void>(); }
  void close() noexcept override { of_->close(); }
  [[nodiscard]] std::string local_url() const override { return of_->url(); }

 private:
  std::shared_ptr<host> of_;
};

}  // namespace
}  // namespace ferry::compat::tcpshm

namespace ferry::detail {

result<std::unique_ptr<arrivals>> tcpshm_arrivals(context& where, const endpoint& at,
                                                  const std::shared_ptr<const options>& with) {
  auto how = compat::tcpshm::carried(at, with);
  if (!how) return how.error();
  how->with.peer = with->peer;
  auto made = std::make_shared<compat::tcpshm::host>(where, std::move(*how));
  if (const auto opened = made->open(); !opened) return opened.error();
  return std::unique_ptr<arrivals>(std::make_unique<compat::tcpshm::host_arrivals>(std::move(made)));
}

}  // namespace ferry::detail
