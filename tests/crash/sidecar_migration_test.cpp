// Instances of a service take over from each other without end, in order or by kill -9, and so do those who ask it:
// each question is answered once, at the instance that asked; what a killed one had taken and not answered is known,
// one by one.
#include <ferry/sidecar.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "migration_log.hpp"
#include "os/mapping.hpp"
#include "rounds.hpp"
#include "sidecar/sidecar.hpp"
#include "testing/child.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

using mark = migration_log::mark;

constexpr std::uint32_t k_under_way = 32;  // questions; their answers fit into every ring
constexpr std::uint32_t k_questions_a_round = 20'000;

/// Which rings they ask for.
enum class asking : std::uint8_t { compatible, native, mixed };

/// One instance of entity 101: it asks, and each answer must come to it.
struct asker {
  service self;
  std::set<std::uint32_t> open;  // questions
};

class sidecar_migration : public ::testing::TestWithParam<asking> {
 protected:
  void begin(std::uint64_t of) {
    with_.entities = {small_entity(dir_, 101, 2), small_entity(dir_, 201, 2)};
    // What killed instances leave waits for the next ones, and all of it may come back at once.
    for (auto& one : with_.entities) one.receive_bytes = one.send_bytes = 1u << 20;
    with_.message_age = {};
    with_.return_undeliverable = true;
    with_.hold = with_.heartbeat_timeout = with_.registration_timeout = k_patience;
    beside_.emplace(sidecar::daemon::open(where_, with_).value());
    const auto bytes = migration_book::bytes_for((of + 2) * k_questions_a_round);
    file_ = os::create_memory("migration", bytes, false).value();
    book_bytes_ = bytes;
    book_.emplace(file_.get(), bytes);
    new (&book_->log()) migration_log;
    serving_ = start_instance();
    ASSERT_TRUE(until_it_serves(*serving_));
    asks_ = ask_from(1);
  }

  // ---- who answers
  struct instance {
    std::uint32_t version;
    std::unique_ptr<child> process;
    bool serves = false;
  };
  [[nodiscard]] bool is_native(std::uint32_t version) const {
    return GetParam() == asking::native || (GetParam() == asking::mixed && version % 2 == 0);
  }
  std::unique_ptr<instance> start_instance() {
    const auto version = ++last_version_;
    return std::make_unique<instance>(instance{
        version,
        std::make_unique<child>(
            std::vector<std::string>{FERRY_MIGRATION_PEER, dir_.file("201"), std::to_string(version),
                                     is_native(version) ? "native" : "compatible", std::to_string(book_bytes_)},
            child_options{{}, {file_.get()}})});
  }
  [[nodiscard]] ::testing::AssertionResult until_it_serves(instance& one) {
    return turn([&] { return one.serves || (one.serves = one.process->read_line(child::duration{0}) == "serving"); },
                "instance " + std::to_string(one.version) + " serving");
  }
  void leave(instance& one) {
    one.process->close_input();
    std::optional<int> ended;
    EXPECT_TRUE(turn([&] { return (ended = one.process->wait(child::duration{0})).has_value(); }, "its end"));
    one.process->read_all();
    EXPECT_EQ(ended, 0) << one.process->error_output();
  }
  /// What it had taken and not answered is lost, one by one.
  void kill(instance& one) {
    if (chance(2) == 0) {  // all that is under way comes into its ring
      one.process->kill(SIGSTOP);
      let_run(std::chrono::milliseconds(5));
    }
    one.process->kill(SIGKILL);
    const auto ended = one.process->wait();
    one.process->read_all();
    ASSERT_EQ(ended, 137) << one.process->error_output();
    auto& was = book_->log().of(one.version);
    for (auto* from : {asks_.get(), asked_.get()}) {
      if (from == nullptr) continue;
      std::erase_if(from->open, [&](std::uint32_t number) {
        const bool is_unclear = number == was.hand || number == was.sending;
        unclear_open_ += is_unclear ? 1 : 0;
        const bool is_lost = !is_unclear && book_->says(number, one.version, mark::taken);
        if (is_lost) lost_.insert(number);
        return is_unclear || is_lost;
      });
    }
    // Its answer may be here already, and the question still in the ring.
    for (const std::uint32_t number : {was.hand.load(), was.sending.load()})
      if (number != migration_log::k_nothing) unclear_.insert(number);
    // What goes there until the sidecar knows that nobody reads it waits for the next one on that pipe.
    ASSERT_TRUE(turn(
        [&] {
          return std::ranges::none_of(beside_->pipes(),
                                      [&](const auto& of) { return of.entity == 201 && of.version == one.version; });
        },
        "the sidecar to notice the end of instance " + std::to_string(one.version)));
    asked_since_ = next_;
  }

