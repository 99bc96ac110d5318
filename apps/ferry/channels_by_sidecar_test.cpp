// sidecar:// as the commands have it, with real processes: `ferry sidecar`, and a command at each end.
#include <boost/json.hpp>
#include <csignal>
#include <optional>
#include <stdexcept>

#include "apps/ferry/program_under_test.hpp"

namespace {

using namespace ferry::app::test;

class channels_by_sidecar : public ::testing::Test {
 protected:
  channels_by_sidecar() { start_sidecar(); }
  void start_sidecar() {
    sidecar.emplace(ferry_call({"sidecar", "--service", service("1", "101"), "--service", service("2", "201"),
                                "--return-undeliverable", "--log", "error"}));
    for (const char* entity : {"101", "201"}) {
      const auto line = sidecar->read_error_line();
      if (!line || !line->ends_with("/" + std::string(entity))) throw std::runtime_error("it did not begin");
    }
  }
  [[nodiscard]] std::string service(const std::string& name, const std::string& entity) const {
    return "name=" + name + ",id=" + entity + ",dir=" + dir.file(entity);
  }
  [[nodiscard]] std::string url(const std::string& entity, const std::string& rest = "") const {
    return "sidecar://" + dir.file(entity) + rest;
  }
  static void expect_said(const outcome& of, int status, const std::string& said) {
    EXPECT_EQ(of.status, status) << of.err;
    EXPECT_NE(of.err.find(said), std::string::npos) << said << "\nis not in\n" << of.err;
  }

  ferry::test::temp_dir dir;
  std::optional<ferry::test::child> sidecar;
};

TEST_F(channels_by_sidecar, goes_on_when_it_is_killed_and_started_again_and_loses_nothing) {
  listening_program listener(ferry_call({"listen", url("201")}));
  EXPECT_EQ(listener.url(), url("201"));
  ferry::test::child sender(ferry_call({"send", url("101", "?to=201")}));
  const auto expect_lines = [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      ASSERT_TRUE(sender.write(std::to_string(i) + "\n"));
      ASSERT_EQ(listener.process().read_line(), std::to_string(i));
    }
  };
  expect_lines(0, 5);
  sidecar->kill(SIGKILL);
  (void)sidecar->wait();
  ASSERT_TRUE(sender.write("while it was gone\n"));
  start_sidecar();
  ASSERT_EQ(listener.process().read_line(), "while it was gone");
  expect_lines(5, 10);
  EXPECT_EQ(sender.finish(), 0) << sender.error_output();
  EXPECT_NE(sender.error_output().find("the sidecar is lost"), std::string::npos) << sender.error_output();
  EXPECT_EQ(sender.error_output().find("connection lost"), std::string::npos) << sender.error_output();
  EXPECT_EQ(listener.stop().status, 0);
}

TEST_F(channels_by_sidecar, says_at_once_what_is_wrong_with_an_address) {
  for (const char* rest : {"", "?to=", "?to=x", "?to=-1", "?to=201&to=101"})
    expect_said(run_ferry({"send", url("101", rest), "-m", "x"}), 2, "write sidecar://DIR?to=ENTITY");
  expect_said(run_ferry({"listen", url("201", "?to=101")}), 2, "who listens has no `to`");
  expect_said(run_ferry({"send", "sidecar://run/ferry/101?to=201", "-m", "x"}), 2, "the path is not absolute");
  expect_said(run_ferry({"send", url("999", "?to=201"), "-m", "x", "--wait", "50ms"}), 1,
              "or start a sidecar: ferry sidecar --service name=NUMBER,id=ENTITY,dir=DIR");
}

TEST_F(channels_by_sidecar, waits_for_somebody_who_listens_and_says_how_to_start_one) {
  ferry::test::child sender(ferry_call({"send", url("101", "?to=201"), "-m", "at last"}));
  const auto first = sender.read_error_line();
  ASSERT_TRUE(first);
  EXPECT_NE(first->find("start one with: ferry listen sidecar://DIR, where DIR is the directory of that entity"),
            std::string::npos)
      << *first;
  listening_program listener(ferry_call({"listen", url("201")}));
  EXPECT_EQ(listener.process().read_line(), "at last");
  EXPECT_EQ(sender.finish(), 0) << sender.error_output();
}

TEST_F(channels_by_sidecar, are_measured_and_every_message_is_checked) {
  for (const char* kind : {"rtt", "oneway"}) {
    const auto seen = run_ferry({"bench", kind, url("101", "?to=201"), "--count", "300", "--json"});
    ASSERT_EQ(seen.status, 0) << seen.err;
    const auto run = boost::json::parse(seen.out).as_object();
    EXPECT_EQ(run.at("messages"), 300);
    EXPECT_EQ(
        run.at("lost").to_number<int>() + run.at("duplicated").to_number<int>() + run.at("corrupt").to_number<int>(),
        0);
  }
  expect_said(run_ferry({"bench", "rtt", url("101", "?to=999")}), 1, "is of entity 999: run `ferry bench serve");
  expect_said(run_ferry({"bench", "rtt", url("101")}), 2, "write sidecar://DIR?to=ENTITY");
}

}  // namespace
