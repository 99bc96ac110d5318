// ipc:// channels, both ways at once, against a peer that is none of ours.
#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <memory>

#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"
#include "tests/interop/uds_peer.hpp"

namespace ferry::test {
namespace {

class ipc_and_a_foreign_peer : public ::testing::TestWithParam<std::size_t> {
 protected:
  temp_dir files;
  const std::string path = files.file("a.sock");
  const std::string url = "ipc://" + path;
  boost::asio::io_context io;
  context where{io};
};

TEST_P(ipc_and_a_foreign_peer, listener_echoes_what_a_foreign_client_sends) {
  auto arrivals = listener::open(where, url).value();
  channel held;
  bool down = false;
  arrivals.on_channel([&](channel arrived) {
    held = arrived;
    held.on_message([&held](const message_view& m) { EXPECT_TRUE(held.try_send(m.payload)); });
    held.on_down([&](const down_info& info) {
      EXPECT_TRUE(info.reason == errc::end_of_stream || info.reason == errc::closed) << info.reason.text();
      down = true;
    });
  });
  child peer(uds_peer({"echo", path, "50", std::to_string(GetParam())}));
  ASSERT_TRUE(run_until(
      io, [&] { return down; }, "the peer to end"));
  EXPECT_EQ(peer.read_line(), "echoed");
  EXPECT_EQ(peer.finish(), 0) << peer.error_output();
  EXPECT_EQ(held.stats().messages_received, 50u);
}

TEST_P(ipc_and_a_foreign_peer, channel_hears_from_a_foreign_listener_what_it_sent) {
  child peer(uds_peer({"mirror", path}));
  ASSERT_EQ(peer.read_line(), "listening");
  auto talking = channel::open(where, url).value();
  std::size_t back = 0;
  talking.on_message([&](const message_view& m) { EXPECT_EQ(m.text(), peer_payload(back++, GetParam())); });
  std::size_t sent = 0;
  const auto send_more = [&] {
    while (sent < 50 && talking.try_send(as_bytes(std::string_view(peer_payload(sent, GetParam()))))) ++sent;
  };
  talking.on_drain(send_more);
  send_more();
  ASSERT_TRUE(run_until(
      io, [&] { return back == 50; }, "fifty messages"));
  std::optional<close_report> report;
  talking.async_close([&](error_code, const close_report& r) { report = r; });
  ASSERT_TRUE(run_until(
      io, [&] { return report.has_value(); }, "the end"));
  EXPECT_TRUE(report->clean()) << report->reason.text();
  EXPECT_EQ(peer.read_line(), "left 0");
  EXPECT_EQ(peer.finish(), 0) << peer.error_output();
}

INSTANTIATE_TEST_SUITE_P(sizes, ipc_and_a_foreign_peer, ::testing::Values(1u, 127u, 128u, 5000u, 300'000u),
                         [](const auto& one) { return std::to_string(one.param) + "_bytes"; });

}  // namespace
}  // namespace ferry::test
