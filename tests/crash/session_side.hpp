#pragma once
/// One side of a persistent session that counts what it sends and receives, in the state of its transactions and in a
/// book of its own (session_book.hpp). Throws, and says why, when anything is missing, doubled, torn, or does not
/// agree.

#include <ferry/channel.hpp>
#include <ferry/session.hpp>

#include <boost/asio/post.hpp>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

#include "session_book.hpp"

namespace ferry::test {

[[noreturn]] inline void give_up(const std::string& why) { throw std::runtime_error(why); }
template <class T>
[[nodiscard]] T must(result<T> outcome, const char* what) {
  if (!outcome) give_up(std::string(what) + ": " + outcome.error().text());
  return std::move(*outcome);
}
inline void must(const result<void>& outcome, const char* what) {
  if (!outcome) give_up(std::string(what) + ": " + outcome.error().text());
}

/// How a side works.
enum class session_style : std::uint8_t {
  handlers,     ///< message handlers, which are transactions by themselves
  transactions  ///< with several messages and several answers each; now and then one is aborted
};
enum class session_role : std::uint8_t { client, server };

/// A client sends numbered requests as fast as they are taken, until the book says stop; a server answers. Whatever a
/// side knows, it takes from the newest committed state, each time. Outlives what its channel has posted: let the event
/// loop turn after cut() before destroying it.
class session_side {
 public:
  session_side(channel of, session_book& book, session_role role, session_style style)
      : of_(std::move(of)),
        session_(must(persistent_session::of(of_), "session")),
        book_(book),
        client_(role == session_role::client),
        by_handlers_(style == session_style::handlers),
        largest_(session_.info().max_message) {
    book_.lives += 1;
    (void)load();
    of_.on_down([this](const down_info& info) { told(info.reason); });
    of_.on_connect_failure([this](const error& why) { told(why); });
    of_.on_drain([this] { post_step(); });
    if (by_handlers_) of_.on_message([this](const message_view& m) { handle(m); });
    post_step();
  }
  session_side(const session_side&) = delete;
  session_side& operator=(const session_side&) = delete;

  [[nodiscard]] channel& of() noexcept { return of_; }
  /// Of a client: nothing is under way any more, and all is there for good.
  [[nodiscard]] bool all_answered() {
    const auto now = load();
    const auto info = session_.info();
    return now.received == answers_before(now.sent) && info.acknowledged == info.sent && book_.committed == now.step;
  }
  /// Who minds what a lost connection or a failed attempt says; else only what the other side's death can be is fine.
  std::function<void(const error&)> on_trouble;

 private:
  /// What is committed, and that the book agrees.
  side_counts load() {
    side_counts now;
    if (const bytes state = session_.state(); !state.empty()) {
      if (state.size() != sizeof now) give_up("a state of " + std::to_string(state.size()) + " bytes");
      std::memcpy(&now, state.data(), sizeof now);
    }
    if (now.step != 0 && book_.read(now.step) != now) give_up("the book has other counters than the session");
    if (book_.committed > now.step) give_up("a step that was committed is gone");
    if (of_.settings().durable == durable_kind::process)
      book_.committed = now.step;
    else
      wait_durable(now.step);
    if (now.step - book_.committed >= session_book::k_places) give_up("too many steps wait for the disk");
    return now;
  }
  void wait_durable(std::uint64_t step) {
    if (step == book_.committed || std::exchange(waits_durable_, true)) return;
    session_.async_durable([this, step](error_code failed) {
      waits_durable_ = false;
      if (failed) return;
      book_.committed = step;
      post_step();
    });
  }
  template <class To>
  void keep(To& in, side_counts& now) {
    now.step += 1;
    book_.write(now);
    must(in.set_state(as_bytes(std::string_view(reinterpret_cast<const char*>(&now), sizeof now))), "state");
  }

  void check(const message_view& m, std::uint64_t number) {
    make_session_message(client_ ? numbered_kind::answer : numbered_kind::request, number, largest_, text_);
    const bool fits = m.text() == text_ && m.type == session_message_type(number) &&
                      (m.kind == message_kind::text) == session_message_is_text(number);
    if (!fits) give_up("message " + std::to_string(number) + " is missing, doubled or torn: " + what_is(m, number));
  }
  /// Which message came instead, if one near is it; its size and the session's numbers else.
  [[nodiscard]] std::string what_is(const message_view& m, std::uint64_t wanted) {
    const auto kind = client_ ? numbered_kind::answer : numbered_kind::request;
    const auto info = session_.info();
    std::string all = std::to_string(m.payload.size()) + " bytes of type " + std::to_string(m.type) + "; sent " +
                      std::to_string(info.sent) + ", acknowledged " + std::to_string(info.acknowledged) +
                      ", consumed " + std::to_string(info.consumed) + ", largest " + std::to_string(largest_) + " of " +
                      std::to_string(info.max_message);
    for (std::uint64_t near = wanted < 5000 ? 0 : wanted - 5000; near < wanted + 5000; ++near) {
      make_session_message(kind, near, largest_, text_);
      if (!text_.empty() && m.text() == text_) all += "; it is message " + std::to_string(near);
    }
    return all;
  }
  void make(std::uint64_t number) {
    make_session_message(client_ ? numbered_kind::request : numbered_kind::answer, number, largest_, text_);
  }
  [[nodiscard]] static message_kind kind_of(std::uint64_t number) {
    return session_message_is_text(number) ? message_kind::text : message_kind::binary;
  }

