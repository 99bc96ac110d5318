// Doors that speak TLS: who comes in shows a certificate where that is wished, and the key besides.
#include <ferry/gateway.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "gateway/gateway.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using test::run_until;
using ::testing::HasSubstr;

constexpr const char* k_key = "sekrit";

class gateway_tls_doors : public ::testing::Test {
 protected:
  gateway_tls_doors() {
    ours_.issue(file("gateway"), {});
    ours_.issue(file("service"), {.subject = "a service"});
    others_.issue(file("stranger"), {.subject = "a stranger"});
  }
  std::string file(const char* name) const { return (place_.path() / name).string(); }
  /// Browsers come by wss://, servers by tls:// and only with a certificate of ours.
  void open_gateway() {
    gateway::settings with;
    with.clients.url = "wss://127.0.0.1:0/gateway";
    with.clients.options = "tls_certificate=" + file("gateway");
    with.servers.url = "tls://127.0.0.1:0";
    with.servers.options = "tls_certificate=" + file("gateway") + " tls_ca=" + file("gateway") + ".ca tls_verify=yes";
    with.server_key = k_key;
    with.login = gateway::login_kind::hmac;
    auto made = gateway::service::open(where, with);
    ASSERT_TRUE(made) << made.error().text();
    it.emplace(std::move(*made));
  }
  [[nodiscard]] gateway_options trusting(const char* certificate = nullptr) const {
    gateway_options with;
    with.login = gateway_login::hmac;
    with.link.tls_ca = file("gateway") + ".ca";
    if (certificate != nullptr) with.link.tls_certificate = file(certificate);
    return with;
  }
  gateway_server server(const gateway_options& with, const char* key = k_key) {
    auto made = gateway_server::open(where, it->server_url(), 7, key, with);
    EXPECT_TRUE(made) << made.error().text();
    return *made;
  }
  /// Why it is not up; nothing: it is.
  [[nodiscard]] std::optional<error> outcome(gateway_peer& of) {
    std::optional<error_code> up;
    of.async_wait_up([&](error_code code) { up = code; });
    EXPECT_TRUE(run_until(
        io, [&] { return up.has_value(); }, "the login"));
    return up && !*up ? std::nullopt : std::optional(of.last_error());
  }

  boost::asio::io_context io{1};
  context where{io};
  std::optional<gateway::service> it;

 private:
  test::temp_dir place_;
  test::tls_authority ours_;
  test::tls_authority others_{"another CA"};
};

TEST_F(gateway_tls_doors, let_a_browser_reach_a_server_that_has_shown_its_certificate) {
  open_gateway();
  auto serving = server(trusting("service"));
  ASSERT_EQ(outcome(serving), std::nullopt);
  serving.on_channel([](channel one) {
    one.on_message([one](const message_view& m) mutable { EXPECT_TRUE(one.try_send(m.payload)); });
  });
  auto made = gateway_client::open(where, it->client_url(), trusting());
  ASSERT_TRUE(made) << made.error().text();
  std::optional<error_code> dialled;
  channel got;
  made->async_dial(7, [&](error_code code, channel one) {
    dialled = code;
    got = std::move(one);
  });
  ASSERT_TRUE(run_until(
      io, [&] { return dialled.has_value(); }, "the virtual connection"));
  ASSERT_FALSE(*dialled) << dialled->message();
  std::string back;
  got.on_message([&](const message_view& m) { back = m.text(); });
  ASSERT_TRUE(got.try_send(std::string(100'000, 'x')));
  EXPECT_TRUE(run_until(
      io, [&] { return !back.empty(); }, "the echo"));
  EXPECT_EQ(back, std::string(100'000, 'x'));
  got.cut();
}

TEST_F(gateway_tls_doors, are_shut_for_servers_without_a_certificate_or_with_one_of_others) {
  open_gateway();
  for (const char* const certificate : {static_cast<const char*>(nullptr), "stranger"}) {
    auto with = trusting(certificate);
    with.link.reconnect = false;
    auto serving = server(with);
    EXPECT_NE(outcome(serving), std::nullopt) << (certificate == nullptr ? "none" : certificate);
  }
  auto serving = server(trusting("service"));
  EXPECT_EQ(outcome(serving), std::nullopt) << "the others did no harm";
}

TEST_F(gateway_tls_doors, are_shut_for_a_certificate_without_the_key) {
  open_gateway();
  auto with = trusting("service");
  with.link.reconnect = false;
  auto serving = server(with, "another key");
  const auto why = outcome(serving);
  ASSERT_TRUE(why);
  EXPECT_EQ(*why, errc::auth) << why->text();
}

TEST_F(gateway_tls_doors, that_are_not_the_gateways_get_no_login) {
  open_gateway();
  auto with = trusting("service");
  with.link.tls_ca = file("stranger") + ".ca";
  with.link.reconnect = false;
  auto serving = server(with);
  const auto why = outcome(serving);
  ASSERT_TRUE(why);
  EXPECT_THAT(why->text(), HasSubstr("not among ours"));
}

}  // namespace
}  // namespace ferry
