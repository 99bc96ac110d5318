// How a tls:// connection goes on from an earlier one, notices changed files, and ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "testing/tls_by_hand.hpp"
#include "testing/tls_records_by_hand.hpp"
#include "testing/tls_world.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;

class tls_connection : public tls_world {};

// Sessions and reloading ----------------------------------------------------------------------------

TEST_F(tls_connection, resumes_its_session_with_the_next_connection_unless_it_is_told_not_to) {
  listen();
  ASSERT_TRUE(echoes(trusting()));
  EXPECT_FALSE(seen.tls->resumed);
  close_client();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(echoes(trusting())) << failed.text();
    EXPECT_TRUE(seen.tls->resumed);
    EXPECT_EQ(seen.tls->subject, "CN=test host") << "whom it was shown before";
    close_client();
  }
  EXPECT_EQ(where.totals().tls_resumed.value(), 6u) << "three at each end";
  options fresh = trusting();
  fresh.tls_resume = false;
  ASSERT_TRUE(echoes(fresh));
  EXPECT_FALSE(seen.tls->resumed);
}

TEST_F(tls_connection, resumes_no_session_under_other_rules) {
  listen();
  ASSERT_TRUE(echoes(trusting()));
  close_client();
  options careless;
  careless.tls_verify = tls_verify_kind::no;
  ASSERT_TRUE(echoes(careless));
  EXPECT_FALSE(seen.tls->resumed);
}

TEST_F(tls_connection, asks_the_program_about_a_peer_whose_session_is_resumed_too) {
  authority.issue(file("client"), {.subject = "somebody"});
  bool welcome_here = true;
  std::vector<std::string> asked;
  options demanding = trusting();
  demanding.tls_check_peer = [&](const tls_info& who) {
    asked.push_back(who.subject + (who.resumed ? " again" : ""));
    return welcome_here;
  };
  listen(demanding);
  options showing = trusting();
  showing.tls_certificate = file("client");
  ASSERT_TRUE(echoes(showing)) << failed.text();
  close_client();
  ASSERT_TRUE(echoes(showing)) << failed.text();
  EXPECT_TRUE(server.peer().tls->resumed);
  close_client();
  welcome_here = false;
  EXPECT_FALSE(echoes(showing));
  ASSERT_TRUE(turn([&] { return !refusals.empty(); }, "the refusal"));
  EXPECT_EQ(refusals[0], errc::auth);
  EXPECT_THAT(refusals[0].text(), HasSubstr("the program refused the peer's certificate 'CN=somebody'"));
  EXPECT_THAT(asked, ::testing::ElementsAre("CN=somebody", "CN=somebody again", "CN=somebody again"));
}

/// Both ends show a certificate of a few seconds; what is left of them is waited for.
class tls_connection_past_its_certificate : public tls_connection {
 protected:
  options showing(const std::string& which) {
    options with = trusting();
    if (which == "client") with.tls_certificate = file("client");
    return with;
  }
  void expires(const std::string& which) {
    constexpr long k_seconds = 5;
    authority.issue(file(which), {.subject = "short-lived", .to = k_seconds});
    over_ = std::chrono::system_clock::now() + std::chrono::seconds(k_seconds + 1);
  }
  bool has_expired() {
    return turn([&] { return std::chrono::system_clock::now() > over_; }, "the end of the certificate");
  }

 private:
  std::chrono::system_clock::time_point over_;
};

TEST_F(tls_connection_past_its_certificate, a_client_does_not_come_in_on_an_old_ticket) {
  options demanding = trusting();
  demanding.tls_verify = tls_verify_kind::yes;
  listen(demanding);
  expires("client");
  ASSERT_TRUE(echoes(showing("client"))) << failed.text();
  close_client();
  ASSERT_TRUE(has_expired());
  EXPECT_FALSE(echoes(showing("client")));
  ASSERT_TRUE(turn([&] { return !refusals.empty(); }, "the refusal"));
  EXPECT_EQ(refusals[0], errc::auth);
  EXPECT_THAT(refusals[0].text(), HasSubstr("the peer's certificate 'CN=short-lived' expired on"));
}

TEST_F(tls_connection_past_its_certificate, a_server_is_asked_for_its_new_one) {
  expires("host");
  listen();
  ASSERT_TRUE(echoes(showing("host"))) << failed.text();
  close_client();
  ASSERT_TRUE(has_expired());
  EXPECT_FALSE(echoes(showing("host")));
  EXPECT_EQ(failed, errc::auth);
  EXPECT_THAT(failed.text(), HasSubstr("expired on"));
  EXPECT_TRUE(turn([&] { return !refusals.empty(); }, "the alert that only a handshake in full brings"));
}

