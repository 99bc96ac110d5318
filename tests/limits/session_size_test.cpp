// The largest message that a persistent session carries.
#include <ferry/listener.hpp>
#include <ferry/session.hpp>

#include <sys/statvfs.h>

#include "testing/meeting_places.hpp"
#include "testing/tcpshm_sessions.hpp"
#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

constexpr std::size_t k_size = 256u << 20;

/// Why there is no room or time for such a message here.
std::optional<std::string> cannot(const temp_dir& dir) {
  struct statvfs disk {};
  if (::statvfs(dir.path().c_str(), &disk) != 0) return "statvfs fails";
  if (disk.f_bavail * disk.f_frsize < 12 * k_size) return "needs 3 GiB on the disk, for two rings of 1 GiB";
  if (k_slower != 1) return "a sanitizer's shadow of so much memory takes long";
  return {};
}
/// One page of each 64 KiB differs from its neighbours, so that pages in other places would show.
std::string with_marks() {
  std::string large(k_size, 'x');
  for (std::size_t at = 0; at < k_size; at += 64u << 10) std::memcpy(large.data() + at, &at, sizeof at);
  large.back() = 'z';
  return large;
}

class large_sessions : public ::testing::TestWithParam<const char*> {};

TEST_P(large_sessions, carry_a_message_of_256_mib) {
  const temp_dir dir;
  if (const auto why = cannot(dir)) GTEST_SKIP() << *why;
  boost::asio::io_context io;
  context where(io);
  options with;
  with.session = session_kind::persistent;
  with.dir = with.runtime_dir = dir.path();
  with.max_message = k_size;
  with.ring_bytes = 4 * k_size;
  with.as = "bob";
  meeting_places places(GetParam(), dir);
  places.equip(with);
  auto listening = listener::open(where, places.url("large"), with).value();
  std::string large = with_marks();
  channel bob;
  std::vector<std::size_t> sizes;
  bool same = false;
  listening.on_channel([&](channel one) {
    bob = std::move(one);
    bob.on_message([&](const message_view& m) {
      sizes.push_back(m.payload.size());
      if (m.payload.size() == k_size) same = m.text() == large;
    });
  });
  with.as = "alice";
  auto alice = channel::open(where, listening.url(), with).value();
  EXPECT_EQ(persistent_session::of(alice)->info().max_message, k_size);
  ASSERT_TRUE(alice.try_send("before"));
  ASSERT_TRUE(alice.try_send(large));
  ASSERT_TRUE(alice.try_send("after"));
  ASSERT_TRUE(run_until(
      io, [&] { return sizes.size() == 3; }, "three messages", std::chrono::seconds(240)));
  EXPECT_EQ(sizes, (std::vector<std::size_t>{6, k_size, 5}));
  EXPECT_TRUE(same);
  large.push_back('!');
  EXPECT_EQ(alice.try_send(large).error(), errc::message_too_large);
}

INSTANTIATE_TEST_SUITE_P(over, large_sessions, ::testing::Values("shm", "ipc", "tcp", "tls"),
                         [](const auto& one) { return std::string(one.param); });

/// Tcpshm's shape, over TCP and in shared memory.
class large_tcpshm_sessions : public tcpshm_sessions {};

TEST_P(large_tcpshm_sessions, carry_a_message_of_256_mib) {
  if (const auto why = cannot(temp_dir())) GTEST_SKIP() << *why;
  tcpshm::options with;
  with.max_message = k_size;
  with.ring_bytes = 4 * k_size;
  sessions on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  const std::string large = with_marks();
  ASSERT_FALSE(on.client->say("before"));
  ASSERT_FALSE(on.client->say(large, 2));
  ASSERT_FALSE(on.client->say("after"));
  ASSERT_TRUE(on.until([&] { return on.server->messages.size() == 3; }, "three messages"));
  EXPECT_EQ(on.server->messages.front(), "1 before");
  EXPECT_EQ(on.server->messages.back(), "1 after");
  const std::string_view came = on.server->messages[1];
  EXPECT_TRUE(came.substr(0, 2) == "2 " && came.substr(2) == large);
  EXPECT_EQ(on.client->get_connection().alloc(k_size + 1), nullptr) << "above max_message";
}

INSTANTIATE_TEST_SUITE_P(, large_tcpshm_sessions, ::testing::Values(false, true), name_of_shape);

}  // namespace
}  // namespace ferry::test