  // ---- who asks
  std::unique_ptr<asker> ask_from(std::uint64_t version) {
    service_options options;
    options.number = 1;
    options.entity = 101;
    options.version = version;
    options.directory = dir_.file("101");
    options.pipes = 2;
    options.retry_interval = std::chrono::milliseconds(10);
    options.register_timeout = options.answer_timeout = k_patience;
    options.message_validity = {};
    const bool native = is_native(static_cast<std::uint32_t>(version));
    options.rings = native ? service_rings::native : service_rings::compatible;
    auto made = std::make_unique<asker>();
    made->self = service::make(where_, options).value();
    made->self.on_message([this, one = made.get()](const service_message& got) { hear(*one, got); });
    made->self.on_fault([](const error& why) { ADD_FAILURE() << why.text(); });
    EXPECT_TRUE(turn([&] { return made->self.start().has_value(); }, "a pipe"));
    EXPECT_TRUE(turn([&] { return made->self.state() == service_state::registered; }, "the registration"));
    return made;
  }
  void hear(asker& one, const service_message& got) {
    const auto number = got.package.client_sequence;
    if (!one.self.is_to_current_instance(got)) {
      EXPECT_TRUE(one.self.forward(got)) << number;
      handed_on_ += 1;
      return;
    }
    if (got.package.return_code != 0) {
      returned_ += one.open.erase(number);
      return;
    }
    EXPECT_EQ(as_text(got.body), migration_body(number));
    EXPECT_FALSE(lost_.contains(number)) << number << " was said to be lost";
    if (unclear_.contains(number)) {
      EXPECT_LE(++unclear_answers_[number], 2) << number;
    } else {
      EXPECT_EQ(one.open.erase(number), 1u) << number << " came twice, or to another one than asked";
      answered_ += 1;
    }
  }
  [[nodiscard]] std::size_t open_questions() const { return asks_->open.size() + (asked_ ? asked_->open.size() : 0); }
  /// Of those that nobody was killed with.
  [[nodiscard]] std::size_t under_way() const {
    std::size_t count = 0;
    for (const auto* one : {asks_.get(), asked_.get()})
      if (one != nullptr)
        count += static_cast<std::size_t>(std::distance(one->open.lower_bound(asked_since_), one->open.end()));
    return count;
  }
  void ask() {
    while (asks_ && !is_over_ && under_way() < k_under_way && next_ < (round_ + 1) * k_questions_a_round) {
      const auto body = migration_body(next_);
      const auto sent =
          asks_->self.send({.to = to_entity{201}}, {.message_id = "Ask", .client_sequence = next_}, as_bytes(body));
      if (!sent) {
        ASSERT_EQ(sent.error(), errc::full) << sent.error().text();
        return;
      }
      asks_->open.insert(next_++);
    }
  }
  /// Another instance asks from now on; the one that asked leaves when it has its answers.
  void replace_asker() {
    if (asked_) {
      if (!asked_->open.empty()) return;
      std::optional<error_code> stopped;
      asked_->self.async_stop(k_patience, [&](error_code failed) { stopped = failed; });
      ASSERT_TRUE(turn([&] { return stopped.has_value(); }, "the end of who asked"));
      EXPECT_FALSE(stopped->failed()) << stopped->message();
      asked_.reset();
    }
    auto next = ask_from(round_ + 2);
    std::optional<error_code> changed;
    next->self.async_change_route([&](error_code failed) { changed = failed; });
    ASSERT_TRUE(turn([&] { return changed.has_value(); }, "the change of the route to who asks"));
    EXPECT_FALSE(changed->failed()) << changed->message();
    asked_ = std::exchange(asks_, std::move(next));
  }

