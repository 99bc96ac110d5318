// `ferry gateway` between peers that were written in another language, from the page alone.
#include <gtest/gtest.h>

#include <csignal>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "testing/child.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"

namespace ferry::test {
namespace {

using words = std::vector<std::string>;

words python_peer(words arguments) {
  words all{"python3", "-B", FERRY_SOURCE_DIR "/tests/interop/gateway_peer.py"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

class gateway_program : public ::testing::Test {
 protected:
  void start(words more = {}, const std::string& client_addr = "127.0.0.1:0") {
    words call{FERRY_PROGRAM_PATH, "gateway", "-ClientAddr", client_addr, "-ServerAddr=127.0.0.1:0", "--name", ""};
    call.insert(call.end(), more.begin(), more.end());
    it.emplace(call, child_options{{"FERRY_GATEWAY_SERVER_AUTH_KEY=sekrit"}, {}, false});
    for (auto* port : {&clients, &servers}) {
      auto line = it->read_error_line();
      while (line && line->starts_with("ferry: warning: ")) line = it->read_error_line();
      ASSERT_TRUE(line && line->find("listening on") != std::string::npos) << line.value_or("nothing");
      *port = line->substr(line->rfind(':') + 1);
    }
  }
  void TearDown() override {
    if (!it) return;
    it->kill(SIGTERM);
    EXPECT_EQ(it->finish(), 0);
  }
  static void finish(child& one) {
    const auto status = one.finish();
    EXPECT_EQ(status, 0) << one.error_output();
  }

  std::optional<child> it;
  std::string clients, servers;
};

TEST_F(gateway_program, carries_a_client_to_a_server_and_back_byte_for_byte) {
  start();
  child server(python_peer({"server", servers, "7", "sekrit"}));
  ASSERT_EQ(server.read_line(), "ready");
  child client(python_peer({"client", clients, "7", "100"}));
  finish(client);
  finish(server);
}

TEST_F(gateway_program, carries_many_clients_at_once) {
  start({"-ReusePort=true", "--unpredictable-numbers", "true"});
  child one(python_peer({"server", servers, "1", "sekrit", "3"}));
  child two(python_peer({"server", servers, "2", "sekrit", "3"}));
  ASSERT_EQ(one.read_line(), "ready");
  ASSERT_EQ(two.read_line(), "ready");
  std::deque<child> all;
  for (int i = 0; i < 6; ++i) all.emplace_back(python_peer({"client", clients, std::to_string(1 + i % 2), "50"}));
  for (auto& client : all) finish(client);
  finish(one);
  finish(two);
}

TEST_F(gateway_program, carries_a_server_that_dials_a_client) {
  start();
  child client(python_peer({"accept", clients}));
  ASSERT_EQ(client.read_line(), "ready");
  child server(python_peer({"dial", servers, "7", "sekrit", "1", "50"}));
  finish(server);
  finish(client);
}

TEST_F(gateway_program, goes_on_with_a_client_whose_connection_is_cut_a_thousand_times) {
  start({"-ClientSnetEnable=true", "-ClientSnetBuffer=1M"});
  child server(python_peer({"hmac", servers, "7", "sekrit"}));
  ASSERT_EQ(server.read_line(), "ready");
  child client(python_peer({"snet", clients, "7", "300", "1000", "newer", "plain"}));
  finish(client);
  finish(server);
}

TEST_F(gateway_program, goes_on_with_clients_of_the_older_form_and_with_enciphered_ones) {
  start({"-ClientSnetEnable=true", "-ClientSnetEncrypt=true", "-ClientSnetBuffer=1M", "--client-snet-form=older"});
  child server(python_peer({"server", servers, "7", "sekrit"}));
  ASSERT_EQ(server.read_line(), "ready");
  child client(python_peer({"snet", clients, "7", "12", "30", "older", "rc4"}));
  finish(client);
  finish(server);
}

TEST_F(gateway_program, goes_on_with_a_client_that_shows_its_token_over_tls) {
  const temp_dir place;
  const tls_authority authority;
  authority.issue(place.file("gateway.pem"), {});
  start({"--client-resume", "--client-snet-buffer=1M"},
        "tls://127.0.0.1:0?tls_certificate=" + place.file("gateway.pem"));
  child server(python_peer({"server", servers, "7", "sekrit"}));
  ASSERT_EQ(server.read_line(), "ready");
  child client(python_peer({"token", clients, "7", "10", "30", place.file("gateway.pem.ca")}));
  finish(client);
  finish(server);
}

TEST_F(gateway_program, lets_no_server_in_with_another_key) {
  start();
  child server(python_peer({"server", servers, "7", "wrong"}));
  EXPECT_NE(server.finish(), 0);
  // A reset where its ping had come already when the gateway closed.
  const auto why = server.error_output();
  EXPECT_TRUE(why.find("EOFError") != std::string::npos || why.find("ConnectionResetError") != std::string::npos)
      << why;
}

}  // namespace
}  // namespace ferry::test
