// tls:// against the program openssl, which knows nothing of ferry.
#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <string>

#include "testing/child.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;

class tls_and_openssl : public ::testing::Test {
 protected:
  tls_and_openssl() { tls_authority().issue(certificate, {}); }

  /// Where a listener echoes; what ended its last channel is in `down`.
  void listen(options with) {
    with.tls_certificate = certificate;
    listening = listener::open(where, "tls://127.0.0.1:0", with).value();
    listening.on_error([this](const error& why) { refused = why; });
    listening.on_channel([this](channel arrived) {
      held = arrived;
      arrived.on_message([this](const message_view& m) { EXPECT_TRUE(held.try_send(m.payload)); });
      arrived.on_down([this](const down_info& info) { down = info.reason; });
    });
  }
  [[nodiscard]] std::string address() const { return listening.url().substr(6); }
  [[nodiscard]] child s_client(std::vector<std::string> more) const {
    std::vector<std::string> all{
        "openssl",     "s_client", "-connect", address(), "-CAfile", certificate + ".ca", "-verify_return_error",
        "-servername", "localhost"};
    all.insert(all.end(), more.begin(), more.end());
    return child(std::move(all));
  }
  /// Sends each line back from its end to its start; for one connection.
  [[nodiscard]] child s_server(const std::vector<std::string>& more) const {
    std::vector<std::string> all{"openssl", "s_server",  "-accept", "127.0.0.1:0", "-cert", certificate,
                                 "-key",    certificate, "-rev",    "-naccept",    "1"};
    all.insert(all.end(), more.begin(), more.end());
    return child(std::move(all));
  }
  [[nodiscard]] channel opened(child& server) {
    std::optional<std::string> line;
    while ((line = server.read_line()) && !line->starts_with("ACCEPT ")) {
    }
    EXPECT_TRUE(line) << server.error_output();
    options with;
    with.tls_ca = certificate + ".ca";
    return channel::open(where, "tls://" + (line ? line->substr(7) : ""), with).value();
  }
  /// The same, when it could not be.
  [[nodiscard]] channel channel_to(child& server) {
    channel made = opened(server);
    EXPECT_TRUE(turn([&] { return made.state() == channel_state::closed; }, "the refusal"));
    return made;
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }

  temp_dir dir;
  const std::string certificate = dir.file("host.pem");
  boost::asio::io_context io;
  context where{io};
  listener listening;
  channel held;
  std::optional<error> down, refused;
};

TEST_F(tls_and_openssl, listener_echoes_to_s_client_in_both_versions_and_ends_with_close_notify) {
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    listen({});
    down.reset();
    child peer = s_client({version, "-quiet"});
    ASSERT_TRUE(peer.write("\5hello"));
    ASSERT_TRUE(turn([&] { return held && held.stats().messages_sent == 1; }, "the echo"));
    held.half_close();
    ASSERT_TRUE(turn([&] { return down.has_value(); }, "the end"));
    EXPECT_EQ(*down, errc::closed) << version << ": " << down->text();
    EXPECT_EQ(peer.finish(), 0) << peer.error_output();
    EXPECT_EQ(peer.output(), "\5hello");
    held = {};
  }
}

TEST_F(tls_and_openssl, listener_offers_what_s_client_reports) {
  options with;
  with.tls_alpn = "ferry";
  listen(with);
  child peer = s_client({"-alpn", "ferry,other", "-brief", "-ign_eof"});
  ASSERT_TRUE(turn([&] { return held && held.state() == channel_state::up; }, "the handshake"));
  EXPECT_EQ(held.peer().tls->alpn, "ferry");
  EXPECT_EQ(held.peer().tls->server_name, "localhost");
  held.half_close();
  ASSERT_TRUE(turn([&] { return down.has_value(); }, "the end"));
  EXPECT_EQ(peer.finish(), 0) << peer.error_output();
  EXPECT_THAT(peer.error_output() + peer.output(), HasSubstr("Verification: OK"));
}

