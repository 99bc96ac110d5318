// Who logs in at a listening endpoint: finds its session, or makes it, and tells the listener of those that have no
// channel yet.
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <unordered_map>

#include "channel/printed_url.hpp"
#include "channel/session_channel.hpp"
#include "os/session_directory.hpp"

namespace ferry::detail {
namespace {

namespace asio = boost::asio;

constexpr std::size_t k_most_guests = 64;  // who have connected and not logged in yet
constexpr auto k_patience = std::chrono::seconds(5);

/// The sessions of accepted ends that are open in an io_context, whatever they were accepted by: a client may come back
/// at another endpoint.
class session_book final : public asio::execution_context::service {
 public:
  using key_type = session_book;
  static asio::execution_context::id id;
  explicit session_book(asio::execution_context& of) : asio::execution_context::service(of) {}

  [[nodiscard]] std::shared_ptr<session_channel> find(const std::string& whose) {
    const auto found = open_.find(whose);
    if (found == open_.end()) return nullptr;
    auto one = found->second.lock();
    if (one && !one->gone()) return one;
    open_.erase(found);
    return nullptr;
  }
  void keep(const std::string& whose, const std::shared_ptr<session_channel>& one) {
    if (open_.size() > 2 * last_size_ + 64) forget_those_that_are_gone();
    open_[whose] = one;
  }

 private:
  void shutdown() noexcept override { open_.clear(); }
  void forget_those_that_are_gone() {
    std::erase_if(open_, [](const auto& one) { return one.second.expired(); });
    last_size_ = open_.size();
  }
  std::unordered_map<std::string, std::weak_ptr<session_channel>> open_;
  std::size_t last_size_ = 0;
};
asio::execution_context::id session_book::id;

class session_arrival final : public arrival {
 public:
  session_arrival(std::shared_ptr<session_channel> made, peer_info who)
      : made_(std::move(made)), who_(std::move(who)) {}
  [[nodiscard]] peer_info peer() const override { return who_; }
  void refuse() noexcept override { made_->cut(errc::busy); }
  [[nodiscard]] std::shared_ptr<channel_impl> make(context&, const std::string&,
                                                   std::shared_ptr<const options>) override {
    return made_;
  }
  void start(std::shared_ptr<void> slot) override { made_->start(std::move(slot)); }

 private:
  std::shared_ptr<session_channel> made_;
  peer_info who_;
};

/// The part that what is under way keeps.
struct session_door : std::enable_shared_from_this<session_door> {
  struct guest {
    guest(asio::io_context& io, std::unique_ptr<net::greeting> from_) : from(std::move(from_)), patience(io) {}
    std::unique_ptr<net::greeting> from;
    asio::steady_timer patience;
  };

  session_door(context& where_, std::unique_ptr<net::greeting_source> from_, std::shared_ptr<const options> with_)
      : where(where_), from(std::move(from_)), with(std::move(with_)) {}

  void wait() {
    if (closed || waiting || !ready || guests.size() >= k_most_guests) return;
    waiting = true;
    from->async_wait([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->waiting = false;
      self->let_in();
      self->wait();
    });
  }

  void let_in() {
    while (!closed && guests.size() < k_most_guests) {
      auto got = from->try_accept();
      if (!got) {
        if (got.error() != errc::would_block) arrived(got.error());
        return;
      }
      listen_to(std::move(*got));
    }
  }

  void listen_to(std::unique_ptr<net::greeting> came) {
    const auto one = guests.emplace_back(std::make_shared<guest>(where.io(), std::move(came)));
    one->patience.expires_after(with->connect_timeout.count() != 0 ? with->connect_timeout
                                                                   : options::duration(k_patience));
    one->patience.async_wait([self = shared_from_this(), weak = std::weak_ptr(one)](const auto& cancelled) {
      const auto still = cancelled ? nullptr : weak.lock();
      if (still && std::erase(self->guests, still) != 0)
        self->refused(still->from->peer(), error(errc::timeout, "it said nothing within connect_timeout"));
    });
    one->from->async_hear([self = shared_from_this(), weak = std::weak_ptr(one)](result<net::heard_login> heard) {
      const auto still = weak.lock();
      if (!still || std::erase(self->guests, still) == 0) return;
      self->hear(*still, std::move(heard));
      self->wait();  // where there were k_most_guests, nobody waits
    });
  }

