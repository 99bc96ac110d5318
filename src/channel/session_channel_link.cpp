// How a session's channel logs in, is logged in to, and what it does when a connection comes or goes.
#include <ferry/url.hpp>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "channel/session_channel.hpp"
#include "os/barrier.hpp"
#include "os/random.hpp"
#include "os/session_directory.hpp"

namespace ferry::detail {
namespace asio = boost::asio;

namespace {

constexpr int k_most_restarts = 2;  // of the session, for one attempt to connect
constexpr std::size_t k_most_said = ~std::uint32_t{0};

std::string whose(const std::string& own, const std::string& peer) {
  return "session of '" + own + "' with " + (peer.empty() ? "nobody yet" : "'" + peer + "'");
}

}  // namespace

session_channel::session_channel(context& where, std::string url, std::shared_ptr<const options> with,
                                 std::unique_ptr<os::session_store> store, std::unique_ptr<session_destination> to)
    : link_channel(where, std::move(url), std::move(with), {true, true}, to != nullptr),
      to_(std::move(to)),
      many_(options_->senders == senders_kind::many),
      disk_(options_->durable == durable_kind::disk),
      store_(std::move(store)),
      peer_takes_(options_->max_message) {}

session_channel::~session_channel() {
  end_attempt();
  if (carrier_) carrier_->close();
}

// The connecting end ------------------------------------------------------------------------------

void session_channel::begin_attempt() {
  restarts_ = 0;
  greet();
}

void session_channel::end_attempt() noexcept {
  login_number_ += 1;
  attempt_.reset();
  greeting_.reset();
}

void session_channel::greet() {
  const auto made = [this](result<std::unique_ptr<net::greeting>> outcome) {
    const auto keep = this->shared_from_this();
    attempt_.reset();
    if (!outcome) return attempt_failed(outcome.error());
    greeting_ = std::move(*outcome);
    // The number of this login must survive before anybody hears it.
    std::uint64_t number = 0;
    {
      const auto guard = locked();
      session().identify(session().session(), session().epoch() + 1);
      number = session().commit_outputs();
    }
    const auto login = ++login_number_;
    when_durable(number, [this, login](bool durable) {
      if (durable && login_number_ == login && greeting_ && store_) say_login();
    });
  };
  if (to_->stream == nullptr) {
    attempt_ = net::greet_memory(where_.io(), to_->memory, options_, made);
    return;
  }
  attempt_ = to_->stream->transport->connect(
      where_, to_->stream->where, *options_, [made](result<std::shared_ptr<stream>> outcome) {
        if (!outcome) return made(outcome.error());
        made(std::unique_ptr<net::greeting>(std::make_unique<net::stream_greeting>(std::move(*outcome))));
      });
}

session::local_side session_channel::self() {
  const auto& who = store_->who();
  session::local_side side{who.own_name, options_->peer, session().session(), session().epoch(), {}};
  if (!to_) side.peer_name = who.peer_name;
  if (const auto range = session().range()) side.range = *range;
  return side;
}

result<void> session_channel::say(net::greeting& to, const session::login& what) {
  const auto text = session::encode(what);
  return to.say(text, session::goes_on(what.outcome) ? store_->ring_fd() : -1);
}

// Never 0, which says nothing.
std::uint32_t session_channel::most_we_take() const noexcept {
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(options_->max_message, 1, k_most_said));
}

void session_channel::say_login() {
  std::optional<error> wrong;
  {
    const auto guard = locked();
    const auto range = session().range();
    if (!range) wrong = range.error();
    const auto& who = store_->who();
    sent_ = {session::login_outcome::none,
             session().session(),
             session().epoch(),
             range ? *range : session::session_range{},
             who.own_name,
             who.peer_name,
             {},
             os::barriers_work(),
             most_we_take()};
    sent_.data = options_->login_data;
  }
  if (!wrong)
    if (const auto said = say(*greeting_, sent_); !said) wrong = said.error();
  if (wrong) {
    greeting_.reset();
    return attempt_failed(wrong->in("log in to " + url()));
  }
  greeting_->async_hear([self = self_as<session_channel>()](result<net::heard_login> heard) {
    if (self->greeting_) self->answer_heard(std::move(heard));
  });
}