TEST_F(tls_and_openssl, listener_refuses_an_s_client_that_is_too_old_or_shows_nothing) {
  options with;
  with.tls_min = tls_version_kind::tls_1_3;
  with.tls_ca = certificate + ".ca";
  listen(with);
  child old = s_client({"-tls1_2", "-quiet"});
  ASSERT_TRUE(turn([&] { return refused.has_value(); }, "the first refusal"));
  EXPECT_EQ(*refused, errc::unsupported) << refused->text();
  EXPECT_NE(old.finish(), 0);
  EXPECT_THAT(old.error_output(), HasSubstr("alert protocol version"));
  refused.reset();
  child nobody = s_client({"-quiet"});
  ASSERT_TRUE(turn([&] { return refused.has_value(); }, "the second refusal"));
  EXPECT_EQ(*refused, errc::auth) << refused->text();
  (void)nobody.finish();
  EXPECT_THAT(nobody.error_output(), HasSubstr("alert certificate required"));
}

TEST_F(tls_and_openssl, listener_takes_a_killed_s_client_for_a_truncation) {
  listen({});
  child peer = s_client({"-quiet"});
  ASSERT_TRUE(peer.write("\2a\n"));
  ASSERT_TRUE(turn([&] { return held && held.stats().messages_sent == 1; }, "the echo"));
  ASSERT_EQ(peer.read_line(), "\2a");  // unread bytes would make the kernel reset the connection
  peer.kill(SIGKILL);
  ASSERT_TRUE(turn([&] { return down.has_value(); }, "the end"));
  EXPECT_EQ(*down, errc::truncated) << down->text();
}

TEST_F(tls_and_openssl, s_client_resumes_its_session_in_both_versions) {
  listen({});
  const std::string kept = dir.file("session");
  for (const char* version : {"-tls1_2", "-tls1_3"})
    for (const char* way : {"-sess_out", "-sess_in"}) {
      held = {};
      down.reset();
      child peer = s_client({version, way, kept, "-quiet"});
      ASSERT_TRUE(peer.write("\5hello"));  // whose answer comes behind the tickets
      ASSERT_TRUE(turn([&] { return held && held.stats().messages_sent == 1; }, "the echo"));
      EXPECT_EQ(held.peer().tls->resumed, way == std::string("-sess_in")) << version;
      held.half_close();
      ASSERT_TRUE(turn([&] { return down.has_value(); }, "the end"));
      EXPECT_EQ(peer.finish(), 0) << peer.error_output();
    }
}

// s_server -rev sends each line back from its end to its start; these bytes are the same from both sides.
TEST_F(tls_and_openssl, channel_hears_from_s_server_what_it_sent) {
  const std::string message = "b\3\n";
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    child peer = s_server({version});
    channel talking = opened(peer);
    std::string back;
    talking.on_message([&](const message_view& m) { back = m.text(); });
    ASSERT_TRUE(talking.try_send(message));
    ASSERT_TRUE(turn([&] { return back == message || talking.state() == channel_state::closed; }, "the answer"));
    EXPECT_EQ(back, message) << talking.last_error().text();
    EXPECT_EQ(talking.peer().tls->version, version == std::string("-tls1_2") ? "TLSv1.2" : "TLSv1.3");
    bool closed = false;
    talking.async_close([&](error_code, const close_report&) { closed = true; });
    ASSERT_TRUE(turn([&] { return closed; }, "the end"));
    EXPECT_EQ(peer.finish(), 0) << peer.error_output();
  }
}

// What must not come about -----------------------------------------------------------------------------------------

TEST_F(tls_and_openssl, s_client_refuses_what_is_expired_or_for_another_host_and_the_listener_hears_why) {
  struct row {
    certificate_wish wish;
    std::string asked;
    const char* heard;
  };
  for (const auto& [wish, asked, heard] :
       {row{{.from = -3600, .to = -60}, "localhost", "it has expired, renew tls_certificate"},
        row{{}, "example.org", "the peer refused our certificate"}}) {
    tls_authority().issue(certificate, wish);
    listen({});
    refused.reset();
    child peer = s_client({"-verify_hostname", asked, "-quiet"});
    ASSERT_TRUE(turn([&] { return refused.has_value(); }, "the refusal"));
    EXPECT_EQ(*refused, errc::auth) << refused->text();
    EXPECT_THAT(refused->text(), HasSubstr(heard));
    EXPECT_NE(peer.finish(), 0);
  }
  EXPECT_FALSE(held);
}