  void hear(guest& one, result<net::heard_login> heard) {
    one.patience.cancel();
    const peer_info who = one.from->peer();
    if (!heard) return refused(who, heard.error());
    const auto said = session::decode_login(heard->text, false);
    if (!said) return refused(who, said.error());
    const auto to = session_for(*said);
    if (!to) {
      session::login no{
          session::login_outcome::refused, said->session, said->epoch, {}, with->as, said->own_name, {}, false};
      no.text = to.error().text();
      (void)one.from->say(session::encode(no), -1);
      return refused(who, to.error());
    }
    const auto& channel = *to;
    channel->welcome(std::move(one.from), std::move(*heard), *said,
                     [self = shared_from_this(), weak = std::weak_ptr(channel), who](const result<void>& outcome) {
                       if (const auto kept = weak.lock()) self->welcomed(kept, who, outcome);
                     });
  }

  [[nodiscard]] result<std::shared_ptr<session_channel>> session_for(const session::login& said) {
    if (!with->peer.empty() && said.own_name != with->peer)
      return error(errc::auth, "expected '" + with->peer + "', not '" + said.own_name + "'");
    const auto dir = os::session_directory(with->dir, true);
    if (!dir) return dir.error();
    const os::session_names names{with->as, said.own_name};
    const std::string whose = os::session_paths(*dir, names).base;
    auto& book = asio::use_service<session_book>(where.io());
    if (auto found = book.find(whose)) return found;
    if (!os::session_exists(*dir, names) && os::count_sessions(*dir, names.own) >= with->max_sessions)
      return error(errc::busy, "there are " + std::to_string(with->max_sessions) + " sessions (max_sessions)");
    auto files = open_session_files(*with, said.own_name);
    if (!files) return files.error();
    auto& opened = (*files)->session();
    auto all = session_options(*with, opened.output().data().size(), opened.max_payload());
    auto made = std::make_shared<session_channel>(where, printed_url(from->local_url(), *with), std::move(all),
                                                  std::move(*files), nullptr);
    book.keep(whose, made);
    return made;
  }

  void welcomed(const std::shared_ptr<session_channel>& channel, const peer_info& who, const result<void>& outcome) {
    // Where nobody else has been welcomed, or is about to be, the channel goes with us.
    if (!outcome) return refused(who, outcome.error());
    if (!channel->announce()) return channel->come_back();
    if (closed) return channel->cut(errc::closed);
    arrived(std::unique_ptr<arrival>(std::make_unique<session_arrival>(channel, who)));
  }

  void refused(const peer_info& who, const error& why) {
    const std::string where_from = from->local_url() + ": connection from " + who.text();
    // What is said of one visitor, so that the listener goes on.
    const bool ours = why == errc::no_memory || why == errc::permission;
    arrived(ours ? why.in(where_from) : error(errc::protocol, why.in(where_from).text(), why.system_errno()));
    wait();
  }

  void arrived(result<std::unique_ptr<arrival>> outcome) {
    done.push_back(std::move(outcome));
    tell();
  }
  void tell() {
    if (!ready || told) return;
    told = true;
    asio::post(where.io(), [self = shared_from_this()] {
      self->told = false;
      if (self->done.empty()) return;
      if (auto then = std::exchange(self->ready, nullptr)) then();
    });
  }

  context& where;
  std::unique_ptr<net::greeting_source> from;
  std::shared_ptr<const options> with;
  std::vector<std::shared_ptr<guest>> guests;
  std::deque<result<std::unique_ptr<arrival>>> done;
  std::function<void()> ready;
  bool waiting = false;
  bool told = false;
  bool closed = false;
};

class session_arrivals_of final : public arrivals {
 public:
  explicit session_arrivals_of(std::shared_ptr<session_door> door) : door_(std::move(door)) {}
  ~session_arrivals_of() override { close(); }
  [[nodiscard]] result<std::unique_ptr<arrival>> try_accept() override {
    if (door_->closed) return errc::closed;
    if (door_->done.empty()) return errc::would_block;
    auto one = std::move(door_->done.front());
    door_->done.pop_front();
    return one;
  }
  void async_wait(std::function<void()> ready) override {
    door_->ready = std::move(ready);
    if (!door_->done.empty()) return door_->tell();
    door_->wait();
  }
  result<void> refuse_new() override { return door_->from->refuse_new(); }
  void close() noexcept override {
    if (std::exchange(door_->closed, true)) return;
    door_->ready = nullptr;
    door_->guests.clear();
    door_->done.clear();
    door_->from->close();
  }
  [[nodiscard]] std::string local_url() const override { return door_->from->local_url(); }

 private:
  std::shared_ptr<session_door> door_;
};

}  // namespace

std::unique_ptr<arrivals> session_arrivals(context& where, std::unique_ptr<net::greeting_source> from,
                                           std::shared_ptr<const options> with) {
  return std::make_unique<session_arrivals_of>(std::make_shared<session_door>(where, std::move(from), std::move(with)));
}

}  // namespace ferry::detail
