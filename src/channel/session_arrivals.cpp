// Who logs in at a listening endpoint: finds its session, or makes it, and tells the listener of those that have no
// channel yet.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "channel/printed_url.hpp"
#include "channel/session_book.hpp"
#include "channel/session_channel.hpp"
#include "net/handler_place.hpp"
#include "os/peer_ring.hpp"
#include "os/session_directory.hpp"

namespace ferry::detail {
namespace {

namespace asio = boost::asio;

constexpr std::size_t k_most_guests = 64;  // who have connected and not logged in yet
constexpr auto k_patience = std::chrono::seconds(5);

/// The books that a loop's sessions are in, of contexts that share nothing. Tells them when the loop goes.
class session_loop final : public asio::execution_context::service {
 public:
  using key_type = session_loop;
  static asio::execution_context::id id;
  explicit session_loop(asio::execution_context& of)
      : asio::execution_context::service(of), here_(static_cast<asio::io_context&>(of)) {}

  void join(const std::shared_ptr<session_book>& book) {
    if (std::find(books_.begin(), books_.end(), book) != books_.end()) return;
    book->join(here_);
    books_.push_back(book);
  }
  [[nodiscard]] std::shared_ptr<session_channel> find(const std::string& whose) const {
    for (const auto& book : books_)
      if (auto one = book->find(whose, here_)) return one;
    return nullptr;
  }

 private:
  void shutdown() noexcept override {
    for (const auto& book : books_) book->leave(here_);
    books_.clear();
  }
  asio::io_context& here_;
  std::vector<std::shared_ptr<session_book>> books_;
};
asio::execution_context::id session_loop::id;

class session_arrival final : public arrival {
 public:
  session_arrival(std::shared_ptr<session_channel> made, peer_info who)
      : made_(std::move(made)), who_(std::move(who)) {}
  [[nodiscard]] peer_info peer() const override { return who_; }
  void refuse() noexcept override { made_->cut(errc::busy); }
  [[nodiscard]] std::shared_ptr<channel_impl> make(context&, const shared_url&,
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
    net::heard_login heard;
    session::login said;
    const char* waits_for = "it said nothing within connect_timeout";
  };

  session_door(context& where_, std::unique_ptr<net::greeting_source> from_, std::shared_ptr<const options> with_)
      : where(where_), from(std::move(from_)), with(std::move(with_)) {
    asio::use_service<session_loop>(where.io()).join(where.sessions());
  }

  void wait() {
    if (closed || waiting || !ready || guests.size() >= k_most_guests) return;
    waiting = true;
    try {
      from->async_wait([weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->waiting = false;
        const rest others{*self};
        self->let_in();
      });
    } catch (...) {
      waiting = false;
      throw;
    }
  }