void session_channel::answer_heard(result<net::heard_login> heard) {
  const auto failed = [this](const error& why) {
    greeting_.reset();
    attempt_failed(why.in("log in to " + url()));
  };
  if (!heard) return failed(heard.error());
  const auto answer = session::decode_login(heard->text, true);
  if (!answer) return failed(answer.error());
  session::login_decision decision;
  {
    const auto guard = locked();
    decision = session::decide_answer(self(), sent_, *answer);
  }
  if (decision.action == session::login_action::restart && options_->peer.empty() && restarts_++ < k_most_restarts)
    return begin_anew(decision, answer->own_name);
  if (decision.action != session::login_action::resume) {
    if (decision.numbers) store_->note_mismatch(*decision.numbers, answer->session);
    return failed(decision.why);
  }
  const auto ring = std::make_shared<os::unique_fd>(std::move(heard->ring));
  name_peer(answer->own_name, [this, failed, answer = *answer, ring](const result<void>& named) {
    if (!named) return failed(named.error());
    if (const auto fits = accept_answer(answer, std::move(*ring)); !fits) return failed(fits.error());
    greeting_.reset();
    connected();
  });
}

// What a transaction that somebody holds has done belongs to what is given up; whoever holds it is told when it goes
// on.
void session_channel::break_transaction() noexcept {
  if (!session().open()) return;
  session().abort();
  broken_ = true;
}

// Keeps the name of the peer that was met first, once no sync of the files is under way.
void session_channel::name_peer(const std::string& name, std::function<void(result<void>)> then) {
  if (store_->who().peer_name == name) return then({});
  const auto login = login_number_;
  auto work = [this, name, login, then = std::move(then)] {
    const auto self = self_as<session_channel>();
    if (self->login_number_ != login || !self->store_) return;
    result<void> durable, named;
    {
      const auto guard = self->locked();
      self->break_transaction();
      durable = session::sync_all(self->session(), self->store_->disk());
      if (durable) named = self->store_->name_peer(name);
    }
    if (!durable) return self->disk_failed(durable.error());
    // Whatever became of the name, everything is on the disk; and with the name the session counts anew.
    for (auto& one : std::exchange(self->durable_waiters_, {})) one.then(true);
    if (self->login_number_ == login) then(named);
  };
  if (syncing_)
    after_sync_ = std::move(work);
  else
    work();
}

result<void> session_channel::accept_answer(const session::login& answer, os::unique_fd ring) {
  {
    const auto guard = locked();
    store_->forget_mismatch();
  }
  return attach(*greeting_, std::move(ring), answer);
}

// The listening end is another one: what it does not know of is given up, as it can do nothing with it.
void session_channel::begin_anew(const session::login_decision& decision, const std::string& peer) {
  greeting_.reset();
  const auto login = ++login_number_;
  bool rests = false;
  result<std::uint64_t> reset = errc::would_block;
  {
    const auto guard = locked();
    rests = session().rests();
    if (rests) break_transaction();
    if (rests) reset = session().reset({os::random_u64() | 1, 0, 0, true});
    if (reset) discarded_ += decision.discarded;
  }
  if (!rests)
    return when_all_durable([this, login, decision, peer](bool durable) {
      if (durable && login_number_ == login && store_) begin_anew(decision, peer);
    });
  if (!reset) return attempt_failed(reset.error());
  if (decision.discarded != 0)
    where_.log(log_level::warn, "session", [&] {
      return url() + ": " + decision.why.text() + "; a new session begins, and " + std::to_string(decision.discarded) +
             " messages that nobody acknowledged are discarded";
    });
  when_durable(*reset, [this, login, peer](bool durable) {
    const auto self = self_as<session_channel>();
    if (!durable || self->login_number_ != login || !self->store_) return;
    self->name_peer(peer, [this](const result<void>& named) {
      if (!named) return attempt_failed(named.error());
      greet();
    });
  });
}

// The listening end -------------------------------------------------------------------------------

namespace {

/// Somebody who has logged in and waits for the disk.
struct visit {
  std::unique_ptr<net::greeting> from;
  net::heard_login heard;
  session::login said;
  session::login_decision decision;
  std::function<void(result<void>)> done;
};

error closed_meanwhile() { return {errc::closed, "the session's channel was closed meanwhile"}; }

}  // namespace

