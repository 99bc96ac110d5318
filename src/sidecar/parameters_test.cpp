#include "sidecar/parameters.hpp"

#include <gtest/gtest.h>

#include <map>

namespace ferry::sidecar {
namespace {

using namespace std::chrono_literals;

std::string wrong(result<void> outcome) { return outcome ? "it was taken" : outcome.error().text(); }

TEST(sidecar_parameters, take_every_name_of_the_original) {
  configuration all;
  for (const auto& [name, value] : std::map<std::string, std::string>{{"Tag", "area7"},
                                                                      {"ShmDirPath", "/run/ferry/101"},
                                                                      {"ShmRecvDataFileName", "r"},
                                                                      {"ShmSendDataFileName", "s"},
                                                                      {"ShmSendQueueSize", "65536"},
                                                                      {"ShmRecvQueueSize", "1M"},
                                                                      {"UnixSocketName", "u"},
                                                                      {"UnixSockHBTimeoutMS", "4500"},
                                                                      {"UnixSockRegistTimeoutMS", "700"},
                                                                      {"UnixSockRetryMS", "100"},
                                                                      {"MeshCltValidMsgSecs", "9"},
                                                                      {"ShmpipeCnt", "2"},
                                                                      {"LockFileName", "l"},
                                                                      {"UnixSockHBFreq", "3"},
                                                                      {"MinUnixHB", "500"}})
    EXPECT_EQ(wrong(set_parameter(all, name, value)), "it was taken") << name;
  EXPECT_EQ(all.defaults.tag, "area7");
  EXPECT_EQ(all.defaults.directory, "/run/ferry/101");
  EXPECT_EQ(all.defaults.receive_name, "r");
  EXPECT_EQ(all.defaults.send_name, "s");
  EXPECT_EQ(all.defaults.send_bytes, 65536u);
  EXPECT_EQ(all.defaults.receive_bytes, 1u << 20);
  EXPECT_EQ(all.defaults.socket_name, "u");
  EXPECT_EQ(all.defaults.lock_name, "l");
  EXPECT_EQ(all.defaults.pipes, 2u);
  EXPECT_EQ(all.process.heartbeat_timeout, 4500ms);
  EXPECT_EQ(all.process.registration_timeout, 700ms);
  EXPECT_EQ(all.process.message_age, 9s);
}

TEST(sidecar_parameters, have_the_defaults_that_their_table_shows) {
  const configuration plain;
  for (const auto& one : parameter_table()) {
    configuration all;
    if (one.default_text.empty()) continue;
    EXPECT_EQ(wrong(set_parameter(all, one.name, one.default_text)), "it was taken") << one.name;
    EXPECT_EQ(all.process.heartbeat_timeout, plain.process.heartbeat_timeout) << one.name;
    EXPECT_EQ(all.process.registration_timeout, plain.process.registration_timeout) << one.name;
    EXPECT_EQ(all.process.message_age, plain.process.message_age) << one.name;
    EXPECT_EQ(all.process.when_full, plain.process.when_full) << one.name;
    EXPECT_EQ(all.process.hold, plain.process.hold) << one.name;
    EXPECT_EQ(all.process.poll_interval, plain.process.poll_interval) << one.name;
    EXPECT_EQ(all.process.spin, plain.process.spin) << one.name;
    EXPECT_EQ(all.process.check_source, plain.process.check_source) << one.name;
    EXPECT_EQ(all.process.return_undeliverable, plain.process.return_undeliverable) << one.name;
    EXPECT_EQ(all.process.undeliverable_code, plain.process.undeliverable_code) << one.name;
    EXPECT_EQ(all.stop_within, plain.stop_within) << one.name;
    EXPECT_EQ(all.insecure, plain.insecure) << one.name;
  }
  for (const auto& one : entity_parameter_table()) {
    entity_settings all;
    if (one.default_text.empty()) continue;
    EXPECT_EQ(wrong(set_parameter(all, one.name, one.default_text)), "it was taken") << one.name;
    EXPECT_EQ(all, entity_settings()) << one.name;
  }
}

TEST(sidecar_parameters, say_what_must_be_written_instead) {
  configuration all;
  EXPECT_EQ(wrong(set_parameter(all, "pipes", "17")), "pipes: 17 must be 1 to 16");
  EXPECT_EQ(wrong(set_parameter(all, "ShmRecvQueueSize", "4095")),
            "ShmRecvQueueSize: 4095 must be a size of 4K to 4G (8M)");
  EXPECT_EQ(wrong(set_parameter(all, "receive-bytes", "4G")), "receive-bytes: 4G must be a size of 4K to 4G (8M)");
  EXPECT_EQ(wrong(set_parameter(all, "socket-name", "../x")),
            "socket-name: ../x must be the name of a file, without '/'");
  EXPECT_EQ(wrong(set_parameter(all, "dir", "run")), "dir: run must be an absolute path");
  EXPECT_EQ(wrong(set_parameter(all, "heartbeat-timeout", "0")),
            "heartbeat-timeout: 0 must be a duration (15s), or a number of milliseconds");
  EXPECT_EQ(wrong(set_parameter(all, "socket-nme", "1")),
            "unknown parameter 'socket-nme', did you mean 'socket-name'?");
  EXPECT_EQ(wrong(set_parameter(all, "id", "1")), "id is of one entity; it stands in [[service]] or --service");
  EXPECT_EQ(wrong(set_parameter(all, "undeliverable-code", "2147483648")),
            "undeliverable-code: 2147483648 must be a whole number, -2147483648 to 2147483647");
  ASSERT_TRUE(set_parameter(all, "undeliverable-code", "-2147483648"));
  EXPECT_EQ(all.process.undeliverable_code, INT32_MIN);
}

TEST(sidecar_parameters, read_an_entity_as_the_command_line_has_it) {
  entity_settings defaults;
  defaults.send_bytes = 4096;
  const auto made = parse_entity(defaults, "name=7,id=101,dir=/run/ferry/101,pipes=2");
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(made->service, 7u);
  EXPECT_EQ(made->entity, 101u);
  EXPECT_EQ(made->directory, "/run/ferry/101");
  EXPECT_EQ(made->pipes, 2u);
  EXPECT_EQ(made->send_bytes, 4096u);
  EXPECT_EQ(parse_entity(defaults, "name=7,dir=/x").error().text(),
            "id is missing (name=7,id=101,dir=/run/ferry/101,pipes=2)");
  EXPECT_EQ(parse_entity(defaults, "name=7,id").error().text(),
            "'id' must be NAME=VALUE (name=7,id=101,dir=/run/ferry/101,pipes=2)");
}

TEST(sidecar_parameters, are_judged_together) {
  configuration all;
  EXPECT_EQ(wrong(check(all)),
            "there is no service; write --service name=7,id=101,dir=/run/ferry/101 or [[service]] in the file");
  all.process.entities = {{.service = 7, .entity = 1, .directory = "/a"},
                          {.service = 7, .entity = 1, .directory = "/b"}};
  EXPECT_EQ(wrong(check(all)), "entity 1 is there twice; each needs a number of its own");
  all.process.entities[1].entity = 2;
  all.process.entities[1].directory = "/a";
  EXPECT_EQ(wrong(check(all)), "entity 2: /a is the directory of entity 1; each needs one of its own");
  all.process.entities[1].directory = "";
  EXPECT_EQ(wrong(check(all)), "entity 2: dir is missing");
  all.process.entities[1].directory = "/b";
  EXPECT_TRUE(check(all));
  all.process.entities[1].send_name = "recv.shm";
  EXPECT_EQ(wrong(check(all)), "entity 2: two of its files would be called 'recv.shm'; give each kind another name");
  all.process.entities[1].send_name = "send.shm";
  all.admin_url = "tcp://*:9091";
  EXPECT_NE(wrong(check(all)).find("anybody who reaches it"), std::string::npos);
  all.insecure = true;
  EXPECT_TRUE(check(all));
}

}  // namespace
}  // namespace ferry::sidecar
