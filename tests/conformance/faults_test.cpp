// A fixed exchange, with every single operation of the streams below it failing once.
#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

constexpr std::size_t k_messages = 12;

std::string request(std::size_t i) { return std::to_string(i) + ":" + pattern(i, 90 * i); }

/// One exchange: requests from the client, an echo for each, a close in order. What each end went through is kept.
struct exchange : any_transport {
  exchange(const setting& with, std::uint64_t fail_at, errc reason, bool lose_in_flight, bool reconnect)
      : any_transport(with) {
    faults->most_per_read = 333;
    faults->most_per_write = 450;
    faults->capacity = 900;
    faults->reason = reason;
    faults->lose_in_flight = lose_in_flight;
    options client_with = settings();
    client_with.reconnect = reconnect;
    client_with.close_timeout = std::chrono::seconds(30);
    listening = listen(settings());
    listening.on_channel([this](channel arrived) {
      at_server.watch(arrived);
      arrived.on_message([this, one = arrived](const message_view& m) mutable {
        at_server.messages.emplace_back(m.text());
        (void)one.try_send(m.payload);
      });
    });
    faults->operations = 0;
    faults->fail_at = fail_at;
    client = open(connect_url(listening), client_with);
    at_client.watch(client);
    at_client.receive(client);
    for (std::size_t i = 0; i < k_messages; ++i) EXPECT_TRUE(client.try_send(request(i)));
    client.async_close([this](error_code, const close_report& told) { report = told; });
    EXPECT_TRUE(turn([this] { return report && where.totals().channels_open.value() == 0; }, "the end"));
    run_ready(io);
  }

  channel client;
  life at_client, at_server;
  std::optional<close_report> report;
};

/// Whether `got` is a part of the requests, in their order, without repetition. @return how many are missing
std::size_t missing(const std::vector<std::string>& got) {
  std::size_t next = 0;
  for (const std::string& one : got) {
    while (next < k_messages && request(next) != one) ++next;
    EXPECT_LT(next, k_messages) << "twice, out of order or damaged: " << one.substr(0, 10);
    ++next;
  }
  return k_messages - got.size();
}

void expect_clear(const exchange& went, const std::string& where_failed) {
  SCOPED_TRACE(where_failed);
  EXPECT_TRUE(went.at_client.paired);
  EXPECT_TRUE(went.at_server.paired);
  EXPECT_EQ(went.at_client.ups, static_cast<int>(went.at_client.downs.size()));
  EXPECT_EQ(went.at_server.ups, static_cast<int>(went.at_server.downs.size()));
  for (const life* one : {&went.at_client, &went.at_server})
    for (const auto& info : one->downs) {
      EXPECT_NE(info.reason.reason(), errc{});
      EXPECT_NE(info.reason, errc::would_block);
      EXPECT_FALSE(info.reason.text().empty());
    }
  ASSERT_TRUE(went.report);
  std::uint64_t bound = went.report->messages_unsent;
  for (const auto& info : went.at_client.downs) bound += info.messages_maybe_lost;
  EXPECT_LE(missing(went.at_server.messages), bound);
  missing(went.at_client.messages);
  if (went.report->clean()) {
    // Clean is said of the last connection: everything that it took was read.
    const auto of_last = went.at_client.downs.empty() ? 0 : went.at_client.downs.back().messages_maybe_lost;
    EXPECT_EQ(of_last, 0u);
  }
}

class faults : public ::testing::TestWithParam<std::tuple<const char*, framing_kind, bool, bool>> {};

TEST_P(faults, at_every_operation_end_with_a_reason_without_repetition_and_with_loss_within_the_bound) {
  const auto [carrier, framing, lose_in_flight, reconnect] = GetParam();
  const setting with{carrier, framing, senders_kind::one};
  const exchange undisturbed(with, 0, errc::reset, lose_in_flight, reconnect);
  ASSERT_TRUE(undisturbed.report && undisturbed.report->clean());
  ASSERT_EQ(missing(undisturbed.at_server.messages), 0u);
  ASSERT_EQ(missing(undisturbed.at_client.messages), 0u);
  const std::uint64_t operations = undisturbed.faults->operations;
  ASSERT_GT(operations, 50u);
  std::size_t lost_something = 0;
  for (std::uint64_t n = 1; n <= operations; ++n)
    for (const errc reason : {errc::reset, errc::network}) {
      const exchange went(with, n, reason, lose_in_flight, reconnect);
      // The length of a handshake differs by some bytes each time, and with it the number of operations.
      if (with.is("faulty") || went.faults->operations >= n) {
        EXPECT_EQ(went.faults->failures, 1u);
      }
      expect_clear(went, went.faults->failed_operation + ", operation " + std::to_string(n));
      if (::testing::Test::HasFailure()) return;
      lost_something += missing(went.at_server.messages) != 0 ? 1 : 0;
    }
  // Without lost messages the bounds above would have been compared with nothing.
  if (lose_in_flight) {
    EXPECT_GT(lost_something, 0u);
  }
}

std::string name_of_fault(const ::testing::TestParamInfo<faults::ParamType>& one) {
  const auto [carrier, framing, lose_in_flight, reconnect] = one.param;
  return name_of({carrier, framing, senders_kind::one}) + (lose_in_flight ? "_lossy" : "_kept") +
         (reconnect ? "_reconnecting" : "_once");
}

INSTANTIATE_TEST_SUITE_P(every, faults,
                         ::testing::Combine(::testing::Values("faulty"),
                                            ::testing::Values(framing_kind::varint, framing_kind::u32,
                                                              framing_kind::typed),
                                            ::testing::Bool(), ::testing::Bool()),
                         name_of_fault);
INSTANTIATE_TEST_SUITE_P(tls, faults,
                         ::testing::Combine(::testing::Values("faulty_tls"), ::testing::Values(framing_kind::varint),
                                            ::testing::Bool(), ::testing::Bool()),
                         name_of_fault);

}  // namespace
}  // namespace ferry::test
