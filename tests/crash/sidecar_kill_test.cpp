// A service of a sidecar that is killed at any of the system calls with which it picks a pipe, locks it, writes its
// lease, maps the rings and registers: whoever comes next gets the same pipe, and messages through it.
#include <ferry/sidecar.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <string>

#include "sidecar/sidecar.hpp"
#include "stepped_child.hpp"
#include "testing/forked.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

void run_sidecar(const sidecar::settings& with) {
  boost::asio::io_context io{1};
  context where{io};
  const auto it = sidecar::daemon::open(where, with);
  if (it)
    (void)test::run_until(
        io, [] { return false; }, "the end of the test", std::chrono::hours(1));
}

class killed_services : public ::testing::TestWithParam<service_rings> {
 protected:
  killed_services() { with.entities = {test::small_entity(dir, 101)}; }
  [[nodiscard]] service_options options() const {
    service_options made;
    made.number = 1;
    made.entity = 101;
    made.directory = with.entities[0].directory;
    made.rings = GetParam();
    made.retry_interval = 10ms;
    made.ring_wait = test::k_patience;
    made.message_validity = {};
    return made;
  }
  /// Registers, and sends itself a message. @return whether that came
  [[nodiscard]] ::testing::AssertionResult is_served() const {
    boost::asio::io_context io{1};
    context where{io};
    auto it = service::make(where, options()).value();
    if (const auto started = it.start(); !started) return ::testing::AssertionFailure() << started.error().text();
    std::string got;
    it.on_message([&](const service_message& what) { got = as_text(what.body); });
    auto registered = test::run_until(
        io, [&] { return it.state() == service_state::registered && it.rings() == GetParam(); }, "the registration");
    if (!registered) return registered;
    if (!it.send({.to = to_entity{101}}, {}, as_bytes("to itself"))) return ::testing::AssertionFailure() << "no room";
    return test::run_until(
        io, [&] { return got == "to itself"; }, "its message");
  }

  const test::temp_dir dir;
  boost::asio::io_context io_{1};
  sidecar::settings with;
};

TEST_P(killed_services, leave_a_pipe_that_serves_whoever_comes_next) {
  // In a process of its own, so that it answers while somebody else is stepped.
  const test::forked beside([&] { run_sidecar(with); });
  ASSERT_TRUE(test::run_until(
      io_, [&] { return std::ifstream(with.entities[0].directory + "/entity").good(); }, "the sidecar"));
  ASSERT_TRUE(is_served());
  bool has_ended = false;
  int points = 0;
  for (int calls = 1; !has_ended; calls += 1 + calls / 8, ++points) {
    test::stepped_child killed([&] { ::_exit(is_served() ? 0 : 1); });
    if (killed.forbidden()) GTEST_SKIP() << "ptrace is forbidden here";
    for (int i = 0; i < calls && !has_ended; ++i) has_ended = !killed.step_to_system_call();
    killed.kill();
    ASSERT_TRUE(is_served()) << "after " << calls << " system calls";
  }
  EXPECT_GT(points, 20);
}

INSTANTIATE_TEST_SUITE_P(rings, killed_services, ::testing::Values(service_rings::compatible, service_rings::native),
                         [](const auto& of) {
                           return std::string(of.param == service_rings::native ? "native" : "compatible");
                         });

}  // namespace
}  // namespace ferry
