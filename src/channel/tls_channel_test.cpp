// What tls:// promises beyond what every channel does: who is let in, and what is said when not.
#include <ferry/url.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "net/guests.hpp"
#include "net/tls_acceptor.hpp"
#include "net/transports.hpp"
#include "testing/faulty_stream.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/tls_by_hand.hpp"
#include "testing/tls_world.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;

class tls_channel : public tls_world {};

TEST_F(tls_channel, tells_both_ends_what_the_handshake_came_to) {
  options with = trusting();
  with.tls_certificate = file("host");
  with.tls_alpn = "ferry";
  listen(with);
  ASSERT_TRUE(echoes(with)) << failed.text();
  ASSERT_TRUE(seen.tls);
  EXPECT_EQ(seen.tls->version, "TLSv1.3");
  EXPECT_FALSE(seen.tls->cipher.empty());
  EXPECT_EQ(seen.tls->alpn, "ferry");
  EXPECT_EQ(seen.tls->subject, "CN=test host");
  EXPECT_EQ(seen.tls->issuer, "CN=test CA");
  EXPECT_EQ(seen.tls->certificate_sha256.size(), 64u);
  EXPECT_FALSE(seen.tls->resumed);
  ASSERT_TRUE(server.peer().tls);
  EXPECT_EQ(server.peer().tls->key_sha256, seen.tls->key_sha256) << "both show the same certificate";
  EXPECT_EQ(where.totals().tls_handshakes.value(), 2u) << "one at each end";
  EXPECT_EQ(where.totals().tls_handshake_nanoseconds.snapshot().count(), 2u);
}

TEST_F(tls_channel, needs_a_certificate_to_listen_and_says_so) {
  const auto made = listener::open(where, "tls://127.0.0.1:0", {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), errc::bad_option);
  EXPECT_THAT(made.error().text(), HasSubstr("tls_certificate=FILE"));
}

TEST_F(tls_channel, names_the_option_and_the_file_that_cannot_be_used) {
  std::ofstream(file("junk")) << "no certificate";
  authority.issue(file("other"), {});
  const struct {
    const char *option, *value;
    errc code;
    const char* text;
  } rows[] = {
      {"tls_certificate", "/nowhere.pem", errc::not_found, "tls_certificate=/nowhere.pem: No such file"},
      {"tls_certificate", "junk", errc::bad_option, "no certificate in PEM form could be read"},
      {"tls_key", "other", errc::bad_option, "is not the key of"},
      {"tls_ca", "junk", errc::bad_option, "no CA in PEM form could be read"},
      {"tls_ca", "/nowhere.pem", errc::not_found, "tls_ca=/nowhere.pem"},
      {"tls_ciphers", "nonsense", errc::bad_option, "tls_ciphers=nonsense"},
  };
  for (const auto& [option, value, code, text] : rows) {
    options with = trusting();
    with.tls_certificate = file("host");
    const bool is_file = std::filesystem::exists(file(value));
    ASSERT_FALSE(set_option(with, option, is_file ? file(value) : value));
    const auto made = listener::open(where, "tls://127.0.0.1:0", with);
    ASSERT_FALSE(made) << option << "=" << value;
    EXPECT_EQ(made.error(), code) << made.error().text();
    EXPECT_THAT(made.error().text(), HasSubstr(text));
  }
}

// Certificates that do not do -----------------------------------------------------------------------

struct faulty_certificate {
  const char* name;
  certificate_wish wish;
  const char* text;
  int alert;  // which the listening end hears
};
// NOLINTNEXTLINE(readability-identifier-naming): as GoogleTest calls it
void PrintTo(const faulty_certificate& one, std::ostream* out) { *out << one.name; }

class faulty_certificates : public tls_channel, public ::testing::WithParamInterface<faulty_certificate> {};

