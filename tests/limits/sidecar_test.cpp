#include <gtest/gtest.h>

#include <string>

#include "testing/sidecar_by_hand.hpp"
#include "tests/limits/counting_new.hpp"

namespace ferry::test {
namespace {

class sidecar_limits : public ::testing::TestWithParam<service_rings> {};
INSTANTIATE_TEST_SUITE_P(rings, sidecar_limits, ::testing::Values(service_rings::compatible, service_rings::native),
                         [](const auto& of) { return of.param == service_rings::native ? "native" : "compatible"; });

TEST_P(sidecar_limits, a_service_allocates_nothing_for_the_messages_that_it_receives_and_answers) {
  boost::asio::io_context io;
  context where(io);
  sidecar_by_hand sidecar(io, GetParam());
  sidecar.make_rings();
  sidecar.listen();
  auto with = sidecar.options_for();
  with.heartbeat_timeout = std::chrono::hours(1);
  auto one = service::make(where, with).value();
  ASSERT_TRUE(one.start());
  (void)sidecar.take_registration();
  ASSERT_TRUE(run_until(
      io, [&] { return one.state() == service_state::registered && one.rings() == GetParam(); }, "the rings"));
  std::uint64_t received = 0;
  one.on_message([&](const service_message& asked) {
    received += 1;
    ASSERT_TRUE(
        one.reply(asked, {.message_id = "Answer", .client_sequence = asked.package.client_sequence}, asked.body));
  });
  const std::vector<service_note> notes{{"21ShmPipeIdx", "1"}};
  // The sidecar's end of the rings, without memory of its own.
  sidecar::message_former former;
  const auto formed = former
                          .form(GetParam(), {.from = 21, .message_id = "Say", .to = to_entity{1001}},
                                {.message_id = "Ask", .client_sequence = 5, .notes = notes}, as_bytes("hello"), 1)
                          .value();
  const auto drop_all = [&] {
    while (*sidecar.from_service().front(0)) sidecar.from_service().pop();
  };
  const auto exchange = [&](std::uint64_t messages) {
    const auto end = received + messages;
    while (received < end) {
      for (int i = 0; i < 20; ++i) ASSERT_TRUE(sidecar.to_service().write(formed.parts(), formed.head_bytes, 1));
      const auto batch = received + 20;
      ASSERT_TRUE(run_until(
          io, [&] { return received >= batch; }, "a batch"));
      drop_all();
    }
  };
  exchange(200);
  const auto before = count_allocations().allocations;
  exchange(2000);
  // Looking at the ring, when it has been empty, takes a handler of the event loop now and then.
  EXPECT_LE(count_allocations().allocations - before, 300u) << "2000 messages and 2000 answers in 100 batches";
}

}  // namespace
}  // namespace ferry::test