  // ---- time
  template <class Done>
  [[nodiscard]] ::testing::AssertionResult turn(Done done, std::string_view awaited) {
    return run_until(
        io_,
        [&] {
          ask();
          return done();
        },
        awaited);
  }
  /// Up to a moment that nobody can foresee.
  void let_run(std::chrono::microseconds at_most) {
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::microseconds(std::uniform_int_distribution<long>(0, at_most.count())(random_));
    while (std::chrono::steady_clock::now() < end) {
      ask();
      run_ready(io_);
    }
  }
  [[nodiscard]] int chance(int of) { return std::uniform_int_distribution<int>(0, of - 1)(random_); }
  void settle() {
    round_ += 1;
    const auto wanted = answered_ + 20;
    ASSERT_TRUE(turn([&] { return answered_ >= wanted; }, "answers")) << what_is_open();
    ASSERT_EQ(book_->log().wrong, 0u);
  }
  [[nodiscard]] std::string what_is_open() {
    std::string all;
    for (const auto* one : {asks_.get(), asked_.get()})
      for (const auto number : one == nullptr ? std::set<std::uint32_t>{} : one->open)
        all += "question " + std::to_string(number) + (one == asks_.get() ? "" : " of who asked before") + ": " +
               book_->text(number) + "\n";
    for (const auto& one : beside_->pipes())
      all += "entity " + std::to_string(one.entity) + ", pipe " + std::to_string(one.pipe) + ", " +
             sidecar::to_string(one.where) + (one.is_main ? ", main" : "") + ": " + std::to_string(one.unread_to) +
             " bytes to it and " + std::to_string(one.unread_from) + " from it are unread\n";
    const auto counts = beside_->stats().data;
    for (std::size_t i = 0; i < counts.undeliverable.size(); ++i)
      if (counts.undeliverable[i] != 0)
        all += std::to_string(counts.undeliverable[i]) + " undeliverable for reason " + std::to_string(i) + "\n";
    all += std::to_string(under_way()) + " were asked since the last kill, from " + std::to_string(asked_since_) +
           " to " + std::to_string(next_) + "\n";
    all += std::to_string(counts.returned) + " returned, " + std::to_string(counts.not_returned) + " not, " +
           std::to_string(handed_on_) + " handed on\n";
    return all;
  }
  /// Whoever waits in a ring that nobody reads is read.
  void end() {
    const auto last = start_instance();
    ASSERT_TRUE(until_it_serves(*last));
    is_over_ = true;
    ASSERT_TRUE(turn([&] { return open_questions() == 0; }, "the last answer")) << what_is_open();
    leave(*last);
    leave(*serving_);
    EXPECT_EQ(answered_ + returned_ + lost_.size() + unclear_open_, next_);
    EXPECT_EQ(beside_->stats().data.not_returned, 0u);
    for (const auto& one : beside_->pipes()) {
      EXPECT_EQ(one.counts.full, 0u);
      EXPECT_EQ(one.counts.malformed, 0u);
    }
    RecordProperty("answers", std::to_string(answered_));
    RecordProperty("handed_on", std::to_string(handed_on_));
    RecordProperty("lost", std::to_string(lost_.size()));
    RecordProperty("returned", std::to_string(returned_));
  }

  const temp_dir dir_;
  boost::asio::io_context io_{1};
  context where_{io_};
  sidecar::settings with_;
  std::optional<sidecar::daemon> beside_;
  os::unique_fd file_;
  std::size_t book_bytes_ = 0;
  std::optional<migration_book> book_;
  std::unique_ptr<asker> asks_, asked_;  // who asks, and who has asked before
  std::unique_ptr<instance> serving_;
  std::uint32_t last_version_ = 0;
  std::uint64_t round_ = 0;
  std::uint32_t next_ = 0;  // question
  bool is_over_ = false;
  std::uint64_t answered_ = 0, returned_ = 0, handed_on_ = 0, unclear_open_ = 0;
  std::uint32_t asked_since_ = 0;    // the first question after the last kill
  std::set<std::uint32_t> lost_;     // taken by one that was killed, and not answered
  std::set<std::uint32_t> unclear_;  // in its hand at that moment: answered once, twice or not at all
  std::map<std::uint32_t, int> unclear_answers_;
  std::mt19937 random_{std::random_device{}()};
};

INSTANTIATE_TEST_SUITE_P(rings, sidecar_migration, ::testing::Values(asking::compatible, asking::native, asking::mixed),
                         [](const auto& of) {
                           switch (of.param) {
                             case asking::compatible: return "compatible";
                             case asking::native: return "native";
                             case asking::mixed: return "mixed";
                           }
                           return "none";
                         });

TEST_P(sidecar_migration, in_order_loses_nothing_and_brings_nothing_twice_or_to_another_one) {
  const auto times = rounds(25);
  begin(times);
  for (std::uint64_t i = 0; i < times && !::testing::Test::HasFailure(); ++i) {
    if (i % 2 == 1) replace_asker();
    auto next = start_instance();
    ASSERT_TRUE(until_it_serves(*next));
    let_run(std::chrono::milliseconds(5));
    leave(*std::exchange(serving_, std::move(next)));
    settle();
  }
  end();
  EXPECT_EQ(answered_, next_) << returned_ << " came back";
}

TEST_P(sidecar_migration, with_kills_loses_exactly_what_was_taken_and_not_answered) {
  const auto times = rounds(8);
  begin(times);
  for (std::uint64_t i = 0; i < times && !::testing::Test::HasFailure(); ++i) {
    if (i % 3 == 2) replace_asker();
    auto next = start_instance();
    const auto whom = chance(4);
    if (whom == 0) {
      ASSERT_TRUE(until_it_serves(*next));
    }
    let_run(std::chrono::milliseconds(20));
    if (whom == 1) {  // while it comes
      kill(*next);
      next = start_instance();
    }
    kill(*serving_);
    if (whom == 2) {
      let_run(std::chrono::milliseconds(5));
      kill(*next);
      next = start_instance();
    }
    serving_ = std::move(next);
    ASSERT_TRUE(until_it_serves(*serving_));
    settle();
  }
  end();
}

}  // namespace
}  // namespace ferry::test
