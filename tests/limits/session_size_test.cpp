// The largest message that a persistent session carries.
#include <ferry/listener.hpp>
#include <ferry/session.hpp>

#include <sys/statvfs.h>

#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

class large_sessions : public ::testing::TestWithParam<const char*> {};

TEST_P(large_sessions, carry_a_message_of_256_mib) {
  constexpr std::size_t k_size = 256u << 20;
  const temp_dir dir;
  struct statvfs disk {};
  ASSERT_EQ(::statvfs(dir.path().c_str(), &disk), 0);
  if (disk.f_bavail * disk.f_frsize < 12 * k_size) GTEST_SKIP() << "needs 3 GiB on the disk, for two rings of 1 GiB";
  if (k_slower != 1) GTEST_SKIP() << "a sanitizer's shadow of so much memory takes long";
  boost::asio::io_context io;
  context where(io);
  options with;
  with.session = session_kind::persistent;
  with.dir = with.runtime_dir = dir.path();
  with.max_message = k_size;
  with.ring_bytes = 4 * k_size;
  with.as = "bob";
  const std::string scheme = GetParam();
  auto listening =
      listener::open(where, scheme == "shm" ? "shm://large" : scheme + "://" + dir.file("socket"), with).value();
  // One page of each 64 KiB differs from its neighbours, so that pages in other places would show.
  std::string large(k_size, 'x');
  for (std::size_t at = 0; at < k_size; at += 64u << 10) std::memcpy(large.data() + at, &at, sizeof at);
  large.back() = 'z';
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

INSTANTIATE_TEST_SUITE_P(over, large_sessions, ::testing::Values("shm", "ipc"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ferry::test
