// ferry fuzz and ferry loopback, the frame fuzzer and the loopback harness, against the program itself.
#include <gmock/gmock.h>

#include "apps/ferry/program_under_test.hpp"

namespace ferry::app::test {
namespace {

using ::testing::HasSubstr;

class command_fuzz : public ::testing::TestWithParam<const char*> {};

TEST_P(command_fuzz, finds_that_our_server_answers_as_it_must_and_goes_on_serving) {
  const ferry::test::temp_dir dir;
  const std::string framing = GetParam();
  for (const auto& url : {std::string("tcp://127.0.0.1:0"), "ipc://" + dir.file("s")}) {
    listening_program listening(ferry_call({"listen", url, "--output", "none", "--echo", "-o", "framing=" + framing,
                                            "-o", "max_message=10000", "--log", "error"}));
    const auto done =
        run_ferry({"fuzz", listening.url(), "--count", "300", "-o", "framing=" + framing, "-o", "max_message=10000"});
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_THAT(done.out, HasSubstr("300 inputs: "));
    static_cast<void>(listening.stop());
  }
}

INSTANTIATE_TEST_SUITE_P(with, command_fuzz, ::testing::Values("varint", "u32", "typed"));

TEST(command_fuzz_surprise, is_told_with_its_seed_and_its_first_bytes) {
  // Takes messages of twice the size that the fuzzer believes in, so that wrong lengths are right.
  listening_program listening(
      ferry_call({"listen", "tcp://127.0.0.1:0", "--output", "none", "-o", "max_message=1GiB"}));
  const auto done = run_ferry({"fuzz", listening.url(), "--count", "300", "--wait", "200ms", "-o", "max_message=1000"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.err, HasSubstr("does not end the connection"));
  const auto at = done.err.find("again with: --seed ");
  ASSERT_NE(at, std::string::npos) << done.err;
  const auto seed = done.err.substr(at + 19, done.err.find(' ', at + 19) - at - 19);
  const auto again =
      run_ferry({"fuzz", listening.url(), "--count", "1", "--seed", seed, "--wait", "200ms", "-o", "max_message=1000"});
  EXPECT_EQ(again.status, 1) << "the same seed is the same input";
}

TEST(command_fuzz_usage, says_what_is_wrong_with_its_command_line) {
  EXPECT_EQ(run_ferry({"fuzz", "shm://news"}).status, 1);
  EXPECT_EQ(run_ferry({"fuzz", "tcp://127.0.0.1:1", "--count", "0"}).status, 2);
  const auto nobody = run_ferry({"fuzz", "tcp://127.0.0.1:1"});
  EXPECT_EQ(nobody.status, 1);
  EXPECT_THAT(nobody.err, HasSubstr("before anything was sent"));
}

TEST(command_loopback, finds_every_transport_as_it_must_be) {
  const auto done = run_ferry({"loopback", "--connections", "20"});
  EXPECT_EQ(done.status, 0) << done.err;
  for (const auto* scheme : {"inproc", "ipc", "shm", "tcp", "tls"})
    EXPECT_THAT(done.out, HasSubstr(std::string(scheme) + ": 20 connections"));
}

TEST(command_loopback, takes_one_transport_and_options) {
  const auto done =
      run_ferry({"loopback", "--only", "tcp", "--connections", "20", "--seed", "99", "-o", "framing=typed"});
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_EQ(lines_of(done.out).front().substr(0, 4), "tcp:");
  EXPECT_EQ(run_ferry({"loopback", "--only", "smoke"}).status, 2);
}

}  // namespace
}  // namespace ferry::app::test
