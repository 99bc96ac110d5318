// One instance of a service for sidecar_migration_test.cpp: it answers questions, takes the route as soon as it has
// registered, says "serving" then, and leaves in order when its input ends. Descriptor 3 is its book.
#include <ferry/sidecar.hpp>

#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

#include "migration_log.hpp"

namespace ferry::test {
namespace {

using std::chrono::milliseconds;
using mark = migration_log::mark;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::_Exit(2);
}

class instance {
 public:
  instance(boost::asio::io_context& io, context& where, const service_options& with, std::size_t book_bytes)
      : book_(3, book_bytes), version_(static_cast<std::uint32_t>(with.version)), input_(io, ::dup(0)), timer_(io) {
    book_.log().of(version_).hand = migration_log::k_nothing;
    book_.log().of(version_).sending = migration_log::k_nothing;
    self_ = service::make(where, with).value();
    self_.on_message([this](const service_message& asked) { take(asked); });
    self_.on_registered([this](const service_registration& now) { registered(now.is_main); });
    self_.on_failed([](const error& why) { give_up(why.text()); });
    self_.on_fault([](const error& why) { give_up("a fault: " + why.text()); });
    start();
    input_.async_read_some(boost::asio::buffer(byte_), [this](const error_code&, std::size_t) { leave(); });
  }

 private:
  // Somebody who asks whether a lock is held has it for a moment.
  void start() {
    const auto started = self_.start();
    if (started) return;
    if (started.error() != errc::busy) give_up(started.error().text());
    timer_.expires_after(milliseconds(1));
    timer_.async_wait([this](const error_code&) { start(); });
  }
  void registered(bool is_main) {
    if (is_main) return serve();
    self_.async_change_route([this](error_code failed) {
      if (failed && self_.state() == service_state::registered) give_up("the route: " + failed.message());
      if (!failed) serve();
    });
  }
  static void serve() {
    std::puts("serving");
    std::fflush(stdout);
  }

  void take(const service_message& asked) {
    auto& now = book_.log().of(version_);
    const auto number = asked.package.client_sequence;
    if (!book_.knows(number) || as_text(asked.body) != migration_body(number) || asked.route.from != 101 ||
        !self_.is_to_current_instance(asked)) {
      book_.log().wrong += 1;
      return;
    }
    now.hand = number;
    book_.write(number, version_, mark::taken);
    // One of four is answered later, when it is out of the ring; the others on the spot.
    if (number % 4 != 0 && later_.empty() && answer(asked, number)) return;
    later_.emplace_back(asked, number);
    if (later_.size() == 1) answer_later();
  }
  bool answer(const service_message& asked, std::uint32_t number) {
    auto& now = book_.log().of(version_);
    now.sending = number;
    const auto sent = self_.reply(asked, {.message_id = "Answer", .client_sequence = number}, asked.body);
    if (sent) book_.write(number, version_, mark::answered);
    now.sending = migration_log::k_nothing;
    if (!sent && sent.error() != errc::full) give_up("an answer: " + sent.error().text());
    return sent.has_value();
  }
  void answer_later() {
    later_timer_.expires_after(milliseconds(1));
    later_timer_.async_wait([this](const error_code&) {
      while (!later_.empty() && answer(later_.front().view(), later_.front().number)) later_.pop_front();
      if (!later_.empty()) answer_later();
    });
  }

  // Nothing comes any more once the route is another one's.
  void leave() {
    if (self_.unread_bytes() != 0 || !later_.empty()) {
      timer_.expires_after(milliseconds(1));
      timer_.async_wait([this](const error_code&) { leave(); });
      return;
    }
    self_.async_stop(std::chrono::seconds(60), [this](error_code failed) {
      if (failed) give_up("the end: " + failed.message());
      input_.close();
    });
  }

  // A question that is out of the ring.
  struct kept {
    kept(const service_message& asked, std::uint32_t of) : number(of), from(asked.route.from) {
      for (const auto& note : asked.package.notes) notes.emplace_back(std::string(note.name), std::string(note.value));
      for (const auto& [name, value] : notes) views.push_back({name, value});
      body.assign(as_text(asked.body));
    }
    [[nodiscard]] service_message view() const {
      service_message made;
      made.route.from = from;
      made.package.notes = views;
      made.body = as_bytes(body);
      return made;
    }
    std::uint32_t number;
    std::uint32_t from;
    std::deque<std::pair<std::string, std::string>> notes;
    std::vector<service_note> views;
    std::string body;
  };

  migration_book book_;
  std::uint32_t version_;
  boost::asio::posix::stream_descriptor input_;
  boost::asio::steady_timer timer_, later_timer_{timer_.get_executor()};
  char byte_[1] = {};
  std::deque<kept> later_;
  service self_;
};

}  // namespace
}  // namespace ferry::test

// DIRECTORY VERSION native|compatible BOOK_BYTES
int main(int, char** arguments) {
  using namespace ferry;
  boost::asio::io_context io{1};
  context where{io};
  service_options with;
  with.number = 2;
  with.entity = 201;
  with.directory = arguments[1];
  with.version = std::strtoull(arguments[2], nullptr, 10);
  with.rings = std::string(arguments[3]) == "native" ? service_rings::native : service_rings::compatible;
  with.pipes = 2;
  with.retry_interval = std::chrono::milliseconds(10);
  with.ring_wait = with.register_timeout = with.answer_timeout = std::chrono::seconds(60);
  with.message_validity = {};
  test::instance one(io, where, with, std::strtoull(arguments[4], nullptr, 10));
  io.run();
  return 0;
}