TEST_F(tls_connection, resumes_nothing_past_a_pin_or_a_question_that_was_not_there_before) {
  listen();
  ASSERT_TRUE(echoes(trusting())) << failed.text();
  close_client();
  options pinning = trusting();
  pinning.tls_pin = "key:" + std::string(64, 'a');
  EXPECT_FALSE(echoes(pinning));
  EXPECT_EQ(failed, errc::auth);
  options asking = trusting();
  asking.tls_check_peer = [](const tls_info&) { return false; };
  EXPECT_FALSE(echoes(asking));
  EXPECT_EQ(failed, errc::auth);
  ASSERT_TRUE(echoes(trusting())) << failed.text();
}

TEST_F(tls_connection, shows_a_new_certificate_once_its_file_has_changed_and_keeps_the_old_one_if_that_is_damaged) {
  listen();
  ASSERT_TRUE(echoes(trusting()));
  const std::string first = seen.tls->certificate_sha256;
  authority.issue(file("next"), {});
  std::filesystem::rename(file("next"), file("host"));
  options fresh = trusting();
  fresh.tls_resume = false;
  ASSERT_TRUE(echoes(fresh)) << failed.text();
  const std::string second = seen.tls->certificate_sha256;
  EXPECT_NE(second, first);
  EXPECT_EQ(where.totals().tls_reloads.value(), 1u);
  std::ofstream(file("host")) << "half a certifi";
  ASSERT_TRUE(echoes(fresh)) << failed.text();
  EXPECT_EQ(seen.tls->certificate_sha256, second);
  EXPECT_EQ(where.totals().tls_reload_failures.value(), 1u);
  ASSERT_TRUE(echoes(fresh));
  EXPECT_EQ(where.totals().tls_reload_failures.value(), 1u) << "the same damage is looked at once";
}

TEST_F(tls_connection, shows_a_connecting_ends_new_certificate_once_its_file_has_changed) {
  options asking;
  asking.tls_verify = tls_verify_kind::yes;
  asking.tls_ca = ca();
  listen(asking);
  authority.issue(file("client"), {.subject = "client"});
  options with = trusting();
  with.tls_certificate = file("client");
  with.tls_resume = false;
  ASSERT_TRUE(echoes(with)) << failed.text();
  const std::string first = server.peer().tls->certificate_sha256;
  close_client();
  ASSERT_TRUE(echoes(with)) << failed.text();
  EXPECT_EQ(server.peer().tls->certificate_sha256, first);
  authority.issue(file("next"), {.subject = "client"});
  std::filesystem::rename(file("next"), file("client"));
  ASSERT_TRUE(echoes(with)) << failed.text();
  EXPECT_NE(server.peer().tls->certificate_sha256, first);
}

// Ends ----------------------------------------------------------------------------------------------

TEST_F(tls_connection, ends_a_direction_with_close_notify_and_still_receives) {
  listen();
  server = {};
  raw_tls peer(port());
  ASSERT_TRUE(turn([&] { return peer.shaken() && server; }, "the handshake"));
  ASSERT_EQ(peer.reason(), 0);
  std::string got;
  server.on_message([&](const message_view& m) { got = m.text(); });
  server.half_close();
  ASSERT_TRUE(turn([&] { return peer.told_end(); }, "close_notify"));
  ASSERT_TRUE(peer.send(std::string_view("\5after")));
  ASSERT_TRUE(turn([&] { return got == "after"; }, "a message the other way"));
  SSL_shutdown(peer.ssl());
  ASSERT_TRUE(turn([&] { return !server_downs.empty(); }, "the end"));
  EXPECT_EQ(server_downs[0], errc::closed) << server_downs[0].text();
}

TEST_F(tls_connection, takes_an_end_without_close_notify_for_a_truncation) {
  listen();
  raw_tls peer(port());
  ASSERT_TRUE(turn([&] { return peer.shaken() && server; }, "the handshake"));
  ASSERT_TRUE(peer.send(std::string_view("\5whole")));
  ASSERT_TRUE(turn([&] { return peer.received() == "\5whole"; }, "the echo"));
  peer.hang_up();
  ASSERT_TRUE(turn([&] { return !server_downs.empty(); }, "the end"));
  EXPECT_EQ(server_downs[0], errc::truncated);
  EXPECT_THAT(server_downs[0].text(), HasSubstr("without close_notify"));
}

