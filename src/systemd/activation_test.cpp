// The example service, started with what systemd gives a service.
#ifdef FERRY_SERVICE_EXAMPLE
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "testing/child.hpp"
#include "testing/raw_unix.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::test {
namespace {

// What NOTIFY_SOCKET names: a datagram socket on which systemd listens.
class notices {
 public:
  explicit notices(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), at.sun_path);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
      throw std::system_error(errno, std::generic_category());
  }
  ~notices() { ::close(fd_); }
  notices(const notices&) = delete;
  notices& operator=(const notices&) = delete;

  /// The next one; "" if none comes within a minute.
  [[nodiscard]] std::string next() const {
    pollfd one{fd_, POLLIN, 0};
    if (::poll(&one, 1, 60'000) != 1) return "";
    std::string text(4096, '\0');
    const ssize_t n = ::recv(fd_, text.data(), text.size(), 0);
    text.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return text;
  }

 private:
  int fd_;
};

class example_service : public ::testing::Test {
 protected:
  [[nodiscard]] child_options as_systemd_does() const {
    return {.environment = {"NOTIFY_SOCKET=" + files.file("notify")}};
  }
  temp_dir files;
  const std::string path = files.file("app.sock");
  notices told{files.file("notify")};
};

TEST_F(example_service, receives_on_the_inherited_socket_tells_systemd_and_leaves_the_socket_file) {
  auto listening = raw_unix::listen(path);
  // The first client comes before the service, and is why systemd starts it.
  const auto first = raw_unix::connect(path);
  EXPECT_EQ(first.send(varint_frame("from before")), 0);
  auto options = as_systemd_does();
  options.environment.emplace_back("LISTEN_FDS=1");
  options.listen_pid = true;
  options.descriptors = {listening.fd()};
  child service({FERRY_SERVICE_EXAMPLE, "/tmp/somewhere/else.sock"}, options);
  EXPECT_EQ(told.next(), "READY=1");
  EXPECT_EQ(told.next(), "STATUS=receiving on " + path);
  EXPECT_EQ(service.read_line(), "from before");
  const auto second = raw_unix::connect(path);
  EXPECT_EQ(second.send(varint_frame("hello") + varint_frame("again")), 0);
  EXPECT_EQ(service.read_line(), "hello");
  EXPECT_EQ(service.read_line(), "again");

  service.kill(SIGTERM);
  EXPECT_EQ(told.next(), "STOPPING=1");
  EXPECT_EQ(told.next(), "STATUS=received 3 messages, 0 bytes left unread");
  EXPECT_EQ(service.finish(), 0) << service.error_output();
  EXPECT_TRUE(std::filesystem::is_socket(path));
  // The socket still listens: what comes now waits for the next start of the service.
  const auto third = raw_unix::connect(path);
  EXPECT_TRUE(listening.ready());
}

TEST_F(example_service, listens_in_the_runtime_directory_without_an_inherited_socket_and_removes_its_file) {
  auto options = as_systemd_does();
  options.environment.emplace_back("RUNTIME_DIRECTORY=" + files.path().string());
  child service({FERRY_SERVICE_EXAMPLE, "/tmp/somewhere/app.sock"}, options);
  EXPECT_EQ(told.next(), "READY=1");
  const auto peer = raw_unix::connect(path);
  EXPECT_EQ(peer.send(varint_frame("hello")), 0);
  EXPECT_EQ(service.read_line(), "hello");
  service.kill(SIGTERM);
  EXPECT_EQ(service.finish(), 0) << service.error_output();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(example_service, says_what_is_wrong_with_the_variables_and_ends) {
  auto listening = raw_unix::listen(path);
  auto options = as_systemd_does();
  options.environment = {"LISTEN_FDS=1", "LISTEN_PID=1"};
  options.descriptors = {listening.fd()};
  child service({FERRY_SERVICE_EXAMPLE, path}, options);
  EXPECT_EQ(service.finish(), 1);
  EXPECT_NE(service.error_output().find("LISTEN_PID is 1"), std::string::npos) << service.error_output();
}

}  // namespace
}  // namespace ferry::test
#endif
