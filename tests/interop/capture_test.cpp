// Wireshark's engine reads what the option `capture` writes: tshark finds nothing wrong in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/ferry/program_under_test.hpp"

namespace ferry::app::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class wireshark : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto there = tshark({"--version"});
    if (there.status != 0) GTEST_SKIP() << "tshark is not installed";
  }
  /// Settings of its own, none of whoever runs the test.
  [[nodiscard]] outcome tshark(const arguments& words) const {
    arguments call{"tshark"};
    call.insert(call.end(), words.begin(), words.end());
    ferry::test::child program(
        call, {.environment = {"HOME=" + dir.path().string(), "XDG_CONFIG_HOME=" + dir.path().string()}});
    program.close_input();
    const auto status = program.finish();
    return {status.value_or(-1), program.output(), program.error_output()};
  }
  void record(const std::string& url, std::string* was_at = nullptr) const {
    listening_program listening(ferry_call({"listen", url, "--echo", "--output", "none", "-o", "capture=" + file()}));
    if (was_at != nullptr) *was_at = listening.url();
    ASSERT_EQ(run_ferry({"send", listening.url(), "-m", "hello", "--expect-echo"}).status, 0);
    const auto sent = run_ferry({"send", listening.url(), "--count", "300", "--size", "20000", "--expect-echo"});
    ASSERT_EQ(sent.status, 0) << sent.err;
    ASSERT_EQ(listening.stop().status, 0);
  }
  [[nodiscard]] std::string file() const { return dir.file("talk.pcap"); }

  ferry::test::temp_dir dir;
};

TEST_F(wireshark, sees_whole_connections_without_anything_to_complain_about) {
  for (const auto& url : {std::string("tcp://127.0.0.1:0"), std::string("tcp://[::1]:0"), "ipc://" + dir.file("s")}) {
    std::filesystem::remove(file());
    record(url);
    const auto judged =
        tshark({"-r", file(), "-q", "-z", "expert", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"});
    ASSERT_EQ(judged.status, 0) << judged.err;
    EXPECT_THAT(judged.out, Not(HasSubstr("Errors ("))) << url;
    EXPECT_THAT(judged.out, Not(HasSubstr("Warns ("))) << url << "\n" << judged.out;
    const auto noted = tshark({"-r", file(), "-Y",
                               "_ws.malformed or tcp.analysis.flags or tcp.checksum.status == 0 or "
                               "ip.checksum.status == 0",
                               "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"});
    EXPECT_EQ(noted.status, 0) << noted.err;
    EXPECT_EQ(noted.out, "") << url;
  }
}

TEST_F(wireshark, follows_what_was_said) {
  record("tcp://127.0.0.1:0");
  const auto streams = tshark({"-r", file(), "-q", "-z", "follow,tcp,ascii,0"});
  ASSERT_EQ(streams.status, 0) << streams.err;
  std::size_t found = 0;
  for (auto at = streams.out.find("hello"); at != std::string::npos; at = streams.out.find("hello", at + 1)) ++found;
  EXPECT_EQ(found, 2u) << "there and back";
}

TEST_F(wireshark, sees_the_upgrade_and_each_frame_of_a_websocket) {
  std::string url;
  record("ws://127.0.0.1:0/chat", &url);
  const auto colon = url.rfind(':') + 1;
  const std::string as_http = "tcp.port==" + url.substr(colon, url.find('/', colon) - colon) + ",http";
  const auto shown = [&](const std::string& filter, const arguments& fields) {
    arguments call{"-r", file(), "-d", as_http, "-Y", filter, "-T", "fields", "-E", "occurrence=a"};
    for (const auto& field : fields) call.insert(call.end(), {"-e", field});
    const auto all = tshark(call);
    EXPECT_EQ(all.status, 0) << all.err;
    return all.out;
  };
  EXPECT_THAT(shown("http.request", {"http.request.uri", "http.sec_websocket_version"}), HasSubstr("/chat\t13\n"));
  EXPECT_THAT(shown("http.response", {"http.response.code"}), HasSubstr("101\n"));
  // 301 messages there and back, a Close there and one back, for each of two connections; a packet may hold many.
  const auto opcodes = shown("websocket", {"websocket.opcode"});
  const auto count = [&](const char* opcode) {
    std::size_t found = 0;
    for (auto at = opcodes.begin(); at != opcodes.end();) {
      const auto end = std::find_if(at, opcodes.end(), [](char c) { return c == ',' || c == '\n'; });
      found += std::string(at, end) == opcode ? 1 : 0;
      at = end == opcodes.end() ? end : end + 1;
    }
    return found;
  };
  EXPECT_EQ(count("1") + count("2"), 2u * 301);
  EXPECT_EQ(count("8"), 4u);
  EXPECT_THAT(shown("websocket.mask == 1", {"websocket.opcode"}), Not(HasSubstr("3")));
  EXPECT_EQ(shown("_ws.malformed", {"frame.number"}), "");
}

}  // namespace
}  // namespace ferry::app::test
