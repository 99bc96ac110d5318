#pragma once
/// The fixture of tests of tcpshm's shape over persistent sessions.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "testing/tcpshm_pair.hpp"

namespace ferry::test {

inline tcpshm::options over_sessions(tcpshm::options with = {}) {
  with.speaks = tcpshm::protocol::ferry;
  return with;
}

/// A directory as it is now, for coming back to.
class snapshot {
 public:
  explicit snapshot(const temp_dir& of) : of_(of.path()) {
    std::filesystem::copy(of_, kept_.path(), std::filesystem::copy_options::recursive);
  }
  void restore() const {
    for (const auto& one : std::filesystem::directory_iterator(of_)) std::filesystem::remove(one);
    std::filesystem::copy(kept_.path(), of_, std::filesystem::copy_options::recursive);
  }

 private:
  std::filesystem::path of_;
  temp_dir kept_;
};

/// Both shapes over sessions: over TCP, and in shared memory.
class tcpshm_sessions : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] bool shm() const { return GetParam(); }
  struct sessions : tcpshm_pair {
    explicit sessions(const tcpshm::options& client_with = {}, const tcpshm::options& server_with = {})
        : tcpshm_pair(over_sessions(client_with), over_sessions(server_with)) {}
    [[nodiscard]] bool part() {
      client->get_connection().close();
      return static_cast<bool>(until([&] { return server->notes.back().starts_with("disconnected"); }, "the end"));
    }
  };
  void expect_echo(tcpshm_pair& on, const std::string& text) {
    on.server->echoes = true;
    const auto before = on.client->messages.size();
    ASSERT_FALSE(on.client->say(text));
    ASSERT_TRUE(on.until([&] { return on.client->messages.size() > before; }, "an echo"));
    EXPECT_TRUE(on.client->messages.back() == "1 " + text);
  }
};

/// The name of one of both.
inline std::string name_of_shape(const ::testing::TestParamInfo<bool>& which) {
  return which.param ? "shared_memory" : "tcp";
}

}  // namespace ferry::test