TEST_P(faulty_certificates, are_refused_with_what_to_do_and_the_right_alert) {
  authority.issue(file("faulty"), GetParam().wish);
  raw_tcp_listener there;
  options with = trusting();
  client = channel::open(where, "tls://127.0.0.1:" + std::to_string(there.port()), with).value();
  std::optional<raw_tls> peer;
  ASSERT_TRUE(turn(
      [&] {
        if (!peer)
          if (auto fd = there.try_accept()) peer.emplace(std::move(fd), file("faulty"));
        if (peer) (void)(peer->shaken() && !peer->received().empty());
        return client.state() == channel_state::closed && peer->reason() != 0;
      },
      "both ends"));
  EXPECT_EQ(client.last_error(), errc::auth);
  EXPECT_THAT(client.last_error().text(), HasSubstr(GetParam().text));
  EXPECT_EQ(peer->reason(), SSL_AD_REASON_OFFSET + GetParam().alert);
  EXPECT_EQ(where.totals().tls_handshake_failures.value(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    each, faulty_certificates,
    ::testing::Values(
        faulty_certificate{"expired", {.from = -3600, .to = -60}, "expired on", SSL_AD_CERTIFICATE_EXPIRED},
        faulty_certificate{"not_yet_valid", {.from = 1800}, "is valid only from", SSL_AD_BAD_CERTIFICATE},
        faulty_certificate{"for_another_name",
                           {.names = "DNS:example.org"},
                           "is for DNS:example.org, not for '127.0.0.1'",
                           SSL_AD_BAD_CERTIFICATE},
        faulty_certificate{"for_no_name", {.names = ""}, "is for no name", SSL_AD_BAD_CERTIFICATE},
        faulty_certificate{"for_a_name_in_its_subject_only",
                           {.subject = "127.0.0.1", .names = ""},
                           "is for no name",
                           SSL_AD_BAD_CERTIFICATE},
        faulty_certificate{
            "self_signed", {.self_signed = true}, "is self-signed: set tls_ca to a copy of it", SSL_AD_UNKNOWN_CA}),
    [](const auto& one) { return one.param.name; });

TEST_F(tls_channel, refuses_a_certificate_of_an_unknown_ca_and_tells_both_ends) {
  listen();
  tls_authority("another CA").issue(file("stranger"), {});
  options with;
  with.tls_ca = file("stranger") + ".ca";
  EXPECT_FALSE(echoes(with));
  EXPECT_EQ(failed, errc::auth);
  EXPECT_THAT(failed.text(), HasSubstr("comes from the CA 'CN=test CA', which is not among ours: set tls_ca"));
  ASSERT_TRUE(turn([&] { return !refusals.empty(); }, "the listener to hear of it"));
  EXPECT_THAT(refusals[0].text(), HasSubstr("the peer does not know the CA of our certificate"));
  EXPECT_TRUE(echoes(trusting())) << "others come in";
}

// Pins and questions --------------------------------------------------------------------------------

TEST_F(tls_channel, lets_in_whom_a_pin_names_and_nobody_else) {
  listen();
  ASSERT_TRUE(echoes(trusting()));
  const tls_info right = *seen.tls;
  const std::string wrong(64, 'a');
  options with;
  with.tls_verify = tls_verify_kind::no;
  for (const std::string& pins : {"cert:" + right.certificate_sha256, "key:" + right.key_sha256,
                                  right.certificate_sha256, "key:" + wrong + ",cert:" + right.certificate_sha256}) {
    with.tls_pin = pins;
    EXPECT_TRUE(echoes(with)) << pins << ": " << failed.text();
  }
  for (const std::string& pins : {"cert:" + wrong, "key:" + wrong, "key:" + right.certificate_sha256}) {
    with.tls_pin = pins;
    EXPECT_FALSE(echoes(with)) << pins;
    EXPECT_EQ(failed, errc::auth);
    EXPECT_THAT(failed.text(), HasSubstr("cert:" + right.certificate_sha256 + " and key:" + right.key_sha256));
  }
}

TEST_F(tls_channel, asks_the_program_about_the_peer) {
  listen();
  options with = trusting();
  std::vector<std::string> asked;
  bool answer = true;
  with.tls_check_peer = [&](const tls_info& who) {
    asked.push_back(who.subject);
    return answer;
  };
  EXPECT_TRUE(echoes(with)) << failed.text();
  answer = false;
  EXPECT_FALSE(echoes(with));
  EXPECT_EQ(failed, errc::auth);
  EXPECT_THAT(failed.text(), HasSubstr("the program refused the peer's certificate 'CN=test host'"));
  EXPECT_EQ(asked, (std::vector<std::string>{"CN=test host", "CN=test host"}));
}

TEST_F(tls_channel, asks_the_client_for_a_certificate_when_it_must_show_one) {
  options demanding = trusting();
  listen(demanding);
  authority.issue(file("client"), {.subject = "somebody"});
  EXPECT_FALSE(echoes(trusting()));
  EXPECT_EQ(failed, errc::auth);
  EXPECT_THAT(failed.text(), HasSubstr("the peer wants a certificate of us: set tls_certificate and tls_key"));
  ASSERT_TRUE(!refusals.empty());
  EXPECT_EQ(refusals[0], errc::auth);
  EXPECT_THAT(refusals[0].text(), HasSubstr("the peer showed no certificate"));
  options showing = trusting();
  showing.tls_certificate = file("client");
  EXPECT_TRUE(echoes(showing)) << failed.text();
  EXPECT_EQ(server.peer().tls->subject, "CN=somebody");

  tls_authority("another CA").issue(file("stranger"), {});
  showing.tls_certificate = file("stranger");
  EXPECT_FALSE(echoes(showing));
  EXPECT_THAT(failed.text(), HasSubstr("the peer does not know the CA of our certificate"));
}

TEST_F(tls_channel, lets_a_client_without_a_certificate_in_where_that_is_optional) {
  options with = trusting();
  with.tls_verify = tls_verify_kind::optional;
  listen(with);
  EXPECT_TRUE(echoes(trusting())) << failed.text();
  EXPECT_EQ(server.peer().tls->subject, "");
  EXPECT_FALSE(echoes(with));
  EXPECT_EQ(failed, errc::bad_option) << "optional is for who listens";
}

TEST_F(tls_channel, opens_an_encrypted_key_by_file_or_by_question_and_says_so_if_it_cannot) {
  authority.issue(file("locked"), {.password = "open sesame"});
  options with;
  with.tls_certificate = file("locked");
  const auto closed = listener::open(where, "tls://127.0.0.1:0", with);
  ASSERT_FALSE(closed);
  EXPECT_THAT(closed.error().text(), HasSubstr("is encrypted and was not opened by the password"));
  with.tls_key_password_file = dir.file("password");
  std::ofstream(with.tls_key_password_file) << "open sesame\n";
  EXPECT_TRUE(listener::open(where, "tls://127.0.0.1:0", with));
  with.tls_key_password_file.clear();
  std::string asked_for;
  with.tls_key_password = [&](const std::string& key) { return asked_for = key, "open sesame"; };
  listen(with);
  EXPECT_EQ(asked_for, file("locked"));
  EXPECT_TRUE(echoes(trusting())) << failed.text();
}

// Names and protocols -------------------------------------------------------------------------------

TEST_F(tls_channel, shows_the_certificate_of_the_name_that_is_asked_for) {
  authority.issue(file("a"), {.subject = "host a", .names = "DNS:a.example"});
  authority.issue(file("b"), {.subject = "host b", .names = "DNS:*.b.example"});
  options with;
  with.tls_certificate = file("a") + "," + file("b");
  listen(with);
  options to = trusting();
  for (const auto& [name, subject] : {std::pair("a.example", "CN=host a"), std::pair("x.b.example", "CN=host b")}) {
    to.tls_server_name = name;
    ASSERT_TRUE(echoes(to)) << failed.text();
    EXPECT_EQ(seen.tls->subject, subject);
    EXPECT_EQ(server.peer().tls->server_name, name);
  }
  to.tls_server_name = "c.example";
  EXPECT_FALSE(echoes(to));
  EXPECT_THAT(failed.text(), HasSubstr("not for 'c.example'"));
}

// RFC 9525, 2 and 6.3: the subject names nobody, and "*" is all of the first label and no more than that.
TEST_F(tls_channel, takes_no_name_of_the_subject_and_no_wildcard_but_a_whole_first_label) {
  const auto comes_in = [this](const certificate_wish& wish, const std::string& name) {
    authority.issue(file("named"), wish);
    options with;
    with.tls_certificate = file("named");
    listen(with);
    options to = trusting();
    to.tls_server_name = name;
    return echoes(to);
  };
  const certificate_wish subject_only{.subject = "host.example", .names = ""};
  EXPECT_FALSE(comes_in(subject_only, "host.example"));
  EXPECT_EQ(failed, errc::auth);
  EXPECT_THAT(failed.text(), HasSubstr("is for no name, not for 'host.example'"));
  const certificate_wish address_too{.subject = "host.example", .names = "IP:127.0.0.1"};
  EXPECT_FALSE(comes_in(address_too, "host.example")) << "OpenSSL's own rules take that one";
  for (const char* partial : {"f*o.host.example", "fo*.host.example", "*oo.host.example"}) {
    EXPECT_FALSE(comes_in({.names = std::string("DNS:") + partial}, "foo.host.example")) << partial;
    EXPECT_EQ(failed, errc::auth);
  }
  EXPECT_TRUE(comes_in({.names = "DNS:*.example.org"}, "foo.example.org")) << failed.text();
  EXPECT_FALSE(comes_in({.names = "DNS:*.example.org"}, "foo.bar.example.org"));
  EXPECT_FALSE(comes_in({.names = "DNS:foo.example.org"}, ".example.org"));
  EXPECT_EQ(failed, errc::bad_option);
}

TEST_F(tls_channel, chooses_no_certificate_by_its_subject_or_a_part_of_a_label) {
  authority.issue(file("first"), {.subject = "first", .names = "DNS:first.example"});
  authority.issue(file("subject"), {.subject = "foo.host.example", .names = ""});
  authority.issue(file("partial"), {.subject = "partial", .names = "DNS:f*o.host.example"});
  authority.issue(file("whole"), {.subject = "whole", .names = "DNS:*.host.example"});
  for (const auto& [others, chosen] :
       {std::pair<std::string, std::string>{"", "CN=first"}, {"," + file("whole"), "CN=whole"}}) {
    options with;
    with.tls_certificate = file("first") + "," + file("subject") + "," + file("partial") + others;
    listen(with);
    options to;
    to.tls_server_name = "foo.host.example";
    to.tls_verify = tls_verify_kind::no;
    ASSERT_TRUE(echoes(to)) << failed.text();
    EXPECT_EQ(seen.tls->subject, chosen);
  }
}

TEST_F(tls_channel, compares_the_certificate_with_a_name_always) {
  authority.issue(file("other"), {.names = "DNS:other.example"});
  options with;
  with.tls_certificate = file("other");
  listen(with);
  options to = trusting();
  to.tls_ca = file("other") + ".ca";
  to.tls_server_name = "other.example";
  ASSERT_TRUE(echoes(to)) << failed.text();
  for (const char* name : {"*", "*%1", "*.example", "example", "other.example.", "127.0.0.1", "::1"}) {
    to.tls_server_name = name;
    EXPECT_FALSE(echoes(to)) << name;
    EXPECT_TRUE(failed == errc::bad_option || failed == errc::auth) << failed.text();
  }
  to.tls_server_name = "*";
  EXPECT_FALSE(echoes(to));
  EXPECT_EQ(failed, errc::bad_option);
  EXPECT_THAT(failed.text(), HasSubstr("tls_server_name=*: "));
}

TEST_F(tls_channel, agrees_on_the_protocol_that_the_listener_prefers_or_on_nothing) {
  options with;
  with.tls_alpn = "two,one";
  listen(with);
  options to = trusting();
  to.tls_alpn = "one,two";
  ASSERT_TRUE(echoes(to)) << failed.text();
  EXPECT_EQ(seen.tls->alpn, "two");
  to.tls_alpn = "";
  ASSERT_TRUE(echoes(to)) << "who asks for none gets none";
  EXPECT_EQ(seen.tls->alpn, "");
  to.tls_alpn = "three";
  EXPECT_FALSE(echoes(to));
  EXPECT_EQ(failed, errc::unsupported);
  EXPECT_THAT(failed.text(), HasSubstr("no application protocol in common"));
  ASSERT_TRUE(!refusals.empty());
  EXPECT_THAT(refusals[0].text(), HasSubstr("see tls_alpn"));
}

TEST_F(tls_channel, refuses_versions_and_ciphers_that_do_not_meet) {
  options with;
  with.tls_min = tls_version_kind::tls_1_3;
  with.tls_ciphers = "TLS_AES_128_GCM_SHA256";
  listen(with);
  raw_tls old(port());
  SSL_set_max_proto_version(old.ssl(), TLS1_2_VERSION);
  ASSERT_TRUE(turn([&] { return old.shaken() && !refusals.empty(); }, "the refusal"));
  EXPECT_EQ(old.reason(), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
  EXPECT_EQ(refusals[0], errc::unsupported);
  EXPECT_THAT(refusals[0].text(), HasSubstr("see tls_min on both ends"));
  options to = trusting();
  to.tls_ciphers = "TLS_CHACHA20_POLY1305_SHA256";
  EXPECT_FALSE(echoes(to));
  EXPECT_EQ(failed, errc::unsupported);
  ASSERT_EQ(refusals.size(), 2u);
  EXPECT_THAT(refusals[1].text(), HasSubstr("see tls_ciphers on both"));
  to.tls_ciphers = "TLS_AES_128_GCM_SHA256";
  ASSERT_TRUE(echoes(to)) << failed.text();
  EXPECT_EQ(seen.tls->cipher, "TLS_AES_128_GCM_SHA256");
}

// Handshakes that are none --------------------------------------------------------------------------

TEST_F(tls_channel, tells_plain_text_and_http_what_they_came_to) {
  listen();
  raw_tcp plain(port());
  plain.send("\x0chello, world");
  ASSERT_TRUE(turn([&] { return refusals.size() == 1 && plain.ended(); }, "the first refusal"));
  EXPECT_EQ(refusals[0], errc::protocol);
  EXPECT_THAT(refusals[0].text(), HasSubstr("what came is no TLS: is the other end plain text?"));
  EXPECT_THAT(refusals[0].text(), HasSubstr("connection from 127.0.0.1:"));
  raw_tcp browser(port());
  browser.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(turn([&] { return refusals.size() == 2 && browser.ended(); }, "the second refusal"));
  EXPECT_THAT(refusals[1].text(), HasSubstr("a plain HTTP request came to a port that speaks TLS"));
  EXPECT_EQ(where.totals().tls_handshake_failures.value(), 2u);
  EXPECT_TRUE(echoes(trusting()));
}

TEST_F(tls_channel, says_that_the_listener_speaks_no_tls) {
  raw_tcp_listener there;
  client = channel::open(where, "tls://127.0.0.1:" + std::to_string(there.port()), trusting()).value();
  std::optional<raw_tcp> peer;
  ASSERT_TRUE(turn(
      [&] {
        if (!peer)
          if (auto fd = there.try_accept()) {
            peer.emplace(std::move(fd));
            peer->send("220 mail.example ESMTP\r\n");
          }
        return client.state() == channel_state::closed;
      },
      "the end"));
  EXPECT_EQ(client.last_error(), errc::protocol);
  EXPECT_THAT(client.last_error().text(), HasSubstr("what came is no TLS"));
}

TEST_F(tls_channel, gives_up_on_silence_at_both_ends_while_others_come_in) {
  options with;
  with.connect_timeout = std::chrono::seconds(2);  // enough for the two who do speak, on a slow machine too
  listen(with);
  raw_tcp silent(port());
  raw_tcp slow(port());
  slow.send(std::string_view("\x16\x03\x01", 3));
  EXPECT_TRUE(echoes(trusting()));
  ASSERT_TRUE(turn([&] { return refusals.size() == 2 && silent.ended() && slow.ended(); }, "the deadline"));
  EXPECT_EQ(refusals[0], errc::timeout);
  EXPECT_THAT(refusals[0].text(), HasSubstr("not over within 2s (connect_timeout)"));
  EXPECT_TRUE(echoes(trusting()));

  raw_tcp_listener mute;
  options hasty = trusting();
  hasty.connect_timeout = std::chrono::milliseconds(100);
  client = channel::open(where, "tls://127.0.0.1:" + std::to_string(mute.port()), hasty).value();
  ASSERT_TRUE(turn([&] { return client.state() == channel_state::closed; }, "the deadline of the client"));
  EXPECT_EQ(client.last_error(), errc::timeout);
}

TEST_F(tls_channel, ends_the_oldest_handshake_for_a_new_one_above_the_limit) {
  const auto below = std::make_shared<faulty_transport>(std::make_shared<fault_plan>());
  where.register_transport("faultytls", net::make_tls_transport(below));
  options with;
  with.tls_certificate = file("host");
  with.connect_timeout = {};
  const auto meeting = listener::open(where, "faultytls://meeting", with).value();
  std::vector<std::string> told;
  auto at = meeting;
  at.on_error([&](const error& why) { told.push_back(why.text()); });
  at.on_channel([](const channel&) {});
  std::vector<std::unique_ptr<connect_attempt>> attempts;
  std::vector<std::shared_ptr<stream>> silent;
  const endpoint to{"faulty", "meeting", 0, "", {}};
  for (std::size_t i = 0; i < net::k_most_guests + 1; ++i) {
    attempts.push_back(
        below->connect(where, to, {}, [&](result<std::shared_ptr<stream>> made) { silent.push_back(*made); }));
    ASSERT_TRUE(turn([&] { return silent.size() == i + 1; }, "a connection"));
    run_ready(io);
  }
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0], HasSubstr("ended for a newer one: 1024 handshakes were under way"));
  std::byte one{};
  EXPECT_EQ(silent[0]->try_read({&one, 1}).error(), errc::end_of_stream);
  EXPECT_EQ(silent[1]->try_read({&one, 1}).error(), errc::would_block);
  for (const auto& each : silent) each->close();
}

TEST_F(tls_channel, may_be_cut_and_closed_at_every_turn_of_a_handshake) {
  for (int turns = 0; turns < 40; ++turns) {
    listen();
    client = channel::open(where, listening.url(), trusting()).value();
    if (io.stopped()) io.restart();
    for (int i = 0; i < turns; ++i) io.poll_one();
    turns % 2 == 0 ? client.cut() : listening.close();
    client = {};
    server = {};
    listening = {};
    ASSERT_TRUE(turn([&] { return where.totals().channels_open.value() == 0; }, "the end")) << turns << " turns";
    run_ready(io);
  }
}

}  // namespace
}  // namespace ferry::test
