// A peer that does not keep to the handshake: on either side the attempt ends with a reason, nothing is left of it, and
// whoever comes next is served.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "crash_test.hpp"
#include "raw_ring_peer.hpp"
#include "testing/raw_unix.hpp"

namespace ferry::test {
namespace {

using ring::hello_kind;

void send_fds(int socket, bytes text, const std::vector<int>& fds) {
  alignas(cmsghdr) std::array<std::byte, 256> control{};
  iovec part{const_cast<std::byte*>(text.data()), text.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
  cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
  std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
  ASSERT_EQ(::sendmsg(socket, &header, MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

// A hello with one field changed; the memory is as it should be.
void say_with(int socket, hello_kind kind, std::size_t at, std::uint64_t value, std::size_t size) {
  const raw_ring_memory memory;
  auto text = ring::encode(memory.hello(kind));
  std::memcpy(text.data() + at, &value, size);
  (void)os::send_with_fd(socket, text, memory.fd.get());
}
// A header with one field changed; the hello is as it should be.
void show_with(int socket, hello_kind kind, std::size_t at, std::uint64_t value, std::size_t size) {
  const raw_ring_memory memory;
  std::memcpy(memory.at.data() + at, &value, size);
  say_hello(socket, memory, kind);
}
void show(int socket, hello_kind kind, int fd) {
  const raw_ring_memory memory;
  (void)os::send_with_fd(socket, ring::encode(memory.hello(kind)), fd);
}

struct lie {
  const char* name;
  void (*tell)(int socket, hello_kind kind);
  errc expected;
  const char* text;  // is part of what the victim says
};
// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const lie& one, std::ostream* out) { *out << one.name; }

const lie k_lies[] = {
    {"memory_that_is_not_sealed",
     [](int socket, hello_kind kind) {
       const os::unique_fd fd(::memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
       ASSERT_EQ(::ftruncate(fd.get(), 1 << 20), 0);
       show(socket, kind, fd.get());
     },
     errc::corrupt, "not sealed in size"},
    {"memory_that_may_shrink",
     [](int socket, hello_kind kind) {
       const os::unique_fd fd(::memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
       ASSERT_EQ(::ftruncate(fd.get(), 1 << 20), 0);
       ASSERT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW), 0);
       show(socket, kind, fd.get());
     },
     errc::corrupt, "not sealed in size"},
    {"a_device_for_memory",
     [](int socket, hello_kind kind) { show(socket, kind, os::unique_fd(::open("/dev/zero", O_RDWR)).get()); },
     errc::corrupt, "not sealed in size"},
    {"a_socket_for_memory", [](int socket, hello_kind kind) { show(socket, kind, socket); }, errc::corrupt,
     "not sealed in size"},
    {"less_memory_than_it_says",
     [](int socket, hello_kind kind) { show(socket, kind, os::create_memory("hostile", 12288, false).value().get()); },
     errc::corrupt, "12288 bytes, it announced 73728"},
    {"no_memory_at_all", [](int socket, hello_kind kind) { show(socket, kind, -1); }, errc::protocol,
     "no memory along"},
    {"empty_memory",
     [](int socket, hello_kind kind) {
       const os::unique_fd fd(::memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
       ASSERT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK), 0);
       show(socket, kind, fd.get());
     },
     errc::corrupt, "0 bytes"},
    {"memory_of_nothing",
     [](int socket, hello_kind kind) {
       show(socket, kind, os::create_memory("hostile", 1 << 20, false).value().get());
     },
     errc::corrupt, "FERRYRNG"},
    {"a_header_of_another_version", [](int socket, hello_kind kind) { show_with(socket, kind, 8, 2, 4); },
     errc::unsupported, "same release"},
    {"a_header_with_other_pages", [](int socket, hello_kind kind) { show_with(socket, kind, 12, 8192, 4); },
     errc::truncated, "cut off"},
    {"a_header_without_pages", [](int socket, hello_kind kind) { show_with(socket, kind, 12, 0, 4); }, errc::corrupt,
     "pages of 0"},
    {"a_header_with_a_smaller_ring", [](int socket, hello_kind kind) { show_with(socket, kind, 16, 4096, 8); },
     errc::corrupt, "do not agree"},
    {"a_header_with_a_larger_ring", [](int socket, hello_kind kind) { show_with(socket, kind, 16, 1 << 20, 8); },
     errc::truncated, "cut off"},
    {"a_header_with_an_odd_ring", [](int socket, hello_kind kind) { show_with(socket, kind, 16, 65535, 8); },
     errc::corrupt, "power of two"},
    {"a_header_without_rings", [](int socket, hello_kind kind) { show_with(socket, kind, 24, 0, 4); }, errc::corrupt,
     "rings"},
    {"a_header_with_flags", [](int socket, hello_kind kind) { show_with(socket, kind, 28, 1, 4); }, errc::corrupt,
     "reserved"},
    {"a_header_without_epoch", [](int socket, hello_kind kind) { show_with(socket, kind, 32, 0, 8); }, errc::corrupt,
     "epoch"},
    {"another_version", [](int socket, hello_kind kind) { say_with(socket, kind, 8, 2, 4); }, errc::unsupported,
     "version 2 of shm, this program version 1: use the same release on both sides"},
    {"another_greeting", [](int socket, hello_kind kind) { say_with(socket, kind, 0, 0, 8); }, errc::protocol,
     "not FERRYSHM"},
    {"an_unknown_kind", [](int socket, hello_kind kind) { say_with(socket, kind, 12, 99, 4); }, errc::protocol,
     "kind 99"},
    {"the_wrong_side",
     [](int socket, hello_kind kind) {
       say_hello(socket, raw_ring_memory(), kind == hello_kind::hello ? hello_kind::welcome : hello_kind::hello);
     },
     errc::protocol, "instead of"},
    {"an_odd_ring", [](int socket, hello_kind kind) { say_with(socket, kind, 24, 65535, 8); }, errc::protocol,
     "power of two"},
    {"a_huge_ring", [](int socket, hello_kind kind) { say_with(socket, kind, 24, 1ull << 40, 8); }, errc::protocol,
     "power of two"},
    {"a_ring_larger_than_the_memory", [](int socket, hello_kind kind) { say_with(socket, kind, 24, 1ull << 30, 8); },
     errc::corrupt, "announced"},
    {"no_rings", [](int socket, hello_kind kind) { say_with(socket, kind, 32, 0, 4); }, errc::protocol, "rings"},
    {"many_rings", [](int socket, hello_kind kind) { say_with(socket, kind, 32, 0xffffffff, 4); }, errc::protocol,
     "rings"},
    {"no_pages", [](int socket, hello_kind kind) { say_with(socket, kind, 20, 0, 4); }, errc::truncated, ""},
    {"odd_pages", [](int socket, hello_kind kind) { say_with(socket, kind, 20, 4097, 4); }, errc::corrupt, ""},
    {"huge_pages", [](int socket, hello_kind kind) { say_with(socket, kind, 20, 1u << 31, 4); }, errc::corrupt, ""},
    {"half_a_greeting",
     [](int socket, hello_kind kind) {
       const raw_ring_memory memory;
       (void)os::send_with_fd(socket, bytes(ring::encode(memory.hello(kind))).first(64), memory.fd.get());
     },
     errc::protocol, "64 bytes instead of 512"},
    {"the_words_of_another_protocol",
     [](int socket, hello_kind) { (void)::send(socket, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL); }, errc::protocol,
     "does not speak shm"},
};

class a_hostile_hello : public crash, public ::testing::WithParamInterface<lie> {
 protected:
  [[nodiscard]] std::string path() const { return dir.file("meeting.shm"); }
};

TEST_P(a_hostile_hello, is_refused_by_a_listener_that_says_why_and_serves_the_next) {
  listener at = listen(settings());
  std::vector<error> errors;
  std::vector<channel> came;
  at.on_error([&](const error& why) { errors.push_back(why); });
  at.on_channel([&](channel one) { came.push_back(std::move(one)); });
  const auto before = footprint::now();
  {
    const auto peer = raw_unix::connect(path());
    GetParam().tell(peer.fd(), hello_kind::hello);
    ASSERT_TRUE(turn([&] { return !errors.empty() && peer.ready(); }, "a refusal"));
    EXPECT_EQ(errors[0], GetParam().expected) << errors[0].text();
    EXPECT_NE(errors[0].text().find(GetParam().text), std::string::npos) << errors[0].text();
    const auto told = hear_hello(peer.fd()).decoded();
    ASSERT_TRUE(told) << "it was not told why";
    EXPECT_EQ(told->kind, hello_kind::refusal);
    EXPECT_EQ(told->reason, GetParam().expected);
    EXPECT_TRUE(errors[0].text().ends_with(": " + told->text)) << told->text;
  }
  expect_nothing_left(before);
  channel to = open(settings());
  ASSERT_TRUE(turn([&] { return to.state() == channel_state::up && !came.empty(); }, "an honest peer"));
}

TEST_P(a_hostile_hello, is_refused_by_a_connecting_end_that_says_why) {
  const auto listening = raw_unix::listen(path());
  const auto before = footprint::now();
  {
    channel to = open(settings());
    ASSERT_TRUE(turn([&] { return listening.ready(); }, "somebody who connects"));
    const auto peer = listening.accept();
    ASSERT_TRUE(turn([&] { return peer.ready(); }, "a hello"));
    ASSERT_TRUE(hear_hello(peer.fd()).decoded());
    GetParam().tell(peer.fd(), hello_kind::welcome);
    ASSERT_TRUE(turn([&] { return to.state() == channel_state::closed; }, "the end"));
    EXPECT_EQ(to.last_error(), GetParam().expected) << to.last_error().text();
    EXPECT_NE(to.last_error().text().find(GetParam().text), std::string::npos) << to.last_error().text();
  }
  expect_nothing_left(before);
}

INSTANTIATE_TEST_SUITE_P(with, a_hostile_hello, ::testing::ValuesIn(k_lies),
                         [](const auto& one) { return std::string(one.param.name); });

using a_stranger = crash;

TEST_F(a_stranger, who_passes_more_descriptors_than_one_leaves_none_of_them_behind) {
  listener at = listen(settings());
  std::vector<channel> came;
  at.on_channel([&](channel one) { came.push_back(std::move(one)); });
  at.on_error([&](const error&) { came.emplace_back(); });
  const auto before = footprint::now();
  for (const std::size_t count : {std::size_t{2}, std::size_t{4}, std::size_t{9}}) {
    {
      const raw_ring_memory memory;
      const auto peer = raw_unix::connect(dir.file("meeting.shm"));
      send_fds(peer.fd(), ring::encode(memory.hello(hello_kind::hello)), std::vector<int>(count, memory.fd.get()));
      ASSERT_TRUE(turn([&] { return !came.empty(); }, "a decision"));
    }
    ASSERT_TRUE(turn([&] { return !came[0] || came[0].state() == channel_state::closed; }, "its end"));
    came.clear();
    expect_nothing_left(before);
  }
}

TEST_F(a_stranger, who_says_nothing_is_sent_away_after_connect_timeout) {
  options with = settings();
  with.connect_timeout = std::chrono::milliseconds(50);
  listener at = listen(with);
  std::vector<error> errors;
  at.on_error([&](const error& why) { errors.push_back(why); });
  at.on_channel([](const channel&) {});
  const auto before = footprint::now();
  {
    const auto peer = raw_unix::connect(dir.file("meeting.shm"));
    ASSERT_TRUE(turn([&] { return !errors.empty(); }, "the deadline"));
    EXPECT_EQ(errors[0], errc::timeout) << errors[0].text();
    EXPECT_NE(errors[0].text().find("connect_timeout"), std::string::npos) << errors[0].text();
    EXPECT_TRUE(peer.ended());
  }
  expect_nothing_left(before);
}

TEST_F(a_stranger, who_listens_and_says_nothing_is_given_up_after_connect_timeout) {
  const auto listening = raw_unix::listen(dir.file("meeting.shm"));
  options with = settings();
  with.connect_timeout = std::chrono::milliseconds(50);
  const channel to = open(with);
  ASSERT_TRUE(turn([&] { return to.state() == channel_state::closed; }, "the deadline"));
  EXPECT_EQ(to.last_error(), errc::timeout) << to.last_error().text();
}

TEST_F(a_stranger, or_a_hundred_who_say_nothing_keep_nobody_out_for_longer_than_connect_timeout) {
  options with = settings();
  with.connect_timeout = std::chrono::milliseconds(50);
  listener at = listen(with);
  std::vector<channel> came;
  at.on_channel([&](channel one) { came.push_back(std::move(one)); });
  std::vector<raw_unix> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(raw_unix::connect(dir.file("meeting.shm")));
  options patient = settings();
  patient.connect_timeout = std::chrono::seconds(30);
  const channel to = open(patient);
  ASSERT_TRUE(turn([&] { return to.state() == channel_state::up && !came.empty(); }, "an honest peer"));
}

}  // namespace
}  // namespace ferry::test
