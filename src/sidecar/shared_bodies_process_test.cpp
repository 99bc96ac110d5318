// Bodies that several instances of one service get, while processes are killed: the sidecar, and one of the instances.
#include <ferry/sidecar.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <string>

#include "sidecar/sidecar.hpp"
#include "testing/forked.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

constexpr std::array k_sizes{2000u, 5000u, 100u, 9000u, 14'000u};  // all but one in the file

std::string body_of(std::size_t number) {
  std::string made = std::to_string(number) + " ";
  for (std::size_t i = made.size(); i < k_sizes[number % k_sizes.size()]; ++i)
    made += static_cast<char>('a' + (i + number) % 23);
  return made;
}

class bodies_of_processes : public ::testing::Test {
 protected:
  bodies_of_processes() {
    for (const std::uint32_t entity : {101u, 201u, 202u, 203u})
      with.entities.push_back(test::small_entity(dir, entity));
    with.message_age = {};
    with.hold = 1h;
    with.heartbeat_timeout = 1h;
    with.shared_bytes = 1u << 20;
  }
  [[nodiscard]] service make(context& at, std::uint32_t entity) const {
    auto options = test::small_service(dir, entity);
    options.retry_interval = 5ms;
    return service::make(at, options).value();
  }
  void run_sidecar() const {
    boost::asio::io_context beside_io{1};
    context beside(beside_io);
    auto made = sidecar::daemon::open(beside, with);
    if (made) beside_io.run();
  }
  struct receiver {
    service it;
    std::size_t next = 0, wrong = 0, twice = 0;
    void listen() {
      it.on_message([this](const service_message& what) { take(as_text(what.body)); });
    }
    // What the sidecar had in its hand as it was killed comes twice.
    void take(std::string_view body) {
      const auto number = std::strtoull(std::string(body.substr(0, body.find(' '))).c_str(), nullptr, 10);
      wrong += number > next || body != body_of(number) ? 1 : 0;
      twice += number < next ? 1 : 0;
      next = std::max<std::size_t>(next, number + 1);
    }
  };
  receiver& add(std::uint32_t entity) {
    auto& made = all.emplace_back(receiver{make(where, entity)});
    made.listen();
    return made;
  }
  /// Once the sidecar has made its directory, and nobody else has its pipe.
  [[nodiscard]] ::testing::AssertionResult starts(service& one) {
    return test::run_until(
        io, [&] { return one.start().has_value(); }, "a pipe");
  }
  /// Goes on with what finds room.
  void send_up_to(std::size_t end) {
    while (sent != end && from.send({.to = to_all{2}}, {}, as_bytes(body_of(sent)))) ++sent;
  }
  [[nodiscard]] ::testing::AssertionResult is_up(const service& one) {
    return test::run_until(
        io, [&] { return one.state() == service_state::registered && one.rings() == service_rings::native; },
        "a service");
  }

  const test::temp_dir dir;
  boost::asio::io_context io{1};
  context where{io};
  sidecar::settings with;
  service from;
  std::deque<receiver> all;
  std::size_t sent = 0;
};

TEST_F(bodies_of_processes, are_all_there_in_order_however_often_the_sidecar_is_killed) {
  from = make(where, 101);
  for (const std::uint32_t entity : {201u, 202u, 203u}) (void)add(entity);
  std::size_t end = 0;
  for (int life = 0; life < 15; ++life) {
    const test::forked beside([&] { run_sidecar(); });
    ASSERT_GT(beside.pid(), 0);
    if (life == 0) {
      ASSERT_TRUE(starts(from));
      for (auto& one : all) ASSERT_TRUE(starts(one.it));
    }
    ASSERT_TRUE(is_up(from));
    // One of them reads nothing from here on, until the next one is there.
    auto& late = all[static_cast<std::size_t>(life / 2) % all.size()];
    life % 2 == 0 ? late.it.on_message({}) : late.listen();
    end += 12;
    ASSERT_TRUE(test::run_until(
        io,
        [&] {
          send_up_to(end);
          return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.next + 6 > end; });
        },
        "some of it"));
  }
  const test::forked beside([&] { run_sidecar(); });
  ASSERT_GT(beside.pid(), 0);
  for (auto& one : all) one.listen();
  ASSERT_TRUE(test::run_until(
      io,
      [&] {
        send_up_to(end);
        return sent == end && std::all_of(all.begin(), all.end(), [&](const auto& one) { return one.next == end; });
      },
      "everything"));
  for (const auto& one : all) {
    EXPECT_EQ(one.wrong, 0u);
    EXPECT_LE(one.twice, 20u) << "one for each kill";
    EXPECT_EQ(one.it.stats().lost_bodies, 0u);
  }
}

TEST_F(bodies_of_processes, are_all_there_for_the_others_however_often_one_of_them_is_killed) {
  const test::forked beside([&] { run_sidecar(); });
  ASSERT_GT(beside.pid(), 0);
  from = make(where, 101);
  ASSERT_TRUE(starts(from));
  ASSERT_TRUE(is_up(from));
  for (const std::uint32_t entity : {201u, 202u}) {
    auto& one = add(entity);
    ASSERT_TRUE(starts(one.it));
    ASSERT_TRUE(is_up(one.it));
  }
  std::size_t end = 0;
  for (int life = 0; life < 15; ++life) {
    const test::forked third([&] {
      boost::asio::io_context its_io{1};
      context its(its_io);
      receiver one{make(its, 203)};
      one.listen();
      if (!one.it.start()) return;
      its_io.run();
    });
    ASSERT_GT(third.pid(), 0);
    end += 37;
    ASSERT_TRUE(test::run_until(
        io,
        [&] {
          send_up_to(end);
          return std::all_of(all.begin(), all.end(), [&](const auto& one) { return one.next == end; });
        },
        "everything"));
  }
  for (const auto& one : all) {
    EXPECT_EQ(one.wrong + one.twice, 0u);
    EXPECT_EQ(one.it.stats().lost_bodies, 0u);
  }
  // Whoever takes its pipe reads the rest.
  auto& last = all.emplace_back(receiver{make(where, 203)});
  std::size_t next = 0, wrong = 0;
  last.it.on_message([&](const service_message& what) {
    const auto text = as_text(what.body);
    const auto number = std::strtoull(std::string(text.substr(0, text.find(' '))).c_str(), nullptr, 10);
    wrong += number < next || text != body_of(number) ? 1 : 0;
    next = number + 1;
  });
  ASSERT_TRUE(starts(last.it));
  end += 10;
  ASSERT_TRUE(test::run_until(
      io,
      [&] {
        send_up_to(end);
        return next == end;
      },
      "the last one"));
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(last.it.stats().lost_bodies, 0u);
}

}  // namespace
}  // namespace ferry