TEST_F(tls_connection, refuses_to_negotiate_again_and_goes_on) {
  listen();
  raw_tls peer(port());
  SSL_set_max_proto_version(peer.ssl(), TLS1_2_VERSION);
  ASSERT_TRUE(turn([&] { return peer.shaken() && server; }, "the handshake"));
  ASSERT_EQ(peer.reason(), 0);
  SSL_renegotiate(peer.ssl());
  ASSERT_TRUE(turn([&] { return peer.shaken(); }, "the answer"));
  EXPECT_EQ(peer.reason(), SSL_R_NO_RENEGOTIATION);
  EXPECT_EQ(SSL_get_version(peer.ssl()), std::string("TLSv1.2"));
  EXPECT_TRUE(echoes(trusting()));
}

// What OpenSSL reads and answers by itself, and would for as long as some comes.
TEST_F(tls_connection, gives_new_keys_to_who_asks_now_and_then_and_is_cut_when_a_peer_asks_without_end) {
  listen();
  raw_tls peer(port());
  ASSERT_TRUE(turn([&] { return peer.shaken() && server; }, "the handshake"));
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(peer.ask_for_new_keys());
  ASSERT_TRUE(peer.send(std::string("\5hello", 6)));
  ASSERT_TRUE(turn([&] { return peer.received().size() >= 6; }, "an echo under the fiftieth keys"));
  EXPECT_EQ(peer.received(), std::string("\5hello", 6));
  ASSERT_TRUE(turn(
      [&] {
        for (int i = 0; i < 20 && !peer.ended(); ++i) (void)peer.ask_for_new_keys();
        return !server_downs.empty();
      },
      "the end"));
  EXPECT_EQ(server_downs[0], errc::protocol);
  EXPECT_THAT(server_downs[0].text(), HasSubstr("the peer floods TLS with requests for new keys or handshakes"));
  EXPECT_TRUE(turn([&] { return peer.ended(); }, "it to be cut"));
  EXPECT_TRUE(echoes(trusting())) << "others are unharmed";
}

TEST_F(tls_connection, is_cut_when_a_peer_wants_to_negotiate_again_without_end) {
  listen();
  raw_tls peer(port());
  SSL_set_max_proto_version(peer.ssl(), TLS1_2_VERSION);
  ASSERT_EQ(SSL_set_cipher_list(peer.ssl(), tls_1_2_sealer::k_cipher), 1);
  ASSERT_TRUE(turn([&] { return peer.shaken() && server; }, "the handshake"));
  tls_1_2_sealer sealer(peer.ssl());
  const int fd = SSL_get_fd(peer.ssl());
  const std::string hello("\1\0\0\0", 4);  // as much of it as is looked at
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += sealer.seal(SSL3_RT_HANDSHAKE, hello);
  ASSERT_EQ(::send(fd, flood.data(), flood.size(), MSG_NOSIGNAL), ssize_t(flood.size()));
  ASSERT_TRUE(turn([&] { return !server_downs.empty(); }, "the end"));
  EXPECT_EQ(server_downs[0], errc::protocol);
  EXPECT_THAT(server_downs[0].text(), HasSubstr("the peer floods TLS with requests for new keys or handshakes"));
  EXPECT_TRUE(echoes(trusting())) << "others are unharmed";
}

TEST_F(tls_connection, is_cut_when_bytes_were_changed_on_the_way) {
  listen();
  raw_tls peer(port());
  ASSERT_TRUE(turn([&] { return peer.shaken() && server; }, "the handshake"));
  const std::string forged = std::string("\x17\x03\x03\x00\x20", 5).append(32, 'x');
  ASSERT_EQ(::send(SSL_get_fd(peer.ssl()), forged.data(), forged.size(), MSG_NOSIGNAL), ssize_t(forged.size()));
  ASSERT_TRUE(turn([&] { return !server_downs.empty(); }, "the end"));
  EXPECT_EQ(server_downs[0], errc::corrupt);
  EXPECT_THAT(server_downs[0].text(), HasSubstr("changed on the way"));
  EXPECT_TRUE(echoes(trusting())) << "others are unharmed";
}

}  // namespace
}  // namespace ferry::test