TEST_F(tls_and_openssl, channel_refuses_an_s_server_that_is_expired_or_another_host) {
  struct row {
    certificate_wish wish;
    const char* reason;
    const char* alert;
  };
  for (const auto& [wish, reason, alert] :
       {row{{.from = -3600, .to = -60}, "expired on", "alert certificate expired"},
        row{{.names = "DNS:example.org"}, "is for DNS:example.org, not for '127.0.0.1'", "alert bad certificate"}}) {
    tls_authority().issue(certificate, wish);
    child peer = s_server({"-tls1_2"});  // where the server's handshake waits for ours
    const channel talking = channel_to(peer);
    EXPECT_EQ(talking.last_error(), errc::auth);
    EXPECT_THAT(talking.last_error().text(), HasSubstr(reason));
    (void)peer.finish();
    EXPECT_THAT(peer.error_output(), HasSubstr(alert));
  }
}

TEST_F(tls_and_openssl, neither_end_speaks_a_version_that_is_too_old) {
  const std::vector<std::string> old{"-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"};
  listen({});
  child client = s_client({old[0], old[1], old[2], "-quiet"});
  ASSERT_TRUE(turn([&] { return refused.has_value(); }, "the refusal"));
  EXPECT_EQ(*refused, errc::unsupported) << refused->text();
  EXPECT_THAT(refused->text(), HasSubstr("tls_min"));
  EXPECT_NE(client.finish(), 0);
  child server = s_server(old);
  const channel talking = channel_to(server);
  EXPECT_EQ(talking.last_error(), errc::unsupported) << talking.last_error().text();
  EXPECT_THAT(talking.last_error().text(), HasSubstr("tls_min"));
  (void)server.finish();
}

TEST_F(tls_and_openssl, an_s_client_that_wants_to_negotiate_again_is_told_no_and_others_go_on) {
  listen({});
  child peer = s_client({"-tls1_2"});
  ASSERT_TRUE(turn([&] { return held && held.state() == channel_state::up; }, "the handshake"));
  const channel first = held;
  child other = s_client({"-quiet"});
  ASSERT_TRUE(turn([&] { return held.shared_impl() != first.shared_impl(); }, "the other one"));
  ASSERT_TRUE(peer.write("R\n"));
  ASSERT_TRUE(turn([&] { return peer.wait(child::duration(0)).has_value(); }, "the end of the one who asked"));
  peer.read_all();
  EXPECT_THAT(peer.error_output(), HasSubstr("no renegotiation"));
  ASSERT_TRUE(other.write("\5hello"));
  ASSERT_TRUE(turn([&] { return held.stats().messages_sent == 1; }, "the echo"));
  held.half_close();
  ASSERT_TRUE(turn([&] { return other.wait(child::duration(0)).has_value(); }, "the other's end"));
  other.read_all();
  EXPECT_EQ(other.output(), "\5hello");
}

TEST_F(tls_and_openssl, channel_takes_a_killed_s_server_for_a_truncation) {
  child peer = s_server({"-tls1_3"});
  const std::string line = "b\3\n";
  std::optional<error> ended;
  channel talking = opened(peer);
  talking.on_down([&](const down_info& info) { ended = info.reason; });
  std::string back;
  talking.on_message([&](const message_view& m) { back = m.text(); });
  ASSERT_TRUE(talking.try_send(line));
  ASSERT_TRUE(turn([&] { return back == line; }, "the answer"));
  peer.kill(SIGKILL);
  ASSERT_TRUE(turn([&] { return ended.has_value(); }, "the end"));
  EXPECT_EQ(*ended, errc::truncated) << ended->text();
  EXPECT_THAT(ended->text(), HasSubstr("without close_notify"));
}

}  // namespace
}  // namespace ferry::test
