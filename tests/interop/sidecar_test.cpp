// Services and sidecars with peers that were written in another language, from the page alone.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "testing/child.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::test {
namespace {

using words = std::vector<std::string>;

class sidecar_peers : public ::testing::Test {
 protected:
  void SetUp() override {
#ifndef FERRY_SIDECAR_EXAMPLE
    GTEST_SKIP() << "built without FERRY_SIDECAR or FERRY_EXAMPLES";
#else
    if (!std::filesystem::exists("/usr/lib/python3/dist-packages/google/protobuf"))
      GTEST_SKIP() << "python3-protobuf is missing";
    service_program = FERRY_SIDECAR_EXAMPLE;
#endif
  }
  /// Debian's own Python, which finds Debian's packages.
  [[nodiscard]] static words python_peer(words arguments) {
    words all{"/usr/bin/python3", "-B", FERRY_SOURCE_DIR "/tests/interop/sidecar_peer.py"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }
  static void finish(child& one) {
    const auto status = one.finish();
    EXPECT_EQ(status, 0) << one.error_output();
  }

  temp_dir dir;
  std::string service_program;
};

TEST_F(sidecar_peers, a_service_registers_with_a_foreign_sidecar_and_answers_what_comes_through_it) {
  const auto folder = dir.path().string();
  child sidecar(python_peer({"sidecar", folder, "1001", "500"}));
  ASSERT_EQ(sidecar.read_line(), "ready") << sidecar.error_output();
  child service({service_program, folder, "10", "1001"});
  ASSERT_EQ(service.read_line(), "ready");
  ASSERT_EQ(sidecar.read_line(), "asked");
  service.kill(SIGTERM);
  finish(service);
  finish(sidecar);
}

/// Between `ferry sidecar` and two entities with two pipes each.
class sidecar_program : public sidecar_peers {
 protected:
  void SetUp() override {
    sidecar_peers::SetUp();
    if (IsSkipped()) return;
    it.emplace(words{FERRY_PROGRAM_PATH, "sidecar", "--service", "name=10,id=1001,dir=" + asking() + ",pipes=2",
                     "--service", "name=20,id=2001,dir=" + serving() + ",pipes=2", "--message-age", "0",
                     "--heartbeat-timeout", "1m"});  // peers that wait for a slow machine say nothing meanwhile
    for (int i = 0; i < 2; ++i) {
      const auto line = it->read_error_line();
      ASSERT_TRUE(line && line->find("entity") != std::string::npos) << line.value_or("nothing");
    }
  }
  void TearDown() override {
    if (!it) return;
    it->kill(SIGTERM);
    finish(*it);
  }
  [[nodiscard]] std::string asking() const { return dir.file("asking"); }
  [[nodiscard]] std::string serving() const { return dir.file("serving"); }
  /// Asks, waits for `between` after half of the questions, asks the rest.
  template <class Between>
  void ask(Between between) {
    child client(python_peer({"ask", asking(), "10", "1001", "2", "2001", "300"}));
    ASSERT_EQ(client.read_line(), "ready") << client.error_output();
    ASSERT_EQ(client.read_line(), "half") << client.error_output();
    between();
    ASSERT_TRUE(client.write("go on\n"));
    ASSERT_EQ(client.read_line(), "answered") << client.error_output();
    finish(client);
  }

  std::optional<child> it;
};

TEST_F(sidecar_program, carries_a_foreign_service_to_one_of_ours_and_back) {
  child service({service_program, serving(), "20", "2001"});
  ASSERT_EQ(service.read_line(), "ready") << service.error_output();
  ask([] {});
  service.kill(SIGTERM);
  finish(service);
}

TEST_F(sidecar_program, carries_a_foreign_service_to_a_foreign_service_and_back) {
  child service(python_peer({"serve", serving(), "20", "2001", "2"}));
  ASSERT_EQ(service.read_line(), "ready") << service.error_output();
  ask([] {});
  service.close_input();
  finish(service);
}

TEST_F(sidecar_program, gives_the_route_of_one_of_ours_to_a_foreign_service_that_replaces_it) {
  child service({service_program, serving(), "20", "2001"});
  ASSERT_EQ(service.read_line(), "ready") << service.error_output();
  std::optional<child> next;
  ask([&] {
    next.emplace(python_peer({"take", serving(), "20", "2001", "2"}));
    ASSERT_EQ(next->read_line(), "ready") << next->error_output();
    ASSERT_EQ(next->read_line(), "took") << next->error_output();
    service.kill(SIGTERM);
    finish(service);
  });
  next->close_input();
  finish(*next);
}

TEST_F(sidecar_program, carries_the_channels_of_our_own_program) {
  child listening({FERRY_PROGRAM_PATH, "listen", "sidecar://" + serving()});
  ASSERT_EQ(listening.read_error_line(), "ferry: listening on sidecar://" + serving());
  child sending({FERRY_PROGRAM_PATH, "send", "sidecar://" + asking() + "?to=2001"});
  ASSERT_TRUE(sending.write("one\ntwo\n"));
  finish(sending);
  EXPECT_EQ(listening.read_line(), "one");
  EXPECT_EQ(listening.read_line(), "two");
}

}  // namespace
}  // namespace ferry::test
