// The interface for C, as the shared library has it: what a program of C sees, and what no mistake of it may do.
#include <ferry/socket.h>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstring>
#include <string>
#include <thread>

namespace {

std::string failed() { return ferry_errname(ferry_errno); }

ferry_address loopback(std::uint16_t port = 0) {
  ferry_address at{};
  std::strcpy(at.host, "127.0.0.1");
  at.family = FERRY_AF_INET;
  at.port = port;
  return at;
}

/// Two sockets that talk over TCP, closed with the object.
struct pair {
  pair() {
    listening = ferry_socket(FERRY_AF_INET, FERRY_SOCK_MESSAGE, FERRY_TCP);
    auto at = loopback();
    EXPECT_EQ(ferry_bind(listening, &at), 0) << ferry_error_text();
    EXPECT_EQ(ferry_listen(listening, 4), 0) << ferry_error_text();
    EXPECT_EQ(ferry_getsockname(listening, &at), 0);
    client = ferry_socket(FERRY_AF_UNSPEC, FERRY_SOCK_MESSAGE, FERRY_TCP);
    EXPECT_EQ(ferry_connect(client, &at), 0) << ferry_error_text();
    server = ferry_accept(listening, &from);
    EXPECT_GT(server, client) << ferry_error_text();
  }
  ~pair() {
    for (const int one : {listening, client, server}) {
      const int on = 1;
      ferry_setsockopt(one, FERRY_SOL_SOCKET, FERRY_SO_CLOSEPOLICY, &on, sizeof on);
      ferry_close(one);
    }
  }
  pair(const pair&) = delete;
  pair& operator=(const pair&) = delete;
  int listening, client, server;
  ferry_address from{};
};

TEST(c_interface, carries_a_message_and_tells_who_sent_it) {
  pair ends;
  EXPECT_EQ(ferry_send(ends.client, "hello", 5, FERRY_MSG_TEXT), 5);
  char buffer[16];
  ferry_message_info info{};
  EXPECT_EQ(ferry_recvmsg(ends.server, buffer, sizeof buffer, 0, &info), 5);
  EXPECT_EQ(std::string(buffer, 5), "hello");
  EXPECT_EQ(info.length, 5u);
  EXPECT_NE(info.flags & FERRY_MSG_EOR, 0u);
  ferry_address here{}, peer{};
  EXPECT_EQ(ferry_getsockname(ends.client, &here), 0);
  EXPECT_EQ(ferry_getpeername(ends.server, &peer), 0);
  EXPECT_STREQ(ends.from.host, "127.0.0.1");
  EXPECT_EQ(here.port, ends.from.port);
  EXPECT_EQ(peer.port, here.port);
  EXPECT_EQ(ferry_state(ends.client), FERRY_OPEN);
  EXPECT_STREQ(ferry_state_name(FERRY_OPEN), "OPEN");
}

TEST(c_interface, keeps_a_message_for_a_larger_buffer_and_tells_its_length_when_cutting) {
  pair ends;
  EXPECT_EQ(ferry_send(ends.client, "seven b", 7, 0), 7);
  char small[3];
  EXPECT_EQ(ferry_recv(ends.server, small, sizeof small, 0), -1);
  EXPECT_EQ(failed(), "EMSGSIZE");
  EXPECT_EQ(ferry_recv(ends.server, small, sizeof small, FERRY_MSG_TRUNC | FERRY_MSG_PEEK), 7);
  EXPECT_EQ(ferry_recv(ends.server, small, sizeof small, FERRY_MSG_TRUNC), 7);
  EXPECT_EQ(ferry_recv(ends.server, small, sizeof small, FERRY_MSG_DONTWAIT), -1);
  EXPECT_EQ(failed(), "EAGAIN");
}

TEST(c_interface, polls_and_waits_no_longer_than_it_may) {
  pair ends;
  ferry_pollfd entries[] = {
      {ends.server, FERRY_POLLIN, 0}, {ends.client, FERRY_POLLOUT, 0}, {INT_MAX, FERRY_POLLIN, 0}};
  EXPECT_EQ(ferry_poll(entries, 3, -1), 2);
  EXPECT_EQ(entries[0].revents, 0u);
  EXPECT_EQ(entries[1].revents, unsigned{FERRY_POLLOUT});
  EXPECT_EQ(entries[2].revents, unsigned{FERRY_POLLNVAL});
  EXPECT_EQ(ferry_poll(entries, 1, 1), 0);
  EXPECT_EQ(ferry_send(ends.client, "x", 1, 0), 1);
  EXPECT_EQ(ferry_poll(entries, 1, -1), 1);
  EXPECT_EQ(ferry_poll(nullptr, 0, 1), 0);
}

TEST(c_interface, sets_options_by_number_and_by_name) {
  const int sid = ferry_socket(FERRY_AF_UNSPEC, FERRY_SOCK_STREAM, FERRY_TLS);
  const int timeout = 250;
  EXPECT_EQ(ferry_setsockopt(sid, FERRY_SOL_SOCKET, FERRY_SO_CONNECT_TIMEOUT, &timeout, sizeof timeout), 0);
  const std::int64_t mark = 1 << 20;
  EXPECT_EQ(ferry_setsockopt(sid, FERRY_SOL_SOCKET, FERRY_SO_HIGH_WATER_MARK, &mark, sizeof mark), 0);
  EXPECT_EQ(ferry_setsockopt(sid, FERRY_SOL_SOCKET, FERRY_SO_TLS_CA_TEXT, "/etc/ca.pem", 11), 0);
  EXPECT_EQ(ferry_setopt(sid, "rejectUnauthorized", "false"), 0) << ferry_error_text();
  char text[64];
  EXPECT_EQ(ferry_getopt(sid, "connectTimeout", text, sizeof text), 5);
  EXPECT_STREQ(text, "250ms");
  EXPECT_EQ(ferry_getopt(sid, "ca", text, 4), 11) << "the length, also where it does not fit";
  EXPECT_STREQ(text, "/et");
  int small = 0;
  std::size_t size = sizeof small;
  EXPECT_EQ(ferry_getsockopt(sid, FERRY_SOL_SOCKET, FERRY_SO_TLS_VERIFY, &small, &size), 0);
  EXPECT_EQ(small, 2);
  EXPECT_EQ(ferry_getsockopt(sid, FERRY_SOL_SOCKET, FERRY_SO_RECVMODE, &small, &size), 0);
  EXPECT_EQ(small, FERRY_SOCK_STREAM);
  EXPECT_EQ(ferry_getsockopt(sid, FERRY_SOL_SOCKET, FERRY_SO_STATE, &small, &size), 0);
  EXPECT_EQ(small, FERRY_INIT);
  size = sizeof text;
  EXPECT_EQ(ferry_getsockopt(sid, FERRY_SOL_SOCKET, FERRY_SO_TLS_CA_TEXT, text, &size), 0);
  EXPECT_EQ(size, 11u);
  EXPECT_EQ(ferry_setsockopt(sid, FERRY_SOL_SOCKET, 9999, &small, sizeof small), -1);
  EXPECT_EQ(failed(), "ENOPROTOOPT");
  EXPECT_EQ(ferry_setopt(sid, "no such", "1"), -1);
  EXPECT_EQ(failed(), "ENOPROTOOPT");
  EXPECT_EQ(ferry_setsockopt(sid, FERRY_SOL_SOCKET, FERRY_SO_NODELAY, &small, 3), -1);
  EXPECT_EQ(failed(), "EINVAL");
  EXPECT_EQ(ferry_setsockopt(sid, FERRY_SOL_SOCKET, FERRY_SO_STATE, &small, sizeof small), -1);
  EXPECT_EQ(failed(), "EINVAL");
  EXPECT_EQ(ferry_close(sid), 0);
}

TEST(c_interface, answers_bad_numbers_with_ebadf) {
  char buffer[4];
  ferry_address at = loopback(1);
  ferry_stats stats;
  for (const int sid : {-1, INT_MIN, INT_MAX, 999'999}) {
    EXPECT_EQ(ferry_bind(sid, &at), -1);
    EXPECT_EQ(failed(), "EBADF");
    EXPECT_EQ(ferry_listen(sid, 1), -1);
    EXPECT_EQ(ferry_accept(sid, nullptr), -1);
    EXPECT_EQ(ferry_connect(sid, &at), -1);
    EXPECT_EQ(ferry_send(sid, buffer, 1, 0), -1);
    EXPECT_EQ(ferry_recv(sid, buffer, 1, 0), -1);
    EXPECT_EQ(ferry_shutdown(sid, FERRY_SHUT_RDWR), -1);
    EXPECT_EQ(ferry_getpeername(sid, &at), -1);
    EXPECT_EQ(ferry_getsockname(sid, &at), -1);
    EXPECT_EQ(ferry_state(sid), -1);
    EXPECT_EQ(ferry_stat(sid, &stats), -1);
    EXPECT_EQ(ferry_setopt(sid, "noDelay", "on"), -1);
    EXPECT_EQ(ferry_close(sid), -1);
    EXPECT_EQ(failed(), "EBADF");
  }
}

TEST(c_interface, answers_null_pointers_with_efault) {
  pair ends;
  for (const auto answer :
       {static_cast<std::int64_t>(ferry_bind(ends.client, nullptr)),
        static_cast<std::int64_t>(ferry_connect(ends.client, nullptr)), ferry_send(ends.client, nullptr, 1, 0),
        ferry_recv(ends.client, nullptr, 1, 0), static_cast<std::int64_t>(ferry_poll(nullptr, 1, 0)),
        static_cast<std::int64_t>(ferry_getpeername(ends.client, nullptr)),
        static_cast<std::int64_t>(ferry_setopt(ends.client, nullptr, "1")),
        static_cast<std::int64_t>(ferry_setopt(ends.client, "a", nullptr)),
        static_cast<std::int64_t>(ferry_getopt(ends.client, nullptr, nullptr, 0)),
        static_cast<std::int64_t>(ferry_list(nullptr, 1)), static_cast<std::int64_t>(ferry_stat(0, nullptr)),
        static_cast<std::int64_t>(ferry_configure(nullptr, 1)),
        static_cast<std::int64_t>(ferry_setsockopt(ends.client, FERRY_SOL_SOCKET, FERRY_SO_NODELAY, nullptr, 4)),
        static_cast<std::int64_t>(
            ferry_getsockopt(ends.client, FERRY_SOL_SOCKET, FERRY_SO_NODELAY, nullptr, nullptr))}) {
    EXPECT_EQ(answer, -1);
    EXPECT_EQ(failed(), "EFAULT");
  }
  EXPECT_EQ(ferry_send(ends.client, nullptr, 0, 0), 0) << "an empty message needs no bytes";
}

TEST(c_interface, refuses_lengths_that_nothing_has) {
  pair ends;
  char byte = 0;
  EXPECT_EQ(ferry_send(ends.client, &byte, SIZE_MAX, 0), -1);
  EXPECT_EQ(failed(), "EOVERFLOW");
  EXPECT_EQ(ferry_send(ends.client, &byte, std::size_t{1} << 40, 0), -1);
  EXPECT_EQ(failed(), "EOVERFLOW");
  EXPECT_EQ(ferry_send(ends.client, &byte, std::size_t{1} << 40, FERRY_MSG_MORE), -1);
  EXPECT_EQ(failed(), "EOVERFLOW");
  ferry_pollfd entry{ends.client, FERRY_POLLIN, 0};
  EXPECT_EQ(ferry_poll(&entry, SIZE_MAX, 0), -1);
  EXPECT_EQ(failed(), "EINVAL");
}

TEST(c_interface, refuses_addresses_that_are_none) {
  const int sid = ferry_socket(FERRY_AF_UNSPEC, FERRY_SOCK_MESSAGE, FERRY_TCP);
  ferry_address at{};
  std::memset(at.host, 'a', sizeof at.host);
  EXPECT_EQ(ferry_bind(sid, &at), -1);
  EXPECT_EQ(failed(), "EADDRNOTAVAIL");
  for (const char* host : {"a b", "127.0.0.1:80", "a/b", "x@y", "[::1]", "300.1.1.1"}) {
    at = loopback();
    std::strcpy(at.host, host);
    at.family = FERRY_AF_UNSPEC;
    EXPECT_EQ(ferry_bind(sid, &at), -1) << host;
    EXPECT_EQ(failed(), "EADDRNOTAVAIL") << host;
  }
  at = loopback();
  at.family = 77;
  EXPECT_EQ(ferry_bind(sid, &at), -1);
  EXPECT_EQ(ferry_socket(FERRY_AF_INET, 7, FERRY_TCP), -1);
  EXPECT_EQ(failed(), "EINVAL");
  EXPECT_EQ(ferry_socket(FERRY_AF_INET, 0, 77), -1);
  EXPECT_EQ(failed(), "EOPNOTSUPP");
  EXPECT_EQ(ferry_socket(FERRY_AF_LOCAL, 0, FERRY_TCP), -1);
  EXPECT_EQ(failed(), "EADDRNOTAVAIL");
  EXPECT_EQ(ferry_close(sid), 0);
}

TEST(c_interface, keeps_the_errno_of_the_system) {
  const int sid = ferry_socket(FERRY_AF_INET, FERRY_SOCK_MESSAGE, FERRY_TCP);
  auto nobody = loopback(1);
  EXPECT_EQ(ferry_connect(sid, &nobody), -1);
  EXPECT_EQ(ferry_errno, FERRY_ENET);
  EXPECT_EQ(ferry_system_errno(), ECONNREFUSED);
  EXPECT_NE(std::strstr(ferry_error_text(), "127.0.0.1:1"), nullptr) << ferry_error_text();
  int kept = 0;
  std::size_t size = sizeof kept;
  EXPECT_EQ(ferry_getsockopt(sid, FERRY_SOL_SOCKET, FERRY_SO_SYSTEM_ERRNO, &kept, &size), 0);
  EXPECT_EQ(kept, ECONNREFUSED);
  EXPECT_EQ(ferry_close(sid), 0);
}

TEST(c_interface, keeps_an_errno_for_each_thread) {
  EXPECT_EQ(ferry_close(-1), -1);
  int other = -1;
  std::thread([&] { other = ferry_errno; }).join();
  EXPECT_EQ(other, 0);
  EXPECT_EQ(ferry_errno, FERRY_EBADF);
}

TEST(c_interface, has_words_for_every_error) {
  for (const int error : {1, 2, 3, 4, 5, 6, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}) {
    EXPECT_STRNE(ferry_strerror(error), "unknown error") << error;
    EXPECT_EQ(ferry_errname(error)[0], 'E') << error;
  }
  EXPECT_STREQ(ferry_errname(-5), "?");
  EXPECT_STREQ(ferry_errname(1000), "?");
  EXPECT_EQ(ferry_close_code(FERRY_EPROTOCOL), 1002);
  EXPECT_EQ(ferry_close_code(FERRY_EOVERFLOW), 1009);
  EXPECT_EQ(ferry_close_code(-1), 0);
}

TEST(c_interface, lists_and_counts_all_sockets) {
  pair ends;
  ferry_socket_info first{};
  EXPECT_GE(ferry_list(&first, 1), 3) << "more than fit";
  EXPECT_GT(first.sid, 0);
  ferry_stats all{}, one{};
  EXPECT_EQ(ferry_stat(0, &all), 0);
  EXPECT_GE(all.open, 3u);
  EXPECT_EQ(ferry_stat(ends.listening, &one), 0);
  EXPECT_EQ(one.accepted, 1u);
  EXPECT_EQ(ferry_configure("pool_bytes", 1), -1) << "too late";
}

TEST(c_interface, gives_the_child_of_a_fork_sockets_of_its_own) {
  pair ends;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    int wrong = 0;
    if (ferry_send(ends.client, "x", 1, 0) != -1 || ferry_errno != FERRY_EBADF) wrong = 1;
    if (ferry_close(ends.client) != -1 || ferry_errno != FERRY_EBADF) wrong = 2;
    const int mine = ferry_socket(FERRY_AF_INET, FERRY_SOCK_MESSAGE, FERRY_TCP);
    auto at = loopback();
    if (mine != 1 || ferry_bind(mine, &at) != 0 || ferry_listen(mine, 1) != 0 || ferry_close(mine) != 0) wrong = 3;
    ::_exit(wrong);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << WEXITSTATUS(status);
  char byte = 0;
  EXPECT_EQ(ferry_send(ends.client, "y", 1, 0), 1) << "the parent's go on";
  EXPECT_EQ(ferry_recv(ends.server, &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'y');
}

struct lines {
  int level = -1;
  std::string component, text;
  int count = 0;
};
void take_line(void* user, int level, const char* component, const char* text) {
  auto& all = *static_cast<lines*>(user);
  all = {level, component, text, all.count + 1};
}

// In a child, as this process has sockets already.
TEST(c_interface, tells_the_lines_of_the_log_to_who_has_asked_for_them_before_the_first_socket) {
  pair ends;
  EXPECT_EQ(ferry_log(nullptr, nullptr, FERRY_LOG_WARN), -1) << "too late";
  EXPECT_EQ(ferry_log(nullptr, nullptr, FERRY_LOG_TRACE + 1), -1);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    lines all;
    if (ferry_log(take_line, &all, FERRY_LOG_WARN) != 0) ::_exit(1);
    const int listening = ferry_socket(FERRY_AF_INET, FERRY_SOCK_MESSAGE, FERRY_WS);
    auto at = loopback();
    if (ferry_bind(listening, &at) != 0 || ferry_listen(listening, 1) != 0) ::_exit(2);
    if (ferry_getsockname(listening, &at) != 0) ::_exit(3);
    const int stranger = ferry_socket(FERRY_AF_INET, FERRY_SOCK_MESSAGE, FERRY_TCP);
    if (ferry_connect(stranger, &at) != 0 || ferry_send(stranger, "no HTTP\r\n\r\n", 11, 0) != 11) ::_exit(4);
    ferry_pollfd ready{listening, FERRY_POLLIN, 0};
    for (int i = 0; i < 6000 && all.count == 0; ++i) (void)ferry_poll(&ready, 1, 10);
    ::_exit(all.count == 1 && all.level == FERRY_LOG_WARN && all.component == "listener" && !all.text.empty() ? 0 : 5);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << WEXITSTATUS(status);
}

}  // namespace