  // A handler is a transaction.
  void handle(const message_view& m) {
    auto now = load();
    check(m, now.received);
    const std::uint64_t answers = client_ ? 0 : answers_to(now.received);
    now.received += 1;
    for (std::uint64_t i = 0; i < answers; ++i) {
      make(now.sent);
      if (const auto sent = of_.try_send(as_bytes(text_), kind_of(now.sent), session_message_type(now.sent)); !sent) {
        if (sent.error() != errc::full) give_up("answer: " + sent.error().text());
        return must(session_.give_back(), "give back");
      }
      now.sent += 1;
    }
    keep(session_, now);
    post_step();  // which sees that it was committed
  }

  void wait_message() {
    if (by_handlers_ || std::exchange(waits_, true)) return;
    session_.async_wait_message([this](error_code failed) {
      waits_ = false;
      if (!failed) step();
    });
  }
  void post_step() {
    if (std::exchange(posted_, true)) return;
    boost::asio::post(of_.executor(), [this] {
      posted_ = false;
      step();
    });
  }

  void step() {
    if (of_.state() == channel_state::closed || of_.state() == channel_state::closing) return;
    auto now = load();
    auto open = must(session_.begin(), "begin");
    const bool room = by_handlers_ || receive_some(open, now);
    if (room && client_) send_some(open, now);
    if (room) wait_message();  // else on_drain() brings us back
    if (now == load()) return;
    keep(open, now);
    if (one_in_16() == 0) {
      open.abort();
    } else if (const auto done = open.commit(); !done) {
      if (done.error() != errc::reset) give_up("commit: " + done.error().text());
      open.abort();
    } else {
      at_once_ = 1 + one_in_16() % 6;
    }
    post_step();
  }
  // @return false: no room for the answers, or no connection any more; nothing happens then
  bool receive_some(transaction& open, side_counts& now) {
    const auto before = now;
    for (std::uint64_t i = 0; i < at_once_; ++i) {
      const auto m = open.receive();
      if (!m && m.error() == errc::would_block) return true;
      if (!m && m.error() != errc::reset) give_up("receive: " + m.error().text());
      if (!m) return now = before, post_step(), false;
      check(*m, now.received);
      const std::uint64_t answers = client_ ? 0 : answers_to(now.received);
      now.received += 1;
      for (std::uint64_t a = 0; a < answers; ++a)
        if (!send(open, now)) return now = before, at_once_ = 1, false;
    }
    return true;
  }
  void send_some(transaction& open, side_counts& now) {
    for (std::uint64_t i = 0; i < at_once_ && book_.stop == 0; ++i)
      if (!send(open, now)) return;
  }
  bool send(transaction& open, side_counts& now) {
    make(now.sent);
    const auto sent = open.send(as_bytes(text_), kind_of(now.sent), session_message_type(now.sent));
    if (!sent && sent.error() != errc::full && sent.error() != errc::reset) give_up("send: " + sent.error().text());
    now.sent += sent ? 1 : 0;
    return sent.has_value();
  }

  void told(const error& why) {
    if (on_trouble) return on_trouble(why);
    const bool death = why.code() == condition::reconnect || why == errc::closed;
    const bool silence = book_.silence != 0 && why == errc::timeout;
    if (!death && !silence) give_up("connection: " + why.text());
    if (silence) book_.silences += 1;
  }
  [[nodiscard]] std::uint64_t one_in_16() { return std::uniform_int_distribution<std::uint64_t>(0, 15)(random_); }

  channel of_;
  persistent_session session_;
  session_book& book_;
  const bool client_;
  const bool by_handlers_;
  const std::size_t largest_;
  std::string text_;
  std::uint64_t at_once_ = 1;
  bool posted_ = false;
  bool waits_ = false;
  bool waits_durable_ = false;
  std::mt19937 random_{std::random_device{}()};
};

}  // namespace ferry::test