session::login_decision session_channel::decide(const session::login& said) {
  const auto guard = locked();
  session::login now = said;
  now.range.end = its_end(said);
  return session::decide_login(self(), now);
}

// It may have sent more since, and through a connection of before, whose end we have not seen, we may have consumed
// that. It has its newest numbers at hand when it reads our answer.
std::uint64_t session_channel::its_end(const session::login& said) {
  return mapped_its_ring_ ? std::max(said.range.end, session().acknowledged()) : said.range.end;
}

void session_channel::leave_to(const std::shared_ptr<session::login>& said, decided then) {
  session::login_decision decision;
  if (!restarts()) {
    decision = decide(*said);
    if (decision.action == session::login_action::stop) {
      if (decision.numbers) store_->note_mismatch(*decision.numbers, said->session);
      return then(decision);
    }
  }
  const error why(errc::reset,
                  "the peer has come back at another event loop of this process, where its session goes on");
  if (!rests()) {
    // What is committed here would happen again there.
    if (attached()) lost(why);
    const auto ended = [then] { then(nobody_has_it()); };
    if (gone()) return ended();
    return when_all_durable([this, said, then = std::move(then), ended](bool durable) {
      const auto self = self_as<session_channel>();
      durable && !self->gone() ? self->leave_to(said, then) : ended();
    });
  }
  {
    const auto guard = locked();
    said->range.end = its_end(*said);
  }
  if (!attached()) report_connect_failure(why);
  cut(why);
  then(decision);
}

void session_channel::welcome(std::unique_ptr<net::greeting> from, net::heard_login heard, session::login said,
                              std::function<void(result<void>)> done) {
  if (restarts()) return welcome_later(std::move(from), std::move(heard), std::move(said), std::move(done));
  auto decision = decide(said);
  if (decision.action == session::login_action::stop) {
    if (decision.numbers) store_->note_mismatch(*decision.numbers, said.session);
    (void)say(*from, decision.answer);
    return done(decision.why);
  }
  // Its connection of before is over, whether we have noticed or not.
  if (attached()) lost(error(errc::reset, "the peer has connected again"));
  if (!store_ || state() == channel_state::closed) return done(errc::closed);
  decision = decide(said);
  const bool begins = decision.action == session::login_action::begin;
  std::uint64_t number = 0;
  if (auto guard = locked(); begins && !session().rests()) {
    if (guard) guard.unlock();
    return welcome_later(std::move(from), std::move(heard), std::move(said), std::move(done));
  } else {
    if (begins) {
      where_.log(log_level::warn, "session", [&] {
        return url() + ": '" + said.own_name + "' has begun a new session; " + std::to_string(decision.discarded) +
               " messages for the old one are discarded";
      });
      break_transaction();
      const auto reset = session().reset({said.session, 0, 0, true});
      if (!reset) return done(reset.error());
      discarded_ += decision.discarded;
    }
    session().identify(said.session, said.epoch);
    number = session().commit_outputs();
  }
  auto guest = std::make_shared<visit>(
      visit{std::move(from), std::move(heard), std::move(said), std::move(decision), std::move(done)});
  const auto login = ++login_number_;
  when_durable(number, [this, guest, login](bool durable) {
    if (!durable) return guest->done(closed_meanwhile());
    const auto self = self_as<session_channel>();
    if (self->login_number_ != login || !self->store_)
      return guest->done(error(errc::auth, "a newer login came meanwhile"));
    guest->done(self->welcome_now(*guest->from, guest->heard, guest->said, guest->decision));
  });
}

// What a login is compared with is on its way to the disk, or a new session would take what is from under way.
void session_channel::welcome_later(std::unique_ptr<net::greeting> from, net::heard_login heard, session::login said,
                                    std::function<void(result<void>)> done) {
  auto guest = std::make_shared<visit>(visit{std::move(from), std::move(heard), std::move(said), {}, std::move(done)});
  when_all_durable([this, guest](bool durable) {
    if (!durable) return guest->done(closed_meanwhile());
    self_as<session_channel>()->welcome(std::move(guest->from), std::move(guest->heard), std::move(guest->said),
                                        std::move(guest->done));
  });
}

