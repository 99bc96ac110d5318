// The files in examples/ that put a gateway under systemd and logrotate, as those programs read them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "apps/ferry/gateway_under_test.hpp"

namespace ferry::app {
namespace {

using gateway_files = test::gateway_process;

bool is_installed(const char* path) { return ::access(path, X_OK) == 0; }

std::string with_all(std::string text, const std::string& what, const std::string& instead) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + instead.size()))
    text.replace(at, what.size(), instead);
  return text;
}

std::string example(const std::string& name) {
  const auto text = test::content_of(FERRY_SOURCE_DIR "/examples/" + name);
  EXPECT_NE(text, "") << name;
  return text;
}

constexpr const char* k_systemd_analyze = "/usr/bin/systemd-analyze";
constexpr const char* k_logrotate = "/usr/sbin/logrotate";

TEST_F(gateway_files, are_units_that_systemd_understands) {
  if (!is_installed(k_systemd_analyze)) GTEST_SKIP() << "there is no " << k_systemd_analyze;
  test::arguments call{k_systemd_analyze, "verify"};
  for (const char* const name : {"ferry-gateway.service", "ferry-gateway.socket", "ferry-sidecar.service"}) {
    test::write_file(place.file(name), with_all(example(name), "/usr/bin/ferry", FERRY_PROGRAM_PATH));
    call.push_back(place.file(name));
  }
  ferry::test::child verify(call);
  EXPECT_EQ(verify.finish(), 0);
  // Of the units that it finds on this machine it may say something, too.
  EXPECT_EQ(verify.error_output().find("ferry-"), std::string::npos) << verify.error_output();
}

TEST_F(gateway_files, rotate_the_log_of_a_gateway_that_runs) {
  if (!is_installed(k_logrotate)) GTEST_SKIP() << "there is no " << k_logrotate;
  const auto path = place.file("gateway.log");
  start_at_home({"--log-file", path});
  wait_for_text(path, "servers: listening on");
  auto text = with_all(example("ferry-gateway.logrotate"), "/var/log/ferry/gateway.log", path);
  text = with_all(text, "systemctl kill --signal=HUP --kill-whom=main ferry-gateway.service",
                  "kill -HUP $(cat " + place.file("ferry.pid") + ")");
  EXPECT_EQ(text.find("systemctl"), std::string::npos) << text;
  test::write_file(place.file("conf"), text);
  ferry::test::child rotate({k_logrotate, "--force", "--state", place.file("state"), place.file("conf")});
  EXPECT_EQ(rotate.finish(), 0) << rotate.error_output();
  EXPECT_EQ(rotate.error_output(), "");
  wait_for_text(path, "the configuration was read again\n");
  EXPECT_NE(test::content_of(path + ".1").find("servers: listening on"), std::string::npos);
  EXPECT_EQ(test::content_of(path).find("servers: listening on"), std::string::npos) << "it is in the old file";
}

}  // namespace
}  // namespace ferry::app