  // Whatever letting somebody in throws, the next ones are waited for; without memory for that, the listener asks
  // again.
  struct rest {
    session_door& of;
    ~rest() {
      try {
        of.wait();
      } catch (const std::exception&) {
        of.tell();
      }
    }
  };

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
        self->refused(still->from->peer(), error(errc::timeout, still->waits_for));
    });
    one->from->async_hear([self = shared_from_this(), weak = std::weak_ptr(one)](result<net::heard_login> heard) {
      const auto still = weak.lock();
      if (!still || std::erase(self->guests, still) == 0) return;
      self->hear(still, std::move(heard));
      self->wait();  // where there were k_most_guests, nobody waits
    });
  }

  void hear(const std::shared_ptr<guest>& one, result<net::heard_login> heard) {
    if (!heard) return refused(one->from->peer(), heard.error());
    auto said = session::decode_login(heard->text, false);
    if (!said) return refused(one->from->peer(), said.error());
    one->heard = std::move(*heard);
    one->said = std::move(*said);
    const auto whose = session_of(one->said);
    if (!whose) return turn_away(*one, whose.error());
    if (is_stranger(one->said)) {
      if (const auto place = place_for_another(); !place) return turn_away(*one, place.error());
      const auto decision = session::decide_login({with->as, {}, 0, 0, {}}, one->said);
      if (decision.action == session::login_action::stop) return answered(*one, *whose, decision);
      if (const auto usable = check_ring(*one); !usable) return turn_away(*one, usable.error());
    }
    if (!ask_elsewhere(one, *whose)) welcome(*one, *whose);
  }

  /// Where another event loop has the session, it is asked to give it up; meanwhile the guest waits.
  [[nodiscard]] bool ask_elsewhere(const std::shared_ptr<guest>& one, const std::string& whose) {
    const auto& book = where.sessions();
    const auto answer = [book, here = &where.io(), door = weak_from_this(), waiting_one = std::weak_ptr(one),
                         said = std::make_shared<session::login>(one->said),
                         whose](const std::shared_ptr<session_channel>& there) {
      const auto tell = [book, here, door, waiting_one, said, whose](const session::login_decision& decision) {
        book->post(here, [door, waiting_one, said, whose, decision] {
          const auto self = door.lock();
          const auto still = waiting_one.lock();
          if (!self || !still || std::erase(self->guests, still) == 0) return;
          still->said = *said;
          self->answered(*still, whose, decision);
        });
      };
      if (!there) return tell(nobody_has_it());
      // Its files are free when that loop has turned.
      const auto soon = [tell, loop = &there->where().io()](const session::login_decision& decision) {
        asio::post(*loop, [tell, decision] { tell(decision); });
      };
      there->gone() ? soon(nobody_has_it()) : there->leave_to(said, soon);
    };
    one->waits_for = "the event loop that has its session did not give it up within connect_timeout";
    if (!book->ask_elsewhere(whose, where.io(), answer)) return false;
    guests.push_back(one);
    return true;
  }
  void answered(guest& one, const std::string& whose, const session::login_decision& decision) {
    if (decision.action != session::login_action::stop) {
      welcome(one, whose);
    } else {
      (void)one.from->say(session::encode(decision.answer), -1);
      refused(one.from->peer(), decision.why);
    }
    wait();
  }

  void welcome(guest& one, const std::string& whose) {
    one.patience.cancel();
    peer_info who = one.from->peer();
    who.login_data = one.said.data;
    const auto to = session_for(one.said, whose);
    if (!to) return turn_away(one, to.error());
    const auto& channel = *to;
    channel->welcome(std::move(one.from), std::move(one.heard), one.said,
                     [self = shared_from_this(), weak = std::weak_ptr(channel), who](const result<void>& outcome) {
                       if (const auto kept = weak.lock()) self->welcomed(kept, who, outcome);
                     });
  }
  void turn_away(guest& one, const error& why) {
    session::login no{
        session::login_outcome::refused, one.said.session, one.said.epoch, {}, with->as, one.said.own_name, {}, false};
    no.text = why.text();
    (void)one.from->say(session::encode(no), -1);
    refused(one.from->peer(), why);
  }

  /// Was never here: who does not fit is refused before there are files, which would take the place of another session.
  [[nodiscard]] bool is_stranger(const session::login& said) const {
    const auto dir = os::session_directory(with->dir, true);
    return dir && !os::session_exists(*dir, {with->as, said.own_name});
  }
  [[nodiscard]] result<void> place_for_another() const {
    const auto dir = os::session_directory(with->dir, true);
    if (!dir) return dir.error();
    if (os::count_sessions(*dir, with->as) < with->max_sessions) return {};
    return error(errc::busy, "no place for another session: max_sessions=" + std::to_string(with->max_sessions));
  }

  [[nodiscard]] static result<void> check_ring(const guest& one) {
    if (dynamic_cast<const net::stream_greeting*>(one.from.get()) != nullptr) return {};
    if (const auto mapped = os::map_peer_ring(one.heard.ring); !mapped) return mapped.error();
    return {};
  }

  /// The session's files, without what tells them apart.
  [[nodiscard]] result<std::string> session_of(const session::login& said) const {
    if (!with->peer.empty() && said.own_name != with->peer)
      return error(errc::auth, "expected '" + with->peer + "', not '" + said.own_name + "'");
    const auto dir = os::session_directory(with->dir, true);
    if (!dir) return dir.error();
    return os::session_paths(*dir, {with->as, said.own_name}).base;
  }
  [[nodiscard]] result<std::shared_ptr<session_channel>> session_for(const session::login& said,
                                                                     const std::string& whose) {
    if (auto found = asio::use_service<session_loop>(where.io()).find(whose)) return found;
    auto files = open_session_files(*with, said.own_name);
    if (!files) return files.error();
    auto& opened = (*files)->session();
    auto all = session_options(*with, opened.output().data().size(), opened.max_payload());
    auto made = std::make_shared<session_channel>(where, printed_url(from->local_url(), *with), std::move(all),
                                                  std::move(*files), nullptr);
    where.sessions()->keep(whose, where.io(), made);
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
    asio::post(where.io(), telling.hold([self = shared_from_this()] {
      self->told = false;
      if (self->done.empty() && self->waiting) return;
      if (auto then = std::exchange(self->ready, nullptr)) then();
    }));
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
  net::handler_place telling;
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