result<void> session_channel::welcome_now(net::greeting& from, net::heard_login& heard, const session::login& said,
                                          const session::login_decision& decision) {
  session::login answer = decision.answer;
  answer.barriers = os::barriers_work();
  answer.max_message = most_we_take();
  answer.data = options_->login_data;
  {
    // While this login waited for the disk, what was consumed from the connection before it has become durable too.
    const auto guard = locked();
    const auto range = session().range();
    if (!range) return range.error();
    answer.range = *range;
  }
  store_->forget_mismatch();
  if (const auto told = say(from, answer); !told) return told.error();
  return attach(from, std::move(heard.ring), said);
}

void session_channel::come_back() {
  if (started_) came_back();
}

// The connection ----------------------------------------------------------------------------------

result<void> session_channel::attach(net::greeting& connection, os::unique_fd ring, const session::login& peer) {
  arrived_ = connection.peer();
  arrived_.login_data = peer.data;
  std::shared_ptr<session_carrier> made;
  if (dynamic_cast<net::stream_greeting*>(&connection) != nullptr) {
    made = carry_by_stream(*this, connection);
    straight_ = false;
  } else {
    auto mapped = carry_by_memory(*this, connection, std::move(ring), peer.barriers);
    if (!mapped) return mapped.error();
    made = std::move(*mapped);
    straight_ = !many_ && !disk_ && options_->deliver_empty;
    mapped_its_ring_ = true;
  }
  {
    const auto guard = locked();
    if (const auto attached = made->attach(peer.range.ack); !attached) return attached.error();
    peer_takes_ = peer.max_message != 0 ? peer.max_message : options_->max_message;
  }
  aborted_ = false;
  write_error_.reset();
  const auto guard = locked();
  carrier_ = std::move(made);
  return {};
}

std::optional<peer_info> session_channel::begin_connection() { return arrived_; }

void session_channel::begin_flow() { carrier_->begin(); }

void session_channel::abort_connection() noexcept {
  const auto guard = locked();
  if (!carrier_ || std::exchange(aborted_, true)) return;
  carrier_->close();
}

link_channel::remains session_channel::end_connection() {
  remains left;
  left.wanted_to_write = carrier_->write_blocked() || write_error_;
  left.unread_bytes = 0;  // it comes again
  abort_connection();
  const auto guard = locked();
  if (store_) {
    broken_ = broken_ || (step_ == step::held && session().open());
    session().detach_input();
  }
  asio::post(where_.io(), [gone = std::exchange(carrier_, nullptr)] {});
  straight_ = false;
  aborted_ = false;
  return left;
}

result<void> session_channel::end_sending() { return carrier_->end(); }

// Making ------------------------------------------------------------------------------------------

std::shared_ptr<const options> session_options(const options& with, std::size_t ring_bytes, std::size_t max_payload) {
  auto all = std::make_shared<options>(with);
  all->max_message = std::min(with.max_message, max_payload);
  all->send_queue_bytes = ring_bytes;
  all->send_queue_low_bytes = ring_bytes / 2;
  all->ring_bytes = ring_bytes;
  // Over a stream, what the peer acknowledges comes behind its messages. Who could not hold all that it has under way,
  // while a handler's answer waits for room, would wait for ever. The peer's ring is taken to be as large as ours.
  all->receive_queue_bytes = std::max(with.receive_queue_bytes, ring_bytes);
  return all;
}

result<std::unique_ptr<os::session_store>> open_session_files(const options& with, const std::string& peer) {
  const auto dir = os::session_directory(with.dir, true);
  if (!dir) return dir.error();
  const auto how = with.durable == durable_kind::disk ? session::durability::disk : session::durability::process;
  auto opened = os::session_store::open(*dir, {with.as, peer}, {with.ring_bytes, how, with.prefault});
  if (!opened) return opened.error().in(whose(with.as, peer));
  return opened;
}

result<std::shared_ptr<channel_impl>> make_session_connecting(context& where, std::string url,
                                                              const std::shared_ptr<const options>& with,
                                                              std::unique_ptr<session_destination> to) {
  auto files = open_session_files(*with, with->peer);
  if (!files) return files.error();
  auto& made = (*files)->session();
  auto all = session_options(*with, made.output().data().size(), made.max_payload());
  return std::shared_ptr<channel_impl>(
      std::make_shared<session_channel>(where, std::move(url), std::move(all), std::move(*files), std::move(to)));
}

}  // namespace ferry::detail
